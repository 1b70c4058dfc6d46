// SPDX-License-Identifier: MIT
// Winograd convolutions F(m x m, 3 x 3), channels last: a tile of (m+2)^2 inputs becomes as many
// numbers ("points"), a product over the channels for each point, and m x m outputs of those.
// Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.
//
// Products run over groups of PH_WINO_ROWS tiles. Transformed inputs lie as [point][group][step of
// channels][tile of the group][64 bytes], so that a product reads every input at a constant offset;
// weights as [32 outputs][point][channel or pair of channels][32 outputs]; products as
// [tile][point][32 outputs].
#ifndef PH_NN_CPU_WINOGRAD_H
#define PH_NN_CPU_WINOGRAD_H

#include "nn/backend.h"

enum { PH_WINO_ROWS = 14, PH_WINO_COLS = 32 };

// One layer, as the tiles see it.
struct ph_wino {
    int64_t c, h, w, outputs, oh, ow;
    int top, left;
    int64_t across, each; // tiles in a row of tiles, tiles of a picture
    enum ph_dtype x_type, y_type, r_type;
    const void *x, *residual; // residual may be NULL
    void *y;
    const float *bias; // outputs, rounded up to 32; or NULL
    const void *zero;  // of c inputs, for what lies outside
    enum ph_act act;   // NONE, RELU or SILU
    bool stream;       // results go past the caches
};

struct ph_wino_ops {
    int m, points; // of a side; of a tile
    int step;      // channels in 64 bytes of transformed input
    // Tile `tile` (of all pictures) to v: a step of channels every `steps` bytes, a point every
    // `points` bytes.
    void (*input)(const struct ph_wino *g, int64_t tile, char *v, int64_t steps,
                  int64_t points);
    // 32 outputs of `rows` tiles of a group at one point: out[row * stride].
    void (*product)(const void *v, const void *u, float *out, int64_t stride, int rows,
                    int steps);
    // Products of one tile to its pixels: `count` (16 or 32) outputs from `first` on.
    void (*output)(const struct ph_wino *g, int64_t tile, const float *products, int64_t first,
                   int count);
    // Weights [32][c][9], zeros beyond `count` outputs, to one block of the layout above.
    void (*weights)(const float *w, int64_t c, int count, void *u);
};

extern const struct ph_wino_ops ph_wino_f32, ph_wino_bf16; // AVX-512; AVX-512 BF16

#endif
