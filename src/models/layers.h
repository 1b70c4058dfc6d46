// SPDX-License-Identifier: MIT
// Layers whose sizes the config gives: each expects its tensors in those shapes (ph_expect), so that
// a file for another model is refused by name, and then records the operation of nn/prog.h. Models
// use these instead of the bare builders.                                          thread: one
#ifndef PH_MODELS_LAYERS_H
#define PH_MODELS_LAYERS_H

#include "nn/prog.h"

// [n, c, h, w] -> [n, out, ...] with a kernel x kernel convolution.
ph_val ph_layer_conv(struct ph_prog *p, ph_val x, const char *name, int out, int kernel,
                     struct ph_conv conv);
// 3x3 with one pixel of padding all around; 1x1.
ph_val ph_layer_conv3(struct ph_prog *p, ph_val x, const char *name, int out);
ph_val ph_layer_conv1(struct ph_prog *p, ph_val x, const char *name, int out);
ph_val ph_layer_linear(struct ph_prog *p, ph_val x, const char *name, int out, int flags);
// A linear layer over tokens that the file stores as a 1x1 convolution.
ph_val ph_layer_pointwise(struct ph_prog *p, ph_val x, const char *name, int out);
ph_val ph_layer_group_norm(struct ph_prog *p, ph_val x, const char *name, int groups,
                           float eps);
ph_val ph_layer_token_norm(struct ph_prog *p, ph_val x, const char *name, float eps);
// ids [n, t] (I32) -> [n, t, c].
ph_val ph_layer_embed(struct ph_prog *p, ph_val ids, const char *name, int entries, int c);
// A tensor as it is.
ph_val ph_layer_param(struct ph_prog *p, const char *name, int rank, const int64_t *dim);

// Tap of x called prefix + the scope (+ "." + name, unless it is NULL): what goldens call it.
// prefix NULL = no tap. Gives x back.
ph_val ph_layer_tap(struct ph_prog *p, const char *prefix, const char *name, ph_val x);

#endif
