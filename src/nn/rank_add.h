// SPDX-License-Identifier: MIT
// The inner product of a low-rank addition, per instruction set.
#ifndef PH_NN_RANK_ADD_H
#define PH_NN_RANK_ADD_H

#define PH_RANK_ROWS 4   // rows of out at once
#define PH_RANK_COLS 256 // columns of a panel
#define PH_RANK_K    64  // most ranks of a panel

// delta[4][256] = up[4][64] x down[k][256], of which the first `cols` columns are wanted; k <= 64.
typedef void ph_rank_fn(float *delta, const float *up, const float *down, int k, int cols);

ph_rank_fn ph_rank_c, ph_rank_avx2, ph_rank_avx512;

#endif
