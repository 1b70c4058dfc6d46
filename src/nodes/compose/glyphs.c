// SPDX-License-Identifier: MIT
#include "nodes/compose/glyphs.h"

#include "config.h"

#if PH_HAVE_TEXT
#include "image/draw.h"

#include <fontconfig/fontconfig.h>
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_GLYPH_H
#include FT_STROKER_H
#include <hb-ft.h>
#include <hb.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_GLYPHS 4096 // in one text
#define SLOTS      1024 // of the cache, a power of two; at most three quarters are used
#define MAX_ARENA  (16u << 20)

struct mask {
    size_t offset; // in the arena
    int width, height;
    int left, top; // of its corner from the pen, pixels; top upwards
};

struct slot {
    uint32_t index; // of the glyph in the font, plus 1; 0 = free
    struct mask fill, outline;
};

struct placed {
    int slot;
    int x, y; // of the pen from the layout's corner, pixels
};

struct line {
    int first, end; // of placed
    int width;
};

struct ph_glyphs {
    FT_Library library;
    FT_Face face;
    FT_Stroker stroker;
    hb_font_t *shaper;
    hb_buffer_t *buffer;
    char name[128];
    int size, ascent, line_height, border; // pixels
    float outline;

    struct slot slots[SLOTS];
    int used;
    uint8_t *arena; // masks, rows without padding
    size_t arena_used, arena_size;

    char *text; // laid out, NULL = nothing
    size_t text_size;
    float align;
    struct placed placed[MAX_GLYPHS];
    int count, width, height;
};

// --- finding a font

struct found {
    char file[4096];
    int index;
    char name[128];
};

static void describe(FcPattern *match, struct found *f)
{
    FcChar8 *family = NULL, *style = NULL;
    FcPatternGetString(match, FC_FAMILY, 0, &family);
    FcPatternGetString(match, FC_STYLE, 0, &style);
    snprintf(f->name, sizeof f->name, "%s %s", family ? (const char *) family : "?",
             style ? (const char *) style : "");
}

static ph_err find_font(const char *font, struct found *f, struct ph_fault *fault)
{
    const char *wanted = font[0] ? font : "sans-serif";
    FcPattern *pattern = FcInit() ? FcNameParse((const FcChar8 *) wanted) : NULL;
    FcPattern *match = NULL;
    FcChar8 *file = NULL;
    FcResult result;
    if (pattern) {
        FcPatternAddBool(pattern, FC_SCALABLE, FcTrue);
        FcConfigSubstitute(NULL, pattern, FcMatchPattern);
        FcDefaultSubstitute(pattern);
        match = FcFontMatch(NULL, pattern, &result);
    }
    ph_err ret = PH_ENOENT;
    if (match && FcPatternGetString(match, FC_FILE, 0, &file) == FcResultMatch) {
        snprintf(f->file, sizeof f->file, "%s", (const char *) file);
        if (FcPatternGetInteger(match, FC_INDEX, 0, &f->index) != FcResultMatch) f->index = 0;
        describe(match, f);
        ret = PH_OK;
    }
    if (match) FcPatternDestroy(match);
    if (pattern) FcPatternDestroy(pattern);
    if (ret == PH_OK) return PH_OK;
    if (!pattern)
        return ph_fail(fault, PH_EINVAL, "font",
                       "font is a name such as \"DejaVu Sans:bold\", got \"%s\"", font);
    return ph_fail(fault, ret, "font", "there is no font: install fonts-dejavu-core");
}

static ph_err open_face(struct ph_glyphs *g, const struct found *f, struct ph_fault *fault)
{
    FT_Error bad = FT_Init_FreeType(&g->library);
    if (!bad) bad = FT_Stroker_New(g->library, &g->stroker);
    if (bad) return ph_fail(fault, PH_ENOMEM, "font", "FreeType does not start: error %d", bad);
    if ((bad = FT_New_Face(g->library, f->file, f->index, &g->face)))
        return ph_fail(fault, PH_EFORMAT, "file", "%s is no font that can be read: error %d",
                       f->file, bad);
    if (!FT_IS_SCALABLE(g->face))
        return ph_fail(fault, PH_EFORMAT, "file", "%s is no font of outlines", f->file);
    g->shaper = hb_ft_font_create_referenced(g->face);
    g->buffer = hb_buffer_create();
    hb_ft_font_set_load_flags(g->shaper, FT_LOAD_NO_BITMAP | FT_LOAD_TARGET_LIGHT);
    return PH_OK;
}

ph_err ph_glyphs_create(struct ph_glyphs **out, const char *font, const char *file,
                        struct ph_fault *fault)
{
    struct ph_glyphs *g = calloc(1, sizeof *g);
    struct found found = { .index = 0 };
    ph_err ret = g ? PH_OK : ph_fail(fault, PH_ENOMEM, "font", "out of memory");
    *out = NULL;
    if (ret == PH_OK && file[0])
        snprintf(found.file, sizeof found.file, "%s", file);
    else if (ret == PH_OK)
        ret = find_font(font, &found, fault);
    if (ret == PH_OK) ret = open_face(g, &found, fault);
    if (ret < 0) {
        ph_glyphs_destroy(&g);
        return ret;
    }
    if (found.name[0])
        memcpy(g->name, found.name, sizeof g->name);
    else
        snprintf(g->name, sizeof g->name, "%s %s",
                 g->face->family_name ? g->face->family_name : "?",
                 g->face->style_name ? g->face->style_name : "");
    *out = g;
    return PH_OK;
}

void ph_glyphs_destroy(struct ph_glyphs **out)
{
    struct ph_glyphs *g = *out;
    *out = NULL;
    if (!g) return;
    if (g->buffer) hb_buffer_destroy(g->buffer);
    if (g->shaper) hb_font_destroy(g->shaper);
    if (g->face) FT_Done_Face(g->face);
    if (g->stroker) FT_Stroker_Done(g->stroker);
    if (g->library) FT_Done_FreeType(g->library);
    free(g->arena);
    free(g->text);
    free(g);
}

const char *ph_glyphs_name(const struct ph_glyphs *g)
{
    return g->name;
}

// --- the cache

static void cache_clear(struct ph_glyphs *g)
{
    memset(g->slots, 0, sizeof g->slots);
    g->used = 0;
    g->arena_used = 0;
    g->count = 0;
    if (g->text) g->text[0] = 0;
    g->height = 0; // marks the layout as gone
}

ph_err ph_glyphs_set_size(struct ph_glyphs *g, int size_px, float outline_px)
{
    if (size_px < 1) size_px = 1;
    if (g->size == size_px && g->outline == outline_px) return PH_OK;
    cache_clear(g);
    if (FT_Set_Pixel_Sizes(g->face, 0, (FT_UInt) size_px)) return PH_EINVAL;
    FT_Stroker_Set(g->stroker, (FT_Fixed) (outline_px * 64), FT_STROKER_LINECAP_ROUND,
                   FT_STROKER_LINEJOIN_ROUND, 0);
    hb_ft_font_changed(g->shaper);
    g->size = size_px;
    g->outline = outline_px;
    g->border = (int) ceilf(outline_px);
    g->ascent = (int) (g->face->size->metrics.ascender + 63) / 64;
    int descent = (int) (-g->face->size->metrics.descender + 63) / 64;
    g->line_height = g->ascent + descent;
    return PH_OK;
}

static ph_err arena_take(struct ph_glyphs *g, size_t size, size_t *offset)
{
    size_t need = g->arena_used + size;
    if (need > MAX_ARENA) return PH_ELIMIT;
    if (need > g->arena_size) {
        size_t grown = g->arena_size ? g->arena_size : 64 << 10;
        while (grown < need) grown *= 2;
        uint8_t *arena = realloc(g->arena, grown);
        if (!arena) return PH_ENOMEM;
        g->arena = arena;
        g->arena_size = grown;
    }
    *offset = g->arena_used;
    g->arena_used = need;
    return PH_OK;
}

static ph_err keep(struct ph_glyphs *g, FT_BitmapGlyph drawn, struct mask *m)
{
    const FT_Bitmap *b = &drawn->bitmap;
    *m = (struct mask){
        .width = (int) b->width, .height = (int) b->rows, .left = drawn->left, .top = drawn->top
    };
    if (!b->width || !b->rows) return PH_OK;
    ph_err ret = arena_take(g, (size_t) b->width * b->rows, &m->offset);
    for (unsigned y = 0; ret == PH_OK && y < b->rows; y++)
        memcpy(g->arena + m->offset + (size_t) y * b->width, b->buffer + (int) y * b->pitch,
               b->width);
    return ret;
}

// Takes `glyph`.
static ph_err draw_glyph(struct ph_glyphs *g, FT_Glyph glyph, struct mask *m)
{
    ph_err ret = PH_EFORMAT;
    if (!FT_Glyph_To_Bitmap(&glyph, FT_RENDER_MODE_NORMAL, NULL, 1))
        ret = keep(g, (FT_BitmapGlyph) glyph, m);
    FT_Done_Glyph(glyph);
    return ret;
}

static ph_err fill_slot(struct ph_glyphs *g, struct slot *s, uint32_t index)
{
    FT_Glyph glyph, wide;
    ph_err ret = PH_OK;
    if (FT_Load_Glyph(g->face, index, FT_LOAD_NO_BITMAP | FT_LOAD_TARGET_LIGHT) ||
        FT_Get_Glyph(g->face->glyph, &glyph))
        return PH_EFORMAT;
    if (g->outline > 0) {
        ret = FT_Glyph_Copy(glyph, &wide) ? PH_ENOMEM : PH_OK;
        if (ret == PH_OK && FT_Glyph_StrokeBorder(&wide, g->stroker, 0, 1)) {
            FT_Done_Glyph(wide);
            ret = PH_EFORMAT;
        } else if (ret == PH_OK) {
            ret = draw_glyph(g, wide, &s->outline);
        }
    }
    if (ret < 0) {
        FT_Done_Glyph(glyph);
        return ret;
    }
    ret = draw_glyph(g, glyph, &s->fill);
    if (ret == PH_OK) s->index = index + 1;
    return ret;
}

// The slot of a glyph, drawn when it is new; negative errors. PH_ELIMIT: the cache is full.
static int find_slot(struct ph_glyphs *g, uint32_t index)
{
    uint32_t at = index * 2654435761u >> 22 & (SLOTS - 1);
    while (g->slots[at].index && g->slots[at].index != index + 1) at = (at + 1) & (SLOTS - 1);
    if (g->slots[at].index) return (int) at;
    if (g->used >= SLOTS * 3 / 4) return PH_ELIMIT;
    ph_err ret = fill_slot(g, &g->slots[at], index);
    if (ret < 0) return ret;
    g->used++;
    return (int) at;
}

// --- layout

// Shapes one line with its pen at (0, y).
static ph_err shape_line(struct ph_glyphs *g, const char *text, int length, int y, int *width)
{
    hb_buffer_clear_contents(g->buffer);
    hb_buffer_add_utf8(g->buffer, text, length, 0, length);
    hb_buffer_guess_segment_properties(g->buffer);
    hb_shape(g->shaper, g->buffer, NULL, 0);
    unsigned count;
    const hb_glyph_info_t *info = hb_buffer_get_glyph_infos(g->buffer, &count);
    const hb_glyph_position_t *pos = hb_buffer_get_glyph_positions(g->buffer, &count);
    int pen = 0; // 1/64 pixel
    for (unsigned i = 0; i < count; i++) {
        if (g->count == MAX_GLYPHS) return PH_ELIMIT;
        int slot = find_slot(g, info[i].codepoint);
        if (slot < 0) return (ph_err) slot;
        g->placed[g->count++] = (struct placed){ slot, (pen + pos[i].x_offset + 32) >> 6,
                                                 y - ((pos[i].y_offset + 32) >> 6) };
        pen += pos[i].x_advance;
    }
    *width = (pen + 63) >> 6;
    return PH_OK;
}

static void shift(struct ph_glyphs *g, const struct line *l, float align)
{
    int by = (int) ((float) (g->width - l->width) * align + 0.5f);
    for (int i = l->first; i < l->end; i++) g->placed[i].x += by + g->border;
}

static ph_err shape_all(struct ph_glyphs *g, const char *text, float align)
{
    struct line lines[64];
    int n = 0;
    g->count = g->width = 0;
    for (const char *at = text, *end; n < 64; at = end + 1) {
        end = strchrnul(at, '\n');
        struct line *l = &lines[n];
        l->first = g->count;
        ph_err ret = shape_line(g, at, (int) (end - at),
                                g->border + g->ascent + n * g->line_height, &l->width);
        if (ret < 0) return ret;
        l->end = g->count;
        if (l->width > g->width) g->width = l->width;
        n++;
        if (!*end) break;
    }
    for (int i = 0; i < n; i++) shift(g, &lines[i], align);
    g->width += 2 * g->border;
    g->height = n * g->line_height + 2 * g->border;
    return PH_OK;
}

static ph_err remember(struct ph_glyphs *g, const char *text, float align)
{
    size_t size = strlen(text) + 1;
    if (size > g->text_size) {
        char *copy = realloc(g->text, size * 2);
        if (!copy) return PH_ENOMEM;
        g->text = copy;
        g->text_size = size * 2;
    }
    memcpy(g->text, text, size);
    g->align = align;
    return PH_OK;
}

ph_err ph_glyphs_layout(struct ph_glyphs *g, const char *text, float align)
{
    if (g->height && g->text && !strcmp(g->text, text) && g->align == align) return PH_OK;
    ph_err ret = shape_all(g, text, align);
    if (ret == PH_ELIMIT) { // full of glyphs that are perhaps no longer used
        cache_clear(g);
        ret = shape_all(g, text, align);
    }
    if (ret == PH_OK) ret = remember(g, text, align);
    if (ret < 0) g->height = g->count = 0;
    return ret;
}

int ph_glyphs_width(const struct ph_glyphs *g)
{
    return g->width;
}

int ph_glyphs_height(const struct ph_glyphs *g)
{
    return g->height;
}

static void draw_mask(const struct ph_glyphs *g, const struct mask *m, const struct placed *at,
                      const struct ph_picture *dst, int x, int y, uint32_t color)
{
    if (!m->width) return;
    ph_draw_mask(dst, g->arena + m->offset, m->width, m->width, m->height, x + at->x + m->left,
                 y + at->y - m->top, color);
}

void ph_glyphs_draw(const struct ph_glyphs *g, const struct ph_picture *dst, int x, int y,
                    uint32_t color, uint32_t outline_color)
{
    for (int i = 0; g->outline > 0 && i < g->count; i++)
        draw_mask(g, &g->slots[g->placed[i].slot].outline, &g->placed[i], dst, x, y,
                  outline_color);
    for (int i = 0; i < g->count; i++)
        draw_mask(g, &g->slots[g->placed[i].slot].fill, &g->placed[i], dst, x, y, color);
}

#else

ph_err ph_glyphs_create(struct ph_glyphs **out, const char *font, const char *file,
                        struct ph_fault *fault)
{
    *out = NULL;
    return ph_fail(fault, PH_ENOTSUP, "text",
                   "this build cannot draw text: install libfreetype-dev, libharfbuzz-dev and "
                   "libfontconfig-dev and build again");
}

void ph_glyphs_destroy(struct ph_glyphs **g)
{
}

const char *ph_glyphs_name(const struct ph_glyphs *g)
{
    return "";
}

ph_err ph_glyphs_set_size(struct ph_glyphs *g, int size_px, float outline_px)
{
    return PH_ENOTSUP;
}

ph_err ph_glyphs_layout(struct ph_glyphs *g, const char *text, float align)
{
    return PH_ENOTSUP;
}

int ph_glyphs_width(const struct ph_glyphs *g)
{
    return 0;
}

int ph_glyphs_height(const struct ph_glyphs *g)
{
    return 0;
}

void ph_glyphs_draw(const struct ph_glyphs *g, const struct ph_picture *dst, int x, int y,
                    uint32_t color, uint32_t outline_color)
{
}

#endif
