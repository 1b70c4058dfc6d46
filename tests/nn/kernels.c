// SPDX-License-Identifier: MIT
// Every fast kernel beside the plain one: all types, tails, big values, NaN and infinity, guard
// bytes, and the same bytes from any number of threads.
#include "test.h"

#include "nn/cpu/kernels.h"
#include "nn/plan_priv.h"
#include "rig.h"
#include "shapes.h"

// ------------------------------------------------------------------------------ cases
#define ATTEND(label, n, t, s, c, h, ...)                                                      \
    {                                                                                          \
        .name = label,                                                                         \
        .step = { .op = PH_OP_ATTEND, .attention = { .heads = h, __VA_ARGS__ } },              \
        .in = { TOKENS(n, t, c), TOKENS(n, s, c), TOKENS(n, s, c) }, .out = TOKENS(n, t, c),   \
    }

static const struct rig_case attention_cases[] = {
    ATTEND("one head of 64", 1, 200, 200, 64, 1, .scale = 0.125f),
    ATTEND("heads of 40", 2, 333, 333, 120, 3, .scale = 0.158f),
    ATTEND("heads of 24", 1, 50, 300, 72, 3, .scale = 0.2f),
    ATTEND("heads of 8", 1, 50, 300, 16, 2, .scale = 0.35f),
    ATTEND("heads of 80", 1, 65, 300, 160, 2, .scale = 0.11f),
    ATTEND("heads of 160", 1, 64, 64, 320, 2, .scale = 0.079f),
    ATTEND("one head of 512", 1, 70, 131, 512, 1, .scale = 0.044f),
    ATTEND("77 keys", 2, 130, 77, 128, 2, .scale = 0.125f),
    ATTEND("causal", 2, 77, 77, 128, 2, .causal = true, .scale = 0.125f),
    ATTEND("causal over many tiles", 1, 421, 421, 64, 1, .causal = true, .scale = 0.125f),
    ATTEND("odd heads", 1, 37, 53, 21, 3, .scale = 0.4f),
    ATTEND("heads of one", 1, 5, 9, 4, 4, .scale = 1),
    ATTEND("one key", 1, 3, 1, 24, 3, .scale = 0.3f),
    ATTEND("one query", 3, 1, 130, 48, 1, .scale = 0.144f),
    ATTEND("negative scale", 1, 20, 40, 32, 2, .scale = -0.2f),
    { .name = "big scores",
      .step = { .op = PH_OP_ATTEND, .attention = { .heads = 2, .scale = 1 } },
      .in = { TOKENS(1, 50, 96), TOKENS(1, 333, 96), TOKENS(1, 333, 96) },
      .out = TOKENS(1, 50, 96),
      .size = 3 },
    { .name = "scores whose powers overflow",
      .step = { .op = PH_OP_ATTEND, .attention = { .heads = 2, .scale = 1 } },
      .in = { TOKENS(1, 50, 80), TOKENS(1, 700, 80), TOKENS(1, 700, 80) },
      .out = TOKENS(1, 50, 80),
      .size = 4 },
    { .name = "all scores far from zero",
      .step = { .op = PH_OP_ATTEND, .attention = { .heads = 1, .scale = 1 } },
      .in = { TOKENS(1, 50, 64), TOKENS(1, 140, 64), TOKENS(1, 140, 64) },
      .out = TOKENS(1, 50, 64),
      .size = 0.1f,
      .mean = 2 },
    { 0 },
};

#define GROUP(label, g, a, ...)                                                                \
    {                                                                                          \
        .name = label,                                                                         \
        .step = { .op = PH_OP_GROUP_NORM, .groups = g, .act = a, .eps = 1e-5f }, __VA_ARGS__   \
    }
#define LAYER(label, a, ...)                                                                   \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_LAYER_NORM, .act = a, .eps = 1e-5f }, __VA_ARGS__ \
    }

static const struct rig_case norm_cases[] = {
    GROUP("320 channels", 32, PH_ACT_SILU, .in = { SPACE(2, 320, 9, 11) },
          .out = SPACE(2, 320, 9, 11), .weight = VECTOR(320)),
    GROUP("with a row", 32, PH_ACT_SILU, .in = { SPACE(2, 320, 8, 8) },
          .out = SPACE(2, 320, 8, 8), .weight = VECTOR(320), .row = ROWS(2, 320)),
    GROUP("with one row for all", 8, PH_ACT_NONE, .in = { SPACE(3, 64, 5, 5) },
          .out = SPACE(3, 64, 5, 5), .weight = VECTOR(64), .row = ROWS(1, 64)),
    GROUP("groups of three", 5, PH_ACT_NONE, .in = { SPACE(1, 15, 7, 33) },
          .out = SPACE(1, 15, 7, 33), .weight = VECTOR(15)),
    GROUP("one group", 1, PH_ACT_RELU, .in = { SPACE(2, 37, 3, 3) }, .out = SPACE(2, 37, 3, 3),
          .weight = VECTOR(37)),
    GROUP("a group a channel", 24, PH_ACT_NONE, .in = { SPACE(1, 24, 16, 16) },
          .out = SPACE(1, 24, 16, 16), .weight = VECTOR(24)),
    GROUP("tokens", 32, PH_ACT_NONE, .in = { TOKENS(2, 130, 64) }, .out = TOKENS(2, 130, 64),
          .weight = VECTOR(64)),
    GROUP("one pixel", 4, PH_ACT_NONE, .in = { SPACE(2, 64, 1, 1) }, .out = SPACE(2, 64, 1, 1),
          .weight = VECTOR(64)),
    GROUP("many blocks", 32, PH_ACT_SILU, .in = { SPACE(1, 128, 70, 65) },
          .out = SPACE(1, 128, 70, 65), .weight = VECTOR(128)),
    GROUP("2560 channels", 32, PH_ACT_SILU, .in = { SPACE(1, 2560, 3, 5) },
          .out = SPACE(1, 2560, 3, 5), .weight = VECTOR(2560)),
    GROUP("far from zero", 4, PH_ACT_NONE, .in = { SPACE(1, 64, 40, 40) },
          .out = SPACE(1, 64, 40, 40), .weight = VECTOR(64), .mean = 300),
    LAYER("768 channels", PH_ACT_NONE, .in = { TOKENS(2, 77, 768) }, .out = TOKENS(2, 77, 768),
          .weight = VECTOR(768)),
    LAYER("without weights", PH_ACT_NONE, .in = { TOKENS(1, 9, 40) }, .out = TOKENS(1, 9, 40)),
    LAYER("tail of one", PH_ACT_GELU, .in = { ROWS(5, 33) }, .out = ROWS(5, 33),
          .weight = VECTOR(33)),
    LAYER("three channels", PH_ACT_NONE, .in = { ROWS(1, 3) }, .out = ROWS(1, 3),
          .weight = VECTOR(3)),
    LAYER("far off", PH_ACT_NONE, .in = { TOKENS(1, 9, 320) }, .out = TOKENS(1, 9, 320),
          .weight = VECTOR(320), .mean = -300),
    { 0 },
};

#define LIKE(label, operation, ...)                                                            \
    {                                                                                          \
        .name = label, .step = { .op = operation, __VA_ARGS__ }, .in = { SPACE(2, 36, 7, 9) }, \
        .out = SPACE(2, 36, 7, 9)                                                              \
    }
#define TWO(label, operation, shape, other, ...)                                               \
    {                                                                                          \
        .name = label, .step = { .op = operation, __VA_ARGS__ }, .in = { shape, other },       \
        .out = shape                                                                           \
    }
#define JOIN(label, ax, one, two, both)                                                        \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_CONCAT, .axis = ax }, .in = { one, two },         \
        .out = both                                                                            \
    }
#define SLICE(label, ax, at, whole, part)                                                      \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_SLICE, .axis = ax, .first = at },                 \
        .in = { whole }, .out = part                                                           \
    }
#define MOVE(label, operation, from, to)                                                       \
    {                                                                                          \
        .name = label, .step = { .op = operation }, .in = { from }, .out = to                  \
    }
#define U8_SPACE(n, h, w)                                                                      \
    {                                                                                          \
        4, { n, h, w, 4 }, PH_U8                                                               \
    }

static const struct rig_case chain_cases[] = {
    LIKE("relu", PH_OP_ACTIVATE, .act = PH_ACT_RELU),
    LIKE("silu", PH_OP_ACTIVATE, .act = PH_ACT_SILU),
    LIKE("gelu", PH_OP_ACTIVATE, .act = PH_ACT_GELU),
    LIKE("tanh gelu", PH_OP_ACTIVATE, .act = PH_ACT_GELU_TANH),
    LIKE("quick gelu", PH_OP_ACTIVATE, .act = PH_ACT_QUICK_GELU),
    LIKE("sigmoid", PH_OP_ACTIVATE, .act = PH_ACT_SIGMOID),
    LIKE("tanh", PH_OP_ACTIVATE, .act = PH_ACT_TANH),
    LIKE("exp", PH_OP_ACTIVATE, .act = PH_ACT_EXP),
    { .name = "big gelu",
      .step = { .op = PH_OP_ACTIVATE, .act = PH_ACT_GELU },
      .in = { ROWS(3, 501) },
      .out = ROWS(3, 501),
      .size = 60 },
    { .name = "big silu",
      .step = { .op = PH_OP_ACTIVATE, .act = PH_ACT_SILU },
      .in = { ROWS(3, 501) },
      .out = ROWS(3, 501),
      .size = 100 },
    { .name = "tiny tanh",
      .step = { .op = PH_OP_ACTIVATE, .act = PH_ACT_TANH },
      .in = { ROWS(3, 501) },
      .out = ROWS(3, 501),
      .size = 1e-4f },
    LIKE("affine", PH_OP_AFFINE, .scale = 0.37f, .offset = -2),
    LIKE("clamp", PH_OP_CLAMP, .scale = -0.5f, .offset = 0.75f),
    LIKE("copy", PH_OP_COPY, 0),
    TWO("add", PH_OP_ADD, SPACE(2, 36, 7, 9), SPACE(2, 36, 7, 9), 0),
    TWO("add, then relu", PH_OP_ADD, SPACE(2, 36, 7, 9), SPACE(2, 36, 7, 9),
        .act = PH_ACT_RELU),
    TWO("add one", PH_OP_ADD, TOKENS(2, 9, 7), VECTOR(1), 0),
    TWO("add a number a row", PH_OP_ADD, SPACE(3, 5, 7, 9), VECTOR(3), 0),
    TWO("add a number a channel", PH_OP_ADD, TOKENS(2, 9, 37), VECTOR(37), 0),
    TWO("add channels of each row", PH_OP_ADD, SPACE(2, 37, 5, 3), ROWS(2, 37), 0),
    TWO("add channels of each token", PH_OP_ADD, TOKENS(2, 9, 37), ROWS(9, 37), 0),
    TWO("mul", PH_OP_MUL, TOKENS(2, 9, 64), TOKENS(2, 9, 64), 0),
    TWO("mul a number a row", PH_OP_MUL, TOKENS(2, 9, 64), VECTOR(2), 0),
    TWO("mul channels of each row", PH_OP_MUL, SPACE(2, 40, 5, 3), ROWS(2, 40), 0),
    { .name = "axpby",
      .step = { .op = PH_OP_AXPBY },
      .in = { VECTOR(3), SPACE(3, 4, 9, 7), VECTOR(3), SPACE(3, 4, 9, 7) },
      .out = SPACE(3, 4, 9, 7) },
    { .name = "geglu",
      .step = { .op = PH_OP_GEGLU },
      .in = { TOKENS(2, 9, 2 * 37) },
      .out = TOKENS(2, 9, 37) },
    JOIN("concat channels", 1, SPACE(2, 36, 5, 3), SPACE(2, 17, 5, 3), SPACE(2, 53, 5, 3)),
    JOIN("concat rows", 0, SPACE(1, 6, 5, 3), SPACE(2, 6, 5, 3), SPACE(3, 6, 5, 3)),
    JOIN("concat height", 2, SPACE(2, 6, 5, 3), SPACE(2, 6, 2, 3), SPACE(2, 6, 7, 3)),
    JOIN("concat width", 3, SPACE(2, 6, 5, 3), SPACE(2, 6, 5, 4), SPACE(2, 6, 5, 7)),
    JOIN("concat tokens", 1, TOKENS(2, 5, 33), TOKENS(2, 7, 33), TOKENS(2, 12, 33)),
    JOIN("concat vectors", 1, ROWS(2, 320), ROWS(2, 33), ROWS(2, 353)),
    SLICE("slice channels", 1, 3, SPACE(2, 36, 5, 3), SPACE(2, 17, 5, 3)),
    SLICE("slice tokens", 1, 2, TOKENS(2, 9, 33), TOKENS(2, 5, 33)),
    SLICE("slice rows", 0, 1, SPACE(3, 6, 5, 3), SPACE(2, 6, 5, 3)),
    MOVE("upsample", PH_OP_UPSAMPLE, SPACE(2, 36, 5, 7), SPACE(2, 36, 10, 14)),
    MOVE("upsample by fractions", PH_OP_UPSAMPLE, SPACE(1, 5, 5, 7), SPACE(1, 5, 13, 9)),
    MOVE("upsample a pixel", PH_OP_UPSAMPLE, SPACE(2, 36, 1, 1), SPACE(2, 36, 4, 4)),
    MOVE("repeat", PH_OP_REPEAT, TOKENS(1, 9, 37), TOKENS(3, 9, 37)),
    MOVE("stretch", PH_OP_STRETCH, SPACE(2, 36, 5, 7), SPACE(2, 36, 10, 14)),
    MOVE("stretch by fractions", PH_OP_STRETCH, SPACE(1, 19, 5, 7), SPACE(1, 19, 13, 9)),
    MOVE("shrink", PH_OP_STRETCH, SPACE(1, 5, 12, 9), SPACE(1, 5, 3, 1)),
    MOVE("stretch a pixel", PH_OP_STRETCH, SPACE(2, 36, 1, 1), SPACE(2, 36, 4, 5)),
    { .name = "spread",
      .step = { .op = PH_OP_SPREAD, .groups = 4 },
      .in = { TOKENS(2, 6, 16 * 7) },
      .out = SPACE(2, 7, 8, 12) },
    TWO("rotary", PH_OP_ROTARY, TOKENS(2, 9, 3 * 64), ROWS(9, 64), .groups = 3),
    TWO("rotary of narrow heads", PH_OP_ROTARY, TOKENS(1, 5, 2 * 12), ROWS(5, 12), .groups = 2),
    { .name = "from pixels",
      .step = { .op = PH_OP_FROM_PIXELS, .scale = 2, .offset = -1 },
      .in = { U8_SPACE(2, 7, 11) },
      .out = SPACE(2, 3, 7, 11) },
    { .name = "to pixels",
      .step = { .op = PH_OP_TO_PIXELS, .scale = 0.5f, .offset = 0.5f },
      .in = { SPACE(2, 3, 7, 11) },
      .out = U8_SPACE(2, 7, 11) },
    { 0 },
};

// ------------------------------------------------------------------------------ comparing
static struct ph_device *open_device(int threads)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    char spec[32];
    snprintf(spec, sizeof spec, "cpu:threads=%d", threads);
    if (ph_device_open(spec, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    return d;
}

static const struct ph_kernel *plain_of(enum ph_op op)
{
    for (int i = 0; ph_cpu_plain[i]; i++)
        if (ph_cpu_plain[i]->op == op) return ph_cpu_plain[i];
    TEST_FAIL("no plain %s", ph_op_name(op));
}

static void open_rig(struct rig *r, const struct rig_case *c, struct ph_device *d,
                     enum ph_dtype in, enum ph_dtype out)
{
    struct ph_fault fault = { 0 };
    if (rig_open(r, c, d, in, out, &fault) < 0) TEST_FAIL("%s: %s", c->name, fault.message);
}

static void run_rig(struct rig *r, const struct ph_kernel *k, enum ph_precision p)
{
    ph_err err = rig_run(r, k, p);
    if (err < 0) TEST_FAIL("%s, %s: gives %d", r->c->name, k->name, err);
    if (!rig_untouched(r)) TEST_FAIL("%s, %s: wrote where it may not", r->c->name, k->name);
}

static bool same_kind(float a, float b)
{
    return (isfinite(a) != 0) == (isfinite(b) != 0);
}

// Largest difference and its norm, relative to the reference's largest and norm; 1e30 where one
// side is finite and the other is not.
static void compare(const struct ph_place *y, const struct ph_place *want, double *l2,
                    double *most)
{
    double off = 0, norm = 0, peak = 0, worst = 0;
    for (int64_t i = 0; i < want->count; i++) {
        float a = rig_value(y, i), b = rig_value(want, i);
        if (!same_kind(a, b)) {
            printf("# element %lld is %g, not %g\n", (long long) i, (double) a, (double) b);
            *l2 = *most = 1e30;
            return;
        }
        if (!isfinite(b)) continue;
        double e = fabs((double) a - b);
        worst = e > worst ? e : worst;
        peak = fabs(b) > peak ? fabs(b) : peak;
        off += e * e;
        norm += (double) b * b;
    }
    *l2 = off ? sqrt(off / (norm > 0 ? norm : 1)) : 0;
    *most = worst ? worst / (peak > 0 ? peak : 1) : 0;
}

struct check {
    const struct ph_kernel *k;
    const struct rig_case *c;
    enum ph_dtype in, out;
    enum ph_precision precision;
    struct ph_device *device;
    void (*spoil)(struct rig *r); // puts what is special into the inputs; may be NULL
    double l2, most;              // bounds
    bool rough;                   // rounds its operands to bf16, and so does the reference
};

// The reference has the same inputs and gives f32 where the output is a float. False when the
// kernel does not take this.
static bool check_one(const struct check *k)
{
    struct rig r, plain;
    bool pixels = k->c->out.dtype != PH_DTYPE_NONE;
    open_rig(&r, k->c, k->device, k->in, k->out);
    if (k->k->fits(&r.step, r.place, k->precision) <= 0) {
        rig_close(&r);
        return false;
    }
    open_rig(&plain, k->c, k->device, k->rough ? PH_BF16 : k->in, pixels ? k->out : PH_F32);
    if (k->spoil) k->spoil(&r), k->spoil(&plain);
    double l2, most;
    ph_err a = rig_run(&r, k->k, k->precision);
    ph_err b = rig_run(&plain, plain_of(k->c->step.op), k->precision);
    if (a < 0 || b < 0) TEST_FAIL("%s, %s: gives %d, %d", k->c->name, k->k->name, a, b);
    if (!k->spoil && !(rig_untouched(&r) && rig_untouched(&plain)))
        TEST_FAIL("%s, %s: wrote where it may not", k->c->name, k->k->name);
    compare(rig_out(&r), rig_out(&plain), &l2, &most);
    if (getenv("RIG_PRINT"))
        printf("# %-28s %-12s %s -> %s: l2 %.2e max %.2e\n", k->c->name, k->k->name,
               ph_dtype_name(k->in), ph_dtype_name(k->out), l2, most);
    if (!(l2 <= k->l2) || !(most <= k->most))
        TEST_FAIL("%s, %s, %s to %s: l2 %.3g (at most %.3g), largest %.3g (%.3g)", k->c->name,
                  k->k->name, ph_dtype_name(k->in), ph_dtype_name(k->out), l2, k->l2, most,
                  k->most);
    rig_close(&r);
    rig_close(&plain);
    return true;
}

static int check_types(const struct ph_kernel *k, const struct rig_case *c,
                       struct ph_device *device, enum ph_precision precision, double l2,
                       double most, void (*spoil)(struct rig *))
{
    const enum ph_dtype types[] = { PH_F32, PH_BF16, PH_F16 };
    const double rounding[] = { 0, 1.0 / 256, 1.0 / 2048 };
    int checked = 0;
    for (int i = 0; i < 3; i++)
        for (int o = 0; o < 3; o++) {
            if (spoil && types[i] != types[o]) continue;
            // Scores this large tell f16 from what bf16 makes of it.
            bool rough = strstr(k->name, "bf16") != NULL;
            if (rough && types[i] == PH_F16 && c->size > 1) continue;
            struct check one = { k, c, types[i], types[o], precision, device, spoil };
            one.rough = rough;
            one.l2 = l2 + rounding[o];
            one.most = most + rounding[o];
            checked += check_one(&one);
        }
    return checked;
}

static void check_list(const struct ph_kernel *const *list, const struct rig_case *cases,
                       double l2, double most, void (*spoil)(struct rig *))
{
    struct ph_device *d = open_device(2);
    int checked = 0;
    for (int i = 0; list[i]; i++)
        for (const struct rig_case *c = cases; c->name; c++) {
            if (c->step.op != list[i]->op) continue;
            bool rough = strstr(list[i]->name, "bf16") != NULL;
            enum ph_precision p = rough ? PH_PRECISION_BF16 : PH_PRECISION_F32;
            checked +=
                check_types(list[i], c, d, p, rough ? 6e-3 : l2, rough ? 1.5e-2 : most, spoil);
        }
    CHECK_INT(checked, >, 20);
    ph_device_unref(&d);
}

#define LEVELS(name, list, cases, l2, most, spoil)                                             \
    TEST(name)                                                                                 \
    {                                                                                          \
        check_list(list, cases, l2, most, spoil);                                              \
    }                                                                                          \
    TEST(name##_with_avx2)                                                                     \
    {                                                                                          \
        setenv("PH_CPU", "avx2", 1);                                                           \
        check_list(list, cases, l2, most, spoil);                                              \
    }

LEVELS(attention_is_that_of_plain_c, ph_cpu_attention, attention_cases, 4e-6, 2e-5, NULL)

// ------------------------------------------------------------------------------ not finite
static void put(struct rig *r, int input, int64_t at, float v)
{
    struct ph_place *p = &r->place[input];
    if (p->dtype == PH_U8 || p->dtype == PH_I32 || !p->data) return;
    size_t size = ph_dtype_size(p->dtype);
    ph_convert(p->dtype, (char *) p->data + (size_t) (at % p->count) * size, PH_F32, &v, 1);
}

static void spoil_nan(struct rig *r)
{
    put(r, 0, 12345, NAN);
    put(r, r->step.inputs - 1, 777, NAN);
}

static void spoil_infinity(struct rig *r)
{
    put(r, 0, 54321, INFINITY);
    put(r, 0, 1234, -INFINITY);
}

static void spoil_keys(struct rig *r)
{
    put(r, 1, 4321, NAN);
    put(r, 2, 97, INFINITY);
}

LEVELS(attention_keeps_nan, ph_cpu_attention, attention_cases, 4e-6, 2e-5, spoil_nan)
LEVELS(attention_keeps_what_is_not_finite_in_keys_and_values, ph_cpu_attention, attention_cases,
       4e-6, 2e-5, spoil_keys)

LEVELS(norms_are_those_of_plain_c, ph_cpu_norm, norm_cases, 2e-6, 4e-6, NULL)
LEVELS(norms_keep_nan, ph_cpu_norm, norm_cases, 2e-6, 4e-6, spoil_nan)
LEVELS(norms_keep_infinity, ph_cpu_norm, norm_cases, 2e-6, 4e-6, spoil_infinity)

LEVELS(chains_are_those_of_plain_c, ph_cpu_chain, chain_cases, 3e-7, 6e-7, NULL)
LEVELS(chains_keep_nan, ph_cpu_chain, chain_cases, 3e-7, 6e-7, spoil_nan)
LEVELS(chains_keep_infinity, ph_cpu_chain, chain_cases, 3e-7, 6e-7, spoil_infinity)

// ------------------------------------------------------------------------------ threads
static void check_threads(const struct ph_kernel *const *list, const struct rig_case *cases)
{
    for (int i = 0; list[i]; i++)
        for (const struct rig_case *c = cases; c->name; c++) {
            if (c->step.op != list[i]->op) continue;
            void *first = NULL;
            for (int threads = 1; threads <= 3; threads++) {
                struct ph_device *d = open_device(threads);
                struct rig r;
                open_rig(&r, c, d, PH_F32, PH_F32);
                size_t size = (size_t) rig_out(&r)->count * ph_dtype_size(rig_out(&r)->dtype);
                if (list[i]->fits(&r.step, r.place, PH_PRECISION_BF16) <= 0) {
                    rig_close(&r);
                    ph_device_unref(&d);
                    continue;
                }
                run_rig(&r, list[i], PH_PRECISION_BF16);
                if (!first)
                    first = memcpy(malloc(size), rig_out(&r)->data, size);
                else if (memcmp(first, rig_out(&r)->data, size) != 0)
                    TEST_FAIL("%s, %s: %d threads give other bytes", c->name, list[i]->name,
                              threads);
                rig_close(&r);
                ph_device_unref(&d);
            }
            free(first);
        }
}

TEST(threads_change_no_byte_of_attention)
{
    check_threads(ph_cpu_attention, attention_cases);
}

TEST(threads_change_no_byte_of_norms)
{
    check_threads(ph_cpu_norm, norm_cases);
}

TEST(threads_change_no_byte_of_chains)
{
    check_threads(ph_cpu_chain, chain_cases);
}
