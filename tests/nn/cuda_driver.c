// SPDX-License-Identifier: MIT
// The host's side of the CUDA backend, against a model of the driver and of cuBLASLt (cuda_model.h):
// opening, loading, launching, recordings and their times, copies, memory that ends, errors. Without
// PH_CUDA_PATH, or where another driver is found there, every case is skipped.
#include <dlfcn.h>
#include <pthread.h>

#include <phosphene/tensor.h>

#include "cuda_model.h"
#include "files.h"
#include "nn/plan_priv.h"
#include "nn/rng.h"

#define D(...) ((const int64_t[]){ __VA_ARGS__ })
enum { N = 2, C = 16, H = 6, W = 8, OUT = N * C * H * W };

// ------------------------------------------------------------------------------ the model
static struct {
    void (*fail)(const char *call, int error, int n);
    void (*memory)(size_t bytes);
    size_t (*used)(void);
    int (*count)(const char *call);
} model;

static void find_model(void)
{
    const char *at = getenv("PH_CUDA_PATH");
    char path[4096];
    snprintf(path, sizeof path, "%s/libcuda.so.1", at ? at : "");
    void *library = at ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) TEST_SKIP("no model of a driver: PH_CUDA_PATH");
    *(void **) &model.fail = dlsym(library, "cu_model_fail");
    *(void **) &model.memory = dlsym(library, "cu_model_memory");
    *(void **) &model.used = dlsym(library, "cu_model_used");
    *(void **) &model.count = dlsym(library, "cu_model_count");
    if (!model.fail) TEST_SKIP("%s is a driver, not a model of one", path);
}

static struct ph_device *open_device(const char *spec)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    find_model();
    if (ph_device_open(spec, &d, &fault) >= 0) return d;
    if (strstr(fault.message, "without nvcc")) TEST_SKIP("%s", fault.message);
    TEST_FAIL("%s", fault.message);
}

// ------------------------------------------------------------------------------ a prog
static struct ph_weights *weights(void)
{
    static const struct ph_named_tensor all[] = {
        { "c.weight", { PH_F32, 4, { C, C, 3, 3 }, NULL } },
        { "c.bias", { PH_F32, 1, { C }, NULL } },
        { "s.weight", { PH_F32, 4, { C, C, 1, 1 }, NULL } },
        { "s.bias", { PH_F32, 1, { C }, NULL } },
        { "a.weight", { PH_F32, 2, { 3 * C, C }, NULL } },
        { "a.bias", { PH_F32, 1, { 3 * C }, NULL } },
        { "b.weight", { PH_F32, 2, { C, 3 * C }, NULL } },
        { "b.bias", { PH_F32, 1, { C }, NULL } },
        { "t.weight", { PH_F32, 2, { C, 8 }, NULL } },
        { "t.bias", { PH_F32, 1, { C }, NULL } },
        { "n.weight", { PH_F32, 1, { C }, NULL } },
        { "n.bias", { PH_F32, 1, { C }, NULL } },
    };
    struct ph_fault fault = { 0 };
    const char *path = in_folder("driver.safetensors");
    if (ph_weights_save(path, all, sizeof all / sizeof *all, 7, &fault) < 0)
        TEST_FAIL("%s", fault.message);
    return open_ok(path);
}

// A block of a UNet in small: a rare input, everything that fuses, attention, a state.
static struct ph_prog *block(struct ph_weights *w)
{
    struct ph_prog *p;
    CHECK_INT(ph_prog_create(&p), ==, PH_OK);
    ph_prog_use(p, w);
    ph_val x = ph_input(p, "x", PH_EACH, PH_F32, 4, D(N, C, H, W));
    ph_val t = ph_input(p, "t", PH_RARE, PH_F32, 2, D(N, 8));
    ph_val before = ph_state(p, "before", 3, D(N, H * W, C));
    ph_val row = ph_linear(p, ph_activate(p, t, PH_ACT_SILU), "t", 0);
    ph_val h = ph_add(p, ph_conv2d(p, x, "c", (struct ph_conv){ 1, 1, 1, 1, 1, 0 }), row);
    h = ph_activate(p, ph_group_norm(p, h, "n", 4, 1e-5f), PH_ACT_SILU);
    ph_val skip = ph_conv2d(p, ph_activate(p, x, PH_ACT_TANH), "s", (struct ph_conv){ 0 });
    h = ph_add(p, skip, ph_conv2d(p, h, "c", (struct ph_conv){ 1, 1, 1, 1, 1, 0 }));
    ph_val k = ph_tokens(p, h);
    k = ph_add(p, k, ph_attend(p, k, k, k, (struct ph_attention){ 2, false, 0 }));
    k = ph_add(p, ph_linear(p, ph_linear(p, k, "a", 0), "b", 0), k);
    ph_store(p, before, k);
    ph_output(p, "y", ph_image(p, ph_add(p, k, ph_affine(p, before, 0.25f, 0)), H, W));
    return p;
}

static ph_err make(struct ph_device *d, struct ph_weights *w, int flags, struct ph_plan **plan,
                   struct ph_fault *fault)
{
    struct ph_prog *p = block(w);
    struct ph_plan_params params = { d, PH_PRECISION_BF16, flags };
    ph_err ret = ph_plan_create(p, &params, plan, fault);
    ph_prog_free(&p);
    return ret;
}

static struct ph_plan *plan_of(struct ph_device *d, struct ph_weights *w, int flags)
{
    struct ph_plan *plan;
    struct ph_fault fault = { 0 };
    if (make(d, w, flags, &plan, &fault) < 0) TEST_FAIL("%s", fault.message);
    return plan;
}

static ph_err run(struct ph_plan *plan, int turn, bool rare, float *y)
{
    float x[OUT], t[N * 8];
    ph_rng_normal(5, (uint64_t) turn, 0, OUT, x);
    ph_rng_normal(6, (uint64_t) turn, 0, N * 8, t);
    CHECK_OK(ph_plan_write(plan, "x", &(struct ph_tensor){ PH_F32, 1, { OUT }, x }));
    if (rare)
        CHECK_OK(ph_plan_write(plan, "t", &(struct ph_tensor){ PH_F32, 1, { N * 8 }, t }));
    ph_err ret = ph_plan_run(plan);
    if (ret < 0) return ret;
    return ph_plan_read(plan, "y", &(struct ph_tensor){ PH_F32, 1, { OUT }, y });
}

static double off(const float *a, const float *b)
{
    double e = 0, n = 0;
    for (int i = 0; i < OUT; i++) {
        e += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        n += (double) b[i] * b[i];
    }
    return e / n;
}

// Runs of both plans in turn; every third changes the rare input.
static void compare(struct ph_plan *plan, struct ph_plan *truth, int turns)
{
    static float y[OUT], want[OUT];
    for (int i = 0; i < turns; i++) {
        CHECK_OK(run(plan, i, i % 3 == 0, y));
        CHECK_OK(run(truth, i, i % 3 == 0, want));
        if (!(off(y, want) < 2e-4)) TEST_FAIL("turn %d: off by %g", i, off(y, want));
    }
}

struct world {
    struct ph_device *d, *cpu;
    struct ph_weights *w;
    struct ph_plan *plan, *truth;
};

static struct world begin(const char *spec, int flags)
{
    struct world w = { .d = open_device(spec) };
    struct ph_fault fault = { 0 };
    CHECK_OK(ph_device_open("cpu:plain", &w.cpu, &fault));
    w.w = weights();
    w.plan = plan_of(w.d, w.w, flags);
    w.truth = plan_of(w.cpu, w.w, 0);
    return w;
}

static void end(struct world *w)
{
    ph_plan_destroy(&w->plan);
    ph_plan_destroy(&w->truth);
    ph_weights_unref(&w->w);
    ph_device_unref(&w->cpu);
    ph_device_unref(&w->d);
    CHECK_INT(model.used(), ==, 0);
}

static int steps_by(const struct ph_plan *plan, const char *kernel)
{
    int n = 0;
    for (int i = 0; i < plan->step_count; i++)
        n += plan->steps[i].kernel && !strcmp(plan->steps[i].kernel->name, kernel);
    return n;
}

// ------------------------------------------------------------------------------ running
TEST(a_plan_gives_what_the_cpu_gives_and_is_replayed_as_one)
{
    struct world w = begin("cuda:nolt", 0);
    compare(w.plan, w.truth, 7);
    CHECK_INT(model.count("replay"), ==, 4); // turns 1, 2, 4, 5
    CHECK_INT(model.count("cuGraphInstantiateWithFlags"), ==, 1);
    end(&w);
}

TEST(a_plan_without_graphs_gives_the_same)
{
    struct world w = begin("cuda:nograph,nolt", 0);
    compare(w.plan, w.truth, 4);
    CHECK_INT(model.count("replay"), ==, 0);
    end(&w);
}

TEST(linear_layers_and_convolutions_of_one_tap_by_cublaslt_give_the_same)
{
    struct world w = begin("cuda", 0);
    CHECK_HAS(ph_device_name(w.d), "cuBLASLt 13.0.1");
    CHECK_INT(steps_by(w.plan, "cublaslt"), >=, 3);
    compare(w.plan, w.truth, 7);
    end(&w);
}

TEST(where_cublaslt_has_nothing_the_next_kernel_serves)
{
    setenv("CU_MODEL_LT_NOTHING", "1", 1);
    struct world w = begin("cuda", 0);
    CHECK_INT(steps_by(w.plan, "cublaslt"), ==, 0);
    compare(w.plan, w.truth, 4);
    end(&w);
}

TEST(a_device_without_pools_gives_the_same)
{
    setenv("CU_MODEL_NO_POOLS", "1", 1);
    struct world w = begin("cuda", 0);
    compare(w.plan, w.truth, 4);
    CHECK_INT(model.count("cuMemAllocAsync"), ==, 0);
    end(&w);
}

TEST(overlapped_launches_give_the_same)
{
    struct world w = begin("cuda:overlap", 0);
    compare(w.plan, w.truth, 4);
    CHECK_INT(model.count("cuLaunchKernelEx"), ==, model.count("cuLaunchKernel"));
    CHECK_INT(model.count("cuLaunchKernelEx"), >, 10);
    end(&w);
}

TEST(a_device_tells_its_energy)
{
    struct ph_device *d = open_device("cuda");
    double before = ph_device_energy(d);
    CHECK_NUM(before, >, 0);
    CHECK_NUM(ph_device_energy(d) - before, ==, 1.5);
    ph_device_unref(&d);
    struct ph_fault fault = { 0 };
    CHECK_OK(ph_device_open("cpu:plain", &d, &fault));
    CHECK_NUM(ph_device_energy(d), <, 0);
    ph_device_unref(&d);
}

TEST(every_step_has_a_time_in_a_recording)
{
    struct world w = begin("cuda:steps", 0);
    compare(w.plan, w.truth, 3);
    CHECK_INT(model.count("replay"), ==, 2);
    for (int i = 0; i < w.plan->step_count; i++) {
        const struct ph_step *s = &w.plan->steps[i];
        if (s->kernel && s->inputs_used & PH_EVERY_RUN) CHECK_INT(s->ns, >, 0);
    }
    struct ph_plan_stats stats;
    ph_plan_stats(w.plan, &stats);
    CHECK_INT(stats.run_ns, >, 0);
    end(&w);
}

TEST(a_device_closed_is_opened_again_libraries_and_all)
{
    for (int i = 0; i < 3; i++) {
        struct world w = begin("cuda", 0);
        compare(w.plan, w.truth, 2);
        end(&w);
    }
    CHECK_INT(model.count("cuDevicePrimaryCtxRetain"), ==, 3);
}

TEST(what_was_measured_in_a_recording_is_kept)
{
    setenv("PH_KERNELS", in_folder("kernels.txt"), 1);
    struct world w = begin("cuda", PH_PLAN_TUNE);
    int replays = model.count("replay");
    CHECK_INT(replays, >, 10);
    compare(w.plan, w.truth, 4);
    replays = model.count("replay");
    struct ph_plan *again = plan_of(w.d, w.w, PH_PLAN_TUNE);
    CHECK_INT(model.count("replay"), ==, replays);
    ph_plan_destroy(&again);
    end(&w);
}

TEST(an_option_that_there_is_not_is_named)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    find_model();
    if (ph_device_open("cuda", &d, &fault) < 0) TEST_SKIP("%s", fault.message);
    ph_device_unref(&d);
    CHECK_INT(ph_device_open("cuda:quick", &d, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "no option \"quick\"");
    CHECK_INT(ph_device_open("cuda:device=1", &d, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "no device 1; there are 1");
}

// ------------------------------------------------------------------------------ several plans
struct maker {
    struct world *w;
    int made;
};

static void *make_and_drop(void *arg)
{
    struct maker *m = arg;
    for (m->made = 0; m->made < 12; m->made++) {
        struct ph_plan *p = plan_of(m->w->d, m->w->w, 0);
        float y[OUT];
        if (run(p, m->made, true, y) < 0) break;
        ph_plan_destroy(&p);
    }
    return NULL;
}

TEST(plans_are_made_and_dropped_while_another_is_replayed)
{
    struct world w = begin("cuda", 0);
    struct maker m = { &w, 0 };
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, make_and_drop, &m), ==, 0);
    compare(w.plan, w.truth, 40);
    pthread_join(thread, NULL);
    CHECK_INT(m.made, ==, 12);
    end(&w);
}

// ------------------------------------------------------------------------------ errors
TEST(a_launch_that_is_refused_ends_one_run)
{
    struct world w = begin("cuda", 0);
    static float y[OUT];
    model.fail("cuLaunchKernel", 1, 3);
    CHECK_INT(run(w.plan, 0, true, y), ==, PH_EDEVICE);
    ph_plan_forget(w.plan);
    compare(w.plan, w.truth, 4);
    end(&w);
}

TEST(a_recording_that_fails_is_launched_step_by_step)
{
    static const char *const calls[] = { "cuGraphInstantiateWithFlags", "cuStreamEndCapture",
                                         "cuStreamBeginCapture_v2" };
    for (int i = 0; i < 3; i++) {
        struct world w = begin("cuda", 0);
        if (i != 1) model.fail(calls[i], 2, 1);
        if (i == 1) model.fail("cuLaunchKernel", 901, 20); // in the first recording
        compare(w.plan, w.truth, 4);
        end(&w);
    }
}

TEST(an_illegal_access_ends_the_device_and_says_so)
{
    struct world w = begin("cuda", 0);
    static float y[OUT];
    CHECK_OK(run(w.plan, 0, true, y));
    model.fail("kernel", 700, 2);
    CHECK_INT(run(w.plan, 1, false, y), ==, PH_EDEVICE);
    CHECK_INT(run(w.plan, 2, true, y), ==, PH_EDEVICE);
    ph_plan_destroy(&w.plan);
    ph_plan_destroy(&w.truth);
    ph_weights_unref(&w.w);
    ph_device_unref(&w.d);
    ph_device_unref(&w.cpu);
}

TEST(a_plan_that_does_not_fit_is_refused_and_the_one_that_runs_goes_on)
{
    struct world w = begin("cuda", 0);
    compare(w.plan, w.truth, 2);
    size_t held = model.used();
    for (size_t more = 0; more < 12288; more += 1024) {
        struct ph_weights *other = weights(); // packed anew: another file
        struct ph_plan *second = NULL;
        struct ph_fault fault = { 0 };
        model.memory(held + more);
        if (make(w.d, other, 0, &second, &fault) >= 0) {
            ph_plan_destroy(&second);
        } else {
            CHECK_INT(fault.code, ==, PH_ENOMEM);
            CHECK_HAS(fault.message, "out of memory");
        }
        ph_weights_unref(&other);
        compare(w.plan, w.truth, 2);
        CHECK_INT(model.used(), ==, held);
    }
    end(&w);
}

TEST(a_driver_that_does_not_begin_is_named)
{
    struct ph_device *d = NULL;
    struct ph_fault fault = { 0 };
    find_model();
    model.fail("cuInit", 2, 1);
    CHECK_INT(ph_device_open("cuda", &d, &fault), <, 0);
    if (strstr(fault.message, "without nvcc")) TEST_SKIP("%s", fault.message);
    CHECK_HAS(fault.message, "does not start: out of memory");
}
