// SPDX-License-Identifier: MIT
// A plan is a prog made ready for one device: operations fused, a kernel for each step, weights
// packed once and shared between plans, every intermediate at an offset of one arena. Running it
// allocates nothing. A device runs one plan at a time on its own thread and threads, so that rooms
// never fight over the processors.
#ifndef PH_NN_PLAN_H
#define PH_NN_PLAN_H

#include "nn/prog.h"

struct ph_device;
// spec: "cpu", "cpu:threads=2", "cpu:threads=2,pin" (one thread a processor, bound), "cpu:plain"
// (the C truth of every operation alone), "cpu:bf16" (the same with weights and what layers give
// rounded to bf16, sums in f32 and nothing fused, whatever a plan asks: what an honest bf16 shows);
// "cuda", "cuda:device=1", "cuda:steps" (every step timed), "cuda:nograph" (launched one by one),
// "cuda:nolt" (without cuBLASLt); "auto": a GPU when there is one, else the CPU. NULL = "cpu".
// Two opens of one spec give one device.
ph_err ph_device_open(const char *spec, struct ph_device **out, struct ph_fault *fault);
struct ph_device *ph_device_ref(struct ph_device *d);
void ph_device_unref(struct ph_device **d);
const char *
ph_device_name(const struct ph_device *d); // "cpu: 2 threads, onednn 2.6, avx512 bf16"
// Joules the device has used so far, for anybody; negative where that is not told.
double ph_device_energy(struct ph_device *d);

enum ph_precision {
    PH_PRECISION_AUTO, // the best that passes its quality gate on this device
    PH_PRECISION_F32,
    PH_PRECISION_BF16, // matrix operands bf16, sums and everything between f32
    PH_PRECISION_I8,   // weights int8 per channel, activations int8 as they come; rest bf16
    PH_PRECISION_Q4    // weights 4 bits in groups, widened as they are used
};
const char *ph_precision_name(enum ph_precision p);     // "f32", ...; NULL for what is none
enum ph_precision ph_precision_parse(const char *text); // -1 when unknown
enum ph_precision ph_precision_resolve(enum ph_precision p); // what AUTO is on this CPU

enum {
    PH_PLAN_TAPS = 1,
    PH_PLAN_NO_FUSION = 2,
    PH_PLAN_TUNE = 4, /* measure kernels now */
    // Measure those that were never met on this machine, for a third of a second, and not while
    // another such plan runs; what is left is kept as estimated. So the next plan of these layers
    // measures nothing and is the same. Never of Q4, whose point is memory.
    PH_PLAN_LEARN = 8
};
struct ph_plan_params {
    struct ph_device *device; // NULL = "cpu"
    enum ph_precision precision;
    int flags;
    // Of the making and of every run: asked between two steps, on the device's thread; its arg
    // outlives the plan.
    struct ph_stop stop;
};
struct ph_plan;
struct ph_device *ph_plan_device(const struct ph_plan *plan); // borrowed
// The prog may be freed afterwards. Any thread; meant to run beside the plan it will replace. A weight
// that is not finite is PH_EFORMAT naming it.
ph_err ph_plan_create(const struct ph_prog *p, const struct ph_plan_params *params,
                      struct ph_plan **out, struct ph_fault *fault);
void ph_plan_destroy(struct ph_plan **plan);

// Copies between dense row-major host tensors and the plan's inputs, states, outputs and taps,
// converting the element type; the number of elements must match (PH_EINVAL). PH_ENOENT: there is
// no such port. Not while the plan runs.
ph_err ph_plan_write(struct ph_plan *plan, const char *name, const struct ph_tensor *t);
ph_err ph_plan_read(struct ph_plan *plan, const char *name, const struct ph_tensor *t);
// Dims and type of an input, state, output or tap; data is NULL.
ph_err ph_plan_describe(const struct ph_plan *plan, const char *name, struct ph_tensor *t);
// Copies the states and rare inputs of another plan where name and shape agree; whether all of to's
// states are now what they were there. Not while one of them runs.
bool ph_plan_carry(struct ph_plan *to, const struct ph_plan *from);
// States are zeros again.
void ph_plan_forget(struct ph_plan *plan);
// While held, runs leave the states as they are.
void ph_plan_hold(struct ph_plan *plan, bool hold);
// Waits for the device, runs, returns when the outputs are there. One caller at a time a plan.
// PH_ESTOPPED: it was told to stop; outputs are undefined, states and what was written are kept.
ph_err ph_plan_run(struct ph_plan *plan);

struct ph_plan_stats {
    int steps;
    double flops;         // nominal, of one run, without rare steps
    int64_t arena_bytes;  // intermediates
    int64_t kept_bytes;   // inputs, outputs, states and what rare steps left
    int64_t packed_bytes; // weights as the kernels want them (shared ones count)
    int64_t run_ns;       // of the last run, on the device
    // Of weights that were rounded to 8 or 4 bits: signal over noise of a layer, each by the number of its
    // weights, and of the layer that lost most. 0: none was rounded. The name is the plan's.
    double weights_db, worst_db;
    const char *worst;
};
// What rounded weights are to keep: what normal values keep (41 and 22 dB), less a bit, 6 dB, for
// outliers, which take it from all others of their row or group. 0 = they are not rounded.
double ph_precision_gate_db(enum ph_precision p);
void ph_plan_stats(const struct ph_plan *plan, struct ph_plan_stats *stats);
// One line a step: name, shape, kernel, formats, operations, bytes, time of the last run.
char *ph_plan_print(const struct ph_plan *plan); // malloc'd text; NULL when out of memory

#endif
