// SPDX-License-Identifier: MIT
// Light over the picture, more where it is dark: c + amount (1 - luma) color. Nothing here looks at
// a beat: whatever drives `amount` does, and the flash limiter of the output has the last word.
#include <phosphene/node.h>

#include "image/color.h"
#include "nodes/util.h"

#include <math.h>

struct flash {
    float amount;
    uint32_t color;
    struct ph_color plan;
};

static ph_err flash_apply(struct ph_node *n)
{
    struct flash *p = ph_priv(n);
    float rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = (float) (p->color >> (24 - 8 * c) & 255) / 255;
    ph_color_flash(&p->plan, p->amount * (float) (p->color & 255) / 255, rgb);
    return PH_OK;
}

static ph_err flash_process(struct ph_node *n)
{
    const struct flash *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = p->plan.has_matrix ? ph_node_read_own(n, 0, &f) : ph_node_read_rgba(n, 0, &f);
    if (ret != PH_OK) return ret;
    if (p->plan.has_matrix) ph_image_color(&f->picture, &f->picture, &p->plan);
    return ph_node_write(n, 0, f);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct flash, amount, 0, 1, .flags = PH_PARAM_FIRST, .help = "of light: 0 is none, 1 makes black white"),
    PH_COLOR(struct flash, color, .def = "white", .help = "of the light"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_flash = {
    .name = "flash",
    .group = "compose",
    .help = "light over the picture, for as long as something drives it",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same, lit" }),
    .params = params,
    .priv_size = sizeof(struct flash),
    .process = flash_process,
    .apply = flash_apply,
};
