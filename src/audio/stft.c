// SPDX-License-Identifier: MIT
#include "audio/stft.h"
#include "audio/fft.h"
#include "audio/window.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

struct ph_stft {
    int n_fft, hop;
    struct ph_fft *fft;
    float *window, *square; // [n_fft]
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
    PH_TRY(ph_fft_create(&s->fft, n));
    s->n_fft = n;
    s->hop = hop;
    s->window = ph_new(s, float, (size_t) n);
    s->square = ph_new(s, float, (size_t) n);
    if (!s->window || !s->square) PH_TRY(PH_ENOMEM);
    ph_hann_padded(s->window, length, n);
    for (int i = 0; i < n; i++) s->square[i] = s->window[i] * s->window[i];
    *out = s;
    return PH_OK;
fail:
    ph_stft_destroy(&s);
    return ret;
}

void ph_stft_destroy(struct ph_stft **s)
{
    if (*s) ph_fft_destroy(&(*s)->fft);
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

int ph_stft_work(const struct ph_stft *s)
{
    return 3 * s->n_fft;
}

const float *ph_stft_window(const struct ph_stft *s)
{
    return s->window;
}

int64_t ph_stft_frames(int64_t samples, int hop)
{
    return 1 + samples / hop;
}

void ph_stft_frame(const struct ph_stft *s, const float *samples, float *spectrum, float *work)
{
    for (int i = 0; i < s->n_fft; i++) work[i] = samples[i] * s->window[i];
    ph_fft_forward(s->fft, work, spectrum, work + s->n_fft);
}

void ph_stft_at(const struct ph_stft *s, const float *x, int64_t at, int64_t n, int64_t t,
                float *spectrum, float *work)
{
    int64_t from = t * s->hop - s->n_fft / 2 - at; // in x
    if (from >= 0 && from + s->n_fft <= n) {
        ph_stft_frame(s, x + from, spectrum, work);
        return;
    }
    for (int i = 0; i < s->n_fft; i++) {
        int64_t k = from + i;
        work[i] = k >= 0 && k < n ? x[k] * s->window[i] : 0;
    }
    ph_fft_forward(s->fft, work, spectrum, work + s->n_fft);
}

void ph_stft_add(const struct ph_stft *s, const float *spectrum, float *sum, float *work)
{
    ph_fft_inverse(s->fft, spectrum, work, work + s->n_fft);
    for (int i = 0; i < s->n_fft; i++) sum[i] += work[i] * s->window[i];
}

float ph_stft_norm(const struct ph_stft *s, int64_t sample, int64_t first, int64_t last)
{
    float sum = 0;
    int64_t at = sample + s->n_fft / 2, t = (at - s->n_fft) / s->hop;
    for (t = t < first ? first : t; t <= last && t * s->hop <= at; t++)
        if (at - t * s->hop < s->n_fft) sum += s->square[at - t * s->hop];
    return sum;
}

void ph_magnitude(const float *spectrum, float *out, int bins)
{
    for (int i = 0; i < bins; i++)
        out[i] = sqrtf(spectrum[2 * i] * spectrum[2 * i] +
                       spectrum[2 * i + 1] * spectrum[2 * i + 1]);
}

void ph_power(const float *spectrum, float *out, int bins)
{
    for (int i = 0; i < bins; i++)
        out[i] = spectrum[2 * i] * spectrum[2 * i] + spectrum[2 * i + 1] * spectrum[2 * i + 1];
}
