// SPDX-License-Identifier: MIT
#include "audio/live/hear.h"

#include "audio/fft.h"
#include "audio/window.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

#define LAG         2      // frames that a rise is measured over
#define LOUD_S      10.0   // how long a loud sound is remembered as the measure of all
#define QUIETEST    1e-4f  // -80 dB: what never gets louder than this stays quiet
#define COMPRESSION 100.0f // log(1 + 100 a): 40 dB below the loudest still count
#define EVERY       4      // frames between two of the chroma

// A transform of the newest samples.
struct look {
    struct ph_fft *fft;
    int length, n; // of the window; of the transform
    float *window; // scaled so that a full sine is 1
    float *in, *out, *work;
    float *magnitude; // n / 2 + 1
};

// Triangle over bins.
struct triangle {
    int first, count;
    float *weight; // squares of the weighted amplitudes add up
};

struct ph_hear {
    int rate_hz;
    struct look near, far;
    struct triangle triangles[PH_HEAR_BANDS];
    double centre_hz[PH_HEAR_BANDS];
    float *ring; // the newest samples, far.length of them
    int at;
    int64_t taken, frames;
    float held, passed; // of the filter against DC
    float keep;         // its factor
    double squares;
    float peak, last;
    int crossings, hop;                  // in the hop so far
    float loud;                          // the loudest band of the last seconds
    float *before;                       // magnitudes of the frame before
    float level[LAG + 1][PH_HEAR_BANDS]; // compressed, of the newest frames
    float chroma[12];
};

// --- creation

static double mel(double hz)
{
    return 2595 * log10(1 + hz / 700);
}

static double from_mel(double m)
{
    return 700 * (pow(10, m / 2595) - 1);
}

static ph_err make_look(struct ph_hear *h, struct look *l, int length, int n)
{
    double sum = 0;
    l->length = length;
    l->n = n;
    l->window = ph_new(h, float, (size_t) length);
    l->in = ph_new(h, float, (size_t) n);
    l->out = ph_new(h, float, (size_t) n + 2);
    l->work = ph_new(h, float, (size_t) n * 2);
    l->magnitude = ph_new(h, float, (size_t) n / 2 + 1);
    if (!l->window || !l->in || !l->out || !l->work || !l->magnitude) return PH_ENOMEM;
    ph_hann(l->window, length);
    for (int i = 0; i < length; i++) sum += (double) l->window[i];
    for (int i = 0; i < length; i++) l->window[i] *= (float) (2 / sum);
    return ph_fft_create(&l->fft, n);
}

static int power_of_two(double at_least)
{
    int n = 64;
    while (n < at_least) n *= 2;
    return n;
}

// A band that lies between two bins takes the nearest.
static ph_err make_triangle(struct ph_hear *h, struct triangle *t, const double *corner)
{
    double bin_hz = (double) h->rate_hz / h->near.n, half = h->near.n / 2;
    int first = (int) ceil(corner[0] / bin_hz), last = (int) floor(corner[2] / bin_hz);
    if (corner[1] / bin_hz > half) return PH_OK; // above all that there is
    if (last > (int) half) last = (int) half;
    t->first = first;
    t->count = last - first + 1;
    if (t->count < 1) {
        t->first = (int) lround(corner[1] / bin_hz);
        t->count = 1;
    }
    t->weight = ph_new(h, float, (size_t) t->count);
    if (!t->weight) return PH_ENOMEM;
    for (int i = 0; i < t->count; i++) {
        double hz = (t->first + i) * bin_hz;
        double up = (hz - corner[0]) / (corner[1] - corner[0]);
        double down = (corner[2] - hz) / (corner[2] - corner[1]);
        t->weight[i] = (float) fmax(0, fmin(up, down));
    }
    if (t->count == 1) t->weight[0] = 1;
    return PH_OK;
}

static ph_err make_bands(struct ph_hear *h)
{
    double from = mel(30), to = mel(16000), corner[PH_HEAR_BANDS + 2];
    for (int i = 0; i < PH_HEAR_BANDS + 2; i++)
        corner[i] = from_mel(from + (to - from) * i / (PH_HEAR_BANDS + 1));
    for (int i = 0; i < PH_HEAR_BANDS; i++) {
        h->centre_hz[i] = corner[i + 1];
        ph_err ret = make_triangle(h, &h->triangles[i], corner + i);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

ph_err ph_hear_create(struct ph_hear **out, int rate_hz)
{
    ph_err ret;
    *out = NULL;
    if (rate_hz < PH_HEAR_MIN_HZ || rate_hz > PH_HEAR_MAX_HZ) return PH_EINVAL;
    struct ph_hear *h = ph_new(NULL, struct ph_hear, 1);
    if (!h) return PH_ENOMEM;
    h->rate_hz = rate_hz;
    int length = (int) lround(rate_hz * PH_HEAR_WINDOW_S);
    int far = power_of_two(rate_hz * PH_HEAR_CHROMA_S * 0.7);
    PH_TRY(make_look(h, &h->near, length, power_of_two(length)));
    PH_TRY(make_look(h, &h->far, far, far));
    PH_TRY(make_bands(h));
    h->ring = ph_new(h, float, (size_t) far);
    h->before = ph_new(h, float, (size_t) h->near.n / 2 + 1);
    ret = PH_ENOMEM;
    if (!h->ring || !h->before) goto fail;
    h->keep = (float) exp(-2 * M_PI * 20 / rate_hz);
    ph_hear_reset(h);
    *out = h;
    return PH_OK;
fail:
    ph_hear_destroy(&h);
    return ret;
}

void ph_hear_destroy(struct ph_hear **out)
{
    struct ph_hear *h = *out;
    *out = NULL;
    if (!h) return;
    ph_fft_destroy(&h->near.fft);
    ph_fft_destroy(&h->far.fft);
    ph_tree_free(h);
}

int ph_hear_rate(const struct ph_hear *h)
{
    return h->rate_hz;
}

static void begin_hop(struct ph_hear *h)
{
    h->squares = 0;
    h->peak = 0;
    h->crossings = h->hop = 0;
}

void ph_hear_reset(struct ph_hear *h)
{
    h->taken = h->frames = 0;
    h->at = 0;
    h->held = h->passed = h->last = 0;
    h->loud = QUIETEST;
    memset(h->ring, 0, (size_t) h->far.length * sizeof *h->ring);
    memset(h->before, 0, ((size_t) h->near.n / 2 + 1) * sizeof *h->before);
    memset(h->level, 0, sizeof h->level);
    memset(h->chroma, 0, sizeof h->chroma);
    begin_hop(h);
}

// --- samples

static float mixed(const float *samples, int channels)
{
    float sum = 0;
    for (int c = 0; c < channels; c++) {
        float v = samples[c];
        if (v >= -4 && v <= 4)
            sum += v;
        else if (v > 4 || v < -4)
            sum += v > 0 ? 4.0f : -4.0f;
    }
    return sum / (float) channels;
}

static void take_one(struct ph_hear *h, float x)
{
    if (!h->taken) h->held = x; // what begins with DC does not begin with a step
    float y = x - h->held + h->keep * h->passed;
    if (fabsf(y) < 1e-12f) y = 0; // numbers that fade out get slow
    h->held = x;
    h->passed = y;
    h->ring[h->at] = y;
    if (++h->at == h->far.length) h->at = 0;
    h->squares += (double) (y * y);
    h->peak = fmaxf(h->peak, fabsf(y));
    h->crossings += (y < 0) != (h->last < 0);
    h->last = y;
    h->hop++;
    h->taken++;
}

// --- one frame

static void transform(struct ph_hear *h, struct look *l)
{
    int start = h->at - l->length + (h->at < l->length ? h->far.length : 0);
    for (int i = 0; i < l->length; i++) {
        int at = start + i < h->far.length ? start + i : start + i - h->far.length;
        l->in[i] = h->ring[at] * l->window[i];
    }
    ph_fft_forward(l->fft, l->in, l->out, l->work); // the rest of `in` stays 0
    for (int k = 0; k <= l->n / 2; k++) {
        float re = l->out[2 * k], im = l->out[2 * k + 1];
        l->magnitude[k] = sqrtf(re * re + im * im);
    }
}

static float amplitude(const struct ph_hear *h, double from_hz, double to_hz)
{
    double bin_hz = (double) h->rate_hz / h->near.n, sum = 0;
    int first = (int) ceil(from_hz / bin_hz), last = (int) ceil(to_hz / bin_hz) - 1;
    if (last > h->near.n / 2) last = h->near.n / 2;
    for (int k = first; k <= last; k++)
        sum += (double) (h->near.magnitude[k] * h->near.magnitude[k]);
    return (float) sqrt(sum);
}

static void measure_bands(const struct ph_hear *h, struct ph_heard *out)
{
    for (int b = 0; b < PH_HEAR_BANDS; b++) {
        const struct triangle *t = &h->triangles[b];
        float sum = 0;
        for (int i = 0; i < t->count; i++) {
            float v = t->weight[i] * h->near.magnitude[t->first + i];
            sum += v * v;
        }
        out->band[b] = sqrtf(sum);
    }
    out->low = amplitude(h, 25, 150);
    out->mid = amplitude(h, 150, 4000);
    out->high = amplitude(h, 4000, 20000);
}

// Rises against the loudest neighbour of 20 ms ago, so that a tone which glides into the next band
// is no onset (Böck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013).
static void measure_rises(struct ph_hear *h, struct ph_heard *out)
{
    float sum = 0, part[3] = { 0 };
    int parts[3] = { 0 };
    float loudest = 0;
    for (int b = 0; b < PH_HEAR_BANDS; b++) loudest = fmaxf(loudest, out->band[b]);
    h->loud *= (float) exp(-1 / (PH_HEAR_HZ * LOUD_S));
    h->loud = fmaxf(fmaxf(h->loud, loudest), QUIETEST);
    memmove(h->level[1], h->level[0], LAG * sizeof h->level[0]);
    for (int b = 0; b < PH_HEAR_BANDS; b++) {
        float *now = h->level[0];
        const float *then = h->level[LAG];
        now[b] = log1pf(COMPRESSION * out->band[b] / h->loud);
        float ref = then[b];
        if (b > 0) ref = fmaxf(ref, then[b - 1]);
        if (b + 1 < PH_HEAR_BANDS) ref = fmaxf(ref, then[b + 1]);
        float rise = fmaxf(0, now[b] - ref);
        sum += rise;
        double hz = h->centre_hz[b];
        int which = hz < 150 ? 0 : hz > 200 && hz < 5000 ? 1 : hz > 6000 ? 2 : -1;
        if (which < 0) continue;
        part[which] += fmaxf(0, now[b] - then[b]);
        parts[which]++;
    }
    out->onset = sum / PH_HEAR_BANDS;
    out->kick = part[0] / (float) (parts[0] ? parts[0] : 1);
    out->snare = part[1] / (float) (parts[1] ? parts[1] : 1);
    out->accent = out->onset + 0.25f * out->kick;
    out->hat = part[2] / (float) (parts[2] ? parts[2] : 1);
}

static void measure_shape(struct ph_hear *h, struct ph_heard *out)
{
    const float *m = h->near.magnitude;
    double bin_hz = (double) h->rate_hz / h->near.n, sum = 0, turn = 0, logs = 0, power = 0;
    float flux = 0;
    int bins = h->near.n / 2 + 1, k;
    for (k = 0; k < bins; k++) {
        double p = fmax(1e-12, (double) (m[k] * m[k]));
        sum += (double) m[k];
        turn += (double) m[k] * k;
        logs += (double) log2f((float) p);
        power += p;
        flux += fmaxf(0, m[k] - h->before[k]);
    }
    memcpy(h->before, m, (size_t) bins * sizeof *m);
    out->flux = flux;
    if (sum < 1e-5) return; // silence has no shape
    double part = 0;
    for (k = 0; k < bins - 1 && part < 0.85 * sum; k++) part += (double) m[k];
    out->centroid_hz = (float) (turn / sum * bin_hz);
    out->rolloff_hz = (float) (k * bin_hz);
    out->flatness = (float) (exp2(logs / bins) / (power / bins));
}

// Each peak of the long spectrum, placed by a parabola through its neighbours, counts for the two
// nearest classes.
static void measure_chroma(struct ph_hear *h)
{
    transform(h, &h->far);
    const float *m = h->far.magnitude;
    double bin_hz = (double) h->rate_hz / h->far.n;
    float largest = 0, sum[12] = { 0 };
    int first = (int) ceil(65 / bin_hz), last = (int) fmin(2100 / bin_hz, h->far.n / 2 - 1);
    for (int k = first; k < last; k++) largest = fmaxf(largest, m[k]);
    for (int k = first < 1 ? 1 : first; k < last; k++) {
        if (m[k] < largest * 0.02f || m[k] < m[k - 1] || m[k] <= m[k + 1]) continue;
        double bend = (double) (m[k - 1] - 2 * m[k] + m[k + 1]);
        double shift = bend < 0 ? (double) (m[k - 1] - m[k + 1]) / (2 * bend) : 0;
        double note = 12 * log2((k + shift) * bin_hz / 440) + 9 + 120; // 0 is C
        double low = floor(note);
        sum[(int) low % 12] += m[k] * (float) (1 - (note - low));
        sum[((int) low + 1) % 12] += m[k] * (float) (note - low);
    }
    float top = 0;
    for (int c = 0; c < 12; c++) top = fmaxf(top, sum[c]);
    for (int c = 0; c < 12; c++) h->chroma[c] = largest > 1e-4f && top > 0 ? sum[c] / top : 0;
}

static void finish_frame(struct ph_hear *h, struct ph_heard *out)
{
    memset(out, 0, sizeof *out);
    out->end_s = (double) h->taken / h->rate_hz;
    out->rms = (float) sqrt(h->squares / h->hop);
    out->peak = h->peak;
    out->zcr = (float) h->crossings / (float) h->hop;
    transform(h, &h->near);
    measure_bands(h, out);
    measure_rises(h, out);
    measure_shape(h, out);
    if (h->frames % EVERY == 0) measure_chroma(h);
    memcpy(out->chroma, h->chroma, sizeof h->chroma);
    h->frames++;
    begin_hop(h);
}

static int64_t frame_end(const struct ph_hear *h)
{
    return ((h->frames + 1) * h->rate_hz + PH_HEAR_HZ - 1) / PH_HEAR_HZ;
}

bool ph_hear_take(struct ph_hear *h, const float *samples, int count, int channels, int *used,
                  struct ph_heard *out)
{
    int64_t left = frame_end(h) - h->taken;
    *used = left < count ? (int) left : count;
    for (int i = 0; i < *used; i++)
        take_one(h, mixed(samples + (ptrdiff_t) i * channels, channels));
    if (*used < left) return false;
    finish_frame(h, out);
    return true;
}
