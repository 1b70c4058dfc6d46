// SPDX-License-Identifier: MIT
#include "streams.h"

#define FRAMES 12

// ------------------------------------------------------------------------- goldens
struct run {
    const char *name;
    const struct ph_json *about;
    struct ph_weights *w;
    int n;
    bool reference_table; // steps from the stored alpha, beta; else from our own schedule
    struct ph_sampler *s;
    struct ph_batch *b;
};

static const char *text_of(const struct run *r, const char *key)
{
    return ph_json_string(ph_json_get(r->about, key), "");
}

// The reference's own rounded numbers, to compare arithmetic and nothing else.
static void take_stored_table(struct run *r)
{
    double *alpha = values_doubles(r->w, NULL, "pre.alpha"),
           *beta = values_doubles(r->w, NULL, "pre.beta");
    double *skip = values_doubles(r->w, NULL, "pre.c_skip"),
           *out = values_doubles(r->w, NULL, "pre.c_out");
    for (int i = 0; i < r->n; i++) {
        struct ph_sampler_step *s = &r->s->step[i];
        bool last = i == r->n - 1;
        CHECK_NUM(fabs(s->clean - alpha[i]), <=, 1e-5 * alpha[i]);
        CHECK_NUM(fabs(s->noise - beta[i]), <=, 1e-5 * beta[i]);
        double ahead = last ? 1 : alpha[i + 1];
        s->clean = (float) alpha[i], s->noise = (float) beta[i];
        s->x0_x = (float) (out[i] / alpha[i] + skip[i]);
        s->x0_m = (float) (-out[i] * beta[i] / alpha[i]);
        s->next_x = (float) (ahead * (out[i] / alpha[i] + skip[i]));
        s->next_m = (float) (ahead * -out[i] * beta[i] / alpha[i]);
        s->next_noise = last ? 0 : (float) beta[i + 1];
    }
}

static void make_batch(struct run *r)
{
    static const char *const modes[] = { "none", "full", "self", "initialize" };
    const struct ph_json *list = ph_json_get(r->about, "idx");
    int index[SLOTS];
    r->n = list->count;
    for (int i = 0; i < r->n; i++) index[i] = (int) ph_json_at(list, i)->integer;
    r->s = steps_of(PH_SAMPLER_LCM, "", index, r->n);
    if (r->reference_table) take_stored_table(r);
    struct ph_batch_params par = { .slots = r->n, .step = r->s->step };
    for (int k = 0; k < 4; k++)
        if (!strcmp(text_of(r, "cfg"), modes[k])) par.guidance = (enum ph_guidance) k;
    par.scale = (float) ph_json_double(ph_json_get(r->about, "g"), 0);
    par.delta = (float) ph_json_double(ph_json_get(r->about, "delta"), 0);
    par.no_noise = !ph_json_bool(ph_json_get(r->about, "add_noise"), true);
    int64_t count;
    float *noise = values_floats(r->w, &count, "in.init_noise");
    struct ph_fault fault = { 0 };
    if (ph_batch_create(&r->b, r->n, LATENT, noise, &par, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    free(noise);
    CHECK_INT(count, >=, r->n * LATENT);
    // Upstream starts with an empty buffer and no stock noise; its goldens record that.
    r->b->filled = true;
}

static void want_prompt_rows(const struct run *r)
{
    int64_t count;
    float *want = values_floats(r->w, &count, "pre.prompt_embeds");
    int rows = ph_batch_rows(r->b);
    int64_t size = count / rows;
    CHECK_INT(count, ==, 77 * 32 * rows);
    const float *positive[SLOTS];
    for (int i = 0; i < r->n; i++) positive[i] = want + (rows - 1) * size;
    float *got = malloc(sizeof *got * (size_t) count);
    ph_batch_prompts(r->b, positive, want, size, got);
    CHECK(!memcmp(got, want, sizeof *got * (size_t) count));
    free(got), free(want);
}

enum { X_T, STOCK_IN, MODEL_PRED, X0_BATCH, STOCK_OUT, BUF_AFTER, X0_OUT, TENSORS };
static const char *const tensor_names[] = { "x_t",       "stock_in",  "model_pred", "x0_batch",
                                            "stock_out", "buf_after", "x0_out" };

struct sums {
    float *want[TENSORS];
    struct error e[TENSORS];
};

static void add(struct sums *s, int which, int frame_no, int per_frame, int skip,
                const float *got, int n)
{
    if (!s->want[which] || n <= 0) return;
    const float *want = s->want[which] + ((int64_t) frame_no * per_frame + skip) * LATENT;
    error_add(&s->e[which], got, want, (int64_t) n * LATENT);
}

static void golden_frame(const struct run *r, struct sums *s, int k, const float *unet,
                         float *clean)
{
    float d[LATENT];
    struct ph_batch *b = r->b;
    add(s, X_T, k, r->n, 0, b->x, r->n);
    add(s, STOCK_IN, k, r->n, 0, b->stock, r->n);
    ph_batch_guide(b, unet);
    add(s, MODEL_PRED, k, r->n, 0, b->guided, r->n);
    for (int i = 0; i < r->n; i++) {
        ph_batch_x0(b, i, d);
        add(s, X0_BATCH, k, r->n, i, d, 1);
    }
    ph_batch_advance(b, clean);
    // Upstream's last row of stock noise is shifted out before anybody reads it.
    add(s, STOCK_OUT, k, r->n, 0, b->stock + LATENT, r->n - 1);
    add(s, BUF_AFTER, k, r->n - 1, 0, b->x + LATENT, r->n - 1);
    add(s, X0_OUT, k, 1, 0, clean, 1);
    if (s->want[X0_BATCH])
        error_add(&s->e[X0_OUT], clean,
                  s->want[X0_BATCH] + ((int64_t) k * r->n + r->n - 1) * LATENT, LATENT);
}

static void golden_run(struct run *r, double tolerance)
{
    struct sums s = { 0 };
    float clean[LATENT];
    make_batch(r);
    want_prompt_rows(r);
    for (int i = 0; i < TENSORS; i++)
        s.want[i] = values_floats(r->w, NULL, "out.%s", tensor_names[i]);
    float *z0 = values_floats(r->w, NULL, "out.z0"),
          *noise = values_floats(r->w, NULL, "in.frame_noise");
    float *unet = values_floats(r->w, NULL, "out.unet_out");
    int rows = ph_batch_rows(r->b);
    CHECK_INT(rows, ==, ph_json_int(ph_json_get(r->about, "unet_rows"), 0));
    for (int k = 0; k < FRAMES; k++) {
        if (z0)
            ph_batch_enter(r->b, z0 + k * LATENT, (uint64_t) k);
        else
            ph_batch_enter_noise(r->b, noise + k * LATENT, (uint64_t) k);
        golden_frame(r, &s, k, unet + (int64_t) k * rows * LATENT, clean);
        if (k >= r->n) CHECK_INT(r->b->left, ==, k - (r->n - 1));
    }
    printf("# %s\n", r->name);
    for (int i = 0; i < TENSORS; i++)
        if (s.e[i].n) error_check(&s.e[i], tensor_names[i], tolerance, 0);
    CHECK(s.e[X_T].n && s.e[X0_OUT].n);
    for (int i = 0; i < TENSORS; i++) free(s.want[i]);
    free(z0), free(noise), free(unet);
    ph_batch_destroy(&r->b);
    ph_sampler_free(&r->s);
}

// Calls each() for every run whose name begins with the prefix.
static int golden_runs(const char *prefix, void (*each)(struct run *r, double tolerance),
                       bool stored, double tolerance)
{
    struct ph_json_doc *doc = values_json(golden("diffusion/cases/09_stream/manifest.json"));
    const struct ph_json *all = ph_json_get(ph_json_root(doc), "runs");
    int count = 0;
    for (const struct ph_json *v = all->child; v; v = v->next) {
        if (strncmp(v->key, prefix, strlen(prefix))) continue;
        char path[160];
        snprintf(path, sizeof path, "diffusion/cases/09_stream/%s.safetensors", v->key);
        struct run r = { .name = v->key,
                         .about = v,
                         .w = values_open(golden(path)),
                         .reference_table = stored };
        each(&r, tolerance);
        ph_weights_unref(&r.w);
        count++;
    }
    ph_json_free(&doc);
    return count;
}

TEST(img2img_streams_are_those_of_the_reference)
{
    CHECK_INT(golden_runs("img2img_", golden_run, true, 1e-6), >=, 17);
}

TEST(img2img_streams_hold_with_our_own_table)
{
    CHECK_INT(golden_runs("img2img_", golden_run, false, 2e-5), >=, 17);
}

TEST(turbo_img2img_is_that_of_the_reference)
{
    CHECK_INT(golden_runs("turbo_img2img", golden_run, true, 1e-6), >=, 2);
}

TEST(oracle_streams_are_those_of_the_reference)
{
    CHECK_INT(golden_runs("oracle_", golden_run, true, 1e-6), >=, 3);
}

TEST(txt2img_streams_are_those_of_the_reference)
{
    CHECK_INT(golden_runs("txt2img_n4", golden_run, true, 1e-6), >=, 2);
}

static void turbo_run(struct run *r, double tolerance)
{
    float *noise = values_floats(r->w, NULL, "in.frame_noise"),
          *unet = values_floats(r->w, NULL, "out.unet_out");
    float *want = values_floats(r->w, NULL, "out.x0_out"), clean[LATENT];
    struct error e = { 0 };
    // Two pictures a run of the model: two streams of one step, a row each.
    struct ph_sampler *s = lcm(1, 0);
    struct ph_batch_params par = { .slots = 1, .step = s->step };
    struct ph_batch *b[2] = { batch_of(&par, 1), batch_of(&par, 2) };
    for (int k = 0; k < FRAMES * 2; k++) {
        ph_batch_enter_noise(b[k % 2], noise + k * LATENT, 0);
        ph_batch_step(b[k % 2], unet + k * LATENT, clean);
        error_add(&e, clean, want + k * LATENT, LATENT);
    }
    error_check(&e, "x0_out", tolerance, 0);
}

TEST(turbo_txt2img_is_that_of_the_reference)
{
    CHECK_INT(golden_runs("txt2img_sd_turbo_b2", turbo_run, true, 2e-6), ==, 1);
}

static void sequential_run(struct run *r, double tolerance)
{
    float *first = values_floats(r->w, NULL, "in.frame_noise"),
          *noise = values_floats(r->w, NULL, "in.seq_noise");
    float *unet = values_floats(r->w, NULL, "out.unet_out"),
          *xs = values_floats(r->w, NULL, "out.x_t");
    float *want = values_floats(r->w, NULL, "out.x0_out"), x[LATENT];
    struct error at = { 0 }, end = { 0 };
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    for (int k = 0; k < FRAMES; k++) {
        ph_mix_of(x, LATENT, { s->step[0].start, first + k * LATENT });
        for (int i = 0; i < 4; i++) {
            error_add(&at, x, xs + (k * 4 + i) * LATENT, LATENT);
            ph_sampler_advance(&s->step[i], x, unet + (k * 4 + i) * LATENT,
                               i < 3 ? noise + (k * 3 + i) * LATENT : NULL, NULL, LATENT, NULL,
                               x);
        }
        error_add(&end, x, want + k * LATENT, LATENT);
    }
    error_check(&at, "x_t", tolerance, 0);
    error_check(&end, "x0_out", tolerance, 0);
}

TEST(sequential_txt2img_is_that_of_the_reference)
{
    CHECK_INT(golden_runs("txt2img_sequential", sequential_run, true, 2e-6), ==, 1);
}

// ------------------------------------------------------------------------- the oracle
static void oracle(enum ph_sampler_kind kind, const char *more, const int *index, int n,
                   enum ph_guidance guidance, float delta)
{
    struct ph_sampler *s = steps_of(kind, more, index, n);
    struct ph_batch_params par = { n, s->step, guidance, 1.4f, delta, false };
    struct ph_batch *b = batch_of(&par, 7);
    float z[LATENT], clean[LATENT];
    for (uint64_t k = 0; k < 20; k++) {
        values_noise(1000 + k, z, LATENT);
        ph_batch_enter(b, z, k);
        want_sources(b, 0, 1e-4);
        run_frame(b, one_prompt, 0.5f, clean);
    }
    ph_batch_destroy(&b);
    ph_sampler_free(&s);
}

static const int lists[][4] = {
    { 32, 45 }, { 0, 16, 32, 45 }, { 18, 26, 35, 45 }, { 35 }, { 0 }
};
static const int lengths[] = { 2, 4, 4, 1, 1 };

TEST(self_guidance_with_delta_1_reconstructs_the_source_in_every_slot)
{
    for (int k = 0; k < 5; k++)
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_SELF, 1);
}

TEST(stock_noise_reconstructs_the_source_whatever_the_guidance)
{
    for (int k = 0; k < 5; k++) {
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_NONE, 1);
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_FULL, 1);
        oracle(PH_SAMPLER_LCM, "", lists[k], lengths[k], PH_GUIDANCE_SELF, 0.5f);
    }
}

TEST(stock_noise_reconstructs_the_source_with_every_sampler_and_prediction)
{
    static const char *const predictions[] = { "\"prediction_type\":\"epsilon\"",
                                               "\"prediction_type\":\"v_prediction\"",
                                               "\"prediction_type\":\"sample\"" };
    for (int kind = PH_SAMPLER_LCM; kind <= PH_SAMPLER_DPMPP_2M; kind++)
        for (int p = 0; p < 3; p++)
            for (int k = 0; k < 3; k++)
                oracle((enum ph_sampler_kind) kind, predictions[p], lists[k], lengths[k],
                       PH_GUIDANCE_SELF, 1);
}

// ------------------------------------------------------------------------- rows
TEST(rows_are_laid_out_as_the_reference_does)
{
    struct ph_sampler *s = lcm(3, 18, 26, 45);
    struct ph_batch_params par = { 3, s->step, PH_GUIDANCE_FULL, 2, 1, false };
    struct ph_batch *b = batch_of(&par, 1);
    static const struct {
        enum ph_guidance mode;
        int rows, negatives;
    } want[] = { { PH_GUIDANCE_NONE, 3, 0 },
                 { PH_GUIDANCE_FULL, 6, 3 },
                 { PH_GUIDANCE_SELF, 3, 0 },
                 { PH_GUIDANCE_INITIALIZE, 4, 1 } };
    for (int k = 0; k < 4; k++) {
        par.guidance = want[k].mode;
        CHECK_OK(ph_batch_set(b, &par, NULL));
        CHECK_INT(ph_batch_rows(b), ==, want[k].rows);
        for (int r = 0; r < want[k].rows; r++) {
            struct ph_batch_row row = ph_batch_row_at(b, r);
            int slot = r < want[k].negatives ? r : r - want[k].negatives;
            CHECK_INT(row.slot, ==, slot);
            CHECK_INT(row.negative, ==, r < want[k].negatives);
            CHECK_NUM(row.timestep, ==, s->step[slot].timestep);
        }
    }
    par.scale = 1; // no guidance, no rows for it
    par.guidance = PH_GUIDANCE_FULL;
    CHECK_OK(ph_batch_set(b, &par, NULL));
    CHECK_INT(ph_batch_rows(b), ==, 3);
}

TEST(every_row_may_have_its_own_prompt)
{
    struct ph_sampler *s = lcm(4, 0, 16, 32, 45);
    struct ph_batch_params par = { 4, s->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *a = batch_of(&par, 1), *b = batch_of(&par, 1);
    float other[SLOTS] = { 1, 1, 2, 1 }, ca[LATENT], cb[LATENT], z[LATENT] = { 0 };
    ph_batch_enter(a, z, 0), ph_batch_enter(b, z, 0);
    run_frame(a, one_prompt, 0, ca);
    run_frame(b, other, 0, cb);
    CHECK(!memcmp(ca, cb, sizeof ca));
    for (int i = 1; i < 4; i++)
        CHECK_INT(!memcmp(a->x + i * LATENT, b->x + i * LATENT, sizeof ca), ==, i != 3);
}

// One picture over and over: what leaves is what the sampler makes of it alone.
static void want_plain_sampler(enum ph_sampler_kind kind, const int *index, int n)
{
    struct ph_sampler *s = steps_of(kind, "", index, n);
    struct ph_batch_params par = { n, s->step, PH_GUIDANCE_NONE, 1, 1, false };
    struct ph_batch *b = batch_of(&par, 7);
    float z[LATENT], x[LATENT], x0[LATENT] = { 0 }, rows[LATENT], m[LATENT], clean[LATENT];
    values_noise(33, z, LATENT);
    for (uint64_t k = 0; k < 2 * (uint64_t) n; k++) {
        ph_batch_enter(b, z, k);
        run_frame(b, one_prompt, 0, clean);
    }
    ph_mix_of(x, LATENT, { s->step[0].clean, z }, { s->step[0].noise, b->noise });
    for (int i = 0; i < n; i++) {
        ph_mix_of(rows, LATENT, { s->step[i].input, x });
        any_unet(rows, 1, &s->step[i].timestep, one_prompt, m);
        const float *noise = i + 1 < n ? b->noise + (i + 1) * LATENT : b->noise;
        ph_sampler_advance(&s->step[i], x, m, noise, x0, LATENT, x0, x);
    }
    values_near(ph_sampler_name(kind), clean, x, LATENT, 1e-4, 0);
}

TEST(a_stream_of_one_picture_is_the_plain_sampler_of_it)
{
    static const int index[3][4] = { { 10, 20, 35, 45 }, { 25, 40 }, { 30 } };
    static const int count[] = { 4, 2, 1 };
    for (int kind = PH_SAMPLER_LCM; kind <= PH_SAMPLER_DPMPP_2M; kind++)
        for (int k = 0; k < 3; k++)
            want_plain_sampler((enum ph_sampler_kind) kind, index[k], count[k]);
}
