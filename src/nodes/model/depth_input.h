// SPDX-License-Identifier: MIT
// A picture as a depth model wants it: its size, its filter, its numbers.
#ifndef PH_NODES_DEPTH_INPUT_H
#define PH_NODES_DEPTH_INPUT_H

#include <phosphene/frame.h>

#include "models/depth/depth.h"

// The tables and pictures in between, kept from call to call. Zeroed at first. One thread at a time.
struct ph_depth_input {
    struct ph_resize *resize[2];
    struct ph_frame *floats, *between, *sized;
};
void ph_depth_input_finish(struct ph_depth_input *in);

// out [3, h, w] = (RGB - mean)/deviation of the picture (RGBA) in `size`, resized as the family's
// authors do: V2 in floats with cv2's cubic (values may leave 0..1); DA3 in bytes, area where a
// picture shrinks and cubic where it grows, by way of `first` (0 x 0: at once).
ph_err ph_depth_input_v2(struct ph_depth_input *in, const struct ph_picture *picture,
                         struct ph_depth_size size, float *out);
ph_err ph_depth_input_da3(struct ph_depth_input *in, const struct ph_picture *picture,
                          struct ph_depth_size first, struct ph_depth_size size, float *out);

// The size for a picture whose shorter side shall have about `side` pixels; *first as above.
struct ph_depth_size ph_depth_input_size(bool da3, int width, int height, int side,
                                         struct ph_depth_size *first);

#endif
