// SPDX-License-Identifier: MIT
#include "audio/mel.h"
#include "core/tree.h"

#include <math.h>

struct triangle {
    int first, count; // bins with weight > 0
    float *weight;
};

struct ph_mel {
    int bands;
    double *corner;
    struct triangle *triangle;
};

static const double LINEAR_HZ = 200.0 / 3, BREAK_HZ = 1000, BREAK_MEL = 15;

static double log_step(void)
{
    return log(6.4) / 27;
}

double ph_hz_to_mel(double hz)
{
    return hz < BREAK_HZ ? hz / LINEAR_HZ : BREAK_MEL + log(hz / BREAK_HZ) / log_step();
}

double ph_mel_to_hz(double mel)
{
    return mel < BREAK_MEL ? mel * LINEAR_HZ : BREAK_HZ * exp(log_step() * (mel - BREAK_MEL));
}

static double height(const double *corner, double hz)
{
    double up = (hz - corner[0]) / (corner[1] - corner[0]);
    double down = (corner[2] - hz) / (corner[2] - corner[1]);
    double least = up < down ? up : down;
    return least > 0 ? least * 2 / (corner[2] - corner[0]) : 0;
}

static bool fill_triangle(struct ph_mel *m, int band, double bin_hz, int bins)
{
    struct triangle *t = &m->triangle[band];
    const double *corner = m->corner + band;
    int last = -1;
    t->first = 0;
    for (int k = 0; k < bins; k++)
        if (height(corner, k * bin_hz) > 0) {
            if (last < 0) t->first = k;
            last = k;
        }
    t->count = last < 0 ? 0 : last - t->first + 1;
    t->weight = ph_new(m, float, (size_t) t->count + 1);
    for (int k = 0; t->weight && k < t->count; k++)
        t->weight[k] = (float) height(corner, (t->first + k) * bin_hz);
    return t->weight != NULL;
}

ph_err ph_mel_create(struct ph_mel **out, const struct ph_mel_params *par)
{
    int bands = par->bands ? par->bands : 128, n_fft = par->n_fft ? par->n_fft : 2048;
    double to = par->to_hz > 0 ? par->to_hz : par->rate_hz / 2;
    *out = NULL;
    if (!(par->rate_hz > 0) || !(par->from_hz >= 0) || !(to > par->from_hz) || bands < 1 ||
        bands > 4096 || n_fft < 2)
        return PH_EINVAL;
    struct ph_mel *m = ph_new(NULL, struct ph_mel, 1);
    bool ok = m != NULL;
    if (ok) m->bands = bands;
    ok = ok && (m->corner = ph_new(m, double, (size_t) bands + 2)) != NULL;
    ok = ok && (m->triangle = ph_new(m, struct triangle, (size_t) bands)) != NULL;
    double low = ph_hz_to_mel(par->from_hz), high = ph_hz_to_mel(to);
    for (int i = 0; ok && i < bands + 2; i++)
        m->corner[i] = ph_mel_to_hz(low + (high - low) * i / (bands + 1));
    for (int i = 0; ok && i < bands; i++)
        ok = fill_triangle(m, i, par->rate_hz / n_fft, n_fft / 2 + 1);
    if (!ok) {
        ph_tree_free(m);
        return PH_ENOMEM;
    }
    *out = m;
    return PH_OK;
}

void ph_mel_destroy(struct ph_mel **m)
{
    ph_tree_free(*m);
    *m = NULL;
}

int ph_mel_bands(const struct ph_mel *m)
{
    return m->bands;
}

const double *ph_mel_corners(const struct ph_mel *m)
{
    return m->corner;
}

float ph_mel_weight(const struct ph_mel *m, int band, int bin)
{
    const struct triangle *t = &m->triangle[band];
    return bin >= t->first && bin < t->first + t->count ? t->weight[bin - t->first] : 0;
}

void ph_mel_apply(const struct ph_mel *m, const float *power, float *out)
{
    for (int i = 0; i < m->bands; i++) {
        const struct triangle *t = &m->triangle[i];
        const float *p = power + t->first;
        float sum = 0;
        for (int k = 0; k < t->count; k++) sum += p[k] * t->weight[k];
        out[i] = sum;
    }
}
