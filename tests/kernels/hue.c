// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/hue.h"

static struct ph_hue *turned_by(double deg)
{
    struct ph_hue *h = NULL;
    CHECK_OK(ph_hue_create(&h));
    ph_hue_turn(h, deg);
    return h;
}

// Worked out apart from the program, from the published matrices.
TEST(the_formula_turns_a_and_b_of_oklab)
{
    static const struct {
        double rgb[3], deg, want[3];
    } cases[] = { { { 180, 120, 100 }, 90, { 121.57, 147.05, 93.51 } },
                  { { 60, 90, 140 }, -120, { 61.48, 102.32, 52.86 } },
                  { { 200, 190, 120 }, 180, { 177.06, 181.31, 245.61 } },
                  { { 30, 20, 40 }, 45, { 39.20, 16.89, 27.46 } },
                  { { 220, 140, 150 }, 250, { 131.82, 166.36, 228.03 } } };
    for (int i = 0; i < 5; i++) {
        double in[3], out[3];
        for (int c = 0; c < 3; c++) in[c] = cases[i].rgb[c] / 255;
        ph_hue_exact(out, in, cases[i].deg);
        for (int c = 0; c < 3; c++) CHECK_NUM(fabs(255 * out[c] - cases[i].want[c]), <=, 0.02);
    }
}

static double lightness(const double rgb[3])
{
    static const double m[3][3] = { { 0.4122214708, 0.5363325363, 0.0514459929 },
                                    { 0.2119034982, 0.6806995451, 0.1073969566 },
                                    { 0.0883024619, 0.2817188376, 0.6299787005 } };
    double root[3] = { 0 };
    for (int i = 0; i < 3; i++) {
        for (int c = 0; c < 3; c++)
            root[i] += m[i][c] * (rgb[c] <= 0.04045 ? rgb[c] / 12.92
                                                    : pow((rgb[c] + 0.055) / 1.055, 2.4));
        root[i] = cbrt(root[i]);
    }
    return 0.2104542553 * root[0] + 0.7936177850 * root[1] - 0.0040720468 * root[2];
}

TEST(lightness_stays_where_chroma_has_to_give_way_too)
{
    for (int i = 0; i < 125; i++)
        for (int deg = 0; deg < 360; deg += 15) {
            double in[3] = { i % 5 / 4.0, i / 5 % 5 / 4.0, i / 25 / 4.0 }, out[3];
            ph_hue_exact(out, in, deg);
            for (int c = 0; c < 3; c++) CHECK(out[c] >= 0 && out[c] <= 1);
            CHECK_NUM(fabs(lightness(out) - lightness(in)), <=, 0.005);
        }
}

// Every fourth value of each channel: 64 x 64 x 64 colours.
static struct ph_picture many_colors(void)
{
    struct ph_picture s = pic(PH_RGBA, 512, 512);
    for (int i = 0; i < 512 * 512; i++)
        set_px(&s, i % 512, i / 512, (i & 63) * 4 + 1, (i >> 6 & 63) * 4 + 2, (i >> 12) * 4,
               i & 255);
    return s;
}

TEST(colours_between_those_of_the_table_are_near_the_formula)
{
    struct ph_picture s = many_colors(), d = pic(PH_RGBA, 512, 512);
    struct ph_hue *h = turned_by(100);
    FOR_LEVELS(level)
    {
        int far = 0, farthest = 0;
        double sum = 0;
        CHECK_OK(ph_image_hue(&d, &s, h));
        for (int i = 0; i < 512 * 512; i += 7) {
            uint8_t *from = px(&s, i % 512, i / 512), *got = px(&d, i % 512, i / 512);
            double in[3] = { from[0] / 255.0, from[1] / 255.0, from[2] / 255.0 }, want[3];
            int off = 0;
            ph_hue_exact(want, in, 100);
            for (int c = 0; c < 3; c++) {
                int by = (int) lrint(fabs(255 * want[c] - got[c]));
                off = by > off ? by : off;
                sum += by;
            }
            far += off > 2;
            farthest = off > farthest ? off : farthest;
            CHECK_INT(got[3], ==, from[3]);
        }
        printf("# %s: %d of %d off by more than 2, at most %d\n", level->name, far,
               512 * 512 / 7, farthest);
        CHECK_INT(far, <=, 512 * 512 / 7 / 25);
        CHECK_NUM(sum, <=, 0.2 * 3 * 512 * 512 / 7);
    }
    ph_hue_destroy(&h);
}

TEST(greys_stay_and_a_whole_turn_changes_nothing)
{
    struct ph_picture grey = pic(PH_RGBA, 256, 1), d = pic(PH_RGBA, 256, 1);
    struct ph_picture s = many_colors(), e = pic(PH_RGBA, 512, 512);
    for (int x = 0; x < 256; x++) set_px(&grey, x, 0, x, x, x, 255 - x);
    FOR_LEVELS(level)
    {
        struct ph_hue *h = turned_by(77), *whole = turned_by(360);
        CHECK_OK(ph_image_hue(&d, &grey, h));
        CHECK_OK(ph_image_hue(&e, &s, whole));
        CHECK(same_pixels(&grey, &d));
        for (int i = 0; i < 512 * 512; i++)
            for (int c = 0; c < 4; c++)
                CHECK_INT(abs(px(&e, i % 512, i / 512)[c] - px(&s, i % 512, i / 512)[c]), <=,
                          1);
        ph_hue_destroy(&h);
        ph_hue_destroy(&whole);
    }
}

TEST(no_number_turns_nothing_and_other_formats_are_refused)
{
    struct ph_picture s = pic_random(33, 5), d = pic(PH_RGBA, 33, 5), e = pic(PH_RGBA, 33, 5);
    struct ph_picture grey = pic(PH_GRAY8, 33, 5);
    struct ph_hue *h = turned_by(50);
    CHECK_OK(ph_image_hue(&d, &s, h));
    ph_hue_turn(h, (double) NAN);
    ph_hue_turn(h, (double) INFINITY);
    CHECK_OK(ph_image_hue(&e, &s, h));
    CHECK(same_pixels(&d, &e));
    CHECK_INT(ph_image_hue(&grey, &s, h), ==, PH_EINVAL);
    CHECK_OK(ph_image_hue(&s, &s, h)); // in place
    CHECK(same_pixels(&d, &s));
    ph_hue_destroy(&h);
}
