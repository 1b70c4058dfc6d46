// SPDX-License-Identifier: MIT
#include "bench.h"

const struct bench_group bench_groups[] = {
    { "runtime", "frames per second, overhead, hand-over, clock, memory", bench_runtime },
    { "kernels", "picture kernels at 1920x1080, each variant beside plain C", bench_kernels },
    { 0 },
};
