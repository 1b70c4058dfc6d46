// SPDX-License-Identifier: MIT
#include "nn/cpu/attn_f32.h"

const struct ph_attn_ops ph_attn_avx512 = { "f32", scratch, run };
