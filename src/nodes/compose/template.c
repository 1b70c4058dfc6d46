// SPDX-License-Identifier: MIT
#include "nodes/compose/template.h"

#include <phosphene/clock.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ph_template_parse(struct ph_template *t, const char *text)
{
    t->count = 0;
    for (const char *at = text; (at = strchr(at, '{')) && t->count < PH_TEMPLATE_FIELDS;) {
        if (at[1] == '{') {
            at += 2;
            continue;
        }
        size_t length = strcspn(at + 1, "{}");
        struct ph_template_field *f = &t->fields[t->count];
        if (at[1 + length] != '}' || length < 1 || length >= sizeof f->name) {
            at++;
            continue;
        }
        f->begin = (int) (at - text);
        f->end = f->begin + (int) length + 2;
        memcpy(f->name, at + 1, length);
        f->name[length] = 0;
        strcpy(f->value, "?");
        t->count++;
        at += length + 2;
    }
}

static void print_time(struct ph_template_field *f, int64_t pts_ns)
{
    int64_t ms = pts_ns / PH_MS_NS, s = ms / 1000;
    snprintf(f->value, sizeof f->value, "%" PRId64 ":%02d:%02d.%03d", s / 3600,
             (int) (s / 60 % 60), (int) (s % 60), (int) (ms % 1000));
}

bool ph_template_of_frame(struct ph_template_field *field, const struct ph_frame *f)
{
    if (!strcmp(field->name, "frame"))
        snprintf(field->value, sizeof field->value, "%" PRIu64, f->id);
    else if (!strcmp(field->name, "epoch"))
        snprintf(field->value, sizeof field->value, "%" PRIu32, f->epoch);
    else if (!strcmp(field->name, "size"))
        snprintf(field->value, sizeof field->value, "%dx%d", f->picture.width,
                 f->picture.height);
    else if (!strcmp(field->name, "time"))
        print_time(field, f->pts_ns);
    else
        return false;
    return true;
}

struct sink {
    char *out;
    size_t length, size;
    bool full;
};

static void put(struct sink *s, const char *text, size_t length)
{
    if (s->full || s->length + length + 1 > s->size) {
        s->full = true; // nothing that comes later may follow a gap
        return;
    }
    memcpy(s->out + s->length, text, length);
    s->length += length;
}

// Bytes of the character at `text`, as its first byte tells.
static size_t character(const char *text)
{
    unsigned char c = (unsigned char) text[0];
    size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return strnlen(text, n);
}

void ph_template_print(const struct ph_template *t, const char *text, char *out, size_t size)
{
    struct sink s = { out, 0, size, false };
    int next = 0;
    for (const char *at = text; *at;) {
        const struct ph_template_field *f = next < t->count ? &t->fields[next] : NULL;
        if (f && at - text == f->begin) {
            put(&s, f->value, strlen(f->value));
            at = text + f->end;
            next++;
        } else if (at[0] == '\\' && at[1] == 'n') {
            put(&s, "\n", 1);
            at += 2;
        } else {
            size_t n = character(at);
            put(&s, at, n);
            at += at[0] == '{' && at[1] == '{' ? 2 : n;
        }
    }
    out[s.length] = 0;
}
