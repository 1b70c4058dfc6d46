// SPDX-License-Identifier: MIT
// One thread that runs its nodes in topological order, one frame at a time: no lock inside, a
// stack trace is the pipeline. It sleeps on one condition; whoever has something for it pokes it.
#include "graph/graph_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RELAXED memory_order_relaxed

ph_err ph_lane_create(struct ph_lane **out, struct ph_graph *g, int index, const char *name)
{
    struct ph_lane *lane = calloc(1, sizeof *lane);
    *out = lane;
    if (!lane) return PH_ENOMEM;
    lane->graph = g;
    lane->index = index;
    lane->epoch = atomic_load(&g->epoch);
    snprintf(lane->name, sizeof lane->name, "%s", name);
    pthread_mutex_init(&lane->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->wake, &attr);
    pthread_condattr_destroy(&attr);
    lane->trace = calloc(TRACE_EVENTS, sizeof *lane->trace);
    if (lane->trace) return PH_OK;
    ph_lane_destroy(out);
    return PH_ENOMEM;
}

void ph_lane_destroy(struct ph_lane **out)
{
    struct ph_lane *lane = *out;
    *out = NULL;
    if (!lane) return;
    pthread_cond_destroy(&lane->wake);
    pthread_mutex_destroy(&lane->lock);
    free(lane->trace);
    free(lane->nodes);
    free(lane->in);
    free(lane->blocking);
    free(lane->leaving);
    free(lane);
}

void ph_lane_poke(struct ph_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->poked = true;
    pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
}

// --- when to run

static bool is_hold(const struct ph_link *l)
{
    return l->to->in[l->to_port].info->flags & PH_PORT_HOLD;
}

static bool input_waits(struct ph_lane *lane)
{
    for (int i = 0; i < lane->in_count; i++) {
        struct ph_link *l = lane->in[i];
        if (is_hold(l) || l->to->done) continue;
        if (l->inbox.frame || ph_link_has(l)) return true;
        const struct node_port *port = &l->to->in[l->to_port];
        if (!port->eof_told && ph_port_ended(port)) return true;
    }
    return false;
}

static bool control_waits(const struct ph_lane *lane)
{
    return atomic_load_explicit(&lane->graph->control_seq, memory_order_acquire) !=
           lane->control_seen;
}

static bool is_blocked(const struct ph_lane *lane)
{
    for (int i = 0; i < lane->blocking_count; i++)
        if (ph_link_full(lane->blocking[i])) return true; // its consumer will poke
    return false;
}

static bool has_unread(const struct ph_lane *lane)
{
    for (int i = 0; i < lane->node_count; i++)
        if (ph_node_is_unread(lane->nodes[i])) return true;
    return false;
}

int64_t ph_lane_due_ns(struct ph_lane *lane, int64_t now_ns)
{
    int64_t due = PH_NEVER;
    if (atomic_load_explicit(&lane->done, RELAXED)) return PH_NEVER;
    if (has_unread(lane)) return INT64_MIN;
    if (control_waits(lane) && !lane->graph->replay) return INT64_MIN;
    if (is_blocked(lane)) return PH_NEVER;
    if (lane->graph->replay || input_waits(lane)) return INT64_MIN;
    for (int i = 0; i < lane->node_count; i++) {
        struct ph_node *n = lane->nodes[i];
        int64_t t = n->source ? ph_node_due_ns(n, now_ns) : PH_NEVER;
        if (t < due) due = t;
    }
    return due;
}

// --- one run

void ph_lane_observe_epoch(struct ph_lane *lane, uint32_t epoch)
{
    if (epoch == lane->epoch) return;
    lane->epoch = epoch;
    ph_journal_epoch(lane);
    for (int i = 0; i < lane->node_count; i++) {
        struct ph_node *n = lane->nodes[i];
        for (int p = 0; p < n->in_count; p++)
            for (int k = 0; k < n->in[p].count; k++) ph_frame_unref(&n->in[p].links[k]->held);
        ph_drives_reset(n);
        if (!n->info->cut) continue;
        n->cut = (struct ph_cut){ .hard = true };
        n->cut_owed = true;
    }
}

static void take_controls(struct ph_lane *lane)
{
    if (!control_waits(lane) &&
        !atomic_load_explicit(&lane->graph->waiting, memory_order_relaxed))
        return;
    lane->control_seen = atomic_load_explicit(&lane->graph->control_seq, memory_order_acquire);
    for (int i = 0; i < lane->node_count; i++) ph_node_take_controls(lane->nodes[i], false);
}

void ph_lane_settle(struct ph_lane *lane)
{
    take_controls(lane);
    ph_lane_observe_epoch(lane, atomic_load(&lane->graph->epoch));
}

void ph_lane_drop_stale(struct ph_lane *lane)
{
    for (int i = 0; i < lane->in_count; i++) {
        struct ph_link *l = lane->in[i];
        if (!l->inbox.frame || (int32_t) (l->inbox.frame->epoch - lane->epoch) >= 0) continue;
        ph_frame_unref(&l->inbox.frame);
        atomic_fetch_add_explicit(&l->dropped_epoch, 1, RELAXED);
    }
}

// At most one frame of each trigger link per run. A frame may carry an epoch that this lane has
// not seen yet: then the cut comes before the frame.
static void take_inputs(struct ph_lane *lane)
{
    for (int i = 0; i < lane->in_count; i++) {
        struct ph_link *l = lane->in[i];
        if (is_hold(l) || l->inbox.frame) continue;
        if (!ph_link_pop(l, lane->epoch, &l->inbox)) {
            l->inbox.frame = NULL;
            continue;
        }
        ph_journal_pop(lane, l, &l->inbox);
        l->last_seq = l->inbox.seq;
        if ((int32_t) (l->inbox.frame->epoch - lane->epoch) > 0)
            ph_lane_observe_epoch(lane, l->inbox.frame->epoch);
    }
}

static void note_busy(struct ph_lane *lane, int64_t end_ns)
{
    ph_busy_note(&lane->busy, lane->now_ns, end_ns);
    atomic_store_explicit(&lane->busy_ppm, (int) (lane->busy.share * 1e6), RELAXED);
    atomic_store_explicit(&lane->busy_at, end_ns, RELAXED);
}

double ph_lane_busy(const struct ph_lane *lane)
{
    int64_t age = ph_now_ns() - atomic_load_explicit(&lane->busy_at, RELAXED);
    if (age > 2 * PH_SECOND_NS) return 0;
    return atomic_load_explicit(&lane->busy_ppm, RELAXED) * 1e-6;
}

static void mark_due(struct ph_lane *lane)
{
    for (int i = 0; i < lane->node_count; i++) {
        struct ph_node *n = lane->nodes[i];
        if (n->source && !n->done) n->due_now = ph_node_due_ns(n, lane->now_ns) <= lane->now_ns;
    }
}

static bool all_done(const struct ph_lane *lane)
{
    for (int i = 0; i < lane->node_count; i++)
        if (!lane->nodes[i]->done) return false;
    return true;
}

// What nobody reads any more need not be made: ends go up against the stream, too.
static void end_unread(struct ph_lane *lane)
{
    for (int i = lane->node_count - 1; i >= 0; i--) {
        struct ph_node *n = lane->nodes[i];
        if (!ph_node_is_unread(n)) continue;
        n->unread = true;
        ph_node_finish(n);
    }
}

// What a run begins with. false: the lane took changes only, because it must not make a frame.
static bool begin_run(struct ph_lane *lane)
{
    if (lane->graph->replay) {
        ph_replay_step(lane);
        ph_lane_drop_stale(lane);
        return true;
    }
    ph_lane_settle(lane);
    if (is_blocked(lane)) return false;
    take_inputs(lane);
    ph_lane_drop_stale(lane);
    mark_due(lane);
    return true;
}

void ph_lane_run(struct ph_lane *lane)
{
    struct ph_graph *g = lane->graph;
    bool did = false;
    lane->now_ns = ph_graph_now_ns(g);
    lane->pass++;
    lane->work_ns = 0;
    end_unread(lane);
    bool work = begin_run(lane);
    for (int i = 0; i < lane->node_count && work; i++) did |= ph_node_run(lane->nodes[i]);
    if (did || g->replay) { // a replay that has left its script goes on all the same
        atomic_store_explicit(&lane->run, atomic_load_explicit(&lane->run, RELAXED) + 1,
                              RELAXED);
        if (g->par.mode != PH_STEPPED) note_busy(lane, ph_now_ns());
    }
    if (all_done(lane)) atomic_store(&lane->done, true);
}

void ph_lane_commit(struct ph_lane *lane)
{
    for (int i = 0; i < lane->leaving_count; i++)
        ph_link_commit(lane->leaving[i], ph_graph_now_ns(lane->graph));
}

// --- rest

static bool feeds(const struct ph_link *l, const struct ph_lane *lane)
{
    return l->feeders[lane->index / 64] >> (lane->index % 64) & 1;
}

static bool rests(struct ph_lane *lane)
{
    if (atomic_load(&lane->done)) return true;
    pthread_mutex_lock(&lane->lock);
    bool yes = lane->resting && !lane->poked;
    pthread_mutex_unlock(&lane->lock);
    for (int i = 0; i < lane->in_count && yes; i++) // it may rest because its output is full
        yes = is_hold(lane->in[i]) || !ph_link_has(lane->in[i]);
    return yes;
}

// All are looked at twice: one that was at work during the first look may have fed one that was
// looked at before it. None may have woken up meanwhile.
bool ph_lane_feeders_rest(struct ph_link *l)
{
    struct ph_graph *g = l->graph;
    uint64_t wakes = atomic_load(&g->wakes);
    for (int look = 0; look < 2; look++)
        for (int i = 0; i < g->lane_count; i++)
            if (feeds(l, g->lanes[i]) && !rests(g->lanes[i])) return false;
    return atomic_load(&g->wakes) == wakes;
}

static void tell_rest(struct ph_graph *g)
{
    for (int i = 0; i < g->link_count && g->own_fed; i++) {
        struct ph_link *l = g->links[i];
        if (!l->own_fed) continue;
        pthread_mutex_lock(&l->lock);
        pthread_cond_signal(&l->changed);
        pthread_mutex_unlock(&l->lock);
    }
}

static void sleep_until(struct ph_lane *lane, int64_t due)
{
    struct ph_graph *g = lane->graph;
    struct timespec t = { due / PH_SECOND_NS, due % PH_SECOND_NS };
    pthread_mutex_lock(&lane->lock);
    if ((g->own_fed || g->rings) && due == PH_NEVER && !lane->poked) {
        lane->resting = true;
        pthread_mutex_unlock(&lane->lock);
        tell_rest(g);
        ph_still_look(g);
        pthread_mutex_lock(&lane->lock);
    }
    if (!lane->poked && due == PH_NEVER)
        pthread_cond_wait(&lane->wake, &lane->lock);
    else if (!lane->poked)
        pthread_cond_timedwait(&lane->wake, &lane->lock, &t);
    if (lane->resting) atomic_fetch_add(&g->wakes, 1);
    lane->resting = lane->poked = false;
    pthread_mutex_unlock(&lane->lock);
}

// --- its thread

// true = run; false = the lane is to stop.
static bool wait_for_work(struct ph_lane *lane)
{
    struct ph_graph *g = lane->graph;
    for (;;) {
        if (atomic_load(&g->stopping) || atomic_load(&g->pausing)) return false;
        if (atomic_load_explicit(&lane->done, RELAXED)) return false;
        if (g->replay && ph_replay_over(lane)) return false;
        int64_t now = ph_now_ns(), due = ph_lane_due_ns(lane, now);
        if (due <= now) return true;
        sleep_until(lane, due);
    }
}

static void *lane_main(void *opaque)
{
    struct ph_lane *lane = opaque;
    char name[16];
    snprintf(name, sizeof name, "ph:%.12s", lane->name);
    pthread_setname_np(pthread_self(), name);
    while (wait_for_work(lane)) ph_lane_run(lane);
    tell_rest(lane->graph);
    ph_still_look(lane->graph);
    if (lane->graph->replay) ph_replay_rest(lane);
    pthread_mutex_lock(&lane->graph->done_lock);
    atomic_store(&lane->ended, true);
    pthread_cond_broadcast(&lane->graph->done_cond);
    pthread_mutex_unlock(&lane->graph->done_lock);
    return NULL;
}

ph_err ph_lane_start(struct ph_lane *lane)
{
    atomic_store(&lane->ended, false);
    lane->started = pthread_create(&lane->thread, NULL, lane_main, lane) == 0;
    return lane->started ? PH_OK : PH_ENOMEM;
}

void ph_lane_join(struct ph_lane *lane)
{
    if (lane->started) pthread_join(lane->thread, NULL);
    lane->started = false;
}
