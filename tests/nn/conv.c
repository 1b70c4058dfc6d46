// SPDX-License-Identifier: MIT
// Convolutions and linear layers of every kernel beside a double reference.
#include "layer_check.h"

#include "core/cpu.h"
#include "nn/cpu/quant.h"

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

static struct layer_spec make_product(int i)
{
    struct layer_spec s = random_linear();
    if (i % 4 == 3) s.op = PH_OP_CONV, s.k = 1;
    s.c = 2 * (1 + dice(150));
    s.outputs = 16 * (1 + dice(9));
    s.w = 1 + dice(40);
    return s;
}

TEST(panels_of_bf16_are_the_product_of_rounded_operands)
{
    check_kernel("panels bf16", make_product, PH_PRECISION_BF16, LAYER_BF16, 3e-6, 200);
}

static struct layer_spec make_few(int i)
{
    struct layer_spec s = { .op = PH_OP_CONV,
                            .n = 1 + dice(2),
                            .c = 16 * (1 + dice(5)),
                            .h = 1 + dice(9),
                            .w = 1 + dice(9),
                            .outputs = 1 + i % 4,
                            .k = 3,
                            .conv = { 1, 1 + dice(2), 1 + dice(2), 1 + dice(2), 1 + dice(2),
                                      0 },
                            .x = dice(2) ? PH_F32 : PH_BF16,
                            .y = PH_F32,
                            .no_bias = !dice(4),
                            .seed = (uint64_t) i };
    return s;
}

TEST(few_outputs_match_the_reference_in_all_shapes)
{
    check_kernel("few outputs", make_few, PH_PRECISION_F32, LAYER_EXACT, 1e-6, 100);
}

// Parts are chosen by the number of threads, but no sum may depend on it. With AVX2 alone products
// of oneDNN do, in their last bits: it cuts long sums in as many parts as there are threads.
static void check_threads_of(const char *kernel, enum ph_precision precision)
{
    if (!(ph_cpu_flags() & PH_CPU_AVX512)) TEST_SKIP("no AVX-512 here");
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
    check_threads(&conv, kernel);
    static const int rows[] = { 1, 2, 77 }, inputs[] = { 320, 1280, 5120 };
    for (int i = 0; i < 9; i++) {
        struct layer_spec linear = conv;
        linear.op = PH_OP_LINEAR;
        linear.c = inputs[i / 3];
        linear.h = 1;
        linear.w = rows[i % 3];
        linear.outputs = i % 2 ? 64 : 320;
        check_threads(&linear, kernel);
    }
}

TEST(onednn_f32_gives_the_same_with_any_number_of_threads)
{
    check_threads_of("onednn f32", PH_PRECISION_F32);
}

TEST(onednn_bf16_gives_the_same_with_any_number_of_threads)
{
    check_threads_of("onednn bf16", PH_PRECISION_BF16);
}

TEST(panels_of_bf16_give_the_same_with_any_number_of_threads)
{
    static const int rows[] = { 1, 15, 325, 3000 }, inputs[] = { 32, 320, 5120 };
    for (int i = 0; i < 12; i++) {
        struct layer_spec s = { .op = PH_OP_LINEAR,
                                .n = 1,
                                .c = inputs[i % 3],
                                .h = 1,
                                .w = rows[i / 3],
                                .outputs = i % 2 ? 80 : 336,
                                .x = i % 2 ? PH_F32 : PH_BF16,
                                .y = i % 2 ? PH_BF16 : PH_F32,
                                .act = PH_ACT_GELU,
                                .precision = PH_PRECISION_BF16 };
        check_threads(&s, "panels bf16");
    }
}

TEST(onednn_i8_gives_the_same_with_any_number_of_threads)
{
    check_threads_of("onednn i8", PH_PRECISION_I8);
}

TEST(onednn_q4_gives_the_same_with_any_number_of_threads)
{
    check_threads_of("onednn q4", PH_PRECISION_Q4);
}

// Zeros have no scale.
TEST(onednn_i8_of_zeros_is_the_bias)
{
    struct ph_device *d = open_device("cpu:threads=2");
    struct layer_spec s = random_linear();
    s.c = s.outputs = 64;
    s.n = s.h = 1;
    s.w = 40;
    s.y = PH_F32;
    s.residual = PH_DTYPE_NONE;
    s.no_bias = s.in_place = false;
    s.act = PH_ACT_NONE;
    s.precision = PH_PRECISION_I8;
    struct layer l;
    struct ph_fault fault;
    CHECK_OK(layer_open(&l, &s, d, &fault));
    const struct ph_kernel *k = layer_kernel(&l, "onednn i8");
    if (!k) TEST_SKIP("no int8 here");
    memset(l.place[0].data, 0, (size_t) l.place[0].count * ph_dtype_size(s.x));
    CHECK_OK(layer_prepare(&l, k, &fault));
    layer_run(&l);
    for (int i = 0; i < 40 * 64; i++)
        CHECK_NUM(((float *) l.place[1].data)[i], ==, l.bias[i % 64]);
    layer_close(&l);
    ph_device_unref(&d);
}

TEST(quantising_by_vectors_gives_the_bytes_of_plain_c)
{
    const struct ph_quant_ops *best = ph_quant_ops(), *c = &ph_quant_ops_c;
    if (best == c) TEST_SKIP("plain C only");
    enum { N = 1003, PAIRS = 5, OUTPUTS = 48 };
    static float x[N], scale[OUTPUTS];
    static uint16_t half[N], wide[2][PAIRS * OUTPUTS * 2];
    static int8_t q[2][N + 1];
    static uint8_t nibbles[PAIRS * OUTPUTS];
    for (int i = 0; i < N; i++) x[i] = (float) (dice(20001) - 10000) / 97;
    x[7] = NAN, x[500] = INFINITY, x[501] = -INFINITY, x[1002] = 2.5f;
    for (int n = 0; n <= N; n += n < 40 ? 1 : 107) {
        ph_convert(PH_BF16, half, PH_F32, x, N);
        CHECK(best->peak_f32(x, n) == c->peak_f32(x, n));
        CHECK(best->peak_bf16(half, n) == c->peak_bf16(half, n));
        for (int bf16 = 0; bf16 < 2; bf16++) {
            memset(q, 99, sizeof q);
            for (int i = 0; i < 2; i++) {
                const struct ph_quant_ops *ops = i ? best : c;
                if (bf16)
                    ops->bytes_bf16(q[i], half, n, 1.7f);
                else
                    ops->bytes_f32(q[i], x, n, 1.7f);
            }
            CHECK(!memcmp(q[0], q[1], sizeof q[0])); // also beyond n
        }
    }
    for (int i = 0; i < PAIRS * OUTPUTS; i++) nibbles[i] = (uint8_t) dice(256);
    for (int i = 0; i < OUTPUTS; i++) scale[i] = (float) (dice(2001) - 1000) / 3000;
    c->widen(wide[0], nibbles, scale, PAIRS, OUTPUTS);
    best->widen(wide[1], nibbles, scale, PAIRS, OUTPUTS);
    CHECK(!memcmp(wide[0], wide[1], sizeof wide[0]));
}
