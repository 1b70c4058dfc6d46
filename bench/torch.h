// SPDX-License-Identifier: MIT
// PyTorch with diffusers as a peer, run by python3.
#ifndef PH_BENCH_TORCH_H
#define PH_BENCH_TORCH_H

#include "bench.h"
#include "model_configs.h"

#include "nn/plan.h"

// "pytorch 2.3"; NULL when python3, torch or diffusers is not installed. PH_PYTHON names another
// interpreter.
const char *bench_torch(void);
// The median of its runs, with random weights of the same config; 0 = it does not run that.
double bench_torch_ms(struct bench *b, enum bench_model model, int part, int side,
                      enum ph_precision precision);

#endif
