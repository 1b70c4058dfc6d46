// SPDX-License-Identifier: MIT
// Copies, parts, mirrors and quarter turns.                                 thread of all: any
#ifndef PH_IMAGE_GEOMETRY_H
#define PH_IMAGE_GEOMETRY_H

#include <phosphene/frame.h>

// Copies the pixels, not the padding; same format and size, any format. Large pictures go past
// the cache where that is faster.
ph_err ph_image_copy(const struct ph_picture *dst, const struct ph_picture *src);

// A part of a picture, without copying: borrows its planes. x, y even for I420 and NV12.
// PH_EINVAL when the part does not lie within.
ph_err ph_picture_view(struct ph_picture *view, const struct ph_picture *of, int x, int y,
                       int width, int height);

// How the picture in dst comes from src; RGBA, RGBF and DEPTHF. Turns are clockwise; 90 and 270
// want dst of width and height exchanged. dst and src do not overlap.
enum ph_turn {
    PH_TURN_0,
    PH_TURN_90,
    PH_TURN_180,
    PH_TURN_270,
    PH_MIRROR_H,   // left and right
    PH_MIRROR_V,   // top and bottom
    PH_TRANSPOSE,  // along the main diagonal
    PH_TRANSVERSE, // along the other one
};
ph_err ph_image_turn(const struct ph_picture *dst, const struct ph_picture *src,
                     enum ph_turn turn);

// Whether a turn exchanges width and height.
static inline bool ph_turn_swaps(enum ph_turn turn)
{
    return turn == PH_TURN_90 || turn == PH_TURN_270 || turn == PH_TRANSPOSE ||
           turn == PH_TRANSVERSE;
}

#endif
