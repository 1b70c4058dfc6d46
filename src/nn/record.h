// SPDX-License-Identifier: MIT
// What a prog holds; for prog.c, which writes it, and the plan's files, which read it.
#ifndef PH_NN_RECORD_H
#define PH_NN_RECORD_H

#include "nn/backend.h"

struct ph_value {
    enum ph_dtype dtype; // F32 for everything that a precision may change; I32, U8
    int rank;
    int64_t dim[PH_RANK_MAX];
    int step; // that makes it
};

enum ph_port_kind { PH_PORT_INPUT, PH_PORT_STATE, PH_PORT_OUTPUT, PH_PORT_TAP };

struct ph_port {
    enum ph_port_kind kind;
    const char *name;
    ph_val value;
    ph_val stored; // state: what it becomes when the run ends; PH_NONE = stays
    uint64_t bit;  // RARE input: its own in inputs_used
};

struct ph_prog {
    struct ph_value *values;
    int value_count;
    struct ph_step *steps; // in an order that runs: each after what it reads
    int step_count;
    struct ph_port *ports;
    int port_count;
    struct ph_weights **sets; // referenced
    int set_count;
    struct ph_weights *set; // in use now
    bool collecting;
    struct ph_weight **expected; // each by itself: steps point at them
    int expected_count;
    int *slot; // open addressing by name: index in expected + 1, 0 = free
    int slot_count;
    char scope[512];
    size_t scope_len;
    size_t scope_mark[32]; // its length before each ph_enter
    int scope_depth;
    struct ph_fault fault;
};

// For builders. Whether a value is there and holds numbers: each asks first.
bool ph_prog_ready(struct ph_prog *p, const char *what, ph_val x);
bool ph_prog_has_rank(struct ph_prog *p, const char *what, ph_val x, int rank, const char *as);
bool ph_prog_wrong_shape(struct ph_prog *p, const char *what, ph_val x, const char *expected);
// The tensor `name` + `suffix` in scope; fails when it is absent or holds no real numbers.
const struct ph_weight *ph_prog_need(struct ph_prog *p, const char *name, const char *suffix);
// The vector name + suffix of n numbers.
const struct ph_weight *ph_prog_need_vector(struct ph_prog *p, const char *name,
                                            const char *suffix, int64_t n);
// Operations of a product for each element of a shape, which may be too large to be recorded.
double ph_prog_flops(int rank, const int64_t *dim, double each);
// Adds the step and the value it makes. name NULL = the operation's.
ph_val ph_prog_record(struct ph_prog *p, struct ph_step step, const char *name,
                      enum ph_dtype dtype, int rank, const int64_t *dim);

// The tensor of that full name: of the set in use, or of those expected when p collects.
const struct ph_weight *ph_prog_lookup(const struct ph_prog *p, const char *full_name);
// scope.name + suffix; gives text back.
char *ph_prog_scoped(const struct ph_prog *p, char *text, size_t size, const char *name,
                     const char *suffix);

// used[value] = the RARE inputs it hangs on, with PH_EVERY_RUN when it changes each run.
void ph_prog_trace(const struct ph_prog *p, uint64_t *used);

// In ph_step.inputs_used, beside the RARE inputs: changes with every run; hangs on weights alone, so
// that the first run settles it.
#define PH_EVERY_RUN (1ull << 63)
#define PH_FIRST_RUN (1ull << 62)

static inline int64_t ph_count(int rank, const int64_t *dim)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dim[i];
    return n;
}

#endif
