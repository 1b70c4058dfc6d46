// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/blur.h"
#include "nodes/util.h"

#include <stdlib.h>

enum { GAUSS, BOX };

struct blur {
    float radius;
    int kind;
    void *scratch;
    size_t scratch_size;
};

// A Gaussian seems as wide as a box when its deviation is about half the box's radius.
static double sigma_of(const struct blur *p)
{
    return (double) p->radius / 2;
}

static int box_radius(const struct blur *p)
{
    return (int) (p->radius + 0.5f);
}

static ph_err need_scratch(struct blur *p, int width, int height)
{
    size_t need = p->kind == BOX ? ph_blur_box_scratch(width, box_radius(p))
                                 : ph_blur_gauss_scratch(width, height, sigma_of(p));
    if (need <= p->scratch_size) return PH_OK;
    free(p->scratch);
    p->scratch = aligned_alloc(PH_ALIGN, (need + PH_ALIGN - 1) / PH_ALIGN * PH_ALIGN);
    p->scratch_size = p->scratch ? need : 0;
    return p->scratch ? PH_OK : PH_ENOMEM;
}

static ph_err blur_process(struct ph_node *n)
{
    struct blur *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &in);
    if (ret != PH_OK) return ret;
    if (p->radius < 0.25f) return ph_node_write(n, 0, in);
    int w = in->picture.width, h = in->picture.height;
    PH_TRY(need_scratch(p, w, h));
    PH_TRY(ph_node_picture(n, in, PH_RGBA, w, h, &out));
    if (p->kind == BOX)
        PH_TRY(ph_image_blur_box(&out->picture, &in->picture, box_radius(p), p->scratch));
    else
        PH_TRY(ph_image_blur_gauss(&out->picture, &in->picture, sigma_of(p), p->scratch));
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

static void blur_close(struct ph_node *n)
{
    struct blur *p = ph_priv(n);
    free(p->scratch);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct blur, radius, 0, 64, .def = "8", .unit = "px", .flags = PH_PARAM_FIRST, .help = "how far a point spreads; the Gaussian's deviation is half of it"),
    PH_ENUM(struct blur, kind, PH_NAMES("gauss", "box"), .help = "gauss is soft, box is quick"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_blur = {
    .name = "blur",
    .group = "compose",
    .help = "makes a picture soft",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same, soft" }),
    .params = params,
    .priv_size = sizeof(struct blur),
    .process = blur_process,
    .close = blur_close,
};
