// SPDX-License-Identifier: MIT
#include "models/stream/walk.h"

#include <math.h>
#include <string.h>

#include "models/sampler/mix.h"

#define NOTES 12
#define PULL  4 // notes that pull at once

void ph_walk_circle(const float *mid, const float *a, const float *b, double radius,
                    double turns, int64_t n, float *out)
{
    if (!(radius > 0)) {
        memcpy(out, mid, (size_t) n * sizeof *out);
        return;
    }
    if (radius > 1) radius = 1;
    // quarters exactly, so that one seed alone is its own picture
    double turn = turns - floor(turns), angle = 2 * M_PI * turn;
    double c = turn == 0.25 || turn == 0.75 ? 0 : turn == 0.5 ? -1 : cos(angle);
    double s = turn == 0.5 ? 0 : sin(angle);
    ph_mix_of(out, n, { (float) sqrt(1 - radius * radius), mid }, { (float) (radius * c), a },
              { (float) (radius * s), b });
}

struct ph_walk_place ph_walk_ring(double place, int count)
{
    double at = isfinite(place) ? (place - floor(place)) * count : 0;
    int from = (int) floor(at);
    if (from >= count) return (struct ph_walk_place){ 0, 1 % count, 0 }; // rounded up to 1
    return (struct ph_walk_place){ from, (from + 1) % count, at - from };
}

// ------------------------------------------------------------------------- notes
static double nth_largest(const float *x, int n)
{
    for (int i = 0; i < NOTES; i++) {
        int above = 0, equal = 0;
        for (int k = 0; k < NOTES; k++) above += x[k] > x[i], equal += x[k] == x[i];
        if (above < n && above + equal >= n) return (double) x[i];
    }
    return 0; // NaN among them
}

void ph_walk_notes(const float chroma[NOTES], int count, double reach, float *weights)
{
    int first = count > NOTES, texts = first ? NOTES : count;
    double fifth = nth_largest(chroma, PULL + 1), pull[NOTES], sum = 0, most = 0;
    for (int k = 0; k < NOTES; k++) {
        pull[k] = fmax(0, (double) chroma[k] - fifth);
        sum += pull[k];
        most = fmax(most, pull[k]);
    }
    double reached = reach * fmin(most, 1), rest = 1 - reached;
    for (int i = 0; i < count; i++)
        weights[i] = (float) (first ? (i ? 0 : rest) : rest / count);
    for (int k = 0; k < NOTES && sum > 0; k++)
        weights[first + k * texts / NOTES] += (float) (reached * pull[k] / sum);
}

// ------------------------------------------------------------------------- tokens
static double length(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double) x[i] * x[i];
    return sqrt(sum);
}

static void mix_row(const struct ph_blend_input *in, int count, int64_t at, int64_t width,
                    bool linear, float *out)
{
    double mean = 0;
    memset(out, 0, (size_t) width * sizeof *out);
    for (int i = 0; i < count; i++) {
        const float *x = in[i].x + at;
        float w = in[i].weight;
        if (w == 0) continue;
        for (int64_t k = 0; k < width; k++) out[k] += w * x[k];
        if (!linear) mean += (double) w * length(x, width);
    }
    double got = linear ? 0 : length(out, width);
    if (got <= 1e-3 * mean || got == mean) return;
    float scale = (float) (mean / got);
    for (int64_t k = 0; k < width; k++) out[k] *= scale;
}

// All the weight: bit by bit.
static const float *alone(const struct ph_blend_input *in, int count)
{
    for (int i = 0; i < count; i++)
        if (in[i].weight == 1) return in[i].x;
    return NULL;
}

void ph_walk_tokens(const struct ph_blend_input *in, int count, int64_t rows, int64_t width,
                    bool linear, float *out)
{
    const float *one = alone(in, count);
    if (one) memcpy(out, one, (size_t) (rows * width) * sizeof *out);
    for (int64_t r = 0; r < rows && !one; r++)
        mix_row(in, count, r * width, width, linear, out + r * width);
}

void ph_walk_slerp(const float *a, const float *b, double share, int64_t rows, int64_t width,
                   float *out)
{
    for (int64_t r = 0; r < rows; r++)
        ph_blend_slerp(a + r * width, b + r * width, share, width, out + r * width);
}
