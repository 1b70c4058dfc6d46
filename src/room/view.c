// SPDX-License-Identifier: MIT
// Viewers: which codec each gets, when the graph must be awake for them, and a frame's last step,
// from a lane into their mailboxes.
#include "room/room_priv.h"

#include "server/protocol.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_NS      PH_SECOND_NS // then a client that says none gets JPEG
#define METRICS_NS    (100 * PH_MS_NS)
#define RATES_NS      (100 * PH_MS_NS)
#define FRAME_WAIT_NS (5 * PH_SECOND_NS)
#define FRAME_LINGER  (PH_SECOND_NS / 2) // who asks for one picture may soon ask for the next
#define FRAME_WAITERS 64
#define CLOCK_WINDOW  (30 * PH_SECOND_NS)
#define PROBLEM_EVERY PH_SECOND_NS // a text that flips must not flood anybody
#define KEYED_DEPTH   8
#define KEY_EVERY_NS  (PH_SECOND_NS / 4) // of key frames that viewers ask for

static void deliver(void *opaque, struct ph_frame *f);

void ph_view_init(struct ph_room *room)
{
    for (int k = 0; k < PH_FEEDS; k++) {
        struct ph_feed *feed = &room->feeds[k];
        feed->room = room;
        feed->codec = ph_feed_codecs[k];
        feed->sub = (struct ph_subscriber){ deliver, feed, .codecs = 1u << feed->codec };
    }
}

// --- a frame to a viewer; view_lock is held

struct memo { // metrics are printed once for all viewers who lost as many pictures
    uint64_t dropped;
    int len;
    char text[PH_METRICS_MAX];
};

static bool keyed(const struct ph_room *room, int feed)
{
    enum ph_codec codec = feed >= 0 ? room->feeds[feed].codec : PH_CODEC_NONE;
    return codec == PH_H264 || codec == PH_VP8 || codec == PH_VP9;
}

static void set_mode(const struct ph_viewer *v)
{
    bool video = keyed(v->room, v->feed);
    ph_conn_mode(v->conn, video ? PH_SEND_DROP_TO_KEY : PH_SEND_LATEST, KEYED_DEPTH);
}

static bool wants_metrics(struct ph_viewer *v, int64_t now)
{
    if (v->mjpeg || v->clouds || (v->v1 && now - v->metrics_ns < METRICS_NS)) return false;
    v->metrics_ns = now;
    return true;
}

static void show(struct ph_viewer *v, struct ph_frame *f, int64_t now, struct memo *memo)
{
    uint8_t head[PH_WIRE_BYTES];
    struct ph_post post = { .frame = f };
    bool turned = v->shown_any && f->epoch != v->epoch;
    if (turned && keyed(v->room, v->feed)) set_mode(v); // what still waits is of the old epoch
    if (v->v1) {
        post.head = head;
        post.extra = v->confidence;
        post.head_size = ph_wire_of_frame(f, turned, v->confidence, head);
    }
    if (wants_metrics(v, now)) {
        if (!memo->len || memo->dropped != v->dropped)
            memo->len = ph_metrics_text(v->room, f, v->dropped, now, memo->text);
        memo->dropped = v->dropped;
        post.text = memo->text;
        post.text_len = (size_t) memo->len;
    }
    ph_conn_post(v->conn, &post);
    v->shown_any = true;
    v->epoch = f->epoch;
}

static void remember(struct ph_room *room, struct ph_feed *feed, struct ph_frame *f)
{
    ph_frame_unref(&feed->newest);
    feed->newest = ph_frame_ref(f);
    room->seen[f->id % PH_SEEN].frame = f->id;
    room->seen[f->id % PH_SEEN].capture_ns = f->capture_ns;
}

static struct ph_frame_waiter *take_waiters(struct ph_room *room)
{
    struct ph_frame_waiter *all = room->frame_waiters;
    room->frame_waiters = NULL;
    room->frame_waiter_count = 0;
    return all;
}

static void answer_waiters(struct ph_frame_waiter *w, struct ph_frame *f,
                           const struct ph_fault *fault)
{
    for (struct ph_frame_waiter *next; w; w = next) {
        next = w->next;
        if (f)
            ph_deferred_frame(&w->deferred, f);
        else
            ph_deferred_fault(&w->deferred, 503, fault);
        free(w);
    }
}

// What the model told of this frame, all 0 without one. Not while view_lock is held. The lane holds
// its sink's lock and must not wait: while the graph is changed the report stays as it was.
static struct ph_model_report report_of(struct ph_room *room, uint64_t frame)
{
    pthread_mutex_lock(&room->view_lock);
    struct ph_model_report report = room->report;
    pthread_mutex_unlock(&room->view_lock);
    if (pthread_rwlock_tryrdlock(&room->graph_lock)) return report;
    if (room->graph) ph_graph_report(room->graph, frame, &report);
    pthread_rwlock_unlock(&room->graph_lock);
    return report;
}

// Runs on a lane.
static void deliver(void *opaque, struct ph_frame *f)
{
    struct ph_feed *feed = opaque;
    struct ph_room *room = feed->room;
    struct ph_frame_waiter *waiters = NULL;
    struct memo memo = { .len = 0 };
    int64_t now = ph_now_ns();
    int k = (int) (feed - room->feeds);
    bool woke = false;
    struct ph_model_report report = report_of(room, f->id);
    pthread_mutex_lock(&room->view_lock);
    room->report = report;
    if ((int32_t) (f->epoch - room->min_epoch) >= 0) {
        remember(room, feed, f);
        for (struct ph_viewer *v = room->viewers; v; v = v->next)
            if (v->feed == k) show(v, f, now, &memo);
        if (feed->codec == PH_JPEG) waiters = take_waiters(room);
        woke = room->probe;
        room->probe = false;
        room->ready = true;
    }
    pthread_mutex_unlock(&room->view_lock);
    answer_waiters(waiters, f, NULL);
    if (woke) ph_worker_poke(&room->worker);
}

// --- which codec; view_lock is held

static int pick(const struct ph_room *room, const struct ph_viewer *v)
{
    for (int i = 0; v->greeted && i < v->wants_count; i++)
        for (int k = 0; k < PH_FEEDS; k++)
            if (ph_feed_codecs[k] == v->wants[i] && room->feeds[k].outlet.live[0]) return k;
    return -1;
}

static void say_hello(const struct ph_room *room, const struct ph_viewer *v)
{
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"type\":\"hello\",\"version\":");
    ph_json_str(&b, ph_version());
    ph_json_key(&b, "room");
    ph_json_str(&b, room->name);
    ph_json_key(&b, "codec");
    ph_json_str(&b, v->feed < 0 ? "none" : ph_codec_name(room->feeds[v->feed].codec));
    ph_buf_puts(&b, "}");
    if (!b.failed) ph_ws_send_text(v->conn, b.data, b.len);
    ph_buf_free(&b);
}

static void say_nothing_comes(const struct ph_viewer *v)
{
    struct ph_fault fault;
    ph_fail(&fault, PH_ENOENT, "graph",
            "this room's graph makes nothing that this client can show: it needs a %s node "
            "before its live node",
            v->clouds ? "msgpack" : "jpeg");
    if (!v->mjpeg) ph_ws_fault(v->conn, false, 0, &fault);
}

// {"type":"problem","node":"camera","message":"…"}; null: all is well again.
static void put_problem(const struct ph_room *room, struct ph_buf *b)
{
    ph_buf_puts(b, "{\"type\":\"problem\",\"node\":");
    if (room->problem_node[0])
        ph_json_str(b, room->problem_node);
    else
        ph_buf_puts(b, "null");
    ph_json_key(b, "message");
    if (room->problem[0])
        ph_json_str(b, room->problem);
    else
        ph_buf_puts(b, "null");
    ph_buf_puts(b, "}");
}

static void say_problem(const struct ph_room *room, const struct ph_viewer *v)
{
    struct ph_buf b = { 0 };
    if (!room->problem[0] || v->mjpeg) return;
    put_problem(room, &b);
    if (!b.failed) ph_ws_send_text(v->conn, b.data, b.len);
    ph_buf_free(&b);
}

static void show_newest(struct ph_room *room, struct ph_viewer *v)
{
    struct memo memo = { .len = 0 };
    struct ph_frame *f = room->feeds[v->feed].newest;
    if (f && (!keyed(room, v->feed) || f->packet.key)) show(v, f, ph_now_ns(), &memo);
}

void ph_view_assign(struct ph_room *room, struct ph_viewer *v, bool asked)
{
    if (!v->greeted || atomic_load(&room->state) == PH_ROOM_OPENING) return;
    int feed = pick(room, v);
    bool changed = feed != v->feed || !v->placed;
    v->feed = feed;
    v->placed = true;
    if (v->v1 && v->said_hello && (asked || changed)) say_hello(room, v);
    if (!changed) return;
    set_mode(v);
    if (feed >= 0)
        show_newest(room, v);
    else if (!v->camera)
        say_nothing_comes(v);
}

void ph_view_set_outlets(struct ph_room *room, const struct ph_ast *ast)
{
    struct ph_outlet outlet[PH_FEEDS];
    char inlets[PH_INLETS][PH_NAME_MAX];
    int inlet_count = ph_edit_browsers(ast, inlets);
    ph_edit_outlets(ast, outlet);
    pthread_mutex_lock(&room->view_lock);
    for (int k = 0; k < PH_FEEDS; k++) room->feeds[k].outlet = outlet[k];
    memcpy(room->inlets, inlets, sizeof inlets);
    room->inlet_count = inlet_count;
    for (struct ph_viewer *v = room->viewers; v; v = v->next)
        ph_view_assign(room, v, !v->placed);
    pthread_mutex_unlock(&room->view_lock);
}

// --- coming and going

void ph_view_join(struct ph_room *room, struct ph_viewer *v)
{
    v->feed = -1;
    v->hello_by_ns = ph_now_ns() + HELLO_NS;
    v->greeted = !v->v1;
    if (v->greeted) v->wants[v->wants_count++] = v->clouds ? PH_CLOUD : PH_JPEG;
    pthread_mutex_lock(&room->view_lock);
    v->next = room->viewers;
    room->viewers = v;
    room->viewer_count++;
    say_problem(room, v);
    ph_view_assign(room, v, false);
    pthread_mutex_unlock(&room->view_lock);
    ph_worker_poke(&room->worker);
}

void ph_view_leave(struct ph_room *room, struct ph_viewer *v)
{
    pthread_mutex_lock(&room->view_lock);
    struct ph_viewer **at = &room->viewers;
    while (*at && *at != v) at = &(*at)->next;
    if (*at) {
        *at = v->next;
        room->viewer_count--;
        if (v->camera) ph_view_tell_cameras(room);
    }
    if (!room->viewers) ph_frame_unref(&room->early);
    pthread_mutex_unlock(&room->view_lock);
    ph_worker_poke(&room->worker);
}

void ph_view_hello(struct ph_viewer *v, const struct ph_message *m)
{
    struct ph_room *room = v->room;
    pthread_mutex_lock(&room->view_lock);
    memcpy(v->wants, m->codecs, sizeof v->wants);
    v->wants_count = m->codec_count;
    if (m->type == PH_MESSAGE_HELLO) v->confidence = m->confidence;
    v->greeted = v->said_hello = true;
    ph_view_assign(room, v, true);
    pthread_mutex_unlock(&room->view_lock);
    ph_worker_poke(&room->worker);
}

static void set_turn(struct ph_turn *t, double hz)
{
    if (hz < 0) return;
    t->period_ns = hz > 0 ? (int64_t) (1e9 / hz) : 0;
    t->due_ns = 0;
}

void ph_view_subscribe(struct ph_viewer *v, const struct ph_message *m)
{
    pthread_mutex_lock(&v->room->view_lock);
    set_turn(&v->doc, m->hz);
    set_turn(&v->signals, m->signals_hz);
    pthread_mutex_unlock(&v->room->view_lock);
    ph_worker_poke(&v->room->worker);
}

void ph_view_close_all(struct ph_room *room, const char *reason)
{
    pthread_mutex_lock(&room->view_lock);
    for (struct ph_viewer *v = room->viewers; v; v = v->next)
        ph_conn_close(v->conn, 1001, reason);
    pthread_mutex_unlock(&room->view_lock);
}

void ph_view_cut(struct ph_room *room, uint32_t epoch)
{
    pthread_mutex_lock(&room->view_lock);
    if ((int32_t) (epoch - room->min_epoch) > 0) room->min_epoch = epoch;
    for (struct ph_viewer *v = room->viewers; v; v = v->next)
        if (v->shown_any && (int32_t) (v->epoch - epoch) < 0)
            set_mode(v); // empties its mailbox
    for (int k = 0; k < PH_FEEDS; k++) {
        struct ph_frame **f = &room->feeds[k].newest;
        if (*f && (int32_t) ((*f)->epoch - epoch) < 0) ph_frame_unref(f);
    }
    pthread_mutex_unlock(&room->view_lock);
}

// --- what a viewer saw

// The least difference of the two clocks is the one whose message was least delayed; it is looked
// for in the last 30 to 60 s, because clocks drift.
static int64_t clock_offset(struct ph_viewer *v, int64_t offset_ns, int64_t now)
{
    if (!v->clock_since_ns || now - v->clock_since_ns > CLOCK_WINDOW) {
        v->clock_offset_ns[1] = v->clock_since_ns ? v->clock_offset_ns[0] : offset_ns;
        v->clock_offset_ns[0] = offset_ns;
        v->clock_since_ns = now;
    }
    if (offset_ns < v->clock_offset_ns[0]) v->clock_offset_ns[0] = offset_ns;
    return v->clock_offset_ns[0] < v->clock_offset_ns[1] ? v->clock_offset_ns[0]
                                                         : v->clock_offset_ns[1];
}

void ph_view_shown(struct ph_viewer *v, const struct ph_message *m)
{
    struct ph_room *room = v->room;
    int64_t now = ph_now_ns(), shown_ns = now;
    pthread_mutex_lock(&room->view_lock);
    for (int i = 0; i < m->shown; i++) ph_rate_add(&v->shown, now);
    if (fabs(m->t_ms) < 1e12) {
        int64_t theirs = (int64_t) (m->t_ms * 1e6);
        shown_ns = theirs + clock_offset(v, now - theirs, now);
    }
    size_t at = m->frame % PH_SEEN;
    int64_t capture_ns = room->seen[at].capture_ns;
    bool known = capture_ns && (uint32_t) room->seen[at].frame == (uint32_t) m->frame;
    if (known && shown_ns >= capture_ns) ph_hist_add(&v->latency, shown_ns - capture_ns, now);
    pthread_mutex_unlock(&room->view_lock);
}

// --- one picture over HTTP

static void defer_frame(struct ph_room *room, struct ph_request *req)
{
    static const char late[] = "{\"error\":{\"code\":\"ETIMEOUT\",\"field\":\"room\","
                               "\"message\":\"the room made no picture within 5 s\"}}";
    struct ph_frame_waiter *w = calloc(1, sizeof *w);
    if (!w) {
        ph_reply_error(req, 500, "", "out of memory");
        return;
    }
    w->deferred = ph_request_defer(req, FRAME_WAIT_NS, 503, late);
    if (!w->deferred) {
        free(w);
        return;
    }
    w->until_ns = ph_now_ns() + FRAME_WAIT_NS + PH_MS_NS * 100;
    pthread_mutex_lock(&room->view_lock);
    w->next = room->frame_waiters;
    room->frame_waiters = w;
    room->frame_waiter_count++;
    pthread_mutex_unlock(&room->view_lock);
}

bool ph_view_waits_for_camera(struct ph_room *room)
{
    pthread_mutex_lock(&room->view_lock);
    bool waits = room->inlet_count && !room->feeds[PH_FEED_JPEG].newest;
    for (const struct ph_viewer *v = room->viewers; v && waits; v = v->next)
        waits = !ph_ws_publishes(room->house, v->id);
    pthread_mutex_unlock(&room->view_lock);
    return waits;
}

void ph_view_reply_frame(struct ph_room *room, struct ph_request *req)
{
    const struct ph_feed *feed = &room->feeds[PH_FEED_JPEG];
    pthread_mutex_lock(&room->view_lock);
    struct ph_frame *f = ph_frame_ref(feed->newest);
    bool full = room->frame_waiter_count >= FRAME_WAITERS;
    bool never = !feed->outlet.live[0] && atomic_load(&room->state) == PH_ROOM_OPEN;
    room->frame_interest_ns = ph_now_ns() + FRAME_LINGER;
    pthread_mutex_unlock(&room->view_lock);
    if (f)
        ph_reply_frame(req, f);
    else if (never)
        ph_reply_error(req, 409, "graph",
                       "this room's graph has no jpeg node before its live node");
    else if (ph_view_waits_for_camera(room))
        ph_reply_error(req, 503, "source",
                       "the room \"%s\" takes a visitor's webcam, and none sends yet: open its "
                       "page in a browser and choose the webcam",
                       room->name);
    else if (full)
        ph_reply_error(req, 429, "", "%d requests wait for this room's next picture already",
                       FRAME_WAITERS);
    else
        defer_frame(room, req);
    ph_frame_unref(&f);
    ph_worker_poke(&room->worker);
}

static void expire_waiters(struct ph_room *room, int64_t now)
{
    struct ph_frame_waiter *late = NULL;
    struct ph_fault fault;
    ph_fail(&fault, PH_ETIMEOUT, "room", "the room made no picture within 5 s");
    pthread_mutex_lock(&room->view_lock);
    for (struct ph_frame_waiter **at = &room->frame_waiters; *at;) {
        struct ph_frame_waiter *w = *at;
        if (w->until_ns > now) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->next = late;
        late = w;
        room->frame_waiter_count--;
    }
    pthread_mutex_unlock(&room->view_lock);
    answer_waiters(late, NULL, &fault);
}

// --- the worker's turn

struct need {
    bool feed[PH_FEEDS];
    bool key[PH_FEEDS]; // somebody can go on with a key frame only
    struct ph_outlet outlet[PH_FEEDS];
    int64_t due_ns;
};

static void sooner(int64_t *due_ns, int64_t t)
{
    if (t < *due_ns) *due_ns = t;
}

static void greet_late(struct ph_room *room, int64_t now, int64_t *due_ns)
{
    for (struct ph_viewer *v = room->viewers; v; v = v->next) {
        if (v->greeted) continue;
        if (now < v->hello_by_ns) {
            sooner(due_ns, v->hello_by_ns);
            continue;
        }
        v->greeted = true;
        v->wants[0] = PH_JPEG;
        v->wants_count = 1;
        ph_view_assign(room, v, false);
    }
}

static void find_need(struct ph_room *room, int64_t now, struct need *need)
{
    *need = (struct need){ .due_ns = PH_NEVER };
    pthread_mutex_lock(&room->view_lock);
    greet_late(room, now, &need->due_ns);
    for (const struct ph_viewer *v = room->viewers; v; v = v->next) {
        if (v->feed < 0) continue;
        need->feed[v->feed] = true;
        if (keyed(room, v->feed) && ph_conn_wants_key(v->conn)) need->key[v->feed] = true;
    }
    for (const struct ph_frame_waiter *w = room->frame_waiters; w; w = w->next)
        sooner(&need->due_ns, w->until_ns);
    if (room->frame_waiters || room->frame_interest_ns > now) {
        need->feed[PH_FEED_JPEG] = true;
        if (room->frame_interest_ns > now) sooner(&need->due_ns, room->frame_interest_ns);
    }
    bool probe = room->probe;
    for (int k = 0; k < PH_FEEDS; k++) {
        need->outlet[k] = room->feeds[k].outlet;
        if (probe && need->outlet[k].live[0]) need->feed[k] = true, probe = false;
    }
    pthread_mutex_unlock(&room->view_lock);
}

static bool ended(const struct ph_room *room)
{
    return room->graph && ph_graph_wait(room->graph, 0) == PH_EOF;
}

static bool watched(const struct ph_room *room, int feed)
{
    const struct ph_viewer *v = room->viewers;
    while (v && v->feed != feed) v = v->next;
    return v != NULL;
}

static void switch_feed(struct ph_room *room, struct ph_feed *feed, bool on)
{
    pthread_mutex_lock(&room->view_lock);
    feed->on = on;
    atomic_fetch_add(&room->feeds_on, on ? 1 : -1);
    pthread_mutex_unlock(&room->view_lock);
}

static void stop_feed(struct ph_room *room, struct ph_feed *feed)
{
    ph_graph_unsubscribe(room->graph, &feed->sub);
    switch_feed(room, feed, false);
    if (ended(room)) return; // its last picture is all there will ever be
    pthread_mutex_lock(&room->view_lock);
    // By the time somebody comes again it is an old one; but somebody may have come just now.
    if (!watched(room, (int) (feed - room->feeds))) ph_frame_unref(&feed->newest);
    pthread_mutex_unlock(&room->view_lock);
}

static bool awaits_feed(const struct ph_room *room)
{
    if (room->frame_waiters && !room->feeds[PH_FEED_JPEG].on) return true;
    for (const struct ph_viewer *v = room->viewers; v; v = v->next)
        if (!v->placed || (v->feed >= 0 && !room->feeds[v->feed].on)) return true;
    return false;
}

void ph_view_keep_early(struct ph_room *room, const char *node, struct ph_frame *f)
{
    pthread_mutex_lock(&room->view_lock);
    if (awaits_feed(room)) {
        ph_frame_unref(&room->early);
        room->early = ph_frame_ref(f);
        snprintf(room->early_node, sizeof room->early_node, "%s", node);
    }
    pthread_mutex_unlock(&room->view_lock);
}

static void push_early(struct ph_room *room)
{
    char node[PH_NAME_MAX];
    pthread_mutex_lock(&room->view_lock);
    struct ph_frame *f = room->early;
    room->early = NULL;
    memcpy(node, room->early_node, sizeof node);
    pthread_mutex_unlock(&room->view_lock);
    if (f && node[0]) ph_graph_push(room->graph, node, &f);
    ph_frame_unref(&f);
}

static void start_feed(struct ph_room *room, struct ph_feed *feed, const char *node)
{
    if (ph_graph_subscribe(room->graph, node, &feed->sub) < 0) return; // tried again next time
    memcpy(feed->on_node, node, PH_NAME_MAX);
    feed->asked_ns = ph_now_ns(); // an encoder that nobody wanted begins with a key frame
    pthread_rwlock_wrlock(&room->graph_lock);
    switch_feed(room, feed, true);
    push_early(room);
    pthread_rwlock_unlock(&room->graph_lock);
}

// Who joined, or lost a packet, need not wait for the encoder's next regular key frame.
static void ask_for_key(struct ph_room *room, struct ph_feed *feed, const char *encoder)
{
    int64_t now = ph_now_ns();
    const struct ph_ast_node *n = ph_ast_find(room->ast, encoder);
    if (now - feed->asked_ns < KEY_EVERY_NS || !n) return;
    if (!ph_param_find(n->info->params, "refresh", NULL)) return;
    feed->asked_ns = now;
    feed->refresh = !feed->refresh;
    ph_graph_set(room->graph, 0, encoder, "refresh", feed->refresh ? "1" : "0", NULL);
}

static void subscribe(struct ph_room *room, const struct need *need)
{
    for (int k = 0; k < PH_FEEDS && room->graph; k++) {
        struct ph_feed *feed = &room->feeds[k];
        const char *live = need->outlet[k].live;
        bool want = need->feed[k] && live[0];
        if (feed->on && (!want || strcmp(feed->on_node, live))) stop_feed(room, feed);
        if (!feed->on && want) start_feed(room, feed, live);
        if (feed->on && need->key[k]) ask_for_key(room, feed, need->outlet[k].encoder);
    }
}

static void measure(struct ph_room *room, int64_t now)
{
    struct ph_graph_rates rates;
    struct ph_conn_stats stats;
    if (now - room->measured_ns < RATES_NS) return;
    room->measured_ns = now;
    ph_graph_get_rates(room->graph, &rates);
    pthread_mutex_lock(&room->view_lock);
    room->rates = rates;
    for (struct ph_viewer *v = room->viewers; v; v = v->next) {
        ph_conn_stats(v->conn, &stats);
        v->dropped = stats.dropped[PH_SENT_REPLACED] + stats.dropped[PH_SENT_NO_KEY];
    }
    pthread_mutex_unlock(&room->view_lock);
}

// What viewers subscribe to, and who makes the text of it.
static const struct topic {
    const char *type;
    size_t turn; // where it is in a viewer
    char *(*text)(struct ph_room *room);
} topics[] = {
    { "room", offsetof(struct ph_viewer, doc), ph_room_doc },
    { "signals", offsetof(struct ph_viewer, signals), ph_room_signals },
};

static struct ph_turn *turn_of(struct ph_viewer *v, const struct topic *t)
{
    return (struct ph_turn *) (void *) ((char *) v + t->turn);
}

static bool due(struct ph_viewer *v, const struct topic *t, int64_t now)
{
    const struct ph_turn *turn = turn_of(v, t);
    return turn->period_ns && turn->due_ns <= now;
}

static bool any_due(struct ph_room *room, const struct topic *t, int64_t now)
{
    bool any = false;
    pthread_mutex_lock(&room->view_lock);
    for (struct ph_viewer *v = room->viewers; v; v = v->next) any = any || due(v, t, now);
    pthread_mutex_unlock(&room->view_lock);
    return any;
}

// A client that has not taken the last one is not sent another.
static void send_topic(struct ph_room *room, const struct topic *t, int64_t now,
                       int64_t *due_ns)
{
    struct ph_buf b = { 0 };
    char *text = any_due(room, t, now) ? t->text(room) : NULL;
    if (text) ph_buf_printf(&b, "{\"type\":\"%s\",\"data\":", t->type);
    if (text) ph_buf_puts(&b, text);
    if (text) ph_buf_puts(&b, "}");
    free(text);
    pthread_mutex_lock(&room->view_lock);
    for (struct ph_viewer *v = room->viewers; v; v = v->next) {
        struct ph_turn *turn = turn_of(v, t);
        if (!turn->period_ns) continue;
        if (due(v, t, now)) {
            if (b.len && !b.failed && !ph_ws_backlog(v->conn))
                ph_ws_send_text(v->conn, b.data, b.len);
            turn->due_ns = now + turn->period_ns;
        }
        sooner(due_ns, turn->due_ns);
    }
    pthread_mutex_unlock(&room->view_lock);
    ph_buf_free(&b);
}

// A picture that stands still must not be all that a viewer learns of a dead camera.
static void tell_problem(struct ph_room *room, int64_t now, int64_t *due_ns)
{
    struct ph_buf b = { 0 };
    pthread_mutex_lock(&room->view_lock);
    if (room->problem_new && now - room->told_ns < PROBLEM_EVERY) {
        sooner(due_ns, room->told_ns + PROBLEM_EVERY);
    } else if (room->problem_new) {
        room->problem_new = false;
        room->told_ns = now;
        put_problem(room, &b);
        for (struct ph_viewer *v = room->viewers; v && !b.failed; v = v->next)
            if (!v->mjpeg) ph_ws_send_text(v->conn, b.data, b.len);
    }
    pthread_mutex_unlock(&room->view_lock);
    ph_buf_free(&b);
}

int64_t ph_view_tick(void *opaque, int64_t now)
{
    struct ph_room *room = opaque;
    struct need need;
    expire_waiters(room, now);
    find_need(room, now, &need);
    tell_problem(room, now, &need.due_ns);
    if (!room->graph) return need.due_ns;
    ph_calibrate_tick(room);
    subscribe(room, &need);
    if (atomic_load(&room->feeds_on)) {
        measure(room, now);
        sooner(&need.due_ns, room->measured_ns + RATES_NS);
    }
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        send_topic(room, &topics[i], now, &need.due_ns);
    return need.due_ns;
}

void ph_view_end(struct ph_room *room)
{
    struct ph_fault fault;
    ph_fail(&fault, PH_ESTOPPED, "room", "the room was closed");
    for (int k = 0; k < PH_FEEDS; k++) {
        struct ph_feed *feed = &room->feeds[k];
        if (feed->on) stop_feed(room, feed);
    }
    pthread_mutex_lock(&room->view_lock);
    for (int k = 0; k < PH_FEEDS; k++) {
        ph_frame_unref(&room->feeds[k].newest);
        room->feeds[k].outlet.live[0] = 0;
    }
    ph_frame_unref(&room->early);
    struct ph_frame_waiter *waiters = take_waiters(room);
    pthread_mutex_unlock(&room->view_lock);
    answer_waiters(waiters, NULL, &fault);
}
