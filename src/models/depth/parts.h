// SPDX-License-Identifier: MIT
// The two halves of a depth model; inside depth/ only.
#ifndef PH_MODELS_DEPTH_PARTS_H
#define PH_MODELS_DEPTH_PARTS_H

#include "models/depth/depth.h"

// What files call the tensors: as the original code, or as transformers.
bool ph_depth_is_original(const struct ph_prog *p, const struct ph_depth_config *c);

struct ph_depth_taps {
    int h, w; // patches
    ph_val
        tokens[4]; // [n, h w, channels], of DA3 twice as wide: before and after crossing views
    ph_val camera; // [n, 2 channels] of DA3
};
void ph_depth_look(struct ph_prog *p, const struct ph_depth_config *c, ph_val picture,
                   struct ph_depth_taps *out);
// Logits [n, 1 or 2, 14 h, 14 w].
ph_val ph_depth_fuse(struct ph_prog *p, const struct ph_depth_config *c,
                     const struct ph_depth_taps *taps);

ph_val ph_depth_tap(struct ph_prog *p, const char *name, int index, ph_val x); // gives x back

#endif
