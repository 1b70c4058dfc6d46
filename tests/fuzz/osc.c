// SPDX-License-Identifier: MIT
// OSC packets: messages point into the packet, and those of numbers and texts survive writing and
// reading again. Behind a '|' in the first byte: a pattern, a zero, an address.
#include "audio/live/osc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok) abort();
}

struct seen {
    const char *begin, *end; // the packet
    int count;
};

struct same {
    const char *address, *text;
    float number;
    int count;
};

static void check_same(void *opaque, const struct ph_osc_message *m)
{
    struct same *s = opaque;
    check(!strcmp(m->address, s->address) && m->count == 1);
    if (s->text) check(m->arg[0].type == 's' && !strcmp(m->arg[0].text, s->text));
    if (!s->text) check(isnan(s->number) || (float) m->arg[0].number == s->number);
    s->count++;
}

static void write_again(const struct ph_osc_message *m, const struct ph_osc_arg *a)
{
    struct ph_osc_writer *w = calloc(1, sizeof *w);
    struct same s = { m->address, a->text, (float) a->number, 0 };
    if (!w) return;
    ph_osc_begin_bundle(w);
    if (s.text)
        ph_osc_put_text(w, s.address, s.text);
    else
        ph_osc_put_floats(w, s.address, &s.number, 1);
    check(w->size <= PH_OSC_MAX && w->size % 4 == 0);
    check(ph_osc_read(w->bytes, w->size, check_same, &s) == PH_OK);
    check(s.count == !w->full);
    free(w);
}

static void got(void *opaque, const struct ph_osc_message *m)
{
    struct seen *s = opaque;
    check(m->address[0] == '/' && m->count <= PH_OSC_ARGS);
    check(m->address >= s->begin && m->address + strlen(m->address) < s->end);
    for (int i = 0; i < m->count; i++) {
        const struct ph_osc_arg *a = &m->arg[i];
        check((a->text != NULL) == (a->type == 's' || a->type == 'S'));
        if (a->text) check(a->text >= s->begin && a->text + strlen(a->text) < s->end);
        if (s->count++ < 8) write_again(m, a);
    }
}

static void try_pattern(const char *text, size_t size)
{
    const char *end = memchr(text, 0, size);
    const char *address =
        end && memchr(end + 1, 0, size - (size_t) (end + 1 - text)) ? end + 1 : "";
    if (!end) return;
    bool plain = !strpbrk(text, "?*[{");
    check(!plain || ph_osc_match(text, address) == !strcmp(text, address));
    ph_osc_match(text, address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1); // so that reading past the end is seen
    if (!exact) return 0;
    memcpy(exact, data, size);
    struct seen s = { exact, exact + size, 0 };
    if (size && data[0] == '|')
        try_pattern(exact + 1, size - 1);
    else
        ph_osc_read(exact, size, got, &s);
    free(exact);
    return 0;
}
