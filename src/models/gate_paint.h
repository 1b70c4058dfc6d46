// SPDX-License-Identifier: MIT
// A whole painting, from noise to the picture in several steps, in one precision beside another: what
// errors of a precision become on the way.
#ifndef PH_MODELS_GATE_PAINT_H
#define PH_MODELS_GATE_PAINT_H

#include "models/model.h"
#include "nn/plan.h"

struct ph_gate_models {
    const struct ph_module *unet;
    const struct ph_module *vae; // an AutoencoderTiny; NULL: the latent stands for the picture
    int side;                    // pixels
    int steps;                   // of Euler, trailing; 1 is the hardest: all from one answer
    int tokens;                  // of the text, which is seeded noise; 0 = 77
};

struct ph_gate_figures {
    double psnr_db;  // of the picture against f32's, whose range is the peak
    double model_db; // signal over noise of the model's first answer, where both saw the same
};
// out[i] is precision[i] on `device` beside f32 on it.                               thread: any
ph_err ph_gate_paint(struct ph_device *device, const struct ph_gate_models *models,
                     const enum ph_precision *precision, int count, struct ph_gate_figures *out,
                     struct ph_fault *fault);

// Of n values: PSNR with the range of `want` as the peak; signal over noise.
double ph_gate_psnr(const float *want, const float *got, int64_t n);
double ph_gate_snr(const float *want, const float *got, int64_t n);

#endif
