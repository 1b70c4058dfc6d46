// SPDX-License-Identifier: MIT
// Colours that come apart, as behind a bad lens.                                    thread: any
#ifndef PH_IMAGE_SPLIT_H
#define PH_IMAGE_SPLIT_H

#include <phosphene/frame.h>

// Red is moved by (dx, dy) whole pixels and blue by (-dx, -dy); green and alpha stay. Borders are
// repeated. dst and src do not overlap; RGBA, or PH_EINVAL.
ph_err ph_image_split(const struct ph_picture *dst, const struct ph_picture *src, int dx,
                      int dy);

#endif
