// SPDX-License-Identifier: MIT
// A pipeline folder: the modules of one diffusion model, opened together and checked against each
// other. Immutable once open.
#ifndef PH_MODELS_FOLDER_H
#define PH_MODELS_FOLDER_H

#include "models/clip/clip.h"
#include "models/clip/tokenizer.h"
#include "models/controlnet/controlnet.h"
#include "models/sampler/sampler.h"
#include "models/taesd/taesd.h"
#include "models/unet/unet.h"
#include "models/vae/vae.h"

#define PH_TEXT_ENCODERS 2

struct ph_folder {
    const char *path;
    struct ph_clip_tokenizer *tokenizer[PH_TEXT_ENCODERS];
    struct ph_module *text[PH_TEXT_ENCODERS]; // [1]: SDXL's second; NULL without
    struct ph_module *unet, *vae, *control;   // control: NULL without
    struct ph_schedule *schedule;             // of kind: the folder's own sampler
    char *scheduler_config;                   // its text, for other kinds; NULL without a file
    size_t scheduler_len;
    // SDXL: no negative prompt is zeros and not the embedding of "" (model_index.json's
    // force_zeros_for_empty_prompt; diffusers' StableDiffusionXLPipeline.encode_prompt).
    bool zeros_for_empty;
};

// vae, control: other folders, or NULL. fault names the folder, file, field or tensor.
ph_err ph_folder_open(const char *path, const char *vae, const char *control,
                      struct ph_folder **out, struct ph_fault *fault);
void ph_folder_close(struct ph_folder **f);

// The folder's schedule for another kind of sampler (PH_SAMPLER_AUTO: its own); free with
// ph_tree_free.
ph_err ph_folder_schedule(const struct ph_folder *f, enum ph_sampler_kind kind,
                          struct ph_schedule **out, struct ph_fault *fault);

// Channels of the latent, of one prompt's states and of its pooled vector (0 without).
int ph_folder_latent_channels(const struct ph_folder *f);
int ph_folder_text_channels(const struct ph_folder *f);
int ph_folder_pooled_channels(const struct ph_folder *f);
int ph_folder_tokens(const struct ph_folder *f); // 77

const struct ph_unet_config *ph_folder_unet(const struct ph_folder *f);

#endif
