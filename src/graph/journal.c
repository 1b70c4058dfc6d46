// SPDX-License-Identifier: MIT
// The journal: what a live run took from chance, so that it can be run again to the same bytes.
// Lines of JSON, some followed by bytes; docs/journal.md has every record. Only what cannot be
// inferred is written: a lane with one input that loses no frame, or with one source that skips
// no tick, costs nothing.
#include "graph/graph_priv.h"

#include "core/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_NS    (100 * PH_MS_NS)
#define FLUSH_BYTES (1u << 20)

struct journal {
    FILE *file;
    char path[512];
    const struct ph_log *log;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool stop;
    bool over;         // lock: what comes now is not recorded
    struct ph_buf buf; // lanes append, the thread writes
    struct ph_buf lost;
};

size_t ph_journal_most_bytes = (size_t) 256 << 20;

// --- the writer's thread: lanes never wait for a disk

static bool write_out(struct journal *j, struct ph_buf *b)
{
    errno = 0;
    bool ok = !b->failed && fwrite(b->data, 1, b->len, j->file) == b->len && !fflush(j->file);
    ph_buf_clear(b);
    return ok;
}

// A journal with a hole cannot be replayed past it: it ends where the first record is missing. With
// the lock held.
static void give_up(struct journal *j, const char *why)
{
    if (j->over) return;
    j->over = true;
    ph_error(j->log, "journal", "%s: %s; it ends here and is replayed up to here", j->path,
             why);
}

static void *journal_main(void *opaque)
{
    struct journal *j = opaque;
    struct ph_buf out = { 0 };
    pthread_setname_np(pthread_self(), "ph-journal");
    pthread_mutex_lock(&j->lock);
    for (;;) {
        int64_t until = ph_now_ns() + FLUSH_NS;
        struct timespec t = { until / PH_SECOND_NS, until % PH_SECOND_NS };
        if (!j->stop && j->buf.len < FLUSH_BYTES)
            pthread_cond_timedwait(&j->wake, &j->lock, &t);
        struct ph_buf full = j->buf;
        j->buf = out;
        out = full;
        bool stop = j->stop, failed = out.failed;
        pthread_mutex_unlock(&j->lock);
        if ((out.len || failed) && !write_out(j, &out)) {
            pthread_mutex_lock(&j->lock);
            give_up(j, failed ? "out of memory" : strerror(errno));
            ph_buf_free(&j->buf); // nothing may come after the hole
        } else {
            pthread_mutex_lock(&j->lock);
        }
        if (stop && !j->buf.len) break;
    }
    pthread_mutex_unlock(&j->lock);
    ph_buf_free(&out);
    return NULL;
}

static struct ph_buf *begin(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    if (j->buf.len > ph_journal_most_bytes)
        give_up(j, "the disk is too slow, too much waits for it");
    return j->over ? &j->lost : &j->buf;
}

static void end(struct journal *j)
{
    if (j->buf.len >= FLUSH_BYTES) pthread_cond_signal(&j->wake);
    if (j->over) ph_buf_free(&j->lost);
    pthread_mutex_unlock(&j->lock);
}

// --- records

// A change that waits for its beat is in the text already, and is not made yet.
static char *present_text(const struct ph_graph *g)
{
    struct ph_ast *now = NULL;
    char value[64], *text = ph_ast_print(g->ast);
    if (!atomic_load(&g->waiting) || !text || ph_ast_parse(&now, text, g->types, NULL) < 0)
        return text;
    for (int i = 0; i < g->node_count; i++) {
        const struct ph_node *n = g->nodes[i];
        for (const struct control *c = n->pending; c; c = c->next) {
            if (!c->param || c->every <= 0) continue;
            union ph_value v = ph_drives_by_hand(n, c->param);
            bool words = c->param->type == PH_TYPE_STRING;
            if (!words) ph_param_print(c->param, v, value, sizeof value);
            ph_ast_set(now, ph_ast_find(now, n->name), c->param->name, words ? v.s : value,
                       NULL);
        }
    }
    free(text);
    text = ph_ast_print(now);
    ph_tree_free(now);
    return text;
}

static void put_segment(struct ph_buf *b, const struct ph_graph *g)
{
    char *text = present_text(g);
    ph_buf_puts(b, "{\"graph\":");
    ph_json_str(b, text ? text : "");
    ph_buf_puts(b, ",\"links\":[");
    for (int i = 0; i < g->link_count; i++)
        ph_buf_printf(b, "%s[%llu,%d]", i ? "," : "",
                      (unsigned long long) g->links[i]->last_seq, g->links[i]->previous);
    ph_buf_puts(b, "],\"lanes\":[");
    for (int i = 0; i < g->lane_count; i++)
        ph_buf_printf(b, "%s%d", i ? "," : "",
                      g->lanes[i]->one_input ? g->lanes[i]->input : -1);
    ph_buf_puts(b, "]}\n");
    free(text);
}

static void put_ends(struct ph_buf *b, const struct ph_graph *g)
{
    for (int i = 0; i < g->lane_count; i++)
        ph_buf_printf(b, "{\"l\":%d,\"end\":%llu}\n", i,
                      (unsigned long long) atomic_load(&g->lanes[i]->run));
}

static void put_head(struct ph_buf *b, const struct ph_lane *lane)
{
    ph_buf_printf(b, "{\"l\":%d,\"r\":%llu", lane->index,
                  (unsigned long long) atomic_load_explicit(&lane->run, memory_order_relaxed));
}

static void release(struct journal *j)
{
    ph_buf_free(&j->buf);
    ph_buf_free(&j->lost);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->wake);
    free(j);
}

ph_err ph_journal_open(struct journal **out, const char *path, const struct ph_graph *g,
                       struct ph_fault *fault)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j) return ph_fail(fault, PH_ENOMEM, "journal", "out of memory");
    snprintf(j->path, sizeof j->path, "%s", path);
    j->log = &g->log;
    if (!(j->file = fopen(path, "wbe"))) {
        free(j);
        return ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, "journal",
                       "cannot write the journal %s: %s", path, strerror(errno));
    }
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &mono);
    pthread_condattr_destroy(&mono);
    ph_buf_printf(&j->buf,
                  "{\"phosphene\":\"journal\",\"version\":1,\"seed\":%llu,\"frames\":%llu}\n",
                  (unsigned long long) g->seed, (unsigned long long) g->par.frames);
    put_segment(&j->buf, g);
    if (!pthread_create(&j->thread, NULL, journal_main, j)) {
        *out = j;
        return PH_OK;
    }
    fclose(j->file);
    release(j);
    return ph_fail(fault, PH_ENOMEM, "journal", "no thread for the journal");
}

void ph_journal_close(struct journal **out, struct ph_graph *g)
{
    struct journal *j = *out;
    *out = NULL;
    if (!j) return;
    put_ends(begin(j), g);
    j->stop = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    if (fclose(j->file) && !j->over)
        ph_error(j->log, "journal", "%s: %s", j->path, strerror(errno));
    release(j);
}

void ph_journal_edit_begin(struct ph_graph *g)
{
    if (!g->journal) return;
    put_ends(begin(g->journal), g);
    end(g->journal);
}

void ph_journal_edit_end(struct ph_graph *g)
{
    if (!g->journal) return;
    put_segment(begin(g->journal), g);
    end(g->journal);
}

static void put_packet(struct ph_buf *b, const struct ph_frame *f)
{
    const struct ph_packet *p = &f->packet;
    ph_buf_printf(b, ",\"codec\":%d,\"key\":%d,\"w\":%d,\"h\":%d,\"bytes\":%zu}\n", p->codec,
                  p->key, p->width, p->height, p->size);
    ph_buf_put(b, p->data, p->size);
}

static void put_picture(struct ph_buf *b, const struct ph_frame *f)
{
    const struct ph_picture *p = &f->picture;
    size_t bytes = 0;
    for (int k = 0; k < PH_PLANES; k++)
        bytes += ph_plane_row_bytes(p->format, k, p->width) *
                 (size_t) ph_plane_rows(p->format, k, p->height);
    ph_buf_printf(
        b, ",\"format\":%d,\"w\":%d,\"h\":%d,\"matrix\":%d,\"range\":%d,\"bytes\":%zu}\n",
        p->format, p->width, p->height, p->matrix, p->range, bytes);
    for (int k = 0; k < PH_PLANES; k++)
        for (int y = 0; y < ph_plane_rows(p->format, k, p->height); y++)
            ph_buf_put(b, p->data[k] + y * p->stride[k],
                       ph_plane_row_bytes(p->format, k, p->width));
}

static void put_samples(struct ph_buf *b, const struct ph_frame *f)
{
    const struct ph_samples *s = &f->samples;
    size_t bytes = (size_t) s->count * (size_t) s->channels * sizeof(float);
    ph_buf_printf(b, ",\"samples\":%d,\"channels\":%d,\"rate\":%d,\"bytes\":%zu}\n", s->count,
                  s->channels, s->rate_hz, bytes);
    ph_buf_put(b, s->data, bytes);
}

// What came from outside is kept whole: nothing else can make it again.
static void put_frame(struct ph_buf *b, const struct ph_frame *f)
{
    ph_buf_printf(b, ",\"kind\":%d,\"id\":%llu,\"epoch\":%u,\"pts\":%lld,\"capture\":%lld",
                  f->kind, (unsigned long long) f->id, f->epoch, (long long) f->pts_ns,
                  (long long) f->capture_ns);
    const struct ph_intrinsics *lens = &f->intrinsics;
    if (lens->fx != 0)
        ph_buf_printf(b, ",\"lens\":[%.9g,%.9g,%.9g,%.9g]", (double) lens->fx,
                      (double) lens->fy, (double) lens->cx, (double) lens->cy);
    if (f->kind == PH_PACKET)
        put_packet(b, f);
    else if (f->kind == PH_SAMPLES)
        put_samples(b, f);
    else
        put_picture(b, f);
}

void ph_journal_pop(struct ph_lane *lane, struct ph_link *l, const struct link_item *item)
{
    struct journal *j = lane->graph->journal;
    if (!j || !l->queue) return;
    bool starter = lane->one_input && l->index == lane->input;
    if (starter && l->from && item->seq == l->last_seq + 1) return;
    struct ph_buf *b = begin(j);
    put_head(b, lane);
    ph_buf_printf(b, ",\"pop\":%d,\"seq\":%llu", l->index, (unsigned long long) item->seq);
    if (!l->from)
        put_frame(b, item->frame);
    else
        ph_buf_puts(b, "}");
    ph_buf_puts(b, "\n");
    end(j);
}

void ph_journal_tick(struct ph_node *n, uint64_t expected)
{
    struct journal *j = n->graph->journal;
    if (!j || (n->lane->one_source && n->tick.index == expected)) return;
    struct ph_buf *b = begin(j);
    put_head(b, n->lane);
    ph_buf_puts(b, ",\"tick\":");
    ph_json_str(b, n->name);
    ph_buf_printf(b, ",\"index\":%llu}\n", (unsigned long long) n->tick.index);
    end(j);
}

void ph_journal_epoch(struct ph_lane *lane)
{
    struct journal *j = lane->graph->journal;
    if (!j) return;
    struct ph_buf *b = begin(j);
    put_head(b, lane);
    ph_buf_printf(b, ",\"epoch\":%u}\n", lane->epoch);
    end(j);
}

void ph_journal_set(struct ph_node *n, const struct control *c)
{
    struct journal *j = n->graph->journal;
    char value[64];
    const char *text = c->text;
    if (!j) return;
    if (!text) {
        ph_param_print(c->param, c->value, value, sizeof value);
        text = value;
    }
    struct ph_buf *b = begin(j);
    put_head(b, n->lane);
    ph_buf_puts(b, ",\"set\":");
    ph_json_str(b, n->name);
    ph_json_key(b, "param");
    ph_json_str(b, c->param->name);
    ph_json_key(b, "value");
    ph_json_str(b, text);
    ph_buf_puts(b, "}\n");
    end(j);
}

// A soft cut that a node is given.
void ph_journal_cut(struct ph_node *n, int chunks)
{
    struct journal *j = n->graph->journal;
    if (!j) return;
    struct ph_buf *b = begin(j);
    put_head(b, n->lane);
    ph_buf_puts(b, ",\"cut\":");
    ph_json_str(b, n->name);
    ph_buf_printf(b, ",\"chunks\":%d}\n", chunks);
    end(j);
}

// --- metrics that a node was told: they depend on the machine, not on the input

static struct metric_memo *memo_of(const struct ph_node *n, const char *name)
{
    struct metric_memo *m = n->memo;
    while (m && strcmp(m->name, name)) m = m->next;
    return m;
}

bool ph_journal_remember(struct ph_node *n, const char *name, const char *text)
{
    struct metric_memo *m = memo_of(n, name);
    if (m && m->text && !strcmp(m->text, text)) return false;
    if (!m) {
        char *copy = strdup(name);
        if (!copy || !(m = calloc(1, sizeof *m))) {
            free(copy);
            return true; // said again each time
        }
        *m = (struct metric_memo){ n->memo, copy, NULL };
        n->memo = m;
    }
    free(m->text);
    m->text = strdup(text);
    return true;
}

void ph_journal_forget(struct ph_node *n)
{
    for (struct metric_memo *m = n->memo, *next; m; m = next) {
        next = m->next;
        free(m->name);
        free(m->text);
        free(m);
    }
    n->memo = NULL;
}

void ph_journal_metric(struct ph_node *n, const char *name, const char *text)
{
    struct journal *j = n->graph->journal;
    if (!j || !ph_journal_remember(n, name, text)) return;
    struct ph_buf *b = begin(j);
    put_head(b, n->lane);
    ph_buf_puts(b, ",\"metric\":");
    ph_json_str(b, n->name);
    ph_json_key(b, "name");
    ph_json_str(b, name);
    ph_json_key(b, "value");
    ph_json_str(b, text);
    ph_buf_puts(b, "}\n");
    end(j);
}

int ph_journal_recall(struct ph_node *n, const char *name, char *text, size_t size)
{
    const struct metric_memo *m = n->graph->replay ? memo_of(n, name) : NULL;
    return m && m->text ? snprintf(text, size, "%s", m->text) : -1;
}
