// SPDX-License-Identifier: MIT
// Small things on rows of numbers, as librosa's util and feature.delta do them. Rows are kept frame
// by frame: x[frame * width + band].                                            thread of all: any
#ifndef PH_AUDIO_ROWS_H
#define PH_AUDIO_ROWS_H

#include <phosphene/common.h>

// What a value is divided by; below the smallest normal number nothing is divided.
enum ph_norm { PH_NORM_MAX, PH_NORM_MIN, PH_NORM_COUNT, PH_NORM_L1, PH_NORM_L2 };

struct ph_normalize_params {
    enum ph_norm norm;
    double least; // norms below it count as none; 0 = the smallest normal number
    bool fill;    // what has no norm becomes constant with norm 1; else it stays as it is
};
// n values, `step` apart; of absolute values, in double. In place is fine.
void ph_normalize(const float *x, float *out, int64_t n, int64_t step,
                  const struct ph_normalize_params *par);
// Each row of `width` by its own largest absolute value.
void ph_normalize_rows(float *x, int64_t frames, int width);

// What savgol_filter(x, width, polyorder = order, deriv = order) makes of n values `step` apart.
// order 1 or 2, width odd, 3 …; else PH_EINVAL. interp: the ends are those of a polynomial through
// the outermost `width` values; fewer values than that are taken as `nearest`: the ends repeat.
enum ph_delta_mode { PH_DELTA_INTERP, PH_DELTA_NEAREST };
ph_err ph_delta(const float *x, float *out, int64_t n, int64_t step, int width, int order,
                enum ph_delta_mode mode);

// x[i] larger than the one before and no smaller than the one behind; the first is none.
bool ph_is_local_max(const float *x, int64_t n, int64_t i);
// x[i] no larger than the one before and smaller than the one behind; the ends are none.
bool ph_is_local_min(const float *x, int64_t n, int64_t i);

// Of n values, which are reordered; the mean of the middle two when n is even; 0 of none.
float ph_median(float *x, int64_t n);
// The k-th smallest, 0 <= k < n; x is reordered so that x[k] is in its place.
float ph_select(float *x, int64_t n, int64_t k);

static inline double ph_frame_to_s(int64_t frame, int hop, double rate_hz)
{
    return (double) frame * hop / rate_hz;
}
int64_t ph_s_to_frame(double seconds, int hop, double rate_hz); // rounds down, as librosa

#endif
