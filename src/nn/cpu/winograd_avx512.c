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

// 8 outputs of one channel at a time, in double: this is done once.
V_INLINE void weight_line(const __m512d g[3], __m512d t[6])
{
    __m512d ends = g[0] + g[2], sixth = _mm512_set1_pd(-1.0 / 6);
    __m512d outer = g[0] / 24 + g[2] / 6, middle = g[1] / 12;
    t[0] = g[0] / 4;
    t[1] = (ends + g[1]) * sixth;
    t[2] = (ends - g[1]) * sixth;
    t[3] = outer + middle;
    t[4] = outer - middle;
    t[5] = g[2];
}

static void weight_points(const float *w, int64_t c, int64_t channel, int first, int count,
                          __m512d out[36])
{
    __m512d rows[6][3], line[3], t[6];
    __m256i at = _mm256_mullo_epi32(_mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0),
                                    _mm256_set1_epi32((int) c * 9));
    int left = count - first;
    __mmask8 there = (__mmask8) (left >= 8 ? 0xff : left <= 0 ? 0 : (1 << left) - 1);
    const float *from = w + (first * c + channel) * 9;
    for (int x = 0; x < 3; x++) {
        for (int y = 0; y < 3; y++)
            line[y] = _mm512_cvtps_pd(
                _mm256_mmask_i32gather_ps(_mm256_setzero_ps(), there, at, from + y * 3 + x, 4));
        weight_line(line, t);
        for (int p = 0; p < 6; p++) rows[p][x] = t[p];
    }
    for (int p = 0; p < 6; p++) weight_line(rows[p], out + p * 6);
}

static void weights(const float *w, int64_t c, int count, void *u)
{
    float *out = u;
    for (int64_t i = 0; i < c; i++)
        for (int o = 0; o < PH_WINO_COLS; o += 8) {
            __m512d point[36];
            weight_points(w, c, i, o, count, point);
            for (int p = 0; p < 36; p++)
                _mm256_storeu_ps(out + (p * c + i) * PH_WINO_COLS + o,
                                 _mm512_cvtpd_ps(point[p]));
        }
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
