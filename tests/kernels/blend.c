// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/blend.h"
#include "image/color.h"

static int rounded(double v)
{
    return (int) floor(v + 0.5);
}

// A 256 x 256 picture: every source value over every destination value.
static void all_pairs(struct ph_picture *s, struct ph_picture *d, int sa, int da)
{
    *s = pic(PH_RGBA, 256, 256);
    *d = pic(PH_RGBA, 256, 256);
    for (int y = 0; y < 256; y++) {
        for (int x = 0; x < 256; x++) {
            set_px(s, x, y, x, 255 - x, x ^ y, sa);
            set_px(d, x, y, y, y, 255 - y, da);
        }
    }
}

// In double precision, but with alpha in whole numbers as blend.h says.
static double over(int s, int d, int a, int rest)
{
    return (double) (s * a + d * rest) / (a + rest);
}

static void check_over(int sa, int da, int opacity)
{
    struct ph_picture s, d, was;
    all_pairs(&s, &d, sa, da);
    all_pairs(&s, &was, sa, da);
    int a = rounded(sa * opacity / 255.0), rest = rounded(da * (255 - a) / 255.0);
    CHECK_OK(ph_image_blend(&d, &s, 0, 0, PH_BLEND_OVER, opacity));
    for (int i = 0; i < 256 * 256; i++) {
        uint8_t *got = px(&d, i % 256, i / 256), *sp = px(&s, i % 256, i / 256);
        uint8_t *dp = px(&was, i % 256, i / 256);
        CHECK_INT(got[3], ==, a ? a + rest : da);
        for (int c = 0; c < 3; c++) {
            // An exact half may go either way in double precision.
            double want = a ? over(sp[c], dp[c], a, rest) : dp[c];
            CHECK_NUM(fabs(got[c] - want), <=, 0.5 + 1e-9);
        }
    }
}

TEST(over_is_the_rounded_mean_for_all_pairs_of_values)
{
    static const int alphas[] = { 0, 1, 2, 100, 127, 128, 254, 255 };
    FOR_LEVELS(level)
    {
        for (int i = 0; i < 8; i++) {
            check_over(alphas[i], 255, 255);
            check_over(alphas[i], alphas[7 - i], 255);
            check_over(alphas[i], alphas[(i * 3 + 1) % 8], 77);
        }
    }
}

static double mode_value(int mode, int s, int d)
{
    if (mode == PH_BLEND_ADD) return s + d > 255 ? 255 : s + d;
    double product = rounded(s * d / 255.0);
    return mode == PH_BLEND_MULTIPLY ? product : s + d - product;
}

TEST(add_multiply_and_screen_have_their_formulas)
{
    FOR_LEVELS(level)
    {
        for (int mode = PH_BLEND_ADD; mode <= PH_BLEND_SCREEN; mode++) {
            for (int sa = 0; sa < 256; sa += 51) {
                struct ph_picture s, d, was;
                all_pairs(&s, &d, sa, 255);
                all_pairs(&s, &was, sa, 255);
                CHECK_OK(ph_image_blend(&d, &s, 0, 0, (enum ph_blend_mode) mode, 200));
                int a = rounded(sa * 200 / 255.0);
                for (int i = 0; i < 256 * 256; i++) {
                    int sv = px(&s, i % 256, i / 256)[0], dv = px(&was, i % 256, i / 256)[0];
                    double want = (mode_value(mode, sv, dv) * a + dv * (255 - a)) / 255.0;
                    CHECK_INT(px(&d, i % 256, i / 256)[0], ==, rounded(want));
                    CHECK_INT(px(&d, i % 256, i / 256)[3], ==, 255);
                }
            }
        }
    }
}

TEST(a_cross_fade_starts_and_ends_exactly_and_is_even_between)
{
    FOR_LEVELS(level)
    {
        struct ph_picture a = pic_random(131, 5), b = pic_random(131, 5),
                          d = pic(PH_RGBA, 131, 5);
        CHECK_OK(ph_image_fade(&d, &a, &b, 0));
        CHECK(same_pixels(&d, &a));
        CHECK_OK(ph_image_fade(&d, &a, &b, 255));
        CHECK(same_pixels(&d, &b));
        for (int t = 1; t < 255; t += 11) {
            CHECK_OK(ph_image_fade(&d, &a, &b, t));
            for (int i = 0; i < 4 * 131; i++)
                CHECK_INT(px(&d, 0, 3)[i], ==,
                          rounded((px(&a, 0, 3)[i] * (255 - t) + px(&b, 0, 3)[i] * t) / 255.0));
        }
        CHECK_OK(ph_image_fade(&a, &a, &b, 128)); // in place
        CHECK_OK(ph_image_fade(&b, &d, &d, 9));
        CHECK(same_pixels(&b, &d));
    }
}

TEST(blending_is_clipped_at_every_side_and_far_away)
{
    static const int at[][2] = {
        { -3, -2 }, { 27, 17 }, { -3, 17 }, { 27, -2 },         { 30, 0 },
        { -8, 0 },  { 0, 20 },  { 0, -6 },  { -2147483647, 5 }, { 2147483647, 2147483647 },
        { 5, 5 }
    };
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        struct ph_picture s = pic(PH_RGBA, 8, 6), d = pic(PH_RGBA, 30, 20);
        fill_px(&s, 200, 100, 50, 255);
        fill_px(&d, 1, 2, 3, 255);
        CHECK_OK(ph_image_blend(&d, &s, at[i][0], at[i][1], PH_BLEND_OVER, 255));
        for (int y = 0; y < 20; y++) {
            for (int x = 0; x < 30; x++) {
                bool in = x - (int64_t) at[i][0] >= 0 && x - (int64_t) at[i][0] < 8 &&
                          y - (int64_t) at[i][1] >= 0 && y - (int64_t) at[i][1] < 6;
                CHECK_INT(px(&d, x, y)[0], ==, in ? 200 : 1);
            }
        }
    }
}

// --- colour

static struct ph_picture colored(const struct ph_picture *s, struct ph_color_params p)
{
    struct ph_picture d = pic(PH_RGBA, s->width, s->height);
    struct ph_color c;
    ph_color_prepare(&c, &p);
    CHECK_OK(ph_image_color(&d, s, &c));
    return d;
}

TEST(neutral_colour_changes_nothing)
{
    struct ph_picture s = pic_random(67, 3);
    FOR_LEVELS(level)
    {
        struct ph_picture d = colored(&s, PH_COLOR_NEUTRAL);
        CHECK(same_pixels(&s, &d));
    }
}

TEST(saturation_zero_is_grey_of_the_same_luma)
{
    struct ph_picture s = pic_random(67, 3);
    FOR_LEVELS(level)
    {
        struct ph_picture d = colored(&s, (struct ph_color_params){ 0, 1, 0, 1 });
        for (int x = 0; x < 67; x++) {
            uint8_t *a = px(&s, x, 1), *b = px(&d, x, 1);
            double luma = 0.213 * a[0] + 0.715 * a[1] + 0.072 * a[2];
            for (int c = 0; c < 3; c++) CHECK_NUM(fabs(b[c] - luma), <, 0.7);
            CHECK_INT(b[3], ==, a[3]);
        }
    }
}

TEST(contrast_turns_around_mid_grey_and_brightness_adds)
{
    FOR_LEVELS(level)
    {
        struct ph_picture s = pic(PH_RGBA, 256, 1);
        for (int x = 0; x < 256; x++) set_px(&s, x, 0, x, x, x, 255);
        struct ph_picture d = colored(&s, (struct ph_color_params){ 0, 2, 1, 1 });
        struct ph_picture e = colored(&s, (struct ph_color_params){ 0.25f, 1, 1, 1 });
        for (int x = 0; x < 256; x++) {
            CHECK_NUM(fabs(px(&d, x, 0)[1] - fmin(fmax(2 * x - 127.5, 0), 255)), <=, 0.7);
            CHECK_NUM(fabs(px(&e, x, 0)[1] - fmin(x + 63.75, 255)), <=, 0.7);
        }
    }
}

TEST(gamma_is_the_power_of_every_value)
{
    FOR_LEVELS(level)
    {
        struct ph_picture s = pic(PH_RGBA, 256, 1);
        for (int x = 0; x < 256; x++) set_px(&s, x, 0, x, 255 - x, x, x);
        struct ph_picture d = colored(&s, (struct ph_color_params){ 0, 1, 1, 2.2f });
        for (int x = 0; x < 256; x++) {
            CHECK_INT(px(&d, x, 0)[0], ==, rounded(255 * pow(x / 255.0, 1 / (double) 2.2f)));
            CHECK_INT(px(&d, 255 - x, 0)[1], ==, px(&d, x, 0)[0]);
            CHECK_INT(px(&d, x, 0)[3], ==, x);
        }
    }
}
