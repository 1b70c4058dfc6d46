// SPDX-License-Identifier: MIT
// DINOv2 as the two models have it: patches, positions, blocks.
#include <stdio.h>
#include <stdlib.h>

#include "models/depth/parts.h"
#include "models/layers.h"

#define EPS_BLOCK 1e-6f
#define EPS_HEADS 1e-5f // q/k norms and the last norm of DA3

bool ph_depth_is_original(const struct ph_prog *p, const struct ph_depth_config *c)
{
    return c->da3 || ph_has(p, "pretrained.cls_token");
}

ph_val ph_depth_tap(struct ph_prog *p, const char *name, int index, ph_val x)
{
    char full[64];
    if (index < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "%s.%d", name, index);
    if (x != PH_NONE) ph_tap(p, full, x);
    return x;
}

struct look {
    struct ph_prog *p;
    const struct ph_depth_config *c;
    bool original;
    int64_t views;
    int h, w;             // patches
    ph_val local, global; // rotary tables
};

static const char *either(const struct look *l, const char *original, const char *other)
{
    return l->original ? original : other;
}

// ------------------------------------------------------------------------------ embedding
// Positions of h x w patches [1, h w, channels] from those stored for grid x grid. The offset of a
// tenth of a patch in the scale is the reference's (interpolate_offset).
static ph_val patch_positions(const struct look *l, ph_val stored)
{
    struct ph_prog *p = l->p;
    int64_t grid = l->c->grid;
    if (l->h == grid && l->w == grid) return ph_slice(p, stored, 1, 1, grid * grid);
    ph_val x = ph_image(p, ph_slice(p, stored, 1, 1, grid * grid), (int) grid, (int) grid);
    float sy = ((float) l->h + 0.1f) / (float) grid, sx = ((float) l->w + 0.1f) / (float) grid;
    return ph_tokens(p, ph_bicubic(p, x, l->h, l->w, sy, sx));
}

static ph_val embed(const struct look *l, ph_val picture)
{
    struct ph_prog *p = l->p;
    const struct ph_depth_config *c = l->c;
    int64_t one[3] = { 1, 1, c->channels };
    int64_t all[3] = { 1, 1 + (int64_t) c->grid * c->grid, c->channels };
    ph_enter(p, "%s", either(l, "pretrained", "backbone.embeddings"));
    ph_val cls = ph_layer_param(p, "cls_token", 3, one);
    ph_val stored = ph_layer_param(p, either(l, "pos_embed", "position_embeddings"), 3, all);
    cls = ph_repeat(p, ph_add(p, cls, ph_slice(p, stored, 1, 0, 1)), l->views);
    ph_val places = ph_repeat(p, patch_positions(l, stored), l->views);
    ph_val x = ph_layer_conv(
        p, picture, either(l, "patch_embed.proj", "patch_embeddings.projection"), c->channels,
        PH_DEPTH_PATCH, (struct ph_conv){ .stride = PH_DEPTH_PATCH });
    ph_leave(p);
    x = ph_concat(p, 1, cls, ph_add(p, ph_tokens(p, x), places));
    return ph_depth_tap(p, "tokens", -1, x);
}

// From block `alternate` on the first token is the camera's: one for the view that others are seen
// from, another for those.
static ph_val enter_camera(const struct look *l, ph_val x)
{
    struct ph_prog *p = l->p;
    int64_t c = l->c->channels, t = ph_dim(p, x, 1);
    ph_enter(p, "pretrained");
    ph_val both = ph_layer_param(p, "camera_token", 3, (int64_t[]){ 1, 2, c });
    ph_leave(p);
    ph_val cameras = ph_slice(p, both, 1, 0, 1);
    if (l->views > 1)
        cameras =
            ph_concat(p, 0, cameras, ph_repeat(p, ph_slice(p, both, 1, 1, 1), l->views - 1));
    return ph_concat(p, 1, cameras, ph_slice(p, x, 1, 1, t - 1));
}

// ------------------------------------------------------------------------------ blocks
static ph_val project(const struct look *l, ph_val x, int which)
{
    static const char *const names[] = { "query", "key", "value" };
    int c = l->c->channels;
    if (!l->original) {
        ph_enter(l->p, "attention.attention");
        x = ph_layer_linear(l->p, x, names[which], c, 0);
        ph_leave(l->p);
        return x;
    }
    ph_expect(l->p, "attn.qkv.weight", 2, (int64_t[]){ 3 * c, c });
    ph_expect(l->p, "attn.qkv.bias", 1, (int64_t[]){ 3 * c });
    return ph_linear_rows(l->p, x, "attn.qkv", (int64_t) which * c, c, 0);
}

// Norm of each head's channels, then its place.
static ph_val turn(const struct look *l, ph_val x, const char *norm, ph_val table)
{
    struct ph_prog *p = l->p;
    if (x == PH_NONE) return x;
    int64_t n = ph_dim(p, x, 0), t = ph_dim(p, x, 1), c = l->c->channels, heads = l->c->heads;
    x = ph_reshape(p, x, 3, (int64_t[]){ n, t * heads, c / heads });
    x = ph_layer_token_norm(p, x, norm, EPS_HEADS);
    x = ph_reshape(p, x, 3, (int64_t[]){ n, t, c });
    return ph_rotary(p, x, table, l->c->heads);
}

static ph_val attend(const struct look *l, ph_val x, int index)
{
    struct ph_prog *p = l->p;
    const struct ph_depth_config *c = l->c;
    bool positions = c->da3 && index >= c->alternate, across = positions && index % 2;
    int64_t n = ph_dim(p, x, 0), t = ph_dim(p, x, 1), d = c->channels;
    if (across && n > 1) x = ph_reshape(p, x, 3, (int64_t[]){ 1, n * t, d });
    ph_val q = project(l, x, 0), k = project(l, x, 1), v = project(l, x, 2);
    if (positions) {
        ph_val table = across ? l->global : l->local;
        q = turn(l, q, "attn.q_norm", table);
        k = turn(l, k, "attn.k_norm", table);
    }
    x = ph_attend(p, q, k, v, (struct ph_attention){ .heads = c->heads });
    if (across && n > 1) x = ph_reshape(p, x, 3, (int64_t[]){ n, t, d });
    return ph_layer_linear(p, x, either(l, "attn.proj", "attention.output.dense"), c->channels,
                           0);
}

static ph_val scale(const struct look *l, ph_val x, const char *original, const char *other)
{
    int64_t c = l->c->channels;
    return ph_mul(l->p, x, ph_layer_param(l->p, either(l, original, other), 1, &c));
}

static ph_val block(const struct look *l, ph_val x, int index)
{
    struct ph_prog *p = l->p;
    ph_enter(p, either(l, "pretrained.blocks.%d", "backbone.encoder.layer.%d"), index);
    ph_val y = attend(l, ph_layer_token_norm(p, x, "norm1", EPS_BLOCK), index);
    x = ph_add(p, scale(l, y, "ls1.gamma", "layer_scale1.lambda1"), x);
    y = ph_layer_token_norm(p, x, "norm2", EPS_BLOCK);
    y = ph_activate(p, ph_layer_linear(p, y, "mlp.fc1", l->c->inner, 0), PH_ACT_GELU);
    y = ph_layer_linear(p, y, "mlp.fc2", l->c->channels, 0);
    x = ph_add(p, scale(l, y, "ls2.gamma", "layer_scale2.lambda1"), x);
    ph_leave(p);
    return ph_depth_tap(p, "block", index, x);
}

// ------------------------------------------------------------------------------ taps
static ph_val last_norm(const struct look *l, ph_val x)
{
    ph_enter(l->p, "%s", either(l, "pretrained", "backbone"));
    x = ph_layer_token_norm(l->p, x, either(l, "norm", "layernorm"),
                            l->c->da3 ? EPS_HEADS : EPS_BLOCK);
    ph_leave(l->p);
    return x;
}

static ph_val patches_of(const struct look *l, ph_val x)
{
    return ph_slice(l->p, x, 1, 1, ph_dim(l->p, x, 1) - 1);
}

static void tap(const struct look *l, int index, ph_val local, ph_val x,
                struct ph_depth_taps *out)
{
    struct ph_prog *p = l->p;
    ph_val y = last_norm(l, patches_of(l, x));
    if (l->c->da3) {
        int64_t c = l->c->channels;
        y = ph_concat(p, 2, patches_of(l, local), y);
        ph_val camera = ph_concat(p, 2, ph_slice(p, local, 1, 0, 1), ph_slice(p, x, 1, 0, 1));
        out->camera = ph_reshape(p, camera, 2, (int64_t[]){ l->views, 2 * c });
        ph_depth_tap(p, "cam", index, out->camera);
    }
    out->tokens[index] = ph_depth_tap(p, "tap", index, y);
}

static ph_val rotary_table(const struct look *l, bool global)
{
    int views = global ? (int) l->views : 1, d = l->c->channels / l->c->heads;
    int64_t dim[2] = { (int64_t) views * (1 + l->h * l->w), d };
    float *values = malloc((size_t) (dim[0] * dim[1]) * sizeof *values);
    ph_val table = PH_NONE;
    if (!values) ph_prog_fail(l->p, PH_ENOMEM, "out of memory");
    if (values) {
        ph_depth_rotary_table(views, l->h, l->w, d, global, values);
        table = ph_constant(l->p, global ? "rotary_across" : "rotary", 2, dim, values);
    }
    free(values);
    return table;
}

void ph_depth_look(struct ph_prog *p, const struct ph_depth_config *c, ph_val picture,
                   struct ph_depth_taps *out)
{
    struct look l = { .p = p,
                      .c = c,
                      .original = ph_depth_is_original(p, c),
                      .views = ph_dim(p, picture, 0),
                      .h = (int) ph_dim(p, picture, 2) / PH_DEPTH_PATCH,
                      .w = (int) ph_dim(p, picture, 3) / PH_DEPTH_PATCH };
    *out = (struct ph_depth_taps){ .h = l.h, .w = l.w, .camera = PH_NONE };
    for (int i = 0; i < 4; i++) out->tokens[i] = PH_NONE;
    ph_val x = embed(&l, picture), before = x;
    int next = 0;
    if (c->da3) {
        l.local = rotary_table(&l, false);
        l.global = rotary_table(&l, true);
    }
    for (int i = 0; i < c->layers && next < 4; i++) {
        if (c->da3 && i == c->alternate) x = enter_camera(&l, x);
        before = x;
        x = block(&l, x, i);
        if (i == c->tap[next]) tap(&l, next++, before, x, out);
    }
}
