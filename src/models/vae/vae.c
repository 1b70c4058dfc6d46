// SPDX-License-Identifier: MIT
#include "models/layers.h"
#include "models/vae/vae.h"

#define EPS 1e-6f // of every norm here

static ph_val norm_act(struct ph_prog *p, const struct ph_vae_config *c, ph_val x,
                       const char *name)
{
    return ph_activate(p, ph_layer_group_norm(p, x, name, c->groups, EPS), c->act);
}

static ph_val resnet(struct ph_prog *p, const struct ph_vae_config *c, ph_val x, int out)
{
    ph_val y = ph_layer_conv3(p, norm_act(p, c, x, "norm1"), "conv1", out);
    y = ph_layer_conv3(p, norm_act(p, c, y, "norm2"), "conv2", out);
    if (ph_dim(p, x, 1) != out) x = ph_layer_conv1(p, x, "conv_shortcut", out);
    return ph_add(p, y, x);
}

static ph_val resnets(struct ph_prog *p, const struct ph_vae_config *c, ph_val x, int out,
                      int count)
{
    for (int i = 0; i < count; i++) {
        ph_enter(p, "resnets.%d", i);
        x = resnet(p, c, x, out);
        ph_leave(p);
    }
    return x;
}

// One head over all channels. Files from before diffusers 0.14 have other names.
static ph_val attention(struct ph_prog *p, const struct ph_vae_config *c, ph_val x)
{
    static const char *const names[2][4] = { { "to_q", "to_k", "to_v", "to_out.0" },
                                             { "query", "key", "value", "proj_attn" } };
    int channels = (int) ph_dim(p, x, 1), h = (int) ph_dim(p, x, 2), w = (int) ph_dim(p, x, 3);
    ph_enter(p, "attentions.0");
    const char *const *name = names[ph_has(p, "query.weight")];
    ph_val t = ph_tokens(p, ph_layer_group_norm(p, x, "group_norm", c->groups, EPS));
    ph_val q = ph_layer_linear(p, t, name[0], channels, 0);
    ph_val k = ph_layer_linear(p, t, name[1], channels, 0);
    ph_val v = ph_layer_linear(p, t, name[2], channels, 0);
    t = ph_attend(p, q, k, v, (struct ph_attention){ .heads = 1 });
    t = ph_layer_linear(p, t, name[3], channels, 0);
    x = ph_add(p, ph_image(p, t, h, w), x);
    ph_leave(p);
    return x;
}

static ph_val mid_block(struct ph_prog *p, const struct ph_vae_config *c, ph_val x)
{
    int channels = c->channels[c->levels - 1];
    ph_enter(p, "mid_block");
    for (int i = 0; i < 2; i++) {
        if (i && c->mid_attention) x = attention(p, c, x);
        ph_enter(p, "resnets.%d", i);
        x = resnet(p, c, x, channels);
        ph_leave(p);
    }
    ph_layer_tap(p, "", NULL, x);
    ph_leave(p);
    return x;
}

static ph_val down_block(struct ph_prog *p, const struct ph_vae_config *c, ph_val x, int level)
{
    ph_enter(p, "down_blocks.%d", level);
    x = resnets(p, c, x, c->channels[level], c->layers);
    // Right and below only, unlike the UNet.
    if (level < c->levels - 1)
        x = ph_layer_conv(p, x, "downsamplers.0.conv", c->channels[level], 3,
                          (struct ph_conv){ .stride = 2, .bottom = 1, .right = 1 });
    ph_layer_tap(p, "", NULL, x);
    ph_leave(p);
    return x;
}

static ph_val up_block(struct ph_prog *p, const struct ph_vae_config *c, ph_val x, int i)
{
    int channels = c->channels[c->levels - 1 - i];
    ph_enter(p, "up_blocks.%d", i);
    x = resnets(p, c, x, channels, c->layers + 1);
    if (i < c->levels - 1) {
        x = ph_upsample(p, x, (int) ph_dim(p, x, 2) * 2, (int) ph_dim(p, x, 3) * 2);
        x = ph_layer_conv3(p, x, "upsamplers.0.conv", channels);
    }
    ph_layer_tap(p, "", NULL, x);
    ph_leave(p);
    return x;
}

static ph_val last_layers(struct ph_prog *p, const struct ph_vae_config *c, ph_val x, int out)
{
    x = ph_layer_conv3(p, norm_act(p, c, x, "conv_norm_out"), "conv_out", out);
    return ph_layer_tap(p, "", "conv_out", x);
}

struct ph_vae_moments ph_vae_encode(struct ph_prog *p, const struct ph_vae_config *c, ph_val x)
{
    ph_enter(p, "encoder");
    x = ph_layer_tap(p, "", "conv_in", ph_layer_conv3(p, x, "conv_in", c->channels[0]));
    for (int i = 0; i < c->levels; i++) x = down_block(p, c, x, i);
    x = last_layers(p, c, mid_block(p, c, x), 2 * c->latent_channels);
    ph_leave(p);
    if (c->quant) x = ph_layer_conv1(p, x, "quant_conv", 2 * c->latent_channels);
    ph_val logvar = ph_slice(p, x, 1, c->latent_channels, c->latent_channels);
    return (struct ph_vae_moments){ .mean = ph_slice(p, x, 1, 0, c->latent_channels),
                                    .logvar = ph_clamp(p, logvar, -30, 20) };
}

static ph_val deviation(struct ph_prog *p, struct ph_vae_moments m)
{
    return ph_activate(p, ph_affine(p, m.logvar, 0.5f, 0), PH_ACT_EXP);
}

ph_val ph_vae_sample(struct ph_prog *p, struct ph_vae_moments m, ph_val noise)
{
    return ph_add(p, m.mean, ph_mul(p, deviation(p, m), noise));
}

ph_val ph_vae_scale(struct ph_prog *p, const struct ph_vae_config *c, ph_val sample)
{
    return ph_affine(p, sample, c->scaling_factor, -c->shift_factor * c->scaling_factor);
}

ph_val ph_vae_unscale(struct ph_prog *p, const struct ph_vae_config *c, ph_val latent)
{
    return ph_affine(p, latent, 1 / c->scaling_factor, c->shift_factor);
}

ph_val ph_vae_decode(struct ph_prog *p, const struct ph_vae_config *c, ph_val sample)
{
    ph_val x = sample;
    if (c->post_quant) x = ph_layer_conv1(p, x, "post_quant_conv", c->latent_channels);
    ph_enter(p, "decoder");
    x = ph_layer_conv3(p, x, "conv_in", c->channels[c->levels - 1]);
    x = mid_block(p, c, ph_layer_tap(p, "", "conv_in", x));
    for (int i = 0; i < c->levels; i++) x = up_block(p, c, x, i);
    x = last_layers(p, c, x, c->out_channels);
    ph_leave(p);
    return x;
}

// ------------------------------------------------------------------------------ config
static void parse(struct ph_fields *f, void *config)
{
    static const char *const down[] = { "DownEncoderBlock2D", NULL };
    static const char *const up[] = { "UpDecoderBlock2D", NULL };
    struct ph_vae_config *c = config;
    int types[PH_VAE_LEVELS];
    c->in_channels = ph_field_int(f, "in_channels", 3, 1, 64);
    c->out_channels = ph_field_int(f, "out_channels", 3, 1, 64);
    c->latent_channels = ph_field_int(f, "latent_channels", 4, 1, 1024);
    c->levels = ph_field_list(f, "block_out_channels", c->channels, PH_VAE_LEVELS, 1, 8192);
    ph_field_names(f, "down_block_types", types, c->levels, down);
    ph_field_names(f, "up_block_types", types, c->levels, up);
    c->layers = ph_field_int(f, "layers_per_block", 1, 1, 64);
    c->groups = ph_field_int(f, "norm_num_groups", 32, 1, 8192);
    for (int i = 0; i < c->levels; i++)
        if (c->channels[i] % c->groups)
            ph_field_fail(f, "norm_num_groups", "%d groups do not divide %d channels",
                          c->groups, c->channels[i]);
    c->act = ph_field_act(f, "act_fn", PH_ACT_SILU);
    c->scaling_factor = ph_field_number(f, "scaling_factor", 0.18215f, 1e-6f, 1e6f);
    c->shift_factor = ph_field_number(f, "shift_factor", 0, -1e6f, 1e6f);
    c->mid_attention = ph_field_flag(f, "mid_block_add_attention", true);
    c->quant = ph_field_flag(f, "use_quant_conv", true);
    c->post_quant = ph_field_flag(f, "use_post_quant_conv", true);
}

static void record_encoder(struct ph_prog *p, const struct ph_vae_config *c,
                           const struct ph_module_size *size)
{
    int64_t picture[4] = { size->batch, c->in_channels, size->height, size->width };
    ph_val x = ph_input(p, "image", PH_EACH, PH_F32, 4, picture);
    struct ph_vae_moments m = ph_vae_encode(p, c, x);
    int64_t latent[4];
    for (int i = 0; i < 4; i++) latent[i] = ph_dim(p, m.mean, i);
    ph_val noise =
        m.mean == PH_NONE ? PH_NONE : ph_input(p, "noise", PH_EACH, PH_F32, 4, latent);
    ph_val sample = ph_vae_sample(p, m, noise);
    ph_output(p, "mean", m.mean);
    ph_output(p, "logvar", m.logvar);
    ph_output(p, "std", deviation(p, m));
    ph_output(p, "sample", sample);
    ph_output(p, "latent", ph_vae_scale(p, c, sample));
}

static void record(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size)
{
    const struct ph_vae_config *c = config;
    if (part == 0) {
        record_encoder(p, c, size);
        return;
    }
    int shift = c->levels - 1;
    int64_t latent[4] = { size->batch, c->latent_channels, size->height >> shift,
                          size->width >> shift };
    ph_val x = ph_input(p, "latent", PH_EACH, PH_F32, 4, latent);
    ph_output(p, "image", ph_vae_decode(p, c, ph_vae_unscale(p, c, x)));
}

const struct ph_module_class ph_class_vae = {
    .kind = PH_MODULE_VAE,
    .name = "vae",
    .class_names = { "AutoencoderKL" },
    .config_file = "config.json",
    .part = { "encoder", "decoder" },
    .default_file = "diffusion_pytorch_model.safetensors",
    .config_size = sizeof(struct ph_vae_config),
    .parse = parse,
    .record = record,
};
