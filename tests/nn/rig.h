// SPDX-License-Identifier: MIT
// One step outside of any plan: places and weights filled by hand, any kernel of the CPU, on the
// device's thread. Shared by tests and benchmarks.
#ifndef TEST_NN_RIG_H
#define TEST_NN_RIG_H

#include "nn/backend.h"

#define RIG_PLACES 6

struct rig_shape {
    int rank;
    int64_t dim[PH_RANK_MAX];
    enum ph_dtype dtype; // NONE = of the run; else whatever the run says
};

struct rig_case {
    const char *name;
    struct ph_step step; // op, axis, act and so on; not its values and weights
    struct rig_shape in[PH_STEP_INPUTS], out;
    struct rig_shape row, residual, weight; // rank 0 = none
    bool no_bias;
    float size; // deviation of the inputs; 0 = 1
    float mean;
};

struct rig {
    const struct rig_case *c;
    struct ph_device *device;
    struct ph_weights *set;
    struct ph_step step;
    struct ph_place place[RIG_PLACES]; // inputs, then row, residual, out
    void *guarded[RIG_PLACES];
    ph_err ret;
};

// Random inputs (the same for every type, then rounded to it) in `in`, an output of `out`.
ph_err rig_open(struct rig *r, const struct rig_case *c, struct ph_device *device,
                enum ph_dtype in, enum ph_dtype out, struct ph_fault *fault);
void rig_close(struct rig *r);
// Prepares, runs once and finishes.
ph_err rig_run(struct rig *r, const struct ph_kernel *k, enum ph_precision precision);
// The median of `times` runs in nanoseconds.
double rig_time(struct rig *r, const struct ph_kernel *k, enum ph_precision precision,
                int times);
// Guard bytes before and behind every place, and the inputs themselves, are what they were.
bool rig_untouched(const struct rig *r);
struct ph_place *rig_out(struct rig *r);
float rig_value(const struct ph_place *p, int64_t i);

#endif
