// SPDX-License-Identifier: MIT
// LoRAs: every layout that trainers write, the sums they mean, and what is refused.
#include "files.h"

#include "alloc_count.h"
#include "core/cpu.h"
#include "golden.h"
#include "nn/rank_add.h"
#include "nn/rng.h"

#define PIPE "diffusion/models/pipe_sd15_tiny/"
#define LORA "diffusion/models/lora/"

static struct ph_lora *lora_ok(const char *path)
{
    struct ph_lora *lora;
    struct ph_fault fault = { 0 };
    if (ph_lora_open(path, &lora, &fault) < 0) TEST_FAIL("%s", fault.message);
    return lora;
}

static struct ph_weights *adapt_ok(struct ph_weights *base, enum ph_lora_part part,
                                   struct ph_lora *lora, float scale)
{
    struct ph_weights *w;
    struct ph_fault fault = { 0 };
    struct ph_adapter a = { lora, scale };
    if (ph_weights_adapt(base, part, &a, 1, &w, &fault) < 0) TEST_FAIL("%s", fault.message);
    return w;
}

static float *read_all(const struct ph_weights *w, const char *name)
{
    const struct ph_weight *t = ph_weights_find(w, name);
    if (!t) TEST_FAIL("no tensor %s", name);
    int64_t n = ph_tensor_count(&t->disk);
    float *out = malloc((size_t) n * sizeof *out);
    CHECK_OK(ph_weights_read(w, t, 0, n, out));
    return out;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double) a[i] - b[i]);
        if (!(d <= most)) most = d;
    }
    return most;
}

static int changed(const struct ph_weights *a, const struct ph_weights *b)
{
    int n = 0;
    for (int i = 0; i < ph_weights_count(a); i++)
        n += ph_weights_at(a, i)->key != ph_weights_at(b, i)->key;
    return n;
}

// ------------------------------------------------------------------------------------ references

// All fused weights of a run against those of the set; returns how many there were.
static int compare_fused(const struct ph_weights *want, const char *run,
                         const struct ph_weights *got, bool text)
{
    int n = 0;
    for (int i = 0; i < ph_weights_count(want); i++) {
        const struct ph_weight *t = ph_weights_at(want, i);
        size_t skip = strlen(run);
        if (strncmp(t->name, run, skip)) continue;
        const char *name = t->name + skip;
        if (!strncmp(name, "text_encoder.", 13) != text) continue;
        float *a = read_all(want, t->name), *b = read_all(got, name + (text ? 13 : 0));
        double most = largest_difference(a, b, ph_tensor_count(&t->disk));
        if (!(most <= 1e-6)) TEST_FAIL("%s is off by %g", t->name, most);
        free(a);
        free(b);
        n++;
    }
    return n;
}

TEST(kohya_files_give_the_weights_of_the_reference)
{
    struct ph_weights *want = open_ok(golden("diffusion/cases/11_lora/lora.safetensors"));
    struct ph_weights *unet = open_ok(golden(PIPE "unet")),
                      *text = open_ok(golden(PIPE "text_encoder"));
    struct ph_lora *lora = lora_ok(golden(LORA "kohya.safetensors"));
    struct ph_weights *a = adapt_ok(unet, PH_LORA_UNET, lora, 0.8f);
    struct ph_weights *b = adapt_ok(text, PH_LORA_TEXT, lora, 0.8f);
    CHECK_INT(compare_fused(want, "kohya_scale0.8/out.fused.", a, false), ==, changed(a, unet));
    CHECK_INT(compare_fused(want, "kohya_scale0.8/out.fused.", b, true), ==, changed(b, text));
    CHECK_INT(changed(a, unet) + changed(b, text), ==, 33);
    ph_lora_unref(&lora); // the sets hold it
    free(read_all(a, "conv_in.weight"));
    ph_weights_unref(&a);
    ph_weights_unref(&b);
    ph_weights_unref(&unet);
    ph_weights_unref(&text);
    ph_weights_unref(&want);
}

TEST(peft_folders_give_the_weights_of_the_reference)
{
    struct ph_weights *want = open_ok(golden("diffusion/cases/11_lora/lora.safetensors"));
    struct ph_weights *unet = open_ok(golden(PIPE "unet"));
    struct ph_lora *lora = lora_ok(golden(LORA "peft_adapter"));
    struct ph_weights *a = adapt_ok(unet, PH_LORA_UNET, lora, 0.8f);
    CHECK_INT(compare_fused(want, "peft_adapter_scale0.8/out.fused.", a, false), ==, 21);
    CHECK_INT(changed(a, unet), ==, 21);
    ph_weights_unref(&a);
    ph_lora_unref(&lora);
    ph_weights_unref(&unet);
    ph_weights_unref(&want);
}

// base + scale * up x down of matrices, in double; down and up by their names in the file.
static void check_formula(const char *file, const char *down, const char *up, const char *layer,
                          double scale)
{
    struct ph_weights *unet = open_ok(golden(PIPE "unet")), *raw = open_ok(file);
    struct ph_lora *lora = lora_ok(file);
    struct ph_weights *set = adapt_ok(unet, PH_LORA_UNET, lora, (float) scale);
    const struct ph_weight *t = ph_weights_find(set, layer);
    int64_t rows = t->disk.dim[0], cols = ph_tensor_count(&t->disk) / rows;
    int64_t rank = ph_weights_find(raw, down)->disk.dim[0];
    float *w = read_all(unet, layer), *d = read_all(raw, down), *u = read_all(raw, up);
    float *got = read_all(set, layer);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            double sum = 0;
            for (int64_t k = 0; k < rank; k++)
                sum += (double) u[r * rank + k] * d[k * cols + c];
            CHECK_NUM(fabs(w[r * cols + c] + scale * sum - got[r * cols + c]), <=, 1e-6);
        }
    free(w), free(d), free(u), free(got);
    ph_weights_unref(&set);
    ph_weights_unref(&unet);
    ph_weights_unref(&raw);
    ph_lora_unref(&lora);
}

TEST(diffusers_files_of_both_ages_are_read)
{
    struct ph_weights *unet = open_ok(golden(PIPE "unet"));
    struct ph_lora *peft = lora_ok(golden(LORA "diffusers_peft_keys.safetensors"));
    struct ph_lora *old = lora_ok(golden(LORA "diffusers_old_attnproc.safetensors"));
    struct ph_weights *a = adapt_ok(unet, PH_LORA_UNET, peft, 0.8f);
    struct ph_weights *b = adapt_ok(unet, PH_LORA_UNET, old, 0.8f);
    CHECK_INT(changed(a, unet), ==, 21);
    CHECK_INT(changed(b, unet), ==, 10);
    check_formula(golden(LORA "diffusers_peft_keys.safetensors"),
                  "unet.down_blocks.0.resnets.1.conv1.lora_A.weight",
                  "unet.down_blocks.0.resnets.1.conv1.lora_B.weight",
                  "down_blocks.0.resnets.1.conv1.weight", 0.8);
    check_formula(golden(LORA "diffusers_old_attnproc.safetensors"),
                  "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_"
                  "lora.down.weight",
                  "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_"
                  "lora.up.weight",
                  "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight", 0.8);
    ph_weights_unref(&a);
    ph_weights_unref(&b);
    ph_lora_unref(&peft);
    ph_lora_unref(&old);
    ph_weights_unref(&unet);
}

// ------------------------------------------------------------------------------------ own files

struct made {
    const char *name;
    int64_t dim[4];
};

static const char *save(const char *file, const struct made *m, int count, enum ph_dtype dtype,
                        uint64_t seed)
{
    struct ph_named_tensor t[32];
    const char *path = in_folder(file);
    for (int i = 0; i < count; i++) {
        t[i] = (struct ph_named_tensor){ m[i].name, { .dtype = dtype } };
        for (int d = 0; d < 4 && m[i].dim[d]; d++)
            t[i].tensor.dim[t[i].tensor.rank++] = m[i].dim[d];
    }
    CHECK_OK(ph_weights_save(path, t, count, seed, NULL));
    return path;
}

static struct ph_weights *base_ok(void)
{
    static const struct made m[] = {
        { "a.wide.weight", { 10, 300 } },
        { "a.conv.weight", { 12, 5, 3, 3 } },
        { "a.to_q.weight", { 8, 16 } },
        { "a.b_c.weight", { 8, 16 } },
        { "text_model.fc1.weight", { 6, 4 } },
        { "mid_block.resnets.1.conv1.weight", { 8, 16 } },
        { "down_blocks.1.attentions.0.proj_in.weight", { 8, 16, 1, 1 } },
        { "down_blocks.0.downsamplers.0.conv.weight", { 8, 4, 3, 3 } },
        { "up_blocks.2.resnets.2.conv_shortcut.weight", { 8, 4, 1, 1 } },
        { "up_blocks.1.upsamplers.0.conv.weight", { 8, 4, 3, 3 } },
        { "time_embedding.linear_2.weight", { 8, 4 } },
        { "a.norm.weight", { 8 } }
    };
    return open_ok(save("base.safetensors", m, sizeof m / sizeof *m, PH_F16, 1));
}

static const struct made wide[] = { { "unet.a.wide.lora_A.weight", { 70, 300 } },
                                    { "unet.a.wide.lora_B.weight", { 10, 70 } } };
static const struct made conv[] = { { "lora_unet_a_conv.lora_down.weight", { 3, 5, 3, 3 } },
                                    { "lora_unet_a_conv.lora_up.weight", { 12, 3, 1, 1 } } };

// The value that element (r, c) of rows x cols gets, from the factors by name.
static void check_sum(const char *file, const char *down, const char *up, const char *layer,
                      double factor)
{
    struct ph_weights *base = base_ok(), *raw = open_ok(file);
    struct ph_lora *lora = lora_ok(file);
    struct ph_weights *set = adapt_ok(base, PH_LORA_UNET, lora, 0.5f);
    const struct ph_weight *t = ph_weights_find(set, layer);
    int64_t rows = t->disk.dim[0], cols = ph_tensor_count(&t->disk) / rows;
    int64_t rank = ph_weights_find(raw, down)->disk.dim[0];
    float *w = read_all(base, layer), *d = read_all(raw, down), *u = read_all(raw, up);
    float *got = read_all(set, layer);
    for (int64_t i = 0; i < rows * cols; i++) {
        double sum = 0;
        for (int64_t k = 0; k < rank; k++)
            sum += (double) u[i / cols * rank + k] * d[k * cols + i % cols];
        CHECK_NUM(fabs(w[i] + factor * sum - got[i]), <=, 1e-6);
    }
    free(w), free(d), free(u), free(got);
    ph_weights_unref(&set);
    ph_weights_unref(&base);
    ph_weights_unref(&raw);
    ph_lora_unref(&lora);
}

TEST(the_sum_is_right_for_many_ranks_and_for_convolutions)
{
    check_sum(save("w.safetensors", wide, 2, PH_F16, 2), wide[0].name, wide[1].name,
              "a.wide.weight", 0.5);
    check_sum(save("c.safetensors", conv, 2, PH_BF16, 2), conv[0].name, conv[1].name,
              "a.conv.weight", 0.5);
    check_sum(save("f.safetensors", conv, 2, PH_F32, 2), conv[0].name, conv[1].name,
              "a.conv.weight", 0.5);
}

TEST(any_part_of_a_tensor_reads_as_the_whole_does)
{
    struct ph_weights *base = base_ok();
    struct ph_lora *lora = lora_ok(save("w.safetensors", wide, 2, PH_F16, 2));
    struct ph_weights *set = adapt_ok(base, PH_LORA_UNET, lora, 0.7f);
    const struct ph_weight *t = ph_weights_find(set, "a.wide.weight");
    float *whole = read_all(set, t->name), part[3001];
    uint32_t u = 5;
    for (int i = 0; i < 300; i++) {
        int first = (int) ((u = u * 1664525 + 1013904223) >> 8) % 3000;
        int n = (int) ((u = u * 1664525 + 1013904223) >> 8) % (3001 - first);
        part[n] = 77;
        CHECK_OK(ph_weights_read(set, t, first, n, part));
        CHECK(!memcmp(part, whole + first, (size_t) n * sizeof *part));
        CHECK_NUM(part[n], ==, 77);
    }
    free(whole);
    ph_weights_unref(&set);
    ph_weights_unref(&base);
    ph_lora_unref(&lora);
}

TEST(a_middle_factor_makes_the_convolution_of_three)
{
    static const struct made m[] = { { "lora_unet_a_conv.lora_down.weight", { 2, 5, 1, 1 } },
                                     { "lora_unet_a_conv.lora_mid.weight", { 3, 2, 3, 3 } },
                                     { "lora_unet_a_conv.lora_up.weight", { 12, 3, 1, 1 } } };
    const char *path = save("mid.safetensors", m, 3, PH_F32, 4);
    struct ph_weights *base = base_ok(), *raw = open_ok(path);
    struct ph_lora *lora = lora_ok(path);
    struct ph_weights *set = adapt_ok(base, PH_LORA_UNET, lora, 1);
    float *w = read_all(base, "a.conv.weight"), *got = read_all(set, "a.conv.weight");
    float *d = read_all(raw, m[0].name), *mid = read_all(raw, m[1].name),
          *u = read_all(raw, m[2].name);
    for (int o = 0; o < 12; o++)
        for (int i = 0; i < 5; i++)
            for (int x = 0; x < 9; x++) {
                double sum = w[(o * 5 + i) * 9 + x];
                for (int p = 0; p < 3; p++)
                    for (int q = 0; q < 2; q++)
                        sum += (double) u[o * 3 + p] * mid[(p * 2 + q) * 9 + x] * d[q * 5 + i];
                CHECK_NUM(fabs(sum - got[(o * 5 + i) * 9 + x]), <=, 1e-6);
            }
    free(w), free(got), free(d), free(mid), free(u);
    ph_weights_unref(&set);
    ph_weights_unref(&base);
    ph_weights_unref(&raw);
    ph_lora_unref(&lora);
}

static uint64_t key_of(struct ph_weights *base, const struct ph_adapter *a, int count,
                       float first[1])
{
    struct ph_weights *w;
    CHECK_OK(ph_weights_adapt(base, PH_LORA_UNET, a, count, &w, NULL));
    const struct ph_weight *t = ph_weights_find(w, "a.to_q.weight");
    uint64_t key = t->key;
    CHECK_OK(ph_weights_read(w, t, 37, 1, first));
    if (key == ph_weights_find(base, "a.to_q.weight")->key) CHECK(w == base);
    ph_weights_unref(&w);
    return key;
}

static const struct made to_q[] = { { "unet.a.to_q.lora_A.weight", { 4, 16 } },
                                    { "unet.a.to_q.lora_B.weight", { 8, 4 } } };

TEST(adapters_add_and_taking_them_away_gives_the_base_again)
{
    struct ph_weights *base = base_ok();
    struct ph_lora *x = lora_ok(save("x.safetensors", to_q, 2, PH_F16, 2));
    struct ph_lora *y = lora_ok(save("y.safetensors", to_q, 2, PH_F16, 3));
    struct ph_adapter both[] = { { x, 0.5f }, { y, 2 } }, zero = { x, 0 }, half = { x, 0.25f };
    float none, vx, vy, vxy, v;
    uint64_t key = ph_weights_find(base, "a.to_q.weight")->key;
    CHECK(key_of(base, NULL, 0, &none) == key);
    uint64_t kx = key_of(base, both, 1, &vx), ky = key_of(base, both + 1, 1, &vy);
    uint64_t kxy = key_of(base, both, 2, &vxy);
    CHECK(kx != key && ky != key && kx != ky && kxy != kx && kxy != ky && kxy != key);
    CHECK_NUM(fabs((vx - none) + (vy - none) - (vxy - none)), <, 1e-6);
    CHECK(fabs(vx - none) > 1e-5 && fabs(vy - none) > 1e-5);
    CHECK(key_of(base, &half, 1, &v) != kx); // another scale
    CHECK_NUM(fabs((v - none) * 2 - (vx - none)), <, 1e-6);
    CHECK(key_of(base, both, 1, &v) == kx); // the same again
    CHECK(key_of(base, both, 0, &v) == key);
    CHECK(key_of(base, &zero, 1, &v) == key);
    struct ph_weights *once = adapt_ok(base, PH_LORA_UNET, x, 0.5f); // one upon the other
    CHECK(key_of(once, both + 1, 1, &v) == kxy);
    CHECK_NUM(v, ==, vxy);
    CHECK(key_of(once, NULL, 0, &v) == kx);
    ph_weights_unref(&once);
    ph_lora_unref(&x);
    ph_lora_unref(&y);
    ph_weights_unref(&base);
}

TEST(parts_are_kept_apart)
{
    static const struct made m[] = { { "lora_te_text_model_fc1.lora_down.weight", { 2, 4 } },
                                     { "lora_te_text_model_fc1.lora_up.weight", { 6, 2 } },
                                     { "unet.a.to_q.lora.down.weight", { 4, 16 } },
                                     { "unet.a.to_q.lora.up.weight", { 8, 4 } } };
    struct ph_weights *base = base_ok();
    struct ph_lora *lora = lora_ok(save("p.safetensors", m, 4, PH_F16, 2));
    struct ph_weights *unet = adapt_ok(base, PH_LORA_UNET, lora, 1);
    struct ph_weights *text = adapt_ok(base, PH_LORA_TEXT, lora, 1);
    struct ph_weights *text2 = adapt_ok(base, PH_LORA_TEXT2, lora, 1);
    CHECK_INT(changed(unet, base), ==, 1);
    CHECK_INT(changed(text, base), ==, 1);
    CHECK(text2 == base);
    CHECK(ph_weights_find(unet, "a.to_q.weight")->key !=
          ph_weights_find(base, "a.to_q.weight")->key);
    ph_weights_unref(&unet);
    ph_weights_unref(&text);
    ph_weights_unref(&text2);
    ph_weights_unref(&base);
    ph_lora_unref(&lora);
}

TEST(names_of_the_older_layout_find_their_layers)
{
    static const struct made m[] = {
        { "lora_unet_middle_block_2_in_layers_2.lora_down.weight", { 2, 16 } },
        { "lora_unet_middle_block_2_in_layers_2.lora_up.weight", { 8, 2 } },
        { "lora_unet_input_blocks_4_1_proj_in.lora_down.weight", { 2, 16 } },
        { "lora_unet_input_blocks_4_1_proj_in.lora_up.weight", { 8, 2 } },
        { "lora_unet_input_blocks_3_0_op.lora_down.weight", { 2, 4, 3, 3 } },
        { "lora_unet_input_blocks_3_0_op.lora_up.weight", { 8, 2, 1, 1 } },
        { "lora_unet_output_blocks_8_0_skip_connection.lora_down.weight", { 2, 4, 1, 1 } },
        { "lora_unet_output_blocks_8_0_skip_connection.lora_up.weight", { 8, 2, 1, 1 } },
        { "lora_unet_output_blocks_5_2_conv.lora_down.weight", { 2, 4, 3, 3 } },
        { "lora_unet_output_blocks_5_2_conv.lora_up.weight", { 8, 2, 1, 1 } },
        { "lora_unet_time_embed_2.lora_down.weight", { 2, 4 } },
        { "lora_unet_time_embed_2.lora_up.weight", { 8, 2 } },
        { "lora_unet_a_b_c.lora_down.weight", { 2, 16 } },
        { "lora_unet_a_b_c.lora_up.weight", { 8, 2 } },
    };
    static const char *const names[] = { "mid_block.resnets.1.conv1.weight",
                                         "down_blocks.1.attentions.0.proj_in.weight",
                                         "down_blocks.0.downsamplers.0.conv.weight",
                                         "up_blocks.2.resnets.2.conv_shortcut.weight",
                                         "up_blocks.1.upsamplers.0.conv.weight",
                                         "time_embedding.linear_2.weight",
                                         "a.b_c.weight" };
    struct ph_weights *base = base_ok();
    struct ph_lora *lora = lora_ok(save("s.safetensors", m, 14, PH_F16, 2));
    struct ph_weights *set = adapt_ok(base, PH_LORA_UNET, lora, 1);
    CHECK_INT(changed(set, base), ==, 7);
    for (int i = 0; i < 7; i++)
        CHECK(ph_weights_find(set, names[i])->key != ph_weights_find(base, names[i])->key);
    ph_weights_unref(&set);
    ph_weights_unref(&base);
    ph_lora_unref(&lora);
}

// How much the first element changes, with the alpha that the folder's configuration gives.
static double factor_with(const char *config)
{
    static const struct made m[] = { { "base_model.model.a.to_q.lora_A.weight", { 4, 16 } },
                                     { "base_model.model.a.to_q.lora_B.weight", { 8, 4 } } };
    float first, plain, one;
    struct ph_weights *base = base_ok();
    write_file(in_folder("adapter_config.json"), config, strlen(config));
    struct ph_lora *lora = lora_ok(save("adapter_model.safetensors", m, 2, PH_F32, 2));
    struct ph_lora *bare = lora_ok(save("bare.safetensors", m, 2, PH_F32, 2));
    struct ph_adapter a = { lora, 1 }, b = { bare, 1 };
    key_of(base, NULL, 0, &plain);
    key_of(base, &a, 1, &first);
    key_of(base, &b, 1, &one);
    ph_lora_unref(&lora);
    ph_lora_unref(&bare);
    ph_weights_unref(&base);
    return (first - plain) / (one - plain);
}

TEST(a_configuration_beside_the_file_gives_alpha)
{
    CHECK_NUM(fabs(factor_with("{}") - 1), <, 1e-4);
    CHECK_NUM(fabs(factor_with("{\"lora_alpha\":8}") - 2), <, 1e-4);
    CHECK_NUM(fabs(factor_with("{\"lora_alpha\":8,\"use_rslora\":true}") - 4), <, 1e-4);
    CHECK_NUM(fabs(factor_with("{\"lora_alpha\":8,\"alpha_pattern\":{\"to_q\":2}}") - 0.5), <,
              1e-4);
    CHECK_NUM(fabs(factor_with("{\"lora_alpha\":8,\"alpha_pattern\":{\"o_q\":2}}") - 2), <,
              1e-4);
}

// One module of ones, rank 2, with this metadata; its factor on the layer a.to_q.
static double factor_of_metadata(const char *metadata)
{
    static const char form[] = "{\"__metadata__\":{\"lora_adapter_metadata\":\"%s\"},"
                               "\"unet.a.to_q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[2,"
                               "16],\"data_offsets\":[0,128]},"
                               "\"unet.a.to_q.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[8,"
                               "2],\"data_offsets\":[128,192]}}";
    static char bytes[2048];
    float plain, value;
    uint64_t n = (uint64_t) snprintf(bytes + 8, sizeof bytes - 300, form, metadata);
    memcpy(bytes, &n, 8);
    for (size_t i = 0; i < 48; i++) memcpy(bytes + 8 + n + i * 4, &(float){ 1 }, 4);
    write_file(in_folder("meta.safetensors"), bytes, 8 + n + 192);
    struct ph_weights *base = base_ok();
    struct ph_lora *lora = lora_ok(in_folder("meta.safetensors"));
    struct ph_adapter a = { lora, 1 };
    key_of(base, NULL, 0, &plain);
    key_of(base, &a, 1, &value);
    ph_lora_unref(&lora);
    ph_weights_unref(&base);
    return (value - plain) / 2;
}

TEST(metadata_of_the_file_gives_alpha_for_its_part)
{
    CHECK_NUM(fabs(factor_of_metadata("{}") - 1), <, 1e-4);
    CHECK_NUM(fabs(factor_of_metadata("{\\\"unet.lora_alpha\\\":6}") - 3), <, 1e-4);
    CHECK_NUM(fabs(factor_of_metadata("{\\\"text_encoder.lora_alpha\\\":6}") - 1), <, 1e-4);
    CHECK_NUM(fabs(factor_of_metadata("{\\\"unet.lora_alpha\\\":6,"
                                      "\\\"unet.alpha_pattern\\\":{\\\"a.to_q\\\":1}}") -
                   0.5),
              <, 1e-4);
}

TEST(names_of_text_encoders_are_read_in_every_form)
{
    static const struct made layers[] = {
        { "text_model.layers.0.self_attn.q_proj.weight", { 8, 16 } },
        { "text_model.layers.0.self_attn.out_proj.weight", { 8, 16 } },
        { "text_model.layers.0.mlp.fc1.weight", { 8, 16 } },
        { "text_projection.weight", { 8, 16 } }
    };
    static const char *const names[][2] = {
        { "text_encoder.text_model.layers.0.self_attn.to_q_lora", "1 0" },
        { "text_encoder.text_model.layers.0.self_attn.to_out_lora", "1 1" },
        { "text_encoder.text_model.layers.0.self_attn.q_proj.lora_linear_layer", "1 0" },
        { "text_encoder.text_model.layers.0.mlp.fc1.lora", "1 2" },
        { "text_encoder_2.text_model.layers.0.mlp.fc1.lora", "2 2" },
        { "base_model.model.text_model.layers.0.mlp.fc1.lora", "1 2" },
    };
    struct ph_weights *base = open_ok(save("text.safetensors", layers, 4, PH_F16, 1));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char down[128], up[128];
        snprintf(down, sizeof down, "%s.down.weight", names[i][0]);
        snprintf(up, sizeof up, "%s.up.weight", names[i][0]);
        struct made m[] = { { down, { 2, 16 } }, { up, { 8, 2 } } };
        struct ph_lora *lora = lora_ok(save("te.safetensors", m, 2, PH_F16, 2));
        for (int part = PH_LORA_UNET; part <= PH_LORA_TEXT2; part++) {
            struct ph_weights *set = adapt_ok(base, (enum ph_lora_part) part, lora, 1);
            bool mine = part == names[i][1][0] - '0';
            const char *layer = layers[names[i][1][2] - '0'].name;
            CHECK_INT(changed(set, base), ==, mine);
            CHECK_INT(ph_weights_find(set, layer)->key != ph_weights_find(base, layer)->key, ==,
                      mine);
            ph_weights_unref(&set);
        }
        ph_lora_unref(&lora);
    }
    ph_weights_unref(&base);
}

// ------------------------------------------------------------------------------------ refused

static void check_refused(const struct made *m, int count, const char *message)
{
    struct ph_fault fault = { 0 };
    struct ph_lora *lora = NULL;
    struct ph_weights *base = base_ok(), *set = NULL;
    ph_err ret = ph_lora_open(save("bad.safetensors", m, count, PH_F16, 2), &lora, &fault);
    if (ret == PH_OK)
        ret = ph_weights_adapt(base, PH_LORA_UNET, &(struct ph_adapter){ lora, 0 }, 1, &set,
                               &fault);
    CHECK_INT(ret, ==, PH_EFORMAT);
    CHECK(!set);
    CHECK_HAS(fault.message, message);
    CHECK_HAS(fault.message, "bad.safetensors");
    ph_lora_unref(&lora);
    ph_weights_unref(&base);
}

TEST(a_lora_for_another_model_names_its_first_module)
{
    static const struct made other[] = { { "unet.z.to_q.lora_A.weight", { 4, 16 } },
                                         { "unet.z.to_q.lora_B.weight", { 8, 4 } } };
    static const struct made flat[] = { { "lora_unet_z_q.lora_down.weight", { 4, 16 } },
                                        { "lora_unet_z_q.lora_up.weight", { 8, 4 } } };
    static const struct made size[] = { { "unet.a.to_q.lora_A.weight", { 4, 17 } },
                                        { "unet.a.to_q.lora_B.weight", { 8, 4 } } };
    static const struct made norm[] = { { "unet.a.norm.lora_A.weight", { 4, 2 } },
                                        { "unet.a.norm.lora_B.weight", { 8, 4 } } };
    check_refused(other, 2,
                  "is for another model: its module 'unet.z.to_q' has no layer there");
    check_refused(flat, 2, "module 'lora_unet_z_q' has no layer there");
    check_refused(size, 2, "'unet.a.to_q' makes [8, 17], the layer is [8, 16]");
    check_refused(norm, 2, "'unet.a.norm' makes [8, 2], the layer is [8]");
}

TEST(a_file_that_is_no_whole_lora_is_refused)
{
    static const struct made single[] = { { "unet.a.to_q.lora_A.weight", { 4, 16 } } };
    static const struct made ranks[] = { { "unet.a.to_q.lora_A.weight", { 4, 16 } },
                                         { "unet.a.to_q.lora_B.weight", { 8, 5 } } };
    static const struct made dora[] = { { "unet.a.to_q.dora_scale", { 4 } } };
    static const struct made lokr[] = { { "lora_unet_a_to_q.lokr_w1", { 4, 4 } } };
    static const struct made twice[] = { { "unet.a.to_q.lora_A.weight", { 4, 16 } },
                                         { "unet.a.to_q.lora.down.weight", { 4, 16 } },
                                         { "unet.a.to_q.lora_B.weight", { 8, 4 } } };
    static const struct made vector[] = { { "unet.a.to_q.lora_A.weight", { 4 } },
                                          { "unet.a.to_q.lora_B.weight", { 8, 4 } } };
    static const struct made alpha[] = { { "unet.a.to_q.alpha", { 3 } },
                                         { "unet.a.to_q.lora_A.weight", { 4, 16 } },
                                         { "unet.a.to_q.lora_B.weight", { 8, 4 } } };
    static const struct made nameless[] = { { "lora_unet_.lora_down.weight", { 4, 4 } } };
    check_refused(single, 1, "'unet.a.to_q' has no up factor");
    check_refused(ranks, 2, "different ranks: down [4, 16], up [8, 5]");
    check_refused(dora, 1, "'unet.a.to_q.dora_scale' is of no LoRA");
    check_refused(lokr, 1, "LoKr are not known");
    check_refused(twice, 3, "are the same");
    check_refused(vector, 2, "no matrices");
    check_refused(alpha, 3, "'unet.a.to_q.alpha' is no number");
    check_refused(nameless, 1, "is of no LoRA");
    check_refused(single, 0, "has no tensors");
}

TEST(a_lora_with_a_value_that_is_not_finite_is_refused)
{
    float down[32] = { 1 }, up[16] = { 1 };
    down[17] = NAN;
    struct ph_named_tensor t[] = { { "unet.a.lora_A.weight", { PH_F32, 2, { 2, 16 }, down } },
                                   { "unet.a.lora_B.weight", { PH_F32, 2, { 8, 2 }, up } } };
    struct ph_fault fault = { 0 };
    struct ph_lora *lora;
    CHECK_OK(ph_weights_save(in_folder("nan.safetensors"), t, 2, 0, NULL));
    CHECK_INT(ph_lora_open(in_folder("nan.safetensors"), &lora, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message,
              "'unet.a.lora_A.weight' has a value that is not finite at element 17");
    CHECK(!lora);
}

// ------------------------------------------------------------------------------------ memory, kernels

TEST(memory_running_out_leaves_a_clean_error_and_the_next_try_works)
{
    static const struct made m[] = { { "lora_unet_a_conv.lora_down.weight", { 2, 5, 1, 1 } },
                                     { "lora_unet_a_conv.lora_mid.weight", { 3, 2, 3, 3 } },
                                     { "lora_unet_a_conv.lora_up.weight", { 12, 3, 1, 1 } },
                                     { "unet.a.to_q.lora_A.weight", { 4, 16 } },
                                     { "unet.a.to_q.lora_B.weight", { 8, 4 } } };
    struct ph_weights *base = base_ok();
    const char *path = save("adapter_model.safetensors", m, 5, PH_F16, 2);
    write_file(in_folder("adapter_config.json"), "{\"lora_alpha\":8}", 16);
    for (long n = 0;; n++) {
        struct ph_fault fault = { 0 };
        struct ph_lora *lora;
        struct ph_weights *set = NULL;
        alloc_fail_only(n);
        ph_err ret = ph_lora_open(path, &lora, &fault);
        if (ret == PH_OK)
            ret = ph_weights_adapt(base, PH_LORA_UNET, &(struct ph_adapter){ lora, 1 }, 1, &set,
                                   &fault);
        long failed = alloc_failed();
        alloc_fail_from(-1);
        CHECK_INT(ret, ==, failed ? PH_ENOMEM : PH_OK);
        CHECK(!set == !!failed);
        if (failed) CHECK_HAS(fault.message, "memory");
        ph_weights_unref(&set);
        ph_lora_unref(&lora);
        CHECK_INT(n, <, 400);
        if (failed) continue;
        CHECK_INT(n, >, 20);
        break;
    }
    ph_weights_unref(&base);
}

static void check_rank_fn(ph_rank_fn *fn)
{
    static float up[PH_RANK_ROWS * PH_RANK_K], down[PH_RANK_K * PH_RANK_COLS];
    static float want[PH_RANK_ROWS * PH_RANK_COLS], got[PH_RANK_ROWS * PH_RANK_COLS];
    ph_rng_normal(1, 0, 0, PH_RANK_ROWS * PH_RANK_K, up);
    ph_rng_normal(2, 0, 0, PH_RANK_K * PH_RANK_COLS, down);
    for (int k = 1; k <= PH_RANK_K; k += 7)
        for (int cols = 1; cols <= PH_RANK_COLS; cols += 51) {
            for (int r = 0; r < PH_RANK_ROWS; r++)
                for (int c = 0; c < cols; c++) {
                    double sum = 0;
                    for (int i = 0; i < k; i++)
                        sum += (double) up[r * PH_RANK_K + i] * down[i * PH_RANK_COLS + c];
                    want[r * PH_RANK_COLS + c] = (float) sum;
                }
            fn(got, up, down, k, cols);
            for (int r = 0; r < PH_RANK_ROWS; r++)
                CHECK_NUM(
                    largest_difference(want + r * PH_RANK_COLS, got + r * PH_RANK_COLS, cols),
                    <, 2e-5);
        }
}

TEST(every_variant_of_the_product_is_the_product)
{
    check_rank_fn(ph_rank_c);
#if defined(__x86_64__)
    if (ph_cpu_flags() & PH_CPU_AVX2) check_rank_fn(ph_rank_avx2);
    if (ph_cpu_flags() & PH_CPU_AVX512) check_rank_fn(ph_rank_avx512);
#endif
}
