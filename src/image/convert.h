// SPDX-License-Identifier: MIT
// Pixel formats into each other. Source of the matrices: ITU-R BT.601-7 (2.5.1) and BT.709-6 (3.2),
// quantisation as there for limited range, JFIF 1.02 for full range.
#ifndef PH_IMAGE_CONVERT_H
#define PH_IMAGE_CONVERT_H

#include "image/ops.h"

// Between RGBA and each of I420, NV12, RGBF and GRAY8, both ways; same size, any size.
//
// Chroma down is the mean of 2x2 pixels (an odd last column or row is repeated). Chroma up is
// nearest: each sample serves its 2x2 pixels. That is the exact inverse of the mean, so a picture
// that goes through several encoders does not smear a little more each time, and one row needs
// no other. I420 and NV12 use the matrix and range of their own picture.
// To GRAY8: luma in full range by dst->matrix. From GRAY8: r = g = b. New alpha is 255; alpha is
// dropped on the way out of RGBA. RGBF is v / 255, and back round(255 v) with clamping, NaN = 0.
// PH_EINVAL: sizes differ; PH_ENOTSUP: no such pair. Same format: copies.           thread: any
ph_err ph_image_convert(const struct ph_picture *dst, const struct ph_picture *src);

// RGBA <-> BGRA (X11, SDL); dst may be src.
ph_err ph_image_swap_rb(const struct ph_picture *dst, const struct ph_picture *src);

void ph_yuv_coef(struct ph_yuv *c, enum ph_matrix matrix, enum ph_range range);

#endif
