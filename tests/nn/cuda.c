// SPDX-License-Identifier: MIT
// Every kernel of the CUDA backend beside the plain C of its operation: on the processor, where
// threads are fibers (cuda_on_host.h), always; on a GPU where there is one.
#include "test.h"

#include "cuda_on_host.h"
#include "nn/cpu/kernels.h"
#include "nn/cuda/cuda.h"
#include "nn/plan_priv.h"
#include "nn/rng.h"
#include "rig_cases.h"

// ------------------------------------------------------------------------------ products
#define CONV(label, x, y, wide, ...)                                                           \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_CONV, __VA_ARGS__ }, .in = { x }, .out = y,       \
        .weight = {                                                                            \
            4,                                                                                 \
            wide                                                                               \
        }                                                                                      \
    }
#define W(...)                                                                                 \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }
#define ROUND .conv = { 1, 1, 1, 1, 1, 0 }
#define LINEAR(label, x, y, outputs, inputs, ...)                                              \
    {                                                                                          \
        .name = label, .step = { .op = PH_OP_LINEAR, __VA_ARGS__ }, .in = { x }, .out = y,     \
        .weight = {                                                                            \
            2,                                                                                 \
            { outputs, inputs }                                                                \
        }                                                                                      \
    }

static const struct rig_case product_cases[] = {
    CONV("3x3, 64 to 64", SPACE(1, 64, 9, 7), SPACE(1, 64, 9, 7), W(64, 64, 3, 3), ROUND),
    CONV("3x3 over two images", SPACE(2, 32, 8, 9), SPACE(2, 72, 8, 9), W(72, 32, 3, 3), ROUND,
         .act = PH_ACT_SILU),
    CONV("3x3 by two", SPACE(1, 40, 9, 10), SPACE(1, 24, 5, 5), W(24, 40, 3, 3),
         .conv = { 2, 1, 1, 1, 1, 0 }),
    CONV("3x3 by two, padded behind", SPACE(1, 16, 8, 8), SPACE(1, 16, 4, 4), W(16, 16, 3, 3),
         .conv = { 2, 0, 0, 1, 1, 0 }),
    CONV("of four channels", SPACE(1, 4, 11, 5), SPACE(1, 48, 11, 5), W(48, 4, 3, 3), ROUND),
    CONV("of three to three", SPACE(1, 3, 8, 8), SPACE(1, 3, 8, 8), W(3, 3, 3, 3), ROUND,
         .act = PH_ACT_RELU),
    CONV("1x1", SPACE(2, 36, 5, 5), SPACE(2, 130, 5, 5), W(130, 36, 1, 1), .conv = { 1 }),
    CONV("14x14 by 14", SPACE(1, 3, 28, 42), SPACE(1, 40, 2, 3), W(40, 3, 14, 14),
         .conv = { 14 }),
    CONV("long sums, few pixels", SPACE(1, 256, 4, 4), SPACE(1, 136, 4, 4), W(136, 256, 3, 3),
         ROUND, .act = PH_ACT_SILU),
    { .name = "with a residual",
      .step = { .op = PH_OP_CONV, ROUND, .act = PH_ACT_RELU },
      .in = { SPACE(1, 64, 12, 12) },
      .out = SPACE(1, 64, 12, 12),
      .residual = SPACE(1, 64, 12, 12),
      .weight = { 4, { 64, 64, 3, 3 } } },
    LINEAR("one row", ROWS(1, 320), ROWS(1, 640), 640, 320, .act = PH_ACT_SILU),
    LINEAR("77 tokens", TOKENS(1, 77, 96), TOKENS(1, 77, 200), 200, 96, 0),
    LINEAR("odd in and out", TOKENS(2, 9, 37), TOKENS(2, 9, 21), 21, 37, .act = PH_ACT_GELU),
    LINEAR("several tiles", TOKENS(1, 150, 64), TOKENS(1, 150, 264), 264, 64, 0),
    { .name = "no bias, a residual",
      .step = { .op = PH_OP_LINEAR },
      .in = { TOKENS(1, 70, 64) },
      .out = TOKENS(1, 70, 136),
      .residual = TOKENS(1, 70, 136),
      .weight = { 2, { 136, 64 } },
      .no_bias = true },
    { 0 },
};

static const struct rig_case table_cases[] = {
    { .name = "sinusoid",
      .step = { .op = PH_OP_SINUSOID, .max_period = 10000 },
      .in = { ROWS(2, 3) },
      .out = ROWS(2, 24),
      .size = 300 },
    { .name = "bicubic",
      .step = { .op = PH_OP_BICUBIC, .scale = 1.4f, .offset = 0.7f },
      .in = { SPACE(1, 19, 5, 7) },
      .out = SPACE(1, 19, 7, 5) },
    { .name = "embed",
      .step = { .op = PH_OP_EMBED },
      .in = { { 2, { 1, 4 }, PH_I32 } },
      .out = TOKENS(1, 4, 600),
      .weight = { 2, { 9, 600 } } },
    { .name = "pick",
      .step = { .op = PH_OP_PICK },
      .in = { TOKENS(3, 4, 5), { 1, { 3 }, PH_I32 } },
      .out = ROWS(3, 5) },
    { .name = "wide pick",
      .step = { .op = PH_OP_PICK },
      .in = { TOKENS(3, 4, 64), { 1, { 3 }, PH_I32 } },
      .out = ROWS(3, 64) },
    { 0 },
};

// ------------------------------------------------------------------------------ comparing
static const struct ph_kernel *plain_of(enum ph_op op)
{
    for (int i = 0; ph_cpu_plain[i]; i++)
        if (ph_cpu_plain[i]->op == op) return ph_cpu_plain[i];
    TEST_FAIL("no plain %s", ph_op_name(op));
}

static struct ph_device *open_device(const char *spec)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    if (ph_device_open(spec, &d, &fault) < 0) {
        if (strncmp(spec, "cuda", 5) == 0) TEST_SKIP("%s", fault.message);
        TEST_FAIL("%s", fault.message);
    }
    return d;
}

static void open_rig(struct rig *r, const struct rig_case *c, struct ph_device *d,
                     enum ph_dtype in, enum ph_dtype out)
{
    struct ph_fault fault = { 0 };
    if (rig_open(r, c, d, in, out, &fault) < 0) TEST_FAIL("%s: %s", c->name, fault.message);
}

// Distance from the reference by the norm and by the largest value; 1e30 where one is finite alone.
static void compare(const struct ph_place *y, const struct ph_place *want, double *l2,
                    double *most)
{
    double off = 0, norm = 0, peak = 0, worst = 0;
    for (int64_t i = 0; i < want->count; i++) {
        float a = rig_value(y, i), b = rig_value(want, i);
        if ((isfinite(a) != 0) != (isfinite(b) != 0)) {
            printf("# element %lld is %g, not %g\n", (long long) i, (double) a, (double) b);
            *l2 = *most = 1e30;
            return;
        }
        if (!isfinite(b)) continue;
        double e = fabs((double) a - b);
        worst = fmax(worst, e);
        peak = fmax(peak, fabs((double) b));
        off += e * e;
        norm += (double) b * b;
    }
    *l2 = off > 0 ? sqrt(off / (norm > 0 ? norm : 1)) : 0;
    *most = worst > 0 ? worst / (peak > 0 ? peak : 1) : 0;
}

struct trial {
    const struct ph_kernel *k;
    const struct rig_case *c;
    enum ph_dtype in, out;
    struct ph_device *device, *cpu;
    void (*spoil)(struct rig *r);
    double bound;
};

// Operands of tensor cores are rounded: then so are those of the reference, weights aside.
static bool check_one(const struct trial *t)
{
    struct rig r, plain;
    bool mma = strstr(t->k->name, "mma") || strstr(t->k->name, "lt");
    bool pixels = t->c->out.dtype != PH_DTYPE_NONE;
    enum ph_precision p = mma ? PH_PRECISION_BF16 : PH_PRECISION_F32;
    open_rig(&r, t->c, t->device, t->in, t->out);
    if (t->k->fits(&r.step, r.place, p) <= 0) {
        rig_close(&r);
        return false;
    }
    open_rig(&plain, t->c, t->cpu, mma && t->in == PH_F32 ? PH_BF16 : t->in,
             pixels ? t->c->out.dtype : PH_F32);
    if (t->spoil) t->spoil(&r), t->spoil(&plain);
    ph_err a = rig_run(&r, t->k, p);
    ph_err b = rig_run(&plain, plain_of(t->c->step.op), PH_PRECISION_F32);
    if (a < 0 || b < 0) TEST_FAIL("%s, %s: gives %d, %d", t->c->name, t->k->name, a, b);
    if (!t->spoil && !rig_untouched(&r))
        TEST_FAIL("%s, %s: wrote where it may not", t->c->name, t->k->name);
    double l2, most,
        rounding = t->out == PH_BF16  ? 1.0 / 256
                   : t->out == PH_F16 ? 1.0 / 2048
                                      : 0;
    double bound = (mma ? 6e-3 : t->bound) + rounding;
    compare(rig_out(&r), rig_out(&plain), &l2, &most);
    if (getenv("RIG_PRINT"))
        printf("# %-28s %-12s %s -> %s: l2 %.2e max %.2e\n", t->c->name, t->k->name,
               ph_dtype_name(t->in), ph_dtype_name(t->out), l2, most);
    if (!(l2 <= bound) || !(most <= 3 * bound))
        TEST_FAIL("%s, %s, %s to %s: l2 %.3g (at most %.3g), largest %.3g", t->c->name,
                  t->k->name, ph_dtype_name(t->in), ph_dtype_name(t->out), l2, bound, most);
    rig_close(&r);
    rig_close(&plain);
    return true;
}

static void check_cases(const char *spec, const struct rig_case *cases, double bound,
                        void (*spoil)(struct rig *))
{
    static const enum ph_dtype types[] = { PH_F32, PH_BF16, PH_F16 };
    struct ph_device *d = open_device(spec), *cpu = open_device("cpu:plain");
    int checked = 0;
    for (const struct ph_kernel *const *k = d->kernels; *k; k++)
        for (const struct rig_case *c = cases; c->name; c++) {
            if (c->step.op != (*k)->op) continue;
            // The reference multiplies what a query may not see by 0, which keeps NaN.
            if (spoil && c->step.attention.causal) continue;
            for (int i = 0; i < 9; i++) {
                struct trial t = { *k, c, types[i / 3], types[i % 3], d, cpu, spoil, bound };
                if (spoil && t.in != t.out) continue;
                // Fibers are slow: there a result of another type only where operands are narrow.
                bool on_host = strcmp(spec, "cudahost") == 0, same = t.in == t.out;
                if (on_host && !same && !(t.in == PH_BF16 && t.out == PH_F32)) continue;
                if (t.in == PH_F16 && c->size > 1) continue; // beyond its range
                checked += check_one(&t);
            }
        }
    CHECK_INT(checked, >, 10);
    ph_device_unref(&d);
    ph_device_unref(&cpu);
}

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

#define BOTH(name, cases, bound, spoil)                                                        \
    TEST_LIMIT(name##_on_the_host, 600)                                                        \
    {                                                                                          \
        check_cases("cudahost", cases, bound, spoil);                                          \
    }                                                                                          \
    TEST_LIMIT(name##_on_a_gpu, 240)                                                           \
    {                                                                                          \
        check_cases("cuda", cases, bound, spoil);                                              \
    }

BOTH(chains_are_those_of_plain_c, chain_cases, 1e-6, NULL)
BOTH(chains_keep_nan, chain_cases, 1e-6, spoil_nan)
BOTH(chains_keep_infinity, chain_cases, 1e-6, spoil_infinity)
BOTH(tables_are_those_of_plain_c, table_cases, 1e-5, NULL)
BOTH(norms_are_those_of_plain_c, norm_cases, 3e-6, NULL)
BOTH(norms_keep_nan, norm_cases, 3e-6, spoil_nan)
BOTH(norms_keep_infinity, norm_cases, 3e-6, spoil_infinity)
BOTH(attention_is_that_of_plain_c, attention_cases, 8e-6, NULL)
BOTH(attention_keeps_nan, attention_cases, 8e-6, spoil_nan)
BOTH(products_are_those_of_plain_c, product_cases, 3e-6, NULL)
BOTH(products_keep_nan, product_cases, 3e-6, spoil_nan)

// ------------------------------------------------------------------------------ all there
static void check_every_operation(const char *spec)
{
    struct ph_device *d = open_device(spec);
    for (int op = PH_OP_CONV; op < PH_OP_COUNT; op++) {
        bool found = op == PH_OP_VIEW; // memory, never run
        for (const struct ph_kernel *const *k = d->kernels; *k; k++)
            found |= (int) (*k)->op == op;
        if (!found) TEST_FAIL("no kernel for %s", ph_op_name((enum ph_op) op));
    }
    ph_device_unref(&d);
}

TEST(every_operation_has_a_kernel)
{
    check_every_operation("cudahost");
}

// ------------------------------------------------------------------------------ noise
struct drawing {
    struct ph_device *d;
    struct cu_noise a;
    float *out;
    size_t size;
};

static void draw(void *arg)
{
    struct drawing *w = arg;
    w->a.y = w->d->backend->alloc(w->d, w->size);
    struct cu_grid grid = { (w->a.count / 4 + 256) / 256, 1, 1 };
    ph_cu_of(w->d)->launch(w->d, CU_KERNEL_noise, grid, 0, &w->a, sizeof w->a);
    w->d->backend->download(w->d, w->out, w->a.y, w->size);
    w->d->backend->release(w->d, w->a.y, w->size);
}

static void check_noise(const char *spec)
{
    enum { N = 4099 };
    static float got[N], want[N];
    struct ph_device *d = open_device(spec);
    struct drawing w = { d, { NULL, 0x123456789abcdefu, 77, 5, N }, got, sizeof got };
    ph_device_call(d, draw, &w);
    ph_rng_normal(0x123456789abcdefu, 77, 20, N, want);
    CHECK(memcmp(got, want, sizeof got) == 0);
    ph_device_unref(&d);
}

TEST(noise_is_bit_for_bit_that_of_the_cpu_on_the_host)
{
    check_noise("cudahost");
}

TEST(noise_is_bit_for_bit_that_of_the_cpu_on_a_gpu)
{
    check_noise("cuda");
}
