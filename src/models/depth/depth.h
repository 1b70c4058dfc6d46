// SPDX-License-Identifier: MIT
// Depth from one picture: Depth-Anything-V2 (relative and metric) and Depth-Anything-3. Both are
// DINOv2 (a ViT of 14x14 patches) with a DPT head. Sources: DepthAnything/Depth-Anything-V2,
// depth_anything_v2/{dpt,dinov2}.py; ByteDance-Seed/Depth-Anything-3, model/{dinov2,dualdpt,cam_dec};
// transformers, modeling_depth_anything.py for the other names of the same tensors.
#ifndef PH_MODELS_DEPTH_H
#define PH_MODELS_DEPTH_H

#include "models/model.h"

#define PH_DEPTH_PATCH    14 // pixels of a side of a patch: pictures have sides in fourteens
#define PH_DEPTH_SIDE_MAX 1400

// What the numbers that come out mean.
enum ph_depth_meaning {
    PH_DEPTH_DISPARITY, // inverse depth up to scale and shift, 0 and more, larger is nearer
    PH_DEPTH_SCALED,    // depth up to a scale that drifts (DA3)
    PH_DEPTH_METRES     // depth, 0 .. max_depth
};

struct ph_depth_config {
    bool da3;
    enum ph_depth_meaning meaning;
    float max_depth;             // metres
    int channels, heads, layers; // of the ViT
    int inner;                   // of its feed-forward part
    int grid;                    // of the stored position table, patches
    int tap[4];                  // blocks whose outputs the head reads, from 0
    int stage[4];                // channels that each becomes
    int features;                // of the fusion
    int mid;                     // channels before the last layer
    int alternate; // DA3: first block with q/k norm, rotary positions, camera token
};

// Values of one run.
struct ph_depth_out {
    ph_val depth;      // [n, 1, h, w] as config's meaning says
    ph_val confidence; // [n, 1, h, w], 1 and more; DA3 alone, else PH_NONE
    ph_val pose; // [n, 9]: translation, quaternion xyzw, field of view high and wide, radians
};
// picture [n, 3, h, w], h and w in fourteens: (RGB/255 - mean)/deviation of ImageNet. With DA3 the n
// pictures are views of one scene, the first of them the one that the others are seen from.
void ph_depth_predict(struct ph_prog *p, const struct ph_depth_config *c, ph_val picture,
                      struct ph_depth_out *out);

// Input "picture" [n, 3, h, w] (EACH; sides rounded up to fourteens); outputs "depth", with DA3 "confidence" and "pose". Taps as
// the reference values are called: "tokens", "block.I", "tap.I", "cam.I", "project.I", "resize.I",
// "rn.I", "refinenetI", "output_conv1", "upsampled", "logit" or "logits".
extern const struct ph_module_class ph_class_depth;

// ------------------------------------------------------------------------- sizes, before and after
#define PH_DEPTH_MEAN                                                                          \
    {                                                                                          \
        0.485f, 0.456f, 0.406f                                                                 \
    } // of ImageNet, RGB
#define PH_DEPTH_DEVIATION                                                                     \
    {                                                                                          \
        0.229f, 0.224f, 0.225f                                                                 \
    }

struct ph_depth_size {
    int width, height;
};
// The size that the reference gives a picture. V2: the shorter side at least `side`, the ratio
// kept, each in fourteens (to nearest even, up where it would be less than `side`).
struct ph_depth_size ph_depth_size_v2(int width, int height, int side);
// DA3: *first has its longer side `side`; the result is each side of it at the nearest multiple.
struct ph_depth_size ph_depth_size_da3(int width, int height, int side,
                                       struct ph_depth_size *first);

// A camera from a row of "pose". k = fx, fy, cx, cy in pixels of h x w; c2w and w2c [3][4].
struct ph_depth_camera {
    float k[4];
    float c2w[12], w2c[12];
};
void ph_depth_camera_of(const float pose[9], int width, int height,
                        struct ph_depth_camera *out);

// Tables that the size alone gives; out [t, d] and [c, h, w].
// Rotary angles (ph_rotary) of `views` views of 1 + h w tokens; global: of blocks across views,
// where all patches are at one place.
void ph_depth_rotary_table(int views, int h, int w, int d, bool global, float *out);
// 0.1 times sines and cosines of where a pixel lies in a picture of width/height `aspect`.
void ph_depth_place_table(int c, int h, int w, double aspect, float *out);

#endif
