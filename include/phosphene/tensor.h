// SPDX-License-Identifier: MIT
// A tensor is a typed, dense, row-major array that somebody else owns: how models meet memory.
// Pictures and latents are N, C, H, W; tokens are N, T, C.
#ifndef PHOSPHENE_TENSOR_H
#define PHOSPHENE_TENSOR_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ph_dtype {
    PH_DTYPE_NONE,
    PH_F32,
    PH_F16,  // IEEE binary16
    PH_BF16, // the upper half of an F32
    PH_I8,
    PH_U8,
    PH_I32,
    PH_I64
};

#define PH_RANK_MAX 6

struct ph_tensor {
    enum ph_dtype dtype;
    int rank;                 // 0 = a scalar
    int64_t dim[PH_RANK_MAX]; // each >= 1; unused ones are 0
    void *data;               // dense, aligned to its element; borrowed
};

PH_API size_t ph_dtype_size(enum ph_dtype dtype);      // bytes of one element; 0 for NONE
PH_API const char *ph_dtype_name(enum ph_dtype dtype); // "f32", "bf16", ...
PH_API int64_t ph_tensor_count(const struct ph_tensor *t);
PH_API size_t ph_tensor_bytes(const struct ph_tensor *t);
// "[1, 4, 64, 64]", for messages; gives text back.
PH_API const char *ph_tensor_shape(const struct ph_tensor *t, char *text, size_t size);

// n elements from one type to another: F16, BF16 and integers round to nearest even, integers
// saturate and take NaN for 0. Pointers need no alignment. Regions may be the same but may not
// overlap otherwise.                                                                thread: any
PH_API void ph_convert(enum ph_dtype to, void *dst, enum ph_dtype from, const void *src,
                       int64_t n);

#ifdef __cplusplus
}
#endif
#endif
