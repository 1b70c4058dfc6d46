// SPDX-License-Identifier: MIT
// The JSON reader; what it accepts must survive writing and reading again.
#include "core/buf.h"
#include "core/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(struct ph_buf *b, const struct ph_json *v)
{
    static const char *const open[] = { "", "", "", "", "[", "{" };
    static const char *const close[] = { "", "", "", "", "]", "}" };
    ph_buf_puts(b, open[v->type]);
    if (v->type == PH_JSON_NULL) ph_buf_puts(b, "null");
    if (v->type == PH_JSON_BOOL) ph_buf_puts(b, ph_json_bool(v, false) ? "true" : "false");
    if (v->type == PH_JSON_NUMBER) ph_buf_puts(b, v->text);
    if (v->type == PH_JSON_STRING) ph_json_str(b, v->text);
    int count = 0;
    for (const struct ph_json *c = v->child; c; c = c->next, count++) {
        ph_json_sep(b);
        if (c->key) ph_json_key(b, c->key);
        put(b, c);
    }
    ph_buf_puts(b, close[v->type]);
    if (count != v->count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_json_doc *doc, *again;
    struct ph_fault fault = { 0 };
    if (ph_json_parse(&doc, (const char *) data, size, 1 << 16, &fault) < 0) {
        if (doc || !fault.message[0]) abort();
        return 0;
    }
    struct ph_buf first = { 0 }, second = { 0 };
    put(&first, ph_json_root(doc));
    if (!first.failed) {
        ph_err ret = ph_json_parse(&again, first.data, first.len, 0, &fault);
        if (ret == PH_OK)
            put(&second, ph_json_root(again));
        else if (ret != PH_ENOMEM)
            abort();
        if (ret == PH_OK && !second.failed && strcmp(first.data, second.data)) abort();
        ph_json_free(&again);
    }
    ph_buf_free(&first);
    ph_buf_free(&second);
    ph_json_free(&doc);
    return 0;
}
