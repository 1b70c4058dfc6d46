// SPDX-License-Identifier: MIT
// The files of a CLIP tokenizer and a prompt for it. The input is up to six parts with a byte
// 0x1e between them: vocab.json, merges.txt, special_tokens_map.json, tokenizer_config.json,
// added_tokens.json, prompt. An empty part is a file that is not there; without a vocabulary and
// merges of its own the prompt is given to one that is always the same.
#include "models/clip/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define PARTS  6
#define LENGTH 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vocab[] =
    "{\"a\":0,\"b\":1,\"ab\":2,\"ab</w>\":3,\"b</w>\":4,\"abab\":5,\"'\":6,"
    "\"<|startoftext|>\":7,\"<|endoftext|>\":8,\"\xc3\x8e\":9}";
static const char merges[] = "#version: 0.2\na b\na b</w>\nab ab\n";

static void encode(const struct ph_clip_tokenizer *t, const struct ph_clip_text *prompt)
{
    struct ph_fault fault = { 0 };
    struct ph_clip_encoded r;
    int32_t ids[LENGTH + 1];
    ids[LENGTH] = 0x5a5a5a5a;
    ph_err ret = ph_clip_tokenizer_encode(t, prompt->text, prompt->len, PH_CLIP_PAD_OWN, ids,
                                          LENGTH, &r, &fault);
    if (ids[LENGTH] != 0x5a5a5a5a) abort();
    if (ret == PH_ENOMEM) return;
    if (ret < 0 || r.count < 2 || r.used < 2 || r.used > LENGTH) abort();
    if (r.cut_at > prompt->len || r.bad_bytes > prompt->len) abort();
    if ((r.count > LENGTH) != (r.cut_at < prompt->len)) abort();
    if (r.count - 2 > 4 * prompt->len) abort();
    for (int i = 0; i < LENGTH; i++)
        if (ids[i] < 0 || ids[i] >= ph_clip_tokenizer_size(t)) abort();
    if (ids[0] != ph_clip_tokenizer_begin(t)) abort();
    if (ids[r.used - 1] != ph_clip_tokenizer_end(t)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_clip_text part[PARTS] = { 0 };
    const char *p = (const char *) data, *end = p + size;
    for (int i = 0; i < PARTS && p < end; i++) {
        const char *stop = i < PARTS - 1 ? memchr(p, 0x1e, (size_t) (end - p)) : NULL;
        if (!stop) stop = end;
        if (stop > p) part[i] = (struct ph_clip_text){ p, (size_t) (stop - p) };
        p = stop < end ? stop + 1 : end;
    }
    struct ph_clip_texts texts = { part[0], part[1], part[2], part[3], part[4] };
    if (!texts.vocab.text && !texts.merges.text) {
        texts.vocab = (struct ph_clip_text){ vocab, sizeof vocab - 1 };
        texts.merges = (struct ph_clip_text){ merges, sizeof merges - 1 };
    }
    struct ph_clip_tokenizer *t = NULL;
    struct ph_fault fault = { 0 };
    if (ph_clip_tokenizer_parse(&texts, &t, &fault) < 0) {
        if (t || !fault.message[0] || !fault.field[0]) abort();
        return 0;
    }
    encode(t, &part[5]);
    ph_clip_tokenizer_destroy(&t);
    return 0;
}
