// SPDX-License-Identifier: MIT
// What every kernel file needs: unaligned access, clamping, exact division by 255.
#ifndef PH_IMAGE_PX_H
#define PH_IMAGE_PX_H

#include <phosphene/frame.h>

#include <string.h>

static inline uint32_t load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline void store32(void *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

static inline int clamp_int(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static inline int min_int(int a, int b)
{
    return a < b ? a : b;
}

static inline int max_int(int a, int b)
{
    return a > b ? a : b;
}

// round(v / 255) for v in 0..65025; (v + 127) / 255 is the same number.
static inline unsigned div255(unsigned v)
{
    v += 128;
    return (v + (v >> 8)) >> 8;
}

static inline uint8_t *px_row(const struct ph_picture *p, int plane, int y)
{
    return p->data[plane] + (ptrdiff_t) y * p->stride[plane];
}

static inline bool px_valid(const struct ph_picture *p)
{
    return p && p->data[0] && p->width >= 1 && p->height >= 1 && p->width <= 16384 &&
           p->height <= 16384;
}

static inline bool px_same_size(const struct ph_picture *a, const struct ph_picture *b)
{
    return px_valid(a) && px_valid(b) && a->width == b->width && a->height == b->height;
}

// How many planes a format has.
static inline int px_planes(enum ph_format f)
{
    return f == PH_I420 || f == PH_RGBF ? 3 : f == PH_NV12 ? 2 : f == PH_FORMAT_NONE ? 0 : 1;
}

// A picture whose planes are all of 4-byte pixels and full size: RGBA, RGBF, DEPTHF.
static inline bool px_is_32(enum ph_format f)
{
    return f == PH_RGBA || f == PH_RGBF || f == PH_DEPTHF || f == PH_INVERSEF;
}

// One float a pixel: metres or relative inverse depth.
static inline bool px_is_depth(enum ph_format f)
{
    return f == PH_DEPTHF || f == PH_INVERSEF;
}

#endif
