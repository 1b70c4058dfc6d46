// SPDX-License-Identifier: MIT
// One convolution or linear layer outside of any plan: random weights in a real file, a kernel
// chosen by name, the result beside a double reference. Shared by tests and benchmarks.
#ifndef TEST_NN_LAYER_H
#define TEST_NN_LAYER_H

#include "nn/backend.h"

struct layer_spec {
    enum ph_op op;              // PH_OP_CONV or PH_OP_LINEAR
    int n, c, h, w, outputs, k; // linear: n h w rows
    struct ph_conv conv;        // stride and padding
    enum ph_dtype x, y;         // F32 or BF16
    enum ph_dtype residual;     // PH_DTYPE_NONE = none
    bool in_place;              // the residual is where the result goes
    bool no_bias;
    enum ph_act act;
    enum ph_precision precision;
    uint64_t seed;
};

struct layer {
    struct layer_spec spec;
    struct ph_device *device;
    struct ph_weights *set;
    struct ph_step step;
    struct ph_place place[3]; // x, result, residual
    struct ph_run run;
    void *residual_kept; // restored before each run in place
    float *weight;
    float *bias;
    size_t guard; // bytes of the pattern behind the result
    ph_err ret;
};

// Kernels of the CPU for this layer, best first by fits(); returns how many.
int layer_kernels(const struct layer *l, const struct ph_kernel **list, int most);
const struct ph_kernel *layer_kernel(const struct layer *l, const char *name); // or NULL

// Fills inputs and weights; negative with a word in fault.
ph_err layer_open(struct layer *l, const struct layer_spec *spec, struct ph_device *device,
                  struct ph_fault *fault);
void layer_close(struct layer *l);
ph_err layer_prepare(struct layer *l, const struct ph_kernel *k, struct ph_fault *fault);
void layer_finish(struct layer *l);
void layer_run(struct layer *l); // on the device's thread, from any other
// Runs `times` times; the best time of one in nanoseconds. cpu: processor time of the device's
// thread, which neighbours do not change, meaningful with one thread only.
double layer_time(struct layer *l, int times, bool cpu);
bool layer_guard_ok(const struct layer *l); // nothing was written behind the result

enum layer_rounding { LAYER_EXACT, LAYER_BF16, LAYER_I8 };
// Relative L2 error against a double reference whose operands are rounded so.
double layer_error(const struct layer *l, enum layer_rounding rounding);
double layer_flops(const struct layer_spec *s);

#endif
