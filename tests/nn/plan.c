// SPDX-License-Identifier: MIT
// Progs and plans: shapes, fusion, memory by lifetime, what is kept between runs.
#include <phosphene/tensor.h>

#include "nn/plan_priv.h"
#include "nn/rng.h"
#include "test.h"

#define D(...) ((const int64_t[]){ __VA_ARGS__ })

static const char *folder(void)
{
    static char path[] = "/tmp/ph-plan-XXXXXX";
    static bool made;
    if (!made) CHECK(mkdtemp(path));
    made = true;
    return path;
}

// A small set: two linear layers, a convolution, norms.
static struct ph_weights *weights(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/w.safetensors", folder());
    static const struct ph_named_tensor all[] = {
        { "a.weight", { PH_F32, 2, { 24, 16 }, NULL } },
        { "a.bias", { PH_F32, 1, { 24 }, NULL } },
        { "b.weight", { PH_F32, 2, { 16, 24 }, NULL } },
        { "b.bias", { PH_F32, 1, { 16 }, NULL } },
        { "c.weight", { PH_F32, 4, { 16, 16, 3, 3 }, NULL } },
        { "c.bias", { PH_F32, 1, { 16 }, NULL } },
        { "t.weight", { PH_F32, 2, { 16, 8 }, NULL } },
        { "t.bias", { PH_F32, 1, { 16 }, NULL } },
        { "n.weight", { PH_F32, 1, { 16 }, NULL } },
        { "n.bias", { PH_F32, 1, { 16 }, NULL } },
    };
    struct ph_weights *w;
    struct ph_fault fault = { 0 };
    if (ph_weights_save(path, all, sizeof all / sizeof *all, 7, &fault) != PH_OK)
        TEST_FAIL("%s", fault.message);
    CHECK_INT(ph_weights_open(path, &w, &fault), ==, PH_OK);
    return w;
}

static struct ph_plan *plan_of(struct ph_prog *p, enum ph_precision precision, int flags)
{
    struct ph_plan *plan;
    struct ph_fault fault = { 0 };
    struct ph_plan_params params = { NULL, precision, flags };
    if (ph_plan_create(p, &params, &plan, &fault) < 0) TEST_FAIL("%s", fault.message);
    return plan;
}

static struct ph_tensor numbers(float *data, int64_t n)
{
    return (struct ph_tensor){ PH_F32, 1, { n }, data };
}

// A block of a UNet in small: everything that fuses, a picture and its tokens, a rare input.
static struct ph_prog *block(struct ph_weights *w)
{
    struct ph_prog *p;
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_prog_use(p, w);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 4, D(2, 16, 5, 7));
    ph_val t = ph_input(p, "t", PH_RARE, PH_F32, 2, D(2, 8));
    ph_val row = ph_linear(p, ph_activate(p, t, PH_ACT_SILU), "t", 0);
    ph_tap(p, "row", row);
    ph_val h = ph_conv2d(p, x, "c", (struct ph_conv){ 1, 1, 1, 1, 1, 0 });
    h = ph_add(p, h, row);
    h = ph_activate(p, ph_group_norm(p, h, "n", 4, 1e-5f), PH_ACT_SILU);
    h = ph_conv2d(p, h, "c", (struct ph_conv){ 1, 1, 1, 1, 1, 0 });
    h = ph_add(p, x, h);
    ph_val tokens = ph_tokens(p, h);
    ph_val inner = ph_activate(p, ph_linear(p, tokens, "a", 0), PH_ACT_GELU);
    tokens = ph_add(p, ph_linear(p, inner, "b", 0), tokens);
    ph_output(p, "y", ph_image(p, tokens, 5, 7));
    struct ph_fault fault;
    if (ph_prog_error(p, &fault)) TEST_FAIL("%s", fault.message);
    return p;
}

enum { X = 2 * 16 * 5 * 7, T = 2 * 8 };

static void run_block(struct ph_plan *plan, float *y)
{
    float x[X], t[T];
    ph_rng_normal(1, 0, 0, X, x);
    ph_rng_normal(2, 0, 0, T, t);
    CHECK_INT(ph_plan_write(plan, "x", &(struct ph_tensor){ PH_F32, 1, { X }, x }), ==, PH_OK);
    CHECK_INT(ph_plan_write(plan, "t", &(struct ph_tensor){ PH_F32, 1, { T }, t }), ==, PH_OK);
    CHECK_INT(ph_plan_run(plan), ==, PH_OK);
    struct ph_tensor out = numbers(y, X);
    CHECK_INT(ph_plan_read(plan, "y", &out), ==, PH_OK);
}

static double distance(const float *a, const float *b, int n)
{
    double sum = 0, norm = 0;
    for (int i = 0; i < n; i++) {
        sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        norm += (double) b[i] * b[i];
    }
    return sqrt(sum / norm);
}

TEST(fused_and_unfused_plans_agree)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = block(w);
    struct ph_plan *fused = plan_of(p, PH_PRECISION_F32, 0);
    struct ph_plan *plain = plan_of(p, PH_PRECISION_F32, PH_PLAN_NO_FUSION);
    ph_prog_free(&p); // a plan stands by itself
    float a[X], b[X];
    run_block(fused, a);
    run_block(plain, b);
    CHECK_NUM(distance(a, b, X), <, 2e-6);
    struct ph_plan_stats f, u;
    ph_plan_stats(fused, &f);
    ph_plan_stats(plain, &u);
    CHECK_INT(u.steps - f.steps, ==, 5); // silu, row, gelu, two residuals
    CHECK_INT(f.arena_bytes, <, u.arena_bytes);
    ph_plan_destroy(&fused);
    ph_plan_destroy(&plain);
    ph_weights_unref(&w);
}

TEST(half_precision_is_close_and_said)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = block(w);
    struct ph_plan *exact = plan_of(p, PH_PRECISION_F32, 0);
    struct ph_plan *half = plan_of(p, PH_PRECISION_BF16, 0);
    float a[X], b[X];
    run_block(half, a);
    run_block(exact, b);
    double error = distance(a, b, X);
    CHECK_NUM(error, >, 1e-4);
    CHECK_NUM(error, <, 2e-2);
    char *text = ph_plan_print(half);
    CHECK(strstr(text, "bf16") && strstr(text, "GFLOP"));
    free(text);
    ph_plan_destroy(&exact);
    ph_plan_destroy(&half);
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

TEST(rare_steps_run_when_their_input_was_written_and_only_then)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = block(w);
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0);
    float a[X], b[X];
    run_block(plan, a);
    struct ph_step *rare = NULL;
    for (int i = 0; i < plan->step_count; i++)
        if (strcmp(plan->steps[i].name, "t") == 0 && plan->steps[i].kernel)
            rare = &plan->steps[i];
    CHECK(rare);
    rare->ns = -1;
    float x[X];
    ph_rng_normal(1, 0, 0, X, x);
    struct ph_tensor in = numbers(x, X), out = numbers(b, X);
    CHECK_INT(ph_plan_write(plan, "x", &in), ==, PH_OK);
    CHECK_INT(ph_plan_run(plan), ==, PH_OK);
    CHECK_INT(rare->ns, ==, -1);
    CHECK_INT(ph_plan_read(plan, "y", &out), ==, PH_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    run_block(plan, b); // writes t again
    CHECK_INT(rare->ns, >=, 0);
    CHECK(memcmp(a, b, sizeof a) == 0);
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

TEST(weights_are_packed_once_for_all_plans)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = block(w);
    struct ph_plan_stats one, two;
    struct ph_plan *a = plan_of(p, PH_PRECISION_F32, 0);
    ph_plan_stats(a, &one);
    struct ph_plan *b = plan_of(p, PH_PRECISION_F32, 0);
    ph_plan_stats(b, &two);
    CHECK_INT(one.packed_bytes, ==, two.packed_bytes);
    ph_plan_destroy(&a);
    float y[X];
    run_block(b, y); // what it packed with a is still there
    struct ph_device *d = ph_device_ref(b->device);
    ph_plan_destroy(&b);
    CHECK(!d->packs);
    ph_device_unref(&d);
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

TEST(a_state_lives_from_run_to_run_and_moves_to_the_next_plan)
{
    struct ph_prog *p;
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_val s = ph_state(p, "sum", 2, D(1, 4));
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 2, D(1, 4));
    ph_val sum = ph_add(p, s, x);
    ph_store(p, s, sum);
    ph_output(p, "before", ph_affine(p, s, 1, 0));
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0), *next;
    float in[4] = { 1, 2, 3, 4 }, got[4];
    struct ph_tensor write = numbers(in, 4), read = numbers(got, 4);
    CHECK_INT(ph_plan_write(plan, "x", &write), ==, PH_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ph_plan_run(plan), ==, PH_OK);
        CHECK_INT(ph_plan_read(plan, "before", &read), ==, PH_OK);
        CHECK_NUM(got[2], ==, 3.0f * (float) i);
    }
    next = plan_of(p, PH_PRECISION_F32, 0);
    ph_plan_carry(next, plan);
    CHECK_INT(ph_plan_read(next, "sum", &read), ==, PH_OK);
    CHECK_NUM(got[3], ==, 12);
    CHECK_INT(ph_plan_write(next, "none", &write), ==, PH_ENOENT);
    CHECK_INT(ph_plan_write(next, "before", &write), ==, PH_ENOENT); // not written from outside
    read.dim[0] = 3;
    CHECK_INT(ph_plan_read(next, "sum", &read), ==, PH_EINVAL);
    ph_plan_destroy(&plan);
    ph_plan_destroy(&next);
    ph_prog_free(&p);
}

// Random chains of adds: memory is reused, and every result is as when nothing is.
TEST(no_two_values_that_live_at_once_share_memory)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct ph_prog *p;
        CHECK_INT(ph_prog_create(&p), ==, PH_OK);
        float pick[200];
        ph_rng_uniform(seed, 0, 0, 200, pick);
        ph_val all[64];
        double expect[64];
        int n = 2;
        all[0] = ph_input(p, "x", PH_EACH, PH_F32, 2, D(1, 33));
        all[1] = ph_affine(p, all[0], 0.5f, 1);
        expect[0] = 1;
        expect[1] = 1.5;
        for (; n < 64; n++) {
            int a = (int) (pick[2 * n] * (float) n), b = n - 1 - (int) (pick[2 * n + 1] * 4);
            if (b < 0) b = 0;
            all[n] = ph_affine(p, ph_add(p, all[a], all[b]), 0.5f, 0);
            expect[n] = (expect[a] + expect[b]) / 2;
        }
        ph_output(p, "y", all[63]);
        struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0);
        float in[33], out[33];
        for (int i = 0; i < 33; i++) in[i] = 1;
        struct ph_tensor write = numbers(in, 33), read = numbers(out, 33);
        CHECK_INT(ph_plan_write(plan, "x", &write), ==, PH_OK);
        CHECK_INT(ph_plan_run(plan), ==, PH_OK);
        CHECK_INT(ph_plan_read(plan, "y", &read), ==, PH_OK);
        CHECK_NUM(fabs(out[32] - expect[63]), <, 1e-5);
        ph_plan_destroy(&plan);
        ph_prog_free(&p);
    }
}

static void expect_error(struct ph_prog *p, ph_err code, const char *part)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_prog_error(p, &fault), ==, code);
    CHECK_HAS(fault.message, part);
    ph_prog_free(&p);
}

TEST(the_first_error_sticks_and_names_scope_and_tensor)
{
    struct ph_weights *w = weights();
    struct ph_prog *p;
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_prog_use(p, w);
    ph_enter(p, "down_blocks.%d", 3);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 2, D(1, 16));
    ph_val y = ph_linear(p, x, "gone", 0);
    CHECK_INT(y, ==, PH_NONE);
    ph_leave(p);
    CHECK_INT(ph_linear(p, ph_add(p, y, x), "a", 0), ==, PH_NONE); // quietly
    expect_error(p, PH_ENOENT, "down_blocks.3: no tensor gone.weight in ");
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_prog_use(p, w);
    ph_linear(p, ph_input(p, "x", PH_EACH, PH_F32, 2, D(1, 17)), "a", 0);
    expect_error(p, PH_EFORMAT, "a.weight is [24, 16], expected [out, 17]");
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_add(p, ph_input(p, "x", PH_EACH, PH_F32, 2, D(2, 3)),
           ph_input(p, "y", PH_EACH, PH_F32, 2, D(3, 2)));
    expect_error(p, PH_EINVAL, "add: [3, 2] does not spread over [2, 3]");
    ph_weights_unref(&w);
}

TEST(a_device_says_what_it_is_and_refuses_what_it_is_not)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_device_open("tpu", &d, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "no device \"tpu\"");
    CHECK_INT(ph_device_open("cpu:threads=0", &d, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "expected 1 to 1024");
    CHECK_INT(ph_device_open("cpu:fast", &d, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "no option \"fast\"");
    CHECK_INT(ph_device_open("cpu:threads=1", &d, &fault), ==, PH_OK);
    CHECK_HAS(ph_device_name(d), "cpu: 1 thread,");
    struct ph_device *again;
    CHECK_INT(ph_device_open("cpu:threads=1", &again, &fault), ==, PH_OK);
    CHECK(again == d);
    ph_device_unref(&again);
    ph_device_unref(&d);
}
