// SPDX-License-Identifier: MIT
// Holds a film of depth maps still. A model that knows depth only up to scale and shift gives
// another scale and shift with each frame: first each map is brought to those of the maps before,
// by least trimmed squares on what did not move; then each pixel is averaged over time as long as
// it does not move. The arithmetic is stated in docs/cloud.md.
#ifndef PH_IMAGE_STEADY_H
#define PH_IMAGE_STEADY_H

#include <phosphene/frame.h>

enum ph_steady_fit { PH_FIT_NONE, PH_FIT_SCALE, PH_FIT_SCALE_SHIFT };

struct ph_steady_params {
    enum ph_steady_fit fit;
    float smooth; // 0..1: how much of a still pixel's past stays; 0 = align only
};

struct ph_steady; // belongs to one thread

// What was found for a frame; y = a·d + b.
struct ph_steady_report {
    double a, b;
    double q;     // robust error of the fit over the spread of the map; above 0.15 is a cut
    bool cut;     // the film begins anew with this frame (the first one does)
    int outliers; // pixels that moved
};

ph_err ph_steady_create(struct ph_steady **s);
void ph_steady_destroy(struct ph_steady **s);
void ph_steady_forget(struct ph_steady *s); // the next frame is the first
// dst may be src. What is not finite stays so. A change of size begins anew.
ph_err ph_steady_apply(struct ph_steady *s, const struct ph_picture *dst,
                       const struct ph_picture *src, const struct ph_steady_params *par,
                       struct ph_steady_report *report);

#endif
