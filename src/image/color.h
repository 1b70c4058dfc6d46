// SPDX-License-Identifier: MIT
// Brightness, contrast, saturation and gamma of RGBA pictures; hue.h turns their colours.
#ifndef PH_IMAGE_COLOR_H
#define PH_IMAGE_COLOR_H

#include "image/ops.h"

struct ph_color_params {
    float brightness; // added: -1..1, 0 = as it is
    float contrast;   // around mid-grey: 0..4, 1 = as it is
    float saturation; // 0 = grey .. 4, 1 = as it is
    float gamma;      // out = in^(1/gamma): 0.1..10, 1 = as it is
};
#define PH_COLOR_NEUTRAL ((struct ph_color_params){ 0, 1, 1, 1 })

struct ph_color {
    struct ph_color_matrix matrix;
    uint8_t lut[256]; // gamma
    bool has_matrix, has_lut;
};

// Saturation (matrix of W3C Filter Effects 1, 9.6: luma stays), then contrast and brightness, as one 3x4 matrix in Q11 with rounding and clamping; then gamma by table.
void ph_color_prepare(struct ph_color *c, const struct ph_color_params *par);
// Light of a colour (r, g, b 0..1) over a picture, more where it is dark: out = c + amount * color
// * (1 - luma), luma by the weights above; amount 0..1, what is no number is 0.
void ph_color_flash(struct ph_color *c, float amount, const float color[3]);
// dst may be src. Alpha stays.                                                      thread: any
ph_err ph_image_color(const struct ph_picture *dst, const struct ph_picture *src,
                      const struct ph_color *c);

#endif
