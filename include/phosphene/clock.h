// SPDX-License-Identifier: MIT
// Time is one number: nanoseconds of CLOCK_MONOTONIC, comparable between all threads and
// processes of a machine. A graph that runs on a virtual clock never calls ph_now_ns().
#ifndef PHOSPHENE_CLOCK_H
#define PHOSPHENE_CLOCK_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PH_SECOND_NS INT64_C(1000000000)
#define PH_MS_NS     INT64_C(1000000)
#define PH_NEVER     INT64_MAX

// Nanoseconds since an arbitrary moment; never goes backwards.                     thread: any
PH_API int64_t ph_now_ns(void);

// Sleeps until the moment has come (absolute, so that errors do not add up).       thread: any
PH_API void ph_sleep_until_ns(int64_t when_ns);

// Drift-free ticks at `num/den` per second from `start_ns`. Pure arithmetic, no waiting: tick k
// is due at start + k * den / num seconds, rounded down once and not k times.
struct ph_ticker {
    int64_t start_ns; // moment of tick 0
    int64_t num, den; // rate = num / den per second; num 0 = as fast as possible
    uint64_t next;    // index of the next tick; only ever rises
    uint64_t skipped; // ticks that were never delivered because the caller came too late
};

PH_API void ph_ticker_init(struct ph_ticker *t, int64_t start_ns, int64_t num, int64_t den);
// When the next tick is due; at once (INT64_MIN) for num 0.
PH_API int64_t ph_ticker_due_ns(const struct ph_ticker *t);
// Takes the newest tick that is due at `now`, counts the ones skipped over, and returns its index.
// Call only at or after ph_ticker_due_ns.
PH_API uint64_t ph_ticker_take(struct ph_ticker *t, int64_t now_ns);
// Stream time of a tick: index * den / num seconds, exact.
PH_API int64_t ph_ticker_pts_ns(const struct ph_ticker *t, uint64_t index);
// Starts again at `now` without the indices going back (after a pause, a rate change).
PH_API void ph_ticker_restart(struct ph_ticker *t, int64_t now_ns);

#ifdef __cplusplus
}
#endif
#endif
