// SPDX-License-Identifier: MIT
// AutoencoderKL, the variational autoencoder of Stable Diffusion. Source: diffusers,
// autoencoder_kl.py and vae.py.
#ifndef PH_MODELS_VAE_H
#define PH_MODELS_VAE_H

#include "models/model.h"

#define PH_VAE_LEVELS 8

struct ph_vae_config {
    int in_channels, out_channels, latent_channels;
    int levels, channels[PH_VAE_LEVELS];
    int layers; // residual blocks a level of the encoder; the decoder has one more
    int groups;
    enum ph_act act;
    // latent of the UNet = (sample - shift_factor) * scaling_factor
    float scaling_factor, shift_factor;
    bool mid_attention, quant, post_quant;
};

struct ph_vae_moments {
    ph_val mean, logvar; // [n, latent, h, w]; logvar clamped to [-30, 20]
};

// x [n, in, h, w] in [-1, 1] -> moments at h/8 (4 levels), each stride rounding down.
struct ph_vae_moments ph_vae_encode(struct ph_prog *p, const struct ph_vae_config *c, ph_val x);
// mean + exp(logvar / 2) noise; noise of mean's shape.
ph_val ph_vae_sample(struct ph_prog *p, struct ph_vae_moments m, ph_val noise);
// sample -> latent of the UNet, and back.
ph_val ph_vae_scale(struct ph_prog *p, const struct ph_vae_config *c, ph_val sample);
ph_val ph_vae_unscale(struct ph_prog *p, const struct ph_vae_config *c, ph_val latent);
// sample (unscaled) -> [n, out, 8 h, 8 w], about [-1, 1] and not clamped.
ph_val ph_vae_decode(struct ph_prog *p, const struct ph_vae_config *c, ph_val sample);

// Part 0, encoder: inputs "image", "noise" [n, latent, h, w]; outputs "mean", "logvar", "std",
// "sample", "latent" (scaled). Part 1, decoder: input "latent" (scaled), output "image". All EACH.
// Taps: "encoder.conv_in", "encoder.down_blocks.N", "encoder.mid_block", "encoder.conv_out",
// "decoder.conv_in", "decoder.mid_block", "decoder.up_blocks.N".
extern const struct ph_module_class ph_class_vae;

#endif
