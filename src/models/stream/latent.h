// SPDX-License-Identifier: MIT
// Feedback and smoothing from frame to frame, on latents and on pictures.
#ifndef PH_MODELS_STREAM_LATENT_H
#define PH_MODELS_STREAM_LATENT_H

#include <phosphene/common.h>

// More than this of the last latent feeds on itself until the picture is noise (livepeer's fork
// found the same border); amounts above it are taken as it.
#define PH_LATENT_FEEDBACK_MAX 0.4f
#define PH_LATENT_LIMIT        10.0f

// Latent feedback: z = clamp((1 - amount) z + amount before, -10, 10), before the noise is added;
// before = the clean latent that the last frame ended with. NaN in `before` counts as 0, so that
// one bad frame does not stay for ever. amount 0 (or less, or NaN) leaves z as it is, unclamped.
// In place.                                                                         thread: any
void ph_latent_feedback(float *z, const float *before, float amount, int64_t n);

// Temporal blend of what is decoded: out = (1 - amount) x0 + amount out_before, which is a low pass
// of time constant -1/log(amount) frames. amount is held to 0 .. 0.95; NaN of the
// past is forgotten. shown is out_before and becomes out.                                                                    thread: any
void ph_latent_smooth(float *shown, const float *x0, float amount, int64_t n);

// Picture feedback: picture = (1 - amount) picture + amount before, amount 0 .. 1 (fork's default
// 0.5); any linear scale of values. In place.                                       thread: any
void ph_picture_feedback(float *picture, const float *before, float amount, int64_t n);

#endif
