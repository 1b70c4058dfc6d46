// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "models/layers.h"
#include "models/taesd/taesd.h"

// Both halves are one torch Sequential: layers are counted, those without weights too.
struct sequence {
    struct ph_prog *p;
    const struct ph_taesd_config *c;
    const char *tap; // prefix of taps
    int next;
};

static void enter(struct sequence *s)
{
    ph_enter(s->p, s->c->bare_names ? "%d" : "layers.%d", s->next++);
}

static ph_val leave(struct sequence *s, ph_val x)
{
    ph_layer_tap(s->p, s->tap, NULL, x);
    ph_leave(s->p);
    return x;
}

// The convolution between levels and at the ends has its tensors right in its own scope.
static ph_val conv(struct sequence *s, ph_val x, int out, int stride, int flags)
{
    char name[32];
    // The step's name is the layer's own number, so the scope is entered for the tap alone.
    snprintf(name, sizeof name, s->c->bare_names ? "%d" : "layers.%d", s->next);
    x = ph_layer_conv(s->p, x, name, out, 3, (struct ph_conv){ stride, 1, 1, 1, 1, flags });
    enter(s);
    return leave(s, x);
}

// Layers without weights: the operation is recorded in the scope.
static ph_val activate(struct sequence *s, ph_val x, enum ph_act act)
{
    enter(s);
    return leave(s, ph_activate(s->p, x, act));
}

static ph_val upsample(struct sequence *s, ph_val x)
{
    enter(s);
    x = ph_upsample(s->p, x, (int) ph_dim(s->p, x, 2) * 2, (int) ph_dim(s->p, x, 3) * 2);
    return leave(s, x);
}

#define TAEF2_GROUPS 4

// x + a global view of it: normalised over the whole picture, four times as wide inside.
static ph_val pool(struct ph_prog *p, ph_val x, int channels)
{
    const struct ph_conv bare = { .flags = PH_NO_BIAS };
    ph_val y = ph_layer_conv(p, x, "pool.0", 4 * channels, 1, bare);
    y = ph_layer_group_norm(p, y, "pool.1", TAEF2_GROUPS, 1e-5f);
    y = ph_activate(p, y, PH_ACT_RELU);
    return ph_add(p, x, ph_layer_conv(p, y, "pool.3", channels, 1, bare));
}

static ph_val block(struct sequence *s, ph_val x, bool pooled) // x: [n, channels, h, w]
{
    struct ph_prog *p = s->p;
    int channels = s->c->channels;
    enter(s);
    if (pooled) x = pool(p, x, channels);
    ph_val y = ph_activate(p, ph_layer_conv3(p, x, "conv.0", channels), s->c->act);
    y = ph_activate(p, ph_layer_conv3(p, y, "conv.2", channels), s->c->act);
    y = ph_layer_conv3(p, y, "conv.4", channels);
    return leave(s, ph_activate(p, ph_add(p, x, y), PH_ACT_RELU));
}

static struct sequence begin(struct ph_prog *p, const struct ph_taesd_config *c,
                             const char *half)
{
    if (!c->bare_names) ph_enter(p, "%s", half);
    const char *bare = half[0] == 'e' ? "encoder." : "decoder.";
    return (struct sequence){ p, c, c->bare_names ? bare : "", 0 };
}

static ph_val end(struct sequence *s, ph_val x)
{
    if (!s->c->bare_names) ph_leave(s->p);
    return x;
}

ph_val ph_taesd_encode(struct ph_prog *p, const struct ph_taesd_config *c, ph_val x)
{
    struct sequence s = begin(p, c, "encoder");
    x = ph_affine(p, x, 0.5f, 0.5f);
    for (int i = 0; i < c->encoder_levels; i++) {
        x = conv(&s, x, c->channels, i ? 2 : 1, i ? PH_NO_BIAS : 0);
        for (int k = 0; k < c->encoder_blocks[i]; k++)
            x = block(&s, x, c->pooled && i == c->encoder_levels - 1);
    }
    return end(&s, conv(&s, x, c->latent_channels, 1, 0));
}

ph_val ph_taesd_decode(struct ph_prog *p, const struct ph_taesd_config *c, ph_val latent)
{
    struct sequence s = begin(p, c, "decoder");
    // TAEF2 counts this clamp as its layer 0.
    ph_val x = ph_activate(p, ph_affine(p, latent, 1.0f / 3, 0), PH_ACT_TANH);
    x = ph_affine(p, x, 3, 0);
    s.next = c->bare_names;
    x = activate(&s, conv(&s, x, c->channels, 1, 0), PH_ACT_RELU);
    for (int i = 0; i < c->decoder_levels; i++) {
        bool last = i == c->decoder_levels - 1;
        for (int k = 0; k < c->decoder_blocks[i]; k++) x = block(&s, x, c->pooled && i == 0);
        if (!last) x = upsample(&s, x);
        x = conv(&s, x, last ? c->out_channels : c->channels, 1, last ? 0 : PH_NO_BIAS);
    }
    return ph_affine(p, end(&s, x), 2, -1);
}

// ------------------------------------------------------------------------------ config
// Level widths: one number, because the strided convolutions keep it.
static int width(struct ph_fields *f, const char *key, int *levels)
{
    int channels[PH_TAESD_LEVELS] = { 0 };
    *levels = ph_field_list(f, key, channels, PH_TAESD_LEVELS, 1, 8192);
    for (int i = 1; i < *levels; i++)
        if (channels[i] != channels[0])
            ph_field_fail(f, key, "levels of %d and %d channels; only equal ones are supported",
                          channels[0], channels[i]);
    return channels[0];
}

static void counts(struct ph_fields *f, const char *key, int *out, int levels)
{
    int n = ph_field_list(f, key, out, PH_TAESD_LEVELS, 0, 64);
    if (n != levels) ph_field_fail(f, key, "has %d values, but there are %d levels", n, levels);
}

static void parse_tiny(struct ph_fields *f, void *config)
{
    struct ph_taesd_config *c = config;
    c->in_channels = ph_field_int(f, "in_channels", 3, 1, 64);
    c->out_channels = ph_field_int(f, "out_channels", 3, 1, 64);
    c->latent_channels = ph_field_int(f, "latent_channels", 4, 1, 1024);
    c->channels = width(f, "encoder_block_out_channels", &c->encoder_levels);
    if (width(f, "decoder_block_out_channels", &c->decoder_levels) != c->channels)
        ph_field_fail(f, "decoder_block_out_channels", "differs from the encoder's %d",
                      c->channels);
    counts(f, "num_encoder_blocks", c->encoder_blocks, c->encoder_levels);
    counts(f, "num_decoder_blocks", c->decoder_blocks, c->decoder_levels);
    ph_field_only_int(f, "upsampling_scaling_factor", 2);
    c->act = ph_field_act(f, "act_fn", PH_ACT_RELU);
    c->scaling_factor = ph_field_number(f, "scaling_factor", 1, 1e-6f, 1e6f);
}

// Facts that no file of TAEF2 says are those of its source.
static void parse_taef2(struct ph_fields *f, void *config)
{
    struct ph_taesd_config *c = config;
    *c = (struct ph_taesd_config){ .in_channels = 3,
                                   .out_channels = 3,
                                   .encoder_levels = 4,
                                   .decoder_levels = 4,
                                   .encoder_blocks = { 1, 3, 3, 3 },
                                   .decoder_blocks = { 3, 3, 3, 1 },
                                   .act = PH_ACT_RELU,
                                   .scaling_factor = 1,
                                   .bare_names = true };
    c->latent_channels = ph_field_int(f, "latent_channels", 0, 1, 1024);
    c->channels = ph_field_int(f, "channels", 64, 1, 8192);
    c->pooled = ph_field_flag(f, "use_midblock_gn", false);
}

static void record(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size)
{
    const struct ph_taesd_config *c = config;
    int64_t picture[4] = { size->batch, c->in_channels, size->height, size->width };
    int64_t latent[4] = { size->batch, c->latent_channels, size->height, size->width };
    for (int i = 1; i < c->decoder_levels; i++)
        for (int k = 2; k < 4; k++) latent[k] = (latent[k] + 1) / 2;
    if (part == 0) {
        ph_val x = ph_input(p, "image", PH_EACH, PH_F32, 4, picture);
        ph_output(p, "latent", ph_taesd_encode(p, c, x));
    } else {
        ph_val x = ph_input(p, "latent", PH_EACH, PH_F32, 4, latent);
        ph_output(p, "image", ph_taesd_decode(p, c, x));
    }
}

const struct ph_module_class ph_class_taesd = {
    .kind = PH_MODULE_TAESD,
    .name = "taesd",
    .class_names = { "AutoencoderTiny" },
    .config_file = "config.json",
    .part = { "encoder", "decoder" },
    .default_file = "diffusion_pytorch_model.safetensors",
    .config_size = sizeof(struct ph_taesd_config),
    .parse = parse_tiny,
    .record = record,
};

const struct ph_module_class ph_class_taef2 = {
    .kind = PH_MODULE_TAESD,
    .name = "taef2",
    .class_names = { "TAESD(flux_2)" },
    .config_file = "taef2_config.json",
    .part = { "encoder", "decoder" },
    .file = { "taef2_encoder.safetensors", "taef2_decoder.safetensors" },
    .config_size = sizeof(struct ph_taesd_config),
    .parse = parse_taef2,
    .record = record,
};
