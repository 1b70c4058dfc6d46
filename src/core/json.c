// SPDX-License-Identifier: MIT
#include "core/json.h"

#include "core/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH     64
#define DEFAULT_LIMIT (16u << 20)

// Nodes and texts live in chunks that grow by doubling: a document is a handful of allocations.
struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
};

struct ph_json_doc {
    struct chunk *chunks;
    struct ph_json root;
};

struct parser {
    const char *start, *p, *end;
    struct ph_json_doc *doc;
    struct ph_fault *fault;
    int depth;
};

static void *take(struct ph_json_doc *doc, size_t n)
{
    n = (n + 15) & ~(size_t) 15;
    struct chunk *c = doc->chunks;
    if (!c || c->size - c->used < n) {
        size_t size = c ? c->size * 2 : 4096;
        if (size > (1u << 20)) size = 1u << 20;
        if (size < n) size = n;
        struct chunk *fresh = malloc(sizeof *fresh + size);
        if (!fresh) return NULL;
        *fresh = (struct chunk){ .next = c, .size = size };
        doc->chunks = c = fresh;
    }
    void *mem = c->data + c->used;
    c->used += n;
    return mem;
}

static ph_err fail(struct parser *s, const char *what)
{
    int line = 1, column = 1;
    for (const char *q = s->start; q < s->p; q++) {
        column = *q == '\n' ? 1 : column + 1;
        line += *q == '\n';
    }
    ph_fail(s->fault, PH_EFORMAT, "json", "%s at line %d, column %d", what, line, column);
    if (s->fault) s->fault->line = line, s->fault->column = column;
    return PH_EFORMAT;
}

static ph_err no_memory(struct parser *s)
{
    return ph_fail(s->fault, PH_ENOMEM, "json", "out of memory");
}

static void skip_space(struct parser *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static int hex4(struct parser *s)
{
    int v = 0;
    if (s->end - s->p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = *s->p++;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

static char *put_utf8(char *o, unsigned c)
{
    if (c < 0x80) {
        *o++ = (char) c;
    } else if (c < 0x800) {
        *o++ = (char) (0xc0 | c >> 6);
        *o++ = (char) (0x80 | (c & 63));
    } else if (c < 0x10000) {
        *o++ = (char) (0xe0 | c >> 12);
        *o++ = (char) (0x80 | (c >> 6 & 63));
        *o++ = (char) (0x80 | (c & 63));
    } else {
        *o++ = (char) (0xf0 | c >> 18);
        *o++ = (char) (0x80 | (c >> 12 & 63));
        *o++ = (char) (0x80 | (c >> 6 & 63));
        *o++ = (char) (0x80 | (c & 63));
    }
    return o;
}

// After a backslash. Writes at most 4 bytes for at least 2 of source.
static char *unescape(struct parser *s, char *o)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = s->p < s->end ? *s->p++ : 0;
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        *o++ = to[simple - from];
        return o;
    }
    if (c != 'u') return NULL;
    int hi = hex4(s);
    if (hi <= 0 || (hi >= 0xdc00 && hi <= 0xdfff)) return NULL; // NUL and lone low halves
    if (hi < 0xd800 || hi > 0xdbff) return put_utf8(o, (unsigned) hi);
    if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u') return NULL;
    s->p += 2;
    int lo = hex4(s);
    if (lo < 0xdc00 || lo > 0xdfff) return NULL;
    return put_utf8(o, 0x10000 + (((unsigned) hi & 0x3ff) << 10) + ((unsigned) lo & 0x3ff));
}

// Length of the well-formed UTF-8 sequence at p, 0 for none.
static int utf8_at(const unsigned char *p, const unsigned char *end)
{
    unsigned c = p[0];
    int n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || end - p < n) return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f)) return 0;
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

// Finds the closing quote, so that the text can be taken in one piece.
static const char *closing_quote(struct parser *s)
{
    for (const char *q = s->p; q < s->end; q++) {
        if (*q == '"') return q;
        if (*q == '\\') q++;
    }
    return NULL;
}

static ph_err parse_string(struct parser *s, const char **text, size_t *len)
{
    s->p++;
    const char *close = closing_quote(s);
    if (!close) return fail(s, "string is not closed");
    char *out = take(s->doc, (size_t) (close - s->p) + 1), *o = out;
    if (!out) return no_memory(s);
    while (s->p < close) {
        unsigned char c = (unsigned char) *s->p;
        if (c < 0x20) return fail(s, "control character in a string");
        if (c == '\\') {
            s->p++;
            if (!(o = unescape(s, o))) return fail(s, "bad escape in a string");
        } else if (c < 0x80) {
            *o++ = *s->p++;
        } else {
            int n = utf8_at((const unsigned char *) s->p, (const unsigned char *) close);
            if (!n) return fail(s, "bad UTF-8 in a string");
            memcpy(o, s->p, (size_t) n);
            o += n, s->p += n;
        }
    }
    s->p = close + 1;
    *o = 0;
    *text = out;
    *len = (size_t) (o - out);
    return PH_OK;
}

static size_t digits(struct parser *s)
{
    size_t n = 0;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') s->p++, n++;
    return n;
}

static ph_err parse_number(struct parser *s, struct ph_json *v)
{
    const char *begin = s->p;
    bool whole = true;
    if (s->p < s->end && *s->p == '-') s->p++;
    bool zero = s->p < s->end && *s->p == '0';
    size_t n = digits(s);
    if (!n || (zero && n > 1)) return fail(s, "bad number");
    if (s->p < s->end && *s->p == '.') {
        whole = false, s->p++;
        if (!digits(s)) return fail(s, "digits are missing after the point");
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        whole = false, s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
        if (!digits(s)) return fail(s, "digits are missing in the exponent");
    }
    v->len = (size_t) (s->p - begin);
    char *text = take(s->doc, v->len + 1);
    if (!text) return no_memory(s);
    memcpy(text, begin, v->len);
    text[v->len] = 0;
    v->type = PH_JSON_NUMBER;
    v->text = text;
    v->number = ph_strtod(text, NULL);
    if (!isfinite(v->number)) return fail(s, "number is too large");
    errno = 0;
    v->integer = whole ? strtoll(text, NULL, 10) : 0;
    v->is_integer = whole && !errno;
    return PH_OK;
}

static ph_err parse_value(struct parser *s, struct ph_json *v);

static ph_err parse_key(struct parser *s, struct ph_json *v)
{
    size_t len = 0;
    if (s->p >= s->end || *s->p != '"') return fail(s, "expected a quoted member name");
    ph_err ret = parse_string(s, &v->key, &len);
    if (ret < 0) return ret;
    skip_space(s);
    if (s->p >= s->end || *s->p != ':') return fail(s, "expected ':'");
    s->p++;
    skip_space(s);
    return PH_OK;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

// Sorting keeps this off the quadratic path for objects with many thousand members.
static ph_err check_duplicates(struct parser *s, const struct ph_json *object)
{
    if (object->count < 2) return PH_OK;
    const char **keys = malloc((size_t) object->count * sizeof *keys);
    if (!keys) return no_memory(s);
    int n = 0;
    for (const struct ph_json *c = object->child; c; c = c->next) keys[n++] = c->key;
    qsort(keys, (size_t) n, sizeof *keys, by_key);
    const char *twice = NULL;
    for (int i = 1; i < n && !twice; i++)
        if (!strcmp(keys[i - 1], keys[i])) twice = keys[i];
    free(keys);
    if (!twice) return PH_OK;
    char what[128];
    snprintf(what, sizeof what, "the member name '%.80s' comes twice", twice);
    return fail(s, what);
}

static ph_err parse_container(struct parser *s, struct ph_json *v, bool object)
{
    const struct ph_json **tail = &v->child;
    char close = object ? '}' : ']';
    v->type = object ? PH_JSON_OBJECT : PH_JSON_ARRAY;
    if (++s->depth > MAX_DEPTH) return fail(s, "nested deeper than 64");
    s->p++;
    skip_space(s);
    while (s->p >= s->end || *s->p != close) {
        struct ph_json *child = take(s->doc, sizeof *child);
        if (!child) return no_memory(s);
        *child = (struct ph_json){ 0 };
        ph_err ret = object ? parse_key(s, child) : PH_OK;
        if (ret < 0 || (ret = parse_value(s, child)) < 0) return ret;
        *tail = child;
        tail = &child->next;
        v->count++;
        skip_space(s);
        if (s->p < s->end && *s->p == close) break;
        if (s->p >= s->end || *s->p != ',') return fail(s, "expected ',' or a closing bracket");
        s->p++;
        skip_space(s);
        if (s->p < s->end && *s->p == close) return fail(s, "nothing after ','");
    }
    s->p++;
    s->depth--;
    return object ? check_duplicates(s, v) : PH_OK;
}

static ph_err parse_word(struct parser *s, struct ph_json *v)
{
    static const struct {
        const char *word;
        size_t len;
        enum ph_json_type type;
        double number;
    } words[] = { { "true", 4, PH_JSON_BOOL, 1 },
                  { "false", 5, PH_JSON_BOOL, 0 },
                  { "null", 4, PH_JSON_NULL, 0 } };
    for (size_t i = 0; i < 3; i++) {
        if ((size_t) (s->end - s->p) < words[i].len) continue;
        if (memcmp(s->p, words[i].word, words[i].len)) continue;
        s->p += words[i].len;
        v->type = words[i].type;
        v->number = words[i].number;
        return PH_OK;
    }
    return fail(s, "expected a value");
}

static ph_err parse_value(struct parser *s, struct ph_json *v)
{
    char c = s->p < s->end ? *s->p : 0;
    if (c == '{' || c == '[') return parse_container(s, v, c == '{');
    if (c == '-' || (c >= '0' && c <= '9')) return parse_number(s, v);
    if (c != '"') return parse_word(s, v);
    v->type = PH_JSON_STRING;
    return parse_string(s, &v->text, &v->len);
}

ph_err ph_json_parse(struct ph_json_doc **out, const char *text, size_t len, size_t limit,
                     struct ph_fault *fault)
{
    *out = NULL;
    if (len > (limit ? limit : DEFAULT_LIMIT))
        return ph_fail(fault, PH_ELIMIT, "json", "at most %zu bytes, got %zu",
                       limit ? limit : (size_t) DEFAULT_LIMIT, len);
    struct ph_json_doc *doc = calloc(1, sizeof *doc);
    if (!doc) return ph_fail(fault, PH_ENOMEM, "json", "out of memory");
    struct parser s = { text, text, text + len, doc, fault, 0 };
    skip_space(&s);
    ph_err ret = parse_value(&s, &doc->root);
    if (ret == PH_OK) {
        skip_space(&s);
        if (s.p < s.end) ret = fail(&s, "text after the value");
    }
    if (ret < 0) ph_json_free(&doc);
    *out = doc;
    return ret;
}

void ph_json_free(struct ph_json_doc **doc)
{
    if (!*doc) return;
    for (struct chunk *c = (*doc)->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(*doc);
    *doc = NULL;
}

const struct ph_json *ph_json_root(const struct ph_json_doc *doc)
{
    return &doc->root;
}

const struct ph_json *ph_json_get(const struct ph_json *v, const char *key)
{
    if (!v || v->type != PH_JSON_OBJECT) return NULL;
    for (const struct ph_json *c = v->child; c; c = c->next)
        if (!strcmp(c->key, key)) return c;
    return NULL;
}

const struct ph_json *ph_json_at(const struct ph_json *v, int index)
{
    if (!v || v->type != PH_JSON_ARRAY || index < 0) return NULL;
    const struct ph_json *c = v->child;
    while (c && index--) c = c->next;
    return c;
}

const char *ph_json_string(const struct ph_json *v, const char *fallback)
{
    return v && v->type == PH_JSON_STRING ? v->text : fallback;
}

double ph_json_double(const struct ph_json *v, double fallback)
{
    return v && v->type == PH_JSON_NUMBER ? v->number : fallback;
}

int64_t ph_json_int(const struct ph_json *v, int64_t fallback)
{
    return v && v->type == PH_JSON_NUMBER && v->is_integer ? v->integer : fallback;
}

bool ph_json_bool(const struct ph_json *v, bool fallback)
{
    return v && v->type == PH_JSON_BOOL ? v->number != 0 : fallback;
}
