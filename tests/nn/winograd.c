// SPDX-License-Identifier: MIT
// Our own Winograd convolutions beside a double reference.
#include "layer_check.h"

static struct layer_spec make(int i)
{
    static const int channels[] = { 16, 32, 48, 64, 96, 128 };
    struct layer_spec s = { .op = PH_OP_CONV,
                            .n = 1 + dice(2),
                            .c = channels[dice(6)],
                            .h = 1 + dice(20),
                            .w = 1 + dice(20),
                            .outputs = channels[dice(6)],
                            .k = 3,
                            .x = dice(2) ? PH_F32 : PH_BF16,
                            .y = dice(2) ? PH_F32 : PH_BF16,
                            .residual = dice(2)   ? PH_DTYPE_NONE
                                        : dice(2) ? PH_F32
                                                  : PH_BF16,
                            .no_bias = !dice(4),
                            .act = (enum ph_act) dice(PH_ACT_SILU + 1),
                            .seed = (uint64_t) i };
    s.conv = (struct ph_conv){ 1, dice(3), dice(3), dice(3), dice(3), 0 };
    if (s.h < 3) s.conv.top = s.conv.bottom = 1;
    if (s.w < 3) s.conv.left = s.conv.right = 1;
    s.in_place = s.residual == s.y && dice(2);
    return s;
}

// Measured: 1.5e-6 with 64 channels; it grows with the root of their number.
TEST(winograd_f32_matches_the_reference_in_all_shapes)
{
    check_kernel("winograd 4x3 f32", make, PH_PRECISION_F32, LAYER_EXACT, 4e-6, 200);
}

// Sums are f32, but inputs and weights are rounded after their transforms.
TEST(winograd_bf16_is_near_in_all_shapes)
{
    check_kernel("winograd 2x3 bf16", make, PH_PRECISION_BF16, LAYER_EXACT, 6e-3, 200);
}

static const struct layer_spec large = { .op = PH_OP_CONV,
                                         .n = 1,
                                         .c = 320,
                                         .h = 30,
                                         .w = 45,
                                         .outputs = 320,
                                         .k = 3,
                                         .conv = { 1, 1, 1, 1, 1 },
                                         .x = PH_F32,
                                         .y = PH_F32,
                                         .act = PH_ACT_RELU };

// Weights beyond what a thread keeps to itself: all threads work on the same tiles.
TEST(winograd_of_many_channels_matches_the_reference)
{
    struct ph_device *d = open_device("cpu:threads=2");
    struct layer_spec s = large;
    s.precision = PH_PRECISION_F32;
    double exact = run_case(&s, d, "winograd 4x3 f32", LAYER_EXACT);
    s.precision = PH_PRECISION_BF16;
    double rounded = run_case(&s, d, "winograd 2x3 bf16", LAYER_EXACT);
    ph_device_unref(&d);
    if (exact < 0) TEST_SKIP("no AVX-512 here");
    CHECK_NUM(exact, <=, 5e-6);
    CHECK_NUM(rounded, <=, 6e-3); // -1 without bf16
}

TEST(winograd_bf16_is_at_most_twice_as_far_off_as_the_direct_product)
{
    struct ph_device *d = open_device("cpu:threads=2");
    struct layer_spec s = large;
    s.precision = PH_PRECISION_BF16;
    double direct = run_case(&s, d, "onednn bf16", LAYER_EXACT);
    double ours = run_case(&s, d, "winograd 2x3 bf16", LAYER_EXACT);
    ph_device_unref(&d);
    if (direct < 0 || ours < 0) TEST_SKIP("bf16 or onednn is missing");
    printf("# direct %.3g, winograd %.3g\n", direct, ours);
    CHECK_NUM(ours, <=, 2 * direct);
}

TEST(winograd_gives_the_same_with_any_number_of_threads)
{
    struct layer_spec s = large;
    s.residual = PH_F32;
    s.precision = PH_PRECISION_F32;
    check_threads(&s, "winograd 4x3 f32");
    s.c = s.outputs = 64;
    check_threads(&s, "winograd 4x3 f32");
}

TEST(winograd_bf16_gives_the_same_with_any_number_of_threads)
{
    struct layer_spec s = large;
    s.precision = PH_PRECISION_BF16;
    check_threads(&s, "winograd 2x3 bf16");
    s.c = s.outputs = 64;
    check_threads(&s, "winograd 2x3 bf16");
}

// Results too large for the caches take another way to memory.
TEST(winograd_of_a_large_picture_matches_the_reference)
{
    struct ph_device *d = open_device("cpu:threads=2");
    struct layer_spec s = large;
    s.c = 16;
    s.outputs = 512;
    s.h = 113;
    s.w = 109;
    s.precision = PH_PRECISION_F32;
    double error = run_case(&s, d, "winograd 4x3 f32", LAYER_EXACT);
    ph_device_unref(&d);
    if (error < 0) TEST_SKIP("no AVX-512 here");
    CHECK_NUM(error, <=, 4e-6);
}
