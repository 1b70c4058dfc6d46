// SPDX-License-Identifier: MIT
// The GPU kernels themselves, through the C compiler.
#include "cuda_on_host.h"

#include "nn/cuda/pointwise.cu"
#include "nn/cuda/norm.cu"
#include "nn/cuda/matrix.cu"
#include "nn/cuda/attend.cu"

#define RUN(name, type, file, count)                                                           \
    static void run_##name(const void *args)                                                   \
    {                                                                                          \
        host_##name(*(const struct type *) args);                                              \
    }
CU_KERNELS(RUN)
#define ENTRY(name, type, file, count) { #name, run_##name, count, sizeof(struct type) },
const struct host_kernel host_kernels[CU_KERNEL_COUNT] = { CU_KERNELS(ENTRY) };
