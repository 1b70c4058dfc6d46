// SPDX-License-Identifier: MIT
#include "server/ws.h"

#include "config.h"

#include <phosphene/clock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t ph_ws_header(uint8_t out[PH_WS_HEADER_MAX], enum ph_ws_opcode opcode, uint64_t size)
{
    out[0] = (uint8_t) (0x80 | opcode);
    if (size < 126) {
        out[1] = (uint8_t) size;
        return 2;
    }
    int bytes = size < 65536 ? 2 : 8;
    out[1] = bytes == 2 ? 126 : 127;
    for (int i = 0; i < bytes; i++) out[2 + i] = (uint8_t) (size >> (8 * (bytes - 1 - i)));
    return 2 + (size_t) bytes;
}

size_t ph_ws_close_frame(uint8_t out[127], int code, const char *reason)
{
    size_t n = reason ? strlen(reason) : 0;
    if (n > PH_WS_REASON_MAX) {
        n = PH_WS_REASON_MAX;
        while (n && ((uint8_t) reason[n] & 0xc0) == 0x80) n--;
    }
    // 1005 and 1006 must not be sent
    size_t payload = code == PH_WS_NO_CODE || code == PH_WS_GONE ? 0 : 2 + n;
    size_t head = ph_ws_header(out, PH_WS_CLOSE, payload);
    if (!payload) return head;
    out[head] = (uint8_t) (code >> 8);
    out[head + 1] = (uint8_t) code;
    if (n) memcpy(out + head + 2, reason, n);
    return head + payload;
}

#if PH_HAVE_SERVER

#include <wslay/wslay.h>

#define KEEP_BYTES 262144 // of a message buffer between messages
#define FRAGMENTS  16     // frames for each message that the rate allows

struct ph_ws_in {
    struct ph_ws_in_params par;
    wslay_event_context_ptr wslay;
    const uint8_t *at; // what is being fed
    size_t left;
    int64_t now_ns, bucket_ns;
    double messages, frames; // that may still come now
    char *data;              // the message so far
    size_t len, cap;
    bool text;
    bool frame_is_data; // the frame whose payload comes now
    bool shut;          // the rest of the stream does not matter any more
    ph_err failed;      // ours, before wslay's
    int code;
    const char *reason;
    char reason_text[64];
};

static void stop(struct ph_ws_in *w, ph_err err, int code, const char *reason)
{
    if (w->failed) return;
    w->failed = err;
    w->code = code;
    w->reason = reason;
    ph_ws_in_shut(w);
}

void ph_ws_in_shut(struct ph_ws_in *w)
{
    w->shut = true;
    w->left = 0;
    wslay_event_shutdown_read(w->wslay);
}

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
                       void *opaque)
{
    struct ph_ws_in *w = opaque;
    if (!w->left) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t n = w->left < len ? w->left : len;
    memcpy(buf, w->at, n);
    w->at += n;
    w->left -= n;
    return (ssize_t) n;
}

// Takes one from a bucket that fills at `rate` a second and holds one second's worth.
static bool spend(double *bucket, double rate, double passed_s)
{
    *bucket += rate * passed_s;
    if (*bucket > rate) *bucket = rate;
    if (*bucket < 1) return false;
    *bucket -= 1;
    return true;
}

static void on_start(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_start_arg *arg, void *opaque)
{
    struct ph_ws_in *w = opaque;
    bool control = wslay_is_ctrl_frame(arg->opcode);
    bool begins = arg->opcode == WSLAY_TEXT_FRAME || arg->opcode == WSLAY_BINARY_FRAME;
    double passed = (double) (w->now_ns - w->bucket_ns) / 1e9, rate = w->par.messages_per_s;
    w->bucket_ns = w->now_ns;
    w->messages += rate * passed;
    bool ok = spend(&w->frames, rate * FRAGMENTS, passed);
    if (begins || control) ok = ok && spend(&w->messages, rate, 0);
    if (!ok) {
        snprintf(w->reason_text, sizeof w->reason_text, "over %d messages a second",
                 w->par.messages_per_s);
        return stop(w, PH_ELIMIT, PH_WS_POLICY, w->reason_text);
    }
    if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->payload_length == 1)
        return stop(w, PH_EFORMAT, PH_WS_PROTOCOL, "a close of one byte");
    w->frame_is_data = !control;
    if (begins) {
        w->len = 0;
        w->text = arg->opcode == WSLAY_TEXT_FRAME;
    }
    size_t limit = w->text ? w->par.text_bytes : w->par.binary_bytes;
    if (!control && arg->payload_length > limit - w->len) {
        snprintf(w->reason_text, sizeof w->reason_text, "at most %zu bytes a %s", limit,
                 w->text ? "text" : "binary message");
        stop(w, PH_ELIMIT, PH_WS_TOO_BIG, w->reason_text);
    }
}

static bool reserve(struct ph_ws_in *w, size_t more)
{
    if (w->cap - w->len > more) return true;
    size_t cap = w->cap ? w->cap : 4096;
    while (cap - w->len <= more) cap *= 2;
    char *data = realloc(w->data, cap);
    if (!data) return false;
    w->data = data;
    w->cap = cap;
    return true;
}

static void on_chunk(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_chunk_arg *arg, void *opaque)
{
    struct ph_ws_in *w = opaque;
    if (w->failed || !w->frame_is_data) return;
    if (!reserve(w, arg->data_length))
        return stop(w, PH_ENOMEM, PH_WS_INTERNAL, "out of memory");
    if (arg->data_length) memcpy(w->data + w->len, arg->data, arg->data_length);
    w->len += arg->data_length;
    w->data[w->len] = 0;
}

static void on_message(wslay_event_context_ptr ctx,
                       const struct wslay_event_on_msg_recv_arg *arg, void *opaque)
{
    struct ph_ws_in *w = opaque;
    if (w->failed) return;
    if (arg->opcode == WSLAY_PONG) w->par.pong(w->par.opaque);
    if (wslay_is_ctrl_frame(arg->opcode)) return;
    if (w->text && memchr(w->data, 0, w->len))
        return stop(w, PH_EFORMAT, PH_WS_DATA, "a text with a NUL in it");
    w->par.message(w->par.opaque, w->text, w->data, w->len);
    w->len = 0;
    if (w->cap > KEEP_BYTES) {
        free(w->data);
        w->data = NULL;
        w->cap = 0;
        if (!reserve(w, 1)) stop(w, PH_ENOMEM, PH_WS_INTERNAL, "out of memory");
    }
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
                       void *opaque)
{
    struct ph_ws_in *w = opaque;
    w->par.control(w->par.opaque, data, len);
    return (ssize_t) len;
}

static ssize_t swallow(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
                       void *opaque)
{
    return (ssize_t) len;
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = on_recv,
    .send_callback = on_send,
    .on_frame_recv_start_callback = on_start,
    .on_frame_recv_chunk_callback = on_chunk,
    .on_msg_recv_callback = on_message,
};

ph_err ph_ws_in_create(struct ph_ws_in **out, const struct ph_ws_in_params *par)
{
    struct ph_ws_in *w = calloc(1, sizeof *w);
    *out = w;
    if (!w) return PH_ENOMEM;
    w->par = *par;
    w->messages = par->messages_per_s;
    w->frames = (double) par->messages_per_s * FRAGMENTS;
    if (!reserve(w, 1) || wslay_event_context_server_init(&w->wslay, &callbacks, w)) {
        ph_ws_in_destroy(out);
        return PH_ENOMEM;
    }
    w->data[0] = 0;
    // our own buffer keeps messages: wslay's would hold each twice
    wslay_event_config_set_no_buffering(w->wslay, 1);
    return PH_OK;
}

void ph_ws_in_destroy(struct ph_ws_in **out)
{
    struct ph_ws_in *w = *out;
    *out = NULL;
    if (!w) return;
    if (w->wslay) wslay_event_context_free(w->wslay);
    free(w->data);
    free(w);
}

// wslay has refused something and queued a close with the right code and no reason.
static ph_err wslay_refusal(struct ph_ws_in *w)
{
    struct wslay_event_callbacks quiet = callbacks;
    quiet.send_callback = swallow;
    wslay_event_config_set_callbacks(w->wslay, &quiet);
    wslay_event_send(w->wslay);
    w->code = wslay_event_get_status_code_sent(w->wslay);
    if (w->code == PH_WS_DATA)
        w->reason = "a text that is not UTF-8";
    else if (w->code == PH_WS_TOO_BIG)
        w->reason = "a message that is too long";
    else {
        w->code = PH_WS_PROTOCOL;
        w->reason = "a frame that breaks RFC 6455: unmasked, reserved, or out of turn";
    }
    return PH_EFORMAT;
}

ph_err ph_ws_in_feed(struct ph_ws_in *w, const void *bytes, size_t size, int64_t now_ns,
                     int *code, const char **reason)
{
    w->at = bytes;
    w->left = size;
    w->now_ns = now_ns;
    if (!w->bucket_ns) w->bucket_ns = now_ns;
    int r = wslay_event_recv(w->wslay);
    w->at = NULL;
    ph_err ret = w->failed;
    if (!ret && wslay_event_get_close_received(w->wslay)) {
        ret = PH_EOF;
        w->code = wslay_event_get_status_code_received(w->wslay);
        w->reason = "";
    } else if (!ret && !w->shut && (r || !wslay_event_want_read(w->wslay))) {
        ret = r == WSLAY_ERR_NOMEM ? PH_ENOMEM : wslay_refusal(w);
    }
    // After our own refusal nothing of wslay's goes out: the caller's close says more.
    if (ret == PH_OK || ret == PH_EOF) wslay_event_send(w->wslay);
    *code = w->code;
    *reason = w->reason;
    return ret;
}

#else // an honest stub: upgrades are refused with 501

ph_err ph_ws_in_create(struct ph_ws_in **out, const struct ph_ws_in_params *par)
{
    *out = NULL;
    return PH_ENOTSUP;
}

void ph_ws_in_destroy(struct ph_ws_in **w)
{
    *w = NULL;
}

ph_err ph_ws_in_feed(struct ph_ws_in *w, const void *bytes, size_t size, int64_t now_ns,
                     int *code, const char **reason)
{
    *code = PH_WS_INTERNAL;
    *reason = "this build has no WebSocket";
    return PH_ENOTSUP;
}

void ph_ws_in_shut(struct ph_ws_in *w)
{
}

#endif
