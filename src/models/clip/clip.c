// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "models/clip/clip.h"
#include "models/layers.h"

ph_val ph_clip_embed(struct ph_prog *p, const struct ph_clip_config *c, ph_val ids)
{
    ph_enter(p, "text_model.embeddings");
    ph_val x = ph_layer_embed(p, ids, "token_embedding", c->vocabulary, c->channels);
    int64_t table[2] = { c->tokens, c->channels };
    ph_val places = ph_layer_param(p, "position_embedding.weight", 2, table);
    places = ph_slice(p, places, 0, 0, ph_dim(p, ids, 1));
    x = ph_add(p, x, places); // [t, c] over [n, t, c]
    ph_leave(p);
    return x;
}

static ph_val attention(struct ph_prog *p, const struct ph_clip_config *c, ph_val x)
{
    ph_enter(p, "self_attn");
    ph_val q = ph_layer_linear(p, x, "q_proj", c->channels, 0);
    ph_val k = ph_layer_linear(p, x, "k_proj", c->channels, 0);
    ph_val v = ph_layer_linear(p, x, "v_proj", c->channels, 0);
    x = ph_attend(p, q, k, v, (struct ph_attention){ .heads = c->heads, .causal = true });
    x = ph_layer_linear(p, x, "out_proj", c->channels, 0);
    ph_leave(p);
    return x;
}

static ph_val layer(struct ph_prog *p, const struct ph_clip_config *c, ph_val x)
{
    ph_val y = ph_layer_token_norm(p, x, "layer_norm1", c->eps);
    x = ph_add(p, attention(p, c, y), x);
    y = ph_layer_token_norm(p, x, "layer_norm2", c->eps);
    y = ph_activate(p, ph_layer_linear(p, y, "mlp.fc1", c->inner, 0), c->act);
    return ph_add(p, ph_layer_linear(p, y, "mlp.fc2", c->channels, 0), x);
}

ph_val ph_clip_layers(struct ph_prog *p, const struct ph_clip_config *c, ph_val x, int first,
                      int count)
{
    for (int i = first; i < first + count; i++) {
        ph_enter(p, "text_model.encoder.layers.%d", i);
        x = layer(p, c, x);
        ph_leave(p);
    }
    return x;
}

ph_val ph_clip_norm(struct ph_prog *p, const struct ph_clip_config *c, ph_val x)
{
    return ph_layer_token_norm(p, x, "text_model.final_layer_norm", c->eps);
}

ph_val ph_clip_pool(struct ph_prog *p, const struct ph_clip_config *c, ph_val normed,
                    ph_val eos)
{
    ph_val x = ph_pick(p, normed, eos);
    if (!c->projection) return x;
    return ph_layer_linear(p, x, "text_projection", c->projection, PH_NO_BIAS);
}

#define LEGACY_EOS 2 // written into configs by mistake; no tokenizer of CLIP has it at 2

static int64_t end_of(const struct ph_clip_config *c, const int32_t *ids, int64_t t)
{
    int64_t largest = 0;
    for (int64_t i = 0; i < t; i++) {
        if (c->eos != LEGACY_EOS && ids[i] == c->eos) return i;
        if (ids[i] > ids[largest]) largest = i;
    }
    return c->eos == LEGACY_EOS ? largest : 0; // none: the first, as argmax over zeros
}

void ph_clip_find_eos(const struct ph_clip_config *c, const int32_t *ids, int64_t n, int64_t t,
                      int32_t *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = (int32_t) end_of(c, ids + i * t, t);
}

// ------------------------------------------------------------------------------ config
static void parse(struct ph_fields *f, void *config)
{
    struct ph_clip_config *c = config;
    c->vocabulary = ph_field_int(f, "vocab_size", 49408, 1, 1 << 24);
    c->tokens = ph_field_int(f, "max_position_embeddings", 77, 1, 65536);
    c->channels = ph_field_int(f, "hidden_size", 0, 1, 65536);
    c->inner = ph_field_int(f, "intermediate_size", 0, 1, 1 << 20);
    c->layers = ph_field_int(f, "num_hidden_layers", 0, 1, 256);
    c->heads = ph_field_int(f, "num_attention_heads", 0, 1, 1024);
    if (c->heads && c->channels % c->heads)
        ph_field_fail(f, "num_attention_heads", "%d heads do not divide %d channels", c->heads,
                      c->channels);
    c->act = ph_field_act(f, "hidden_act", PH_ACT_QUICK_GELU);
    c->eps = ph_field_number(f, "layer_norm_eps", 1e-5f, 0, 1);
    c->eos = ph_field_int(f, "eos_token_id", 49407, 0, 1 << 24);
    const struct ph_json *names = ph_json_get(f->root, "architectures");
    const char *name = ph_json_string(ph_json_at(names, 0), "");
    if (strcmp(name, "CLIPTextModelWithProjection") == 0)
        c->projection = ph_field_int(f, "projection_dim", 0, 1, 65536);
}

static void record(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size)
{
    const struct ph_clip_config *c = config;
    int64_t n = size->batch;
    int64_t t = size->tokens > c->tokens ? c->tokens : size->tokens;
    ph_val ids = ph_input(p, "ids", PH_EACH, PH_I32, 2, (int64_t[]){ n, t });
    ph_val eos = ph_input(p, "eos", PH_EACH, PH_I32, 1, &n);
    ph_val x = ph_clip_embed(p, c, ids), before = x;
    for (int i = 0; i <= c->layers; i++) {
        char name[24];
        if (i) {
            before = x;
            x = ph_clip_layers(p, c, x, i - 1, 1);
        }
        snprintf(name, sizeof name, "hidden.%d", i);
        ph_output(p, name, x);
    }
    ph_val last = ph_clip_norm(p, c, x);
    ph_output(p, "last", last);
    ph_output(p, "penultimate", ph_clip_norm(p, c, before));
    ph_output(p, "pooled", ph_pick(p, last, eos));
    if (c->projection) ph_output(p, "projected", ph_clip_pool(p, c, last, eos));
}

static const char *const ignored[] = { "text_model.embeddings.position_ids", NULL };

const struct ph_module_class ph_class_clip = {
    .kind = PH_MODULE_CLIP,
    .name = "clip",
    .class_names = { "CLIPTextModel", "CLIPTextModelWithProjection" },
    .config_file = "config.json",
    .part = { "text" },
    .default_file = "model.safetensors",
    .ignored = ignored,
    .config_size = sizeof(struct ph_clip_config),
    .parse = parse,
    .record = record,
};
