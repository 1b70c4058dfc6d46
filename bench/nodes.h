// SPDX-License-Identifier: MIT
// Nodes that measure the engine and do nothing else, beside those of the build.
#ifndef PH_BENCH_NODES_H
#define PH_BENCH_NODES_H

#include <phosphene/graph.h>

#include <stdatomic.h>

// What the bench_sink of the one running graph has seen. Reset before each graph.
struct bench_seen {
    _Atomic size_t count;
    size_t cap;
    int64_t *took_ns; // when each frame arrived
    int64_t *sent_ns; // when bench_source wrote it
    uint64_t *index;  // its tick
};
extern struct bench_seen bench_seen;
ph_err bench_seen_reset(size_t cap); // frees what was there; cap 0 = only that

// ph_nodes() and ours: bench_source hz=0 size=16x16, bench_pass, bench_work ms=0 (burns the
// processor), bench_sink. Static; NULL when out of room.
const struct ph_node_info *const *bench_nodes(void);

#endif
