// SPDX-License-Identifier: MIT
#include "audio/live/osc.h"

#include <string.h>

// --- reading

struct reader {
    const uint8_t *bytes;
    size_t size, at;
};

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static bool take_word(struct reader *r, uint32_t *out)
{
    if (r->size - r->at < 4) return false;
    *out = word_at(r->bytes + r->at);
    r->at += 4;
    return true;
}

static bool take_long(struct reader *r, uint64_t *out)
{
    uint32_t high, low;
    if (!take_word(r, &high) || !take_word(r, &low)) return false;
    *out = (uint64_t) high << 32 | low;
    return true;
}

// Ends with a zero and is filled up to a multiple of 4.
static const char *take_text(struct reader *r)
{
    const uint8_t *start = r->bytes + r->at;
    const uint8_t *end = memchr(start, 0, r->size - r->at);
    if (!end) return NULL;
    size_t length = ((size_t) (end - start) + 4) & ~(size_t) 3;
    if (length > r->size - r->at) return NULL;
    r->at += length;
    return (const char *) start;
}

static bool take_blob(struct reader *r)
{
    uint32_t size;
    if (!take_word(r, &size) || size > r->size - r->at) return false;
    size_t length = ((size_t) size + 3) & ~(size_t) 3;
    if (length > r->size - r->at) return false;
    r->at += length;
    return true;
}

static double float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return (double) f;
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, 8);
    return d;
}

static bool take_arg(struct reader *r, char type, struct ph_osc_arg *arg)
{
    uint32_t word = 0;
    uint64_t wide = 0;
    *arg = (struct ph_osc_arg){ .type = type, .number = type == 'T' };
    switch (type) {
    case 'i':
    case 'c':
    case 'f':
    case 'r':
    case 'm':
        if (!take_word(r, &word)) return false;
        if (type == 'f') arg->number = float_of(word);
        if (type == 'i' || type == 'c') arg->number = (double) (int32_t) word;
        return true;
    case 'h':
    case 'd':
    case 't':
        if (!take_long(r, &wide)) return false;
        if (type == 'd') arg->number = double_of(wide);
        if (type == 'h') arg->number = (double) (int64_t) wide;
        return true;
    case 's':
    case 'S': return (arg->text = take_text(r)) != NULL;
    case 'b': return take_blob(r);
    default: // T F N I have no bytes
        return true;
    }
}

static ph_err read_message(struct reader *r,
                           void (*got)(void *opaque, const struct ph_osc_message *m),
                           void *opaque)
{
    struct ph_osc_message m = { .address = take_text(r) };
    if (!m.address || m.address[0] != '/') return PH_EFORMAT;
    const char *types = r->at < r->size ? take_text(r) : ","; // old senders leave them out
    if (!types || types[0] != ',') return PH_EFORMAT;
    for (types++; *types && m.count < PH_OSC_ARGS; types++) {
        if (!strchr("ifhdctTFNIsSbrm", *types)) break;
        if (!take_arg(r, *types, &m.arg[m.count++])) return PH_EFORMAT;
    }
    got(opaque, &m);
    return PH_OK;
}

static ph_err read_packet(const uint8_t *bytes, size_t size, int depth,
                          void (*got)(void *opaque, const struct ph_osc_message *m),
                          void *opaque)
{
    struct reader r = { bytes, size, 0 };
    if (!size || size % 4) return PH_EFORMAT;
    if (size < 8 || memcmp(bytes, "#bundle", 8)) return read_message(&r, got, opaque);
    if (size < 16 || depth == PH_OSC_DEPTH) return PH_EFORMAT;
    for (r.at = 16; r.at < size;) {
        uint32_t length;
        if (!take_word(&r, &length) || length > size - r.at) return PH_EFORMAT;
        ph_err ret = read_packet(bytes + r.at, length, depth + 1, got, opaque);
        if (ret < 0) return ret;
        r.at += length;
    }
    return PH_OK;
}

ph_err ph_osc_read(const void *packet, size_t size,
                   void (*got)(void *opaque, const struct ph_osc_message *m), void *opaque)
{
    if (size > PH_OSC_MAX) return PH_EFORMAT;
    return read_packet(packet, size, 0, got, opaque);
}

// --- patterns

// "[a-z]" at p: whether it has c; *end is behind it, NULL when it is not closed.
static bool in_set(const char *p, char c, const char **end)
{
    bool not = p[1] == '!', found = false;
    const char *q = p + 1 + not ;
    for (; *q && *q != ']'; q++) {
        bool range = q[1] == '-' && q[2] && q[2] != ']';
        char last = range ? q[2] : *q;
        found |= c >= *q && c <= last;
        if (range) q += 2;
    }
    *end = *q ? q + 1 : NULL;
    return found != not ;
}

#define LONGEST_PATTERN 255

// Patterns nest nothing, so the number of ways is bounded by `fuel`: hostile ones give up.
static bool match(const char *p, const char *a, int *fuel);

static bool match_words(const char *p, const char *a, int *fuel)
{
    const char *end = strchr(p, '}');
    if (!end) return false;
    for (const char *word = p + 1; word <= end;) {
        size_t n = strcspn(word, ",}");
        if (--*fuel < 0) return false;
        if (!strncmp(word, a, n) && match(end + 1, a + n, fuel)) return true;
        word += n + 1;
    }
    return false;
}

static bool match(const char *p, const char *a, int *fuel)
{
    const char *end;
    for (; *p; a++) {
        if (--*fuel < 0) return false;
        if (*p == '{') return match_words(p, a, fuel);
        if (*p == '*') {
            while (*p == '*') p++;
            for (;; a++) {
                if (match(p, a, fuel)) return true;
                if (!*a || *a == '/' || *fuel < 0) return false;
            }
        }
        if (!*a) return false;
        if (*p == '[') {
            if (*a == '/' || !in_set(p, *a, &end) || !end) return false;
            p = end;
        } else {
            if (*p == '?' ? *a == '/' : *p != *a) return false;
            p++;
        }
    }
    return !*a;
}

bool ph_osc_match(const char *pattern, const char *address)
{
    if (strlen(pattern) > LONGEST_PATTERN) return false;
    int fuel = 5000;
    return match(pattern, address, &fuel);
}

// --- writing

static void put_word(struct ph_osc_writer *w, uint32_t v)
{
    uint8_t b[4] = { (uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8),
                     (uint8_t) v };
    memcpy(w->bytes + w->size, b, 4);
    w->size += 4;
}

static size_t padded(const char *text)
{
    return (strlen(text) + 4) & ~(size_t) 3;
}

static void put_padded(struct ph_osc_writer *w, const char *text)
{
    size_t n = padded(text);
    memset(w->bytes + w->size, 0, n);
    memcpy(w->bytes + w->size, text, strlen(text));
    w->size += n;
}

static bool in_bundle(const struct ph_osc_writer *w)
{
    return w->size >= 16 && !memcmp(w->bytes, "#bundle", 8);
}

// Room for a message of so many bytes, and its length where it is in a bundle.
static bool make_room(struct ph_osc_writer *w, size_t bytes)
{
    size_t extra = in_bundle(w) ? 4 : 0;
    if (bytes > PH_OSC_MAX || PH_OSC_MAX - w->size < bytes + extra || (!extra && w->size)) {
        w->full = true;
        return false;
    }
    if (extra) put_word(w, (uint32_t) bytes);
    return true;
}

void ph_osc_begin_bundle(struct ph_osc_writer *w)
{
    w->size = 0;
    w->full = false;
    put_padded(w, "#bundle");
    put_word(w, 0);
    put_word(w, 1);
}

void ph_osc_put_floats(struct ph_osc_writer *w, const char *address, const float *v, int count)
{
    char types[PH_OSC_ARGS + 2] = ",";
    if (count < 0 || count > PH_OSC_ARGS) count = PH_OSC_ARGS;
    memset(types + 1, 'f', (size_t) count);
    types[count + 1] = 0;
    if (!make_room(w, padded(address) + padded(types) + 4 * (size_t) count)) return;
    put_padded(w, address);
    put_padded(w, types);
    for (int i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], 4);
        put_word(w, bits);
    }
}

void ph_osc_put_text(struct ph_osc_writer *w, const char *address, const char *text)
{
    if (!make_room(w, padded(address) + padded(",s") + padded(text))) return;
    put_padded(w, address);
    put_padded(w, ",s");
    put_padded(w, text);
}
