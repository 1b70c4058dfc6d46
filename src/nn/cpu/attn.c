// SPDX-License-Identifier: MIT
#include "nn/cpu/kernels.h"

const struct ph_kernel *const ph_cpu_attention[] = { NULL };
