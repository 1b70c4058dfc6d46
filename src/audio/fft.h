// SPDX-License-Identifier: MIT
// Discrete Fourier transform of real signals whose length is a power of two.
//   X[k] = sum over i of x[i] e^(-2 pi j k i / n),  k = 0 .. n/2, nothing scaled
// Own code, because whatever hears has to build with libc alone: radix-4 Stockham on split real and
// imaginary parts, four lanes at a time by the compiler's vector types, so it is the same numbers on
// every processor. Error of the float one: about 2e-7 of the largest |X|.
// A transform is tables only: after creation it is constant, and any number of threads use it at
// once, each with its own work memory.                                          thread of all: any
#ifndef PH_AUDIO_FFT_H
#define PH_AUDIO_FFT_H

#include <phosphene/common.h>

#define PH_FFT_MIN 4
#define PH_FFT_MAX (1 << 20)

struct ph_fft;   // float
struct ph_fft64; // double

// n: power of two, PH_FFT_MIN … PH_FFT_MAX; else PH_EINVAL.
ph_err ph_fft_create(struct ph_fft **out, int n);
void ph_fft_destroy(struct ph_fft **f);
int ph_fft_size(const struct ph_fft *f);
// in: n reals. out: n/2 + 1 pairs (re, im), the imaginary parts of the first and last are 0. work:
// 2n reals. in and out may be the same memory (of n + 2 reals), work is neither.
void ph_fft_forward(const struct ph_fft *f, const float *in, float *out, float *work);
// The way back, scaled by 1/n: inverse(forward(x)) = x. in: n/2 + 1 pairs, out: n reals; the
// imaginary parts of the first and the last pair are taken as 0.
void ph_fft_inverse(const struct ph_fft *f, const float *in, float *out, float *work);

// The same in double.
ph_err ph_fft64_create(struct ph_fft64 **out, int n);
void ph_fft64_destroy(struct ph_fft64 **f);
int ph_fft64_size(const struct ph_fft64 *f);
void ph_fft64_forward(const struct ph_fft64 *f, const double *in, double *out, double *work);
void ph_fft64_inverse(const struct ph_fft64 *f, const double *in, double *out, double *work);

#endif
