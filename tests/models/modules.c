// SPDX-License-Identifier: MIT
// Module folders: what configs ask for, and what is wrong with them or their weights.
#include <math.h>

#include "folders.h"

struct fact {
    const char *model;
    int part;
    double params;    // as published; 0 = see tolerance
    double tolerance; // of params, relative: facts of five digits
    double gflops[3]; // at 512, 384, 256; 0 = not counted
};

// clang-format off
static const struct fact facts[] = {
    { "unet-sd15",                 0, 859520964,  0,    {  803.3,  423.0, 180.1 } },
    { "unet-sd-turbo",             0, 865910724,  0,    {  804.3,  424.0, 181.1 } },
    { "unet-sdxl-turbo",           0, 2567463684, 0,    { 1588.8,  905.1, 427.8 } },
    { "unet-sdxs-512-dreamshaper", 0, 315746244,  0,    {  369.3,  206.1,  91.7 } },
    { "unet-sdxs-512-0.9",         0, 328177284,  0,    {  418.1,  234.0, 104.7 } },
    { "taesd",                     0, 1222532,    0,    {  122.3,   68.8,  30.6 } },
    { "taesd",                     1, 1222531,    0,    {  141.4,   79.5,  35.3 } },
    { "vae-kl",                    0, 34.16e6,    2e-4, {   1117,    620,   273 } },
    { "vae-kl",                    1, 49.49e6,    2e-4, {   2515,   1406,   622 } },
    { "controlnet-sd15",           0, 361.28e6,   2e-5, {    283,    148,     0 } },
    { "controlnet-sd21",           0, 364.23e6,   2e-5, {    284,    148,     0 } },
    { "controlnet-sdxl",           0, 1.251e9,    5e-4, {    712,    407,     0 } },
    { "clip-l",                    0, 123.06e6,   5e-5, {   13.3,      0,     0 } },
    { "openclip-h",                0, 340.39e6,   5e-5, {   45.1,      0,     0 } },
    { "openclip-bigg",             0, 694.66e6,   5e-5, {   97.9,      0,     0 } },
    // Those that its outputs need; sides are rounded up to fourteens (518, 392, 266).
    { "depth-anything-v2-small",   0, 24710849,   0,    {      0,      0,     0 } },
    { "da3-small",                 0, 26179819,   0,    {      0,      0,     0 } },
};
// clang-format on
#define FACTS (sizeof facts / sizeof *facts)

static struct ph_prog_cost cost_at(const struct ph_module *m, int part, int pixels)
{
    struct ph_module_size size = { .height = pixels, .width = pixels };
    struct ph_prog_cost cost;
    struct ph_fault fault = { 0 };
    if (ph_module_cost(m, part, &size, &cost, &fault)) TEST_FAIL("%s", fault.message);
    return cost;
}

TEST(true_configs_have_the_published_parameters)
{
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact *f = &facts[i];
        struct ph_module *m = module_describe(folder_data(f->model));
        double params = (double) cost_at(m, f->part, 512).params;
        printf("# %s %s: %.0f\n", f->model, m->class->part[f->part], params);
        CHECK_NUM(fabs(params - f->params), <=, f->tolerance * f->params);
        ph_module_close(&m);
    }
}

// Facts have four digits or one decimal place.
TEST(true_configs_cost_the_counted_operations)
{
    static const int pixels[3] = { 512, 384, 256 };
    for (size_t i = 0; i < FACTS; i++) {
        const struct fact *f = &facts[i];
        struct ph_module *m = module_describe(folder_data(f->model));
        for (int k = 0; k < 3; k++) {
            struct ph_prog_cost cost = cost_at(m, f->part, pixels[k]);
            double got = (cost.each + cost.rare) / 1e9, want = f->gflops[k];
            if (!want) continue;
            printf("# %s at %d: %.2f\n", f->model, pixels[k], got);
            CHECK_NUM(fabs(got - want), <=, want == floor(want) ? 0.6 : 0.06);
        }
        ph_module_close(&m);
    }
}

TEST(sdxl_at_its_own_size_costs_the_counted_operations)
{
    struct ph_module *m = module_describe(folder_data("unet-sdxl-turbo"));
    struct ph_prog_cost cost = cost_at(m, 0, 1024);
    CHECK_NUM(fabs((cost.each + cost.rare) / 1e9 - 6761), <=, 0.6);
    ph_module_close(&m);
}

// ------------------------------------------------------------------------------ configs
struct wrong {
    const char *model, *from, *to;
    const char *field, *message; // what the fault must name
};

// clang-format off
static const struct wrong wrongs[] = {
    { "tiny-unet", "UNet2DConditionModel", "FluxTransformer2DModel", "_class_name", "FluxTransformer2DModel" },
    { "tiny-unet", "\"_class_name\"", "\"_name\"", "_class_name", "says which model" },
    { "tiny-unet", "\"block_out_channels\"", "\"channels\"", "block_out_channels", "nothing" },
    { "tiny-unet", "    32\n", "    \"32\"\n", "block_out_channels", "a text" },
    { "tiny-unet", "    32\n", "    32.5\n", "block_out_channels", "32.5" },
    { "tiny-unet", "    32\n", "    0\n", "block_out_channels", "1 to" },
    { "tiny-unet", "\"DownBlock2D\"", "\"AttnDownBlock2D\"", "down_block_types", "AttnDownBlock2D" },
    { "tiny-unet", ",\n    \"DownBlock2D\"", "", "down_block_types", "2" },
    { "tiny-unet", "\"norm_num_groups\": 4", "\"norm_num_groups\": 5", "norm_num_groups", "do not divide 16" },
    { "tiny-unet", "    2\n", "    3\n", "attention_head_dim", "3 heads do not divide 32" },
    { "tiny-unet", "\"cross_attention_dim\": 12", "\"cross_attention_dim\": null", "cross_attention_dim", "required" },
    { "tiny-unet", "\"silu\"", "\"snake\"", "act_fn", "snake" },
    { "tiny-unet", "\"sample_size\"", "\"time_cond_proj_dim\": 256, \"sample_size\"", "time_cond_proj_dim", "not supported" },
    { "tiny-unet", "\"sample_size\"", "\"resnet_time_scale_shift\": \"scale_shift\", \"sample_size\"", "resnet_time_scale_shift", "only" },
    { "tiny-unet", "\"use_linear_projection\": true", "\"use_linear_projection\": 1", "use_linear_projection", "true or false" },
    { "tiny-unet", "{", "[", "", "config.json:" },
    { "tiny-unet-sdxl", "58", "48", "projection_class_embeddings_input_dim", "leaves nothing" },
    { "tiny-controlnet", "    10\n", "    10, 12\n", "conditioning_embedding_out_channels", "4 make" },
    { "tiny-taesd", "    8,", "    16,", "encoder_block_out_channels", "16 and 8" },
    { "tiny-taesd", "    1,\n    1,", "    1,", "num_encoder_blocks", "3 levels" },
    { "tiny-vae", "UpDecoderBlock2D", "AttnUpDecoderBlock2D", "up_block_types", "AttnUpDecoderBlock2D" },
    { "tiny-clip", "\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "num_attention_heads", "divide 16" },
    { "tiny-taef2", "\"latent_channels\": 6,", "", "latent_channels", "required" },
    { "tiny-da2", "DepthAnythingForDepthEstimation", "DPTForDepthEstimation", "architectures", "DPTForDepthEstimation" },
    { "tiny-da2", "\"backbone_config\"", "\"backbone\"", "backbone_config", "DINOv2" },
    { "tiny-da2", "\"dinov2\"", "\"swin\"", "model_type", "swin" },
    { "tiny-da2", "\"hidden_size\": 16", "\"hidden_size\": 17", "num_attention_heads", "17 channels" },
    { "tiny-da2", "[1, 2, 3, 4]", "[1, 2, 3, 5]", "out_layers", "block 4 of 4" },
    { "tiny-da2", "[1, 2, 3, 4]", "[1, 2, 3]", "out_indices", "reads 4" },
    { "tiny-da2", "[8, 8, 16, 16]", "[8, 8, 16]", "neck_hidden_sizes", "4 levels" },
    { "tiny-da2", "\"patch_size\": 14", "\"patch_size\": 16", "patch_size", "14" },
    { "tiny-da2", "\"relative\"", "\"absolute\"", "depth_estimation_type", "absolute" },
    { "tiny-da2", "\"max_depth\": 1", "\"max_depth\": -1", "max_depth", "-1" },
    { "tiny-da3", "\"vits\"", "\"vitg\"", "name", "vitg" },
    { "tiny-da3", "da3-small", "other-small", "_class_name", "which model" },
    { "tiny-da3", "\"num_heads\": 2", "\"num_heads\": 3", "num_attention_heads", "fours" },
    { "tiny-da3", "[8, 8, 16, 16]", "[8, 8, 16, 18]", "out_channels", "18" },
};
// clang-format on

TEST(a_wrong_config_is_refused_by_file_and_field)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const struct wrong *w = &wrongs[i];
        const char *folder = folder_new("wrong");
        struct ph_module *m = NULL;
        struct ph_fault fault = { 0 };
        char file[300];
        snprintf(file, sizeof file, "%s/%s", folder,
                 strcmp(w->model, "tiny-taef2") ? "config.json" : "taef2_config.json");
        config_write(folder, w->model, w->from, w->to);
        ph_err err = ph_module_describe(file, &m, &fault);
        printf("# %s\n", fault.message);
        CHECK(err < 0 && !m);
        CHECK_HAS(fault.message, "config.json");
        CHECK_HAS(fault.message, w->field);
        CHECK_HAS(fault.message, w->message);
        unlink(file);
    }
}

TEST(a_folder_without_a_config_says_so)
{
    struct ph_module *m;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_module_open(folder_new("empty"), &m, &fault), ==, PH_ENOENT);
    CHECK_HAS(fault.message, "no config.json");
    CHECK_INT(ph_module_open("/nowhere/at/all", &m, &fault), ==, PH_ENOENT);
    config_write(folder_new("bare"), "tiny-unet", NULL, NULL);
    CHECK_INT(ph_module_open(folder_new("bare"), &m, &fault), <, 0);
    CHECK(!m);
}

// ------------------------------------------------------------------------------ weights
static const char *const tiny[] = { "tiny-unet",  "tiny-unet-sdxl", "tiny-controlnet",
                                    "tiny-taesd", "tiny-vae",       "tiny-clip",
                                    "tiny-taef2", "tiny-da2",       "tiny-da3" };
#define TINY ((int) (sizeof tiny / sizeof *tiny))

TEST(random_weights_of_every_class_open_and_agree_with_their_config)
{
    for (int i = 0; i < TINY; i++) {
        struct ph_module *m = module_random(tiny[i], 7);
        CHECK_INT(ph_module_check(m, NULL, NULL, NULL), ==, 0);
        for (int k = 0; k < ph_module_parts(m); k++) {
            struct ph_module_size size = { 2, 48, 64, 9 };
            struct ph_fault fault = { 0 };
            struct ph_prog *p;
            CHECK_OK(ph_prog_create(&p));
            ph_module_record(p, m, k, &size, NULL);
            if (ph_prog_error(p, &fault)) TEST_FAIL("%s: %s", tiny[i], fault.message);
            ph_prog_free(&p);
        }
        ph_module_close(&m);
    }
}

// Writes the tensors of a described module as a file, changed by `change`.
static void write_changed(const struct ph_module *m, const char *folder,
                          int (*change)(struct ph_named_tensor *t, int count))
{
    struct ph_tensor_list list;
    struct ph_named_tensor t[600];
    char path[1200];
    CHECK_OK(ph_module_tensors(m, -1, &list, NULL));
    CHECK_INT(list.count, <, 500);
    memcpy(t, list.tensor, sizeof *t * (size_t) list.count);
    int count = change(t, list.count);
    snprintf(path, sizeof path, "%s/%s", folder, m->class->default_file);
    CHECK_OK(ph_weights_save(path, t, count, 1, NULL));
    ph_tensor_list_free(&list);
}

// Tensor 3 is missing, 5 misshapen, 7 holds integers, and one is nobody's.
static int spoil(struct ph_named_tensor *t, int count)
{
    t[5].tensor.dim[0]++;
    t[7].tensor.dtype = PH_I32;
    t[count] = (struct ph_named_tensor){ "conv_extra.weight",
                                         { .dtype = PH_F32, .rank = 1, .dim = { 3 } } };
    memmove(t + 3, t + 4, sizeof *t * (size_t) (count - 3));
    return count;
}

struct seen {
    int count[4];
    char name[4][128];
};

static void see(void *arg, const struct ph_tensor_issue *issue)
{
    struct seen *seen = arg;
    printf("# %s\n", issue->message);
    CHECK_HAS(issue->message, issue->name);
    CHECK_HAS(issue->message, ".safetensors");
    seen->count[issue->trouble]++;
    snprintf(seen->name[issue->trouble], sizeof seen->name[0], "%s", issue->name);
}

TEST(every_tensor_that_differs_from_the_config_is_named)
{
    const char *folder = folder_new("spoiled");
    struct ph_tensor_list list;
    struct ph_fault fault = { 0 };
    struct seen seen = { 0 };
    config_write(folder, "tiny-unet", NULL, NULL);
    struct ph_module *m = module_describe(folder);
    CHECK_OK(ph_module_tensors(m, -1, &list, NULL));
    write_changed(m, folder, spoil);
    ph_module_close(&m);

    CHECK_INT(ph_module_open(folder, &m, &fault), ==, PH_EFORMAT);
    CHECK(!m);
    CHECK_HAS(fault.message, list.tensor[3].name);
    CHECK_HAS(fault.message, "3 more");

    CHECK_OK(ph_module_open_unchecked(folder, &m, &fault));
    CHECK_INT(ph_module_check(m, see, &seen, &fault), ==, 4);
    for (int i = 0; i < 4; i++) CHECK_INT(seen.count[i], ==, 1);
    CHECK_STR(seen.name[PH_TENSOR_MISSING], list.tensor[3].name);
    CHECK_STR(seen.name[PH_TENSOR_MISSHAPEN], list.tensor[5].name);
    CHECK_STR(seen.name[PH_TENSOR_NO_FLOAT], list.tensor[7].name);
    CHECK_STR(seen.name[PH_TENSOR_EXTRA], "conv_extra.weight");
    ph_tensor_list_free(&list);
    ph_module_close(&m);
}

TEST(weights_of_another_model_are_refused)
{
    struct ph_module *m = module_random("tiny-unet", 1);
    const char *path = m->path;
    struct ph_fault fault = { 0 };
    config_write(path, "tiny-unet-sdxl", NULL, NULL);
    ph_module_close(&m);
    CHECK_INT(ph_module_open(folder_new("tiny-unet"), &m, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "more tensors");
}

// What the builders themselves say, to those who record without opening a module.
TEST(a_builder_names_the_first_tensor_that_does_not_fit)
{
    struct ph_module *m = module_random("tiny-unet", 1), *other;
    struct ph_fault fault = { 0 };
    struct ph_prog *p;
    const char *folder = folder_new("wider");
    config_write(folder, "tiny-unet", "    32\n", "    64\n");
    other = module_describe(folder);
    CHECK_OK(ph_prog_create(&p));
    ph_module_record(p, other, 0, NULL, m->weights[0]);
    CHECK_INT(ph_prog_error(p, &fault), ==, PH_EFORMAT);
    CHECK_HAS(fault.message, "down_blocks.1.resnets.0.conv1.weight is [32, 16, 3, 3]");
    CHECK_HAS(fault.message, "expected [64, 16, 3, 3]");
    ph_prog_free(&p);
    ph_module_close(&other);
    ph_module_close(&m);
}

// A linear layer over tokens may be stored as a 1x1 convolution, whatever the config says.
static int as_convolutions(struct ph_named_tensor *t, int count)
{
    for (int i = 0; i < count; i++) {
        struct ph_tensor *one = &t[i].tensor;
        if (!strstr(t[i].name, "proj_in.weight")) continue;
        one->rank = 4;
        one->dim[2] = one->dim[3] = 1;
    }
    return count;
}

TEST(linear_layers_stored_as_convolutions_are_accepted)
{
    const char *folder = folder_new("convolutions");
    struct ph_fault fault = { 0 };
    config_write(folder, "tiny-unet", NULL, NULL);
    struct ph_module *m = module_describe(folder);
    write_changed(m, folder, as_convolutions);
    ph_module_close(&m);
    if (ph_module_open(folder, &m, &fault)) TEST_FAIL("%s", fault.message);
    ph_module_close(&m);
}
