// SPDX-License-Identifier: MIT
#include "checkkern.h"

#include "image/blend.h"
#include "image/bloom.h"
#include "image/blur.h"
#include "image/color.h"
#include "image/hue.h"
#include "image/convert.h"
#include "image/draw.h"
#include "image/flashes.h"
#include "image/geometry.h"
#include "image/measure.h"
#include "image/resize.h"
#include "image/split.h"
#include "image/warp.h"

#include <stdlib.h>
#include <string.h>

// --- conversions; arg = matrix + 2 * range

static void run_convert(struct kern *k)
{
    k->a.matrix = k->out.matrix = (enum ph_matrix)(k->arg & 1);
    k->a.range = k->out.range = (enum ph_range)(k->arg >> 1);
    ph_image_convert(&k->out, &k->a);
}

static void run_swap(struct kern *k)
{
    ph_image_swap_rb(&k->out, &k->a);
}

// --- resize; arg picks the target size

enum { TO_2_3, TO_HALF_ODD, TO_3_TIMES, TO_WIDE, TO_TINY, TO_512 };

static int at_least_1(int v)
{
    return v < 1 ? 1 : v;
}

static void size_resize(int *w, int *h, int arg)
{
    switch (arg) {
    case TO_2_3: *w = at_least_1(*w * 2 / 3), *h = at_least_1(*h * 2 / 3); break;
    case TO_HALF_ODD: *w = *w / 2 + 1, *h = *h / 2 + 1; break;
    case TO_3_TIMES: *w *= 3, *h *= 3; break;
    case TO_WIDE: *w = *w * 5 / 3 + 1, *h = at_least_1(*h / 3); break;
    case TO_TINY: *w = at_least_1(*w / 11), *h = 1; break;
    default: *w = 512, *h = 512; break;
    }
}

static void setup_resize(struct kern *k, enum ph_filter filter)
{
    struct ph_resize *r = NULL;
    ph_resize_create(&r, ph_resize_params(.format = k->a.format, .src_width = k->a.width,
                                          .src_height = k->a.height, .dst_width = k->out.width,
                                          .dst_height = k->out.height, .filter = filter));
    k->state = r;
}

static void setup_bilinear(struct kern *k)
{
    setup_resize(k, PH_BILINEAR);
}

static void setup_area(struct kern *k)
{
    setup_resize(k, PH_AREA);
}

static void setup_cubic(struct kern *k)
{
    setup_resize(k, PH_CUBIC);
}

static void setup_nearest(struct kern *k)
{
    setup_resize(k, PH_NEAREST);
}

static void run_resize(struct kern *k)
{
    ph_resize_run(k->state, &k->out, &k->a);
}

static void finish_resize(struct kern *k)
{
    struct ph_resize *r = k->state;
    ph_resize_destroy(&r);
}

// --- blend; arg = opacity

static void run_over(struct kern *k)
{
    ph_image_blend(&k->out, &k->a, 0, 0, PH_BLEND_OVER, k->arg);
}

static void run_add(struct kern *k)
{
    ph_image_blend(&k->out, &k->a, 0, 0, PH_BLEND_ADD, k->arg);
}

static void run_multiply(struct kern *k)
{
    ph_image_blend(&k->out, &k->a, 0, 0, PH_BLEND_MULTIPLY, k->arg);
}

static void run_screen(struct kern *k)
{
    ph_image_blend(&k->out, &k->a, 0, 0, PH_BLEND_SCREEN, k->arg);
}

static void run_fade(struct kern *k)
{
    ph_image_fade(&k->out, &k->a, &k->b, k->arg);
}

// arg = alpha
static void run_mask(struct kern *k)
{
    ph_draw_mask(&k->out, k->a.data[0], k->a.stride[0], k->a.width, k->a.height, 0, 0,
                 0x20c0ff00 | (uint32_t) k->arg);
}

static void run_clear(struct kern *k)
{
    ph_draw_clear(&k->out, 0x12345678u + (uint32_t) k->arg);
}

// --- blur; arg = radius, or sigma * 10

static void run_box(struct kern *k)
{
    ph_image_blur_box(&k->out, &k->a, k->arg, k->scratch);
}

static void run_gauss(struct kern *k)
{
    ph_image_blur_gauss(&k->out, &k->a, k->arg / 10.0, k->scratch);
}

// --- measure

static void run_histogram(struct kern *k)
{
    ph_image_histogram((uint32_t(*)[256])(void *) k->result, &k->a, 1);
}

static void run_difference(struct kern *k)
{
    double d = ph_image_difference(&k->a, &k->b);
    memcpy(k->result, &d, sizeof d);
}

static void run_moments(struct kern *k)
{
    struct ph_moments m;
    ph_image_moments(&m, &k->a);
    memcpy(k->result, &m, sizeof m);
}

static void run_hash(struct kern *k)
{
    uint64_t h = ph_image_hash(&k->a);
    memcpy(k->result, &h, sizeof h);
}

// --- color; arg = how much

static void run_color(struct kern *k, struct ph_color_params p)
{
    struct ph_color c;
    ph_color_prepare(&c, &p);
    ph_image_color(&k->out, &k->a, &c);
}

static void run_matrix(struct kern *k)
{
    float v = (float) k->arg / 10;
    run_color(k, (struct ph_color_params){ v / 40, v, 4 - v, 1 });
}

static void run_gamma(struct kern *k)
{
    struct ph_color_params p = PH_COLOR_NEUTRAL;
    p.gamma = (float) k->arg / 10;
    run_color(k, p);
}

// --- hue; arg = degrees

static void setup_hue(struct kern *k)
{
    struct ph_hue *h;
    if (ph_hue_create(&h) < 0) exit(1);
    ph_hue_turn(h, k->arg);
    k->state = h;
}

static void run_hue(struct kern *k)
{
    ph_image_hue(&k->out, &k->a, k->state);
}

// As when a knob moves: the table, too.
static void run_hue_turning(struct kern *k)
{
    struct ph_hue *h = k->state;
    ph_hue_turn(h, k->arg + 1);
    ph_image_hue(&k->out, &k->a, h);
    ph_hue_turn(h, k->arg);
}

static void finish_hue(struct kern *k)
{
    struct ph_hue *h = k->state;
    ph_hue_destroy(&h);
}

// --- geometry; arg = enum ph_turn

static void size_turn(int *w, int *h, int arg)
{
    if (!ph_turn_swaps((enum ph_turn) arg)) return;
    int t = *w;
    *w = *h;
    *h = t;
}

static void run_turn(struct kern *k)
{
    ph_image_turn(&k->out, &k->a, (enum ph_turn) k->arg);
}

static void run_copy(struct kern *k)
{
    ph_image_copy(&k->out, &k->a);
}

static void run_memcpy(struct kern *k)
{
    for (int y = 0; y < k->a.height; y++)
        memcpy(k->out.data[0] + y * k->out.stride[0], k->a.data[0] + y * k->a.stride[0],
               4 * (size_t) k->a.width);
}

// --- draw; arg = thickness in tenths, or radius

static void run_polyline(struct kern *k)
{
    enum { POINTS = 1920 };
    float xy[2 * POINTS];
    int n = k->width < POINTS ? k->width + 1 : POINTS;
    for (int i = 0; i < n; i++) {
        xy[2 * i] = (float) i;
        xy[2 * i + 1] = (float) k->height * (0.5f + 0.15f * (float) (i * 7 % 31 - 15) / 15);
    }
    ph_draw_polyline(&k->out, xy, n, (float) k->arg / 10, 0x40ff80c0);
}

static void run_wave(struct kern *k)
{
    enum { POINTS = 1920 };
    float y[POINTS];
    int n = k->width < POINTS ? k->width : POINTS;
    for (int i = 0; i < n; i++)
        y[i] = (float) k->height * (0.5f + 0.15f * (float) (i * 7 % 31 - 15) / 15);
    ph_draw_wave(&k->out, 0, y, n, (float) k->arg / 10, 0x40ff80c0);
}

static void run_line(struct kern *k)
{
    float w = (float) k->width, h = (float) k->height;
    ph_draw_line(&k->out, -3, 0.2f * h, w + 2, 0.8f * h, (float) k->arg / 10, 0x40ff80ff);
}

static void run_disc(struct kern *k)
{
    float w = (float) k->width, h = (float) k->height;
    ph_draw_disc(&k->out, 0.5f * w, 0.4f * h, (float) k->arg, 0xff8040ff);
}

static void run_circle(struct kern *k)
{
    float w = (float) k->width, h = (float) k->height;
    ph_draw_circle(&k->out, 0.4f * w, 0.5f * h, (float) k->arg, 3, 0xff804080);
}

// --- effects; arg = border + 4 * how far

static void run_warp(struct kern *k)
{
    struct ph_affine m = ph_affine_view(k->a.width, k->a.height, 0.4, 0.6, 1.1, k->arg * 7,
                                        k->arg / 4 * 100.3, -k->arg);
    ph_image_warp(&k->out, &k->a, &m, (enum ph_border)(k->arg % 4));
}

static void run_feedback(struct kern *k)
{
    struct ph_feedback step = {
        .map = ph_affine_view(k->a.width, k->a.height, 0.5, 0.5, 1.02, k->arg / 4, 0.3, 0.1),
        .border = (enum ph_border)(k->arg % 4),
        .keep = 0.93f,
        .add = k->arg & 4 ? 0.3f : 1,
        .lighten = k->arg & 8,
        .count = 7u * (unsigned) k->arg,
    };
    ph_image_feedback(&k->out, &k->b, &k->a, &step);
}

static void run_kaleidoscope(struct kern *k)
{
    struct ph_kaleidoscope par = { k->arg,          0.5, 0.45, 0.6, 0.5, 1.3, 11.0 * k->arg, 20,
                                   PH_BORDER_MIRROR };
    ph_image_kaleidoscope(&k->out, &k->a, &par);
}

// arg = pixels
static void run_split(struct kern *k)
{
    ph_image_split(&k->out, &k->a, k->arg, -k->arg / 3);
}

// arg = radius
static void setup_bloom(struct kern *k)
{
    struct ph_bloom *b = NULL;
    ph_bloom_create(&b, k->out.width, k->out.height, (float) k->arg);
    k->state = b;
}

static void run_bloom(struct kern *k)
{
    ph_bloom_run(k->state, &k->out, 0.6f, 0.5f);
}

static void finish_bloom(struct kern *k)
{
    struct ph_bloom *b = k->state;
    ph_bloom_destroy(&b);
}

static void run_flashes(struct kern *k)
{
    static struct ph_flash_grid g;
    ph_flash_measure(&g, &k->a, NULL, 0);
    memcpy(k->result, g.light, sizeof g.light);
}

// clang-format off
#define ARGS(...) .args = { __VA_ARGS__ }, .nargs = sizeof((int[]) { __VA_ARGS__ }) / sizeof(int)
#define MATRICES  ARGS(PH_BT709 + 2 * PH_LIMITED, PH_BT601 + 2 * PH_LIMITED, PH_BT709 + 2 * PH_FULL, PH_BT601 + 2 * PH_FULL), .run = run_convert
#define SIZES     ARGS(TO_2_3, TO_HALF_ODD, TO_3_TIMES, TO_WIDE, TO_TINY), .size = size_resize, .run = run_resize, .finish = finish_resize, .exclude_nan = true
#define DOWN      ARGS(TO_512, TO_TINY), .size = size_resize, .run = run_resize, .finish = finish_resize, .exclude_nan = true
#define UP        ARGS(TO_3_TIMES), .width = 640, .height = 360, .most = 100, .size = size_resize, .run = run_resize, .finish = finish_resize
#define OPACITY   ARGS(255, 128, 1, 0, 254)

const struct kern_case kern_cases[] = {
    { "convert-rgba-i420", PH_RGBA, .out = PH_I420, MATRICES },
    { "convert-rgba-nv12", PH_RGBA, .out = PH_NV12, MATRICES },
    { "convert-i420-rgba", PH_I420, .out = PH_RGBA, MATRICES },
    { "convert-nv12-rgba", PH_NV12, .out = PH_RGBA, MATRICES },
    { "convert-rgba-gray", PH_RGBA, .out = PH_GRAY8, MATRICES },
    { "convert-gray-rgba", PH_GRAY8, .out = PH_RGBA, ARGS(0), .run = run_convert },
    { "convert-rgba-rgbf", PH_RGBA, .out = PH_RGBF, ARGS(0), .run = run_convert },
    { "convert-rgbf-rgba", PH_RGBF, .out = PH_RGBA, ARGS(0), .run = run_convert },
    { "convert-rgba-bgra", PH_RGBA, .out = PH_RGBA, ARGS(0), .run = run_swap },
    { "resize-bilinear-720p", PH_RGBA, .out = PH_RGBA, SIZES, .setup = setup_bilinear },
    { "resize-area-720p", PH_RGBA, .out = PH_RGBA, SIZES, .setup = setup_area },
    { "resize-cubic-720p", PH_RGBA, .out = PH_RGBA, SIZES, .setup = setup_cubic },
    { "resize-nearest-720p", PH_RGBA, .out = PH_RGBA, SIZES, .setup = setup_nearest },
    { "resize-area-512", PH_RGBA, .out = PH_RGBA, DOWN, .setup = setup_area },
    { "resize-bilinear-up-3", PH_RGBA, .out = PH_RGBA, UP, .setup = setup_bilinear },
    { "resize-cubic-up-3", PH_RGBA, .out = PH_RGBA, UP, .setup = setup_cubic },
    { "resize-rgbf-bilinear-720p", PH_RGBF, .out = PH_RGBF, SIZES, .setup = setup_bilinear },
    { "resize-rgbf-area-512", PH_RGBF, .out = PH_RGBF, DOWN, .setup = setup_area },
    { "resize-depth-cubic-720p", PH_DEPTHF, .out = PH_DEPTHF, SIZES, .setup = setup_cubic },
    { "blend-over", PH_RGBA, .out = PH_RGBA, OPACITY, .run = run_over },
    { "blend-add", PH_RGBA, .out = PH_RGBA, OPACITY, .run = run_add },
    { "blend-multiply", PH_RGBA, .out = PH_RGBA, OPACITY, .run = run_multiply },
    { "blend-screen", PH_RGBA, .out = PH_RGBA, OPACITY, .run = run_screen },
    { "blend-fade", PH_RGBA, PH_RGBA, PH_RGBA, ARGS(100, 0, 255, 128, 1), .run = run_fade },
    { "blur-box-1", PH_RGBA, .out = PH_RGBA, ARGS(1, 2, 3), .run = run_box },
    { "blur-box-20", PH_RGBA, .out = PH_RGBA, ARGS(20, 7, 31, 64), .run = run_box },
    { "blur-gauss-1", PH_RGBA, .out = PH_RGBA, ARGS(10, 3, 15), .run = run_gauss },
    { "blur-gauss-4", PH_RGBA, .out = PH_RGBA, ARGS(40, 29), .run = run_gauss },
    { "blur-gauss-10", PH_RGBA, .out = PH_RGBA, ARGS(100, 41, 640), .run = run_gauss },
    { "histogram", PH_RGBA, ARGS(0), .run = run_histogram },
    { "difference", PH_RGBA, PH_RGBA, ARGS(0), .run = run_difference },
    { "moments", PH_RGBA, ARGS(0), .run = run_moments },
    { "hash", PH_RGBA, ARGS(0), .run = run_hash },
    { "hash-i420", PH_I420, ARGS(0), .run = run_hash },
    { "color-matrix", PH_RGBA, .out = PH_RGBA, ARGS(12, 0, 40, 25), .run = run_matrix },
    { "color-gamma", PH_RGBA, .out = PH_RGBA, ARGS(18, 1, 100), .run = run_gamma },
    { "hue", PH_RGBA, .out = PH_RGBA, ARGS(100, 0, 250), .setup = setup_hue, .run = run_hue, .finish = finish_hue },
    { "hue-twice-turned", PH_RGBA, .out = PH_RGBA, ARGS(100), .setup = setup_hue, .run = run_hue_turning, .finish = finish_hue },
    { "mirror", PH_RGBA, .out = PH_RGBA, ARGS(PH_MIRROR_H, PH_MIRROR_V, PH_TURN_180), .run = run_turn },
    { "turn-90", PH_RGBA, .out = PH_RGBA, ARGS(PH_TURN_90, PH_TURN_270, PH_TRANSPOSE, PH_TRANSVERSE), .size = size_turn, .run = run_turn },
    { "warp", PH_RGBA, .out = PH_RGBA, ARGS(0, 1, 2, 40, 41, 42), .run = run_warp },
    { "feedback", PH_RGBA, PH_RGBA, PH_RGBA, ARGS(0, 5, 10, 12), .run = run_feedback },
    { "kaleidoscope", PH_RGBA, .out = PH_RGBA, ARGS(6, 1, 2, 5, 32), .run = run_kaleidoscope },
    { "split", PH_RGBA, .out = PH_RGBA, ARGS(9, 0, -4, 700), .run = run_split },
    { "bloom", .out = PH_RGBA, ARGS(24, 4, 12, 200), .setup = setup_bloom, .run = run_bloom, .finish = finish_bloom },
    { "flashes", PH_RGBA, ARGS(0), .run = run_flashes, .timed = true },
    { "copy", PH_RGBA, .out = PH_RGBA, ARGS(0), .run = run_copy },
    { "copy-rows", PH_RGBA, .out = PH_RGBA, ARGS(0), .run = run_memcpy },
    { "clear", .out = PH_RGBA, ARGS(0), .run = run_clear },
    { "mask", PH_GRAY8, .out = PH_RGBA, OPACITY, .run = run_mask },
    { "polyline-1920", .out = PH_RGBA, ARGS(20, 5, 100), .run = run_polyline, .timed = true },
    { "wave-1920", .out = PH_RGBA, ARGS(20, 5, 100), .run = run_wave, .timed = true },
    { "line", .out = PH_RGBA, ARGS(30, 10, 115), .run = run_line, .timed = true },
    { "disc-60", .out = PH_RGBA, ARGS(60, 1, 9, 300), .run = run_disc, .timed = true },
    { "circle-60", .out = PH_RGBA, ARGS(60, 1, 9, 300), .run = run_circle, .timed = true },
    { 0 },
};
// clang-format on
