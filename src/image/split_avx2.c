// SPDX-License-Identifier: MIT
#define PH_VEC 256
#include "image/split_simd.h"
