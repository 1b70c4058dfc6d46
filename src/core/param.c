// SPDX-License-Identifier: MIT
#include <phosphene/param.h>

#include "core/nearest.h"
#include "core/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has_range(const struct ph_param *p)
{
    return p->min != 0 || p->max != 0;
}

static ph_err out_of_range(const struct ph_param *p, const char *text, struct ph_fault *fault)
{
    return ph_fail(fault, PH_EINVAL, p->name, "%s is %.10g … %.10g%s%s, got %s", p->name,
                   p->min, p->max, p->unit ? " " : "", p->unit ? p->unit : "", text);
}

static ph_err parse_float(const struct ph_param *p, const char *text, float *out,
                          struct ph_fault *fault)
{
    char *end;
    double v = ph_strtod(text, &end);
    // decimal alone: no blanks, "0x10", "inf" or "nan"
    if (text[strspn(text, "+-.0123456789eE")] || end == text || *end || !isfinite((float) v))
        return ph_fail(fault, PH_EINVAL, p->name, "%s is a number, got \"%s\"", p->name, text);
    if (has_range(p) && (v < p->min || v > p->max)) return out_of_range(p, text, fault);
    *out = (float) v;
    return PH_OK;
}

// strtol would also take blanks before the number.
static bool is_whole(const char *text)
{
    text += *text == '-' || *text == '+';
    return *text >= '0' && *text <= '9';
}

static ph_err parse_int(const struct ph_param *p, const char *text, int64_t *out,
                        struct ph_fault *fault)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (!is_whole(text) || *end || errno)
        return ph_fail(fault, PH_EINVAL, p->name, "%s is a whole number, got \"%s\"", p->name,
                       text);
    if (has_range(p) && ((double) v < p->min || (double) v > p->max))
        return out_of_range(p, text, fault);
    *out = v;
    return PH_OK;
}

static ph_err parse_bool(const struct ph_param *p, const char *text, bool *out,
                         struct ph_fault *fault)
{
    static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };
    for (int i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i])) continue;
        *out = i & 1;
        return PH_OK;
    }
    return ph_fail(fault, PH_EINVAL, p->name, "%s is on or off, got \"%s\"", p->name, text);
}

static ph_err parse_enum(const struct ph_param *p, const char *text, int *out,
                         struct ph_fault *fault)
{
    char list[256] = "";
    size_t len = 0;
    for (int i = 0; p->names[i]; i++) {
        if (!strcmp(p->names[i], text)) {
            *out = i;
            return PH_OK;
        }
        len += (size_t) snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "",
                                 p->names[i]);
        if (len >= sizeof list) len = sizeof list - 1;
    }
    const char *near = ph_nearest(text, p->names);
    return ph_fail(fault, PH_EINVAL, p->name, "%s is one of %s; got \"%s\"%s%s%s", p->name,
                   list, text, near ? ", did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "");
}

static ph_err parse_size(const struct ph_param *p, const char *text, struct ph_size *out,
                         struct ph_fault *fault)
{
    char *end;
    long w = strtol(text, &end, 10), h = 0;
    bool ok = is_whole(text) && (*end == 'x' || *end == 'X') && is_whole(end + 1);
    if (ok) h = strtol(end + 1, &end, 10);
    bool fits = has_range(p) || (w == (int) w && h == (int) h);
    if (!ok || *end || !fits)
        return ph_fail(fault, PH_EINVAL, p->name, "%s is a size such as 640x480, got \"%s\"",
                       p->name, text);
    if (has_range(p) && (w < p->min || h < p->min || w > p->max || h > p->max))
        return out_of_range(p, text, fault);
    *out = (struct ph_size){ (int) w, (int) h };
    return PH_OK;
}

// The 16 colours of CSS 1 and "transparent".
static const struct {
    const char *name;
    uint32_t rgba;
} colors[] = {
    { "black", 0x000000ff },  { "silver", 0xc0c0c0ff },      { "gray", 0x808080ff },
    { "white", 0xffffffff },  { "maroon", 0x800000ff },      { "red", 0xff0000ff },
    { "purple", 0x800080ff }, { "fuchsia", 0xff00ffff },     { "green", 0x008000ff },
    { "lime", 0x00ff00ff },   { "olive", 0x808000ff },       { "yellow", 0xffff00ff },
    { "navy", 0x000080ff },   { "blue", 0x0000ffff },        { "teal", 0x008080ff },
    { "aqua", 0x00ffffff },   { "transparent", 0x00000000 },
};

static ph_err parse_color(const struct ph_param *p, const char *text, uint32_t *out,
                          struct ph_fault *fault)
{
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++) {
        if (strcasecmp(text, colors[i].name)) continue;
        *out = colors[i].rgba;
        return PH_OK;
    }
    const char *hex = text + (*text == '#');
    size_t n = strlen(hex);
    bool ok = (n == 3 || n == 6 || n == 8) && strspn(hex, "0123456789abcdefABCDEF") == n;
    if (!ok)
        return ph_fail(fault, PH_EINVAL, p->name,
                       "%s is a colour such as #ff8800 or white, got \"%s\"", p->name, text);
    uint32_t v = (uint32_t) strtoul(hex, NULL, 16);
    if (n == 3) v = ((v & 0xf00) * 0x1100) | ((v & 0xf0) * 0x110) | ((v & 0xf) * 0x11);
    *out = n == 8 ? v : v << 8 | 0xff;
    return PH_OK;
}

ph_err ph_param_parse(const struct ph_param *p, const char *text, union ph_value *out,
                      struct ph_fault *fault)
{
    switch (p->type) {
    case PH_TYPE_FLOAT: return parse_float(p, text, &out->f, fault);
    case PH_TYPE_INT: return parse_int(p, text, &out->i, fault);
    case PH_TYPE_BOOL: return parse_bool(p, text, &out->b, fault);
    case PH_TYPE_ENUM: return parse_enum(p, text, &out->e, fault);
    case PH_TYPE_SIZE: return parse_size(p, text, &out->size, fault);
    case PH_TYPE_COLOR: return parse_color(p, text, &out->color, fault);
    case PH_TYPE_STRING:
        if (p->max > 0 && strlen(text) > (size_t) p->max)
            return ph_fail(fault, PH_EINVAL, p->name, "%s is at most %.0f bytes, got %zu",
                           p->name, p->max, strlen(text));
        out->s = text;
        return PH_OK;
    case PH_TYPE_NONE: break;
    }
    return ph_fail(fault, PH_EINVAL, p->name, "%s has no type", p->name);
}

// Shortest decimal that reads back to the same float, so that texts stay as they were typed.
static int print_float(float v, char *text, size_t size)
{
    char try[32];
    for (int digits = 1; digits <= 9; digits++) {
        ph_snprintf(try, sizeof try, "%.*g", digits, (double) v);
        if (ph_strtof(try, NULL) == v) break;
    }
    return snprintf(text, size, "%s", try);
}

int ph_param_print(const struct ph_param *p, union ph_value v, char *text, size_t size)
{
    switch (p->type) {
    case PH_TYPE_FLOAT: return print_float(v.f, text, size);
    case PH_TYPE_INT: return snprintf(text, size, "%lld", (long long) v.i);
    case PH_TYPE_BOOL: return snprintf(text, size, "%s", v.b ? "on" : "off");
    case PH_TYPE_STRING: return snprintf(text, size, "%s", v.s ? v.s : "");
    case PH_TYPE_ENUM: return snprintf(text, size, "%s", p->names[v.e]);
    case PH_TYPE_SIZE: return snprintf(text, size, "%dx%d", v.size.width, v.size.height);
    case PH_TYPE_COLOR:
        if ((v.color & 0xff) == 0xff) return snprintf(text, size, "#%06x", v.color >> 8);
        return snprintf(text, size, "#%08x", v.color);
    case PH_TYPE_NONE: break;
    }
    return snprintf(text, size, "%s", "");
}

const struct ph_param *ph_param_find(const struct ph_param *table, const char *name,
                                     const char **nearest)
{
    if (nearest) *nearest = NULL;
    int best = PH_NEAREST_LIMIT;
    for (const struct ph_param *p = table; p && p->name; p++) {
        if (!strcmp(p->name, name)) return p;
        int d = ph_edit_distance(name, p->name);
        if (!nearest || d >= best) continue;
        best = d;
        *nearest = p->name;
    }
    return NULL;
}
