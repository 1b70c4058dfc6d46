// SPDX-License-Identifier: MIT
// Matrix products of bf16 with sums in f32, of which bias, residual and activation are done while
// the sums are in the nearest cache. Weights lie in panels of 32 outputs: w[inputs / 2][32][2]; the
// last panel may have 16.
#ifndef PH_NN_CPU_PRODUCT_H
#define PH_NN_CPU_PRODUCT_H

#include "nn/backend.h"

#define PH_PRODUCT_ROWS 14 // most of one block
#define PH_PRODUCT_COLS 32

struct ph_product {
    int64_t inputs, outputs; // even; a multiple of 16
    const uint16_t *w;
    const float *bias; // or NULL
    void *y;           // [rows, outputs], f32 or bf16
    const void *residual;
    enum ph_dtype y_type, r_type; // r_type NONE = no residual
    enum ph_act act;
};

struct ph_product_ops {
    // Outputs [first, first + count) of `count` = 16 or 32 rows of w, [count, inputs].
    void (*pack)(const float *w, int64_t inputs, int count, uint16_t *panel);
    // `rows` <= 14 rows of x, [rows, inputs] bf16, that are rows `at` on of y, times one panel of
    // `count` outputs from `first` on. `next` + [0, bytes) is wanted soon.
    void (*block)(const struct ph_product *p, const uint16_t *x, int64_t at, int rows,
                  int64_t first, int count, const char *next, int64_t bytes);
    // x to bf16
    void (*narrow)(const float *x, int64_t n, uint16_t *out);
};

extern const struct ph_product_ops ph_product_bf16;

#endif
