// SPDX-License-Identifier: MIT
// Colours by a cube for PH_VEC; see vec.h and the truth in hue.c.
#include "image/vec.h"

static struct ph_image_ops plain;

enum { STEP_BITS = 11, STEP_MASK = (1 << STEP_BITS) - 1 }; // 33 * 33 fits

static inline vec times33(vec v)
{
    return V(add_epi32)(V(slli_epi32)(v, 5), v);
}

static inline vec gather(const uint32_t *cube, vec at)
{
#if PH_VEC == 512
    return _mm512_i32gather_epi32(at, cube, 4);
#else
    return _mm256_i32gather_epi32((const int *) cube, at, 4);
#endif
}

// Adds the cell to *from, in steps of this side; how far into it, with the step in the low bits, so
// that sorting one sorts the other.
static inline vec place(vec byte, vec *cell, int step)
{
    vec at = V(add_epi32)(V(slli_epi32)(byte, 5),
                          V(srli_epi32)(V(add_epi32)(byte, V(set1_epi32)(4)), 3));
    *cell = V(min_epi32)(V(srli_epi32)(at, 8), V(set1_epi32)(PH_CUBE_SIDE - 2));
    vec part = V(sub_epi32)(at, V(slli_epi32)(*cell, 8));
    return V(add_epi32)(V(slli_epi32)(part, STEP_BITS), V(set1_epi32)(step));
}

// One channel of two corners side by side.
static inline vec pair(vec a, vec b, int shift)
{
    const vec mask = V(set1_epi32)(1023);
    return VBITS(or)(VBITS(and)(V(srli_epi32)(a, shift), mask),
                     V(slli_epi32)(VBITS(and)(V(srli_epi32)(b, shift), mask), 16));
}

static inline vec mixed(const vec v[4], vec w01, vec w23, int shift)
{
    vec sum = V(add_epi32)(V(madd_epi16)(pair(v[0], v[1], shift), w01),
                           V(madd_epi16)(pair(v[2], v[3], shift), w23));
    return V(srli_epi32)(V(add_epi32)(sum, V(set1_epi32)(512)), 10);
}

static inline vec cube_px(vec px, const uint32_t *cube)
{
    const vec byte = V(set1_epi32)(255), steps = V(set1_epi32)(STEP_MASK);
    vec cr, cg, cb, v[4];
    vec r = place(VBITS(and)(px, byte), &cr, 1);
    vec g = place(VBITS(and)(V(srli_epi32)(px, 8), byte), &cg, PH_CUBE_SIDE);
    vec b = place(VBITS(and)(V(srli_epi32)(px, 16), byte), &cb, PH_CUBE_SIDE * PH_CUBE_SIDE);
    vec from = V(add_epi32)(cr, times33(V(add_epi32)(cg, times33(cb))));
    vec most = V(max_epi32)(r, V(max_epi32)(g, b)), least = V(min_epi32)(r, V(min_epi32)(g, b));
    vec all = V(set1_epi32)(1 + PH_CUBE_SIDE + PH_CUBE_SIDE * PH_CUBE_SIDE);
    vec last = V(add_epi32)(from, all);
    v[0] = gather(cube, from);
    v[1] = gather(cube, V(add_epi32)(from, VBITS(and)(most, steps)));
    v[2] = gather(cube, V(sub_epi32)(last, VBITS(and)(least, steps)));
    v[3] = gather(cube, last);
    vec middle = V(sub_epi32)(V(add_epi32)(r, V(add_epi32)(g, b)), V(add_epi32)(most, least));
    vec p0 = V(srli_epi32)(most, STEP_BITS), p1 = V(srli_epi32)(middle, STEP_BITS);
    vec p2 = V(srli_epi32)(least, STEP_BITS);
    vec w01 = VBITS(or)(V(sub_epi32)(V(set1_epi32)(256), p0),
                        V(slli_epi32)(V(sub_epi32)(p0, p1), 16));
    vec w23 = VBITS(or)(V(sub_epi32)(p1, p2), V(slli_epi32)(p2, 16));
    vec rg = VBITS(or)(mixed(v, w01, w23, 0), V(slli_epi32)(mixed(v, w01, w23, 10), 8));
    vec ba = VBITS(or)(V(slli_epi32)(mixed(v, w01, w23, 20), 16),
                       VBITS(and)(px, V(set1_epi32)((int) 0xff000000)));
    return VBITS(or)(rg, ba);
}

static void cube(uint8_t *d, const uint8_t *s, int n, const uint32_t *table)
{
    int x = 0;
    for (; x + VPX <= n; x += VPX) vstore(d + 4 * x, cube_px(vload(s + 4 * x), table));
    plain.cube(d + 4 * x, s + 4 * x, n - x, table);
}

void PH_NAME(ph_init_hue)(struct ph_image_ops *o)
{
    plain = *o;
    o->cube = cube;
}
