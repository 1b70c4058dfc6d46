// SPDX-License-Identifier: MIT
// A graph: nodes joined by links, run by lanes. Made from text, edited while it runs.
//
//   camera size=640x480 -> resize 512x512 => blur radius=4 => overlay -> jpeg q=85 -> live
//
// "->" joins within a lane (a call); "=>" hands over to another lane through a bounded queue,
// "=>[block 4]" says which. "name: node" names a node, "name.port" addresses a port. Lines (or
// ";") make branches, "#" starts a comment.
#ifndef PHOSPHENE_GRAPH_H
#define PHOSPHENE_GRAPH_H

#include "node.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ph_graph;

enum ph_mode {
    PH_LIVE,    // real clock, links drop as they say
    PH_OFFLINE, // threads, no waiting for a clock, every link blocks: rendering
    PH_STEPPED, // virtual clock, one thread, ph_graph_step: tests, replay of drop policies
};

enum ph_event_type { PH_EVENT_ACK, PH_EVENT_PROBLEM, PH_EVENT_EOF, PH_EVENT_EDITED };

struct ph_event {
    enum ph_event_type type;
    uint64_t id;         // of the control message, as given to set/cut/edit
    const char *node;    // may be NULL
    const char *message; // PROBLEM: what is wrong, NULL = solved
    uint64_t frame;      // ACK: the first frame that shows the change
    uint32_t epoch;
};

struct ph_graph_params {
    const struct ph_log *log; // borrowed for the graph's life; may be NULL
    enum ph_mode mode;
    uint64_t seed;       // 0 = 1
    uint64_t frames;     // every ticking source ends after so many ticks; 0 = never
    bool always_on;      // do not sleep when no sink wants anything
    const char *journal; // file to write; NULL = none
    // All nodes that may be used, NULL = ph_nodes().
    const struct ph_node_info *const *nodes;
    // Must not block and must not call back into the graph.        thread: lane, ctl
    void (*event)(void *opaque, const struct ph_event *event);
    void *opaque;
};
#define ph_graph_params(...) (&(struct ph_graph_params){ __VA_ARGS__ })

// Parses, checks, opens every node. Nothing runs yet.                               thread: ctl
PH_API ph_err ph_graph_create(struct ph_graph **out, const char *text,
                              const struct ph_graph_params *par, struct ph_fault *fault);
// Stops and closes; nulls *g. Takes below a second in every state.                  thread: ctl
PH_API void ph_graph_destroy(struct ph_graph **g);
PH_API ph_err ph_graph_start(struct ph_graph *g); // thread: ctl; not for PH_STEPPED
// Lets every sink finish its file, those of lanes inside a long step last, then stops. Frames in
// queues are dropped.                                                               thread: ctl
PH_API void ph_graph_stop(struct ph_graph *g);
// PH_EOF when every sink is done, PH_MORE at the timeout (negative = none), PH_ESTOPPED when it was
// stopped before, PH_EINVAL at once when it was never started.                      thread: ctl
PH_API ph_err ph_graph_wait(struct ph_graph *g, int64_t timeout_ns);
// PH_STEPPED: runs all that is due up to and including that virtual time. PH_EOF when done.
PH_API ph_err ph_graph_step(struct ph_graph *g, int64_t until_ns); // thread: ctl

// Replaces the graph while it runs. Nodes of the same name and type whose setup parameters are
// unchanged go on as they are, with their state. Refused as a whole when the text is wrong or a
// new node does not open.                                                           thread: ctl
PH_API ph_err ph_graph_edit(struct ph_graph *g, uint64_t id, const char *text,
                            struct ph_fault *fault);
// Checks now, applies between two frames of that node's lane; the ACK event names the frame.
// Last write wins. PH_PARAM_SETUP parameters rebuild the node.                      thread: ctl
PH_API ph_err ph_graph_set(struct ph_graph *g, uint64_t id, const char *node, const char *param,
                           const char *value, struct ph_fault *fault);
// As ph_graph_set, but it lands on the first frame that will be seen at or after the next beat, or
// bar, that has a number divisible by 2 or 4 where it says so. At once when no tempo is known, and
// for what rebuilds a node: PH_EINVAL. It outdates what waits for the same beat or a later one.
// thread: ctl
enum ph_when { PH_AT_ONCE, PH_AT_BEAT, PH_AT_BAR, PH_AT_2_BARS, PH_AT_4_BARS };
PH_API ph_err ph_graph_set_at(struct ph_graph *g, uint64_t id, const char *node,
                              const char *param, const char *value, enum ph_when when,
                              struct ph_fault *fault);
// Lets signals drive a parameter, as a line `node.param <- expr` of the text would (docs/graph.md);
// expr NULL or "" = by hand again. Acknowledged like ph_graph_set.                 thread: ctl
PH_API ph_err ph_graph_drive(struct ph_graph *g, uint64_t id, const char *node,
                             const char *param, const char *expr, struct ph_fault *fault);
// Hard: the epoch rises, queues empty, nodes forget. Soft: nodes fade over chunks.  thread: ctl
PH_API ph_err ph_graph_cut(struct ph_graph *g, uint64_t id, struct ph_cut cut);

// Pushes into a node's external port (takes *f, as ph_node_push).                   thread: any
PH_API ph_err ph_graph_push(struct ph_graph *g, const char *node, struct ph_frame **f);

// A subscriber gets every frame a sink publishes. `deliver` borrows the frame (refs what it
// keeps), must not block.                                                         thread: lane
struct ph_subscriber {
    void (*deliver)(void *opaque, struct ph_frame *f);
    void *opaque;
    unsigned codecs;            // mask of 1 << enum ph_codec; 0 = all
    struct ph_subscriber *next; // the graph's
};
// The subscriber is borrowed until unsubscribe returns; after that it is not called. Sinks are
// addressed by node name; the subscription outlives edits that keep the node.       thread: any
PH_API ph_err ph_graph_subscribe(struct ph_graph *g, const char *node, struct ph_subscriber *s);
PH_API void ph_graph_unsubscribe(struct ph_graph *g, struct ph_subscriber *s);
// A sleeping graph looks again whether a sink wants something.                      thread: any
PH_API void ph_graph_wake(struct ph_graph *g);

// Texts below are malloc'ed, free() them; NULL = out of memory.                     thread: ctl
PH_API char *ph_graph_text(struct ph_graph *g);        // canonical, with all present values
PH_API char *ph_graph_explain(struct ph_graph *g);     // lanes, links, memory, transfers
PH_API char *ph_graph_status_json(struct ph_graph *g); // see docs/protocol.md, "room"
PH_API char *
ph_graph_signals_json(struct ph_graph *g);            // its "signals": what moves, and no more
PH_API char *ph_graph_trace_json(struct ph_graph *g); // Chrome trace event format
PH_API char *ph_graph_metrics_text(struct ph_graph *g, const char *room); // Prometheus

struct ph_graph_rates {
    double input_fps, pipeline_fps, output_fps; // over the last two seconds
    uint64_t input, output;                     // frames so far
    uint64_t dropped_input, dropped_output; // frames that links dropped before / behind work
    double latency_p50_ms, latency_p95_ms;  // capture to sink
    char bottleneck[64];                    // node that limits the rate
    uint32_t epoch;
    bool asleep;
    const char *limiter; // "holding" when an output's flash limiter is, else "off" when one is,
                         // else "on"; "none" before an output had a picture
};
PH_API void ph_graph_get_rates(struct ph_graph *g, struct ph_graph_rates *out); // thread: any

// What the node that works with a model told of a frame, or of its newest one when that is not
// known any more. false: no node of this graph works with a model. While the graph is changed *out
// stays as it is, and the answer is true: a subscriber may ask, and never waits.    thread: any
PH_API bool ph_graph_report(struct ph_graph *g, uint64_t frame, struct ph_model_report *out);

// One JSON object per node type: ports, parameters with ranges, defaults and help.
PH_API char *ph_node_info_json(const struct ph_node_info *info);

// Runs a journal again, offline, and gives the same frames to the same sinks.       thread: ctl
struct ph_replay_params {
    const struct ph_log *log;
    const struct ph_node_info *const *nodes;
    // Called once before the start with the graph; may be NULL.
    void (*started)(void *opaque, struct ph_graph *g);
    void *opaque;
    // Called once when all has been replayed (or has failed after `started`) and before the graph
    // is closed: it must not be used after that. May be NULL.
    void (*ended)(void *opaque, struct ph_graph *g);
    // Called once, before all else, with the text of every graph that the journal has (the first,
    // and one for each edit): may put others, malloc'ed, in their place and free those. What is
    // replayed by number or name must stay: how many nodes, their names, lanes and links. Sinks
    // may become others, so that a replay writes elsewhere. May be NULL.
    ph_err (*graphs)(void *opaque, char **texts, int count, struct ph_fault *fault);
};
// How far a replay is, in runs of its busiest lane, which is about a frame each. total is 0 when
// the journal was cut short. From `started` to `ended`.                             thread: any
PH_API void ph_replay_progress(struct ph_graph *g, uint64_t *done, uint64_t *total);
PH_API ph_err ph_replay(const char *journal, const struct ph_replay_params *par,
                        struct ph_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
