// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/bloom.h"
#include "image/color.h"
#include "image/geometry.h"
#include "image/split.h"
#include "image/warp.h"

static const enum ph_border borders[] = { PH_BORDER_MIRROR, PH_BORDER_EDGE, PH_BORDER_WRAP };

// --- warp

TEST(a_view_that_changes_nothing_keeps_every_byte)
{
    static const int sizes[][2] = { { 1, 1 }, { 1, 7 },   { 7, 1 },
                                    { 2, 2 }, { 33, 19 }, { 640, 3 } };
    FOR_LEVELS(level)
    for (int i = 0; i < 6 * 3; i++) {
        struct ph_picture s = pic_random(sizes[i / 3][0], sizes[i / 3][1]);
        struct ph_picture d = pic(PH_RGBA, s.width, s.height);
        struct ph_affine m = ph_affine_view(s.width, s.height, 0.5, 0.5, 1, 0, 0, 0);
        CHECK_OK(ph_image_warp(&d, &s, &m, borders[i % 3]));
        CHECK(same_pixels(&d, &s));
    }
}

static double held(double v, double most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

static double bilinear(const struct ph_picture *s, double x, double y, int c)
{
    x = held(x, s->width - 1);
    y = held(y, s->height - 1);
    int x0 = (int) x, y0 = (int) y, x1 = x0 + (x0 < s->width - 1),
        y1 = y0 + (y0 < s->height - 1);
    double fx = x - x0, fy = y - y0;
    double top = px(s, x0, y0)[c] * (1 - fx) + px(s, x1, y0)[c] * fx;
    double low = px(s, x0, y1)[c] * (1 - fx) + px(s, x1, y1)[c] * fx;
    return top * (1 - fy) + low * fy;
}

TEST(a_warp_is_bilinear_interpolation)
{
    FOR_LEVELS(level)
    for (int i = 0; i < 12; i++) {
        struct ph_picture s = pic_random(61 + i, 40), d = pic(PH_RGBA, 97, 31);
        struct ph_affine m = ph_affine_view(s.width, s.height, 0.3, 0.7, 0.4 + 0.2 * i,
                                            31.0 * i, i - 3.3, 2.1 * i);
        CHECK_OK(ph_image_warp(&d, &s, &m, PH_BORDER_EDGE));
        for (int y = 0; y < d.height; y++)
            for (int x = 0; x < 4 * d.width; x++) {
                double at = x / 4, u = (double) m.xx * at + (double) m.xy * y + (double) m.x0;
                double v = (double) m.yx * at + (double) m.yy * y + (double) m.y0;
                double want = bilinear(&s, u, v, x % 4);
                if (fabs(px(&d, 0, y)[x] - want) > 1)
                    TEST_FAIL("(%d, %d): %d, want %g", x / 4, y, px(&d, 0, y)[x], want);
            }
    }
}

TEST(beyond_the_picture_lies_its_mirror_its_edge_or_its_other_side)
{
    struct ph_picture s = pic(PH_RGBA, 4, 1), d = pic(PH_RGBA, 16, 1);
    static const int want[3][16] = {
        { 3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3 },
        { 0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3 },
        { 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3 },
    };
    for (int x = 0; x < 4; x++) set_px(&s, x, 0, 10 * x, 0, 0, 255);
    FOR_LEVELS(level)
    for (int b = 0; b < 3; b++) {
        CHECK_OK(ph_image_warp(&d, &s, &(struct ph_affine){ 1, 0, -4, 0, 1, 0 }, borders[b]));
        for (int x = 0; x < 16; x++) CHECK_INT(px(&d, x, 0)[0], ==, 10 * want[b][x]);
    }
}

TEST(a_quarter_turn_is_that_of_the_geometry)
{
    struct ph_picture s = pic_random(32, 32), d = pic(PH_RGBA, 32, 32),
                      t = pic(PH_RGBA, 32, 32);
    struct ph_affine m = ph_affine_view(32, 32, 0.5, 0.5, 1, 90, 0, 0);
    CHECK_OK(ph_image_warp(&d, &s, &m, PH_BORDER_EDGE));
    CHECK_OK(ph_image_turn(&t, &s, PH_TURN_90));
    for (int i = 0; i < 4 * 32 * 32; i++) // the sine of 90 degrees is 1 but for the last bit
        CHECK_INT(abs(px(&d, 0, i / 128)[i % 128] - px(&t, 0, i / 128)[i % 128]), <=, 1);
}

TEST(a_view_grows_around_its_middle_and_moves)
{
    struct ph_affine m = ph_affine_view(200, 100, 0.25, 0.5, 2, 0, 0, 0);
    CHECK_NUM(fabs((double) (m.xx * 49.5f + m.x0) - 49.5), <, 1e-4); // the middle stays
    CHECK_NUM(fabs((double) (m.xx * 59.5f + m.x0) - 54.5), <, 1e-4);
    m = ph_affine_view(200, 100, 0.5, 0.5, 1, 0, 12, -5);
    CHECK_NUM(fabs((double) (m.xx * 112 + m.x0) - 100), <, 1e-4);
    CHECK_NUM(fabs((double) (m.yy * 45 + m.y0) - 50), <, 1e-4);
}

TEST(numbers_that_are_none_are_refused_or_change_nothing)
{
    double bad[] = { NAN, INFINITY, -INFINITY };
    struct ph_picture s = pic_random(20, 10), d = pic(PH_RGBA, 20, 10);
    for (int i = 0; i < 3; i++) {
        struct ph_affine m =
            ph_affine_view(20, 10, bad[i], bad[i], bad[i], bad[i], bad[i], bad[i]);
        CHECK_OK(ph_image_warp(&d, &s, &m, PH_BORDER_MIRROR));
        CHECK(same_pixels(&d, &s));
        m.x0 = (float) bad[i];
        CHECK_INT(ph_image_warp(&d, &s, &m, PH_BORDER_MIRROR), ==, PH_EINVAL);
        struct ph_kaleidoscope k = { 6, 0.5, 0.5, 0.5, 0.5, 1, bad[i], 0, PH_BORDER_MIRROR };
        CHECK_INT(ph_image_kaleidoscope(&d, &s, &k), ==, PH_EINVAL);
    }
    struct ph_affine far = { 3e37f, 1e38f, -2e38f, 1e30f, -3e37f, 1e38f };
    FOR_LEVELS(level)
    for (int b = 0; b < 3; b++) CHECK_OK(ph_image_warp(&d, &s, &far, borders[b])); // ends
}

// --- feedback

static double mean_of(const struct ph_picture *p)
{
    double sum = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) sum += px(p, x, y)[0];
    return sum / (p->width * p->height);
}

TEST(a_trail_fades_at_any_brightness_as_its_factor_says)
{
    struct ph_picture p[2] = { pic(PH_RGBA, 32, 16), pic(PH_RGBA, 32, 16) };
    struct ph_picture black = pic(PH_RGBA, 32, 16);
    fill_px(&black, 0, 0, 0, 0);
    FOR_LEVELS(level)
    {
        double want = 255;
        fill_px(&p[0], 255, 255, 255, 255);
        for (int i = 0; i < 700; i++) {
            struct ph_feedback step = {
                .map = { 1, 0, 0, 0, 1, 0 }, .keep = 0.985f, .add = 1, .count = (uint32_t) i
            };
            CHECK_OK(ph_image_feedback(&p[~i & 1], &p[i & 1], &black, &step));
            want *= 0.985;
            if (fabs(mean_of(&p[~i & 1]) - want) > 2.5)
                TEST_FAIL("step %d: %g, want %g", i, mean_of(&p[~i & 1]), want);
        }
        CHECK_NUM(mean_of(&p[0]), <, 0.05); // rounding alone would have held it at 33
    }
}

TEST(a_trail_that_stays_and_a_black_picture_change_nothing)
{
    struct ph_picture s = pic_random(65, 9), d = pic(PH_RGBA, 65, 9),
                      black = pic(PH_RGBA, 65, 9);
    fill_px(&black, 0, 0, 0, 0);
    FOR_LEVELS(level)
    for (unsigned i = 0; i < 32; i++) {
        struct ph_feedback step = {
            .map = { 1, 0, 0, 0, 1, 0 }, .keep = 1, .add = 1, .count = i, .lighten = i & 1
        };
        CHECK_OK(ph_image_feedback(&d, &s, &black, &step));
        CHECK(same_pixels(&d, &s));
    }
}

TEST(a_feedback_adds_or_takes_the_lighter_one)
{
    struct ph_picture a = pic(PH_RGBA, 17, 2), b = pic(PH_RGBA, 17, 2);
    struct ph_feedback step = { .map = { 1, 0, 0, 0, 1, 0 }, .keep = 0.5f, .add = 1 };
    FOR_LEVELS(level)
    {
        fill_px(&a, 200, 40, 100, 255);
        fill_px(&b, 30, 200, 230, 255);
        CHECK_OK(ph_image_feedback(&b, &a, &b, &step)); // in place
        CHECK_INT(abs(px(&b, 16, 1)[0] - 130), <=, 1);
        CHECK_INT(abs(px(&b, 16, 1)[1] - 220), <=, 1);
        CHECK_INT(px(&b, 16, 1)[2], ==, 255);
        fill_px(&b, 30, 200, 230, 255);
        step.lighten = true;
        CHECK_OK(ph_image_feedback(&b, &a, &b, &step));
        CHECK_INT(abs(px(&b, 16, 1)[0] - 100), <=, 1);
        CHECK_INT(px(&b, 16, 1)[1], ==, 200);
        step.lighten = false;
    }
}

// --- kaleidoscope

TEST(two_axes_mirror_a_quarter_to_all_sides)
{
    struct ph_picture s = pic_random(64, 48), d = pic(PH_RGBA, 64, 48);
    struct ph_kaleidoscope k = { 2, 0.5, 0.5, 0.5, 0.5, 1, 0, 0, PH_BORDER_MIRROR };
    FOR_LEVELS(level)
    {
        CHECK_OK(ph_image_kaleidoscope(&d, &s, &k));
        for (int y = 0; y < 24; y++)
            for (int x = 0; x < 32 * 4; x++) {
                int i = x / 4, c = x % 4, want = px(&s, 32 + i, 24 + y)[c];
                CHECK_INT(abs(px(&d, 32 + i, 24 + y)[c] - want), <=, 1);
                CHECK_INT(abs(px(&d, 31 - i, 24 + y)[c] - want), <=, 1);
                CHECK_INT(abs(px(&d, 32 + i, 23 - y)[c] - want), <=, 1);
                CHECK_INT(abs(px(&d, 31 - i, 23 - y)[c] - want), <=, 1);
            }
    }
}

static struct ph_picture smooth(int w, int h)
{
    struct ph_picture p = pic(PH_RGBA, w, h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            set_px(&p, x, y, 255 * x / w, 255 * y / h, 128 + (x + y) % 64, 255);
    return p;
}

// Turned by one sector and mirrored, the pattern is itself, whatever the number of axes.
TEST(every_sector_is_the_mirror_of_its_neighbours)
{
    struct ph_picture s = smooth(200, 200), d = pic(PH_RGBA, 200, 200);
    for (int axes = 1; axes <= PH_KALEIDOSCOPE_AXES; axes += 1 + axes / 3) {
        struct ph_kaleidoscope k = { axes, 0.5, 0.5, 0.4, 0.6, 1.2, 17, 5, PH_BORDER_MIRROR };
        CHECK_OK(ph_image_kaleidoscope(&d, &s, &k));
        double turn = 17 * M_PI / 180, wide = M_PI / axes;
        for (int i = 0; i < 2000; i++) {
            double r = 5 + 90.0 * i / 2000, at = turn + (i % 97) / 97.0 * 2 * M_PI;
            double other =
                2 * (turn + wide * floor((at - turn) / wide)) - at; // at its first border
            double x = 99.5 + r * cos(at), y = 99.5 + r * sin(at);
            double u = 99.5 + r * cos(other), v = 99.5 + r * sin(other);
            double far = fabs(bilinear(&d, x, y, 0) - bilinear(&d, u, v, 0));
            if (far > 6)
                TEST_FAIL("%d axes, (%g, %g) is not (%g, %g): %g", axes, x, y, u, v, far);
        }
    }
}

TEST(kaleidoscopes_of_odd_sizes_and_centres_leave_no_pixel_out)
{
    static const double centres[] = { 0, 0.5, 1, -3, 7 };
    struct ph_picture s = pic(PH_RGBA, 3, 2);
    fill_px(&s, 9, 8, 7, 6);
    for (int w = 1; w < 40; w += 6)
        for (int i = 0; i < 25; i++) {
            struct ph_picture d = pic(PH_RGBA, w, 1 + i % 4);
            struct ph_kaleidoscope k = {
                1 + i, centres[i % 5], centres[i / 5], 0.5, 0.5, 1, i * 15.0, 0, PH_BORDER_WRAP
            };
            fill_px(&d, 0, 0, 0, 0);
            CHECK_OK(ph_image_kaleidoscope(&d, &s, &k));
            for (int j = 0; j < d.width * d.height; j++)
                CHECK_INT(px(&d, j % d.width, j / d.width)[3], ==, 6);
        }
}

// --- split, bloom, flash

TEST(red_and_blue_come_apart_and_repeat_at_the_borders)
{
    static const int far[][2] = { { 3, 1 }, { -2, 0 }, { 0, -1 }, { 50, 50 }, { -9, 2 } };
    struct ph_picture s = pic_random(40, 9), d = pic(PH_RGBA, 40, 9);
    FOR_LEVELS(level)
    for (int i = 0; i < 5; i++) {
        int dx = far[i][0], dy = far[i][1];
        CHECK_OK(ph_image_split(&d, &s, dx, dy));
        for (int y = 0; y < 9; y++)
            for (int x = 0; x < 40; x++) {
                int rx = (int) held(x - dx, 39), ry = (int) held(y - dy, 8);
                int bx = (int) held(x + dx, 39), by = (int) held(y + dy, 8);
                CHECK_INT(px(&d, x, y)[0], ==, px(&s, rx, ry)[0]);
                CHECK_INT(px(&d, x, y)[1], ==, px(&s, x, y)[1]);
                CHECK_INT(px(&d, x, y)[2], ==, px(&s, bx, by)[2]);
                CHECK_INT(px(&d, x, y)[3], ==, px(&s, x, y)[3]);
            }
    }
}

TEST(a_bloom_spreads_what_is_bright_and_leaves_the_dark)
{
    struct ph_picture p = pic(PH_RGBA, 120, 80);
    struct ph_bloom *b;
    CHECK_OK(ph_bloom_create(&b, 120, 80, 12));
    FOR_LEVELS(level)
    {
        fill_px(&p, 90, 90, 90, 255);
        CHECK_OK(ph_bloom_run(b, &p, 1, 0.5f));
        for (int x = 0; x < 120; x++) CHECK_INT(px(&p, x, 40)[0], ==, 90);
        fill_px(&p, 0, 0, 0, 255);
        for (int i = 0; i < 16 * 16; i++)
            set_px(&p, 52 + i % 16, 32 + i / 16, 255, 0, 255, 255);
        CHECK_OK(ph_bloom_run(b, &p, 1, 0.5f));
        CHECK_INT(px(&p, 60, 40)[0], ==, 255);
        CHECK_INT(px(&p, 74, 40)[0], >, 10);
        CHECK_INT(px(&p, 74, 40)[1], ==, 0);
        CHECK_INT(px(&p, 74, 40)[0], >, px(&p, 80, 40)[0]);
        CHECK_INT(px(&p, 5, 5)[0], ==, 0);
    }
    ph_bloom_destroy(&b);
}

TEST(a_bloom_takes_any_size_and_number)
{
    static const int sizes[][2] = { { 1, 1 }, { 1, 300 }, { 3, 2 }, { 17, 9 } };
    static const float numbers[] = { 0, 1, 1e9f, -1, NAN, INFINITY };
    for (int i = 0; i < 4 * 6; i++) {
        struct ph_bloom *b;
        struct ph_picture p = pic_random(sizes[i / 6][0], sizes[i / 6][1]);
        CHECK_OK(ph_bloom_create(&b, p.width, p.height, numbers[i % 6]));
        CHECK_OK(ph_bloom_run(b, &p, numbers[i % 6], numbers[(i + 1) % 6]));
        ph_bloom_destroy(&b);
    }
    struct ph_bloom *b;
    CHECK_INT(ph_bloom_create(&b, 0, 5, 3), ==, PH_EINVAL);
}

TEST(a_flash_lights_the_dark_more_than_the_bright)
{
    struct ph_picture p = pic(PH_RGBA, 256, 1);
    struct ph_color c;
    ph_color_flash(&c, 0.25f, (float[]){ 1, 1, 1 });
    FOR_LEVELS(level)
    {
        for (int x = 0; x < 256; x++) set_px(&p, x, 0, x, x, x, 200);
        CHECK_OK(ph_image_color(&p, &p, &c));
        for (int x = 0; x < 256; x++) {
            CHECK_NUM(fabs(px(&p, x, 0)[1] - (x + 0.25 * (255 - x))), <=, 1);
            CHECK_INT(px(&p, x, 0)[3], ==, 200);
        }
    }
    ph_color_flash(&c, NAN, (float[]){ NAN, 1, 1 });
    CHECK(!c.has_matrix);
}
