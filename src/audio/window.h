// SPDX-License-Identifier: MIT
// Windows of analysis.                                                          thread of all: any
#ifndef PH_AUDIO_WINDOW_H
#define PH_AUDIO_WINDOW_H

// Periodic Hann, as spectra want it: .5 - .5 cos(2 pi i / n), i < n (scipy get_window, fftbins).
void ph_hann(float *out, int n);
void ph_hann64(double *out, int n);
// The same of `length` <= n in the middle of n zeros (librosa's util.pad_center).
void ph_hann_padded(float *out, int length, int n);

#endif
