// SPDX-License-Identifier: MIT
// Samplers as tables of coefficients. A step reads the latent x, the model's output m, noise and
// the clean estimate of the step before, and is a sum of them with fixed factors, so that a batch
// whose rows are at different steps, of different samplers, is still one sum with a factor a row.
//
// Notation: abar_t = product of (1 - beta) up to t, a = sqrt(abar), b = sqrt(1 - abar), sigma =
// b/a. LCM, DDIM, TCD and DPM++ keep x = a z + b n ("variance preserving"); Euler keeps
// x = z + sigma n and shows the model x / sqrt(sigma^2 + 1).
//
// One step, all kinds:   model_in = input x          (timestep is told beside it)
//                        eps      = eps_x x + eps_m m
//                        x0       = x0_x x + x0_m m
//                        next     = next_x x + next_m m + next_noise z + next_prev x0_before
//
// Sources: LCM arXiv 2310.04378, boundary scalings of its section 4.1 with sigma_data 1/2 and
// timestep_scaling; Euler and Euler-ancestral arXiv 2206.00364, algorithm 2 without churn, and
// k-diffusion's get_ancestral_step; DDIM arXiv 2010.02502, eq. 12 and 16; TCD arXiv 2402.19159,
// algorithm 4; DPM++ 2M arXiv 2211.01095, algorithm 2 (midpoint form, first and last step of first
// order). Spacings, offsets and endings as diffusers 0.27's schedulers of these names.
#ifndef PH_MODELS_SAMPLER_SAMPLER_H
#define PH_MODELS_SAMPLER_SAMPLER_H

#include "models/sampler/schedule.h"

struct ph_sampler_step {
    double timestep; // what the model is told; whole but for Euler with Karras sigmas
    float input;
    float eps_x, eps_m;
    float x0_x, x0_m; // LCM: with the boundary scalings, so it is the consistency function
    float next_x, next_m, next_noise, next_prev;
    float clean, noise; // x of this step from a latent z and noise n: clean z + noise n
    float start;        // x of this step from noise alone: start n
};

struct ph_sampler {
    enum ph_sampler_kind kind;
    int count; // steps
    int first; // of img2img, by the strength; 0 for a start from noise
    struct ph_sampler_step step[];
};

struct ph_sampler_params {
    int steps; // 1 .. T; 0 = as many as `timesteps` or `index` has
    // Chosen steps, noisy to clean, instead of all: either times, or places in the table that
    // `steps` alone would give (steps 0 = 50 then): StreamDiffusion's t_index_list.
    const double *timesteps;
    const int *index;
    int chosen; // how many; 0 = no choice
    // LCM, TCD: the distillation's own table; 0 = the config's, but never below `steps`.
    int original_steps;
    enum ph_spacing spacing; // 0 = the config's
    double eta;              // DDIM: 0 .. 1 of the DDPM noise; TCD: gamma
    // img2img: how much of the schedule is run, 0 < strength <= 1; 0 = 1. LCM and TCD take all
    // steps from the cleaner part of their table; the others leave out the first ones, but keep at
    // least one. With chosen steps every kind leaves out.
    double strength;
};

// PH_EINVAL names the parameter and what it could be. Freed with ph_sampler_free.    thread: any
ph_err ph_sampler_create(const struct ph_schedule *schedule,
                         const struct ph_sampler_params *params, struct ph_sampler **out,
                         struct ph_fault *fault);
void ph_sampler_free(struct ph_sampler **s);

// Whether a step of a schedule needs noise, or the clean estimate of the one before.
bool ph_sampler_needs_noise(const struct ph_sampler *s);
bool ph_sampler_needs_prev(const struct ph_sampler *s);

// One row of n elements: next and, unless NULL, x0. noise and prev may be NULL where their factor
// is 0. next may be x, x0 may be prev; prev is read before x0 is written.            thread: any
void ph_sampler_advance(const struct ph_sampler_step *step, const float *x, const float *m,
                        const float *noise, const float *prev, int64_t n, float *x0,
                        float *next);

#endif
