// SPDX-License-Identifier: MIT
// Every fast kernel beside the plain one: all types, tails, big values, NaN and infinity, guard
// bytes, and the same bytes from any number of threads.
#include "test.h"

#include "nn/cpu/kernels.h"
#include "nn/plan_priv.h"
#include "rig_cases.h"

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
