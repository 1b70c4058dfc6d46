// SPDX-License-Identifier: MIT
// A picture of one size into an area of another: what resize does and what blend does four times.
#ifndef PH_NODES_FIT_H
#define PH_NODES_FIT_H

#include <phosphene/frame.h>

enum ph_fit {
    PH_FIT_STRETCH, // fills the area, shape changes
    PH_FIT_CONTAIN, // all of the picture, the rest of the area is padded
    PH_FIT_COVER,   // fills the area, what juts out is cut off
    PH_FIT_COUNT
};
#define PH_FIT_NAMES PH_NAMES("stretch", "contain", "cover")

// As enum ph_filter; AUTO: area where a picture shrinks, else bilinear; depth is always nearest,
// because a mean of two depths lies where nothing is.
enum ph_fit_filter { PH_FIT_AUTO, PH_FIT_BILINEAR, PH_FIT_AREA, PH_FIT_CUBIC, PH_FIT_NEAREST };
#define PH_FIT_FILTER_NAMES PH_NAMES("auto", "bilinear", "area", "cubic", "nearest")

struct ph_rect {
    int x, y, width, height; // pixels
};

// Which part of a source picture goes to which part of a target one. Neither is ever empty.
struct ph_fit_rects {
    struct ph_rect src, dst;
};
struct ph_fit_rects ph_fit_rects(enum ph_fit fit, int src_width, int src_height, int dst_width,
                                 int dst_height);

// Draws src into all of dst (RGBA or DEPTHF; padding: color, depth infinite). *resize keeps the
// tables between calls (NULL at first, ph_resize_destroy it); a call whose sizes are those of the
// one before allocates nothing.                                            thread: one at a time
struct ph_resize;
ph_err ph_fit_draw(struct ph_resize **resize, const struct ph_picture *dst,
                   const struct ph_picture *src, enum ph_fit fit, enum ph_fit_filter filter,
                   uint32_t color);

#endif
