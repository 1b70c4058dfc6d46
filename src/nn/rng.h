// SPDX-License-Identifier: MIT
// Random numbers that depend on (seed, element) alone: the same on every backend, thread count and
// block size. Philox4x32-10 (Salmon et al., SC'11), normals by Box-Muller in double, with its own
// logarithm and sine: bits do not depend on a C library (src/nn/rng_simd.h is the definition).
#ifndef PH_NN_RNG_H
#define PH_NN_RNG_H

#include <phosphene/common.h>

// Elements first .. first + n of stream `stream` of `seed`.                          thread: any
void ph_rng_normal(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out);
void ph_rng_uniform(uint64_t seed, uint64_t stream, uint64_t first, int64_t n,
                    float *out); // [0,1)

#endif
