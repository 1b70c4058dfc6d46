// SPDX-License-Identifier: MIT
// The graph of a render: the given one with the song in place of what it hears, one rate, one size,
// and at its end a node that makes segments of a film.
#ifndef PH_CLI_RENDER_GRAPH_H
#define PH_CLI_RENDER_GRAPH_H

#include "graphtext.h"

#include "nodes/media/segments.h"

#include <stdatomic.h>

struct render_film {
    struct ph_segments_params par;
    int64_t total; // frames
    int64_t first; // frames that are there already: made, but not encoded
    const char *output;

    // lane
    struct ph_segments *segments;
    struct ph_frame *held;
    int64_t next; // frame
    _Atomic int64_t done;
    _Atomic bool failed;
    struct ph_fault fault; // once it has failed
};

struct render_wish {
    const char *song;          // path; NULL = leave the sources as they are
    double fps;                // 0 = as the graph has it
    int width, height;         // 0 = as the graph has it
    const char *const *params; // node.param=value
    int param_count;
};

// All nodes of this build and "render_film", which makes `film`. NULL = out of memory. Static.
const struct ph_node_info *const *render_nodes(struct render_film *film);
// Works the wish into graph->text, whose film sink (the one -o put there) becomes "render_film".
// Sets *fps to the rate of its pictures and *hears to whether it listens to the song. Says what is
// wrong and returns the exit status.
int render_prepare(struct cli_graph *graph, const struct render_wish *wish, double *fps,
                   bool *hears);
// Every size of the text in the proportion in which the largest becomes width x height; malloc'ed,
// NULL = out of memory or no graph.
char *render_resized(const char *text, const struct ph_node_info *const *nodes, int width,
                     int height);

#endif
