// SPDX-License-Identifier: MIT
// The picture over what is left of the ones before, which moves on: trails, echoes, tunnels. All
// rates are per second and all factors per 1/30 s, so that it looks the same at any frame rate.
#include <phosphene/node.h>

#include "core/wave.h"
#include "image/warp.h"
#include "nodes/util.h"

#include <math.h>

enum mode { MIX, ADD, LIGHTEN };

struct feedback {
    float zoom, rotate, pan_x, pan_y, shake, keep, decay, center_x, center_y;
    int mode, border;

    struct ph_frame *last; // what went out before; never written to
    struct ph_pace pace;
    uint32_t count;          // of steps
    double seconds;          // of all of them
    double shake_x, shake_y; // of the last step, in heights
};

// Where the camera's shake is at a time: the trail moves by what this changes, so that the sum
// over any steps is the same.
static void move_by_shake(struct feedback *p, double *dx, double *dy)
{
    double x = (double) p->shake * ph_noise1(40 * p->seconds);
    double y = (double) p->shake * ph_noise1(40 * p->seconds + 97);
    *dx += x - p->shake_x;
    *dy += y - p->shake_y;
    p->shake_x = x;
    p->shake_y = y;
}

static struct ph_affine map_of(struct feedback *p, double dt_s, int w, int h)
{
    double dx = (double) p->pan_x * dt_s, dy = (double) p->pan_y * dt_s;
    move_by_shake(p, &dx, &dy);
    return ph_affine_view(w, h, (double) p->center_x, (double) p->center_y,
                          pow(1 + (double) p->zoom, dt_s), (double) p->rotate * dt_s, dx * h,
                          dy * h);
}

static struct ph_feedback step_of(struct feedback *p, const struct ph_frame *f, double dt_s)
{
    double keep = ph_factor_over((double) p->keep, dt_s);
    double decay = ph_factor_over((double) p->decay, dt_s);
    return (struct ph_feedback){
        .map = map_of(p, dt_s, f->picture.width, f->picture.height),
        .border = (enum ph_border) p->border,
        .keep = (float) (keep * decay),
        .add = p->mode == MIX ? (float) (1 - keep) : 1,
        .lighten = p->mode == LIGHTEN,
        .count = p->count++,
    };
}

static bool can_go_on(const struct feedback *p, const struct ph_frame *f)
{
    return p->last && p->last->picture.width == f->picture.width &&
           p->last->picture.height == f->picture.height;
}

static ph_err feedback_process(struct ph_node *n)
{
    struct feedback *p = ph_priv(n);
    struct ph_frame *f, *out = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &f);
    if (ret != PH_OK) return ret;
    double dt_s = ph_pace_step(&p->pace, f->pts_ns);
    p->seconds += dt_s;
    if (can_go_on(p, f)) {
        struct ph_feedback step = step_of(p, f, dt_s);
        PH_TRY(ph_node_picture(n, f, PH_RGBA, f->picture.width, f->picture.height, &out));
        PH_TRY(ph_image_feedback(&out->picture, &p->last->picture, &f->picture, &step));
        ph_frame_unref(&f);
        f = out;
    }
    ph_frame_unref(&p->last);
    p->last = ph_frame_ref(f);
    return ph_node_write(n, 0, f);
fail:
    ph_frame_unref(&f);
    ph_frame_unref(&out);
    return ret;
}

static ph_err feedback_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct feedback *p = ph_priv(n);
    if (cut->hard) ph_frame_unref(&p->last);
    return PH_OK;
}

static void feedback_close(struct ph_node *n)
{
    struct feedback *p = ph_priv(n);
    ph_frame_unref(&p->last);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct feedback, zoom, -0.9, 20, .flags = PH_PARAM_FIRST, .help = "how much the trail grows in a second: 0.3 is 30 %, -0.3 shrinks it"),
    PH_FLOAT(struct feedback, rotate, -3600, 3600, .unit = "deg/s", .help = "how fast the trail turns, clockwise"),
    PH_FLOAT(struct feedback, pan_x, -10, 10, .unit = "heights/s", .help = "how fast the trail moves to the right"),
    PH_FLOAT(struct feedback, pan_y, -10, 10, .unit = "heights/s", .help = "how fast the trail moves down"),
    PH_FLOAT(struct feedback, shake, 0, 1, .unit = "heights", .help = "how far the trail is thrown about"),
    PH_FLOAT(struct feedback, keep, 0, 0.999, .def = "0.9", .help = "how much of the trail stays for another 1/30 s; in mode mix the new picture has the rest"),
    PH_FLOAT(struct feedback, decay, 0, 1, .def = "0.985", .help = "how bright what stays is after 1/30 s"),
    PH_FLOAT(struct feedback, center_x, -1, 2, .def = "0.5", .help = "what it grows and turns around: 0 is the left edge, 1 the right one"),
    PH_FLOAT(struct feedback, center_y, -1, 2, .def = "0.5", .help = "the same from top to bottom"),
    PH_ENUM(struct feedback, mode, PH_NAMES("mix", "add", "lighten"), .help = "how the new picture comes in: mixed, added, or where it is brighter"),
    PH_ENUM(struct feedback, border, PH_NAMES("mirror", "edge", "wrap"), .help = "what comes in at the edges of a trail that shrinks, turns or moves"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_feedback = {
    .name = "feedback",
    .group = "compose",
    .help = "trails: the picture over the ones before, which grow, turn and fade",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with its trail" }),
    .params = params,
    .priv_size = sizeof(struct feedback),
    .close = feedback_close,
    .process = feedback_process,
    .cut = feedback_cut,
};
