// SPDX-License-Identifier: MIT
// What a device has used, by NVML (libnvidia-ml.so.1), opened at run time.
#ifndef PH_NN_CUDA_ENERGY_H
#define PH_NN_CUDA_ENERGY_H

#include <phosphene/common.h>

// Joules since its driver was loaded, of the device at this PCI address ("0000:3b:00.0"), everything it
// did for anybody; the counter moves some ten times a second. Negative: not told here.    thread: any
double ph_cu_energy(const char *pci);
// "it draws 76 W of 700 W", or why that is not known.
bool ph_cu_energy_describe(const char *pci, char *text, size_t size);

#endif
