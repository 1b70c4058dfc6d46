// SPDX-License-Identifier: MIT
// What all threads may do to a connection: one lock, no socket, no allocation.
#include "server/server_priv.h"

#include <stdio.h>
#include <string.h>

const char *const ph_send_drop_name[PH_SENT_DROPS] = { "replaced", "no-key", "closed" };

struct ph_conn *ph_conn_ref(struct ph_conn *c)
{
    if (c) atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void ph_conn_unref(struct ph_conn **out)
{
    struct ph_conn *c = *out;
    *out = NULL;
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        ph_conn_release(c);
}

// With the lock held: asks the I/O thread to close it.
static void ask_close(struct ph_conn *c, int code, const char *reason)
{
    if (!c->open || c->close_code) return;
    c->close_code = code;
    snprintf(c->close_reason, sizeof c->close_reason, "%s", reason ? reason : "");
    ph_conn_wake(c);
}

static ph_err put_message(struct ph_conn *c, enum ph_ws_opcode opcode, const void *bytes,
                          size_t size)
{
    uint8_t head[PH_WS_HEADER_MAX];
    if (!c->open) return PH_ESTOPPED;
    if (!c->websocket) return PH_ENOTSUP;
    size_t n = ph_ws_header(head, opcode, size);
    if (!ph_control_put(c, head, n, bytes, size, CONTROL_BYTES)) {
        ask_close(c, PH_WS_TRY_LATER, "it does not read its messages");
        return PH_ELIMIT;
    }
    c->control_texts++;
    ph_conn_wake(c);
    return PH_OK;
}

static ph_err send_message(struct ph_conn *c, enum ph_ws_opcode opcode, const void *bytes,
                           size_t size)
{
    pthread_mutex_lock(&c->lock);
    ph_err ret = put_message(c, opcode, bytes, size);
    pthread_mutex_unlock(&c->lock);
    return ret;
}

ph_err ph_ws_send_text(struct ph_conn *c, const char *text, size_t len)
{
    return send_message(c, PH_WS_TEXT, text, len);
}

ph_err ph_ws_send_binary(struct ph_conn *c, const void *bytes, size_t size)
{
    return send_message(c, PH_WS_BINARY, bytes, size);
}

ph_err ph_conn_post(struct ph_conn *c, const struct ph_post *post)
{
    struct ph_post picture = { .frame = post->frame };
    if (!c->websocket) post = &picture;
    pthread_mutex_lock(&c->lock);
    ph_err ret = c->open ? ph_mailbox_put(c->box, post, ph_now_ns()) : PH_ESTOPPED;
    if (ret == PH_OK && c->box->mode == PH_SEND_DROP_TO_KEY && post->text_len)
        put_message(c, PH_WS_TEXT, post->text, post->text_len);
    if (ret == PH_OK) ph_conn_wake(c);
    pthread_mutex_unlock(&c->lock);
    return ret;
}

void ph_conn_mode(struct ph_conn *c, enum ph_send_mode mode, int depth)
{
    pthread_mutex_lock(&c->lock);
    if (c->open) {
        ph_mailbox_clear(c->box, PH_SENT_REPLACED);
        ph_mailbox_init(c->box, mode, depth);
    }
    pthread_mutex_unlock(&c->lock);
}

bool ph_conn_wants_key(const struct ph_conn *conn)
{
    struct ph_conn *c = (struct ph_conn *) (uintptr_t) conn;
    pthread_mutex_lock(&c->lock);
    bool wants = c->open && c->box->need_key;
    pthread_mutex_unlock(&c->lock);
    return wants;
}

size_t ph_ws_backlog(const struct ph_conn *conn)
{
    struct ph_conn *c = (struct ph_conn *) (uintptr_t) conn;
    pthread_mutex_lock(&c->lock);
    size_t n = c->control_len;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void ph_conn_close(struct ph_conn *c, int code, const char *reason)
{
    pthread_mutex_lock(&c->lock);
    ask_close(c, code, reason);
    pthread_mutex_unlock(&c->lock);
}

void ph_conn_stats(const struct ph_conn *conn, struct ph_conn_stats *out)
{
    struct ph_conn *c = (struct ph_conn *) (uintptr_t) conn;
    int64_t now = ph_now_ns();
    pthread_mutex_lock(&c->lock);
    int64_t oldest = c->box ? ph_mailbox_oldest_ns(c->box) : 0;
    *out = (struct ph_conn_stats){
        .id = c->id,
        .websocket = c->websocket,
        .posted = c->box ? c->box->posted : 0,
        .sent = c->sent,
        .sent_texts = c->sent_texts,
        .sent_bytes = c->sent_bytes,
        .received = c->received,
        .received_bytes = c->received_bytes,
        .waiting = c->box ? c->box->count : 0,
        .sent_fps = ph_rate_get(&c->sent_rate, now),
        .opened_ns = c->opened_ns,
        .queue_age_ns = oldest ? now - oldest : 0,
        .last_progress_ns = c->progress_ns,
    };
    memcpy(out->remote, c->remote, sizeof out->remote);
    for (int i = 0; c->box && i < PH_SENT_DROPS; i++) out->dropped[i] = c->box->dropped[i];
    pthread_mutex_unlock(&c->lock);
}
