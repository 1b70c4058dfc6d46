// SPDX-License-Identifier: MIT
// Progs and plans: shapes, fusion, memory by lifetime, what is kept between runs.
#include <phosphene/tensor.h>

#include "../alloc_count.h"
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
static void write_block(struct ph_prog *p, struct ph_weights *w)
{
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
}

static struct ph_prog *block(struct ph_weights *w)
{
    struct ph_prog *p;
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    write_block(p, w);
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

TEST(a_device_that_rounds_gives_layers_of_bf16_and_sums_of_f32)
{
    struct ph_weights *w = weights();
    struct ph_device *d;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_device_open("cpu:bf16", &d, &fault), ==, PH_OK);
    CHECK_HAS(ph_device_name(d), "rounded to bf16");
    struct ph_prog *p = block(w);
    struct ph_plan_params params = { d, PH_PRECISION_BF16, PH_PLAN_TAPS };
    struct ph_plan *rounds, *whole = plan_of(p, PH_PRECISION_F32, PH_PLAN_TAPS);
    CHECK_INT(ph_plan_create(p, &params, &rounds, &fault), ==, PH_OK);
    float a[X], b[X], row[32], exact[32];
    struct ph_tensor t = numbers(row, 32), u = numbers(exact, 32);
    run_block(rounds, a);
    run_block(whole, b);
    CHECK_INT(ph_plan_read(rounds, "row", &t), ==, PH_OK);
    CHECK_INT(ph_plan_read(whole, "row", &u), ==, PH_OK);
    int wide = 0, longer = 0;
    for (int i = 0; i < 32; i++) {
        uint32_t bits[2];
        memcpy(&bits[0], &row[i], 4);
        memcpy(&bits[1], &exact[i], 4);
        wide += (bits[0] & 0xffff) != 0;
        longer += (bits[1] & 0xffff) != 0;
    }
    CHECK_INT(wide, ==, 0);
    CHECK_INT(longer, >, 16);
    CHECK_NUM(distance(a, b, X), >, 5e-4); // rounded
    CHECK_NUM(distance(a, b, X), <, 2e-2); // and no more than that
    ph_plan_destroy(&rounds);
    ph_plan_destroy(&whole);
    ph_prog_free(&p);
    ph_device_unref(&d);
    ph_weights_unref(&w);
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
    CHECK(ph_plan_carry(next, plan));
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

// ------------------------------------------------------------------------------ states, constants
static struct ph_prog *prog_of(struct ph_weights *w)
{
    struct ph_prog *p;
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    if (w) ph_prog_use(p, w);
    return p;
}

static float read_one(struct ph_plan *plan, const char *name)
{
    float v = NAN;
    struct ph_tensor t = numbers(&v, 1);
    CHECK_INT(ph_plan_read(plan, name, &t), ==, PH_OK);
    return v;
}

static void write_one(struct ph_plan *plan, const char *name, float v)
{
    struct ph_tensor t = numbers(&v, 1);
    CHECK_INT(ph_plan_write(plan, name, &t), ==, PH_OK);
}

// A line of states, each the one before it a run ago: all of them move at once.
TEST(states_stored_from_states_all_change_when_the_run_ends)
{
    struct ph_prog *p = prog_of(NULL);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 1, D(1));
    ph_val a = ph_state(p, "a", 1, D(1)), b = ph_state(p, "b", 1, D(1));
    ph_store(p, a, x);
    ph_store(p, b, a);
    ph_output(p, "before", a);
    ph_output(p, "earlier", b);
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0);
    for (int i = 1; i <= 4; i++) {
        write_one(plan, "x", (float) i);
        CHECK_INT(ph_plan_run(plan), ==, PH_OK);
        CHECK_NUM(read_one(plan, "before"), ==, i - 1);
        CHECK_NUM(read_one(plan, "earlier"), ==, i > 1 ? i - 2 : 0);
        CHECK_NUM(read_one(plan, "a"), ==, i);
        CHECK_NUM(read_one(plan, "b"), ==, i - 1);
    }
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
}

TEST(a_state_may_be_stored_from_what_changes_rarely)
{
    struct ph_prog *p = prog_of(NULL);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 1, D(1));
    ph_val r = ph_input(p, "r", PH_RARE, PH_F32, 1, D(1));
    ph_val s = ph_state(p, "s", 1, D(1));
    ph_store(p, s, ph_affine(p, r, 2, 0));
    ph_val y = ph_add(p, s, x);
    for (int i = 0; i < 4; i++) y = ph_affine(p, y, 1, 1); // uses the arena
    ph_output(p, "y", y);
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0);
    write_one(plan, "r", 5);
    write_one(plan, "x", 100);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ph_plan_run(plan), ==, PH_OK);
        CHECK_NUM(read_one(plan, "s"), ==, 10);
        CHECK_NUM(read_one(plan, "y"), ==, i ? 114 : 104);
    }
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
}

TEST(what_hangs_on_weights_alone_is_computed_too)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = prog_of(w);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 2, D(1, 24));
    ph_val bias = ph_param(p, "a.bias", 1, D(24));
    ph_output(p, "y", ph_add(p, x, ph_affine(p, bias, 2, 1)));
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0);
    float zero[24] = { 0 }, y[24], want[24];
    struct ph_tensor t = numbers(zero, 24), out = numbers(y, 24);
    CHECK_INT(ph_weights_read(w, ph_weights_find(w, "a.bias"), 0, 24, want), ==, PH_OK);
    CHECK_INT(ph_plan_write(plan, "x", &t), ==, PH_OK);
    for (int run = 0; run < 2; run++) {
        CHECK_INT(ph_plan_run(plan), ==, PH_OK);
        CHECK_INT(ph_plan_read(plan, "y", &out), ==, PH_OK);
        for (int i = 0; i < 24; i++) CHECK_NUM(y[i], ==, 2 * want[i] + 1);
    }
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

TEST(rare_inputs_carried_into_a_plan_that_has_run_are_seen)
{
    struct ph_prog *p = prog_of(NULL);
    ph_val r = ph_input(p, "r", PH_RARE, PH_F32, 1, D(1));
    ph_output(p, "y", ph_affine(p, r, 2, 0));
    struct ph_plan *from = plan_of(p, PH_PRECISION_F32, 0),
                   *to = plan_of(p, PH_PRECISION_F32, 0);
    write_one(from, "r", 3);
    CHECK_INT(ph_plan_run(to), ==, PH_OK);
    CHECK_NUM(read_one(to, "y"), ==, 0);
    CHECK(ph_plan_carry(to, from)); // there are no states
    CHECK_INT(ph_plan_run(to), ==, PH_OK);
    CHECK_NUM(read_one(to, "y"), ==, 6);
    ph_plan_destroy(&from);
    ph_plan_destroy(&to);
    ph_prog_free(&p);
}

// A layer of the prompt does not become one of every picture for the sake of a fused sum.
TEST(a_rare_layer_stays_rare_beside_what_changes_always)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = prog_of(w);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 2, D(1, 16));
    ph_val t = ph_input(p, "t", PH_RARE, PH_F32, 2, D(1, 8));
    ph_output(p, "y", ph_add(p, ph_linear(p, t, "t", 0), x));
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, 0);
    struct ph_plan_stats stats;
    ph_plan_stats(plan, &stats);
    CHECK_NUM(stats.flops, ==, 0);
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

// ------------------------------------------------------------------------------ bad input
static void check_refused(struct ph_prog *p, ph_err code, const char *says)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_prog_error(p, &fault), ==, code);
    if (!strstr(fault.message, says)) TEST_FAIL("%s", fault.message);
    ph_prog_free(&p);
}

TEST(sizes_that_no_memory_holds_are_refused_before_they_overflow)
{
    const int64_t most = INT32_MAX;
    struct ph_prog *p = prog_of(NULL);
    ph_input(p, "x", PH_EACH, PH_F32, 4, D(most, most, most, most));
    check_refused(p, PH_ELIMIT, "input");
    p = prog_of(NULL);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 3, D(1 << 20, 1 << 10, 4));
    ph_repeat(p, ph_slice(p, x, 0, 0, 1), most);
    check_refused(p, PH_ELIMIT, "repeat");
}

TEST(a_port_of_no_value_is_refused)
{
    struct ph_prog *p = prog_of(NULL);
    ph_output(p, "y", PH_NONE);
    check_refused(p, PH_EINVAL, "y is a value that does not exist");
    p = prog_of(NULL);
    ph_output(p, "y", 17);
    check_refused(p, PH_EINVAL, "y is a value that does not exist");
}

TEST(a_number_of_threads_beyond_all_numbers_is_refused)
{
    struct ph_device *d;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_device_open("cpu:threads=4294967297", &d, &fault), ==, PH_EINVAL);
    CHECK(strstr(fault.message, "1 to 1024"));
}

// A mapped file that was cut would end the process when its weights are packed.
TEST(weights_whose_file_was_cut_are_not_packed)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = block(w);
    char path[128];
    snprintf(path, sizeof path, "%s/w.safetensors", folder());
    CHECK(truncate(path, 64) == 0);
    struct ph_plan *plan;
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_plan_create(p, NULL, &plan, &fault), ==, PH_EIO);
    CHECK(strstr(fault.message, "w.safetensors"));
    CHECK(plan == NULL);
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

// A model with one such value paints black or noise and says nothing.
TEST(a_weight_that_is_no_number_is_named_and_not_packed)
{
    static const char *const names[] = { "a.weight", "b.bias", "c.weight", "t.weight",
                                         "n.weight" };
    for (int i = 0; i < 5; i++) {
        struct ph_weights *w = weights(), *bad;
        float values[16 * 16 * 9] = { 0 };
        struct ph_named_tensor all[10];
        char path[128];
        CHECK_INT(ph_weights_count(w), ==, 10);
        for (int k = 0; k < 10; k++) {
            const struct ph_weight *t = ph_weights_at(w, k);
            all[k] = (struct ph_named_tensor){ t->name, t->disk };
            if (strcmp(t->name, names[i]) == 0) all[k].tensor.data = values;
        }
        values[7] = i % 2 ? -INFINITY : NAN;
        snprintf(path, sizeof path, "%s/bad.safetensors", folder());
        CHECK_INT(ph_weights_save(path, all, 10, 0, NULL), ==, PH_OK);
        CHECK_INT(ph_weights_open(path, &bad, NULL), ==, PH_OK);
        struct ph_prog *p = block(bad);
        for (int precision = PH_PRECISION_F32; precision <= PH_PRECISION_Q4; precision++) {
            struct ph_plan_params params = { .precision = (enum ph_precision) precision };
            struct ph_fault fault = { 0 };
            struct ph_plan *plan;
            CHECK_INT(ph_plan_create(p, &params, &plan, &fault), ==, PH_EFORMAT);
            CHECK(plan == NULL);
            CHECK_HAS(fault.message, "bad.safetensors");
            CHECK_HAS(fault.message, names[i]);
            CHECK_HAS(fault.message, "element 7");
        }
        ph_prog_free(&p);
        ph_weights_unref(&bad);
        ph_weights_unref(&w);
    }
}

// ------------------------------------------------------------------------------ memory
TEST(a_run_allocates_nothing)
{
    struct ph_weights *w = weights();
    struct ph_prog *p = block(w);
    for (int precision = PH_PRECISION_F32; precision <= PH_PRECISION_Q4; precision++) {
        struct ph_plan *plan = plan_of(p, (enum ph_precision) precision, 0);
        float y[X];
        run_block(plan, y);
        alloc_watch("");
        run_block(plan, y);
        long count = alloc_watched();
        alloc_watch(NULL);
        if (count)
            TEST_FAIL("%s: %ld times, %s", ph_precision_name((enum ph_precision) precision),
                      count, alloc_first());
        ph_plan_destroy(&plan);
    }
    ph_prog_free(&p);
    ph_weights_unref(&w);
}

static void fail_here(void *arg)
{
    alloc_fail_only(*(long *) arg);
}

// Fails the n-th allocation of this thread and, of the making of a plan, of the device's.
static ph_err make_without(struct ph_weights *w, long n, bool on_device, long *failed)
{
    struct ph_prog *p = NULL;
    struct ph_plan *plan = NULL;
    struct ph_fault fault = { 0 };
    struct ph_device *d;
    long off = -1;
    float y[X];
    CHECK_INT(ph_device_open(NULL, &d, &fault), ==, PH_OK);
    if (on_device) ph_device_call(d, fail_here, &n);
    if (!on_device) alloc_fail_only(n);
    ph_err ret = ph_prog_create(&p);
    if (ret >= 0) {
        write_block(p, w);
        ret = ph_plan_create(p, NULL, &plan, &fault);
        if (ret < 0) CHECK(fault.code == PH_ENOMEM && *fault.message);
    }
    *failed = alloc_failed();
    alloc_fail_from(-1);
    ph_device_call(d, fail_here, &off);
    CHECK((ret < 0) == (plan == NULL));
    if (plan) run_block(plan, y); // what is only quicker was left out
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    CHECK(d->packs == NULL);
    ph_device_unref(&d);
    return ret;
}

TEST_LIMIT(without_memory_a_prog_and_its_plan_are_an_error_and_leave_nothing, 120)
{
    struct ph_weights *w = weights();
    long failed = 1;
    int errors = 0;
    for (long n = 0; failed; n++) {
        ph_err ret = make_without(w, n, false, &failed);
        CHECK(ret == PH_OK || ret == PH_ENOMEM);
        errors += ret < 0;
    }
    CHECK_INT(errors, >, 50);
    ph_weights_unref(&w);
}

TEST_LIMIT(without_memory_kernels_are_an_error_and_leave_nothing, 120)
{
    struct ph_weights *w = weights();
    long unused;
    int well = 0, errors = 0;
    for (long n = 0; well < 8; n++) { // some allocations may fail without harm
        ph_err ret = make_without(w, n, true, &unused);
        CHECK(ret == PH_OK || ret == PH_ENOMEM);
        well = ret < 0 ? 0 : well + 1;
        errors += ret < 0;
    }
    CHECK_INT(errors, >, 5);
    ph_weights_unref(&w);
}

// ------------------------------------------------------------------------- stopping
struct asked {
    int count,
        stop_at; // stop_at: the number of the question that is answered with yes; 0 = none
};

static bool ask(void *arg)
{
    struct asked *a = arg;
    return ++a->count == a->stop_at;
}

TEST(a_run_that_is_stopped_ends_before_its_next_step_and_the_next_run_is_whole)
{
    struct ph_prog *p = prog_of(NULL);
    struct ph_fault fault = { 0 };
    struct ph_plan *plan;
    struct asked asked = { 0 };
    struct ph_plan_params params = { .precision = PH_PRECISION_F32,
                                     .flags = PH_PLAN_NO_FUSION,
                                     .stop = { ask, &asked } };
    ph_val sum = ph_state(p, "sum", 1, D(1)), x = ph_input(p, "x", PH_EACH, PH_F32, 1, D(1));
    ph_val rare = ph_affine(p, ph_input(p, "r", PH_RARE, PH_F32, 1, D(1)), 2, 0);
    ph_store(p, sum, ph_add(p, sum, x));
    ph_output(p, "y", ph_mul(p, ph_add(p, rare, sum), x));
    CHECK_OK(ph_plan_create(p, &params, &plan, &fault));
    write_one(plan, "x", 1);
    write_one(plan, "r", 5);
    asked.count = 0;
    CHECK_OK(ph_plan_run(plan));
    CHECK_NUM(read_one(plan, "y"), ==, 10);
    int steps = asked.count;
    CHECK_INT(steps, >, 2);
    write_one(plan, "r", 7);
    for (int at = 1; at < steps; at++) {
        asked = (struct asked){ .stop_at = at };
        CHECK_INT(ph_plan_run(plan), ==, PH_ESTOPPED);
        CHECK_INT(asked.count, ==, at); // nobody asked again: nothing ran
    }
    CHECK_NUM(read_one(plan, "sum"), ==, 1);
    asked = (struct asked){ 0 };
    CHECK_OK(ph_plan_run(plan));
    CHECK_NUM(read_one(plan, "y"), ==, 15);
    CHECK_NUM(read_one(plan, "sum"), ==, 2);
    ph_plan_destroy(&plan);
    asked = (struct asked){ .stop_at = 2 }; // in the making
    CHECK_INT(ph_plan_create(p, &params, &plan, &fault), ==, PH_ESTOPPED);
    CHECK_INT(asked.count, ==, 2);
    ph_prog_free(&p);
}

// ------------------------------------------------------------------------- the arena
static struct ph_plan *plan_of_size(int64_t n)
{
    struct ph_prog *p = prog_of(NULL);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 1, D(n));
    ph_output(p, "y", ph_affine(p, ph_activate(p, x, PH_ACT_SILU), 2, 1));
    struct ph_plan *plan = plan_of(p, PH_PRECISION_F32, PH_PLAN_NO_FUSION);
    ph_prog_free(&p);
    return plan;
}

static void look_at_arena(void *arg)
{
    struct ph_plan *plan = *(struct ph_plan **) arg;
    CHECK_INT(plan->device->arena_size, ==, plan->arena_size);
}

TEST(the_arena_shrinks_when_its_largest_plan_is_gone_and_grows_again)
{
    static float in[1 << 16], out[1 << 16];
    struct ph_plan *small = plan_of_size(1 << 10), *large = plan_of_size(1 << 16), *also;
    struct ph_tensor x = numbers(in, 1 << 10), y = numbers(out, 1 << 10);
    CHECK_INT(large->arena_size, >, small->arena_size);
    in[7] = 3;
    for (int i = 0; i < 3; i++) {
        ph_device_call(small->device, look_at_arena, &large);
        also = plan_of_size(1 << 16);
        ph_plan_destroy(&large);
        ph_device_call(small->device, look_at_arena, &also); // there is another as large
        ph_plan_destroy(&also);
        ph_device_call(small->device, look_at_arena, &small);
        CHECK_OK(ph_plan_write(small, "x", &x));
        CHECK_OK(ph_plan_run(small));
        CHECK_OK(ph_plan_read(small, "y", &y));
        CHECK_NUM(fabs(out[7] - (2 * 3 / (1 + exp(-3)) + 1)), <, 1e-5);
        large = plan_of_size(1 << 16);
    }
    struct ph_device *d = ph_device_ref(small->device);
    ph_plan_destroy(&small);
    ph_plan_destroy(&large);
    CHECK(!d->plans);
    ph_device_unref(&d);
}
