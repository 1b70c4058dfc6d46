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

// Drift-free ticks at `num/den` per second. Pure arithmetic, no waiting: the stream time of tick k
// is k * den / num seconds, rounded down once and not k times. num 0 = as fast as possible: always
// due, and the stream time runs as at 60 per second.
struct ph_ticker {
    int64_t start_ns;    // moment at which stream time is 0
    int64_t num, den;    // rate = num / den per second
    uint64_t next;       // index of the next tick; only ever rises
    uint64_t skipped;    // ticks that were never delivered because the caller came too late
    uint64_t base_index; // the present rate holds from this tick on,
    int64_t base_pts_ns; // whose stream time is this
};

PH_API void ph_ticker_init(struct ph_ticker *t, int64_t start_ns, int64_t num, int64_t den);
// From the next tick on; stream time goes on without a step.
PH_API void ph_ticker_set_rate(struct ph_ticker *t, int64_t num, int64_t den);
// When the next tick is due; at once (INT64_MIN) for num 0.
PH_API int64_t ph_ticker_due_ns(const struct ph_ticker *t);
// Takes the newest tick that is due at `now`, counts the ones skipped over, and returns its index.
// Call only at or after ph_ticker_due_ns.
PH_API uint64_t ph_ticker_take(struct ph_ticker *t, int64_t now_ns);
// Stream time of a tick at or after base_index.
PH_API int64_t ph_ticker_pts_ns(const struct ph_ticker *t, uint64_t index);
// The next tick is due at `now` (after a pause): the origin moves, indices and stream time do not.
PH_API void ph_ticker_restart(struct ph_ticker *t, int64_t now_ns);

#ifdef __cplusplus
}
#endif
#endif
