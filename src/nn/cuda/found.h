// SPDX-License-Identifier: MIT
// What there is of CUDA on this machine and in this build, in words, for `phosphene doctor`.
#ifndef PH_NN_CUDA_FOUND_H
#define PH_NN_CUDA_FOUND_H

#include <phosphene/common.h>

// Devices the driver sees. 0: `text` says what is missing and how to get it; else "CUDA 13.0".
int ph_cuda_found(char *text, size_t size);
// "NVIDIA H200, compute 9.0, 139 GiB, 132 multiprocessors" of device i.
void ph_cuda_found_device(int i, char *text, size_t size);
// What device i draws, when its energy is told.
bool ph_cuda_found_energy(int i, char *text, size_t size);
// The kernels of this build and the libraries beside the driver; false when the kernels are missing.
bool ph_cuda_found_kernels(char *text, size_t size);
void ph_cuda_found_libraries(char *text, size_t size);

#endif
