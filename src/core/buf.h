// SPDX-License-Identifier: MIT
// A growing text or byte buffer whose first failure sticks: append freely, check once.
#ifndef PH_CORE_BUF_H
#define PH_CORE_BUF_H

#include <phosphene/common.h>

#include <stdarg.h>

struct ph_buf {
    char *data; // NUL-terminated when not NULL
    size_t len, cap;
    bool failed; // out of memory once; later appends do nothing
};

void ph_buf_free(struct ph_buf *b);
void ph_buf_clear(struct ph_buf *b); // keeps the memory
void ph_buf_put(struct ph_buf *b, const void *bytes, size_t n);
void ph_buf_puts(struct ph_buf *b, const char *text);
void ph_buf_printf(struct ph_buf *b, const char *fmt, ...) PH_PRINTF(2, 3);
// The text, owned by the caller (free); NULL when it failed. The buffer is empty afterwards.
char *ph_buf_steal(struct ph_buf *b);

// JSON writing. `ph_json_str` quotes and escapes; invalid UTF-8 becomes U+FFFD.
void ph_json_str(struct ph_buf *b, const char *text);
void ph_json_num(struct ph_buf *b, double v); // 6 significant digits; not finite = null
// Writes `,` unless the last byte opens a container or a member, so that lists need no flag.
void ph_json_sep(struct ph_buf *b);
void ph_json_key(struct ph_buf *b, const char *key); // sep, "key":

#endif
