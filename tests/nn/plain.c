// SPDX-License-Identifier: MIT
// The plain kernels beside formulas written out in double: they are what all others are held to.
#include "test.h"

#include "nn/cpu/kernels.h"
#include "nn/plan_priv.h"
#include "rig.h"
#include "shapes.h"

static struct ph_device *device;

static const struct ph_kernel *plain_of(enum ph_op op)
{
    for (int i = 0; ph_cpu_plain[i]; i++)
        if (ph_cpu_plain[i]->op == op) return ph_cpu_plain[i];
    TEST_FAIL("no plain %s", ph_op_name(op));
}

static void open_rig(struct rig *r, const struct rig_case *c)
{
    struct ph_fault fault = { 0 };
    if (!device && ph_device_open("cpu:threads=2", &device, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    if (rig_open(r, c, device, PH_F32, PH_F32, &fault) < 0) TEST_FAIL("%s", fault.message);
}

static void run(struct rig *r)
{
    CHECK_OK(rig_run(r, plain_of(r->step.op), PH_PRECISION_F32));
    CHECK(rig_untouched(r));
}

static void begin(struct rig *r, const struct rig_case *c)
{
    open_rig(r, c);
    run(r);
}

// Where element [a, b, c, d] of logical shape lies, channels last.
static int64_t place4(const struct ph_place *p, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return ((n * p->dim[2] + y) * p->dim[3] + x) * p->dim[1] + c;
}

static double in4(const struct rig *r, int i, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return rig_value(&r->place[i], place4(&r->place[i], n, c, y, x));
}

static double out4(struct rig *r, int64_t n, int64_t c, int64_t y, int64_t x)
{
    return rig_value(rig_out(r), place4(rig_out(r), n, c, y, x));
}

static float *weight_of(struct rig *r, const struct ph_weight *w)
{
    int64_t n = ph_tensor_count(&w->disk);
    float *v = malloc(sizeof *v * (size_t) n);
    CHECK_OK(ph_weights_read(r->set, w, 0, n, v));
    return v;
}

static void check_near(double got, double want, double scale)
{
    CHECK_NUM(fabs(got - want), <=, 1e-6 * scale);
}

// For every [n, c, y, x] of the output.
#define EACH4(r)                                                                               \
    for (int64_t n = 0; n < rig_out(r)->dim[0]; n++)                                           \
        for (int64_t c = 0; c < rig_out(r)->dim[1]; c++)                                       \
            for (int64_t y = 0; y < rig_out(r)->dim[2]; y++)                                   \
                for (int64_t x = 0; x < rig_out(r)->dim[3]; x++)

// ------------------------------------------------------------------------------ layers
TEST(convolution_is_its_sum)
{
    struct rig_case k = { .name = "conv",
                          .step = { .op = PH_OP_CONV,
                                    .conv = { .stride = 2, .top = 1, .left = 2, .right = 1 },
                                    .act = PH_ACT_RELU },
                          .in = { SPACE(2, 5, 7, 8) },
                          .out = SPACE(2, 11, 3, 5),
                          .residual = SPACE(2, 11, 3, 5),
                          .weight = { 4, { 11, 5, 3, 3 } } };
    struct rig r;
    begin(&r, &k);
    float *w = weight_of(&r, r.step.weight), *b = weight_of(&r, r.step.bias);
    EACH4(&r)
    {
        double sum = b[c] + in4(&r, 4, n, c, y, x);
        for (int64_t i = 0; i < 5; i++)
            for (int64_t ky = 0; ky < 3; ky++)
                for (int64_t kx = 0; kx < 3; kx++) {
                    int64_t sy = y * 2 + ky - 1, sx = x * 2 + kx - 2;
                    if (sy < 0 || sy >= 7 || sx < 0 || sx >= 8) continue;
                    sum += w[((c * 5 + i) * 3 + ky) * 3 + kx] * in4(&r, 0, n, i, sy, sx);
                }
        check_near(out4(&r, n, c, y, x), sum > 0 ? sum : 0, 4);
    }
    free(w);
    free(b);
    rig_close(&r);
}

TEST(linear_layer_is_its_sum)
{
    struct rig_case k = { .name = "linear",
                          .step = { .op = PH_OP_LINEAR },
                          .in = { TOKENS(2, 19, 301) },
                          .out = TOKENS(2, 19, 21),
                          .weight = { 2, { 21, 301 } } };
    struct rig r;
    begin(&r, &k);
    float *w = weight_of(&r, r.step.weight), *b = weight_of(&r, r.step.bias);
    for (int64_t row = 0; row < 38; row++)
        for (int64_t o = 0; o < 21; o++) {
            double sum = b[o];
            for (int64_t i = 0; i < 301; i++)
                sum += (double) w[o * 301 + i] * rig_value(&r.place[0], row * 301 + i);
            check_near(rig_value(rig_out(&r), row * 21 + o), sum, 4);
        }
    free(w);
    free(b);
    rig_close(&r);
}

// Query i of head h of image n, element e.
static double attended(const struct rig *r, int64_t n, int64_t i, int h, int64_t e,
                       int64_t keys)
{
    const struct ph_place *q = &r->place[0], *k = &r->place[1], *v = &r->place[2];
    int64_t c = q->dim[2], d = c / r->step.attention.heads, at = h * d;
    double sum = 0, total = 0;
    for (int64_t j = 0; j < keys; j++) {
        double dot = 0;
        for (int64_t f = 0; f < d; f++)
            dot += (double) rig_value(q, (n * q->dim[1] + i) * c + at + f) *
                   rig_value(k, (n * k->dim[1] + j) * c + at + f);
        double w = exp(dot * r->step.attention.scale);
        sum += w * rig_value(v, (n * k->dim[1] + j) * c + at + e);
        total += w;
    }
    return sum / total;
}

static void check_attention(bool causal, int64_t t, int64_t s)
{
    struct rig_case k = { .name = "attention",
                          .step = { .op = PH_OP_ATTEND,
                                    .attention = { .heads = 3, .scale = 0.4f } },
                          .in = { TOKENS(2, t, 21), TOKENS(2, s, 21), TOKENS(2, s, 21) },
                          .out = TOKENS(2, t, 21) };
    struct rig r;
    k.step.attention.causal = causal;
    begin(&r, &k);
    for (int64_t n = 0; n < 2; n++)
        for (int64_t i = 0; i < t; i++)
            for (int64_t c = 0; c < 21; c++) {
                int64_t keys = causal && i + 1 < s ? i + 1 : s;
                double want = attended(&r, n, i, (int) c / 7, c % 7, keys);
                check_near(rig_value(rig_out(&r), (n * t + i) * 21 + c), want, 4);
            }
    rig_close(&r);
}

TEST(attention_is_softmax_of_products_times_values)
{
    check_attention(false, 18, 23);
}

TEST(causal_attention_sees_what_was_before)
{
    check_attention(true, 20, 20);
}

TEST(group_norm_is_over_a_group_and_all_pixels)
{
    struct rig_case k = {
        .name = "norm",
        .step = { .op = PH_OP_GROUP_NORM, .groups = 2, .eps = 1e-2f, .act = PH_ACT_SILU },
        .in = { SPACE(2, 6, 3, 5) },
        .out = SPACE(2, 6, 3, 5),
        .row = ROWS(2, 6),
        .weight = VECTOR(6),
        .mean = 5
    };
    struct rig r;
    begin(&r, &k);
    float *w = weight_of(&r, r.step.weight), *b = weight_of(&r, r.step.bias);
    EACH4(&r)
    {
        double sum = 0, square = 0, v = 0;
        for (int64_t i = 0; i < 45; i++) {
            int64_t channel = c / 3 * 3 + i % 3, pixel = i / 3;
            double at = in4(&r, 0, n, channel, pixel / 5, pixel % 5) +
                        rig_value(&r.place[4], n * 6 + channel);
            sum += at;
            square += at * at;
        }
        double mean = sum / 45, variance = square / 45 - mean * mean;
        v = in4(&r, 0, n, c, y, x) + rig_value(&r.place[4], n * 6 + c) - mean;
        v = v / sqrt(variance + 0.01) * w[c] + b[c];
        check_near(out4(&r, n, c, y, x), v / (1 + exp(-v)), 4);
    }
    free(w);
    free(b);
    rig_close(&r);
}

TEST(layer_norm_is_over_a_row)
{
    struct rig_case k = { .name = "norm",
                          .step = { .op = PH_OP_LAYER_NORM, .eps = 1e-5f },
                          .in = { TOKENS(2, 3, 35) },
                          .out = TOKENS(2, 3, 35),
                          .weight = VECTOR(35) };
    struct rig r;
    begin(&r, &k);
    float *w = weight_of(&r, r.step.weight), *b = weight_of(&r, r.step.bias);
    for (int64_t row = 0; row < 6; row++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < 35; i++) {
            double v = rig_value(&r.place[0], row * 35 + i);
            sum += v;
            square += v * v;
        }
        double mean = sum / 35, deviation = sqrt(square / 35 - mean * mean + 1e-5);
        for (int64_t i = 0; i < 35; i++)
            check_near(rig_value(rig_out(&r), row * 35 + i),
                       (rig_value(&r.place[0], row * 35 + i) - mean) / deviation * w[i] + b[i],
                       4);
    }
    free(w);
    free(b);
    rig_close(&r);
}

// ------------------------------------------------------------------------------ elementwise
static double activation(enum ph_act act, double x)
{
    switch (act) {
    case PH_ACT_NONE: return x;
    case PH_ACT_RELU: return x > 0 ? x : 0;
    case PH_ACT_SILU: return x / (1 + exp(-x));
    case PH_ACT_GELU: return x / 2 * (1 + erf(x / sqrt(2)));
    case PH_ACT_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case PH_ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case PH_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case PH_ACT_TANH: return tanh(x);
    case PH_ACT_EXP: return exp(x);
    }
    return 0;
}

TEST(activations_are_their_formulas)
{
    for (int act = PH_ACT_RELU; act <= PH_ACT_EXP; act++) {
        struct rig_case k = { .name = "act",
                              .step = { .op = PH_OP_ACTIVATE, .act = (enum ph_act) act },
                              .in = { ROWS(3, 700) },
                              .out = ROWS(3, 700),
                              .size = 2 };
        struct rig r;
        begin(&r, &k);
        for (int64_t i = 0; i < 2100; i++) {
            double want = activation((enum ph_act) act, rig_value(&r.place[0], i));
            check_near(rig_value(rig_out(&r), i), want, fabs(want) + 1);
        }
        rig_close(&r);
    }
}

static void check_spread(struct rig_shape b, int stride_n, int stride_c, int stride_t)
{
    struct rig_case k = { .name = "add",
                          .step = { .op = PH_OP_ADD },
                          .in = { TOKENS(2, 5, 7), b },
                          .out = TOKENS(2, 5, 7) };
    struct rig r;
    begin(&r, &k);
    for (int64_t i = 0; i < 70; i++) {
        int64_t n = i / 35, t = i / 7 % 5, c = i % 7;
        double other = rig_value(&r.place[1], n * stride_n + t * stride_t + c * stride_c);
        check_near(rig_value(rig_out(&r), i), rig_value(&r.place[0], i) + other, 4);
    }
    rig_close(&r);
}

TEST(second_operands_spread)
{
    check_spread((struct rig_shape) TOKENS(2, 5, 7), 35, 1, 7);
    check_spread((struct rig_shape) VECTOR(1), 0, 0, 0);
    check_spread((struct rig_shape) VECTOR(2), 1, 0, 0);
    check_spread((struct rig_shape) VECTOR(7), 0, 1, 0);
    check_spread((struct rig_shape) ROWS(2, 7), 7, 1, 0);
    check_spread((struct rig_shape) ROWS(5, 7), 0, 1, 7);
}

TEST(channels_of_a_picture_are_spread_over_its_pixels)
{
    struct rig_case k = { .name = "mul",
                          .step = { .op = PH_OP_MUL },
                          .in = { SPACE(2, 7, 3, 5), ROWS(2, 7) },
                          .out = SPACE(2, 7, 3, 5) };
    struct rig r;
    begin(&r, &k);
    EACH4(&r)
    check_near(out4(&r, n, c, y, x), in4(&r, 0, n, c, y, x) * rig_value(&r.place[1], n * 7 + c),
               4);
    rig_close(&r);
}

TEST(axpby_has_its_own_factors_for_each_row)
{
    struct rig_case k = { .name = "axpby",
                          .step = { .op = PH_OP_AXPBY },
                          .in = { VECTOR(3), ROWS(3, 9), VECTOR(3), ROWS(3, 9) },
                          .out = ROWS(3, 9) };
    struct rig r;
    begin(&r, &k);
    for (int64_t i = 0; i < 27; i++) {
        double a = rig_value(&r.place[0], i / 9), b = rig_value(&r.place[2], i / 9);
        check_near(rig_value(rig_out(&r), i),
                   a * rig_value(&r.place[1], i) + b * rig_value(&r.place[3], i), 8);
    }
    rig_close(&r);
}

TEST(geglu_is_the_first_half_times_gelu_of_the_second)
{
    struct rig_case k = { .name = "geglu",
                          .step = { .op = PH_OP_GEGLU },
                          .in = { TOKENS(2, 3, 22) },
                          .out = TOKENS(2, 3, 11) };
    struct rig r;
    begin(&r, &k);
    for (int64_t i = 0; i < 66; i++) {
        int64_t at = i / 11 * 22 + i % 11;
        double gate = activation(PH_ACT_GELU, rig_value(&r.place[0], at + 11));
        check_near(rig_value(rig_out(&r), i), rig_value(&r.place[0], at) * gate, 4);
    }
    rig_close(&r);
}

TEST(sinusoids_begin_with_the_cosines)
{
    struct rig_case k = { .name = "sinusoid",
                          .step = { .op = PH_OP_SINUSOID, .max_period = 10000 },
                          .in = { ROWS(2, 3) },
                          .out = ROWS(2, 24),
                          .size = 300 };
    struct rig r;
    begin(&r, &k);
    for (int64_t i = 0; i < 48; i++) {
        double t = rig_value(&r.place[0], i / 8), f = pow(10000, -(double) (i % 4) / 4);
        double want = i % 8 < 4 ? cos(t * f) : sin(t * f);
        CHECK_NUM(fabs(rig_value(rig_out(&r), i) - want), <=, 1e-4); // f is rounded to float
    }
    rig_close(&r);
}

// ------------------------------------------------------------------------------ moves
TEST(axes_of_pictures_are_logical)
{
    for (int axis = 0; axis < 4; axis++) {
        int64_t d[4] = { 2, 5, 3, 4 };
        struct rig_case k = { .name = "concat",
                              .step = { .op = PH_OP_CONCAT, .axis = axis },
                              .in = { SPACE(2, 5, 3, 4), SPACE(2, 5, 3, 4) },
                              .out = SPACE(2, 5, 3, 4) };
        k.out.dim[axis] *= 2;
        struct rig r;
        begin(&r, &k);
        EACH4(&r)
        {
            int64_t at[4] = { n, c, y, x };
            int from = at[axis] >= d[axis];
            if (from) at[axis] -= d[axis];
            CHECK_NUM(out4(&r, n, c, y, x), ==, in4(&r, from, at[0], at[1], at[2], at[3]));
        }
        rig_close(&r);
    }
}

TEST(slices_begin_where_they_say)
{
    struct rig_case k = { .name = "slice",
                          .step = { .op = PH_OP_SLICE, .axis = 1, .first = 2 },
                          .in = { SPACE(2, 6, 3, 4) },
                          .out = SPACE(2, 3, 3, 4) };
    struct rig r;
    begin(&r, &k);
    EACH4(&r) CHECK_NUM(out4(&r, n, c, y, x), ==, in4(&r, 0, n, c + 2, y, x));
    rig_close(&r);
}

TEST(upsampling_takes_the_pixel_at_the_floor)
{
    struct rig_case k = { .name = "upsample",
                          .step = { .op = PH_OP_UPSAMPLE },
                          .in = { SPACE(2, 3, 4, 5) },
                          .out = SPACE(2, 3, 11, 10) };
    struct rig r;
    begin(&r, &k);
    EACH4(&r) CHECK_NUM(out4(&r, n, c, y, x), ==, in4(&r, 0, n, c, y * 4 / 11, x * 5 / 10));
    rig_close(&r);
}

TEST(embeddings_are_rows_and_unknown_ids_the_first)
{
    struct rig_case k = { .name = "embed",
                          .step = { .op = PH_OP_EMBED },
                          .in = { { 2, { 1, 4 }, PH_I32 } },
                          .out = TOKENS(1, 4, 600),
                          .weight = { 2, { 9, 600 } } };
    struct rig r;
    open_rig(&r, &k);
    memcpy(r.place[0].data, (int32_t[]){ 8, -1, 9, 3 }, 16);
    CHECK_OK(rig_run(&r, plain_of(PH_OP_EMBED), PH_PRECISION_F32));
    float *w = weight_of(&r, r.step.weight);
    const int row[] = { 8, 0, 0, 3 };
    for (int64_t i = 0; i < 2400; i++)
        CHECK_NUM(rig_value(rig_out(&r), i), ==, w[row[i / 600] * 600 + i % 600]);
    free(w);
    rig_close(&r);
}

TEST(picked_tokens_are_those_at_the_index)
{
    struct rig_case k = { .name = "pick",
                          .step = { .op = PH_OP_PICK },
                          .in = { TOKENS(3, 4, 5), { 1, { 3 }, PH_I32 } },
                          .out = ROWS(3, 5) };
    struct rig r;
    open_rig(&r, &k);
    memcpy(r.place[1].data, (int32_t[]){ 3, 0, 99 }, 12);
    CHECK_OK(rig_run(&r, plain_of(PH_OP_PICK), PH_PRECISION_F32));
    const int token[] = { 3, 0, 3 };
    for (int64_t i = 0; i < 15; i++)
        CHECK_NUM(rig_value(rig_out(&r), i), ==,
                  rig_value(&r.place[0], (i / 5 * 4 + token[i / 5]) * 5 + i % 5));
    rig_close(&r);
}

TEST(parameters_of_four_axes_have_channels_last)
{
    struct rig_case k = { .name = "param",
                          .step = { .op = PH_OP_PARAM },
                          .out = SPACE(2, 3, 4, 5),
                          .weight = { 4, { 2, 3, 4, 5 } } };
    struct rig r;
    begin(&r, &k);
    float *w = weight_of(&r, r.step.weight);
    EACH4(&r) CHECK_NUM(out4(&r, n, c, y, x), ==, w[((n * 3 + c) * 4 + y) * 5 + x]);
    free(w);
    rig_close(&r);
}

// ------------------------------------------------------------------------------ pictures
TEST(pixels_come_back)
{
    struct rig_case from = { .name = "from",
                             .step = { .op = PH_OP_FROM_PIXELS, .scale = 2, .offset = -1 },
                             .in = { { 4, { 1, 8, 8, 4 }, PH_U8 } },
                             .out = SPACE(1, 3, 8, 8) };
    struct rig_case to = { .name = "to",
                           .step = { .op = PH_OP_TO_PIXELS, .scale = 0.5f, .offset = 0.5f },
                           .in = { SPACE(1, 3, 8, 8) },
                           .out = { 4, { 1, 8, 8, 4 }, PH_U8 } };
    struct rig a, b;
    begin(&a, &from);
    open_rig(&b, &to);
    memcpy(b.place[0].data, rig_out(&a)->data, 8 * 8 * 3 * 4);
    CHECK_OK(rig_run(&b, plain_of(PH_OP_TO_PIXELS), PH_PRECISION_F32));
    const uint8_t *before = a.place[0].data, *after = rig_out(&b)->data;
    for (int i = 0; i < 256; i++) CHECK_INT(after[i], ==, i % 4 == 3 ? 255 : before[i]);
    rig_close(&a);
    rig_close(&b);
}

TEST(pixels_are_clamped_and_what_is_no_number_is_black)
{
    struct rig_case to = { .name = "to",
                           .step = { .op = PH_OP_TO_PIXELS, .scale = 1, .offset = 0 },
                           .in = { SPACE(1, 3, 1, 2) },
                           .out = { 4, { 1, 1, 2, 4 }, PH_U8 } };
    struct rig r;
    open_rig(&r, &to);
    const float v[6] = { -3, 7, NAN, INFINITY, -INFINITY, 0.5f };
    memcpy(r.place[0].data, v, sizeof v);
    CHECK_OK(rig_run(&r, plain_of(PH_OP_TO_PIXELS), PH_PRECISION_F32));
    const uint8_t want[8] = { 0, 255, 0, 255, 255, 0, 128, 255 };
    CHECK(memcmp(rig_out(&r)->data, want, sizeof want) == 0);
    rig_close(&r);
}

TEST(every_operation_has_a_plain_kernel)
{
    for (int op = PH_OP_PARAM; op < PH_OP_COUNT; op++) plain_of((enum ph_op) op);
}
