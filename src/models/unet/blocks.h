// SPDX-License-Identifier: MIT
// The parts of a UNet that a ControlNet has too, and its way up. Names of tensors are relative to
// the scope at the call.
#ifndef PH_MODELS_UNET_BLOCKS_H
#define PH_MODELS_UNET_BLOCKS_H

#include "models/unet/unet.h"

struct ph_unet_blocks {
    const struct ph_unet_config *c;
    ph_val time;                         // [n, 4 channels[0]], activated
    ph_val text;                         // [n, t, text_channels]
    const char *tap;                     // prefix of taps
    const struct ph_unet_memory *memory; // NULL = none
};

struct ph_unet_skips {
    int count;
    ph_val value[PH_UNET_SKIPS];
};

// Reads what unet and controlnet configs share.
void ph_unet_parse_shared(struct ph_fields *f, struct ph_unet_config *c);
// How many skip connections the way down leaves; that of conv_in counts.
int ph_unet_skip_count(const struct ph_unet_config *c);

// The activated embedding of timestep and, where the config has it, of pooled text and sizes.
ph_val ph_unet_embed_time(struct ph_prog *p, const struct ph_unet_config *c,
                          const struct ph_unet_in *in, const char *tap);
// All levels down. x is conv_in's output, already in skips; every layer's output joins them.
ph_val ph_unet_down(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                    struct ph_unet_skips *skips);
ph_val ph_unet_middle(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x);
// All levels up; uses the skips from the last to the first. A level grows to the size of the skip
// that comes next, which is twice its own or, at odd sizes, one less.
ph_val ph_unet_up(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                  struct ph_unet_skips *skips);

// Inputs of a stand-alone prog, shared by unet and controlnet.
void ph_unet_record_inputs(struct ph_prog *p, const struct ph_unet_config *c,
                           const struct ph_module_size *size, struct ph_unet_in *in);

#endif
