// SPDX-License-Identifier: MIT
#include "nodes/media/feed.h"

#include "core/tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_PAUSE_NS (PH_SECOND_NS / 2)
#define MAX_PAUSE_NS   (5 * PH_SECOND_NS)
#define FAREWELL_NS    (PH_SECOND_NS * 2 / 5)
#define BREAK_NS       (2 * PH_SECOND_NS) // a stream's time has run so far ahead of ours
#define LATE_NS        (PH_SECOND_NS / 4)
#define IDLE_NS        (PH_SECOND_NS / 10)

struct ph_feed {
    struct ph_feed_params par;
    char label[256];
    struct ph_log log;
    struct ph_pool *pool; // its own: the thread may outlive the node
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ph_node *node; // lock; NULL: gone, the thread frees this when it ends
    bool idle;            // there is no thread: a replay
    bool ended;           // lock: the thread is past its last use of the lock
    _Atomic bool stop, sound_linked;

    // the thread's
    struct ph_input *in;
    bool started, anchored, troubled;
    bool paced;                  // frames wait for their time
    bool film;                   // the input has an end of its own
    int64_t first_ns;            // moment at which stream time is 0
    int64_t last_pts_ns[2];      // of each port, as pushed
    int64_t from_ns, to_ns;      // this time of the connection is that stream time
    int64_t play_ns;             // realtime: moment at which stream time would be 0
    int64_t seen_ns, arrived_ns; // pts and arrival of the newest item
    int64_t asked_ns;            // when is_alive was asked
};

// --- with the node, which may be gone

static bool cancelled(void *opaque)
{
    const struct ph_feed *f = opaque;
    return atomic_load_explicit(&f->stop, memory_order_relaxed);
}

PH_PRINTF(2, 3)
static void say(struct ph_feed *f, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&f->lock);
    if (f->node) ph_node_problem(f->node, "%s", text);
    pthread_mutex_unlock(&f->lock);
}

static void say_well(struct ph_feed *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->node) ph_node_problem(f->node, NULL);
    pthread_mutex_unlock(&f->lock);
}

static void pass_log(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    struct ph_feed *f = opaque;
    pthread_mutex_lock(&f->lock);
    if (f->node) ph_log(ph_node_log(f->node), level, who, "%s", line);
    pthread_mutex_unlock(&f->lock);
}

static bool wanted(struct ph_feed *f)
{
    pthread_mutex_lock(&f->lock);
    bool yes = f->node && ph_node_wanted(f->node, PH_CODEC_NONE);
    pthread_mutex_unlock(&f->lock);
    return yes;
}

// false = stopped
static bool nap_until(struct ph_feed *f, int64_t when_ns)
{
    struct timespec t = { when_ns / PH_SECOND_NS, when_ns % PH_SECOND_NS };
    pthread_mutex_lock(&f->lock);
    while (!cancelled(f) && ph_now_ns() < when_ns)
        pthread_cond_timedwait(&f->wake, &f->lock, &t);
    pthread_mutex_unlock(&f->lock);
    return !cancelled(f);
}

// Takes frame. A port that blocks (offline) makes us wait here.
static void push(struct ph_feed *f, int port, struct ph_frame *frame)
{
    ph_err ret;
    do {
        pthread_mutex_lock(&f->lock);
        ret = f->node ? ph_node_push(f->node, port, &frame) : PH_ESTOPPED;
        pthread_mutex_unlock(&f->lock);
    } while (ret == PH_MORE && nap_until(f, ph_now_ns() + 2 * PH_MS_NS));
    ph_frame_unref(&frame);
}

// Beside that of the pictures.
static bool has_sound_port(const struct ph_feed *f)
{
    return f->par.sound && !f->par.no_pictures;
}

static int port_of(const struct ph_feed *f, enum ph_kind kind)
{
    return kind == PH_PICTURE || f->par.no_pictures ? PH_FEED_PICTURES : PH_FEED_SOUND;
}

static void push_eof(struct ph_feed *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->node) ph_node_push_eof(f->node, PH_FEED_PICTURES);
    if (f->node && has_sound_port(f)) ph_node_push_eof(f->node, PH_FEED_SOUND);
    pthread_mutex_unlock(&f->lock);
}

// --- time

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// Stream time runs on over a lost connection, as the clock does.
static void anchor(struct ph_feed *f, const struct ph_input_item *item, int64_t now_ns)
{
    if (!f->started) f->first_ns = now_ns;
    int64_t newest = max64(f->last_pts_ns[0], f->last_pts_ns[1]);
    f->to_ns = f->started ? max64(now_ns - f->first_ns, newest + PH_MS_NS) : 0;
    f->from_ns = item->pts_ns;
    f->play_ns = now_ns - f->to_ns;
    f->started = f->anchored = true;
}

static bool has_run_ahead(const struct ph_feed *f, const struct ph_input_item *item)
{
    int64_t step_ns = item->pts_ns - f->seen_ns, waited_ns = item->arrival_ns - f->arrived_ns;
    return !f->paced && item->kind == PH_PICTURE && step_ns - waited_ns > BREAK_NS;
}

// The item's stream time; a device's is its own clock, which knows of no connection.
static int64_t stream_time(struct ph_feed *f, const struct ph_input_item *item)
{
    bool device = item->clock_ns != PH_INPUT_NO_VALUE && !f->paced;
    if (!f->anchored || has_run_ahead(f, item))
        anchor(f, item, device ? item->clock_ns : item->arrival_ns);
    if (item->kind == PH_PICTURE) {
        f->seen_ns = item->pts_ns;
        f->arrived_ns = item->arrival_ns;
    }
    if (device) return item->clock_ns - f->first_ns;
    return item->pts_ns - f->from_ns + f->to_ns;
}

// Until the item is due; false = stopped. One that is very late (nobody looked, the machine slept)
// is due now and all after it as much later: nothing is caught up on.
static bool wait_for_time(struct ph_feed *f, int64_t pts_ns)
{
    if (!f->paced) return true;
    int64_t late_ns = ph_now_ns() - (f->play_ns + pts_ns);
    if (late_ns > LATE_NS) f->play_ns += late_ns;
    return nap_until(f, f->play_ns + pts_ns);
}

static void date(struct ph_feed *f, const struct ph_input_item *item, int64_t pts_ns,
                 struct ph_frame *frame)
{
    int64_t *last = &f->last_pts_ns[port_of(f, item->kind)];
    if (pts_ns <= *last) pts_ns = *last + 1000;
    *last = frame->pts_ns = pts_ns;
    frame->capture_ns = f->paced                              ? ph_now_ns()
                        : item->clock_ns != PH_INPUT_NO_VALUE ? item->clock_ns
                                                              : item->arrival_ns;
}

// --- one connection

static void deliver(struct ph_feed *f, const struct ph_input_item *item)
{
    struct ph_frame *frame;
    if (f->par.no_pictures && item->kind == PH_PICTURE) return;
    int64_t pts_ns = stream_time(f, item);
    ph_err ret = ph_input_frame(f->in, f->pool, &frame);
    if (ret != PH_OK) {
        f->troubled = ret < 0;
        if (ret < 0) say(f, "%s", ph_input_error(f->in));
        return;
    }
    date(f, item, pts_ns, frame);
    if (!wait_for_time(f, pts_ns)) {
        ph_frame_unref(&frame);
        return;
    }
    push(f, port_of(f, item->kind), frame);
    if (f->troubled) say_well(f);
    f->troubled = false;
}

// PH_MORE: go on; PH_EOF: the input has come to its end; negative: it is lost.
static ph_err step(struct ph_feed *f)
{
    struct ph_input_item item;
    if (!wanted(f)) {
        if (!f->paced) {
            ph_err ret = ph_input_skip(f->in);
            return ret == PH_OK || ret == PH_EFORMAT ? PH_MORE : ret;
        }
        nap_until(f, ph_now_ns() + IDLE_NS); // it waits for us
        return PH_MORE;
    }
    ph_input_use_sound(f->in, atomic_load_explicit(&f->sound_linked, memory_order_relaxed));
    ph_err ret = ph_input_read(f->in, &item);
    if (ret == PH_OK) {
        deliver(f, &item);
        return PH_MORE;
    }
    if (ret != PH_EFORMAT) return ret;
    f->troubled = true;
    say(f, "%s", ph_input_error(f->in));
    return PH_MORE;
}

static bool is_dead(struct ph_feed *f)
{
    int64_t now = ph_now_ns();
    if (!f->par.is_alive || now - f->asked_ns < PH_SECOND_NS) return false;
    f->asked_ns = now;
    return !f->par.is_alive(f->par.input.url);
}

static ph_err play(struct ph_feed *f)
{
    ph_err ret = PH_MORE;
    f->anchored = false;
    while (!cancelled(f) && ret == PH_MORE) {
        ret = is_dead(f) ? PH_EOF : step(f);
        if (ret != PH_EOF || !f->par.loop || !f->film) continue;
        if (ph_input_seek(f->in, ph_input_start_ns(f->in)) == PH_OK) ret = PH_MORE;
        f->anchored = false;
    }
    return ret;
}

// --- the thread

static void explain(const struct ph_feed *f, ph_err err, char *text, size_t size)
{
    if (f->par.explain) f->par.explain(f->par.input.url, err, text, size);
}

static ph_err connect_and_play(struct ph_feed *f, char *why, size_t size)
{
    struct ph_fault fault = { 0 };
    ph_err ret = ph_input_open(&f->in, &f->par.input, &fault);
    if (ret < 0) {
        snprintf(why, size, "%s", fault.message);
        explain(f, ret, why, size);
        return ret;
    }
    const struct ph_input_info *info = ph_input_info(f->in);
    f->troubled = true; // until the first picture
    f->film = info->duration_ns > 0 && info->seekable;
    f->paced = (f->par.realtime || f->film || info->segments) && !f->par.fast;
    ret = play(f);
    if (ret == PH_EOF)
        snprintf(why, size, "%s has ended", f->label);
    else
        snprintf(why, size, "%s", ph_input_error(f->in));
    if (ret < 0) explain(f, ret, why, size);
    ph_input_close(&f->in);
    return ret;
}

static void feed_free(struct ph_feed *f)
{
    ph_pool_destroy(&f->pool);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    ph_tree_free(f);
}

static void run(struct ph_feed *f)
{
    char why[sizeof(struct ph_fault)];
    int64_t pause_ns = FIRST_PAUSE_NS;
    say(f, "connecting to %s", f->label);
    while (!cancelled(f)) {
        int64_t pushed_ns = f->last_pts_ns[0];
        ph_err ret = connect_and_play(f, why, sizeof why);
        if (cancelled(f)) return;
        if (ret == PH_EOF && f->film) {
            push_eof(f);
            return;
        }
        if (f->last_pts_ns[0] != pushed_ns) pause_ns = FIRST_PAUSE_NS; // it had worked
        say(f, "%s; trying again in %.1f s", why, (double) pause_ns * 1e-9);
        nap_until(f, ph_now_ns() + pause_ns);
        pause_ns = pause_ns * 2 < MAX_PAUSE_NS ? pause_ns * 2 : MAX_PAUSE_NS;
    }
}

static void *feed_main(void *opaque)
{
    struct ph_feed *f = opaque;
    run(f);
    pthread_mutex_lock(&f->lock);
    f->ended = true;
    bool alone = !f->node;
    pthread_cond_broadcast(&f->wake);
    pthread_mutex_unlock(&f->lock);
    if (alone) feed_free(f);
    return NULL;
}

// --- life

static ph_err copy_params(struct ph_feed *f, const struct ph_feed_params *par)
{
    f->par = *par;
    struct ph_input_params *in = &f->par.input;
    in->url = ph_tree_text(f, in->url, strlen(in->url));
    in->device = in->device ? ph_tree_text(f, in->device, strlen(in->device)) : NULL;
    for (int i = 0; i < PH_INPUT_OPTIONS && in->options[i]; i++)
        if (!(in->options[i] = ph_tree_text(f, in->options[i], strlen(in->options[i]))))
            return PH_ENOMEM;
    for (int i = 0; i < 2 && in->prefer[i]; i++)
        if (!(in->prefer[i] = ph_tree_text(f, in->prefer[i], strlen(in->prefer[i]))))
            return PH_ENOMEM;
    in->who = ph_tree_text(f, ph_node_name(par->node), strlen(ph_node_name(par->node)));
    f->log = (struct ph_log){ PH_LOG_TRACE, pass_log, f }; // the graph's may be gone before us
    in->log = &f->log;
    in->cancelled = cancelled;
    in->opaque = f;
    in->sound = false;
    ph_input_label(in->url, f->label, sizeof f->label);
    return in->url && in->who && (in->device || !par->input.device) ? PH_OK : PH_ENOMEM;
}

static void set_policies(const struct ph_feed *f)
{
    struct ph_node *n = f->node;
    bool offline = ph_node_offline(n);
    bool bursts = !f->par.input.device; // what a network held back comes all at once
    enum ph_drop drop = offline ? PH_DROP_BLOCK : bursts ? PH_DROP_OLDEST : PH_DROP_LATEST;
    enum ph_drop pieces = offline ? PH_DROP_BLOCK : PH_DROP_OLDEST;
    if (f->par.no_pictures)
        ph_node_external(n, PH_FEED_PICTURES, pieces, 64);
    else
        ph_node_external(n, PH_FEED_PICTURES, drop, offline || bursts ? 4 : 1);
    if (has_sound_port(f)) ph_node_external(n, PH_FEED_SOUND, pieces, 64);
}

static void init_locks(struct ph_feed *f)
{
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&f->wake, &mono);
    pthread_condattr_destroy(&mono);
    pthread_mutex_init(&f->lock, NULL);
}

static ph_err start_thread(struct ph_feed *f)
{
    char name[16];
    snprintf(name, sizeof name, "ph:%.12s", ph_node_name(f->node));
    if (pthread_create(&f->thread, NULL, feed_main, f)) return PH_ENOMEM;
    pthread_setname_np(f->thread, name);
    return PH_OK;
}

ph_err ph_feed_create(struct ph_feed **out, const struct ph_feed_params *par,
                      struct ph_fault *fault)
{
    struct ph_feed *f = ph_new(NULL, struct ph_feed, 1);
    *out = NULL;
    if (!f) return ph_fail(fault, PH_ENOMEM, "input", "out of memory");
    init_locks(f);
    f->node = par->node;
    f->last_pts_ns[0] = f->last_pts_ns[1] = -PH_MS_NS;
    f->sound_linked = par->no_pictures;
    ph_err ret = copy_params(f, par);
    if (ret == PH_OK) ret = ph_pool_create(&f->pool);
    if (ret == PH_OK) {
        set_policies(f);
        f->idle = ph_node_replaying(f->node); // what it gave then comes from the journal
        if (!f->idle) ret = start_thread(f);
    }
    if (ret < 0) {
        feed_free(f);
        return ph_fail(fault, ret, "input", "no thread for it: %s", ph_strerror(ret));
    }
    *out = f;
    return PH_OK;
}

void ph_feed_destroy(struct ph_feed **out)
{
    struct ph_feed *f = *out;
    *out = NULL;
    if (!f) return;
    if (f->idle) {
        feed_free(f);
        return;
    }
    int64_t until_ns = ph_now_ns() + FAREWELL_NS;
    struct timespec t = { until_ns / PH_SECOND_NS, until_ns % PH_SECOND_NS };
    pthread_t thread = f->thread;
    atomic_store(&f->stop, true);
    pthread_mutex_lock(&f->lock);
    pthread_cond_broadcast(&f->wake);
    int late = 0;
    while (!f->ended && !late) late = pthread_cond_timedwait(&f->wake, &f->lock, &t);
    bool ended = f->ended;
    f->node = NULL;
    pthread_mutex_unlock(&f->lock);
    if (ended) {
        pthread_join(thread, NULL);
        feed_free(f);
    } else {
        pthread_detach(thread);
    }
}

// --- the node's lane

static ph_err pass(struct ph_node *n, int port)
{
    struct ph_frame *frame;
    ph_err ret = ph_node_read(n, port, &frame);
    if (ret != PH_OK) return ret;
    ret = ph_frame_make_writable(&frame); // the journal may hold it too
    if (ret < 0) return ret;
    ph_node_stamp_at(n, frame, frame->pts_ns, frame->capture_ns);
    return ph_node_write(n, port, frame);
}

ph_err ph_feed_pass(struct ph_feed *f, struct ph_node *n)
{
    ph_err pictures = pass(n, PH_FEED_PICTURES), sound = PH_EOF;
    if (has_sound_port(f)) {
        bool linked = ph_node_linked(n, true, PH_FEED_SOUND);
        atomic_store_explicit(&f->sound_linked, linked, memory_order_relaxed);
        sound = pass(n, PH_FEED_SOUND);
    }
    if (pictures < 0 || sound < 0) return pictures < 0 ? pictures : sound;
    if (pictures == PH_OK || sound == PH_OK) return PH_OK;
    return pictures == PH_EOF && sound == PH_EOF ? PH_EOF : PH_MORE;
}
