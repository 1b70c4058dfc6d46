// SPDX-License-Identifier: MIT
// The head: four levels of tokens become pictures of four sizes, are fused from the smallest up, and
// become numbers per pixel.
#include <stdio.h>
#include <stdlib.h>

#include "models/depth/parts.h"
#include "models/layers.h"

struct head {
    struct ph_prog *p;
    const struct ph_depth_config *c;
    bool original;
    int64_t n;
    int h, w; // of the picture
};

static const struct ph_conv around = { .top = 1, .left = 1, .bottom = 1, .right = 1 };

static const char *either(const struct head *d, const char *original, const char *other)
{
    return d->original ? original : other;
}

// DA3 adds to some pictures where each pixel lies: [n, c, h, w].
static ph_val places(const struct head *d, int c, int h, int w)
{
    int64_t dim[4] = { 1, c, h, w };
    float *values = malloc((size_t) c * (size_t) h * (size_t) w * sizeof *values);
    ph_val x = PH_NONE;
    if (!values) ph_prog_fail(d->p, PH_ENOMEM, "out of memory");
    if (values) {
        ph_depth_place_table(c, h, w, (double) d->w / d->h, values);
        x = ph_constant(d->p, "places", 4, dim, values);
    }
    free(values);
    return ph_repeat(d->p, x, d->n);
}

// ------------------------------------------------------------------------------ levels
static ph_val resize(const struct head *d, ph_val x, int index)
{
    char name[64];
    int c = d->c->stage[index], k = index ? 2 : 4;
    if (index == 2 || x == PH_NONE) return x;
    snprintf(name, sizeof name,
             either(d, "resize_layers.%d", "neck.reassemble_stage.layers.%d.resize"), index);
    if (index == 3) {
        struct ph_conv half = around;
        half.stride = 2;
        return ph_layer_conv(d->p, x, name, c, 3, half);
    }
    char full[80];
    snprintf(full, sizeof full, "%s.weight", name);
    ph_expect(d->p, full, 4, (int64_t[]){ c, c, k, k });
    snprintf(full, sizeof full, "%s.bias", name);
    ph_expect(d->p, full, 1, (int64_t[]){ c });
    return ph_conv_up(d->p, x, name);
}

static ph_val level(const struct head *d, const struct ph_depth_taps *taps, int index)
{
    struct ph_prog *p = d->p;
    char name[64];
    ph_val x = taps->tokens[index], where = PH_NONE;
    if (d->c->da3) {
        where = places(d, d->c->stage[index], taps->h, taps->w);
        x = ph_layer_token_norm(p, x, "norm", 1e-5f);
    }
    snprintf(name, sizeof name,
             either(d, "projects.%d", "neck.reassemble_stage.layers.%d.projection"), index);
    x = ph_layer_conv1(p, ph_image(p, x, taps->h, taps->w), name, d->c->stage[index]);
    ph_depth_tap(p, "project", index, x);
    if (d->c->da3) x = ph_add(p, x, where);
    x = ph_depth_tap(p, "resize", index, resize(d, x, index));
    struct ph_conv bare = around;
    bare.flags = PH_NO_BIAS;
    snprintf(name, sizeof name, either(d, "scratch.layer%d_rn", "neck.convs.%d"),
             d->original ? index + 1 : index);
    x = ph_layer_conv(p, x, name, d->c->features, 3, bare);
    return ph_depth_tap(p, "rn", index + 1, x);
}

// ------------------------------------------------------------------------------ fusion
static ph_val residual_unit(const struct head *d, ph_val x, int number)
{
    struct ph_prog *p = d->p;
    char name[2][64];
    for (int i = 0; i < 2; i++)
        snprintf(name[i], sizeof *name,
                 either(d, "resConfUnit%d.conv%d", "residual_layer%d.convolution%d"), number,
                 i + 1);
    ph_val y = ph_activate(p, x, PH_ACT_RELU);
    y = ph_activate(p, ph_layer_conv3(p, y, name[0], d->c->features), PH_ACT_RELU);
    return ph_add(p, ph_layer_conv3(p, y, name[1], d->c->features), x);
}

// Step `number` (4 to 1). The reference stretches first: a 1x1 convolution of a mean is the mean of
// those convolutions, at a quarter of the products.
static ph_val fuse(const struct head *d, ph_val x, ph_val lateral, int number, int h, int w)
{
    struct ph_prog *p = d->p;
    if (d->original)
        ph_enter(p, "scratch.refinenet%d", number);
    else
        ph_enter(p, "neck.fusion_stage.layers.%d", 4 - number);
    if (lateral != PH_NONE) x = ph_add(p, residual_unit(d, lateral, 1), x);
    x = residual_unit(d, x, 2);
    x = ph_layer_conv1(p, x, either(d, "out_conv", "projection"), d->c->features);
    x = ph_stretch(p, x, h, w);
    ph_leave(p);
    char name[16];
    snprintf(name, sizeof name, "refinenet%d", number);
    return ph_depth_tap(p, name, -1, x);
}

// ------------------------------------------------------------------------------ the end
// What DA3 adds before this layer is the same in every run, and so is what becomes of it: it joins
// the sums of the layer.
static ph_val mid_layer(const struct head *d, ph_val x)
{
    struct ph_prog *p = d->p;
    const char *name = either(d, "scratch.output_conv2.0", "head.conv2");
    int c = (int) ph_dim(p, x, 1);
    if (!d->c->da3) return ph_layer_conv3(p, x, name, d->c->mid);
    struct ph_conv bare = around;
    bare.flags = PH_NO_BIAS;
    ph_val where = places(d, c, d->h, d->w);
    ph_depth_tap(p, "upsampled_uv", -1, ph_add(p, x, where));
    where = ph_layer_conv(p, where, name, d->c->mid, 3, bare);
    return ph_add(p, ph_layer_conv3(p, x, name, d->c->mid), where);
}

static ph_val finish(const struct head *d, ph_val x)
{
    struct ph_prog *p = d->p;
    x = ph_layer_conv3(p, x, either(d, "scratch.output_conv1", "head.conv1"),
                       d->c->features / 2);
    ph_depth_tap(p, "output_conv1", -1, x);
    x = ph_stretch(p, x, d->h, d->w);
    ph_depth_tap(p, "upsampled", -1, x);
    x = ph_activate(p, mid_layer(d, x), PH_ACT_RELU);
    x = ph_layer_conv1(p, x, either(d, "scratch.output_conv2.2", "head.conv3"),
                       d->c->da3 ? 2 : 1);
    return ph_depth_tap(p, d->c->da3 ? "logits" : "logit", -1, x);
}

ph_val ph_depth_fuse(struct ph_prog *p, const struct ph_depth_config *c,
                     const struct ph_depth_taps *taps)
{
    struct head d = { .p = p,
                      .c = c,
                      .original = ph_depth_is_original(p, c),
                      .n = ph_dim(p, taps->tokens[0], 0),
                      .h = PH_DEPTH_PATCH * taps->h,
                      .w = PH_DEPTH_PATCH * taps->w };
    ph_val rn[4], x = PH_NONE;
    bool inside = d.original;
    if (inside) ph_enter(p, "%s", c->da3 ? "head" : "depth_head");
    for (int i = 0; i < 4; i++) rn[i] = level(&d, taps, i);
    for (int i = 3; i >= 0; i--) {
        ph_val to = i ? rn[i - 1] : rn[0];
        int times = i ? 1 : 2;
        x = fuse(&d, i == 3 ? rn[3] : x, i == 3 ? PH_NONE : rn[i], i + 1,
                 times * (int) ph_dim(p, to, 2), times * (int) ph_dim(p, to, 3));
    }
    x = finish(&d, x);
    if (inside) ph_leave(p);
    return x;
}
