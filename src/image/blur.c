// SPDX-License-Identifier: MIT
#include "image/blur.h"
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"

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

// --- Gaussian: the convolution

static int gauss_radius(double sigma)
{
    return (int) ceil(3.5 * sigma);
}

static void gauss_weights(int16_t w[GAUSS_TAPS], double sigma, int radius)
{
    double g[GAUSS_RADIUS + 1], sum = 0;
    int left = ONE;
    for (int k = 0; k <= radius; k++) {
        g[k] = exp(-0.5 * k * k / (sigma * sigma));
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
                        double sigma, int16_t *mid)
{
    const struct ph_image_ops *o = ph_image_ops();
    int radius = gauss_radius(sigma), taps = 2 * radius + 2;
    int16_t weights[GAUSS_TAPS];
    const uint8_t *rows[GAUSS_TAPS];
    const int16_t *shifted[GAUSS_TAPS];
    gauss_weights(weights, sigma, radius);
    mid += 4 * radius;
    for (int k = 0; k < taps; k++) shifted[k] = mid + 4 * (min_int(k, 2 * radius) - radius);
    for (int y = 0; y < src->height; y++) {
        for (int k = 0; k < taps; k++)
            rows[k] = px_row(src, 0, clamp_int(y + k - radius, 0, src->height - 1));
        o->rows_u8(mid, rows, weights, taps, 4 * src->width, (float) MID_ONE / ONE);
        pad_row(mid, src->width, radius);
        o->rows_s16(px_row(dst, 0, y), shifted, weights, taps, 4 * src->width,
                    1.0f / ((float) MID_ONE * ONE));
    }
}

// --- Gaussian: three boxes

// Kovesi: widths wl (m times) and wl + 2, odd, so that the variances (w^2 - 1) / 12 add up best.
static void three_radii(int radius[3], double sigma)
{
    double v = 12 * sigma * sigma;
    int wl = (int) floor(sqrt(v / 3 + 1));
    wl -= wl % 2 == 0;
    int m = (int) lround((v - 3.0 * wl * wl - 12.0 * wl - 9) / (-4.0 * wl - 4));
    for (int i = 0; i < 3; i++) radius[i] = min_int(i < m ? wl / 2 : wl / 2 + 1, 64);
}

static void gauss_boxes(const struct ph_picture *dst, const struct ph_picture *src,
                        double sigma, uint8_t *scratch)
{
    int radius[3];
    three_radii(radius, sigma);
    size_t own = ph_blur_box_scratch(src->width, PH_BLUR_RADIUS_MAX);
    struct ph_picture tmp = *dst;
    tmp.data[0] = scratch + own;
    tmp.stride[0] = (ptrdiff_t) align64(4 * (size_t) src->width);
    blur_box(dst, src, radius[0], scratch);
    blur_box(&tmp, dst, radius[1], scratch);
    blur_box(dst, &tmp, radius[2], scratch);
}

size_t ph_blur_gauss_scratch(int width, int height, double sigma)
{
    size_t w = (size_t) width;
    if (sigma <= GAUSS_EXACT) return align64(4 * (w + 2 * GAUSS_RADIUS) * sizeof(int16_t));
    return ph_blur_box_scratch(width, PH_BLUR_RADIUS_MAX) + align64(4 * w) * (size_t) height;
}

ph_err ph_image_blur_gauss(const struct ph_picture *dst, const struct ph_picture *src,
                           double sigma, void *scratch)
{
    if (!both_rgba(dst, src) || !(sigma >= 0 && sigma <= PH_BLUR_SIGMA_MAX)) return PH_EINVAL;
    if (sigma <= 0.1) return ph_image_copy(dst, src);
    if (sigma <= GAUSS_EXACT)
        gauss_exact(dst, src, sigma, scratch);
    else
        gauss_boxes(dst, src, sigma, scratch);
    return PH_OK;
}
