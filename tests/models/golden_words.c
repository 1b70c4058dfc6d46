// SPDX-License-Identifier: MIT
// Tokenizers: prompts in one run of bytes, and the ids of the reference without ftfy.
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/clip/tokenizer.h"

static const struct {
    const char *tensor, *model;
    int pad;
} sets[] = { { "ids_pad49407_noftfy", "sd15", PH_CLIP_PAD_OWN },
             { "ids_pad0_plain_noftfy", "sd15", 0 },
             { "ids_pad0_sd2files_noftfy", "sd2", PH_CLIP_PAD_OWN } };
#define SETS (sizeof sets / sizeof *sets)

static bool applies(const struct golden_case *c)
{
    const struct ph_json *models = ph_json_get(c->manifest, "models");
    for (size_t i = 0; i < SETS; i++)
        if (!ph_json_get(models, sets[i].model) || !golden_all_have(c, sets[i].tensor))
            return false;
    return golden_all_have(c, "text_utf8") && golden_all_have(c, "text_offsets");
}

// Ids of every prompt, n each; false and a failure counted when one is refused.
static bool encode_all(struct golden_case *c, const struct golden_file *f,
                       const struct ph_clip_tokenizer *t, int pad, float *out, int n)
{
    const char *text = golden_tensor(f, "text_utf8")->data;
    const struct ph_tensor *offsets = golden_tensor(f, "text_offsets");
    const int32_t *at = offsets->data;
    int32_t *ids = ph_new(c->mem, int32_t, (size_t) n);
    for (int64_t i = 0; i + 1 < offsets->dim[0]; i++) {
        struct ph_fault fault = { 0 };
        size_t len = (size_t) (at[i + 1] - at[i]);
        if (ph_clip_tokenizer_encode(t, text + at[i], len, pad, ids, n, NULL, &fault)) {
            golden_failure(c, f, "encode", fault.message);
            return false;
        }
        for (int k = 0; k < n; k++) *out++ = (float) ids[k];
    }
    return true;
}

static void run_set(struct golden_case *c, const struct golden_file *f, size_t set)
{
    const struct ph_tensor *want = golden_tensor(f, sets[set].tensor);
    const struct ph_json *models = ph_json_get(c->manifest, "models");
    const char *folder = ph_json_string(ph_json_get(models, sets[set].model), "");
    struct ph_clip_tokenizer *t = NULL;
    struct ph_fault fault = { 0 };
    struct ph_tensor got = golden_floats(c, want); // of its shape
    if (ph_clip_tokenizer_open(ph_tree_printf(c->mem, "%s/%s", c->dir, folder), &t, &fault))
        golden_failure(c, f, sets[set].model, fault.message);
    else if (encode_all(c, f, t, sets[set].pad, got.data, (int) want->dim[1]))
        golden_compare(c, f, (struct golden_check){ "ids", sets[set].tensor, 0, NULL }, &got,
                       want);
    ph_clip_tokenizer_destroy(&t);
}

static void run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++)
        for (size_t set = 0; set < SETS; set++) run_set(c, &c->file[i], set);
}

const struct golden_kind golden_words = { "tokenizer", applies, run };
