// SPDX-License-Identifier: MIT
#include "models/stream/latent.h"

#include "models/sampler/mix.h"

// NaN is 0.
static float held(float amount, float top)
{
    return !(amount > 0) ? 0 : amount > top ? top : amount;
}

void ph_latent_feedback(float *z, const float *before, float amount, int64_t n)
{
    float k = held(amount, PH_LATENT_FEEDBACK_MAX);
    for (int64_t i = 0; k > 0 && i < n; i++) {
        float b = before[i] == before[i] ? before[i] : 0;
        float v = (1 - k) * z[i] + k * b;
        z[i] = v < -PH_LATENT_LIMIT  ? -PH_LATENT_LIMIT
               : v > PH_LATENT_LIMIT ? PH_LATENT_LIMIT
                                     : v;
    }
}

void ph_latent_smooth(float *shown, const float *x0, float amount, int64_t n)
{
    float k = held(amount, 0.95f);
    for (int64_t i = 0; i < n; i++) {
        float before = shown[i] == shown[i] ? shown[i] : x0[i];
        shown[i] = k > 0 ? (1 - k) * x0[i] + k * before : x0[i];
    }
}

void ph_picture_feedback(float *picture, const float *before, float amount, int64_t n)
{
    float k = held(amount, 1);
    ph_mix_of(picture, n, { 1 - k, picture }, { k, before });
}
