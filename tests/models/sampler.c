// SPDX-License-Identifier: MIT
#include "values.h"

#include "core/tree.h"
#include "models/sampler/mix.h"
#include "models/sampler/sampler.h"

#define LATENT 120 // elements of the case's latents: [1, 4, 6, 5]

static struct ph_json_doc *parse(const char *text)
{
    struct ph_json_doc *doc;
    CHECK_OK(ph_json_parse(&doc, text, strlen(text), 0, NULL));
    return doc;
}

#define SD                                                                                     \
    "\"beta_start\":0.00085,\"beta_end\":0.012,\"beta_schedule\":\"scaled_linear\","           \
    "\"clip_sample\":false,\"set_alpha_to_one\":false,\"steps_offset\":1"

static struct ph_schedule *schedule(enum ph_sampler_kind kind, const char *more)
{
    char text[1024];
    snprintf(text, sizeof text, "{" SD "%s%s}", *more ? "," : "", more);
    struct ph_json_doc *doc = parse(text);
    struct ph_schedule *s;
    struct ph_fault fault = { 0 };
    if (ph_schedule_create(NULL, ph_json_root(doc), kind, &s, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    ph_json_free(&doc);
    return values_keep(s);
}

static struct ph_sampler *sampler(const struct ph_schedule *s,
                                  const struct ph_sampler_params *par)
{
    struct ph_sampler *out;
    struct ph_fault fault = { 0 };
    if (ph_sampler_create(s, par, &out, &fault) < 0) TEST_FAIL("%s", fault.message);
    return values_keep(out);
}

// ------------------------------------------------------------------------- goldens
TEST(tables_are_those_of_the_reference)
{
    struct ph_weights *w =
        values_open(golden("diffusion/cases/08_schedulers/tables.safetensors"));
    struct ph_schedule *s = schedule(PH_SAMPLER_LCM, "");
    double *abar = values_doubles(w, NULL, "alphas_cumprod_f64");
    for (int t = 0; t < 1000; t++) CHECK_NUM(fabs(s->abar[t] / abar[t] - 1), <=, 1e-12);
    static const struct {
        const char *name;
        struct ph_sampler_params par;
    } tables[] = { { "lcm50.timesteps", { .steps = 50 } },
                   { "lcm100.timesteps", { .steps = 100 } },
                   { "lcm_orig100_n50.timesteps", { .steps = 50, .original_steps = 100 } } };
    for (int k = 0; k < 3; k++) {
        double *want = values_doubles(w, NULL, tables[k].name);
        struct ph_sampler *got = sampler(s, &tables[k].par);
        for (int i = 0; i < got->count; i++) CHECK_NUM(got->step[i].timestep, ==, want[i]);
        ph_sampler_free(&got);
        free(want);
    }
    double *alpha = values_doubles(w, NULL, "lcm50.alpha"),
           *beta = values_doubles(w, NULL, "lcm50.beta");
    double *skip = values_doubles(w, NULL, "lcm50.c_skip"),
           *out = values_doubles(w, NULL, "lcm50.c_out");
    struct ph_sampler *got = sampler(s, &tables[0].par);
    for (int i = 0; i < 50; i++) {
        const struct ph_sampler_step *o = &got->step[i];
        CHECK_NUM(fabs(o->clean / alpha[i] - 1), <=, 1e-5);
        CHECK_NUM(fabs(o->noise / beta[i] - 1), <=, 1e-5);
        CHECK_NUM(fabs(o->x0_x / (out[i] / alpha[i] + skip[i]) - 1), <=, 1e-5);
        CHECK_NUM(fabs(o->x0_m / (-out[i] * beta[i] / alpha[i]) - 1), <=, 1e-5);
    }
}

// ------------------------------------------------------------------------- without goldens
TEST(the_lcm_table_has_the_published_values)
{
    static const struct {
        int place, t;
        double a, b;
    } known[] = { { 0, 999, .068265, .997667 },
                  { 16, 679, .309813, .950798 },
                  { 32, 359, .701071, .713092 },
                  { 45, 99, .946289, .323322 } };
    struct ph_schedule *s = schedule(PH_SAMPLER_LCM, "");
    for (int k = 0; k < 4; k++) {
        struct ph_sampler *got =
            sampler(s, &(struct ph_sampler_params){ .index = &known[k].place, .chosen = 1 });
        CHECK_NUM(got->step[0].timestep, ==, known[k].t);
        CHECK_NUM(fabs(got->step[0].clean - known[k].a), <, 1e-6);
        CHECK_NUM(fabs(got->step[0].noise - known[k].b), <, 1e-6);
        ph_sampler_free(&got);
    }
    CHECK_NUM(fabs(sqrt((1 - s->abar[999]) / s->abar[999]) - 14.614641), <, 1e-5);
}

TEST(one_ddim_step_is_what_sdxs_ships)
{
    struct ph_schedule *s = schedule(PH_SAMPLER_DDIM, "\"timestep_spacing\":\"trailing\"");
    struct ph_sampler *got = sampler(s, &(struct ph_sampler_params){ .steps = 1 });
    CHECK_NUM(fabs(got->step[0].next_x - 14.642591), <, 2e-5);
    CHECK_NUM(fabs(got->step[0].next_m + 14.579279), <, 2e-5);
}

static void model_of(enum ph_prediction prediction, const struct ph_sampler_step *s,
                     const float *z, const float *n, float *m)
{
    double size = hypot(s->clean, s->noise), a = s->clean / size, b = s->noise / size;
    for (int i = 0; i < LATENT; i++)
        m[i] = (float) (prediction == PH_PREDICT_EPSILON ? n[i]
                        : prediction == PH_PREDICT_V     ? a * n[i] - b * z[i]
                                                         : z[i]);
}

// A model that always knows picture and noise must be led from level to level to the picture.
static void want_exact(enum ph_sampler_kind kind, const char *spacing, int prediction,
                       int steps)
{
    static const char *const words[] = { "epsilon", "v_prediction", "sample" };
    char more[160];
    snprintf(more, sizeof more, "\"timestep_spacing\":\"%s\",\"prediction_type\":\"%s\"",
             spacing, words[prediction]);
    struct ph_schedule *s = schedule(kind, more);
    struct ph_sampler *k = sampler(s, &(struct ph_sampler_params){ .steps = steps });
    float z[LATENT], n[LATENT], x[LATENT], m[LATENT], x0[LATENT] = { 0 }, want[LATENT];
    values_noise(1, z, LATENT);
    values_noise(2, n, LATENT);
    ph_mix_of(x, LATENT, { k->step[0].clean, z }, { k->step[0].noise, n });
    for (int i = 0; i < k->count; i++) {
        bool last = i == k->count - 1;
        model_of((enum ph_prediction) prediction, &k->step[i], z, n, m);
        ph_sampler_advance(&k->step[i], x, m, n, x0, LATENT, x0, x);
        values_near("x0", x0, z, LATENT, 1e-5, 1e-5);
        bool to_zero = kind == PH_SAMPLER_DDIM || kind == PH_SAMPLER_TCD;
        float end = to_zero ? (float) sqrt(s->abar[0]) : 1;
        ph_mix_of(want, LATENT, { last ? end : k->step[i + 1].clean, z },
                  { last ? sqrtf(1 - end * end) : k->step[i + 1].noise, n });
        if (kind != PH_SAMPLER_EULER_ANCESTRAL)
            values_near("next", x, want, LATENT, 1e-5, 2e-5);
        if (kind == PH_SAMPLER_EULER_ANCESTRAL && !last) ph_mix_of(x, LATENT, { 1, want });
    }
    ph_sampler_free(&k);
    ph_tree_free(s);
}

TEST(a_perfect_model_leads_every_sampler_to_its_picture)
{
    static const char *const spacings[] = { "leading", "trailing", "linspace" };
    for (int kind = PH_SAMPLER_LCM; kind <= PH_SAMPLER_DPMPP_2M; kind++)
        for (int spacing = 0; spacing < 3; spacing++)
            for (int prediction = 0; prediction < 3; prediction++)
                for (int steps = 1; steps <= 25; steps += 3) {
                    // Leading spacings put DDIM's and Euler's steps unevenly; levels still meet.
                    if (kind == PH_SAMPLER_DDIM && spacing == 2) continue;
                    if (kind == PH_SAMPLER_DDIM && 1000 % steps) continue;
                    want_exact((enum ph_sampler_kind) kind, spacings[spacing], prediction,
                               steps);
                }
}

TEST(ancestral_noise_fills_up_what_the_step_went_too_far)
{
    struct ph_schedule *s =
        schedule(PH_SAMPLER_EULER_ANCESTRAL, "\"timestep_spacing\":\"trailing\"");
    struct ph_sampler *k = sampler(s, &(struct ph_sampler_params){ .steps = 7 });
    for (int i = 0; i + 1 < 7; i++) {
        double down = k->step[i].noise + k->step[i].next_m, up = k->step[i].next_noise;
        CHECK_NUM(up, >, 0);
        CHECK_NUM(fabs(hypot(down, up) / k->step[i + 1].noise - 1), <, 1e-5);
    }
    CHECK_NUM(k->step[6].next_noise, ==, 0);
    CHECK(ph_sampler_needs_noise(k) && !ph_sampler_needs_prev(k));
}

TEST(strength_leaves_out_the_noisy_steps)
{
    struct ph_schedule *s = schedule(PH_SAMPLER_EULER, "\"timestep_spacing\":\"trailing\"");
    static const struct {
        int steps, first;
        double strength;
    } want[] = { { 4, 0, 0 },   { 4, 0, 1 },    { 4, 2, 0.5 },    { 4, 3, 0.01 },
                 { 1, 0, 0.3 }, { 10, 7, 0.3 }, { 50, 22, 0.58 }, { 10, 1, 0.99 } };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        struct ph_sampler *k =
            sampler(s, &(struct ph_sampler_params){ .steps = want[i].steps,
                                                    .strength = want[i].strength });
        CHECK_INT(k->first, ==, want[i].first);
        ph_sampler_free(&k);
    }
}

TEST(strength_of_lcm_takes_all_steps_from_the_cleaner_part)
{
    struct ph_schedule *s = schedule(PH_SAMPLER_LCM, "");
    struct ph_sampler *k =
        sampler(s, &(struct ph_sampler_params){ .steps = 4, .strength = 0.5 });
    static const int want[] = { 499, 379, 259, 139 };
    CHECK_INT(k->first, ==, 0);
    for (int i = 0; i < 4; i++) CHECK_NUM(k->step[i].timestep, ==, want[i]);
}

TEST(dpmpp_started_late_has_no_step_before)
{
    struct ph_schedule *s = schedule(PH_SAMPLER_DPMPP_2M, "\"timestep_spacing\":\"trailing\"");
    struct ph_sampler *k =
        sampler(s, &(struct ph_sampler_params){ .steps = 8, .strength = 0.5 });
    CHECK_INT(k->first, ==, 4);
    CHECK_NUM(k->step[4].next_prev, ==, 0);
    CHECK_NUM(k->step[5].next_prev, <, 0);
    CHECK(ph_sampler_needs_prev(k));
}

TEST(a_step_may_be_done_in_place)
{
    struct ph_schedule *s = schedule(PH_SAMPLER_DPMPP_2M, "");
    struct ph_sampler *k = sampler(s, &(struct ph_sampler_params){ .steps = 5 });
    enum { N = 1500 };
    static float x[N], m[N], p[N], x0[N], next[N];
    values_noise(1, x, N), values_noise(2, m, N), values_noise(3, p, N);
    ph_sampler_advance(&k->step[2], x, m, NULL, p, N, x0, next);
    ph_sampler_advance(&k->step[2], x, m, NULL, p, N, p, x);
    CHECK(!memcmp(x, next, sizeof x) && !memcmp(p, x0, sizeof p));
}

TEST(the_class_of_the_config_chooses_the_sampler)
{
    static const struct {
        const char *klass;
        enum ph_sampler_kind kind;
    } known[] = { { "LCMScheduler", PH_SAMPLER_LCM },
                  { "EulerAncestralDiscreteScheduler", PH_SAMPLER_EULER_ANCESTRAL },
                  { "PNDMScheduler", PH_SAMPLER_DDIM },
                  { "DPMSolverMultistepScheduler", PH_SAMPLER_DPMPP_2M } };
    for (int i = 0; i < 4; i++) {
        char more[80];
        snprintf(more, sizeof more, "\"_class_name\":\"%s\"", known[i].klass);
        CHECK_INT(schedule(PH_SAMPLER_AUTO, more)->kind, ==, known[i].kind);
    }
    for (int kind = PH_SAMPLER_LCM; kind <= PH_SAMPLER_DPMPP_2M; kind++)
        CHECK_INT(ph_sampler_from_name(ph_sampler_name((enum ph_sampler_kind) kind)), ==, kind);
}

TEST(beta_tables_of_other_models_stay_usable)
{
    static const char *const texts[] = { "{\"beta_schedule\":\"linear\"}",
                                         "{\"beta_schedule\":\"squaredcos_cap_v2\"}",
                                         "{" SD ",\"rescale_betas_zero_snr\":true}",
                                         "{\"trained_betas\":[0.1,0.2,0.3]}", "{}" };
    for (int i = 0; i < 5; i++) {
        struct ph_json_doc *doc = parse(texts[i]);
        struct ph_schedule *s;
        CHECK_OK(ph_schedule_create(NULL, ph_json_root(doc), PH_SAMPLER_EULER, &s, NULL));
        for (int t = 0; t < s->count; t++) {
            CHECK(s->abar[t] > 0 && s->abar[t] < 1);
            CHECK(!t || s->abar[t] < s->abar[t - 1]);
        }
        struct ph_sampler *k = sampler(s, &(struct ph_sampler_params){ .steps = 3 });
        for (int j = 0; j < 3; j++)
            CHECK(isfinite(k->step[j].next_x) && isfinite(k->step[j].x0_m));
        ph_sampler_free(&k);
        ph_tree_free(s);
        ph_json_free(&doc);
    }
    struct ph_json_doc *doc = parse("{\"trained_betas\":[0.5,0.5]}");
    struct ph_schedule *s;
    CHECK_OK(ph_schedule_create(NULL, ph_json_root(doc), PH_SAMPLER_DDIM, &s, NULL));
    CHECK_INT(s->count, ==, 2);
    CHECK_NUM(s->abar[1], ==, 0.25);
    ph_tree_free(s);
    ph_json_free(&doc);
}

TEST(a_config_that_cannot_be_followed_is_named)
{
    static const struct {
        const char *text, *field;
    } bad[] = {
        { "{\"_class_name\":\"UniPCMultistepScheduler\"}", "_class_name" },
        { "{}", "_class_name" },
        { "{\"_class_name\":\"DDIMScheduler\",\"clip_sample\":true}", "clip_sample" },
        { "{\"_class_name\":\"LCMScheduler\",\"thresholding\":true}", "thresholding" },
        { "{\"_class_name\":\"DDIMScheduler\",\"beta_schedule\":\"sigmoid\"}",
          "beta_schedule" },
        { "{\"_class_name\":\"DDIMScheduler\",\"beta_start\":\"x\"}", "beta_start" },
        { "{\"_class_name\":\"DDIMScheduler\",\"beta_end\":2}", "beta_end" },
        { "{\"_class_name\":\"DDIMScheduler\",\"num_train_timesteps\":0}",
          "num_train_timesteps" },
        { "{\"_class_name\":\"DDIMScheduler\",\"trained_betas\":[0.1,2]}", "trained_betas" },
        { "{\"_class_name\":\"DDIMScheduler\",\"beta_schedule\":\"linear\",\"beta_end\":0.9}",
          "betas" },
        { "{\"_class_name\":\"DDIMScheduler\",\"trained_betas\":[]}", "trained_betas" },
        { "{\"_class_name\":\"DDIMScheduler\",\"prediction_type\":\"flow\"}",
          "prediction_type" },
        { "{\"_class_name\":\"DPMSolverMultistepScheduler\",\"solver_order\":3}",
          "solver_order" },
        { "{\"_class_name\":\"DPMSolverMultistepScheduler\",\"algorithm_type\":\"sde-"
          "dpmsolver++\"}",
          "algorithm_type" }
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ph_json_doc *doc = parse(bad[i].text);
        struct ph_fault fault = { 0 };
        struct ph_schedule *s;
        CHECK_INT(ph_schedule_create(NULL, ph_json_root(doc), PH_SAMPLER_AUTO, &s, &fault), <,
                  0);
        CHECK(!s);
        CHECK_STR(fault.field, bad[i].field);
        CHECK_HAS(fault.message, bad[i].field[0] == '_' ? "class" : bad[i].field);
        ph_json_free(&doc);
    }
}

TEST(steps_that_do_not_exist_are_named)
{
    static const int place[] = { 50 };
    static const double rising[] = { 99, 359 }, outside[] = { 1000 };
    static const struct {
        struct ph_sampler_params par;
        const char *field;
    } bad[] = { { { .steps = 0 }, "steps" },
                { { .steps = 1001 }, "steps" },
                { { .steps = 30, .strength = 0.5 }, "steps" },
                { { .steps = 4, .strength = 2 }, "strength" },
                { { .steps = 4, .strength = NAN }, "strength" },
                { { .steps = 4, .eta = -1 }, "eta" },
                { { .steps = 4, .original_steps = 2000 }, "original_steps" },
                { { .index = place, .chosen = 1 }, "index" },
                { { .timesteps = rising, .chosen = 2 }, "timesteps" },
                { { .timesteps = outside, .chosen = 1 }, "timesteps" },
                { { .timesteps = outside }, "chosen" } };
    struct ph_schedule *s = schedule(PH_SAMPLER_LCM, "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ph_fault fault = { 0 };
        struct ph_sampler *k;
        CHECK_INT(ph_sampler_create(s, &bad[i].par, &k, &fault), ==, PH_EINVAL);
        CHECK(!k);
        CHECK_STR(fault.field, bad[i].field);
    }
}

TEST(a_term_of_factor_zero_is_not_read)
{
    float x[3] = { 1, 2, 3 }, bad[3] = { NAN, INFINITY, NAN }, out[3];
    ph_mix_of(out, 3, { 2, x }, { 0, bad }, { 0, NULL });
    for (int i = 0; i < 3; i++) CHECK_NUM(out[i], ==, 2 * x[i]);
}
