// SPDX-License-Identifier: MIT
// Vectors of floats for files that are compiled once with AVX2 and once with AVX-512, and the
// functions of activations on them. Polynomials are our own Chebyshev fits; errors beside each.
// NaN: v_max and v_min give b when either is NaN, so that v_max(limit, x) keeps a NaN of x.
#ifndef PH_NN_CPU_SIMD_H
#define PH_NN_CPU_SIMD_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#include "nn/prog.h"

#define V_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define VF 16
typedef __m512 vf;
typedef __mmask16 vm; // of the first lanes: V_ALL or v_first(n)
#define V_ALL ((vm) 0xffff)

V_INLINE vm v_first(int64_t n)
{
    return n >= VF ? V_ALL : n <= 0 ? (vm) 0 : (vm) ((1u << n) - 1);
}
V_INLINE vf v_set(float x)
{
    return _mm512_set1_ps(x);
}
V_INLINE vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
V_INLINE vf v_load_m(const float *p, vm m)
{
    return _mm512_maskz_loadu_ps(m, p);
}
V_INLINE void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}
V_INLINE void v_store_m(float *p, vm m, vf x)
{
    _mm512_mask_storeu_ps(p, m, x);
}
V_INLINE vf v_bf16(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
V_INLINE vf v_load_bf16(const uint16_t *p)
{
    return v_bf16(_mm256_loadu_si256((const __m256i *) p));
}
V_INLINE vf v_load_bf16_m(const uint16_t *p, vm m)
{
    return v_bf16(_mm256_maskz_loadu_epi16(m, p));
}
// To nearest even; NaNs stay NaNs.
V_INLINE __m256i v_to_bf16(vf x)
{
    __m512i u = _mm512_castps_si512(x), high = _mm512_srli_epi32(u, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    __m512i r =
        _mm512_mask_or_epi32(_mm512_srli_epi32(up, 16), nan, high, _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(r);
}
V_INLINE void v_store_bf16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *) p, v_to_bf16(x));
}
V_INLINE void v_store_bf16_m(uint16_t *p, vm m, vf x)
{
    _mm256_mask_storeu_epi16(p, m, v_to_bf16(x));
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
V_INLINE vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
V_INLINE vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
V_INLINE vf v_abs(vf x)
{
    return _mm512_abs_ps(x);
}
V_INLINE vf v_less(vf a, vf b, vf then, vf otherwise) // a < b ? then : otherwise
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, then);
}
V_INLINE vf v_keep(vf x, vm m) // zero elsewhere
{
    return _mm512_maskz_mov_ps(m, x);
}
V_INLINE vf v_sign(vf size, vf sign) // |size| with the sign of sign
{
    return _mm512_or_ps(_mm512_abs_ps(size), _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
}
V_INLINE vf v_scale2(vf x, vf n) // x 2^n, n whole
{
    return _mm512_scalef_ps(x, n);
}
V_INLINE float v_sum(vf x)
{
    return _mm512_reduce_add_ps(x);
}
V_INLINE float v_largest(vf x)
{
    return _mm512_reduce_max_ps(x);
}

#else
#define VF    8
typedef __m256 vf;
typedef __m256i vm;
#define V_ALL _mm256_set1_epi32(-1)

V_INLINE vm v_first(int64_t n)
{
    int count = n >= VF ? VF : (int) n;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
V_INLINE vf v_set(float x)
{
    return _mm256_set1_ps(x);
}
V_INLINE vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
V_INLINE vf v_load_m(const float *p, vm m)
{
    return _mm256_maskload_ps(p, m);
}
V_INLINE void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}
V_INLINE void v_store_m(float *p, vm m, vf x)
{
    _mm256_maskstore_ps(p, m, x);
}
V_INLINE vf v_bf16(__m128i h)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
V_INLINE vf v_load_bf16(const uint16_t *p)
{
    return v_bf16(_mm_loadu_si128((const __m128i *) p));
}
V_INLINE int v_count(vm m)
{
    return __builtin_popcount((unsigned) _mm256_movemask_ps(_mm256_castsi256_ps(m)));
}
V_INLINE vf v_load_bf16_m(const uint16_t *p, vm m)
{
    uint16_t part[VF] = { 0 };
    for (int i = 0, n = v_count(m); i < n; i++) part[i] = p[i];
    return v_load_bf16(part);
}
V_INLINE __m128i v_to_bf16(vf x)
{
    __m256i u = _mm256_castps_si256(x), high = _mm256_srli_epi32(u, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    __m256i r = _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), quiet, nan);
    __m256i packed = _mm256_packus_epi32(r, r); // of each half twice
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
}
V_INLINE void v_store_bf16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *) p, v_to_bf16(x));
}
V_INLINE void v_store_bf16_m(uint16_t *p, vm m, vf x)
{
    uint16_t part[VF];
    v_store_bf16(part, x);
    for (int i = 0, n = v_count(m); i < n; i++) p[i] = part[i];
}
V_INLINE vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
V_INLINE vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
V_INLINE vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
V_INLINE vf v_abs(vf x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}
V_INLINE vf v_less(vf a, vf b, vf then, vf otherwise)
{
    return _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
V_INLINE vf v_keep(vf x, vm m)
{
    return _mm256_and_ps(x, _mm256_castsi256_ps(m));
}
V_INLINE vf v_sign(vf size, vf sign)
{
    return _mm256_or_ps(v_abs(size), _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
}
// In two steps, so that results may be subnormal or infinite. A NaN of n gives NaN through x.
V_INLINE vf v_scale2(vf x, vf n)
{
    __m256i whole = _mm256_cvtps_epi32(v_min(v_set(254), v_max(v_set(-252), n)));
    __m256i half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
    __m256i one = _mm256_set1_epi32(127);
    vf a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, one), 23));
    vf b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, one), 23));
    return x * a * b;
}
V_INLINE float v_sum(vf x)
{
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
V_INLINE float v_largest(vf x)
{
    __m128 h = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}
#endif

// ------------------------------------------------------------------------------ any type
// t is a constant where these are used: one of the two branches remains.
V_INLINE vf v_get(enum ph_dtype t, const void *p, int64_t i)
{
    return t == PH_BF16 ? v_load_bf16((const uint16_t *) p + i) : v_load((const float *) p + i);
}
V_INLINE vf v_get_m(enum ph_dtype t, const void *p, int64_t i, vm m)
{
    return t == PH_BF16 ? v_load_bf16_m((const uint16_t *) p + i, m)
                        : v_load_m((const float *) p + i, m);
}
V_INLINE void v_put(enum ph_dtype t, void *p, int64_t i, vf x)
{
    if (t == PH_BF16)
        v_store_bf16((uint16_t *) p + i, x);
    else
        v_store((float *) p + i, x);
}
V_INLINE void v_put_m(enum ph_dtype t, void *p, int64_t i, vm m, vf x)
{
    if (t == PH_BF16)
        v_store_bf16_m((uint16_t *) p + i, m, x);
    else
        v_store_m((float *) p + i, m, x);
}

// ------------------------------------------------------------------------------ functions
V_INLINE vf v_whole(vf x) // nearest whole number of |x| < 2^22
{
    vf magic = v_set(12582912.0f); // 1.5 * 2^23: no fraction has room beside it
    return (x + magic) - magic;
}

// 2^x to 5e-8 relative + a rounding; x in any range, NaN stays.
V_INLINE vf v_exp2(vf x)
{
    x = v_min(v_set(150), v_max(v_set(-152), x));
    vf n = v_whole(x), r = x - n;
    vf p = v_fma(v_set(0.000154614449f), r, v_set(0.0013400428f));
    p = v_fma(p, r, v_set(0.00961805694f));
    p = v_fma(p, r, v_set(0.0555032715f));
    p = v_fma(p, r, v_set(0.240226507f));
    p = v_fma(p, r, v_set(0.693147182f));
    return v_scale2(v_fma(p, r, v_set(1)), n);
}

// e^x to 3e-8 relative + a rounding.
V_INLINE vf v_exp(vf x)
{
    x = v_min(v_set(104), v_max(v_set(-105), x));
    vf n = v_whole(x * v_set(1.44269504f));
    vf r = v_fma(n, v_set(-0.693145752f), x); // ln 2 in two parts, the first of few bits
    r = v_fma(n, v_set(-1.42860677e-6f), r);
    vf p = v_fma(v_set(0.00139411085f), r, v_set(0.00837512594f));
    p = v_fma(p, r, v_set(0.0416663513f));
    p = v_fma(p, r, v_set(0.166664153f));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(p, r, v_set(1));
    return v_scale2(v_fma(p, r, v_set(1)), n);
}

V_INLINE vf v_sigmoid(vf x)
{
    return v_set(1) / (v_set(1) + v_exp(-x));
}

// x/2 erfc(-x / sqrt 2): erfc(z) e^(z z) (1 + z/2) is a smooth function of 1/(1 + z/2), fitted to
// 1e-7 relative for z in 0 .. 14.
V_INLINE vf v_gelu(vf x)
{
    vf z = v_abs(x) * v_set(0.707106781f);
    vf t = v_set(1) / v_fma(z, v_set(0.5f), v_set(1));
    vf p = v_fma(v_set(-0.060782481f), t, v_set(0.292559564f));
    p = v_fma(p, t, v_set(-0.502851725f));
    p = v_fma(p, t, v_set(0.294839233f));
    p = v_fma(p, t, v_set(-0.0373101197f));
    p = v_fma(p, t, v_set(0.206805125f));
    p = v_fma(p, t, v_set(0.242171347f));
    p = v_fma(p, t, v_set(0.282488167f));
    p = v_fma(p, t, v_set(0.282080829f));
    vf below = v_set(0.5f) * p * t * v_exp(-z * z); // the part of a normal below -|x|
    return x * v_less(x, v_set(0), below, v_set(1) - below);
}

// Odd polynomial where 1 - e^-2x would cancel, to 3e-8.
V_INLINE vf v_tanh(vf x)
{
    vf a = v_abs(x), e = v_exp(a * v_set(-2)), s = x * x;
    vf large = v_sign((v_set(1) - e) / (v_set(1) + e), x);
    vf p = v_fma(v_set(0.0171313453f), s, v_set(-0.0529842377f));
    p = v_fma(p, s, v_set(0.13324751f));
    p = v_fma(p, s, v_set(-0.333330691f));
    vf small = v_fma(p * s, x, x);
    return v_less(a, v_set(0.5f), small, large);
}

// act is a constant where this is used.
V_INLINE vf v_act(enum ph_act act, vf x)
{
    switch (act) {
    case PH_ACT_NONE: return x;
    case PH_ACT_RELU: return v_max(v_set(0), x);
    case PH_ACT_SILU: return x / (v_set(1) + v_exp(-x));
    case PH_ACT_GELU: return v_gelu(x);
    case PH_ACT_GELU_TANH: {
        vf u = x * v_fma(x * x, v_set(2 * 0.0356774081f), v_set(2 * 0.797884561f));
        return x / (v_set(1) + v_exp(-u));
    }
    case PH_ACT_QUICK_GELU: return x / (v_set(1) + v_exp(x * v_set(-1.702f)));
    case PH_ACT_SIGMOID: return v_sigmoid(x);
    case PH_ACT_TANH: return v_tanh(x);
    case PH_ACT_EXP: return v_exp(x);
    }
    return x;
}

#endif
