// SPDX-License-Identifier: MIT
#include "core/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned detect(void)
{
    unsigned flags = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    flags |= PH_CPU_SSE2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi2"))
        flags |= PH_CPU_AVX2;
    if ((flags & PH_CPU_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        flags |= PH_CPU_AVX512;
    if ((flags & PH_CPU_AVX512) && __builtin_cpu_supports("avx512vnni")) flags |= PH_CPU_VNNI;
    if ((flags & PH_CPU_AVX512) && __builtin_cpu_supports("avx512bf16")) flags |= PH_CPU_BF16;
#elif defined(__aarch64__)
    flags |= PH_CPU_NEON;
#endif
    return flags;
}

static unsigned mask_of(const char *level)
{
    if (!level) return ~0u;
    if (!strcmp(level, "c")) return 0;
    if (!strcmp(level, "sse2")) return PH_CPU_SSE2;
    if (!strcmp(level, "avx2")) return PH_CPU_SSE2 | PH_CPU_AVX2;
    return ~0u;
}

unsigned ph_cpu_flags(void)
{
    static _Atomic unsigned known; // flags + 1; racing threads store the same value
    unsigned k = atomic_load_explicit(&known, memory_order_relaxed);
    if (!k) {
        k = (detect() & mask_of(getenv("PH_CPU"))) + 1;
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k - 1;
}

int ph_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

const char *ph_cpu_level(void)
{
    unsigned f = ph_cpu_flags();
    if (f & PH_CPU_AVX512) return "avx512";
    if (f & PH_CPU_AVX2) return "avx2";
    if (f & PH_CPU_SSE2) return "sse2";
    return f & PH_CPU_NEON ? "neon" : "c";
}

const char *ph_cpu_model(char *text, size_t size)
{
    char line[256];
    snprintf(text, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return text;
    while (fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !value) continue;
        value += strspn(value, ": \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(text, size, "%s", value);
        break;
    }
    fclose(f);
    return text;
}
