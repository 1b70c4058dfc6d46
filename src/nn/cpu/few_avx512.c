// SPDX-License-Identifier: MIT
#define FEW_ROW ph_few_row_avx512
#include "nn/cpu/few_row.h"
