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

static inline struct ph_span ph_stroke_rows(const struct ph_stroke *s, int h)
{
    float far = s->ring + s->reach, y1 = s->y0 + s->dy;
    return ph_span_of((s->dy < 0 ? y1 : s->y0) - far, (s->dy < 0 ? s->y0 : y1) + far, h);
}

// The part of the segment that is within reach of row y, widened by the reach.
static inline struct ph_span ph_stroke_columns(const struct ph_stroke *s, int y, int w)
{
    float far = s->ring + s->reach, at = (float) y + 0.5f - s->y0, from = 0, to = 1;
    if (s->dy > 1e-3f || s->dy < -1e-3f) {
        float a = (at - far) / s->dy, b = (at + far) / s->dy;
        if (a > b) {
            float c = a;
            a = b;
            b = c;
        }
        from = a > 0 ? a : 0;
        to = b < 1 ? b : 1;
    }
    float x0 = s->x0 + from * s->dx, x1 = s->x0 + to * s->dx;
    return ph_span_of((x0 < x1 ? x0 : x1) - far, (x0 < x1 ? x1 : x0) + far, w);
}

#endif
