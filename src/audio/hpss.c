// SPDX-License-Identifier: MIT
#include "audio/hpss.h"

#include <float.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

int64_t ph_mirrored(int64_t i, int64_t n)
{
    int64_t period = 2 * n, k = i % period;
    if (k < 0) k += period;
    return k < n ? k : period - 1 - k;
}

// ------------------------------------------------------------------------------ running medians
// Eight runs side by side, each with its window kept sorted: a step takes the oldest value out and
// puts the newest in, in one sweep without a branch.
enum { LANES = 8, WINDOW = PH_HPSS_WINDOW, REACH = PH_HPSS_REACH };

struct sorted {
    float v[WINDOW + 1][LANES];
};

#ifdef __SSE2__
static inline void sift(float *here, const float *next, __m128 old[2], __m128 new[2])
{
    for (int h = 0; h < 2; h++) {
        __m128 a = _mm_loadu_ps(here + 4 * h), b = _mm_loadu_ps(next + 4 * h);
        __m128 shift = _mm_cmpge_ps(a, old[h]);
        a = _mm_or_ps(_mm_and_ps(shift, b), _mm_andnot_ps(shift, a));
        _mm_storeu_ps(here + 4 * h, _mm_min_ps(a, new[h]));
        new[h] = _mm_max_ps(a, new[h]);
    }
}

static void replace(struct sorted *s, const float *out, const float *in)
{
    __m128 old[2] = { _mm_loadu_ps(out), _mm_loadu_ps(out + 4) };
    __m128 new[2] = { _mm_loadu_ps(in), _mm_loadu_ps(in + 4) };
    for (int i = 0; i < WINDOW - 1; i++) sift(s->v[i], s->v[i + 1], old, new);
    _mm_storeu_ps(s->v[WINDOW - 1], new[0]);
    _mm_storeu_ps(s->v[WINDOW - 1] + 4, new[1]);
}
#else
static void replace(struct sorted *s, const float *out, const float *in)
{
    float new[LANES];
    memcpy(new, in, sizeof new);
    for (int i = 0; i < WINDOW - 1; i++)
        for (int l = 0; l < LANES; l++) {
            float a = s->v[i][l] >= out[l] ? s->v[i + 1][l] : s->v[i][l];
            s->v[i][l] = a < new[l] ? a : new[l];
            new[l] = a < new[l] ? new[l] : a;
        }
    memcpy(s->v[WINDOW - 1], new, sizeof new);
}
#endif

// The first window: a run of zeros, each replaced in turn; no value is below 0.
static void fill(struct sorted *s, float window[WINDOW][LANES])
{
    static const float zero[LANES];
    memset(s, 0, sizeof *s);
    for (int i = 0; i < WINDOW; i++) replace(s, zero, window[i]);
}

// Eight neighbouring bins, or as many as there are, over time.
static void run_over_time(const float *const *row, int count, int bins, int bin, float *out)
{
    struct sorted s;
    float window[WINDOW][LANES] = { 0 }, edge[2][LANES] = { 0 };
    int lanes = bins - bin < LANES ? bins - bin : LANES;
    size_t bytes = sizeof(float) * (size_t) lanes;
    for (int i = 0; i < WINDOW; i++) memcpy(window[i], row[i] + bin, bytes);
    fill(&s, window);
    for (int t = 0; t < count; t++) {
        if (t) {
            memcpy(edge[0], row[t - 1] + bin, bytes);
            memcpy(edge[1], row[t + WINDOW - 1] + bin, bytes);
            replace(&s, edge[0], edge[1]);
        }
        memcpy(out + (ptrdiff_t) t * bins + bin, s.v[REACH], bytes);
    }
}

// Up to eight rows over their bins; turned: [bins][LANES] of the rows, in and out.
static void run_over_bins(float (*turned)[LANES], float (*medians)[LANES], int bins)
{
    struct sorted s;
    float window[WINDOW][LANES];
    for (int i = 0; i < WINDOW; i++)
        memcpy(window[i], turned[ph_mirrored(i - REACH, bins)], sizeof window[i]);
    fill(&s, window);
    for (int k = 0; k < bins; k++) {
        if (k)
            replace(&s, turned[ph_mirrored(k - REACH - 1, bins)],
                    turned[ph_mirrored(k + REACH, bins)]);
        memcpy(medians[k], s.v[REACH], sizeof medians[k]);
    }
}

size_t ph_hpss_work(int bins)
{
    return (size_t) bins * 2 * LANES;
}

void ph_hpss_medians(const float *const *row, int count, int bins, float *along_time,
                     float *along_bins, float *work)
{
    float(*turned)[LANES] = (float(*)[LANES]) work, (*medians)[LANES] = turned + bins;
    for (int k = 0; k < bins; k += LANES) run_over_time(row, count, bins, k, along_time);
    for (int t = 0; t < count; t += LANES) {
        int lanes = count - t < LANES ? count - t : LANES;
        memset(turned, 0, sizeof *turned * (size_t) bins);
        for (int l = 0; l < lanes; l++)
            for (int k = 0; k < bins; k++) turned[k][l] = row[REACH + t + l][k];
        run_over_bins(turned, medians, bins);
        for (int l = 0; l < lanes; l++)
            for (int k = 0; k < bins; k++)
                along_bins[(ptrdiff_t) (t + l) * bins + k] = medians[k][l];
    }
}

// ------------------------------------------------------------------------------ masks
static float share_of(float x, float ref, bool split)
{
    float most = x > ref ? x : ref;
    if (most < FLT_MIN) return split ? 0.5f : 0;
    float a = x / most, b = ref / most;
    return a * a / (a * a + b * b);
}

void ph_hpss_masks(const float *along_time, const float *along_bins, int bins,
                   struct ph_hpss_margins margins, float *harmonic, float *percussive)
{
    float h = margins.harmonic > 0 ? margins.harmonic : 1;
    float p = margins.percussive > 0 ? margins.percussive : 1;
    bool split = h == 1 && p == 1;
    for (int k = 0; k < bins; k++) {
        float over_time = along_time[k], over_bins = along_bins[k];
        if (harmonic) harmonic[k] = share_of(over_time, over_bins * h, split);
        if (percussive) percussive[k] = share_of(over_bins, over_time * p, split);
    }
}
