// SPDX-License-Identifier: MIT
// What the CLIP tokenizer needs of Unicode 14.0: classes, lower case, composed normal form. The
// tables come from Python's unicodedata (tools/unicode_table.py), as the reference's do.
// Everything here is pure: thread: any.
#ifndef PH_MODELS_CLIP_UNICODE_H
#define PH_MODELS_CLIP_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ph_unicode_kind {
    PH_UNICODE_OTHER,
    PH_UNICODE_LETTER, // L*
    PH_UNICODE_NUMBER, // N*
    PH_UNICODE_SPACE,  // Z*, tab, line feed, carriage return
    PH_UNICODE_DROP,   // C* (control, format, private, unassigned) and U+FFFD
    PH_UNICODE_SKIP,   // U+0345: a mark whose capital is a letter
};

enum ph_unicode_casing { PH_UNICODE_UNCASED, PH_UNICODE_CASED, PH_UNICODE_IGNORABLE };

struct ph_unicode {
    uint8_t kind, combining_class, casing;
    uint8_t decomposes; // canonically; Hangul syllables do without the table
    uint8_t composes;   // as the second of a pair
    int32_t lower;      // to be added
};

struct ph_unicode_triple {
    uint32_t a, b, c; // decomposed: a = b c (c 0: b alone); composed: a b = c. Sorted.
};

extern const struct ph_unicode ph_unicode_records[];
extern const uint8_t ph_unicode_index[], ph_unicode_blocks[];
extern const struct ph_unicode_triple ph_unicode_decomposed[], ph_unicode_composed[];
extern const size_t ph_unicode_decomposed_count, ph_unicode_composed_count;

// c < 0x110000.
static inline const struct ph_unicode *ph_unicode_of(uint32_t c)
{
    return &ph_unicode_records[ph_unicode_blocks[ph_unicode_index[c >> 7] * 128u + (c & 127)]];
}

// One code point at p < end: its length in bytes, or 0 when the byte at p begins none (then it is
// one bad byte; surrogates and overlong forms are bad too).
int ph_utf8_get(const char *p, const char *end, uint32_t *c);
int ph_utf8_put(char *out, uint32_t c); // 1 … 4 bytes

// Room that both functions need for what n bytes of UTF-8 held. No code point becomes more than 4,
// none of two bytes more than 3, none of one byte more than itself.
#define PH_UNICODE_ROOM(bytes) (2 * (bytes))

// Composed normal form (NFC, UAX 15) in place; `scratch` has the same room. Linear in n, also for
// one letter with a million marks. Returns the new length.
size_t ph_unicode_compose(uint32_t *text, size_t n, uint32_t *scratch);

// Full lower case without language, as Python's str.lower: U+0130 becomes two, a capital sigma at
// the end of a word becomes the final one. Returns the length written.
size_t ph_unicode_lower(const uint32_t *text, size_t n, uint32_t *out);

#endif
