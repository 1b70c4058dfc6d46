// SPDX-License-Identifier: MIT
// The expression of a drive: `kick * 0.3 + 0.4`. Compiled once to a short program for a stack,
// evaluated once a frame, without memory of its own: what a function remembers (a smoothed value)
// lies in states that the caller keeps. docs/graph.md lists names and functions.
#ifndef PH_GRAPH_EXPR_H
#define PH_GRAPH_EXPR_H

#include <phosphene/frame.h>

#define PH_EXPR_MAX_TEXT  1000 // bytes
#define PH_EXPR_MAX_OPS   256
#define PH_EXPR_MAX_DEPTH 24 // of parentheses and calls
#define PH_EXPR_STACK     64

struct ph_expr_op {
    uint8_t code; // enum in expr.c
    uint8_t kind; // enum ph_ease or ph_wave
    int16_t a, b; // signal: slot and index; function: count of arguments and its state
    double number;
};

struct ph_expr_state {
    double value, speed;
    int64_t step;
    bool set;
};

struct ph_expr {
    struct ph_expr_op *ops;
    int count, states;
    bool beat; // it needs to know where the music is
};

// Where the compiler asks what a name means. node NULL: the signal was named alone. Returns PH_OK,
// or has told `fault` why not; *offset is then where in the name the mistake is.
struct ph_expr_names {
    ph_err (*signal)(void *opaque, const char *node, const char *name, int *slot, int *index,
                     int *offset, struct ph_fault *fault);
    // The nearest signal to a word that is no function either; NULL = none.
    const char *(*nearest)(void *opaque, const char *word);
    void *opaque;
};

// Compiles text[0..len); ops are a tree block below `parent`. On failure *at is the offset of the
// mistake.
ph_err ph_expr_compile(struct ph_expr *out, void *parent, const char *text, size_t len,
                       const struct ph_expr_names *names, size_t *at, struct ph_fault *fault);

// The moment of an evaluation.
struct ph_expr_now {
    const struct ph_signals *const *slots; // by number of slot; all there
    double time_s, dt_s;                   // of the stream; since the evaluation before, >= 0
    double beat, bpm, per_bar;             // where the music is when this will be seen
    double value;                          // of the parameter, as it was set by hand
    uint64_t seed;
};

// The slot that a step reads a signal of; -1 = it reads none.
int ph_expr_slot(const struct ph_expr_op *op);

// May be NaN or infinite. `states` are expr->states zeroed ones at first, and after a cut.
//                                                                                   thread: any
double ph_expr_value(const struct ph_expr *e, const struct ph_expr_now *now,
                     struct ph_expr_state *states);

#endif
