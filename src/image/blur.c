// SPDX-License-Identifier: MIT
#include "image/blur.h"
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"
#include "image/resize.h"

#include <math.h>

enum { GAUSS_RADIUS = 14, GAUSS_TAPS = 2 * GAUSS_RADIUS + 2, ONE = 16384, MID_ONE = 64 };
#define GAUSS_EXACT 4.0 // sigma up to which the convolution itself is done

// --- kernels

static uint8_t box_mean(uint16_t sum, const struct ph_box_div *div)
{
    return (uint8_t) ((uint32_t) (sum + div->radius) * div->mul >> 16 >> div->shift);
}

static void box_down_c(uint8_t *d, uint16_t *sum, const uint8_t *add, const uint8_t *sub, int n,
                       const struct ph_box_div *div)
{
    for (int i = 0; i < n; i++) {
        sum[i] = (uint16_t) (sum[i] + add[i] - sub[i]);
        d[i] = box_mean(sum[i], div);
    }
}

// Sums from the left end, modulo 2^16: the difference of two is below 129 * 255, so exact.
static void box_along_c(uint8_t *d, const uint8_t *s, uint16_t *prefix, int w,
                        const struct ph_box_div *div)
{
    int window = 2 * div->radius + 1;
    memset(prefix, 0, 4 * sizeof *prefix);
    for (int k = 0; k < w + window - 1; k++) {
        const uint8_t *p = s + 4 * clamp_int(k - div->radius, 0, w - 1);
        for (int c = 0; c < 4; c++)
            prefix[4 * (k + 1) + c] = (uint16_t) (prefix[4 * k + c] + p[c]);
    }
    for (int i = 0; i < 4 * w; i++)
        d[i] = box_mean((uint16_t) (prefix[i + 4 * window] - prefix[i]), div);
}

void ph_init_blur_c(struct ph_image_ops *o)
{
    o->box_down = box_down_c;
    o->box_along = box_along_c;
}

// --- box

struct ph_box_div ph_box_div(int radius)
{
    int d = 2 * radius + 1;
    for (int shift = 0;; shift++) {
        // Rounded up; with these few dividends and divisors the first that has 16 bits but
        // fewer than 15 leading zeros is exact (proved by running through all of them).
        int64_t mul = ((INT64_C(1) << (16 + shift)) + d - 1) / d;
        if (mul >= 32768) return (struct ph_box_div){ radius, (uint16_t) mul, shift };
    }
}

static size_t align64(size_t n)
{
    return (n + 63) & ~(size_t) 63;
}

size_t ph_blur_box_scratch(int width, int radius)
{
    size_t w = (size_t) width, window = 2 * (size_t) radius + 1;
    return align64(4 * w * sizeof(uint16_t)) +
           align64((4 * (w + window) + 64) * sizeof(uint16_t));
}

// The window above the first row: the first row radius + 2 times, then those below it.
static void sum_first(uint16_t *sum, const struct ph_picture *src, int radius)
{
    const uint8_t *top = px_row(src, 0, 0);
    for (int i = 0; i < 4 * src->width; i++) sum[i] = (uint16_t) (top[i] * (radius + 2));
    for (int k = 1; k < radius; k++) {
        const uint8_t *row = px_row(src, 0, min_int(k, src->height - 1));
        for (int i = 0; i < 4 * src->width; i++) sum[i] = (uint16_t) (sum[i] + row[i]);
    }
}

static void blur_box(const struct ph_picture *dst, const struct ph_picture *src, int radius,
                     void *scratch)
{
    const struct ph_image_ops *o = ph_image_ops();
    struct ph_box_div div = ph_box_div(radius);
    uint16_t *sum = scratch;
    uint16_t *prefix = sum + align64(4 * (size_t) src->width * sizeof *sum) / sizeof *sum;
    sum_first(sum, src, radius);
    for (int y = 0; y < src->height; y++) {
        const uint8_t *add = px_row(src, 0, min_int(y + radius, src->height - 1));
        const uint8_t *sub = px_row(src, 0, max_int(y - 1 - radius, 0));
        uint8_t *d = px_row(dst, 0, y);
        o->box_down(d, sum, add, sub, 4 * src->width, &div);
        o->box_along(d, d, prefix, src->width, &div);
    }
}

static bool both_rgba(const struct ph_picture *dst, const struct ph_picture *src)
{
    return px_same_size(dst, src) && dst->format == PH_RGBA && src->format == PH_RGBA;
}

ph_err ph_image_blur_box(const struct ph_picture *dst, const struct ph_picture *src, int radius,
                         void *scratch)
{
    if (!both_rgba(dst, src) || radius < 0 || radius > PH_BLUR_RADIUS_MAX) return PH_EINVAL;
    if (!radius) return ph_image_copy(dst, src);
    blur_box(dst, src, radius, scratch);
    return PH_OK;
}

// --- Gaussian: the convolution, of another sigma in each direction

static int gauss_radius(double sigma)
{
    return (int) ceil(3.5 * sigma);
}

static void gauss_weights(int16_t w[GAUSS_TAPS], double sigma, int radius)
{
    double g[GAUSS_RADIUS + 1], sum = 0;
    int left = ONE;
    for (int k = 0; k <= radius; k++) {
        g[k] = k ? exp(-0.5 * k * k / (sigma * sigma)) : 1;
        sum += k ? 2 * g[k] : g[k];
    }
    memset(w, 0, GAUSS_TAPS * sizeof *w);
    for (int k = 1; k <= radius; k++) {
        w[radius + k] = w[radius - k] = (int16_t) lrint(g[k] / sum * ONE);
        left -= 2 * w[radius + k];
    }
    w[radius] = (int16_t) left;
}

// Repeats the first and last pixel over `radius` pixels on either side.
static void pad_row(int16_t *row, int w, int radius)
{
    for (int k = 1; k <= radius; k++) {
        memcpy(row - 4 * k, row, 4 * sizeof *row);
        memcpy(row + 4 * (w - 1 + k), row + 4 * (w - 1), 4 * sizeof *row);
    }
}

static void gauss_exact(const struct ph_picture *dst, const struct ph_picture *src,
                        double sigma_x, double sigma_y, int16_t *mid)
{
    const struct ph_image_ops *o = ph_image_ops();
    int rx = gauss_radius(sigma_x), ry = gauss_radius(sigma_y);
    int16_t wx[GAUSS_TAPS], wy[GAUSS_TAPS];
    const uint8_t *rows[GAUSS_TAPS];
    const int16_t *shifted[GAUSS_TAPS];
    gauss_weights(wx, sigma_x, rx);
    gauss_weights(wy, sigma_y, ry);
    mid += 4 * rx;
    for (int k = 0; k < 2 * rx + 2; k++) shifted[k] = mid + 4 * (min_int(k, 2 * rx) - rx);
    for (int y = 0; y < src->height; y++) {
        for (int k = 0; k < 2 * ry + 2; k++)
            rows[k] = px_row(src, 0, clamp_int(y + k - ry, 0, src->height - 1));
        o->rows_u8(mid, rows, wy, 2 * ry + 2, 4 * src->width, (float) MID_ONE / ONE);
        pad_row(mid, src->width, rx);
        o->rows_s16(px_row(dst, 0, y), shifted, wx, 2 * rx + 2, 4 * src->width,
                    1.0f / ((float) MID_ONE * ONE));
    }
}

static size_t gauss_exact_scratch(int width)
{
    return align64(4 * ((size_t) width + 2 * GAUSS_RADIUS) * sizeof(int16_t));
}

// --- Gaussian: of a smaller picture. It has a border of one pixel, made from the border of the
// source alone, because that is what is repeated beyond it.

enum { DOWN, DOWN_COLUMN, DOWN_ROW, UP, PLANS };

struct small {
    int width, height; // without the border
    struct ph_resize_params par[PLANS];
    size_t plan_bytes[PLANS], picture_bytes;
};

// By 2, 4, 8 or 16, so that two to four standard deviations remain.
static struct small small_of(int width, int height, double sigma)
{
    int f = 2;
    while (sigma / f > GAUSS_EXACT) f *= 2;
    int w = max_int(width / f, 1), h = max_int(height / f, 1);
    struct small s = { .width = w, .height = h };
    s.par[DOWN] = (struct ph_resize_params){ PH_RGBA, width, height, w, h, PH_AREA, 0 };
    s.par[DOWN_COLUMN] = (struct ph_resize_params){ PH_RGBA, 1, height, 1, h, PH_AREA, 0 };
    s.par[DOWN_ROW] = (struct ph_resize_params){ PH_RGBA, width, 1, w, 1, PH_AREA, 0 };
    s.par[UP] =
        (struct ph_resize_params){ PH_RGBA, w + 2, h + 2, width, height, PH_BILINEAR, 1 };
    for (int i = 0; i < PLANS; i++) s.plan_bytes[i] = ph_resize_bytes(&s.par[i]);
    s.picture_bytes = align64(4 * (size_t) (w + 2)) * (size_t) (h + 2);
    return s;
}

// What remains to be done for one direction: the box of `scale` pixels has the variance
// (scale^2 - 1) / 12, the triangle of the interpolation (scale^2 - 1) / 6.
static double small_sigma(double sigma, int size, int small)
{
    double scale = (double) size / small;
    double left = sigma * sigma - (scale * scale - 1) / 4;
    return fmin(fmax(sqrt(fmax(left, 0)) / scale, 0.1), GAUSS_EXACT);
}

// Resizes the part of src at (x, y) to the part of dst at (to_x, to_y), sizes as the plan says.
static void resize_part(struct ph_resize *r, const struct ph_resize_params *p,
                        const struct ph_picture *dst, int to_x, int to_y,
                        const struct ph_picture *src, int x, int y)
{
    struct ph_picture d, s;
    ph_picture_view(&d, dst, to_x, to_y, p->dst_width, p->dst_height);
    ph_picture_view(&s, src, x, y, p->src_width, p->src_height);
    ph_resize_run(r, &d, &s);
}

static void make_small(const struct small *s, const struct ph_picture *a,
                       const struct ph_picture *src, struct ph_resize *const plan[PLANS])
{
    int right = src->width - 1, bottom = src->height - 1, w = s->width, h = s->height;
    resize_part(plan[DOWN], &s->par[DOWN], a, 1, 1, src, 0, 0);
    resize_part(plan[DOWN_COLUMN], &s->par[DOWN_COLUMN], a, 0, 1, src, 0, 0);
    resize_part(plan[DOWN_COLUMN], &s->par[DOWN_COLUMN], a, w + 1, 1, src, right, 0);
    resize_part(plan[DOWN_ROW], &s->par[DOWN_ROW], a, 1, 0, src, 0, 0);
    resize_part(plan[DOWN_ROW], &s->par[DOWN_ROW], a, 1, h + 1, src, 0, bottom);
    for (int k = 0; k < 4; k++)
        store32(px_row(a, 0, k < 2 ? 0 : h + 1) + (k & 1 ? 4 * (w + 1) : 0),
                load32(px_row(src, 0, k < 2 ? 0 : bottom) + (k & 1 ? 4 * right : 0)));
}

static void gauss_small(const struct ph_picture *dst, const struct ph_picture *src,
                        double sigma, char *scratch)
{
    struct small s = small_of(src->width, src->height, sigma);
    struct ph_resize *plan[PLANS];
    struct ph_picture a = { .format = PH_RGBA, .width = s.width + 2, .height = s.height + 2 };
    for (int i = 0; i < PLANS; i++) {
        plan[i] = ph_resize_init(scratch, &s.par[i]);
        scratch += s.plan_bytes[i];
    }
    a.stride[0] = (ptrdiff_t) align64(4 * (size_t) a.width);
    struct ph_picture b = a;
    a.data[0] = (uint8_t *) scratch;
    b.data[0] = a.data[0] + s.picture_bytes;
    make_small(&s, &a, src, plan);
    gauss_exact(&b, &a, small_sigma(sigma, src->width, s.width),
                small_sigma(sigma, src->height, s.height),
                (int16_t *) (void *) (b.data[0] + s.picture_bytes));
    ph_resize_run(plan[UP], dst, &b);
}

size_t ph_blur_gauss_scratch(int width, int height, double sigma)
{
    if (!(sigma > GAUSS_EXACT)) return gauss_exact_scratch(width);
    struct small s = small_of(width, height, fmin(sigma, PH_BLUR_SIGMA_MAX));
    size_t sum = 2 * s.picture_bytes + gauss_exact_scratch(s.width + 2);
    for (int i = 0; i < PLANS; i++) sum += s.plan_bytes[i];
    return sum;
}

ph_err ph_image_blur_gauss(const struct ph_picture *dst, const struct ph_picture *src,
                           double sigma, void *scratch)
{
    if (!both_rgba(dst, src) || !(sigma >= 0 && sigma <= PH_BLUR_SIGMA_MAX)) return PH_EINVAL;
    if (sigma <= 0.1) return ph_image_copy(dst, src);
    if (sigma <= GAUSS_EXACT)
        gauss_exact(dst, src, sigma, sigma, scratch);
    else
        gauss_small(dst, src, sigma, scratch);
    return PH_OK;
}
