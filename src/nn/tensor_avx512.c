// SPDX-License-Identifier: MIT
#include "nn/tensor_simd.h"

#include <immintrin.h>

static __m256i load16(const void *src, int64_t i, __mmask16 m)
{
    return _mm256_maskz_loadu_epi16(m, (const char *) src + i * 2);
}

static __m512 load_f16(const void *src, int64_t i, __mmask16 m)
{
    return _mm512_cvtph_ps(load16(src, i, m));
}

static __m512 load_bf16(const void *src, int64_t i, __mmask16 m)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load16(src, i, m)), 16));
}

static __m512 load_f32(const void *src, int64_t i, __mmask16 m)
{
    return _mm512_maskz_loadu_ps(m, (const char *) src + i * 4);
}

static void store_f16(void *dst, int64_t i, __mmask16 m, __m512 v)
{
    _mm256_mask_storeu_epi16((char *) dst + i * 2, m,
                             _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

// By integers: the instruction of AVX-512 BF16 takes subnormals for zero.
static void store_bf16(void *dst, int64_t i, __mmask16 m, __m512 v)
{
    __m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    __m512i r =
        _mm512_mask_or_epi32(_mm512_srli_epi32(up, 16), nan, high, _mm512_set1_epi32(0x40));
    _mm256_mask_storeu_epi16((char *) dst + i * 2, m, _mm512_cvtepi32_epi16(r));
}

static void store_f32(void *dst, int64_t i, __mmask16 m, __m512 v)
{
    _mm512_mask_storeu_ps((char *) dst + i * 4, m, v);
}

#define CONVERT(name, load, store)                                                             \
    static void name(void *dst, const void *src, int64_t n)                                    \
    {                                                                                          \
        int64_t i = 0;                                                                         \
        for (; i + 16 <= n; i += 16) store(dst, i, 0xffff, load(src, i, 0xffff));              \
        __mmask16 m = (__mmask16) ((1u << (n - i)) - 1);                                       \
        if (m) store(dst, i, m, load(src, i, m));                                              \
    }

CONVERT(f16_to_f32, load_f16, store_f32)
CONVERT(bf16_to_f32, load_bf16, store_f32)
CONVERT(f32_to_f16, load_f32, store_f16)
CONVERT(f32_to_bf16, load_f32, store_bf16)
CONVERT(f16_to_bf16, load_f16, store_bf16)
CONVERT(bf16_to_f16, load_bf16, store_f16)

const struct ph_convert_ops ph_convert_ops_avx512 = {
    f16_to_f32, bf16_to_f32, f32_to_f16, f32_to_bf16, f16_to_bf16, bf16_to_f16,
};
