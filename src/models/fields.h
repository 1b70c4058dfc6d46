// SPDX-License-Identifier: MIT
// Reads the fields of a config.json with checks. The first wrong field sticks with a message that
// names the file, the field and what was expected; all later calls give their fallback. A field
// that is absent or null gives its fallback; a fallback that could not be a value (out of range)
// means that the field is required.                                                thread: one
#ifndef PH_MODELS_FIELDS_H
#define PH_MODELS_FIELDS_H

#include "core/json.h"
#include "nn/prog.h"

struct ph_fields {
    const struct ph_json *root;
    const char *file;       // for messages
    struct ph_fault *fault; // may be NULL
    ph_err err;
};

ph_err ph_field_fail(struct ph_fields *f, const char *key, const char *fmt, ...)
    PH_PRINTF(3, 4);

int ph_field_int(struct ph_fields *f, const char *key, int fallback, int low, int high);
float ph_field_number(struct ph_fields *f, const char *key, float fallback, float low,
                      float high);
bool ph_field_flag(struct ph_fields *f, const char *key, bool fallback);
// NULL when absent. The text lives as long as the document.
const char *ph_field_text(struct ph_fields *f, const char *key);
// A list of 1..max integers; required. Gives how many, 0 on errors.
int ph_field_list(struct ph_fields *f, const char *key, int *out, int max, int low, int high);
// One integer for all n levels, or a list of n. Booleans count as 0 and 1.
void ph_field_levels(struct ph_fields *f, const char *key, int *out, int n, int fallback,
                     int low, int high);
// A list of n texts, each one of `names` (NULL-terminated): out[i] is its index.
void ph_field_names(struct ph_fields *f, const char *key, int *out, int n,
                    const char *const *names);
// "silu", "relu", "gelu", ... as torch names them.
enum ph_act ph_field_act(struct ph_fields *f, const char *key, enum ph_act fallback);

// What no builder here knows how to do must be absent, null or false; or exactly this.
void ph_field_absent(struct ph_fields *f, const char *key);
void ph_field_only_int(struct ph_fields *f, const char *key, int value);
void ph_field_only_text(struct ph_fields *f, const char *key, const char *value);

#endif
