// SPDX-License-Identifier: MIT
#include "nn/cpu/slots.h"

#include <stdatomic.h>

#include "nn/cpu/pool.h"
#include "nn/plan_priv.h"

static size_t rounded(size_t each)
{
    return (each + 63) & ~(size_t) 63;
}

size_t ph_slots_bytes(const struct ph_device *device, size_t each)
{
    return rounded(each) * (size_t) device->threads;
}

struct job {
    _Atomic int64_t next;
    int64_t units;
    char *scratch;
    size_t each;
    void (*fn)(void *arg, int64_t unit, void *piece);
    void *arg;
};

static void run_slot(void *arg, int slot)
{
    struct job *j = arg;
    void *piece = j->scratch ? j->scratch + (size_t) slot * j->each : NULL;
    for (;;) {
        int64_t unit = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
        if (unit >= j->units) return;
        j->fn(j->arg, unit, piece);
    }
}

void ph_slots_run(const struct ph_run *run, int64_t units, size_t each,
                  void (*fn)(void *arg, int64_t unit, void *piece), void *arg)
{
    struct job j = { 0, units, each ? run->scratch : NULL, rounded(each), fn, arg };
    ph_parallel(units < run->threads ? (int) units : run->threads, run_slot, &j);
}
