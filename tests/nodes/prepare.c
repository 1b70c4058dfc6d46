// SPDX-License-Identifier: MIT
#include "run.h"

#include "nodes/fit.h"

static struct run r;

TEST(fit_rects_are_centred_never_empty_and_keep_the_shape)
{
    struct ph_fit_rects f = ph_fit_rects(PH_FIT_CONTAIN, 400, 100, 200, 200);
    CHECK_INT(f.dst.x, ==, 0);
    CHECK_INT(f.dst.y, ==, 75);
    CHECK_INT(f.dst.width, ==, 200);
    CHECK_INT(f.dst.height, ==, 50);
    f = ph_fit_rects(PH_FIT_COVER, 400, 100, 200, 200);
    CHECK_INT(f.src.x, ==, 150);
    CHECK_INT(f.src.width, ==, 100);
    CHECK_INT(f.dst.width, ==, 200);
    for (int fit = 0; fit < PH_FIT_COUNT; fit++)
        for (int i = 0; i < 256; i++) {
            static const int side[] = { 1, 16384, 7, 640 };
            int sw = side[i & 3], sh = side[i >> 2 & 3], dw = side[i >> 4 & 3],
                dh = side[i >> 6];
            f = ph_fit_rects((enum ph_fit) fit, sw, sh, dw, dh);
            CHECK(f.src.width >= 1 && f.src.height >= 1 && f.dst.width >= 1 &&
                  f.dst.height >= 1);
            CHECK(f.src.x >= 0 && f.src.x + f.src.width <= sw);
            CHECK(f.dst.y >= 0 && f.dst.y + f.dst.height <= dh);
        }
}

TEST(contain_pads_and_cover_cuts)
{
    const struct ph_picture *p =
        run_first(&r, "pattern checkerboard size=40x20 cell=20 color=red color2=lime -> resize "
                      "40x40 fit=contain color=blue -> live");
    CHECK_INT(p->width, ==, 40);
    CHECK_PX(p, 20, 9, 0x0000ffff);
    CHECK_PX(p, 5, 10, 0xff0000ff);
    CHECK_PX(p, 35, 29, 0x00ff00ff);
    CHECK_PX(p, 0, 30, 0x0000ffff);
    run_set(&r, "resize", "fit", "cover");
    run_until(&r, 0.02);
    p = run_picture(&r, r.count - 1);
    CHECK_PX(p, 0, 0, 0xff0000ff); // the middle 20x20: half red, half lime
    CHECK_PX(p, 17, 39, 0xff0000ff);
    CHECK_PX(p, 22, 0, 0x00ff00ff);
    run_close(&r);
}

TEST(a_missing_side_follows_the_shape_and_same_size_passes_through)
{
    const struct ph_picture *p = run_first(&r, "pattern size=320x240 -> resize 160x0 -> live");
    CHECK_INT(p->width, ==, 160);
    CHECK_INT(p->height, ==, 120);
    run_set(&r, "resize", "size", "0x0");
    run_until(&r, 0.02);
    CHECK_INT(run_picture(&r, r.count - 1)->width, ==, 320);
    uint64_t through = ph_image_hash(run_picture(&r, r.count - 1));
    run_close(&r);
    run_open(&r, "pattern size=320x240 -> live");
    run_until(&r, 0.02);
    CHECK(ph_image_hash(run_picture(&r, r.count - 1)) == through);
    run_close(&r);
}

TEST(shrinking_by_two_is_the_mean_of_four)
{
    const struct ph_picture *p =
        run_first(&r, "pattern checkerboard size=64x64 cell=1 color=white color2=black -> "
                      "resize 32x32 -> live");
    for (int i = 0; i < 32; i++) CHECK_INT(px_far(px(p, i, 31 - i), 0x808080ff), <=, 1);
    run_close(&r);
}

TEST(depth_is_never_mixed_and_its_camera_follows)
{
    run_open(&r, "s: scene 64x48 fps=30 height=0.4 fov=80 -> null\ns.depth -> resize 32x24 -> "
                 "crop 16x24 x=4 -> live");
    run_until(&r, 0);
    const struct ph_picture *p = run_picture(&r, 0);
    CHECK_INT(p->format, ==, PH_DEPTHF);
    CHECK_INT(p->width, ==, 16);
    float z[16];
    memcpy(z, p->data[0], sizeof z);
    for (int x = 0; x < 16; x++) CHECK(isinf(z[x])); // the sky stays the sky
    memcpy(z, p->data[0] + 23 * p->stride[0], sizeof z);
    for (int x = 0; x < 16; x++) CHECK(isfinite(z[x]) && z[x] > 0.3f);
    struct ph_intrinsics k = r.frames[0]->intrinsics;
    CHECK_NUM(fabs(k.cx - 12), <, 1e-4); // 32 / 2 - 4
    CHECK_NUM(fabs(k.cy - 12), <, 1e-4);
    CHECK_NUM(fabs(k.fx - 16 / tan(40 * M_PI / 180)), <, 1e-3);
    run_close(&r);
}

TEST(crop_takes_the_part_asked_for_and_stays_within)
{
    const struct ph_picture *p =
        run_first(&r, "pattern checkerboard size=64x48 cell=16 color=red color2=lime -> crop "
                      "16x16 x=16 y=0 -> live");
    CHECK_INT(p->width, ==, 16);
    CHECK_PX(p, 0, 0, 0x00ff00ff);
    CHECK_PX(p, 15, 15, 0x00ff00ff);
    run_set(&r, "crop", "x", "-1"); // the middle: 24..39
    run_until(&r, 0.02);
    p = run_picture(&r, r.count - 1);
    CHECK_PX(p, 7, 0, 0x00ff00ff);
    CHECK_PX(p, 8, 0, 0xff0000ff);
    run_set(&r, "crop", "x", "9999");
    run_set(&r, "crop", "y", "40");
    run_set(&r, "crop", "size", "32x100");
    run_until(&r, 0.04);
    p = run_picture(&r, r.count - 1);
    CHECK_INT(p->width, ==, 32); // moved in from the right, as high as there is
    CHECK_INT(p->height, ==, 48);
    CHECK_PX(p, 0, 0, 0xff0000ff);
    run_close(&r);
}

// Corner colours of a 2x3 picture: a b / c d being upper left, upper right, lower left, lower right
static void check_corners(const char *mirror, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    char text[512];
    snprintf(text, sizeof text,
             "q: pattern solid size=20x12 color=red -> grid: blend grid size=40x24 fit=stretch "
             "-> mirror %s -> live\n"
             "pattern solid size=20x12 color=lime -> grid.b\npattern solid size=20x12 "
             "color=blue -> grid.c\n"
             "pattern solid size=20x12 color=white -> grid.d",
             mirror);
    run_open(&r, text);
    run_until(&r, 0.1);
    const struct ph_picture *p = run_picture(&r, r.count - 1);
    int right = p->width - 1, low = p->height - 1;
    CHECK_PX(p, 0, 0, a);
    CHECK_PX(p, right, 0, b);
    CHECK_PX(p, 0, low, c);
    CHECK_PX(p, right, low, d);
    run_close(&r);
}

TEST(all_flips_and_turns_move_the_corners_as_they_say)
{
    const uint32_t a = 0xff0000ff, b = 0x00ff00ff, c = 0x0000ffff, d = 0xffffffff;
    check_corners("flip=none", a, b, c, d);
    check_corners("", b, a, d, c);
    check_corners("vertical", c, d, a, b);
    check_corners("both", d, c, b, a);
    check_corners("flip=none rotate=90", c, a, d, b);
    check_corners("flip=none rotate=180", d, c, b, a);
    check_corners("flip=none rotate=270", b, d, a, c);
    check_corners("horizontal rotate=90", d, b, c, a);
    check_corners("horizontal rotate=270", a, c, b, d);
    check_corners("vertical rotate=90", a, c, b, d);
    check_corners("both rotate=180", a, b, c, d);
}

TEST(turning_moves_the_principal_point_with_the_pixel_it_lies_on)
{
    // 100x60 has its principal point at (50, 30); its part of 60x48 from (40, 10) at (10, 20)
    static const struct {
        const char *mirror;
        double cx, cy;
    } cases[] = {
        { "horizontal", 50, 20 },
        { "vertical", 10, 28 },
        { "flip=none rotate=90", 28, 10 },
        { "flip=none rotate=180", 50, 28 },
        { "flip=none rotate=270", 20, 50 },
        { "horizontal rotate=90", 28, 50 },
        { "horizontal rotate=270", 20, 10 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "scene 100x60 -> crop 60x48 x=40 y=10 -> mirror %s -> live",
                 cases[i].mirror);
        run_open(&r, text);
        run_until(&r, 0);
        struct ph_intrinsics k = r.frames[0]->intrinsics;
        CHECK_NUM(fabs((double) k.cx - cases[i].cx), <, 1e-4);
        CHECK_NUM(fabs((double) k.cy - cases[i].cy), <, 1e-4);
        run_close(&r);
    }
}

TEST(odd_sizes_pass_every_step_with_the_same_bytes_on_every_level)
{
    run_same_on_all_levels(
        "pattern id=on size=511x321 fps=60 -> resize 127x63 filter=area -> live", 0.1);
    run_same_on_all_levels("pattern size=63x31 fps=60 -> resize 511x321 filter=cubic -> mirror "
                           "both rotate=90 -> crop 99x101 -> live",
                           0.1);
    static const char *const steps[] = {
        "resize 1x1", "resize 3x2 filter=cubic", "crop 1x1",
        "mirror",     "mirror both rotate=90",   "resize 64x64 fit=contain"
    };
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 2; k++) {
            char text[160];
            snprintf(text, sizeof text, "pattern size=%s -> %s -> live", k ? "511x321" : "1x1",
                     steps[i]);
            run_first(&r, text);
            CHECK_INT(r.problems, ==, 0);
            run_close(&r);
        }
}

TEST(what_is_no_picture_to_draw_on_is_said_and_the_stream_goes_on)
{
    run_open(&r, "s: scene 16x16 fps=30 -> null\ns.depth -> color -> live");
    run_until(&r, 0.2);
    CHECK_INT(r.count, ==, 0);
    CHECK_HAS(r.problem, "depthf");
    CHECK_HAS(r.problem, "rgba");
    run_close(&r);
}

TEST(delay_takes_its_time_on_the_virtual_clock)
{
    run_open(
        &r, "pattern size=16x16 fps=10 => delay 250 -> live"); // LATEST 1: slower than it comes
    run_until(&r, 2);
    CHECK_INT(r.count, >=, 6);
    CHECK_INT(r.count, <=, 9);
    CHECK_INT(r.frames[r.count - 1]->pts_ns, >=, 1400 * PH_MS_NS); // what it reads is new
    run_close(&r);
}
