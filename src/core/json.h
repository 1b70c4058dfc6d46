// SPDX-License-Identifier: MIT
// A strict JSON reader (RFC 8259) into one flat block: config files, tensor headers, messages of
// clients. Rejects bad UTF-8, duplicate keys, NUL, trailing text, depth over 64. Needs libc only,
// because models must load on a bare machine; see docs/dependencies.md.
#ifndef PH_CORE_JSON_H
#define PH_CORE_JSON_H

#include <phosphene/common.h>

enum ph_json_type {
    PH_JSON_NULL,
    PH_JSON_BOOL,
    PH_JSON_NUMBER,
    PH_JSON_STRING,
    PH_JSON_ARRAY,
    PH_JSON_OBJECT
};

struct ph_json {
    enum ph_json_type type;
    const char *key;  // of a member; NULL elsewhere
    const char *text; // string (unescaped, NUL-terminated) or the number's own digits
    size_t len;       // of text
    double number;    // NUMBER; BOOL: 0 or 1
    int64_t integer;  // NUMBER: exact when is_integer
    bool is_integer;  // fits int64_t and was written without '.' and exponent
    int count;        // of children
    const struct ph_json *child, *next; // first child; next sibling
};

struct ph_json_doc;

// `text` need not outlive the call. At most `limit` bytes (0 = 16 MiB).              thread: any
ph_err ph_json_parse(struct ph_json_doc **doc, const char *text, size_t len, size_t limit,
                     struct ph_fault *fault);
void ph_json_free(struct ph_json_doc **doc);
const struct ph_json *ph_json_root(const struct ph_json_doc *doc);

// NULL when v is NULL, not an object, or has no such member: look-ups chain without checks.
const struct ph_json *ph_json_get(const struct ph_json *v, const char *key);
const struct ph_json *ph_json_at(const struct ph_json *v, int index);
const char *ph_json_string(const struct ph_json *v, const char *fallback);
double ph_json_double(const struct ph_json *v, double fallback);
int64_t ph_json_int(const struct ph_json *v, int64_t fallback);
bool ph_json_bool(const struct ph_json *v, bool fallback);

#endif
