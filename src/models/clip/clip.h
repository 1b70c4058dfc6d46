// SPDX-License-Identifier: MIT
// Text encoders of CLIP: CLIP-L, OpenCLIP-H and bigG as the pipelines ship them. Source:
// transformers, modeling_clip.py.
#ifndef PH_MODELS_CLIP_H
#define PH_MODELS_CLIP_H

#include "models/model.h"

struct ph_clip_config {
    int vocabulary, tokens; // entries of the token table; positions
    int channels, inner;    // hidden_size; intermediate_size of the feed-forward part
    int layers, heads;
    enum ph_act act;
    float eps;
    int projection; // channels of the projected pooled vector; 0 = the class has none
    int eos;        // 2 in old configs, where it means the largest id of the row
};

// ids [n, t] (I32), t <= tokens -> [n, t, channels]: hidden state 0.
ph_val ph_clip_embed(struct ph_prog *p, const struct ph_clip_config *c, ph_val ids);
// Layers first .. first + count of hidden state `first`; gives hidden state first + count. Tokens
// see those before them and nothing else is masked: padding counts, as in the reference.
ph_val ph_clip_layers(struct ph_prog *p, const struct ph_clip_config *c, ph_val x, int first,
                      int count);
ph_val ph_clip_norm(struct ph_prog *p, const struct ph_clip_config *c, ph_val x);
// Of normed states: the token at eos [n] (I32), through the projection where the class has one.
ph_val ph_clip_pool(struct ph_prog *p, const struct ph_clip_config *c, ph_val normed,
                    ph_val eos);
// Where each of n rows of t ids ends: out[n]. The first eos, or the largest id (old configs).
void ph_clip_find_eos(const struct ph_clip_config *c, const int32_t *ids, int64_t n, int64_t t,
                      int32_t *out);

// Inputs "ids" [n, t], "eos" [n] (I32, EACH); outputs "hidden.0" .. "hidden.L", "last" (normed),
// "penultimate" (hidden.(L-1), normed), "pooled" (before a projection), "projected" where there is
// one.
extern const struct ph_module_class ph_class_clip;

#endif
