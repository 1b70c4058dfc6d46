// SPDX-License-Identifier: MIT
// Models of the true shapes with random weights, and what is timed on them.
#ifndef PH_BENCH_LAB_H
#define PH_BENCH_LAB_H

#include "bench.h"
#include "model_configs.h"

#include "models/model.h"
#include "nn/plan.h"

struct bench_lab {
    struct bench *b;
    struct ph_device *device;
    char base[1000], folder[1100]; // of all models: base/bench-models…
    struct ph_module *module[BENCH_MODELS];
    struct ph_fault fault; // of the last failure
};

// What runs one after another as one picture: 1 … 3 plans, each fed with the one before's output.
struct bench_chain {
    struct ph_plan *plan[3];
    const char *in[3], *out[3];
    int count;
    float *carried; // between plans
    double flops;
};

ph_err bench_lab_open(struct bench_lab *lab, struct bench *b);
// Removes what was written, unless --keep.
void bench_lab_close(struct bench_lab *lab);
// Opens a module, whose weights are written at the first time (some seconds a gigabyte).
ph_err bench_lab_module(struct bench_lab *lab, enum bench_model model, struct ph_module **out);
void bench_lab_drop(struct bench_lab *lab, enum bench_model model);

// One part of one model at side x side; of text 77 tokens. NULL: lab->fault says why.
ph_err bench_chain_part(struct bench_lab *lab, enum bench_model model, int part, int side,
                        enum ph_precision precision, struct bench_chain *out);
// The same of pictures that are no squares.
ph_err bench_chain_sized(struct bench_lab *lab, enum bench_model model, int part, int height,
                         int width, enum ph_precision precision, struct bench_chain *out);
// RGBA bytes through TAESD, the UNet and TAESD to RGBA bytes, as a diffuser does it.
ph_err bench_chain_frame(struct bench_lab *lab, enum bench_model unet, int side,
                         enum ph_precision precision, struct bench_chain *out);
void bench_chain_free(struct bench_chain *c);
ph_err bench_chain_run(struct bench_chain *c);

// The most that all threads of a device multiply and add, in GFLOP/s, measured now (some 20 ms);
// 0 = not known.
double bench_peak(struct ph_device *d, bool bf16);

// Depth from end to end, of the group models.
void bench_depth(struct bench_lab *lab);
// What comes with the program, of the group models.
void bench_spark(struct bench *b);
// What precisions cost in quality at true widths, of the group models.
void bench_quality(struct bench_lab *lab);

#endif
