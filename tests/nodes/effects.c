// SPDX-License-Identifier: MIT
#include "run.h"

#include "core/wave.h"
#include "safetensors.h"

static struct run r;

#define RED(p, x, y) ((int) (px(p, x, y) >> 24))

// The last picture of a graph at a time. What is set at `from` lands there.
static struct ph_frame *last_at(const char *text, double seconds)
{
    run_open(&r, text);
    run_until(&r, seconds);
    CHECK_INT(r.count, >, 0);
    struct ph_frame *f = ph_frame_ref(r.frames[r.count - 1]);
    run_close(&r);
    return f;
}

static double difference(const struct ph_frame *a, const struct ph_frame *b)
{
    return ph_image_difference(&a->picture, &b->picture);
}

// --- the same at any frame rate

// A smooth picture for a third of a second, then black: its trail at one second.
static struct ph_frame *trail(int fps, const char *params)
{
    char text[400];
    snprintf(text, sizeof text,
             "src: pattern gradient size=160x90 fps=%d color=white color2=#202020 -> feedback "
             "mode=lighten keep=0.999 %s -> live limiter=off",
             fps, params);
    run_open(&r, text);
    run_until(&r, 1.0 / 3 - 0.001);
    run_set(&r, "src", "kind", "solid");
    run_set(&r, "src", "color", "black");
    run_until(&r, 1 + 0.001);
    CHECK_INT(r.count, ==, fps + 1);
    struct ph_frame *f = ph_frame_ref(r.frames[r.count - 1]);
    run_close(&r);
    return f;
}

// Of one second's trail: near at all rates, and far from where it would be if nothing moved. Each
// step rounds to whole numbers, which adds up to a noise of one or two of 255.
static void check_trail(const char *params)
{
    static const int rates[] = { 30, 60, 120, 24 };
    struct ph_frame *still = trail(30, "decay=1"), *f[4];
    for (int i = 0; i < 4; i++) f[i] = trail(rates[i], params);
    CHECK_NUM(difference(still, f[0]), >, 6);
    for (int i = 1; i < 3; i++)
        if (difference(f[0], f[i]) > 2.5)
            TEST_FAIL("%s: %d fps is %g from 30 fps", params, rates[i], difference(f[0], f[i]));
    CHECK_NUM(difference(f[0], f[3]), <, 4); // black comes at another moment
    for (int i = 0; i < 4; i++) ph_frame_unref(&f[i]);
    ph_frame_unref(&still);
}

TEST(a_trail_is_the_same_at_30_60_and_120_fps)
{
    check_trail("decay=1 zoom=0.6");
    check_trail("decay=1 zoom=-0.4 border=edge");
    check_trail("decay=1 rotate=50");
    check_trail("decay=1 pan_x=0.4 pan_y=-0.2");
    check_trail("decay=0.96");
    check_trail("decay=0.99 zoom=0.3 rotate=-30 pan_x=0.1 shake=0.05");
}

TEST(a_feedback_follows_the_definition_at_30_and_60_fps)
{
    struct expected_file *file = expected_open("audio/vis_effects.safetensors");
    const double *mix = expected_doubles(file, "fx06_mix_30", 361);
    const double *want = expected_doubles(file, "fx06_feedback_30", 361);
    run_open(&r, "src: pattern solid color=black size=4x4 fps=30 -> feedback keep=0 "
                 "decay=0.985 -> live limiter=off");
    for (int i = 0; i < 361; i++) {
        char value[32];
        snprintf(value, sizeof value, "%.9g", mix[i]);
        if (i == 1) run_set(&r, "src", "color", "white");
        run_set(&r, "feedback", "keep", value);
        run_until(&r, i / 30.0 + 0.001);
        CHECK_INT(r.count, ==, i % 64 + 1);
        double got = RED(run_picture(&r, r.count - 1), 1, 1) / 255.0;
        if (fabs(got - want[i]) > 0.012) TEST_FAIL("step %d: %g, want %g", i, got, want[i]);
        if (r.count == 64) run_forget(&r);
    }
    run_close(&r);
    expected_close(file);
}

// What keeps turning: after a second it stands where its rate says, at any frame rate.
static void check_turning(const char *turning, const char *standing)
{
    char text[300];
    struct ph_frame *f[3];
    static const int rates[] = { 30, 60 };
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "pattern gradient size=96x64 fps=%d color=#ff8000 color2=#0010ff -> %s -> "
                 "live limiter=off",
                 i < 2 ? rates[i] : 30, i < 2 ? turning : standing);
        f[i] = last_at(text, 1.001);
    }
    if (difference(f[0], f[1]) > 0.1 || difference(f[0], f[2]) > 0.1)
        TEST_FAIL("%s: %g and %g", turning, difference(f[0], f[1]), difference(f[0], f[2]));
    for (int i = 0; i < 3; i++) ph_frame_unref(&f[i]);
}

TEST(what_keeps_turning_is_as_far_after_a_second_at_30_and_60_fps)
{
    check_turning("color turn=70", "color hue=70");
    check_turning("warp spin=40 zoom=1.5", "warp angle=40 zoom=1.5");
    check_turning("kaleidoscope 5 spin=33 drift=-12", "kaleidoscope 5 angle=33 source=-12");
}

TEST(a_shake_is_the_same_at_the_same_time_whatever_the_rate)
{
    struct ph_frame *a = last_at(
        "pattern gradient size=96x64 fps=30 -> warp shake=0.2 -> live limiter=off", 0.667);
    struct ph_frame *b = last_at(
        "pattern gradient size=96x64 fps=60 -> warp shake=0.2 -> live limiter=off", 0.667);
    struct ph_frame *c =
        last_at("pattern gradient size=96x64 fps=60 -> live limiter=off", 0.667);
    CHECK_NUM(difference(a, b), <, 0.1);
    CHECK_NUM(difference(a, c), >, 2);
    ph_frame_unref(&a);
    ph_frame_unref(&b);
    ph_frame_unref(&c);
}

// --- what each one does

TEST(flash_split_and_bloom_change_live)
{
    run_open(&r, "pattern solid color=#336699 size=64x48 fps=10 -> flash -> split 0 -> bloom 0 "
                 "-> live limiter=off");
    run_until(&r, 0);
    CHECK_PX(run_picture(&r, 0), 5, 5, 0x336699ff);
    run_set(&r, "flash", "amount", "1");
    run_until(&r, 0.1);
    // what it lacks of white, by its luma
    int luma = (int) (0.213 * 0x33 + 0.715 * 0x66 + 0.072 * 0x99 + 0.5);
    CHECK_INT(abs(RED(run_picture(&r, 1), 5, 5) - (0x33 + 255 - luma)), <=, 1);
    run_close(&r);
}

TEST(a_split_moves_red_by_heights)
{
    const struct ph_picture *p = run_first(
        &r,
        "pattern checkerboard cell=50 color=white color2=black size=200x100 -> split 0.1 -> "
        "live");
    CHECK_PX(p, 45, 20, 0xffff00ff); // blue has left to the left: black's has come
    CHECK_PX(p, 55, 20, 0xff0000ff); // red has come from the white square
    CHECK_PX(p, 75, 20, 0x000000ff);
    run_close(&r);
}

TEST(a_mirror_folds_one_half_over_the_other)
{
    static const char *const folds[] = { "left", "right", "top", "bottom", "quarter" };
    for (int i = 0; i < 5; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "pattern gradient angle=30 size=65x49 -> mirror flip=none fold=%s -> live "
                 "limiter=off",
                 folds[i]);
        struct ph_frame *was =
            last_at("pattern gradient angle=30 size=65x49 -> live limiter=off", 0);
        const struct ph_picture *p = run_first(&r, text);
        int from_x = i == 1 ? 40 : 10, from_y = i == 3 ? 40 : 5;
        CHECK_PX(p, from_x, from_y, px(&was->picture, from_x, from_y));
        for (int y = 0; y < 49; y++)
            for (int x = 0; x < 65; x++) {
                if (i < 2 || i == 4) CHECK_PX(p, x, y, px(p, 64 - x, y));
                if (i >= 2) CHECK_PX(p, x, y, px(p, x, 48 - y));
            }
        run_close(&r);
        ph_frame_unref(&was);
    }
}

static const char *const all = "warp zoom=1.3 spin=30 -> kaleidoscope 6 spin=10 -> feedback "
                               "zoom=0.3 rotate=20 shake=0.02 -> color turn=30 -> flash 0.2 -> "
                               "split 0.02 angle=30 -> bloom 0.8 -> mirror fold=quarter";

TEST(effects_are_the_same_on_all_levels)
{
    char text[500];
    snprintf(text, sizeof text, "pattern size=131x77 fps=20 -> %s -> live limiter=off", all);
    run_same_on_all_levels(text, 0.5);
}

TEST(effects_take_pictures_of_any_size_and_sizes_that_change)
{
    static const char *const sizes[] = { "1x1", "2x1", "1x9", "33x17", "64x1", "7x5" };
    char text[500];
    snprintf(text, sizeof text,
             "src: pattern gradient size=16x16 fps=10 -> %s -> live limiter=off", all);
    run_open(&r, text);
    for (int i = 0; i < 6; i++) {
        run_until(&r, 0.3 * i + 0.25);
        run_set(&r, "src", "size", sizes[i]);
    }
    run_until(&r, 2);
    CHECK_INT(run_picture(&r, r.count - 1)->width, ==, 7);
    CHECK_INT(r.problems, ==, 0);
    CHECK_INT(r.count, ==, 21);
    run_close(&r);
}

TEST(numbers_that_are_none_are_refused_for_every_effect)
{
    static const char *const types[] = { "warp",  "kaleidoscope", "feedback", "color",
                                         "flash", "split",        "bloom" };
    for (int i = 0; i < 7; i++) {
        char text[200];
        snprintf(text, sizeof text, "pattern size=8x8 -> it: %s -> live limiter=off", types[i]);
        run_open(&r, text);
        run_until(&r, 0);
        for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
            for (const struct ph_param *p = (*n)->params; p && p->name; p++) {
                struct ph_fault fault;
                if (strcmp((*n)->name, types[i]) || p->type != PH_TYPE_FLOAT) continue;
                CHECK_INT(ph_graph_set(r.graph, 1, "it", p->name, "nan", &fault), <, 0);
                CHECK_INT(ph_graph_set(r.graph, 1, "it", p->name, "inf", &fault), <, 0);
            }
        run_close(&r);
    }
}

TEST(a_hard_cut_forgets_the_trail)
{
    run_open(&r, "src: pattern solid color=white size=8x8 fps=10 -> feedback keep=0.9 -> live "
                 "limiter=off");
    run_until(&r, 0.05);
    run_set(&r, "src", "color", "black");
    run_until(&r, 0.15);
    CHECK_INT(RED(run_picture(&r, 1), 3, 3), >, 100);
    CHECK_OK(ph_graph_cut(r.graph, 2, (struct ph_cut){ .hard = true }));
    run_until(&r, 0.25);
    CHECK_INT(RED(run_picture(&r, r.count - 1), 3, 3), ==, 0);
    run_close(&r);
}
