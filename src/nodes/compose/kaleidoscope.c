// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/warp.h"
#include "nodes/util.h"

struct kaleidoscope {
    int64_t axes;
    float zoom, angle, spin, source, drift, x, y;
    int border;

    struct ph_pace pace;
    double turned, drifted; // degrees, of all steps
};

static ph_err kaleidoscope_process(struct ph_node *n)
{
    struct kaleidoscope *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &in);
    if (ret != PH_OK) return ret;
    double dt_s = ph_pace_step(&p->pace, in->pts_ns);
    p->turned += (double) p->spin * dt_s;
    p->drifted += (double) p->drift * dt_s;
    struct ph_kaleidoscope par = {
        .axes = (int) p->axes,
        .cx = 0.5,
        .cy = 0.5,
        .sx = (double) p->x,
        .sy = (double) p->y,
        .zoom = (double) p->zoom,
        .angle_deg = (double) p->angle + p->turned,
        .source_deg = (double) p->source + p->drifted,
        .border = (enum ph_border) p->border,
    };
    PH_TRY(ph_node_picture(n, in, PH_RGBA, in->picture.width, in->picture.height, &out));
    PH_TRY(ph_image_kaleidoscope(&out->picture, &in->picture, &par));
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct kaleidoscope, axes, 1, PH_KALEIDOSCOPE_AXES, .def = "6", .flags = PH_PARAM_FIRST, .help = "of symmetry: 1 is a mirror, 2 two at right angles, 6 a snow crystal"),
    PH_FLOAT(struct kaleidoscope, zoom, 0.05, 20, .def = "1", .help = "how large the picture is in it"),
    PH_FLOAT(struct kaleidoscope, angle, -3600, 3600, .unit = "deg", .help = "turns the mirrors"),
    PH_FLOAT(struct kaleidoscope, spin, -3600, 3600, .unit = "deg/s", .help = "keeps turning the mirrors"),
    PH_FLOAT(struct kaleidoscope, source, -3600, 3600, .unit = "deg", .help = "which part of the picture they show"),
    PH_FLOAT(struct kaleidoscope, drift, -3600, 3600, .unit = "deg/s", .help = "keeps turning the picture below them"),
    PH_FLOAT(struct kaleidoscope, x, -1, 2, .def = "0.5", .help = "where in the picture their tip is: 0 is the left edge, 1 the right one"),
    PH_FLOAT(struct kaleidoscope, y, -1, 2, .def = "0.5", .help = "the same from top to bottom"),
    PH_ENUM(struct kaleidoscope, border, PH_NAMES("mirror", "edge", "wrap"), .help = "what lies beyond the picture"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_kaleidoscope = {
    .name = "kaleidoscope",
    .group = "compose",
    .help = "shows one sector of a picture again and again, mirrored",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the pattern" }),
    .params = params,
    .priv_size = sizeof(struct kaleidoscope),
    .process = kaleidoscope_process,
};
