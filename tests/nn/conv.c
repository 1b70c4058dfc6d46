// SPDX-License-Identifier: MIT
// Convolutions and linear layers of every kernel beside a double reference.
#include "test.h"

#include "core/cpu.h"
#include "layer.h"

static struct ph_device *open_device(const char *spec)
{
    struct ph_device *d = NULL;
    struct ph_fault fault;
    if (ph_device_open(spec, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    return d;
}

static void print_case(const struct layer_spec *s, const char *kernel)
{
    printf("# %s: %s n%d c%d %dx%d -> %d k%d s%d pad %d %d %d %d x%d y%d r%d%s act%d\n", kernel,
           s->op == PH_OP_CONV ? "conv" : "linear", s->n, s->c, s->h, s->w, s->outputs, s->k,
           s->conv.stride, s->conv.top, s->conv.left, s->conv.bottom, s->conv.right, s->x, s->y,
           s->residual, s->in_place ? " in place" : "", s->act);
}

static double run_case(const struct layer_spec *spec, struct ph_device *d, const char *kernel,
                       enum layer_rounding rounding)
{
    struct layer l;
    struct ph_fault fault;
    if (layer_open(&l, spec, d, &fault) < 0) TEST_FAIL("%s", fault.message);
    const struct ph_kernel *k = layer_kernel(&l, kernel);
    if (!k) {
        layer_close(&l);
        return -1;
    }
    if (layer_prepare(&l, k, &fault) < 0) {
        print_case(spec, kernel);
        TEST_FAIL("%s", fault.message);
    }
    layer_run(&l);
    layer_run(&l); // the second run finds what the first one left
    double error = layer_error(&l, rounding);
    CHECK(layer_guard_ok(&l));
    layer_close(&l);
    return error;
}

static uint32_t dice_state = 1;
static int dice(int n)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (int) ((dice_state >> 8) % (uint32_t) n);
}

static struct layer_spec random_conv(enum ph_precision precision)
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
                            .precision = precision,
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

static struct layer_spec random_linear(enum ph_precision precision)
{
    struct layer_spec s = random_conv(precision);
    s.op = PH_OP_LINEAR;
    s.k = 1;
    s.c = 1 + dice(200);
    s.outputs = 1 + dice(200);
    s.conv = (struct ph_conv){ 0 };
    if (!dice(4)) s.n = s.h = s.w = 1;
    return s;
}

// Every random case that the kernel takes; fails when it takes hardly any.
static void check_kernel(const char *kernel, enum ph_precision precision,
                         enum layer_rounding rounding, double bound, int rounds)
{
    struct ph_device *d = open_device("cpu:threads=2");
    int done = 0;
    for (int i = 0; i < rounds; i++) {
        struct layer_spec s = i % 3 == 2 ? random_linear(precision) : random_conv(precision);
        double error = run_case(&s, d, kernel, rounding);
        if (error < 0) continue;
        // A result in bf16 has its own rounding; then the residual is rounded once more.
        double most = s.y == PH_BF16 ? bound + (s.residual ? 5e-3 : 2.5e-3) : bound;
        if (error > most) {
            print_case(&s, kernel);
            CHECK_NUM(error, <=, most);
        }
        done++;
    }
    ph_device_unref(&d);
    if (!done) TEST_SKIP("no kernel \"%s\" here", kernel);
    CHECK_INT(done, >=, rounds / 3);
}

TEST(onednn_f32_matches_the_reference_in_all_shapes)
{
    check_kernel("onednn f32", PH_PRECISION_F32, LAYER_EXACT, 3e-6, 120);
}

TEST(onednn_bf16_is_the_product_of_rounded_operands)
{
    check_kernel("onednn bf16", PH_PRECISION_BF16, LAYER_BF16, 3e-6, 120);
}

TEST(onednn_i8_is_the_product_of_rounded_operands)
{
    check_kernel("onednn i8", PH_PRECISION_I8, LAYER_I8, 3e-4, 120);
}

TEST(onednn_q4_is_near)
{
    check_kernel("onednn q4", PH_PRECISION_Q4, LAYER_EXACT, 0.15, 120);
}
