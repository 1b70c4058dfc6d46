// SPDX-License-Identifier: MIT
#include "models/sampler/schedule.h"

#include <math.h>
#include <string.h>

#include "core/tree.h"

#define MAX_TRAIN_STEPS 100000

static const struct {
    const char *klass, *name;
    enum ph_sampler_kind kind;
} kinds[] = {
    { "LCMScheduler", "lcm", PH_SAMPLER_LCM },
    { "EulerDiscreteScheduler", "euler", PH_SAMPLER_EULER },
    { "EulerAncestralDiscreteScheduler", "euler_a", PH_SAMPLER_EULER_ANCESTRAL },
    { "DDIMScheduler", "ddim", PH_SAMPLER_DDIM },
    { "TCDScheduler", "tcd", PH_SAMPLER_TCD },
    { "DPMSolverMultistepScheduler", "dpmpp_2m", PH_SAMPLER_DPMPP_2M },
    { "PNDMScheduler", NULL, PH_SAMPLER_DDIM },
    { "DEISMultistepScheduler", NULL, PH_SAMPLER_DDIM },
};
#define KINDS (int) (sizeof kinds / sizeof *kinds)

const char *ph_sampler_name(enum ph_sampler_kind kind)
{
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind && kinds[i].name) return kinds[i].name;
    return "auto";
}

enum ph_sampler_kind ph_sampler_from_name(const char *name)
{
    for (int i = 0; name && i < KINDS; i++)
        if (kinds[i].name && !strcmp(kinds[i].name, name)) return kinds[i].kind;
    return PH_SAMPLER_AUTO;
}

enum ph_sampler_kind ph_sampler_from_class(const char *klass)
{
    for (int i = 0; klass && i < KINDS; i++)
        if (!strcmp(kinds[i].klass, klass)) return kinds[i].kind;
    return PH_SAMPLER_AUTO;
}

// ------------------------------------------------------------------------- members of the config
// A member that is absent or null is the class's default; one of another type is a mistake.
struct reader {
    const struct ph_json *config;
    struct ph_fault *fault;
    ph_err err; // the first
};

static const struct ph_json *member(struct reader *r, const char *key, enum ph_json_type type,
                                    const char *wanted)
{
    const struct ph_json *v = ph_json_get(r->config, key);
    if (!v || v->type == PH_JSON_NULL || r->err < 0) return NULL;
    if (v->type == type) return v;
    r->err = ph_fail(r->fault, PH_EFORMAT, key, "scheduler: %s is not %s", key, wanted);
    return NULL;
}

static double number(struct reader *r, const char *key, double low, double high, double absent)
{
    const struct ph_json *v = member(r, key, PH_JSON_NUMBER, "a number");
    if (!v) return absent;
    if (v->number >= low && v->number <= high) return v->number;
    r->err = ph_fail(r->fault, PH_EFORMAT, key, "scheduler: %s is %g, not in %g .. %g", key,
                     v->number, low, high);
    return absent;
}

static bool truth(struct reader *r, const char *key, bool absent)
{
    const struct ph_json *v = member(r, key, PH_JSON_BOOL, "true or false");
    return v ? v->number != 0 : absent;
}

// The index of the member's value in `choices` (ended by NULL).
static int choice(struct reader *r, const char *key, const char *const *choices, int absent)
{
    const struct ph_json *v = member(r, key, PH_JSON_STRING, "a text");
    if (!v) return absent;
    for (int i = 0; choices[i]; i++)
        if (!strcmp(choices[i], v->text)) return i;
    r->err = ph_fail(r->fault, PH_ENOTSUP, key, "scheduler: %s \"%.40s\" is not known here",
                     key, v->text);
    return absent;
}

static void refuse(struct reader *r, const char *key)
{
    if (!truth(r, key, false)) return;
    r->err = ph_fail(r->fault, PH_ENOTSUP, key,
                     "scheduler: %s is for models of pixels and is not supported", key);
}

// ------------------------------------------------------------------------- betas
enum beta_shape { LINEAR, SCALED_LINEAR, COSINE };
static const char *const beta_names[] = { "linear", "scaled_linear", "squaredcos_cap_v2",
                                          NULL };

struct betas {
    enum beta_shape shape;
    double start, end;
    const struct ph_json *trained;
};

static double cosine_abar(double t)
{
    double c = cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

static double beta_at(const struct betas *b, int t, int count)
{
    double u = count > 1 ? t / (count - 1.0) : 0;
    if (b->shape == COSINE)
        return fmin(1 - cosine_abar((t + 1.0) / count) / cosine_abar((double) t / count),
                    0.999);
    if (b->shape == LINEAR) return b->start + (b->end - b->start) * u;
    double root = sqrt(b->start) + (sqrt(b->end) - sqrt(b->start)) * u;
    return root * root;
}

static void fill_abar(struct ph_schedule *s, const struct betas *b)
{
    double product = 1;
    const struct ph_json *item = b->trained ? b->trained->child : NULL;
    for (int t = 0; t < s->count; t++) {
        product *= 1 - (item ? item->number : beta_at(b, t, s->count));
        s->abar[t] = product;
        if (item) item = item->next;
    }
}

// "Common Diffusion Noise Schedules and Sample Steps are Flawed" (arXiv 2305.08891), algorithm 1.
static void rescale_zero_snr(struct ph_schedule *s)
{
    int last = s->count - 1;
    double first = sqrt(s->abar[0]), end = sqrt(s->abar[last]);
    for (int t = 0; t <= last; t++) {
        double root = (sqrt(s->abar[t]) - end) * first / (first - end);
        s->abar[t] = root * root;
    }
    s->abar[last] = 0x1p-24;
}

static void read_betas(struct reader *r, enum ph_sampler_kind kind, struct betas *b)
{
    bool latent = kind == PH_SAMPLER_LCM || kind == PH_SAMPLER_TCD;
    b->shape = (enum beta_shape) choice(r, "beta_schedule", beta_names,
                                        latent ? SCALED_LINEAR : LINEAR);
    b->start = number(r, "beta_start", 1e-9, 0.999, latent ? 0.00085 : 0.0001);
    b->end = number(r, "beta_end", 1e-9, 0.999, latent ? 0.012 : 0.02);
    b->trained = member(r, "trained_betas", PH_JSON_ARRAY, "a list");
    if (!b->trained) return;
    for (const struct ph_json *v = b->trained->child; v && r->err >= 0; v = v->next)
        if (v->type != PH_JSON_NUMBER || !(v->number >= 1e-9 && v->number < 1))
            r->err = ph_fail(r->fault, PH_EFORMAT, "trained_betas",
                             "scheduler: trained_betas must be numbers from 1e-9 to below 1");
    if (r->err >= 0 && (b->trained->count < 1 || b->trained->count > MAX_TRAIN_STEPS))
        r->err = ph_fail(r->fault, PH_EFORMAT, "trained_betas",
                         "scheduler: trained_betas has %d entries, not 1 .. %d",
                         b->trained->count, MAX_TRAIN_STEPS);
}

// ------------------------------------------------------------------------- the rest
static enum ph_sampler_kind read_kind(struct reader *r, enum ph_sampler_kind kind)
{
    if (kind != PH_SAMPLER_AUTO) return kind;
    const char *klass = ph_json_string(ph_json_get(r->config, "_class_name"), NULL);
    kind = ph_sampler_from_class(klass);
    if (kind == PH_SAMPLER_AUTO)
        r->err = ph_fail(r->fault, PH_ENOTSUP, "_class_name",
                         "scheduler: class \"%.60s\" is not known; choose lcm, euler, "
                         "euler_a, ddim, tcd or dpmpp_2m",
                         klass ? klass : "");
    return kind;
}

static void read_solver(struct reader *r)
{
    static const char *const algorithms[] = { "dpmsolver++", NULL };
    static const char *const types[] = { "midpoint", NULL };
    choice(r, "algorithm_type", algorithms, 0);
    choice(r, "solver_type", types, 0);
    number(r, "solver_order", 2, 2, 2);
    refuse(r, "use_lu_lambdas");
}

static void read_members(struct reader *r, struct ph_schedule *s)
{
    static const char *const predictions[] = { "epsilon", "v_prediction", "sample", NULL };
    static const char *const spacings[] = { "", "leading", "trailing", "linspace", NULL };
    static const char *const finals[] = { "zero", "sigma_min", NULL };
    bool table = s->kind == PH_SAMPLER_LCM || s->kind == PH_SAMPLER_TCD;
    bool ddim = s->kind == PH_SAMPLER_DDIM, dpm = s->kind == PH_SAMPLER_DPMPP_2M;
    s->prediction = (enum ph_prediction) choice(r, "prediction_type", predictions, 0);
    s->spacing = (enum ph_spacing) choice(r, "timestep_spacing", spacings, 0);
    if (s->spacing == PH_SPACING_DEFAULT)
        s->spacing = table || ddim ? PH_SPACING_LEADING : PH_SPACING_LINSPACE;
    // Fields of one class lie in files of another: only what the kind itself reads counts.
    if (dpm || s->kind == PH_SAMPLER_EULER) s->karras = truth(r, "use_karras_sigmas", false);
    s->alpha_to_one = truth(r, "set_alpha_to_one", true);
    s->steps_offset = (int) number(r, "steps_offset", 0, 1000, 0);
    s->original_steps =
        (int) number(r, "original_inference_steps", 1, s->count, s->count < 50 ? s->count : 50);
    s->timestep_scaling = number(r, "timestep_scaling", 1e-6, 1e6, 10);
    if (table || ddim) refuse(r, "clip_sample");
    if (table || ddim || dpm) refuse(r, "thresholding");
    if (!dpm) return;
    read_solver(r);
    s->final_sigma_min = choice(r, "final_sigmas_type", finals, 0) == 1;
    s->lower_order_final = truth(r, "lower_order_final", true);
}

ph_err ph_schedule_create(void *parent, const struct ph_json *config, enum ph_sampler_kind kind,
                          struct ph_schedule **out, struct ph_fault *fault)
{
    struct reader r = { config, fault, PH_OK };
    struct betas betas = { 0 };
    *out = NULL;
    kind = read_kind(&r, kind);
    int count = (int) number(&r, "num_train_timesteps", 2, MAX_TRAIN_STEPS, 1000);
    read_betas(&r, kind, &betas);
    if (r.err < 0) return r.err;
    if (betas.trained) count = betas.trained->count;
    struct ph_schedule *s = ph_tree_alloc(parent, sizeof *s + (size_t) count * sizeof *s->abar);
    if (!s) return ph_fail(fault, PH_ENOMEM, "scheduler", "out of memory");
    s->kind = kind;
    s->count = count;
    read_members(&r, s);
    if (r.err >= 0) {
        fill_abar(s, &betas);
        if (truth(&r, "rescale_betas_zero_snr", false)) rescale_zero_snr(s);
        // A factor 1/sqrt(abar) must stay a float that something can be multiplied with.
        if (r.err >= 0 && !(s->abar[count - 1] >= 1e-20))
            r.err = ph_fail(fault, PH_EFORMAT, "betas",
                            "scheduler: the betas leave only %g of a picture at the last step",
                            s->abar[count - 1]);
    }
    if (r.err < 0) {
        ph_tree_free(s);
        return r.err;
    }
    *out = s;
    return PH_OK;
}
