// SPDX-License-Identifier: MIT
#define PH_RANK_FN  ph_rank_avx512
#define PH_RANK_VEC 64
#include "nn/rank_simd.h"
