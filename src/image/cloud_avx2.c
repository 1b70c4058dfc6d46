// SPDX-License-Identifier: MIT
#define PH_VEC 256
#include "image/cloud_simd.h"
