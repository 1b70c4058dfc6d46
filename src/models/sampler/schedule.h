// SPDX-License-Identifier: MIT
// What scheduler_config.json says: how noise was added in training. Everything a sampler computes
// comes from this table of products.
#ifndef PH_MODELS_SAMPLER_SCHEDULE_H
#define PH_MODELS_SAMPLER_SCHEDULE_H

#include <phosphene/common.h>

#include "core/json.h"

enum ph_sampler_kind {
    PH_SAMPLER_AUTO, // what the config's _class_name says
    PH_SAMPLER_LCM,
    PH_SAMPLER_EULER,
    PH_SAMPLER_EULER_ANCESTRAL,
    PH_SAMPLER_DDIM,
    PH_SAMPLER_TCD,
    PH_SAMPLER_DPMPP_2M
};

enum ph_prediction { PH_PREDICT_EPSILON, PH_PREDICT_V, PH_PREDICT_SAMPLE };
enum ph_spacing {
    PH_SPACING_DEFAULT,
    PH_SPACING_LEADING,
    PH_SPACING_TRAILING,
    PH_SPACING_LINSPACE
};

struct ph_schedule {
    enum ph_sampler_kind kind; // never AUTO
    enum ph_prediction prediction;
    enum ph_spacing spacing; // never DEFAULT
    bool karras;             // use_karras_sigmas
    bool alpha_to_one;       // set_alpha_to_one: DDIM and LCM end at abar 1, else at abar[0]
    bool final_sigma_min;    // final_sigmas_type "sigma_min": DPM++ ends there, else at 0
    bool lower_order_final;
    int steps_offset;
    int original_steps;      // original_inference_steps, 50
    double timestep_scaling; // 10
    int count;               // num_train_timesteps, T
    double abar[];           // [T]: product of (1 - beta_s) over s <= t
};

// Reads the members that the kind uses; one that is absent means what the class of that name
// means by it (diffusers 0.27: the constructors' defaults). config NULL = all absent. kind AUTO
// takes _class_name: the six classes below, and PNDMScheduler and DEISMultistepScheduler as DDIM
// (the same equation; DEIS of one step is exactly DDIM's step to t = 0).
// Betas: "linear", "scaled_linear", "squaredcos_cap_v2", trained_betas; rescale_betas_zero_snr
// with abar[T-1] = 2^-24 instead of 0, so that every kind stays finite.
// PH_ENOTSUP for what cannot be a sum with fixed coefficients (clip_sample, thresholding: made
// for pixels, not for latents) or is another solver; PH_EFORMAT for a member of the wrong type or
// range; fault names it. Freed with ph_tree_free or its parent.                      thread: any
ph_err ph_schedule_create(void *parent, const struct ph_json *config, enum ph_sampler_kind kind,
                          struct ph_schedule **out, struct ph_fault *fault);

const char *ph_sampler_name(enum ph_sampler_kind kind);        // "lcm", "euler", ...
enum ph_sampler_kind ph_sampler_from_name(const char *name);   // AUTO when there is none
enum ph_sampler_kind ph_sampler_from_class(const char *klass); // AUTO when there is none

#endif
