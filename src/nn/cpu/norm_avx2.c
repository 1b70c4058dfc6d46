// SPDX-License-Identifier: MIT
#include "nn/cpu/norm_vec.h"

const struct ph_norm_ops ph_norm_avx2 = { sums, apply, layer };
