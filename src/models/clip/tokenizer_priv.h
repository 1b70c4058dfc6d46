// SPDX-License-Identifier: MIT
// What loading makes and encoding reads.
#ifndef PH_MODELS_CLIP_TOKENIZER_PRIV_H
#define PH_MODELS_CLIP_TOKENIZER_PRIV_H

#include "models/clip/tokenizer.h"

#define PH_CLIP_BEGIN "<|startoftext|>"
#define PH_CLIP_END   "<|endoftext|>"

// A symbol is a piece of a word: its token's id, or, for a byte without a token, this and up.
#define PH_CLIP_IDS_MAX (1u << 20)
#define PH_CLIP_NO_RANK UINT32_MAX

struct ph_clip_merge {
    uint32_t left, right; // symbols
    uint32_t whole;
    uint32_t rank; // PH_CLIP_NO_RANK = a free slot
};

struct ph_clip_added {
    const char *text;
    size_t len;
    int32_t id;
    bool single_word;
};

struct ph_clip_tokenizer {
    uint32_t size;                // of the ids
    uint32_t symbols[2][256];     // of a byte inside a word; of the last byte of one
    struct ph_clip_merge *merges; // open addressing, a power of two
    uint32_t merge_mask;
    struct ph_clip_added *added; // by first byte, then the longest first
    int added_count;
    uint16_t added_at[257]; // where a first byte begins in `added`
    int32_t begin, end, unknown, pad;
    int32_t pattern_begin, pattern_end; // what the pattern's own two tokens become
    int length;
};

static inline uint32_t ph_clip_merge_slot(uint32_t left, uint32_t right)
{
    uint64_t h = (((uint64_t) left << 32) | right) * 0x9e3779b97f4a7c15u;
    return (uint32_t) (h >> 32);
}

#endif
