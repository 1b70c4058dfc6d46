// SPDX-License-Identifier: MIT
#include "core/wave.h"

#include <math.h>

const char *const ph_ease_names[PH_EASES + 1] = { "linear",       "quad_in",     "quad_out",
                                                  "quad_in_out",  "cubic_in",    "cubic_out",
                                                  "cubic_in_out", "sine_in_out", "smoothstep",
                                                  "smootherstep", "expo_out",    NULL };
const char *const ph_wave_names[PH_WAVES + 1] = { "sine",   "cosine",    "triangle", "saw",
                                                  "square", "exp_decay", NULL };
const char *const ph_period_names[PH_PERIODS + 1] = { "half_beat", "beat",    "2_beat",
                                                      "bar",       "2_bar",   "4_bar",
                                                      "8_beat",    "16_beat", NULL };

// Both halves of a way in and out, of the given power.
static double in_out(double t, int power)
{
    double rest = t < 0.5 ? 2 * t : 2 - 2 * t;
    double half = (power == 2 ? rest * rest : rest * rest * rest) / 2;
    return t < 0.5 ? half : 1 - half;
}

static double smoother(double t)
{
    return t * t * t * (t * (6 * t - 15) + 10);
}

double ph_ease(enum ph_ease kind, double t)
{
    if (!(t > 0)) return 0;
    if (t >= 1) return 1;
    double left = 1 - t;
    switch (kind) {
    case PH_EASE_QUAD_IN: return t * t;
    case PH_EASE_QUAD_OUT: return 1 - left * left;
    case PH_EASE_QUAD_IN_OUT: return in_out(t, 2);
    case PH_EASE_CUBIC_IN: return t * t * t;
    case PH_EASE_CUBIC_OUT: return 1 - left * left * left;
    case PH_EASE_CUBIC_IN_OUT: return in_out(t, 3);
    case PH_EASE_SINE_IN_OUT: return 0.5 - 0.5 * cos(M_PI * t);
    case PH_EASE_SMOOTHSTEP: return t * t * (3 - 2 * t);
    case PH_EASE_SMOOTHERSTEP: return smoother(t);
    case PH_EASE_EXPO_OUT: return 1 - exp2(-10 * t);
    default: return t;
    }
}

static double triangle(double p)
{
    return p < 0.25 ? 4 * p : p < 0.75 ? 2 - 4 * p : 4 * p - 4;
}

double ph_wave(enum ph_wave kind, double phase)
{
    double p = isfinite(phase) ? phase - floor(phase) : 0;
    switch (kind) {
    case PH_WAVE_SINE: return sin(2 * M_PI * p);
    case PH_WAVE_COSINE: return cos(2 * M_PI * p);
    case PH_WAVE_TRIANGLE: return triangle(p);
    case PH_WAVE_SAW: return 2 * p - 1;
    case PH_WAVE_SQUARE: return p < 0.5 ? 1 : -1;
    case PH_WAVE_EXP_DECAY: return exp(-p / 0.15);
    default: return 0;
    }
}

double ph_period_beats(enum ph_period period, int beats_per_bar)
{
    double bar = beats_per_bar > 0 ? beats_per_bar : 4;
    switch (period) {
    case PH_PERIOD_HALF_BEAT: return 0.5;
    case PH_PERIOD_2_BEAT: return 2;
    case PH_PERIOD_BAR: return bar;
    case PH_PERIOD_2_BAR: return 2 * bar;
    case PH_PERIOD_4_BAR: return 4 * bar;
    case PH_PERIOD_8_BEAT: return 8;
    case PH_PERIOD_16_BEAT: return 16;
    default: return 1;
    }
}

// The constants are those of the "lowbias32" search (Wellons, "Prospecting for hash functions").
uint32_t ph_hash32(uint32_t v)
{
    v ^= v >> 16;
    v *= UINT32_C(0x7feb352d);
    v ^= v >> 15;
    v *= UINT32_C(0x846ca68b);
    return v ^ v >> 16;
}

static double slope_at(int64_t k)
{
    return (double) ph_hash32((uint32_t) k) / 2147483648.0 - 1;
}

double ph_noise1(double x)
{
    if (!(fabs(x) < 1e15)) return 0;
    int64_t i = (int64_t) floor(x);
    double f = x - (double) i;
    double a = slope_at(i) * f, b = slope_at(i + 1) * (f - 1);
    return 2 * (a + (b - a) * smoother(f));
}

double ph_factor_over(double factor, double dt_s)
{
    if (!(dt_s > 0)) return 1;
    return factor > 0 ? pow(factor, 30 * dt_s) : 0;
}
