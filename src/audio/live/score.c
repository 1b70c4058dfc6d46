// SPDX-License-Identifier: MIT
#include "audio/live/score.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

// Of two rising lists, to take the earliest partner that is left gives as many pairs as any other way.
struct ph_score ph_score_events(const double *found, int found_count, const double *truth,
                                int truth_count, double tolerance_s, double from_s)
{
    struct ph_score s = { 0 };
    while (found_count && found[0] < from_s) found++, found_count--;
    while (truth_count && truth[0] < from_s) truth++, truth_count--;
    s.found = found_count;
    s.truth = truth_count;
    double *late = calloc((size_t) found_count + 1, sizeof *late);
    for (int i = 0, k = 0; i < found_count && k < truth_count;) {
        double d = found[i] - truth[k];
        if (fabs(d) > tolerance_s) {
            if (d < 0)
                i++;
            else
                k++;
            continue;
        }
        if (late) late[s.matched] = d;
        s.matched++;
        i++;
        k++;
    }
    if (late && s.matched) {
        qsort(late, (size_t) s.matched, sizeof *late, by_value);
        s.late_s = late[s.matched / 2];
    }
    free(late);
    s.f = found_count + truth_count ? 2.0 * s.matched / (found_count + truth_count) : 1;
    return s;
}
