// SPDX-License-Identifier: MIT
// The row kernels behind every picture operation, chosen once for this processor. Filled with the
// plain C truth first and then upwards: what a level has no variant for, it inherits.
//
// Rules for all: n and w count pixels unless said otherwise and may be 0; pointers need no
// alignment beyond their type; nothing before or after the named rows is read or written; rows
// do not overlap unless the kernel says so. Integer kernels give the same bytes on every level,
// float kernels the same values (multiplies and adds are not fused, in the order of the truth).
#ifndef PH_IMAGE_OPS_H
#define PH_IMAGE_OPS_H

#include <phosphene/frame.h>

// One matrix and range in fixed point; ph_yuv_coef() in convert.h.
struct ph_yuv {
    int16_t y[3], u[3], v[3];     // of r, g, b, Q15
    int32_t y_add, uv_add;        // offset and one half, Q15
    int16_t luma, rv, gu, gv, bu; // Q13
    int16_t y_off;                // 16 or 0
};

// floor((v + radius) / (2 radius + 1)) as (v + radius) * mul >> 16 >> shift, exact for all sums of
// 2 radius + 1 bytes; radius 1..64.
struct ph_box_div {
    int radius;
    uint16_t mul;
    int shift;
};

enum { PH_CUBE_SIDE = 33 };

struct ph_color_matrix {
    int16_t m[3][3]; // Q11, row = output channel
    int32_t add[3];  // Q11, one half included
};

// A stroke: pixels at distance |d - ring| < reach from the segment, d being the distance to it.
struct ph_stroke {
    float x0, y0;      // one end, in pixels of the mask (pixel centres at .5)
    float dx, dy;      // to the other end; 0 0 = a disc
    float inv_length2; // 1 / (dx dx + dy dy), 0 for a disc
    float ring;        // radius of a circle's outline; 0 for lines and discs
    float reach;       // half the thickness, plus one half
};

// A line through a picture, sampled bilinearly: pixel i is at (x + (first + i) dx, y + (first + i) dy)
// of src, pixel centres at whole numbers. A coordinate v becomes u = v + .5, less period *
// floor(u * inverse), then the smaller of that and turn - u, less .5, clamped to 0..top.
struct ph_warp_row {
    const uint8_t *src;
    ptrdiff_t stride;
    int w, h; // of src
    float x, y, dx, dy;
    float period_x, inverse_x, turn_x, top_x;
    float period_y, inverse_y, turn_y, top_y;
    int first;
    int16_t keep, add;  // Q15 factors of the sample and of the second picture
    bool lighten;       // the larger of both instead of their sum
    int32_t dither[32]; // 0..63 added in 64ths before rounding down; 16 values, twice
};

struct ph_depth_rule;

// 1 / (clamp((v - lo) * gain) * slope + floor); ph_depth_metres() in depth.h
struct ph_depth_line {
    float lo, gain, slope, floor;
};

// y = a v + b against what was there before; ph_steady_apply() in steady.h
struct ph_steady_line {
    float a, b;
    float outlier;          // |y - reference| above this has moved
    float past, past_moved; // weight of y in the reference
    float still;            // weight of y in what is shown, of a pixel that holds still
    float gate, gate_gain;  // |y - shown| from which on, and how fast, that becomes 1
};

enum { PH_BLENDS = 4, PH_HASH_LANES = 16, PH_HASH_STRIPE = 128 };

#define PH_HASH_MUL_LOW  UINT64_C(0x9e3779b1)
#define PH_HASH_MUL_HIGH UINT64_C(0x85ebca77)
#define PH_HASH_ADD      UINT64_C(0x27d4eb2f165667c5)

struct ph_image_ops {
    const char *level; // of the highest variants in the table: "c", "avx2", "avx512"

    // convert. Two rows of RGBA make two of luma and one of chroma; s1 == s0 with y1 == y0 at the
    // last row of an odd height. w = luma width.
    void (*rgba_to_i420)(uint8_t *y0, uint8_t *y1, uint8_t *u, uint8_t *v, const uint8_t *s0,
                         const uint8_t *s1, int w, const struct ph_yuv *c);
    void (*rgba_to_nv12)(uint8_t *y0, uint8_t *y1, uint8_t *uv, const uint8_t *s0,
                         const uint8_t *s1, int w, const struct ph_yuv *c);
    void (*i420_to_rgba)(uint8_t *d, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                         int w, const struct ph_yuv *c);
    void (*nv12_to_rgba)(uint8_t *d, const uint8_t *y, const uint8_t *uv, int w,
                         const struct ph_yuv *c);
    void (*rgba_to_gray)(uint8_t *d, const uint8_t *s, int w, const struct ph_yuv *c);
    void (*gray_to_rgba)(uint8_t *d, const uint8_t *s, int w);
    void (*rgba_to_rgbf)(float *r, float *g, float *b, const uint8_t *s, int w);
    void (*rgbf_to_rgba)(uint8_t *d, const float *r, const float *g, const float *b, int w);
    void (*swap_rb)(uint8_t *d, const uint8_t *s, int w); // d may be s

    // resize and Gaussian: weighted sums of `taps` (even) rows, n elements. Result
    // round-half-even(sum * scale), saturated.
    void (*rows_u8)(int16_t *d, const uint8_t *const *rows, const int16_t *weights, int taps,
                    int n, float scale);
    void (*rows_s16)(uint8_t *d, const int16_t *const *rows, const int16_t *weights, int taps,
                     int n, float scale);
    void (*rows_f32)(float *d, const float *const *rows, const float *weights, int taps, int n);
    // Along a row: out[x] = sum over k of s[start[x] + k] * weight(k, x). s has 4 channels in
    // _s16, 1 in _f32, and is readable for start + taps; weights are [taps / 2][pitch][2] int16
    // and [taps][pitch] float, pitch >= n a multiple of 16, zero beyond n, as start[n..pitch).
    void (*along_s16)(uint8_t *d, const int16_t *s, const int32_t *start,
                      const int16_t *weights, int pitch, int taps, int n, float scale);
    void (*along_f32)(float *d, const float *s, const int32_t *start, const float *weights,
                      int pitch, int taps, int n);

    // blend; opacity and t 0..255. See blend.h for the definitions. d may be a or b in fade.
    void (*blend[PH_BLENDS])(uint8_t *d, const uint8_t *s, int n, int opacity);
    void (*fade)(uint8_t *d, const uint8_t *a, const uint8_t *b, int n_bytes, int t);
    void (*mask)(uint8_t *d, const uint8_t *mask, int n,
                 uint32_t px); // px: r lowest, a highest
    void (*fill)(uint8_t *d, uint32_t px, int n);

    // blur. sum += add - sub (n bytes, modulo 2^16), d = sum / (2 radius + 1) rounded.
    void (*box_down)(uint8_t *d, uint16_t *sum, const uint8_t *add, const uint8_t *sub, int n,
                     const struct ph_box_div *div);
    // Mean of 2 radius + 1 pixels along a row of w RGBA pixels, borders repeated. d may be s;
    // prefix holds 4 (w + 2 radius + 1) + 64 values.
    void (*box_along)(uint8_t *d, const uint8_t *s, uint16_t *prefix, int w,
                      const struct ph_box_div *div);

    // measure
    // Adds; a whole picture, because the counters are kept in several copies.
    void (*histogram)(uint32_t count[4][256], const uint8_t *s, ptrdiff_t stride, int w, int h);
    uint64_t (*difference)(const uint8_t *a, const uint8_t *b,
                           int n); // sum |a - b| over r, g, b
    void (*moments)(uint64_t sum[4], uint64_t square[4], const uint8_t *s, int n); // adds
    void (*hash)(uint64_t acc[PH_HASH_LANES], const uint8_t *s, size_t stripes);

    // color; d may be s, alpha stays.
    void (*color_matrix)(uint8_t *d, const uint8_t *s, int n, const struct ph_color_matrix *m);
    void (*lut)(uint8_t *d, const uint8_t *s, int n, const uint8_t table[256]); // r, g and b
    // Between the four nearest of PH_CUBE_SIDE^3 colours, red first; 10 bits of each, red lowest: four
    // times the byte, at most 1020.
    void (*cube)(uint8_t *d, const uint8_t *s, int n, const uint32_t *colors);

    // geometry; pixels of 4 bytes.
    void (*reverse)(uint8_t *d, const uint8_t *s, int n);
    // d(x, y) = s(y, x), w x h being the size of d; strides in bytes, may be negative.
    void (*transpose)(uint8_t *d, ptrdiff_t d_stride, const uint8_t *s, ptrdiff_t s_stride,
                      int w, int h);
    // As memcpy, but past the cache where the processor gains by it.
    void (*stream)(uint8_t *d, const uint8_t *s, size_t n_bytes);

    // warp; add = a row of the second picture or NULL. d may be add.
    void (*warp)(uint8_t *d, const uint8_t *add, int n, const struct ph_warp_row *r);
    // Red of r, green and alpha of g, blue of b. d is none of them.
    void (*merge_rgb)(uint8_t *d, const uint8_t *r, const uint8_t *g, const uint8_t *b, int n);

    // draw: raises each byte of a w x h mask to the stroke's coverage (0..255).
    void (*stroke)(uint8_t *mask, ptrdiff_t stride, int w, int h, const struct ph_stroke *s);
    // Sets n bytes to how much of pixel i in row y..y+1 lies between top[i] and bottom[i] (finite).
    void (*band)(uint8_t *mask, const float *top, const float *bottom, int n, float y);

    // depth, steady, cloud: see their headers. Rows of w floats; depth_keep writes x0..x1 of d and
    // reads the pixels beside them where the row has some; confidence may be NULL. steady returns
    // how many moved. cloud_points returns how many points it wrote, and may write up to
    // PH_CLOUD_SLACK beyond.
    void (*depth_keep)(float *d, const float *up, const float *z, const float *down,
                       const float *confidence, int x0, int x1, int w,
                       const struct ph_depth_rule *r);
    void (*depth_metres)(float *d, const float *s, int n, const struct ph_depth_line *l);
    int (*steady)(float *dst, const float *src, float *reference, float *shown, int n,
                  const struct ph_steady_line *l);
    int (*cloud_points)(float *xyz, uint8_t *rgb, const float *z, const uint8_t *px,
                        const float *u, int w, float v, float fx, float fy);
};

struct ph_box_div ph_box_div(int radius); // 1..64; in blur.c

// The table for this processor and PH_CPU.                                          thread: any
const struct ph_image_ops *ph_image_ops(void);
// Fills a table for the given enum ph_cpu flags; the caller has checked that they are there.
void ph_image_ops_fill(struct ph_image_ops *o, unsigned flags);
// Checks and benchmarks: from now on all operations use these flags (of those that are there).
// Nothing else may run on pictures meanwhile.
void ph_image_ops_limit(unsigned flags);

#endif
