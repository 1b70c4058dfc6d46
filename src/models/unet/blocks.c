// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "models/layers.h"
#include "models/unet/blocks.h"

#define TRANSFORMER_EPS 1e-6f // group norm before the tokens
#define TOKEN_EPS       1e-5f

static ph_val tap(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x)
{
    return ph_layer_tap(p, b->tap, NULL, x);
}

static ph_val norm_act(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                       const char *name)
{
    x = ph_layer_group_norm(p, x, name, b->c->groups, b->c->eps);
    return ph_activate(p, x, b->c->act);
}

static ph_val resnet(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x, int out,
                     int index)
{
    ph_enter(p, "resnets.%d", index);
    ph_val y = ph_layer_conv3(p, norm_act(p, b, x, "norm1"), "conv1", out);
    y = ph_add(p, y, ph_layer_linear(p, b->time, "time_emb_proj", out, 0)); // [n, out]
    y = ph_layer_conv3(p, norm_act(p, b, y, "norm2"), "conv2", out);
    if (ph_dim(p, x, 1) != out) x = ph_layer_conv1(p, x, "conv_shortcut", out);
    x = tap(p, b, ph_add(p, y, x));
    ph_leave(p);
    return x;
}

// ------------------------------------------------------------------------------ transformer
// x [n, t, c]; keys and values of `from`: x itself, or the text.
// Keys or values [n, t, c] of this run and of those before, the latest first.
static ph_val remember(struct ph_prog *p, const struct ph_unet_memory *m, const char *what,
                       ph_val x)
{
    char name[576];
    int64_t t = ph_dim(p, x, 1);
    snprintf(name, sizeof name, "%s.%s", ph_scope(p), what);
    ph_val bank =
        ph_state(p, name, 3, (int64_t[]){ ph_dim(p, x, 0), t * m->frames, ph_dim(p, x, 2) });
    ph_val instead = x;
    for (int i = 1; i < m->frames; i++) instead = ph_concat(p, 1, instead, x);
    ph_val before = ph_axpby(p, m->fresh, instead, m->kept, bank);
    ph_store(p, bank,
             m->frames == 1
                 ? x
                 : ph_concat(p, 1, x, ph_slice(p, before, 1, 0, t * (m->frames - 1))));
    return ph_concat(p, 1, x, before);
}

static ph_val attention(struct ph_prog *p, const struct ph_unet_blocks *b, const char *name,
                        ph_val x, ph_val from, int heads)
{
    int channels = (int) ph_dim(p, x, 2);
    ph_enter(p, "%s", name);
    ph_val q = ph_layer_linear(p, x, "to_q", channels, PH_NO_BIAS);
    ph_val k = ph_layer_linear(p, from, "to_k", channels, PH_NO_BIAS);
    ph_val v = ph_layer_linear(p, from, "to_v", channels, PH_NO_BIAS);
    if (b->memory && from == x) {
        k = remember(p, b->memory, "k", k);
        v = remember(p, b->memory, "v", v);
    }
    x = ph_attend(p, q, k, v, (struct ph_attention){ .heads = heads });
    x = tap(p, b, ph_layer_linear(p, x, "to_out.0", channels, 0));
    ph_leave(p);
    return x;
}

static ph_val feed_forward(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x)
{
    int channels = (int) ph_dim(p, x, 2);
    ph_enter(p, "ff");
    x = ph_geglu(p, ph_layer_linear(p, x, "net.0.proj", 8 * channels, 0)); // [n, t, 4 c]
    x = tap(p, b, ph_layer_linear(p, x, "net.2", channels, 0));
    ph_leave(p);
    return x;
}

static ph_val transformer_block(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                                int level, int index) // x: [n, h w, c]
{
    int heads = b->c->heads[level];
    ph_enter(p, "transformer_blocks.%d", index);
    ph_val y = ph_layer_token_norm(p, x, "norm1", TOKEN_EPS);
    y = attention(p, b, "attn1", y, b->c->only_cross[level] ? b->text : y, heads);
    x = ph_add(p, y, x);
    y = ph_layer_token_norm(p, x, "norm2", TOKEN_EPS);
    x = ph_add(p, attention(p, b, "attn2", y, b->text, heads), x);
    y = ph_layer_token_norm(p, x, "norm3", TOKEN_EPS);
    x = tap(p, b, ph_add(p, feed_forward(p, b, y), x));
    ph_leave(p);
    return x;
}

static ph_val project(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                      const char *name)
{
    int channels = (int) ph_dim(p, x, 2);
    return b->c->linear_projection ? ph_layer_linear(p, x, name, channels, 0)
                                   : ph_layer_pointwise(p, x, name, channels);
}

// level: whose heads, depth and attention it has.
static ph_val transformer(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                          int level, int index)
{
    int h = (int) ph_dim(p, x, 2), w = (int) ph_dim(p, x, 3);
    ph_enter(p, "attentions.%d", index);
    ph_val t = ph_layer_group_norm(p, x, "norm", b->c->groups, TRANSFORMER_EPS);
    t = project(p, b, ph_tokens(p, t), "proj_in");
    for (int i = 0; i < b->c->depth[level]; i++) t = transformer_block(p, b, t, level, i);
    t = project(p, b, t, "proj_out");
    x = tap(p, b, ph_add(p, ph_image(p, t, h, w), x));
    ph_leave(p);
    return x;
}

// ------------------------------------------------------------------------------ levels
static void push(struct ph_prog *p, struct ph_unet_skips *skips, ph_val x)
{
    if (skips->count == PH_UNET_SKIPS)
        ph_prog_fail(p, PH_ELIMIT, "more than %d layers on the way down", PH_UNET_SKIPS);
    else
        skips->value[skips->count++] = x;
}

static ph_val pop(struct ph_prog *p, struct ph_unet_skips *skips)
{
    if (skips->count > 0) return skips->value[--skips->count];
    ph_prog_fail(p, PH_EINVAL, "more layers on the way up than on the way down");
    return PH_NONE;
}

static ph_val down_level(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x, int level,
                         struct ph_unet_skips *skips)
{
    const struct ph_unet_config *c = b->c;
    ph_enter(p, "down_blocks.%d", level);
    for (int i = 0; i < c->layers[level]; i++) {
        x = resnet(p, b, x, c->channels[level], i);
        if (c->down_attention[level]) x = transformer(p, b, x, level, i);
        push(p, skips, x);
    }
    if (level < c->levels - 1) {
        ph_enter(p, "downsamplers.0");
        x = ph_layer_conv(p, x, "conv", c->channels[level], 3,
                          (struct ph_conv){ 2, 1, 1, 1, 1, 0 });
        push(p, skips, tap(p, b, x));
        ph_leave(p);
    }
    tap(p, b, x);
    ph_leave(p);
    return x;
}

ph_val ph_unet_down(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                    struct ph_unet_skips *skips)
{
    for (int i = 0; i < b->c->levels; i++) x = down_level(p, b, x, i, skips);
    return x;
}

ph_val ph_unet_middle(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x)
{
    int last = b->c->levels - 1;
    if (b->c->mid == PH_UNET_MID_NONE) return x;
    ph_enter(p, "mid_block");
    x = resnet(p, b, x, b->c->channels[last], 0);
    if (b->c->mid == PH_UNET_MID_ATTENTION) {
        // Attention of the middle is never "only cross", whatever the last level has.
        struct ph_unet_config c = *b->c;
        c.only_cross[last] = 0;
        struct ph_unet_blocks mid = *b;
        mid.c = &c;
        x = transformer(p, &mid, x, last, 0);
    }
    // Without attention there is one residual block only.
    if (b->c->mid == PH_UNET_MID_ATTENTION) x = resnet(p, b, x, b->c->channels[last], 1);
    tap(p, b, x);
    ph_leave(p);
    return x;
}

// i counts upwards; its sizes are those of the level that it mirrors.
static ph_val up_level(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x, int i,
                       struct ph_unet_skips *skips)
{
    const struct ph_unet_config *c = b->c;
    int level = c->levels - 1 - i;
    ph_enter(p, "up_blocks.%d", i);
    for (int k = 0; k < c->layers[level] + 1; k++) {
        x = ph_concat(p, 1, x, pop(p, skips));
        x = resnet(p, b, x, c->channels[level], k);
        if (c->up_attention[i]) x = transformer(p, b, x, level, k);
    }
    if (level > 0 && skips->count > 0) {
        ph_val next = skips->value[skips->count - 1];
        ph_enter(p, "upsamplers.0");
        x = ph_upsample(p, x, (int) ph_dim(p, next, 2), (int) ph_dim(p, next, 3));
        x = tap(p, b, ph_layer_conv3(p, x, "conv", c->channels[level]));
        ph_leave(p);
    }
    tap(p, b, x);
    ph_leave(p);
    return x;
}

ph_val ph_unet_up(struct ph_prog *p, const struct ph_unet_blocks *b, ph_val x,
                  struct ph_unet_skips *skips)
{
    for (int i = 0; i < b->c->levels; i++) x = up_level(p, b, x, i, skips);
    return x;
}

// ------------------------------------------------------------------------------ time
static ph_val embedding(struct ph_prog *p, const struct ph_unet_config *c, const char *name,
                        ph_val x)
{
    int channels = 4 * c->channels[0];
    ph_enter(p, "%s", name);
    x = ph_activate(p, ph_layer_linear(p, x, "linear_1", channels, 0), c->act);
    x = ph_layer_linear(p, x, "linear_2", channels, 0);
    ph_leave(p);
    return x;
}

#define MAX_PERIOD 10000.0f

ph_val ph_unet_embed_time(struct ph_prog *p, const struct ph_unet_config *c,
                          const struct ph_unet_in *in, const char *tap_prefix)
{
    ph_val x = ph_sinusoid(p, in->timestep, c->channels[0], MAX_PERIOD);
    x = ph_layer_tap(p, tap_prefix, "time_embedding", embedding(p, c, "time_embedding", x));
    if (c->added_channels) {
        ph_val sizes = ph_sinusoid(p, in->time_ids, c->added_time_channels, MAX_PERIOD);
        ph_val added = ph_concat(p, 1, in->pooled, sizes); // [n, added_channels]
        added = embedding(p, c, "add_embedding", added);
        x = ph_add(p, x, ph_layer_tap(p, tap_prefix, "add_embedding", added));
    }
    return ph_activate(p, x, c->act);
}
