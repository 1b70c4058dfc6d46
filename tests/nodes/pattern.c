// SPDX-License-Identifier: MIT
#include "run.h"

#include "image/barcode.h"
#include "nodes/source/pattern_draw.h"

static struct run r;

TEST(bars_have_the_layout_of_smpte_eg_1)
{
    const struct ph_picture *p = run_first(&r, "pattern bars size=700x480 -> live");
    static const uint32_t top[] = { 0xbfbfbfff, 0xbfbf00ff, 0x00bfbfff, 0x00bf00ff,
                                    0xbf00bfff, 0xbf0000ff, 0x0000bfff };
    for (int i = 0; i < 7; i++) { // first and last pixel of each bar
        CHECK_PX(p, 100 * i, 0, top[i]);
        CHECK_PX(p, 100 * i + 99, 319, top[i]);
    }
    CHECK_PX(p, 0, 320, 0x0000bfff);
    CHECK_PX(p, 250, 340, 0xbf00bfff);
    CHECK_PX(p, 699, 359, 0xbfbfbfff);
    CHECK_PX(p, 124, 360, 0x00214cff); // -I is five quarters of a bar
    CHECK_PX(p, 125, 479, 0xffffffff);
    CHECK_PX(p, 374, 400, 0x32006aff); // +Q
    CHECK_PX(p, 375, 400, 0x131313ff);
    CHECK_PX(p, 510, 479, 0x090909ff); // PLUGE: below black, black, above
    CHECK_PX(p, 550, 479, 0x131313ff);
    CHECK_PX(p, 590, 479, 0x1d1d1dff);
    CHECK_PX(p, 650, 479, 0x131313ff);
    run_close(&r);
}

TEST(checkerboard_and_solid_take_colours_and_cells)
{
    const struct ph_picture *p =
        run_first(&r, "pattern checkerboard size=64x48 cell=8 color=red color2=blue -> live");
    CHECK_PX(p, 0, 0, 0xff0000ff);
    CHECK_PX(p, 7, 7, 0xff0000ff);
    CHECK_PX(p, 8, 7, 0x0000ffff);
    CHECK_PX(p, 8, 8, 0xff0000ff);
    run_set(&r, "pattern", "kind", "solid");
    run_set(&r, "pattern", "color", "#12345678");
    run_until(&r, 0.02);
    CHECK_PX(run_picture(&r, r.count - 1), 63, 47, 0x12345678);
    CHECK_INT(r.acked_frame, ==, r.frames[r.count - 1]->id);
    run_close(&r);
}

TEST(gradient_runs_along_its_angle_from_colour_to_colour)
{
    const struct ph_picture *p =
        run_first(&r, "pattern gradient size=256x16 angle=0 color=white color2=black -> live");
    CHECK_INT(px(p, 0, 0) >> 24, <=, 1);
    CHECK_INT(px(p, 255, 15) >> 24, >=, 254);
    for (int x = 1; x < 256; x++) // dither may differ by one, the slope by no more
        CHECK_INT(abs((int) (px(p, x, 5) >> 24) - x), <=, 1);
    run_set(&r, "pattern", "angle", "90");
    run_until(&r, 0.02);
    p = run_picture(&r, r.count - 1);
    CHECK_INT(px_far(px(p, 3, 7), px(p, 200, 7)), <=, 1); // now the same along a row
    CHECK_INT(px_far(px(p, 3, 0), px(p, 3, 15)), >, 200);
    run_close(&r);
}

TEST(dither_keeps_the_mean_of_a_slope_too_gentle_for_whole_steps)
{
    const struct ph_picture *p = run_first(
        &r, "pattern gradient size=512x64 angle=0 color=#121212 color2=#101010 -> live");
    double left = 0, right = 0;
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) {
            left += px(p, x + 64, y) >> 24; // 0x10 + 2 * 96 / 512
            right += px(p, x + 320, y) >> 24;
        }
    CHECK_NUM(fabs(left / 4096 - (16 + 2 * 96.0 / 512)), <, 0.05);
    CHECK_NUM(fabs(right / 4096 - (16 + 2 * 352.0 / 512)), <, 0.05);
    run_close(&r);
}

TEST(noise_changes_every_frame_and_comes_again_with_its_seed)
{
    run_open(&r, "pattern noise size=63x33 fps=60 seed=5 -> live");
    run_until(&r, 0.05);
    CHECK_INT(r.count, ==, 4);
    uint64_t first = ph_image_hash(run_picture(&r, 0)),
             second = ph_image_hash(run_picture(&r, 1));
    CHECK(first != second);
    struct ph_moments m;
    ph_image_moments(&m, run_picture(&r, 2));
    CHECK_NUM(fabs(m.mean[0] - 127.5), <, 8);      // flat: 127.5
    CHECK_NUM(fabs(m.variance[0] - 5461), <, 600); // and 256^2 / 12
    CHECK_NUM(m.variance[3], ==, 0);
    run_close(&r);
    CHECK(ph_image_hash(run_first(&r, "pattern noise size=63x33 fps=30 seed=5 -> live")) ==
          first);
    run_close(&r);
    CHECK(ph_image_hash(run_first(&r, "pattern noise size=63x33 fps=60 seed=6 -> live")) !=
          first);
    run_close(&r);
}

// Middle of what is orange.
static void find_ball(const struct ph_picture *p, double *x, double *y)
{
    double sx = 0, sy = 0, n = 0;
    for (int j = 0; j < p->height; j++)
        for (int i = 0; i < p->width; i++) {
            uint32_t c = px(p, i, j);
            if ((c >> 24) < 150 || (c >> 8 & 255) > 150) continue;
            sx += i + 0.5;
            sy += j + 0.5;
            n++;
        }
    CHECK_NUM(n, >, 200);
    *x = sx / n;
    *y = sy / n;
}

TEST(ball_is_where_its_pts_says_and_the_wall_stands_still)
{
    run_open(&r, "pattern size=320x240 fps=30 -> live");
    run_until(&r, 3);
    CHECK_INT(r.count, ==, 91);
    double x0, y0, x1, y1;
    find_ball(run_picture(&r, 0), &x0, &y0);
    find_ball(run_picture(&r, 24), &x1, &y1); // 0.8 s: half a bounce, at its top
    CHECK_NUM(x1, >, x0 + 30);
    CHECK_NUM(y1, <, y0 - 80);
    find_ball(run_picture(&r, 48), &x1, &y1); // 1.6 s: on the floor again
    CHECK_NUM(fabs(y1 - y0), <, 2);
    for (int i = 1; i < r.count; i++)
        CHECK_PX(run_picture(&r, i), 160, 3, px(run_picture(&r, 0), 160, 3));
    // the same moment at another rate, skipping all frames before it
    uint64_t want = ph_image_hash(run_picture(&r, 60));
    run_close(&r);
    run_open(&r, "pattern size=320x240 fps=0.5 -> live");
    run_until(&r, 2);
    CHECK(ph_image_hash(run_picture(&r, 1)) == want);
    run_close(&r);
}

TEST(ball_place_is_continuous_and_stays_within_its_room)
{
    struct ph_ball_place before = ph_ball_place(0, 1);
    for (int64_t t = 0; t < 20 * PH_SECOND_NS; t += 5 * PH_MS_NS) {
        struct ph_ball_place at = ph_ball_place(t, 1);
        CHECK(at.across >= 0 && at.across <= 1 && at.height >= 0 && at.height <= 1);
        CHECK_NUM(fabs(at.across - before.across), <, 0.003);
        CHECK_NUM(fabs(at.height - before.height), <, 0.02);
        before = at;
    }
}

TEST(frame_ids_are_read_back_from_the_bar_code)
{
    for (int k = 0; k < 2; k++) {
        run_open(&r, k ? "pattern noise id=on size=511x321 fps=60 -> live"
                       : "pattern id=on size=320x240 fps=60 -> live");
        run_until(&r, 0.2);
        CHECK_INT(r.count, ==, 13);
        for (int i = 0; i < r.count; i++) {
            uint32_t id = 0;
            CHECK_OK(ph_barcode_read(run_picture(&r, i), &id));
            CHECK_INT(id, ==, r.frames[i]->id);
        }
        run_close(&r);
    }
}

TEST(every_kind_draws_every_size_the_same_on_every_level)
{
    static const char *const kinds[] = { "ball",         "bars",  "gradient",
                                         "checkerboard", "solid", "noise" };
    static const char *const sizes[] = { "1x1", "2x1", "1x7", "3x3", "511x321" };
    for (int k = 0; k < 6; k++)
        for (int s = 0; s < 5; s++) {
            char text[128];
            snprintf(text, sizeof text, "pattern %s size=%s id=on fps=60 -> live", kinds[k],
                     sizes[s]);
            if (s == 4) {
                run_same_on_all_levels(text, 0.3);
                continue;
            }
            run_open(&r, text);
            CHECK_INT(run_until(&r, 0.1), >=, 0);
            CHECK_INT(r.count, ==, 7);
            CHECK_INT(px(run_picture(&r, 3), 0, 0) & 255, ==, 255);
            CHECK_INT(r.problems, ==, 0);
            run_close(&r);
        }
}

TEST(size_colour_and_rate_change_live)
{
    run_open(&r, "pattern solid size=64x48 fps=10 color=red -> live");
    run_until(&r, 0.45);
    CHECK_INT(r.count, ==, 5);
    run_set(&r, "pattern", "size", "31x17");
    run_set(&r, "pattern", "color", "lime");
    run_set(&r, "pattern", "fps", "100");
    run_until(&r, 1.0);
    CHECK_INT(r.count, >=, 5 + 45);
    const struct ph_picture *p = run_picture(&r, r.count - 1);
    CHECK_INT(p->width, ==, 31);
    CHECK_INT(p->height, ==, 17);
    CHECK_PX(p, 30, 16, 0x00ff00ff);
    for (int i = 1; i < r.count; i++) {
        CHECK_INT(r.frames[i]->id, >, r.frames[i - 1]->id);
        CHECK_INT(r.frames[i]->pts_ns, >, r.frames[i - 1]->pts_ns);
    }
    run_close(&r);
}

TEST(a_ball_of_another_colour_keeps_its_stage_and_another_stage_its_ball)
{
    run_open(&r, "pattern size=320x240 fps=10 -> live");
    run_until(&r, 0.1);
    run_set(&r, "pattern", "color", "lime");
    run_until(&r, 0.2);
    CHECK_PX(run_picture(&r, 2), 160, 3, px(run_picture(&r, 1), 160, 3));
    uint64_t live = ph_image_hash(run_picture(&r, 2));
    run_set(&r, "pattern", "color2", "maroon");
    run_until(&r, 0.3);
    CHECK(px(run_picture(&r, 3), 160, 100) != px(run_picture(&r, 1), 160, 100));
    run_set(&r, "pattern", "size", "64x48");
    run_set(&r, "pattern", "kind", "bars");
    run_until(&r, 0.4);
    CHECK_PX(run_picture(&r, 4), 1, 1, 0xbfbfbfff);
    run_close(&r);
    run_open(&r, "pattern size=320x240 fps=10 color=lime -> live");
    run_until(&r, 0.2);
    CHECK(ph_image_hash(run_picture(&r, 2)) == live);
    run_close(&r);
}

TEST(what_is_out_of_range_is_refused_by_name)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(run_try(&r, "pattern kind=bats -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "bars");
    CHECK_INT(run_try(&r, "pattern size=0x10 -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "size");
    CHECK_INT(run_try(&r, "pattern fps=1e9 -> live", &fault), <, 0);
    CHECK_HAS(fault.message, "fps");
}
