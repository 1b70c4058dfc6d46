// SPDX-License-Identifier: MIT
#define PH_RNG_FN ph_rng_blocks_avx512
#include "nn/rng_simd.h"
