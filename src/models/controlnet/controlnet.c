// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdio.h>

#include "models/controlnet/controlnet.h"
#include "models/layers.h"
#include "models/unet/blocks.h"

#define TAP "controlnet." // a UNet beside it has the same paths

int ph_controlnet_residuals(const struct ph_controlnet_config *c)
{
    return ph_unet_skip_count(&c->unet) + 1;
}

void ph_controlnet_scales(int count, float scale, bool guess, float *out)
{
    for (int i = 0; i < count; i++) {
        double rise = guess && count > 1 ? pow(10, (double) i / (count - 1) - 1) : 1;
        out[i] = (float) (scale * rise);
    }
}

// [n, condition_channels, 8 h, 8 w] -> [n, channels[0], h, w].
static ph_val embed_condition(struct ph_prog *p, const struct ph_controlnet_config *c, ph_val x)
{
    const enum ph_act act = PH_ACT_SILU; // whatever the config's act_fn says
    char name[32];
    ph_enter(p, "controlnet_cond_embedding");
    x = ph_activate(p, ph_layer_conv3(p, x, "conv_in", c->hint_channels[0]), act);
    for (int i = 0; i + 1 < c->hints; i++) {
        snprintf(name, sizeof name, "blocks.%d", 2 * i);
        x = ph_activate(p, ph_layer_conv3(p, x, name, c->hint_channels[i]), act);
        snprintf(name, sizeof name, "blocks.%d", 2 * i + 1);
        x = ph_layer_conv(p, x, name, c->hint_channels[i + 1], 3,
                          (struct ph_conv){ 2, 1, 1, 1, 1, 0 });
        x = ph_activate(p, x, act);
    }
    x = ph_layer_conv3(p, x, "conv_out", c->unet.channels[0]);
    ph_layer_tap(p, "", NULL, x);
    ph_leave(p);
    return x;
}

// The 1x1 convolution that ends each residual, times its part of the scale.
static ph_val residual(struct ph_prog *p, ph_val x, const char *name, ph_val scale, int index)
{
    x = ph_layer_conv1(p, x, name, (int) ph_dim(p, x, 1));
    return ph_mul(p, x, ph_slice(p, scale, 0, index, 1));
}

void ph_controlnet_steer(struct ph_prog *p, const struct ph_controlnet_config *c,
                         const struct ph_controlnet_in *in, struct ph_residuals *out)
{
    const struct ph_unet_config *u = &c->unet;
    ph_val time = ph_unet_embed_time(p, u, &in->unet, TAP);
    struct ph_unet_blocks b = { .c = u, .time = time, .text = in->unet.text, .tap = TAP };
    struct ph_unet_skips skips = { .count = 1 };
    ph_val x = ph_layer_conv3(p, in->unet.sample, "conv_in", u->channels[0]);
    x = ph_add(p, x, embed_condition(p, c, in->condition));
    skips.value[0] = x;
    x = ph_unet_middle(p, &b, ph_unet_down(p, &b, x, &skips));
    out->count = skips.count;
    for (int i = 0; i < skips.count; i++) {
        char name[40];
        snprintf(name, sizeof name, "controlnet_down_blocks.%d", i);
        out->down[i] = residual(p, skips.value[i], name, in->scale, i);
    }
    out->mid = residual(p, x, "controlnet_mid_block", in->scale, skips.count);
}

void ph_residuals_add(struct ph_prog *p, struct ph_residuals *to,
                      const struct ph_residuals *from)
{
    if (to->count != from->count)
        ph_prog_fail(p, PH_EINVAL, "ControlNets of different models: %d and %d residuals",
                     to->count, from->count);
    for (int i = 0; i < to->count && i < from->count; i++)
        to->down[i] = ph_add(p, to->down[i], from->down[i]);
    to->mid = ph_add(p, to->mid, from->mid);
}

// ------------------------------------------------------------------------------ config
static void parse(struct ph_fields *f, void *config)
{
    struct ph_controlnet_config *c = config;
    const char *hints = "conditioning_embedding_out_channels";
    ph_unet_parse_shared(f, &c->unet);
    ph_field_absent(f, "global_pool_conditions");
    ph_field_only_text(f, "controlnet_conditioning_channel_order", "rgb");
    c->condition_channels = ph_field_int(f, "conditioning_channels", 3, 1, 64);
    static const int usual[] = { 16, 32, 96, 256 };
    c->hints = 4;
    for (int i = 0; i < c->hints; i++) c->hint_channels[i] = usual[i];
    if (ph_json_get(f->root, hints))
        c->hints = ph_field_list(f, hints, c->hint_channels, PH_CONTROLNET_HINTS, 1, 8192);
    if (c->hints && c->hints != 4)
        ph_field_fail(f, hints, "%d widths; 4 make an eighth of the picture", c->hints);
}

static void record(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size)
{
    const struct ph_controlnet_config *c = config;
    struct ph_controlnet_in in;
    struct ph_residuals out = { 0 };
    ph_unet_record_inputs(p, &c->unet, size, &in.unet);
    int64_t h = (size->height + 7) / 8 * 8, w = (size->width + 7) / 8 * 8;
    int64_t condition[4] = { size->batch, c->condition_channels, h, w };
    in.condition = ph_input(p, "condition", PH_EACH, PH_F32, 4, condition);
    int64_t residuals = ph_controlnet_residuals(c);
    in.scale = ph_input(p, "scale", PH_RARE, PH_F32, 1, &residuals);
    ph_controlnet_steer(p, c, &in, &out);
    for (int i = 0; i < out.count; i++) {
        char name[16];
        snprintf(name, sizeof name, "down.%d", i);
        ph_output(p, name, out.down[i]);
    }
    ph_output(p, "mid", out.mid);
}

const struct ph_module_class ph_class_controlnet = {
    .kind = PH_MODULE_CONTROLNET,
    .name = "controlnet",
    .class_names = { "ControlNetModel" },
    .config_file = "config.json",
    .part = { "controlnet" },
    .default_file = "diffusion_pytorch_model.safetensors",
    .config_size = sizeof(struct ph_controlnet_config),
    .parse = parse,
    .record = record,
};
