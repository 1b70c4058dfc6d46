// SPDX-License-Identifier: MIT
// Samplers: each run's table, the noising of a latent, and its steps with the model's recorded
// outputs.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/sampler/mix.h"
#include "models/sampler/sampler.h"

#define LINE    "any engine (fp32 or fp64 tables)"
#define LATENTS "model_input/prev_sample"

struct run {
    struct golden_case *c;
    const struct golden_file *f;
    const struct ph_json *about;
    const char *name; // below the file, without its stem
    const struct ph_sampler *s;
};

static bool applies(const struct golden_case *c)
{
    const struct ph_json *first = golden_runs(c);
    const char *slash = first ? strchr(first->key, '/') : NULL;
    const struct golden_file *f =
        slash ? golden_file(c, first->key, (size_t) (slash - first->key)) : NULL;
    return f && ph_json_get(first, "config") &&
           golden_named(f, "%s/in.model_output", slash + 1) &&
           golden_named(f, "%s/out.prev_sample", slash + 1);
}

static const struct ph_tensor *recorded(const struct run *r, const char *tensor)
{
    return golden_named(r->f, "%s/%s", r->name, tensor);
}

static float *floats(const struct run *r, const char *tensor)
{
    const struct ph_tensor *t = recorded(r, tensor);
    return t ? golden_floats(r->c, t).data : NULL;
}

// Against <run>/out.<tensor>, where the file has it.
static void compare(const struct run *r, const char *tensor, float *got, double max_abs)
{
    char name[128], label[256];
    snprintf(name, sizeof name, "out.%s", tensor);
    snprintf(label, sizeof label, "%s/%s", r->name, name);
    const struct ph_tensor *want = recorded(r, name);
    if (!want) return;
    struct ph_tensor t = golden_like(r->c, want);
    t.data = got;
    struct golden_check check = {
        .tensor = tensor, .label = label, .line = LINE, .key = LATENTS, .max_abs = max_abs
    };
    golden_compare(r->c, r->f, check, &t, want);
}

// The worst of n relative errors. Near t = 0 the reference loses digits, 1 - abar in float is off
// by up to 7e-5 of itself, so very small values count as 0.04.
static void compare_relative(struct golden_case *c, const struct golden_file *f,
                             const char *label, const float *got, const float *want, int64_t n)
{
    const struct ph_json *line = ph_json_get(ph_json_get(c->manifest, "tolerance"), LINE);
    double limit = ph_json_double(ph_json_get(ph_json_get(line, "sigmas/alphas"), "rel"), 1e-5);
    double worst = 0;
    char text[256];
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double) got[i] - (double) want[i]) /
                                (fabs((double) want[i]) + 0.04));
    snprintf(text, sizeof text, "%s, worst relative error", label);
    golden_compare_number(c, f, text, worst, 0, limit);
}

static void compare_levels(const struct run *r, const char *tensor, const float *got, int n)
{
    char label[256], name[64];
    snprintf(name, sizeof name, "out.%s", tensor);
    snprintf(label, sizeof label, "%s/%s", r->name, name);
    const struct ph_tensor *want = recorded(r, name);
    if (want && ph_tensor_count(want) >= n)
        compare_relative(r->c, r->f, label, got, golden_floats(r->c, want).data, n);
}

static void compare_table(const struct run *r)
{
    float times[1024], sigmas[1024];
    const struct ph_tensor *want = recorded(r, "out.timesteps");
    if (!want || ph_tensor_count(want) != r->s->count || r->s->count > 1024) {
        golden_failure(r->c, r->f, r->name, "another number of steps");
        return;
    }
    for (int i = 0; i < r->s->count; i++) {
        times[i] = (float) r->s->step[i].timestep;
        sigmas[i] = r->s->step[i].noise / r->s->step[i].clean;
    }
    bool karras =
        ph_json_bool(ph_json_get(ph_json_get(r->about, "config"), "use_karras_sigmas"), false);
    bool between = karras && r->s->kind == PH_SAMPLER_EULER;
    compare(r, "timesteps", times, between ? 0.02 : 1e-6);
    compare_levels(r, "sigmas", sigmas, r->s->count);
    compare_levels(r, "init_noise_sigma", &r->s->step[0].start, 1);
}

static void compare_starts(const struct run *r, int64_t n)
{
    float *z = floats(r, "in.x0"), *noise = floats(r, "in.init_noise");
    const struct ph_tensor *want = recorded(r, "out.add_noise");
    if (!z || !noise || !want) return;
    float *x = golden_like(r->c, want).data;
    for (int i = 0; i < r->s->count; i++) {
        const struct ph_sampler_step *s = &r->s->step[i];
        ph_mix_of(x + i * n, n, { s->clean, z }, { s->noise, noise });
    }
    compare(r, "add_noise", x, 0);
}

static void compare_steps(const struct run *r, int64_t n)
{
    const struct ph_tensor *shape = recorded(r, "in.model_output");
    float *x = floats(r, "in.init_noise"), *m = floats(r, "in.model_output");
    float *noise = floats(r, "in.noise"), *x0 = golden_like(r->c, shape).data;
    float *shown = golden_like(r->c, shape).data, *next = golden_like(r->c, shape).data;
    int64_t used = 0, least = ph_json_int(ph_json_get(r->about, "noises_used"), 0);
    ph_mix_of(x, n, { r->s->step[0].start, x });
    compare(r, "init_sample", x, 0);
    for (int i = 0; i < r->s->count; i++) {
        const struct ph_sampler_step *s = &r->s->step[i];
        float *estimate = x0 + i * n, *before = i ? estimate - n : estimate;
        ph_mix_of(shown + i * n, n, { s->input, x });
        used += s->next_noise != 0;
        const float *z = s->next_noise != 0 ? noise + i * n : NULL;
        ph_sampler_advance(s, x, m + i * n, z, before, n, estimate, x);
        memcpy(next + i * n, x, sizeof *x * (size_t) n);
    }
    compare(r, "model_input", shown, 0);
    compare(r, "pred_x0", x0, 0);
    compare(r, "prev_sample", next, 0);
    if (used > least)
        golden_failure(r->c, r->f, r->name, "more noise than the reference draws");
}

// The steps that a run is about: all of its number, or chosen times.
static ph_err sampler_of(const struct run *r, struct ph_sampler **out, struct ph_fault *fault)
{
    double times[1024];
    const struct ph_json *chosen = ph_json_get(r->about, "custom_timesteps");
    struct ph_sampler_params par = { .eta = ph_json_double(ph_json_get(r->about, "eta"), 0) };
    par.steps = (int) ph_json_int(ph_json_get(r->about, "num_inference_steps"), 0);
    for (int i = 0; chosen && i < chosen->count && i < 1024; i++)
        times[par.chosen++] = ph_json_at(chosen, i)->number;
    if (par.chosen) par.timesteps = times;
    struct ph_schedule *s;
    ph_err ret = ph_schedule_create(
        r->c->mem, ph_json_get(r->about, "config"),
        ph_sampler_from_name(!strcmp(r->f->stem, "euler_ancestral") ? "euler_a" : r->f->stem),
        &s, fault);
    return ret < 0 ? ret : ph_sampler_create(s, &par, out, fault);
}

static void run_one(struct golden_case *c, const struct ph_json *about)
{
    const char *slash = strchr(about->key, '/');
    const struct golden_file *f =
        slash ? golden_file(c, about->key, (size_t) (slash - about->key)) : NULL;
    struct run r = { c, f, about, slash ? slash + 1 : "", NULL };
    struct ph_sampler *s = NULL;
    struct ph_fault fault = { 0 };
    if (!f || !recorded(&r, "in.model_output") || !recorded(&r, "in.init_noise")) {
        golden_failure(c, f, about->key, "its tensors are in no file");
    } else if (sampler_of(&r, &s, &fault) < 0) {
        golden_failure(c, f, about->key, fault.message);
    } else {
        int64_t n = ph_tensor_count(recorded(&r, "in.init_noise"));
        r.s = s;
        compare_table(&r);
        compare_starts(&r, n);
        compare_steps(&r, n);
    }
    ph_sampler_free(&s);
}

// Training's products, and the table of 50 steps that streams choose theirs from.
static void compare_tables(struct golden_case *c, const struct golden_file *f)
{
    const struct ph_tensor *abar = golden_tensor(f, "alphas_cumprod"),
                           *alpha = golden_tensor(f, "lcm50.alpha"),
                           *beta = golden_tensor(f, "lcm50.beta");
    struct ph_schedule *s;
    struct ph_sampler *k = NULL;
    struct ph_sampler_params par = { .steps = 50 };
    float got[3][1024];
    if (!abar || !alpha || !beta || ph_tensor_count(abar) > 1024) return;
    if (ph_schedule_create(c->mem, ph_json_get(golden_runs(c), "config"), PH_SAMPLER_LCM, &s,
                           NULL) < 0 ||
        ph_sampler_create(s, &par, &k, NULL) < 0) {
        golden_failure(c, f, "tables", "the first run's config has no such table");
        return;
    }
    for (int i = 0; i < s->count && i < 1024; i++) got[0][i] = (float) s->abar[i];
    for (int i = 0; i < k->count && i < 1024; i++) {
        got[1][i] = k->step[i].clean;
        got[2][i] = k->step[i].noise;
    }
    compare_relative(c, f, "alphas_cumprod", got[0], golden_floats(c, abar).data, s->count);
    compare_relative(c, f, "lcm50.alpha", got[1], golden_floats(c, alpha).data, k->count);
    compare_relative(c, f, "lcm50.beta", got[2], golden_floats(c, beta).data, k->count);
    ph_sampler_free(&k);
}

static void run(struct golden_case *c)
{
    for (const struct ph_json *v = golden_runs(c); v; v = v->next) run_one(c, v);
    for (int i = 0; i < c->files; i++) compare_tables(c, &c->file[i]);
}

const struct golden_kind golden_sampler = { "sampler", applies, run };
