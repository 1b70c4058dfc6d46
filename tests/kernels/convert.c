// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/convert.h"

struct known {
    int rgb[3], yuv[3];
};

// Computed by hand from the standards' luma weights and quantisation.
static const struct known bt709_limited[] = {
    { { 255, 255, 255 }, { 235, 128, 128 } }, { { 0, 0, 0 }, { 16, 128, 128 } },
    { { 255, 0, 0 }, { 63, 102, 240 } },      { { 0, 255, 0 }, { 173, 42, 26 } },
    { { 0, 0, 255 }, { 32, 240, 118 } },      { { 128, 128, 128 }, { 126, 128, 128 } },
};
static const struct known bt601_limited[] = {
    { { 255, 255, 255 }, { 235, 128, 128 } }, { { 0, 0, 0 }, { 16, 128, 128 } },
    { { 255, 0, 0 }, { 81, 90, 240 } },       { { 0, 255, 0 }, { 145, 54, 34 } },
    { { 0, 0, 255 }, { 41, 240, 110 } },
};
static const struct known bt601_full[] = {
    { { 255, 255, 255 }, { 255, 128, 128 } }, { { 0, 0, 0 }, { 0, 128, 128 } },
    { { 255, 0, 0 }, { 76, 85, 255 } },       { { 0, 255, 0 }, { 150, 44, 21 } },
    { { 0, 0, 255 }, { 29, 255, 107 } },
};

static struct ph_picture yuv_pic(enum ph_format f, int w, int h, int matrix, int range)
{
    struct ph_picture p = pic(f, w, h);
    p.matrix = (enum ph_matrix) matrix;
    p.range = (enum ph_range) range;
    return p;
}

static int chroma_at(const struct ph_picture *p, int v, int x, int y)
{
    if (p->format == PH_NV12) return p->data[1][y * p->stride[1] + 2 * x + v];
    return p->data[1 + v][y * p->stride[1 + v] + x];
}

static void check_known(const struct known *k, int n, enum ph_format f, int matrix, int range)
{
    struct ph_picture rgb = pic(PH_RGBA, 70, 4), yuv = yuv_pic(f, 70, 4, matrix, range);
    for (int i = 0; i < n; i++) {
        fill_px(&rgb, k[i].rgb[0], k[i].rgb[1], k[i].rgb[2], 9);
        CHECK_OK(ph_image_convert(&yuv, &rgb));
        for (int x = 0; x < 70; x += 23) {
            CHECK_INT(yuv.data[0][x + yuv.stride[0] * 3], ==, k[i].yuv[0]);
            CHECK_INT(chroma_at(&yuv, 0, x / 2, 1), ==, k[i].yuv[1]);
            CHECK_INT(chroma_at(&yuv, 1, x / 2, 1), ==, k[i].yuv[2]);
        }
        CHECK_OK(ph_image_convert(&rgb, &yuv));
        for (int x = 0; x < 70; x += 23) {
            for (int c = 0; c < 3; c++) CHECK_INT(abs(px(&rgb, x, 3)[c] - k[i].rgb[c]), <=, 2);
            CHECK_INT(px(&rgb, x, 3)[3], ==, 255);
        }
    }
}

#define KNOWN(table, matrix, range)                                                            \
    check_known(table, sizeof table / sizeof table[0], PH_I420, matrix, range);                \
    check_known(table, sizeof table / sizeof table[0], PH_NV12, matrix, range)

TEST(known_colours_have_the_values_of_the_standards)
{
    FOR_LEVELS(level)
    {
        KNOWN(bt709_limited, PH_BT709, PH_LIMITED);
        KNOWN(bt601_limited, PH_BT601, PH_LIMITED);
        KNOWN(bt601_full, PH_BT601, PH_FULL);
    }
}

struct matrix {
    double kr, kb, luma, chroma, offset;
};

static struct matrix matrix_of(int matrix, int range)
{
    return (struct matrix){ matrix ? 0.2126 : 0.299, matrix ? 0.0722 : 0.114, range ? 255 : 219,
                            range ? 255 : 224, range ? 0 : 16 };
}

static void to_yuv(double yuv[3], const uint8_t *p, struct matrix m)
{
    double r = p[0] / 255.0, g = p[1] / 255.0, b = p[2] / 255.0;
    double y = m.kr * r + (1 - m.kr - m.kb) * g + m.kb * b;
    yuv[0] = m.offset + m.luma * y;
    yuv[1] = fmin(128 + m.chroma * (b - y) / (2 - 2 * m.kb), 255);
    yuv[2] = fmin(128 + m.chroma * (r - y) / (2 - 2 * m.kr), 255);
}

static void to_rgb(double rgb[3], const int yuv[3], struct matrix m)
{
    double y = (yuv[0] - m.offset) / m.luma, u = (yuv[1] - 128) / m.chroma,
           v = (yuv[2] - 128) / m.chroma;
    rgb[0] = y + v * (2 - 2 * m.kr);
    rgb[2] = y + u * (2 - 2 * m.kb);
    rgb[1] = (y - m.kr * rgb[0] - m.kb * rgb[2]) / (1 - m.kr - m.kb);
    for (int c = 0; c < 3; c++) rgb[c] = 255 * fmin(fmax(rgb[c], 0), 1);
}

// Colours in blocks of 2x2, so that each has a chroma sample of its own.
static struct ph_picture blocks(int w, int h)
{
    struct ph_picture p = pic_random(w, h);
    for (int y = 0; y < h; y += 2)
        for (int x = 0; x < w; x += 2)
            for (int k = 1; k < 4; k++) memcpy(px(&p, x + k % 2, y + k / 2), px(&p, x, y), 4);
    return p;
}

static void check_against_double(int matrix, int range)
{
    struct matrix m = matrix_of(matrix, range);
    struct ph_picture rgb = blocks(400, 300), back = pic(PH_RGBA, 400, 300);
    struct ph_picture yuv = yuv_pic(PH_I420, 400, 300, matrix, range);
    CHECK_OK(ph_image_convert(&yuv, &rgb));
    CHECK_OK(ph_image_convert(&back, &yuv));
    for (int y = 0; y < 300; y++) {
        for (int x = 0; x < 400; x++) {
            int got[3] = { yuv.data[0][y * yuv.stride[0] + x], chroma_at(&yuv, 0, x / 2, y / 2),
                           chroma_at(&yuv, 1, x / 2, y / 2) };
            double want[3], rgb_want[3];
            to_yuv(want, px(&rgb, x, y), m);
            to_rgb(rgb_want, got, m);
            for (int c = 0; c < 3; c++) {
                CHECK_NUM(fabs(got[c] - want[c]), <, 0.53);
                CHECK_NUM(fabs(px(&back, x, y)[c] - rgb_want[c]), <, 0.56);
            }
        }
    }
}

TEST(all_matrices_agree_with_the_formulas_in_double_precision)
{
    FOR_LEVELS(level)
    for (int k = 0; k < 4; k++) check_against_double(k & 1, k >> 1);
}

TEST(chroma_is_the_mean_of_2x2_and_odd_edges_are_repeated)
{
    FOR_LEVELS(level)
    {
        struct ph_picture rgb = pic(PH_RGBA, 3, 3), yuv = yuv_pic(PH_I420, 3, 3, 0, PH_FULL);
        fill_px(&rgb, 0, 0, 0, 255);
        set_px(&rgb, 2, 0, 0, 0, 255, 255); // upper right block: this column twice
        set_px(&rgb, 0, 2, 255, 0, 0, 255); // lower left block: this row twice
        set_px(&rgb, 2, 2, 255, 255, 255, 255);
        CHECK_OK(ph_image_convert(&yuv, &rgb));
        CHECK_INT(chroma_at(&yuv, 0, 0, 0), ==, 128);
        CHECK_INT(chroma_at(&yuv, 0, 1, 0), ==, 192); // half blue
        CHECK_INT(chroma_at(&yuv, 1, 0, 1), ==, 192); // half red
        CHECK_INT(chroma_at(&yuv, 1, 1, 1), ==, 128); // white alone
        CHECK_INT(yuv.data[0][2 * yuv.stride[0] + 2], ==, 255);
    }
}

// Chroma up is the inverse of chroma down: what was coded once is not changed by a second time.
TEST(a_second_trip_through_i420_changes_nothing_but_rounding)
{
    FOR_LEVELS(level)
    {
        struct ph_picture a = yuv_pic(PH_I420, 64, 64, 1, 0),
                          b = yuv_pic(PH_I420, 64, 64, 1, 0);
        struct ph_picture rgb = pic(PH_RGBA, 64, 64);
        for (int y = 0; y < 64; y++)
            for (int x = 0; x < 64; x++)
                a.data[0][y * a.stride[0] + x] = (uint8_t) (80 + x + y / 2);
        for (int i = 0; i < 32 * 32; i++) {
            a.data[1][i / 32 * a.stride[1] + i % 32] = (uint8_t) (108 + i % 40);
            a.data[2][i / 32 * a.stride[2] + i % 32] = (uint8_t) (108 + i * 7 % 40);
        }
        CHECK_OK(ph_image_convert(&rgb, &a));
        CHECK_OK(ph_image_convert(&b, &rgb));
        for (int i = 0; i < 64 * 64; i++)
            CHECK_INT(abs(a.data[0][i / 64 * a.stride[0] + i % 64] -
                          b.data[0][i / 64 * b.stride[0] + i % 64]),
                      <=, 1);
        for (int i = 0; i < 32 * 32; i++)
            for (int v = 0; v < 2; v++)
                CHECK_INT(
                    abs(chroma_at(&a, v, i % 32, i / 32) - chroma_at(&b, v, i % 32, i / 32)),
                    <=, 1);
    }
}

TEST(planar_float_gives_every_byte_back)
{
    FOR_LEVELS(level)
    {
        struct ph_picture a = pic(PH_RGBA, 256, 3), f = pic(PH_RGBF, 256, 3),
                          b = pic(PH_RGBA, 256, 3);
        for (int i = 0; i < 3 * 256; i++)
            set_px(&a, i % 256, i / 256, i % 256, 255 - i % 256, i * 7 % 256, 255);
        CHECK_OK(ph_image_convert(&f, &a));
        CHECK_NUM(*fpx(&f, 0, 255, 0), ==, 1);
        CHECK_NUM(fabs(*fpx(&f, 1, 204, 1) - 0.2), <, 1e-6);
        CHECK_OK(ph_image_convert(&b, &f));
        CHECK(same_pixels(&a, &b));
    }
}

TEST(floats_beyond_the_range_are_clamped_and_nan_is_black)
{
    static const float in[] = {
        -1, -1e30f, 2, 1e30f, NAN, INFINITY, -INFINITY, 0.5f, 0.1f / 255
    };
    static const int want[] = { 0, 0, 255, 255, 0, 255, 0, 128, 0 };
    FOR_LEVELS(level)
    {
        struct ph_picture f = pic(PH_RGBF, 40, 1), d = pic(PH_RGBA, 40, 1);
        for (int x = 0; x < 40; x++)
            for (int c = 0; c < 3; c++) *fpx(&f, c, x, 0) = in[(x + c) % 9];
        CHECK_OK(ph_image_convert(&d, &f));
        for (int x = 0; x < 40; x++)
            for (int c = 0; c < 3; c++) CHECK_INT(px(&d, x, 0)[c], ==, want[(x + c) % 9]);
    }
}

TEST(grey_is_luma_of_the_matrix_and_comes_back_as_grey)
{
    FOR_LEVELS(level)
    {
        struct ph_picture rgb = pic(PH_RGBA, 33, 2), grey = pic(PH_GRAY8, 33, 2);
        fill_px(&rgb, 255, 0, 0, 0);
        grey.matrix = PH_BT601;
        CHECK_OK(ph_image_convert(&grey, &rgb));
        CHECK_INT(grey.data[0][32], ==, 76);
        grey.matrix = PH_BT709;
        CHECK_OK(ph_image_convert(&grey, &rgb));
        CHECK_INT(grey.data[0][32], ==, 54);
        CHECK_OK(ph_image_convert(&rgb, &grey));
        CHECK(!memcmp(px(&rgb, 32, 1), "\x36\x36\x36\xff", 4));
    }
}

TEST(red_and_blue_change_places)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = pic(PH_RGBA, 35, 1);
        fill_px(&p, 1, 2, 3, 4);
        CHECK_OK(ph_image_swap_rb(&p, &p));
        CHECK(!memcmp(px(&p, 34, 0), "\x03\x02\x01\x04", 4));
    }
}

TEST(what_cannot_be_converted_is_refused)
{
    struct ph_picture a = pic(PH_RGBA, 8, 8), b = pic(PH_I420, 8, 9), c = pic(PH_DEPTHF, 8, 8);
    struct ph_picture d = pic(PH_NV12, 8, 9);
    CHECK_INT(ph_image_convert(&b, &a), ==, PH_EINVAL);
    CHECK_INT(ph_image_convert(&c, &a), ==, PH_ENOTSUP);
    CHECK_INT(ph_image_convert(&d, &b), ==, PH_ENOTSUP);
}
