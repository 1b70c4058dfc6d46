// SPDX-License-Identifier: MIT
// Graphs of small random models: what must hold whatever the weights are.
#include <math.h>

#include "folders.h"
#include "models/clip/clip.h"
#include "models/controlnet/controlnet.h"
#include "models/taesd/taesd.h"
#include "models/vae/vae.h"
#include "nn/plan.h"
#include "nn/rng.h"

static struct ph_prog *prog_new(void)
{
    struct ph_prog *p;
    CHECK_OK(ph_prog_create(&p));
    return p;
}

// Takes the prog.
static struct ph_plan *plan_of(struct ph_prog *p)
{
    struct ph_plan_params params = { .precision = PH_PRECISION_F32 };
    struct ph_plan *plan;
    struct ph_fault fault = { 0 };
    if (ph_plan_create(p, &params, &plan, &fault)) TEST_FAIL("%s", fault.message);
    ph_prog_free(&p);
    return plan;
}

static struct ph_plan *plan_part(const struct ph_module *m, int part,
                                 struct ph_module_size size)
{
    struct ph_prog *p = prog_new();
    ph_module_record(p, m, part, &size, NULL);
    return plan_of(p);
}

static struct ph_tensor view(enum ph_dtype dtype, void *data, int64_t n)
{
    return (struct ph_tensor){ .dtype = dtype, .rank = 1, .dim = { n }, .data = data };
}

static void put(struct ph_plan *plan, const char *name, const float *data, int64_t n)
{
    struct ph_tensor t = view(PH_F32, (void *) data, n);
    if (ph_plan_write(plan, name, &t)) TEST_FAIL("input %s does not take %d", name, (int) n);
}

static void put_ids(struct ph_plan *plan, const char *name, const int32_t *data, int64_t n)
{
    struct ph_tensor t = view(PH_I32, (void *) data, n);
    CHECK_OK(ph_plan_write(plan, name, &t));
}

// The port's values, malloc'd; how many into *n.
static float *get(struct ph_plan *plan, const char *name, int64_t *n)
{
    struct ph_tensor t;
    if (ph_plan_describe(plan, name, &t)) TEST_FAIL("no port %s", name);
    *n = ph_tensor_count(&t);
    t.dtype = PH_F32;
    t.data = calloc((size_t) *n, sizeof(float));
    CHECK_OK(ph_plan_read(plan, name, &t));
    return t.data;
}

static float *normals(uint64_t seed, int64_t n)
{
    float *v = calloc((size_t) n, sizeof *v);
    ph_rng_normal(seed, 0, 0, n, v);
    return v;
}

static double difference(const float *a, const float *b, int64_t n)
{
    double error = 0, power = 0;
    for (int64_t i = 0; i < n; i++) {
        error += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        power += (double) b[i] * b[i];
    }
    CHECK(isfinite(error) && power > 0);
    return sqrt(error / power);
}

// ------------------------------------------------------------------------------ autoencoders
// A second TAESD, as its source reads: loops over doubles, one picture.
struct map {
    int c, h, w;
    double *v;
};

static struct map map_new(int c, int h, int w)
{
    return (struct map){ c, h, w,
                         calloc((size_t) c * (size_t) h * (size_t) w, sizeof(double)) };
}

static float *weight(struct ph_weights *set, const char *name, const struct ph_weight **out)
{
    const struct ph_weight *w = ph_weights_find(set, name);
    if (out) *out = w;
    if (!w) return NULL;
    int64_t n = ph_tensor_count(&w->disk);
    float *v = calloc((size_t) n, sizeof *v);
    CHECK_OK(ph_weights_read(set, w, 0, n, v));
    return v;
}

static double at(const struct map *x, int c, int y, int i)
{
    return y < 0 || i < 0 || y >= x->h || i >= x->w ? 0 : x->v[(c * x->h + y) * x->w + i];
}

static struct map conv(struct ph_weights *set, const char *name, struct map x, int stride)
{
    char full[128];
    const struct ph_weight *shape;
    snprintf(full, sizeof full, "%s.weight", name);
    float *k = weight(set, full, &shape);
    snprintf(full, sizeof full, "%s.bias", name);
    float *bias = weight(set, full, NULL);
    struct map y = map_new((int) shape->disk.dim[0], (x.h + stride - 1) / stride,
                           (x.w + stride - 1) / stride);
    for (int o = 0; o < y.c; o++)
        for (int r = 0; r < y.h; r++)
            for (int i = 0; i < y.w; i++) {
                double sum = bias ? (double) bias[o] : 0;
                for (int c = 0; c < x.c; c++)
                    for (int t = 0; t < 9; t++)
                        sum += (double) k[(o * x.c + c) * 9 + t] *
                               at(&x, c, r * stride + t / 3 - 1, i * stride + t % 3 - 1);
                y.v[(o * y.h + r) * y.w + i] = sum;
            }
    free(k);
    free(bias);
    free(x.v);
    return y;
}

static struct map each(struct map x, double (*f)(double))
{
    for (int i = 0; i < x.c * x.h * x.w; i++) x.v[i] = f(x.v[i]);
    return x;
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static double squash(double x)
{
    return 3 * tanh(x / 3);
}

static struct map block(struct ph_weights *set, const char *name, struct map x)
{
    char full[96];
    struct map y = map_new(x.c, x.h, x.w);
    memcpy(y.v, x.v, sizeof *x.v * (size_t) (x.c * x.h * x.w));
    for (int i = 0; i < 5; i += 2) {
        snprintf(full, sizeof full, "%s.conv.%d", name, i);
        y = conv(set, full, y, 1);
        if (i < 4) each(y, relu);
    }
    for (int i = 0; i < x.c * x.h * x.w; i++) y.v[i] += x.v[i];
    free(x.v);
    return each(y, relu);
}

static struct map twice(struct map x)
{
    struct map y = map_new(x.c, 2 * x.h, 2 * x.w);
    for (int c = 0; c < y.c; c++)
        for (int r = 0; r < y.h; r++)
            for (int i = 0; i < y.w; i++)
                y.v[(c * y.h + r) * y.w + i] = at(&x, c, r / 2, i / 2);
    free(x.v);
    return y;
}

static const char *layer_name(const char *half, int k)
{
    static char name[64];
    snprintf(name, sizeof name, "%s.layers.%d", half, k);
    return name;
}

static struct map encode_plainly(struct ph_weights *set, const struct ph_taesd_config *c,
                                 struct map x)
{
    int k = 0;
    for (int i = 0; i < x.c * x.h * x.w; i++) x.v[i] = (x.v[i] + 1) / 2;
    for (int i = 0; i < c->encoder_levels; i++) {
        x = conv(set, layer_name("encoder", k++), x, i ? 2 : 1);
        for (int b = 0; b < c->encoder_blocks[i]; b++)
            x = block(set, layer_name("encoder", k++), x);
    }
    return conv(set, layer_name("encoder", k), x, 1);
}

static struct map decode_plainly(struct ph_weights *set, const struct ph_taesd_config *c,
                                 struct map x)
{
    x = each(conv(set, layer_name("decoder", 0), each(x, squash), 1), relu);
    int k = 2; // after the ReLU, which is a layer
    for (int i = 0; i < c->decoder_levels; i++) {
        for (int b = 0; b < c->decoder_blocks[i]; b++)
            x = block(set, layer_name("decoder", k++), x);
        if (i < c->decoder_levels - 1) {
            x = twice(x);
            k++;
        }
        x = conv(set, layer_name("decoder", k++), x, 1);
    }
    for (int i = 0; i < x.c * x.h * x.w; i++) x.v[i] = 2 * x.v[i] - 1;
    return x;
}

static void compare_plainly(const struct ph_module *m, int part, struct map x, const char *in,
                            const char *out, struct ph_module_size size)
{
    int64_t n = (int64_t) x.c * x.h * x.w;
    float *values = normals(3 + (uint64_t) part, n);
    for (int64_t i = 0; i < n; i++) x.v[i] = (double) values[i];
    struct ph_plan *plan = plan_part(m, part, size);
    put(plan, in, values, n);
    CHECK_OK(ph_plan_run(plan));
    float *got = get(plan, out, &n);
    struct map want = (part ? decode_plainly : encode_plainly)(m->weights[0], m->config, x);
    CHECK_INT(n, ==, want.c * want.h * want.w);
    for (int64_t i = 0; i < n; i++) CHECK_NUM(fabs((double) got[i] - want.v[i]), <, 1e-4);
    ph_plan_destroy(&plan);
    free(values);
    free(got);
    free(want.v);
}

TEST(taesd_is_what_its_source_computes_at_even_and_odd_sizes)
{
    static const int sizes[][2] = { { 16, 24 }, { 13, 18 } };
    struct ph_module *m = module_random("tiny-taesd", 5);
    for (int i = 0; i < 2; i++) {
        int h = sizes[i][0], w = sizes[i][1];
        struct ph_module_size size = { .height = h, .width = w };
        compare_plainly(m, 0, map_new(3, h, w), "image", "latent", size);
        compare_plainly(m, 1, map_new(4, (h + 3) / 4, (w + 3) / 4), "latent", "image", size);
    }
    ph_module_close(&m);
}

// The same tensors under the names of old files.
static struct ph_weights *rename_attention(struct ph_weights *set, const char *folder)
{
    static const char *const names[][2] = { { "to_q.", "query." },
                                            { "to_k.", "key." },
                                            { "to_v.", "value." },
                                            { "to_out.0.", "proj_attn." } };
    static char text[200][128];
    struct ph_named_tensor t[200];
    int count = ph_weights_count(set);
    char path[1200];
    CHECK_INT(count, <, 200);
    for (int i = 0; i < count; i++) {
        const struct ph_weight *w = ph_weights_at(set, i);
        t[i] = (struct ph_named_tensor){ text[i], w->disk };
        snprintf(text[i], sizeof text[i], "%s", w->name);
        for (int k = 0; k < 4; k++) {
            const char *found = strstr(w->name, names[k][0]);
            if (found)
                snprintf(text[i], sizeof text[i], "%.*s%s%s", (int) (found - w->name), w->name,
                         names[k][1], found + strlen(names[k][0]));
        }
    }
    snprintf(path, sizeof path, "%s/old.safetensors", folder);
    CHECK_OK(ph_weights_save(path, t, count, 0, NULL));
    struct ph_weights *out;
    CHECK_OK(ph_weights_open(path, &out, NULL));
    return out;
}

TEST(a_vae_with_old_attention_names_decodes_the_same)
{
    struct ph_module *m = module_random("tiny-vae", 6);
    struct ph_weights *old = rename_attention(m->weights[0], m->path);
    CHECK(ph_weights_find(old, "decoder.mid_block.attentions.0.query.weight") != NULL);
    struct ph_module_size size = { .height = 12, .width = 16 };
    float *latent = normals(1, 4 * 6 * 8), *got[2];
    int64_t n;
    for (int i = 0; i < 2; i++) {
        struct ph_prog *p = prog_new();
        ph_module_record(p, m, 1, &size, i ? old : NULL);
        struct ph_plan *plan = plan_of(p);
        put(plan, "latent", latent, 4 * 6 * 8);
        CHECK_OK(ph_plan_run(plan));
        got[i] = get(plan, "image", &n);
        ph_plan_destroy(&plan);
    }
    CHECK_INT(n, ==, 3 * 12 * 16);
    CHECK(memcmp(got[0], got[1], sizeof(float) * (size_t) n) == 0);
    free(got[0]);
    free(got[1]);
    free(latent);
    ph_weights_unref(&old);
    ph_module_close(&m);
}

// ------------------------------------------------------------------------------ unet
enum { LATENT = 4 * 5 * 7, TOKENS = 9, TEXT = TOKENS * 12, POOLED = 10 };
static const struct ph_module_size odd = { 1, 40, 56, TOKENS };

// Inputs of `rows` rows of the small SDXL model; those of row i come from seed + i.
static void put_rows(struct ph_plan *plan, uint64_t seed, int rows)
{
    float sample[4 * LATENT], text[4 * TEXT], pooled[4 * POOLED], ids[4 * 6], t[4];
    for (int i = 0; i < rows; i++) {
        uint64_t s = seed + (uint64_t) i;
        ph_rng_normal(s, 0, 0, LATENT, sample + i * LATENT);
        ph_rng_normal(s, 1, 0, TEXT, text + i * TEXT);
        ph_rng_normal(s, 2, 0, POOLED, pooled + i * POOLED);
        for (int k = 0; k < 6; k++) ids[i * 6 + k] = (float) (64 * k + (int) s);
        t[i] = (float) (999 - 100 * (int) s);
    }
    put(plan, "sample", sample, rows * LATENT);
    put(plan, "text", text, rows * TEXT);
    put(plan, "pooled", pooled, rows * POOLED);
    put(plan, "time_ids", ids, rows * 6);
    put(plan, "timestep", t, rows);
}

TEST(a_row_of_a_batch_is_what_it_is_alone)
{
    struct ph_module *m = module_random("tiny-unet-sdxl", 8);
    struct ph_module_size three = odd;
    three.batch = 3;
    struct ph_plan *batch = plan_part(m, 0, three), *alone = plan_part(m, 0, odd);
    int64_t n;
    put_rows(batch, 1, 3);
    CHECK_OK(ph_plan_run(batch));
    float *all = get(batch, "prediction", &n);
    CHECK_INT(n, ==, 3 * LATENT); // of the input's own size, though 5 x 7 halves to 3 x 4
    for (int i = 0; i < 3; i++) {
        put_rows(alone, 1 + (uint64_t) i, 1);
        CHECK_OK(ph_plan_run(alone));
        float *one = get(alone, "prediction", &n);
        CHECK_NUM(difference(all + i * LATENT, one, LATENT), <, 1e-5);
        free(one);
    }
    CHECK_NUM(difference(all, all + LATENT, LATENT), >, 0.01);
    free(all);
    ph_plan_destroy(&batch);
    ph_plan_destroy(&alone);
    ph_module_close(&m);
}

TEST(every_condition_counts_and_stays_until_it_is_written_again)
{
    static const char *const rare[] = { "text", "pooled", "time_ids", "timestep" };
    struct ph_module *m = module_random("tiny-unet-sdxl", 9);
    struct ph_plan *plan = plan_part(m, 0, odd);
    int64_t n;
    put_rows(plan, 1, 1);
    CHECK_OK(ph_plan_run(plan));
    float *first = get(plan, "prediction", &n);
    for (int i = 0; i < 4; i++) {
        struct ph_tensor t;
        put_rows(plan, 1, 1);
        CHECK_OK(ph_plan_describe(plan, rare[i], &t));
        float *other = normals(99, ph_tensor_count(&t));
        put(plan, rare[i], other, ph_tensor_count(&t));
        for (int run = 0; run < 2; run++) {
            CHECK_OK(ph_plan_run(plan));
            float *got = get(plan, "prediction", &n);
            CHECK_NUM(difference(got, first, n), >, 1e-4);
            free(got);
        }
        free(other);
    }
    put_rows(plan, 1, 1);
    CHECK_OK(ph_plan_run(plan));
    float *again = get(plan, "prediction", &n);
    CHECK(memcmp(again, first, sizeof *first * (size_t) n) == 0);
    free(first);
    free(again);
    ph_plan_destroy(&plan);
    ph_module_close(&m);
}

TEST(prompt_and_time_cost_nothing_in_a_frame)
{
    struct ph_module *m = module_describe(folder_data("unet-sd-turbo"));
    struct ph_prog_cost cost;
    CHECK_OK(ph_module_cost(m, 0, NULL, &cost, NULL));
    CHECK_NUM(cost.rare, >, 3.94e9); // keys and values of the text alone
    CHECK_NUM(cost.each + cost.rare, >, 804.2e9);
    ph_module_close(&m);
}

TEST(a_prog_that_only_collects_is_not_planned)
{
    struct ph_module *m = module_describe(folder_data("tiny-unet"));
    struct ph_plan_params params = { .precision = PH_PRECISION_F32 };
    struct ph_fault fault = { 0 };
    struct ph_plan *plan;
    struct ph_prog *p = prog_new();
    ph_prog_collect(p);
    ph_module_record(p, m, 0, &odd, NULL);
    CHECK_OK(ph_prog_error(p, &fault));
    CHECK_INT(ph_plan_create(p, &params, &plan, &fault), ==, PH_EINVAL);
    CHECK(!plan);
    CHECK_HAS(fault.message, "only collects");
    ph_prog_free(&p);
    ph_module_close(&m);
}

// ------------------------------------------------------------------------------ controlnet
// The small UNet with `nets` times the same ControlNet on it.
static struct ph_plan *plan_steered(const struct ph_module *unet, const struct ph_module *net,
                                    int nets)
{
    struct ph_prog *p = prog_new();
    const struct ph_controlnet_config *config = net->config;
    int64_t n = 1, scales = ph_controlnet_residuals(config);
    struct ph_controlnet_in in = { .unet = { .pooled = PH_NONE, .time_ids = PH_NONE } };
    in.unet.sample = ph_input(p, "sample", PH_EACH, PH_F32, 4, (int64_t[]){ 1, 4, 5, 7 });
    in.unet.timestep = ph_input(p, "timestep", PH_RARE, PH_F32, 1, &n);
    in.unet.text = ph_input(p, "text", PH_RARE, PH_F32, 3, (int64_t[]){ 1, TOKENS, 12 });
    in.condition = ph_input(p, "condition", PH_EACH, PH_F32, 4, (int64_t[]){ 1, 3, 40, 56 });
    in.scale = ph_input(p, "scale", PH_RARE, PH_F32, 1, &scales);
    struct ph_residuals sum = { 0 }, one;
    for (int i = 0; i < nets; i++) {
        ph_prog_use(p, net->weights[0]);
        ph_controlnet_steer(p, config, &in, &one);
        if (i)
            ph_residuals_add(p, &sum, &one);
        else
            sum = one;
    }
    struct ph_unet_in plain = in.unet;
    plain.control = nets ? &sum : NULL;
    ph_prog_use(p, unet->weights[0]);
    ph_output(p, "prediction", ph_unet_predict(p, unet->config, &plain));
    return plan_of(p);
}

static float *steer(struct ph_plan *plan, float scale)
{
    float *sample = normals(1, LATENT), *text = normals(2, TEXT), t = 500;
    float *condition = normals(3, 3 * 40 * 56), scales[16];
    struct ph_tensor shape;
    int64_t n;
    CHECK_OK(ph_plan_describe(plan, "scale", &shape));
    ph_controlnet_scales((int) shape.dim[0], scale, false, scales);
    put(plan, "sample", sample, LATENT);
    put(plan, "text", text, TEXT);
    put(plan, "timestep", &t, 1);
    put(plan, "condition", condition, 3 * 40 * 56);
    put(plan, "scale", scales, shape.dim[0]);
    CHECK_OK(ph_plan_run(plan));
    free(sample);
    free(text);
    free(condition);
    return get(plan, "prediction", &n);
}

TEST(a_controlnet_of_scale_zero_changes_nothing)
{
    struct ph_module *unet = module_random("tiny-unet", 10);
    struct ph_module *net = module_random("tiny-controlnet", 11);
    struct ph_plan *steered = plan_steered(unet, net, 1), *plain = plan_steered(unet, net, 0);
    float *off = steer(steered, 0), *on = steer(steered, 1), *without = steer(plain, 0);
    for (int i = 0; i < LATENT; i++) CHECK_NUM(off[i], ==, without[i]);
    CHECK_NUM(difference(on, without, LATENT), >, 0.01);
    free(off);
    free(on);
    free(without);
    ph_plan_destroy(&steered);
    ph_plan_destroy(&plain);
    ph_module_close(&unet);
    ph_module_close(&net);
}

TEST(two_controlnets_of_half_the_scale_are_one)
{
    struct ph_module *unet = module_random("tiny-unet", 10);
    struct ph_module *net = module_random("tiny-controlnet", 11);
    struct ph_plan *one = plan_steered(unet, net, 1), *two = plan_steered(unet, net, 2);
    float *whole = steer(one, 0.8f), *halves = steer(two, 0.4f);
    CHECK_NUM(difference(halves, whole, LATENT), <, 1e-5);
    free(whole);
    free(halves);
    ph_plan_destroy(&one);
    ph_plan_destroy(&two);
    ph_module_close(&unet);
    ph_module_close(&net);
}

TEST(a_controlnet_of_another_model_is_refused)
{
    struct ph_module *unet = module_describe(folder_data("unet-sdxs-512-dreamshaper"));
    struct ph_residuals wrong = { .count = 12, .mid = PH_NONE };
    struct ph_prog *p = prog_new();
    struct ph_fault fault = { 0 };
    int64_t n = 1;
    ph_prog_collect(p);
    struct ph_unet_in in = { .pooled = PH_NONE, .time_ids = PH_NONE, .control = &wrong };
    in.sample = ph_input(p, "sample", PH_EACH, PH_F32, 4, (int64_t[]){ 1, 4, 8, 8 });
    in.timestep = ph_input(p, "timestep", PH_RARE, PH_F32, 1, &n);
    in.text = ph_input(p, "text", PH_RARE, PH_F32, 3, (int64_t[]){ 1, 77, 768 });
    ph_unet_predict(p, unet->config, &in);
    CHECK_INT(ph_prog_error(p, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "12 residuals");
    ph_prog_free(&p);
    ph_module_close(&unet);
}

TEST(guess_mode_rises_from_a_tenth)
{
    float even[13], guess[13];
    ph_controlnet_scales(13, 0.5f, false, even);
    ph_controlnet_scales(13, 0.5f, true, guess);
    for (int i = 0; i < 13; i++) CHECK_NUM(even[i], ==, 0.5f);
    CHECK_NUM(fabs(guess[0] - 0.05), <, 1e-7);
    CHECK_NUM(fabs(guess[6] - 0.5 * sqrt(0.1)), <, 1e-7); // logspace(-1, 0, 13)
    CHECK_NUM(guess[12], ==, 0.5f);
}

// ------------------------------------------------------------------------------ text
static const struct ph_module_size line = { 1, 0, 0, 12 };

static float *encode_text(struct ph_plan *plan, const int32_t *ids, int32_t eos,
                          const char *port)
{
    int64_t n;
    put_ids(plan, "ids", ids, 12);
    put_ids(plan, "eos", &eos, 1);
    CHECK_OK(ph_plan_run(plan));
    return get(plan, port, &n);
}

TEST(no_token_sees_those_after_it)
{
    struct ph_module *m = module_random("tiny-clip", 12);
    struct ph_plan *plan = plan_part(m, 0, line);
    int32_t ids[12] = { 38, 1, 2, 3, 4, 5, 6, 7, 8, 39, 39, 39 };
    float *before = encode_text(plan, ids, 9, "last");
    ids[6] = 20;
    float *after = encode_text(plan, ids, 9, "last");
    CHECK(memcmp(before, after, sizeof(float) * 6 * 16) == 0);
    for (int t = 6; t < 12; t++)
        CHECK_NUM(difference(after + t * 16, before + t * 16, 16), >, 1e-6);
    free(before);
    free(after);
    ph_plan_destroy(&plan);
    ph_module_close(&m);
}

TEST(the_pooled_vector_is_of_the_end_of_the_text)
{
    struct ph_module *m = module_random("tiny-clip", 12);
    struct ph_plan *plan = plan_part(m, 0, line);
    const int32_t ids[12] = { 38, 1, 2, 3, 39, 39, 39, 39, 39, 39, 39, 39 };
    int32_t eos;
    ph_clip_find_eos(m->config, ids, 1, 12, &eos);
    CHECK_INT(eos, ==, 4);
    float *states = encode_text(plan, ids, eos, "last");
    float *pooled = encode_text(plan, ids, eos, "pooled");
    CHECK(memcmp(pooled, states + 4 * 16, sizeof(float) * 16) == 0);
    free(states);
    free(pooled);
    ph_plan_destroy(&plan);
    ph_module_close(&m);
}

TEST(old_configs_end_a_text_at_its_largest_id)
{
    const int32_t ids[2][6] = { { 38, 5, 39, 0, 0, 0 }, { 38, 2, 7, 8, 39, 39 } };
    struct ph_clip_config c = { .eos = 2 };
    int32_t eos[2];
    ph_clip_find_eos(&c, ids[0], 2, 6, eos);
    CHECK_INT(eos[0], ==, 2);
    CHECK_INT(eos[1], ==, 4); // the first of them, and not the id 2
    c.eos = 39;
    ph_clip_find_eos(&c, ids[0], 2, 6, eos);
    CHECK_INT(eos[0], ==, 2);
    CHECK_INT(eos[1], ==, 4);
}
