// SPDX-License-Identifier: MIT
#include "audio/beat.h"
#include "audio/rows.h"
#include "core/tree.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct track {
    int64_t n;
    int period; // frames a beat, rounded
    double *local, *cumulative;
    int64_t *link;   // the beat before; -1 = none
    double *penalty; // by distance, period * 2 + 1 of them
    bool *is_beat;
};

static bool is_usable(const float *x, int64_t n)
{
    bool any = false;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return false;
        any |= x[i] != 0;
    }
    return any;
}

static double deviation(const float *x, int64_t n)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) sum += (double) x[i];
    for (int64_t i = 0; i < n; i++)
        square += ((double) x[i] - sum / (double) n) * ((double) x[i] - sum / (double) n);
    return n > 1 ? sqrt(square / (double) (n - 1)) : 0;
}

// The envelope in units of its deviation, smoothed by a bell of period / 32. As in librosa the
// first value takes no part while the bell reaches over the beginning.
static void score_locally(struct track *k, const float *envelope)
{
    int width = 2 * k->period + 1;
    float unit = (float) deviation(envelope, k->n) + FLT_MIN;
    double *bell = k->penalty; // not yet in use
    for (int i = 0; i < width; i++) {
        double x = (i - k->period) * 32.0 / k->period;
        bell[i] = exp(-0.5 * x * x);
    }
    for (int64_t t = 0; t < k->n; t++) {
        int64_t end = t + k->period, first = end - k->n + 1;
        double sum = 0;
        for (int64_t i = first > 0 ? first : 0; i < (end < width ? end : width); i++)
            sum += bell[i] * (double) (envelope[end - i] / unit);
        k->local[t] = sum;
    }
}

static void link_beats(struct track *k, double tightness)
{
    double most = -INFINITY;
    bool before_first = true;
    for (int d = 1; d <= 2 * k->period; d++) {
        double x = log(d) - log(k->period);
        k->penalty[d] = tightness * x * x;
    }
    for (int64_t t = 0; t < k->n; t++) most = fmax(most, k->local[t]);
    for (int64_t t = 0; t < k->n; t++) {
        double best = -INFINITY;
        int64_t from = -1;
        for (int d = (int) fmax(1, rint(k->period / 2.0)); d <= 2 * k->period && d <= t; d++) {
            double score = k->cumulative[t - d] - k->penalty[d];
            if (score > best) {
                best = score;
                from = t - d;
            }
        }
        k->cumulative[t] = k->local[t] + (from >= 0 ? best : 0);
        before_first = before_first && k->local[t] < 0.01 * most;
        k->link[t] = before_first ? -1 : from;
    }
}

static bool is_top(const double *x, int64_t n, int64_t i)
{
    return i > 0 && x[i] > x[i - 1] && (i == n - 1 || x[i] >= x[i + 1]);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

// The last top of the cumulative score that is half as high as a usual one.
static int64_t last_beat(struct track *k)
{
    double *tops = k->local + k->n; // room for n
    int64_t count = 0;
    for (int64_t i = 0; i < k->n; i++)
        if (is_top(k->cumulative, k->n, i)) tops[count++] = k->cumulative[i];
    qsort(tops, (size_t) count, sizeof *tops, by_value);
    double median = count ? (tops[(count - 1) / 2] + tops[count / 2]) / 2 : 0;
    for (int64_t i = k->n - 1; i >= 0; i--)
        if (is_top(k->cumulative, k->n, i) && k->cumulative[i] >= 0.5 * median) return i;
    return k->n - 1;
}

// Half the effective value of the beats' scores, smoothed by (.5, 1, .5); librosa's mean has two
// terms more than there are beats.
static double weak_below(const struct track *k, const int64_t *beats, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count + 2; i++) {
        double before = i > 0 && i <= count ? k->local[beats[i - 1]] : 0;
        double here = i < count ? k->local[beats[i]] : 0;
        double behind = i + 1 < count ? k->local[beats[i + 1]] : 0;
        double s = 0.5 * before + here + 0.5 * behind;
        sum += s * s;
    }
    return 0.5 * sqrt(sum / (double) (count + 2));
}

static int64_t collect(struct track *k, bool keep_weak, int64_t *beats)
{
    int64_t count = 0, first = 0, last = k->n - 1;
    for (int64_t t = last_beat(k); t >= 0; t = k->link[t]) k->is_beat[t] = true;
    for (int64_t t = 0; t < k->n; t++)
        if (k->is_beat[t]) beats[count++] = t;
    double least = keep_weak ? 0 : weak_below(k, beats, count);
    while (first < k->n && k->local[first] <= least) first++;
    while (last >= 0 && k->local[last] <= least) last--;
    count = 0;
    for (int64_t t = first; t <= last; t++)
        if (k->is_beat[t]) beats[count++] = t;
    return count;
}

static struct track *track_new(int64_t n, double period)
{
    struct track *k = ph_new(NULL, struct track, 1);
    if (!k) return NULL;
    size_t frames = (size_t) n;
    k->n = n;
    k->period = (int) period;
    k->local = ph_new(k, double, 2 * frames);
    k->cumulative = ph_new(k, double, frames);
    k->link = ph_new(k, int64_t, frames);
    k->penalty = ph_new(k, double, 2 * (size_t) k->period + 2);
    k->is_beat = ph_new(k, bool, frames);
    if (k->local && k->cumulative && k->link && k->penalty && k->is_beat) return k;
    ph_tree_free(k);
    return NULL;
}

ph_err ph_beat_track(const float *envelope, int64_t n, const struct ph_beat_params *par,
                     int64_t *beats, int64_t *count, double *tempo_bpm)
{
    *count = 0;
    *tempo_bpm = 0;
    if (!is_usable(envelope, n)) return PH_OK;
    double bpm = par->bpm > 0 ? par->bpm : ph_tempo(envelope, n, &par->tempo);
    if (!(bpm > 0)) return PH_ENOMEM;
    double period = rint(60 * par->tempo.rate_hz / par->tempo.hop / bpm);
    if (!(period >= 1 && period < 1e6)) return PH_EINVAL;
    struct track *k = track_new(n, period);
    if (!k) return PH_ENOMEM;
    score_locally(k, envelope);
    link_beats(k, par->tightness > 0 ? par->tightness : 100);
    *count = collect(k, par->keep_weak, beats);
    *tempo_bpm = bpm;
    ph_tree_free(k);
    return PH_OK;
}
