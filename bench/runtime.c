// SPDX-License-Identifier: MIT
// The engine by itself: what a node, a hand-over, a tick and a frame cost.
#include "bench.h"

void bench_runtime(struct bench *b)
{
    bench_skip(b, "runtime", "the runtime's figures are not measured yet");
}
