// SPDX-License-Identifier: MIT
// What a LoRA file says, before any model is known.
#ifndef PH_NN_LORA_H
#define PH_NN_LORA_H

#include "nn/weights_priv.h"

#include <stdatomic.h>

struct ph_lora_module {
    const char *shown; // as the file names it, for messages
    const char *name;  // of the layer in its model, without ".weight"
    bool flat;         // name has '_' in place of '.' (kohya)
    enum ph_lora_part part;
    const struct ph_weight *down, *mid, *up; // mid may be NULL
    float factor;                            // alpha over rank
};

struct ph_lora {
    atomic_int refs;
    struct ph_weights *file;
    struct ph_lora_module *modules; // of part UNET first, then TEXT, TEXT2; by name
    int count;
    // all of it lies below this block
};

enum ph_lora_role { PH_LORA_DOWN, PH_LORA_MID, PH_LORA_UP, PH_LORA_ALPHA };

struct ph_lora_name {
    enum ph_lora_part part;
    enum ph_lora_role role;
    bool flat;
    char *module; // below the parent given
    char *shown;
};

// Takes a tensor's name apart. PH_EFORMAT when it is of no kind known, PH_ENOMEM.
ph_err ph_lora_name_parse(void *parent, const char *tensor, struct ph_lora_name *out);
// The name with '_' that diffusers gives to a layer that another, older layout of the same UNet
// names (input_blocks_4_1_..., as kohya's scripts write for SDXL). False when it is no such name.
bool ph_lora_name_modern(const char *flat, char *out, size_t size);

#endif
