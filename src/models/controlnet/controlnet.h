// SPDX-License-Identifier: MIT
// ControlNet: the way down of a UNet once more, steered by a picture, whose outputs are added to the
// UNet's. Source: diffusers, controlnet.py.
#ifndef PH_MODELS_CONTROLNET_H
#define PH_MODELS_CONTROLNET_H

#include "models/unet/unet.h"

#define PH_CONTROLNET_HINTS 8

struct ph_controlnet_config {
    struct ph_unet_config unet;
    int condition_channels;
    int hints, hint_channels[PH_CONTROLNET_HINTS]; // widths of the condition's own layers
};

struct ph_controlnet_in {
    struct ph_unet_in unet; // control is not read
    ph_val condition; // [n, condition_channels, 8 h, 8 w] in [0, 1], unlike pictures elsewhere
    ph_val scale;     // [ph_controlnet_residuals]: what each residual is multiplied with
};

// Residuals: one a skip connection and the one of the middle, which is the last.
int ph_controlnet_residuals(const struct ph_controlnet_config *c);
// Values for `scale`: all alike, or (guess) rising from a tenth of it to all of it,
// 10^(i/(count-1) - 1): residuals near the picture steer less, so that it works without a prompt.
void ph_controlnet_scales(int count, float scale, bool guess, float *out);

void ph_controlnet_steer(struct ph_prog *p, const struct ph_controlnet_config *c,
                         const struct ph_controlnet_in *in, struct ph_residuals *out);
// Several ControlNets on one UNet: to += from.
void ph_residuals_add(struct ph_prog *p, struct ph_residuals *to,
                      const struct ph_residuals *from);

// Inputs as of the UNet's class, "condition" [n, condition_channels, h, w] (EACH) and "scale"
// [residuals] (RARE); outputs "down.N", "mid". Taps: "controlnet_cond_embedding"; and those of the
// UNet's way down after "controlnet.".
extern const struct ph_module_class ph_class_controlnet;

#endif
