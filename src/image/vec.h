// SPDX-License-Identifier: MIT
// One source for two widths: PH_VEC 256 (AVX2) or 512 (AVX-512 F, BW, VL, DQ). Most instructions
// differ in their prefix only and work within 128-bit lanes on both; what crosses lanes is here.
#ifndef PH_IMAGE_VEC_H
#define PH_IMAGE_VEC_H

#include "image/init.h"
#include "image/px.h"

#include <immintrin.h>

#if PH_VEC == 512
typedef __m512i vec;
typedef __m512 fvec;
#define V(op)      _mm512_##op
#define VBITS(op)  _mm512_##op##_si512
#define PH_NAME(x) x##_avx512
#else
typedef __m256i vec;
typedef __m256 fvec;
#define V(op)      _mm256_##op
#define VBITS(op)  _mm256_##op##_si256
#define PH_NAME(x) x##_avx2
#endif

enum { VB = PH_VEC / 8, VPX = VB / 4 }; // bytes; pixels, floats or 32-bit numbers

// Loops over [0, n) in steps of `by` whose last step ends at n, overlapping the one before: for
// kernels that may compute something twice. Nothing at all when n < by.
#define FOR_OVERLAPPED(i, by, n) for (int i = 0; i + (by) <= (n); i = next_step(i, by, n))

static inline int next_step(int i, int by, int n)
{
    i += by;
    return i < n && i + by > n ? n - by : i;
}

static inline vec vload(const void *p)
{
    return VBITS(loadu)(p);
}

static inline void vstore(void *p, vec v)
{
    VBITS(storeu)(p, v);
}

static inline fvec vloadf(const float *p)
{
    return V(loadu_ps)(p);
}

// 16-bit numbers lo and hi side by side, for madd.
static inline vec vpair(int lo, int hi)
{
    return V(set1_epi32)((int) ((uint32_t) hi << 16 | (uint16_t) lo));
}

static inline vec vset64(uint64_t v)
{
#if PH_VEC == 512
    return _mm512_set1_epi64((long long) v);
#else
    return _mm256_set1_epi64x((long long) v);
#endif
}

// VB / 2 bytes to 16 bits, VB / 4 bytes to 32, VB / 2 bytes (as 16-bit numbers) to 32.
#if PH_VEC == 512
static inline vec vload_8_16(const void *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(p));
}

static inline vec vload_8_32(const void *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(p));
}

static inline vec vload_16_32(const void *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
}
#else
static inline vec vload_8_16(const void *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(p));
}

static inline vec vload_8_32(const void *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(p));
}

static inline vec vload_16_32(const void *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
}
#endif

// After a pack of two vectors: the halves of lanes back into the order of the sources.
static inline vec vunpack_order(vec v)
{
#if PH_VEC == 512
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
#else
    return _mm256_permute4x64_epi64(v, 0xd8);
#endif
}

// Writes lanes lo0 hi0 lo1 hi1 ...: 2 VB bytes.
static inline void vstore_zipped(void *p, vec lo, vec hi)
{
#if PH_VEC == 512
    vstore(p, _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), hi));
    vstore((char *) p + 64,
           _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), hi));
#else
    vstore(p, _mm256_permute2x128_si256(lo, hi, 0x20));
    vstore((char *) p + 32, _mm256_permute2x128_si256(lo, hi, 0x31));
#endif
}

// 32-bit numbers, saturated to bytes: VB / 4 bytes. AVX-512 wants them >= 0.
static inline void vstore_32_8(uint8_t *p, vec v)
{
#if PH_VEC == 512
    _mm_storeu_si128((__m128i *) (void *) p, _mm512_cvtusepi32_epi8(v));
#else
    __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64((__m128i *) (void *) p, _mm_packus_epi16(h, h));
#endif
}

// The low halves of 32-bit numbers below 2^16: VB / 2 bytes.
static inline void vstore_32_16(uint8_t *p, vec v)
{
#if PH_VEC == 512
    _mm256_storeu_si256((__m256i *) (void *) p, _mm512_cvtepi32_epi16(v));
#else
    __m128i lo = _mm256_castsi256_si128(v), hi = _mm256_extracti128_si256(v, 1);
    _mm_storeu_si128((__m128i *) (void *) p, _mm_packus_epi32(lo, hi));
#endif
}

// 16-bit numbers 0..255: VB / 2 bytes.
static inline void vstore_16_8(uint8_t *p, vec v)
{
#if PH_VEC == 512
    _mm256_storeu_si256((__m256i *) (void *) p, _mm512_cvtepi16_epi8(v));
#else
    __m128i lo = _mm256_castsi256_si128(v), hi = _mm256_extracti128_si256(v, 1);
    _mm_storeu_si128((__m128i *) (void *) p, _mm_packus_epi16(lo, hi));
#endif
}

// div255 of px.h on 16-bit numbers up to 65025.
static inline vec vdiv255(vec v)
{
    v = V(add_epi16)(v, V(set1_epi16)(128));
    return V(srli_epi16)(V(add_epi16)(v, V(srli_epi16)(v, 8)), 8);
}

#endif
