// SPDX-License-Identifier: MIT
#include "models/layers.h"
#include "models/unet/blocks.h"

static void add_control(struct ph_prog *p, const struct ph_residuals *control,
                        struct ph_unet_skips *skips)
{
    if (control->count != skips->count) {
        ph_prog_fail(p, PH_EINVAL,
                     "the ControlNet is for another model: it has %d residuals and the UNet %d",
                     control->count, skips->count);
        return;
    }
    for (int i = 0; i < skips->count; i++)
        skips->value[i] = ph_add(p, skips->value[i], control->down[i]);
}

ph_val ph_unet_predict(struct ph_prog *p, const struct ph_unet_config *c,
                       const struct ph_unet_in *in)
{
    ph_val time = ph_unet_embed_time(p, c, in, "");
    struct ph_unet_blocks b = {
        .c = c, .time = time, .text = in->text, .tap = "", .memory = in->memory
    };
    struct ph_unet_skips skips = { .count = 1 };
    ph_val x = ph_layer_conv3(p, in->sample, "conv_in", c->channels[0]);
    skips.value[0] = ph_layer_tap(p, "", "conv_in", x);
    x = ph_unet_down(p, &b, x, &skips);
    x = ph_unet_middle(p, &b, x);
    if (in->control) {
        add_control(p, in->control, &skips);
        x = ph_add(p, x, in->control->mid);
    }
    x = ph_unet_up(p, &b, x, &skips);
    x = ph_layer_group_norm(p, x, "conv_norm_out", c->groups, c->eps);
    x = ph_activate(p, ph_layer_tap(p, "", "conv_norm_out", x), c->act);
    return ph_layer_conv3(p, x, "conv_out", c->out_channels);
}

static void parse(struct ph_fields *f, void *config)
{
    static const char *const up[] = { "UpBlock2D", "CrossAttnUpBlock2D", NULL };
    struct ph_unet_config *c = config;
    ph_unet_parse_shared(f, c);
    c->out_channels = ph_field_int(f, "out_channels", 4, 1, 1024);
    c->sample_size = ph_field_int(f, "sample_size", 64, 1, 4096);
    ph_field_names(f, "up_block_types", c->up_attention, c->levels, up);
}

void ph_unet_record_inputs(struct ph_prog *p, const struct ph_unet_config *c,
                           const struct ph_module_size *size, struct ph_unet_in *in)
{
    int64_t n = size->batch, h = (size->height + 7) / 8, w = (size->width + 7) / 8;
    *in = (struct ph_unet_in){ .pooled = PH_NONE, .time_ids = PH_NONE };
    in->sample =
        ph_input(p, "sample", PH_EACH, PH_F32, 4, (int64_t[]){ n, c->in_channels, h, w });
    in->timestep = ph_input(p, "timestep", PH_RARE, PH_F32, 1, &n);
    in->text = ph_input(p, "text", PH_RARE, PH_F32, 3,
                        (int64_t[]){ n, size->tokens, c->text_channels });
    if (!c->added_channels) return;
    in->pooled =
        ph_input(p, "pooled", PH_RARE, PH_F32, 2, (int64_t[]){ n, c->pooled_channels });
    in->time_ids = ph_input(p, "time_ids", PH_RARE, PH_F32, 2, (int64_t[]){ n, 6 });
}

static void record(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size)
{
    struct ph_unet_in in;
    ph_unet_record_inputs(p, config, size, &in);
    ph_output(p, "prediction", ph_unet_predict(p, config, &in));
}

const struct ph_module_class ph_class_unet = {
    .kind = PH_MODULE_UNET,
    .name = "unet",
    .class_names = { "UNet2DConditionModel" },
    .config_file = "config.json",
    .part = { "unet" },
    .default_file = "diffusion_pytorch_model.safetensors",
    .config_size = sizeof(struct ph_unet_config),
    .parse = parse,
    .record = record,
};
