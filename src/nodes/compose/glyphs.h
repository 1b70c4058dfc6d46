// SPDX-License-Identifier: MIT
// A font at one size: fontconfig finds it, HarfBuzz shapes, FreeType draws, a cache keeps what was
// drawn. Once all glyphs of a text have been seen, laying it out and drawing it allocates nothing
// here. One thread at a time.
#ifndef PH_NODES_GLYPHS_H
#define PH_NODES_GLYPHS_H

#include <phosphene/frame.h>

struct ph_glyphs;

// `font` is a fontconfig name such as "DejaVu Sans:bold" ("" = any sans-serif font); `file`, if not
// "", a font file instead. The fault says which package would help when there is no font at all,
// or, in a build without the libraries, which ones. May wait for the disk.          thread: ctl
ph_err ph_glyphs_create(struct ph_glyphs **out, const char *font, const char *file,
                        struct ph_fault *fault);
void ph_glyphs_destroy(struct ph_glyphs **g);
// "DejaVu Sans Bold": what was found, which need not be what was asked for.
const char *ph_glyphs_name(const struct ph_glyphs *g);

// Height of the letters' em and width of an outline, pixels; 0 = no outline.
ph_err ph_glyphs_set_size(struct ph_glyphs *g, int size_px, float outline_px);

// Shapes a UTF-8 text of one or more lines (\n). Free when text, size and align are as before.
// align: 0 left, 0.5 centred, 1 right. Bad UTF-8 shows as U+FFFD. PH_ELIMIT: over 4096 glyphs.
ph_err ph_glyphs_layout(struct ph_glyphs *g, const char *text, float align);
// Of the laid out text, outline included, pixels.
int ph_glyphs_width(const struct ph_glyphs *g);
int ph_glyphs_height(const struct ph_glyphs *g);
// With its upper left corner at (x, y); a colour without alpha draws nothing.
void ph_glyphs_draw(const struct ph_glyphs *g, const struct ph_picture *dst, int x, int y,
                    uint32_t color, uint32_t outline_color);

#endif
