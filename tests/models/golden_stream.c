// SPDX-License-Identifier: MIT
// Streams, picture after picture: the arithmetic alone, fed with the model's recorded outputs, and
// the whole loop painted by a diffuser.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden_paint.h"
#include "models/sampler/mix.h"

#define ALGEBRA "loop algebra only (feed recorded unet_out, z0)"
#define WHOLE   "fp32 engine, whole loop"

struct run {
    struct golden_case *c;
    const struct golden_file *f;
    const struct ph_json *about;
    int n, index[PH_BATCH_MAX];
    int64_t frames, len; // len: floats of a latent
    struct ph_sampler *s;
    struct ph_batch *b;
};

static bool applies(const struct golden_case *c)
{
    const struct ph_json *first = golden_has_pipeline(c) ? golden_runs(c) : NULL;
    const struct golden_file *f = first ? golden_file(c, first->key, strlen(first->key)) : NULL;
    return f && ph_json_get(first, "idx") && golden_tensor(f, "out.unet_out") &&
           golden_tensor(f, "out.x_t");
}

static float *floats(const struct run *r, const char *name)
{
    const struct ph_tensor *t = golden_tensor(r->f, name);
    return t ? golden_floats(r->c, t).data : NULL;
}

static const char *text_of(const struct run *r, const char *key)
{
    return ph_json_string(ph_json_get(r->about, key), "");
}

// ------------------------------------------------------------------------- the arithmetic
// The reference's own rounded numbers, to compare arithmetic and nothing else.
static void take_stored_table(struct run *r)
{
    const float *alpha = floats(r, "pre.alpha"), *beta = floats(r, "pre.beta");
    const float *skip = floats(r, "pre.c_skip"), *out = floats(r, "pre.c_out");
    if (!alpha || !beta || !skip || !out) return;
    for (int i = 0; i < r->n; i++) {
        struct ph_sampler_step *s = &r->s->step[i];
        char label[32];
        snprintf(label, sizeof label, "pre.alpha[%d]", i);
        golden_compare_number(r->c, r->f, label, (double) s->clean, (double) alpha[i],
                              1e-5 * (double) alpha[i]);
        snprintf(label, sizeof label, "pre.beta[%d]", i);
        golden_compare_number(r->c, r->f, label, (double) s->noise, (double) beta[i],
                              1e-5 * (double) beta[i]);
        bool last = i == r->n - 1;
        double a = (double) alpha[i], b = (double) beta[i],
               ahead = last ? 1 : (double) alpha[i + 1];
        double x = (double) out[i] / a + (double) skip[i], m = (double) -out[i] * b / a;
        s->clean = alpha[i], s->noise = beta[i];
        s->x0_x = (float) x, s->x0_m = (float) m;
        s->next_x = (float) (ahead * x), s->next_m = (float) (ahead * m);
        s->next_noise = last ? 0 : beta[i + 1];
    }
}

// A row of noise a slot. A run that is no batch has one row for all.
static float *noise_rows(const struct run *r)
{
    const struct ph_tensor *t = golden_tensor(r->f, "in.init_noise");
    const float *from = golden_floats(r->c, t).data;
    float *rows = malloc((size_t) (r->n * r->len) * sizeof *rows);
    for (int i = 0; rows && i < r->n; i++)
        memcpy(rows + i * r->len, from + i % t->dim[0] * r->len,
               (size_t) r->len * sizeof *rows);
    return rows;
}

static ph_err make_batch(struct run *r, struct ph_fault *fault)
{
    static const char *const modes[] = { "none", "full", "self", "initialize" };
    static const char config[] = "{\"beta_start\":0.00085,\"beta_end\":0.012,\"beta_schedule\":"
                                 "\"scaled_linear\",\"set_alpha_to_one\":false}";
    struct ph_json_doc *doc = NULL;
    struct ph_schedule *schedule;
    struct ph_sampler_params chosen = { .index = r->index, .chosen = r->n };
    struct ph_batch_params par = { .slots = r->n };
    float *noise = noise_rows(r);
    ph_err ret = noise ? PH_OK : PH_ENOMEM;
    if (ret < 0) return ret;
    PH_TRY(ph_json_parse(&doc, config, sizeof config - 1, 0, fault));
    PH_TRY(ph_schedule_create(r->c->mem, ph_json_root(doc), PH_SAMPLER_LCM, &schedule, fault));
    PH_TRY(ph_sampler_create(schedule, &chosen, &r->s, fault));
    take_stored_table(r);
    par.step = r->s->step;
    for (int k = 0; k < 4; k++)
        if (!strcmp(text_of(r, "cfg"), modes[k])) par.guidance = (enum ph_guidance) k;
    par.scale = (float) ph_json_double(ph_json_get(r->about, "g"), 0);
    par.delta = (float) ph_json_double(ph_json_get(r->about, "delta"), 0);
    par.no_noise = !ph_json_bool(ph_json_get(r->about, "add_noise"), true);
    PH_TRY(ph_batch_create(&r->b, r->n, r->len, noise, &par, fault));
    r->b->filled = true; // upstream starts with an empty buffer and no stock noise
fail:
    free(noise);
    ph_json_free(&doc);
    return ret;
}

static void compare_prompt_rows(struct run *r)
{
    const struct ph_tensor *want = golden_tensor(r->f, "pre.prompt_embeds");
    int rows = ph_batch_rows(r->b);
    if (!want || want->dim[0] != rows) {
        golden_failure(r->c, r->f, "pre.prompt_embeds", "another number of rows");
        return;
    }
    struct ph_tensor got = golden_like(r->c, want), from = golden_floats(r->c, want);
    int64_t size = ph_tensor_count(want) / rows;
    const float *positive[PH_BATCH_MAX];
    for (int i = 0; i < r->n; i++) positive[i] = (float *) from.data + (rows - 1) * size;
    ph_batch_prompts(r->b, positive, from.data, size, got.data);
    struct golden_check check = { .tensor = "prompt_embeds",
                                  .label = "pre.prompt_embeds",
                                  .max_abs = 1e-30 };
    golden_compare(r->c, r->f, check, &got, want);
}

enum { X_T, STOCK_IN, MODEL_PRED, X0_BATCH, STOCK_OUT, BUF_AFTER, X0_OUT, VIRTUAL, TENSORS };
static const char *const names[TENSORS] = { "out.x_t",        "out.stock_in",
                                            "out.model_pred", "out.x0_batch",
                                            "out.stock_out",  "out.buf_after",
                                            "out.x0_out",     "out.oracle_virtual" };

static void step(struct run *r, const float *unet, struct golden_series *got, float *clean)
{
    struct ph_batch *b = r->b;
    int64_t all = r->n * r->len;
    golden_series_add(&got[X_T], b->x, all);
    golden_series_add(&got[STOCK_IN], b->stock, all);
    for (int i = 0; i < r->n; i++) { // the source, out of what a slot holds
        float a = b->c.clean[i];
        ph_mix_of(clean, r->len, { 1 / a, b->x + i * r->len },
                  { -b->c.noise[i] / a, b->stock + i * r->len });
        golden_series_add(&got[VIRTUAL], clean, r->len);
    }
    ph_batch_guide(b, unet);
    golden_series_add(&got[MODEL_PRED], b->guided, all);
    for (int i = 0; i < r->n; i++) {
        ph_batch_x0(b, i, clean);
        golden_series_add(&got[X0_BATCH], clean, r->len);
    }
    ph_batch_advance(b, clean);
    golden_series_add(&got[STOCK_OUT], b->stock + r->len, all - r->len);
    golden_series_add(&got[BUF_AFTER], b->x + r->len, all - r->len);
    golden_series_add(&got[X0_OUT], clean, r->len);
}

// Frames of `wide` latents to frames of some of them: [frames, wide] from `first`, `keep` of them.
static struct ph_tensor columns(const struct run *r, const struct ph_tensor *t, int first,
                                int keep)
{
    struct ph_tensor from = golden_floats(r->c, t), to = golden_like(r->c, t);
    int64_t wide = ph_tensor_count(t) / r->frames, part = keep * r->len;
    for (int64_t k = 0; k < r->frames; k++)
        memcpy((float *) to.data + k * part, (float *) from.data + k * wide + first * r->len,
               sizeof(float) * (size_t) part);
    to.rank = 1, to.dim[0] = r->frames * part;
    return to;
}

static void compare_series(struct run *r, const struct golden_series *got, int which)
{
    const struct ph_tensor *t = golden_tensor(r->f, names[which]);
    struct ph_tensor want = { 0 };
    if (which == X0_OUT && !t) { // the last of those that every slot has
        t = golden_tensor(r->f, names[X0_BATCH]);
        if (t) want = columns(r, t, r->n - 1, 1);
    } else if (which == STOCK_OUT && t && r->n > 1) {
        // Slots have moved on here; upstream's last row is shifted out before anybody reads it.
        want = columns(r, t, 0, r->n - 1);
    } else if (t) {
        want = golden_floats(r->c, t);
    }
    if (!t || ph_tensor_count(&want) == 0) return;
    golden_series_compare(
        r->c, r->f, &got[which],
        (struct golden_check){ .tensor = names[which],
                               .label = names[which],
                               .line = which == VIRTUAL ? "oracle" : ALGEBRA },
        &want);
}

// With self guidance and delta 1 that is the latent of the frame in the slot, from frame n on.
static void compare_source(struct run *r, struct golden_series *virtual)
{
    const struct ph_tensor *t = golden_tensor(r->f, "out.oracle_source_z0");
    int64_t skip = r->n * r->n * r->len;
    if (!t) return;
    struct ph_tensor want = golden_floats(r->c, t);
    struct ph_tensor tail = {
        PH_F32, 1, { ph_tensor_count(t) - skip }, (float *) want.data + skip
    };
    struct golden_series got = { virtual->data + skip, virtual->at - skip, virtual->at - skip };
    struct golden_check check = { .tensor = "oracle_source_z0",
                                  .label = "out.oracle_source_z0",
                                  .line = "oracle" };
    golden_series_compare(r->c, r->f, &got, check, &tail);
}

static void run_batch(struct run *r)
{
    struct golden_series got[TENSORS];
    float *z0 = floats(r, "out.z0"), *noise = floats(r, "in.frame_noise");
    float *unet = floats(r, "out.unet_out"),
          *clean = golden_like(r->c, golden_tensor(r->f, "in.init_noise")).data;
    int rows = ph_batch_rows(r->b);
    golden_compare_number(r->c, r->f, "rows of the model", rows,
                          (double) ph_json_int(ph_json_get(r->about, "unet_rows"), 0), 0.5);
    for (int i = 0; i < TENSORS; i++)
        got[i] = golden_series_new(r->c, r->frames * r->n * r->len);
    for (int64_t k = 0; k < r->frames; k++) {
        if (z0)
            ph_batch_enter(r->b, z0 + k * r->len, (uint64_t) k);
        else
            ph_batch_enter_noise(r->b, noise + k * r->len, (uint64_t) k);
        step(r, unet + k * rows * r->len, got, clean);
    }
    compare_prompt_rows(r);
    for (int i = 0; i < TENSORS; i++) compare_series(r, got, i);
    compare_source(r, &got[VIRTUAL]);
}

// Several pictures a run of the model: streams of one step, a row each.
static void run_turbo(struct run *r)
{
    float *noise = floats(r, "in.frame_noise"), *unet = floats(r, "out.unet_out");
    const struct ph_tensor *want = golden_tensor(r->f, "out.x0_out");
    struct golden_series got = golden_series_new(r->c, ph_tensor_count(want));
    float *clean = golden_like(r->c, golden_tensor(r->f, "in.init_noise")).data;
    for (int64_t k = 0; k < ph_tensor_count(want) / r->len; k++) {
        ph_batch_enter_noise(r->b, noise + k * r->len, 0);
        ph_batch_step(r->b, unet + k * r->len, clean);
        golden_series_add(&got, clean, r->len);
    }
    golden_series_compare(
        r->c, r->f, &got,
        (struct golden_check){ .tensor = "x0_out", .label = "out.x0_out", .line = ALGEBRA },
        want);
}

// One picture after another, all its steps: the sampler alone.
static void run_sequential(struct run *r)
{
    float *first = floats(r, "in.frame_noise"), *noise = floats(r, "in.seq_noise");
    float *unet = floats(r, "out.unet_out");
    const struct ph_tensor *xs = golden_tensor(r->f, "out.x_t"),
                           *ends = golden_tensor(r->f, "out.x0_out");
    struct golden_series at = golden_series_new(r->c, ph_tensor_count(xs));
    struct golden_series end = golden_series_new(r->c, ph_tensor_count(ends));
    float *x = golden_like(r->c, golden_tensor(r->f, "in.init_noise")).data;
    for (int64_t k = 0; k < r->frames; k++) {
        ph_mix_of(x, r->len, { r->s->step[0].start, first + k * r->len });
        for (int i = 0; i < r->n; i++) {
            const float *z = i + 1 < r->n ? noise + (k * (r->n - 1) + i) * r->len : NULL;
            golden_series_add(&at, x, r->len);
            ph_sampler_advance(&r->s->step[i], x, unet + (k * r->n + i) * r->len, z, NULL,
                               r->len, NULL, x);
        }
        golden_series_add(&end, x, r->len);
    }
    struct golden_check check = { .tensor = "x_t", .label = "out.x_t", .line = ALGEBRA };
    golden_series_compare(r->c, r->f, &at, check, xs);
    check.tensor = "x0_out", check.label = "out.x0_out";
    golden_series_compare(r->c, r->f, &end, check, ends);
}

// ------------------------------------------------------------------------- the whole loop
static void settings_of(struct run *r, struct ph_diffuser_settings *s, struct ph_prompt *prompt)
{
    const struct ph_json *m = r->c->manifest, *size = ph_json_get(m, "size_hw");
    ph_diffuser_defaults(s);
    *prompt = (struct ph_prompt){ ph_json_string(ph_json_get(m, "prompt"), ""), 1 };
    s->height = (int) ph_json_at(size, 0)->integer;
    s->width = (int) ph_json_at(size, 1)->integer;
    s->prompts = prompt;
    s->prompt_count = 1;
    s->negative = ph_json_string(ph_json_get(m, "negative_prompt"), "");
    s->sampler = "lcm";
    s->steps = r->n;
    s->index = r->index;
    s->guidance = text_of(r, "cfg");
    s->guidance_scale = (float) ph_json_double(ph_json_get(r->about, "g"), 0);
    s->delta = (float) ph_json_double(ph_json_get(r->about, "delta"), 0);
    s->no_noise = !ph_json_bool(ph_json_get(r->about, "add_noise"), true);
}

// Decoded latents of the frames that the file has pictures of; `clean` begins with frame n.
static void compare_images(struct run *r, struct golden_painter *p,
                           const struct golden_series *clean)
{
    const struct ph_tensor *images = golden_tensor(r->f, "out.image"),
                           *which = golden_tensor(r->f, "image_frames");
    const struct ph_json *line = ph_json_get(ph_json_get(r->c->manifest, "tolerance"), WHOLE);
    if (!images || !which) return;
    const float *at = golden_floats(r->c, which).data, *raw = golden_floats(r->c, images).data;
    int64_t size = ph_tensor_count(images) / which->dim[0];
    for (int64_t i = 0; i < which->dim[0]; i++) {
        int64_t frame = (int64_t) at[i];
        char label[64];
        if (frame < r->n || frame >= r->frames) continue;
        struct ph_tensor got =
            golden_painter_decode(p, clean->data + (frame - r->n) * r->len, 1);
        struct ph_tensor want = { PH_F32, 1, { size }, (float *) raw + i * size };
        snprintf(label, sizeof label, "out.image[%d]", (int) frame);
        struct golden_check check = { .tensor = "image", .label = label, .range = 2 };
        check.max_abs = ph_json_double(ph_json_get(line, "image max_abs"), 2e-3);
        golden_compare(r->c, r->f, check, &got, &want);
    }
}

static void compare_shown(struct run *r, struct golden_painter *p, int64_t frame)
{
    const struct ph_tensor *images = golden_tensor(r->f, "out.image"),
                           *which = golden_tensor(r->f, "image_frames");
    char label[64];
    if (!images || !which) return;
    const float *at = golden_floats(r->c, which).data, *raw = golden_floats(r->c, images).data;
    snprintf(label, sizeof label, "picture %d, levels off", (int) frame);
    for (int64_t i = 0; i < which->dim[0]; i++)
        if ((int64_t) at[i] == frame)
            golden_painter_compare(p, label,
                                   raw + i * (ph_tensor_count(images) / which->dim[0]));
}

// Upstream fills its slots from zeros; from frame n on there is no trace of that.
static void paint_all(struct run *r, struct golden_painter *p, const struct ph_tensor *pictures)
{
    struct golden_series z0 = golden_series_new(r->c, r->frames * r->len),
                         clean = golden_series_new(r->c, r->frames * r->len);
    const uint8_t *rgb = pictures->data;
    int64_t bytes = ph_tensor_count(pictures) / pictures->dim[0];
    for (int64_t k = 0; k < r->frames; k++) {
        if (!golden_painter_paint(p, rgb + k * bytes)) return;
        golden_series_add(&z0, p->d->easel.latent, r->len);
        if (k < r->n) continue;
        golden_series_add(&clean, p->d->easel.clean, r->len);
        compare_shown(r, p, k);
    }
    struct golden_check check = { .tensor = "z0", .label = "whole loop out.z0", .line = WHOLE };
    golden_series_compare(r->c, r->f, &z0, check, golden_tensor(r->f, "out.z0"));
    struct ph_tensor want = columns(r, golden_tensor(r->f, "out.x0_batch"), r->n - 1, 1);
    want.data = (float *) want.data + r->n * r->len;
    want.dim[0] -= r->n * r->len;
    check.tensor = "x0_out", check.label = "whole loop out.x0_out";
    golden_series_compare(r->c, r->f, &clean, check, &want);
    compare_images(r, p, &clean);
}

static void run_whole(struct run *r)
{
    const struct golden_file *frames = golden_file(r->c, "frames", strlen("frames"));
    const struct ph_tensor *pictures = frames ? golden_tensor(frames, "frames_u8") : NULL,
                           *noise = golden_tensor(r->f, "in.init_noise");
    struct golden_noise recorded = { floats(r, "in.init_noise"), NULL, noise->dim[0], 0 };
    struct ph_diffuser_settings s;
    struct ph_prompt prompt;
    struct golden_painter p;
    if (!pictures || pictures->dim[0] < r->frames) return;
    settings_of(r, &s, &prompt);
    if (!golden_painter_open(&p, r->c, r->f, &s, &recorded)) return;
    paint_all(r, &p, pictures);
    golden_painter_close(&p);
}

// ------------------------------------------------------------------------- runs
static void run_mode(struct run *r)
{
    bool turbo = !strcmp(text_of(r, "mode"), "turbo");
    if (turbo && r->n == 1)
        run_turbo(r);
    else if (!ph_json_bool(ph_json_get(r->about, "batch"), true))
        run_sequential(r);
    else
        run_batch(r);
    if (golden_tensor(r->f, "out.z0") && golden_tensor(r->f, "out.x0_batch")) run_whole(r);
}

static void run_one(struct golden_case *c, const struct ph_json *about)
{
    struct run r = { .c = c, .about = about };
    const struct ph_json *list = ph_json_get(about, "idx");
    struct ph_fault fault = { 0 };
    r.f = golden_file(c, about->key, strlen(about->key));
    const struct ph_tensor *noise = r.f ? golden_tensor(r.f, "in.init_noise") : NULL;
    const struct ph_tensor *unet = r.f ? golden_tensor(r.f, "out.unet_out") : NULL;
    if (!noise || !unet || !list || list->count > PH_BATCH_MAX) {
        golden_failure(c, r.f, about->key, "its tensors are in no file");
        return;
    }
    r.n = list->count;
    r.frames = unet->dim[0];
    r.len = ph_tensor_count(noise) / noise->dim[0];
    for (int i = 0; i < r.n; i++) r.index[i] = (int) ph_json_at(list, i)->integer;
    if (make_batch(&r, &fault) < 0)
        golden_failure(c, r.f, about->key, fault.message);
    else
        run_mode(&r);
    ph_batch_destroy(&r.b);
    ph_sampler_free(&r.s);
}

static void run(struct golden_case *c)
{
    for (const struct ph_json *v = golden_runs(c); v; v = v->next) run_one(c, v);
}

const struct golden_kind golden_stream = { "stream", applies, run };
