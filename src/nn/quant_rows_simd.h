// SPDX-License-Identifier: MIT
// The body of every variant: PH_QUANT_ROWS is its name.
#include "nn/quant_rows.h"

#include <string.h>

// 1.5 * 2^23: adding it leaves the nearest integer, ties to even, in the low bits.
#define ROUNDER 12582912.0f

static float largest(const float *v, int64_t n)
{
    int32_t most = 0; // magnitudes are ordered as integers
    float value;
    for (int64_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&value, &most, sizeof value);
    return value;
}

static void round_i8(const float *v, int64_t n, float inverse, int8_t *q)
{
    for (int64_t i = 0; i < n; i++) {
        float x = v[i] * inverse;
        x = x < -127 ? -127 : x;
        x = x > 127 ? 127 : x;
        x += ROUNDER;
        int32_t bits;
        memcpy(&bits, &x, sizeof bits);
        q[i] = (int8_t) (bits & 0xff);
    }
}

static inline float level_of(float v, float steps)
{
    float x = v * steps;
    x = x < -8 ? -8 : x;
    x = x > 7 ? 7 : x;
    return x + ROUNDER;
}

static float error_q4(const float *v, float steps)
{
    float sum[8] = { 0 }, step = 1 / steps;
    for (int i = 0; i < 32; i += 8)
        for (int k = 0; k < 8; k++) {
            float d = v[i + k] - (level_of(v[i + k], steps) - ROUNDER) * step;
            sum[k] += d * d;
        }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

// Levels go from -8 to 7, so the largest magnitude is put at -8, by the sign of the steps, or
// nearer to 7: whichever leaves the smallest error, the first of equals.
static float group_q4(const float *v, uint8_t *level)
{
    int32_t most = INT32_MIN; // of positive values the largest, which then is 1
    for (int i = 0; i < 32; i++) {
        int32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        most = bits > most ? bits : most;
    }
    float sign = most == 0x3f800000 ? -1 : 1, steps = 8 * sign, best = error_q4(v, steps);
    for (float trial = 7.5f; trial >= 7; trial -= 0.5f) {
        float error = error_q4(v, sign * trial);
        steps = error < best ? sign * trial : steps;
        best = error < best ? error : best;
    }
    for (int i = 0; i < 32; i++) {
        float x = level_of(v[i], steps);
        int32_t bits;
        memcpy(&bits, &x, sizeof bits);
        level[i] = (uint8_t) ((bits + 8) & 15);
    }
    return steps;
}

const struct ph_quant_rows PH_QUANT_ROWS = { largest, round_i8, group_q4 };
