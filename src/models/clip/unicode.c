// SPDX-License-Identifier: MIT
#include "models/clip/unicode.h"

#include <stdlib.h>
#include <string.h>

// Hangul syllables are composed by arithmetic: The Unicode Standard, 3.12.
#define HANGUL_L     0x1100u
#define HANGUL_V     0x1161u
#define HANGUL_T     0x11a7u
#define HANGUL_S     0xac00u
#define HANGUL_LS    19u
#define HANGUL_VS    21u
#define HANGUL_TS    28u
#define HANGUL_COUNT (HANGUL_LS * HANGUL_VS * HANGUL_TS)

#define SIGMA       0x3a3u
#define FINAL_SIGMA 0x3c2u
#define DOTTED_I    0x130u
#define DOT_ABOVE   0x307u

int ph_utf8_get(const char *p, const char *end, uint32_t *c)
{
    const unsigned char *s = (const unsigned char *) p;
    if (s[0] < 0x80) return *c = s[0], 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (end - p < n) return 0;
    uint32_t v = s[0] & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (s[i] & 63);
    }
    if ((n == 3 && v < 0x800) || (n == 4 && (v < 0x10000 || v > 0x10ffff))) return 0;
    if (v >= 0xd800 && v <= 0xdfff) return 0;
    *c = v;
    return n;
}

int ph_utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char) c;
        return 1;
    }
    int n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = n - 1; i > 0; i--, c >>= 6) out[i] = (char) (0x80 | (c & 63));
    out[0] = (char) ((0xf00u >> n) | c);
    return n;
}

static int by_pair(const void *key, const void *entry)
{
    const struct ph_unicode_triple *k = key, *e = entry;
    if (k->a != e->a) return k->a < e->a ? -1 : 1;
    return k->b < e->b ? -1 : k->b > e->b;
}

static int by_first(const void *key, const void *entry)
{
    uint32_t a = *(const uint32_t *) key, b = ((const struct ph_unicode_triple *) entry)->a;
    return a < b ? -1 : a > b;
}

// Only the first part of a canonical pair may itself decompose, but it may be alone.
static size_t decompose(uint32_t c, uint32_t *out)
{
    if (c - HANGUL_S < HANGUL_COUNT) {
        uint32_t s = c - HANGUL_S, t = s % HANGUL_TS;
        out[0] = HANGUL_L + s / (HANGUL_VS * HANGUL_TS);
        out[1] = HANGUL_V + s % (HANGUL_VS * HANGUL_TS) / HANGUL_TS;
        out[2] = HANGUL_T + t;
        return t ? 3 : 2;
    }
    if (!ph_unicode_of(c)->decomposes) return out[0] = c, 1;
    const struct ph_unicode_triple *t =
        bsearch(&c, ph_unicode_decomposed, ph_unicode_decomposed_count, sizeof *t, by_first);
    size_t n = decompose(t->b, out);
    if (t->c) out[n++] = t->c;
    return n;
}

static bool is_in_order(const uint32_t *text, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (ph_unicode_of(text[i - 1])->combining_class >
            ph_unicode_of(text[i])->combining_class)
            return false;
    return true;
}

// A run of marks, stably by class. Counting keeps a megabyte of marks linear.
static void order_marks(uint32_t *marks, size_t n, uint32_t *scratch)
{
    if (is_in_order(marks, n)) return;
    size_t at[257] = { 0 };
    for (size_t i = 0; i < n; i++) at[ph_unicode_of(marks[i])->combining_class + 1]++;
    for (int c = 1; c < 257; c++) at[c] += at[c - 1];
    memcpy(scratch, marks, n * sizeof *marks);
    for (size_t i = 0; i < n; i++)
        marks[at[ph_unicode_of(scratch[i])->combining_class]++] = scratch[i];
}

static void order(uint32_t *text, size_t n, uint32_t *scratch)
{
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && ph_unicode_of(text[end])->combining_class) end++;
        if (end - i > 1) order_marks(text + i, end - i, scratch);
        i = end + 1;
    }
}

static uint32_t pair(uint32_t a, uint32_t b)
{
    if (a - HANGUL_L < HANGUL_LS && b - HANGUL_V < HANGUL_VS)
        return HANGUL_S + ((a - HANGUL_L) * HANGUL_VS + (b - HANGUL_V)) * HANGUL_TS;
    if (a - HANGUL_S < HANGUL_COUNT && (a - HANGUL_S) % HANGUL_TS == 0 &&
        b - HANGUL_T - 1 < HANGUL_TS - 1)
        return a + b - HANGUL_T;
    if (!ph_unicode_of(b)->composes) return 0;
    struct ph_unicode_triple key = { a, b, 0 };
    const struct ph_unicode_triple *t =
        bsearch(&key, ph_unicode_composed, ph_unicode_composed_count, sizeof key, by_pair);
    return t ? t->c : 0;
}

// UAX 15, canonical composition: a mark joins the last starter unless one of its own class, or
// another starter, stands between.
static size_t join(const uint32_t *text, size_t n, uint32_t *out)
{
    size_t written = 0, starter = SIZE_MAX;
    int last = 0;
    for (size_t i = 0; i < n; i++) {
        int class = ph_unicode_of(text[i])->combining_class;
        bool adjacent = written == starter + 1;
        if (starter != SIZE_MAX && (adjacent || (last && last < class))) {
            uint32_t whole = pair(out[starter], text[i]);
            if (whole) {
                out[starter] = whole;
                continue;
            }
        }
        if (!class) starter = written;
        last = class;
        out[written++] = text[i];
    }
    return written;
}

size_t ph_unicode_compose(uint32_t *text, size_t n, uint32_t *scratch)
{
    size_t k = 0;
    while (k < n && text[k] < 0x300) k++;
    if (k == n) return n; // nothing below decomposes for good, or combines
    size_t whole = 0;
    for (size_t i = 0; i < n; i++) whole += decompose(text[i], scratch + whole);
    order(scratch, whole, text);
    return join(scratch, whole, text);
}

static bool ends_word(const uint32_t *text, size_t n, size_t at)
{
    size_t i = at, j = at + 1;
    while (i && ph_unicode_of(text[i - 1])->casing == PH_UNICODE_IGNORABLE) i--;
    if (!i || ph_unicode_of(text[i - 1])->casing != PH_UNICODE_CASED) return false;
    while (j < n && ph_unicode_of(text[j])->casing == PH_UNICODE_IGNORABLE) j++;
    return j == n || ph_unicode_of(text[j])->casing != PH_UNICODE_CASED;
}

size_t ph_unicode_lower(const uint32_t *text, size_t n, uint32_t *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = text[i];
        if (c == SIGMA && ends_word(text, n, i)) {
            out[k++] = FINAL_SIGMA;
        } else if (c == DOTTED_I) {
            out[k++] = 'i';
            out[k++] = DOT_ABOVE;
        } else {
            out[k++] = (uint32_t) ((int32_t) c + ph_unicode_of(c)->lower);
        }
    }
    return k;
}
