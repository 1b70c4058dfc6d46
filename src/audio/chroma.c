// SPDX-License-Identifier: MIT
#include "audio/chroma.h"
#include "audio/rows.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const ph_pitch_names[PH_CHROMA] = { "C",  "C#", "D",  "D#", "E",  "F",
                                                "F#", "G",  "G#", "A",  "A#", "B" };

// ------------------------------------------------------------------------------ weights
// Steps above A440 / 16; bin 0 has no pitch and gets one an octave and a half below bin 1.
static double step_of_bin(int k, double bin_hz, double tuning)
{
    double zero_hz = 440 * exp2(tuning / 12) / 16;
    return k ? 12 * log2(k * bin_hz / zero_hz) : 12 * log2(bin_hz / zero_hz) - 18;
}

static double modulo(double x, double m)
{
    double r = fmod(x, m);
    return r < 0 ? r + m : r;
}

static void weigh_bin(double step, double width, float *out, int stride)
{
    double weight[PH_CHROMA], square = 0;
    for (int c = 0; c < PH_CHROMA; c++) {
        double away = modulo(step - c + 6 + 120, 12) - 6, x = 2 * away / width;
        weight[c] = exp(-0.5 * x * x);
        square += weight[c] * weight[c];
    }
    double octave = (step / 12 - 5) / 2, scale = exp(-0.5 * octave * octave);
    if (sqrt(square) >= DBL_MIN) scale /= sqrt(square);
    for (int c = 0; c < PH_CHROMA; c++) // class 0 of the formula is A
        out[(c + 9) % PH_CHROMA * stride] = (float) (weight[c] * scale);
}

void ph_chroma_weights(float *weights, double rate_hz, int n_fft, double tuning)
{
    int bins = n_fft / 2 + 1;
    double bin_hz = rate_hz / n_fft;
    for (int k = 0; k < bins; k++) {
        double step = step_of_bin(k, bin_hz, tuning);
        double width = step_of_bin(k + 1, bin_hz, tuning) - step;
        weigh_bin(step, width > 1 ? width : 1, weights + k, bins);
    }
}

void ph_chroma_apply(const float *weights, const float *power, int bins, float *out)
{
    for (int c = 0; c < PH_CHROMA; c++) {
        const float *w = weights + (ptrdiff_t) c * bins;
        float part[8] = { 0 };
        int k = 0;
        for (; k + 8 <= bins; k += 8)
            for (int i = 0; i < 8; i++) part[i] += w[k + i] * power[k + i];
        for (; k < bins; k++) part[0] += w[k] * power[k];
        out[c] = ((part[0] + part[4]) + (part[1] + part[5])) +
                 ((part[2] + part[6]) + (part[3] + part[7]));
    }
}

// ------------------------------------------------------------------------------ tuning
static ph_err append(struct ph_tuning *t, float magnitude, float step)
{
    if (t->count == t->room) {
        int64_t room = t->room ? 2 * t->room : 256;
        float *m = realloc(t->magnitude, sizeof *m * (size_t) room);
        if (m) t->magnitude = m;
        float *s = realloc(t->step, sizeof *s * (size_t) room);
        if (s) t->step = s;
        if (!m || !s) return PH_ENOMEM;
        t->room = room;
    }
    t->magnitude[t->count] = magnitude;
    t->step[t->count++] = step;
    return PH_OK;
}

// A row value that is not above a tenth of the largest counts as 0.
static float loud(float v, float least)
{
    return v > least ? v : 0;
}

ph_err ph_tuning_add(struct ph_tuning *t, const float *row, int bins, double bin_hz)
{
    float most = row[0];
    for (int k = 1; k < bins; k++) most = row[k] > most ? row[k] : most;
    float least = 0.1f * most;
    int first = (int) ceil(150 / bin_hz), end = (int) ceil(4000 / bin_hz);
    for (int k = first > 1 ? first : 1; k < end && k < bins - 1; k++) {
        float here = loud(row[k], least);
        if (!(here > loud(row[k - 1], least) && here >= loud(row[k + 1], least))) continue;
        float curve = row[k + 1] + row[k - 1] - 2 * row[k],
              tilt = (row[k + 1] - row[k - 1]) / 2;
        float shift = fabsf(tilt) < fabsf(curve) ? -tilt / curve : 0;
        float hz = (float) (((double) k + (double) shift) * bin_hz);
        float step = (float) t->per_octave * log2f(hz / 27.5f); // in float, as librosa
        ph_err ret = append(t, row[k] + 0.5f * tilt * shift, step);
        if (ret) return ret;
    }
    return PH_OK;
}

ph_err ph_tuning_join(struct ph_tuning *t, const struct ph_tuning *other)
{
    ph_err ret = PH_OK;
    for (int64_t i = 0; i < other->count && !ret; i++)
        ret = append(t, other->magnitude[i], other->step[i]);
    return ret;
}

static double edge(int i)
{
    return -0.5 + i * 0.01;
}

// Which hundredth of a step: -.5 … -.49 is 0.
static int hundredth_of(float step)
{
    float whole = floorf(step), off = step - whole;
    if (off >= 0.5f) off -= 1;
    int bin = (int) floor(((double) off + 0.5) * 100);
    while (bin > 0 && (double) off < edge(bin)) bin--;
    while (bin < 99 && (double) off >= edge(bin + 1)) bin++;
    return bin < 0 ? 0 : bin;
}

double ph_tuning_estimate(const struct ph_tuning *t)
{
    int64_t counts[100] = { 0 };
    int best = 0;
    if (t->count < 1) return 0;
    float *copy = malloc(sizeof *copy * (size_t) t->count);
    if (!copy) return 0;
    memcpy(copy, t->magnitude, sizeof *copy * (size_t) t->count);
    float least = ph_median(copy, t->count);
    free(copy);
    for (int64_t i = 0; i < t->count; i++) {
        if (t->magnitude[i] < least) continue;
        counts[hundredth_of(t->step[i])]++;
    }
    for (int i = 1; i < 100; i++)
        if (counts[i] > counts[best]) best = i;
    return best / 100.0 - 0.5;
}

void ph_tuning_finish(struct ph_tuning *t)
{
    free(t->magnitude);
    free(t->step);
    t->magnitude = t->step = NULL;
    t->count = t->room = 0;
}

// ------------------------------------------------------------------------------ meaning
void ph_tonnetz(const float *chroma, float *out)
{
    static const double turn[3] = { 7.0 / 6, 3.0 / 2, 2.0 / 3 }, radius[3] = { 1, 1, 0.5 };
    double sum = 0, acc[PH_TONNETZ] = { 0 };
    for (int c = 0; c < PH_CHROMA; c++) sum += fabs((double) chroma[c]);
    if (sum < (double) FLT_MIN) sum = 1;
    for (int p = 0; p < PH_TONNETZ; p++)
        for (int c = 0; c < PH_CHROMA; c++) {
            double angle = turn[p / 2] * c - (p & 1 ? 0 : 0.5);
            acc[p] += radius[p / 2] * cos(M_PI * angle) * (double) chroma[c] / sum;
        }
    for (int p = 0; p < PH_TONNETZ; p++) out[p] = (float) acc[p];
}

static double correlation(const double *chroma, const double *profile, int tonic)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (int c = 0; c < PH_CHROMA; c++) {
        mx += chroma[c] / PH_CHROMA;
        my += profile[c] / PH_CHROMA;
    }
    for (int c = 0; c < PH_CHROMA; c++) {
        double x = chroma[(c + tonic) % PH_CHROMA] - mx, y = profile[c] - my;
        xy += x * y;
        xx += x * x;
        yy += y * y;
    }
    return xx > 1e-12 ? xy / sqrt(xx * yy) : 0;
}

struct ph_key ph_key_of(const double chroma[PH_CHROMA])
{
    static const double profile[2][PH_CHROMA] = {
        { 6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88 },
        { 6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17 },
    };
    struct ph_key key = { .tonic = -1 };
    for (int i = 0; i < 2 * PH_CHROMA; i++) {
        double fit = correlation(chroma, profile[i / PH_CHROMA], i % PH_CHROMA);
        if (fit > key.fit) {
            key = (struct ph_key){ i % PH_CHROMA, i >= PH_CHROMA, fit, key.fit };
        } else if (fit > key.next_fit) {
            key.next_fit = fit;
        }
    }
    return key;
}
