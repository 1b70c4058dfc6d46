// SPDX-License-Identifier: MIT
// The inner loops of the norms, per instruction set. Types are F32 or BF16; x and y point at the
// first element of what is asked for.
#ifndef PH_NN_CPU_NORM_H
#define PH_NN_CPU_NORM_H

#include "nn/backend.h"

struct ph_norm_ops {
    // Of each channel: the first of `pixels` values, and sums of the differences from it and of
    // their squares. Up to some hundred pixels at once, or rounding shows.
    void (*sums)(enum ph_dtype type, const void *x, int64_t pixels, int64_t c, float *first,
                 float *sum, float *square);
    // y = act((x - middle) * factor + offset), each of c numbers.
    void (*apply)(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t pixels,
                  int64_t c, const float *middle, const float *factor, const float *offset,
                  enum ph_act act);
    // Layer norm of rows; weight and bias may be NULL.
    void (*layer)(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t rows,
                  int64_t c, const float *weight, const float *bias, float eps,
                  enum ph_act act);
};

extern const struct ph_norm_ops ph_norm_avx2, ph_norm_avx512;

#endif
