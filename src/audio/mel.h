// SPDX-License-Identifier: MIT
// Mel bands of Slaney's Auditory Toolbox as librosa makes them (filters.mel, htk=False, norm
// "slaney"): linear below 1 kHz, logarithmic above, triangles of equal area.     thread of all: any
#ifndef PH_AUDIO_MEL_H
#define PH_AUDIO_MEL_H

#include <phosphene/common.h>

double ph_hz_to_mel(double hz);
double ph_mel_to_hz(double mel);

struct ph_mel_params {
    double rate_hz; // of the samples
    int n_fft;      // 0 = 2048
    int bands;      // 0 = 128
    double from_hz; // of the lowest triangle's foot
    double to_hz;   // of the highest triangle's foot; 0 = rate_hz / 2
};

struct ph_mel; // constant after creation

ph_err ph_mel_create(struct ph_mel **out, const struct ph_mel_params *par); // PH_EINVAL
void ph_mel_destroy(struct ph_mel **m);
int ph_mel_bands(const struct ph_mel *m);
// Corner frequencies, bands + 2: triangle i stands on i and i + 2 and is highest at i + 1.
const double *ph_mel_corners(const struct ph_mel *m);
// Weight of a bin of the spectrum in a band.
float ph_mel_weight(const struct ph_mel *m, int band, int bin);
// power: n_fft/2 + 1 values. out: bands values.
void ph_mel_apply(const struct ph_mel *m, const float *power, float *out);

#endif
