// SPDX-License-Identifier: MIT
#include "pic.h"

#include "image/measure.h"

TEST(a_histogram_counts_every_pixel_once)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = pic_random(257, 33);
        uint32_t got[4][256], want[4][256] = { 0 };
        for (int i = 0; i < 257 * 33; i++)
            for (int c = 0; c < 4; c++) want[c][px(&p, i % 257, i / 257)[c]]++;
        CHECK_OK(ph_image_histogram(got, &p, 1));
        CHECK(!memcmp(got, want, sizeof got));
        CHECK_OK(ph_image_histogram(got, &p, 10));
        int n = 0;
        for (int v = 0; v < 256; v++) n += (int) got[2][v];
        CHECK_INT(n, ==, 4 * 257);
    }
}

TEST(difference_is_the_mean_over_colours_without_alpha)
{
    FOR_LEVELS(level)
    {
        struct ph_picture a = pic(PH_RGBA, 100, 10), b = pic(PH_RGBA, 100, 10);
        fill_px(&a, 10, 20, 30, 0);
        fill_px(&b, 13, 14, 30, 255);
        CHECK_NUM(ph_image_difference(&a, &b), ==, 3);
        CHECK_NUM(ph_image_difference(&b, &a), ==, 3);
        CHECK_NUM(ph_image_difference(&a, &a), ==, 0);
        fill_px(&a, 0, 0, 0, 0);
        fill_px(&b, 255, 255, 255, 255);
        CHECK_NUM(ph_image_difference(&a, &b), ==, 255);
    }
    struct ph_picture a = pic(PH_RGBA, 10, 10), b = pic(PH_RGBA, 10, 11);
    CHECK_NUM(ph_image_difference(&a, &b), <, 0);
}

TEST(mean_and_variance_agree_with_two_passes_in_double_precision)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = pic_random(301, 77);
        struct ph_moments m;
        CHECK_OK(ph_image_moments(&m, &p));
        for (int c = 0; c < 4; c++) {
            double mean = 0, var = 0, n = 301 * 77;
            for (int i = 0; i < 301 * 77; i++) mean += px(&p, i % 301, i / 301)[c] / n;
            for (int i = 0; i < 301 * 77; i++)
                var += pow(px(&p, i % 301, i / 301)[c] - mean, 2) / n;
            CHECK_NUM(fabs(m.mean[c] - mean), <, 1e-9);
            CHECK_NUM(fabs(m.variance[c] - var), <, 1e-6);
        }
    }
}

TEST(white_has_no_variance_even_in_the_largest_row)
{
    FOR_LEVELS(level)
    {
        struct ph_picture p = pic(PH_RGBA, 16384, 3);
        struct ph_moments m;
        fill_px(&p, 255, 255, 255, 255);
        CHECK_OK(ph_image_moments(&m, &p));
        CHECK_NUM(m.mean[1], ==, 255);
        CHECK_NUM(m.variance[1], ==, 0);
    }
}

// A picture whose content is arithmetic, so that its hash can stand here.
static struct ph_picture fixed(int w, int h)
{
    struct ph_picture p = pic(PH_RGBA, w, h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) set_px(&p, x, y, x * 7 + y, x ^ y, x + 3 * y, 255);
    return p;
}

TEST(the_hash_is_the_same_on_all_levels_and_from_day_to_day)
{
    FOR_LEVELS(level)
    {
        struct ph_picture a = fixed(640, 480), b = fixed(33, 7);
        CHECK(ph_image_hash(&a) == UINT64_C(0x8ea64c0bbb89e275));
        CHECK(ph_image_hash(&b) == UINT64_C(0xda8d0284787cbadb));
    }
}

TEST(padding_does_not_count_and_neither_does_the_stride)
{
    struct ph_picture a = fixed(33, 7), b = fixed(33, 7);
    for (int y = 0; y < 7; y++) memset(px(&a, 33, y), 0x5a, (size_t) (a.stride[0] - 4 * 33));
    CHECK(ph_image_hash(&a) == ph_image_hash(&b));
    struct ph_picture c = pic(PH_RGBA, 100, 7);
    c.width = 33;
    for (int y = 0; y < 7; y++) memcpy(px(&c, 0, y), px(&a, 0, y), 4 * 33);
    CHECK(ph_image_hash(&c) == ph_image_hash(&b));
}

TEST(every_single_bit_changes_the_hash)
{
    struct ph_picture p = fixed(67, 3);
    uint64_t was = ph_image_hash(&p);
    for (int y = 0; y < 3; y++) {
        for (int bit = 0; bit < 67 * 32; bit++) {
            px(&p, 0, y)[bit / 8] ^= (uint8_t) (1 << bit % 8);
            CHECK(ph_image_hash(&p) != was);
            px(&p, 0, y)[bit / 8] ^= (uint8_t) (1 << bit % 8);
        }
    }
    CHECK(ph_image_hash(&p) == was);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return (x > y) - (x < y);
}

// Small changes that could cancel: two bits at a time, in places a stripe apart or less.
TEST(pairs_of_changed_bits_have_different_hashes)
{
    enum { BITS = 96 };
    struct ph_picture p = pic(PH_RGBA, 256, 1);
    uint64_t *h = keep(calloc(BITS * BITS, sizeof *h));
    int n = 0;
    fill_px(&p, 0, 0, 0, 0);
    for (int i = 0; i < BITS; i++) {
        for (int k = 0; k < i; k++) {
            px(&p, 0, 0)[i * 10] ^= (uint8_t) (1 << i % 8);
            px(&p, 0, 0)[k * 10] ^= (uint8_t) (1 << k % 8);
            h[n++] = ph_image_hash(&p);
            px(&p, 0, 0)[i * 10] = px(&p, 0, 0)[k * 10] = 0;
        }
    }
    qsort(h, (size_t) n, sizeof *h, compare_u64);
    for (int i = 1; i < n; i++) CHECK(h[i] != h[i - 1]);
}

TEST(size_and_format_belong_to_the_hash)
{
    struct ph_picture a = pic(PH_RGBA, 8, 2), b = pic(PH_RGBA, 4, 4), c = pic(PH_RGBA, 8, 3);
    struct ph_picture d = pic(PH_DEPTHF, 8, 2);
    memset(a.data[0], 0, 4 * 8), memset(px(&a, 0, 1), 0, 4 * 8);
    for (int y = 0; y < 4; y++) memset(px(&b, 0, y), 0, 4 * 4);
    for (int y = 0; y < 3; y++) memset(px(&c, 0, y), 0, 4 * 8);
    for (int y = 0; y < 2; y++) memset(d.data[0] + y * d.stride[0], 0, 4 * 8);
    CHECK(ph_image_hash(&a) != ph_image_hash(&b));
    CHECK(ph_image_hash(&a) != ph_image_hash(&c));
    CHECK(ph_image_hash(&a) != ph_image_hash(&d));
}
