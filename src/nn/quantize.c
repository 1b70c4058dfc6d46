// SPDX-License-Identifier: MIT
#include "nn/weights.h"

#include <math.h>

static float largest(const float *v, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++) {
        float a = fabsf(v[i]);
        most = a > most ? a : most;
    }
    return most;
}

static int nearest_within(float v, int low, int high)
{
    if (!(v > (float) low)) return low;
    if (v > (float) high) return high;
    return (int) rintf(v);
}

// A row whose values are too small for a scale is zero: 1/scale must not overflow.
static float scale_of(float most, float steps, float *inverse)
{
    float scale = most / steps;
    bool none = !(scale > 0x1p-126f);
    *inverse = none ? 0 : 1 / scale;
    return none ? 0 : scale;
}

void ph_quantize_i8(const float *w, int64_t rows, int64_t cols, int8_t *q, float *scale)
{
    for (int64_t r = 0; r < rows; r++, w += cols, q += cols) {
        float inverse;
        scale[r] = scale_of(largest(w, cols), 127, &inverse);
        for (int64_t c = 0; c < cols; c++)
            q[c] = (int8_t) nearest_within(w[c] * inverse, -127, 127);
    }
}

size_t ph_q4_row_bytes(int64_t cols)
{
    return (size_t) (cols + 1) / 2;
}

// The sum of squared errors of a group with this scale.
static double group_error(const float *w, int64_t n, float scale, float inverse)
{
    double sum = 0; // squares of large values leave float's range
    for (int64_t i = 0; i < n; i++) {
        double d = w[i] - (double) nearest_within(w[i] * inverse, -8, 7) * scale;
        sum += d * d;
    }
    return sum;
}

// Levels go from -8 to 7, so the largest value is put at -8 (by the sign of the scale) or at 7,
// whichever leaves the smaller error; a tie takes the first.
static float group_scale(const float *w, int64_t n, float *inverse)
{
    float most = largest(w, n), sign = 1, chosen = 0;
    double best = INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (fabsf(w[i]) == most) {
            sign = w[i] < 0 ? 1.0f : -1.0f;
            break;
        }
    *inverse = 0;
    for (float steps = 8; steps >= 7; steps -= 0.5f) {
        float trial_inverse, trial = sign * scale_of(most, steps, &trial_inverse);
        double error = group_error(w, n, trial, sign * trial_inverse);
        if (!(error < best)) continue;
        best = error;
        chosen = trial;
        *inverse = sign * trial_inverse;
    }
    return chosen;
}

void ph_quantize_q4(const float *w, int64_t rows, int64_t cols, uint8_t *q, float *scale)
{
    for (int64_t r = 0; r < rows; r++, w += cols, q += ph_q4_row_bytes(cols)) {
        for (int64_t g = 0; g < cols; g += PH_Q4_GROUP) {
            int64_t end = g + PH_Q4_GROUP < cols ? g + PH_Q4_GROUP : cols;
            float inverse;
            *scale++ = group_scale(w + g, end - g, &inverse);
            for (int64_t c = g; c < end; c += 2) {
                int low = 8 + nearest_within(w[c] * inverse, -8, 7);
                int high = c + 1 < end ? 8 + nearest_within(w[c + 1] * inverse, -8, 7) : 8;
                q[c / 2] = (uint8_t) (low | high << 4);
            }
        }
    }
}

void ph_dequantize_q4(const uint8_t *q, const float *scale, int64_t rows, int64_t cols,
                      float *w)
{
    int64_t groups = (cols + PH_Q4_GROUP - 1) / PH_Q4_GROUP;
    for (int64_t r = 0; r < rows; r++, w += cols, q += ph_q4_row_bytes(cols), scale += groups)
        for (int64_t c = 0; c < cols; c++)
            w[c] = (float) ((q[c / 2] >> (c & 1) * 4 & 15) - 8) * scale[c / PH_Q4_GROUP];
}
