// SPDX-License-Identifier: MIT
// The kernels as fat binaries, each made by nvcc (embed.py); nothing without it.
#include "config.h"
#include "nn/cuda/cuda.h"

#if PH_HAVE_CUDA
extern const unsigned char ph_cuda_pointwise[], ph_cuda_norm[], ph_cuda_matrix[],
    ph_cuda_attend[];
const unsigned char *const ph_cu_images[] = {
    ph_cuda_pointwise,
    ph_cuda_norm,
    ph_cuda_matrix,
    ph_cuda_attend,
};
#else
const unsigned char *const ph_cu_images[4] = { NULL };
#endif
const char *const ph_cu_files[] = { "pointwise", "norm", "matrix", "attend", NULL };
