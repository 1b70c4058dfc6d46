// SPDX-License-Identifier: MIT
#define PH_VEC 512
#include "image/hue_simd.h"
