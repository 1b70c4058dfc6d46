// SPDX-License-Identifier: MIT
// What a node's author needs. A node is one const descriptor: name, ports, parameters and a few
// functions. Its process() runs on a lane, one frame at a time, and never waits: what comes from
// outside (a camera, a browser) is pushed by its own thread into an external port.
//
// Thread tags: ctl = the thread that owns the graph; lane = the lane's thread, between or during
// frames; any = whichever. A node's private struct is touched by lane functions only, except in
// open() and close(), when no lane runs it.
#ifndef PHOSPHENE_NODE_H
#define PHOSPHENE_NODE_H

#include "clock.h"
#include "common.h"
#include "frame.h"
#include "log.h"
#include "param.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ph_node;

enum ph_port_flags {
    PH_PORT_HOLD = 1, // input: does not start a run; keeps showing its newest frame (by pts)
    PH_PORT_MANY = 2, // input: several links may arrive here
    PH_PORT_EXTERNAL = 4, // input: fed by ph_node_push, not by a link in the graph text
    // input: may stay unconnected (HOLD ports may too). A node all of whose triggers are optional
    // and unconnected is a source: it runs at the rate of ph_node_set_rate.
    PH_PORT_OPTIONAL = 8,
    PH_PORT_KEYED = 16, // output: packets depend on earlier ones; links default to DROP_TO_KEY
};

struct ph_port_info {
    const char *name; // NULL ends a table
    unsigned kinds;   // mask of enum ph_kind
    unsigned flags;   // mask of enum ph_port_flags
    unsigned mem;     // mask of enum ph_mem it takes or makes; 0 = PH_HOST
    const char *help;
};
#define PH_PORTS(...) ((const struct ph_port_info[]){ __VA_ARGS__, { 0 } })

// One number of a PH_SIGNALS frame, by its place: what the graph text calls it, and its usual range.
struct ph_signal_info {
    const char *name; // NULL ends a table; "kick"
    float min, max;   // usual range: meters and mappings start from it
    const char *help; // one line, no final dot
};
// Something that a node heard from outside and could make a signal of: a controller, an address.
struct ph_found {
    char name[88];  // as the node's parameters call it
    float value;    // newest, as the signal would be
    unsigned count; // how often it came
    int signal;     // which of the node's signals it is; -1 = none
};

#define PH_SIGNALS_OF(...) ((const struct ph_signal_info[]){ __VA_ARGS__, { 0 } })

enum ph_drop {
    PH_DROP_LATEST, // depth newest frames stay, older ones go: live
    PH_DROP_BLOCK,  // the producer's lane waits: files, rendering
    PH_DROP_OLDEST, // like LATEST with a depth that is meant to be used
    PH_DROP_TO_KEY, // full: all goes until the next key packet: encoded video
};

struct ph_cut {
    bool hard;  // epoch has risen: forget everything
    int chunks; // soft: over how many chunks the old content fades
};

struct ph_node_info {
    const char *name;  // as in the graph text
    const char *group; // source | prepare | model | compose | encode | deliver
    const char *help;  // one line
    const struct ph_port_info *in, *out;
    const struct ph_param *params;
    const struct ph_signal_info *signals; // of its one PH_SIGNALS output; NULL = it has none
    size_t priv_size; // zeroed at creation; parameters are set before open()

    // Takes resources; must not wait for a network. What it took, close() gives back; close() is
    // called also after a failed open(). Either may be NULL.                        thread: ctl
    ph_err (*open)(struct ph_node *n, struct ph_fault *fault);
    void (*close)(struct ph_node *n);

    // Runs when a trigger input has a frame or the end of one, or (a source) when it is due.
    // PH_OK: did something. PH_MORE: nothing to do now. PH_EOF: nothing will come any more.
    // Negative: this frame failed; it is counted, and the next run is tried as usual.
    ph_err (*process)(struct ph_node *n); // thread: lane

    // Parameters have changed since the last run (also once before the first).      thread: lane
    ph_err (*apply)(struct ph_node *n);

    // Sources that keep their own time: when to run next (PH_NEVER = wait for ph_node_wake).
    // NULL = the ticker set by ph_node_set_rate. Not asked when the graph runs offline.
    int64_t (*due)(struct ph_node *n, int64_t now_ns); // thread: lane

    // A cut has come; called again before each run until it succeeds.               thread: lane
    ph_err (*cut)(struct ph_node *n, const struct ph_cut *cut);

    // Sinks: does anybody want this now (PH_CODEC_NONE: anything at all)? A graph none of whose
    // sinks wants anything sleeps. NULL = always.                                   thread: any
    bool (*wants)(struct ph_node *n, enum ph_codec codec);

    // What it has heard, oldest acquaintance first; how many of at most max. May be NULL. thread: any
    int (*found)(struct ph_node *n, struct ph_found *out, int max);
};

// --- the node itself                                                               thread: any
PH_API void *ph_priv(struct ph_node *n);
PH_API const char *ph_node_name(const struct ph_node *n);
PH_API const struct ph_log *ph_node_log(const struct ph_node *n);
PH_API struct ph_graph *ph_node_graph(const struct ph_node *n);
// True once the graph is being stopped: a thread or a loop of the node must end.
PH_API bool ph_node_stopping(const struct ph_node *n);
// The graph's time: CLOCK_MONOTONIC, or virtual.
PH_API int64_t ph_node_now_ns(const struct ph_node *n);
// True when frames need not be in time: the graph runs offline or on a virtual clock.
PH_API bool ph_node_offline(const struct ph_node *n);
// True when the graph runs offline: what does not come out of files will not come.
PH_API bool ph_node_rendering(const struct ph_node *n);
// True when a journal is replayed: what was pushed from outside comes from it, so a device or a
// network is not to be opened.
PH_API bool ph_node_replaying(const struct ph_node *n);
// The type of the node that feeds an input, the first where there are several; NULL = none does.
PH_API const struct ph_node_info *ph_node_before(const struct ph_node *n, int port);
PH_API bool ph_node_linked(const struct ph_node *n, bool output, int port);
// True when some sink behind this node's outputs wants such packets now; in a replay, when one did.
// From process() alone, unless codec is PH_CODEC_NONE: anything at all.
PH_API bool ph_node_wanted(struct ph_node *n, enum ph_codec codec);
// A number made for this node from the graph's seed and the node's name.
PH_API uint64_t ph_node_seed(const struct ph_node *n);
// Says what is wrong (state of a device, a file); shown in the studio, logged at most once a
// second and only when it changes. fmt NULL = all is well again.
PH_API void ph_node_problem(struct ph_node *n, const char *fmt, ...) PH_PRINTF(2, 3);

// From apply(), when what has changed is prepared beside the frames and shows later: its
// acknowledgement waits until ph_node_landed says this number, or a later one.     thread: lane
PH_API void ph_node_defer(struct ph_node *n, uint64_t number);
PH_API void ph_node_landed(struct ph_node *n, uint64_t number);
// What chance decided (which frame something was ready for): gives `value` back and keeps it in the
// journal; in a replay gives what was kept then, and `value` when nothing was.     thread: lane
PH_API int64_t ph_node_chance(struct ph_node *n, const char *name, int64_t value);

// What a node that works with a model tells of one frame.
struct ph_model_report {
    char model[64];        // "sd-turbo"
    char backend[64];      // "cpu-avx512-bf16"
    int steps, rows;       // of the model: passes a frame needs; batch of one run
    double guidance_scale; // 0 = none
    int64_t encode_ns, model_ns, decode_ns; // on the device; 0 = that part did not run
    int64_t
        mean_ns; // of all three, smoothed 0.9/0.1 over the frames that were worked on; filled
                 // by ph_node_report
    uint64_t skipped; // frames so far that a filter answered with the one before
    uint64_t landed;  // changes of settings that have landed so far
    double weights_db,
        weights_gate_db; // what rounded weights keep, and are to; 0 = not rounded
};
// Copies; shown in the metrics, the room document and /metrics.                     thread: lane
PH_API void ph_node_report(struct ph_node *n, const struct ph_frame *f,
                           const struct ph_model_report *r);

// What the flash limiter of an output does: shown in the room document, the metrics and the
// studio. HOLDING: what goes out is not what came in.                              thread: lane
enum ph_limiter_state { PH_LIMITER_NONE, PH_LIMITER_OFF, PH_LIMITER_ON, PH_LIMITER_HOLDING };
PH_API void ph_node_limiter(struct ph_node *n, enum ph_limiter_state state);

// --- frames                                                                       thread: lane
// Returns a frame: PH_OK; PH_MORE when there is none; PH_EOF when none will come. A HOLD port
// returns its present frame each time.
PH_API ph_err ph_node_read(struct ph_node *n, int port, struct ph_frame **f);
// Takes f, also on failure. A frame that nobody reads is dropped silently.
PH_API ph_err ph_node_write(struct ph_node *n, int port, struct ph_frame *f);
// A recycled frame with the meta of `like` (NULL: of this tick, see ph_node_stamp).
PH_API ph_err ph_node_picture(struct ph_node *n, const struct ph_frame *like,
                              enum ph_format format, int width, int height,
                              struct ph_frame **out);
PH_API ph_err ph_node_packet(struct ph_node *n, const struct ph_frame *like,
                             enum ph_codec codec, size_t capacity, struct ph_frame **out);
PH_API ph_err ph_node_samples(struct ph_node *n, const struct ph_frame *like, int count,
                              int channels, int rate_hz, struct ph_frame **out);
PH_API ph_err ph_node_points(struct ph_node *n, const struct ph_frame *like, int capacity,
                             struct ph_frame **out);
// As many values as the node's info has signals.
PH_API ph_err ph_node_signals(struct ph_node *n, const struct ph_frame *like,
                              struct ph_frame **out);
// The node's pool, for frames a thread of its own makes.                             thread: any
PH_API struct ph_pool *ph_node_pool(struct ph_node *n);
// Counts a frame that this node threw away.                                          thread: any
PH_API void ph_node_drop(struct ph_node *n);

// --- sources                                                                      thread: lane
struct ph_tick {
    uint64_t index; // strictly rising; ticks that came too late are left out
    int64_t pts_ns; // index / rate
    int64_t now_ns; // when this run began
};
// Ticks per second as num/den; 0 = as fast as possible. ctl in open(), lane later.
PH_API void ph_node_set_rate(struct ph_node *n, int64_t num, int64_t den);
PH_API struct ph_tick ph_node_tick(const struct ph_node *n);
// Id, epoch, pts and capture time of this tick. A source with due() numbers its frames itself:
// it passes its own pts and capture time, the id is given here.
PH_API void ph_node_stamp(struct ph_node *n, struct ph_frame *f);
PH_API void ph_node_stamp_at(struct ph_node *n, struct ph_frame *f, int64_t pts_ns,
                             int64_t capture_ns);
// Makes the lane ask due() again.                                                    thread: any
PH_API void ph_node_wake(struct ph_node *n);
// This run also costs `ns` of work: sleeps, or on a virtual clock moves the lane's time on.
PH_API void ph_node_work(struct ph_node *n, int64_t ns);

// --- outside → external port. Takes f, also on failure. PH_MORE: the port is BLOCK and full (try
// again; f is kept by the caller in that case alone).                               thread: any
PH_API ph_err ph_node_push(struct ph_node *n, int port, struct ph_frame **f);
// Policy and depth of an external port (default LATEST 1) that will be fed.  thread: ctl, open()
PH_API void ph_node_external(struct ph_node *n, int port, enum ph_drop drop, int depth);
// No more will be pushed: readers get PH_EOF once it is empty.                      thread: any
PH_API void ph_node_push_eof(struct ph_node *n, int port);

// --- sink → outside: hands a frame (borrows) to all who subscribed to this node.  thread: lane
// Frames of an older epoch are not handed on.
PH_API void ph_node_publish(struct ph_node *n, struct ph_frame *f);
// How many subscribers want this codec (PH_CODEC_NONE: any).                         thread: any
PH_API int ph_node_subscribers(struct ph_node *n, enum ph_codec codec);

// A metric by name: "fps" "input_fps" "pipeline_fps" "output_fps" "latency_ms" "dropped"
// "frame" "epoch" "time" "bottleneck" or "<node>.p50|p95|p99|fps|drops|errors|<param>".
// Writes text, returns its length; unknown names give -1.                            thread: any
PH_API int ph_node_metric(struct ph_node *n, const char *name, char *text, size_t size);

// All nodes of this build, sorted by name; NULL-terminated.
PH_API const struct ph_node_info *const *ph_nodes(void);

#ifdef __cplusplus
}
#endif
#endif
