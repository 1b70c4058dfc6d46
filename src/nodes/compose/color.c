// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/color.h"
#include "image/hue.h"
#include "nodes/util.h"

#include <math.h>

struct color {
    float brightness, contrast, saturation, hue, gamma, turn;
    struct ph_color plan;
    struct ph_pace pace;
    double turned; // degrees, of all steps
    double angle;  // of the next picture
    struct ph_hue *turner;
};

static ph_err color_apply(struct ph_node *n)
{
    struct color *p = ph_priv(n);
    p->angle = fmod((double) p->hue + p->turned, 360);
    ph_color_prepare(&p->plan, &(struct ph_color_params){ p->brightness, p->contrast,
                                                          p->saturation, p->gamma });
    return PH_OK;
}

static ph_err color_open(struct ph_node *n, struct ph_fault *fault)
{
    struct color *p = ph_priv(n);
    ph_err ret = ph_hue_create(&p->turner);
    return ret < 0 ? ph_fail(fault, ret, "hue", "out of memory") : color_apply(n);
}

static void color_close(struct ph_node *n)
{
    struct color *p = ph_priv(n);
    ph_hue_destroy(&p->turner);
}

static ph_err color_process(struct ph_node *n)
{
    struct color *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read_own(n, 0, &f);
    if (ret != PH_OK) return ret;
    double dt_s = ph_pace_step(&p->pace, f->pts_ns);
    p->turned = fmod(p->turned + (double) p->turn * dt_s, 360);
    if (p->turn != 0) color_apply(n);
    if (p->angle != 0) {
        ph_hue_turn(p->turner, p->angle);
        ph_image_hue(&f->picture, &f->picture, p->turner);
    }
    ph_image_color(&f->picture, &f->picture, &p->plan);
    return ph_node_write(n, 0, f);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct color, brightness, -1, 1, .help = "added to every colour"),
    PH_FLOAT(struct color, contrast, 0, 4, .def = "1", .help = "distance from mid-grey"),
    PH_FLOAT(struct color, saturation, 0, 4, .def = "1", .help = "0 is grey"),
    PH_FLOAT(struct color, hue, -360, 360, .unit = "deg", .help = "turns the colours; their lightness stays (OkLCh)"),
    PH_FLOAT(struct color, gamma, 0.1, 10, .def = "1", .help = "above 1 lifts what is dark"),
    PH_FLOAT(struct color, turn, -3600, 3600, .unit = "deg/s", .help = "keeps turning the colours"),
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
    .open = color_open,
    .close = color_close,
    .process = color_process,
    .apply = color_apply,
};
