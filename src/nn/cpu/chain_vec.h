// SPDX-License-Identifier: MIT
// The loops of chain.h, for whichever vectors this is compiled with.
#include "nn/cpu/chain.h"
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

// The same with the type of a second operand.
#define TYPES3(ta, tb, out, f, ...)                                                            \
    do {                                                                                       \
        if (tb == PH_BF16)                                                                     \
            TYPES(ta, out, f, PH_BF16, __VA_ARGS__);                                           \
        else                                                                                   \
            TYPES(ta, out, f, PH_F32, __VA_ARGS__);                                            \
    } while (0)

// Whole vectors, then the rest: `make` is an expression of i and of the lanes m.
#define EACH(n, make, make_m)                                                                  \
    do {                                                                                       \
        int64_t i = 0;                                                                         \
        for (; i + VF <= n; i += VF) make;                                                     \
        if (i < n) {                                                                           \
            vm m = v_first(n - i);                                                             \
            make_m;                                                                            \
        }                                                                                      \
    } while (0)

// ------------------------------------------------------------------------------ of one
V_INLINE void activate_of(enum ph_dtype in, enum ph_dtype out, enum ph_act act, const void *x,
                          void *y, int64_t n)
{
    EACH(n, v_put(out, y, i, v_act(act, v_get(in, x, i))),
         v_put_m(out, y, i, m, v_act(act, v_get_m(in, x, i, m))));
}

static void activate(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t n,
                     enum ph_act act)
{
    switch (act) {
    case PH_ACT_NONE: TYPES(in, out, activate_of, PH_ACT_NONE, x, y, n); break;
    case PH_ACT_RELU: TYPES(in, out, activate_of, PH_ACT_RELU, x, y, n); break;
    case PH_ACT_SILU: TYPES(in, out, activate_of, PH_ACT_SILU, x, y, n); break;
    case PH_ACT_GELU: TYPES(in, out, activate_of, PH_ACT_GELU, x, y, n); break;
    case PH_ACT_GELU_TANH: TYPES(in, out, activate_of, PH_ACT_GELU_TANH, x, y, n); break;
    case PH_ACT_QUICK_GELU: TYPES(in, out, activate_of, PH_ACT_QUICK_GELU, x, y, n); break;
    case PH_ACT_SIGMOID: TYPES(in, out, activate_of, PH_ACT_SIGMOID, x, y, n); break;
    case PH_ACT_TANH: TYPES(in, out, activate_of, PH_ACT_TANH, x, y, n); break;
    case PH_ACT_EXP: TYPES(in, out, activate_of, PH_ACT_EXP, x, y, n); break;
    }
}

V_INLINE void affine_of(enum ph_dtype in, enum ph_dtype out, const void *x, void *y, int64_t n,
                        vf scale, vf offset, enum ph_act act)
{
    EACH(n, v_put(out, y, i, v_act(act, v_fma(v_get(in, x, i), scale, offset))),
         v_put_m(out, y, i, m, v_act(act, v_fma(v_get_m(in, x, i, m), scale, offset))));
}

static void affine(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t n,
                   float scale, float offset, enum ph_act act)
{
    vf s = v_set(scale), o = v_set(offset);
    if (act == PH_ACT_NONE)
        TYPES(in, out, affine_of, x, y, n, s, o, PH_ACT_NONE);
    else
        TYPES(in, out, affine_of, x, y, n, s, o, act);
}

V_INLINE void clamp_of(enum ph_dtype in, enum ph_dtype out, const void *x, void *y, int64_t n,
                       vf low, vf high)
{
    EACH(n, v_put(out, y, i, v_min(high, v_max(low, v_get(in, x, i)))),
         v_put_m(out, y, i, m, v_min(high, v_max(low, v_get_m(in, x, i, m)))));
}

static void clamp(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t n,
                  float low, float high)
{
    TYPES(in, out, clamp_of, x, y, n, v_set(low), v_set(high));
}

// ------------------------------------------------------------------------------ of two
V_INLINE void blend_of(enum ph_dtype ta, enum ph_dtype out, enum ph_dtype tb, const void *a,
                       vf p, const void *b, vf q, void *y, int64_t n, enum ph_act act)
{
    EACH(n, v_put(out, y, i, v_act(act, v_fma(v_get(ta, a, i), p, v_get(tb, b, i) * q))),
         v_put_m(out, y, i, m,
                 v_act(act, v_fma(v_get_m(ta, a, i, m), p, v_get_m(tb, b, i, m) * q))));
}

static void blend(enum ph_dtype ta, const void *a, float p, enum ph_dtype tb, const void *b,
                  float q, enum ph_dtype out, void *y, int64_t n, enum ph_act act)
{
    vf vp = v_set(p), vq = v_set(q);
    if (act == PH_ACT_NONE)
        TYPES3(ta, tb, out, blend_of, a, vp, b, vq, y, n, PH_ACT_NONE);
    else
        TYPES3(ta, tb, out, blend_of, a, vp, b, vq, y, n, act);
}

V_INLINE void product_of(enum ph_dtype ta, enum ph_dtype out, enum ph_dtype tb, const void *a,
                         const void *b, void *y, int64_t n, enum ph_act act)
{
    EACH(n, v_put(out, y, i, v_act(act, v_get(ta, a, i) * v_get(tb, b, i))),
         v_put_m(out, y, i, m, v_act(act, v_get_m(ta, a, i, m) * v_get_m(tb, b, i, m))));
}

static void product(enum ph_dtype ta, const void *a, enum ph_dtype tb, const void *b,
                    enum ph_dtype out, void *y, int64_t n, enum ph_act act)
{
    if (act == PH_ACT_NONE)
        TYPES3(ta, tb, out, product_of, a, b, y, n, PH_ACT_NONE);
    else
        TYPES3(ta, tb, out, product_of, a, b, y, n, act);
}

V_INLINE vf either(enum ph_op op, vf a, vf b)
{
    return op == PH_OP_ADD ? a + b : a * b;
}

V_INLINE void spread_of(enum ph_dtype ta, enum ph_dtype out, enum ph_dtype tb, enum ph_op op,
                        const void *a, const void *b, void *y, int64_t rows, int64_t c,
                        enum ph_act act)
{
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r * c;
        EACH(c,
             v_put(out, y, at + i,
                   v_act(act, either(op, v_get(ta, a, at + i), v_get(tb, b, i)))),
             v_put_m(out, y, at + i, m,
                     v_act(act, either(op, v_get_m(ta, a, at + i, m), v_get_m(tb, b, i, m)))));
    }
}

static void spread(enum ph_op op, enum ph_dtype ta, const void *a, enum ph_dtype tb,
                   const void *b, enum ph_dtype out, void *y, int64_t rows, int64_t c,
                   enum ph_act act)
{
    if (act == PH_ACT_NONE)
        TYPES3(ta, tb, out, spread_of, op, a, b, y, rows, c, PH_ACT_NONE);
    else
        TYPES3(ta, tb, out, spread_of, op, a, b, y, rows, c, act);
}

V_INLINE void geglu_of(enum ph_dtype in, enum ph_dtype out, const void *x, void *y,
                       int64_t rows, int64_t f)
{
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r * 2 * f, to = r * f;
        EACH(f, v_put(out, y, to + i, v_get(in, x, at + i) * v_gelu(v_get(in, x, at + f + i))),
             v_put_m(out, y, to + i, m,
                     v_get_m(in, x, at + i, m) * v_gelu(v_get_m(in, x, at + f + i, m))));
    }
}

static void geglu(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t rows,
                  int64_t f)
{
    TYPES(in, out, geglu_of, x, y, rows, f);
}

// ------------------------------------------------------------------------------ of four
V_INLINE void mix_of(enum ph_dtype in, enum ph_dtype out, const void *const x[4], vf a, vf b,
                     vf c, vf d, void *y, int64_t n)
{
    EACH(n,
         v_put(out, y, i,
               v_fma(v_get(in, x[0], i), a,
                     v_fma(v_get(in, x[1], i), b,
                           v_fma(v_get(in, x[2], i), c, v_get(in, x[3], i) * d)))),
         v_put_m(out, y, i, m,
                 v_fma(v_get_m(in, x[0], i, m), a,
                       v_fma(v_get_m(in, x[1], i, m), b,
                             v_fma(v_get_m(in, x[2], i, m), c, v_get_m(in, x[3], i, m) * d)))));
}

static void mix(enum ph_dtype in, const void *const x[4], const float w[4], enum ph_dtype out,
                void *y, int64_t c)
{
    TYPES(in, out, mix_of, x, v_set(w[0]), v_set(w[1]), v_set(w[2]), v_set(w[3]), y, c);
}

// ------------------------------------------------------------------------------ rotary
V_INLINE void turn_of(enum ph_dtype in, enum ph_dtype out, const void *x, const float *cosine,
                      const float *sine, void *y, int64_t at, int64_t q)
{
    for (int64_t i = 0; i < q; i += VF) {
        vm m = v_first(q - i);
        vf a = v_get_m(in, x, at + i, m), b = v_get_m(in, x, at + q + i, m);
        vf c = v_load_m(cosine + i, m), s = v_load_m(sine + i, m);
        v_put_m(out, y, at + i, m, a * c - b * s);
        v_put_m(out, y, at + q + i, m, b * c + a * s);
    }
}

V_INLINE void rotary_of(enum ph_dtype in, enum ph_dtype out, const void *x, const float *table,
                        void *y, int heads, int64_t d)
{
    for (int64_t e = 0; e < 2 * heads; e++) {
        const float *cosine = table + e % 2 * (d / 4);
        turn_of(in, out, x, cosine, cosine + d / 2, y, e * (d / 2), d / 4);
    }
}

static void rotary(enum ph_dtype in, const void *x, const float *table, enum ph_dtype out,
                   void *y, int heads, int64_t d)
{
    TYPES(in, out, rotary_of, x, table, y, heads, d);
}

// ------------------------------------------------------------------------------ bytes
V_INLINE void store_bytes(uint8_t *y, vf x, int64_t n)
{
    vf v = v_min(v_set(255), v_max(x, v_set(0))); // NaN gives the zero
#if VF == 16
    __m512i w = _mm512_cvtps_epi32(v);
    _mm_mask_storeu_epi8(y, v_first(n), _mm512_cvtepi32_epi8(w));
#else
    int32_t w[VF];
    _mm256_storeu_si256((__m256i *) w, _mm256_cvtps_epi32(v));
    for (int i = 0; i < VF && i < n; i++) y[i] = (uint8_t) w[i];
#endif
}

V_INLINE void bytes_of(enum ph_dtype in, const void *x, uint8_t *y, int64_t n, float scale,
                       float offset)
{
    vf s = v_set(scale), o = v_set(offset), all = v_set(255);
    for (int64_t i = 0; i < n; i += VF) {
        vm m = v_first(n - i);
        store_bytes(y + i, v_fma(v_get_m(in, x, i, m), s, o) * all, n - i);
    }
}

static void bytes(enum ph_dtype in, const void *x, uint8_t *y, int64_t n, float scale,
                  float offset)
{
    if (in == PH_BF16)
        bytes_of(PH_BF16, x, y, n, scale, offset);
    else
        bytes_of(PH_F32, x, y, n, scale, offset);
}
