// SPDX-License-Identifier: MIT
// Blurs of RGBA pictures, borders repeated, all four channels alike. dst and src do not overlap.
#ifndef PH_IMAGE_BLUR_H
#define PH_IMAGE_BLUR_H

#include <phosphene/frame.h>

#define PH_BLUR_RADIUS_MAX 64
#define PH_BLUR_SIGMA_MAX  64.0

// Mean of (2 radius + 1)^2 pixels, radius 0..64, at a cost that does not depend on the radius.
// Rounded after each direction: within 1 of the exact mean. `scratch`: bytes as ph_blur_box_scratch
// says, aligned to 64.                                                              thread: any
ph_err ph_image_blur_box(const struct ph_picture *dst, const struct ph_picture *src, int radius,
                         void *scratch);
size_t ph_blur_box_scratch(int width, int radius);

// Gaussian of standard deviation sigma (pixels), 0..64; up to 0.1 copies.
// Up to sigma 4: separable, cut at ceil(3.5 sigma), within 1 of the true convolution. Above: the
// same of a picture made 2, 4, 8 or 16 times smaller by area, enlarged bilinearly, the variance
// of both taken off sigma's; within 1 % of the contrast of an edge, 2.5 % of that of noise of
// single pixels, and cheaper the larger sigma is.
ph_err ph_image_blur_gauss(const struct ph_picture *dst, const struct ph_picture *src,
                           double sigma, void *scratch);
size_t ph_blur_gauss_scratch(int width, int height, double sigma);

#endif
