// SPDX-License-Identifier: MIT
// What int8 and 4-bit products need around them: activations to int8 as they come, panels of 4-bit
// weights to bf16. Variants give the same bytes.
#ifndef PH_NN_CPU_QUANT_H
#define PH_NN_CPU_QUANT_H

#include "nn/weights.h"

struct ph_quant_ops {
    // Largest magnitude; NaN counts as nothing.
    float (*peak_f32)(const float *x, int64_t n);
    float (*peak_bf16)(const uint16_t *x, int64_t n);
    // q = x * inverse to the nearest (ties to even), within +-127; NaN gives 0.
    void (*bytes_f32)(int8_t *q, const float *x, int64_t n, float inverse);
    void (*bytes_bf16)(int8_t *q, const uint16_t *x, int64_t n, float inverse);
    // Pairs of inputs interleaved, as bf16 products want them: a byte holds inputs 2p (low nibble)
    // and 2p + 1 of one output; out[p][o][2] = bf16((nibble - 8) * scale[o]); outputs a multiple
    // of 16.
    void (*widen)(uint16_t *out, const uint8_t *q, const float *scale, int pairs, int outputs);
};

extern const struct ph_quant_ops ph_quant_ops_c, ph_quant_ops_avx512;
const struct ph_quant_ops *ph_quant_ops(void); // the best this processor (and PH_CPU) has

// Below: on all threads; call from the device's thread.

void ph_cast(enum ph_dtype to, void *dst, enum ph_dtype from, const void *src, int64_t n);

// F32 or BF16 as int8 with one scale for all of it, which it returns: x ~ q * scale; 0 when x is
// all zero or beyond use (then q is 0). peaks: scratch.
enum { PH_QUANT_PEAKS = 64 };
float ph_quant_bytes(int8_t *q, enum ph_dtype from, const void *x, int64_t n,
                     float peaks[PH_QUANT_PEAKS]);

// 4-bit weights for a layout of blocks of `group` inputs x `width` outputs in pairs of inputs
// ([group/2][width][2]); each output of a block has its own scale.
struct ph_panels {
    int64_t blocks, group, width; // group even, <= PH_Q4_GROUP; width a multiple of 16
};
size_t ph_panels_size(const struct ph_panels *p); // of a pack
void ph_panels_pack(const struct ph_panels *p, const float *in, void *pack,
                    struct ph_loss *loss); // is added to
void ph_panels_widen(const struct ph_panels *p, const void *pack, uint16_t *out);

#endif
