// SPDX-License-Identifier: MIT
// The CLIP tokenizer: text to the ids that CLIP text encoders read. The ids are those of
// transformers' CLIPTokenizer without ftfy (tokenization_clip.py: BasicTokenizer and bpe;
// tokenization_utils.py: the split at added tokens), which is what its plain installation runs.
// In this order: added tokens are cut out exactly as written; control, format, private and
// unassigned characters fall away; CJK ideographs become words of their own; words are composed
// (NFC) and lowered; a pattern cuts them into runs of letters, single digits and runs of the rest;
// each of these is merged by byte pairs. With ftfy installed the reference also repairs mojibake,
// HTML entities, curly quotes and wide forms and keeps what is dropped here: such texts differ.
#ifndef PH_MODELS_CLIP_TOKENIZER_H
#define PH_MODELS_CLIP_TOKENIZER_H

#include <phosphene/common.h>

// Immutable after it is made: any number of threads may encode with one at the same time.
struct ph_clip_tokenizer;

// A prompt may have at most this many bytes (PH_ELIMIT).
#define PH_CLIP_TEXT_MAX (4u << 20)
// For ph_clip_tokenizer_encode: the pad token of the tokenizer's own files.
#define PH_CLIP_PAD_OWN (-1)

// The texts of the files. NULL = the file is not there. merges: one pair a line, the best first,
// after a first line that is never read, whatever it says. special_tokens_map, tokenizer_config
// and added_tokens may all lack: the tokens are then those of OpenAI's CLIP. Where
// tokenizer_config has an added_tokens_decoder, the other two are not read, as in the reference.
struct ph_clip_texts {
    struct ph_clip_text {
        const char *text;
        size_t len;
    } vocab, merges, special_tokens_map, tokenizer_config, added_tokens;
};

// folder holds vocab.json, merges.txt and, mostly, special_tokens_map.json and
// tokenizer_config.json. *out is the caller's, to be destroyed; NULL on failure. fault says in
// `field` which file, in `message` its path, the member or line, and what would be right.
// PH_ENOENT vocab.json or merges.txt is not there; PH_EIO; PH_ELIMIT a file over 16 MiB;
// PH_ENOTSUP tokenizer_class is another one; PH_EFORMAT all that is wrong inside; PH_ENOMEM.
//                                                                                  thread: any
ph_err ph_clip_tokenizer_open(const char *folder, struct ph_clip_tokenizer **out,
                              struct ph_fault *fault);
// The same from memory; the texts need not outlive the call.                       thread: any
ph_err ph_clip_tokenizer_parse(const struct ph_clip_texts *texts,
                               struct ph_clip_tokenizer **out, struct ph_fault *fault);
void ph_clip_tokenizer_destroy(struct ph_clip_tokenizer **t);

// The largest id + 1: what the text encoder's vocab_size must reach.
int ph_clip_tokenizer_size(const struct ph_clip_tokenizer *t);
// model_max_length, begin and end included; 0 when the files set none.
int ph_clip_tokenizer_length(const struct ph_clip_tokenizer *t);
int ph_clip_tokenizer_begin(const struct ph_clip_tokenizer *t);
int ph_clip_tokenizer_end(const struct ph_clip_tokenizer *t);
int ph_clip_tokenizer_pad(const struct ph_clip_tokenizer *t);

struct ph_clip_encoded {
    size_t count;     // tokens of the whole text, begin and end included: over n = truncated
    int used;         // of the ids, up to and including the first end token: min(count, n)
    size_t cut_at;    // byte where the first word or token starts that is not all there; or len
    size_t bad_bytes; // that were no UTF-8
};

// Writes exactly n ids (n >= 2): begin, at most n - 2 tokens, end, then `pad` (an id, or
// PH_CLIP_PAD_OWN). text: len bytes of UTF-8, need not end with NUL. Bytes that are no UTF-8 are
// passed over and counted, as the reference passes over the U+FFFD they would be read as.
// report may be NULL. Time grows as len·log(longest word); memory is taken only for words longer
// than 100 bytes and given back. PH_EINVAL n < 2 or pad out of range; PH_ELIMIT; PH_ENOMEM (then
// ids are undefined).                                                              thread: any
ph_err ph_clip_tokenizer_encode(const struct ph_clip_tokenizer *t, const char *text, size_t len,
                                int pad, int32_t *ids, int n, struct ph_clip_encoded *report,
                                struct ph_fault *fault);

#endif
