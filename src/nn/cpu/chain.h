// SPDX-License-Identifier: MIT
// The inner loops of elementwise operations, per instruction set. Types are F32 or BF16; pointers
// are to the first element of what is asked for; act comes last.
#ifndef PH_NN_CPU_CHAIN_H
#define PH_NN_CPU_CHAIN_H

#include "nn/backend.h"

struct ph_chain_ops {
    void (*activate)(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t n,
                     enum ph_act act);
    void (*affine)(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t n,
                   float scale, float offset, enum ph_act act);
    void (*clamp)(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t n,
                  float low, float high);
    // y = p a + q b
    void (*blend)(enum ph_dtype ta, const void *a, float p, enum ph_dtype tb, const void *b,
                  float q, enum ph_dtype out, void *y, int64_t n, enum ph_act act);
    // y = a b
    void (*product)(enum ph_dtype ta, const void *a, enum ph_dtype tb, const void *b,
                    enum ph_dtype out, void *y, int64_t n, enum ph_act act);
    // y = a + b or a b, where b is of c numbers and a of rows of c.
    void (*spread)(enum ph_op op, enum ph_dtype ta, const void *a, enum ph_dtype tb,
                   const void *b, enum ph_dtype out, void *y, int64_t rows, int64_t c,
                   enum ph_act act);
    // Rows of 2 f to rows of f.
    void (*geglu)(enum ph_dtype in, const void *x, enum ph_dtype out, void *y, int64_t rows,
                  int64_t f);
    // Four rows of c numbers, weighted.
    void (*mix)(enum ph_dtype in, const void *const x[4], const float w[4], enum ph_dtype out,
                void *y, int64_t c);
    // `heads` heads of d channels of one token, turned by its row of the table (ph_rotary).
    void (*rotary)(enum ph_dtype in, const void *x, const float *table, enum ph_dtype out,
                   void *y, int heads, int64_t d);
    // n numbers to bytes: 255 (scale x + offset), to nearest even, clamped; NaN is 0.
    void (*bytes)(enum ph_dtype in, const void *x, uint8_t *y, int64_t n, float scale,
                  float offset);
};

extern const struct ph_chain_ops ph_chain_avx2, ph_chain_avx512;

#endif
