// SPDX-License-Identifier: MIT
// The node depth on small models of random weights: its outputs, sizes, and what it says when
// something is wrong.
#include "run.h"

#include "../models/folders.h"

#include <math.h>
#include <unistd.h>

static struct run r;

// A folder with the small model of that name.
static const char *model(const char *name)
{
    struct ph_module *m = module_random(name, 3);
    ph_module_close(&m);
    return folder_new(name);
}

// "%s" in the text becomes the model, on one thread: two wait for each other on a busy machine.
static const char *with(const char *text, const char *name)
{
    static char full[2][2000];
    static int turn;
    char *out = full[turn++ % 2];
    const char *at = strstr(text, "%s");
    snprintf(out, sizeof full[0], "%.*smodel=%s precision=f32 device=cpu:threads=1%s",
             (int) (at - text), text, model(name), at + 2);
    return out;
}

static float at(const struct ph_picture *p, int x, int y)
{
    return ((const float *) (p->data[0] + y * p->stride[0]))[x];
}

static void check_map(const struct ph_frame *f, enum ph_format format, int width, int height,
                      float least)
{
    const struct ph_picture *p = &f->picture;
    CHECK_INT(p->format, ==, format);
    CHECK_INT(p->width, ==, width);
    CHECK_INT(p->height, ==, height);
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < width * height; i++) {
        float v = at(p, i % width, i / width);
        CHECK(isfinite(v));
        low = fminf(low, v);
        high = fmaxf(high, v);
    }
    CHECK_NUM(low, >=, least);
    CHECK_NUM(high, >, low); // something is seen
}

TEST_LIMIT(relative_models_give_inverse_depth_and_others_depth, 240)
{
    run_open(&r,
             with("pattern ball size=80x60 fps=10 -> depth side=42 %s -> live", "tiny-da2"));
    run_until(&r, 0.3);
    if (r.problem[0]) TEST_FAIL("%s", r.problem);
    CHECK_INT(r.count, ==, 4);
    check_map(r.frames[3], PH_INVERSEF, 56, 42, 0);
    CHECK_INT(r.frames[3]->id, ==, 3);
    CHECK_NUM(r.frames[3]->intrinsics.fx, ==, 0);
    run_close(&r);
    run_open(&r,
             with("pattern ball size=80x60 fps=10 -> depth side=42 %s -> live", "tiny-da3"));
    run_until(&r, 0.1);
    check_map(r.frames[1], PH_DEPTHF, 56, 42, 1e-9f);
    run_close(&r);
}

TEST_LIMIT(depth_can_be_as_large_as_the_picture, 240)
{
    run_open(&r, with("pattern ball size=80x60 fps=10 -> depth restore=on side=42 %s -> live",
                      "tiny-da2"));
    run_until(&r, 0);
    check_map(r.frames[0], PH_INVERSEF, 80, 60, 0);
    run_close(&r);
}

TEST_LIMIT(the_lens_of_the_camera_is_scaled_to_the_depth, 240)
{
    run_open(&r, with("scene size=84x56 fps=10 -> depth size=42x28 %s -> live", "tiny-da2"));
    run_until(&r, 0);
    const struct ph_frame *f = r.frames[0];
    check_map(f, PH_INVERSEF, 42, 28, 0);
    CHECK_NUM(fabs((double) f->intrinsics.cx - 21), <, 1);
    CHECK_NUM(fabs((double) f->intrinsics.fx - 21 / tan(25 * M_PI / 180)), <, 1);
    run_close(&r);
}

TEST_LIMIT(confidence_picture_and_map_belong_to_the_depth, 240)
{
    const char *const ports[] = { "confidence", "picture", "map" };
    char text[200];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "pattern ball size=80x60 fps=10 -> d: depth side=42 %%s\nd.%s -> live: live",
                 ports[i]);
        run_open(&r, with(text, "tiny-da3"));
        run_until(&r, 0.2);
        if (r.problem[0]) TEST_FAIL("%s", r.problem);
        CHECK_INT(r.count, ==, 3);
        CHECK_INT(r.frames[2]->id, ==, 2);
        const struct ph_picture *p = run_picture(&r, 2);
        if (i == 0) check_map(r.frames[2], PH_DEPTHF, 56, 42, 1);
        if (i == 1) CHECK_INT(p->width, ==, 80);
        if (i == 2) {
            struct ph_moments m;
            ph_image_moments(&m, p);
            CHECK_INT(p->width, ==, 56);
            CHECK_NUM(m.variance[0], >, 1);
            CHECK_NUM(m.mean[0], ==, m.mean[2]); // grey
        }
        run_close(&r);
    }
}

TEST_LIMIT(another_size_lands_and_a_wrong_one_is_refused_by_name, 240)
{
    run_open(&r, with("pattern ball size=80x60 fps=10 -> d: depth side=28 %s -> live: live",
                      "tiny-da2"));
    run_until(&r, 0.1);
    check_map(r.frames[1], PH_INVERSEF, 42, 28, 0);
    run_set(&r, "d", "size", "70x56");
    run_until(&r, 0.4);
    check_map(r.frames[r.count - 1], PH_INVERSEF, 70, 56, 0);
    run_set(&r, "d", "size", "71x56");
    run_until(&r, 0.8);
    CHECK_HAS(r.problem, "71x56");
    CHECK_HAS(r.problem, "70x56 would do");
    check_map(r.frames[r.count - 1], PH_INVERSEF, 70, 56, 0); // the one before serves on
    run_set(&r, "d", "size", "0x0");
    run_until(&r, 1.2);
    check_map(r.frames[r.count - 1], PH_INVERSEF, 42, 28, 0);
    run_close(&r);
}

static void check_refused(const char *text, const char *what)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, text, &fault), <, 0);
    CHECK_HAS(fault.message, what);
}

TEST_LIMIT(a_room_without_a_model_says_what_to_do, 240)
{
    setenv("PH_MODELS", folder_new("shelf"), 1);
    check_refused("pattern -> depth -> live", "phosphene models pull depth-anything-v2-small");
    check_refused("pattern -> depth model=/nowhere -> live", "/nowhere");
    char text[600];
    snprintf(text, sizeof text, "pattern -> depth model=%s -> live", model("tiny-taesd"));
    check_refused(text, "expected a depth model");
    snprintf(text, sizeof text, "pattern -> depth size=50x42 model=%s -> live",
             model("tiny-da2"));
    check_refused(text, "56x42 would do");
}

TEST_LIMIT(the_first_depth_model_of_the_shelf_is_taken, 240)
{
    model("tiny-taesd");
    model("tiny-da3");
    setenv("PH_MODELS", folder_base, 1);
    run_open(&r,
             "pattern ball size=56x42 fps=10 -> depth side=42 device=cpu:threads=1 -> live");
    run_until(&r, 0);
    CHECK_INT(run_picture(&r, 0)->format, ==, PH_DEPTHF);
    run_close(&r);
}

TEST_LIMIT(black_and_white_pictures_and_all_shapes_go_through, 240)
{
    static const char *const texts[] = {
        "pattern bars size=1x1 fps=10 -> depth side=14 %s -> live",
        "pattern bars size=300x4 fps=10 -> depth side=14 %s -> live",
        "pattern bars size=64x48 fps=10 -> color brightness=-1 -> depth side=28 %s -> live",
        "pattern bars size=64x48 fps=10 -> color brightness=1 -> depth side=28 %s -> live",
    };
    for (int i = 0; i < 4; i++) {
        run_open(&r, with(texts[i], "tiny-da2"));
        run_until(&r, 0.1);
        CHECK_INT(r.count, ==, 2);
        const struct ph_picture *p = run_picture(&r, 1);
        for (int k = 0; k < p->width * p->height; k++)
            CHECK(isfinite(at(p, k % p->width, k / p->width)));
        run_close(&r);
    }
}

// --- again

// In the journal, every picture had the size `to` and not `from`, as when `to` served on while
// `from` was being made. Both have as many digits.
static void keep_another_size(const char *journal, const char *from, const char *to)
{
    static char text[1 << 20];
    FILE *file = fopen(journal, "r+b");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    char *name = strstr(text, "\"name\":\"size\"");
    CHECK(name != NULL);
    char *value = strstr(name, from);
    CHECK(value != NULL && value < strchr(name, '\n'));
    CHECK_INT(strlen(from), ==, strlen(to));
    CHECK(fseek(file, value - text, SEEK_SET) == 0);
    CHECK(fwrite(to, 1, strlen(to), file) == strlen(to));
    CHECK(fclose(file) == 0);
}

static void watch_replay(void *opaque, struct ph_graph *g)
{
    (void) opaque;
    r.sub = (struct ph_subscriber){ .deliver = run_deliver, .opaque = &r };
    ph_graph_subscribe(g, "live", &r.sub);
}

static void leave_replay(void *opaque, struct ph_graph *g)
{
    (void) opaque;
    ph_graph_unsubscribe(g, &r.sub);
}

// 80x60 goes to 56x42 by way of 60x45, and to a size that served on, here 28x28, at once.
TEST_LIMIT(a_replay_goes_to_a_size_that_served_on_as_it_went_live, 240)
{
    static float want[28 * 28];
    char journal[64];
    struct ph_fault fault = { 0 };
    struct ph_replay_params par = { .started = watch_replay, .ended = leave_replay };
    run_open(&r,
             with("pattern bars size=80x60 fps=10 -> depth size=28x28 %s -> live", "tiny-da3"));
    run_until(&r, 0);
    check_map(r.frames[0], PH_DEPTHF, 28, 28, 1e-9f);
    for (int i = 0; i < 28 * 28; i++) want[i] = at(run_picture(&r, 0), i % 28, i / 28);
    run_close(&r);
    snprintf(journal, sizeof journal, "/tmp/ph-depth-%d", (int) getpid());
    r.par = (struct ph_graph_params){ .journal = journal };
    run_open(&r,
             with("pattern bars size=80x60 fps=10 -> depth side=45 %s -> live", "tiny-da3"));
    run_until(&r, 0.1);
    check_map(r.frames[1], PH_DEPTHF, 56, 42, 1e-9f);
    run_close(&r);
    keep_another_size(journal, "3670058", "1835036"); // width << 16 | height
    if (ph_replay(journal, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
    unlink(journal);
    CHECK_INT(r.count, >=, 1);
    check_map(r.frames[0], PH_DEPTHF, 28, 28, 1e-9f);
    for (int i = 0; i < 28 * 28; i++)
        CHECK_NUM(at(run_picture(&r, 0), i % 28, i / 28), ==, want[i]);
    run_forget(&r);
}

// --- live

static _Atomic int delivered;

static void deliver_live(void *opaque, struct ph_frame *f)
{
    run_deliver(opaque, f);
    delivered++;
}

// Ended while its first size is made, while a picture is looked at, and while another size is made.
TEST_LIMIT(a_graph_that_ends_in_the_midst_of_the_model_ends_without_a_complaint, 240)
{
    for (int i = 0; i < 6; i++) {
        struct ph_fault fault = { 0 };
        struct ph_graph_params par = { .seed = 7, .event = run_event, .opaque = &r };
        const char *text = with("pattern bars size=80x60 fps=0 -> d: depth side=126 %s -> live",
                                i % 2 ? "tiny-da3" : "tiny-da2");
        memset(&r, 0, sizeof r);
        delivered = 0;
        if (ph_graph_create(&r.graph, text, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
        r.sub = (struct ph_subscriber){ .deliver = deliver_live, .opaque = &r };
        CHECK_OK(ph_graph_subscribe(r.graph, "live", &r.sub));
        CHECK_OK(ph_graph_start(r.graph));
        while (delivered < i / 2) ph_sleep_until_ns(ph_now_ns() + PH_MS_NS);
        if (i / 2 == 2) run_set(&r, "d", "side", "140");
        ph_graph_destroy(&r.graph);
        CHECK_STR(r.problem, "");
        run_forget(&r);
    }
}
