// SPDX-License-Identifier: MIT
// What several nodes need and no node's author should write twice.
#ifndef PH_NODES_UTIL_H
#define PH_NODES_UTIL_H

#include <phosphene/node.h>

// Frames per second as an exact ratio: whole rates stay whole, 23.976, 29.97, 59.94 and their like
// become k * 1000 / 1001, anything else is rounded to 1/1000.                       thread: any
void ph_fps_ratio(double fps, int64_t *num, int64_t *den);

// Both in one, for a source's open() and apply().
void ph_node_set_fps(struct ph_node *n, double fps);

// ph_node_read for a node that works on RGBA in host memory. What is no such picture is thrown
// away with a problem that says what came: PH_EFORMAT.                             thread: lane
ph_err ph_node_read_rgba(struct ph_node *n, int port, struct ph_frame **f);
// The same for a node that only moves pixels about: RGBA or DEPTHF.                 thread: lane
ph_err ph_node_read_geometry(struct ph_node *n, int port, struct ph_frame **f);
// ph_node_read_rgba, and the caller owns the picture alone and may draw into it.            thread: lane
ph_err ph_node_read_own(struct ph_node *n, int port, struct ph_frame **f);

// What became of an attempt that may succeed again later: the fault is the node's problem, and
// success after one ends it. Returns ret.                                          thread: lane
ph_err ph_node_tell(struct ph_node *n, bool *in_trouble, ph_err ret,
                    const struct ph_fault *fault);

// Seconds from one picture to the next by their pts, for what moves: 0 at the first one and when
// time goes back, at most half a second.                                           thread: lane
struct ph_pace {
    int64_t last_ns;
    bool begun;
};
double ph_pace_step(struct ph_pace *p, int64_t pts_ns);

// sin(2 pi turns) within 3e-7, by arithmetic alone: the same bits on every machine, which libm's
// is not, so that pictures drawn from it hash the same.                             thread: any
float ph_sin_turns(double turns);
static inline float ph_cos_turns(double turns)
{
    return ph_sin_turns(turns + 0.25);
}

#endif
