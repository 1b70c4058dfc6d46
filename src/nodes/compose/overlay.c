// SPDX-License-Identifier: MIT
// What a viewfinder draws over a picture: marks in the corners, a border, a logo.
#include <phosphene/node.h>

#include "image/blend.h"
#include "image/draw.h"
#include "image/resize.h"
#include "nodes/picture_file.h"
#include "nodes/util.h"

struct overlay {
    bool marks;
    int64_t border, margin, logo_height;
    uint32_t color;
    const char *logo;
    int place;
    float opacity;
    struct ph_frame *file, *shown; // the logo as loaded, and in the size wanted
};

enum { BOTTOM_RIGHT, BOTTOM_LEFT, TOP_RIGHT, TOP_LEFT, MIDDLE };

static ph_err overlay_open(struct ph_node *n, struct ph_fault *fault)
{
    struct overlay *p = ph_priv(n);
    return p->logo[0] ? ph_picture_load(p->logo, &p->file, fault) : PH_OK;
}

static ph_err overlay_apply(struct ph_node *n)
{
    struct overlay *p = ph_priv(n);
    ph_frame_unref(&p->shown);
    if (!p->file) return PH_OK;
    const struct ph_picture *logo = &p->file->picture;
    int64_t h = p->logo_height ? p->logo_height : logo->height;
    int64_t w = logo->width * h / logo->height;
    ph_err ret = ph_frame_picture(NULL, PH_RGBA, w ? (int) w : 1, (int) h, &p->shown);
    if (ret < 0) return ret;
    return ph_image_resize(&p->shown->picture, logo, h < logo->height ? PH_AREA : PH_BILINEAR);
}

// An angle at (x, y) whose arms go inwards
static void mark(const struct ph_picture *d, int x, int y, bool right, bool bottom, int arm,
                 int thick, uint32_t color)
{
    ph_draw_rect(d, right ? x - arm : x, bottom ? y - thick : y, arm, thick, color);
    int rest = arm - thick, top = bottom ? y - arm : y + thick;
    ph_draw_rect(d, right ? x - thick : x, top, thick, rest, color);
}

static void draw_marks(const struct overlay *p, const struct ph_picture *d)
{
    int short_side = d->width < d->height ? d->width : d->height;
    int arm = short_side / 14, thick = short_side / 240, gap = short_side / 30;
    if (arm < 2) return;
    if (thick < 1) thick = 1;
    for (int i = 0; i < 4; i++) {
        bool right = i & 1, bottom = i & 2;
        mark(d, right ? d->width - gap : gap, bottom ? d->height - gap : gap, right, bottom,
             arm, thick, p->color);
    }
}

static void draw_logo(const struct overlay *p, const struct ph_picture *d)
{
    const struct ph_picture *logo = &p->shown->picture;
    int margin = (int) p->margin, right = d->width - logo->width,
        low = d->height - logo->height;
    bool left = p->place == BOTTOM_LEFT || p->place == TOP_LEFT;
    bool top = p->place == TOP_LEFT || p->place == TOP_RIGHT;
    int x = left ? margin : right - margin, y = top ? margin : low - margin;
    if (p->place == MIDDLE) {
        x = right / 2;
        y = low / 2;
    }
    ph_image_blend(d, logo, x, y, PH_BLEND_OVER, (int) (p->opacity * 255 + 0.5f));
}

static ph_err overlay_process(struct ph_node *n)
{
    const struct overlay *p = ph_priv(n);
    struct ph_frame *f;
    ph_err ret = ph_node_read_own(n, 0, &f);
    if (ret != PH_OK) return ret;
    const struct ph_picture *d = &f->picture;
    ph_draw_frame(d, 0, 0, d->width, d->height, (int) p->border, p->color);
    if (p->marks) draw_marks(p, d);
    if (p->shown) draw_logo(p, d);
    return ph_node_write(n, 0, f);
}

static void overlay_close(struct ph_node *n)
{
    struct overlay *p = ph_priv(n);
    ph_frame_unref(&p->file);
    ph_frame_unref(&p->shown);
}

// clang-format off
static const struct ph_param params[] = {
    PH_BOOL(struct overlay, marks, .def = "on", .help = "angles in the corners"),
    PH_INT(struct overlay, border, 0, 1024, .unit = "px", .help = "thickness of a border"),
    PH_COLOR(struct overlay, color, .def = "#ffffffb0", .help = "of marks and border"),
    PH_STRING(struct overlay, logo, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "a PNG or JPEG file"),
    PH_INT(struct overlay, logo_height, 0, 4096, .unit = "px", .help = "of the logo; 0 = as in its file"),
    PH_ENUM(struct overlay, place, PH_NAMES("bottom-right", "bottom-left", "top-right", "top-left", "middle"), .help = "where the logo is"),
    PH_INT(struct overlay, margin, 0, 4096, .def = "32", .unit = "px", .help = "of the logo"),
    PH_FLOAT(struct overlay, opacity, 0, 1, .def = "1", .help = "of the logo"),
    { 0 }
};

const struct ph_node_info ph_node_overlay = {
    .name = "overlay", .group = "compose", .help = "corner marks, a border and a logo",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with things drawn over it" }),
    .params = params, .priv_size = sizeof(struct overlay),
    .open = overlay_open, .close = overlay_close, .process = overlay_process, .apply = overlay_apply,
};
// clang-format on
