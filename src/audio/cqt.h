// SPDX-License-Identifier: MIT
// Constant-Q magnitudes (librosa cqt: Hann filters of Q = 1 / alpha periods, magnitudes times the
// root of the filter's length), 36 steps an octave, 7 octaves from C1 = 32.7 Hz up. Each octave is
// heard at half the rate of the one above it, by an own half-band filter; where librosa resamples
// with soxr the results differ by less than what its sparse kernels leave out.
// An analysis is tables only; threads share it.                                 thread of all: any
#ifndef PH_AUDIO_CQT_H
#define PH_AUDIO_CQT_H

#include <phosphene/common.h>

#define PH_CQT_PER_OCTAVE 36
#define PH_CQT_OCTAVES    7
#define PH_CQT_STEPS      (PH_CQT_PER_OCTAVE * PH_CQT_OCTAVES)

struct ph_cqt;

// hop: a multiple of 64. tuning: in steps (of 36 an octave). PH_EINVAL when the highest step lies
// above 0.45 of the rate.
ph_err ph_cqt_create(struct ph_cqt **out, double rate_hz, int hop, double tuning);
void ph_cqt_destroy(struct ph_cqt **c);
// Samples that a frame looks at on each side of its middle.
int64_t ph_cqt_reach(const struct ph_cqt *c);
// Floats of work memory for `frames` frames at once.
int64_t ph_cqt_work(const struct ph_cqt *c, int64_t frames);
// Frames first .. first + frames of a signal of which x[0 .. n) are the samples from `at` on, all
// else 0. out: [frames][PH_CQT_STEPS] magnitudes.
void ph_cqt_frames(const struct ph_cqt *c, const float *x, int64_t at, int64_t n, int64_t first,
                   int64_t frames, float *out, float *work);
// Three steps around each pitch of each octave together: out[12], not normalised.
void ph_cqt_chroma(const float *steps, float *out);

#endif
