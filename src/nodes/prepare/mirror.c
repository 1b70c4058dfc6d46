// SPDX-License-Identifier: MIT
#include <phosphene/node.h>

#include "image/geometry.h"
#include "nodes/util.h"

enum { FLIP_NONE, FLIP_H, FLIP_V, FLIP_BOTH };
enum { FOLD_NONE, FOLD_LEFT, FOLD_RIGHT, FOLD_TOP, FOLD_BOTTOM, FOLD_QUARTER };

struct mirror {
    int flip, rotate, fold;
};

// Puts one half of a picture, mirrored, over the other one; in the middle of an odd size one line
// stays.
static ph_err fold_over(const struct ph_picture *pic, bool across, bool keep_first)
{
    struct ph_picture from, to;
    int w = across ? pic->width / 2 : pic->width, h = across ? pic->height : pic->height / 2;
    int x = across ? pic->width - w : 0, y = across ? 0 : pic->height - h;
    if (w < 1 || h < 1) return PH_OK;
    ph_err ret = ph_picture_view(&from, pic, keep_first ? 0 : x, keep_first ? 0 : y, w, h);
    if (ret == PH_OK)
        ret = ph_picture_view(&to, pic, keep_first ? x : 0, keep_first ? y : 0, w, h);
    if (ret < 0) return ret;
    return ph_image_turn(&to, &from, across ? PH_MIRROR_H : PH_MIRROR_V);
}

static ph_err fold(const struct mirror *p, const struct ph_picture *pic)
{
    ph_err ret = PH_OK;
    if (p->fold == FOLD_LEFT || p->fold == FOLD_RIGHT || p->fold == FOLD_QUARTER)
        ret = fold_over(pic, true, p->fold != FOLD_RIGHT);
    if (ret == PH_OK && p->fold >= FOLD_TOP)
        ret = fold_over(pic, false, p->fold != FOLD_BOTTOM);
    return ret;
}

// Every mixture of flips and quarter turns is one of eight: flipping both ways is half a turn, and
// top with bottom is left with right and half a turn.
static enum ph_turn turn_of(const struct mirror *p)
{
    static const enum ph_turn plain[] = { PH_TURN_0, PH_TURN_90, PH_TURN_180, PH_TURN_270 };
    static const enum ph_turn mirrored[] = { PH_MIRROR_H, PH_TRANSVERSE, PH_MIRROR_V,
                                             PH_TRANSPOSE };
    int quarters = (p->rotate + (p->flip >= FLIP_V ? 2 : 0)) & 3;
    return p->flip == FLIP_H || p->flip == FLIP_V ? mirrored[quarters] : plain[quarters];
}

// (x, y) of a picture of w x h after the turn.
static void move_point(enum ph_turn turn, float w, float h, float *x, float *y)
{
    float a = *x, b = *y;
    bool swap = ph_turn_swaps(turn);
    bool flip_x = turn == PH_MIRROR_H || turn == PH_TURN_180 || turn == PH_TURN_90 ||
                  turn == PH_TRANSVERSE;
    bool flip_y = turn == PH_MIRROR_V || turn == PH_TURN_180 || turn == PH_TURN_270 ||
                  turn == PH_TRANSVERSE;
    *x = swap ? b : a;
    *y = swap ? a : b;
    if (flip_x) *x = (swap ? h : w) - *x;
    if (flip_y) *y = (swap ? w : h) - *y;
}

static struct ph_intrinsics map_intrinsics(struct ph_intrinsics c, enum ph_turn turn,
                                           const struct ph_picture *src)
{
    struct ph_intrinsics r = c;
    if (ph_turn_swaps(turn)) {
        r.fx = c.fy;
        r.fy = c.fx;
    }
    move_point(turn, (float) src->width, (float) src->height, &r.cx, &r.cy);
    return r;
}

static ph_err mirror_process(struct ph_node *n)
{
    const struct mirror *p = ph_priv(n);
    enum ph_turn turn = turn_of(p);
    struct ph_frame *in, *out = NULL;
    ph_err ret = ph_node_read_geometry(n, 0, &in);
    if (ret != PH_OK) return ret;
    if (turn == PH_TURN_0 && p->fold == FOLD_NONE) return ph_node_write(n, 0, in);
    const struct ph_picture *src = &in->picture;
    bool swap = ph_turn_swaps(turn);
    PH_TRY(ph_node_picture(n, in, src->format, swap ? src->height : src->width,
                           swap ? src->width : src->height, &out));
    PH_TRY(ph_image_turn(&out->picture, src, turn));
    PH_TRY(fold(p, &out->picture));
    if (in->intrinsics.fx > 0) out->intrinsics = map_intrinsics(in->intrinsics, turn, src);
    ph_frame_unref(&in);
    return ph_node_write(n, 0, out);
fail:
    ph_frame_unref(&in);
    ph_frame_unref(&out);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_ENUM(struct mirror, flip, PH_NAMES("none", "horizontal", "vertical", "both"), .def = "horizontal", .flags = PH_PARAM_FIRST, .help = "horizontal exchanges left and right, as a mirror does"),
    PH_ENUM(struct mirror, rotate, PH_NAMES("0", "90", "180", "270"), .help = "degrees clockwise, after the flip"),
    PH_ENUM(struct mirror, fold, PH_NAMES("none", "left", "right", "top", "bottom", "quarter"), .help = "the half that is shown twice, the second time mirrored; the upper left quarter four times"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_mirror = {
    .name = "mirror",
    .group = "prepare",
    .help = "flips a picture, turns it by quarters and mirrors one half in the other",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "a picture, or depth" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same, flipped and turned" }),
    .params = params,
    .priv_size = sizeof(struct mirror),
    .process = mirror_process,
};
