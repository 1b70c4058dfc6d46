// SPDX-License-Identifier: MIT
#include "nn/tensor_simd.h"

#include <immintrin.h>

static __m256 load_f16(const void *src, int64_t i)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) ((const char *) src + i * 2)));
}

static __m256 load_bf16(const void *src, int64_t i)
{
    __m128i h = _mm_loadu_si128((const __m128i *) ((const char *) src + i * 2));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

static __m256 load_f32(const void *src, int64_t i)
{
    return _mm256_loadu_ps((const float *) ((const char *) src + i * 4));
}

static void store_f16(void *dst, int64_t i, __m256 v)
{
    __m128i h = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128((__m128i *) ((char *) dst + i * 2), h);
}

static void store_bf16(void *dst, int64_t i, __m256 v)
{
    __m256i u = _mm256_castps_si256(v), high = _mm256_srli_epi32(u, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    __m256 nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    __m256i r = _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), quiet, _mm256_castps_si256(nan));
    __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
    _mm_storeu_si128((__m128i *) ((char *) dst + i * 2), h);
}

static void store_f32(void *dst, int64_t i, __m256 v)
{
    _mm256_storeu_ps((float *) ((char *) dst + i * 4), v);
}

#define CONVERT(name, load, store, to_size, from_size)                                         \
    static void name(void *dst, const void *src, int64_t n)                                    \
    {                                                                                          \
        int64_t i = 0;                                                                         \
        for (; i + 8 <= n; i += 8) store(dst, i, load(src, i));                                \
        ph_convert_ops_c.name((char *) dst + i * (to_size),                                    \
                              (const char *) src + i * (from_size), n - i);                    \
    }

CONVERT(f16_to_f32, load_f16, store_f32, 4, 2)
CONVERT(bf16_to_f32, load_bf16, store_f32, 4, 2)
CONVERT(f32_to_f16, load_f32, store_f16, 2, 4)
CONVERT(f32_to_bf16, load_f32, store_bf16, 2, 4)
CONVERT(f16_to_bf16, load_f16, store_bf16, 2, 2)
CONVERT(bf16_to_f16, load_bf16, store_f16, 2, 2)

const struct ph_convert_ops ph_convert_ops_avx2 = {
    f16_to_f32, bf16_to_f32, f32_to_f16, f32_to_bf16, f16_to_bf16, bf16_to_f16,
};
