// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/split.h"
#include "nodes/util.h"

#include <math.h>

struct split {
    float amount, angle;
};

static ph_err split_process(struct ph_node *n)
{
    const struct split *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &in);
    if (ret != PH_OK) return ret;
    int w = in->picture.width, h = in->picture.height;
    float far = p->amount * (float) h;
    int dx = (int) lrintf(far * ph_cos_turns((double) p->angle / 360));
    int dy = (int) lrintf(far * ph_sin_turns((double) p->angle / 360));
    if (!dx && !dy) return ph_node_write(n, 0, in);
    PH_TRY(ph_node_picture(n, in, PH_RGBA, w, h, &out));
    PH_TRY(ph_image_split(&out->picture, &in->picture, dx, dy));
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct split, amount, -1, 1, .def = "0.005", .unit = "heights", .flags = PH_PARAM_FIRST, .help = "how far red and blue move from green"),
    PH_FLOAT(struct split, angle, -3600, 3600, .unit = "deg", .help = "where red goes: 0 to the right, 90 downwards"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_split = {
    .name = "split",
    .group = "compose",
    .help = "moves red and blue apart, as a bad lens does",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with coloured edges" }),
    .params = params,
    .priv_size = sizeof(struct split),
    .process = split_process,
};
