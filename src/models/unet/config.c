// SPDX-License-Identifier: MIT
// config.json of UNets and ControlNets. What is not understood is refused rather than ignored:
// a graph that differs from the trained one gives noise and no error.
#include <string.h>

#include "models/unet/blocks.h"

// Variants of other families (Kandinsky, DeepFloyd, video, inpainting adapters ...).
static const char *const refused[] = { "class_embed_type",
                                       "num_class_embeds",
                                       "encoder_hid_dim",
                                       "encoder_hid_dim_type",
                                       "time_cond_proj_dim",
                                       "timestep_post_act",
                                       "time_embedding_act_fn",
                                       "time_embedding_dim",
                                       "cross_attention_norm",
                                       "dual_cross_attention",
                                       "class_embeddings_concat",
                                       "center_input_sample",
                                       "mid_block_only_cross_attention",
                                       "reverse_transformer_layers_per_block",
                                       "resnet_skip_time_act" };

static void refuse_variants(struct ph_fields *f)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ph_field_absent(f, refused[i]);
    ph_field_only_int(f, "conv_in_kernel", 3);
    ph_field_only_int(f, "conv_out_kernel", 3);
    ph_field_only_int(f, "downsample_padding", 1);
    ph_field_only_int(f, "freq_shift", 0);
    ph_field_only_int(f, "mid_block_scale_factor", 1);
    ph_field_only_int(f, "resnet_out_scale_factor", 1);
    ph_field_only_text(f, "resnet_time_scale_shift", "default");
    ph_field_only_text(f, "time_embedding_type", "positional");
    ph_field_only_text(f, "attention_type", "default");
    if (!ph_field_flag(f, "flip_sin_to_cos", true))
        ph_field_fail(f, "flip_sin_to_cos", "only true is supported");
}

static void parse_added(struct ph_fields *f, struct ph_unet_config *c)
{
    const char *key = "projection_class_embeddings_input_dim";
    ph_field_only_text(f, "addition_embed_type", "text_time");
    if (!ph_field_text(f, "addition_embed_type")) return;
    c->added_time_channels = ph_field_int(f, "addition_time_embed_dim", 0, 2, 8192);
    c->added_channels = ph_field_int(f, key, 0, 1, 65536);
    c->pooled_channels = c->added_channels - 6 * c->added_time_channels;
    if (c->added_time_channels % 2)
        ph_field_fail(f, "addition_time_embed_dim", "%d is odd", c->added_time_channels);
    if (c->pooled_channels < 1)
        ph_field_fail(f, key, "%d leaves nothing beside 6 x %d of the sizes", c->added_channels,
                      c->added_time_channels);
}

static void parse_mid(struct ph_fields *f, struct ph_unet_config *c)
{
    // Absent means the default here, while null means that there is no such block.
    const struct ph_json *v = ph_json_get(f->root, "mid_block_type");
    const char *text = ph_field_text(f, "mid_block_type");
    c->mid = PH_UNET_MID_ATTENTION;
    if (v && v->type == PH_JSON_NULL)
        c->mid = PH_UNET_MID_NONE;
    else if (text && strcmp(text, "UNetMidBlock2D") == 0)
        c->mid = PH_UNET_MID_PLAIN;
    else if (text)
        ph_field_only_text(f, "mid_block_type", "UNetMidBlock2DCrossAttn");
}

static void check_divisors(struct ph_fields *f, const struct ph_unet_config *c)
{
    if (f->err) return; // a divisor may be one of the fields that could not be read
    for (int i = 0; i < c->levels; i++) {
        if (c->channels[i] % c->groups)
            ph_field_fail(f, "norm_num_groups", "%d groups do not divide %d channels",
                          c->groups, c->channels[i]);
        if (c->channels[i] % c->heads[i])
            ph_field_fail(f, "attention_head_dim", "%d heads do not divide %d channels",
                          c->heads[i], c->channels[i]);
    }
    if (c->levels && c->channels[0] % 2)
        ph_field_fail(f, "block_out_channels", "the first is odd: %d", c->channels[0]);
}

void ph_unet_parse_shared(struct ph_fields *f, struct ph_unet_config *c)
{
    static const char *const down[] = { "DownBlock2D", "CrossAttnDownBlock2D", NULL };
    refuse_variants(f);
    c->in_channels = ph_field_int(f, "in_channels", 4, 1, 1024);
    c->levels = ph_field_list(f, "block_out_channels", c->channels, PH_UNET_LEVELS, 1, 16384);
    int n = c->levels;
    ph_field_names(f, "down_block_types", c->down_attention, n, down);
    ph_field_levels(f, "layers_per_block", c->layers, n, 2, 1, 16);
    ph_field_levels(f, "transformer_layers_per_block", c->depth, n, 1, 1, 64);
    // Heads, not their width: the field's name is wrong and stays so for old files' sake.
    ph_field_levels(f, "attention_head_dim", c->heads, n, 8, 1, 1024);
    const struct ph_json *truth = ph_json_get(f->root, "num_attention_heads");
    if (truth && truth->type != PH_JSON_NULL)
        ph_field_levels(f, "num_attention_heads", c->heads, n, 0, 1, 1024);
    ph_field_levels(f, "only_cross_attention", c->only_cross, n, 0, 0, 1);
    c->text_channels = ph_field_int(f, "cross_attention_dim", 0, 1, 65536);
    c->linear_projection = ph_field_flag(f, "use_linear_projection", false);
    c->groups = ph_field_int(f, "norm_num_groups", 32, 1, 8192);
    c->eps = ph_field_number(f, "norm_eps", 1e-5f, 0, 1);
    c->act = ph_field_act(f, "act_fn", PH_ACT_SILU);
    parse_mid(f, c);
    parse_added(f, c);
    check_divisors(f, c);
    if (ph_unet_skip_count(c) > PH_UNET_SKIPS)
        ph_field_fail(f, "layers_per_block", "more than %d layers on the way down",
                      PH_UNET_SKIPS);
}

int ph_unet_skip_count(const struct ph_unet_config *c)
{
    int count = c->levels; // conv_in, and a downsampler in all levels but the last
    for (int i = 0; i < c->levels; i++) count += c->layers[i];
    return count;
}
