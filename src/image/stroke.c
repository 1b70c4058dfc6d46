// SPDX-License-Identifier: MIT
// Coverage of strokes by distance; see struct ph_stroke.
#include "image/init.h"
#include "image/px.h"
#include "image/stroke.h"

#include <math.h>

static uint8_t coverage(const struct ph_stroke *s, float x, float y)
{
    float px = x - s->x0, py = y - s->y0;
    float t = (px * s->dx + py * s->dy) * s->inv_length2;
    t = t > 0 ? t : 0;
    t = t < 1 ? t : 1;
    float ex = px - t * s->dx, ey = py - t * s->dy;
    float c = s->reach - fabsf(sqrtf(ex * ex + ey * ey) - s->ring);
    c = c > 0 ? c : 0;
    c = c < 1 ? c : 1;
    return (uint8_t) (int) (c * 255 + 0.5f);
}

static void stroke_c(uint8_t *mask, ptrdiff_t stride, int w, int h, const struct ph_stroke *s)
{
    struct ph_span rows = ph_stroke_rows(s, h);
    float inv_dy = ph_stroke_inv_dy(s);
    for (int y = rows.from; y < rows.to; y++) {
        struct ph_span cols = ph_stroke_columns(s, inv_dy, y, w);
        uint8_t *m = mask + y * stride;
        for (int x = cols.from; x < cols.to; x++) {
            uint8_t c = coverage(s, (float) x + 0.5f, (float) y + 0.5f);
            if (c > m[x]) m[x] = c;
        }
    }
}

static void band_c(uint8_t *mask, const float *top, const float *bottom, int n, float y)
{
    for (int i = 0; i < n; i++) {
        float lo = top[i] > y ? top[i] : y, hi = bottom[i] < y + 1 ? bottom[i] : y + 1;
        float c = hi - lo > 0 ? hi - lo : 0;
        mask[i] = (uint8_t) (int) (c * 255 + 0.5f);
    }
}

void ph_init_stroke_c(struct ph_image_ops *o)
{
    o->stroke = stroke_c;
    o->band = band_c;
}
