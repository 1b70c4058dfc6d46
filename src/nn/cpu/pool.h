// SPDX-License-Identifier: MIT
// The one set of threads of the CPU backend: OpenMP's, because oneDNN uses it too; a second pool
// beside it would only fight for the same processors. Call from the device's thread.
#ifndef PH_NN_CPU_POOL_H
#define PH_NN_CPU_POOL_H

// Calls fn(arg, i) for every i in 0 .. n - 1, on all threads; returns when all are done.
void ph_parallel(int n, void (*fn)(void *arg, int i), void *arg);
// The calling thread's place in 0 .. threads - 1, for scratch memory inside fn.
int ph_parallel_thread(void);
// As ph_parallel, in parts of a range: fn(arg, first, last) with about equal parts, one a thread.
void ph_parallel_range(long n, long least, void (*fn)(void *arg, long first, long last),
                       void *arg);

#endif
