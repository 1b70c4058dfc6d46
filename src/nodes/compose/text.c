// SPDX-License-Identifier: MIT
// A label on the picture, from a template: "{fps} fps", "{frame}", "{jpeg.p95}".
#include <phosphene/node.h>

#include "image/draw.h"
#include "nodes/compose/glyphs.h"
#include "nodes/compose/template.h"
#include "nodes/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *text, *font, *file;
    float size, outline, padding;
    uint32_t color, outline_color, box;
    int place;
    int64_t margin, refresh;

    struct ph_glyphs *glyphs;
    struct ph_template plan;
    int64_t looked_ns; // pts at which metrics were looked up
    bool looked;
    uint8_t *shape; // coverage of the box, rounded
    size_t shape_size;
    int shape_width, shape_height;
};

static ph_err text_open(struct ph_node *n, struct ph_fault *fault)
{
    struct text *p = ph_priv(n);
    ph_err ret = ph_glyphs_create(&p->glyphs, p->font, p->file, fault);
    if (ret == PH_OK)
        ph_debug(ph_node_log(n), ph_node_name(n), "font: %s", ph_glyphs_name(p->glyphs));
    return ret;
}

static void text_close(struct ph_node *n)
{
    struct text *p = ph_priv(n);
    ph_glyphs_destroy(&p->glyphs);
    free(p->shape);
}

static ph_err text_apply(struct ph_node *n)
{
    struct text *p = ph_priv(n);
    ph_template_parse(&p->plan, p->text);
    p->looked = false;
    p->shape_width = 0;
    return PH_OK;
}

// What changes with every frame is always right; metrics change a few times a second, so that
// they can be read.
static void look_up(struct ph_node *n, struct text *p, const struct ph_frame *f)
{
    int64_t since = f->pts_ns - p->looked_ns;
    bool again = !p->looked || since < 0 || since >= p->refresh * PH_MS_NS;
    for (int i = 0; i < p->plan.count; i++) {
        struct ph_template_field *field = &p->plan.fields[i];
        if (ph_template_of_frame(field, f)) continue;
        if (again && ph_node_metric(n, field->name, field->value, sizeof field->value) < 0)
            strcpy(field->value, "?");
    }
    if (again) p->looked_ns = f->pts_ns;
    p->looked = true;
}

// Coverage 0..255 of a box of w x h with round corners: by the distance to the box inside it that
// the corners are turned around.
static uint8_t round_box_cover(float x, float y, float w, float h, float radius)
{
    float r = fminf(radius, fminf(w, h) / 2);
    float dx = fmaxf(fabsf(x - w / 2) - (w / 2 - r), 0);
    float dy = fmaxf(fabsf(y - h / 2) - (h / 2 - r), 0);
    float inside = r - sqrtf(dx * dx + dy * dy) + 0.5f;
    return (uint8_t) (255 * fminf(fmaxf(inside, 0), 1) + 0.5f);
}

static ph_err make_shape(struct text *p, int w, int h, float radius)
{
    if (w == p->shape_width && h == p->shape_height) return PH_OK;
    size_t size = (size_t) w * (size_t) h;
    if (size > p->shape_size) {
        free(p->shape);
        p->shape_size = size * 2; // a label grows by a digit now and then
        p->shape = malloc(p->shape_size);
        if (!p->shape) p->shape_size = 0;
    }
    if (!p->shape) return PH_ENOMEM;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            p->shape[(size_t) y * (size_t) w + (size_t) x] = round_box_cover(
                (float) x + 0.5f, (float) y + 0.5f, (float) w, (float) h, radius);
    p->shape_width = w;
    p->shape_height = h;
    return PH_OK;
}

static int place_along(int third, int length, int whole, int margin)
{
    return third == 0 ? margin : third == 1 ? (whole - length) / 2 : whole - length - margin;
}

// Of a side that is longer than the picture's only what can be seen is made, and `spare` beyond it,
// so that the round corners stay where they are.
static void trim(int *at, int *length, int whole, int spare)
{
    int from = *at < -spare ? -spare : *at;
    int to = *at + *length > whole + spare ? whole + spare : *at + *length;
    *at = from;
    *length = to - from;
}

static ph_err draw_box(struct text *p, const struct ph_picture *dst, int x, int y, int w, int h,
                       float radius)
{
    int spare = 2 * (int) radius + 2;
    trim(&x, &w, dst->width, spare);
    trim(&y, &h, dst->height, spare);
    if (w < 1 || h < 1) return PH_OK;
    ph_err ret = make_shape(p, w, h, radius);
    if (ret == PH_OK) ph_draw_mask(dst, p->shape, w, w, h, x, y, p->box);
    return ret;
}

static ph_err draw(struct text *p, const struct ph_picture *dst, const char *text)
{
    int size = p->size >= 1           ? (int) (p->size + 0.5f)
               : dst->height / 26 > 8 ? dst->height / 26
                                      : 8;
    int column = p->place % 3, row = p->place / 3;
    ph_err ret = ph_glyphs_set_size(p->glyphs, size, p->outline);
    if (ret == PH_OK) ret = ph_glyphs_layout(p->glyphs, text, (float) column / 2);
    if (ret < 0 || !text[0]) return ret;
    int pad = p->box & 0xff ? (int) (p->padding * (float) size + 0.5f) : 0, above = pad / 2;
    int w = ph_glyphs_width(p->glyphs) + 2 * pad, h = ph_glyphs_height(p->glyphs) + 2 * above;
    int margin = p->margin >= 0 ? (int) p->margin : dst->height / 14;
    int x = place_along(column, w, dst->width, margin),
        y = place_along(row, h, dst->height, margin);
    if (p->box & 0xff) ret = draw_box(p, dst, x, y, w, h, (float) size * 0.4f);
    if (ret < 0) return ret;
    ph_glyphs_draw(p->glyphs, dst, x + pad, y + above, p->color, p->outline_color);
    return PH_OK;
}

static ph_err text_process(struct ph_node *n)
{
    struct text *p = ph_priv(n);
    struct ph_frame *f;
    char text[PH_TEMPLATE_TEXT];
    ph_err ret = ph_node_read_own(n, 0, &f);
    if (ret != PH_OK) return ret;
    look_up(n, p, f);
    ph_template_print(&p->plan, p->text, text, sizeof text);
    ret = draw(p, &f->picture, text);
    if (ret >= 0) return ph_node_write(n, 0, f);
    ph_frame_unref(&f);
    return ret;
}

// clang-format off
#define PLACES PH_NAMES("top-left", "top", "top-right", "left", "middle", "right", "bottom-left", "bottom", "bottom-right")

static const struct ph_param params[] = {
    PH_STRING(struct text, text, .max = 1000, .def = "{fps} fps", .flags = PH_PARAM_FIRST, .help = "what to write; {fps} {frame} {time} {size} {latency_ms} {node.p95} are filled in, \\n begins a line"),
    PH_FLOAT(struct text, size, 0, 1000, .unit = "px", .help = "of the letters; 0 = a 26th of the picture's height"),
    PH_COLOR(struct text, color, .def = "white", .help = "of the letters"),
    PH_ENUM(struct text, place, PLACES, .help = "where on the picture"),
    PH_INT(struct text, margin, -1, 4096, .def = "-1", .unit = "px", .help = "from the picture's edge; -1 = a 14th of its height"),
    PH_COLOR(struct text, box, .def = "#0b0e1aa8", .help = "of the box behind the letters; transparent = none"),
    PH_FLOAT(struct text, padding, 0, 10, .def = "0.55", .help = "of the box, in letter sizes"),
    PH_FLOAT(struct text, outline, 0, 50, .unit = "px", .help = "width of an outline around the letters"),
    PH_COLOR(struct text, outline_color, .def = "#000000c0", .help = "of the outline"),
    PH_INT(struct text, refresh, 0, 60000, .def = "250", .unit = "ms", .help = "how long a metric is shown before the next look"),
    PH_STRING(struct text, font, .max = 200, .def = "sans-serif", .flags = PH_PARAM_SETUP, .help = "a name such as \"DejaVu Sans:bold\""),
    PH_STRING(struct text, file, .max = 4000, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "a font file instead of a name"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_text = {
    .name = "text",
    .group = "compose",
    .help = "writes a text, which may hold metrics, on the picture",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with a text on it" }),
    .params = params,
    .priv_size = sizeof(struct text),
    .open = text_open,
    .close = text_close,
    .process = text_process,
    .apply = text_apply,
};
