// SPDX-License-Identifier: MIT
#include "models/diffuser/text.h"

#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 96 };

struct ph_text {
    const struct ph_folder *folder;
    struct ph_device *device;
    enum ph_precision precision;
    struct ph_stop stop;
    struct ph_plan *plan[PH_TEXT_ENCODERS]; // made when first needed
    struct ph_weights *adapted[PH_TEXT_ENCODERS];
    uint64_t styles;
    struct ph_embedding *recent[REMEMBERED]; // the latest first
};

struct ph_embedding *ph_embedding_ref(struct ph_embedding *e)
{
    __atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
    return e;
}

void ph_embedding_unref(struct ph_embedding **out)
{
    struct ph_embedding *e = *out;
    *out = NULL;
    if (!e || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL)) return;
    free(e->text);
    free(e->data);
    free(e);
}

ph_err ph_text_create(const struct ph_folder *folder, struct ph_device *device,
                      enum ph_precision precision, struct ph_stop stop, struct ph_text **out)
{
    struct ph_text *t = *out = calloc(1, sizeof *t);
    if (!t) return PH_ENOMEM;
    t->folder = folder;
    t->device = ph_device_ref(device);
    t->precision = precision;
    t->stop = stop;
    return PH_OK;
}

static void drop_plans(struct ph_text *t)
{
    for (int i = 0; i < PH_TEXT_ENCODERS; i++) {
        ph_plan_destroy(&t->plan[i]);
        ph_weights_unref(&t->adapted[i]);
    }
}

void ph_text_destroy(struct ph_text **out)
{
    struct ph_text *t = *out;
    *out = NULL;
    if (!t) return;
    for (int i = 0; i < REMEMBERED; i++) ph_embedding_unref(&t->recent[i]);
    drop_plans(t);
    ph_device_unref(&t->device);
    free(t);
}

int64_t ph_text_size(const struct ph_text *t)
{
    return (int64_t) ph_folder_tokens(t->folder) * ph_folder_text_channels(t->folder) +
           ph_folder_pooled_channels(t->folder);
}

ph_err ph_text_adapt(struct ph_text *t, const struct ph_adapter *adapters, int count,
                     uint64_t key, struct ph_fault *fault)
{
    static const enum ph_lora_part parts[] = { PH_LORA_TEXT, PH_LORA_TEXT2 };
    if (key == t->styles) return PH_OK;
    struct ph_weights *adapted[PH_TEXT_ENCODERS] = { NULL };
    ph_err ret = PH_OK;
    for (int i = 0; i < PH_TEXT_ENCODERS && ret >= 0; i++)
        if (t->folder->text[i])
            ret = ph_weights_adapt(t->folder->text[i]->weights[0], parts[i], adapters, count,
                                   &adapted[i], fault);
    if (ret < 0) {
        for (int i = 0; i < PH_TEXT_ENCODERS; i++) ph_weights_unref(&adapted[i]);
        return ret;
    }
    drop_plans(t);
    memcpy(t->adapted, adapted, sizeof adapted);
    t->styles = key;
    return PH_OK;
}

// ------------------------------------------------------------------------------ the encoders
// SD reads the normed states of the last layer; SDXL those before the last layer, of both encoders,
// and the second one's pooled vector.
static void record(struct ph_prog *p, const struct ph_text *t, int i)
{
    const struct ph_module *m = t->folder->text[i];
    const struct ph_clip_config *c = m->config;
    ph_prog_use(p, t->adapted[i] ? t->adapted[i] : m->weights[0]);
    int64_t tokens[2] = { 1, c->tokens };
    ph_val ids = ph_input(p, "ids", PH_EACH, PH_I32, 2, tokens);
    ph_val x = ph_clip_embed(p, c, ids);
    if (!ph_folder_pooled_channels(t->folder)) {
        x = ph_clip_norm(p, c, ph_clip_layers(p, c, x, 0, c->layers));
        ph_output(p, "states", x);
        return;
    }
    x = ph_clip_layers(p, c, x, 0, c->layers - 1);
    ph_output(p, "states", x);
    if (i == 0) return;
    ph_val eos = ph_input(p, "eos", PH_EACH, PH_I32, 1, (int64_t[]){ 1 });
    x = ph_clip_norm(p, c, ph_clip_layers(p, c, x, c->layers - 1, 1));
    ph_output(p, "pooled", ph_clip_pool(p, c, x, eos));
}

static ph_err make_plan(struct ph_text *t, int i, struct ph_fault *fault)
{
    struct ph_prog *p;
    ph_err ret = ph_prog_create(&p);
    if (ret < 0) return ret;
    record(p, t, i);
    struct ph_plan_params params = { t->device, t->precision, 0, t->stop };
    ret = ph_plan_create(p, &params, &t->plan[i], fault);
    ph_prog_free(&p);
    return ret;
}

// Runs encoder i; its states go to columns `first` on of rows of `width`.
static ph_err run_encoder(struct ph_text *t, int i, const struct ph_embedding *e, size_t *cut,
                          struct ph_fault *fault)
{
    const struct ph_clip_config *c = t->folder->text[i]->config;
    int width = ph_folder_text_channels(t->folder), first = width - c->channels;
    int32_t *ids = malloc(sizeof *ids * (size_t) c->tokens);
    float *states = malloc(sizeof *states * (size_t) c->tokens * (size_t) c->channels);
    struct ph_clip_encoded report = { 0 };
    ph_err ret = ids && states ? PH_OK : PH_ENOMEM;
    if (i == 0) first = 0;
    if (ret >= 0 && !t->plan[i]) ret = make_plan(t, i, fault);
    if (ret >= 0)
        ret = ph_clip_tokenizer_encode(t->folder->tokenizer[i], e->text, strlen(e->text),
                                       PH_CLIP_PAD_OWN, ids, c->tokens, &report, fault);
    if (ret < 0) goto fail;
    *cut = report.cut_at;
    PH_TRY(
        ph_plan_write(t->plan[i], "ids", &(struct ph_tensor){ PH_I32, 1, { c->tokens }, ids }));
    int pooled = i ? ph_folder_pooled_channels(t->folder) : 0;
    if (pooled) {
        int32_t eos;
        ph_clip_find_eos(c, ids, 1, c->tokens, &eos);
        PH_TRY(ph_plan_write(t->plan[i], "eos", &(struct ph_tensor){ PH_I32, 1, { 1 }, &eos }));
    }
    PH_TRY(ph_plan_run(t->plan[i]));
    PH_TRY(ph_plan_read(t->plan[i], "states",
                        &(struct ph_tensor){ PH_F32, 2, { c->tokens, c->channels }, states }));
    for (int row = 0; row < c->tokens; row++)
        memcpy(e->data + (size_t) row * (size_t) width + first, states + row * c->channels,
               sizeof *states * (size_t) c->channels);
    if (pooled)
        PH_TRY(ph_plan_read(
            t->plan[i], "pooled",
            &(struct ph_tensor){
                PH_F32, 1, { pooled }, e->data + (size_t) c->tokens * (size_t) width }));
fail:
    free(ids);
    free(states);
    return ret;
}

// ------------------------------------------------------------------------------ memory
static struct ph_embedding *recall(struct ph_text *t, const char *text)
{
    for (int i = 0; i < REMEMBERED && t->recent[i]; i++) {
        struct ph_embedding *e = t->recent[i];
        if (e->styles != t->styles || strcmp(e->text, text) != 0) continue;
        memmove(t->recent + 1, t->recent, sizeof *t->recent * (size_t) i);
        t->recent[0] = e;
        return ph_embedding_ref(e);
    }
    return NULL;
}

static void remember(struct ph_text *t, struct ph_embedding *e)
{
    ph_embedding_unref(&t->recent[REMEMBERED - 1]);
    memmove(t->recent + 1, t->recent, sizeof *t->recent * (REMEMBERED - 1));
    t->recent[0] = ph_embedding_ref(e);
}

static ph_err embedding_create(const struct ph_text *t, const char *text,
                               struct ph_embedding **out)
{
    struct ph_embedding *e = *out = calloc(1, sizeof *e);
    if (!e) return PH_ENOMEM;
    e->refs = 1;
    e->styles = t->styles;
    e->text = strdup(text);
    e->data = calloc((size_t) ph_text_size(t), sizeof *e->data);
    if (e->text && e->data) return PH_OK;
    ph_embedding_unref(out);
    return PH_ENOMEM;
}

ph_err ph_text_zeros(const struct ph_text *t, struct ph_embedding **out)
{
    return embedding_create(t, "", out);
}

ph_err ph_text_embed(struct ph_text *t, const char *text, struct ph_embedding **out,
                     struct ph_fault *fault)
{
    *out = recall(t, text);
    if (*out) return PH_OK;
    struct ph_embedding *e;
    ph_err ret = embedding_create(t, text, &e);
    if (ret < 0) return ret;
    for (int i = PH_TEXT_ENCODERS - 1; i >= 0; i--)
        if (t->folder->text[i]) PH_TRY(run_encoder(t, i, e, &e->truncated_at, fault));
    remember(t, e);
    *out = e;
    return PH_OK;
fail:
    ph_embedding_unref(&e);
    return ret;
}
