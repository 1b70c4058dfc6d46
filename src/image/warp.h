// SPDX-License-Identifier: MIT
// Pictures moved, turned, enlarged and folded: every row of the result is made of straight lines
// through the source, sampled bilinearly. RGBA; pixel centres at whole numbers. thread of all: any
#ifndef PH_IMAGE_WARP_H
#define PH_IMAGE_WARP_H

#include <phosphene/frame.h>

// What lies beyond the source.
enum ph_border {
    PH_BORDER_MIRROR, // the picture as in a mirror, again and again
    PH_BORDER_EDGE,   // the outermost pixels
    PH_BORDER_WRAP,   // the opposite side
};

// Which point of the source a pixel (x, y) of the result shows:
// (xx x + xy y + x0, yx x + yy y + y0).
struct ph_affine {
    float xx, xy, x0, yx, yy, y0;
};

// What is seen when a w x h picture is made `scale` times as large and turned by angle_deg
// (clockwise) around (cx, cy), both 0..1 of width and height, and then moved by (dx, dy) pixels.
// A scale below 1/1000 counts as that; what is no number changes nothing.
struct ph_affine ph_affine_view(int w, int h, double cx, double cy, double scale,
                                double angle_deg, double dx, double dy);

// dst and src do not overlap; any sizes. PH_EINVAL: not RGBA, a map that is not finite.
// Within 1 of exact bilinear interpolation.
ph_err ph_image_warp(const struct ph_picture *dst, const struct ph_picture *src,
                     const struct ph_affine *map, enum ph_border border);

// One step of a feedback: dst = keep * warp(prev) + add * now, or the larger of both, 0..1 each.
// Rounded by a dither that moves with `count`, the number of this step: what fades does so at any
// brightness instead of staying where the rounding holds it. Alpha is as the colours. dst may be now.
struct ph_feedback {
    struct ph_affine map;
    enum ph_border border;
    float keep, add;
    bool lighten; // the larger one instead of the sum
    uint32_t count;
};
ph_err ph_image_feedback(const struct ph_picture *dst, const struct ph_picture *prev,
                         const struct ph_picture *now, const struct ph_feedback *step);

// A disc of 2 * axes sectors around the middle of dst (cx, cy in 0..1 of it), each a mirror of
// its neighbours. All show the same sector of src: the one that begins at source_deg, around
// (sx, sy), `zoom` times as large. angle_deg turns the mirrors.
struct ph_kaleidoscope {
    int axes; // of symmetry, 1..PH_KALEIDOSCOPE_AXES: 1 is a mirror, 6 a snow crystal
    double cx, cy, sx, sy, zoom, angle_deg, source_deg;
    enum ph_border border;
};
enum { PH_KALEIDOSCOPE_AXES = 32 };
// dst and src do not overlap; PH_EINVAL: not RGBA, out of range.
ph_err ph_image_kaleidoscope(const struct ph_picture *dst, const struct ph_picture *src,
                             const struct ph_kaleidoscope *k);

#endif
