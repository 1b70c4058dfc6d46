// SPDX-License-Identifier: MIT
// Replies, at once or later.
#include "server/server_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---------------------------------------------------------------------------------- the head

static void put_date(struct ph_buf *b)
{
    char text[64];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    ph_buf_printf(b, "Date: %s\r\n", text);
}

static void put_origin(struct ph_buf *b, const struct ph_request *req)
{
    const struct ph_server *s = req->conn->server;
    const char *origin = req->http.headers ? ph_http_header(&req->http, "origin") : NULL;
    if (!s->origins[0]) {
        ph_buf_puts(b, "Cross-Origin-Resource-Policy: same-origin\r\n");
        return;
    }
    ph_buf_puts(b, "Cross-Origin-Resource-Policy: cross-origin\r\nVary: Origin\r\n");
    // only an origin that has passed the check gets here with a useful reply
    if (origin && ph_origin_known(origin, s->tls != NULL, "", (const char *const *) s->origins))
        ph_buf_printf(b, "Access-Control-Allow-Origin: %s\r\n", origin);
}

static void put_page_policy(struct ph_buf *b, const struct ph_server *s)
{
    ph_buf_printf(b,
                  "Content-Security-Policy: %s\r\nCross-Origin-Opener-Policy: same-origin\r\n"
                  "X-Frame-Options: DENY\r\n",
                  s->csp);
}

static bool has_header(const struct ph_buf *headers, const char *name)
{
    return headers->data && strstr(headers->data, name);
}

void ph_reply_head(struct ph_request *req, int status, const char *type, int64_t length)
{
    struct ph_conn *c = req->conn;
    struct ph_buf *b = &c->out.owned;
    // bytes of a body that nobody reads would be taken for the next request
    if (req->http.content_length > req->body_len || length < 0) c->keep_alive = false;
    req->replied = true;
    ph_buf_clear(b);
    ph_buf_printf(b, "HTTP/1.1 %d %s\r\n", status, ph_http_reason(status));
    put_date(b);
    if (type) ph_buf_printf(b, "Content-Type: %s\r\n", type);
    if (length >= 0 && status != 204 && status != 304)
        ph_buf_printf(b, "Content-Length: %lld\r\n", (long long) length);
    if (!has_header(&req->headers, "Cache-Control: "))
        ph_buf_puts(b, "Cache-Control: no-store\r\n");
    ph_buf_puts(b, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n");
    put_origin(b, req);
    if (type && !strncmp(type, "text/html", 9)) put_page_policy(b, c->server);
    if (req->headers.len) ph_buf_put(b, req->headers.data, req->headers.len);
    ph_buf_puts(b, c->keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
    c->state = CONN_REPLY;
    c->deadline_ns = PH_NEVER;
}

// The head and what has been put behind it are one piece; without memory only closing is left.
bool ph_reply_owned(struct ph_request *req)
{
    struct ph_conn *c = req->conn;
    struct out *o = &c->out;
    if (o->owned.failed)
        ph_conn_finish(c);
    else
        ph_out_add(o, o->owned.data, o->owned.len);
    return !o->owned.failed;
}

static bool may_reply(struct ph_request *req)
{
    if (!req->replied) return true;
    ph_error(req->conn->server->par.log, WHO, "a second reply to %s", req->http.path);
    return false;
}

static bool has_body(const struct ph_request *req, int status)
{
    return !req->is_head && status != 204 && status != 304;
}

void ph_reply_with(struct ph_request *req, int status, const char *type, const void *body,
                   size_t size)
{
    ph_reply_head(req, status, type, (int64_t) size);
    if (ph_reply_owned(req) && has_body(req, status)) ph_out_add(&req->conn->out, body, size);
}

// ------------------------------------------------------------------------------------ replies

void ph_reply_header(struct ph_request *req, const char *name, const char *value)
{
    ph_buf_printf(&req->headers, "%s: %s\r\n", name, value);
}

void ph_reply_bytes(struct ph_request *req, int status, const char *type, const void *bytes,
                    size_t size)
{
    if (!may_reply(req)) return;
    ph_reply_head(req, status, type, (int64_t) size);
    if (size && has_body(req, status)) ph_buf_put(&req->conn->out.owned, bytes, size);
    ph_reply_owned(req);
}

void ph_reply_text(struct ph_request *req, int status, const char *text)
{
    ph_reply_bytes(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

void ph_reply_json(struct ph_request *req, int status, const char *json, size_t len)
{
    ph_reply_bytes(req, status, "application/json", json, len);
}

void ph_reply_status(struct ph_request *req, int status)
{
    ph_reply_bytes(req, status, NULL, NULL, 0);
}

void ph_reply_frame(struct ph_request *req, struct ph_frame *frame)
{
    static const char *const types[] = {
        [PH_JPEG] = "image/jpeg", [PH_PNG] = "image/png", [PH_H264] = "video/h264"
    };
    unsigned codec = frame->packet.codec;
    const char *type = codec < sizeof types / sizeof types[0] ? types[codec] : NULL;
    if (!may_reply(req)) return;
    ph_reply_with(req, 200, type ? type : "application/octet-stream", frame->packet.data,
                  frame->packet.size);
    req->conn->out.frame = ph_frame_ref(frame);
}

// ------------------------------------------------------------------------------------- errors

static int status_of(ph_err err)
{
    switch (err) {
    case PH_EINVAL:
    case PH_EFORMAT: return 400;
    case PH_ENOENT: return 404;
    case PH_EBUSY: return 409;
    case PH_ELIMIT: return 413;
    default: return 503;
    }
}

static const char *code_of(int status, ph_err err)
{
#define NAME(name, value, text)                                                                \
    case name: return &#name[3];
    switch (status) {
    case 401: return "EAUTH";
    case 403: return "EFORBIDDEN";
    case 404: return "ENOENT";
    case 405: return "EMETHOD";
    case 409: return "EBUSY";
    case 413:
    case 414:
    case 429:
    case 431: return "ELIMIT";
    case 415: return "ETYPE";
    default: break;
    }
    switch (err) {
        PH_ERRS(NAME)
    default: return "EINVAL";
    }
#undef NAME
}

void ph_error_json(struct ph_buf *b, int status, const struct ph_fault *fault)
{
    ph_buf_puts(b, "{\"error\":{\"code\":");
    ph_json_str(b, code_of(status, fault->code));
    if (fault->field[0]) {
        ph_json_key(b, "field");
        ph_json_str(b, fault->field);
    }
    ph_json_key(b, "message");
    ph_json_str(b, fault->message);
    if (fault->line) ph_buf_printf(b, ",\"line\":%d,\"column\":%d", fault->line, fault->column);
    ph_buf_puts(b, "}}\n");
}

void ph_reply_fault(struct ph_request *req, int status, const struct ph_fault *fault)
{
    struct ph_buf b = { 0 };
    if (!status) status = status_of(fault->code);
    ph_error_json(&b, status, fault);
    if (b.failed)
        ph_reply_status(req, 503);
    else
        ph_reply_json(req, status, b.data, b.len);
    ph_buf_free(&b);
}

void ph_reply_error(struct ph_request *req, int status, const char *field, const char *fmt, ...)
{
    struct ph_fault fault = { .code = status >= 500 ? PH_EIO : PH_EINVAL };
    va_list args;
    va_start(args, fmt);
    snprintf(fault.field, sizeof fault.field, "%s", field ? field : "");
    vsnprintf(fault.message, sizeof fault.message, fmt, args);
    va_end(args);
    ph_reply_fault(req, status, &fault);
}

// ----------------------------------------------------------------------------------- deferred

static void deferred_unref(struct ph_deferred *d)
{
    if (atomic_fetch_sub(&d->refs, 1) != 1) return;
    ph_conn_unref(&d->conn);
    ph_frame_unref(&d->frame);
    pthread_mutex_destroy(&d->lock);
    if (d->body != d->small) free(d->body);
    free(d->late_body);
    free(d);
}

struct ph_deferred *ph_request_defer(struct ph_request *req, int64_t timeout_ns, int status,
                                     const char *json)
{
    struct ph_conn *c = req->conn;
    struct ph_deferred *d = calloc(1, sizeof *d);
    char *late = strdup(json);
    if (!d || !late || req->replied || req->deferred) {
        free(d);
        free(late);
        if (may_reply(req)) ph_reply_error(req, 500, NULL, "out of memory");
        return NULL;
    }
    atomic_init(&d->refs, 2);
    pthread_mutex_init(&d->lock, NULL);
    d->conn = ph_conn_ref(c);
    d->late_status = status;
    d->late_body = late;
    req->deferred = true;
    c->deferred = d;
    c->state = CONN_WAIT;
    c->deadline_ns = c->server->now_ns + timeout_ns;
    return d;
}

static void wake(struct ph_conn *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->server) ph_conn_wake(c);
    pthread_mutex_unlock(&c->lock);
}

ph_err ph_deferred_reply(struct ph_deferred **out, int status, const char *json, size_t len)
{
    struct ph_deferred *d = *out;
    *out = NULL;
    if (!d) return PH_OK;
    pthread_mutex_lock(&d->lock);
    bool late = d->over;
    if (!late) {
        d->over = d->answered = true;
        d->status = status;
        d->body = len <= sizeof d->small ? d->small : malloc(len);
        d->len = d->body ? len : 0;
        if (!d->body) d->status = 503;
        if (len && d->body) memcpy(d->body, json, len);
    }
    pthread_mutex_unlock(&d->lock);
    if (!late) wake(d->conn);
    deferred_unref(d);
    return late ? PH_ETIMEOUT : PH_OK;
}

ph_err ph_deferred_fault(struct ph_deferred **d, int status, const struct ph_fault *fault)
{
    struct ph_buf b = { 0 };
    if (!status) status = status_of(fault->code);
    ph_error_json(&b, status, fault);
    ph_err ret = ph_deferred_reply(d, b.failed ? 503 : status, b.data, b.failed ? 0 : b.len);
    ph_buf_free(&b);
    return ret;
}

ph_err ph_deferred_frame(struct ph_deferred **out, struct ph_frame *frame)
{
    struct ph_deferred *d = *out;
    *out = NULL;
    if (!d) return PH_OK;
    pthread_mutex_lock(&d->lock);
    bool late = d->over;
    if (!late) {
        d->over = d->answered = true;
        d->frame = ph_frame_ref(frame);
    }
    pthread_mutex_unlock(&d->lock);
    if (!late) wake(d->conn);
    deferred_unref(d);
    return late ? PH_ETIMEOUT : PH_OK;
}

// The connection is in CONN_WAIT: sends what has come, or when it is late what was agreed on.
void ph_deferred_woken(struct ph_conn *c, bool late)
{
    struct ph_deferred *d = c->deferred;
    struct ph_request *req = &c->request;
    if (!d) {
        if (late && c->refusal)
            ph_request_refuse(req, c->refusal, PH_REFUSED_AUTH, "token", "a wrong token");
        return;
    }
    pthread_mutex_lock(&d->lock);
    bool answered = d->answered;
    if (late) d->over = true;
    pthread_mutex_unlock(&d->lock);
    if (!answered && !late) return;
    c->deferred = NULL;
    req->deferred = false;
    if (answered && d->frame)
        ph_reply_frame(req, d->frame);
    else if (answered)
        ph_reply_json(req, d->status, d->body, d->len);
    else
        ph_reply_json(req, d->late_status, d->late_body, strlen(d->late_body));
    deferred_unref(d);
}

// Nobody is there any more to take the answer.
void ph_deferred_abandon(struct ph_conn *c)
{
    struct ph_deferred *d = c->deferred;
    c->deferred = NULL;
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->over = true;
    pthread_mutex_unlock(&d->lock);
    deferred_unref(d);
}
