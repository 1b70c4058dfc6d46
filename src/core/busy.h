// SPDX-License-Identifier: MIT
// What share of its time something works.
#ifndef PH_CORE_BUSY_H
#define PH_CORE_BUSY_H

#include <stdint.h>

struct ph_busy {
    int64_t begin_ns, work_ns; // of the newest run
    double mean_work_ns, mean_period_ns;
    double share; // 0..1
};

// A run from begin to end, both rising. The share is that of some sixteen runs, from begin to begin:
// their work over their time, and not the mean of their shares, of which one run right after another
// would have as much as a long rest.                                             thread: one
static inline void ph_busy_note(struct ph_busy *b, int64_t begin_ns, int64_t end_ns)
{
    double period = (double) (begin_ns - b->begin_ns);
    if (b->begin_ns && period > 0) {
        b->mean_work_ns += ((double) b->work_ns - b->mean_work_ns) / 16;
        b->mean_period_ns += (period - b->mean_period_ns) / 16;
        b->share =
            b->mean_work_ns < b->mean_period_ns ? b->mean_work_ns / b->mean_period_ns : 1;
    }
    b->begin_ns = begin_ns;
    b->work_ns = end_ns - begin_ns;
}

#endif
