// SPDX-License-Identifier: MIT
#include "audio/onset.h"
#include "audio/rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define BANDS_MAX 1024

// ------------------------------------------------------------------------------ strength
static float clamped(float v, float least)
{
    return v > least ? v : least;
}

// The largest of `spread` bands around b; beyond the ends the row repeats mirrored, which adds no
// larger one.
static float largest_around(const float *row, int bands, int b, int half)
{
    int first = b > half ? b - half : 0, last = b + half < bands ? b + half : bands - 1;
    float most = row[first];
    for (int i = first + 1; i <= last; i++) most = row[i] > most ? row[i] : most;
    return most;
}

static float rise_of(const float *now, const float *then,
                     const struct ph_onset_strength_params *par, float *rise)
{
    double sum = 0;
    int half = par->spread / 2;
    for (int b = 0; b < par->bands; b++) {
        float was = half ? largest_around(then, par->bands, b, half) : then[b];
        float d = clamped(now[b], par->least) - clamped(was, par->least);
        rise[b] = d > 0 ? d : 0;
        sum += (double) rise[b];
    }
    return par->median ? ph_median(rise, par->bands) : (float) (sum / par->bands);
}

static void detrend(float *x, int64_t n)
{
    double before = 0, out = 0;
    for (int64_t i = 0; i < n; i++) {
        out = (double) x[i] - before + 0.99 * out;
        before = (double) x[i];
        x[i] = (float) out;
    }
}

ph_err ph_onset_strength(const float *db, int64_t frames,
                         const struct ph_onset_strength_params *par, float *out)
{
    float rise[BANDS_MAX];
    int lag = par->lag ? par->lag : 1, skip = par->delay;
    if (par->bands < 1 || par->bands > BANDS_MAX || lag < 1 || skip < 0 || par->spread < 0)
        return PH_EINVAL;
    for (int64_t t = 0; t < frames; t++) {
        int64_t now = t - skip;
        out[t] = 0;
        if (now >= lag)
            out[t] = rise_of(db + now * par->bands, db + (now - lag) * par->bands, par, rise);
    }
    if (par->detrend) detrend(out, frames);
    return PH_OK;
}

// ------------------------------------------------------------------------------ peaks
static int frames_of(double seconds, double rate_hz, int hop)
{
    return (int) ceil(floor(seconds * rate_hz / hop));
}

struct ph_peak_params ph_onset_peaks(double rate_hz, int hop)
{
    int near = frames_of(0.03, rate_hz, hop), far = frames_of(0.1, rate_hz, hop);
    return (struct ph_peak_params){ .pre_max = near,
                                    .post_max = 1,
                                    .pre_mean = far,
                                    .post_mean = far + 1,
                                    .wait = near,
                                    .delta = 0.07 };
}

struct range {
    int64_t from, to;
};

static struct range around(int64_t t, int before, int behind, int64_t n)
{
    return (struct range){ t > before ? t - before : 0, t + behind < n ? t + behind : n };
}

static bool is_peak(const float *x, int64_t n, int64_t t, const struct ph_peak_params *par)
{
    struct range r = around(t, par->pre_max, par->post_max, n);
    for (int64_t i = r.from; i < r.to; i++)
        if (!(x[i] <= x[t])) return false;
    r = around(t, par->pre_mean, par->post_mean, n);
    double sum = 0;
    for (int64_t i = r.from; i < r.to; i++) sum += (double) x[i];
    return r.to > r.from && (double) x[t] >= sum / (double) (r.to - r.from) + par->delta;
}

int64_t ph_peak_pick(const float *x, int64_t n, const struct ph_peak_params *par,
                     int64_t *peaks, int64_t most)
{
    int64_t count = 0;
    for (int64_t t = 0; t < n; t++) {
        if (!is_peak(x, n, t, par)) continue;
        if (count < most) peaks[count] = t;
        count++;
        t += par->wait;
    }
    return count;
}

int64_t ph_onset_detect(const float *envelope, int64_t n, const struct ph_peak_params *par,
                        float *scaled, int64_t *onsets, int64_t most)
{
    float least = INFINITY, largest = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(envelope[i])) return 0;
        least = envelope[i] < least ? envelope[i] : least;
        largest = envelope[i] > largest ? envelope[i] : largest;
    }
    if (n < 1 || !(largest > least)) return 0;
    float range = largest - least + FLT_MIN;
    for (int64_t i = 0; i < n; i++) scaled[i] = (envelope[i] - least) / range;
    int64_t count = ph_peak_pick(scaled, n, par, onsets, most);
    return count < most ? count : most;
}

void ph_onset_backtrack(const int64_t *onsets, int64_t count, const float *energy, int64_t n,
                        int64_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t t = onsets[i] < n ? onsets[i] : n - 1;
        while (t > 0 && !ph_is_local_min(energy, n, t)) t--;
        out[i] = t > 0 ? t : 0;
    }
}
