// SPDX-License-Identifier: MIT
#include "audio/tempo.h"
#include "audio/fft.h"
#include "audio/rows.h"
#include "audio/window.h"
#include "core/tree.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct ph_tempogram {
    int window, size; // size: of the transform, >= 2 window - 1
    struct ph_fft64 *fft;
    double *hann, *frame, *sum, *work;
};

ph_err ph_tempogram_create(struct ph_tempogram **out, int window)
{
    ph_err ret = PH_ENOMEM;
    *out = NULL;
    if (window < 2 || window > 8192) return PH_EINVAL;
    struct ph_tempogram *g = ph_new(NULL, struct ph_tempogram, 1);
    if (!g) return PH_ENOMEM;
    g->window = window;
    for (g->size = PH_FFT_MIN; g->size < 2 * window - 1; g->size *= 2) {}
    size_t size = (size_t) g->size;
    g->hann = ph_new(g, double, (size_t) window);
    g->frame = ph_new(g, double, size + 2);
    g->sum = ph_new(g, double, size + 2);
    g->work = ph_new(g, double, 2 * size);
    if (!g->hann || !g->frame || !g->sum || !g->work) PH_TRY(PH_ENOMEM);
    PH_TRY(ph_fft64_create(&g->fft, g->size));
    ph_hann64(g->hann, window);
    *out = g;
    return PH_OK;
fail:
    ph_tempogram_destroy(&g);
    return ret;
}

void ph_tempogram_destroy(struct ph_tempogram **g)
{
    if (*g) ph_fft64_destroy(&(*g)->fft);
    ph_tree_free(*g);
    *g = NULL;
}

// The envelope with its ends running out to 0 over `pad` frames.
static double ramped(const float *x, int64_t n, int64_t i, int pad)
{
    if (i >= 0 && i < n) return (double) x[i];
    if (i < 0) return (double) (float) ((double) x[0] * (double) (pad + i) / pad);
    return (double) (float) ((double) x[n - 1] * (double) (pad - 1 - (i - n)) / pad);
}

// Power spectrum of frame t into g->frame; returns the frame's energy.
static double spectrum_of(struct ph_tempogram *g, const float *x, int64_t n, int64_t t)
{
    int pad = g->window / 2;
    double energy = 0;
    for (int i = 0; i < g->window; i++) {
        double v = ramped(x, n, t - pad + i, pad) * g->hann[i];
        g->frame[i] = v;
        energy += v * v;
    }
    memset(g->frame + g->window, 0, sizeof(double) * (size_t) (g->size - g->window));
    if (energy > 0) ph_fft64_forward(g->fft, g->frame, g->frame, g->work);
    for (int k = 0; energy > 0 && k <= g->size / 2; k++) {
        double re = g->frame[2 * k], im = g->frame[2 * k + 1];
        g->frame[2 * k] = re * re + im * im;
        g->frame[2 * k + 1] = 0;
    }
    return energy;
}

void ph_tempogram_frame(struct ph_tempogram *g, const float *envelope, int64_t n, int64_t t,
                        double *out)
{
    double most = 0;
    memset(out, 0, sizeof *out * (size_t) g->window);
    if (n < 1 || !(spectrum_of(g, envelope, n, t) > 0)) return;
    ph_fft64_inverse(g->fft, g->frame, g->frame, g->work);
    for (int i = 0; i < g->window; i++) most = fmax(most, fabs(g->frame[i]));
    for (int i = 0; i < g->window; i++)
        out[i] = most < DBL_MIN ? g->frame[i] : g->frame[i] / most;
}

// The mean of autocorrelations is the autocorrelation of the mean power spectrum, each frame
// divided by its energy, which is its value at lag 0: one inverse transform for all.
void ph_tempogram_mean(struct ph_tempogram *g, const float *envelope, int64_t n, double *out)
{
    memset(g->sum, 0, sizeof *g->sum * (size_t) (g->size + 2));
    memset(out, 0, sizeof *out * (size_t) g->window);
    for (int64_t t = 0; t < n; t++) {
        double energy = spectrum_of(g, envelope, n, t);
        if (energy < DBL_MIN) continue;
        double scale = 1 / energy / (double) n;
        for (int k = 0; k <= g->size / 2; k++) g->sum[2 * k] += g->frame[2 * k] * scale;
    }
    ph_fft64_inverse(g->fft, g->sum, g->frame, g->work);
    if (n > 0) memcpy(out, g->frame, sizeof *out * (size_t) g->window);
}

// ------------------------------------------------------------------------------ tempo
int ph_tempo_window(const struct ph_tempo_params *par)
{
    return (int) ph_s_to_frame(8, par->hop, par->rate_hz);
}

double ph_lag_to_bpm(int lag, const struct ph_tempo_params *par)
{
    return lag ? 60 * par->rate_hz / ((double) par->hop * lag) : INFINITY;
}

double ph_tempo_of(const double *tempogram, int window, const struct ph_tempo_params *par)
{
    double start = par->start_bpm > 0 ? par->start_bpm : 120, best = -INFINITY, tempo = 0;
    for (int lag = 1; lag < window; lag++) {
        double bpm = ph_lag_to_bpm(lag, par), octaves = log2(bpm) - log2(start);
        if (bpm >= 320) continue;
        double score = log1p(1e6 * fmax(tempogram[lag], -9e-7)) - 0.5 * octaves * octaves;
        if (score > best) {
            best = score;
            tempo = bpm;
        }
    }
    return tempo;
}

double ph_tempo(const float *envelope, int64_t n, const struct ph_tempo_params *par)
{
    struct ph_tempogram *g;
    int window = ph_tempo_window(par);
    if (ph_tempogram_create(&g, window)) return 0;
    double *mean = ph_new(g, double, (size_t) window), tempo = 0;
    if (mean) {
        ph_tempogram_mean(g, envelope, n, mean);
        tempo = ph_tempo_of(mean, window, par);
    }
    ph_tempogram_destroy(&g);
    return tempo;
}

static double weight_near(const double *tempogram, int window, double bpm,
                          const struct ph_tempo_params *par)
{
    double start = par->start_bpm > 0 ? par->start_bpm : 120, octaves = log2(bpm / start);
    double lag = 60 * par->rate_hz / (par->hop * bpm), most = 0;
    if (bpm >= 320) return 0;
    for (int i = (int) floor(lag * 0.96); i <= (int) ceil(lag * 1.04) && i < window; i++)
        if (i > 0) most = fmax(most, tempogram[i]);
    return most > 0 ? (1 + 1e6 * most) * exp(-0.5 * octaves * octaves) : 0;
}

struct ph_tempo_octaves ph_tempo_octaves(const float *envelope, int64_t n, double bpm,
                                         const struct ph_tempo_params *par)
{
    struct ph_tempo_octaves o = { 0 };
    struct ph_tempogram *g;
    int window = ph_tempo_window(par);
    if (!(bpm > 0) || ph_tempogram_create(&g, window)) return o;
    double *mean = ph_new(g, double, (size_t) window);
    if (mean) {
        ph_tempogram_mean(g, envelope, n, mean);
        double as_is = weight_near(mean, window, bpm, par);
        if (as_is > 0) o.half = weight_near(mean, window, bpm / 2, par) / as_is;
        if (as_is > 0) o.twice = weight_near(mean, window, 2 * bpm, par) / as_is;
    }
    ph_tempogram_destroy(&g);
    return o;
}
