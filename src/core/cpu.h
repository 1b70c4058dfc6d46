// SPDX-License-Identifier: MIT
// What this processor can do, masked by the environment: PH_CPU=c|sse2|avx2|avx512 caps the level,
// so that every kernel variant is provable on any machine.
#ifndef PH_CORE_CPU_H
#define PH_CORE_CPU_H

#include <phosphene/common.h>

enum ph_cpu {
    PH_CPU_SSE2 = 1,
    PH_CPU_AVX2 = 2,   // with FMA, F16C and BMI2
    PH_CPU_AVX512 = 4, // F, BW, VL, DQ
    PH_CPU_VNNI = 8,   // AVX-512 VNNI
    PH_CPU_BF16 = 16,  // AVX-512 BF16
    PH_CPU_NEON = 32,
};

unsigned ph_cpu_flags(void);    // detected once, masked; thread: any
int ph_cpu_count(void);         // processors this process may run on
const char *ph_cpu_level(void); // "c", "sse2", "avx2", "avx512", "neon": what kernels will use
const char *ph_cpu_model(char *text, size_t size);

#endif
