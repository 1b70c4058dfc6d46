// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/resize.h"
#include "nodes/fit.h"
#include "nodes/util.h"

struct resize {
    struct ph_size size;
    int filter, fit;
    uint32_t color;
    struct ph_resize *plan;
};

// A side of 0 follows from the other one and the picture's shape.
static struct ph_size target(const struct resize *p, const struct ph_picture *src)
{
    struct ph_size s = p->size;
    if (!s.width && !s.height) return (struct ph_size){ src->width, src->height };
    if (!s.width) s.width = (int) ((int64_t) src->width * s.height / src->height);
    if (!s.height) s.height = (int) ((int64_t) src->height * s.width / src->width);
    s.width = s.width < 1 ? 1 : s.width > 16384 ? 16384 : s.width;
    s.height = s.height < 1 ? 1 : s.height > 16384 ? 16384 : s.height;
    return s;
}

static struct ph_intrinsics map_intrinsics(struct ph_intrinsics c, const struct ph_fit_rects *r)
{
    float sx = (float) r->dst.width / (float) r->src.width;
    float sy = (float) r->dst.height / (float) r->src.height;
    return (struct ph_intrinsics){ c.fx * sx, c.fy * sy,
                                   (c.cx - (float) r->src.x) * sx + (float) r->dst.x,
                                   (c.cy - (float) r->src.y) * sy + (float) r->dst.y };
}

static ph_err resize_process(struct ph_node *n)
{
    struct resize *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read_geometry(n, 0, &in);
    if (ret != PH_OK) return ret;
    const struct ph_picture *src = &in->picture;
    struct ph_size size = target(p, src);
    if (size.width == src->width && size.height == src->height) return ph_node_write(n, 0, in);
    PH_TRY(ph_node_picture(n, in, src->format, size.width, size.height, &out));
    PH_TRY(ph_fit_draw(&p->plan, &out->picture, src, (enum ph_fit) p->fit,
                       (enum ph_fit_filter) p->filter, p->color));
    struct ph_fit_rects r =
        ph_fit_rects((enum ph_fit) p->fit, src->width, src->height, size.width, size.height);
    if (in->intrinsics.fx > 0) out->intrinsics = map_intrinsics(in->intrinsics, &r);
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

static void resize_close(struct ph_node *n)
{
    struct resize *p = ph_priv(n);
    ph_resize_destroy(&p->plan);
}

// clang-format off
static const struct ph_param params[] = {
    PH_SIZE(struct resize, size, 0, 16384, .def = "0x0", .unit = "px", .flags = PH_PARAM_FIRST, .help = "size that comes out; a side of 0 follows from the other one"),
    PH_ENUM(struct resize, fit, PH_FIT_NAMES, .help = "what to do when the shapes differ"),
    PH_ENUM(struct resize, filter, PH_FIT_FILTER_NAMES, .help = "auto is area to shrink and bilinear to enlarge"),
    PH_COLOR(struct resize, color, .def = "black", .help = "of the borders that fit=contain leaves"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_resize = {
    .name = "resize",
    .group = "prepare",
    .help = "changes the size of a picture",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "a picture, or depth" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same in another size" }),
    .params = params,
    .priv_size = sizeof(struct resize),
    .process = resize_process,
    .close = resize_close,
};
