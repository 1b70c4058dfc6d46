// SPDX-License-Identifier: MIT
// Which message a landed control belongs to. An id given to the graph is a place in a table and
// how often that place was used before, so that a lane finds it without searching.
#include "room/room_priv.h"

#include <stdlib.h>

ph_err ph_acks_init(struct ph_acks *a)
{
    *a = (struct ph_acks){ .free = -1 };
    return pthread_mutex_init(&a->lock, NULL) ? PH_ENOMEM : PH_OK;
}

void ph_acks_finish(struct ph_acks *a)
{
    pthread_mutex_destroy(&a->lock);
    free(a->items);
}

// A free place, or -1.
static int take_place(struct ph_acks *a)
{
    int i = a->free;
    if (i >= 0) {
        a->free = a->items[i].next_free;
        return i;
    }
    if (a->count == a->capacity) {
        int capacity = a->capacity ? a->capacity * 2 : 64;
        struct ph_pending *items = capacity <= PH_PENDING_MAX
                                       ? realloc(a->items, (size_t) capacity * sizeof *items)
                                       : NULL;
        if (!items) return -1;
        a->items = items;
        a->capacity = capacity;
    }
    a->items[a->count] = (struct ph_pending){ .generation = 1 };
    return a->count++;
}

uint64_t ph_acks_add(struct ph_room *room, struct ph_asker *asker, int count, size_t bytes,
                     bool hard)
{
    struct ph_acks *a = &room->acks;
    uint64_t id = 0;
    pthread_mutex_lock(&a->lock);
    int i = a->bytes + bytes <= PH_PENDING_BYTES ? take_place(a) : -1;
    if (i >= 0) {
        struct ph_pending *p = &a->items[i];
        *p = (struct ph_pending){ .asker = *asker,
                                  .generation = p->generation,
                                  .remaining = count,
                                  .bytes = bytes,
                                  .hard = hard };
        a->bytes += bytes;
        *asker = (struct ph_asker){ 0 };
        id = (uint64_t) p->generation << 32 | (uint64_t) (i + 1);
    }
    pthread_mutex_unlock(&a->lock);
    return id;
}

static struct ph_pending *find(struct ph_acks *a, uint64_t id)
{
    uint64_t place = id & 0xffffffff;
    if (!place || place > (uint64_t) a->count) return NULL;
    struct ph_pending *p = &a->items[place - 1];
    return p->remaining > 0 && p->generation == id >> 32 ? p : NULL;
}

static void give_back(struct ph_acks *a, struct ph_pending *p)
{
    a->bytes -= p->bytes;
    p->generation++;
    p->next_free = a->free;
    a->free = (int) (p - a->items);
}

void ph_acks_landed(struct ph_room *room, uint64_t id, uint64_t frame, uint32_t epoch)
{
    struct ph_acks *a = &room->acks;
    struct ph_pending done = { 0 };
    pthread_mutex_lock(&a->lock);
    struct ph_pending *p = find(a, id);
    if (p) {
        if (frame > p->frame) p->frame = frame;
        p->epoch = epoch;
        if (--p->remaining == 0) {
            done = *p;
            give_back(a, p);
        }
    }
    pthread_mutex_unlock(&a->lock);
    if (!done.generation || done.answered) return;
    if (done.hard) ph_view_cut(room, done.epoch); // before anybody is told
    ph_asker_ack(&done.asker, done.frame, done.epoch);
}

void ph_acks_fail(struct ph_room *room, uint64_t id, int missing, const struct ph_fault *fault)
{
    struct ph_acks *a = &room->acks;
    struct ph_asker asker = { 0 };
    pthread_mutex_lock(&a->lock);
    struct ph_pending *p = find(a, id);
    if (p) {
        asker = p->asker;
        p->asker = (struct ph_asker){ 0 };
        p->answered = true;
        p->remaining -= missing;
        if (p->remaining <= 0) give_back(a, p);
    }
    pthread_mutex_unlock(&a->lock);
    ph_asker_fault(&asker, fault);
}

void ph_acks_fail_all(struct ph_room *room, const struct ph_fault *fault)
{
    struct ph_acks *a = &room->acks;
    for (int i = 0;; i++) {
        pthread_mutex_lock(&a->lock);
        bool more = i < a->count;
        uint64_t id = more ? (uint64_t) a->items[i].generation << 32 | (uint64_t) (i + 1) : 0;
        int remaining = more ? a->items[i].remaining : 0;
        pthread_mutex_unlock(&a->lock);
        if (!more) return;
        if (remaining > 0) ph_acks_fail(room, id, remaining, fault);
    }
}
