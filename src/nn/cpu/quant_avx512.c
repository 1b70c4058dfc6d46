// SPDX-License-Identifier: MIT
#include "nn/cpu/quant.h"

#include <immintrin.h>

static __mmask16 part(int64_t left)
{
    return left >= 16 ? 0xffff : (__mmask16) ((1u << left) - 1);
}

static __m512 wide(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

// max(v, peak) gives peak when v is NaN.
static __m512 higher(__m512 peak, __m512 v)
{
    return _mm512_max_ps(_mm512_abs_ps(v), peak);
}

static float peak_f32(const float *x, int64_t n)
{
    __m512 a = _mm512_setzero_ps(), b = a;
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        a = higher(a, _mm512_loadu_ps(x + i));
        b = higher(b, _mm512_loadu_ps(x + i + 16));
    }
    for (; i < n; i += 16) a = higher(a, _mm512_maskz_loadu_ps(part(n - i), x + i));
    return _mm512_reduce_max_ps(_mm512_max_ps(a, b));
}

static float peak_bf16(const uint16_t *x, int64_t n)
{
    __m512 a = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16)
        a = higher(a, wide(_mm256_maskz_loadu_epi16(part(n - i), x + i)));
    return _mm512_reduce_max_ps(a);
}

static __m128i bytes_of(__m512 v)
{
    v = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v);
    v = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(-127)), _mm512_set1_ps(127));
    return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v));
}

static void bytes_f32(int8_t *q, const float *x, int64_t n, float inverse)
{
    __m512 f = _mm512_set1_ps(inverse);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = part(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, x + i);
        _mm_mask_storeu_epi8(q + i, m, bytes_of(_mm512_mul_ps(v, f)));
    }
}

static void bytes_bf16(int8_t *q, const uint16_t *x, int64_t n, float inverse)
{
    __m512 f = _mm512_set1_ps(inverse);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 m = part(n - i);
        __m512 v = wide(_mm256_maskz_loadu_epi16(m, x + i));
        _mm_mask_storeu_epi8(q + i, m, bytes_of(_mm512_mul_ps(v, f)));
    }
}

// bf16 of finite values in the upper half of each lane.
static __m512i rounded(__m512 v)
{
    __m512i u = _mm512_castps_si512(v), one = _mm512_set1_epi32(1);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), one);
    return _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}

static void widen(uint16_t *out, const uint8_t *q, const float *scale, int pairs, int outputs)
{
    __m512i low = _mm512_set1_epi32(15), eight = _mm512_set1_epi32(8);
    __m512i upper = _mm512_set1_epi32((int) 0xffff0000u);
    for (int p = 0; p < pairs; p++)
        for (int o = 0; o < outputs; o += 16, q += 16, out += 32) {
            __m512 s = _mm512_loadu_ps(scale + o);
            __m512i b = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) q));
            __m512i l = _mm512_sub_epi32(_mm512_and_si512(b, low), eight);
            __m512i h = _mm512_sub_epi32(_mm512_srli_epi32(b, 4), eight);
            __m512i lo = rounded(_mm512_mul_ps(_mm512_cvtepi32_ps(l), s));
            __m512i hi = rounded(_mm512_mul_ps(_mm512_cvtepi32_ps(h), s));
            __m512i v = _mm512_or_si512(_mm512_srli_epi32(lo, 16), _mm512_and_si512(hi, upper));
            _mm512_storeu_si512(out, v);
        }
}

const struct ph_quant_ops ph_quant_ops_avx512 = { peak_f32, peak_bf16, bytes_f32, bytes_bf16,
                                                  widen };
