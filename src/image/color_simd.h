// SPDX-License-Identifier: MIT
// Colours for PH_VEC; see vec.h and the truth in color.c.
#include "image/vec.h"

static struct ph_image_ops plain;

struct row {
    vec rb, ga, add; // of one output channel
};

static inline vec output(vec rb, vec ga, const struct row *m)
{
    vec v = V(add_epi32)(V(madd_epi16)(rb, m->rb), V(madd_epi16)(ga, m->ga));
    v = V(srai_epi32)(V(add_epi32)(v, m->add), 11);
    return V(max_epi32)(V(min_epi32)(v, V(set1_epi32)(255)), VBITS(setzero)());
}

static void color_matrix(uint8_t *d, const uint8_t *s, int n, const struct ph_color_matrix *m)
{
    struct row row[3];
    int x = 0;
    for (int c = 0; c < 3; c++)
        row[c] = (struct row){ vpair(m->m[c][0], m->m[c][2]), vpair(m->m[c][1], 0),
                               V(set1_epi32)(m->add[c]) };
    for (; x + VPX <= n; x += VPX) {
        vec px = vload(s + 4 * x), ga = V(srli_epi16)(px, 8);
        vec rb = VBITS(and)(px, V(set1_epi32)(0x00ff00ff));
        vec rg = VBITS(or)(output(rb, ga, &row[0]), V(slli_epi32)(output(rb, ga, &row[1]), 8));
        vec ba = VBITS(or)(V(slli_epi32)(output(rb, ga, &row[2]), 16),
                           VBITS(and)(px, V(set1_epi32)((int) 0xff000000)));
        vstore(d + 4 * x, VBITS(or)(rg, ba));
    }
    plain.color_matrix(d + 4 * x, s + 4 * x, n - x, m);
}

#if PH_VEC == 512
// 128 words hold two neighbouring table entries each.
struct table {
    vec w[4];
};

// For a byte in each 16 bits: the word by its upper seven bits, then the half by the lowest.
static inline vec look_up(const struct table *t, vec byte)
{
    vec at = _mm512_srli_epi16(byte, 1);
    vec a = _mm512_permutex2var_epi16(t->w[0], at, t->w[1]);
    vec b = _mm512_permutex2var_epi16(t->w[2], at, t->w[3]);
    vec word =
        _mm512_mask_mov_epi16(a, _mm512_test_epi16_mask(byte, _mm512_set1_epi16(0x80)), b);
    vec shift = _mm512_slli_epi16(_mm512_and_si512(byte, _mm512_set1_epi16(1)), 3);
    return _mm512_and_si512(_mm512_srlv_epi16(word, shift), _mm512_set1_epi16(255));
}

static inline vec translate(const struct table *t, vec px)
{
    vec even = look_up(t, _mm512_and_si512(px, _mm512_set1_epi16(255)));
    vec odd = look_up(t, _mm512_srli_epi16(px, 8));
    return _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
}
#else
// Sixteen tables of sixteen entries, chosen among by the upper four bits, one after another.
struct table {
    vec w[16];
};

static inline vec choose(vec a, vec b, vec by)
{
    return _mm256_blendv_epi8(a, b, by);
}

static inline vec translate(const struct table *t, vec px)
{
    vec low = _mm256_and_si256(px, _mm256_set1_epi8(15)), v[16];
    for (int i = 0; i < 16; i++) v[i] = _mm256_shuffle_epi8(t->w[i], low);
    // blendv looks at the highest bit of each byte; shifts by 1..3 bring the others there.
    for (int bit = 0; bit < 4; bit++) {
        vec by = _mm256_slli_epi32(px, 3 - bit);
        for (int i = 0; i < 8 >> bit; i++) v[i] = choose(v[2 * i], v[2 * i + 1], by);
    }
    return v[0];
}
#endif

static inline struct table load_table(const uint8_t table[256])
{
    struct table t;
#if PH_VEC == 512
    for (int i = 0; i < 4; i++) t.w[i] = vload(table + 64 * i);
#else
    for (int i = 0; i < 16; i++)
        t.w[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *) (table + 16 * i)));
#endif
    return t;
}

static void lut(uint8_t *d, const uint8_t *s, int n, const uint8_t table[256])
{
    struct table t = load_table(table);
    const vec rgb = V(set1_epi32)(0x00ffffff);
    int x = 0;
    for (; x + VPX <= n; x += VPX) {
        vec px = vload(s + 4 * x);
        vstore(d + 4 * x,
               VBITS(or)(VBITS(and)(translate(&t, px), rgb), VBITS(andnot)(rgb, px)));
    }
    plain.lut(d + 4 * x, s + 4 * x, n - x, table);
}

void PH_NAME(ph_init_color)(struct ph_image_ops *o)
{
    plain = *o;
    o->color_matrix = color_matrix;
    o->lut = lut;
}
