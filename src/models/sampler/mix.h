// SPDX-License-Identifier: MIT
// The whole arithmetic of samplers: a weighted sum of rows. A backend does the same with a few
// axpby operations, so everything above it gives coefficients, never loops of its own.
#ifndef PH_MODELS_SAMPLER_MIX_H
#define PH_MODELS_SAMPLER_MIX_H

#include <phosphene/common.h>

struct ph_term {
    float scale;
    const float *x; // [n]; never read, and may be NULL, when scale is 0
};

// out[i] = sum over the terms of scale * x[i], in their order, in float. out may be any of the
// inputs, but may not overlap one otherwise. No terms, or all zero: zeros.           thread: any
void ph_mix(float *out, int64_t n, const struct ph_term *terms, int count);
#define ph_mix_of(out, n, ...)                                                                 \
    ph_mix(out, n, (const struct ph_term[]){ __VA_ARGS__ },                                    \
           (int) (sizeof((const struct ph_term[]){ __VA_ARGS__ }) / sizeof(struct ph_term)))

#endif
