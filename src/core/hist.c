// SPDX-License-Identifier: MIT
#include "core/hist.h"

#include <string.h>

#define RELAXED memory_order_relaxed

// value → bucket: 8 linear steps in each octave; the first 8 values exactly
static int bucket_of(int64_t v)
{
    if (v < 8) return v < 0 ? 0 : (int) v;
    int octave = 63 - __builtin_clzll((unsigned long long) v); // >= 3
    int index = (octave - 2) * 8 + (int) ((v >> (octave - 3)) & 7);
    return index < PH_HIST_BUCKETS ? index : PH_HIST_BUCKETS - 1;
}

// the middle of a bucket, so that the error is half a step to either side
static double middle_of(int index)
{
    if (index < 8) return index;
    int octave = index / 8 + 2;
    double step = (double) (INT64_C(1) << (octave - 3));
    return (8 + index % 8) * step + (step - 1) * 0.5;
}

void ph_hist_add(struct ph_hist *h, int64_t value_ns, int64_t now_ns)
{
    int half = atomic_load_explicit(&h->half, RELAXED);
    int64_t since = atomic_load_explicit(&h->since_ns, RELAXED);
    if (now_ns - since >= PH_HIST_WINDOW_NS) {
        half ^= 1;
        for (int i = 0; i < PH_HIST_BUCKETS; i++)
            atomic_store_explicit(&h->count[half][i], 0, RELAXED);
        // both halves are stale after a long pause
        if (now_ns - since >= 2 * PH_HIST_WINDOW_NS)
            for (int i = 0; i < PH_HIST_BUCKETS; i++)
                atomic_store_explicit(&h->count[half ^ 1][i], 0, RELAXED);
        atomic_store_explicit(&h->half, half, RELAXED);
        atomic_store_explicit(&h->since_ns, now_ns, RELAXED);
    }
    atomic_fetch_add_explicit(&h->count[half][bucket_of(value_ns)], 1, RELAXED);
    atomic_fetch_add_explicit(&h->total, 1, RELAXED);
    atomic_fetch_add_explicit(&h->sum_ns, (uint64_t) (value_ns > 0 ? value_ns : 0), RELAXED);
}

static uint64_t snapshot(const struct ph_hist *h, uint32_t *count)
{
    uint64_t n = 0;
    for (int i = 0; i < PH_HIST_BUCKETS; i++) {
        count[i] = atomic_load_explicit(&h->count[0][i], RELAXED) +
                   atomic_load_explicit(&h->count[1][i], RELAXED);
        n += count[i];
    }
    return n;
}

void ph_hist_quantiles(const struct ph_hist *h, const double *q, int n, double *out_ns)
{
    uint32_t count[PH_HIST_BUCKETS];
    uint64_t total = snapshot(h, count);
    for (int k = 0; k < n; k++) {
        uint64_t want = (uint64_t) (q[k] * (double) total), seen = 0;
        out_ns[k] = 0;
        for (int i = 0; total && i < PH_HIST_BUCKETS; i++) {
            seen += count[i];
            if (!count[i] || (seen <= want && seen < total)) continue;
            out_ns[k] = middle_of(i);
            break;
        }
    }
}

uint64_t ph_hist_count(const struct ph_hist *h)
{
    uint32_t count[PH_HIST_BUCKETS];
    return snapshot(h, count);
}

#define PH_RATE_WINDOW_NS INT64_C(2000000000)
#define SLOT_NS           (PH_RATE_WINDOW_NS / 16)
#define COUNT_BITS        24
#define COUNT_MASK        ((UINT64_C(1) << COUNT_BITS) - 1)

void ph_rate_add(struct ph_rate *r, int64_t now_ns)
{
    uint64_t number = (uint64_t) (now_ns / SLOT_NS);
    _Atomic uint64_t *slot = &r->slot[number % 16];
    uint64_t old = atomic_load_explicit(slot, RELAXED), fresh;
    do fresh = old >> COUNT_BITS == number ? old + 1 : (number << COUNT_BITS) | 1;
    while (!atomic_compare_exchange_weak_explicit(slot, &old, fresh, RELAXED, RELAXED));
    int64_t last = atomic_exchange_explicit(&r->last_ns, now_ns, RELAXED);
    if (!last || now_ns - last > PH_RATE_WINDOW_NS)
        atomic_store_explicit(&r->first_ns, now_ns, RELAXED);
    atomic_fetch_add_explicit(&r->total, 1, RELAXED);
}

double ph_rate_get(const struct ph_rate *r, int64_t now_ns)
{
    uint64_t number = (uint64_t) (now_ns / SLOT_NS), events = 0;
    for (int i = 0; i < 16; i++) {
        uint64_t s = atomic_load_explicit(&r->slot[i], RELAXED);
        // the present slot is not full yet: the 15 before it are a whole window
        if (s >> COUNT_BITS < number && (s >> COUNT_BITS) + 15 >= number)
            events += s & COUNT_MASK;
    }
    int64_t window = 15 * SLOT_NS;
    int64_t first = atomic_load_explicit(&r->first_ns, RELAXED);
    int64_t elapsed = (int64_t) number * SLOT_NS - first;
    if (first && elapsed < window) window = elapsed;
    return window > 0 ? (double) events * 1e9 / (double) window : 0;
}
