// SPDX-License-Identifier: MIT
#include "models/clip/tokenizer_priv.h"
#include "models/clip/unicode.h"

#include "core/json.h"
#include "core/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX  (16u << 20)
#define ADDED_MAX 4096
// The reference reads this many pairs, however many there are: 49152 ids less two alphabets and
// two special tokens, and one.
#define MERGES_MAX 48894

#define VOCAB   "vocab.json"
#define MERGES  "merges.txt"
#define SPECIAL "special_tokens_map.json"
#define CONFIG  "tokenizer_config.json"
#define ADDED   "added_tokens.json"

struct name {
    const char *text;
    uint32_t len, hash;
    uint32_t symbol;
};

struct loader {
    const struct ph_clip_texts *texts;
    const char *folder; // "" from memory, else it ends in '/'
    struct ph_fault *fault;
    struct ph_clip_tokenizer *t;
    struct ph_json_doc *vocab, *special, *config, *added;
    struct name *names; // of symbols: open addressing, text NULL = free
    uint32_t names_mask;
    uint8_t *taken;        // by id
    char bytes[2][256][8]; // what stands for a byte in the files, inside a word and at its end
};

static ph_err broken(struct loader *l, const char *file, const char *fmt, ...) PH_PRINTF(3, 4);

static ph_err broken(struct loader *l, const char *file, const char *fmt, ...)
{
    char what[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return ph_fail(l->fault, PH_EFORMAT, file, "%s%s: %s", l->folder, file, what);
}

static ph_err no_memory(struct loader *l, const char *file)
{
    return ph_fail(l->fault, PH_ENOMEM, file, "%s%s: out of memory", l->folder, file);
}

static const char *type_name(const struct ph_json *v)
{
    static const char *const names[] = { "null",   "true or false", "a number",
                                         "a text", "a list",        "an object" };
    return v ? names[v->type] : "nothing";
}

static ph_err read_json(struct loader *l, const char *file, const struct ph_clip_text *text,
                        struct ph_json_doc **doc)
{
    struct ph_fault fault = { 0 };
    if (!text->text) return PH_OK;
    ph_err ret = ph_json_parse(doc, text->text, text->len, FILE_MAX, &fault);
    if (ret < 0)
        return ph_fail(l->fault, ret, file, "%s%s: %s", l->folder, file, fault.message);
    const struct ph_json *root = ph_json_root(*doc);
    if (root->type == PH_JSON_OBJECT) return PH_OK;
    return broken(l, file, "an object is wanted, this is %s", type_name(root));
}

// ---------------------------------------------------------------------------- vocabulary

static uint32_t hash_of(const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char) text[i]) * 0x100000001b3u;
    return (uint32_t) (h ^ h >> 32);
}

// The slot that has this name, or a free one.
static struct name *name_slot(const struct loader *l, const char *text, size_t len)
{
    uint32_t hash = hash_of(text, len), at = hash & l->names_mask;
    for (;; at = (at + 1) & l->names_mask) {
        struct name *n = &l->names[at];
        if (!n->text) return n->hash = hash, n;
        if (n->hash == hash && n->len == len && !memcmp(n->text, text, len)) return n;
    }
}

static uint32_t symbol_of(const struct loader *l, const char *text, size_t len)
{
    const struct name *n = name_slot(l, text, len);
    return n->text ? n->symbol : UINT32_MAX;
}

static uint32_t token_of(const struct loader *l, const char *text)
{
    uint32_t symbol = symbol_of(l, text, strlen(text));
    return symbol < PH_CLIP_IDS_MAX ? symbol : UINT32_MAX;
}

static void name_add(struct loader *l, const char *text, uint32_t symbol)
{
    size_t len = strlen(text);
    struct name *n = name_slot(l, text, len);
    n->text = text, n->len = (uint32_t) len, n->symbol = symbol;
}

static uint32_t power_above(uint32_t n)
{
    uint32_t size = 16;
    while (size < n) size *= 2;
    return size;
}

static ph_err check_id(struct loader *l, const char *file, const char *token,
                       const struct ph_json *v)
{
    if (v->type != PH_JSON_NUMBER || !v->is_integer)
        return broken(l, file, "\"%.60s\": the id must be a whole number, this is %s", token,
                      type_name(v));
    if (v->integer < 0 || v->integer >= PH_CLIP_IDS_MAX)
        return broken(l, file, "\"%.60s\": the id must be 0 to %u, this is %s", token,
                      PH_CLIP_IDS_MAX - 1, v->text);
    return PH_OK;
}

static const char *token_with(const struct loader *l, int64_t id)
{
    const struct ph_json *v = ph_json_root(l->vocab)->child;
    while (v && v->integer != id) v = v->next;
    return v ? v->key : "";
}

static ph_err load_vocab(struct loader *l)
{
    struct ph_clip_tokenizer *t = l->t;
    ph_err ret = read_json(l, VOCAB, &l->texts->vocab, &l->vocab);
    if (ret < 0) return ret;
    const struct ph_json *root = ph_json_root(l->vocab);
    if (!root->count) return broken(l, VOCAB, "it has no tokens");
    l->names_mask = power_above(2 * ((uint32_t) root->count + 512)) - 1;
    l->names = calloc((size_t) l->names_mask + 1, sizeof *l->names);
    l->taken = calloc(PH_CLIP_IDS_MAX, 1);
    if (!l->names || !l->taken) return no_memory(l, VOCAB);
    for (const struct ph_json *v = root->child; v; v = v->next) {
        if ((ret = check_id(l, VOCAB, v->key, v)) < 0) return ret;
        if (l->taken[v->integer])
            return broken(l, VOCAB, "\"%.60s\" and \"%.60s\" have one id, %s",
                          token_with(l, v->integer), v->key, v->text);
        l->taken[v->integer] = 1;
        if (t->size <= v->integer) t->size = (uint32_t) v->integer + 1;
        name_add(l, v->key, (uint32_t) v->integer);
    }
    return PH_OK;
}

// ---------------------------------------------------------------------------- merges

// The files write a byte as a visible character (openai/CLIP, simple_tokenizer.py,
// bytes_to_unicode): itself, or the next of U+0100 and up. The last of a word ends in "</w>".
static void name_bytes(struct loader *l)
{
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; b++) {
        bool visible = (b > 0x20 && b < 0x7f) || (b > 0xa0 && b != 0xad);
        int len = ph_utf8_put(l->bytes[0][b], visible ? b : next++);
        memcpy(l->bytes[1][b], l->bytes[0][b], (size_t) len);
        memcpy(l->bytes[1][b] + len, "</w>", 5);
    }
}

// A byte that the vocabulary lacks may still be merged; left alone it becomes the unknown token.
static void load_alphabet(struct loader *l)
{
    uint32_t next = PH_CLIP_IDS_MAX;
    name_bytes(l);
    for (int last = 0; last < 2; last++)
        for (int b = 0; b < 256; b++) {
            const char *text = l->bytes[last][b];
            uint32_t symbol = symbol_of(l, text, strlen(text));
            if (symbol == UINT32_MAX) name_add(l, text, symbol = next++);
            l->t->symbols[last][b] = symbol;
        }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

// The next word of a line; false at its end.
static bool next_word(const char **p, const char *end, const char **word, size_t *len)
{
    while (*p < end && is_blank(**p)) ++*p;
    *word = *p;
    while (*p < end && !is_blank(**p)) ++*p;
    *len = (size_t) (*p - *word);
    return *len > 0;
}

static void merge_add(struct ph_clip_tokenizer *t, uint32_t left, uint32_t right,
                      uint32_t whole, uint32_t rank)
{
    uint32_t at = ph_clip_merge_slot(left, right) & t->merge_mask;
    struct ph_clip_merge *m = &t->merges[at];
    while (m->rank != PH_CLIP_NO_RANK && (m->left != left || m->right != right)) {
        at = (at + 1) & t->merge_mask;
        m = &t->merges[at];
    }
    *m = (struct ph_clip_merge){ left, right, whole, rank }; // of two, the later, as there
}

static ph_err load_merge(struct loader *l, const char *p, const char *end, int line)
{
    const char *word[3] = { p, p, p };
    size_t len[3] = { 0 };
    uint32_t symbol[3];
    char whole[1024];
    int n = 0;
    while (n < 3 && next_word(&p, end, &word[n], &len[n])) n++;
    if (n != 2)
        return broken(l, MERGES, "line %d: two symbols are wanted, there %s", line,
                      n == 0   ? "are none"
                      : n == 1 ? "is one"
                               : "are more");
    if (len[0] + len[1] > sizeof whole)
        return broken(l, MERGES, "line %d: longer than %zu bytes", line, sizeof whole);
    memcpy(whole, word[0], len[0]);
    memcpy(whole + len[0], word[1], len[1]);
    word[2] = whole, len[2] = len[0] + len[1];
    for (int i = 0; i < 3; i++) {
        symbol[i] = symbol_of(l, word[i], len[i]);
        if (symbol[i] == UINT32_MAX)
            return broken(l, MERGES, "line %d: \"%.*s\" is not in " VOCAB, line,
                          (int) (len[i] > 60 ? 60 : len[i]), word[i]);
    }
    merge_add(l->t, symbol[0], symbol[1], symbol[2], (uint32_t) line);
    return PH_OK;
}

static const char *line_end(const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t) (end - p));
    return nl ? nl : end;
}

static uint32_t count_lines(const char *p, const char *end)
{
    uint32_t n = 1;
    for (; p < end; p++) n += *p == '\n';
    return n;
}

static ph_err load_merges(struct loader *l)
{
    struct ph_clip_tokenizer *t = l->t;
    const char *p = l->texts->merges.text, *end = p + l->texts->merges.len, *stop;
    int line = 1, count = 0;
    while (p < end && is_blank(end[-1])) end--;
    for (; p < end && is_blank(*p); p++) line += *p == '\n';
    uint32_t lines = count_lines(p, end);
    t->merge_mask = power_above((lines < MERGES_MAX ? lines : MERGES_MAX) * 4 / 3 + 1) - 1;
    t->merges = ph_new(t, struct ph_clip_merge, (size_t) t->merge_mask + 1);
    if (!t->merges) return no_memory(l, MERGES);
    for (uint32_t i = 0; i <= t->merge_mask; i++) t->merges[i].rank = PH_CLIP_NO_RANK;
    for (p = line_end(p, end); p < end && count < MERGES_MAX; p = stop, count++) {
        stop = line_end(++p, end);
        ph_err ret = load_merge(l, p, stop, ++line);
        if (ret < 0) return ret;
    }
    if (!count)
        return broken(l, MERGES,
                      "it has no merges; wanted are a first line such as "
                      "\"#version: 0.2\" and one pair a line");
    return PH_OK;
}

// ---------------------------------------------------------------------------- special tokens

static int find_added(const struct ph_clip_tokenizer *t, const char *text)
{
    for (int i = 0; i < t->added_count; i++)
        if (!strcmp(t->added[i].text, text)) return i;
    return -1;
}

static ph_err add(struct loader *l, const char *file, const char *text, int32_t id,
                  bool single_word)
{
    struct ph_clip_tokenizer *t = l->t;
    struct ph_clip_added one = { NULL, strlen(text), id, single_word };
    if (!one.len) return broken(l, file, "an added token is empty");
    if (find_added(t, text) >= 0) return PH_OK;
    if (t->added_count == ADDED_MAX)
        return broken(l, file, "more than %d added tokens", ADDED_MAX);
    if (!(one.text = ph_tree_text(t, text, one.len)) ||
        !ph_append(t, t->added, t->added_count, one))
        return no_memory(l, file);
    return PH_OK;
}

// A token that is added at an id of its own, or named again at the one it has.
static ph_err add_at(struct loader *l, const char *file, const char *text, int64_t id,
                     bool single_word)
{
    uint32_t has = token_of(l, text);
    if (has != UINT32_MAX && has != id)
        return broken(l, file, "\"%.60s\" is to be %lld, but is %u in " VOCAB, text,
                      (long long) id, has);
    if (has == UINT32_MAX && l->taken[id])
        return broken(l, file, "\"%.60s\" is to be %lld, which is another token's", text,
                      (long long) id);
    l->taken[id] = 1;
    if (l->t->size <= id) l->t->size = (uint32_t) id + 1;
    return add(l, file, text, (int32_t) id, single_word);
}

static const char *content(const struct ph_json *v)
{
    const struct ph_json *text = v && v->type == PH_JSON_OBJECT ? ph_json_get(v, "content") : v;
    return ph_json_string(text, NULL);
}

static ph_err load_decoder(struct loader *l, const struct ph_json *decoder)
{
    if (decoder->type != PH_JSON_OBJECT)
        return broken(l, CONFIG, "added_tokens_decoder: an object is wanted, this is %s",
                      type_name(decoder));
    for (const struct ph_json *v = decoder->child; v; v = v->next) {
        char *end;
        errno = 0;
        long id = strtol(v->key, &end, 10);
        if (errno || *end || end == v->key || id < 0 || id >= (long) PH_CLIP_IDS_MAX)
            return broken(l, CONFIG, "added_tokens_decoder: \"%.60s\" is no id", v->key);
        if (v->type != PH_JSON_OBJECT || !content(v))
            return broken(l, CONFIG,
                          "added_tokens_decoder.%ld: an object with a \"content\" is "
                          "wanted",
                          id);
        bool single = ph_json_bool(ph_json_get(v, "single_word"), false);
        ph_err ret = add_at(l, CONFIG, content(v), id, single);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

static ph_err load_added(struct loader *l)
{
    ph_err ret = read_json(l, ADDED, &l->texts->added_tokens, &l->added);
    if (ret < 0 || !l->added) return ret;
    for (const struct ph_json *v = ph_json_root(l->added)->child; v; v = v->next) {
        if ((ret = check_id(l, ADDED, v->key, v)) < 0) return ret;
        if ((ret = add_at(l, ADDED, v->key, v->integer, false)) < 0) return ret;
    }
    return PH_OK;
}

static ph_err add_special(struct loader *l, const char *file, const char *field,
                          const struct ph_json *v, const char *text, int32_t *id)
{
    struct ph_clip_tokenizer *t = l->t;
    int at = find_added(t, text);
    uint32_t has = at >= 0 ? (uint32_t) t->added[at].id : token_of(l, text);
    if (has == UINT32_MAX)
        return broken(l, file, "%s: \"%.60s\" is not in " VOCAB, field, text);
    if (id) *id = (int32_t) has;
    return add(l, file, text, (int32_t) has,
               ph_json_bool(ph_json_get(v, "single_word"), false));
}

// The member of the file that counts: special_tokens_map over tokenizer_config, where it is read.
static const struct ph_json *special(const struct loader *l, const char *field,
                                     const char **file)
{
    const struct ph_json *v = l->special ? ph_json_get(ph_json_root(l->special), field) : NULL;
    *file = v ? SPECIAL : CONFIG;
    return v || !l->config ? v : ph_json_get(ph_json_root(l->config), field);
}

static ph_err load_special(struct loader *l, const char *field, const char *fallback,
                           int32_t *id)
{
    const char *file, *text = fallback;
    const struct ph_json *v = special(l, field, &file);
    if (v && !(v->type == PH_JSON_NULL && !fallback)) {
        text = content(v);
        if (!text || !*text)
            return broken(l, file,
                          "%s: a token or an object with a \"content\" is wanted, this "
                          "is %s",
                          field, text ? "empty" : type_name(v));
    }
    return text ? add_special(l, v ? file : VOCAB, field, v, text, id) : PH_OK;
}

static ph_err load_additional(struct loader *l)
{
    static const char field[] = "additional_special_tokens";
    const char *file;
    const struct ph_json *list = special(l, field, &file);
    if (!list || list->type == PH_JSON_NULL) return PH_OK;
    if (list->type != PH_JSON_ARRAY)
        return broken(l, file, "%s: a list is wanted, this is %s", field, type_name(list));
    for (const struct ph_json *v = list->child; v; v = v->next) {
        const char *text = content(v);
        if (!text)
            return broken(l, file, "%s: tokens are wanted, one is %s", field, type_name(v));
        ph_err ret = add_special(l, file, field, v, text, NULL);
        if (ret < 0) return ret;
    }
    return PH_OK;
}

static ph_err load_length(struct loader *l, const struct ph_json *v)
{
    if (!v || v->type == PH_JSON_NULL) return PH_OK;
    if (v->type != PH_JSON_NUMBER || v->number < 2)
        return broken(l, CONFIG,
                      "model_max_length: a number of at least 2 is wanted, this is %s",
                      v->type == PH_JSON_NUMBER ? v->text : type_name(v));
    // Configurations write 10^30 for "no limit".
    if (v->number < INT_MAX) l->t->length = (int) v->number;
    return PH_OK;
}

static ph_err load_config(struct loader *l)
{
    ph_err ret = read_json(l, CONFIG, &l->texts->tokenizer_config, &l->config);
    if (ret < 0 || !l->config) return ret;
    const struct ph_json *root = ph_json_root(l->config);
    const struct ph_json *class = ph_json_get(root, "tokenizer_class");
    const char *name = ph_json_string(class, NULL);
    if (class && class->type != PH_JSON_NULL && !name)
        return broken(l, CONFIG, "tokenizer_class: a text is wanted, this is %s",
                      type_name(class));
    if (name && strcmp(name, "CLIPTokenizer") && strcmp(name, "CLIPTokenizerFast"))
        return ph_fail(l->fault, PH_ENOTSUP, CONFIG,
                       "%s" CONFIG
                       ": tokenizer_class is \"%.60s\", wanted is \"CLIPTokenizer\"",
                       l->folder, name);
    return load_length(l, ph_json_get(root, "model_max_length"));
}

static ph_err load_specials(struct loader *l)
{
    static const char *const others[] = { "sep_token", "cls_token", "mask_token" };
    struct ph_clip_tokenizer *t = l->t;
    ph_err ret = load_config(l);
    if (ret < 0) return ret;
    const struct ph_json *decoder =
        l->config ? ph_json_get(ph_json_root(l->config), "added_tokens_decoder") : NULL;
    if (decoder) {
        PH_TRY(load_decoder(l, decoder));
    } else {
        PH_TRY(read_json(l, SPECIAL, &l->texts->special_tokens_map, &l->special));
        PH_TRY(load_added(l));
    }
    PH_TRY(load_special(l, "bos_token", PH_CLIP_BEGIN, &t->begin));
    PH_TRY(load_special(l, "eos_token", PH_CLIP_END, &t->end));
    PH_TRY(load_special(l, "unk_token", PH_CLIP_END, &t->unknown));
    PH_TRY(load_special(l, "pad_token", PH_CLIP_END, &t->pad));
    for (int i = 0; i < 3; i++) PH_TRY(load_special(l, others[i], NULL, NULL));
    PH_TRY(load_additional(l));
    return PH_OK;
fail:
    return ret;
}

// ---------------------------------------------------------------------------- all together

static int by_first_and_length(const void *a, const void *b)
{
    const struct ph_clip_added *x = a, *y = b;
    int first = (unsigned char) x->text[0] - (unsigned char) y->text[0];
    if (first) return first;
    return x->len < y->len ? 1 : x->len > y->len ? -1 : strcmp(x->text, y->text);
}

static void finish(struct loader *l)
{
    struct ph_clip_tokenizer *t = l->t;
    uint32_t begin = token_of(l, PH_CLIP_BEGIN), end = token_of(l, PH_CLIP_END);
    t->pattern_begin = begin == UINT32_MAX ? t->unknown : (int32_t) begin;
    t->pattern_end = end == UINT32_MAX ? t->unknown : (int32_t) end;
    qsort(t->added, (size_t) t->added_count, sizeof *t->added, by_first_and_length);
    for (int c = 0, i = 0; c <= 256; c++) {
        while (i < t->added_count && (unsigned char) t->added[i].text[0] < c) i++;
        t->added_at[c] = (uint16_t) i;
    }
}

static ph_err load(struct loader *l)
{
    ph_err ret;
    if (!(l->t = ph_new(NULL, struct ph_clip_tokenizer, 1))) return no_memory(l, VOCAB);
    if (!l->texts->vocab.text || !l->texts->merges.text) {
        const char *file = l->texts->vocab.text ? MERGES : VOCAB;
        return ph_fail(l->fault, PH_ENOENT, file,
                       "%s%s: not found; a CLIP tokenizer is " VOCAB " and " MERGES, l->folder,
                       file);
    }
    if ((ret = load_vocab(l)) < 0) return ret;
    load_alphabet(l);
    if ((ret = load_merges(l)) < 0 || (ret = load_specials(l)) < 0) return ret;
    finish(l);
    return PH_OK;
}

static ph_err parse(const struct ph_clip_texts *texts, const char *folder,
                    struct ph_clip_tokenizer **out, struct ph_fault *fault)
{
    struct loader l = { .texts = texts, .folder = folder, .fault = fault };
    ph_err ret = load(&l);
    ph_json_free(&l.vocab);
    ph_json_free(&l.special);
    ph_json_free(&l.config);
    ph_json_free(&l.added);
    free(l.names);
    free(l.taken);
    if (ret < 0) ph_clip_tokenizer_destroy(&l.t);
    *out = l.t;
    return ret;
}

ph_err ph_clip_tokenizer_parse(const struct ph_clip_texts *texts,
                               struct ph_clip_tokenizer **out, struct ph_fault *fault)
{
    return parse(texts, "", out, fault);
}

static ph_err read_all(int fd, const char *path, const char *file, char **text, size_t *len,
                       struct ph_fault *fault)
{
    struct stat info;
    size_t n = 0;
    if (fstat(fd, &info)) return ph_fail(fault, PH_EIO, file, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return ph_fail(fault, PH_EIO, file, "%s: not a file", path);
    if (info.st_size > FILE_MAX)
        return ph_fail(fault, PH_ELIMIT, file, "%s: at most %u bytes, it has %lld", path,
                       FILE_MAX, (long long) info.st_size);
    char *all = malloc((size_t) info.st_size + 1);
    if (!all) return ph_fail(fault, PH_ENOMEM, file, "%s: out of memory", path);
    while (n < (size_t) info.st_size) {
        ssize_t got = read(fd, all + n, (size_t) info.st_size - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t) got;
    }
    *text = all, *len = n;
    if (n == (size_t) info.st_size) return PH_OK;
    return ph_fail(fault, PH_EIO, file, "%s: only %zu of %lld bytes could be read", path, n,
                   (long long) info.st_size);
}

// A file that is not there stays NULL.
static ph_err read_file(const char *folder, const char *file, struct ph_clip_text *text,
                        struct ph_fault *fault)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s%s", folder, file) >= (int) sizeof path)
        return ph_fail(fault, PH_EINVAL, file, "the path of %s is too long", file);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return PH_OK;
    if (fd < 0) return ph_fail(fault, PH_EIO, file, "%s: %s", path, strerror(errno));
    char *all = NULL;
    ph_err ret = read_all(fd, path, file, &all, &text->len, fault);
    text->text = all;
    close(fd);
    return ret;
}

ph_err ph_clip_tokenizer_open(const char *folder, struct ph_clip_tokenizer **out,
                              struct ph_fault *fault)
{
    struct ph_clip_texts texts = { 0 };
    const struct {
        const char *file;
        struct ph_clip_text *text;
    } files[] = { { VOCAB, &texts.vocab },
                  { MERGES, &texts.merges },
                  { SPECIAL, &texts.special_tokens_map },
                  { CONFIG, &texts.tokenizer_config },
                  { ADDED, &texts.added_tokens } };
    const size_t count = sizeof files / sizeof *files;
    ph_err ret = PH_OK;
    *out = NULL;
    char *prefix = ph_tree_printf(NULL, "%s/", folder);
    if (!prefix) return ph_fail(fault, PH_ENOMEM, "tokenizer", "%s: out of memory", folder);
    for (size_t i = 0; i < count && ret == PH_OK; i++)
        ret = read_file(prefix, files[i].file, files[i].text, fault);
    if (ret == PH_OK) ret = parse(&texts, prefix, out, fault);
    for (size_t i = 0; i < count; i++) free((char *) files[i].text->text);
    ph_tree_free(prefix);
    return ret;
}
