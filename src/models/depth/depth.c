// SPDX-License-Identifier: MIT
// Configs of both families, and the whole of a model.
#include <stdio.h>
#include <string.h>

#include "models/depth/parts.h"
#include "models/layers.h"

// ------------------------------------------------------------------------------ the graph
// Which way the camera looks, from its token.
static ph_val camera(struct ph_prog *p, const struct ph_depth_config *c, ph_val x)
{
    ph_enter(p, "cam_dec");
    for (int i = 0; i < 2; i++)
        x = ph_activate(
            p, ph_layer_linear(p, x, i ? "backbone.2" : "backbone.0", 2 * c->channels, 0),
            PH_ACT_RELU);
    ph_val place = ph_layer_linear(p, x, "fc_t", 3, 0),
           turn = ph_layer_linear(p, x, "fc_qvec", 4, 0);
    ph_val view = ph_activate(p, ph_layer_linear(p, x, "fc_fov.0", 2, 0), PH_ACT_RELU);
    ph_leave(p);
    return ph_depth_tap(p, "pose_enc", -1, ph_concat(p, 1, ph_concat(p, 1, place, turn), view));
}

static void check_size(struct ph_prog *p, ph_val picture)
{
    int64_t h = ph_dim(p, picture, 2), w = ph_dim(p, picture, 3);
    if (h % PH_DEPTH_PATCH || w % PH_DEPTH_PATCH)
        ph_prog_fail(p, PH_EINVAL, "a picture of %lldx%lld: sides must be multiples of %d",
                     (long long) w, (long long) h, PH_DEPTH_PATCH);
}

void ph_depth_predict(struct ph_prog *p, const struct ph_depth_config *c, ph_val picture,
                      struct ph_depth_out *out)
{
    struct ph_depth_taps taps;
    *out = (struct ph_depth_out){ PH_NONE, PH_NONE, PH_NONE };
    check_size(p, picture);
    if (c->da3) {
        ph_enter(p, "model.backbone");
        ph_depth_look(p, c, picture, &taps);
        ph_leave(p);
        ph_enter(p, "model");
        ph_val x = ph_depth_fuse(p, c, &taps);
        out->depth = ph_activate(p, ph_slice(p, x, 1, 0, 1), PH_ACT_EXP);
        out->confidence = ph_activate(p, ph_slice(p, x, 1, 1, 1), PH_ACT_EXP);
        out->confidence = ph_affine(p, out->confidence, 1, 1);
        out->pose = camera(p, c, taps.camera);
        ph_leave(p);
        return;
    }
    ph_depth_look(p, c, picture, &taps);
    out->depth = ph_depth_fuse(p, c, &taps);
    if (c->meaning == PH_DEPTH_METRES)
        out->depth = ph_affine(p, ph_activate(p, out->depth, PH_ACT_SIGMOID), c->max_depth, 0);
    else
        out->depth = ph_activate(p, out->depth, PH_ACT_RELU);
}

static void record(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size)
{
    const struct ph_depth_config *c = config;
    const int unit = PH_DEPTH_PATCH;
    int64_t dim[4] = { size->batch, 3, (size->height + unit - 1) / unit * unit,
                       (size->width + unit - 1) / unit * unit };
    struct ph_depth_out out;
    ph_depth_predict(p, c, ph_input(p, "picture", PH_EACH, PH_F32, 4, dim), &out);
    ph_output(p, "depth", out.depth);
    if (!c->da3) return;
    ph_output(p, "confidence", out.confidence);
    ph_output(p, "pose", out.pose);
}

// ------------------------------------------------------------------------------ config
// A field set below a key of the root; empty where the key is absent.
static struct ph_fields below(const struct ph_fields *f, const char *key)
{
    struct ph_fields sub = *f;
    sub.root = ph_json_get(f->root, key);
    return sub;
}

// As the original names its sizes: ViT-S, B and L.
struct preset {
    const char *vit, *da3;
    int channels, heads, layers, features, stage[4], tap_v2[4], tap_da3[4], alternate;
};
static const struct preset presets[] = {
    { "vits",
      "da3-small",
      384,
      6,
      12,
      64,
      { 48, 96, 192, 384 },
      { 2, 5, 8, 11 },
      { 5, 7, 9, 11 },
      4 },
    { "vitb",
      "da3-base",
      768,
      12,
      12,
      128,
      { 96, 192, 384, 768 },
      { 2, 5, 8, 11 },
      { 5, 7, 9, 11 },
      4 },
    { "vitl",
      "da3-large",
      1024,
      16,
      24,
      256,
      { 256, 512, 1024, 1024 },
      { 4, 11, 17, 23 },
      { 11, 15, 19, 23 },
      8 },
};
#define PRESETS ((int) (sizeof presets / sizeof *presets))

// Taps rise, below the number of layers; heads and halves of heads divide.
static void check(struct ph_fields *f, const struct ph_depth_config *c)
{
    for (int i = 0; i < 4; i++)
        if (c->tap[i] >= c->layers || (i && c->tap[i] <= c->tap[i - 1]))
            ph_field_fail(f, "out_layers", "block %d of %d blocks, in rising order", c->tap[i],
                          c->layers);
    int unit = c->da3 ? 4 * c->heads : c->heads;
    if (unit && c->channels % unit)
        ph_field_fail(f, "num_attention_heads", "%d channels do not split into %d heads%s",
                      c->channels, c->heads, c->da3 ? " of fours" : "");
    if (c->features % 2)
        ph_field_fail(f, "features", "%d: expected an even number", c->features);
    for (int i = 0; c->da3 && i < 4; i++)
        if (c->tap[i] < c->alternate)
            ph_field_fail(f, "alt_start", "block %d is read before views are crossed at %d",
                          c->tap[i], c->alternate);
}

// ViT-L reads blocks 4, 11, 17, 23; the others the thirds of theirs. Absent in old configs.
static void parse_taps(struct ph_fields *f, const char *key, struct ph_depth_config *c,
                       int less)
{
    const struct ph_json *list = ph_json_get(f->root, key);
    int tap[4], count = list ? ph_field_list(f, key, tap, 4, less, 255) : 0;
    if (list && count && count != 4)
        ph_field_fail(f, key, "%d blocks; the head reads 4", count);
    for (int i = 0; i < 4 && count == 4; i++) c->tap[i] = tap[i] - less;
}

static void parse_hf(struct ph_fields *f, struct ph_depth_config *c)
{
    const char *stages = "neck_hidden_sizes";
    int reassembled[4];
    struct ph_fields b = below(f, "backbone_config");
    if (!b.root) {
        ph_field_fail(f, "backbone_config",
                      "is missing: only DINOv2 within the model is known");
        return;
    }
    const char *type = ph_field_text(&b, "model_type");
    if (type && strcmp(type, "dinov2") != 0)
        ph_field_fail(&b, "model_type", "\"%.40s\"; expected dinov2", type);
    c->channels = ph_field_int(&b, "hidden_size", 768, 1, 8192);
    c->heads = ph_field_int(&b, "num_attention_heads", 12, 1, 256);
    c->layers = ph_field_int(&b, "num_hidden_layers", c->channels >= 1024 ? 24 : 12, 4, 256);
    c->inner = c->channels * ph_field_int(&b, "mlp_ratio", 4, 1, 16);
    ph_field_only_int(&b, "patch_size", PH_DEPTH_PATCH);
    ph_field_absent(&b, "use_swiglu_ffn");
    c->grid = ph_field_int(&b, "image_size", 518, 14, 14 * 256) / PH_DEPTH_PATCH;
    for (int i = 0; i < 4; i++) c->tap[i] = c->layers * (i + 1) / 4 - 1;
    parse_taps(&b, "out_indices", c, 1);
    if (b.err) f->err = b.err;
    ph_field_only_int(f, "patch_size", PH_DEPTH_PATCH);
    c->features = ph_field_int(f, "fusion_hidden_size", 64, 2, 4096);
    c->mid = ph_field_int(f, "head_hidden_size", 32, 1, 4096);
    int n =
        ph_json_get(f->root, stages) ? ph_field_list(f, stages, reassembled, 4, 1, 8192) : 0;
    static const int usual[] = { 48, 96, 192, 384 };
    if (ph_json_get(f->root, stages) && n && n != 4)
        ph_field_fail(f, stages, "%d sizes; the head has 4 levels", n);
    for (int i = 0; i < 4; i++) c->stage[i] = n == 4 ? reassembled[i] : usual[i];
    const char *kind = ph_field_text(f, "depth_estimation_type");
    bool metric = kind && strcmp(kind, "metric") == 0;
    if (kind && !metric && strcmp(kind, "relative") != 0)
        ph_field_fail(f, "depth_estimation_type", "\"%.40s\"; expected relative or metric",
                      kind);
    c->meaning = metric ? PH_DEPTH_METRES : PH_DEPTH_DISPARITY;
    c->max_depth = ph_field_number(f, "max_depth", 1, 1e-3f, 1e5f);
    check(f, c);
}

// {"model_name": "da3-small"}, with the sizes under "config" when the file has them.
static void parse_da3(struct ph_fields *f, struct ph_depth_config *c)
{
    const char *name = ph_json_string(ph_json_get(f->root, "model_name"), "");
    struct ph_fields config = below(f, "config");
    struct ph_fields net = below(&config, "net"), head = below(&config, "head");
    const char *vit = net.root ? ph_field_text(&net, "name") : NULL;
    const struct preset *s = NULL;
    for (int i = 0; i < PRESETS && !s; i++)
        if (vit ? !strcmp(vit, presets[i].vit) : !strcmp(name, presets[i].da3)) s = &presets[i];
    if (!s) {
        ph_field_fail(f, vit ? "name" : "model_name",
                      "\"%.40s\" is not known; expected da3-small, da3-base or da3-large",
                      vit ? vit : name);
        return;
    }
    c->da3 = true;
    c->meaning = PH_DEPTH_SCALED;
    c->grid = 37;
    c->mid = 32;
    c->channels = ph_field_int(&net, "embed_dim", s->channels, 1, 8192);
    c->heads = ph_field_int(&net, "num_heads", s->heads, 1, 256);
    c->layers = s->layers;
    c->inner = 4 * c->channels;
    c->alternate = ph_field_int(&net, "alt_start", s->alternate, 1, 255);
    ph_field_only_int(&net, "qknorm_start", c->alternate);
    ph_field_only_int(&net, "rope_start", c->alternate);
    c->features = ph_field_int(&head, "features", s->features, 2, 4096);
    for (int i = 0; i < 4; i++) {
        c->tap[i] = s->tap_da3[i];
        c->stage[i] = s->stage[i];
    }
    parse_taps(&net, "out_layers", c, 0);
    if (ph_json_get(head.root, "out_channels") &&
        ph_field_list(&head, "out_channels", c->stage, 4, 4, 8192) != 4)
        ph_field_fail(&head, "out_channels", "the head has 4 levels");
    for (int i = 0; i < 4; i++)
        if (c->stage[i] % 4)
            ph_field_fail(&head, "out_channels", "%d: expected fours", c->stage[i]);
    if (c->features % 8) ph_field_fail(&head, "features", "%d: expected eights", c->features);
    if (net.err) f->err = net.err;
    if (head.err) f->err = head.err;
    check(f, c);
}

static void parse(struct ph_fields *f, void *config)
{
    if (ph_json_get(f->root, "model_name"))
        parse_da3(f, config);
    else
        parse_hf(f, config);
}

// Used in training, for other outputs, or left over (the last fusion has no second input).
static const char *const ignored[] = { "*mask_token",
                                       "*scratch.refinenet4.resConfUnit1.*",
                                       "neck.fusion_stage.layers.0.residual_layer1.*",
                                       "model.cam_enc.*",
                                       "model.head.*_aux.*",
                                       NULL };

const struct ph_module_class ph_class_depth = {
    .kind = PH_MODULE_DEPTH,
    .name = "depth",
    .class_names = { "DepthAnythingForDepthEstimation", "DepthAnything3" },
    .config_file = "config.json",
    .part = { "depth" },
    .default_file = "model.safetensors",
    .ignored = ignored,
    .config_size = sizeof(struct ph_depth_config),
    .parse = parse,
    .record = record,
};
