// SPDX-License-Identifier: MIT
#include "image/split.h"
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"

static uint32_t merge(uint32_t r, uint32_t g, uint32_t b)
{
    return (r & 0xff) | (g & 0xff00ff00) | (b & 0xff0000);
}

static void merge_rgb_c(uint8_t *d, const uint8_t *r, const uint8_t *g, const uint8_t *b, int n)
{
    for (int i = 0; i < 4 * n; i += 4)
        store32(d + i, merge(load32(r + i), load32(g + i), load32(b + i)));
}

void ph_init_split_c(struct ph_image_ops *o)
{
    o->merge_rgb = merge_rgb_c;
}

struct rows {
    uint8_t *d;
    const uint8_t *r, *g, *b;
    int w, dx;
};

// Pixels whose red or blue lies beyond the row.
static void at_border(const struct rows *p, int from, int to)
{
    for (int x = from; x < to; x++) {
        int red = clamp_int(x - p->dx, 0, p->w - 1), blue = clamp_int(x + p->dx, 0, p->w - 1);
        store32(p->d + 4 * x,
                merge(load32(p->r + 4 * red), load32(p->g + 4 * x), load32(p->b + 4 * blue)));
    }
}

static void split_row(const struct rows *p)
{
    int reach = p->dx < 0 ? -p->dx : p->dx;
    if (2 * reach >= p->w) {
        at_border(p, 0, p->w);
        return;
    }
    at_border(p, 0, reach);
    ph_image_ops()->merge_rgb(p->d + 4 * reach, p->r + 4 * (reach - p->dx), p->g + 4 * reach,
                              p->b + 4 * (reach + p->dx), p->w - 2 * reach);
    at_border(p, p->w - reach, p->w);
}

ph_err ph_image_split(const struct ph_picture *dst, const struct ph_picture *src, int dx,
                      int dy)
{
    if (!px_same_size(dst, src) || dst->format != PH_RGBA || src->format != PH_RGBA)
        return PH_EINVAL;
    int w = dst->width, h = dst->height;
    dx = clamp_int(dx, -w, w);
    dy = clamp_int(dy, -h, h);
    if (!dx && !dy) return ph_image_copy(dst, src);
    for (int y = 0; y < h; y++)
        split_row(&(struct rows){
            px_row(dst, 0, y), px_row(src, 0, clamp_int(y - dy, 0, h - 1)), px_row(src, 0, y),
            px_row(src, 0, clamp_int(y + dy, 0, h - 1)), w, dx });
    return PH_OK;
}
