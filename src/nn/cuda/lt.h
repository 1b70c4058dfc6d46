// SPDX-License-Identifier: MIT
// What is used of cuBLASLt, declared here and opened at run time (the interface is that of 12 and 13).
#ifndef PH_NN_CUDA_LT_H
#define PH_NN_CUDA_LT_H

#include <phosphene/common.h>

struct cu_lt_answer { // cublasLtMatmulHeuristicResult_t
    uint64_t algorithm[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};

// X(name, result, arguments)
#define CU_LT(X)                                                                               \
    X(cublasLtCreate, int, (void **handle))                                                    \
    X(cublasLtDestroy, int, (void *handle))                                                    \
    X(cublasLtGetVersion, size_t, (void) )                                                     \
    X(cublasLtMatmulDescCreate, int, (void **desc, int compute, int scale))                    \
    X(cublasLtMatmulDescDestroy, int, (void *desc))                                            \
    X(cublasLtMatmulDescSetAttribute, int,                                                     \
      (void *desc, int attribute, const void *value, size_t size))                             \
    X(cublasLtMatrixLayoutCreate, int,                                                         \
      (void **layout, int type, uint64_t rows, uint64_t columns, int64_t line))                \
    X(cublasLtMatrixLayoutDestroy, int, (void *layout))                                        \
    X(cublasLtMatmulPreferenceCreate, int, (void **preference))                                \
    X(cublasLtMatmulPreferenceDestroy, int, (void *preference))                                \
    X(cublasLtMatmulPreferenceSetAttribute, int,                                               \
      (void *preference, int attribute, const void *value, size_t size))                       \
    X(cublasLtMatmulAlgoGetHeuristic, int,                                                     \
      (void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference,         \
       int wanted, struct cu_lt_answer *found, int *count))                                    \
    X(cublasLtMatmul, int,                                                                     \
      (void *handle, void *desc, const void *alpha, const void *a, void *a_layout,             \
       const void *b, void *b_layout, const void *beta, const void *c, void *c_layout,         \
       void *d, void *d_layout, const void *algorithm, void *workspace, size_t size,           \
       void *stream))

#endif
