// SPDX-License-Identifier: MIT
// A map of depths in another size, corners on corners: how the depth of a model becomes as large as
// the picture. Source: torch.nn.functional.interpolate, bilinear, align_corners=True.
#ifndef PH_IMAGE_STRETCH_H
#define PH_IMAGE_STRETCH_H

#include <phosphene/frame.h>

// src of dst pixel i: i (in - 1)/(out - 1), 0 where out is 1. One float a pixel (DEPTHF, INVERSEF),
// of any sizes; both of one format. PH_ENOTSUP: another format.                     thread: any
ph_err ph_image_stretch(const struct ph_picture *dst, const struct ph_picture *src);

#endif
