// SPDX-License-Identifier: MIT
// Against OpenCV's definitions, written down here once more in double precision and without
// tables: each output pixel is a sum over all inputs of weight(output, input).
#include "pic.h"

#include "image/resize.h"

static double cubic(double x) // a = -0.75
{
    x = fabs(x);
    if (x < 1) return 1.25 * x * x * x - 2.25 * x * x + 1;
    return x < 2 ? -0.75 * (x * x * x - 5 * x * x + 8 * x - 4) : 0;
}

static double hat(double x)
{
    return fmax(0, 1 - fabs(x));
}

// How much of pixel i lies in [from, to).
static double overlap(double i, double from, double to)
{
    return fmax(0, fmin(i + 1, to) - fmax(i, from));
}

enum kind { LINEAR, CUBIC, BOX, AREA_UP };

// Weight of input i (of src) in output o (of dst).
static double weight(enum kind kind, int i, int o, int src, int dst)
{
    double scale = (double) src / dst, at = (o + 0.5) * scale - 0.5, w = 0;
    if (kind == BOX) return overlap(i, o * scale, (o + 1) * scale) / scale;
    if (kind == AREA_UP) {
        int first = (int) floor(o * scale);
        double f = o + 1 - (first + 1) / scale;
        f = f <= 0 || first >= src - 1 ? 0 : f - floor(f);
        return i == first ? 1 - f : i == first + 1 ? f : 0;
    }
    // Inputs beyond the border are the border's pixel: all that would fall there falls on it.
    for (int k = (int) floor(at) - 1; k <= (int) floor(at) + 2; k++) {
        int in = k < 0 ? 0 : k > src - 1 ? src - 1 : k;
        if (in == i) w += kind == CUBIC ? cubic(at - k) : hat(at - k);
    }
    return w;
}

static double *weights(enum kind kind, int src, int dst)
{
    double *w = calloc((size_t) src * (size_t) dst, sizeof *w);
    for (int o = 0; o < dst; o++)
        for (int i = 0; i < src; i++) w[o * src + i] = weight(kind, i, o, src, dst);
    return w;
}

static double sample(const struct ph_picture *p, int x, int y, int c)
{
    return p->format == PH_RGBA ? px(p, x, y)[c] : (double) *fpx(p, c, x, y);
}

// One output pixel, without the inputs that weigh nothing.
static double direct(const struct ph_picture *s, const double *wx, const double *wy, int c)
{
    double sum = 0;
    for (int y = 0; y < s->height; y++)
        for (int x = 0; wy[y] != 0 && x < s->width; x++)
            if (wx[x] != 0) sum += wx[x] * wy[y] * sample(s, x, y, c);
    return sum;
}

static enum kind kind_of(enum ph_filter filter, const struct ph_picture *d,
                         const struct ph_picture *s)
{
    if (filter == PH_BILINEAR) return LINEAR;
    if (filter == PH_CUBIC) return CUBIC;
    return d->width <= s->width && d->height <= s->height ? BOX : AREA_UP;
}

static void check_picture(const struct ph_picture *d, const struct ph_picture *s,
                          enum ph_filter filter)
{
    enum kind kind = kind_of(filter, d, s);
    double *wx = weights(kind, s->width, d->width), *wy = weights(kind, s->height, d->height);
    int channels = d->format == PH_RGBA ? 4 : d->format == PH_RGBF ? 3 : 1;
    // Not every pixel of large ones; steps that are prime to most sizes.
    int step_x = 1 + d->width / 97, step_y = 1 + d->height / 53;
    for (int y = 0; y < d->height; y += step_y) {
        for (int x = 0; x < d->width; x += step_x) {
            for (int c = 0; c < channels; c++) {
                double want = direct(s, wx + x * s->width, wy + y * s->height, c);
                double got = sample(d, x, y, c);
                if (d->format == PH_RGBA) want = rint(fmin(fmax(want, 0), 255));
                if (fabs(got - want) > (d->format == PH_RGBA ? 1 : 2e-5))
                    TEST_FAIL("%dx%d -> %dx%d filter %d: (%d, %d)[%d] is %g, want %g", s->width,
                              s->height, d->width, d->height, filter, x, y, c, got, want);
            }
        }
    }
    free(wx);
    free(wy);
}

static const int sizes[][4] = {
    { 1, 1, 5, 3 },     { 5, 3, 1, 1 },     { 2, 2, 4, 4 },     { 3, 2, 7, 9 },
    { 7, 9, 3, 2 },     { 64, 48, 32, 24 }, { 64, 48, 21, 16 }, { 61, 47, 37, 41 },
    { 37, 41, 61, 47 }, { 50, 20, 70, 10 }, { 20, 50, 10, 70 }, { 33, 33, 33, 17 },
    { 300, 5, 7, 5 },   { 5, 300, 5, 7 },   { 1, 40, 9, 20 },   { 1000, 3, 3, 1 },
    { 96, 54, 95, 53 }, { 16, 9, 160, 90 }, { 128, 4, 64, 2 },  { 700, 4, 640, 3 },
};

static void fill_float(const struct ph_picture *p)
{
    for (int c = 0; c < (p->format == PH_RGBF ? 3 : 1); c++)
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++)
                *fpx(p, c, x, y) = (float) (random32() % 1000) / 1000;
}

static void check_filter(enum ph_filter filter, enum ph_format format)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ph_picture s = pic(format, sizes[i][0], sizes[i][1]);
        struct ph_picture d = pic(format, sizes[i][2], sizes[i][3]);
        for (int k = 0; k < 2; k++) {
            if (format != PH_RGBA)
                fill_float(&s);
            else if (k)
                fill_extremes(&s);
            else
                fill_random(&s);
            FOR_LEVELS(level)
            {
                CHECK_OK(ph_image_resize(&d, &s, filter));
                check_picture(&d, &s, filter);
            }
        }
    }
}

TEST(bilinear_is_opencvs_within_1)
{
    check_filter(PH_BILINEAR, PH_RGBA);
}

TEST(cubic_is_opencvs_within_1)
{
    check_filter(PH_CUBIC, PH_RGBA);
}

TEST(area_is_opencvs_within_1)
{
    check_filter(PH_AREA, PH_RGBA);
}

TEST(float_pictures_and_depth_agree_with_the_definition)
{
    check_filter(PH_BILINEAR, PH_RGBF);
    check_filter(PH_AREA, PH_RGBF);
    check_filter(PH_CUBIC, PH_DEPTHF);
}

// What cv2.resize gives for these, to be sure that the definitions above are the right ones.
static void check_row(enum ph_filter filter, const int *in, int n, const int *want, int m)
{
    struct ph_picture s = pic(PH_RGBA, n, 1), d = pic(PH_RGBA, m, 1);
    for (int x = 0; x < n; x++) set_px(&s, x, 0, in[x], in[x], in[x], 255);
    CHECK_OK(ph_image_resize(&d, &s, filter));
    for (int x = 0; x < m; x++) {
        CHECK_INT(px(&d, x, 0)[0], ==, want[x]);
        CHECK_INT(px(&d, x, 0)[3], ==, 255);
    }
}
#define ROW(...) (const int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int)

TEST(rows_come_out_as_cv2_resize_gives_them)
{
    FOR_LEVELS(level)
    {
        check_row(PH_BILINEAR, ROW(0, 100), ROW(0, 25, 75, 100));
        check_row(PH_BILINEAR, ROW(10, 20, 30, 200), ROW(15, 115));
        check_row(PH_AREA, ROW(10, 20, 30, 200), ROW(15, 115));
        check_row(PH_AREA, ROW(0, 90, 180), ROW(30, 150));
        check_row(PH_AREA, ROW(0, 100), ROW(0, 50, 100));
        check_row(PH_CUBIC, ROW(100, 100, 200, 200), ROW(100, 96, 89, 123, 177, 211, 204, 200));
        check_row(PH_NEAREST, ROW(1, 2, 3, 4, 5), ROW(1, 2, 4));
    }
}

TEST(a_constant_picture_stays_what_it_is)
{
    FOR_LEVELS(level)
    {
        for (int f = PH_BILINEAR; f <= PH_NEAREST; f++) {
            for (int w = 1; w < 400; w += 37) {
                struct ph_picture s = pic(PH_RGBA, 231, 17), d = pic(PH_RGBA, w, 1 + w % 23);
                fill_px(&s, 255, 254, 1, 255);
                CHECK_OK(ph_image_resize(&d, &s, (enum ph_filter) f));
                for (int y = 0; y < d.height; y++)
                    for (int x = 0; x < w; x++)
                        CHECK(!memcmp(px(&d, x, y), "\xff\xfe\x01\xff", 4));
            }
        }
    }
}

TEST(the_same_size_is_a_copy)
{
    struct ph_picture s = pic_random(67, 5), d = pic(PH_RGBA, 67, 5);
    for (int f = PH_BILINEAR; f <= PH_NEAREST; f++) {
        CHECK_OK(ph_image_resize(&d, &s, (enum ph_filter) f));
        CHECK(same_pixels(&s, &d));
    }
}

TEST(a_plan_refuses_pictures_that_are_not_its_own)
{
    struct ph_resize *r = NULL;
    struct ph_picture s = pic(PH_RGBA, 8, 8), d = pic(PH_RGBA, 4, 4), e = pic(PH_RGBA, 4, 5);
    CHECK_INT(ph_resize_create(&r, ph_resize_params(.src_width = 8)), ==, PH_EINVAL);
    CHECK_INT(ph_resize_create(&r, ph_resize_params(.format = PH_I420, .src_width = 8)), ==,
              PH_ENOTSUP);
    CHECK(!r);
    CHECK_OK(
        ph_resize_create(&r, ph_resize_params(.src_width = 8, .src_height = 8, .dst_width = 4,
                                              .dst_height = 4, .filter = PH_AREA)));
    CHECK(ph_resize_fits(r, &d, &s, PH_AREA));
    CHECK(!ph_resize_fits(r, &d, &s, PH_CUBIC));
    CHECK_OK(ph_resize_run(r, &d, &s));
    CHECK_INT(ph_resize_run(r, &e, &s), ==, PH_EINVAL);
    ph_resize_destroy(&r);
    CHECK(!r);
    ph_resize_destroy(&r);
}
