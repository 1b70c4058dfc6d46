// SPDX-License-Identifier: MIT
// Prompts to embeddings, off the frame path, remembered by their text.
#ifndef PH_MODELS_TEXT_H
#define PH_MODELS_TEXT_H

#include "models/diffuser/folder.h"
#include "nn/plan.h"

// Counted; immutable. data: states [tokens, text_channels], then pooled [pooled_channels].
struct ph_embedding {
    int refs;
    char *text;
    uint64_t styles; // key of the adapters it was made with
    float *data;
    size_t truncated_at; // byte from which on nothing was read; the text's length when all was
};
struct ph_embedding *ph_embedding_ref(struct ph_embedding *e);
void ph_embedding_unref(struct ph_embedding **e);

struct ph_text;
ph_err ph_text_create(const struct ph_folder *folder, struct ph_device *device,
                      enum ph_precision precision, struct ph_stop stop, struct ph_text **out);
void ph_text_destroy(struct ph_text **t);
int64_t ph_text_size(const struct ph_text *t); // floats of an embedding

// The adapters that text encoders run with from now on; count 0 = none.            thread: one
ph_err ph_text_adapt(struct ph_text *t, const struct ph_adapter *adapters, int count,
                     uint64_t key, struct ph_fault *fault);
// The last 96 texts cost nothing.                                                   thread: one
ph_err ph_text_embed(struct ph_text *t, const char *text, struct ph_embedding **out,
                     struct ph_fault *fault);
// The embedding of no text at all: zeros.                                           thread: any
ph_err ph_text_zeros(const struct ph_text *t, struct ph_embedding **out);

#endif
