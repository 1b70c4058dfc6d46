// SPDX-License-Identifier: MIT
// Depth maps (PH_DEPTHF, one float a pixel) before they become points: which pixels to believe,
// disparity to metres, and the range of a film. 0 in a map of metres = nothing there.
#ifndef PH_IMAGE_DEPTH_H
#define PH_IMAGE_DEPTH_H

#include <phosphene/frame.h>

// What a pixel must be to stay. Of the four neighbours only those that are there count.
struct ph_depth_rule {
    float near, far; // metres, both included; near > 0; far may be INFINITY
    float edge; // largest step to a neighbour as a share of the pixel's own depth; INFINITY
    float confidence; // least of the map of confidences; unused without one
};

// dst = src where the rule holds and src is finite and above 0, else 0. All of one size; dst is
// another map than src; confidence may be NULL.                                     thread: any
ph_err ph_depth_keep(const struct ph_picture *dst, const struct ph_picture *src,
                     const struct ph_picture *confidence, const struct ph_depth_rule *rule);

// Relative inverse depth to metres: d = lo lies at `far`, d = hi at `near`, in 1/z linear between;
// what is beyond is clamped, what is no number becomes 0. hi <= lo: all is far. dst may be src.
ph_err ph_depth_metres(const struct ph_picture *dst, const struct ph_picture *src, float lo,
                       float hi, float near, float far);

// The finite values of a map, at most `most`: all, or those of a regular grid. Returns how many.
int ph_depth_sample(float *values, int most, const struct ph_picture *map);
// The p-th percentile, 0..100, linear between ranks (numpy's). Reorders values; n >= 1.
float ph_percentile(float *values, int n, double p);
// The smallest confidence that stays when `percent` of the pixels shall go, but at least `floor`.
float ph_depth_confidence(const struct ph_picture *confidence, double percent, float floor);

// The range of a film: widens at once, narrows only after `delay` frames inside, by `alpha` of the
// way a frame. Zeroed = no frame yet.
struct ph_depth_range {
    float lo, hi;
    int inside; // frames
    bool set;
};
void ph_depth_range_add(struct ph_depth_range *r, float lo, float hi, int delay, float alpha);

#endif
