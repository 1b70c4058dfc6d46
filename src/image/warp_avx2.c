// SPDX-License-Identifier: MIT
#define PH_VEC 256
#include "image/warp_simd.h"
