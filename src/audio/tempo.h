// SPDX-License-Identifier: MIT
// How fast it goes (librosa feature.tempogram, feature.tempo). thread of all: any
#ifndef PH_AUDIO_TEMPO_H
#define PH_AUDIO_TEMPO_H

#include <phosphene/common.h>

// Local autocorrelation of an onset envelope under a Hann window of `window` frames.
struct ph_tempogram;
ph_err ph_tempogram_create(struct ph_tempogram **out, int window); // 2 … 8192; else PH_EINVAL
void ph_tempogram_destroy(struct ph_tempogram **g);
// Frame t of the envelope, centred, the ends running out linearly to 0: out[window] by lag, divided
// by its largest (that at lag 0).                                       one thread at a time
void ph_tempogram_frame(struct ph_tempogram *g, const float *envelope, int64_t n, int64_t t,
                        double *out);
// The mean of all frames.
void ph_tempogram_mean(struct ph_tempogram *g, const float *envelope, int64_t n, double *out);

struct ph_tempo_params {
    double rate_hz;   // of samples
    int hop;          // samples a frame
    double start_bpm; // middle of the prior, a bell of one octave; 0 = 120
};
int ph_tempo_window(const struct ph_tempo_params *par); // 8 s in frames: librosa's ac_size
double ph_lag_to_bpm(int lag, const struct ph_tempo_params *par); // INFINITY of 0
// The lag of the largest log(1 + 1e6 tempogram) + prior, as BPM below 320.
double ph_tempo_of(const double *tempogram, int window, const struct ph_tempo_params *par);
// Of a whole envelope; 0 when out of memory. An empty one gives the prior's best.
double ph_tempo(const float *envelope, int64_t n, const struct ph_tempo_params *par);

// Half and double of a tempo that was found, and how likely each is beside it: the ratio of what
// ph_tempo_of compares, before its logarithm (1 + 1e6 tempogram, times the prior). The tempogram's
// value is the largest within 4 % of the lag. Above 1: likelier. 0: not below 320 BPM, or slower
// than the window shows.
struct ph_tempo_octaves {
    double half, twice;
};
// Of a whole envelope; zeros when out of memory or bpm is not above 0.
struct ph_tempo_octaves ph_tempo_octaves(const float *envelope, int64_t n, double bpm,
                                         const struct ph_tempo_params *par);
#define PH_TEMPO_NEARLY 0.7 // as likely as that is worth a word

#endif
