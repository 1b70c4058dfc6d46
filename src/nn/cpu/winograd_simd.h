// SPDX-License-Identifier: MIT
// What the two kinds of Winograd kernels share. The includer defines
//   WINO_DOT(sum, a, b)   sum += a * b of 16 floats, or of 16 pairs of bf16
//   WINO_M                outputs of a side
#ifndef PH_NN_CPU_WINOGRAD_SIMD_H
#define PH_NN_CPU_WINOGRAD_SIMD_H

#include "nn/cpu/simd.h"
#include "nn/cpu/transpose.h"
#include "nn/cpu/winograd.h"

enum { WINO_A = WINO_M + 2, WINO_P = WINO_A * WINO_A };

// rows is a constant where this is used: 2 rows + 3 registers.
V_INLINE void product_of(const char *v, const char *u, float *out, int64_t stride, int rows,
                         int steps)
{
    vf sum[PH_WINO_ROWS][2];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = v_set(0);
    for (int s = 0; s < steps; s++, v += (PH_WINO_ROWS - 1) * 64) {
#pragma GCC unroll 4
        for (int k = 0; k < 16; k++, v += 4, u += 128) {
            vf b0 = v_load((const float *) u), b1 = v_load((const float *) (u + 64));
#pragma GCC unroll 14
            for (int r = 0; r < rows; r++) {
                vf a = v_set(*(const float *) (v + r * 64));
                __asm__("" : "+v"(a)); // one load for both
                WINO_DOT(sum[r][0], a, b0);
                WINO_DOT(sum[r][1], a, b1);
            }
        }
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
        v_store(out + r * stride, sum[r][0]);
        v_store(out + r * stride + 16, sum[r][1]);
    }
}

static void product(const void *v, const void *u, float *out, int64_t stride, int rows,
                    int steps)
{
    switch (rows) {
#define ROWS(n)                                                                                \
    case n: product_of(v, u, out, stride, n, steps); return;
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(5)
        ROWS(6)
        ROWS(7)
        ROWS(8)
        ROWS(9)
        ROWS(10)
        ROWS(11)
        ROWS(12)
        ROWS(13)
        ROWS(14)
#undef ROWS
    }
}

// Weights of 16 channels from `channel` on and 16 outputs from `first` on: g[channel * 9 + tap] of
// all outputs, zeros beyond `count`. Whole lines are read; gathering single weights took most of the
// time of packing.
V_INLINE void weights_of(const float *w, int64_t c, int64_t channel, int first, int count,
                         vf g[144])
{
    const float *from = w + (first * c + channel) * 9;
    for (int i = 0; i < 144; i += 16) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int o = 0; o < 16; o++)
            r[o] = first + o < count ? _mm512_loadu_si512(from + o * c * 9 + i)
                                     : _mm512_setzero_si512();
        ph_transpose(r);
#pragma GCC unroll 16
        for (int k = 0; k < 16; k++) g[i + k] = (vf) r[k];
    }
}

struct wino_tile {
    int64_t n, y, x; // picture, first output
};

V_INLINE struct wino_tile tile_at(const struct ph_wino *g, int64_t tile)
{
    int64_t at = tile % g->each;
    return (struct wino_tile){ tile / g->each, at / g->across * WINO_M,
                               at % g->across * WINO_M };
}

// Where the inputs of a tile are; zeros for what lies outside of the picture.
V_INLINE void find_inputs(const struct ph_wino *g, int64_t tile, const char *at[WINO_P])
{
    struct wino_tile t = tile_at(g, tile);
    int64_t pixel = g->c * (g->x_type == PH_F32 ? 4 : 2), row = g->w * pixel;
    int64_t top = t.y - g->top, left = t.x - g->left;
    const char *from = (const char *) g->x + t.n * g->h * row + top * row + left * pixel;
    if (top >= 0 && left >= 0 && top + WINO_A <= g->h && left + WINO_A <= g->w) {
        for (int i = 0; i < WINO_A; i++, from += row)
            for (int j = 0; j < WINO_A; j++) *at++ = from + j * pixel;
        return;
    }
    for (int i = 0; i < WINO_A; i++, from += row)
        for (int j = 0; j < WINO_A; j++) {
            bool inside = top + i >= 0 && top + i < g->h && left + j >= 0 && left + j < g->w;
            *at++ = inside ? from + j * pixel : g->zero;
        }
}

// The types are constants where this is used.
V_INLINE void put_typed(const struct ph_wino *g, const vf out[WINO_M][WINO_M],
                        struct wino_tile t, int64_t channel, enum ph_dtype y_type,
                        enum ph_dtype r_type)
{
    int64_t h = g->oh - t.y, w = g->ow - t.x;
    vf bias = g->bias ? v_load(g->bias + channel) : v_set(0);
    vf least = v_set(g->act == PH_ACT_RELU ? 0 : -INFINITY);
    int64_t row = ((t.n * g->oh + t.y) * g->ow + t.x) * g->outputs + channel;
#pragma GCC unroll 4
    for (int i = 0; i < WINO_M; i++, row += g->ow * g->outputs) {
        if (i >= h) break;
        int64_t at = row;
#pragma GCC unroll 4
        for (int j = 0; j < WINO_M; j++, at += g->outputs) {
            if (j >= w) break;
            vf v = out[i][j] + bias;
            if (r_type) v += v_get(r_type, g->residual, at);
            v = v_max(least, v);
            if (__builtin_expect(g->act == PH_ACT_SILU, 0)) v = v_act(PH_ACT_SILU, v);
            if (y_type == PH_F32 && g->stream)
                _mm512_stream_ps((float *) g->y + at, v);
            else
                v_put(y_type, g->y, at, v);
        }
    }
}

// The part of a tile's outputs that the picture has.
V_INLINE void tile_put(const struct ph_wino *g, const vf out[WINO_M][WINO_M],
                       struct wino_tile t, int64_t channel)
{
    enum ph_dtype r = g->residual ? g->r_type : PH_DTYPE_NONE;
    if (g->y_type == PH_F32) {
        if (!r)
            put_typed(g, out, t, channel, PH_F32, PH_DTYPE_NONE);
        else if (r == PH_F32)
            put_typed(g, out, t, channel, PH_F32, PH_F32);
        else
            put_typed(g, out, t, channel, PH_F32, PH_BF16);
    } else {
        if (!r)
            put_typed(g, out, t, channel, PH_BF16, PH_DTYPE_NONE);
        else if (r == PH_F32)
            put_typed(g, out, t, channel, PH_BF16, PH_F32);
        else
            put_typed(g, out, t, channel, PH_BF16, PH_BF16);
    }
}

#endif
