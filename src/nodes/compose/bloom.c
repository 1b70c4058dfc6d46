// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/bloom.h"
#include "nodes/util.h"

struct bloom {
    float amount, threshold, radius;
    struct ph_bloom *bloom;
    int width, height; // that it was made for
    float made_radius;
};

static ph_err need_bloom(struct bloom *p, const struct ph_picture *pic)
{
    bool fits =
        p->width == pic->width && p->height == pic->height && p->made_radius == p->radius;
    if (p->bloom && fits) return PH_OK;
    ph_bloom_destroy(&p->bloom);
    p->width = pic->width;
    p->height = pic->height;
    p->made_radius = p->radius;
    return ph_bloom_create(&p->bloom, pic->width, pic->height, p->radius * (float) pic->height);
}

static ph_err bloom_process(struct ph_node *n)
{
    struct bloom *p = ph_priv(n);
    struct ph_frame *f;
    bool dark = p->amount <= 0;
    ph_err ret = dark ? ph_node_read_rgba(n, 0, &f) : ph_node_read_own(n, 0, &f);
    if (ret != PH_OK) return ret;
    if (!dark) {
        PH_TRY(need_bloom(p, &f->picture));
        PH_TRY(ph_bloom_run(p->bloom, &f->picture, p->amount, p->threshold));
    }
    return ph_node_write(n, 0, f);
fail:
    ph_frame_unref(&f);
    return ret;
}

static void bloom_close(struct ph_node *n)
{
    struct bloom *p = ph_priv(n);
    ph_bloom_destroy(&p->bloom);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct bloom, amount, 0, 4, .def = "0.6", .flags = PH_PARAM_FIRST, .help = "how much light spills over"),
    PH_FLOAT(struct bloom, threshold, 0, 0.99, .def = "0.4", .help = "from what brightness on"),
    PH_FLOAT(struct bloom, radius, 0, 0.25, .def = "0.04", .unit = "heights", .help = "how far"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_bloom = {
    .name = "bloom",
    .group = "compose",
    .help = "makes what is bright shine",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with a glow" }),
    .params = params,
    .priv_size = sizeof(struct bloom),
    .close = bloom_close,
    .process = bloom_process,
};
