// SPDX-License-Identifier: MIT
// UNet2DConditionModel: Stable Diffusion 1.5, 2.1 and Turbo, SDXL and Turbo, SDXS. Source:
// diffusers, unet_2d_condition.py, unet_2d_blocks.py, transformer_2d.py, attention.py.
#ifndef PH_MODELS_UNET_H
#define PH_MODELS_UNET_H

#include "models/model.h"

#define PH_UNET_LEVELS 8
#define PH_UNET_SKIPS  64 // connections from the way down to the way up

enum ph_unet_mid { PH_UNET_MID_NONE, PH_UNET_MID_PLAIN, PH_UNET_MID_ATTENTION };

struct ph_unet_config {
    int in_channels, out_channels; // out_channels: 0 in a ControlNet
    int sample_size;               // latent pixels it was trained at
    int levels, channels[PH_UNET_LEVELS];
    int layers[PH_UNET_LEVELS];         // residual blocks a level on the way down
    int depth[PH_UNET_LEVELS];          // transformer blocks in each attention of a level
    int heads[PH_UNET_LEVELS];          // of a level (the config calls it attention_head_dim)
    int only_cross[PH_UNET_LEVELS];     // 1: the level's self-attention reads the text
    int down_attention[PH_UNET_LEVELS]; // 1: the level has attention on the way down
    int up_attention[PH_UNET_LEVELS];   // 1: up_blocks.i has attention; i counts upwards
    enum ph_unet_mid mid;
    int text_channels; // cross_attention_dim
    bool linear_projection;
    int groups;
    float eps; // of group norms outside of the transformers
    enum ph_act act;
    // "text_time" conditioning of SDXL: pooled text and sizes; 0 without.
    int added_channels, added_time_channels; // into add_embedding; of one size's sinusoid
    int pooled_channels;                     // added_channels - 6 added_time_channels
};

// What a ControlNet adds: one value for each skip connection, and one after the mid block.
struct ph_residuals {
    int count;
    ph_val down[PH_UNET_SKIPS];
    ph_val mid;
};

// Attention that sees the pictures before (StreamV2V, arXiv 2405.15757, section 4.1): keys and
// values of every self-attention stay in states "<layer>.k" and "<layer>.v", and the next run
// attends to its own and to them. Rows keep to themselves.
struct ph_unet_memory {
    int frames; // how many runs stay in view
    ph_val fresh,
        kept; // [n] each: 1 and 0 when there is no run before: the run stands in for it,
              // which leaves attention as it is without memory; else 0 and 1
};

struct ph_unet_in {
    ph_val sample;   // [n, in_channels, h, w]; any h and w of at least 1
    ph_val timestep; // [n], one a row
    ph_val text;     // [n, t, text_channels]
    ph_val pooled;   // [n, pooled_channels]; only with added_channels
    ph_val time_ids; // [n, 6]: original height, width, crop top, left, target height, width
    const struct ph_residuals *control;  // NULL = none
    const struct ph_unet_memory *memory; // NULL = none
};

// -> [n, out_channels, h, w]: the model's prediction (epsilon or v, as it was trained).
// What depends on timestep, text, pooled and time_ids alone (time embeddings and their
// projections, keys and values of cross-attention) costs nothing a frame when those are RARE.
ph_val ph_unet_predict(struct ph_prog *p, const struct ph_unet_config *c,
                       const struct ph_unet_in *in);

// Inputs "sample" (EACH), "timestep", "text" and, with added_channels, "pooled", "time_ids" (RARE);
// output "prediction". Latents are pixels / 8, rounded up. Taps: "conv_in", "time_embedding" (before
// "add_embedding" joins it), "conv_norm_out" (before its activation), and every block, residual block,
// attention, transformer block, its attn1, attn2 (before the sums) and ff, down- and upsampler,
// under their paths.
extern const struct ph_module_class ph_class_unet;

#endif
