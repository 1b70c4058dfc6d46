// SPDX-License-Identifier: MIT
// The running graph: who owns what and which thread touches it.
//
//   ctl      create, edit, set, start, stop: serialised by graph.ctl
//   lane     one thread each (or the caller of ph_graph_step); touches its nodes' private state,
//            ports and the consumer half of its links
//   any      push, publish, status: graph.topo (read) keeps nodes and links from going away,
//            links have a lock of their own, counters are atomic
#ifndef PH_GRAPH_PRIV_H
#define PH_GRAPH_PRIV_H

#include "core/busy.h"
#include "core/buf.h"
#include "core/hist.h"
#include "graph/text.h"

#include <phosphene/graph.h>

#include <pthread.h>
#include <stdatomic.h>

struct ph_lane;
struct journal;
struct replay;
struct needs;

// --- link.c: bounded hand-over between lanes, or a small queue inside one

struct link_item {
    struct ph_frame *frame;
    int64_t pushed_ns;
    uint64_t seq; // counts pushes of this link, from 1
};

struct link_ring {
    struct link_item *items;
    int head, count, capacity;
};

struct ph_link {
    struct ph_graph *graph;
    struct ph_node *from; // NULL: pushed from outside (external port)
    struct ph_node *to;
    int from_port, to_port;
    bool queue; // crosses lanes: locked
    enum ph_drop drop;
    int depth;

    pthread_mutex_t lock;
    pthread_cond_t changed; // for OFFLINE hold ports that wait for a later frame
    struct link_ring ring;
    struct link_ring staged; // PH_STEPPED: pushed when the lane's work is over
    uint64_t pushed;         // seq of the newest
    bool eof;                // no more will be pushed
    bool fed;                // external: somebody pushes or has said that he will
    bool refused;            // the newest push did not fit: whoever pushes holds that frame
    _Atomic bool unread;     // the consumer has ended: what is pushed is dropped
    // OFFLINE, a hold link that its own consumer's lane feeds, by way of these other lanes: when
    // they all rest, what they leave out (a node that drops frames) will not come. Bits.
    bool own_fed;
    uint64_t feeders[PH_MAX_NODES / 64];
    bool let_go;   // still.c: its consumer waits for a later frame no longer
    bool wait_key; // DROP_TO_KEY: after a drop

    // the consumer's, touched by its lane only
    struct link_item inbox; // taken for this run
    struct ph_frame *held;  // HOLD ports: what they show
    uint64_t held_pass;     // … since this pass of its lane: live, one frame a pass
    uint64_t last_seq;      // of the last item taken
    struct needs *needs;    // replay.c: which numbers are wanted; NULL = all
    int index;              // in graph.links
    int previous;           // its index before the last edit; -1 = it is new

    _Atomic int queued;
    _Atomic int64_t oldest_ns; // pushed_ns of the oldest queued item
    _Atomic uint64_t passed, dropped_full, dropped_epoch, dropped_stale;
};

ph_err ph_link_create(struct ph_link **out, struct ph_graph *g);
void ph_link_destroy(struct ph_link **l);
// Takes f. false = BLOCK and full (only asked for external pushes; f is then not taken).
bool ph_link_push(struct ph_link *l, struct ph_frame *f, int64_t now_ns, bool may_refuse);
void ph_link_stage(struct ph_link *l, struct ph_frame *f); // PH_STEPPED
void ph_link_commit(struct ph_link *l, int64_t now_ns);    // pushes what was staged
void ph_link_close(struct ph_link *l);                     // eof
void ph_link_abandon(struct ph_link *l); // the consumer's lane: it will read no more
bool ph_link_full(struct ph_link *l);    // BLOCK and no room for one more
bool ph_link_has(struct ph_link *l);     // an item is queued (not the inbox)
bool ph_link_ended(struct ph_link *l);   // eof and nothing left, inbox included
// Pops the oldest whose epoch is not below min_epoch; older ones are dropped and counted.
bool ph_link_pop(struct ph_link *l, uint32_t min_epoch, struct link_item *out);
void ph_link_clear(struct ph_link *l); // drops all that is queued and held

// --- node.c: life and runs; author.c: what process() and the node's own thread call

struct node_port {
    const struct ph_port_info *info;
    struct ph_link **links;
    int count;
    int next;      // round robin of MANY ports
    bool eof_told; // the node has seen PH_EOF
};

// A parameter change on its way to the lane, then waiting for the frame that shows it.
struct control {
    struct control *next;
    uint64_t id;
    const struct ph_param *param; // NULL: a soft cut
    union ph_value value;
    char *text; // malloc'ed; strings: swapped with the node's present one
    struct ph_cut cut;
    uint64_t number;     // ph_node_defer; 0 = the next frame shows it
    double every, until; // waits for that beat, one of each so many; every 0 = for none
};

struct subscription {
    struct ph_subscriber *sub;
    struct subscription *next;
    char node[64];
};

struct metric_memo { // what a node was told when the run was recorded
    struct metric_memo *next;
    char *name, *text; // malloc'ed
};

#define REPORTS 16 // lanes behind the model are at most so many frames late

struct report { // of a node that works with a model
    struct ph_model_report of[REPORTS];
    uint64_t frame[REPORTS], count;
};

struct ph_node {
    const struct ph_node_info *info;
    struct ph_graph *graph;
    struct ph_lane *lane; // NULL while it is not part of the running graph
    char name[64];
    int index; // in graph.nodes
    void *priv;
    struct ph_pool *pool;
    struct node_port *in, *out;
    int in_count, out_count;
    bool source; // has no trigger input
    bool fed;    // has no input but from outside: a camera, a browser
    bool opened;

    // lane
    struct ph_ticker ticker;
    bool ticker_started, was_asleep;
    struct ph_tick tick;
    bool due_now; // this run
    bool done;    // PH_EOF: nothing comes out any more
    bool unread;  // … because nobody reads it
    bool dirty;   // apply() is owed
    bool cut_owed;
    struct ph_cut cut;
    uint64_t stamped; // frames numbered so far
    uint64_t given;   // runs that gave something, of a node that is fed from outside
    uint64_t last_id; // newest frame that came in or out
    uint32_t last_epoch;
    int64_t in_capture_ns, in_pts_ns;
    int took, gave;         // frames in this call of process()
    struct control *landed; // applied, not acknowledged yet
    uint64_t shows;         // ph_node_landed: deferred changes up to this number
    struct metric_memo *memo;

    struct control *pending; // graph.control_lock
    struct control **pending_tail;

    pthread_mutex_t sub_lock;
    struct subscription *subs;

    pthread_mutex_t problem_lock;
    char problem[256], problem_logged[256];
    int64_t problem_ns;
    bool problem_auto; // lane: set because process() failed, cleared when it succeeds

    _Atomic uint64_t runs, errors, drops, frames_in, frames_out;
    struct ph_hist busy, wait, latency;
    struct ph_rate rate;   // frames out (sinks: in)
    struct report *report; // problem_lock; NULL = none
    _Atomic int limiter;   // enum ph_limiter_state
    struct drives *drives; // NULL = none; exchanged with all lanes parked and under topo
    struct meters *meters; // of the signals it gives; NULL = none
};

void ph_node_put(struct ph_node *n, const struct ph_param *p, union ph_value v); // no text
// What a held link shows in this run, borrowed; NULL = nothing yet.                thread: lane
struct ph_frame *ph_node_held(struct ph_node *n, struct ph_link *l);
ph_err ph_node_create(struct ph_node **out, struct ph_graph *g, const struct ph_ast_node *ast,
                      struct ph_fault *fault);
void ph_node_close(struct ph_node *n); // its own thread has ended then
void ph_node_destroy(struct ph_node **n);
void ph_node_adopt_subscriptions(struct ph_node *n);  // under topo (write)
void ph_node_orphan_subscriptions(struct ph_node *n); // under topo (write)
// Runs process() as often as there is work in this run of the lane. True when it did something.
bool ph_node_run(struct ph_node *n);
// Whether, with these input ports, nothing else starts it.
bool ph_node_starts_itself(const struct ph_node *n, const struct node_port *in);
bool ph_node_reported(struct ph_node *n, uint64_t frame, struct ph_model_report *out);
int64_t ph_node_due_ns(struct ph_node *n, int64_t now_ns);  // sources
bool ph_node_wants(struct ph_node *n, enum ph_codec codec); // sinks
bool ph_node_is_sink(const struct ph_node *n);
bool ph_node_is_end(const struct ph_node *n); // no link leads on from it
void ph_node_finish(struct ph_node *n);
bool ph_node_is_unread(const struct ph_node *n); // links lead on, and all their readers ended
bool ph_port_ended(const struct node_port *p);
void ph_node_take_controls(struct ph_node *n, bool all); // all: those that wait for a beat, too
void ph_node_drop_controls(struct ph_node *n);           // acknowledges what can no longer land
// A control without param and cut.chunks < 0 changes nothing: it only marks the next frame. One
// with a param outdates what waits for a beat to change the same.
ph_err ph_node_post(struct ph_node *n, struct control c, const char *text); // thread: ctl
// The last write wins: what still waits for a beat to change p is acknowledged with the next frame
// and changes nothing.                                                               thread: any
void ph_node_outdate(struct ph_node *n, const struct ph_param *p);
// text NULL = the default. Lanes are parked.
ph_err ph_node_store(struct ph_node *n, const struct ph_param *p, const char *text);
union ph_value ph_node_value(const struct ph_node *n, const struct ph_param *p);

// --- drive.c: parameters that signals drive

struct drive {
    const struct ph_param *param;
    char *text;
    struct ph_expr expr;
    struct ph_expr_state *states;
    uint64_t seed;
    double by_hand;       // what its own value is
    _Atomic double shows; // what it is now
    _Atomic bool known;   // … since the first signals
};

struct drives {
    uint64_t lead_pass; // lead_ns is of this pass of the lane
    int64_t lead_ns;
    struct drive *of;
    int count;
    bool counts; // one of them counts beats
    // lane
    int64_t pts_ns;       // of the last evaluation
    bool began, has_beat; // … since the last cut; a tempo was known once
    double beat, bpm, per_bar;
};

struct meters { // what a node's newest frame of signals says; each for itself
    _Atomic float beat, bpm, confidence;
    int count;
    _Atomic float value[];
};

// From the drives of that node of the ast; *out is NULL when it has none. `g` for seeds.
ph_err ph_drives_create(struct drives **out, const struct ph_ast *ast, int node,
                        const struct ph_graph *g);
void ph_drives_destroy(struct drives **d);
// *fresh become the node's, with the states of those that stay the same; *fresh is then what they
// were. Values of which nothing drives any more are again those set by hand. Lanes are parked.
void ph_drives_swap(struct ph_node *n, struct drives **fresh);
void ph_drives_set_by_hand(struct ph_node *n, const struct ph_param *p); // its field is that
// What the parameter is without what drives it. Lanes are parked.
union ph_value ph_drives_by_hand(const struct ph_node *n, const struct ph_param *p);
void ph_drives_reset(struct ph_node *n); // a cut
void ph_drives_run(struct ph_node *n);   // before process()
ph_err ph_meters_create(struct ph_node *n);
void ph_meters_show(struct ph_node *n, const struct ph_frame *f);
// The beat that will be seen of what is captured then; false: no tempo is known.   thread: any
bool ph_graph_beat(struct ph_graph *g, int64_t now_ns, double *beat, int *per_bar);

// --- lane.c

#define TRACE_EVENTS 16384

struct trace_event {
    const struct ph_node_info *info;
    char name[24];
    int64_t begin_ns, end_ns;
    uint64_t frame;
};

struct ph_lane {
    struct ph_graph *graph;
    int index;
    char name[64];
    struct ph_node **nodes; // topological order
    int node_count;
    struct ph_link **in; // links that come from other lanes or from outside
    int in_count;
    bool one_input;  // exactly one of them starts runs, and no source does: .input
    bool one_source; // exactly one source starts runs, and no link does
    int input;
    struct ph_link **blocking; // BLOCK links that lead out
    int blocking_count;
    struct ph_link **leaving; // every link that leads out
    int leaving_count;

    pthread_t thread;
    bool started;
    _Atomic bool ended; // its thread will do nothing more; told by graph.done_cond
    bool reaped;        // stopped: joined, and its files are finished
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool poked;
    bool resting;            // waits to be poked; only kept while graph.own_fed or .rings
    struct ph_link *holding; // still.c: waits for a later frame of it; graph.still_lock
    int64_t holding_pts_ns;  // … for a frame of this time

    // lane
    int64_t now_ns; // when this run began
    uint64_t pass;  // counts runs, also those in which nothing was done
    uint32_t epoch; // as this lane has seen it
    _Atomic uint64_t run;
    int64_t work_ns;       // ph_node_work in this run
    int64_t busy_until_ns; // PH_STEPPED
    bool finishing;        // PH_STEPPED: staged frames wait for busy_until
    _Atomic bool done;
    uint64_t control_seen;
    struct ph_busy busy;
    _Atomic int busy_ppm;    // share of time at work, smoothed
    _Atomic int64_t busy_at; // when busy_ppm was computed

    struct trace_event *trace;
    _Atomic uint64_t trace_count;
};

ph_err ph_lane_create(struct ph_lane **out, struct ph_graph *g, int index, const char *name);
void ph_lane_destroy(struct ph_lane **lane);
ph_err ph_lane_start(struct ph_lane *lane);
void ph_lane_join(struct ph_lane *lane);
void ph_lane_poke(struct ph_lane *lane);                      // thread: any
int64_t ph_lane_due_ns(struct ph_lane *lane, int64_t now_ns); // INT64_MIN = now, PH_NEVER
void ph_lane_run(struct ph_lane *lane);
void ph_lane_observe_epoch(struct ph_lane *lane, uint32_t epoch);
void ph_lane_settle(struct ph_lane *lane);     // parked: takes the changes and cuts that wait
void ph_lane_drop_stale(struct ph_lane *lane); // what was taken before its epoch was known
void ph_lane_commit(struct ph_lane *lane);
// Whether none of the lanes that feed this link is at work or has something to do. The link's lock
// is held, and its consumer's lane is the caller.
bool ph_lane_feeders_rest(struct ph_link *l);
double ph_lane_busy(const struct ph_lane *lane);

// --- still.c: offline, when every lane waits for another one
//
// A hold link waits for a frame later than its own trigger's, a full link waits for room. Where the
// lanes form a ring (two ways from one to another, or two that drive one another) all of them can
// come to wait. Two rules take them on, and the result is the same in every run, because where all
// stand still does not depend on how the threads ran:
// - while a lane waits for room, the smallest full link grows (Parks, Bounded Scheduling of Process
//   Networks, 1995, 4.3: what bounds memory must not change what is computed);
// - else the waiting node whose own time is the earliest goes on with what it has. Whatever comes
//   later is of that time or a later one, because all others wait at later ones.

// Whether that build has rings of lanes; 0 nodes have none.
struct ph_ast;
bool ph_still_rings(const struct ph_ast *ast);
// The lane is about to wait for more of l, for a frame of that time; then, after the wait: true =
// it waits no longer, and takes what it has.                                     thread: lane
void ph_still_hold(struct ph_lane *lane, struct ph_link *l, int64_t pts_ns);
bool ph_still_go_on(struct ph_lane *lane);
// Whoever comes to rest, ends, or pushes from outside looks whether all do. No lock is held, but for
// graph.topo (read).                                                             thread: any
void ph_still_look(struct ph_graph *g);

// --- graph.c

struct cut_wait { // hard cuts that no sink has shown yet
    struct cut_wait *next;
    uint64_t id;
    uint32_t epoch;
};

// Where the music is, as the first node of the text that knows it has said last.
struct beat_clock {
    pthread_mutex_t lock;
    int node;      // index
    int64_t at_ns; // capture time; 0 = nobody has said anything
    double beat, bpm;
    int per_bar;
};

struct ph_graph {
    struct ph_graph_params par;
    struct ph_log log;
    const struct ph_node_info *const *types;
    uint64_t seed;

    pthread_mutex_t ctl;
    pthread_rwlock_t topo; // ast, nodes, links, lanes
    struct ph_ast *ast;
    struct ph_node **nodes; // in the order of the ast
    int node_count;
    struct ph_link **links; // of the ast, then the external ones
    int link_count;
    struct ph_lane **lanes;
    int lane_count;
    struct subscription *orphans; // subscriptions to nodes that are not there (topo)

    bool own_fed;           // some link is
    _Atomic uint64_t wakes; // of lanes from their rest
    bool rings;             // lanes could come to wait for one another: still.c looks
    pthread_mutex_t still_lock;
    _Atomic bool stopping; // for good
    _Atomic bool pausing;  // for an edit
    _Atomic uint32_t epoch;
    _Atomic int64_t vnow_ns; // PH_STEPPED
    int64_t started_ns;
    _Atomic bool started;

    pthread_mutex_t control_lock;
    _Atomic uint64_t control_seq; // rises with every pending control
    _Atomic int waiting;          // controls that wait for a beat
    struct beat_clock clock;
    _Atomic int cuts_waiting;
    struct cut_wait *cuts; // control_lock

    pthread_mutex_t done_lock;
    pthread_cond_t done_cond;
    _Atomic int open_ends; // nodes that lead nowhere and have not ended

    _Atomic int64_t latency_ns; // from capture to a sink, smoothed
    struct ph_hist latency;
    struct journal *journal;
    struct replay *replay;
    bool replaying; // nodes may ask already while they open
};

// ph_graph_create, also for ph_replay.
ph_err ph_graph_make(struct ph_graph **out, const char *text, const struct ph_graph_params *par,
                     bool replaying, struct ph_fault *fault);
int64_t ph_graph_now_ns(const struct ph_graph *g);
bool ph_graph_awake(struct ph_graph *g);
void ph_graph_event(struct ph_graph *g, const struct ph_event *e);
void ph_graph_end_done(struct ph_graph *g);
void ph_graph_poke_all(struct ph_graph *g);
void ph_graph_sink_frame(struct ph_graph *g, const struct ph_node *n); // acknowledges cuts
struct ph_node *ph_graph_find(struct ph_graph *g, const char *name);
ph_err ph_graph_build(struct ph_graph *g, struct ph_ast *ast, struct ph_fault *fault); // edit.c
ph_err ph_graph_start_lanes(struct ph_graph *g); // PH_STEPPED: only counts the open ends
void ph_graph_join_lanes(struct ph_graph *g);

// --- journal.c: written while a graph runs; nothing when it has none

// What may wait for the disk at most, and one record more; then the journal ends. Tests lower it.
extern size_t ph_journal_most_bytes;

ph_err ph_journal_open(struct journal **out, const char *path, const struct ph_graph *g,
                       struct ph_fault *fault);
void ph_journal_close(struct journal **j, struct ph_graph *g);
void ph_journal_pop(struct ph_lane *lane, struct ph_link *l, const struct link_item *item);
void ph_journal_tick(struct ph_node *n, uint64_t expected);
void ph_journal_epoch(struct ph_lane *lane);
void ph_journal_set(struct ph_node *n, const struct control *c);
void ph_journal_cut(struct ph_node *n, int chunks);
void ph_journal_edit_begin(struct ph_graph *g); // lanes parked, old graph
void ph_journal_edit_end(struct ph_graph *g);   // lanes parked, new graph
void ph_journal_metric(struct ph_node *n, const char *name, const char *text);
// Replay: what the node was told then; -1 when this is no replay.
int ph_journal_recall(struct ph_node *n, const char *name, char *text, size_t size);
bool ph_journal_remember(struct ph_node *n, const char *name,
                         const char *text); // false: as before
void ph_journal_forget(struct ph_node *n);

// --- replay.c: the lanes of a replayed graph follow scripts

bool ph_replay_over(const struct ph_lane *lane); // this lane has made all its runs
void ph_replay_step(struct ph_lane *lane);       // instead of taking inputs, controls and ticks
void ph_replay_rest(struct ph_lane *lane);       // a lane ends: what came after its last run
bool ph_replay_keeps(struct ph_link *l);         // the item just numbered l->pushed is wanted

#endif
