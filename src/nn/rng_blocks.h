// SPDX-License-Identifier: MIT
// Normal numbers of many blocks at once, per instruction set; every variant gives the same bits.
#ifndef PH_NN_RNG_BLOCKS_H
#define PH_NN_RNG_BLOCKS_H

#include <stdint.h>

#define PH_RNG_BLOCKS 16

// The four elements of each of PH_RNG_BLOCKS blocks from `block` on.
typedef void ph_rng_fn(uint64_t seed, uint64_t stream, uint64_t block, float *out);

ph_rng_fn ph_rng_blocks_c, ph_rng_blocks_avx2, ph_rng_blocks_avx512;

#endif
