// SPDX-License-Identifier: MIT
// Streams to test with: short lists of steps, and a model that is only arithmetic.
#ifndef PH_TEST_STREAMS_H
#define PH_TEST_STREAMS_H

#include "values.h"

#include "core/tree.h"
#include "models/sampler/mix.h"
#include "models/stream/batch.h"

#define LATENT 120 // elements of a latent: [4, 6, 5], as in the goldens
#define SLOTS  8

static inline struct ph_schedule *schedule(enum ph_sampler_kind kind, const char *more)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"beta_start\":0.00085,\"beta_end\":0.012,\"beta_schedule\":\"scaled_linear\","
             "\"set_alpha_to_one\":false,\"timestep_spacing\":\"trailing\"%s%s}",
             *more ? "," : "", more);
    struct ph_json_doc *doc;
    struct ph_schedule *s;
    CHECK_OK(ph_json_parse(&doc, text, strlen(text), 0, NULL));
    CHECK_OK(ph_schedule_create(NULL, ph_json_root(doc), kind, &s, NULL));
    ph_json_free(&doc);
    return values_keep(s);
}

static inline struct ph_sampler *steps_of(enum ph_sampler_kind kind, const char *more,
                                          const int *index, int n)
{
    struct ph_sampler *s;
    struct ph_sampler_params par = { .index = index, .chosen = n };
    struct ph_fault fault = { 0 };
    if (ph_sampler_create(schedule(kind, more), &par, &s, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    return values_keep(s);
}

static inline struct ph_sampler *lcm(int n, ...)
{
    int index[SLOTS];
    va_list args;
    va_start(args, n);
    for (int i = 0; i < n; i++) index[i] = va_arg(args, int);
    va_end(args);
    return steps_of(PH_SAMPLER_LCM, "", index, n);
}

static inline struct ph_batch *batch_of(const struct ph_batch_params *par, uint64_t seed)
{
    static float noise[SLOTS * LATENT];
    struct ph_batch *b;
    struct ph_fault fault = { 0 };
    values_noise(seed, noise, SLOTS * LATENT);
    if (ph_batch_create(&b, SLOTS, LATENT, noise, par, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    return values_keep(b);
}

// A model as good as any: what it says depends on everything it is given, and not linearly.
static inline void any_unet(const float *rows, int count, const double *t, const float *prompt,
                            float *out)
{
    for (int r = 0; r < count; r++)
        for (int i = 0; i < LATENT; i++) {
            float x = rows[r * LATENT + i], y = rows[r * LATENT + (i * 7 + 3) % LATENT];
            out[r * LATENT + i] =
                sinf(1.3f * x + 0.2f * y) + 0.3f * cosf(y + prompt[r]) + (float) (t[r] / 4000);
        }
}

static inline void run_frame(struct ph_batch *b, const float *positive, float negative,
                             float *clean)
{
    float rows[2 * SLOTS * LATENT], out[2 * SLOTS * LATENT], prompt[2 * SLOTS];
    const float *p[SLOTS];
    double t[2 * SLOTS];
    for (int i = 0; i < b->slots; i++) p[i] = &positive[i];
    ph_batch_gather(b, rows);
    ph_batch_prompts(b, p, &negative, 1, prompt);
    for (int r = 0; r < ph_batch_rows(b); r++) t[r] = ph_batch_row_at(b, r).timestep;
    any_unet(rows, ph_batch_rows(b), t, prompt, out);
    ph_batch_step(b, out, clean);
}

static const float one_prompt[SLOTS] = { 1, 1, 1, 1, 1, 1, 1, 1 };

static inline void frame(struct ph_batch *b, uint64_t k, float *clean)
{
    float z[LATENT];
    values_noise(1000 + k, z, LATENT);
    ph_batch_enter(b, z, k);
    run_frame(b, one_prompt, 0.5f, clean);
}

// (X - noise S) / clean of a slot must be the latent its frame came with.
static inline void want_sources(const struct ph_batch *b, int first_slot, double tolerance)
{
    float z[LATENT], got[LATENT];
    for (int i = first_slot; i < b->slots; i++) {
        float clean = b->c.clean[i];
        ph_mix_of(got, LATENT, { 1 / clean, b->x + i * LATENT },
                  { -b->c.noise[i] / clean, b->stock + i * LATENT });
        values_noise(1000 + b->id[i], z, LATENT);
        values_near("source", got, z, LATENT, tolerance, 0);
    }
}

#endif
