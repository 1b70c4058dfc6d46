// SPDX-License-Identifier: MIT
#include "models/clip/tokenizer_priv.h"
#include "models/clip/unicode.h"

#include "core/tree.h"

#include <stdlib.h>
#include <string.h>

// Words of up to this many bytes are worked on the stack.
#define SHORT_WORD  100
#define SHORT_TEXT  PH_UNICODE_ROOM(SHORT_WORD)
#define SHORT_BYTES 320

#define NONE UINT32_MAX

// A symbol of the word being merged; of a pair, `rank` is kept with its left one.
struct piece {
    uint32_t symbol, rank, prev, next;
};

struct scratch {
    uint32_t *text, *other; // code points
    char *bytes;
    struct piece *pieces;
    uint64_t *heap;   // rank << 32 | place: the next merge first
    uint32_t *merged; // places merged in this round
    void *long_text, *long_bytes;
    size_t text_room, bytes_room;
    uint32_t short_text[2][SHORT_TEXT];
    char short_bytes[SHORT_BYTES];
    struct piece short_pieces[SHORT_BYTES];
    uint64_t short_heap[2 * SHORT_BYTES];
    uint32_t short_merged[SHORT_BYTES];
};

struct encoder {
    const struct ph_clip_tokenizer *t;
    const char *text, *end;
    int32_t *ids;
    size_t room; // for tokens between begin and end
    size_t count, bad_bytes, cut_at;
    size_t word; // offset of what is being encoded
    struct scratch s;
};

static void scratch_init(struct scratch *s)
{
    s->text = s->short_text[0], s->other = s->short_text[1];
    s->bytes = s->short_bytes;
    s->pieces = s->short_pieces;
    s->heap = s->short_heap;
    s->merged = s->short_merged;
    s->long_text = s->long_bytes = NULL;
    s->text_room = SHORT_TEXT, s->bytes_room = SHORT_BYTES;
}

static void scratch_finish(struct scratch *s)
{
    free(s->long_text);
    free(s->long_bytes);
}

static ph_err want_text(struct scratch *s, size_t room)
{
    if (room <= s->text_room) return PH_OK;
    free(s->long_text);
    s->text_room = 0;
    s->long_text = malloc(2 * room * sizeof *s->text);
    if (!s->long_text) return PH_ENOMEM;
    s->text = s->long_text, s->other = s->text + room;
    s->text_room = room;
    return PH_OK;
}

// The bytes of a token, and all that merging them takes.
static ph_err want_bytes(struct scratch *s, size_t room)
{
    if (room <= s->bytes_room) return PH_OK;
    size_t each = 2 * sizeof *s->heap + sizeof *s->pieces + sizeof *s->merged + 1;
    free(s->long_bytes);
    s->bytes_room = 0;
    s->long_bytes = malloc(room * each);
    if (!s->long_bytes) return PH_ENOMEM;
    s->heap = s->long_bytes;
    s->pieces = (struct piece *) (s->heap + 2 * room);
    s->merged = (uint32_t *) (s->pieces + room);
    s->bytes = (char *) (s->merged + room);
    s->bytes_room = room;
    return PH_OK;
}

static void emit(struct encoder *e, int32_t id)
{
    if (e->count < e->room)
        e->ids[1 + e->count] = id;
    else if (e->count == e->room)
        e->cut_at = e->word;
    e->count++;
}

// ---------------------------------------------------------------------------- byte pairs

static const struct ph_clip_merge *merge_of(const struct ph_clip_tokenizer *t, uint32_t left,
                                            uint32_t right)
{
    uint32_t at = ph_clip_merge_slot(left, right) & t->merge_mask;
    for (;; at = (at + 1) & t->merge_mask) {
        const struct ph_clip_merge *m = &t->merges[at];
        if (m->rank == PH_CLIP_NO_RANK) return NULL;
        if (m->left == left && m->right == right) return m;
    }
}

static void heap_push(uint64_t *heap, size_t *n, uint64_t key)
{
    size_t at = (*n)++;
    for (; at && heap[(at - 1) / 2] > key; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = key;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0], key = heap[--*n];
    size_t at = 0;
    for (size_t child = 1; child < *n; at = child, child = 2 * at + 1) {
        if (child + 1 < *n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[at] = heap[child];
    }
    heap[at] = key;
    return top;
}

// Looks up the pair that begins at `at`, and queues it.
static void rank_pair(const struct encoder *e, const struct scratch *s, uint32_t at,
                      size_t *queued)
{
    struct piece *p = &s->pieces[at];
    const struct ph_clip_merge *m =
        p->next == NONE ? NULL : merge_of(e->t, p->symbol, s->pieces[p->next].symbol);
    p->rank = m ? m->rank : PH_CLIP_NO_RANK;
    if (m) heap_push(s->heap, queued, (uint64_t) m->rank << 32 | at);
}

static void merge_at(const struct encoder *e, const struct scratch *s, uint32_t at)
{
    struct piece *p = &s->pieces[at], *gone = &s->pieces[p->next];
    p->symbol = merge_of(e->t, p->symbol, gone->symbol)->whole;
    p->next = gone->next;
    if (p->next != NONE) s->pieces[p->next].prev = at;
    gone->rank = p->rank = PH_CLIP_NO_RANK;
    if (p->prev != NONE) s->pieces[p->prev].rank = PH_CLIP_NO_RANK;
}

// One round of the reference: every pair of the best rank, from left to right, and only then the
// pairs that this has made. Entries of the queue whose pair is gone have another rank by now.
static void merge_round(const struct encoder *e, const struct scratch *s, size_t *queued)
{
    uint32_t rank = (uint32_t) (s->heap[0] >> 32);
    size_t n = 0;
    while (*queued && s->heap[0] >> 32 == rank) {
        uint32_t at = (uint32_t) heap_pop(s->heap, queued);
        if (s->pieces[at].rank != rank) continue;
        merge_at(e, s, at);
        s->merged[n++] = at;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t at = s->merged[i], prev = s->pieces[at].prev;
        if (prev != NONE) rank_pair(e, s, prev, queued);
        rank_pair(e, s, at, queued);
    }
}

// The token's bytes are in s->bytes.
static void encode_token(struct encoder *e, size_t n)
{
    const struct scratch *s = &e->s;
    size_t queued = 0;
    for (size_t i = 0; i < n; i++)
        s->pieces[i] = (struct piece){
            .symbol = e->t->symbols[i + 1 == n][(unsigned char) s->bytes[i]],
            .prev = i ? (uint32_t) i - 1 : NONE,
            .next = i + 1 < n ? (uint32_t) i + 1 : NONE,
        };
    for (size_t i = 0; i < n; i++) rank_pair(e, s, (uint32_t) i, &queued);
    while (queued) merge_round(e, s, &queued);
    for (uint32_t at = 0; at != NONE; at = s->pieces[at].next) {
        uint32_t symbol = s->pieces[at].symbol;
        emit(e, symbol < PH_CLIP_IDS_MAX ? (int32_t) symbol : e->t->unknown);
    }
}

// ---------------------------------------------------------------------------- pattern

// Ignoring case, as the pattern does: of the letters in question only s has a third form.
static bool begins(const uint32_t *text, size_t n, const char *with)
{
    size_t i = 0;
    for (; with[i]; i++)
        if (i >= n ||
            (text[i] != (unsigned char) with[i] && !(with[i] == 's' && text[i] == 0x17f)))
            return false;
    return true;
}

static size_t run(const uint32_t *text, size_t n, enum ph_unicode_kind kind)
{
    size_t i = 0;
    while (i < n && ph_unicode_of(text[i])->kind == kind) i++;
    return i;
}

// <|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
// How long the token at the start of this lowered text is; 0 = this character is in none.
static size_t token_length(const uint32_t *text, size_t n)
{
    static const char *const fixed[] = { PH_CLIP_BEGIN, PH_CLIP_END, "'s",  "'t", "'re",
                                         "'ve",         "'m",        "'ll", "'d" };
    if (text[0] == '<' || text[0] == '\'')
        for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
            if (begins(text, n, fixed[i])) return strlen(fixed[i]);
    enum ph_unicode_kind kind = ph_unicode_of(text[0])->kind;
    if (kind == PH_UNICODE_NUMBER) return 1;
    return kind == PH_UNICODE_LETTER || kind == PH_UNICODE_OTHER ? run(text, n, kind) : 0;
}

static size_t utf8_length(const uint32_t *text, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += 1u + (text[i] > 0x7f) + (text[i] > 0x7ff) + (text[i] > 0xffff);
    return bytes;
}

static bool is_text(const struct scratch *s, size_t n, const char *text)
{
    return n == strlen(text) && !memcmp(s->bytes, text, n);
}

static ph_err encode_lowered(struct encoder *e, const uint32_t *text, size_t n)
{
    struct scratch *s = &e->s;
    for (size_t i = 0, len; i < n; i += len) {
        size_t bytes = 0;
        len = token_length(text + i, n - i);
        if (!len) {
            len = 1;
            continue;
        }
        if (want_bytes(s, utf8_length(text + i, len)) < 0) return PH_ENOMEM;
        for (size_t k = i; k < i + len; k++)
            bytes += (size_t) ph_utf8_put(s->bytes + bytes, text[k]);
        if (is_text(s, bytes, PH_CLIP_BEGIN))
            emit(e, e->t->pattern_begin);
        else if (is_text(s, bytes, PH_CLIP_END))
            emit(e, e->t->pattern_end);
        else
            encode_token(e, bytes);
    }
    return PH_OK;
}

// ---------------------------------------------------------------------------- words

static ph_err encode_word(struct encoder *e, const char *p, const char *end)
{
    struct scratch *s = &e->s;
    size_t n = 0;
    uint32_t c = 0;
    if (p == end) return PH_OK;
    if (want_text(s, PH_UNICODE_ROOM((size_t) (end - p))) < 0) return PH_ENOMEM;
    e->word = (size_t) (p - e->text);
    for (int len; p < end; p += len ? len : 1) {
        len = ph_utf8_get(p, end, &c);
        if (!len)
            e->bad_bytes++;
        else if (ph_unicode_of(c)->kind != PH_UNICODE_DROP)
            s->text[n++] = c;
    }
    n = ph_unicode_compose(s->text, n, s->other);
    n = ph_unicode_lower(s->text, n, s->other);
    return encode_lowered(e, s->other, n);
}

// The blocks that BERT's tokenizer, which the reference took this from, sets apart.
static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool stands_alone(const struct encoder *e, const char *p, const struct ph_clip_added *a)
{
    return (p == e->text || p[-1] == ' ') && (p + a->len == e->end || p[a->len] == ' ');
}

static const struct ph_clip_added *added_at(const struct encoder *e, const char *p)
{
    unsigned char first = (unsigned char) *p;
    for (int i = e->t->added_at[first]; i < e->t->added_at[first + 1]; i++) {
        const struct ph_clip_added *a = &e->t->added[i];
        if ((size_t) (e->end - p) < a->len || memcmp(p, a->text, a->len)) continue;
        if (!a->single_word || stands_alone(e, p, a)) return a;
    }
    return NULL;
}

// Nothing after cleaning crosses a space, an ideograph or an added token: words go one by one.
static ph_err encode_text(struct encoder *e)
{
    const char *word = e->text, *p = e->text;
    while (p < e->end) {
        const struct ph_clip_added *added = added_at(e, p);
        uint32_t c = 0;
        int len = added ? (int) added->len : ph_utf8_get(p, e->end, &c);
        bool space = len && !added && ph_unicode_of(c)->kind == PH_UNICODE_SPACE;
        bool alone =
            len && !added && is_ideograph(c) && ph_unicode_of(c)->kind == PH_UNICODE_LETTER;
        if (!added && !space && !alone) {
            p += len ? len : 1;
            continue;
        }
        if (encode_word(e, word, p) < 0) return PH_ENOMEM;
        e->word = (size_t) (p - e->text);
        if (added) emit(e, added->id);
        if (alone && encode_word(e, p, p + len) < 0) return PH_ENOMEM;
        word = p += len;
    }
    return encode_word(e, word, p);
}

ph_err ph_clip_tokenizer_encode(const struct ph_clip_tokenizer *t, const char *text, size_t len,
                                int pad, int32_t *ids, int n, struct ph_clip_encoded *report,
                                struct ph_fault *fault)
{
    if (n < 2) return ph_fail(fault, PH_EINVAL, "tokens", "at least 2 ids, got %d", n);
    if (pad < PH_CLIP_PAD_OWN || pad >= (int) t->size)
        return ph_fail(fault, PH_EINVAL, "pad", "an id below %u or -1, got %d", t->size, pad);
    if (len > PH_CLIP_TEXT_MAX)
        return ph_fail(fault, PH_ELIMIT, "prompt", "at most %u bytes, got %zu",
                       PH_CLIP_TEXT_MAX, len);
    if (!len) text = "";
    struct encoder e;
    e.t = t, e.text = text, e.end = text + len, e.ids = ids;
    e.room = (size_t) n - 2;
    e.count = e.bad_bytes = e.word = 0;
    e.cut_at = len;
    scratch_init(&e.s);
    ph_err ret = encode_text(&e);
    scratch_finish(&e.s);
    if (ret < 0)
        return ph_fail(fault, PH_ENOMEM, "prompt", "out of memory for a prompt of %zu bytes",
                       len);
    int used = (int) (e.count < e.room ? e.count : e.room) + 2;
    ids[0] = t->begin;
    ids[used - 1] = t->end;
    for (int i = used; i < n; i++) ids[i] = pad == PH_CLIP_PAD_OWN ? t->pad : pad;
    if (report) *report = (struct ph_clip_encoded){ e.count + 2, used, e.cut_at, e.bad_bytes };
    return PH_OK;
}

void ph_clip_tokenizer_destroy(struct ph_clip_tokenizer **t)
{
    ph_tree_free(*t);
    *t = NULL;
}

int ph_clip_tokenizer_size(const struct ph_clip_tokenizer *t)
{
    return (int) t->size;
}

int ph_clip_tokenizer_length(const struct ph_clip_tokenizer *t)
{
    return t->length;
}

int ph_clip_tokenizer_begin(const struct ph_clip_tokenizer *t)
{
    return t->begin;
}

int ph_clip_tokenizer_end(const struct ph_clip_tokenizer *t)
{
    return t->end;
}

int ph_clip_tokenizer_pad(const struct ph_clip_tokenizer *t)
{
    return t->pad;
}
