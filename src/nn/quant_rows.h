// SPDX-License-Identifier: MIT
// The loops of quantisation, per instruction set: written so that compilers vectorise them, with
// the same result in every variant.
#ifndef PH_NN_QUANT_ROWS_H
#define PH_NN_QUANT_ROWS_H

#include <phosphene/tensor.h>

struct ph_quant_rows {
    float (*largest)(const float *v, int64_t n); // magnitude; NaN when there is one
    // q = round(v * inverse) within -127..127
    void (*round_i8)(const float *v, int64_t n, float inverse, int8_t *q);
    // Levels 0..15 of 32 values in -1..1, and the steps they are of: v ~ (level - 8) / steps.
    float (*group_q4)(const float *v, uint8_t *level);
};

extern const struct ph_quant_rows ph_quant_rows_c;
extern const struct ph_quant_rows ph_quant_rows_avx2;
extern const struct ph_quant_rows ph_quant_rows_avx512;

#endif
