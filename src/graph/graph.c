// SPDX-License-Identifier: MIT
#include "graph/graph_priv.h"

#include "core/tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

// --- small things every part asks for

int64_t ph_graph_now_ns(const struct ph_graph *g)
{
    return g->par.mode == PH_STEPPED ? atomic_load_explicit(&g->vnow_ns, memory_order_relaxed)
                                     : ph_now_ns();
}

void ph_graph_event(struct ph_graph *g, const struct ph_event *e)
{
    if (g->par.event) g->par.event(g->par.opaque, e);
}

struct ph_node *ph_graph_find(struct ph_graph *g, const char *name)
{
    for (int i = 0; i < g->node_count; i++)
        if (!strcmp(g->nodes[i]->name, name)) return g->nodes[i];
    return NULL;
}

bool ph_graph_awake(struct ph_graph *g)
{
    bool sinks = false;
    if (g->par.mode != PH_LIVE || g->par.always_on) return true;
    for (int i = 0; i < g->node_count; i++) {
        if (!ph_node_is_sink(g->nodes[i])) continue;
        sinks = true;
        if (ph_node_wants(g->nodes[i], PH_CODEC_NONE)) return true;
    }
    return !sinks;
}

void ph_graph_poke_all(struct ph_graph *g)
{
    for (int i = 0; i < g->lane_count; i++) ph_lane_poke(g->lanes[i]);
}

static void tell_end(struct ph_graph *g)
{
    pthread_mutex_lock(&g->done_lock);
    pthread_cond_broadcast(&g->done_cond);
    pthread_mutex_unlock(&g->done_lock);
    ph_graph_event(g, &(struct ph_event){ .type = PH_EVENT_EOF });
}

// The graph is over when every node that leads nowhere has ended: a window that was closed ends
// it although its source would go on.
void ph_graph_end_done(struct ph_graph *g)
{
    if (atomic_fetch_sub(&g->open_ends, 1) == 1) tell_end(g);
}

// --- life

static void init_locks(struct ph_graph *g)
{
    pthread_mutexattr_t recursive; // an edit may come from within a set
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&g->ctl, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_rwlock_init(&g->topo, NULL);
    pthread_mutex_init(&g->control_lock, NULL);
    pthread_mutex_init(&g->done_lock, NULL);
    pthread_mutex_init(&g->still_lock, NULL);
    pthread_mutex_init(&g->clock.lock, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&g->done_cond, &mono);
    pthread_condattr_destroy(&mono);
}

ph_err ph_graph_create(struct ph_graph **out, const char *text,
                       const struct ph_graph_params *par, struct ph_fault *fault)
{
    return ph_graph_make(out, text, par, false, fault);
}

ph_err ph_graph_make(struct ph_graph **out, const char *text, const struct ph_graph_params *par,
                     bool replaying, struct ph_fault *fault)
{
    static const struct ph_graph_params defaults;
    struct ph_fault local;
    ph_err ret = PH_ENOMEM;
    *out = NULL;
    if (!fault) fault = &local;
    *fault = (struct ph_fault){ 0 };
    struct ph_graph *g = calloc(1, sizeof *g);
    if (!g) return ph_fail(fault, PH_ENOMEM, "graph", "out of memory");
    g->par = par ? *par : defaults;
    if (g->par.log) g->log = *g->par.log;
    g->types = g->par.nodes ? g->par.nodes : ph_nodes();
    g->seed = g->par.seed ? g->par.seed : 1;
    g->replaying = replaying;
    init_locks(g);
    struct ph_ast *ast = NULL;
    PH_TRY(ph_ast_parse(&ast, text, g->types, fault));
    PH_TRY(ph_graph_build(g, ast, fault)); // takes ast
    if (g->par.journal) PH_TRY(ph_journal_open(&g->journal, g->par.journal, g, fault));
    *out = g;
    return PH_OK;
fail:
    ph_graph_destroy(&g);
    return ret;
}

ph_err ph_graph_start_lanes(struct ph_graph *g)
{
    int open = 0;
    ph_err ret = PH_OK;
    for (int i = 0; i < g->node_count; i++)
        open += ph_node_is_end(g->nodes[i]) && !g->nodes[i]->done;
    // an edit may leave nothing but what had ended
    if (atomic_exchange(&g->open_ends, open) > 0 && !open) tell_end(g);
    for (int i = 0; i < g->lane_count && g->par.mode != PH_STEPPED && ret == PH_OK; i++)
        if (!atomic_load(&g->lanes[i]->done)) ret = ph_lane_start(g->lanes[i]);
    if (ret < 0) ph_error(&g->log, "graph", "no more threads: not every lane runs");
    return ret;
}

// Lanes look at stopping and pausing between runs; hold ports of OFFLINE graphs wait on links.
static void wake_lanes(struct ph_graph *g)
{
    ph_graph_poke_all(g);
    for (int i = 0; i < g->link_count; i++) {
        pthread_mutex_lock(&g->links[i]->lock);
        pthread_cond_broadcast(&g->links[i]->changed);
        pthread_mutex_unlock(&g->links[i]->lock);
    }
}

void ph_graph_join_lanes(struct ph_graph *g)
{
    wake_lanes(g);
    for (int i = 0; i < g->lane_count; i++) ph_lane_join(g->lanes[i]);
}

// A lane that has ended and was not reaped; *left: some lane was not.
static struct ph_lane *ended_lane(struct ph_graph *g, bool *left)
{
    *left = false;
    for (int i = 0; i < g->lane_count; i++) {
        struct ph_lane *lane = g->lanes[i];
        if (lane->reaped) continue;
        *left = true;
        if (!lane->started || atomic_load(&lane->ended)) return lane;
    }
    return NULL;
}

// What others may still ask (wants) stays open until all lanes have ended.
static void close_sinks(struct ph_lane *lane)
{
    for (int i = 0; i < lane->node_count; i++)
        if (ph_node_is_sink(lane->nodes[i]) && !lane->nodes[i]->info->wants)
            ph_node_close(lane->nodes[i]);
}

// In the order in which they end: a lane inside a long step, which may be killed in it, must not
// keep the others from finishing their files.
static void reap_lanes(struct ph_graph *g)
{
    struct ph_lane *lane;
    bool left;
    wake_lanes(g);
    do {
        pthread_mutex_lock(&g->done_lock);
        while (!(lane = ended_lane(g, &left)) && left)
            pthread_cond_wait(&g->done_cond, &g->done_lock);
        pthread_mutex_unlock(&g->done_lock);
        if (!lane) continue;
        ph_lane_join(lane);
        close_sinks(lane);
        lane->reaped = true;
    } while (left);
}

ph_err ph_graph_start(struct ph_graph *g)
{
    ph_err ret = PH_OK;
    if (g->par.mode == PH_STEPPED) return PH_EINVAL;
    pthread_mutex_lock(&g->ctl);
    if (!g->started) {
        g->started_ns = ph_now_ns();
        ret = ph_graph_start_lanes(g);
        g->started = true; // only now there are ends that can be waited for
    }
    pthread_mutex_unlock(&g->ctl);
    return ret;
}

void ph_graph_stop(struct ph_graph *g)
{
    atomic_store(&g->stopping, true);
    pthread_mutex_lock(&g->ctl);
    reap_lanes(g);
    pthread_mutex_unlock(&g->ctl);
    pthread_mutex_lock(&g->done_lock);
    pthread_cond_broadcast(&g->done_cond);
    pthread_mutex_unlock(&g->done_lock);
}

ph_err ph_graph_wait(struct ph_graph *g, int64_t timeout_ns)
{
    int64_t now = ph_now_ns();
    if (timeout_ns > PH_NEVER - now) timeout_ns = -1;
    int64_t until = timeout_ns < 0 ? PH_NEVER : now + timeout_ns;
    struct timespec t = { until / PH_SECOND_NS, until % PH_SECOND_NS };
    bool started = atomic_load(&g->started);
    int timed_out = 0;
    pthread_mutex_lock(&g->done_lock);
    while (started && atomic_load(&g->open_ends) > 0 && !atomic_load(&g->stopping) &&
           !timed_out)
        timed_out = timeout_ns < 0 ? pthread_cond_wait(&g->done_cond, &g->done_lock)
                                   : pthread_cond_timedwait(&g->done_cond, &g->done_lock, &t);
    bool done = started && atomic_load(&g->open_ends) <= 0;
    pthread_mutex_unlock(&g->done_lock);
    if (!started && !atomic_load(&g->stopping)) return PH_EINVAL;
    return done ? PH_EOF : atomic_load(&g->stopping) ? PH_ESTOPPED : PH_MORE;
}

static void free_orphans(struct ph_graph *g)
{
    while (g->orphans) {
        struct subscription *s = g->orphans;
        g->orphans = s->next;
        free(s);
    }
}

void ph_graph_destroy(struct ph_graph **out)
{
    struct ph_graph *g = *out;
    *out = NULL;
    if (!g) return;
    ph_graph_stop(g);
    ph_journal_close(&g->journal, g);
    // their threads may look at links and at one another until then
    for (int i = 0; i < g->node_count; i++) ph_node_close(g->nodes[i]);
    for (int i = 0; i < g->link_count; i++)
        if (g->links[i]->from)
            ph_link_destroy(&g->links[i]); // external ones go with their node
    for (int i = 0; i < g->node_count; i++) {
        ph_node_orphan_subscriptions(g->nodes[i]);
        ph_node_destroy(&g->nodes[i]);
    }
    for (int i = 0; i < g->lane_count; i++) ph_lane_destroy(&g->lanes[i]);
    while (g->cuts) {
        struct cut_wait *c = g->cuts;
        g->cuts = c->next;
        free(c);
    }
    free_orphans(g);
    free(g->nodes);
    free(g->links);
    free(g->lanes);
    ph_tree_free(g->ast);
    pthread_mutex_destroy(&g->ctl);
    pthread_rwlock_destroy(&g->topo);
    pthread_mutex_destroy(&g->control_lock);
    pthread_mutex_destroy(&g->done_lock);
    pthread_mutex_destroy(&g->still_lock);
    pthread_mutex_destroy(&g->clock.lock);
    pthread_cond_destroy(&g->done_cond);
    free(g);
}

// --- the virtual clock: one thread, events in order of time, then of the lanes

static int64_t next_event(struct ph_lane *lane, int64_t now_ns)
{
    if (lane->finishing) return lane->busy_until_ns;
    int64_t due = ph_lane_due_ns(lane, now_ns);
    if (due == PH_NEVER) return due;
    if (due < lane->busy_until_ns) due = lane->busy_until_ns;
    return due < now_ns ? now_ns : due;
}

static void step_lane(struct ph_lane *lane)
{
    if (lane->finishing) {
        lane->finishing = false;
        ph_lane_commit(lane);
        return;
    }
    ph_lane_run(lane);
    if (!lane->work_ns) {
        ph_lane_commit(lane);
        return;
    }
    // what it made appears when its work is over, and until then it takes nothing new
    lane->busy_until_ns = lane->now_ns + lane->work_ns;
    lane->finishing = true;
}

ph_err ph_graph_step(struct ph_graph *g, int64_t until_ns)
{
    if (g->par.mode != PH_STEPPED) return PH_EINVAL;
    if (!g->started) {
        g->started = true;
        ph_graph_start_lanes(g);
    }
    for (;;) {
        int64_t now = ph_graph_now_ns(g), best_ns = PH_NEVER;
        struct ph_lane *best = NULL;
        for (int i = 0; i < g->lane_count; i++) {
            int64_t t = next_event(g->lanes[i], now);
            bool first = t < best_ns ||
                         (t == best_ns && best && g->lanes[i]->finishing && !best->finishing);
            if (!first) continue;
            best_ns = t;
            best = g->lanes[i];
        }
        if (!best || best_ns > until_ns) break;
        atomic_store(&g->vnow_ns, best_ns);
        step_lane(best);
    }
    if (ph_graph_now_ns(g) < until_ns) atomic_store(&g->vnow_ns, until_ns);
    return atomic_load(&g->open_ends) <= 0 ? PH_EOF : PH_MORE;
}

// --- outside

ph_err ph_graph_push(struct ph_graph *g, const char *node, struct ph_frame **f)
{
    ph_err ret = PH_ENOENT;
    pthread_rwlock_rdlock(&g->topo);
    struct ph_node *n = ph_graph_find(g, node);
    for (int i = 0; n && i < n->in_count; i++) {
        if (!(n->in[i].info->flags & PH_PORT_EXTERNAL)) continue;
        ret = ph_node_push(n, i, f);
        break;
    }
    pthread_rwlock_unlock(&g->topo);
    if (ret < 0) ph_frame_unref(f);
    return ret;
}

ph_err ph_graph_subscribe(struct ph_graph *g, const char *node, struct ph_subscriber *sub)
{
    struct subscription *s = calloc(1, sizeof *s);
    if (!s) return PH_ENOMEM;
    s->sub = sub;
    strncpy(s->node, node, sizeof s->node - 1);
    pthread_rwlock_wrlock(&g->topo);
    struct ph_node *n = ph_graph_find(g, node);
    if (n) {
        pthread_mutex_lock(&n->sub_lock);
        s->next = n->subs;
        n->subs = s;
        pthread_mutex_unlock(&n->sub_lock);
    } else {
        s->next = g->orphans;
        g->orphans = s;
    }
    ph_graph_poke_all(g);
    pthread_rwlock_unlock(&g->topo);
    return PH_OK;
}

static bool remove_subscription(struct subscription **at, const struct ph_subscriber *sub)
{
    for (; *at; at = &(*at)->next) {
        if ((*at)->sub != sub) continue;
        struct subscription *s = *at;
        *at = s->next;
        free(s);
        return true;
    }
    return false;
}

void ph_graph_unsubscribe(struct ph_graph *g, struct ph_subscriber *sub)
{
    pthread_rwlock_wrlock(&g->topo);
    bool found = remove_subscription(&g->orphans, sub);
    for (int i = 0; i < g->node_count && !found; i++) {
        struct ph_node *n = g->nodes[i];
        pthread_mutex_lock(&n->sub_lock);
        found = remove_subscription(&n->subs, sub);
        pthread_mutex_unlock(&n->sub_lock);
    }
    pthread_rwlock_unlock(&g->topo);
}

void ph_graph_wake(struct ph_graph *g)
{
    pthread_rwlock_rdlock(&g->topo);
    ph_graph_poke_all(g);
    pthread_rwlock_unlock(&g->topo);
}
