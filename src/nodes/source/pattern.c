// SPDX-License-Identifier: MIT
// Test pictures that need nothing but a clock. What stands still is drawn once and copied.
#include <phosphene/node.h>

#include "image/barcode.h"
#include "image/blend.h"
#include "image/draw.h"
#include "image/geometry.h"
#include "image/resize.h"
#include "nodes/source/pattern_draw.h"
#include "nodes/util.h"

#include <pthread.h>

enum kind { BALL, BARS, GRADIENT, CHECKERBOARD, SOLID, NOISE, PLASMA };

struct drawn { // what the still picture was drawn from
    int kind;
    struct ph_size size;
    uint32_t color, color2;
    float angle;
    int64_t cell;
};

struct pattern {
    int kind;
    struct ph_size size;
    float fps;
    uint32_t color, color2;
    float speed, angle;
    int64_t cell, seed;
    bool id;

    struct ph_frame *still; // what does not move, drawn by apply()
    struct drawn drawn;
    bool ready; // all below is there
    struct ph_frame *ball, *shadow;
    int radius, floor_y;
    uint64_t noise;
    struct ph_frame *field; // the plasma, in a quarter of the size
    struct ph_resize *grow;
};

enum { SMALLER = 4 };

static uint32_t or_default(uint32_t color, uint32_t fallback)
{
    return color & 0xff ? color : fallback;
}

static ph_err sprite(struct ph_frame **out, int width, int height)
{
    ph_frame_unref(out);
    return ph_frame_picture(NULL, PH_RGBA, width, height, out);
}

static ph_err draw_stage(struct pattern *p)
{
    int h = p->size.height;
    p->radius = h / 9 > 1 ? h / 9 : 1;
    p->floor_y = h - h / 5;
    ph_pattern_stage(&p->still->picture, or_default(p->color2, 0x2b3466ff), 0x080a14ff,
                     p->floor_y);
    return PH_OK;
}

static ph_err draw_still(struct pattern *p)
{
    ph_err ret = sprite(&p->still, p->size.width, p->size.height);
    if (ret < 0) return ret;
    const struct ph_picture *still = &p->still->picture;
    uint32_t color = or_default(p->color, 0xe9ecf5ff);
    uint32_t color2 = or_default(p->color2, 0x161a2eff);
    int cell = p->cell ? (int) p->cell : (p->size.height + 7) / 8;
    switch ((enum kind) p->kind) {
    case BALL: return draw_stage(p);
    case BARS: ph_pattern_bars(still); break;
    case GRADIENT: ph_pattern_gradient(still, color2, color, p->angle); break;
    case CHECKERBOARD: ph_pattern_checker(still, cell, color, color2); break;
    case SOLID: ph_draw_clear(still, color); break;
    case NOISE:
    case PLASMA: break;
    }
    return PH_OK;
}

static ph_err make_field(struct pattern *p)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ph_pattern_plasma_prepare);
    int w = (p->size.width + SMALLER - 1) / SMALLER;
    int h = (p->size.height + SMALLER - 1) / SMALLER;
    ph_err ret = sprite(&p->field, w, h);
    ph_resize_destroy(&p->grow);
    if (ret < 0) return ret;
    return ph_resize_create(&p->grow, ph_resize_params(.src_width = w, .src_height = h,
                                                       .dst_width = p->size.width,
                                                       .dst_height = p->size.height));
}

static ph_err draw_ball(struct pattern *p)
{
    int r = p->radius, flat = r / 4 > 1 ? r / 4 : 1;
    ph_err ret = sprite(&p->ball, r * 4, r * 4);
    if (ret == PH_OK) ret = sprite(&p->shadow, r * 3, flat * 3);
    if (ret < 0) return ret;
    ph_pattern_ball(&p->ball->picture, (float) r, or_default(p->color, 0xff7a3dff));
    ph_pattern_shadow(&p->shadow->picture);
    return PH_OK;
}

// A stage takes longer than a frame may: not drawn anew for the sake of the ball on it.
static bool still_is_right(const struct pattern *p, const struct drawn *d)
{
    const struct drawn *was = &p->drawn;
    return p->ready && was->kind == d->kind && was->size.width == d->size.width &&
           was->size.height == d->size.height && was->color == d->color &&
           was->color2 == d->color2 && was->angle == d->angle && was->cell == d->cell;
}

static ph_err pattern_apply(struct ph_node *n)
{
    struct pattern *p = ph_priv(n);
    ph_err ret = PH_OK;
    struct drawn now = { p->kind,   p->size,  p->kind == BALL ? 0 : p->color,
                         p->color2, p->angle, p->cell };
    ph_node_set_fps(n, (double) p->fps);
    p->noise = (p->seed ? (uint64_t) p->seed : ph_node_seed(n)) * 0x9e3779b97f4a7c15u;
    if (!still_is_right(p, &now)) ret = draw_still(p);
    if (ret == PH_OK && p->kind == BALL) ret = draw_ball(p);
    bool grown = p->field && p->ready && p->drawn.kind == PLASMA &&
                 p->drawn.size.width == p->size.width && p->drawn.size.height == p->size.height;
    if (ret == PH_OK && p->kind == PLASMA && !grown) ret = make_field(p);
    p->ready = ret == PH_OK;
    p->drawn = now;
    return ret;
}

static ph_err pattern_open(struct ph_node *n, struct ph_fault *fault)
{
    const struct pattern *p = ph_priv(n);
    ph_node_set_fps(n, (double) p->fps);
    return PH_OK;
}

static void place_ball(const struct pattern *p, const struct ph_picture *dst, int64_t pts_ns)
{
    struct ph_ball_place at = ph_ball_place(pts_ns, (double) p->speed);
    int r = p->radius, foot = p->floor_y + r / 3;
    int x = r + (int) (at.across * (p->size.width - 2 * r) + 0.5);
    int rise = (int) (at.height * (foot - 3 * r) + 0.5);
    const struct ph_picture *shadow = &p->shadow->picture;
    int dark = (int) (190 - 130 * at.height);
    ph_image_blend(dst, shadow, x - shadow->width / 2, foot - shadow->height / 2, PH_BLEND_OVER,
                   dark);
    ph_image_blend(dst, &p->ball->picture, x - 2 * r, foot - r - rise - 2 * r, PH_BLEND_OVER,
                   255);
}

static ph_err draw_plasma(const struct pattern *p, const struct ph_picture *dst, int64_t pts_ns)
{
    float cell = p->cell ? (float) p->cell : (float) dst->height / 4;
    ph_pattern_plasma(&p->field->picture, (double) pts_ns * 1e-9 * (double) p->speed,
                      cell / SMALLER);
    return ph_resize_run(p->grow, dst, &p->field->picture);
}

static ph_err pattern_process(struct ph_node *n)
{
    struct pattern *p = ph_priv(n);
    struct ph_frame *f;
    if (!p->ready) return PH_ENOMEM;
    ph_err ret = ph_node_picture(n, NULL, PH_RGBA, p->size.width, p->size.height, &f);
    if (ret < 0) return ret;
    if (p->kind == NOISE)
        ph_pattern_noise(&f->picture, p->noise + f->id);
    else if (p->kind == PLASMA)
        draw_plasma(p, &f->picture, f->pts_ns);
    else
        ph_image_copy(&f->picture, &p->still->picture);
    if (p->kind == BALL) place_ball(p, &f->picture, f->pts_ns);
    if (p->id) ph_barcode_draw(&f->picture, PH_BARCODE_TOP_RIGHT, (uint32_t) f->id);
    return ph_node_write(n, 0, f);
}

static void pattern_close(struct ph_node *n)
{
    struct pattern *p = ph_priv(n);
    ph_frame_unref(&p->still);
    ph_frame_unref(&p->ball);
    ph_frame_unref(&p->shadow);
    ph_frame_unref(&p->field);
    ph_resize_destroy(&p->grow);
}

// clang-format off
static const struct ph_param params[] = {
    PH_ENUM(struct pattern, kind, PH_NAMES("ball", "bars", "gradient", "checkerboard", "solid", "noise", "plasma"), .flags = PH_PARAM_FIRST, .help = "what to show; bars are SMPTE's"),
    PH_SIZE(struct pattern, size, 1, 16384, .def = "1280x720", .unit = "px", .help = "of the picture"),
    PH_FLOAT(struct pattern, fps, 0, 1000, .def = "60", .unit = "fps", .help = "pictures per second; 0 = as fast as possible"),
    PH_COLOR(struct pattern, color, .def = "transparent", .help = "of the ball, the first square, the gradient's end or the whole; transparent = the pattern's own"),
    PH_COLOR(struct pattern, color2, .def = "transparent", .help = "of the light, the second square or the gradient's start; transparent = the pattern's own"),
    PH_FLOAT(struct pattern, speed, 0, 10, .def = "1", .help = "of the ball and the plasma"),
    PH_FLOAT(struct pattern, angle, -360, 360, .def = "30", .unit = "deg", .help = "of the gradient: 0 to the right, 90 downwards"),
    PH_INT(struct pattern, cell, 0, 16384, .unit = "px", .help = "side of a square, 0 = an eighth of the height; of the plasma how large its shapes are, 0 = a quarter"),
    PH_INT(struct pattern, seed, 0, 0x7fffffff, .help = "of the noise; 0 = the graph's"),
    PH_BOOL(struct pattern, id, .help = "draws the frame's number as a bar code that hash and clients read back"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_pattern = {
    .name = "pattern",
    .group = "source",
    .help = "test pictures: bouncing ball, SMPTE bars, gradient, checkerboard, solid, noise, "
            "plasma",
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures" }),
    .params = params,
    .priv_size = sizeof(struct pattern),
    .open = pattern_open,
    .close = pattern_close,
    .process = pattern_process,
    .apply = pattern_apply,
};
