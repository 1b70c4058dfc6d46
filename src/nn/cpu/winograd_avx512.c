// SPDX-License-Identifier: MIT
// F(4x4, 3x3) in f32: 36 multiplications for 144. Points 0, 1, -1, 2, -2 and infinity.
#include <immintrin.h>

#define WINO_M              4
#define WINO_DOT(sum, a, b) ((sum) = _mm512_fmadd_ps(a, b, sum))
#include "nn/cpu/winograd_simd.h"

V_INLINE void input_line(const vf d[6], vf t[6])
{
    vf four = v_set(4), five = v_set(-5), two = v_set(2);
    vf a = v_fma(v_set(-4), d[2], d[4]), b = v_fma(v_set(-4), d[1], d[3]);
    vf c = d[4] - d[2], e = d[3] - d[1];
    t[0] = v_fma(four, d[0], v_fma(five, d[2], d[4]));
    t[1] = a + b;
    t[2] = a - b;
    t[3] = v_fma(two, e, c);
    t[4] = v_fma(v_set(-2), e, c);
    t[5] = v_fma(four, d[1], v_fma(five, d[3], d[5]));
}

V_INLINE void output_line(const vf m[6], vf y[4])
{
    vf s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    y[0] = m[0] + s + s2;
    y[1] = v_fma(v_set(2), d2, d);
    y[2] = v_fma(v_set(4), s2, s);
    y[3] = v_fma(v_set(8), d2, d) + m[5];
}

V_INLINE void input_steps(const struct ph_wino *g, enum ph_dtype type, const char *const at[36],
                          char *v, int64_t steps, int64_t points)
{
    for (int64_t c = 0; c < g->c; c += 16, v += steps) {
        vf half[6][6], d[6], t[6]; // half[column][row]
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++) {
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++) d[i] = v_get(type, at[i * 6 + j], c);
            input_line(d, half[j]);
        }
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) d[j] = half[j][i];
            input_line(d, t);
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) v_store((float *) (v + (i * 6 + j) * points), t[j]);
        }
    }
}

static void input(const struct ph_wino *g, int64_t tile, char *v, int64_t steps, int64_t points)
{
    const char *at[36];
    find_inputs(g, tile, at);
    if (g->x_type == PH_F32)
        input_steps(g, PH_F32, at, v, steps, points);
    else
        input_steps(g, PH_BF16, at, v, steps, points);
}

static void output(const struct ph_wino *g, int64_t tile, const float *products, int64_t first,
                   int count)
{
    struct wino_tile t = tile_at(g, tile);
    for (int c = 0; c < count; c += 16) {
        vf half[6][4], m[6], out[4][4]; // half[column][row]
#pragma GCC unroll 6
        for (int j = 0; j < 6; j++) {
#pragma GCC unroll 6
            for (int i = 0; i < 6; i++)
                m[i] = v_load(products + (i * 6 + j) * PH_WINO_COLS + c);
            output_line(m, half[j]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
#pragma GCC unroll 6
            for (int j = 0; j < 6; j++) m[j] = half[j][i];
            output_line(m, out[i]);
        }
        tile_put(g, out, t, first + c);
    }
}

// In double: this is done once.
V_INLINE void weight_line(const __m512d g[3], __m512d t[6])
{
    __m512d ends = g[0] + g[2], sixth = _mm512_set1_pd(-1.0 / 6);
    __m512d outer = g[0] * (1.0 / 24) + g[2] * (1.0 / 6), middle = g[1] * (1.0 / 12);
    t[0] = g[0] * 0.25;
    t[1] = (ends + g[1]) * sixth;
    t[2] = (ends - g[1]) * sixth;
    t[3] = outer + middle;
    t[4] = outer - middle;
    t[5] = g[2];
}

// All points of one channel and half of 16 outputs.
V_INLINE void weight_points(const vf g[9], int half, __m256 out[36])
{
    __m512d rows[6][3], line[3], t[6];
#pragma GCC unroll 3
    for (int x = 0; x < 3; x++) {
#pragma GCC unroll 3
        for (int y = 0; y < 3; y++) {
            vf v = g[y * 3 + x];
            line[y] = _mm512_cvtps_pd(half ? _mm512_extractf32x8_ps(v, 1)
                                           : _mm512_castps512_ps256(v));
        }
        weight_line(line, t);
#pragma GCC unroll 6
        for (int p = 0; p < 6; p++) rows[p][x] = t[p];
    }
#pragma GCC unroll 6
    for (int p = 0; p < 6; p++) {
        weight_line(rows[p], t);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) out[p * 6 + i] = _mm512_cvtpd_ps(t[i]);
    }
}

// Whole lines, past the caches: the points of a channel fall on one another in them.
static void weights(const float *w, int64_t c, int count, void *u)
{
    vf g[144];
    __m256 low[36], high[36];
    for (int64_t i = 0; i < c * 2; i += 16) { // both halves of the outputs of 16 channels
        int64_t channel = i / 32 * 16;
        int first = (int) (i % 32);
        weights_of(w, c, channel, first, count, g);
        for (int k = 0; k < 16; k++) {
            float *out = (float *) u + (channel + k) * PH_WINO_COLS + first;
            weight_points(g + k * 9, 0, low);
            weight_points(g + k * 9, 1, high);
            for (int p = 0; p < 36; p++, out += c * PH_WINO_COLS)
                _mm512_stream_ps(
                    out, _mm512_insertf32x8(_mm512_castps256_ps512(low[p]), high[p], 1));
        }
    }
    _mm_sfence();
}

const struct ph_wino_ops ph_wino_f32 = {
    .m = 4,
    .points = 36,
    .step = 16,
    .input = input,
    .product = product,
    .output = output,
    .weights = weights,
};
