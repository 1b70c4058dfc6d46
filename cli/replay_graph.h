// SPDX-License-Identifier: MIT
// The graphs of a journal with other sinks: a replay must not write over what the live run wrote,
// and may show its pictures elsewhere. Nodes keep their names, lanes and links: a replay goes by
// those.
#ifndef PH_CLI_REPLAY_GRAPH_H
#define PH_CLI_REPLAY_GRAPH_H

#include <phosphene/node.h>

#define MAX_REPLAY_SINKS 64

struct replay_graph {
    const char *output; // a film or picture file; NULL = none
    bool overwrite;

    // what was found
    char sinks[MAX_REPLAY_SINKS][64]; // names, each once
    int sink_count;
    char film[64];     // the sink that `output` takes the place of; "" = none
    char film_was[20]; // what it was, so that another of its name is told apart
    bool film_over;    // it has left the graph
    bool
        film_left_out; // a later one of its name, or after a change of its file, is not written
};

// All nodes of this build and those that take the place of others: for ph_replay_params.nodes.
// NULL = out of memory. Static.
const struct ph_node_info *const *replay_nodes(void);
// For ph_replay_params.graphs; opaque is a struct replay_graph. PH_EINVAL: no sink shows pictures.
ph_err replay_exchange_sinks(void *opaque, char **texts, int count, struct ph_fault *fault);

#endif
