// SPDX-License-Identifier: MIT
// Any size to any size, as OpenCV's cv::resize defines it (modules/imgproc, resize.cpp).
#ifndef PH_IMAGE_RESIZE_H
#define PH_IMAGE_RESIZE_H

#include <phosphene/frame.h>

// Pixel centres at .5, borders repeated.
enum ph_filter {
    PH_BILINEAR, // INTER_LINEAR: two taps, no smoothing when shrinking
    PH_AREA,   // INTER_AREA: mean of the covered box; enlarging in either direction: as OpenCV,
               // linear with that mode's own weights
    PH_CUBIC,  // INTER_CUBIC: a = -0.75, four taps
    PH_NEAREST // INTER_NEAREST: floor(x scale); for depth and masks
};

// The tables of one (format, source size, target size, filter), and room for one row: running it
// allocates nothing. One thread at a time.
struct ph_resize;

struct ph_resize_params {
    enum ph_format format; // RGBA, RGBF or DEPTHF; 0 = RGBA
    int src_width, src_height, dst_width, dst_height;
    enum ph_filter filter;
    // So many pixels of the source on each side lie beyond the picture and serve the filter only.
    // BILINEAR and CUBIC.
    int border;
};
#define ph_resize_params(...) (&(struct ph_resize_params){ __VA_ARGS__ })

// PH_EINVAL: a size is out of 1..16384; PH_ENOTSUP: the format.                      thread: ctl
ph_err ph_resize_create(struct ph_resize **out, const struct ph_resize_params *par);
void ph_resize_destroy(struct ph_resize **r);
// The same in memory of the caller (aligned to 64, not to be destroyed); sizes and format (not 0)
// are valid.
size_t ph_resize_bytes(const struct ph_resize_params *par);
struct ph_resize *ph_resize_init(void *memory, const struct ph_resize_params *par);
// True when the plan is for just these.
bool ph_resize_fits(const struct ph_resize *r, const struct ph_picture *dst,
                    const struct ph_picture *src, enum ph_filter filter);

// 8-bit results are within 1 of the float definition, float ones within 1e-5 of the range of the
// pixels involved. PH_EINVAL: pictures are not those of the plan.
ph_err ph_resize_run(struct ph_resize *r, const struct ph_picture *dst,
                     const struct ph_picture *src);

// Plan, run, destroy; for pictures that come once.
ph_err ph_image_resize(const struct ph_picture *dst, const struct ph_picture *src,
                       enum ph_filter filter);

#endif
