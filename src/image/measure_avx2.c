// SPDX-License-Identifier: MIT
#define PH_VEC 256
#include "image/measure_simd.h"
