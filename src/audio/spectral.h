// SPDX-License-Identifier: MIT
// Features of one frame: librosa's feature.spectral_* of a magnitude row, rms and crossings of
// samples. Sums are in double.                                                  thread of all: any
#ifndef PH_AUDIO_SPECTRAL_H
#define PH_AUDIO_SPECTRAL_H

#include <phosphene/common.h>

// magnitude: [bins], bin_hz = rate / n_fft. All give 0 for an empty spectrum (flatness: 1).
double ph_centroid_hz(const float *magnitude, int bins, double bin_hz);
double ph_bandwidth_hz(const float *magnitude, int bins, double bin_hz, double centroid_hz);
// Below it lies `share` (librosa: .85) of the sum.
double ph_rolloff_hz(const float *magnitude, int bins, double bin_hz, double share);
// Geometric over arithmetic mean of max(1e-10, power): 1 = noise, 0 = a tone.
double ph_flatness(const float *power, int bins);
// Sum of what grew since the frame before (not librosa's: aubio's specflux).
double ph_flux(const float *magnitude, const float *before, int bins);

// Spectral contrast: mean of the lowest and of the highest 2 % of each octave's magnitudes; the
// octaves are 0..200, 200..400, … 6400.. Hz. Contrast is the difference of their decibels, each
// clamped to 80 dB below the song's loudest (ph_db_clamp over all frames).
#define PH_CONTRAST_BANDS 7
// work: bins floats. A band above half the rate has 0 and 0.
void ph_contrast_extremes(const float *magnitude, int bins, double bin_hz, float *valley,
                          float *peak, float *work);

// sqrt(mean of squares) of n samples.
double ph_rms(const float *x, int64_t n);
// Changes of sign between neighbours of n samples; what is within 1e-10 of 0 counts as +0.
int64_t ph_crossings(const float *x, int64_t n);

#endif
