// SPDX-License-Identifier: MIT
// Light that spills over from what is bright.
#ifndef PH_IMAGE_BLOOM_H
#define PH_IMAGE_BLOOM_H

#include <phosphene/frame.h>

// Made for one size and radius; 40 kB and 1/16 to 1/4 of the picture's bytes. One thread at a time.
struct ph_bloom;

// radius: how far light reaches, in pixels, 1..256 (beyond counts as the limit). PH_EINVAL: the
// size is out of 1..16384.                                                          thread: any
ph_err ph_bloom_create(struct ph_bloom **out, int width, int height, float radius);
void ph_bloom_destroy(struct ph_bloom **b);

// Adds, in place, `amount` (0..4) times the light above `threshold` (0..1) of each colour, blurred
// in a picture made smaller. PH_EINVAL: not RGBA of that size.
ph_err ph_bloom_run(struct ph_bloom *b, const struct ph_picture *p, float amount,
                    float threshold);

#endif
