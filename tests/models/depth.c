// SPDX-License-Identifier: MIT
// Depth models that run: sizes live, wrong folders and weights, what any weights give.
#include <math.h>
#include <sched.h>

#include "folders.h"
#include "models/depth/depther_priv.h"

static struct ph_depther *open_stopping(const char *model, bool (*stop)(void *arg), void *arg)
{
    struct ph_module *m = module_random(model, 3);
    struct ph_depther_params params = { .model = m->path,
                                        .device = "cpu:threads=1",
                                        .precision = PH_PRECISION_F32,
                                        .stop = stop,
                                        .stop_arg = arg };
    struct ph_fault fault = { 0 };
    struct ph_depther *d;
    if (ph_depther_open(&params, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    ph_module_close(&m);
    return d;
}

static struct ph_depther *open_tiny(const char *model)
{
    return open_stopping(model, NULL, NULL);
}

static struct ph_depth_result run_at(struct ph_depther *d, int width, int height, float value)
{
    static float picture[3 * 140 * 140], depth[140 * 140], sure[140 * 140];
    struct ph_depth_result r = { .depth = depth, .confidence = sure };
    int n = width * height;
    CHECK_OK(ph_depther_wish(d, width, height, NULL));
    CHECK_OK(ph_depther_settle(d, NULL));
    struct ph_depth_size s = ph_depther_size(d, NULL);
    CHECK_INT(s.width, ==, width);
    CHECK_INT(s.height, ==, height);
    for (int i = 0; i < 3 * n; i++)
        picture[i] = isnan(value) ? (float) (i % 23) / 11 - 1 : value;
    CHECK_OK(ph_depther_run(d, picture, &r));
    for (int i = 0; i < n; i++) {
        CHECK(isfinite(depth[i]));
        CHECK_NUM(depth[i], >=, 0);
        CHECK_NUM(sure[i], >=, 1);
    }
    return r;
}

TEST(any_size_in_fourteens_serves_one_after_the_other)
{
    static const int sides[][2] = {
        { 70, 42 }, { 14, 14 }, { 42, 126 }, { 56, 56 }, { 70, 42 }
    };
    static const char *const models[] = { "tiny-da2", "tiny-da3" };
    for (int m = 0; m < 2; m++) {
        struct ph_depther *d = open_tiny(models[m]);
        uint64_t landed;
        for (int i = 0; i < 5; i++) run_at(d, sides[i][0], sides[i][1], NAN);
        ph_depther_size(d, &landed);
        CHECK_INT((int) landed, ==, 5);
        ph_depther_close(&d);
    }
}

TEST(black_and_white_pictures_have_finite_depth)
{
    static const float levels[] = { -2.1179f, 2.64f, 0 };
    struct ph_depther *v2 = open_tiny("tiny-da2"), *v3 = open_tiny("tiny-da3");
    for (int i = 0; i < 3; i++) {
        run_at(v2, 42, 56, levels[i]);
        run_at(v3, 42, 56, levels[i]);
    }
    ph_depther_close(&v2);
    ph_depther_close(&v3);
}

TEST(the_same_picture_has_the_same_depth_after_other_sizes)
{
    static float before[56 * 42];
    struct ph_depther *d = open_tiny("tiny-da2");
    memcpy(before, run_at(d, 56, 42, NAN).depth, sizeof before);
    run_at(d, 28, 98, NAN);
    CHECK(memcmp(before, run_at(d, 56, 42, NAN).depth, sizeof before) == 0);
    ph_depther_close(&d);
}

TEST(a_size_that_is_no_multiple_of_fourteen_names_the_nearest_one)
{
    struct ph_depther *d = open_tiny("tiny-da2");
    struct ph_fault fault = { 0 };
    CHECK_INT(ph_depther_wish(d, 100, 42, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "98x42");
    CHECK_INT(ph_depther_wish(d, 0, 42, &fault), ==, PH_EINVAL);
    CHECK_INT(ph_depther_wish(d, 14000, 42, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "1400x42");
    float x = 0;
    CHECK_INT(ph_depther_run(d, &x, &(struct ph_depth_result){ .depth = &x }), ==, PH_EINVAL);
    ph_depther_close(&d);
}

static void check_refused(const char *folder, const char *what)
{
    struct ph_depther_params params = { .model = folder };
    struct ph_fault fault = { 0 };
    struct ph_depther *d;
    CHECK_INT(ph_depther_open(&params, &d, &fault), <, 0);
    CHECK(!d);
    printf("# %s\n", fault.message);
    CHECK_HAS(fault.message, what);
}

TEST(what_is_no_depth_model_is_refused)
{
    struct ph_module *m = module_random("tiny-taesd", 1);
    check_refused(m->path, "expected a depth model");
    ph_module_close(&m);
    check_refused("/nowhere/at/all", "no config.json");
    config_write(folder_new("bare"), "tiny-da2", NULL, NULL);
    check_refused(folder_new("bare"), "model.safetensors");
}

// The tensors of a described module, one of them changed, as its file.
static const char *write_spoiled(const char *name, int which, float value)
{
    struct ph_tensor_list list;
    char path[1200];
    const char *folder = folder_new(name);
    config_write(folder, "tiny-da2", NULL, NULL);
    struct ph_module *m = module_describe(folder);
    CHECK_OK(ph_module_tensors(m, -1, &list, NULL));
    for (int i = 0; i < list.count; i++) list.tensor[i].tensor.dtype = PH_F32;
    float *data = calloc((size_t) ph_tensor_count(&list.tensor[which].tensor), sizeof *data);
    data[1] = value;
    list.tensor[which].tensor.data = data;
    if (!value) list.tensor[which].name = "another.name";
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    CHECK_OK(ph_weights_save(path, list.tensor, list.count, 1, NULL));
    free(data);
    ph_tensor_list_free(&list);
    ph_module_close(&m);
    return folder;
}

TEST(missing_tensors_and_values_that_are_no_numbers_are_named)
{
    check_refused(write_spoiled("holes", 5, 0), "no tensor backbone.");
    check_refused(write_spoiled("nan", 5, NAN), "not finite at element 1");
    check_refused(write_spoiled("infinite", 9, INFINITY), "not finite");
}

TEST(views_of_one_scene_see_each_other_and_pictures_of_v2_do_not)
{
    static const char *const models[] = { "tiny-da2", "tiny-da3" };
    enum { SIDE = 42, N = SIDE * SIDE };
    static float picture[2 * 3 * N], depth[2][2 * N];
    for (int m = 0; m < 2; m++) {
        struct ph_module *module = module_random(models[m], 3);
        for (int k = 0; k < 2; k++) { // the second picture is another one in the second run
            struct ph_module_size size = { 2, SIDE, SIDE, 0 };
            struct ph_plan_params params = { .precision = PH_PRECISION_F32 };
            struct ph_prog *p;
            struct ph_plan *plan;
            CHECK_OK(ph_prog_create(&p));
            ph_module_record(p, module, 0, &size, NULL);
            CHECK_OK(ph_plan_create(p, &params, &plan, NULL));
            for (int i = 0; i < 6 * N; i++)
                picture[i] = (float) (i % 37) / 18 - 1 + (i >= 3 * N && k ? 0.7f : 0);
            CHECK_OK(ph_plan_write(plan, "picture",
                                   &(struct ph_tensor){ PH_F32, 1, { 6 * N }, picture }));
            CHECK_OK(ph_plan_run(plan));
            CHECK_OK(ph_plan_read(plan, "depth",
                                  &(struct ph_tensor){ PH_F32, 1, { 2 * N }, depth[k] }));
            ph_plan_destroy(&plan);
            ph_prog_free(&p);
        }
        bool same = memcmp(depth[0], depth[1], sizeof(float) * N) == 0;
        CHECK(same == (m == 0));
        ph_module_close(&module);
    }
}

// ------------------------------------------------------------------------------ stopping
struct asked {
    _Atomic int count, stop_at, wait_at; // the numbers of questions; 0 = none
    _Atomic bool waiting;
    struct ph_depther *_Atomic d;
};

static bool ask(void *arg)
{
    struct asked *a = arg;
    int n = ++a->count;
    if (n == a->wait_at) { // until it is being closed
        a->waiting = true;
        while (!a->d || !a->d->quit) sched_yield();
    }
    return a->stop_at && n >= a->stop_at;
}

TEST(a_model_that_is_being_opened_can_be_stopped)
{
    struct ph_module *m = module_random("tiny-da2", 3);
    struct ph_fault fault = { 0 };
    struct ph_depther *d;
    for (int at = 1; at < 20; at += 6) {
        struct asked a = { .stop_at = at };
        struct ph_depther_params params = { .model = m->path, .stop = ask, .stop_arg = &a };
        CHECK_INT(ph_depther_open(&params, &d, &fault), ==, PH_ESTOPPED);
        CHECK(!d);
        CHECK_INT(a.count, ==, at);
    }
    ph_module_close(&m);
}

TEST(a_run_that_is_stopped_runs_no_step_more)
{
    static float picture[3 * 42 * 42], depth[42 * 42], before[42 * 42];
    static const char *const models[] = { "tiny-da2", "tiny-da3" };
    for (int m = 0; m < 2; m++) {
        struct asked a = { 0 };
        struct ph_depther *d = open_stopping(models[m], ask, &a);
        memcpy(before, run_at(d, 42, 42, 0.5f).depth, sizeof before);
        for (int i = 0; i < 3 * 42 * 42; i++) picture[i] = 0.5f;
        struct ph_depth_result out = { .depth = depth };
        a.count = 0;
        CHECK_OK(ph_depther_run(d, picture, &out));
        int steps = a.count;
        CHECK_INT(steps, >, 20);
        for (int at = 1; at < steps; at += 7) {
            a.count = 0;
            a.stop_at = at;
            CHECK_INT(ph_depther_run(d, picture, &out), ==, PH_ESTOPPED);
            CHECK_INT(a.count, ==, at);
        }
        a.stop_at = 0;
        CHECK_OK(ph_depther_run(d, picture, &out));
        CHECK(memcmp(before, depth, sizeof before) == 0);
        ph_depther_close(&d);
    }
}

TEST(a_size_that_is_stopped_in_the_making_does_not_land_and_the_next_one_does)
{
    struct asked a = { 0 };
    struct ph_fault fault = { 0 };
    struct ph_depther *d = open_stopping("tiny-da2", ask, &a);
    a.count = 0;
    CHECK_OK(ph_depther_wish(d, 42, 56, &fault));
    CHECK_OK(ph_depther_settle(d, &fault));
    int steps = a.count;
    CHECK_INT(steps, >, 20);
    run_at(d, 28, 28, NAN);
    for (int at = 1; at < steps; at += 7) {
        uint64_t landed;
        a.count = 0;
        a.stop_at = at;
        CHECK_OK(ph_depther_wish(d, 42, 56, &fault));
        CHECK_INT(ph_depther_settle(d, &fault), ==, PH_ESTOPPED);
        CHECK_INT(a.count, ==, at);
        CHECK_INT(ph_depther_trouble(d, &fault), ==, PH_ESTOPPED);
        CHECK_INT(ph_depther_size(d, &landed).width, ==, 28);
    }
    a.stop_at = 0;
    run_at(d, 42, 56, NAN);
    ph_depther_close(&d);
}

TEST(closing_does_not_wait_for_the_size_that_is_being_made)
{
    struct asked whole = { 0 };
    struct ph_depther *d = open_stopping("tiny-da3", ask, &whole);
    whole.count = 0;
    CHECK_OK(ph_depther_wish(d, 42, 56, NULL));
    CHECK_OK(ph_depther_settle(d, NULL));
    ph_depther_close(&d);
    CHECK_INT(whole.count, >, 20);
    for (int at = 1; at < whole.count; at += 20) {
        struct asked a = { 0 };
        d = open_stopping("tiny-da3", ask, &a);
        a = (struct asked){ .wait_at = at, .d = d };
        CHECK_OK(ph_depther_wish(d, 42, 56, NULL));
        while (!a.waiting) sched_yield();
        ph_depther_close(&d);
        CHECK_INT(a.count, ==, at); // nothing more was done
    }
}
