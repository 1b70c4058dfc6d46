// SPDX-License-Identifier: MIT
#define PH_VEC 512
#include "image/cloud_simd.h"
