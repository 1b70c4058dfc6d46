// SPDX-License-Identifier: MIT
// A room: one running graph and those who watch it. Who owns what and which thread touches it:
//
//   worker   the room's own thread: everything that controls its graph, one job after the other
//   io       the server's thread: requests, messages; posts jobs, never waits for one
//   lane     the graph's: delivers frames and acknowledgements; takes view_lock or ack_lock, briefly
//
// Locks, outer first: house.lock, graph_lock, then one of view_lock and ack_lock, then the server's.
// deliver() runs while its node's subscribers are locked and takes view_lock: so nothing of a graph
// is called while view_lock is held, not even its rates.
#ifndef PH_ROOM_PRIV_H
#define PH_ROOM_PRIV_H

#include "core/buf.h"
#include "core/hist.h"
#include "room/allow.h"
#include "room/edit.h"
#include "room/hide.h"
#include "room/clock_offset.h"
#include "room/message.h"
#include "room/worker.h"
#include "server/server.h"

#include <phosphene/graph.h>
#include <phosphene/room.h>

#include <stdatomic.h>

struct ph_room;

// --- asker.c: where the answer to a request goes

struct ph_waiter { // a C caller that waits
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    ph_err ret;
    struct ph_fault *fault; // may be NULL
    char *json;             // of the answer
};

struct ph_asker {         // at most one of conn, deferred and waiter; none = nobody listens
    struct ph_conn *conn; // a reference
    bool has_id;          // of a WebSocket message
    int64_t id;           //
    struct ph_deferred *deferred;
    struct ph_waiter *waiter;
};

// Each answers and releases what `a` holds.                                         thread: any
void ph_asker_ack(struct ph_asker *a, uint64_t frame, uint32_t epoch);
void ph_asker_fault(struct ph_asker *a, const struct ph_fault *fault);
void ph_asker_faults(struct ph_asker *a, const struct ph_fault *faults, int count);
void ph_asker_json(struct ph_asker *a, int status, const char *json);
// {"type":"error",…}, without an id when there was none.
void ph_ws_fault(struct ph_conn *conn, bool has_id, int64_t id, const struct ph_fault *fault);

void ph_waiter_init(struct ph_waiter *w, struct ph_fault *fault);
ph_err ph_waiter_wait(struct ph_waiter *w); // and frees, except json

// --- view.c: viewers, and the frames they get

struct ph_turn {               // something that is sent again and again
    int64_t period_ns, due_ns; // period 0 = not subscribed
};

struct ph_viewer {
    struct ph_viewer *next;
    struct ph_room *room; // a reference
    struct ph_conn *conn; // a reference, once it is open
    uint64_t id;
    bool v1, mjpeg;
    bool clouds;                   // on /ws/depth: gets points and nothing before them
    bool viewer;                   // there: has asked who the cameras are
    bool camera;                   // there: sends pictures and wants nothing
    bool greeted;                  // has said hello, or need not, or is too late
    bool said_hello;               // and wants an answer
    bool confidence;               // wants the optional part of depth
    bool placed;                   // has a feed, or was told that there is none for it
    char inlet[PH_NAME_MAX];       // the browser node that its pictures go to; "" = none yet
    char asked_inlet[PH_NAME_MAX]; // the one that it asked for
    struct ph_offset clock;        // of its clock to ours, by its pings
    int64_t hello_by_ns;
    enum ph_codec wants[PH_MESSAGE_CODECS]; // best first
    int wants_count;
    int feed; // enum ph_feed_codec; -1 = none
    bool shown_any;
    uint32_t epoch;              // of the newest frame it was sent
    int64_t metrics_ns;          // when it got the last ones
    struct ph_turn doc, signals; // subscriptions
    uint64_t dropped;            // pictures; as of the last tick
    // what it told with "shown"
    struct ph_rate shown;
    struct ph_hist latency;
    int64_t clock_offset_ns[2], clock_since_ns; // least (ours - its), per half window
};

struct ph_feed { // one codec of the room
    struct ph_room *room;
    enum ph_codec codec;
    struct ph_outlet outlet; // view_lock
    struct ph_frame *newest; // view_lock
    struct ph_subscriber sub;
    bool on;                   // worker; written under view_lock
    char on_node[PH_NAME_MAX]; // worker
    int64_t asked_ns;          // worker: when a key frame was asked for last
    bool refresh;              // worker: what the encoder was told then
};

struct ph_frame_waiter { // GET /frame.jpg of a room that slept
    struct ph_frame_waiter *next;
    struct ph_deferred *deferred;
    int64_t until_ns;
};

#define PH_SEEN 1024 // frames whose capture times are remembered, for "shown"

// --- acks.c: control messages that have not landed yet

struct ph_pending {
    struct ph_asker asker;
    uint32_t generation;
    int remaining; // controls that have not landed; 0 = free
    size_t bytes;  // that wait with them in the graph
    bool hard, answered;
    uint64_t frame;
    uint32_t epoch;
    int next_free;
};

#define PH_PENDING_MAX 32768
#define PH_PENDING_BYTES                                                                       \
    (16u << 20) // a room that shows no frame must not keep a gigabyte of prompts

struct ph_acks {
    pthread_mutex_t lock;
    struct ph_pending *items;
    size_t bytes;              // of all that wait
    int count, capacity, free; // free: first of the list, -1 = none
};

// --- the room

enum ph_room_state { PH_ROOM_OPENING, PH_ROOM_OPEN, PH_ROOM_CLOSED };

struct ph_recording {
    char node[PH_NAME_MAX]; // "" = none; written under view_lock
    char file[160];         // of the present or last recording; "" = there was none
    bool on;
    int64_t started_ns;
    int64_t failed_ns; // view_lock: when its node said `problem`; 0 = it goes on
    char problem[256]; // view_lock
    double seconds;    // of the last one
    uint64_t bytes;    //
};

struct ph_room_job {
    struct ph_job job;
    struct ph_room *room; // a reference
    struct ph_asker asker;
    void (*act)(struct ph_room *room,
                struct ph_room_job *j); // answers j->asker; thread: worker
    struct ph_message *message;         // owned; SET, CUT
    char *text;                         // owned
    bool trusted;                       // the text comes from the owner of this process
    int status;                         // of the answer
    uint64_t seed;
};

struct ph_room {
    struct ph_rooms *house;
    struct ph_room *next; // house.lock
    _Atomic int refs;
    char name[64];
    bool hidden;    // the one of /ws/test
    bool by_client; // counts towards limits.rooms
    struct ph_worker worker;
    _Atomic int state; // enum ph_room_state; written by the worker

    struct ph_room_job closing; // needs no memory when its time comes

    // worker
    struct ph_ast *ast; // of the present text
    char *home;         // the source it began with, as a node's text
    char *journal;      // path; NULL = none; constant once it is open
    struct ph_recording recording;
    struct ph_calibration *calibration; // calibrate.c; NULL = none runs
    int64_t measured_ns;                // when the rates were taken last

    pthread_rwlock_t graph_lock;
    struct ph_graph *graph; // NULL while it opens and when it is closed

    pthread_mutex_t view_lock;
    struct ph_viewer *viewers;
    int viewer_count;
    struct ph_feed feeds[PH_FEEDS];
    _Atomic int feeds_on;
    _Atomic bool recording_on;
    char inlets[PH_INLETS][PH_NAME_MAX]; // the nodes that webcams are pushed into
    int inlet_count;
    char early_node[PH_NAME_MAX]; // where `early` belongs
    uint32_t min_epoch;           // nothing older is shown any more
    bool probe;                   // keeps the graph awake until its first frame
    bool ready;
    char problem_node[PH_NAME_MAX], problem[256]; // of the node that spoke last
    struct ph_hidden *paths;                      // to hide: those of the present graph
    bool problem_new;                             // viewers have not been told yet
    int64_t told_ns;                              // when they were told last
    struct ph_graph_rates rates;                  // as of the last tick
    struct ph_model_report report;                // of the newest frame; all 0 without a model
    struct ph_frame *early; // a webcam's newest picture, for who waits for a feed to be on
    struct ph_frame_waiter *frame_waiters;
    int frame_waiter_count;
    int64_t frame_interest_ns; // somebody polls /frame.jpg: stay awake until then
    struct {
        uint64_t frame;
        int64_t capture_ns;
    } seen[PH_SEEN];

    struct ph_acks acks;
};

// --- room.c: life, and everything that a worker does

struct ph_room *ph_room_ref(struct ph_room *room);
void ph_room_unref(struct ph_room **room);
// A job for the room's worker; `from` is moved into it, text (may be NULL) copied. NULL = out of
// memory, and the asker has been told.
struct ph_room_job *ph_room_job(struct ph_room *room, struct ph_asker *from,
                                void (*act)(struct ph_room *room, struct ph_room_job *j),
                                const char *text);
// Posts ph_room_act_close, once; needs no memory.                                   thread: any
void ph_room_post_closing(struct ph_room *room, struct ph_asker *from);
// Posts; when that fails the asker is told.                                         thread: any
void ph_room_post(struct ph_room_job *j);

// Acts, all of them thread: worker.
void ph_room_act_open(struct ph_room *room, struct ph_room_job *j);   // text
void ph_room_act_close(struct ph_room *room, struct ph_room_job *j);  //
void ph_room_act_edit(struct ph_room *room, struct ph_room_job *j);   // text, trusted
void ph_room_act_source(struct ph_room *room, struct ph_room_job *j); // text: the source's name
void ph_room_act_set(struct ph_room *room, struct ph_room_job *j);    // message
void ph_room_act_cut(struct ph_room *room, struct ph_room_job *j);    // message
void ph_room_act_doc(struct ph_room *room, struct ph_room_job *j);
void ph_room_act_params(struct ph_room *room, struct ph_room_job *j);
void ph_room_act_trace(struct ph_room *room, struct ph_room_job *j);
void ph_room_act_calibrate(struct ph_room *room, struct ph_room_job *j);   // text: the request
void ph_room_act_calibration(struct ph_room *room, struct ph_room_job *j); // how far it is
void ph_room_act_record(struct ph_room *room, struct ph_room_job *j); // text: start, stop, ""

// A text for those on the other side of the network: paths without their folders. malloc'ed.
char *ph_room_hide(struct ph_room *room, const char *text); // thread: any
// Replaces the running graph and reads the new text again.
ph_err ph_room_edit_graph(struct ph_room *room, const char *text, struct ph_fault *fault);
ph_err ph_room_learn(struct ph_room *room, struct ph_fault *fault); // reads the graph's text
bool ph_room_is_open(struct ph_room *room, struct ph_asker *a);     // else the asker is told
char *ph_room_doc(struct ph_room *room);                            // doc.c; malloc'ed
char *ph_room_signals(struct ph_room *room);                        // likewise
void ph_room_event(void *opaque, const struct ph_event *e);         // thread: lane, ctl
// Why no frame can be made yet; "" = one can. Like snprintf.                         thread: any
int ph_room_not_ready(struct ph_room *room, char *text, size_t size);

// --- phone.c
void ph_phone(void *opaque, struct ph_request *req); // GET; opaque: the house       thread: io

// --- calibrate.c                                                           thread: worker
void ph_calibrate_tick(struct ph_room *room); // takes what its thread found
void ph_calibrate_end(struct ph_room *room);  // while there is a graph; its asker is told

// --- record.c                                                              thread: worker
void ph_record_follow(struct ph_room *room); // after an edit: is it still there?
// A text that says nothing of the recording, with it added, so that it goes on: a preset, a graph
// written anew. NULL when there is nothing to add. Ends with POST …/record only. Free the result.
// The media type of a file that rooms record; NULL = it is none.                    thread: any
const char *ph_record_type(const char *file);
char *ph_record_carry(struct ph_room *room, const char *text);
// What a node of the graph has said; thread: lane
void ph_record_note(struct ph_room *room, const char *node, const char *message);
// Every film in that folder, newest first, as JSON; malloc'ed.                         thread: any
char *ph_record_list(const char *folder);
void ph_record_json(struct ph_room *room, struct ph_buf *b); // a member of the room document

// --- acks.c                                                                   thread: any
ph_err ph_acks_init(struct ph_acks *a);
void ph_acks_finish(struct ph_acks *a);
// Takes the asker; the id to give to the graph, for `count` controls that take `bytes` in it. 0 = too
// much waits; the asker is then still the caller's.
uint64_t ph_acks_add(struct ph_room *room, struct ph_asker *asker, int count, size_t bytes,
                     bool hard);
void ph_acks_landed(struct ph_room *room, uint64_t id, uint64_t frame, uint32_t epoch);
// `missing` of its controls will never land.
void ph_acks_fail(struct ph_room *room, uint64_t id, int missing, const struct ph_fault *fault);
void ph_acks_fail_all(struct ph_room *room, const struct ph_fault *fault);

// --- view.c
void ph_view_init(struct ph_room *room);
// A viewer with an open connection begins and ends to watch.                         thread: io
void ph_view_join(struct ph_room *room, struct ph_viewer *v);
void ph_view_leave(struct ph_room *room, struct ph_viewer *v);
void ph_view_hello(struct ph_viewer *v, const struct ph_message *m); // HELLO, CODEC; thread: io
void ph_view_shown(struct ph_viewer *v, const struct ph_message *m); // thread: io
// Which feed a viewer gets; asked: it waits for a hello. view_lock is held.
void ph_view_assign(struct ph_room *room, struct ph_viewer *v, bool asked);
void ph_view_tell_cameras(struct ph_room *room); // viewers that asked; view_lock is held
void ph_view_role(struct ph_viewer *v, bool camera, const char *inlet);
// Which browser node its pictures go to; "" while the room opens. PH_ENOENT: there is none. thread: io
ph_err ph_view_inlet(struct ph_viewer *v, char node[PH_NAME_MAX], struct ph_fault *fault);
void ph_view_clock(struct ph_viewer *v, const struct ph_message *m); // a timed ping; thread: io
// When a picture was taken, on our clock, by what its sender's clock said; now where that is not
// known or not to be believed.                                                       thread: io
int64_t ph_view_captured(struct ph_viewer *v, int64_t theirs_ns);         // thread: io
void ph_view_subscribe(struct ph_viewer *v, const struct ph_message *m);  // thread: io
void ph_view_set_outlets(struct ph_room *room, const struct ph_ast *ast); // thread: worker
void ph_view_cut(struct ph_room *room,
                 uint32_t epoch); // nothing older from now on; thread: any
void ph_view_close_all(struct ph_room *room, const char *reason); // thread: any
// What is due: subscriptions, rates, documents; returns when it wants to be called again.
int64_t ph_view_tick(void *room, int64_t now_ns); // thread: worker
void ph_view_end(struct ph_room *room);           // unsubscribes; thread: worker
// A webcam's picture that came after a viewer and before the viewer's feed was on: it is shown as
// soon as it is, also when no other comes. Under graph_lock, so that none overtakes it. thread: io
void ph_view_keep_early(struct ph_room *room, const char *node, struct ph_frame *f);
// Its source is a visitor's webcam, and there is no picture and nobody who sends. thread: io
bool ph_view_waits_for_camera(struct ph_room *room);
// The newest JPEG at once, or deferred until there is one.                           thread: io
void ph_view_reply_frame(struct ph_room *room, struct ph_request *req);

// --- metrics.c
#define PH_METRICS_MAX 1280
// The plain dialect's "metrics" message of one frame; its length. view_lock is held.
int ph_metrics_text(const struct ph_room *room, const struct ph_frame *f, uint64_t dropped,
                    int64_t now_ns, char text[PH_METRICS_MAX]);
void ph_viewers_json(struct ph_room *room, struct ph_buf *b); // members of the room document
char *ph_metrics_prometheus(struct ph_rooms *house);          // malloc'ed; thread: io

// Whether that viewer sends pictures of its camera.                                  thread: io
bool ph_ws_publishes(const struct ph_rooms *house, uint64_t viewer);

// --- ws.c, api.c: routes                                                         thread: ctl
ph_err ph_ws_routes(struct ph_rooms *house);
ph_err ph_api_routes(struct ph_rooms *house);
ph_err ph_api_rooms_routes(struct ph_rooms *house);

// --- rooms.c: the house

struct ph_publisher {
    uint64_t viewer;
    int64_t until_ns;
};

struct ph_rooms {
    void *tree; // owns the texts below
    struct ph_rooms_params par;
    struct ph_log log;
    struct ph_server *server;
    struct ph_worker *prober; // for par.devices; ends by itself
    bool started, stopped;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ph_room *rooms; // oldest first
    struct ph_room *test;  // of /ws/test; made when first asked for
    int alive;             // rooms whose threads run
    bool closing;

    // constant after creation
    struct ph_preset *presets;
    struct ph_allow allow;
    char *nodes_json;
    const char *recordings;

    // io
    struct ph_publisher *publishers; // limits.publishers of them
    uint64_t next_viewer;
};

// A reference, or NULL. name NULL or "" = the oldest room.                           thread: any
struct ph_room *ph_rooms_find(struct ph_rooms *house, const char *name);
struct ph_room *ph_rooms_test(struct ph_rooms *house, struct ph_fault *fault); // a reference
// Makes a room and posts its opening; the asker hears of both.                       thread: any
void ph_rooms_add(struct ph_rooms *house, const struct ph_room_params *par, bool by_client,
                  struct ph_asker *asker);
// Takes it off the list and posts its closing.                                       thread: any
void ph_rooms_remove(struct ph_rooms *house, struct ph_room *room, struct ph_asker *asker);
void ph_rooms_forget(struct ph_rooms *house, struct ph_room *room); // off the list only
void ph_rooms_reap(struct ph_room *room); // its worker ends after this job; thread: that worker
// Text of a preset, with a fault that has the nearest name.
const char *ph_rooms_preset(struct ph_rooms *house, const char *name, struct ph_fault *fault);
const char *ph_rooms_nearest(struct ph_rooms *house, const char *name, char text[64]);

#endif
