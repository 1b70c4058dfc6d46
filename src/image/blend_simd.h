// SPDX-License-Identifier: MIT
// Blends for PH_VEC; see vec.h and the definitions in blend.h.
#include "image/vec.h"

static struct ph_image_ops plain;

// --- what a destination and a source make, given the source's alpha in 32 bits a pixel

static inline vec alpha_of(vec px)
{
    return V(srli_epi32)(px, 24);
}

static inline vec opaque_bits(void)
{
    return V(set1_epi32)((int) 0xff000000);
}

// A byte in each 32 bits, four times.
static inline vec spread(vec a)
{
    a = VBITS(or)(a, V(slli_epi32)(a, 8));
    return VBITS(or)(a, V(slli_epi32)(a, 16));
}

// div255(m * a + d * (255 - a)) of 16-bit numbers.
static inline vec mix16(vec m, vec d, vec a)
{
    vec rest = V(sub_epi16)(V(set1_epi16)(255), a);
    return vdiv255(V(add_epi16)(V(mullo_epi16)(m, a), V(mullo_epi16)(d, rest)));
}

// For an opaque d with m's alpha 255 this is OVER; and as 255 a + da (255 - a) rounds to
// a + div255(da (255 - a)), it is the other modes for any d.
static inline vec mix(vec m, vec d, vec a)
{
    const vec zero = VBITS(setzero)();
    a = spread(a);
    vec lo =
        mix16(V(unpacklo_epi8)(m, zero), V(unpacklo_epi8)(d, zero), V(unpacklo_epi8)(a, zero));
    vec hi =
        mix16(V(unpackhi_epi8)(m, zero), V(unpackhi_epi8)(d, zero), V(unpackhi_epi8)(a, zero));
    return V(packus_epi16)(lo, hi);
}

// (s a + d rest + out / 2) / out of one channel. All is exact: the dividend is below 2^16, and a
// quotient that is no whole number is at least 1/255 from one.
static inline vec over_channel(vec s, vec d, int shift, vec a_rest, vec half, fvec out)
{
    const vec low = V(set1_epi32)(255);
    s = VBITS(and)(V(srli_epi32)(s, (unsigned) shift), low);
    d = VBITS(and)(V(srli_epi32)(d, (unsigned) shift), low);
    vec sum = V(madd_epi16)(VBITS(or)(s, V(slli_epi32)(d, 16)), a_rest);
    fvec q = V(div_ps)(V(cvtepi32_ps)(V(add_epi32)(sum, half)), out);
    return V(slli_epi32)(V(cvttps_epi32)(q), (unsigned) shift);
}

// a and rest of all zeros divides 0 by 0; the caller does not use that.
static inline vec over_general(vec s, vec d, vec a)
{
    vec rest = vdiv255(V(mullo_epi16)(alpha_of(d), V(sub_epi32)(V(set1_epi32)(255), a)));
    vec out = V(add_epi32)(a, rest), a_rest = VBITS(or)(a, V(slli_epi32)(rest, 16));
    vec half = V(srli_epi32)(out, 1);
    fvec divisor = V(cvtepi32_ps)(out);
    vec r = over_channel(s, d, 0, a_rest, half, divisor);
    vec g = over_channel(s, d, 8, a_rest, half, divisor);
    vec b = over_channel(s, d, 16, a_rest, half, divisor);
    return VBITS(or)(VBITS(or)(r, g), VBITS(or)(b, V(slli_epi32)(out, 24)));
}

static inline bool all_equal(vec a, vec b)
{
#if PH_VEC == 512
    return _mm512_cmpneq_epi32_mask(a, b) == 0;
#else
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(a, b)) == -1;
#endif
}

// d where a is 0, else v.
static inline vec keep_untouched(vec v, vec d, vec a)
{
#if PH_VEC == 512
    return _mm512_mask_mov_epi32(d, _mm512_test_epi32_mask(a, a), v);
#else
    return _mm256_blendv_epi8(v, d, _mm256_cmpeq_epi32(a, _mm256_setzero_si256()));
#endif
}

static inline vec over(vec s, vec d, vec a)
{
    if (all_equal(VBITS(and)(d, opaque_bits()), opaque_bits()))
        return mix(VBITS(or)(s, opaque_bits()), d, a);
    return keep_untouched(over_general(s, d, a), d, a);
}

// --- rows

static inline vec faded_alpha(vec s, vec opacity)
{
    return vdiv255(V(mullo_epi16)(alpha_of(s), opacity));
}

enum mode { OVER, ADD, MULTIPLY, SCREEN };

// Multiply, or screen, which is the same with both turned around.
static inline vec product(vec s, vec d)
{
    const vec zero = VBITS(setzero)();
    vec lo = V(mullo_epi16)(V(unpacklo_epi8)(s, zero), V(unpacklo_epi8)(d, zero));
    vec hi = V(mullo_epi16)(V(unpackhi_epi8)(s, zero), V(unpackhi_epi8)(d, zero));
    return V(packus_epi16)(vdiv255(lo), vdiv255(hi));
}

static inline vec blend_px(vec s, vec d, vec a, enum mode mode)
{
    if (mode == OVER) return over(s, d, a);
    vec m = mode == ADD ? V(adds_epu8)(s, d) : product(s, d);
    // s + d - product is 0..255 for each byte: no borrow goes beyond it in the end.
    if (mode == SCREEN) m = V(add_epi8)(V(sub_epi8)(s, m), d);
    return mix(VBITS(or)(m, opaque_bits()), d, a);
}

// The last pixels of a row are blended in a copy.
static inline void blend_row(uint8_t *d, const uint8_t *s, int n, int opacity, enum mode mode)
{
    const vec factor = V(set1_epi32)(opacity), zero = VBITS(setzero)();
    for (int x = 0; x < n; x += VPX) {
        uint8_t last[2][VB] = { { 0 } };
        bool whole = x + VPX <= n;
        size_t bytes = whole ? VB : 4 * (size_t) (n - x);
        const uint8_t *from = s + 4 * x;
        uint8_t *to = d + 4 * x;
        if (!whole) {
            from = memcpy(last[0], from, bytes);
            to = memcpy(last[1], to, bytes);
        }
        vec sv = vload(from), a = faded_alpha(sv, factor);
        if (all_equal(a, zero)) continue;
        vstore(to, blend_px(sv, vload(to), a, mode));
        if (!whole) memcpy(d + 4 * x, last[1], bytes);
    }
}

static void blend_over(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    blend_row(d, s, n, opacity, OVER);
}

static void blend_add(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    blend_row(d, s, n, opacity, ADD);
}

static void blend_multiply(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    blend_row(d, s, n, opacity, MULTIPLY);
}

static void blend_screen(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    blend_row(d, s, n, opacity, SCREEN);
}

static void mask(uint8_t *d, const uint8_t *m, int n, uint32_t px)
{
    const vec color = V(set1_epi32)((int) px), factor = V(set1_epi32)((int) (px >> 24));
    const vec zero = VBITS(setzero)();
    int x = 0;
    for (; x + VPX <= n; x += VPX) {
        vec a = vload_8_32(m + x);
        if (all_equal(a, zero)) continue;
        a = vdiv255(V(mullo_epi16)(a, factor));
        vstore(d + 4 * x, over(color, vload(d + 4 * x), a));
    }
    if (x < n) {
        uint8_t last[VB] = { 0 }, last_mask[VPX] = { 0 };
        memcpy(last, d + 4 * x, 4 * (size_t) (n - x));
        memcpy(last_mask, m + x, (size_t) (n - x));
        vec a = vdiv255(V(mullo_epi16)(vload_8_32(last_mask), factor));
        vstore(last, over(color, vload(last), a));
        memcpy(d + 4 * x, last, 4 * (size_t) (n - x));
    }
}

static void fade(uint8_t *d, const uint8_t *a, const uint8_t *b, int n_bytes, int t)
{
    const vec zero = VBITS(setzero)(), weight = V(set1_epi16)((short) t);
    int i = 0;
    for (; i + VB <= n_bytes; i += VB) {
        vec va = vload(a + i), vb = vload(b + i);
        vec lo = mix16(V(unpacklo_epi8)(vb, zero), V(unpacklo_epi8)(va, zero), weight);
        vec hi = mix16(V(unpackhi_epi8)(vb, zero), V(unpackhi_epi8)(va, zero), weight);
        vstore(d + i, V(packus_epi16)(lo, hi));
    }
    if (i < n_bytes) plain.fade(d + i, a + i, b + i, n_bytes - i, t);
}

void PH_NAME(ph_init_blend)(struct ph_image_ops *o)
{
    plain = *o;
    o->blend[OVER] = blend_over;
    o->blend[ADD] = blend_add;
    o->blend[MULTIPLY] = blend_multiply;
    o->blend[SCREEN] = blend_screen;
    o->mask = mask;
    o->fade = fade;
}
