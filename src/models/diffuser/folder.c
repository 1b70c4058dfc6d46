// SPDX-License-Identifier: MIT
#include "models/diffuser/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/tree.h"

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static const char *join(void *parent, const char *folder, const char *name)
{
    return ph_tree_printf(parent, "%s/%s", folder, name);
}

static ph_err open_as(const char *path, unsigned kinds, struct ph_module **out,
                      struct ph_fault *fault)
{
    ph_err ret = ph_module_open(path, out, fault);
    if (ret < 0) return ret;
    if (kinds & 1u << (*out)->class->kind) return PH_OK;
    ret = ph_fail(fault, PH_EFORMAT, "_class_name", "%s: a %s is not what belongs here", path,
                  (*out)->class->class_names[0]);
    ph_module_close(out);
    return ret;
}

// Text encoder i and its tokenizer; the second may be absent.
static ph_err open_text(struct ph_folder *f, int i, struct ph_fault *fault)
{
    const char *module = join(f, f->path, i ? "text_encoder_2" : "text_encoder");
    const char *words = join(f, f->path, i ? "tokenizer_2" : "tokenizer");
    if (!module || !words) return PH_ENOMEM;
    if (i && !exists(module)) return PH_OK;
    ph_err ret = open_as(module, 1u << PH_MODULE_CLIP, &f->text[i], fault);
    if (ret < 0) return ret;
    ret = ph_clip_tokenizer_open(words, &f->tokenizer[i], fault);
    if (ret < 0) return ret;
    const struct ph_clip_config *c = f->text[i]->config;
    if (ph_clip_tokenizer_size(f->tokenizer[i]) > c->vocabulary)
        return ph_fail(fault, PH_EFORMAT, "vocab_size",
                       "%s has ids up to %d, the text encoder beside it knows %d", words,
                       ph_clip_tokenizer_size(f->tokenizer[i]) - 1, c->vocabulary);
    return PH_OK;
}

static ph_err read_file(void *parent, const char *path, char **text, size_t *len,
                        struct ph_fault *fault)
{
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "re");
    if (!file) return ph_fail(fault, PH_ENOENT, path, "cannot open %s", path);
    *text = ph_tree_alloc(parent, MOST + 1);
    *len = *text ? fread(*text, 1, MOST + 1, file) : 0;
    bool failed = ferror(file);
    fclose(file);
    if (!*text) return PH_ENOMEM;
    if (failed) return ph_fail(fault, PH_EIO, path, "cannot read %s", path);
    if (*len > MOST) return ph_fail(fault, PH_ELIMIT, path, "%s is over 1 MB", path);
    return PH_OK;
}

static ph_err open_scheduler(struct ph_folder *f, struct ph_fault *fault)
{
    const char *path = join(f, f->path, "scheduler/scheduler_config.json");
    if (!path) return PH_ENOMEM;
    if (exists(path)) {
        ph_err ret = read_file(f, path, &f->scheduler_config, &f->scheduler_len, fault);
        if (ret < 0) return ret;
    }
    struct ph_fault why = { 0 };
    ph_err ret = ph_folder_schedule(f, PH_SAMPLER_AUTO, &f->schedule, &why);
    // A class that is not known here is no obstacle to whoever chooses a sampler.
    if (ret == PH_ENOTSUP && !strcmp(why.field, "_class_name"))
        return ph_folder_schedule(f, PH_SAMPLER_LCM, &f->schedule, fault);
    if (ret < 0 && fault) *fault = why;
    return ret;
}

ph_err ph_folder_schedule(const struct ph_folder *f, enum ph_sampler_kind kind,
                          struct ph_schedule **out, struct ph_fault *fault)
{
    struct ph_json_doc *doc = NULL;
    ph_err ret = PH_OK;
    if (f->scheduler_config)
        ret = ph_json_parse(&doc, f->scheduler_config, f->scheduler_len, 0, fault);
    else if (kind == PH_SAMPLER_AUTO)
        kind = PH_SAMPLER_LCM;
    if (ret >= 0)
        ret = ph_schedule_create(NULL, doc ? ph_json_root(doc) : NULL, kind, out, fault);
    ph_json_free(&doc);
    return ret;
}

// model_index.json matters for one field alone, and only where there are two text encoders; without
// it, as without the field, that is true.
static ph_err read_index(struct ph_folder *f, struct ph_fault *fault)
{
    const char *path = join(f, f->path, "model_index.json");
    struct ph_json_doc *doc = NULL;
    char *text;
    size_t len;
    if (!path) return PH_ENOMEM;
    f->zeros_for_empty = ph_folder_pooled_channels(f) > 0;
    if (!f->zeros_for_empty || !exists(path)) return PH_OK;
    ph_err ret = read_file(f, path, &text, &len, fault);
    if (ret < 0) return ret;
    struct ph_fault why = { 0 };
    ret = ph_json_parse(&doc, text, len, 0, &why);
    if (ret < 0) return ph_fail(fault, ret, "model_index.json", "%s: %s", path, why.message);
    f->zeros_for_empty =
        ph_json_bool(ph_json_get(ph_json_root(doc), "force_zeros_for_empty_prompt"), true);
    ph_json_free(&doc);
    return PH_OK;
}

static const struct ph_clip_config *clip(const struct ph_folder *f, int i)
{
    return f->text[i] ? f->text[i]->config : NULL;
}

// What one module gives must be what the next one takes.
static ph_err check(const struct ph_folder *f, struct ph_fault *fault)
{
    const struct ph_unet_config *u = f->unet->config;
    if (u->in_channels != u->out_channels)
        return ph_fail(fault, PH_ENOTSUP, "in_channels",
                       "%s: a unet of %d channels in and %d out (inpainting) is not known",
                       f->unet->path, u->in_channels, u->out_channels);
    if (ph_folder_latent_channels(f) != u->in_channels)
        return ph_fail(fault, PH_EFORMAT, "latent_channels",
                       "%s makes latents of %d channels, the unet takes %d", f->vae->path,
                       ph_folder_latent_channels(f), u->in_channels);
    if (ph_folder_text_channels(f) != u->text_channels)
        return ph_fail(fault, PH_EFORMAT, "cross_attention_dim",
                       "%s: the text encoder gives %d channels, the unet takes %d", f->path,
                       ph_folder_text_channels(f), u->text_channels);
    if (clip(f, 1) && clip(f, 1)->tokens != clip(f, 0)->tokens)
        return ph_fail(fault, PH_EFORMAT, "max_position_embeddings",
                       "%s: one text encoder reads %d tokens, the other %d", f->path,
                       clip(f, 0)->tokens, clip(f, 1)->tokens);
    if (ph_folder_pooled_channels(f) != u->pooled_channels)
        return ph_fail(fault, PH_EFORMAT, "projection_class_embeddings_input_dim",
                       "%s: the unet takes a pooled text of %d channels, there are %d", f->path,
                       u->pooled_channels, ph_folder_pooled_channels(f));
    if (f->control) {
        const struct ph_controlnet_config *c = f->control->config;
        if (c->unet.levels != u->levels || c->unet.text_channels != u->text_channels ||
            c->unet.in_channels != u->in_channels)
            return ph_fail(fault, PH_EFORMAT, "block_out_channels",
                           "%s was made for another model than %s", f->control->path, f->path);
    }
    return PH_OK;
}

ph_err ph_folder_open(const char *path, const char *vae, const char *control,
                      struct ph_folder **out, struct ph_fault *fault)
{
    struct ph_folder *f = ph_new(NULL, struct ph_folder, 1);
    ph_err ret = PH_ENOMEM;
    *out = NULL;
    if (!f) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    f->path = ph_tree_text(f, path, strlen(path));
    const char *unet = join(f, path, "unet"), *own = join(f, path, "vae");
    if (!f->path || !unet || !own) goto fail;
    if (!exists(path)) {
        ret = ph_fail(fault, PH_ENOENT, "model", "there is no folder %s", path);
        goto fail;
    }
    if (!exists(unet)) {
        ret =
            ph_fail(fault, PH_EFORMAT, "model",
                    "%s holds no unet/: expected a model as Hugging Face ships it, with unet/, "
                    "vae/, text_encoder/, tokenizer/ and scheduler/",
                    path);
        goto fail;
    }
    PH_TRY(open_as(unet, 1u << PH_MODULE_UNET, &f->unet, fault));
    PH_TRY(
        open_as(vae ? vae : own, 1u << PH_MODULE_VAE | 1u << PH_MODULE_TAESD, &f->vae, fault));
    if (control) PH_TRY(open_as(control, 1u << PH_MODULE_CONTROLNET, &f->control, fault));
    for (int i = 0; i < PH_TEXT_ENCODERS; i++) PH_TRY(open_text(f, i, fault));
    PH_TRY(open_scheduler(f, fault));
    PH_TRY(check(f, fault));
    PH_TRY(read_index(f, fault));
    *out = f;
    return PH_OK;
fail:
    if (ret == PH_ENOMEM) ph_fail(fault, ret, "", "out of memory");
    ph_folder_close(&f);
    return ret;
}

void ph_folder_close(struct ph_folder **out)
{
    struct ph_folder *f = *out;
    *out = NULL;
    if (!f) return;
    for (int i = 0; i < PH_TEXT_ENCODERS; i++) {
        ph_clip_tokenizer_destroy(&f->tokenizer[i]);
        ph_module_close(&f->text[i]);
    }
    ph_module_close(&f->unet);
    ph_module_close(&f->vae);
    ph_module_close(&f->control);
    ph_tree_free(f->schedule);
    ph_tree_free(f);
}

// ------------------------------------------------------------------------------ numbers
const struct ph_unet_config *ph_folder_unet(const struct ph_folder *f)
{
    return f->unet->config;
}

int ph_folder_latent_channels(const struct ph_folder *f)
{
    if (f->vae->class->kind == PH_MODULE_VAE)
        return ((const struct ph_vae_config *) f->vae->config)->latent_channels;
    return ((const struct ph_taesd_config *) f->vae->config)->latent_channels;
}

// Two encoders' states stand side by side.
int ph_folder_text_channels(const struct ph_folder *f)
{
    return clip(f, 0)->channels + (clip(f, 1) ? clip(f, 1)->channels : 0);
}

int ph_folder_pooled_channels(const struct ph_folder *f)
{
    const struct ph_clip_config *c = clip(f, 1);
    if (!c || !ph_folder_unet(f)->pooled_channels) return 0;
    return c->projection ? c->projection : c->channels;
}

int ph_folder_tokens(const struct ph_folder *f)
{
    return clip(f, 0)->tokens;
}
