// SPDX-License-Identifier: MIT
// Times and rates over the last few seconds, written by one thread and read by any, lock-free.
#ifndef PH_CORE_HIST_H
#define PH_CORE_HIST_H

#include <phosphene/common.h>

#include <stdatomic.h>

// Log-linear buckets, 8 per octave (error below 7 %), 0 ns to 73 minutes. Two halves of
// PH_HIST_WINDOW_NS each take turns, so that a quantile speaks of the last 5 to 10 seconds.
#define PH_HIST_BUCKETS   (40 * 8)
#define PH_HIST_WINDOW_NS (5 * INT64_C(1000000000))

struct ph_hist {
    _Atomic uint32_t count[2][PH_HIST_BUCKETS];
    _Atomic int64_t since_ns; // start of the current half
    _Atomic int half;
    _Atomic uint64_t total;  // samples ever
    _Atomic uint64_t sum_ns; // of all samples ever
};

void ph_hist_add(struct ph_hist *h, int64_t value_ns, int64_t now_ns); // one writer
// Quantiles q[0..n) in 0..1 of the window into out_ns; zeros when empty. Any reader.
void ph_hist_quantiles(const struct ph_hist *h, const double *q, int n, double *out_ns);
uint64_t ph_hist_count(const struct ph_hist *h); // samples in the window

// Events per second over the last two seconds, in 16 slots of 1/8 s.
struct ph_rate {
    _Atomic uint64_t slot[16]; // slot number << 24 | count
    _Atomic int64_t first_ns;  // start of the present run of events: a longer gap begins anew
    _Atomic int64_t last_ns;   // newest event
    _Atomic uint64_t total;
};
void ph_rate_add(struct ph_rate *r, int64_t now_ns); // any writer
double ph_rate_get(const struct ph_rate *r, int64_t now_ns);

#endif
