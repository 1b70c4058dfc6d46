// SPDX-License-Identifier: MIT
#include "models/stream/blend.h"

#include <math.h>
#include <string.h>

#include "models/sampler/mix.h"

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double) a[i] * b[i];
    return sum;
}

static double length(const float *a, int64_t n)
{
    return sqrt(dot(a, a, n));
}

// Factors of a and b at t. `lengths` keeps their lengths in (SLERP_TWO), else the length is
// interpolated linearly.
static void slerp_factors(const float *a, const float *b, int64_t n, double t, bool lengths,
                          float *fa, float *fb)
{
    double la = length(a, n), lb = length(b, n);
    double product = la * lb, opposite = lengths ? 0.1 : 1e-3;
    double c = product > 0 ? fmin(fmax(dot(a, b, n) / la / lb, -1), 1) : 1;
    double angle = acos(c), wa = 1 - t, wb = t;
    if (angle > 1e-3 && angle < M_PI - opposite) {
        double size = (1 - t) * la + t * lb;
        wa = sin((1 - t) * angle) / sin(angle) * (lengths ? 1 : size / la);
        wb = sin(t * angle) / sin(angle) * (lengths ? 1 : size / lb);
    }
    *fa = (float) wa;
    *fb = (float) wb;
}

static void slerp(const float *a, const float *b, double t, int64_t n, bool lengths, float *out)
{
    if (!(t > 0 && t < 1)) {
        memmove(out, t >= 1 ? b : a, (size_t) n * sizeof *out);
        return;
    }
    float fa, fb;
    slerp_factors(a, b, n, t, lengths, &fa, &fb);
    ph_mix_of(out, n, { fa, a }, { fb, b });
}

void ph_blend_slerp(const float *a, const float *b, double t, int64_t n, float *out)
{
    slerp(a, b, t, n, false, out);
}

// ------------------------------------------------------------------------- N inputs
static void find_weights(const struct ph_blend_input *in, int count, bool raw, double *w)
{
    double sum = 0, size = 0;
    for (int i = 0; i < count; i++) {
        w[i] = isfinite(in[i].weight) ? in[i].weight : 0;
        sum += w[i], size += fabs(w[i]);
    }
    if (raw) return;
    bool none = !(fabs(sum) > 1e-6 * size);
    for (int i = 0; i < count; i++) w[i] = none ? 1.0 / count : w[i] / sum;
}

static void linear(const struct ph_blend_input *in, const double *w, int count, int64_t n,
                   float *out)
{
    memset(out, 0, (size_t) n * sizeof *out);
    for (int i = 0; i < count; i++)
        if (w[i] == 1 && i == 0)
            memcpy(out, in[i].x, (size_t) n * sizeof *out);
        else
            ph_mix_of(out, n, { 1, out }, { (float) w[i], in[i].x });
}

static bool has_all(const double *w, int count)
{
    for (int i = 0; i < count; i++)
        if (w[i] == 1) return true;
    return false;
}

static void rescale_to_mean(const struct ph_blend_input *in, int count, int64_t n, float *out)
{
    double mean = 0, got = length(out, n);
    for (int i = 0; i < count; i++) mean += length(in[i].x, n) / count;
    if (!(got > 1e-6 * mean)) return; // noises that cancel: nothing to scale
    ph_mix_of(out, n, { (float) (mean / got), out });
}

// The heaviest of those not yet taken; the first of equals. -1 when none is left.
static int heaviest(const double *w, const bool *taken, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (!taken[i] && (best < 0 || w[i] > w[best])) best = i;
    return best;
}

static void fold(const struct ph_blend_input *in, const double *w, int count, int64_t n,
                 float *out)
{
    bool taken[PH_BLEND_MAX] = { false };
    double total = 0, so_far = 0;
    for (int i = 0; i < count; i++) total += w[i];
    for (int k = 0; k < count; k++) {
        int i = heaviest(w, taken, count);
        taken[i] = true;
        so_far += w[i];
        if (k == 0)
            memcpy(out, in[i].x, (size_t) n * sizeof *out);
        else if (w[i] != 0 && so_far != 0)
            slerp(out, in[i].x, w[i] / so_far, n, false, out);
    }
    if (total > 1 + 1e-6) ph_mix_of(out, n, { (float) total, out });
}

// out is scratch for the weighted sum.
static void agree(const struct ph_blend_input *in, double *w, int count, int64_t n, float *out)
{
    double before = 0, after = 0;
    linear(in, w, count, n, out);
    double size = length(out, n);
    for (int i = 0; i < count; i++) {
        double product = length(in[i].x, n) * size;
        double cosine = product > 0 ? dot(in[i].x, out, n) / product : 0;
        before += w[i];
        w[i] *= fmax(cosine, 1e-4);
        after += w[i];
    }
    for (int i = 0; after > 1e-8 && i < count; i++) w[i] *= before / after;
}

ph_err ph_blend_mix(const struct ph_blend_input *in, int count, int64_t n,
                    const struct ph_blend_params *params, float *out)
{
    double w[PH_BLEND_MAX];
    enum ph_blend method = params->method;
    if (count < 1 || count > PH_BLEND_MAX) return PH_EINVAL;
    find_weights(in, count, params->raw_weights, w);
    if (method == PH_BLEND_SLERP_TWO && count == 2) {
        slerp(in[0].x, in[1].x, w[1], n, true, out);
    } else if (count == 1 || method == PH_BLEND_LINEAR || method == PH_BLEND_SLERP_TWO) {
        linear(in, w, count, n, out);
        if (params->keep_length && !params->raw_weights && count > 1 && !has_all(w, count))
            rescale_to_mean(in, count, n, out);
    } else if (method == PH_BLEND_SLERP && count == 2) {
        slerp(in[0].x, in[1].x, w[1], n, false, out);
    } else {
        if (method == PH_BLEND_COSINE) agree(in, w, count, n, out);
        fold(in, w, count, n, out);
    }
    return PH_OK;
}

// ------------------------------------------------------------------------- transitions
double ph_ease_at(enum ph_ease ease, double u)
{
    if (!(u > 0)) return 0;
    if (u >= 1) return 1;
    switch (ease) {
    case PH_EASE_LINEAR: return u;
    case PH_EASE_IN: return u * u;
    case PH_EASE_OUT: return u * (2 - u);
    case PH_EASE_IN_OUT: return u * u * (3 - 2 * u);
    }
    return u;
}

void ph_transition_begin(struct ph_transition *t, int frames, enum ph_ease ease, bool is_linear)
{
    *t = (struct ph_transition){ .frames = frames, .ease = ease, .linear = is_linear };
}

bool ph_transition_next(struct ph_transition *t, const float *from, const float *to, int64_t n,
                        float *out)
{
    if (t->frame < t->frames) t->frame++;
    if (t->frame >= t->frames) {
        if (out != to) memcpy(out, to, (size_t) n * sizeof *out);
        return false;
    }
    double u = ph_ease_at(t->ease, (double) t->frame / t->frames);
    if (t->linear)
        ph_mix_of(out, n, { (float) (1 - u), from }, { (float) u, to });
    else
        ph_blend_slerp(from, to, u, n, out);
    return true;
}
