// SPDX-License-Identifier: MIT
// The flash limiter (image/limiter.h) of an output: every node that encodes, shows or writes
// pictures passes them through its own. On unless its parameter `limiter` is off.
#ifndef PH_NODES_GUARD_H
#define PH_NODES_GUARD_H

#include <phosphene/node.h>

struct ph_limiter;

struct ph_guard { // zeroed = nothing seen yet
    struct ph_limiter *limiter;
    struct ph_frame *shown; // what went out before
};

// The parameter of such a node: a bool `limiter` in its private struct.
#define PH_GUARD_PARAM(T)                                                                      \
    PH_BOOL(T, limiter, .def = "on",                                                           \
            .help = "holds back what flashes more than three times a second (WCAG 2.3.1)")

// *f, an RGBA picture in host memory, becomes what may go out: itself, or a copy that is mixed
// with the picture before. Tells the node's state (ph_node_limiter). On failure *f is released and
// NULL.                                                                             thread: lane
ph_err ph_guard_pass(struct ph_guard *g, struct ph_node *n, bool on, struct ph_frame **f);
void ph_guard_finish(struct ph_guard *g); // thread: ctl, from close()

#endif
