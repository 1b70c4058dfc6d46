// SPDX-License-Identifier: MIT
#define PH_VEC 256
#include "image/color_simd.h"
