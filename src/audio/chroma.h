// SPDX-License-Identifier: MIT
// Pitch classes, 0 = C … 11 = B (librosa filters.chroma, piptrack, estimate_tuning, tonnetz), and
// the key they suggest.                                                          thread of all: any
#ifndef PH_AUDIO_CHROMA_H
#define PH_AUDIO_CHROMA_H

#include <phosphene/common.h>

#define PH_CHROMA 12

// weights: [12][n_fft/2 + 1]. tuning: in twelfths of an octave off A = 440 Hz, -.5 … .5.
void ph_chroma_weights(float *weights, double rate_hz, int n_fft, double tuning);
// out[12] of a row of power, not normalised.
void ph_chroma_apply(const float *weights, const float *power, int bins, float *out);

// The tuning of a song: the peaks of all its frames between 150 and 4000 Hz, those stronger than
// their median, in hundredths of a step. One collector for each kind of row and number of steps an
// octave; parts of a song may be collected apart and joined in order.
struct ph_tuning {
    int per_octave; // 12 for chroma of spectra, 36 for constant-Q
    int64_t count, room;
    float *magnitude; // [count]
    float *step;      // [count] steps above A440 / 16, in float
};
ph_err ph_tuning_add(struct ph_tuning *t, const float *row, int bins, double bin_hz);
ph_err ph_tuning_join(struct ph_tuning *t, const struct ph_tuning *other);
// The most frequent offset, -.5 … .49; 0 of none.
double ph_tuning_estimate(const struct ph_tuning *t);
void ph_tuning_finish(struct ph_tuning *t); // frees

// Tonal centroids of a chroma row (which it normalises by its sum): fifths, minor and major thirds.
#define PH_TONNETZ 6
void ph_tonnetz(const float *chroma, float *out);

// The key whose profile (Krumhansl and Kessler 1982) correlates best with a mean chroma.
struct ph_key {
    int tonic; // 0 = C; -1 = none: the chroma is flat
    bool minor;
    double fit, next_fit; // correlation of this and of the second best
};
struct ph_key ph_key_of(const double chroma[PH_CHROMA]);
extern const char *const ph_pitch_names[PH_CHROMA]; // "C", "C#", …

#endif
