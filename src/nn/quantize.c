// SPDX-License-Identifier: MIT
#include "nn/quant_rows.h"
#include "nn/weights.h"

#include "core/cpu.h"

#include <math.h>
#include <string.h>

static const struct ph_quant_rows *ops(void)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (cpu & PH_CPU_AVX512) return &ph_quant_rows_avx512;
    if (cpu & PH_CPU_AVX2) return &ph_quant_rows_avx2;
#endif
    return &ph_quant_rows_c;
}

// Values that are too small to have a scale, or not finite, become zero.
static bool has_scale(float most, float steps)
{
    float scale = most / steps;
    return scale > 0x1p-126f && scale < 0x1p126f;
}

void ph_quantize_i8(const float *w, int64_t rows, int64_t cols, int8_t *q, float *scale)
{
    const struct ph_quant_rows *o = ops();
    for (int64_t r = 0; r < rows; r++, w += cols, q += cols) {
        float most = o->largest(w, cols);
        scale[r] = has_scale(most, 127) ? most / 127 : 0;
        if (scale[r] > 0)
            o->round_i8(w, cols, 1 / scale[r], q);
        else
            memset(q, 0, (size_t) cols);
    }
}

size_t ph_q4_row_bytes(int64_t cols)
{
    return (size_t) (cols + 1) / 2;
}

// n <= 32 values; q has (n + 1) / 2 bytes, of which a last high nibble is 8.
static float quantize_group(const struct ph_quant_rows *o, const float *w, int n, uint8_t *q)
{
    float v[PH_Q4_GROUP] = { 0 };
    uint8_t level[PH_Q4_GROUP];
    float most = o->largest(w, n);
    if (!has_scale(most, 8)) {
        memset(q, 0x88, (size_t) (n + 1) / 2);
        return 0;
    }
    for (int i = 0; i < n; i++) v[i] = w[i] / most;
    float steps = o->group_q4(v, level);
    for (int i = 0; i < n; i += 2) q[i / 2] = (uint8_t) (level[i] | level[i + 1] << 4);
    return most / steps;
}

void ph_quantize_q4(const float *w, int64_t rows, int64_t cols, uint8_t *q, float *scale)
{
    const struct ph_quant_rows *o = ops();
    for (int64_t r = 0; r < rows; r++, w += cols, q += ph_q4_row_bytes(cols))
        for (int64_t g = 0; g < cols; g += PH_Q4_GROUP) {
            int n = cols - g < PH_Q4_GROUP ? (int) (cols - g) : PH_Q4_GROUP;
            *scale++ = quantize_group(o, w + g, n, q + g / 2);
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

// ------------------------------------------------------------------------------ what it took
#define LANES 16 // sums side by side: long rows add up without losing digits, and in vectors

static void sum_lanes(const float *signal, const float *noise, struct ph_loss *out)
{
    for (int k = 0; k < LANES; k++) {
        out->signal += (double) signal[k];
        out->noise += (double) noise[k];
    }
}

static void row_loss(const float *w, const int8_t *q, int64_t cols, float scale,
                     struct ph_loss *out)
{
    float signal[LANES] = { 0 }, noise[LANES] = { 0 };
    int64_t whole = cols / LANES * LANES;
    for (int64_t c = 0; c < whole; c += LANES)
        for (int k = 0; k < LANES; k++) {
            float v = w[c + k], d = v - (float) q[c + k] * scale;
            signal[k] += v * v;
            noise[k] += d * d;
        }
    for (int64_t c = whole; c < cols; c++) {
        float d = w[c] - (float) q[c] * scale;
        signal[c - whole] += w[c] * w[c];
        noise[c - whole] += d * d;
    }
    sum_lanes(signal, noise, out);
}

void ph_loss_i8(const float *w, int64_t rows, int64_t cols, const int8_t *q, const float *scale,
                struct ph_loss *out)
{
    *out = (struct ph_loss){ 0 };
    for (int64_t r = 0; r < rows; r++)
        row_loss(w + r * cols, q + r * cols, cols, scale[r], out);
}

void ph_loss_q4(const float *w, int64_t rows, int64_t cols, const uint8_t *q,
                const float *scale, struct ph_loss *out)
{
    int64_t groups = (cols + PH_Q4_GROUP - 1) / PH_Q4_GROUP;
    *out = (struct ph_loss){ 0 };
    for (int64_t r = 0; r < rows; r++, w += cols, q += ph_q4_row_bytes(cols), scale += groups)
        for (int64_t g = 0; g < groups; g++) {
            int8_t level[PH_Q4_GROUP];
            int64_t first = g * PH_Q4_GROUP, n = cols - first;
            if (n > PH_Q4_GROUP) n = PH_Q4_GROUP;
            for (int64_t i = 0; i < n; i++)
                level[i] = (int8_t) ((q[(first + i) / 2] >> (i & 1) * 4 & 15) - 8);
            row_loss(w + first, level, n, scale[g], out);
        }
}

static void add_to(double *to, double part)
{
    uint64_t *at = (uint64_t *) (void *) to, was = __atomic_load_n(at, __ATOMIC_RELAXED), now;
    do {
        double sum;
        memcpy(&sum, &was, sizeof sum);
        sum += part;
        memcpy(&now, &sum, sizeof now);
    } while (
        !__atomic_compare_exchange_n(at, &was, now, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void ph_loss_add(struct ph_loss *to, const struct ph_loss *part)
{
    add_to(&to->signal, part->signal);
    add_to(&to->noise, part->noise);
}

double ph_loss_db(const struct ph_loss *l)
{
    return l->noise > 0 ? 10 * log10(l->signal / l->noise) : 0;
}
