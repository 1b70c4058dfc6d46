// SPDX-License-Identifier: MIT
#include "nn/cpu/chain_vec.h"

const struct ph_chain_ops ph_chain_avx512 = {
    activate, affine, clamp, blend, product, spread, geglu, mix, rotary, bytes,
};
