// SPDX-License-Identifier: MIT
#include "audio/stft.h"
#include "audio/fft.h"
#include "audio/window.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

struct ph_stft {
    int n_fft, hop;
    struct ph_fft64 *fft;
    float *window;
    double *exact, *square; // [n_fft] the window, and its square
};

ph_err ph_stft_create(struct ph_stft **out, const struct ph_stft_params *par)
{
    ph_err ret = PH_ENOMEM;
    int n = par->n_fft ? par->n_fft : 2048, length = par->length ? par->length : n;
    int hop = par->hop ? par->hop : n / 4;
    *out = NULL;
    if (hop < 1 || length < 1 || length > n) return PH_EINVAL;
    struct ph_stft *s = ph_new(NULL, struct ph_stft, 1);
    if (!s) return PH_ENOMEM;
    PH_TRY(ph_fft64_create(&s->fft, n));
    s->n_fft = n;
    s->hop = hop;
    s->window = ph_new(s, float, (size_t) n);
    s->exact = ph_new(s, double, (size_t) n);
    s->square = ph_new(s, double, (size_t) n);
    if (!s->window || !s->exact || !s->square) PH_TRY(PH_ENOMEM);
    ph_hann64(s->exact + (n - length) / 2, length);
    for (int i = 0; i < n; i++) {
        s->window[i] = (float) s->exact[i];
        s->square[i] = s->exact[i] * s->exact[i];
    }
    *out = s;
    return PH_OK;
fail:
    ph_stft_destroy(&s);
    return ret;
}

void ph_stft_destroy(struct ph_stft **s)
{
    if (*s) ph_fft64_destroy(&(*s)->fft);
    ph_tree_free(*s);
    *s = NULL;
}

int ph_stft_fft(const struct ph_stft *s)
{
    return s->n_fft;
}

int ph_stft_hop(const struct ph_stft *s)
{
    return s->hop;
}

int ph_stft_bins(const struct ph_stft *s)
{
    return s->n_fft / 2 + 1;
}

// A frame, its spectrum in place, and what the transform wants: 3 n + 2 doubles, aligned.
int ph_stft_work(const struct ph_stft *s)
{
    return 2 * (3 * s->n_fft + 2) + 4;
}

static double *aligned(float *work)
{
    return (double *) (((uintptr_t) work + 15) & ~(uintptr_t) 15);
}

const float *ph_stft_window(const struct ph_stft *s)
{
    return s->window;
}

int64_t ph_stft_frames(int64_t samples, int hop)
{
    return 1 + samples / hop;
}

static void transform(const struct ph_stft *s, double *frame, float *spectrum)
{
    ph_fft64_forward(s->fft, frame, frame, frame + s->n_fft + 2);
    for (int i = 0; i < s->n_fft + 2; i++) spectrum[i] = (float) frame[i];
}

void ph_stft_frame(const struct ph_stft *s, const float *samples, float *spectrum, float *work)
{
    double *frame = aligned(work);
    for (int i = 0; i < s->n_fft; i++) frame[i] = (double) samples[i] * s->exact[i];
    transform(s, frame, spectrum);
}

void ph_stft_at(const struct ph_stft *s, const float *x, int64_t at, int64_t n, int64_t t,
                float *spectrum, float *work)
{
    int64_t from = t * s->hop - s->n_fft / 2 - at; // in x
    if (from >= 0 && from + s->n_fft <= n) {
        ph_stft_frame(s, x + from, spectrum, work);
        return;
    }
    double *frame = aligned(work);
    for (int i = 0; i < s->n_fft; i++) {
        int64_t k = from + i;
        frame[i] = k >= 0 && k < n ? (double) x[k] * s->exact[i] : 0;
    }
    transform(s, frame, spectrum);
}

void ph_stft_add(const struct ph_stft *s, const float *spectrum, float *sum, float *work)
{
    double *frame = aligned(work);
    for (int i = 0; i < s->n_fft + 2; i++) frame[i] = (double) spectrum[i];
    ph_fft64_inverse(s->fft, frame, frame, frame + s->n_fft + 2);
    for (int i = 0; i < s->n_fft; i++) sum[i] += (float) (frame[i] * s->exact[i]);
}

float ph_stft_norm(const struct ph_stft *s, int64_t sample, int64_t first, int64_t last)
{
    double sum = 0;
    int64_t at = sample + s->n_fft / 2, t = (at - s->n_fft) / s->hop;
    for (t = t < first ? first : t; t <= last && t * s->hop <= at; t++)
        if (at - t * s->hop < s->n_fft) sum += s->square[at - t * s->hop];
    return (float) sum;
}

void ph_magnitude(const float *spectrum, float *out, int bins)
{
    for (int i = 0; i < bins; i++) {
        double re = (double) spectrum[2 * i], im = (double) spectrum[2 * i + 1];
        out[i] = (float) sqrt(re * re + im * im); // as exact as hypotf, but without a branch
    }
}

void ph_power(const float *spectrum, float *out, int bins)
{
    for (int i = 0; i < bins; i++)
        out[i] = spectrum[2 * i] * spectrum[2 * i] + spectrum[2 * i + 1] * spectrum[2 * i + 1];
}
