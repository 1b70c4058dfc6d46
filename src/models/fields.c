// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/fields.h"

ph_err ph_field_fail(struct ph_fields *f, const char *key, const char *fmt, ...)
{
    if (f->err) return f->err;
    char message[384];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    return f->err = ph_fail(f->fault, PH_EFORMAT, key, "%s: %s: %s", f->file, key, message);
}

static const char *type_of(const struct ph_json *v)
{
    static const char *const names[] = { "null",   "a boolean", "a number",
                                         "a text", "a list",    "an object" };
    return v ? names[v->type] : "nothing";
}

// The field, or NULL when it is absent, null, or an error came before.
static const struct ph_json *get(const struct ph_fields *f, const char *key)
{
    const struct ph_json *v = f->err ? NULL : ph_json_get(f->root, key);
    return v && v->type != PH_JSON_NULL ? v : NULL;
}

static int check_int(struct ph_fields *f, const char *key, const struct ph_json *v, int low,
                     int high)
{
    if (v->type == PH_JSON_NUMBER && v->is_integer && v->integer >= low && v->integer <= high)
        return (int) v->integer;
    char got[64];
    snprintf(got, sizeof got, "%.48s", v->type == PH_JSON_NUMBER ? v->text : type_of(v));
    ph_field_fail(f, key, "expected an integer of %d to %d, got %s", low, high, got);
    return low;
}

int ph_field_int(struct ph_fields *f, const char *key, int fallback, int low, int high)
{
    const struct ph_json *v = get(f, key);
    if (v) return check_int(f, key, v, low, high);
    if (fallback >= low && fallback <= high) return fallback;
    ph_field_fail(f, key, "missing; an integer of %d to %d is required", low, high);
    return low;
}

float ph_field_number(struct ph_fields *f, const char *key, float fallback, float low,
                      float high)
{
    const struct ph_json *v = get(f, key);
    double number = v && v->type == PH_JSON_NUMBER ? v->number : fallback;
    if (v && (v->type != PH_JSON_NUMBER || !(number >= low && number <= high)))
        ph_field_fail(f, key, "expected a number of %g to %g, got %.48s", low, high,
                      v->type == PH_JSON_NUMBER ? v->text : type_of(v));
    return (float) number;
}

bool ph_field_flag(struct ph_fields *f, const char *key, bool fallback)
{
    const struct ph_json *v = get(f, key);
    if (!v) return fallback;
    if (v->type != PH_JSON_BOOL)
        ph_field_fail(f, key, "expected true or false, got %s", type_of(v));
    return ph_json_bool(v, fallback);
}

const char *ph_field_text(struct ph_fields *f, const char *key)
{
    const struct ph_json *v = get(f, key);
    if (v && v->type != PH_JSON_STRING)
        ph_field_fail(f, key, "expected a text, got %s", type_of(v));
    return ph_json_string(v, NULL);
}

int ph_field_list(struct ph_fields *f, const char *key, int *out, int max, int low, int high)
{
    const struct ph_json *v = get(f, key);
    if (!v || v->type != PH_JSON_ARRAY || v->count < 1 || v->count > max) {
        if (v && v->type == PH_JSON_ARRAY)
            ph_field_fail(f, key, "expected 1 to %d integers, got %d", max, v->count);
        else
            ph_field_fail(f, key, "expected a list of 1 to %d integers, got %s", max,
                          type_of(v));
        return 0;
    }
    int n = 0;
    for (const struct ph_json *item = v->child; item; item = item->next)
        out[n++] = check_int(f, key, item, low, high);
    return f->err ? 0 : n;
}

// Items of a list of exactly n; NULL and a fault otherwise.
static const struct ph_json *items(struct ph_fields *f, const char *key,
                                   const struct ph_json *v, int n)
{
    if (v->type == PH_JSON_ARRAY && v->count == n) return v->child;
    if (v->type == PH_JSON_ARRAY)
        ph_field_fail(f, key, "has %d values, but there are %d levels", v->count, n);
    else
        ph_field_fail(f, key, "expected a list of %d values, got %s", n, type_of(v));
    return NULL;
}

static int level_of(struct ph_fields *f, const char *key, const struct ph_json *v, int low,
                    int high)
{
    if (v->type == PH_JSON_BOOL && low == 0) return ph_json_bool(v, false);
    return check_int(f, key, v, low, high);
}

void ph_field_levels(struct ph_fields *f, const char *key, int *out, int n, int fallback,
                     int low, int high)
{
    const struct ph_json *v = get(f, key);
    bool one = !v || v->type != PH_JSON_ARRAY;
    if (!v && (fallback < low || fallback > high))
        ph_field_fail(f, key, "missing; an integer, or one for each level, is required");
    int all = v && one ? level_of(f, key, v, low, high) : fallback;
    for (int i = 0; i < n; i++) out[i] = all;
    if (one) return;
    const struct ph_json *item = items(f, key, v, n);
    for (int i = 0; item; item = item->next) out[i++] = level_of(f, key, item, low, high);
}

static int index_of(const char *const *names, const struct ph_json *v)
{
    const char *text = ph_json_string(v, "");
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0) return i;
    return -1;
}

void ph_field_names(struct ph_fields *f, const char *key, int *out, int n,
                    const char *const *names)
{
    memset(out, 0, sizeof *out * (size_t) n);
    const struct ph_json *v = get(f, key);
    if (!v) {
        ph_field_fail(f, key, "missing; a list of %d names is required", n);
        return;
    }
    const struct ph_json *item = items(f, key, v, n);
    for (int i = 0; item && !f->err; item = item->next, i++) {
        out[i] = index_of(names, item);
        if (out[i] >= 0) continue;
        char known[256] = "";
        for (int k = 0; names[k]; k++) {
            size_t len = strlen(known);
            snprintf(known + len, sizeof known - len, "%s%s", k ? ", " : "", names[k]);
        }
        ph_field_fail(f, key, "\"%.60s\" is not supported; known: %s",
                      ph_json_string(item, type_of(item)), known);
        out[i] = 0;
    }
}

enum ph_act ph_field_act(struct ph_fields *f, const char *key, enum ph_act fallback)
{
    static const struct {
        const char *name;
        enum ph_act act;
    } acts[] = { { "silu", PH_ACT_SILU },
                 { "swish", PH_ACT_SILU },
                 { "relu", PH_ACT_RELU },
                 { "gelu", PH_ACT_GELU },
                 { "gelu_new", PH_ACT_GELU_TANH },
                 { "gelu_pytorch_tanh", PH_ACT_GELU_TANH },
                 { "quick_gelu", PH_ACT_QUICK_GELU } };
    const char *text = ph_field_text(f, key);
    if (!text) return fallback;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(acts[i].name, text) == 0) return acts[i].act;
    ph_field_fail(f, key, "activation \"%.60s\" is not supported", text);
    return fallback;
}

void ph_field_absent(struct ph_fields *f, const char *key)
{
    const struct ph_json *v = get(f, key);
    if (v && !(v->type == PH_JSON_BOOL && !ph_json_bool(v, true)))
        ph_field_fail(f, key, "this variant is not supported; expected null");
}

void ph_field_only_int(struct ph_fields *f, const char *key, int value)
{
    const struct ph_json *v = get(f, key);
    if (v && (v->type != PH_JSON_NUMBER || v->number != value))
        ph_field_fail(f, key, "only %d is supported, got %.48s", value,
                      v->type == PH_JSON_NUMBER ? v->text : type_of(v));
}

void ph_field_only_text(struct ph_fields *f, const char *key, const char *value)
{
    const struct ph_json *v = get(f, key);
    if (v && strcmp(ph_json_string(v, ""), value) != 0)
        ph_field_fail(f, key, "only \"%s\" is supported, got \"%.60s\"", value,
                      ph_json_string(v, type_of(v)));
}
