// SPDX-License-Identifier: MIT
// PyTorch as a peer, run by python3.
#ifndef PH_BENCH_TORCH_H
#define PH_BENCH_TORCH_H

#include "bench.h"
#include "model_configs.h"

#include "nn/plan.h"

// "pytorch 1.13.1"; NULL when no python3 has torch. PH_PYTHON names another interpreter.
const char *bench_torch(void);
// The median of its runs in ms, with random weights of the same config; 0 = it does not run that,
// or not within 90 s (on a GPU, where it is compiled, 240 s). A second process, and not at the same time as anything of ours.
double bench_torch_ms(struct bench *b, enum bench_model model, int part, int side,
                      enum ph_precision precision, int threads);

extern const char bench_torch_script[];

#endif
