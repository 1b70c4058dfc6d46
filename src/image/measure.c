// SPDX-License-Identifier: MIT
#include "image/measure.h"
#include "image/init.h"
#include "image/px.h"

#include <stdlib.h>

// --- kernels

// Neighbours tend to be equal, and an increment waits for the one before it in the same counter:
// four copies let four pixels pass at once. There are no variants: this runs at an increment a
// cycle, which is what storing allows, and a vector would have to scatter.
static void histogram_c(uint32_t count[4][256], const uint8_t *s, ptrdiff_t stride, int w,
                        int h)
{
    uint32_t part[4][4][256] = { 0 };
    for (int y = 0; y < h; y++, s += stride) {
        for (int x = 0; x < w; x++) {
            uint32_t(*p)[256] = part[x & 3];
            p[0][s[4 * x]]++;
            p[1][s[4 * x + 1]]++;
            p[2][s[4 * x + 2]]++;
            p[3][s[4 * x + 3]]++;
        }
    }
    for (int c = 0; c < 4; c++)
        for (int v = 0; v < 256; v++)
            count[c][v] += part[0][c][v] + part[1][c][v] + part[2][c][v] + part[3][c][v];
}

static uint64_t difference_c(const uint8_t *a, const uint8_t *b, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < 4 * n; i += 4)
        sum +=
            (unsigned) (abs(a[i] - b[i]) + abs(a[i + 1] - b[i + 1]) + abs(a[i + 2] - b[i + 2]));
    return sum;
}

static void moments_c(uint64_t sum[4], uint64_t square[4], const uint8_t *s, int n)
{
    for (int c = 0; c < 4; c++) {
        uint64_t one = 0, two = 0;
        for (int i = c; i < 4 * n; i += 4) {
            one += s[i];
            two += (unsigned) (s[i] * s[i]);
        }
        sum[c] += one;
        square[c] += two;
    }
}

// Sixteen independent lanes of 64 bits. Each step multiplies both halves by different odd
// constants and exchanges the halves of one product, so that every bit reaches the whole lane
// within two steps; the added constant keeps zeros from being invisible.
static void hash_c(uint64_t acc[PH_HASH_LANES], const uint8_t *s, size_t stripes)
{
    for (size_t i = 0; i < stripes; i++, s += PH_HASH_STRIPE) {
        for (int k = 0; k < PH_HASH_LANES; k++) {
            uint64_t t;
            memcpy(&t, s + 8 * k, 8);
            t ^= acc[k];
            uint64_t low = (t & 0xffffffff) * PH_HASH_MUL_LOW,
                     high = (t >> 32) * PH_HASH_MUL_HIGH;
            acc[k] = low + PH_HASH_ADD + (high << 32 | high >> 32);
        }
    }
}

void ph_init_measure_c(struct ph_image_ops *o)
{
    o->histogram = histogram_c;
    o->difference = difference_c;
    o->moments = moments_c;
    o->hash = hash_c;
}

// --- pictures

ph_err ph_image_histogram(uint32_t count[4][256], const struct ph_picture *src, int step)
{
    if (!px_valid(src) || src->format != PH_RGBA || step < 1) return PH_EINVAL;
    memset(count, 0, 4 * sizeof count[0]);
    ph_image_ops()->histogram(count, src->data[0], src->stride[0] * step, src->width,
                              (src->height + step - 1) / step);
    return PH_OK;
}

double ph_image_difference(const struct ph_picture *a, const struct ph_picture *b)
{
    uint64_t sum = 0;
    if (!px_same_size(a, b) || a->format != PH_RGBA || b->format != PH_RGBA) return -1;
    for (int y = 0; y < a->height; y++)
        sum += ph_image_ops()->difference(px_row(a, 0, y), px_row(b, 0, y), a->width);
    return (double) sum / (3.0 * a->width * a->height);
}

ph_err ph_image_moments(struct ph_moments *out, const struct ph_picture *src)
{
    uint64_t sum[4] = { 0 }, square[4] = { 0 };
    if (!px_valid(src) || src->format != PH_RGBA) return PH_EINVAL;
    for (int y = 0; y < src->height; y++)
        ph_image_ops()->moments(sum, square, px_row(src, 0, y), src->width);
    double n = (double) src->width * src->height;
    for (int c = 0; c < 4; c++) {
        out->mean[c] = (double) sum[c] / n;
        out->variance[c] = (double) square[c] / n - out->mean[c] * out->mean[c];
    }
    return PH_OK;
}

// --- hash

// Finaliser of splitmix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators).
static uint64_t mix64(uint64_t v)
{
    v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
    return v ^ v >> 31;
}

static void hash_plane(uint64_t acc[PH_HASH_LANES], const struct ph_picture *p, int plane)
{
    size_t bytes = ph_plane_row_bytes(p->format, plane, p->width);
    size_t stripes = bytes / PH_HASH_STRIPE, rest = bytes % PH_HASH_STRIPE;
    for (int y = 0; y < ph_plane_rows(p->format, plane, p->height); y++) {
        const uint8_t *row = px_row(p, plane, y);
        ph_image_ops()->hash(acc, row, stripes);
        if (rest) {
            uint8_t last[PH_HASH_STRIPE] = { 0 };
            memcpy(last, row + bytes - rest, rest);
            ph_image_ops()->hash(acc, last, 1);
        }
    }
}

uint64_t ph_image_hash(const struct ph_picture *src)
{
    uint64_t acc[PH_HASH_LANES], h;
    if (!px_valid(src)) return 0;
    h = mix64((uint64_t) src->format << 48 | (uint64_t) src->width << 24 |
              (uint64_t) src->height);
    for (int k = 0; k < PH_HASH_LANES; k++) acc[k] = mix64(h + (uint64_t) k + 1);
    for (int p = 0; p < px_planes(src->format); p++) hash_plane(acc, src, p);
    for (int k = 0; k < PH_HASH_LANES; k++) h = mix64(h * 3 + acc[k]);
    return h;
}
