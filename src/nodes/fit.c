// SPDX-License-Identifier: MIT
#include "nodes/fit.h"

#include "image/draw.h"
#include "image/geometry.h"
#include "image/resize.h"

#include <math.h>

// a * b / c rounded, at least 1 and at most `most`
static int scaled(int a, int b, int c, int most)
{
    int64_t v = ((int64_t) a * b * 2 + c) / (2 * (int64_t) c);
    return v < 1 ? 1 : v > most ? most : (int) v;
}

struct ph_fit_rects ph_fit_rects(enum ph_fit fit, int sw, int sh, int dw, int dh)
{
    struct ph_fit_rects r = { { 0, 0, sw, sh }, { 0, 0, dw, dh } };
    bool wider = (int64_t) sw * dh > (int64_t) dw * sh; // the source, in shape
    if (fit == PH_FIT_CONTAIN) {
        if (wider)
            r.dst.height = scaled(dw, sh, sw, dh);
        else
            r.dst.width = scaled(dh, sw, sh, dw);
        r.dst.x = (dw - r.dst.width) / 2;
        r.dst.y = (dh - r.dst.height) / 2;
    } else if (fit == PH_FIT_COVER) {
        if (wider)
            r.src.width = scaled(sh, dw, dh, sw);
        else
            r.src.height = scaled(sw, dh, dw, sh);
        r.src.x = (sw - r.src.width) / 2;
        r.src.y = (sh - r.src.height) / 2;
    }
    return r;
}

static enum ph_filter choose(enum ph_fit_filter filter, const struct ph_picture *dst,
                             const struct ph_picture *src)
{
    if (src->format == PH_DEPTHF || src->format == PH_INVERSEF) return PH_NEAREST;
    switch (filter) {
    case PH_FIT_BILINEAR: return PH_BILINEAR;
    case PH_FIT_AREA: return PH_AREA;
    case PH_FIT_CUBIC: return PH_CUBIC;
    case PH_FIT_NEAREST: return PH_NEAREST;
    case PH_FIT_AUTO: break;
    }
    bool shrinks = dst->width <= src->width && dst->height <= src->height;
    return shrinks ? PH_AREA : PH_BILINEAR;
}

static void pad(const struct ph_picture *dst, int x, int y, int w, int h, uint32_t color)
{
    struct ph_picture part;
    if (w < 1 || h < 1 || ph_picture_view(&part, dst, x, y, w, h) != PH_OK) return;
    if (dst->format == PH_RGBA) {
        ph_draw_clear(&part, color);
        return;
    }
    for (int row = 0; row < h; row++) {
        float *d = (float *) (void *) (part.data[0] + row * part.stride[0]);
        for (int i = 0; i < w; i++) d[i] = INFINITY;
    }
}

static void pad_around(const struct ph_picture *dst, const struct ph_rect *r, uint32_t color)
{
    int right = r->x + r->width, bottom = r->y + r->height;
    pad(dst, 0, 0, dst->width, r->y, color);
    pad(dst, 0, bottom, dst->width, dst->height - bottom, color);
    pad(dst, 0, r->y, r->x, r->height, color);
    pad(dst, right, r->y, dst->width - right, r->height, color);
}

static ph_err resize(struct ph_resize **plan, const struct ph_picture *dst,
                     const struct ph_picture *src, enum ph_filter filter)
{
    if (dst->width == src->width && dst->height == src->height) return ph_image_copy(dst, src);
    if (!*plan || !ph_resize_fits(*plan, dst, src, filter)) {
        ph_resize_destroy(plan);
        ph_err ret = ph_resize_create(
            plan, ph_resize_params(.format = src->format, .src_width = src->width,
                                   .src_height = src->height, .dst_width = dst->width,
                                   .dst_height = dst->height, .filter = filter));
        if (ret < 0) return ret;
    }
    return ph_resize_run(*plan, dst, src);
}

ph_err ph_fit_draw(struct ph_resize **plan, const struct ph_picture *dst,
                   const struct ph_picture *src, enum ph_fit fit, enum ph_fit_filter filter,
                   uint32_t color)
{
    struct ph_fit_rects r = ph_fit_rects(fit, src->width, src->height, dst->width, dst->height);
    struct ph_picture to, from;
    ph_err ret = ph_picture_view(&to, dst, r.dst.x, r.dst.y, r.dst.width, r.dst.height);
    if (ret == PH_OK)
        ret = ph_picture_view(&from, src, r.src.x, r.src.y, r.src.width, r.src.height);
    if (ret < 0) return ret;
    pad_around(dst, &r.dst, color);
    return resize(plan, &to, &from, choose(filter, &to, &from));
}
