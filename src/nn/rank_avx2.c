// SPDX-License-Identifier: MIT
#define PH_RANK_FN  ph_rank_avx2
#define PH_RANK_VEC 32
#include "nn/rank_simd.h"
