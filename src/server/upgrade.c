// SPDX-License-Identifier: MIT
// From a request to a stream: WebSocket and MJPEG connections on the I/O thread.
#include "server/server_priv.h"

#include "server/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char mjpeg_part_end[] = "\r\n--" MJPEG_BOUNDARY "\r\n";

// ------------------------------------------------------------------------------ begin and end

// Who has still to show a token takes few of the places: strangers must not keep the others out.
static bool too_many_strangers(const struct ph_server *s)
{
    int n = 0;
    for (const struct ph_conn *c = s->conns; c; c = c->next)
        n += c->viewer && c->websocket && !c->authorized;
    return n >= (s->limits.viewers + 3) / 4;
}

bool ph_viewer_admitted(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    struct ph_server *s = c->server;
    if (!req->authorized && too_many_strangers(s))
        ph_request_refuse(req, 503, PH_REFUSED_LIMIT, "token",
                          "too many have still to show their token: send it with the request");
    else if (s->viewer_count >= s->limits.viewers)
        ph_request_refuse(req, 503, PH_REFUSED_LIMIT, "viewers", "at most %d viewers",
                          s->limits.viewers);
    else if (ph_server_count_address(s, &c->address, true) >= s->limits.viewers_per_address)
        ph_request_refuse(req, 429, PH_REFUSED_LIMIT, "viewers",
                          "at most %d viewers an address", s->limits.viewers_per_address);
    return !req->replied;
}

static void count_viewer(struct ph_conn *c, int change)
{
    struct ph_server *s = c->server;
    c->viewer = change > 0;
    s->viewer_count += change;
    atomic_store(&s->viewers, s->viewer_count);
}

bool ph_stream_prepare(struct ph_conn *c, enum ph_send_mode mode, int depth)
{
    c->box = calloc(1, sizeof *c->box);
    if (!c->box) return false;
    ph_mailbox_init(c->box, mode, depth);
    if (!c->websocket) return true;
    c->control = malloc(CONTROL_BYTES + CONTROL_MARGIN);
    c->control_out = malloc(CONTROL_BYTES + CONTROL_MARGIN);
    c->text_out = malloc(PH_POST_TEXT_MAX);
    return c->control && c->control_out && c->text_out;
}

static void set_open(struct ph_conn *c, bool open)
{
    pthread_mutex_lock(&c->lock);
    c->open = open;
    if (!open && c->box) ph_mailbox_clear(c->box, PH_SENT_CLOSED);
    pthread_mutex_unlock(&c->lock);
}

void ph_conn_over(struct ph_conn *c, int code)
{
    if (c->over || !c->viewer) return;
    c->over = true;
    set_open(c, false);
    count_viewer(c, -1);
    if (c->websocket)
        c->hooks->closed(c->user, c->authorized ? c : NULL, code);
    else
        c->mjpeg_closed(c->user, c);
}

bool ph_control_put(struct ph_conn *c, const void *head, size_t head_size, const void *bytes,
                    size_t size, size_t limit)
{
    if (head_size + size > limit || c->control_len > limit - head_size - size) return false;
    memcpy(c->control + c->control_len, head, head_size);
    if (size) memcpy(c->control + c->control_len + head_size, bytes, size);
    c->control_len += head_size + size;
    return true;
}

static bool put_frame(struct ph_conn *c, enum ph_ws_opcode opcode, const void *bytes,
                      size_t size)
{
    uint8_t head[PH_WS_HEADER_MAX];
    size_t n = ph_ws_header(head, opcode, size);
    pthread_mutex_lock(&c->lock);
    bool ok = ph_control_put(c, head, n, bytes, size, CONTROL_BYTES + CONTROL_MARGIN - 256);
    if (ok && opcode == PH_WS_TEXT) c->control_texts++;
    pthread_mutex_unlock(&c->lock);
    return ok;
}

static void put_error(struct ph_conn *c, const char *message)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"type\":\"error\",\"message\":");
    ph_json_str(&b, message);
    ph_buf_puts(&b, "}");
    if (!b.failed) put_frame(c, PH_WS_TEXT, b.data, b.len);
    ph_buf_free(&b);
}

void ph_ws_close(struct ph_conn *c, int code, const char *reason, bool error)
{
    uint8_t frame[127];
    if (c->over) return;
    if (!c->websocket) {
        ph_conn_over(c, code);
        ph_conn_finish(c);
        return;
    }
    if (error) put_error(c, reason);
    size_t n = ph_ws_close_frame(frame, code, reason);
    pthread_mutex_lock(&c->lock);
    ph_control_put(c, frame, n, NULL, 0, CONTROL_BYTES + CONTROL_MARGIN);
    pthread_mutex_unlock(&c->lock);
    ph_conn_over(c, code);
    ph_conn_finish(c);
}

// ------------------------------------------------------------------------------------- output

static size_t part_head(const struct ph_mail *mail, char *text, size_t size)
{
    const struct ph_packet *p = &mail->frame->packet;
    return (size_t) snprintf(text, size,
                             "Content-Type: image/%s\r\nContent-Length: %zu\r\n\r\n",
                             p->codec == PH_PNG ? "png" : "jpeg", mail->size);
}

// Headers and payload side by side: the payload is shared by all viewers and never copied.
static void put_picture(struct ph_conn *c, const struct ph_mail *mail)
{
    struct out *o = &c->out;
    const struct ph_packet *p = &mail->frame->packet;
    uint8_t *at = o->prefix;
    size_t n;
    if (!c->websocket) {
        n = part_head(mail, (char *) at, sizeof o->prefix);
        ph_out_add(o, at, n);
        ph_out_add(o, p->data, mail->size);
        ph_out_add(o, mjpeg_part_end, sizeof mjpeg_part_end - 1);
    } else {
        if (mail->text_len) {
            n = ph_ws_header(at, PH_WS_TEXT, mail->text_len);
            ph_out_add(o, at, n);
            ph_out_add(o, c->text_out, mail->text_len);
            at += n;
            o->texts = 1;
        }
        n = ph_ws_header(at, PH_WS_BINARY, mail->head_size + mail->size);
        memcpy(at + n, mail->head, mail->head_size);
        ph_out_add(o, at, n + mail->head_size);
        ph_out_add(o, p->data, mail->size);
    }
    o->frame = mail->frame;
    o->picture = true;
}

static void put_control(struct ph_conn *c)
{
    char *filled = c->control;
    c->control = c->control_out;
    c->control_out = filled;
    ph_out_add(&c->out, filled, c->control_len);
    c->out.texts = c->control_texts;
    c->control_len = 0;
    c->control_texts = 0;
}

bool ph_stream_next(struct ph_conn *c)
{
    struct ph_mail mail = { 0 };
    pthread_mutex_lock(&c->lock);
    bool control = c->control_len > 0;
    if (control)
        put_control(c);
    else if (c->state != CONN_CLOSING)
        ph_mailbox_take(c->box, &mail, c->text_out);
    pthread_mutex_unlock(&c->lock);
    if (mail.frame) put_picture(c, &mail);
    return control || mail.frame;
}

// ----------------------------------------------------------------------------- first messages

static void ws_open(struct ph_conn *c)
{
    c->authorized = true;
    c->deadline_ns = PH_NEVER;
    c->ping_ns = c->server->now_ns + c->server->limits.ping_ns;
    set_open(c, true);
    c->hooks->open(c->user, c);
}

// The token in {"type":"auth","token":…}; NULL when it is no such message.
static const char *auth_token(const char *text, size_t len, struct ph_json_doc **doc)
{
    if (ph_json_parse(doc, text, len, 4096, NULL) < 0) return NULL;
    const struct ph_json *root = ph_json_root(*doc);
    if (strcmp(ph_json_string(ph_json_get(root, "type"), ""), "auth") != 0) return NULL;
    return ph_json_string(ph_json_get(root, "token"), "");
}

static void ws_hold_back(struct ph_conn *c)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (uint32_t) c->id;
    c->held_back = true;
    c->deadline_ns = c->server->now_ns + 100 * PH_MS_NS + random % 200 * PH_MS_NS;
    ph_ws_in_shut(c->ws);
}

static void ws_refuse(struct ph_conn *c, enum ph_server_refusal why, int code,
                      const char *reason, bool error)
{
    ph_server_refused(c->server, why);
    ph_ws_close(c, code, reason, error);
    ph_ws_in_shut(c->ws);
}

// True when the message was about the token and has been dealt with.
static bool take_auth(struct ph_conn *c, bool text, const char *bytes, size_t size)
{
    static const char welcome[] = "{\"type\":\"authenticated\"}";
    struct ph_json_doc *doc = NULL;
    if (c->authorized && (!text || !strstr(bytes, "\"auth\""))) return false;
    const char *token = text ? auth_token(bytes, size, &doc) : NULL;
    ph_err ret = token ? ph_token_check(c, token, strlen(token)) : PH_MORE;
    ph_json_free(&doc);
    if (!token && c->authorized) return false;
    if (ret == PH_OK) {
        put_frame(c, PH_WS_TEXT, welcome, sizeof welcome - 1);
        if (!c->authorized) ws_open(c);
    } else if (ret == PH_EINVAL) {
        ws_hold_back(c);
    } else if (ret == PH_ELIMIT) {
        ws_refuse(c, PH_REFUSED_AUTH, PH_WS_POLICY, "too many wrong tokens, wait a minute",
                  true);
    } else {
        ws_refuse(c, PH_REFUSED_AUTH, PH_WS_POLICY,
                  "a token is needed first: {\"type\":\"auth\",\"token\":…}", true);
    }
    return true;
}

// -------------------------------------------------------------------------------------- input

static void on_message(void *opaque, bool text, const char *bytes, size_t size)
{
    struct ph_conn *c = opaque;
    if (c->over || c->held_back) return;
    pthread_mutex_lock(&c->lock);
    c->received++;
    c->received_bytes += size;
    pthread_mutex_unlock(&c->lock);
    bool first = c->first_text;
    c->first_text = false;
    if (first && take_auth(c, text, bytes, size)) return;
    if (text)
        c->hooks->text(c->user, c, bytes, size);
    else if (c->hooks->binary)
        c->hooks->binary(c->user, c, bytes, size);
    else
        put_error(c, "no binary messages here");
}

static void on_control(void *opaque, const void *bytes, size_t size)
{
    struct ph_conn *c = opaque;
    pthread_mutex_lock(&c->lock);
    ph_control_put(c, bytes, size, NULL, 0, CONTROL_BYTES + CONTROL_MARGIN - 256);
    pthread_mutex_unlock(&c->lock);
}

static void on_pong(void *opaque)
{
    struct ph_conn *c = opaque;
    c->pong_awaited = false;
}

void ph_ws_input(struct ph_conn *c, const void *bytes, size_t size)
{
    int code;
    const char *reason;
    ph_err ret = ph_ws_in_feed(c->ws, bytes, size, c->server->now_ns, &code, &reason);
    if (c->over || ret == PH_OK) return;
    if (ret == PH_EOF) {
        ph_conn_over(c, code);
        ph_conn_finish(c);
        return;
    }
    ph_server_refused(c->server, ret == PH_ELIMIT ? PH_REFUSED_LIMIT : PH_REFUSED_FORMAT);
    ph_ws_close(c, code, reason, true);
}

void ph_ws_expire(struct ph_conn *c)
{
    struct ph_server *s = c->server;
    char reason[80];
    if (c->blocked && s->now_ns >= c->progress_ns + s->limits.stall_ns) {
        snprintf(reason, sizeof reason, "nothing read for %.3g s",
                 (double) s->limits.stall_ns / 1e9);
        ws_refuse(c, PH_REFUSED_TIMEOUT, PH_WS_TRY_LATER, reason, false);
    } else if (s->now_ns >= c->deadline_ns) {
        ws_refuse(c, PH_REFUSED_AUTH, PH_WS_POLICY,
                  c->held_back ? "a wrong token" : "no token came in time", true);
    } else if (c->pong_awaited) {
        ws_refuse(c, PH_REFUSED_TIMEOUT, PH_WS_POLICY, "no answer to a ping", false);
    } else {
        c->pong_awaited = put_frame(c, PH_WS_PING, "ph", 2);
        c->ping_ns = s->now_ns + s->limits.ping_ns;
    }
    ph_conn_pump(c);
}

// ------------------------------------------------------------------------------------ upgrade

bool ph_request_is_upgrade(const struct ph_http *h)
{
    return !strcmp(h->method, "GET") && h->minor == 1 &&
           ph_http_has_token(ph_http_header(h, "connection"), "upgrade") &&
           ph_http_has_token(ph_http_header(h, "upgrade"), "websocket");
}

// False when a refusal is under way.
static bool check_upgrade(struct ph_request *req, char accept[PH_WS_ACCEPT_SIZE])
{
    const char *version = ph_http_header(&req->http, "sec-websocket-version");
    const char *key = ph_http_header(&req->http, "sec-websocket-key");
    if (!req->upgrade || !version || strcmp(version, "13") != 0) {
        ph_reply_header(req, "Upgrade", "websocket");
        ph_reply_header(req, "Sec-WebSocket-Version", "13");
        ph_request_refuse(req, 426, PH_REFUSED_FORMAT, "Upgrade",
                          "this is a WebSocket, version 13");
    } else if (!key || !ph_ws_accept_key(key, accept)) {
        ph_request_refuse(req, 400, PH_REFUSED_FORMAT, "Sec-WebSocket-Key",
                          "base64 of 16 bytes");
    }
    return !req->replied && ph_viewer_admitted(req);
}

static bool offered_token(void *arg, const char *at, size_t len)
{
    if (len <= 6 || len >= 200 || strncmp(at, "token.", 6) != 0) return false;
    snprintf(arg, 200, "%.*s", (int) len, at);
    return true;
}

// A browser that offers subprotocols insists on one being chosen; when the token is all it has
// offered, it gets that back.
static void put_subprotocol(struct ph_buf *b, const struct ph_request *req, const char *chosen)
{
    char token[200] = "";
    const char *offers = ph_http_header(&req->http, "sec-websocket-protocol");
    if (!chosen && req->authorized && ph_http_each_token(offers, offered_token, token))
        chosen = token;
    if (chosen) ph_buf_printf(b, "Sec-WebSocket-Protocol: %s\r\n", chosen);
}

static void put_101(struct ph_request *req, const char *accept, const char *subprotocol)
{
    struct ph_conn *c = req->conn;
    struct ph_buf *b = &c->out.owned;
    ph_buf_clear(b);
    ph_buf_printf(b,
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                  accept);
    put_subprotocol(b, req, subprotocol);
    ph_buf_puts(b, "\r\n");
    ph_out_add(&c->out, b->data, b->len);
}

static ph_err ws_prepare(struct ph_conn *c, const struct ph_ws_accept *how)
{
    const struct ph_server_limits *l = &c->server->limits;
    c->websocket = true;
    ph_err ret =
        ph_ws_in_create(&c->ws, &(struct ph_ws_in_params){ .text_bytes = l->text_bytes,
                                                           .binary_bytes = l->binary_bytes,
                                                           .messages_per_s = l->messages_per_s,
                                                           .message = on_message,
                                                           .control = on_control,
                                                           .pong = on_pong,
                                                           .opaque = c });
    if (ret == PH_OK && !ph_stream_prepare(c, how->mode, how->depth)) ret = PH_ENOMEM;
    return ret;
}

// Bytes that came with the request already are the stream's.
static void ws_begin(struct ph_conn *c, bool authorized)
{
    char *in = c->in;
    size_t at = c->head_len, n = c->in_len - c->head_len;
    ph_request_end(&c->request);
    c->in = NULL;
    c->in_len = c->in_cap = c->head_len = 0;
    c->state = CONN_WS;
    c->first_text = true;
    c->deadline_ns = c->server->now_ns + c->server->limits.request_ns;
    count_viewer(c, 1);
    count_add(c->server->upgrades, 1);
    if (authorized) ws_open(c);
    if (n) ph_ws_input(c, in + at, n);
    free(in);
}

void ph_upgrade_begin(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    struct ph_ws_accept how = { 0 };
    char accept[PH_WS_ACCEPT_SIZE];
    if (!check_upgrade(req, accept)) return;
    c->hooks = req->route->ws;
    if (c->hooks->accept(req->route->r.opaque, req, &how) < 0) {
        if (!req->replied) ph_reply_error(req, 403, NULL, "refused");
        return;
    }
    c->user = how.user;
    ph_err ret = ws_prepare(c, &how);
    if (ret == PH_OK) {
        put_101(req, accept, how.subprotocol);
        if (c->out.owned.failed) ret = PH_ENOMEM;
    }
    if (ret < 0) {
        c->websocket = false;
        ph_out_clear(&c->out);
        c->hooks->closed(c->user, NULL, PH_WS_INTERNAL);
        ph_reply_error(req, ret == PH_ENOTSUP ? 501 : 503, NULL,
                       ret == PH_ENOTSUP ? "this build has no WebSocket: libwslay was not there"
                                         : "out of memory");
        c->keep_alive = false;
        return;
    }
    ws_begin(c, req->authorized);
}

// -------------------------------------------------------------------------------------- MJPEG

struct ph_conn *ph_reply_mjpeg(struct ph_request *req,
                               void (*closed)(void *user, struct ph_conn *conn), void *user)
{
    struct ph_conn *c = req->conn;
    if (!ph_viewer_admitted(req)) return NULL;
    if (!ph_stream_prepare(c, PH_SEND_LATEST, 0)) {
        ph_reply_error(req, 503, NULL, "out of memory");
        return NULL;
    }
    ph_reply_head(req, 200, "multipart/x-mixed-replace; boundary=" MJPEG_BOUNDARY, -1);
    if (!req->is_head) ph_buf_puts(&c->out.owned, mjpeg_part_end + 2);
    ph_reply_owned(req);
    if (req->is_head || c->state != CONN_REPLY) return NULL;
    c->mjpeg_closed = closed;
    c->user = user;
    c->state = CONN_STREAM;
    count_viewer(c, 1);
    set_open(c, true);
    return c;
}
