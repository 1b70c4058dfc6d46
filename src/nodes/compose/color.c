// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/color.h"
#include "nodes/util.h"

struct color {
    float brightness, contrast, saturation, hue, gamma;
    struct ph_color plan;
};

static ph_err color_apply(struct ph_node *n)
{
    struct color *p = ph_priv(n);
    ph_color_prepare(&p->plan, &(struct ph_color_params){ p->brightness, p->contrast,
                                                          p->saturation, p->hue, p->gamma });
    return PH_OK;
}

static ph_err color_process(struct ph_node *n)
{
    const struct color *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read_own(n, 0, &f);
    if (ret != PH_OK) return ret;
    ph_image_color(&f->picture, &f->picture, &p->plan);
    return ph_node_write(n, 0, f);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct color, brightness, -1, 1, .help = "added to every colour"),
    PH_FLOAT(struct color, contrast, 0, 4, .def = "1", .help = "distance from mid-grey"),
    PH_FLOAT(struct color, saturation, 0, 4, .def = "1", .help = "0 is grey"),
    PH_FLOAT(struct color, hue, -360, 360, .unit = "deg", .help = "turns the colours"),
    PH_FLOAT(struct color, gamma, 0.1, 10, .def = "1", .help = "above 1 lifts what is dark"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_color = {
    .name = "color",
    .group = "compose",
    .help = "brightness, contrast, saturation, hue and gamma",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same in other colours" }),
    .params = params,
    .priv_size = sizeof(struct color),
    .process = color_process,
    .apply = color_apply,
};
