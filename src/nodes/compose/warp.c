// SPDX-License-Identifier: MIT
// Another look at the same picture: closer, turned, moved, shaken.
#include <phosphene/node.h>

#include "core/wave.h"
#include "image/warp.h"
#include "nodes/util.h"

struct warp {
    float zoom, angle, spin, x, y, shake;
    int border;

    struct ph_pace pace;
    double seconds, turned; // of all steps
};

static struct ph_affine map_of(const struct warp *p, int w, int h)
{
    double x = (double) p->x + (double) p->shake * ph_noise1(40 * p->seconds);
    double y = (double) p->y + (double) p->shake * ph_noise1(40 * p->seconds + 97);
    return ph_affine_view(w, h, 0.5, 0.5, (double) p->zoom, (double) p->angle + p->turned,
                          x * h, y * h);
}

static bool changes_nothing(const struct warp *p)
{
    return p->zoom == 1 && (double) p->angle + p->turned == 0 && p->x == 0 && p->y == 0 &&
           p->shake == 0;
}

static ph_err warp_process(struct ph_node *n)
{
    struct warp *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &in);
    if (ret != PH_OK) return ret;
    double dt_s = ph_pace_step(&p->pace, in->pts_ns);
    p->seconds += dt_s;
    p->turned += (double) p->spin * dt_s;
    if (changes_nothing(p)) return ph_node_write(n, 0, in);
    struct ph_affine map = map_of(p, in->picture.width, in->picture.height);
    PH_TRY(ph_node_picture(n, in, PH_RGBA, in->picture.width, in->picture.height, &out));
    PH_TRY(ph_image_warp(&out->picture, &in->picture, &map, (enum ph_border) p->border));
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct warp, zoom, 0.05, 20, .def = "1", .flags = PH_PARAM_FIRST, .help = "2 shows everything twice as large"),
    PH_FLOAT(struct warp, angle, -3600, 3600, .unit = "deg", .help = "turns the picture clockwise"),
    PH_FLOAT(struct warp, spin, -3600, 3600, .unit = "deg/s", .help = "keeps turning it"),
    PH_FLOAT(struct warp, x, -10, 10, .unit = "heights", .help = "moves it to the right"),
    PH_FLOAT(struct warp, y, -10, 10, .unit = "heights", .help = "moves it down"),
    PH_FLOAT(struct warp, shake, 0, 1, .unit = "heights", .help = "how far it is thrown about"),
    PH_ENUM(struct warp, border, PH_NAMES("mirror", "edge", "wrap"), .help = "what lies beyond the picture"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_warp = {
    .name = "warp",
    .group = "compose",
    .help = "zooms, turns, moves and shakes a picture",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same seen otherwise" }),
    .params = params,
    .priv_size = sizeof(struct warp),
    .process = warp_process,
};
