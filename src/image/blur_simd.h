// SPDX-License-Identifier: MIT
// Box blurs for PH_VEC; see vec.h and the truth in blur.c.
#include "image/vec.h"

static struct ph_image_ops plain;

struct divide {
    vec add, mul;
    __m128i shift;
};

static inline struct divide make_divide(const struct ph_box_div *div)
{
    return (struct divide){ V(set1_epi16)((short) div->radius), V(set1_epi16)((short) div->mul),
                            _mm_cvtsi32_si128(div->shift) };
}

static inline vec box_mean(vec sum, const struct divide *by)
{
    return V(srl_epi16)(V(mulhi_epu16)(V(add_epi16)(sum, by->add), by->mul), by->shift);
}

static void box_down(uint8_t *d, uint16_t *sum, const uint8_t *add, const uint8_t *sub, int n,
                     const struct ph_box_div *div)
{
    struct divide by = make_divide(div);
    int i = 0;
    for (; i + VB / 2 <= n; i += VB / 2) {
        vec v = V(add_epi16)(vload(sum + i), vload_8_16(add + i));
        v = V(sub_epi16)(v, vload_8_16(sub + i));
        vstore(sum + i, v);
        vstore_16_8(d + i, box_mean(v, &by));
    }
    if (i < n) plain.box_down(d + i, sum + i, add + i, sub + i, n - i, div);
}

// Each pixel (64 bits) plus all before it, and `carry`, the sum before these, everywhere.
static inline vec running_sum(vec v, vec carry)
{
#if PH_VEC == 512
    const vec zero = _mm512_setzero_si512();
    v = _mm512_add_epi16(v, _mm512_alignr_epi64(v, zero, 7));
    v = _mm512_add_epi16(v, _mm512_alignr_epi64(v, zero, 6));
    v = _mm512_add_epi16(v, _mm512_alignr_epi64(v, zero, 4));
#else
    v = _mm256_add_epi16(v, _mm256_slli_si256(v, 8));
    // The lower lane's last into the upper lane.
    vec low = _mm256_permute4x64_epi64(v, 0x55);
    v = _mm256_add_epi16(v, _mm256_blend_epi32(_mm256_setzero_si256(), low, 0xf0));
#endif
    return V(add_epi16)(v, carry);
}

static inline vec last_everywhere(vec v)
{
#if PH_VEC == 512
    return _mm512_permutexvar_epi64(_mm512_set1_epi64(7), v);
#else
    return _mm256_permute4x64_epi64(v, 0xff);
#endif
}

static inline __m128i load_px16(const uint8_t *p)
{
    return _mm_cvtepu8_epi16(_mm_cvtsi32_si128((int) load32(p)));
}

// Appends `count` times the pixel to the sums; returns where they end.
static inline uint16_t *repeat(uint16_t *prefix, __m128i *sum, const uint8_t *px, int count)
{
    __m128i v = load_px16(px);
    for (int k = 0; k < count; k++, prefix += 4) {
        *sum = _mm_add_epi16(*sum, v);
        _mm_storel_epi64((__m128i *) (void *) prefix, *sum);
    }
    return prefix;
}

static uint16_t *sum_row(uint16_t *prefix, __m128i *sum, const uint8_t *s, int w)
{
    enum { STEP = VB / 8 };
    vec carry = V(broadcastq_epi64)(*sum);
    int x = 0;
    for (; x + STEP <= w; x += STEP, prefix += 4 * STEP) {
        vec v = running_sum(vload_8_16(s + 4 * x), carry);
        vstore(prefix, v);
        carry = last_everywhere(v);
    }
#if PH_VEC == 512
    *sum = _mm512_castsi512_si128(carry);
#else
    *sum = _mm256_castsi256_si128(carry);
#endif
    for (; x < w; x++) prefix = repeat(prefix, sum, s + 4 * x, 1);
    return prefix;
}

static void box_along(uint8_t *d, const uint8_t *s, uint16_t *prefix, int w,
                      const struct ph_box_div *div)
{
    struct divide by = make_divide(div);
    int n = 4 * w, window = 4 * (2 * div->radius + 1), i = 0;
    __m128i sum = _mm_setzero_si128();
    memset(prefix, 0, 4 * sizeof *prefix);
    uint16_t *end = repeat(prefix + 4, &sum, s, div->radius);
    end = sum_row(end, &sum, s, w);
    repeat(end, &sum, s + n - 4, div->radius);
    for (; i + VB / 2 <= n; i += VB / 2)
        vstore_16_8(d + i,
                    box_mean(V(sub_epi16)(vload(prefix + i + window), vload(prefix + i)), &by));
    for (; i < n; i++) {
        uint16_t v = (uint16_t) (prefix[i + window] - prefix[i]);
        d[i] = (uint8_t) ((uint32_t) (v + div->radius) * div->mul >> 16 >> div->shift);
    }
}

void PH_NAME(ph_init_blur)(struct ph_image_ops *o)
{
    plain = *o;
    o->box_down = box_down;
    o->box_along = box_along;
}
