// SPDX-License-Identifier: MIT
#include "graph/graph_priv.h"

#include <stdlib.h>

#define RELAXED memory_order_relaxed

// Two threads may count drops (a push that overwrites, a pop that skips).
static void count(_Atomic uint64_t *c)
{
    atomic_fetch_add_explicit(c, 1, RELAXED);
}

ph_err ph_link_create(struct ph_link **out, struct ph_graph *g)
{
    struct ph_link *l = calloc(1, sizeof *l);
    *out = l;
    if (!l) return PH_ENOMEM;
    l->graph = g;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    return PH_OK;
}

static void ring_clear(struct link_ring *r)
{
    for (; r->count; r->count--) {
        ph_frame_unref(&r->items[r->head].frame);
        r->head = (r->head + 1) % r->capacity;
    }
}

void ph_link_clear(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    ring_clear(&l->ring);
    ring_clear(&l->staged);
    atomic_store_explicit(&l->queued, 0, RELAXED);
    pthread_mutex_unlock(&l->lock);
    ph_frame_unref(&l->inbox.frame);
    ph_frame_unref(&l->held);
}

void ph_link_destroy(struct ph_link **out)
{
    struct ph_link *l = *out;
    *out = NULL;
    if (!l) return;
    ph_link_clear(l);
    free(l->ring.items);
    free(l->staged.items);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

// Grows only while a link warms up: a run may write more frames than the depth of a BLOCK link.
static bool ring_reserve(struct link_ring *r)
{
    if (r->count < r->capacity) return true;
    int capacity = r->capacity ? r->capacity * 2 : 8;
    struct link_item *items = malloc((size_t) capacity * sizeof *items);
    if (!items) return false;
    for (int i = 0; i < r->count; i++) items[i] = r->items[(r->head + i) % r->capacity];
    free(r->items);
    *r = (struct link_ring){ items, 0, r->count, capacity };
    return true;
}

static bool ring_put(struct link_ring *r, struct link_item item)
{
    if (!ring_reserve(r)) return false;
    r->items[(r->head + r->count++) % r->capacity] = item;
    return true;
}

static struct link_item ring_get(struct link_ring *r)
{
    struct link_item item = r->items[r->head];
    r->head = (r->head + 1) % r->capacity;
    r->count--;
    return item;
}

static void note_queue(struct ph_link *l)
{
    atomic_store_explicit(&l->queued, l->ring.count, RELAXED);
    int64_t oldest = l->ring.count ? l->ring.items[l->ring.head].pushed_ns : 0;
    atomic_store_explicit(&l->oldest_ns, oldest, RELAXED);
}

// Makes room as the policy says. false = this frame is the one that goes.
static bool make_room(struct ph_link *l, const struct ph_frame *f)
{
    bool key = f->kind != PH_PACKET || f->packet.key;
    if (l->drop == PH_DROP_TO_KEY && l->wait_key && !key) return false;
    if (key) l->wait_key = false;
    if (l->ring.count < l->depth || l->drop == PH_DROP_BLOCK) return true;
    if (l->drop == PH_DROP_TO_KEY) {
        // what is queued cannot be decoded to the end any more
        while (l->ring.count) {
            struct link_item old = ring_get(&l->ring);
            ph_frame_unref(&old.frame);
            count(&l->dropped_full);
        }
        l->wait_key = !key;
        return key;
    }
    struct link_item old = ring_get(&l->ring);
    ph_frame_unref(&old.frame);
    count(&l->dropped_full);
    return true;
}

static bool push_locked(struct ph_link *l, struct ph_frame *f, int64_t now_ns)
{
    l->pushed++;
    bool kept = !l->needs || ph_replay_keeps(l);
    if (!kept || atomic_load_explicit(&l->unread, RELAXED)) {
        ph_frame_unref(&f);
        return false;
    }
    bool fits = make_room(l, f);
    if (fits && ring_put(&l->ring, (struct link_item){ f, now_ns, l->pushed })) {
        note_queue(l);
        return true;
    }
    count(&l->dropped_full);
    ph_frame_unref(&f);
    return false;
}

bool ph_link_push(struct ph_link *l, struct ph_frame *f, int64_t now_ns, bool may_refuse)
{
    if (!l->queue) {
        push_locked(l, f, now_ns); // one lane on both sides
        return true;
    }
    pthread_mutex_lock(&l->lock);
    bool refuse = may_refuse && l->drop == PH_DROP_BLOCK && l->ring.count >= l->depth &&
                  !atomic_load_explicit(&l->unread, RELAXED);
    if (!refuse) push_locked(l, f, now_ns);
    l->refused = refuse;
    l->fed = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (!refuse && l->to->lane) ph_lane_poke(l->to->lane);
    if (!l->from) ph_still_look(l->graph);
    return !refuse;
}

void ph_link_stage(struct ph_link *l, struct ph_frame *f)
{
    if (!ring_put(&l->staged, (struct link_item){ .frame = f })) ph_frame_unref(&f);
}

void ph_link_commit(struct ph_link *l, int64_t now_ns)
{
    while (l->staged.count) ph_link_push(l, ring_get(&l->staged).frame, now_ns, false);
}

void ph_link_close(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    l->eof = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->queue && l->to->lane) ph_lane_poke(l->to->lane);
    if (!l->from) ph_still_look(l->graph);
}

// The flag is set under the lock, so that a push which has not seen it is cleared with the rest.
void ph_link_abandon(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    atomic_store_explicit(&l->unread, true, RELAXED);
    pthread_mutex_unlock(&l->lock);
    ph_link_clear(l);
    if (l->queue && l->from && l->from->lane) ph_lane_poke(l->from->lane);
}

bool ph_link_full(struct ph_link *l)
{
    pthread_mutex_lock(&l->lock);
    bool full = l->drop == PH_DROP_BLOCK && l->ring.count + l->staged.count >= l->depth &&
                !atomic_load_explicit(&l->unread, RELAXED);
    pthread_mutex_unlock(&l->lock);
    return full;
}

bool ph_link_has(struct ph_link *l)
{
    return atomic_load_explicit(&l->queued, RELAXED) > 0;
}

bool ph_link_ended(struct ph_link *l)
{
    if (l->inbox.frame) return false;
    pthread_mutex_lock(&l->lock);
    bool ended = l->eof && !l->ring.count && !l->staged.count;
    pthread_mutex_unlock(&l->lock);
    return ended;
}

static bool pop_locked(struct ph_link *l, uint32_t min_epoch, struct link_item *out)
{
    while (l->ring.count) {
        *out = ring_get(&l->ring);
        // epochs wrap after four thousand million cuts; the difference does not care
        if ((int32_t) (out->frame->epoch - min_epoch) >= 0) return true;
        ph_frame_unref(&out->frame);
        count(&l->dropped_epoch);
    }
    return false;
}

bool ph_link_pop(struct ph_link *l, uint32_t min_epoch, struct link_item *out)
{
    if (l->queue) pthread_mutex_lock(&l->lock);
    bool was_full = l->drop == PH_DROP_BLOCK && l->ring.count >= l->depth;
    bool got = pop_locked(l, min_epoch, out);
    note_queue(l);
    bool room = was_full && l->ring.count < l->depth;
    if (l->queue) pthread_mutex_unlock(&l->lock);
    if (got) count(&l->passed);
    if (room && l->queue && l->from && l->from->lane) ph_lane_poke(l->from->lane);
    return got;
}
