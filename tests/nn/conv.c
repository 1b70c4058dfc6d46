// SPDX-License-Identifier: MIT
// Convolutions and linear layers of every kernel beside a double reference.
#include "layer_check.h"

static struct layer_spec random_conv(void)
{
    static const int channels[] = { 3, 4, 5, 9, 16, 24, 32, 48, 64, 80 };
    int k = dice(3) ? 3 : 1;
    struct layer_spec s = { .op = PH_OP_CONV,
                            .n = 1 + dice(2),
                            .c = channels[dice(10)],
                            .h = 3 + dice(12),
                            .w = 3 + dice(12),
                            .outputs = channels[dice(10)],
                            .k = k,
                            .conv = { .stride = 1 + dice(2) },
                            .x = dice(2) ? PH_F32 : PH_BF16,
                            .y = dice(2) ? PH_F32 : PH_BF16,
                            .residual = dice(2)   ? PH_DTYPE_NONE
                                        : dice(2) ? PH_F32
                                                  : PH_BF16,
                            .no_bias = !dice(4),
                            .act = (enum ph_act) dice(PH_ACT_TANH + 1),
                            .seed = (uint64_t) dice(1000) };
    if (k == 3) {
        s.conv.top = dice(2);
        s.conv.left = dice(2);
        s.conv.bottom = dice(2);
        s.conv.right = dice(2);
    }
    s.in_place = s.residual == s.y && dice(2);
    return s;
}

static struct layer_spec random_linear(void)
{
    struct layer_spec s = random_conv();
    s.op = PH_OP_LINEAR;
    s.k = 1;
    s.c = 1 + dice(200);
    s.outputs = 1 + dice(200);
    s.conv = (struct ph_conv){ 0 };
    if (!dice(4)) s.n = s.h = s.w = 1;
    return s;
}

static struct layer_spec make(int i)
{
    return i % 3 == 2 ? random_linear() : random_conv();
}

TEST(onednn_f32_matches_the_reference_in_all_shapes)
{
    check_kernel("onednn f32", make, PH_PRECISION_F32, LAYER_EXACT, 3e-6, 120);
}

TEST(onednn_bf16_is_the_product_of_rounded_operands)
{
    check_kernel("onednn bf16", make, PH_PRECISION_BF16, LAYER_BF16, 3e-6, 120);
}

TEST(onednn_i8_is_the_product_of_rounded_operands)
{
    check_kernel("onednn i8", make, PH_PRECISION_I8, LAYER_I8, 3e-4, 120);
}

TEST(onednn_q4_is_near)
{
    check_kernel("onednn q4", make, PH_PRECISION_Q4, LAYER_EXACT, 0.15, 120);
}

// oneDNN chooses its parts by the number of threads; no sum may depend on it.
TEST(onednn_gives_the_same_with_any_number_of_threads)
{
    static const char *const kernels[] = { "onednn f32", "onednn bf16", "onednn i8",
                                           "onednn q4" };
    for (int i = 0; i < 4; i++) {
        enum ph_precision precision = PH_PRECISION_F32 + i;
        struct layer_spec conv = { .op = PH_OP_CONV,
                                   .n = 1,
                                   .c = 96,
                                   .h = 23,
                                   .w = 17,
                                   .outputs = 80,
                                   .k = 3,
                                   .conv = { 1, 1, 1, 1, 1 },
                                   .x = PH_F32,
                                   .y = PH_F32,
                                   .precision = precision };
        struct layer_spec linear = { .op = PH_OP_LINEAR,
                                     .n = 1,
                                     .c = 1280,
                                     .h = 1,
                                     .w = 77,
                                     .outputs = 320,
                                     .x = PH_F32,
                                     .y = PH_F32,
                                     .precision = precision };
        check_threads(&conv, kernels[i]);
        check_threads(&linear, kernels[i]);
    }
}
