// SPDX-License-Identifier: MIT
// How well events were found: the F-measure of mir_eval (events +- a tolerance, each matched once,
// as many as possible), over events from `from_s` on.                        thread of all: any
#ifndef PH_AUDIO_LIVE_SCORE_H
#define PH_AUDIO_LIVE_SCORE_H

#include <phosphene/common.h>

struct ph_score {
    int found, truth, matched; // events
    double f;                  // 2 matched / (found + truth); 1 where there are none of both
    double late_s;             // median of found - truth over the matched; 0 = none
};

// Both lists rise.
struct ph_score ph_score_events(const double *found, int found_count, const double *truth,
                                int truth_count, double tolerance_s, double from_s);

#endif
