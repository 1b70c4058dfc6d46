// SPDX-License-Identifier: MIT
#include "graph/graph_priv.h"

// --- whether it can come to that

static int root_of(int *root, int i)
{
    while (root[i] != i) i = root[i] = root[root[i]];
    return i;
}

// Two ways between two lanes, whichever way they lead.
bool ph_still_rings(const struct ph_ast *ast)
{
    int root[PH_MAX_NODES];
    for (int i = 0; i < ast->lanes; i++) root[i] = i;
    for (int i = 0; i < ast->link_count; i++) {
        int from = ast->lane[ast->links[i].from], to = ast->lane[ast->links[i].to];
        if (from == to) continue;
        int a = root_of(root, from), b = root_of(root, to);
        if (a == b) return true;
        root[a] = b;
    }
    return false;
}

// --- whether it has come to that

static bool rests(struct ph_lane *lane)
{
    if (atomic_load(&lane->done)) return true;
    pthread_mutex_lock(&lane->lock);
    bool yes = lane->resting && !lane->poked;
    pthread_mutex_unlock(&lane->lock);
    return yes;
}

static bool holds(const struct ph_lane *lane)
{
    struct ph_link *l = lane->holding;
    if (!l) return false;
    pthread_mutex_lock(&l->lock);
    bool yes = !l->ring.count && !l->eof && !l->let_go &&
               !(l->own_fed && ph_lane_feeders_rest(l)); // else it is about to go on
    pthread_mutex_unlock(&l->lock);
    return yes;
}

// Who feeds this port from outside waits at another port of the same node: a film's sound does not
// come while its pictures find no room, since one thread brings both.
static bool waits_elsewhere(const struct ph_link *l)
{
    const struct ph_node *n = l->to;
    for (int p = 0; n->info->in[p].name; p++) {
        struct ph_link *other = n->in[p].count ? n->in[p].links[0] : NULL;
        if (!other || other == l || other->from) continue;
        pthread_mutex_lock(&other->lock);
        bool waits = other->refused && other->ring.count >= other->depth;
        pthread_mutex_unlock(&other->lock);
        if (waits) return true;
    }
    return false;
}

// Nothing more comes from outside through it until its consumer moves.
static bool is_quiet(struct ph_link *l)
{
    if (l->from || waits_elsewhere(l))
        return true; // from: within a lane no lock is held either
    pthread_mutex_lock(&l->lock);
    bool full = l->drop == PH_DROP_BLOCK && l->ring.count >= l->depth;
    bool unfed = !l->fed; // a file that is no stream has such ports
    bool yes = unfed || l->eof || full || atomic_load(&l->unread);
    pthread_mutex_unlock(&l->lock);
    return yes;
}

// Twice, as for ph_lane_feeders_rest: one that was at work during the first look may have woken one
// that was looked at before it.
static bool all_stand_still(struct ph_graph *g)
{
    uint64_t wakes = atomic_load(&g->wakes);
    for (int look = 0; look < 2; look++) {
        for (int i = 0; i < g->lane_count; i++)
            if (!holds(g->lanes[i]) && !rests(g->lanes[i])) return false;
        for (int i = 0; i < g->link_count; i++)
            if (!is_quiet(g->links[i])) return false;
    }
    return atomic_load(&g->wakes) == wakes;
}

// --- and how it goes on

static struct ph_link *smallest_full(const struct ph_graph *g)
{
    struct ph_link *best = NULL;
    for (int i = 0; i < g->lane_count; i++)
        for (int k = 0; k < g->lanes[i]->blocking_count; k++) {
            struct ph_link *l = g->lanes[i]->blocking[k];
            bool done = atomic_load(&g->lanes[i]->done);
            if (!done && ph_link_full(l) && (!best || l->depth < best->depth)) best = l;
        }
    return best;
}

static struct ph_lane *earliest(const struct ph_graph *g)
{
    struct ph_lane *best = NULL;
    for (int i = 0; i < g->lane_count; i++) {
        struct ph_lane *lane = g->lanes[i];
        bool first = lane->holding && (!best || lane->holding_pts_ns < best->holding_pts_ns);
        if (first) best = lane;
    }
    return best;
}

static void grow(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    l->depth *= 2;
    pthread_mutex_unlock(&l->lock);
    ph_lane_poke(l->from->lane);
}

static void let_go(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    l->let_go = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void ph_still_look(struct ph_graph *g)
{
    if (!g->rings) return;
    pthread_mutex_lock(&g->still_lock);
    if (all_stand_still(g)) {
        struct ph_link *full = smallest_full(g);
        struct ph_lane *lane = earliest(g);
        if (full)
            grow(full);
        else if (lane)
            let_go(lane->holding);
    }
    pthread_mutex_unlock(&g->still_lock);
}

void ph_still_hold(struct ph_lane *lane, struct ph_link *l, int64_t pts_ns)
{
    struct ph_graph *g = lane->graph;
    if (!g->rings) return;
    pthread_mutex_lock(&g->still_lock);
    lane->holding = l;
    lane->holding_pts_ns = pts_ns;
    pthread_mutex_unlock(&g->still_lock);
    ph_still_look(g);
}

bool ph_still_go_on(struct ph_lane *lane)
{
    struct ph_graph *g = lane->graph;
    if (!g->rings) return false;
    pthread_mutex_lock(&g->still_lock);
    struct ph_link *l = lane->holding;
    pthread_mutex_lock(&l->lock);
    bool go_on = l->let_go;
    l->let_go = false;
    pthread_mutex_unlock(&l->lock);
    lane->holding = NULL;
    atomic_fetch_add(&g->wakes, 1);
    pthread_mutex_unlock(&g->still_lock);
    return go_on;
}
