// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/draw.h"

static struct ph_picture black(int w, int h)
{
    struct ph_picture p = pic(PH_RGBA, w, h);
    fill_px(&p, 0, 0, 0, 255);
    return p;
}

// Sum of red / 255: how many pixels white covers.
static double area(const struct ph_picture *p)
{
    double sum = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) sum += px(p, x, y)[0] / 255.0;
    return sum;
}

TEST(colours_are_rrggbbaa_and_clear_overwrites_alpha)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(19, 3);
        ph_draw_clear(&p, 0x10203040);
        CHECK(!memcmp(px(&p, 18, 2), "\x10\x20\x30\x40", 4));
        ph_draw_rect(&p, 0, 0, 19, 3, 0xff0080ff);
        CHECK(!memcmp(px(&p, 18, 2), "\xff\x00\x80\xff", 4));
    }
}

TEST(rectangles_cover_exactly_their_pixels)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(300, 20);
        ph_draw_rect(&p, 3, 4, 290, 6, 0xffffffff);
        CHECK_NUM(area(&p), ==, 290 * 6);
        CHECK_INT(px(&p, 3, 4)[0], ==, 255);
        CHECK_INT(px(&p, 292, 9)[0], ==, 255);
        CHECK_INT(px(&p, 293, 9)[0] + px(&p, 2, 4)[0] + px(&p, 3, 10)[0], ==, 0);
        ph_draw_rect(&p, 0, 0, 300, 20, 0xffffff80); // half over black and white
        CHECK_INT(px(&p, 0, 0)[0], ==, 128);
        CHECK_INT(px(&p, 3, 4)[0], ==, 255);
        CHECK_INT(px(&p, 3, 4)[3], ==, 255);
    }
}

TEST(frames_grow_inwards_and_do_not_draw_corners_twice)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(40, 30);
        ph_draw_frame(&p, 5, 5, 20, 10, 3, 0xffffff80);
        CHECK_NUM(fabs(area(&p) - (20 * 10 - 14 * 4) * 128 / 255.0), <, 1e-6);
        CHECK_INT(px(&p, 5, 5)[0], ==, 128);
        CHECK_INT(px(&p, 8, 8)[0], ==, 0);
        ph_draw_frame(&p, 5, 5, 20, 10, 99, 0xffffffff);
        CHECK_NUM(area(&p), ==, 200);
    }
}

typedef void (*draw_fn)(const struct ph_picture *p, float dx, float dy);

static void draw_rect(const struct ph_picture *p, float dx, float dy)
{
    ph_draw_rect(p, (int) dx, (int) dy, 12, 9, 0xffffff90);
}

static void draw_frame(const struct ph_picture *p, float dx, float dy)
{
    ph_draw_frame(p, (int) dx, (int) dy, 12, 9, 2, 0xffffff90);
}

static void draw_line(const struct ph_picture *p, float dx, float dy)
{
    ph_draw_line(p, dx, dy, dx + 17, dy - 5, 3, 0xffffff90);
}

static void draw_disc(const struct ph_picture *p, float dx, float dy)
{
    ph_draw_disc(p, dx, dy, 8.5f, 0xffffff90);
}

static void draw_circle(const struct ph_picture *p, float dx, float dy)
{
    ph_draw_circle(p, dx, dy, 8.5f, 2, 0xffffff90);
}

static void draw_polyline(const struct ph_picture *p, float dx, float dy)
{
    const float xy[] = { dx, dy, dx + 5, dy + 9, dx + 3, dy - 7, dx + 20, dy };
    ph_draw_polyline(p, xy, 4, 1.5f, 0xffffff90);
}

static void draw_wave(const struct ph_picture *p, float dx, float dy)
{
    const float y[] = { dy, dy + 3, dy - 8, dy - 1, dy, dy, dy + 0.5f, dy + 12 };
    ph_draw_wave(p, (int) dx, y, 8, 1.5f, 0xffffff90);
}

static void draw_mask(const struct ph_picture *p, float dx, float dy)
{
    static const uint8_t mask[6 * 10] = { 1, 255, 128, 7, 0, 3, 200, 90, 91, 92, 255, 255 };
    ph_draw_mask(p, mask, 10, 9, 6, (int) dx, (int) dy, 0xffffff90);
}

static const draw_fn all[] = { draw_rect,   draw_frame,    draw_line, draw_disc,
                               draw_circle, draw_polyline, draw_wave, draw_mask };
enum { ALL = sizeof all / sizeof all[0] };

// Drawing half outside must give what drawing inside a larger picture and cutting it out gives.
// The small picture lies in the middle of a larger one, whose rest must stay black.
static void check_clipping(draw_fn draw, int dx, int dy)
{
    struct ph_picture whole = black(130, 110), framed = black(130, 110), view = framed;
    view.width = 50;
    view.height = 40;
    view.data[0] = px(&framed, 40, 35);
    draw(&whole, (float) (dx + 40), (float) (dy + 35));
    draw(&view, (float) dx, (float) dy);
    for (int y = 0; y < 110; y++) {
        for (int x = 0; x < 130; x++) {
            bool in = x >= 40 && x < 90 && y >= 35 && y < 75;
            int want = in ? px(&whole, x, y)[0] : 0;
            // Tiles begin elsewhere: one step of 255 from other float rounding.
            if (abs(px(&framed, x, y)[0] - want) > (in ? 1 : 0))
                TEST_FAIL("at %d %d: (%d, %d) is %d, want %d", dx, dy, x - 40, y - 35,
                          px(&framed, x, y)[0], want);
        }
    }
}

TEST(everything_is_clipped_at_every_side)
{
    FOR_LEVELS(level)
    for (int i = 0; i < ALL; i++)
        for (int dy = -22; dy < 60; dy += 7)
            for (int dx = -22; dx < 70; dx += 7) check_clipping(all[i], dx, dy);
}

TEST(absurd_coordinates_draw_nothing_and_do_no_harm)
{
    static const float bad[] = { 3e38f, -3e38f, 1e9f, -1e9f };
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(50, 40);
        for (int i = 0; i < 4; i++) {
            draw_disc(&p, bad[i], 10);
            draw_line(&p, 10, bad[i]);
            draw_circle(&p, bad[i], bad[i]);
            draw_polyline(&p, bad[i], 3);
            ph_draw_line(&p, NAN, 0, 10, 10, 3, 0xffffffff);
            ph_draw_line(&p, 0, 0, 10, 10, bad[i] < 0 ? bad[i] : NAN, 0xffffffff);
            ph_draw_disc(&p, 5, 5, bad[i] < 0 ? bad[i] : NAN, 0xffffffff);
            const float y[3] = { bad[i], NAN, INFINITY };
            ph_draw_wave(&p, 2, y, 3, 2, 0xffffffff);
        }
        ph_draw_rect(&p, 2147483647, 2147483647, 2147483647, 2147483647, 0xffffffff);
        ph_draw_rect(&p, -2147483647, 0, 10, 10, 0xffffffff);
        ph_draw_rect(&p, 0, 0, -5, 10, 0xffffffff);
        ph_draw_frame(&p, -2147483647, -2147483647, 2147483647, 10, 2147483647, 0xffffffff);
        CHECK_NUM(area(&p), ==, 0);
        ph_draw_rect(&p, -2147483647, -2147483647, 2147483647, 2147483647, 0xffffffff);
        CHECK_NUM(area(&p), ==, 0);
    }
}

TEST(a_disc_has_the_area_of_a_disc)
{
    FOR_LEVELS(level)
    {
        for (float r = 2; r < 150; r *= 1.7f) {
            struct ph_picture p = black(320, 320);
            ph_draw_disc(&p, 160.3f, 159.8f, r, 0xffffffff);
            // A linear edge one pixel wide adds pi / 12.
            CHECK_NUM(fabs(area(&p) / (M_PI * (double) (r * r + 1 / 12.0f)) - 1), <, 0.003);
            CHECK_INT(px(&p, 160, 159)[0], ==, 255);
        }
    }
}

TEST(lines_and_circles_have_the_area_of_their_length)
{
    FOR_LEVELS(level)
    {
        for (int i = 0; i < 24; i++) {
            struct ph_picture p = black(300, 300);
            float a = (float) i * 0.2618f;
            ph_draw_line(&p, 150, 150, 150 + 120 * cosf(a), 150 + 120 * sinf(a), 3, 0xffffffff);
            CHECK_NUM(fabs(area(&p) / (120 * 3 + M_PI * 1.5 * 1.5) - 1), <, 0.02); // round ends
        }
        struct ph_picture p = black(300, 300);
        ph_draw_circle(&p, 150, 150, 100, 4, 0xffffffff);
        CHECK_NUM(fabs(area(&p) / (2 * M_PI * 100 * 4) - 1), <, 0.01);
        CHECK_INT(px(&p, 150, 150)[0], ==, 0);
        CHECK_INT(px(&p, 250, 150)[0], ==, 255);
    }
}

TEST(a_line_through_pixel_centres_is_sharp)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(60, 20);
        ph_draw_line(&p, 10.5f, 8.5f, 50.5f, 8.5f, 1, 0xffffffff);
        for (int x = 10; x <= 50; x++) CHECK_INT(px(&p, x, 8)[0], ==, 255);
        for (int x = 11; x < 50; x++) CHECK_INT(px(&p, x, 7)[0] + px(&p, x, 9)[0], ==, 0);
        p = black(60, 20);
        ph_draw_line(&p, 10, 8, 50, 8, 1, 0xffffffff); // between two rows: half each
        for (int x = 11; x < 49; x++) {
            CHECK_INT(abs(px(&p, x, 7)[0] - 128), <=, 1);
            CHECK_INT(abs(px(&p, x, 8)[0] - 128), <=, 1);
        }
    }
}

TEST(a_thinner_line_is_paler_and_not_thinner)
{
    struct ph_picture p = black(60, 20);
    ph_draw_line(&p, 10.5f, 8.5f, 50.5f, 8.5f, 0.25f, 0xffffffff);
    CHECK_INT(abs(px(&p, 30, 8)[0] - 64), <=, 1);
}

TEST(joints_of_a_transparent_polyline_do_not_show)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(200, 100);
        float xy[2 * 40];
        for (int i = 0; i < 40; i++) xy[2 * i] = (float) (5 * i), xy[2 * i + 1] = 50.5f;
        ph_draw_polyline(&p, xy, 40, 5, 0xffffff80);
        for (int x = 2; x < 194; x++) CHECK_INT(px(&p, x, 50)[0], ==, 128);
        xy[1] = 20, xy[2 * 39] = 0, xy[2 * 39 + 1] = 90; // back across all of it
        ph_draw_polyline(&p, xy, 40, 5, 0xffffff00);
        CHECK_INT(px(&p, 100, 50)[0], ==, 128); // alpha 0
    }
}

TEST(a_polyline_is_the_union_of_its_lines)
{
    FOR_LEVELS(level)
    {
        struct ph_picture a = black(150, 150), b = black(150, 150);
        float xy[2 * 12];
        for (int i = 0; i < 24; i++) xy[i] = (float) (random32() % 1600) / 10 - 5;
        ph_draw_polyline(&a, xy, 12, 3, 0xffffffff);
        for (int i = 0; i < 11; i++) {
            struct ph_picture one = black(150, 150);
            ph_draw_line(&one, xy[2 * i], xy[2 * i + 1], xy[2 * i + 2], xy[2 * i + 3], 3,
                         0xffffffff);
            for (int k = 0; k < 150 * 150; k++) {
                uint8_t *d = px(&b, k % 150, k / 150), *s = px(&one, k % 150, k / 150);
                if (s[0] > d[0]) d[0] = s[0];
            }
        }
        for (int k = 0; k < 150 * 150; k++)
            CHECK_INT(abs(px(&a, k % 150, k / 150)[0] - px(&b, k % 150, k / 150)[0]), <=, 1);
    }
}

TEST(a_flat_wave_is_a_sharp_line_and_a_jump_is_filled)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(400, 60);
        float y[400];
        for (int i = 0; i < 400; i++) y[i] = i < 200 ? 10.5f : 40.5f;
        ph_draw_wave(&p, 0, y, 400, 3, 0xffffffff);
        for (int x = 0; x < 198; x++) {
            CHECK_INT(px(&p, x, 8)[0] + px(&p, x, 12)[0], ==, 0);
            CHECK_INT(px(&p, x, 9)[0] + px(&p, x, 10)[0] + px(&p, x, 11)[0], ==, 3 * 255);
        }
        for (int k = 10; k <= 40; k++)
            CHECK_INT(px(&p, 199, k)[0] + px(&p, 200, k)[0], >=, 255);
        CHECK_INT(px(&p, 399, 40)[0], ==, 255);
    }
}

TEST(a_band_fills_between_two_curves_with_soft_ends)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(80, 40);
        float top[80], bottom[80];
        for (int i = 0; i < 80; i++) top[i] = 10.25f, bottom[i] = i == 7 ? NAN : 20.5f;
        ph_draw_band(&p, 0, top, bottom, 80, 0xffffffff);
        CHECK_INT(abs(px(&p, 30, 10)[0] - 191), <=, 1);
        CHECK_INT(px(&p, 30, 11)[0], ==, 255);
        CHECK_INT(abs(px(&p, 30, 20)[0] - 128), <=, 1);
        CHECK_INT(px(&p, 30, 9)[0] + px(&p, 30, 21)[0] + px(&p, 7, 15)[0], ==, 0);
    }
}

TEST(a_mask_is_coverage_of_one_colour)
{
    static const uint8_t mask[2][3] = { { 0, 128, 255 }, { 255, 255, 1 } };
    FOR_LEVELS(level)
    {
        struct ph_picture p = black(20, 10);
        ph_draw_mask(&p, mask[0], 3, 3, 2, 5, 5, 0xff8000ff);
        CHECK_INT(px(&p, 5, 5)[0], ==, 0);
        CHECK_INT(px(&p, 6, 5)[0], ==, 128);
        CHECK_INT(px(&p, 7, 5)[1], ==, 128);
        CHECK_INT(px(&p, 7, 6)[0], ==, 1);
        ph_draw_clear(&p, 0x00000000); // on a transparent picture the colour stays itself
        ph_draw_mask(&p, mask[0], 3, 3, 2, 5, 5, 0xff8000ff);
        CHECK(!memcmp(px(&p, 6, 5), "\xff\x80\x00\x80", 4));
    }
}
