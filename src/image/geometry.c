// SPDX-License-Identifier: MIT
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"

// Below this a copy stays in the cache, where its reader finds it.
#define STREAM_BYTES (1 << 20)

// --- kernels

static void reverse_c(uint8_t *d, const uint8_t *s, int n)
{
    for (int i = 0; i < n; i++) store32(d + 4 * i, load32(s + 4 * (ptrdiff_t) (n - 1 - i)));
}

// In tiles of 16 x 16, one cache line wide on both sides.
static void transpose_c(uint8_t *d, ptrdiff_t d_stride, const uint8_t *s, ptrdiff_t s_stride,
                        int w, int h)
{
    for (int y0 = 0; y0 < h; y0 += 16) {
        for (int x0 = 0; x0 < w; x0 += 16) {
            int y1 = min_int(y0 + 16, h), x1 = min_int(x0 + 16, w);
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    store32(d + y * d_stride + 4 * x, load32(s + x * s_stride + 4 * y));
        }
    }
}

static void stream_c(uint8_t *d, const uint8_t *s, size_t n_bytes)
{
    memcpy(d, s, n_bytes);
}

void ph_init_geometry_c(struct ph_image_ops *o)
{
    o->reverse = reverse_c;
    o->transpose = transpose_c;
    o->stream = stream_c;
}

// --- copies

static void copy_plane(const struct ph_picture *dst, const struct ph_picture *src, int plane)
{
    size_t bytes = ph_plane_row_bytes(src->format, plane, src->width);
    size_t rows = (size_t) ph_plane_rows(src->format, plane, src->height);
    bool packed =
        dst->stride[plane] == src->stride[plane] && src->stride[plane] == (ptrdiff_t) bytes;
    void (*copy)(uint8_t *, const uint8_t *, size_t) =
        bytes * rows >= STREAM_BYTES ? ph_image_ops()->stream : stream_c;
    if (packed) {
        bytes *= rows;
        rows = 1;
    }
    for (size_t y = 0; y < rows; y++)
        copy(px_row(dst, plane, (int) y), px_row(src, plane, (int) y), bytes);
}

ph_err ph_image_copy(const struct ph_picture *dst, const struct ph_picture *src)
{
    if (!px_same_size(dst, src) || dst->format != src->format) return PH_EINVAL;
    for (int p = 0; p < px_planes(src->format); p++) copy_plane(dst, src, p);
    return PH_OK;
}

// --- parts

// Bytes from a row's start to column x of a plane.
static ptrdiff_t column_offset(enum ph_format f, int plane, int x)
{
    if (px_is_32(f)) return 4 * (ptrdiff_t) x;
    return plane && f == PH_I420 ? x / 2 : x;
}

ph_err ph_picture_view(struct ph_picture *view, const struct ph_picture *of, int x, int y,
                       int width, int height)
{
    if (!px_valid(of) || x < 0 || y < 0 || width < 1 || height < 1 || x > of->width - width ||
        y > of->height - height)
        return PH_EINVAL;
    bool halved = of->format == PH_I420 || of->format == PH_NV12;
    if (halved && (x | y) & 1) return PH_EINVAL;
    struct ph_picture v = *of;
    v.width = width;
    v.height = height;
    for (int p = 0; p < px_planes(of->format); p++)
        v.data[p] = px_row(of, p, p && halved ? y / 2 : y) + column_offset(of->format, p, x);
    *view = v;
    return PH_OK;
}

// --- turns

static void turn_rows(const struct ph_picture *dst, const struct ph_picture *src, int plane,
                      bool reverse, bool upside_down)
{
    for (int y = 0; y < src->height; y++) {
        const uint8_t *s = px_row(src, plane, y);
        uint8_t *d = px_row(dst, plane, upside_down ? dst->height - 1 - y : y);
        if (reverse)
            ph_image_ops()->reverse(d, s, src->width);
        else
            memcpy(d, s, 4 * (size_t) src->width);
    }
}

static void turn_transpose(const struct ph_picture *dst, const struct ph_picture *src,
                           int plane, bool src_up, bool dst_up)
{
    const uint8_t *s = px_row(src, plane, src_up ? src->height - 1 : 0);
    uint8_t *d = px_row(dst, plane, dst_up ? dst->height - 1 : 0);
    ph_image_ops()->transpose(d, dst_up ? -dst->stride[plane] : dst->stride[plane], s,
                              src_up ? -src->stride[plane] : src->stride[plane], dst->width,
                              dst->height);
}

ph_err ph_image_turn(const struct ph_picture *dst, const struct ph_picture *src,
                     enum ph_turn turn)
{
    if (!px_valid(dst) || !px_valid(src) || dst->format != src->format) return PH_EINVAL;
    if (!px_is_32(src->format)) return PH_ENOTSUP;
    bool swap = ph_turn_swaps(turn);
    if (dst->width != (swap ? src->height : src->width) ||
        dst->height != (swap ? src->width : src->height))
        return PH_EINVAL;
    for (int p = 0; p < px_planes(src->format); p++) {
        if (swap)
            turn_transpose(dst, src, p, turn == PH_TURN_90 || turn == PH_TRANSVERSE,
                           turn == PH_TURN_270 || turn == PH_TRANSVERSE);
        else
            turn_rows(dst, src, p, turn == PH_TURN_180 || turn == PH_MIRROR_H,
                      turn == PH_TURN_180 || turn == PH_MIRROR_V);
    }
    return PH_OK;
}
