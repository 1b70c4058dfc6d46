// SPDX-License-Identifier: MIT
// Up to four pictures in one. `a` sets the pace and the size; the others show their newest.
#include <phosphene/node.h>

#include "image/blend.h"
#include "image/draw.h"
#include "image/geometry.h"
#include "image/resize.h"
#include "nodes/fit.h"
#include "nodes/util.h"

#define INPUTS 4

enum mode { ALPHA, ADD, MULTIPLY, SCREEN, PIP, SIDE, STACK, GRID };
enum corner { BOTTOM_RIGHT, BOTTOM_LEFT, TOP_RIGHT, TOP_LEFT };

// A picture in the size in which it is laid over `a`, made anew only when either changes.
struct layer {
    struct ph_frame *from; // what `made` was made of; counted, so that its address is its own
    struct ph_frame *made;
    int fit;
    struct ph_resize *resize;
};

struct blend {
    int mode, fit, corner;
    struct ph_size size;
    float opacity, scale;
    int64_t margin, border;
    uint32_t color, border_color;
    struct layer layers[INPUTS];
    struct ph_resize *base; // a, where the size is not its own
    bool in_trouble;
};

static struct ph_rect tile_of(enum mode mode, int i, int count, int width, int height)
{
    int columns = mode == SIDE ? count : mode == STACK ? 1 : count > 1 ? 2 : 1;
    int rows = mode == STACK ? count : mode == GRID ? (count + 1) / 2 : 1;
    int column = i % columns, row = i / columns;
    int x = width * column / columns, y = height * row / rows;
    return (struct ph_rect){ x, y, width * (column + 1) / columns - x,
                             height * (row + 1) / rows - y };
}

// The small picture: `scale` of the width and the shape of its own; the second and third one
// take the next corners.
static struct ph_rect pip_of(const struct blend *p, int i, const struct ph_picture *dst,
                             const struct ph_picture *src)
{
    int corner = (p->corner + i - 1) % 4, margin = (int) p->margin;
    int w = (int) (p->scale * (float) dst->width + 0.5f);
    int h = (int) ((int64_t) w * src->height / src->width);
    if (w < 1) w = 1;
    if (h < 1) h = 1;
    if (h > dst->height) h = dst->height;
    bool left = corner == BOTTOM_LEFT || corner == TOP_LEFT;
    bool top = corner == TOP_LEFT || corner == TOP_RIGHT;
    return (struct ph_rect){ left ? margin : dst->width - margin - w,
                             top ? margin : dst->height - margin - h, w, h };
}

static ph_err layer_make(struct layer *l, struct ph_frame *from, int width, int height,
                         const struct blend *p)
{
    bool same = l->from == from && l->made && l->made->picture.width == width &&
                l->made->picture.height == height && l->fit == p->fit;
    if (same) return PH_OK;
    ph_err ret = PH_OK;
    if (!l->made || l->made->picture.width != width || l->made->picture.height != height) {
        ph_frame_unref(&l->made);
        ret = ph_frame_picture(NULL, PH_RGBA, width, height, &l->made);
    }
    if (ret == PH_OK) // what fit=contain leaves free lets `a` through
        ret = ph_fit_draw(&l->resize, &l->made->picture, &from->picture, (enum ph_fit) p->fit,
                          PH_FIT_AUTO, 0);
    ph_frame_unref(&l->from);
    l->from = ret == PH_OK ? ph_frame_ref(from) : NULL;
    l->fit = p->fit;
    return ret;
}

static ph_err lay_over(struct blend *p, int i, const struct ph_picture *dst, struct ph_frame *f)
{
    struct layer *l = &p->layers[i];
    struct ph_rect at = { 0, 0, dst->width, dst->height };
    if (p->mode == PIP) at = pip_of(p, i, dst, &f->picture);
    bool fits = f->picture.width == at.width && f->picture.height == at.height;
    ph_err ret = fits ? PH_OK : layer_make(l, f, at.width, at.height, p);
    if (ret < 0) return ret;
    enum ph_blend_mode mode = p->mode == PIP ? PH_BLEND_OVER : (enum ph_blend_mode) p->mode;
    int b = (int) p->border;
    if (p->mode == PIP && b > 0)
        ph_draw_frame(dst, at.x - b, at.y - b, at.width + 2 * b, at.height + 2 * b, b,
                      p->border_color);
    return ph_image_blend(dst, fits ? &f->picture : &l->made->picture, at.x, at.y, mode,
                          (int) (p->opacity * 255 + 0.5f));
}

static ph_err put_tile(struct blend *p, int i, int count, const struct ph_picture *dst,
                       struct ph_frame *f)
{
    struct ph_rect at = tile_of((enum mode) p->mode, i, count, dst->width, dst->height);
    struct ph_picture part;
    if (at.width < 1 || at.height < 1) return PH_OK; // more tiles than pixels
    ph_err ret = ph_picture_view(&part, dst, at.x, at.y, at.width, at.height);
    if (ret < 0) return ret;
    if (!f) {
        ph_draw_clear(&part, p->color);
        return PH_OK;
    }
    return ph_fit_draw(&p->layers[i].resize, &part, &f->picture, (enum ph_fit) p->fit,
                       PH_FIT_AUTO, p->color);
}

static bool is_tiled(const struct blend *p)
{
    return p->mode >= SIDE;
}

// The frame that is drawn into: `a` itself where it may be, else a new one. Takes in[0] for the
// former and then leaves NULL.
static ph_err begin(struct ph_node *n, struct blend *p, struct ph_frame **in,
                    struct ph_frame **out)
{
    const struct ph_picture *a = &in[0]->picture;
    int w = p->size.width ? p->size.width : a->width;
    int h = p->size.height ? p->size.height : a->height;
    if (!is_tiled(p) && w == a->width && h == a->height) {
        *out = in[0];
        in[0] = NULL;
        return ph_frame_make_writable(out);
    }
    ph_err ret = ph_node_picture(n, in[0], PH_RGBA, w, h, out);
    if (ret < 0 || is_tiled(p)) return ret;
    return ph_fit_draw(&p->base, &(*out)->picture, a, (enum ph_fit) p->fit, PH_FIT_AUTO,
                       p->color);
}

static ph_err compose(struct blend *p, struct ph_frame *const *in, int count,
                      const struct ph_picture *dst)
{
    ph_err ret = PH_OK;
    for (int i = is_tiled(p) ? 0 : 1; i < count && ret >= 0; i++) {
        if (is_tiled(p))
            ret = put_tile(p, i, count, dst, in[i]);
        else if (in[i])
            ret = lay_over(p, i, dst, in[i]);
    }
    return ret;
}

// Inputs that are linked but have no picture yet are NULL, and count.
static int read_others(struct ph_node *n, struct blend *p, struct ph_frame **in)
{
    int count = 1;
    bool trouble = false;
    for (int i = 1; i < INPUTS; i++) {
        if (!ph_node_linked(n, false, i)) continue;
        trouble |= ph_node_read_rgba(n, i, &in[i]) == PH_EFORMAT;
        count = i + 1;
    }
    if (p->in_trouble && !trouble) ph_node_problem(n, NULL);
    p->in_trouble = trouble;
    return count;
}

static ph_err blend_process(struct ph_node *n)
{
    struct blend *p = ph_priv(n);
    struct ph_frame *in[INPUTS] = { NULL }, *out = NULL;
    ph_err ret = ph_node_read_rgba(n, 0, &in[0]);
    if (ret != PH_OK) return ret;
    int count = read_others(n, p, in);
    ret = begin(n, p, in, &out);
    if (ret >= 0) ret = compose(p, in, count, &out->picture);
    for (int i = 0; i < INPUTS; i++) ph_frame_unref(&in[i]);
    if (ret >= 0) return ph_node_write(n, 0, out);
    ph_frame_unref(&out);
    return ret;
}

static void blend_close(struct ph_node *n)
{
    struct blend *p = ph_priv(n);
    for (int i = 0; i < INPUTS; i++) {
        ph_frame_unref(&p->layers[i].from);
        ph_frame_unref(&p->layers[i].made);
        ph_resize_destroy(&p->layers[i].resize);
    }
    ph_resize_destroy(&p->base);
}

// clang-format off
static const struct ph_param params[] = {
    PH_ENUM(struct blend, mode, PH_NAMES("alpha", "add", "multiply", "screen", "pip", "side", "stack", "grid"), .flags = PH_PARAM_FIRST, .help = "over each other, as small pictures in the corners, or as tiles"),
    PH_FLOAT(struct blend, opacity, 0, 1, .def = "1", .help = "of b, c and d; tiles are always opaque"),
    PH_SIZE(struct blend, size, 0, 16384, .unit = "px", .help = "that comes out; 0 = that of a"),
    PH_ENUM(struct blend, fit, PH_FIT_NAMES, .def = "cover", .help = "what to do when shapes differ"),
    PH_COLOR(struct blend, color, .def = "#0b0e1a", .help = "where there is no picture"),
    PH_FLOAT(struct blend, scale, 0.01, 1, .def = "0.28", .help = "width of pip's small picture"),
    PH_ENUM(struct blend, corner, PH_NAMES("bottom-right", "bottom-left", "top-right", "top-left"), .help = "where pip puts b; c and d follow"),
    PH_INT(struct blend, margin, 0, 4096, .def = "32", .unit = "px", .help = "of pip"),
    PH_INT(struct blend, border, 0, 256, .def = "2", .unit = "px", .help = "around pip's small picture"),
    PH_COLOR(struct blend, border_color, .def = "#ffffffc0", .help = "of that border"),
    { 0 }
};

#define OTHER(name) { name, PH_PICTURE, PH_PORT_HOLD | PH_PORT_OPTIONAL, .help = "its newest picture is used" }

const struct ph_node_info ph_node_blend = {
    .name = "blend",
    .group = "compose",
    .help = "up to four pictures in one: mixed, in the corners, side by side, stacked or in a grid",
    .in = PH_PORTS({ "a", PH_PICTURE, .help = "sets the pace and the size" }, OTHER("b"), OTHER("c"), OTHER("d")),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "one picture" }),
    .params = params,
    .priv_size = sizeof(struct blend),
    .process = blend_process,
    .close = blend_close,
};
// clang-format on
