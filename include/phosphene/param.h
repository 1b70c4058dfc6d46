// SPDX-License-Identifier: MIT
// Parameters: one declaration gives parsing, ranges, help, JSON schema, CLI and manual.
// A value travels as text ("0.5", "640x480", "oil painting") and lands in a field of the
// node's private struct, between two frames.
#ifndef PHOSPHENE_PARAM_H
#define PHOSPHENE_PARAM_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ph_type {
    PH_TYPE_NONE, // ends a table
    PH_TYPE_FLOAT,
    PH_TYPE_INT,    // int64_t: seeds are whole
    PH_TYPE_BOOL,   // on/off, true/false, yes/no, 1/0
    PH_TYPE_STRING, // const char *, never NULL
    PH_TYPE_ENUM,   // int, index into names
    PH_TYPE_SIZE,   // struct ph_size
    PH_TYPE_COLOR   // uint32_t 0xRRGGBBAA; "#rgb", "#rrggbb", "#rrggbbaa" or a CSS basic name
};

struct ph_size {
    int width, height; // pixels; 0x0 where the help says what that means
};

enum ph_param_flags {
    PH_PARAM_FIRST = 1,  // may be given without its name: `resize 512x512`
    PH_PARAM_SETUP = 2,  // a change rebuilds the node (a path, a device)
    PH_PARAM_PATH = 4,   // names a file, device or URL: never accepted from a network client
    PH_PARAM_SECRET = 8, // not echoed
    PH_PARAM_RING = 16,  // max is min again: a drive beyond either comes in at the other end
};

struct ph_param {
    const char *name; // NULL ends a table
    enum ph_type type;
    size_t offset;            // of the field in the private struct
    double min, max;          // numbers (both 0 = any); string: max = length; size: per side
    const char *def;          // text of the default; NULL = "0", "off", "", first name
    const char *const *names; // enum: NULL-terminated
    const char *help;         // one line, no final dot
    const char *unit;         // "px", "ms", "Hz"; may be NULL
    unsigned flags;
};

// clang-format off
#define PH_PARAM(T, f, kind, ...) { .name = #f, .type = kind, .offset = offsetof(T, f), __VA_ARGS__ }
#define PH_FLOAT(T, f, lo, hi, ...) PH_PARAM(T, f, PH_TYPE_FLOAT, .min = (lo), .max = (hi), __VA_ARGS__)  // float
#define PH_INT(T, f, lo, hi, ...)   PH_PARAM(T, f, PH_TYPE_INT, .min = (lo), .max = (hi), __VA_ARGS__)    // int64_t
#define PH_BOOL(T, f, ...)          PH_PARAM(T, f, PH_TYPE_BOOL, __VA_ARGS__)                              // bool
#define PH_STRING(T, f, ...)        PH_PARAM(T, f, PH_TYPE_STRING, __VA_ARGS__)                            // const char *
#define PH_ENUM(T, f, list, ...)    PH_PARAM(T, f, PH_TYPE_ENUM, .names = (list), __VA_ARGS__)             // int
#define PH_SIZE(T, f, lo, hi, ...)  PH_PARAM(T, f, PH_TYPE_SIZE, .min = (lo), .max = (hi), __VA_ARGS__)    // struct ph_size
#define PH_COLOR(T, f, ...)         PH_PARAM(T, f, PH_TYPE_COLOR, __VA_ARGS__)                             // uint32_t
#define PH_NAMES(...) ((const char *const[]) { __VA_ARGS__, NULL })
// clang-format on

union ph_value {
    float f;
    int64_t i;
    bool b;
    const char *s;
    int e;
    struct ph_size size;
    uint32_t color;
};

// Parses and range-checks `text`. A string value points into `text` (borrows).      thread: any
PH_API ph_err ph_param_parse(const struct ph_param *p, const char *text, union ph_value *out,
                             struct ph_fault *fault);
// Writes the value as text that ph_param_parse reads back to the same value; returns the length
// it would need (like snprintf).
PH_API int ph_param_print(const struct ph_param *p, union ph_value value, char *text,
                          size_t size);
// NULL when the table has no such name; then *nearest (may be NULL) is the most similar one.
PH_API const struct ph_param *ph_param_find(const struct ph_param *table, const char *name,
                                            const char **nearest);

#ifdef __cplusplus
}
#endif
#endif
