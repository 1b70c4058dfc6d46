// SPDX-License-Identifier: MIT
// What a diffuser's settings need before a picture can be painted with them: embeddings, the
// sampler's steps, plans. Made beside the painting; parts that did not change are shared with the
// one before.
#ifndef PH_MODELS_MAKING_H
#define PH_MODELS_MAKING_H

#include <phosphene/model.h>

#include "models/diffuser/text.h"
#include "models/stream/batch.h"

#define PH_PROMPTS_MAX 64
#define PH_SEEDS_MAX   16
#define PH_STYLES_MAX  8

// A plan and what it was made for; counted.
struct ph_part {
    int refs;
    char key[192];
    struct ph_plan *plan;
};

// Settings with all their texts and lists, checked; one tree.
struct ph_wish {
    struct ph_diffuser_settings s; // pointers into the tree
    enum ph_sampler_kind sampler;
    enum ph_guidance guidance;
    uint64_t number; // of the call that wished it
};

struct ph_made {
    int refs;
    struct ph_wish *wish;
    ph_err ret; // of making it; then only wish and fault are there
    struct ph_fault fault;
    struct ph_embedding *prompt[PH_PROMPTS_MAX], *negative;
    struct ph_sampler *sampler;
    struct ph_part *encode, *model, *decode; // encode: NULL without a picture
    int rows;                                // of the model
    int latent_w, latent_h;
};

// What making reads and keeps between two: used by one thread.
struct ph_maker {
    struct ph_folder *folder;
    struct ph_device *device;
    struct ph_text *text;
    enum ph_precision precision;
    int plan_flags;
    struct ph_stop stop;                     // of all plans
    struct ph_adapter styles[PH_STYLES_MAX]; // as last applied
    char *style_path[PH_STYLES_MAX];
    int style_count;
    uint64_t style_key;
    struct ph_weights *unet; // with styles
};

ph_err ph_maker_open(const struct ph_diffuser_params *params, struct ph_stop stop,
                     struct ph_maker *m, struct ph_fault *fault);
void ph_maker_close(struct ph_maker *m);

ph_err ph_wish_create(const struct ph_diffuser_settings *s, const struct ph_maker *m,
                      struct ph_wish **out, struct ph_fault *fault);

// Counted: the painter holds it, and the maker lends its parts to the next. Takes the wish. `before` (may be NULL) lends the parts that still fit. NULL: out of memory.
struct ph_made *ph_make(struct ph_maker *m, struct ph_wish *wish, const struct ph_made *before);
struct ph_made *ph_made_ref(struct ph_made *made);
void ph_made_unref(struct ph_made **made);

// Slots of the stream batch, 1 of a whole painting.
int ph_made_slots(const struct ph_made *made);
void ph_made_batch_params(const struct ph_made *made, struct ph_batch_params *out);

#endif
