// SPDX-License-Identifier: MIT
// What a node's author calls: about the node itself, its frames, its ticks, and what comes from
// outside or goes there.
#include "graph/graph_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAXED memory_order_relaxed

// --- the node itself

void *ph_priv(struct ph_node *n)
{
    return n->priv;
}

const char *ph_node_name(const struct ph_node *n)
{
    return n->name;
}

const struct ph_log *ph_node_log(const struct ph_node *n)
{
    return &n->graph->log;
}

struct ph_graph *ph_node_graph(const struct ph_node *n)
{
    return n->graph;
}

bool ph_node_stopping(const struct ph_node *n)
{
    return atomic_load_explicit(&n->graph->stopping, RELAXED);
}

int64_t ph_node_now_ns(const struct ph_node *n)
{
    return ph_graph_now_ns(n->graph);
}

bool ph_node_offline(const struct ph_node *n)
{
    return n->graph->par.mode != PH_LIVE;
}

bool ph_node_rendering(const struct ph_node *n)
{
    return n->graph->par.mode == PH_OFFLINE;
}

bool ph_node_replaying(const struct ph_node *n)
{
    return n->graph->replaying;
}

// A thread of the node's own may ask or push while an edit exchanges ports and lanes: what is
// tagged "any" and looks at them does so under graph.topo.

bool ph_node_linked(const struct ph_node *n, bool output, int port)
{
    pthread_rwlock_rdlock(&n->graph->topo);
    bool linked = output ? n->out[port].count > 0 : n->in[port].count > 0;
    pthread_rwlock_unlock(&n->graph->topo);
    return linked;
}

const struct ph_node_info *ph_node_before(const struct ph_node *n, int port)
{
    pthread_rwlock_rdlock(&n->graph->topo);
    const struct ph_link *l = n->in[port].count ? n->in[port].links[0] : NULL;
    const struct ph_node_info *info = l && l->from ? l->from->info : NULL;
    pthread_rwlock_unlock(&n->graph->topo);
    return info;
}

// Each node is asked once, however many ways lead to it.
static bool wanted(struct ph_node *n, enum ph_codec codec, bool asked[PH_MAX_NODES])
{
    for (int p = 0; p < n->out_count; p++)
        for (int i = 0; i < n->out[p].count; i++) {
            struct ph_node *to = n->out[p].links[i]->to;
            if (asked[to->index]) continue;
            asked[to->index] = true;
            if (ph_node_is_sink(to) ? ph_node_wants(to, codec) : wanted(to, codec, asked))
                return true;
        }
    return false;
}

bool ph_node_wanted(struct ph_node *n, enum ph_codec codec)
{
    char text[4];
    // who watches is chance; sources ask for anything at all, from threads that are not replayed
    bool journal = codec != PH_CODEC_NONE;
    if (journal && ph_journal_recall(n, "wanted", text, sizeof text) > 0) return text[0] == '1';
    pthread_rwlock_rdlock(&n->graph->topo);
    bool asked[PH_MAX_NODES] = { 0 };
    bool yes = wanted(n, codec, asked);
    pthread_rwlock_unlock(&n->graph->topo);
    if (journal) ph_journal_metric(n, "wanted", yes ? "1" : "0");
    return yes;
}

// FNV-1a over the name, mixed with the graph's seed (splitmix64's finaliser)
uint64_t ph_node_seed(const struct ph_node *n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *c = n->name; *c; c++)
        h = (h ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
    h += n->graph->seed * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

void ph_node_problem(struct ph_node *n, const char *fmt, ...)
{
    char text[sizeof n->problem] = "";
    if (fmt) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
    }
    int64_t now = ph_now_ns();
    pthread_mutex_lock(&n->problem_lock);
    bool changed = strcmp(n->problem, text) != 0;
    memcpy(n->problem, text, sizeof text);
    // a text that flips each frame must not flood the log
    bool say = strcmp(n->problem_logged, text) && now - n->problem_ns > PH_SECOND_NS;
    if (say) {
        memcpy(n->problem_logged, text, sizeof text);
        n->problem_ns = now;
    }
    pthread_mutex_unlock(&n->problem_lock);
    if (say && text[0])
        ph_warn(&n->graph->log, n->name, "%s", text);
    else if (say)
        ph_info(&n->graph->log, n->name, "all is well again");
    if (changed)
        ph_graph_event(n->graph, &(struct ph_event){ PH_EVENT_PROBLEM, .node = n->name,
                                                     .message = text[0] ? text : NULL });
}

// --- what shows later, and what is told of a model

void ph_node_defer(struct ph_node *n, uint64_t number)
{
    for (struct control *c = n->landed; c; c = c->next)
        if (c->param && !c->number) c->number = number;
}

void ph_node_landed(struct ph_node *n, uint64_t number)
{
    if (number > n->shows) n->shows = number;
}

int64_t ph_node_chance(struct ph_node *n, const char *name, int64_t value)
{
    char text[24];
    if (ph_journal_recall(n, name, text, sizeof text) > 0) return strtoll(text, NULL, 10);
    snprintf(text, sizeof text, "%lld", (long long) value);
    ph_journal_metric(n, name, text);
    return value;
}

static int64_t smoothed(const struct report *all, int64_t ns)
{
    const struct ph_model_report *before = &all->of[(all->count + REPORTS - 1) % REPORTS];
    if (!all->count || !before->mean_ns) return ns;
    return ns ? (before->mean_ns * 9 + ns) / 10 : before->mean_ns;
}

void ph_node_limiter(struct ph_node *n, enum ph_limiter_state state)
{
    atomic_store_explicit(&n->limiter, (int) state, memory_order_relaxed);
}

void ph_node_report(struct ph_node *n, const struct ph_frame *f,
                    const struct ph_model_report *r)
{
    pthread_mutex_lock(&n->problem_lock);
    if (!n->report) n->report = calloc(1, sizeof *n->report);
    if (n->report) {
        struct report *all = n->report;
        int64_t mean = smoothed(all, r->encode_ns + r->model_ns + r->decode_ns);
        all->of[all->count % REPORTS] = *r;
        all->of[all->count % REPORTS].mean_ns = mean;
        all->frame[all->count++ % REPORTS] = f->id;
    }
    pthread_mutex_unlock(&n->problem_lock);
}

bool ph_node_reported(struct ph_node *n, uint64_t frame, struct ph_model_report *out)
{
    pthread_mutex_lock(&n->problem_lock);
    const struct report *all = n->report;
    uint64_t count = all ? all->count : 0, i = count;
    while (i && count - i < REPORTS && all->frame[(i - 1) % REPORTS] != frame) i--;
    bool known = i && count - i < REPORTS;
    if (count) *out = all->of[((known ? i : count) - 1) % REPORTS];
    pthread_mutex_unlock(&n->problem_lock);
    return count > 0;
}

// --- frames

static void note_in(struct ph_node *n, const struct ph_frame *f)
{
    n->took++;
    n->last_id = f->id;
    n->last_epoch = f->epoch;
    n->in_capture_ns = f->capture_ns;
    n->in_pts_ns = f->pts_ns;
    atomic_store_explicit(&n->frames_in, atomic_load_explicit(&n->frames_in, RELAXED) + 1,
                          RELAXED);
}

static struct ph_frame *take(struct ph_node *n, struct ph_link *l)
{
    struct link_item item = l->inbox;
    l->inbox.frame = NULL;
    if (!l->queue && !ph_link_pop(l, n->lane->epoch, &item)) return NULL;
    if (item.frame && l->queue && n->graph->par.mode == PH_LIVE)
        ph_hist_add(&n->wait, n->lane->now_ns - item.pushed_ns, n->lane->now_ns);
    return item.frame;
}

// With the link's lock held.
static bool must_wait(struct ph_link *l)
{
    const struct ph_graph *g = l->graph;
    return !l->ring.count && !l->eof && !l->let_go && !atomic_load(&g->stopping) &&
           !atomic_load(&g->pausing) && !(l->own_fed && ph_lane_feeders_rest(l));
}

static bool waits(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    bool yes = must_wait(l);
    pthread_mutex_unlock(&l->lock);
    return yes;
}

// Until something is there, or it is certain that nothing comes in time. false: goes on with nothing.
static bool wait_for_later(struct ph_node *n, struct ph_link *l)
{
    if (!waits(l)) return true;
    ph_still_hold(n->lane, l, n->in_pts_ns);
    pthread_mutex_lock(&l->lock);
    while (must_wait(l)) pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
    return !ph_still_go_on(n->lane);
}

// Newest item of a hold link that is not after `pts`; OFFLINE waits until that is certain. What this
// very lane must feed first is not waited for: it is of a later time.
static void advance_hold(struct ph_node *n, struct ph_link *l)
{
    struct ph_graph *g = n->graph;
    bool offline = g->par.mode == PH_OFFLINE && !g->replay; // a replay does as the live run did
    bool by_pts = offline || (l->queue && l->drop == PH_DROP_BLOCK);
    bool wait = offline && l->queue;
    // The journal knows in which run of the lane something came, and no more: a node that runs twice
    // in one must see the same both times.
    if (g->par.mode == PH_LIVE && l->queue && l->held_pass == n->lane->pass) return;
    l->held_pass = n->lane->pass;
    for (;;) {
        struct link_item item;
        // ids and times rise along a link: what comes later is of a later time
        if (by_pts && l->held && l->held->pts_ns >= n->in_pts_ns) return;
        if (wait && !wait_for_later(n, l)) return;
        if (l->queue) pthread_mutex_lock(&l->lock);
        bool any = l->ring.count > 0;
        bool later = any && by_pts && l->ring.items[l->ring.head].frame->pts_ns > n->in_pts_ns;
        if (l->queue) pthread_mutex_unlock(&l->lock);
        // the very first one is shown even when it is early: better than nothing
        if (!any || (later && l->held)) return;
        if (!ph_link_pop(l, n->lane->epoch, &item)) return;
        ph_frame_unref(&l->held);
        l->held = item.frame;
        ph_journal_pop(n->lane, l, &item);
        l->last_seq = item.seq;
    }
}

struct ph_frame *ph_node_held(struct ph_node *n, struct ph_link *l)
{
    if (!n->graph->replay || !l->queue) advance_hold(n, l);
    return l->held;
}

static ph_err read_hold(struct ph_node *n, struct node_port *p, struct ph_frame **f)
{
    for (int i = 0; i < p->count; i++) {
        struct ph_link *l = p->links[i];
        if (!ph_node_held(n, l)) continue;
        *f = ph_frame_ref(l->held);
        return PH_OK;
    }
    return p->count && ph_port_ended(p) ? PH_EOF : PH_MORE;
}

ph_err ph_node_read(struct ph_node *n, int port, struct ph_frame **f)
{
    struct node_port *p = &n->in[port];
    *f = NULL;
    if (p->info->flags & PH_PORT_HOLD) return read_hold(n, p, f);
    for (int i = 0; i < p->count; i++) {
        struct ph_link *l = p->links[(p->next + i) % p->count];
        if (!(*f = take(n, l))) continue;
        p->next = (p->next + i + 1) % p->count;
        note_in(n, *f);
        return PH_OK;
    }
    if (!ph_port_ended(p)) return PH_MORE;
    p->eof_told = true;
    return PH_EOF;
}

ph_err ph_node_write(struct ph_node *n, int port, struct ph_frame *f)
{
    struct node_port *p = &n->out[port];
    int64_t now = n->graph->par.mode == PH_STEPPED ? ph_graph_now_ns(n->graph) : 0;
    n->gave++;
    if (f->kind == PH_SIGNALS) ph_meters_show(n, f);
    n->last_id = f->id;
    n->last_epoch = f->epoch;
    if (port == 0)
        atomic_store_explicit(&n->frames_out, atomic_load_explicit(&n->frames_out, RELAXED) + 1,
                              RELAXED);
    for (int i = 0; i < p->count; i++) {
        struct ph_link *l = p->links[i];
        struct ph_frame *ref = ph_frame_ref(f);
        if (l->queue && n->graph->par.mode == PH_STEPPED)
            ph_link_stage(l, ref);
        else
            ph_link_push(l, ref, l->queue && !now ? (now = ph_now_ns()) : now, false);
    }
    ph_frame_unref(&f);
    return PH_OK;
}

static ph_err meta(struct ph_node *n, const struct ph_frame *like, ph_err ret,
                   struct ph_frame *f)
{
    if (ret != PH_OK) return ret;
    if (like)
        ph_frame_copy_meta(f, like);
    else
        ph_node_stamp(n, f);
    return PH_OK;
}

ph_err ph_node_picture(struct ph_node *n, const struct ph_frame *like, enum ph_format format,
                       int width, int height, struct ph_frame **out)
{
    ph_err ret = ph_frame_picture(n->pool, format, width, height, out);
    return meta(n, like, ret, *out);
}

ph_err ph_node_packet(struct ph_node *n, const struct ph_frame *like, enum ph_codec codec,
                      size_t capacity, struct ph_frame **out)
{
    ph_err ret = ph_frame_packet(n->pool, codec, capacity, out);
    return meta(n, like, ret, *out);
}

ph_err ph_node_samples(struct ph_node *n, const struct ph_frame *like, int count, int channels,
                       int rate_hz, struct ph_frame **out)
{
    ph_err ret = ph_frame_samples(n->pool, count, channels, rate_hz, out);
    return meta(n, like, ret, *out);
}

ph_err ph_node_points(struct ph_node *n, const struct ph_frame *like, int capacity,
                      struct ph_frame **out)
{
    ph_err ret = ph_frame_points(n->pool, capacity, out);
    return meta(n, like, ret, *out);
}

ph_err ph_node_signals(struct ph_node *n, const struct ph_frame *like, struct ph_frame **out)
{
    int count = 0;
    while (n->info->signals && n->info->signals[count].name) count++;
    ph_err ret = ph_frame_signals(n->pool, count, out);
    return meta(n, like, ret, *out);
}

struct ph_pool *ph_node_pool(struct ph_node *n)
{
    return n->pool;
}

void ph_node_drop(struct ph_node *n)
{
    atomic_fetch_add_explicit(&n->drops, 1, RELAXED);
}

// --- sources

void ph_node_set_rate(struct ph_node *n, int64_t num, int64_t den)
{
    struct ph_ticker *t = &n->ticker;
    if (t->num == num && t->den == den) return;
    ph_ticker_set_rate(t, num, den);
    n->ticker_started = false; // the origin moves
}

struct ph_tick ph_node_tick(const struct ph_node *n)
{
    return n->tick;
}

void ph_node_stamp_at(struct ph_node *n, struct ph_frame *f, int64_t pts_ns, int64_t capture_ns)
{
    f->id = n->source && !n->info->due ? n->tick.index : n->stamped++;
    if (n->source) n->in_pts_ns = pts_ns;
    f->epoch = n->lane->epoch;
    f->pts_ns = pts_ns;
    f->capture_ns = capture_ns;
}

void ph_node_stamp(struct ph_node *n, struct ph_frame *f)
{
    ph_node_stamp_at(n, f, n->tick.pts_ns, n->lane->now_ns);
}

void ph_node_wake(struct ph_node *n)
{
    pthread_rwlock_rdlock(&n->graph->topo);
    if (n->lane) ph_lane_poke(n->lane);
    pthread_rwlock_unlock(&n->graph->topo);
}

void ph_node_work(struct ph_node *n, int64_t ns)
{
    n->lane->work_ns += ns;
    if (n->graph->par.mode != PH_LIVE) return;
    // in naps, so that a long piece of work does not hold up the end of the graph
    int64_t end = ph_now_ns() + ns;
    for (int64_t now; (now = ph_now_ns()) < end && !ph_node_stopping(n);)
        ph_sleep_until_ns(end - now < 50 * PH_MS_NS ? end : now + 50 * PH_MS_NS);
}

// --- outside

static struct ph_link *external_link(struct ph_node *n, int port)
{
    return n->in[port].count ? n->in[port].links[0] : NULL;
}

static ph_err push(struct ph_node *n, int port, struct ph_frame **f)
{
    struct ph_link *l = external_link(n, port);
    if (!l) {
        ph_frame_unref(f);
        return PH_EINVAL;
    }
    // what comes from outside knows no epoch: it belongs to the present one
    uint32_t epoch = atomic_load_explicit(&n->graph->epoch, memory_order_acquire);
    if ((*f)->epoch != epoch) {
        ph_err ret = ph_frame_make_writable(f);
        if (ret < 0) return ret;
        (*f)->epoch = epoch;
    }
    if (!ph_link_push(l, *f, ph_graph_now_ns(n->graph), true)) return PH_MORE;
    *f = NULL;
    return PH_OK;
}

ph_err ph_node_push(struct ph_node *n, int port, struct ph_frame **f)
{
    pthread_rwlock_rdlock(&n->graph->topo);
    ph_err ret = push(n, port, f);
    pthread_rwlock_unlock(&n->graph->topo);
    return ret;
}

void ph_node_push_eof(struct ph_node *n, int port)
{
    pthread_rwlock_rdlock(&n->graph->topo);
    struct ph_link *l = external_link(n, port);
    if (l) ph_link_close(l);
    pthread_rwlock_unlock(&n->graph->topo);
}

void ph_node_external(struct ph_node *n, int port, enum ph_drop drop, int depth)
{
    struct ph_link *l = external_link(n, port);
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->drop = drop;
    l->depth = depth > 0 ? depth : 1;
    l->fed = true;
    pthread_mutex_unlock(&l->lock);
}

void ph_node_publish(struct ph_node *n, struct ph_frame *f)
{
    // in a replay other lanes may be far ahead
    uint32_t epoch = n->graph->replay
                         ? n->lane->epoch
                         : atomic_load_explicit(&n->graph->epoch, memory_order_acquire);
    if ((int32_t) (f->epoch - epoch) < 0) {
        ph_node_drop(n);
        return;
    }
    enum ph_codec codec = f->kind == PH_PACKET ? f->packet.codec : PH_CODEC_NONE;
    pthread_mutex_lock(&n->sub_lock);
    for (struct subscription *s = n->subs; s; s = s->next)
        if (!s->sub->codecs || s->sub->codecs & 1u << codec) s->sub->deliver(s->sub->opaque, f);
    pthread_mutex_unlock(&n->sub_lock);
}

int ph_node_subscribers(struct ph_node *n, enum ph_codec codec)
{
    int all = 0;
    pthread_mutex_lock(&n->sub_lock);
    for (struct subscription *s = n->subs; s; s = s->next)
        all += codec == PH_CODEC_NONE || !s->sub->codecs || s->sub->codecs & 1u << codec;
    pthread_mutex_unlock(&n->sub_lock);
    return all;
}
