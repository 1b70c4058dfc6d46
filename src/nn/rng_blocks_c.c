// SPDX-License-Identifier: MIT
#define PH_RNG_FN ph_rng_blocks_c
#include "nn/rng_simd.h"
