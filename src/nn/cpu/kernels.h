// SPDX-License-Identifier: MIT
// The kernels of the CPU backend, one list a file.
#ifndef PH_NN_CPU_KERNELS_H
#define PH_NN_CPU_KERNELS_H

#include "nn/backend.h"

// Each NULL-terminated. ph_cpu_plain has one for every op and type: the truth others are checked
// against, and what runs when nothing better fits.
extern const struct ph_kernel *const ph_cpu_plain[];
extern const struct ph_kernel *const ph_cpu_attention[]; // never stores scores
extern const struct ph_kernel *const ph_cpu_norm[];      // with activation and row in one pass
extern const struct ph_kernel *const ph_cpu_chain[]; // elementwise, concat, upsample, pixels
extern const struct ph_kernel *const ph_cpu_winograd[];
extern const struct ph_kernel *const ph_cpu_product[]; // linear and 1x1 in bf16
extern const struct ph_kernel *const ph_cpu_few[];     // convolutions to 1 to 4 outputs
extern const struct ph_kernel *const ph_cpu_onednn[];  // empty without the library
// "onednn 2.6.3", or why there is none.
const char *ph_cpu_onednn_name(void);

#endif
