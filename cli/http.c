// SPDX-License-Identifier: MIT
#include "http.h"
#include "cli.h"
#include "state.h"
#include "wire.h"

#include "core/buf.h"
#include "core/json.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_MS 5000
#define MAX_REPLY  (64u << 20)

// --- where

static bool is_loopback(const char *host)
{
    return !strncmp(host, "127.", 4) || !strcmp(host, "localhost") || !strcmp(host, "::1");
}

// What the server wrote at its first start; "" when there is none.
static void token_of_state(char *token, size_t size)
{
    char folder[512], path[600];
    token[0] = 0;
    if (cli_state_folder(folder, sizeof folder) < 0) return;
    snprintf(path, sizeof path, "%s/token", folder);
    char *text = cli_read_file(path, 1024, NULL);
    if (text) snprintf(token, size, "%.*s", (int) strcspn(text, " \r\n"), text);
    free(text);
}

// Splits "host:port", "[::1]:port", ":port" or "host".
static bool split_host(struct cli_server *s, const char *text, size_t length, int port)
{
    const char *end = text + length, *colon = NULL;
    snprintf(s->port, sizeof s->port, "%d", port);
    if (*text == '[') {
        const char *close = memchr(text, ']', length);
        if (!close) return false;
        snprintf(s->host, sizeof s->host, "%.*s", (int) (close - text - 1), text + 1);
        if (close + 1 < end && close[1] == ':') colon = close + 1;
    } else {
        colon = memchr(text, ':', length);
        snprintf(s->host, sizeof s->host, "%.*s", (int) ((colon ? colon : end) - text), text);
    }
    if (colon) {
        long p = strtol(colon + 1, NULL, 10);
        if (p < 1 || p > 65535) return false;
        snprintf(s->port, sizeof s->port, "%ld", p);
    }
    if (!s->host[0]) snprintf(s->host, sizeof s->host, "127.0.0.1");
    return true;
}

ph_err cli_server_parse(struct cli_server *s, const char *url, int port, const char *token,
                        struct ph_fault *fault)
{
    const char *host = url ? url : "127.0.0.1", *mark = strstr(host, "#token=");
    *s = (struct cli_server){ 0 };
    s->tls = !strncmp(host, "https://", 8);
    if (s->tls || !strncmp(host, "http://", 7)) {
        host += s->tls ? 8 : 7;
        if (!strchr(host, ':')) port = s->tls ? 443 : 80;
    }
    if (!split_host(s, host, strcspn(host, "/#?"), port))
        return ph_fail(fault, PH_EINVAL, "url",
                       "a server is written http://host:port, got \"%s\"", url);
    if (mark && !token) token = mark + 7;
    if (token)
        snprintf(s->token, sizeof s->token, "%s", token);
    else if (is_loopback(s->host))
        token_of_state(s->token, sizeof s->token);
    return PH_OK;
}

// --- asking

static int connect_one(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval t = { TIMEOUT_MS / 1000, 0 };
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t); // connect too
    if (!connect(fd, a->ai_addr, a->ai_addrlen)) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static int connect_to(const struct cli_server *s, struct ph_fault *fault)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    int fd = -1, gai = getaddrinfo(s->host, s->port, &hints, &list);
    if (gai) {
        ph_fail(fault, PH_EDEVICE, "url", "%s: %s", s->host, gai_strerror(gai));
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) fd = connect_one(a);
    if (fd < 0)
        ph_fail(fault, PH_EDEVICE, "url", "no server at %s://%s:%s: %s",
                s->tls ? "https" : "http", s->host, s->port,
                strerror(errno == EINPROGRESS ? ETIMEDOUT : errno));
    freeaddrinfo(list);
    return fd;
}

static ph_err send_request(struct cli_wire *w, const struct cli_server *s, const char *path)
{
    struct ph_buf b = { 0 };
    bool v6 = strchr(s->host, ':') != NULL;
    ph_buf_printf(&b, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\n", path,
                  v6 ? "[" : "", s->host, v6 ? "]" : "", s->port);
    if (*s->token) ph_buf_printf(&b, "Authorization: Bearer %s\r\n", s->token);
    ph_buf_puts(&b, "\r\n");
    ph_err ret = b.failed ? PH_ENOMEM : PH_OK;
    for (size_t at = 0; ret == PH_OK && at < b.len;) {
        ssize_t n = cli_wire_write(w, b.data + at, b.len - at);
        if (n <= 0)
            ret = PH_EIO;
        else
            at += (size_t) n;
    }
    ph_buf_free(&b);
    return ret;
}

static ph_err read_all(struct cli_wire *w, struct ph_buf *b)
{
    char part[16384];
    for (ssize_t n; (n = cli_wire_read(w, part, sizeof part));) {
        if (n < 0) return errno == EAGAIN ? PH_ETIMEOUT : PH_EIO;
        ph_buf_put(b, part, (size_t) n);
        if (b->failed || b->len > MAX_REPLY) return PH_ELIMIT;
    }
    return PH_OK;
}

// Status line and headers end at the first empty line; the connection's end ends the body.
static ph_err split_reply(struct ph_buf *b, struct cli_reply *reply)
{
    char *body = b->data ? strstr(b->data, "\r\n\r\n") : NULL;
    if (!body || sscanf(b->data, "HTTP/1.%*d %d", &reply->status) != 1) return PH_EFORMAT;
    *body = 0;
    if (strcasestr(b->data, "\nTransfer-Encoding:")) return PH_ENOTSUP;
    body += 4;
    size_t size = b->len - (size_t) (body - b->data);
    const char *length = strcasestr(b->data, "\nContent-Length:");
    if (length && strtoull(length + 16, NULL, 10) != size) return PH_EIO; // cut short
    reply->body = malloc(size + 1);
    if (!reply->body) return PH_ENOMEM;
    memcpy(reply->body, body, size);
    reply->body[size] = 0;
    reply->size = size;
    return PH_OK;
}

ph_err cli_http_get(const struct cli_server *server, const char *path, struct cli_reply *reply,
                    struct ph_fault *fault)
{
    *reply = (struct cli_reply){ 0 };
    struct cli_wire w = { .fd = connect_to(server, fault) };
    if (w.fd < 0) return PH_EDEVICE;
    struct ph_buf b = { 0 };
    ph_err ret = server->tls ? cli_wire_secure(&w, server->host, server->ca, fault) : PH_OK;
    bool spoke = ret == PH_OK;
    if (ret == PH_OK) ret = send_request(&w, server, path);
    if (ret == PH_OK) ret = read_all(&w, &b);
    if (ret == PH_OK) ret = split_reply(&b, reply);
    if (ret < 0 && spoke)
        ph_fail(fault, ret, "url", "%s:%s does not answer as a phosphene server: %s",
                server->host, server->port, ph_strerror(ret));
    ph_buf_free(&b);
    cli_wire_close(&w);
    return ret;
}

// --- rooms

// {"error":{"message":…}} of the reply, else its status.
static ph_err fail_reply(const struct cli_reply *reply, struct ph_fault *fault)
{
    struct ph_json_doc *doc = NULL;
    ph_json_parse(&doc, reply->body, reply->size, 0, NULL);
    const struct ph_json *error = doc ? ph_json_get(ph_json_root(doc), "error") : NULL;
    bool auth = reply->status == 401 || reply->status == 403;
    ph_fail(fault, reply->status == 404 ? PH_ENOENT : PH_EDEVICE, "url", "%s%s",
            ph_json_string(ph_json_get(error, "message"), "the server refuses"),
            auth ? " (give --token, or the URL that the server printed)" : "");
    ph_json_free(&doc);
    return PH_EDEVICE;
}

static ph_err get_ok(const struct cli_server *server, const char *path, char **body,
                     struct ph_fault *fault)
{
    struct cli_reply reply;
    ph_err ret = cli_http_get(server, path, &reply, fault);
    if (ret == PH_OK && reply.status != 200) ret = fail_reply(&reply, fault);
    if (ret < 0)
        free(reply.body);
    else
        *body = reply.body;
    return ret;
}

static ph_err first_room(const struct cli_server *server, char *name, size_t size,
                         struct ph_fault *fault)
{
    char *body = NULL;
    struct ph_json_doc *doc = NULL;
    ph_err ret = get_ok(server, "/api/v1/rooms", &body, fault);
    if (ret == PH_OK) ret = ph_json_parse(&doc, body, strlen(body), 0, fault);
    const struct ph_json *rooms = doc ? ph_json_get(ph_json_root(doc), "rooms") : NULL;
    const char *first = ph_json_string(ph_json_get(ph_json_at(rooms, 0), "name"), NULL);
    if (ret == PH_OK && !first)
        ret = ph_fail(fault, PH_ENOENT, "room", "the server has no room");
    if (ret == PH_OK) snprintf(name, size, "%s", first);
    ph_json_free(&doc);
    free(body);
    return ret;
}

// A room's name in a path: letters, digits and - . _ ~ stay.
static void escape(const char *name, char *text, size_t size)
{
    size_t at = 0;
    for (; *name && at + 4 < size; name++) {
        unsigned char c = (unsigned char) *name;
        at += (size_t) snprintf(text + at, size - at,
                                isalnum(c) || strchr("-._~", c) ? "%c" : "%%%02X", c);
    }
    text[at] = 0;
}

static ph_err room_get(const struct cli_args *args, const char *path, char **body,
                       struct ph_fault *fault)
{
    struct cli_server server;
    char room[128], escaped[400], full[512];
    const char *url = args->word_count ? args->words[0] : NULL, *name = cli_text(args, "room");
    ph_err ret = cli_server_parse(&server, url, (int) cli_int(args, "port"),
                                  cli_text(args, "token"), fault);
    if (ret < 0) return ret;
    server.ca = cli_text(args, "tls-ca");
    if (name) snprintf(room, sizeof room, "%s", name);
    if (!name && (ret = first_room(&server, room, sizeof room, fault)) < 0) return ret;
    escape(room, escaped, sizeof escaped);
    const char *hole = strstr(path, "%s");
    snprintf(full, sizeof full, "%.*s%s%s", (int) (hole - path), path, escaped, hole + 2);
    return get_ok(&server, full, body, fault);
}

int cli_room_get(const struct cli_args *args, const char *path, char **body,
                 struct ph_fault *fault)
{
    struct ph_fault own = { 0 };
    ph_err ret = room_get(args, path, body, fault ? fault : &own);
    if (ret == PH_OK) return CLI_OK;
    if (!fault && !cli_signal) cli_error("%s", own.message);
    return ret == PH_EINVAL ? CLI_USAGE : CLI_MISSING;
}
