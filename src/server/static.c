// SPDX-License-Identifier: MIT
// Embedded resources and files.
#include "server/server_priv.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if PH_HAVE_SERVER
#include <zlib.h>
#endif

#define UNPACKED_MAX (64u << 20)

// ---------------------------------------------------------------------------------- resources

#if PH_HAVE_SERVER
static void *unpack(const void *gz, size_t gz_size, size_t *size)
{
    if (gz_size < 18) return NULL;
    const uint8_t *tail = (const uint8_t *) gz + gz_size - 4; // the length that gzip ends with
    size_t n =
        tail[0] | (size_t) tail[1] << 8 | (size_t) tail[2] << 16 | (size_t) tail[3] << 24;
    if (n > UNPACKED_MAX) return NULL;
    void *out = malloc(n + 1);
    z_stream z = { .next_in = (Bytef *) (uintptr_t) gz,
                   .avail_in = (uInt) gz_size,
                   .next_out = out,
                   .avail_out = (uInt) n + 1 };
    if (!out || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
        free(out);
        return NULL;
    }
    int r = inflate(&z, Z_FINISH);
    *size = z.total_out;
    inflateEnd(&z);
    if (r == Z_STREAM_END) return out;
    free(out);
    return NULL;
}
#else
static void *unpack(const void *gz, size_t gz_size, size_t *size)
{
    return NULL;
}
#endif

// If-None-Match compares weakly, and both encodings of a resource are it.
static bool is_same_tag(const char *list, const char *etag)
{
    size_t n = strlen(etag) - 1; // without the closing quote
    if (!strcmp(list, "*")) return true;
    for (const char *at = list; (at = strstr(at, etag[0] == '"' ? "\"" : etag)); at++)
        if (!strncmp(at, etag, n) && (at[n] == '"' || !strncmp(at + n, "-gz\"", 4)))
            return true;
    return false;
}

void ph_reply_static(struct ph_request *req, const struct ph_resource *res, const char *etag)
{
    const char *seen = ph_http_header(&req->http, "if-none-match");
    bool gzip = res->gz && (!res->data || res->gz_size < res->size) &&
                ph_http_accepts_gzip(ph_http_header(&req->http, "accept-encoding"));
    char tag[128];
    snprintf(tag, sizeof tag, "%.*s%s\"", (int) strlen(etag) - 1, etag, gzip ? "-gz" : "");
    ph_reply_header(req, "ETag", tag);
    ph_reply_header(req, "Cache-Control",
                    res->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (res->gz) ph_reply_header(req, "Vary", "Accept-Encoding");
    if (seen && is_same_tag(seen, etag)) {
        ph_reply_status(req, 304);
        return;
    }
    if (gzip) {
        ph_reply_header(req, "Content-Encoding", "gzip");
        ph_reply_with(req, 200, res->type, res->gz, res->gz_size);
        return;
    }
    if (res->data) {
        ph_reply_with(req, 200, res->type, res->data, res->size);
        return;
    }
    size_t size = 0;
    void *bytes = unpack(res->gz, res->gz_size, &size);
    if (!bytes) {
        ph_reply_error(req, 503, "Accept-Encoding", "this resource is there as gzip only");
        return;
    }
    ph_reply_with(req, 200, res->type, bytes, size);
    req->conn->out.unpacked = bytes;
}

void ph_reply_resource(struct ph_request *req, const struct ph_resource *res)
{
    char etag[24];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const uint8_t *bytes = res->data ? res->data : res->gz;
    for (size_t i = 0; !res->etag && i < (res->data ? res->size : res->gz_size); i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long) hash);
    ph_reply_static(req, res, res->etag ? res->etag : etag);
}

// -------------------------------------------------------------------------------------- files

// No way out of the folder and nothing hidden in it, whatever the kernel thinks of links.
static bool is_plain_name(const char *name)
{
    if (!*name || *name == '/') return false;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (*at == '.' || *at == '/' || !*at) return false;
    }
    return true;
}

static int open_beneath(const char *dir, const char *name)
{
    if (!is_plain_name(name)) {
        errno = ENOENT;
        return -1;
    }
    int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -1;
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
    int fd = (int) syscall(SYS_openat2, folder, name, &how, sizeof how);
    if (fd < 0 && errno == ENOSYS)
        fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    close(folder);
    return fd;
}

static void put_disposition(struct ph_request *req, const char *download)
{
    char value[300], *to = value;
    to += sprintf(to, "attachment; filename=\"");
    for (const char *c = download; *c && to < value + sizeof value - 3; c++)
        if (*c >= 0x20 && *c < 0x7f && *c != '"' && *c != '\\') *to++ = *c;
    memcpy(to, "\"", 2);
    ph_reply_header(req, "Content-Disposition", value);
}

// Takes fd.
static void reply_open_file(struct ph_request *req, int fd, uint64_t size, const char *type)
{
    struct out *o = &req->conn->out;
    uint64_t first = 0, count = size;
    int status = 200;
    char text[96];
    ph_reply_header(req, "Accept-Ranges", "bytes");
    if (!ph_http_header(&req->http, "if-range")) {
        ph_err ret = ph_http_range(ph_http_header(&req->http, "range"), size, &first, &count);
        if (ret == PH_ELIMIT) {
            snprintf(text, sizeof text, "bytes */%llu", (unsigned long long) size);
            ph_reply_header(req, "Content-Range", text);
            close(fd);
            ph_reply_error(req, 416, "Range", "the file has %llu bytes",
                           (unsigned long long) size);
            return;
        }
        if (ret == PH_OK) {
            snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long) first,
                     (unsigned long long) (first + count - 1), (unsigned long long) size);
            ph_reply_header(req, "Content-Range", text);
            status = 206;
        }
    }
    ph_reply_head(req, status, type, (int64_t) count);
    if (!ph_reply_owned(req)) {
        close(fd);
        return;
    }
    o->has_file = true;
    o->fd = fd;
    o->fd_at = first;
    o->fd_left = req->is_head ? 0 : count;
}

void ph_reply_file(struct ph_request *req, const char *dir, const char *name, const char *type,
                   const char *download)
{
    struct stat st;
    int fd = open_beneath(dir, name);
    bool file = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode);
    if (!file) {
        if (fd >= 0) close(fd);
        ph_reply_error(req, 404, NULL, "there is no %s", req->http.path);
        return;
    }
    if (download) put_disposition(req, download);
    reply_open_file(req, fd, (uint64_t) st.st_size, type);
}
