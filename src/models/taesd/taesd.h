// SPDX-License-Identifier: MIT
// Tiny autoencoders: AutoencoderTiny (TAESD, TAESDXL and the one that SDXS ships) and TAEF2, which
// has two files, no prefixes in its names, and blocks with a pooled branch at the lowest level.
// Source: madebyollin/taesd, taesd.py; diffusers, autoencoder_tiny.py.
#ifndef PH_MODELS_TAESD_H
#define PH_MODELS_TAESD_H

#include "models/model.h"

#define PH_TAESD_LEVELS 8

struct ph_taesd_config {
    int in_channels, out_channels, latent_channels;
    int channels; // of every layer between
    int encoder_levels, decoder_levels;
    int encoder_blocks[PH_TAESD_LEVELS], decoder_blocks[PH_TAESD_LEVELS];
    enum ph_act act;
    float
        scaling_factor; // latent of the UNet = this times the latent here; 1 everywhere so far
    bool pooled;        // TAEF2: blocks of the lowest level have a pooled branch
    bool bare_names;    // TAEF2: "0.weight" instead of "encoder.layers.0.weight"
};

// x [n, in, h, w] in [-1, 1] -> latent [n, latent, h/8, w/8], each stride rounding up.
ph_val ph_taesd_encode(struct ph_prog *p, const struct ph_taesd_config *c, ph_val x);
// latent [n, latent, h, w] -> [n, out, 8 h, 8 w], about [-1, 1] and not clamped.
ph_val ph_taesd_decode(struct ph_prog *p, const struct ph_taesd_config *c, ph_val latent);

// Part 0, encoder: input "image", output "latent". Part 1, decoder: input "latent", output "image".
// All EACH. Taps: "encoder.layers.K" and "decoder.layers.K", K as in the names of the tensors
// (TAEF2: "encoder.K").
extern const struct ph_module_class ph_class_taesd, ph_class_taef2;

#endif
