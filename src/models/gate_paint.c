// SPDX-License-Identifier: MIT
#include "models/gate_paint.h"

#include <math.h>
#include <string.h>

#include "core/tree.h"
#include "models/sampler/sampler.h"
#include "nn/rng.h"

struct painting {
    const struct ph_gate_models *models;
    struct ph_device *device;
    void *tree; // of all below, and of what is painted
    struct ph_sampler *sampler;
    float *noise;
    int64_t latents;
    struct ph_fault *fault;
};

struct painted {
    float *answer, *picture; // the model's first; what came of all
    int64_t values;          // of the picture
};

// ------------------------------------------------------------------------------ figures
static double energy(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double) a[i] - (b ? (double) b[i] : 0);
        sum += d * d;
    }
    return sum;
}

double ph_gate_psnr(const float *want, const float *got, int64_t n)
{
    float low = want[0], high = want[0];
    for (int64_t i = 1; i < n; i++) {
        low = fminf(low, want[i]);
        high = fmaxf(high, want[i]);
    }
    double range = (double) high - (double) low;
    return 10 * log10(range * range * (double) n / (energy(want, got, n) + 1e-30));
}

double ph_gate_snr(const float *want, const float *got, int64_t n)
{
    return 10 * log10(energy(want, NULL, n) / (energy(want, got, n) + 1e-30));
}

// ------------------------------------------------------------------------------ plans
static ph_err make_plan(const struct painting *g, const struct ph_module *m, int part,
                        enum ph_precision precision, struct ph_plan **out)
{
    const struct ph_module_size size = { .height = g->models->side,
                                         .width = g->models->side,
                                         .tokens = g->models->tokens };
    struct ph_plan_params params = { g->device, precision, 0 };
    struct ph_prog *p = NULL;
    ph_err ret = ph_prog_create(&p);
    if (ret < 0) return ret;
    ph_module_record(p, m, part, &size, NULL);
    ret = ph_plan_create(p, &params, out, g->fault);
    ph_prog_free(&p);
    return ret;
}

static struct ph_tensor floats(float *data, int64_t n)
{
    return (struct ph_tensor){ .dtype = PH_F32, .rank = 1, .dim = { n }, .data = data };
}

static ph_err put(struct ph_plan *plan, const char *name, float *data, int64_t n)
{
    struct ph_tensor t = floats(data, n);
    return ph_plan_write(plan, name, &t);
}

static float *get(const struct painting *g, struct ph_plan *plan, const char *name, int64_t *n)
{
    struct ph_tensor t;
    if (ph_plan_describe(plan, name, &t) < 0) return NULL;
    *n = ph_tensor_count(&t);
    float *data = ph_new(g->tree, float, (size_t) *n);
    t = floats(data, *n);
    return data && ph_plan_read(plan, name, &t) >= 0 ? data : NULL;
}

// What is said once: the text, of SDXL its sum and the sizes.
static ph_err write_words(const struct painting *g, struct ph_plan *plan)
{
    static const char *const names[] = { "text", "pooled", "time_ids" };
    ph_err ret = PH_OK;
    for (int i = 0; i < 3 && ret >= 0; i++) {
        struct ph_tensor t;
        if (ph_plan_describe(plan, names[i], &t) < 0) continue;
        int64_t n = ph_tensor_count(&t);
        float *data = ph_new(g->tree, float, (size_t) n);
        if (!data) return PH_ENOMEM;
        ph_rng_normal(1, (uint64_t) (2 + i), 0, n, data);
        for (int64_t k = 0; i == 2 && k < n; k++)
            data[k] = k % 6 == 2 || k % 6 == 3 ? 0 : (float) g->models->side;
        ret = put(plan, names[i], data, n);
    }
    return ret;
}

// ------------------------------------------------------------------------------ a painting
static ph_err answer(const struct painting *g, struct ph_plan *plan, int step, const float *x,
                     float *seen, float **out)
{
    const struct ph_sampler_step *s = &g->sampler->step[step];
    float timestep = (float) s->timestep;
    int64_t n;
    ph_err ret;
    for (int64_t i = 0; i < g->latents; i++) seen[i] = s->input * x[i];
    PH_TRY(put(plan, "sample", seen, g->latents));
    PH_TRY(put(plan, "timestep", &timestep, 1));
    PH_TRY(ph_plan_run(plan));
    *out = get(g, plan, "prediction", &n);
    if (!*out || n != g->latents) return PH_EINVAL;
fail:
    return ret;
}

// The same noise for all; the first plan says how much of it.
static ph_err draw_noise(struct painting *g, const struct ph_plan *plan)
{
    struct ph_tensor t;
    if (g->noise) return PH_OK;
    ph_err ret = ph_plan_describe(plan, "sample", &t);
    if (ret < 0) return ret;
    g->latents = ph_tensor_count(&t);
    g->noise = ph_new(g->tree, float, (size_t) g->latents);
    if (g->noise) ph_rng_normal(1, 1, 0, g->latents, g->noise);
    return g->noise ? PH_OK : PH_ENOMEM;
}

static ph_err take_steps(const struct painting *g, struct ph_plan *plan, struct painted *out)
{
    float *x = ph_new(g->tree, float, (size_t) g->latents), *m,
          *seen = ph_new(g->tree, float, (size_t) g->latents);
    if (!x || !seen) return PH_ENOMEM;
    for (int64_t i = 0; i < g->latents; i++) x[i] = g->sampler->step[0].start * g->noise[i];
    for (int i = 0; i < g->sampler->count; i++) {
        ph_err ret = answer(g, plan, i, x, seen, &m);
        if (ret < 0) return ret;
        if (!i) out->answer = m;
        ph_sampler_advance(&g->sampler->step[i], x, m, NULL, NULL, g->latents, NULL, x);
    }
    out->picture = x;
    out->values = g->latents;
    return PH_OK;
}

static ph_err paint_latent(struct painting *g, enum ph_precision precision, struct painted *out)
{
    struct ph_plan *plan = NULL;
    ph_err ret;
    PH_TRY(make_plan(g, g->models->unet, 0, precision, &plan));
    PH_TRY(draw_noise(g, plan));
    PH_TRY(write_words(g, plan));
    PH_TRY(take_steps(g, plan, out));
fail:
    ph_plan_destroy(&plan);
    return ret;
}

static ph_err decode(const struct painting *g, enum ph_precision precision, struct painted *out)
{
    struct ph_plan *plan = NULL;
    if (!g->models->vae) return PH_OK;
    ph_err ret = make_plan(g, g->models->vae, 1, precision, &plan);
    if (ret >= 0) ret = put(plan, "latent", out->picture, g->latents);
    if (ret >= 0) ret = ph_plan_run(plan);
    if (ret >= 0) {
        out->picture = get(g, plan, "image", &out->values);
        if (!out->picture) ret = PH_ENOMEM;
    }
    ph_plan_destroy(&plan);
    return ret;
}

// From Euler's own beginning with the betas of Stable Diffusion.
static ph_err prepare(struct painting *g)
{
    static const char text[] = "{\"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085,"
                               " \"beta_end\": 0.012, \"timestep_spacing\": \"trailing\"}";
    struct ph_json_doc *doc = NULL;
    struct ph_schedule *schedule = NULL;
    struct ph_sampler_params params = { .steps = g->models->steps };
    ph_err ret;
    PH_TRY(ph_json_parse(&doc, text, sizeof text - 1, 0, g->fault));
    PH_TRY(
        ph_schedule_create(g->tree, ph_json_root(doc), PH_SAMPLER_EULER, &schedule, g->fault));
    PH_TRY(ph_sampler_create(schedule, &params, &g->sampler, g->fault));
fail:
    ph_json_free(&doc);
    return ret;
}

static ph_err paint(struct painting *g, enum ph_precision precision, struct painted *out)
{
    ph_err ret = paint_latent(g, precision, out);
    return ret < 0 ? ret : decode(g, precision, out);
}

ph_err ph_gate_paint(struct ph_device *device, const struct ph_gate_models *models,
                     const enum ph_precision *precision, int count, struct ph_gate_figures *out,
                     struct ph_fault *fault)
{
    struct painting g = { .models = models, .device = device, .fault = fault };
    struct painted want = { 0 }, got;
    ph_err ret;
    g.tree = ph_tree_alloc(NULL, 1);
    if (!g.tree) return PH_ENOMEM;
    PH_TRY(prepare(&g));
    PH_TRY(paint(&g, PH_PRECISION_F32, &want));
    for (int i = 0; i < count; i++) {
        got = (struct painted){ 0 };
        PH_TRY(paint(&g, precision[i], &got));
        out[i].psnr_db = ph_gate_psnr(want.picture, got.picture, want.values);
        out[i].model_db = ph_gate_snr(want.answer, got.answer, g.latents);
    }
fail:
    ph_sampler_free(&g.sampler);
    ph_tree_free(g.tree);
    return ret;
}
