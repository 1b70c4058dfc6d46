// SPDX-License-Identifier: MIT
#include "room/room_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- a C caller

void ph_waiter_init(struct ph_waiter *w, struct ph_fault *fault)
{
    *w = (struct ph_waiter){ .fault = fault };
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->cond, NULL);
}

ph_err ph_waiter_wait(struct ph_waiter *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->done) pthread_cond_wait(&w->cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->cond);
    return w->ret;
}

static void wake(struct ph_waiter *w, ph_err ret, const struct ph_fault *fault, char *json)
{
    pthread_mutex_lock(&w->lock);
    w->ret = ret;
    w->json = json;
    if (fault && w->fault) *w->fault = *fault;
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

// --- answers

static void put_fault(struct ph_buf *b, const struct ph_fault *f)
{
    ph_json_key(b, "field");
    ph_json_str(b, f->field);
    ph_json_key(b, "message");
    ph_json_str(b, f->message);
    if (f->line) ph_buf_printf(b, ",\"line\":%d,\"column\":%d", f->line, f->column);
}

static void send_faults(struct ph_conn *conn, bool has_id, int64_t id,
                        const struct ph_fault *faults, int count)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"type\":\"error\"");
    if (has_id) ph_buf_printf(&b, ",\"id\":%lld", (long long) id);
    put_fault(&b, faults);
    if (count > 1) ph_buf_puts(&b, ",\"errors\":[");
    for (int i = 0; i < count && count > 1; i++) {
        ph_buf_puts(&b, i ? ",{" : "{");
        put_fault(&b, &faults[i]);
        ph_buf_puts(&b, "}");
    }
    ph_buf_puts(&b, count > 1 ? "]}" : "}");
    if (!b.failed) ph_ws_send_text(conn, b.data, b.len);
    ph_buf_free(&b);
}

void ph_ws_fault(struct ph_conn *conn, bool has_id, int64_t id, const struct ph_fault *fault)
{
    send_faults(conn, has_id, id, fault, 1);
}

// Runs on a lane: nothing is allocated.
void ph_asker_ack(struct ph_asker *a, uint64_t frame, uint32_t epoch)
{
    char text[128], id[32] = "";
    if (a->has_id) snprintf(id, sizeof id, "\"id\":%lld,", (long long) a->id);
    int n = snprintf(text, sizeof text, "{\"type\":\"ack\",%s\"frame\":%llu,\"epoch\":%u}", id,
                     (unsigned long long) frame, epoch);
    if (a->conn) ph_ws_send_text(a->conn, text, (size_t) n);
    if (a->deferred) ph_deferred_reply(&a->deferred, 200, text, (size_t) n);
    if (a->waiter) wake(a->waiter, PH_OK, NULL, NULL);
    ph_conn_unref(&a->conn);
    *a = (struct ph_asker){ 0 };
}

// What is over a limit here is never a body that is too large.
static int status_of(ph_err code)
{
    return code == PH_ELIMIT ? 429 : code == PH_ESTOPPED ? 409 : 0;
}

void ph_asker_faults(struct ph_asker *a, const struct ph_fault *faults, int count)
{
    if (a->conn) send_faults(a->conn, a->has_id, a->id, faults, count);
    if (a->deferred) ph_deferred_fault(&a->deferred, status_of(faults->code), faults);
    if (a->waiter) wake(a->waiter, faults->code, faults, NULL);
    ph_conn_unref(&a->conn);
    *a = (struct ph_asker){ 0 };
}

void ph_asker_fault(struct ph_asker *a, const struct ph_fault *fault)
{
    ph_asker_faults(a, fault, 1);
}

void ph_asker_json(struct ph_asker *a, int status, const char *json)
{
    if (a->deferred) ph_deferred_reply(&a->deferred, status, json, strlen(json));
    if (a->waiter) wake(a->waiter, PH_OK, NULL, strdup(json));
    ph_conn_unref(&a->conn);
    *a = (struct ph_asker){ 0 };
}
