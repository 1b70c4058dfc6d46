// SPDX-License-Identifier: MIT
// Convolutions to 1 to 4 outputs, the last ones of decoders: libraries round outputs up to a
// vector, so sums run along the channels instead.
#ifndef PH_NN_CPU_FEW_H
#define PH_NN_CPU_FEW_H

#include "nn/backend.h"

enum { PH_FEW_MOST = 4, PH_FEW_LANES = 16 };

struct ph_few {
    int64_t c, h, w, ow; // c a multiple of PH_FEW_LANES
    int outputs, k, top, left;
    enum ph_dtype x_type;
    const void *x;     // of the picture
    const void *zero;  // of c inputs
    const float *w_at; // [k][c / 16][k][outputs][16]
    const float *bias; // of PH_FEW_MOST
};

// The row `y` of the result: ow * outputs floats.
typedef void ph_few_row(const struct ph_few *f, int64_t y, float *out);
extern ph_few_row ph_few_row_avx2, ph_few_row_avx512;

#endif
