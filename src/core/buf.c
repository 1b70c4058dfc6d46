// SPDX-License-Identifier: MIT
#include "core/buf.h"

#include "core/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ph_buf_free(struct ph_buf *b)
{
    free(b->data);
    *b = (struct ph_buf){ 0 };
}

void ph_buf_clear(struct ph_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data) b->data[0] = 0;
}

static bool reserve(struct ph_buf *b, size_t n)
{
    if (b->failed) return false;
    if (b->data && n < b->cap - b->len) return true;
    size_t cap = b->cap ? b->cap : 256;
    while (cap - b->len <= n) cap *= 2;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void ph_buf_put(struct ph_buf *b, const void *bytes, size_t n)
{
    if (!reserve(b, n)) return;
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = 0;
}

void ph_buf_puts(struct ph_buf *b, const char *text)
{
    ph_buf_put(b, text, strlen(text));
}

void ph_buf_printf(struct ph_buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = ph_vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && reserve(b, (size_t) n)) {
        ph_vsnprintf(b->data + b->len, (size_t) n + 1, fmt, again);
        b->len += (size_t) n;
    }
    va_end(again);
}

char *ph_buf_steal(struct ph_buf *b)
{
    if (!b->data && !b->failed) ph_buf_puts(b, "");
    char *text = b->failed ? NULL : b->data;
    if (b->failed) free(b->data);
    *b = (struct ph_buf){ 0 };
    return text;
}

// Length of a well-formed UTF-8 sequence at s, 0 when it is none (RFC 3629: no surrogates, no
// overlong forms, up to U+10FFFF).
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return n;
}

void ph_json_str(struct ph_buf *b, const char *text)
{
    ph_buf_puts(b, "\"");
    for (const unsigned char *s = (const unsigned char *) text; *s;) {
        int n = utf8_length(s);
        if (!n)
            ph_buf_puts(b, "\\ufffd");
        else if (*s == '"' || *s == '\\')
            ph_buf_printf(b, "\\%c", *s);
        else if (*s == '\n')
            ph_buf_puts(b, "\\n");
        else if (*s < 0x20 || *s == 0x7f)
            ph_buf_printf(b, "\\u%04x", *s);
        else
            ph_buf_put(b, s, (size_t) n);
        s += n ? n : 1;
    }
    ph_buf_puts(b, "\"");
}

void ph_json_num(struct ph_buf *b, double v)
{
    if (isfinite(v))
        ph_buf_printf(b, "%.6g", v);
    else
        ph_buf_puts(b, "null");
}

void ph_json_sep(struct ph_buf *b)
{
    if (!b->len) return;
    char last = b->data[b->len - 1];
    if (last != '{' && last != '[' && last != ':' && last != ',') ph_buf_puts(b, ",");
}

void ph_json_key(struct ph_buf *b, const char *key)
{
    ph_json_sep(b);
    ph_json_str(b, key);
    ph_buf_puts(b, ":");
}
