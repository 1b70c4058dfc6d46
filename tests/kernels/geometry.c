// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/geometry.h"
#include "image/measure.h"

// Where pixel (x, y) of the turned picture comes from, by the definition of each turn.
static void origin(enum ph_turn t, int x, int y, int w, int h, int *sx, int *sy)
{
    bool swap = ph_turn_swaps(t);
    *sx = swap ? y : x;
    *sy = swap ? x : y;
    if (t == PH_TURN_180 || t == PH_MIRROR_H || t == PH_TURN_270 || t == PH_TRANSVERSE)
        *sx = w - 1 - *sx;
    if (t == PH_TURN_180 || t == PH_MIRROR_V || t == PH_TURN_90 || t == PH_TRANSVERSE)
        *sy = h - 1 - *sy;
}

static void check_turn(enum ph_turn t, int w, int h)
{
    struct ph_picture s = pic_random(w, h);
    struct ph_picture d = ph_turn_swaps(t) ? pic(PH_RGBA, h, w) : pic(PH_RGBA, w, h);
    CHECK_OK(ph_image_turn(&d, &s, t));
    for (int y = 0; y < d.height; y++) {
        for (int x = 0; x < d.width; x++) {
            int sx, sy;
            origin(t, x, y, w, h, &sx, &sy);
            CHECK(!memcmp(px(&d, x, y), px(&s, sx, sy), 4));
        }
    }
}

TEST(all_eight_turns_move_every_pixel_where_it_belongs)
{
    static const int sizes[][2] = { { 1, 1 },   { 7, 3 },    { 16, 8 },
                                    { 33, 50 }, { 100, 65 }, { 1, 40 } };
    FOR_LEVELS(level)
    for (int t = PH_TURN_0; t <= PH_TRANSVERSE; t++)
        for (int i = 0; i < 6; i++) check_turn((enum ph_turn) t, sizes[i][0], sizes[i][1]);
}

TEST(a_clockwise_quarter_turn_brings_the_left_lower_corner_to_the_left_upper)
{
    struct ph_picture s = pic(PH_RGBA, 3, 2), d = pic(PH_RGBA, 2, 3);
    fill_px(&s, 0, 0, 0, 255);
    set_px(&s, 0, 1, 9, 9, 9, 255);
    CHECK_OK(ph_image_turn(&d, &s, PH_TURN_90));
    CHECK_INT(px(&d, 0, 0)[0], ==, 9);
}

TEST(float_planes_are_turned_too)
{
    struct ph_picture s = pic(PH_RGBF, 20, 9), d = pic(PH_RGBF, 9, 20);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 180; i++) *fpx(&s, c, i % 20, i / 20) = (float) (i + 1000 * c);
    CHECK_OK(ph_image_turn(&d, &s, PH_TRANSPOSE));
    CHECK_NUM(*fpx(&d, 2, 7, 19), ==, 2000 + 19 + 20 * 7);
}

TEST(a_view_is_the_part_itself)
{
    struct ph_picture s = pic_random(40, 30), v, d = pic(PH_RGBA, 10, 7);
    CHECK_OK(ph_picture_view(&v, &s, 5, 6, 10, 7));
    CHECK(px(&v, 2, 3) == px(&s, 7, 9));
    CHECK_OK(ph_image_copy(&d, &v));
    CHECK(same_pixels(&d, &v));
    CHECK_INT(ph_picture_view(&v, &s, 31, 0, 10, 7), ==, PH_EINVAL);
    CHECK_INT(ph_picture_view(&v, &s, -1, 0, 10, 7), ==, PH_EINVAL);
    CHECK_INT(ph_picture_view(&v, &s, 0, 24, 10, 7), ==, PH_EINVAL);
    CHECK_INT(ph_picture_view(&v, &s, 2147483647, 0, 10, 7), ==, PH_EINVAL);
}

TEST(views_of_halved_chroma_begin_at_even_pixels)
{
    struct ph_picture s = pic(PH_I420, 40, 30), v;
    CHECK_INT(ph_picture_view(&v, &s, 5, 6, 10, 8), ==, PH_EINVAL);
    CHECK_OK(ph_picture_view(&v, &s, 4, 6, 11, 9));
    CHECK(v.data[0] == s.data[0] + 6 * s.stride[0] + 4);
    CHECK(v.data[2] == s.data[2] + 3 * s.stride[2] + 2);
}

TEST(copies_have_the_content_of_all_planes_whatever_the_size)
{
    static const int sizes[][2] = { { 1, 1 }, { 641, 3 }, { 640, 480 }, { 1280, 720 } };
    FOR_LEVELS(level)
    {
        for (int i = 0; i < 4; i++) {
            for (int f = PH_RGBA; f <= PH_NV12; f++) {
                struct ph_picture s = pic((enum ph_format) f, sizes[i][0], sizes[i][1]), d;
                for (int p = 0; p < PH_PLANES && s.data[p]; p++)
                    for (int y = 0; y < ph_plane_rows(s.format, p, s.height); y++)
                        for (size_t x = 0; x < ph_plane_row_bytes(s.format, p, s.width); x++)
                            s.data[p][y * s.stride[p] + (ptrdiff_t) x] =
                                (uint8_t) (random32() >> 8);
                d = pic((enum ph_format) f, sizes[i][0], sizes[i][1]);
                CHECK_OK(ph_image_copy(&d, &s));
                CHECK(ph_image_hash(&d) == ph_image_hash(&s));
            }
        }
    }
}
