// SPDX-License-Identifier: MIT
#include "image/blend.h"
#include "image/init.h"
#include "image/px.h"

static void over_px(uint8_t *d, unsigned r, unsigned g, unsigned b, unsigned a)
{
    unsigned rest = div255(d[3] * (255 - a)), out = a + rest;
    if (!a) return;
    d[0] = (uint8_t) ((r * a + d[0] * rest + out / 2) / out);
    d[1] = (uint8_t) ((g * a + d[1] * rest + out / 2) / out);
    d[2] = (uint8_t) ((b * a + d[2] * rest + out / 2) / out);
    d[3] = (uint8_t) out;
}

static void over_c(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    for (int i = 0; i < 4 * n; i += 4)
        over_px(d + i, s[i], s[i + 1], s[i + 2], div255(s[i + 3] * (unsigned) opacity));
}

static unsigned mix_add(unsigned s, unsigned d)
{
    return s + d > 255 ? 255 : s + d;
}

static unsigned mix_multiply(unsigned s, unsigned d)
{
    return div255(s * d);
}

static unsigned mix_screen(unsigned s, unsigned d)
{
    return s + d - div255(s * d);
}

static inline void mix_row(uint8_t *d, const uint8_t *s, int n, int opacity,
                           unsigned (*mix)(unsigned, unsigned))
{
    for (int i = 0; i < 4 * n; i += 4) {
        unsigned a = div255(s[i + 3] * (unsigned) opacity);
        for (int c = i; c < i + 3; c++)
            d[c] = (uint8_t) div255(mix(s[c], d[c]) * a + d[c] * (255 - a));
        d[i + 3] = (uint8_t) (a + div255(d[i + 3] * (255 - a)));
    }
}

static void add_c(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    mix_row(d, s, n, opacity, mix_add);
}

static void multiply_c(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    mix_row(d, s, n, opacity, mix_multiply);
}

static void screen_c(uint8_t *d, const uint8_t *s, int n, int opacity)
{
    mix_row(d, s, n, opacity, mix_screen);
}

static void fade_c(uint8_t *d, const uint8_t *a, const uint8_t *b, int n_bytes, int t)
{
    for (int i = 0; i < n_bytes; i++)
        d[i] = (uint8_t) div255((unsigned) (a[i] * (255 - t) + b[i] * t));
}

static void mask_c(uint8_t *d, const uint8_t *mask, int n, uint32_t px)
{
    for (int i = 0; i < n; i++)
        over_px(d + 4 * i, px & 0xff, px >> 8 & 0xff, px >> 16 & 0xff,
                div255(mask[i] * (px >> 24)));
}

static void fill_c(uint8_t *d, uint32_t px, int n)
{
    for (int i = 0; i < n; i++) store32(d + 4 * i, px);
}

void ph_init_blend_c(struct ph_image_ops *o)
{
    o->blend[PH_BLEND_OVER] = over_c;
    o->blend[PH_BLEND_ADD] = add_c;
    o->blend[PH_BLEND_MULTIPLY] = multiply_c;
    o->blend[PH_BLEND_SCREEN] = screen_c;
    o->fade = fade_c;
    o->mask = mask_c;
    o->fill = fill_c;
}

ph_err ph_image_blend(const struct ph_picture *dst, const struct ph_picture *src, int x, int y,
                      enum ph_blend_mode mode, int opacity)
{
    if (!px_valid(dst) || !px_valid(src) || dst->format != PH_RGBA || src->format != PH_RGBA ||
        (unsigned) mode >= PH_BLENDS)
        return PH_EINVAL;
    // 64 bits: a caller's x may be anything.
    int64_t right = (int64_t) x + src->width, bottom = (int64_t) y + src->height;
    int x0 = max_int(x, 0), y0 = max_int(y, 0);
    int n = (int) (right < dst->width ? right : dst->width) - x0;
    int y1 = (int) (bottom < dst->height ? bottom : dst->height);
    opacity = clamp_int(opacity, 0, 255);
    if (right <= 0 || bottom <= 0 || n <= 0 || !opacity) return PH_OK;
    for (int row = y0; row < y1; row++)
        ph_image_ops()->blend[mode](px_row(dst, 0, row) + 4 * x0,
                                    px_row(src, 0, row - y) + 4 * (ptrdiff_t) (x0 - x), n,
                                    opacity);
    return PH_OK;
}

ph_err ph_image_fade(const struct ph_picture *dst, const struct ph_picture *a,
                     const struct ph_picture *b, int t)
{
    if (!px_same_size(dst, a) || !px_same_size(dst, b) || dst->format != PH_RGBA ||
        a->format != PH_RGBA || b->format != PH_RGBA)
        return PH_EINVAL;
    t = clamp_int(t, 0, 255);
    for (int y = 0; y < dst->height; y++)
        ph_image_ops()->fade(px_row(dst, 0, y), px_row(a, 0, y), px_row(b, 0, y),
                             4 * dst->width, t);
    return PH_OK;
}
