// SPDX-License-Identifier: MIT
// The true configs: parameters and operations equal the published and counted ones.
#include <math.h>

#include "models/model.h"
#include "test.h"

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
};
// clang-format on
#define FACTS (sizeof facts / sizeof *facts)

static struct ph_module *describe(const char *model)
{
    char path[1024];
    struct ph_fault fault = { 0 };
    struct ph_module *m;
    snprintf(path, sizeof path, "%s/models/%s", getenv("PH_TEST_DATA"), model);
    if (ph_module_describe(path, &m, &fault)) TEST_FAIL("%s: %s", model, fault.message);
    return m;
}

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
        struct ph_module *m = describe(f->model);
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
        struct ph_module *m = describe(f->model);
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
