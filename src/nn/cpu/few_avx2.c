// SPDX-License-Identifier: MIT
#define FEW_ROW ph_few_row_avx2
#include "nn/cpu/few_row.h"
