// SPDX-License-Identifier: MIT
// Measurements for PH_VEC; see vec.h and the truth in measure.c.
#include "image/vec.h"

static struct ph_image_ops plain;

static inline uint64_t sum64(vec v)
{
    uint64_t part[VB / 8], sum = 0;
    vstore(part, v);
    for (int i = 0; i < VB / 8; i++) sum += part[i];
    return sum;
}

static inline uint64_t sum32(vec v)
{
    uint32_t part[VPX];
    uint64_t sum = 0;
    vstore(part, v);
    for (int i = 0; i < VPX; i++) sum += part[i];
    return sum;
}

static uint64_t difference(const uint8_t *a, const uint8_t *b, int n)
{
    const vec rgb = V(set1_epi32)(0x00ffffff);
    vec sum = VBITS(setzero)();
    int x = 0;
    for (; x + VPX <= n; x += VPX) {
        vec va = VBITS(and)(vload(a + 4 * x), rgb), vb = VBITS(and)(vload(b + 4 * x), rgb);
        sum = V(add_epi64)(sum, V(sad_epu8)(va, vb));
    }
    return sum64(sum) + plain.difference(a + 4 * x, b + 4 * x, n - x);
}

// At most 2^15 pixels in each 32-bit counter: their squares stay below 2^31.
static void moments_part(uint64_t sum[4], uint64_t square[4], const uint8_t *s, int n)
{
    const vec low = V(set1_epi32)(255);
    vec one[4], two[4];
    for (int c = 0; c < 4; c++) one[c] = two[c] = VBITS(setzero)();
    for (int x = 0; x < n; x += VPX) {
        vec px = vload(s + 4 * x);
        for (int c = 0; c < 4; c++) {
            vec v = VBITS(and)(V(srli_epi32)(px, (unsigned) (8 * c)), low);
            one[c] = V(add_epi32)(one[c], v);
            two[c] = V(add_epi32)(two[c], V(madd_epi16)(v, v));
        }
    }
    for (int c = 0; c < 4; c++) {
        sum[c] += sum32(one[c]);
        square[c] += sum32(two[c]);
    }
}

static void moments(uint64_t sum[4], uint64_t square[4], const uint8_t *s, int n)
{
    enum { PART = VPX << 15 };
    int whole = n / VPX * VPX;
    for (int x = 0; x < whole; x += PART)
        moments_part(sum, square, s + 4 * (ptrdiff_t) x, min_int(PART, whole - x));
    plain.moments(sum, square, s + 4 * (ptrdiff_t) whole, n - whole);
}

static void hash(uint64_t acc[PH_HASH_LANES], const uint8_t *s, size_t stripes)
{
    enum { VECS = PH_HASH_STRIPE / VB };
    const vec low = vset64(PH_HASH_MUL_LOW);
    const vec high = vset64(PH_HASH_MUL_HIGH);
    const vec add = vset64(PH_HASH_ADD);
    vec a[VECS];
    for (int i = 0; i < VECS; i++) a[i] = vload((const char *) acc + VB * i);
    for (size_t k = 0; k < stripes; k++, s += PH_HASH_STRIPE) {
        for (int i = 0; i < VECS; i++) {
            vec t = VBITS(xor)(a[i], vload(s + VB * i));
            vec p = V(add_epi64)(V(mul_epu32)(t, low), add);
            vec q = V(mul_epu32)(V(srli_epi64)(t, 32), high);
            a[i] = V(add_epi64)(p, V(shuffle_epi32)(q, 0xb1));
        }
    }
    for (int i = 0; i < VECS; i++) vstore((char *) acc + VB * i, a[i]);
}

void PH_NAME(ph_init_measure)(struct ph_image_ops *o)
{
    plain = *o;
    o->difference = difference;
    o->moments = moments;
    o->hash = hash;
}
