// SPDX-License-Identifier: MIT
#include "bench.h"

const struct bench_group bench_groups[] = {
    { "runtime", "frames per second, overhead, hand-over, clock, memory", bench_runtime },
    { 0 },
};
