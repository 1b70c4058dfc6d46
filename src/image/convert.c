// SPDX-License-Identifier: MIT
#include "image/convert.h"
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>

// --- coefficients

static void set_rgb_to_yuv(struct ph_yuv *c, double kr, double kb, double luma, double chroma)
{
    // The green one takes what rounding left over, so that grey gives neither a luma error at
    // white nor any chroma.
    int total = (int) lrint(luma * 32768);
    c->y[0] = (int16_t) lrint(kr * luma * 32768);
    c->y[2] = (int16_t) lrint(kb * luma * 32768);
    c->y[1] = (int16_t) (total - c->y[0] - c->y[2]);
    c->u[0] = (int16_t) lrint(-kr / (2 * (1 - kb)) * chroma * 32768);
    c->u[2] = (int16_t) lrint(0.5 * chroma * 32768);
    c->u[1] = (int16_t) (-c->u[0] - c->u[2]);
    c->v[0] = c->u[2];
    c->v[2] = (int16_t) lrint(-kb / (2 * (1 - kr)) * chroma * 32768);
    c->v[1] = (int16_t) (-c->v[0] - c->v[2]);
}

static void set_yuv_to_rgb(struct ph_yuv *c, double kr, double kb, double luma, double chroma)
{
    double kg = 1 - kr - kb;
    c->luma = (int16_t) lrint(8192 / luma);
    c->rv = (int16_t) lrint(8192 * 2 * (1 - kr) / chroma);
    c->bu = (int16_t) lrint(8192 * 2 * (1 - kb) / chroma);
    c->gu = (int16_t) lrint(-8192 * 2 * (1 - kb) * kb / kg / chroma);
    c->gv = (int16_t) lrint(-8192 * 2 * (1 - kr) * kr / kg / chroma);
}

void ph_yuv_coef(struct ph_yuv *c, enum ph_matrix matrix, enum ph_range range)
{
    double kr = matrix == PH_BT709 ? 0.2126 : 0.299, kb = matrix == PH_BT709 ? 0.0722 : 0.114;
    bool full = range == PH_FULL;
    double luma = full ? 1 : 219.0 / 255, chroma = full ? 1 : 224.0 / 255;
    set_rgb_to_yuv(c, kr, kb, luma, chroma);
    set_yuv_to_rgb(c, kr, kb, luma, chroma);
    c->y_off = full ? 0 : 16;
    c->y_add = (c->y_off << 15) + (1 << 14);
    c->uv_add = (128 << 15) + (1 << 14);
}

// --- RGBA to YUV

static uint8_t luma(const uint8_t *p, const struct ph_yuv *c)
{
    return (uint8_t) ((p[0] * c->y[0] + p[1] * c->y[1] + p[2] * c->y[2] + c->y_add) >> 15);
}

static uint8_t chroma(const int rgb[3], const int16_t k[3], int add)
{
    return (uint8_t) min_int((rgb[0] * k[0] + rgb[1] * k[1] + rgb[2] * k[2] + add) >> 15, 255);
}

// Means of 2x2 pixels at column x; the last column of an odd width counts twice.
static void mean4(int rgb[3], const uint8_t *s0, const uint8_t *s1, int x, int w)
{
    int a = 4 * x, b = 4 * min_int(x + 1, w - 1);
    for (int i = 0; i < 3; i++)
        rgb[i] = (s0[a + i] + s0[b + i] + s1[a + i] + s1[b + i] + 2) >> 2;
}

static void to_luma2(uint8_t *y0, uint8_t *y1, const uint8_t *s0, const uint8_t *s1, int w,
                     const struct ph_yuv *c)
{
    for (int x = 0; x < w; x++) {
        y0[x] = luma(s0 + 4 * x, c);
        y1[x] = luma(s1 + 4 * x, c);
    }
}

static void rgba_to_i420_c(uint8_t *y0, uint8_t *y1, uint8_t *u, uint8_t *v, const uint8_t *s0,
                           const uint8_t *s1, int w, const struct ph_yuv *c)
{
    to_luma2(y0, y1, s0, s1, w, c);
    for (int x = 0; x < w; x += 2) {
        int rgb[3];
        mean4(rgb, s0, s1, x, w);
        u[x / 2] = chroma(rgb, c->u, c->uv_add);
        v[x / 2] = chroma(rgb, c->v, c->uv_add);
    }
}

static void rgba_to_nv12_c(uint8_t *y0, uint8_t *y1, uint8_t *uv, const uint8_t *s0,
                           const uint8_t *s1, int w, const struct ph_yuv *c)
{
    to_luma2(y0, y1, s0, s1, w, c);
    for (int x = 0; x < w; x += 2) {
        int rgb[3];
        mean4(rgb, s0, s1, x, w);
        uv[x] = chroma(rgb, c->u, c->uv_add);
        uv[x + 1] = chroma(rgb, c->v, c->uv_add);
    }
}

static void rgba_to_gray_c(uint8_t *d, const uint8_t *s, int w, const struct ph_yuv *c)
{
    for (int x = 0; x < w; x++) d[x] = luma(s + 4 * x, c);
}

// --- YUV to RGBA

static void yuv_px(uint8_t *d, int y, int u, int v, const struct ph_yuv *c)
{
    y = (y - c->y_off) * c->luma + 4096;
    u -= 128;
    v -= 128;
    d[0] = (uint8_t) clamp_int((y + v * c->rv) >> 13, 0, 255);
    d[1] = (uint8_t) clamp_int((y + u * c->gu + v * c->gv) >> 13, 0, 255);
    d[2] = (uint8_t) clamp_int((y + u * c->bu) >> 13, 0, 255);
    d[3] = 255;
}

static void i420_to_rgba_c(uint8_t *d, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                           int w, const struct ph_yuv *c)
{
    for (int x = 0; x < w; x++) yuv_px(d + 4 * x, y[x], u[x / 2], v[x / 2], c);
}

static void nv12_to_rgba_c(uint8_t *d, const uint8_t *y, const uint8_t *uv, int w,
                           const struct ph_yuv *c)
{
    for (int x = 0; x < w; x++) yuv_px(d + 4 * x, y[x], uv[x & ~1], uv[x | 1], c);
}

// --- the others

static void gray_to_rgba_c(uint8_t *d, const uint8_t *s, int w)
{
    for (int x = 0; x < w; x++) store32(d + 4 * x, s[x] * UINT32_C(0x010101) | 0xff000000);
}

static void rgba_to_rgbf_c(float *r, float *g, float *b, const uint8_t *s, int w)
{
    for (int x = 0; x < w; x++) {
        r[x] = (float) s[4 * x] * (1 / 255.0f);
        g[x] = (float) s[4 * x + 1] * (1 / 255.0f);
        b[x] = (float) s[4 * x + 2] * (1 / 255.0f);
    }
}

static uint8_t unit_to_byte(float v)
{
    v *= 255;
    v = v > 0 ? v : 0; // also for NaN
    return (uint8_t) lrintf(v < 255 ? v : 255);
}

static void rgbf_to_rgba_c(uint8_t *d, const float *r, const float *g, const float *b, int w)
{
    for (int x = 0; x < w; x++) {
        d[4 * x] = unit_to_byte(r[x]);
        d[4 * x + 1] = unit_to_byte(g[x]);
        d[4 * x + 2] = unit_to_byte(b[x]);
        d[4 * x + 3] = 255;
    }
}

static void swap_rb_c(uint8_t *d, const uint8_t *s, int w)
{
    for (int x = 0; x < w; x++) {
        uint32_t p = load32(s + 4 * x);
        store32(d + 4 * x, (p & 0xff00ff00) | (p & 0xff) << 16 | (p >> 16 & 0xff));
    }
}

void ph_init_convert_c(struct ph_image_ops *o)
{
    o->rgba_to_i420 = rgba_to_i420_c;
    o->rgba_to_nv12 = rgba_to_nv12_c;
    o->i420_to_rgba = i420_to_rgba_c;
    o->nv12_to_rgba = nv12_to_rgba_c;
    o->rgba_to_gray = rgba_to_gray_c;
    o->gray_to_rgba = gray_to_rgba_c;
    o->rgba_to_rgbf = rgba_to_rgbf_c;
    o->rgbf_to_rgba = rgbf_to_rgba_c;
    o->swap_rb = swap_rb_c;
}

// --- pictures

static void from_rgba_420(const struct ph_picture *d, const struct ph_picture *s)
{
    const struct ph_image_ops *o = ph_image_ops();
    struct ph_yuv c;
    ph_yuv_coef(&c, d->matrix, d->range);
    for (int y = 0; y < s->height; y += 2) {
        int next = min_int(y + 1, s->height - 1);
        const uint8_t *s0 = px_row(s, 0, y), *s1 = px_row(s, 0, next);
        uint8_t *y0 = px_row(d, 0, y), *y1 = px_row(d, 0, next), *uv = px_row(d, 1, y / 2);
        if (d->format == PH_NV12)
            o->rgba_to_nv12(y0, y1, uv, s0, s1, s->width, &c);
        else
            o->rgba_to_i420(y0, y1, uv, px_row(d, 2, y / 2), s0, s1, s->width, &c);
    }
}

static void to_rgba_420(const struct ph_picture *d, const struct ph_picture *s)
{
    const struct ph_image_ops *o = ph_image_ops();
    struct ph_yuv c;
    ph_yuv_coef(&c, s->matrix, s->range);
    for (int y = 0; y < s->height; y++) {
        const uint8_t *luma_row = px_row(s, 0, y), *uv = px_row(s, 1, y / 2);
        if (s->format == PH_NV12)
            o->nv12_to_rgba(px_row(d, 0, y), luma_row, uv, s->width, &c);
        else
            o->i420_to_rgba(px_row(d, 0, y), luma_row, uv, px_row(s, 2, y / 2), s->width, &c);
    }
}

static void from_rgba_other(const struct ph_picture *d, const struct ph_picture *s)
{
    const struct ph_image_ops *o = ph_image_ops();
    struct ph_yuv c;
    ph_yuv_coef(&c, d->matrix, PH_FULL);
    for (int y = 0; y < s->height; y++) {
        const uint8_t *row = px_row(s, 0, y);
        if (d->format == PH_GRAY8)
            o->rgba_to_gray(px_row(d, 0, y), row, s->width, &c);
        else
            o->rgba_to_rgbf((float *) px_row(d, 0, y), (float *) px_row(d, 1, y),
                            (float *) px_row(d, 2, y), row, s->width);
    }
}

static void to_rgba_other(const struct ph_picture *d, const struct ph_picture *s)
{
    const struct ph_image_ops *o = ph_image_ops();
    for (int y = 0; y < s->height; y++) {
        uint8_t *row = px_row(d, 0, y);
        if (s->format == PH_GRAY8)
            o->gray_to_rgba(row, px_row(s, 0, y), s->width);
        else
            o->rgbf_to_rgba(row, (const float *) px_row(s, 0, y),
                            (const float *) px_row(s, 1, y), (const float *) px_row(s, 2, y),
                            s->width);
    }
}

ph_err ph_image_convert(const struct ph_picture *dst, const struct ph_picture *src)
{
    if (!px_same_size(dst, src)) return PH_EINVAL;
    enum ph_format d = dst->format, s = src->format;
    if (d == s) return ph_image_copy(dst, src);
    if (s == PH_RGBA && (d == PH_I420 || d == PH_NV12))
        from_rgba_420(dst, src);
    else if (s == PH_RGBA && (d == PH_GRAY8 || d == PH_RGBF))
        from_rgba_other(dst, src);
    else if (d == PH_RGBA && (s == PH_I420 || s == PH_NV12))
        to_rgba_420(dst, src);
    else if (d == PH_RGBA && (s == PH_GRAY8 || s == PH_RGBF))
        to_rgba_other(dst, src);
    else
        return PH_ENOTSUP;
    return PH_OK;
}

ph_err ph_image_swap_rb(const struct ph_picture *dst, const struct ph_picture *src)
{
    if (!px_same_size(dst, src) || dst->format != PH_RGBA || src->format != PH_RGBA)
        return PH_EINVAL;
    for (int y = 0; y < src->height; y++)
        ph_image_ops()->swap_rb(px_row(dst, 0, y), px_row(src, 0, y), src->width);
    return PH_OK;
}
