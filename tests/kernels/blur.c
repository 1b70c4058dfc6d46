// SPDX-License-Identifier: MIT
// Against convolutions in double precision, borders repeated.
#include "pic.h"

#include "image/blur.h"

static void *scratch(size_t n)
{
    void *p = keep(aligned_alloc(64, (n + 63) & ~(size_t) 63));
    memset(p, 0xee, n);
    return p;
}

static int clamp(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

// Separable convolution with w[-radius..radius]; out is width * height * 4.
static double *convolve(const struct ph_picture *p, const double *w, int radius)
{
    size_t n = (size_t) p->width * (size_t) p->height * 4;
    double *mid = calloc(n, sizeof *mid), *out = calloc(n, sizeof *out);
    CHECK(mid && out);
    for (int y = 0; y < p->height; y++)
        for (int k = -radius; k <= radius; k++)
            for (int i = 0; i < 4 * p->width; i++)
                mid[y * 4 * p->width + i] += w[k] * px(p, 0, clamp(y + k, 0, p->height - 1))[i];
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++)
            for (int k = -radius; k <= radius; k++)
                for (int c = 0; c < 4; c++)
                    out[(y * p->width + x) * 4 + c] +=
                        w[k] * mid[(y * p->width + clamp(x + k, 0, p->width - 1)) * 4 + c];
    free(mid);
    return out;
}

// Largest difference.
static double farthest(const struct ph_picture *p, const double *want)
{
    double worst = 0;
    for (int y = 0; y < p->height; y++)
        for (int i = 0; i < 4 * p->width; i++)
            worst = fmax(worst, fabs(px(p, 0, y)[i] - want[y * 4 * p->width + i]));
    return worst;
}

static double box_error(const struct ph_picture *s, int radius)
{
    struct ph_picture d = pic(PH_RGBA, s->width, s->height);
    double w[2 * PH_BLUR_RADIUS_MAX + 1];
    for (int k = 0; k <= 2 * radius; k++) w[k] = 1.0 / (2 * radius + 1);
    CHECK_OK(ph_image_blur_box(&d, s, radius, scratch(ph_blur_box_scratch(s->width, radius))));
    double *want = convolve(s, w + radius, radius), worst = farthest(&d, want);
    free(want);
    return worst;
}

static double gauss_error(const struct ph_picture *s, double sigma)
{
    struct ph_picture d = pic(PH_RGBA, s->width, s->height);
    int radius = (int) ceil(6 * sigma);
    double *w = calloc(2 * (size_t) radius + 1, sizeof *w), sum = 0;
    for (int k = -radius; k <= radius; k++)
        sum += w[radius + k] = exp(-0.5 * k * k / (sigma * sigma));
    for (int k = 0; k <= 2 * radius; k++) w[k] /= sum;
    CHECK_OK(ph_image_blur_gauss(&d, s, sigma,
                                 scratch(ph_blur_gauss_scratch(s->width, s->height, sigma))));
    double *want = convolve(s, w + radius, radius), worst = farthest(&d, want);
    free(want);
    free(w);
    return worst;
}

TEST(box_blur_is_the_mean_within_1)
{
    static const int radii[] = { 1, 2, 3, 7, 20, 64 };
    FOR_LEVELS(level)
    {
        for (size_t i = 0; i < sizeof radii / sizeof radii[0]; i++) {
            struct ph_picture s = pic_random(83, 61);
            CHECK_NUM(box_error(&s, radii[i]), <=, 1);
            fill_extremes(&s);
            CHECK_NUM(box_error(&s, radii[i]), <=, 1);
        }
    }
}

TEST(pictures_smaller_than_the_radius_are_blurred_too)
{
    static const int sizes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 3, 2 }, { 17, 5 } };
    FOR_LEVELS(level)
    {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct ph_picture s = pic_random(sizes[i][0], sizes[i][1]);
            CHECK_NUM(box_error(&s, 64), <=, 1);
            CHECK_NUM(gauss_error(&s, 3.7), <=, 1);
        }
    }
}

TEST(division_by_multiplication_is_exact_for_all_radii_and_sums)
{
    for (int radius = 1; radius <= PH_BLUR_RADIUS_MAX; radius++) {
        struct ph_box_div div = ph_box_div(radius);
        int d = 2 * radius + 1;
        for (uint32_t sum = 0; sum <= 255u * (uint32_t) d; sum++) {
            uint32_t v = sum + (uint32_t) radius;
            CHECK_INT(v * div.mul >> 16 >> div.shift, ==, v / (uint32_t) d);
        }
    }
}

TEST(gaussian_up_to_sigma_4_is_the_convolution_within_1)
{
    static const double sigmas[] = { 0.2, 0.5, 1, 1.7, 2.5, 4 };
    FOR_LEVELS(level)
    {
        for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++) {
            struct ph_picture s = pic_random(70, 50);
            CHECK_NUM(gauss_error(&s, sigmas[i]), <=, 1);
            fill_extremes(&s);
            CHECK_NUM(gauss_error(&s, sigmas[i]), <=, 1);
        }
    }
}

static struct ph_picture step(int w, int h)
{
    struct ph_picture s = pic(PH_RGBA, w, h);
    fill_px(&s, 0, 255, 0, 255);
    for (int y = 0; y < h; y++)
        for (int x = w / 2; x < w; x++) set_px(&s, x, y, 255, 0, y < h / 2 ? 0 : 255, 255);
    return s;
}

// The bounds that blur.h states, borders included.
TEST(gaussian_above_sigma_4_keeps_its_bounds)
{
    static const double sigmas[] = { 4.1, 5, 7.5, 8.1, 10, 16, 30, 64 };
    FOR_LEVELS(level)
    {
        for (size_t i = 0; i < sizeof sigmas / sizeof sigmas[0]; i++) {
            int size = 81 + (int) (2 * sigmas[i]);
            struct ph_picture s = step(size, 86), noise = pic_random(size, 83);
            CHECK_NUM(gauss_error(&s, sigmas[i]), <=, 0.015 * 255);
            fill_extremes(&noise);
            CHECK_NUM(gauss_error(&noise, sigmas[i]), <=, 0.025 * 255);
        }
    }
}

TEST(blur_refuses_what_it_cannot_do)
{
    struct ph_picture a = pic(PH_RGBA, 8, 8), b = pic(PH_RGBA, 8, 8), c = pic(PH_RGBA, 9, 8);
    void *s = scratch(1 << 16);
    CHECK_INT(ph_image_blur_box(&a, &b, 65, s), ==, PH_EINVAL);
    CHECK_INT(ph_image_blur_box(&a, &b, -1, s), ==, PH_EINVAL);
    CHECK_INT(ph_image_blur_box(&a, &c, 1, s), ==, PH_EINVAL);
    CHECK_INT(ph_image_blur_gauss(&a, &b, NAN, s), ==, PH_EINVAL);
    CHECK_INT(ph_image_blur_gauss(&a, &b, 64.5, s), ==, PH_EINVAL);
    fill_random(&b);
    CHECK_OK(ph_image_blur_gauss(&a, &b, 0, s));
    CHECK(same_pixels(&a, &b));
}
