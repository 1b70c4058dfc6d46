// SPDX-License-Identifier: MIT
// What ph_diffuser_steer says, brought to the easel before each picture; for paint.c.
//                                                                      thread: that of painting
#ifndef PH_MODELS_STEER_H
#define PH_MODELS_STEER_H

#include <phosphene/model.h>

struct ph_easel;
struct ph_made;

// Noise that walks. The parts are N_seed, A and B of ph_steering, for two neighbouring variations:
// of the even one first.
struct ph_noise_walk {
    float *parts; // [2][3][slots][latent]; drawn when first needed
    int slots;    // 0: nothing in parts holds
    int variation[2];
    bool has[2][3];
    // What the easel's noise is; all 0 = N_seed alone. angle in [0, 1), 0 without a radius.
    float radius;
    double angle, at;
};

// Blends the prompts of `made` as `how` says. [text_len]
void ph_steer_aim(const struct ph_diffuser *d, const struct ph_made *made,
                  const struct ph_steering *how, float *out);
// Another `made` is about to land. reseeded: the easel's noise was drawn anew, as N_seed.
void ph_steer_land(struct ph_diffuser *d, const struct ph_made *made, bool reseeded);
// The filter's numbers as they are now.
void ph_steer_filter(struct ph_diffuser *d, const struct ph_made *made);
// Brings noise, words and the filter to where they are steered. PH_ENOMEM: they stay.
ph_err ph_steer_move(struct ph_diffuser *d);

// Noise of all seeds, each `more` further, blended to the length that noise has. [latent]
void ph_steer_draw(struct ph_diffuser *d, const struct ph_diffuser_settings *s, uint64_t more,
                   uint64_t stream, float *out);
// The same where the variation is; scratch [latent].
void ph_steer_draw_here(struct ph_diffuser *d, uint64_t stream, float *scratch, float *out);

#endif
