// SPDX-License-Identifier: MIT
// Numbers about pictures.                                                   thread of all: any
#ifndef PH_IMAGE_MEASURE_H
#define PH_IMAGE_MEASURE_H

#include <phosphene/frame.h>

// How often each value occurs in r, g, b, a of an RGBA picture. Looks at every `step`-th row
// (1 = all). PH_EINVAL: not RGBA, step < 1.
ph_err ph_image_histogram(uint32_t count[4][256], const struct ph_picture *src, int step);

// Mean of |a - b| over r, g and b (0..255); negative when they are not two RGBA pictures of one
// size.
double ph_image_difference(const struct ph_picture *a, const struct ph_picture *b);

struct ph_moments {
    double mean[4], variance[4]; // of r, g, b, a
};
ph_err ph_image_moments(struct ph_moments *out, const struct ph_picture *src);

// 64 bits of the contents of any picture: size, format and the pixels of each row, not the
// padding. The same on every processor and level; not meant against people who forge.
uint64_t ph_image_hash(const struct ph_picture *src);

#endif
