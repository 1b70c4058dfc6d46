// SPDX-License-Identifier: MIT
#define PH_VEC 256
#include "image/hue_simd.h"
