// SPDX-License-Identifier: MIT
#include "pic.h"

#include "config.h"
#include "image/barcode.h"
#include "image/blend.h"
#include "image/blur.h"
#include "image/convert.h"
#include "image/draw.h"
#include "image/geometry.h"
#include "image/resize.h"

#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

static const uint32_t ids[] = { 0, 1, 0xffffffff, 0x12345678, 0x80000001, 0xaaaaaaaa, 65535 };
enum { IDS = sizeof ids / sizeof ids[0] };

static struct ph_picture coded(int w, int h, int place, uint32_t id)
{
    struct ph_picture p = pic_random(w, h);
    CHECK_OK(ph_barcode_draw(&p, (enum ph_barcode_place) place, id));
    return p;
}

static void check_reads(const struct ph_picture *p, uint32_t want)
{
    uint32_t got = ~want;
    int ret = ph_barcode_read(p, &got);
    if (ret || got != want)
        TEST_FAIL("%dx%d: read gives %d, id %08x, want %08x", p->width, p->height, ret, got,
                  want);
}

TEST(what_is_drawn_is_read_at_every_size_and_place)
{
    static const int sizes[][2] = { { 48, 30 },   { 49, 31 },    { 64, 64 },
                                    { 101, 67 },  { 320, 240 },  { 641, 479 },
                                    { 512, 512 }, { 1280, 720 }, { 1080, 1920 } };
    for (int place = PH_BARCODE_TOP_LEFT; place <= PH_BARCODE_CENTER; place++) {
        for (int i = 0; i < 9; i++) {
            struct ph_picture p =
                coded(sizes[i][0], sizes[i][1], place, ids[(i + place) % IDS]);
            check_reads(&p, ids[(i + place) % IDS]);
        }
    }
}

TEST(mirrored_and_turned_pictures_are_read_too)
{
    struct ph_picture s = coded(640, 480, PH_BARCODE_TOP_RIGHT, 0xcafe1234),
                      d = pic(PH_RGBA, 640, 480);
    static const enum ph_turn turns[] = { PH_MIRROR_H, PH_MIRROR_V, PH_TURN_180 };
    for (int i = 0; i < 3; i++) {
        CHECK_OK(ph_image_turn(&d, &s, turns[i]));
        check_reads(&d, 0xcafe1234);
    }
}

TEST(codec_formats_and_grey_are_read)
{
    struct ph_picture s = coded(322, 240, PH_BARCODE_BOTTOM_LEFT, 77);
    for (int f = PH_GRAY8; f <= PH_NV12; f++) {
        struct ph_picture d = pic((enum ph_format) f, 322, 240);
        CHECK_OK(ph_image_convert(&d, &s));
        check_reads(&d, 77);
    }
}

TEST(resizing_by_half_to_double_and_to_another_shape_does_not_harm)
{
    static const int to[][2] = { { 320, 240 }, { 321, 243 }, { 427, 320 }, { 640, 360 },
                                 { 512, 512 }, { 900, 900 }, { 1280, 960 } };
    for (int f = PH_BILINEAR; f <= PH_NEAREST; f++) {
        for (int i = 0; i < 7; i++) {
            struct ph_picture s = coded(640, 480, i % 5, ids[i]),
                              d = pic(PH_RGBA, to[i][0], to[i][1]);
            CHECK_OK(ph_image_resize(&d, &s, (enum ph_filter) f));
            check_reads(&d, ids[i]);
        }
    }
}

TEST(a_blur_and_a_half_transparent_overlay_do_not_harm)
{
    struct ph_picture s = coded(640, 480, PH_BARCODE_TOP_LEFT, 4711),
                      d = pic(PH_RGBA, 640, 480);
    CHECK_OK(ph_image_blur_gauss(&d, &s, 3, keep(aligned_alloc(64, 1 << 20))));
    check_reads(&d, 4711);
    ph_draw_rect(&s, 0, 0, 640, 480, 0xff00ff90);
    check_reads(&s, 4711);
}

TEST(a_code_within_a_larger_picture_is_read_through_a_view)
{
    uint32_t id;
    struct ph_picture s = coded(320, 240, PH_BARCODE_TOP_LEFT, 99), d = pic_random(1000, 700),
                      v;
    for (int i = 0; i < 320 * 240; i++) px(&s, i % 320, i / 320)[3] = 255;
    CHECK_OK(ph_image_blend(&d, &s, 500, 300, PH_BLEND_OVER, 255));
    CHECK_INT(ph_barcode_read(&d, &id), ==, PH_ENOENT);
    CHECK_OK(ph_picture_view(&v, &d, 500, 300, 320, 240));
    check_reads(&v, 99);
}

TEST(pictures_without_a_code_give_none)
{
    uint32_t id = 5;
    struct ph_picture p = pic(PH_RGBA, 640, 480);
    fill_px(&p, 0, 0, 0, 255);
    CHECK_INT(ph_barcode_read(&p, &id), ==, PH_ENOENT);
    for (int i = 0; i < 480 * 640;
         i++) // checkerboards of many sizes look alike to the first row
        set_px(&p, i % 640, i / 640, (i % 640 / 13 + i / 640 / 16) & 1 ? 255 : 0, 0, 0, 255);
    CHECK_INT(ph_barcode_read(&p, &id), ==, PH_ENOENT);
    for (int k = 0; k < 50; k++) {
        fill_extremes(&p);
        CHECK_INT(ph_barcode_read(&p, &id), ==, PH_ENOENT);
    }
    CHECK_INT(id, ==, 5);
}

// Every cell on its own: seven of eight rows carry the id, its check, or the known pattern.
TEST(a_code_with_any_cell_turned_over_is_refused)
{
    uint32_t id;
    for (int cell = 0; cell < 64; cell++) {
        struct ph_picture p = coded(480, 300, PH_BARCODE_TOP_LEFT, 0x0badf00d);
        int x = (2 + cell % 8) * 10, y = (2 + cell / 8) * 10;
        bool white = px(&p, x + 5, y + 5)[0] > 127;
        ph_draw_rect(&p, x, y, 10, 10, white ? 0x000000ff : 0xffffffff);
        CHECK_INT(ph_barcode_read(&p, &id), ==, PH_ENOENT);
    }
}

TEST(pictures_that_cannot_hold_a_code_are_refused)
{
    uint32_t id;
    struct ph_picture a = pic(PH_RGBA, 47, 30), b = pic(PH_RGBA, 48, 29),
                      c = pic(PH_I420, 99, 99);
    CHECK_INT(ph_barcode_draw(&a, PH_BARCODE_CENTER, 1), ==, PH_EINVAL);
    CHECK_INT(ph_barcode_draw(&b, PH_BARCODE_CENTER, 1), ==, PH_EINVAL);
    CHECK_INT(ph_barcode_draw(&c, PH_BARCODE_CENTER, 1), ==, PH_EINVAL);
    CHECK_INT(ph_barcode_read(&a, &id), ==, PH_EINVAL);
    struct ph_picture d = pic(PH_DEPTHF, 99, 99);
    CHECK_INT(ph_barcode_read(&d, &id), ==, PH_EINVAL);
}

#if PH_HAVE_JPEG
static void through_jpeg(const struct ph_picture *p, int quality, int subsampling)
{
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    tjhandle c = tjInitCompress(), d = tjInitDecompress();
    CHECK_OK(tjCompress2(c, p->data[0], p->width, (int) p->stride[0], p->height, TJPF_RGBA,
                         &bytes, &n, subsampling, quality, 0));
    CHECK_OK(tjDecompress2(d, bytes, n, p->data[0], p->width, (int) p->stride[0], p->height,
                           TJPF_RGBA, 0));
    tjFree(bytes);
    tjDestroy(c);
    tjDestroy(d);
}

TEST(jpeg_at_quality_50_with_420_does_not_harm)
{
    static const int sizes[][2] = {
        { 144, 90 }, { 160, 120 }, { 320, 240 }, { 640, 480 }, { 1283, 721 }
    };
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 20; k++) {
            uint32_t id = random32();
            struct ph_picture p = coded(sizes[i][0], sizes[i][1], k % 5, id);
            through_jpeg(&p, 50, TJSAMP_420);
            check_reads(&p, id);
        }
    }
}

TEST(jpeg_and_then_half_the_size_and_jpeg_again_does_not_harm)
{
    for (int k = 0; k < 20; k++) {
        uint32_t id = random32();
        struct ph_picture p = coded(640, 480, k % 5, id), half = pic(PH_RGBA, 320, 240);
        through_jpeg(&p, 50, TJSAMP_420);
        CHECK_OK(ph_image_resize(&half, &p, k & 1 ? PH_BILINEAR : PH_AREA));
        through_jpeg(&half, 50, TJSAMP_420);
        check_reads(&half, id);
    }
}
#endif

// What JPEG does, without JPEG: each 8 x 8 block loses detail and gains ringing and noise.
TEST(noise_as_strong_as_a_coarse_codecs_does_not_harm)
{
    for (int k = 0; k < 40; k++) {
        struct ph_picture p = coded(320, 240, k % 5, ids[k % IDS]);
        for (int i = 0; i < 320 * 240; i++) {
            for (int c = 0; c < 3; c++) {
                uint8_t *v = px(&p, i % 320, i / 320) + c;
                int noisy = 30 + *v * 3 / 4 + (int) (random32() % 121) - 60;
                *v = (uint8_t) (noisy < 0 ? 0 : noisy > 255 ? 255 : noisy);
            }
        }
        check_reads(&p, ids[k % IDS]);
    }
}
