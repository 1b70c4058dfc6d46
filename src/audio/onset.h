// SPDX-License-Identifier: MIT
// Where something begins (librosa onset, 0.11). Envelopes have one value for each frame.
//                                                                               thread of all: any
#ifndef PH_AUDIO_ONSET_H
#define PH_AUDIO_ONSET_H

#include <phosphene/common.h>

struct ph_onset_strength_params {
    int bands;    // of a row
    int lag;      // frames back that a frame is compared with; 0 = 1
    int spread;   // of bands whose largest is compared with (librosa max_size), odd; 0 = 1
    bool median;  // over bands; else the mean
    bool detrend; // high-pass: y[t] = x[t] - x[t-1] + .99 y[t-1]
    int delay;   // frames of zeros before, beside lag: n_fft / (2 hop), 2 by default of librosa
    float least; // decibels below it are taken as it: the loudest of the song - 80
};
// db: [frames][bands] decibels. out: [frames]; the first lag + delay values are 0.
ph_err ph_onset_strength(const float *db, int64_t frames,
                         const struct ph_onset_strength_params *par, float *out);

// In frames, and in units of the envelope.
struct ph_peak_params {
    int pre_max, post_max;   // a peak is the largest of [t - pre_max, t + post_max)
    int pre_mean, post_mean; // and above the mean of [t - pre_mean, t + post_mean)
    int wait;                // frames after a peak that are passed over
    double delta;            // by so much above the mean
};
// What onset_detect uses at this rate: .03 s before, .1 s on both sides, .03 s of wait, delta .07.
struct ph_peak_params ph_onset_peaks(double rate_hz, int hop);
// Greedy, in order. Writes at most `most` frames, returns how many there are.
int64_t ph_peak_pick(const float *x, int64_t n, const struct ph_peak_params *par,
                     int64_t *peaks, int64_t most);

// The envelope scaled to 0 … 1 and its peaks; none where it is flat or not finite. scaled: [n], is
// written. Returns how many, at most n / 2 + 1 with any wait >= 1.
int64_t ph_onset_detect(const float *envelope, int64_t n, const struct ph_peak_params *par,
                        float *scaled, int64_t *onsets, int64_t most);
// Each onset moved back to the nearest local minimum of `energy` before it (or frame 0).
void ph_onset_backtrack(const int64_t *onsets, int64_t count, const float *energy, int64_t n,
                        int64_t *out);

#endif
