// SPDX-License-Identifier: MIT
#include "run.h"

static struct run r;

static const uint32_t red = 0xff0000ff, lime = 0x00ff00ff, blue = 0x0000ffff;

// `a` red, the others lime, blue and white, as many as there are inputs; blend's own parameters.
static const struct ph_picture *mixed(int inputs, const char *par)
{
    static const char *const colors[] = { "red", "lime", "blue", "white" };
    char text[600];
    int len =
        snprintf(text, sizeof text,
                 "pattern solid size=80x60 fps=10 color=red -> mix: blend %s -> live\n", par);
    for (int i = 1; i < inputs; i++)
        len += snprintf(text + len, sizeof text - (size_t) len,
                        "pattern solid size=80x60 fps=10 color=%s -> mix.%c\n", colors[i],
                        'a' + i);
    run_open(&r, text);
    run_until(&r, 0.1);
    return run_picture(&r, r.count - 1);
}

TEST(modes_mix_as_their_names_say)
{
    static const struct {
        const char *par;
        uint32_t want;
    } cases[] = { { "alpha opacity=0.5", 0x7f8000ff }, { "alpha", 0x00ff00ff },
                  { "alpha opacity=0", 0xff0000ff },   { "add", 0xffff00ff },
                  { "multiply", 0x000000ff },          { "screen", 0xffff00ff } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct ph_picture *p = mixed(2, cases[i].par);
        if (px_far(px(p, 40, 30), cases[i].want) > 1)
            TEST_FAIL("%s gives #%08x", cases[i].par, px(p, 40, 30));
        run_close(&r);
    }
}

TEST(side_stack_and_grid_give_each_picture_its_tile)
{
    const struct ph_picture *p = mixed(3, "side size=90x30");
    CHECK_PX(p, 29, 0, red);
    CHECK_PX(p, 30, 29, lime);
    CHECK_PX(p, 89, 15, blue);
    run_close(&r);
    p = mixed(2, "stack");
    CHECK_PX(p, 79, 29, red);
    CHECK_PX(p, 0, 30, lime);
    run_close(&r);
    p = mixed(4, "grid size=101x51"); // odd: no pixel is left out
    CHECK_PX(p, 0, 0, red);
    CHECK_PX(p, 100, 0, lime);
    CHECK_PX(p, 0, 50, blue);
    CHECK_PX(p, 100, 50, 0xffffffff);
    for (int y = 0; y < 51; y++)
        for (int x = 0; x < 101; x++)
            CHECK(px(p, x, y) == red || px(p, x, y) == lime || px(p, x, y) == blue ||
                  px(p, x, y) == 0xffffffff);
    run_close(&r);
}

TEST(small_pictures_lie_in_their_corners_within_a_border)
{
    const struct ph_picture *p =
        mixed(3, "pip scale=0.25 margin=4 border=1 border_color=white");
    CHECK_PX(p, 40, 30, red);
    CHECK_PX(p, 75, 55, lime); // b: 20x15 at the lower right, 4 away
    CHECK_PX(p, 56, 41, lime);
    CHECK_PX(p, 55, 41, 0xffffffff);
    CHECK_PX(p, 54, 41, red);
    CHECK_PX(p, 4, 55, blue); // c: lower left
    run_set(&r, "mix", "corner", "top-left");
    run_set(&r, "mix", "opacity", "0.5");
    run_until(&r, 0.3);
    p = run_picture(&r, r.count - 1);
    CHECK_INT(px_far(px(p, 5, 5), 0x7f8000ff), <=, 1);
    CHECK_PX(p, 70, 50, 0x7f0080ff); // c goes on to the next corner: lower right
    run_close(&r);
}

TEST(other_sizes_are_fitted_and_made_once_while_they_stand_still)
{
    run_open(&r,
             "pattern solid size=80x60 fps=10 color=red -> mix: blend alpha fit=contain "
             "opacity=1 -> live\n"
             "pattern checkerboard size=40x10 cell=20 color=lime color2=blue fps=0.1 -> mix.b");
    run_until(&r, 0.5);
    for (int i = 1; i < r.count; i++) {
        const struct ph_picture *p = run_picture(&r, i);
        CHECK_PX(p, 40, 5, red); // contain lets `a` through above and below
        CHECK_PX(p, 5, 30, lime);
        CHECK_PX(p, 75, 30, blue);
    }
    run_set(&r, "mix", "fit", "stretch");
    run_until(&r, 0.6);
    CHECK_PX(run_picture(&r, r.count - 1), 5, 1, lime);
    run_close(&r);
}

TEST(an_input_without_a_picture_yet_is_no_reason_to_wait)
{
    run_open(
        &r, "pattern solid size=80x60 fps=10 color=red -> mix: blend side color=white -> live\n"
            "browser -> mix.b");
    run_until(&r, 0.2);
    CHECK_INT(r.count, ==, 3);
    CHECK_PX(run_picture(&r, 2), 20, 30, red);
    CHECK_PX(run_picture(&r, 2), 60, 30, 0xffffffff);
    run_close(&r);
}

TEST(d2_12_a_quick_input_and_a_slow_one_are_both_in_every_frame)
{
    run_open(&r, "pattern solid size=80x60 fps=10 color=red -> mix: blend side -> live\n"
                 "pattern solid size=80x60 fps=500 color=lime => mix.b\n"
                 "pattern solid size=80x60 fps=1 color=blue => mix.c");
    run_until(&r, 2);
    CHECK_INT(r.count, >=, 20);
    for (int i = 2; i < r.count; i++) {
        CHECK_PX(run_picture(&r, i), 5, 30, red);
        CHECK_PX(run_picture(&r, i), 40, 30, lime);
        CHECK_PX(run_picture(&r, i), 75, 30, blue);
    }
    run_close(&r);
}

TEST(the_mode_changes_live_and_sizes_may_be_odd_on_every_level)
{
    mixed(2, "alpha opacity=0.3");
    static const char *const modes[] = { "pip", "side", "stack", "grid", "multiply" };
    for (int i = 0; i < 5; i++) {
        run_set(&r, "mix", "mode", modes[i]);
        run_until(&r, 0.2 + 0.1 * i);
    }
    CHECK_INT(r.problems, ==, 0);
    CHECK_INT(r.count, >=, 6);
    run_close(&r);
    static const char *const all[] = { "alpha opacity=0.4",
                                       "add",
                                       "multiply",
                                       "screen opacity=0.7",
                                       "pip",
                                       "side",
                                       "stack",
                                       "grid" };
    for (int i = 0; i < 8; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "pattern size=511x321 fps=10 -> mix: blend %s -> live\nscene 97x55 fps=10 -> "
                 "mix.b\npattern bars size=33x77 fps=10 -> mix.d",
                 all[i]);
        run_same_on_all_levels(text, 0.1);
        snprintf(text, sizeof text,
                 "pattern size=1x1 fps=10 -> mix: blend %s -> live\npattern bars size=1x9 "
                 "fps=10 -> mix.b\npattern size=7x1 fps=10 -> mix.d",
                 all[i]);
        run_open(&r, text);
        run_until(&r, 0.1);
        CHECK_INT(r.count, ==, 2);
        CHECK_INT(r.problems, ==, 0);
        run_close(&r);
    }
}
