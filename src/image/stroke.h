// SPDX-License-Identifier: MIT
// Which pixels a stroke can touch: shared by all variants of the kernel. Generous by a pixel, as
// coverage outside is 0 anyway.
#ifndef PH_IMAGE_STROKE_H
#define PH_IMAGE_STROKE_H

#include "image/ops.h"

struct ph_span {
    int from, to; // [from, to)
};

static inline struct ph_span ph_span_of(float lo, float hi, int size)
{
    lo -= 1;
    hi += 1;
    float n = (float) size;
    return (struct ph_span){ (int) (lo > 0 ? (lo < n ? lo : n) : 0),
                             (int) (hi > 0 ? (hi < n ? hi + 1 : n) : 0) };
}

static inline float ph_stroke_far(const struct ph_stroke *s)
{
    return s->ring + s->reach;
}

// 1 / dy, or 0 when the segment is so flat that a row sees all of it.
static inline float ph_stroke_inv_dy(const struct ph_stroke *s)
{
    return s->dy > 1e-3f || s->dy < -1e-3f ? 1 / s->dy : 0;
}

static inline struct ph_span ph_stroke_rows(const struct ph_stroke *s, int h)
{
    float far = ph_stroke_far(s), y1 = s->y0 + s->dy;
    return ph_span_of((s->dy < 0 ? y1 : s->y0) - far, (s->dy < 0 ? s->y0 : y1) + far, h);
}

// The part of the segment that is within reach of row y, widened by the reach.
static inline struct ph_span ph_stroke_columns(const struct ph_stroke *s, float inv_dy, int y,
                                               int w)
{
    float far = ph_stroke_far(s), at = (float) y + 0.5f - s->y0, from = 0, to = 1;
    if (inv_dy != 0) {
        float spread = far * (inv_dy < 0 ? -inv_dy : inv_dy), middle = at * inv_dy;
        from = middle - spread > 0 ? middle - spread : 0;
        to = middle + spread < 1 ? middle + spread : 1;
    }
    float x0 = s->x0 + from * s->dx, x1 = s->x0 + to * s->dx;
    return ph_span_of((x0 < x1 ? x0 : x1) - far, (x0 < x1 ? x1 : x0) + far, w);
}

#endif
