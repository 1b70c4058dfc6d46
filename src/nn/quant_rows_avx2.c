// SPDX-License-Identifier: MIT
#define PH_QUANT_ROWS ph_quant_rows_avx2
#include "nn/quant_rows_simd.h"
