// SPDX-License-Identifier: MIT
// The loops of norm.h, for whichever vectors this is compiled with.
#include "nn/cpu/norm.h"
#include "nn/cpu/simd.h"

// Calls f with types that are constants.
#define TYPES(in, out, f, ...)                                                                 \
    do {                                                                                       \
        if (in == PH_BF16 && out == PH_BF16)                                                   \
            f(PH_BF16, PH_BF16, __VA_ARGS__);                                                  \
        else if (in == PH_BF16)                                                                \
            f(PH_BF16, PH_F32, __VA_ARGS__);                                                   \
        else if (out == PH_BF16)                                                               \
            f(PH_F32, PH_BF16, __VA_ARGS__);                                                   \
        else                                                                                   \
            f(PH_F32, PH_F32, __VA_ARGS__);                                                    \
    } while (0)

// ------------------------------------------------------------------------------ group norm
// Four pixels at once, so that sums are read and written a quarter as often.
V_INLINE void add_pixels(enum ph_dtype t, const void *x, int64_t at, int count, int64_t c,
                         int64_t i, vm m, const float *first, float *sum, float *square)
{
    vf f = v_load_m(first + i, m), s = v_load_m(sum + i, m), q = v_load_m(square + i, m);
    for (int k = 0; k < count; k++) {
        vf d = v_get_m(t, x, at + k * c + i, m) - f;
        s = s + d;
        q = v_fma(d, d, q);
    }
    v_store_m(sum + i, m, s);
    v_store_m(square + i, m, q);
}

V_INLINE void add_whole(enum ph_dtype t, const void *x, int64_t at, int count, int64_t c,
                        int64_t i, const float *first, float *sum, float *square)
{
    vf f = v_load(first + i), s = v_load(sum + i), q = v_load(square + i);
    for (int k = 0; k < count; k++) {
        vf d = v_get(t, x, at + k * c + i) - f;
        s = s + d;
        q = v_fma(d, d, q);
    }
    v_store(sum + i, s);
    v_store(square + i, q);
}

V_INLINE void sums_of(enum ph_dtype t, const void *x, int64_t pixels, int64_t c, float *first,
                      float *sum, float *square)
{
    int64_t whole = c / VF * VF;
    vm m = v_first(c - whole);
    for (int64_t i = 0; i < c; i += VF) {
        vm part = v_first(c - i);
        v_store_m(first + i, part, v_get_m(t, x, i, part));
        v_store_m(sum + i, part, v_set(0));
        v_store_m(square + i, part, v_set(0));
    }
    int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) {
        for (int64_t i = 0; i < whole; i += VF)
            add_whole(t, x, p * c, 4, c, i, first, sum, square);
        if (whole < c) add_pixels(t, x, p * c, 4, c, whole, m, first, sum, square);
    }
    for (; p < pixels; p++)
        for (int64_t i = 0; i < c; i += VF)
            add_pixels(t, x, p * c, 1, c, i, v_first(c - i), first, sum, square);
}

static void sums(enum ph_dtype type, const void *x, int64_t pixels, int64_t c, float *first,
                 float *sum, float *square)
{
    if (type == PH_BF16)
        sums_of(PH_BF16, x, pixels, c, first, sum, square);
    else
        sums_of(PH_F32, x, pixels, c, first, sum, square);
}

V_INLINE void apply_of(enum ph_dtype in, enum ph_dtype out, enum ph_act act, const void *x,
                       void *y, int64_t pixels, int64_t c, const float *middle,
                       const float *factor, const float *offset)
{
    int64_t whole = c / VF * VF;
    vm m = v_first(c - whole);
    for (int64_t p = 0; p < pixels; p++) {
        int64_t at = p * c;
        for (int64_t i = 0; i < whole; i += VF) {
            vf d = v_get(in, x, at + i) - v_load(middle + i);
            v_put(out, y, at + i, v_act(act, v_fma(d, v_load(factor + i), v_load(offset + i))));
        }
        if (whole == c) continue;
        vf d = v_get_m(in, x, at + whole, m) - v_load_m(middle + whole, m);
        vf v = v_fma(d, v_load_m(factor + whole, m), v_load_m(offset + whole, m));
        v_put_m(out, y, at + whole, m, v_act(act, v));
    }
}

static void apply(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t pixels,
                  int64_t c, const float *middle, const float *factor, const float *offset,
                  enum ph_act act)
{
    if (act == PH_ACT_NONE)
        TYPES(in, out, apply_of, PH_ACT_NONE, x, y, pixels, c, middle, factor, offset);
    else if (act == PH_ACT_SILU)
        TYPES(in, out, apply_of, PH_ACT_SILU, x, y, pixels, c, middle, factor, offset);
    else
        TYPES(in, out, apply_of, act, x, y, pixels, c, middle, factor, offset);
}

// ------------------------------------------------------------------------------ layer norm
// Mean of a row: sums of 2 VF lanes, then of those.
V_INLINE float mean_of(enum ph_dtype t, const void *x, int64_t at, int64_t c)
{
    vf a = v_set(0), b = v_set(0);
    int64_t i = 0;
    for (; i + 2 * VF <= c; i += 2 * VF) {
        a = a + v_get(t, x, at + i);
        b = b + v_get(t, x, at + i + VF);
    }
    for (; i < c; i += VF) a = a + v_get_m(t, x, at + i, v_first(c - i));
    return v_sum(a + b) / (float) c;
}

// Sums of the differences from `middle` and of their squares.
V_INLINE void moments_of(enum ph_dtype t, const void *x, int64_t at, int64_t c, float middle,
                         float *sum, float *square)
{
    vf m = v_set(middle), s = v_set(0), q = v_set(0);
    int64_t i = 0;
    for (; i + VF <= c; i += VF) {
        vf d = v_get(t, x, at + i) - m;
        s = s + d;
        q = v_fma(d, d, q);
    }
    if (i < c) {
        vm part = v_first(c - i);
        vf d = v_keep(v_get_m(t, x, at + i, part) - m, part);
        s = s + d;
        q = v_fma(d, d, q);
    }
    *sum = v_sum(s);
    *square = v_sum(q);
}

V_INLINE void layer_of(enum ph_dtype in, enum ph_dtype out, const void *x, void *y,
                       int64_t rows, int64_t c, const float *weight, const float *bias,
                       float eps, enum ph_act act)
{
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r * c;
        float sum, square, middle = mean_of(in, x, at, c);
        moments_of(in, x, at, c, middle, &sum, &square);
        float rest = sum / (float) c; // what rounding left of the mean
        float inverse = 1 / sqrtf(square / (float) c - rest * rest + eps);
        vf m = v_set(middle), l = v_set(rest), f = v_set(inverse);
        for (int64_t i = 0; i < c; i += VF) {
            vm part = v_first(c - i);
            vf v = (v_get_m(in, x, at + i, part) - m - l) * f;
            if (weight) v = v * v_load_m(weight + i, part);
            if (bias) v = v + v_load_m(bias + i, part);
            v_put_m(out, y, at + i, part, act == PH_ACT_NONE ? v : v_act(act, v));
        }
    }
}

static void layer(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t rows,
                  int64_t c, const float *weight, const float *bias, float eps, enum ph_act act)
{
    TYPES(in, out, layer_of, x, y, rows, c, weight, bias, eps, act);
}
