// SPDX-License-Identifier: MIT
// Coverage of strokes for PH_VEC; see vec.h and the truth in stroke.c.
#include "image/stroke.h"
#include "image/vec.h"

static struct ph_image_ops plain;

struct stroke {
    fvec x0, dx, dy, inv_length2, ring, reach;
};

static inline struct stroke make_stroke(const struct ph_stroke *s)
{
    return (struct stroke){ V(set1_ps)(s->x0),   V(set1_ps)(s->dx),
                            V(set1_ps)(s->dy),   V(set1_ps)(s->inv_length2),
                            V(set1_ps)(s->ring), V(set1_ps)(s->reach) };
}

static inline fvec clamp_unit(fvec v)
{
    return V(min_ps)(V(max_ps)(v, V(setzero_ps)()), V(set1_ps)(1));
}

static inline fvec absolute(fvec v)
{
    return V(max_ps)(v, V(sub_ps)(V(setzero_ps)(), v));
}

// py: distance of the row from the first end.
static inline vec coverage(const struct stroke *s, fvec x, fvec py)
{
    fvec px = V(sub_ps)(x, s->x0);
    fvec t = V(add_ps)(V(mul_ps)(px, s->dx), V(mul_ps)(py, s->dy));
    t = clamp_unit(V(mul_ps)(t, s->inv_length2));
    fvec ex = V(sub_ps)(px, V(mul_ps)(t, s->dx)), ey = V(sub_ps)(py, V(mul_ps)(t, s->dy));
    fvec d = V(sqrt_ps)(V(add_ps)(V(mul_ps)(ex, ex), V(mul_ps)(ey, ey)));
    fvec c = clamp_unit(V(sub_ps)(s->reach, absolute(V(sub_ps)(d, s->ring))));
    return V(cvttps_epi32)(V(add_ps)(V(mul_ps)(c, V(set1_ps)(255)), V(set1_ps)(0.5f)));
}

static inline void raise_mask(uint8_t *m, vec c)
{
#if PH_VEC == 512
    __m128i old = _mm_loadu_si128((const void *) m);
    _mm_storeu_si128((void *) m, _mm_max_epu8(old, _mm512_cvtepi32_epi8(c)));
#else
    __m128i v = _mm_packs_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
    __m128i old = _mm_loadl_epi64((const void *) m);
    _mm_storel_epi64((void *) m, _mm_max_epu8(old, _mm_packus_epi16(v, v)));
#endif
}

static inline fvec count_up(void)
{
#if PH_VEC == 512
    return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#else
    return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
#endif
}

// Whole vectors, the last moved back to end with the row: raising twice is raising once.
static void stroke_row(uint8_t *m, int w, struct ph_span cols, const struct stroke *s, float py)
{
    const fvec offset = V(add_ps)(count_up(), V(set1_ps)(0.5f)), y = V(set1_ps)(py);
    for (int x = cols.from; x < cols.to; x += VPX) {
        int at = min_int(x, w - VPX);
        raise_mask(m + at, coverage(s, V(add_ps)(V(set1_ps)((float) at), offset), y));
    }
}

static void stroke(uint8_t *mask, ptrdiff_t stride, int w, int h, const struct ph_stroke *s)
{
    if (w < VPX) {
        plain.stroke(mask, stride, w, h, s);
        return;
    }
    struct stroke v = make_stroke(s);
    struct ph_span rows = ph_stroke_rows(s, h);
    float inv_dy = ph_stroke_inv_dy(s);
    for (int y = rows.from; y < rows.to; y++)
        stroke_row(mask + y * stride, w, ph_stroke_columns(s, inv_dy, y, w), &v,
                   (float) y + 0.5f - s->y0);
}

static void band(uint8_t *mask, const float *top, const float *bottom, int n, float y)
{
    const fvec row = V(set1_ps)(y), next = V(add_ps)(row, V(set1_ps)(1));
    FOR_OVERLAPPED(i, VPX, n)
    {
        fvec lo = V(max_ps)(vloadf(top + i), row), hi = V(min_ps)(vloadf(bottom + i), next);
        fvec c = V(max_ps)(V(sub_ps)(hi, lo), V(setzero_ps)());
        c = V(add_ps)(V(mul_ps)(c, V(set1_ps)(255)), V(set1_ps)(0.5f));
        vstore_32_8(mask + i, V(cvttps_epi32)(c));
    }
    if (n < VPX) plain.band(mask, top, bottom, n, y);
}

void PH_NAME(ph_init_stroke)(struct ph_image_ops *o)
{
    plain = *o;
    o->stroke = stroke;
    o->band = band;
}
