// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/geometry.h"
#include "nodes/util.h"

struct crop {
    struct ph_size size;
    int64_t x, y;
};

// Where a part of `length` begins in `whole`; wanted -1 = in the middle. Moved to lie within.
static int place(int64_t wanted, int length, int whole)
{
    int most = whole - length;
    int64_t at = wanted < 0 ? most / 2 : wanted;
    return at > most ? most : (int) at;
}

static int shorter(int wanted, int whole)
{
    return wanted < 1 || wanted > whole ? whole : wanted;
}

static ph_err crop_process(struct ph_node *n)
{
    const struct crop *p = ph_priv(n);
    struct ph_frame *in, *out = NULL;
    struct ph_picture part;
    ph_err ret = ph_node_read_geometry(n, 0, &in);
    if (ret != PH_OK) return ret;
    const struct ph_picture *src = &in->picture;
    int w = shorter(p->size.width, src->width), h = shorter(p->size.height, src->height);
    int x = place(p->x, w, src->width), y = place(p->y, h, src->height);
    if (w == src->width && h == src->height) return ph_node_write(n, 0, in);
    PH_TRY(ph_picture_view(&part, src, x, y, w, h));
    PH_TRY(ph_node_picture(n, in, src->format, w, h, &out));
    PH_TRY(ph_image_copy(&out->picture, &part));
    if (in->intrinsics.fx > 0) {
        out->intrinsics.cx -= (float) x;
        out->intrinsics.cy -= (float) y;
    }
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_SIZE(struct crop, size, 0, 16384, .def = "0x0", .unit = "px", .flags = PH_PARAM_FIRST, .help = "of the part; 0 = all, and never more than there is"),
    PH_INT(struct crop, x, -1, 16384, .def = "-1", .unit = "px", .help = "its left edge; -1 = in the middle"),
    PH_INT(struct crop, y, -1, 16384, .def = "-1", .unit = "px", .help = "its upper edge; -1 = in the middle"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_crop = {
    .name = "crop",
    .group = "prepare",
    .help = "cuts a part out of a picture",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "a picture, or depth" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the part" }),
    .params = params,
    .priv_size = sizeof(struct crop),
    .process = crop_process,
};
