// SPDX-License-Identifier: MIT
// Channels of three rows for PH_VEC; see vec.h and the truth in split.c.
#include "image/vec.h"

static struct ph_image_ops plain;

static void merge_rgb(uint8_t *d, const uint8_t *r, const uint8_t *g, const uint8_t *b, int n)
{
    const vec red = V(set1_epi32)(0xff), blue = V(set1_epi32)(0xff0000);
    const vec rest = V(set1_epi32)((int) 0xff00ff00);
    int i = 0;
    for (; i + VPX <= n; i += VPX) {
        vec v =
            VBITS(or)(VBITS(and)(vload(r + 4 * i), red), VBITS(and)(vload(b + 4 * i), blue));
        vstore(d + 4 * i, VBITS(or)(v, VBITS(and)(vload(g + 4 * i), rest)));
    }
    plain.merge_rgb(d + 4 * i, r + 4 * i, g + 4 * i, b + 4 * i, n - i);
}

void PH_NAME(ph_init_split)(struct ph_image_ops *o)
{
    plain = *o;
    o->merge_rgb = merge_rgb;
}
