// SPDX-License-Identifier: MIT
// F(2x2, 3x3) with operands in bf16 and sums in f32: 16 multiplications for 36. Larger tiles lose
// too much in bf16. Points 0, 1, -1 and infinity.
#include <immintrin.h>

#define WINO_M              2
#define WINO_DOT(sum, a, b) ((sum) = _mm512_dpbf16_ps(sum, (__m512bh) (a), (__m512bh) (b)))
#include "nn/cpu/winograd_simd.h"

V_INLINE void input_line(const vf d[4], vf t[4])
{
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
}

V_INLINE void output_line(const vf m[4], vf y[2])
{
    vf s = m[1] + m[2], d = m[1] - m[2];
    y[0] = m[0] + s;
    y[1] = d - m[3];
}

// 16 channels of a tile, all points.
V_INLINE void input_points(enum ph_dtype type, const char *const at[16], int64_t c, vf out[16])
{
    vf half[4][4], d[4]; // half[column][row]
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) d[i] = v_get(type, at[i * 4 + j], c);
        input_line(d, half[j]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) d[j] = half[j][i];
        input_line(d, out + i * 4);
    }
}

V_INLINE void input_steps(const struct ph_wino *g, enum ph_dtype type, const char *const at[16],
                          char *v, int64_t steps, int64_t points)
{
    for (int64_t c = 0; c < g->c; c += 32, v += steps) {
        vf low[16], high[16];
        input_points(type, at, c, low);
        input_points(type, at, c + 16, high);
#pragma GCC unroll 16
        for (int p = 0; p < 16; p++)
            _mm512_store_si512(v + p * points, (__m512i) _mm512_cvtne2ps_pbh(high[p], low[p]));
    }
}

static void input(const struct ph_wino *g, int64_t tile, char *v, int64_t steps, int64_t points)
{
    const char *at[16];
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
        vf half[4][2], m[4], out[2][2];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                m[i] = v_load(products + (i * 4 + j) * PH_WINO_COLS + c);
            output_line(m, half[j]);
        }
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++) {
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) m[j] = half[j][i];
            output_line(m, out[i]);
        }
        tile_put(g, out, t, first + c);
    }
}

V_INLINE void weight_line(const vf g[3], vf t[4])
{
    vf half = v_set(0.5f), ends = g[0] + g[2];
    t[0] = g[0];
    t[1] = half * (ends + g[1]);
    t[2] = half * (ends - g[1]);
    t[3] = g[2];
}

// All points of one channel and 16 outputs.
V_INLINE void weight_points(const vf g[9], vf out[16])
{
    vf rows[4][3], line[3], t[4];
#pragma GCC unroll 3
    for (int x = 0; x < 3; x++) {
#pragma GCC unroll 3
        for (int y = 0; y < 3; y++) line[y] = g[y * 3 + x];
        weight_line(line, t);
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) rows[p][x] = t[p];
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) weight_line(rows[p], out + p * 4);
}

// Whole lines, past the caches: the points of a channel fall on one another in them.
static void weights(const float *w, int64_t c, int count, void *u)
{
    vf g[144], even[16], odd[16];
    for (int64_t i = 0; i < c * 2; i += 16) { // both halves of the outputs of 16 channels
        int64_t channel = i / 32 * 16;
        int first = (int) (i % 32);
        weights_of(w, c, channel, first, count, g);
        for (int k = 0; k < 16; k += 2) {
            uint16_t *out = (uint16_t *) u + (channel + k) * PH_WINO_COLS + first * 2;
            weight_points(g + k * 9, even);
            weight_points(g + k * 9 + 9, odd);
            for (int p = 0; p < 16; p++, out += c * PH_WINO_COLS) {
                __m512i low = _mm512_cvtepu16_epi32(v_to_bf16(even[p]));
                __m512i high = _mm512_cvtepu16_epi32(v_to_bf16(odd[p]));
                _mm512_stream_si512((void *) out,
                                    _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
            }
        }
    }
    _mm_sfence();
}

const struct ph_wino_ops ph_wino_bf16 = {
    .m = 2,
    .points = 16,
    .step = 32,
    .input = input,
    .product = product,
    .output = output,
    .weights = weights,
};
