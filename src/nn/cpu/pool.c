// SPDX-License-Identifier: MIT
#include "nn/cpu/pool.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

void ph_parallel(int n, void (*fn)(void *arg, int i), void *arg)
{
#if defined(_OPENMP)
#pragma omp parallel for schedule(dynamic, 1) if (n > 1)
#endif
    for (int i = 0; i < n; i++) fn(arg, i);
}

int ph_parallel_thread(void)
{
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

void ph_parallel_range(long n, long least, void (*fn)(void *arg, long first, long last),
                       void *arg)
{
#if defined(_OPENMP)
    long parts = omp_get_max_threads();
    if (least > 0 && n / parts < least) parts = n / least;
    if (parts > 1) {
#pragma omp parallel for schedule(static, 1) num_threads((int) parts)
        for (long i = 0; i < parts; i++) fn(arg, n * i / parts, n * (i + 1) / parts);
        return;
    }
#endif
    fn(arg, 0, n);
}
