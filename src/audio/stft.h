// SPDX-License-Identifier: MIT
// Short-time spectra: librosa's stft (0.11: periodic Hann, centred frames, zeros beyond the ends).
// Frame t is about sample t * hop; a signal of n samples has 1 + n / hop of them.
// Spectra are bins = n_fft/2 + 1 pairs (re, im); magnitudes and powers are rows of bins.
// Transforms are in double and rounded once, as librosa's are.
// An analysis is tables only; threads share it.                                 thread of all: any
#ifndef PH_AUDIO_STFT_H
#define PH_AUDIO_STFT_H

#include <phosphene/common.h>

struct ph_stft_params {
    int n_fft;  // 0 = 2048; a power of two
    int hop;    // 0 = n_fft / 4
    int length; // of the window, centred in n_fft; 0 = n_fft
};

struct ph_stft;

ph_err ph_stft_create(struct ph_stft **out, const struct ph_stft_params *par); // PH_EINVAL
void ph_stft_destroy(struct ph_stft **s);
int ph_stft_fft(const struct ph_stft *s);
int ph_stft_hop(const struct ph_stft *s);
int ph_stft_bins(const struct ph_stft *s);
int ph_stft_work(const struct ph_stft *s); // floats of work memory that the calls below want
const float *ph_stft_window(const struct ph_stft *s); // [n_fft]

int64_t ph_stft_frames(int64_t samples, int hop); // 1 + samples / hop

// samples: n_fft of them. spectrum: bins pairs.
void ph_stft_frame(const struct ph_stft *s, const float *samples, float *spectrum, float *work);
// Frame t of a signal of which x[0 .. n) are the samples from `at` on; all else is 0. A whole
// signal has at = 0. Negative t are frames before its begin.
void ph_stft_at(const struct ph_stft *s, const float *x, int64_t at, int64_t n, int64_t t,
                float *spectrum, float *work);
// One frame's part of the inverse: adds window * inverse transform to sum[0 .. n_fft), which are the
// samples from t * hop - n_fft / 2 on. The signal is the sum divided by that of ph_stft_norm.
void ph_stft_add(const struct ph_stft *s, const float *spectrum, float *sum, float *work);
// Sum of squared windows over frames first .. last at the sample; what librosa's istft divides by
// where it is not tiny.
float ph_stft_norm(const struct ph_stft *s, int64_t sample, int64_t first, int64_t last);

void ph_magnitude(const float *spectrum, float *out, int bins); // |X|
void ph_power(const float *spectrum, float *out, int bins);     // |X|^2

#endif
