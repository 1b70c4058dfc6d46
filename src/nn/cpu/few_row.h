// SPDX-License-Identifier: MIT
// One row of a convolution to few outputs; FEW_ROW names the function of this set of instructions.
#include "nn/cpu/few.h"
#include "nn/cpu/simd.h"

#define FEW_K      3
#define FEW_PIXELS (VF == 16 ? 4 : 2) // of a row at once
#define FEW_INPUTS (FEW_PIXELS + FEW_K - 1)

// Everything but the sums is a constant where this is used.
V_INLINE void add_line(const struct ph_few *f, enum ph_dtype type, int outputs,
                       const char *const at[FEW_INPUTS], const float *w,
                       vf sum[FEW_PIXELS][PH_FEW_MOST])
{
    for (int64_t c = 0; c < f->c; c += VF) {
        const float *wc =
            w + c / PH_FEW_LANES * FEW_K * outputs * PH_FEW_LANES + c % PH_FEW_LANES;
        vf x[FEW_INPUTS];
#pragma GCC unroll 6
        for (int j = 0; j < FEW_INPUTS; j++) x[j] = v_get(type, at[j], c);
#pragma GCC unroll 3
        for (int kx = 0; kx < FEW_K; kx++)
#pragma GCC unroll 4
            for (int o = 0; o < outputs; o++) {
                vf wv = v_load(wc + (kx * outputs + o) * PH_FEW_LANES);
#pragma GCC unroll 4
                for (int j = 0; j < FEW_PIXELS; j++)
                    sum[j][o] = v_fma(x[j + kx], wv, sum[j][o]);
            }
    }
}

V_INLINE void row_of(const struct ph_few *f, enum ph_dtype type, int outputs, int64_t y,
                     float *out)
{
    int64_t pixel = f->c * (type == PH_F32 ? 4 : 2), line = f->c * FEW_K * outputs;
    for (int64_t x = 0; x < f->ow; x += FEW_PIXELS) {
        vf sum[FEW_PIXELS][PH_FEW_MOST];
#pragma GCC unroll 4
        for (int j = 0; j < FEW_PIXELS; j++)
#pragma GCC unroll 4
            for (int o = 0; o < outputs; o++) sum[j][o] = v_set(0);
        for (int ky = 0; ky < FEW_K; ky++) {
            int64_t iy = y + ky - f->top;
            if (iy < 0 || iy >= f->h) continue;
            const char *at[FEW_INPUTS];
            for (int j = 0; j < FEW_INPUTS; j++) {
                int64_t ix = x + j - f->left;
                at[j] = ix >= 0 && ix < f->w ? (const char *) f->x + (iy * f->w + ix) * pixel
                                             : f->zero;
            }
            add_line(f, type, outputs, at, f->w_at + ky * line, sum);
        }
#pragma GCC unroll 4
        for (int j = 0; j < FEW_PIXELS; j++) {
            if (x + j >= f->ow) break;
#pragma GCC unroll 4
            for (int o = 0; o < outputs; o++)
                out[(x + j) * outputs + o] = v_sum(sum[j][o]) + f->bias[o];
        }
    }
}

void FEW_ROW(const struct ph_few *f, int64_t y, float *out)
{
    switch (f->outputs * 2 + (f->x_type == PH_BF16)) {
    case 2: row_of(f, PH_F32, 1, y, out); break;
    case 3: row_of(f, PH_BF16, 1, y, out); break;
    case 4: row_of(f, PH_F32, 2, y, out); break;
    case 5: row_of(f, PH_BF16, 2, y, out); break;
    case 6: row_of(f, PH_F32, 3, y, out); break;
    case 7: row_of(f, PH_BF16, 3, y, out); break;
    case 8: row_of(f, PH_F32, 4, y, out); break;
    case 9: row_of(f, PH_BF16, 4, y, out); break;
    }
}
