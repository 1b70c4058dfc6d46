// SPDX-License-Identifier: MIT
// What a plan and a device hold; for the plan's own files.
#ifndef PH_NN_PLAN_PRIV_H
#define PH_NN_PLAN_PRIV_H

#include <pthread.h>

#include "nn/record.h"

struct ph_packed { // an entry of the device's cache
    struct ph_pack pack;
    uint64_t key;
    char *how;
    int refs;
    struct ph_packed *next;
};

#define PH_DEVICE_KERNELS 255

struct ph_device {
    const struct ph_backend *backend;
    char spec[64], name[192];
    int threads;
    bool rounds; // to bf16: weights and what layers give; its plans are f32 and unfused
    const struct ph_kernel *kernels[PH_DEVICE_KERNELS + 1]; // NULL at the end
    void *own;                                              // the backend's
    int refs;                                               // under the list's lock
    struct ph_device *next;

    // The thread that runs everything, callers in the order they came.
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    uint64_t ticket, serving;
    void (*job)(void *arg);
    void *job_arg;
    bool quit;
    bool mark_steps; // set when opened: a recording has a mark after each step, too

    // Only touched on the device's thread.
    void *arena; // of all plans in turn: nothing in it survives a run
    size_t arena_size;
    unsigned arena_moves;   // how often it was elsewhere
    int64_t learner_ran_ns; // when a plan with PH_PLAN_LEARN ran last, 0 = never
    struct ph_plan *plans;  // lock: all that may run, for the size of the arena
    bool trim;              // lock: the arena may be larger than any of them needs

    pthread_mutex_t packs_lock;
    struct ph_packed *packs;
};

// Runs fn(arg) on the device's thread and returns when it is done.                  thread: any
void ph_device_call(struct ph_device *d, void (*fn)(void *arg), void *arg);
// On the device's thread: the arena is large enough for the plan; what it held is lost.
ph_err ph_device_reserve(struct ph_device *d, struct ph_plan *plan);
// The plan runs no more: what the arena had for it alone is given back soon.        thread: any
void ph_device_release(struct ph_device *d, struct ph_plan *plan);

// Where a value lives. Values that share memory (views, what was fused) share the span of their
// root.
struct ph_span {
    int first, last; // steps that write and last read it
    bool kept;       // outlives the run
    bool foreign;    // memory of a packed weight
    size_t bytes, offset;
};

struct ph_plan {
    struct ph_device *device;
    enum ph_precision precision;
    int flags;
    struct ph_stop stop;
    ph_err ret;           // of the last run
    struct ph_plan *next; // of the device's
    struct ph_step *steps;
    int step_count;
    struct ph_place *place; // by value
    struct ph_span *span;   // by value; that of its root counts
    ph_val *root;           // by value
    int value_count;
    struct ph_port *ports;
    int port_count;
    struct ph_weights **sets;
    int set_count;
    const struct ph_pack **params; // of PARAM values
    int param_count;

    void *kept;
    size_t kept_size, arena_size;
    size_t *scratch_at;   // by step: its scratch in the arena
    void *arena_seen;     // the arena that places point into
    void *recording;      // of a run in which nothing rare is done, or NULL
    unsigned recorded_at; // device->arena_moves then
    bool recorded_hold, unrecordable;
    char *staging; // host memory for two of the largest port
    size_t staging_half;
    bool hold;      // states stay as they are
    uint64_t dirty; // RARE inputs written since the last run
    int64_t run_ns;
    int64_t learnt_ns; // spent on measuring kernels
    double flops;
};

static inline ph_val ph_root(const struct ph_plan *plan, ph_val v)
{
    while (plan->root[v] != v) v = plan->root[v];
    return v;
}

// Fuses what one kernel can do at once; fused steps become views.
void ph_plan_fuse(struct ph_plan *plan);
// Drops steps whose results nobody reads.
void ph_plan_prune(struct ph_plan *plan);
// n floats to the nearest bf16, in place: of devices that round.                    thread: any
void ph_round_bf16(float *x, int64_t n);
// Which inputs each step hangs on, then lifetimes, then offsets. After kernels are prepared.
ph_err ph_plan_lay_out(struct ph_plan *plan);
void ph_plan_depend(struct ph_plan *plan);
// Calls each(arg, value) for every value a step reads.
#define PH_STEP_READS (PH_STEP_INPUTS + 2)
int ph_step_reads(const struct ph_step *s, ph_val out[PH_STEP_READS]);
const struct ph_port *ph_plan_port(const struct ph_plan *plan, const char *name);

#endif
