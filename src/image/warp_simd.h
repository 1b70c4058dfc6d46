// SPDX-License-Identifier: MIT
// Sampling along lines for PH_VEC; see vec.h and the truth in warp.c.
#include "image/vec.h"

static struct ph_image_ops plain;

#if PH_VEC == 512
typedef __m256i half; // VPX / 2 numbers of 32 bits
#define LOW_HALF(v)  _mm512_castsi512_si256(v)
#define HIGH_HALF(v) _mm512_extracti64x4_epi64(v, 1)
#define FLOOR(v)     _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
#define IOTA         _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#else
typedef __m128i half;
#define LOW_HALF(v)  _mm256_castsi256_si128(v)
#define HIGH_HALF(v) _mm256_extracti128_si256(v, 1)
#define FLOOR(v)     _mm256_floor_ps(v)
#define IOTA         _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7)
#endif
enum { HALF = VPX / 2 };

struct places {
    vec low, part; // as struct place in warp.c; the other neighbour is the next one
};

static inline struct places fold(fvec v, float period, float inverse, float turn, float top,
                                 int size)
{
    fvec u = V(add_ps)(v, V(set1_ps)(0.5f));
    fvec whole = FLOOR(V(mul_ps)(u, V(set1_ps)(inverse)));
    u = V(sub_ps)(u, V(mul_ps)(V(set1_ps)(period), whole));
    u = V(min_ps)(u, V(sub_ps)(V(set1_ps)(turn), u));
    u = V(max_ps)(V(sub_ps)(u, V(set1_ps)(0.5f)), V(setzero_ps)());
    u = V(min_ps)(u, V(set1_ps)(top));
    vec low = V(min_epi32)(V(cvttps_epi32)(u), V(set1_epi32)(size - 2));
    fvec rest = V(mul_ps)(V(sub_ps)(u, V(cvtepi32_ps)(low)), V(set1_ps)(32768));
    return (struct places){ low, V(min_epi32)(V(cvttps_epi32)(rest), V(set1_epi32)(32767)) };
}

// The low 16 bits of each number, for all four channels of its pixel.
static inline vec for_channels(half v)
{
#if PH_VEC == 512
    return _mm512_shuffle_epi8(
        _mm512_cvtepi32_epi64(v),
        _mm512_set4_epi32(0x09080908, 0x09080908, 0x01000100, 0x01000100));
#else
    return _mm256_shuffle_epi8(_mm256_cvtepi32_epi64(v),
                               _mm256_setr_epi32(0x01000100, 0x01000100, 0x09080908, 0x09080908,
                                                 0x01000100, 0x01000100, 0x09080908,
                                                 0x09080908));
#endif
}

// Of pairs of pixels the first ones, in 16 bits.
static inline vec first_of(vec pairs)
{
#if PH_VEC == 512
    return _mm512_cvtepu8_epi16(_mm512_cvtepi64_epi32(pairs));
#else
    vec packed = _mm256_permutevar8x32_epi32(pairs, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    return _mm256_cvtepu8_epi16(_mm256_castsi256_si128(packed));
#endif
}

// One by one: gather instructions take up to three times as long where they are microcode.
static inline __m128i fetch_two(const uint8_t *src, const int32_t *offset)
{
    __m128i a = _mm_loadl_epi64((const __m128i *) (const void *) (src + offset[0]));
    __m128i b = _mm_loadl_epi64((const __m128i *) (const void *) (src + offset[1]));
    return _mm_unpacklo_epi64(a, b);
}

static inline __m256i fetch_four(const uint8_t *src, const int32_t *offset)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(fetch_two(src, offset)),
                                   fetch_two(src, offset + 2), 1);
}

static inline vec fetch_pairs(const uint8_t *src, const int32_t *offset)
{
#if PH_VEC == 512
    return _mm512_inserti64x4(_mm512_castsi256_si512(fetch_four(src, offset)),
                              fetch_four(src, offset + 4), 1);
#else
    return fetch_four(src, offset);
#endif
}

static inline vec along(const uint8_t *src, const int32_t *offset, vec part)
{
    vec pairs = fetch_pairs(src, offset);
    vec a = V(slli_epi16)(first_of(pairs), 6);
    vec b = V(slli_epi16)(first_of(V(srli_epi64)(pairs, 32)), 6);
    return V(add_epi16)(a, V(mulhrs_epi16)(V(sub_epi16)(b, a), part));
}

// HALF pixels in 16 bits a channel.
static inline vec sample(const struct ph_warp_row *r, const int32_t *offset, half px, half py)
{
    vec part_x = for_channels(px);
    vec t = along(r->src, offset, part_x), b = along(r->src + r->stride, offset, part_x);
    vec v = V(add_epi16)(t, V(mulhrs_epi16)(V(sub_epi16)(b, t), for_channels(py)));
    return V(mulhrs_epi16)(v, V(set1_epi16)(r->keep));
}

static inline vec finish(vec v, const uint8_t *add, const struct ph_warp_row *r,
                         const int32_t *dither)
{
    if (add) {
        vec more = V(slli_epi16)(vload_8_16(add), 6);
        more = V(mulhrs_epi16)(more, V(set1_epi16)(r->add));
        v = r->lighten ? V(max_epi16)(v, more) : V(add_epi16)(v, more);
    }
    half threshold;
    memcpy(&threshold, dither, sizeof threshold);
    v = V(srli_epi16)(V(add_epi16)(v, for_channels(threshold)), 6);
    return V(min_epi16)(v, V(set1_epi16)(255));
}

// VPX pixels from pixel i on
static inline void warp_step(uint8_t *d, const uint8_t *add, int i, const struct ph_warp_row *r)
{
    fvec at = V(add_ps)(V(set1_ps)((float) (r->first + i)), IOTA);
    fvec x = V(add_ps)(V(set1_ps)(r->x), V(mul_ps)(at, V(set1_ps)(r->dx)));
    fvec y = V(add_ps)(V(set1_ps)(r->y), V(mul_ps)(at, V(set1_ps)(r->dy)));
    struct places px = fold(x, r->period_x, r->inverse_x, r->turn_x, r->top_x, r->w);
    struct places py = fold(y, r->period_y, r->inverse_y, r->turn_y, r->top_y, r->h);
    vec offset = V(mullo_epi32)(py.low, V(set1_epi32)((int) r->stride));
    _Alignas(VB) int32_t at_px[VPX];
    vstore(at_px, V(add_epi32)(offset, V(slli_epi32)(px.low, 2)));
    const int32_t *dither = r->dither + ((r->first + i) & 15);
    vec lo = sample(r, at_px, LOW_HALF(px.part), LOW_HALF(py.part));
    vec hi = sample(r, at_px + HALF, HIGH_HALF(px.part), HIGH_HALF(py.part));
    vstore_16_8(d, finish(lo, add, r, dither));
    vstore_16_8(d + 4 * HALF, finish(hi, add ? add + 4 * HALF : NULL, r, dither + HALF));
}

// The last pixels are made in a copy: any line leads to places within the source.
static void warp(uint8_t *d, const uint8_t *add, int n, const struct ph_warp_row *r)
{
    uint8_t last[2][VB] = { { 0 } };
    int i = 0;
    if (r->w < 2 || r->h < 2) {
        plain.warp(d, add, n, r);
        return;
    }
    for (; i + VPX <= n; i += VPX) warp_step(d + 4 * i, add ? add + 4 * i : NULL, i, r);
    if (i == n) return;
    if (add) memcpy(last[0], add + 4 * i, 4 * (size_t) (n - i));
    warp_step(last[1], add ? last[0] : NULL, i, r);
    memcpy(d + 4 * i, last[1], 4 * (size_t) (n - i));
}

void PH_NAME(ph_init_warp)(struct ph_image_ops *o)
{
    plain = *o;
    o->warp = warp;
}
