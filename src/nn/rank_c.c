// SPDX-License-Identifier: MIT
#define PH_RANK_FN  ph_rank_c
#define PH_RANK_VEC 16
#include "nn/rank_simd.h"
