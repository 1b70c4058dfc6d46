// SPDX-License-Identifier: MIT
// The hue of RGBA pictures turned in OkLCh: lightness and chroma stay, greys do not change.
#ifndef PH_IMAGE_HUE_H
#define PH_IMAGE_HUE_H

#include "image/ops.h"

struct ph_hue; // a table of 33 x 33 x 33 colours, 0.58 MB with what makes a new angle cheap

// Turned by 0.                                                                    thread: any
ph_err ph_hue_create(struct ph_hue **out);
void ph_hue_destroy(struct ph_hue **h);

// From the next picture on. The table is made anew when the angle is another one (about 1 ms). What
// would leave sRGB loses chroma until it does not, at its own lightness and hue.
void ph_hue_turn(struct ph_hue *h, double deg);

// Between the colours of the table by the four nearest of them (tetrahedra); within 2 of the formula
// below for 96 % of all colours, 0.15 off in the mean. dst may be src. Alpha stays. PH_EINVAL: not RGBA.
ph_err ph_image_hue(const struct ph_picture *dst, const struct ph_picture *src,
                    const struct ph_hue *h);

// The formula, of one colour: sRGB (IEC 61966-2-1), Oklab (B. Ottosson, "A perceptual color space for
// image processing", 2020), a rotation of a and b, and back. 0..1 each.
void ph_hue_exact(double out[3], const double rgb[3], double deg);

#endif
