// SPDX-License-Identifier: MIT
// A text with fields: "{fps} fps, frame {frame}". Parsed once, filled in per frame, without memory
// of its own. "{{" is a brace, "\n" (a backslash and an n) a line break, an unclosed brace itself.
#ifndef PH_NODES_TEMPLATE_H
#define PH_NODES_TEMPLATE_H

#include <phosphene/frame.h>

#define PH_TEMPLATE_FIELDS 16 // more stay as they are written
#define PH_TEMPLATE_TEXT   2048

struct ph_template_field {
    int begin, end; // in the text, with braces
    char name[64];
    char value[64];
};

struct ph_template {
    struct ph_template_field fields[PH_TEMPLATE_FIELDS];
    int count;
};

void ph_template_parse(struct ph_template *t, const char *text);
// Fills in a field that a frame answers by itself: frame, time (of the stream), epoch, size.
bool ph_template_of_frame(struct ph_template_field *field, const struct ph_frame *f);
// Writes the text with the fields' values; what does not fit is cut off between characters.
void ph_template_print(const struct ph_template *t, const char *text, char *out, size_t size);

#endif
