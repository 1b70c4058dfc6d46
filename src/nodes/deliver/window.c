// SPDX-License-Identifier: MIT
// A window on this machine's display, by SDL2 and OpenGL. It lives on a thread of its own, so that
// a compositor which holds a swap back never holds the graph: the lane leaves the newest picture
// and goes on.
#include <phosphene/node.h>

#include "config.h"
#include "nodes/guard.h"
#include "nodes/util.h"

#if PH_HAVE_SDL
#include "nodes/deliver/gl_screen.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct window {
    const char *title;
    struct ph_size size;
    bool fullscreen, vsync, limiter;
    struct ph_guard guard;

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; // the four below
    pthread_cond_t changed;
    struct ph_frame *next; // the newest picture, not shown yet
    bool stop;
    bool mutex_made;
    _Atomic bool closed; // by the person in front of it
    _Atomic bool dead;   // there is no display; pictures are thrown away
};

// SDL has one event queue for all windows of a process.
static atomic_flag taken = ATOMIC_FLAG_INIT;

// Waits for a picture for a moment; events want looking at in between. True = stop.
static bool wait_for_picture(struct window *p, struct ph_frame **f)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 15 * PH_MS_NS;
    until.tv_sec += until.tv_nsec / PH_SECOND_NS;
    until.tv_nsec %= PH_SECOND_NS;
    pthread_mutex_lock(&p->lock);
    if (!p->next && !p->stop) pthread_cond_timedwait(&p->changed, &p->lock, &until);
    *f = p->next;
    p->next = NULL;
    bool stop = p->stop;
    pthread_mutex_unlock(&p->lock);
    return stop;
}

// A machine without a display is no trouble: the graph does the rest of its work there.
static void say_dead(struct ph_node *n, ph_err err, const char *why)
{
    if (err == PH_ENOTSUP)
        ph_warn(ph_node_log(n), ph_node_name(n), "skipped: %s", why);
    else
        ph_node_problem(n, "%s; pictures are thrown away", why);
}

static void run(struct ph_node *n, struct window *p)
{
    struct ph_gl_screen *screen = NULL;
    struct ph_fault fault;
    struct ph_frame *f;
    bool stop = false;
    while (!stop && !atomic_load(&p->closed)) {
        stop = wait_for_picture(p, &f);
        const struct ph_picture *pic = f ? &f->picture : NULL;
        ph_err ret = PH_OK;
        if (pic && !screen && !stop)
            ret = ph_gl_screen_open(
                &screen, p->title, p->size.width ? p->size.width : pic->width,
                p->size.height ? p->size.height : pic->height, p->fullscreen, p->vsync, &fault);
        if (ret == PH_OK && pic && screen) ret = ph_gl_screen_show(screen, pic, &fault);
        ph_frame_unref(&f);
        if (ret < 0) {
            say_dead(n, ret, fault.message);
            atomic_store(&p->dead, true);
            break;
        }
        if (screen && ph_gl_screen_closed(screen)) atomic_store(&p->closed, true);
    }
    ph_gl_screen_close(&screen);
}

static void *window_thread(void *opaque)
{
    struct ph_node *n = opaque;
    struct window *p = ph_priv(n);
    if (atomic_flag_test_and_set(&taken)) {
        ph_node_problem(n, "only one window at a time; pictures are thrown away");
        atomic_store(&p->dead, true);
        return NULL;
    }
    run(n, p);
    atomic_flag_clear(&taken);
    return NULL;
}

static ph_err window_open(struct ph_node *n, struct ph_fault *fault)
{
    struct window *p = ph_priv(n);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->mutex_made = true;
    if (pthread_create(&p->thread, NULL, window_thread, n))
        return ph_fail(fault, PH_ENOMEM, "window", "no thread for the window");
    pthread_setname_np(p->thread, "ph:window");
    p->started = true;
    return PH_OK;
}

static void window_close(struct ph_node *n)
{
    struct window *p = ph_priv(n);
    if (!p->mutex_made) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (p->started) pthread_join(p->thread, NULL);
    ph_frame_unref(&p->next);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    ph_guard_finish(&p->guard);
}

static ph_err window_process(struct ph_node *n)
{
    struct window *p = ph_priv(n);
    struct ph_frame *f, *late;
    ph_err ret = ph_node_read_rgba(n, 0, &f);
    if (ret != PH_OK || (ret = ph_guard_pass(&p->guard, n, p->limiter, &f)) < 0) return ret;
    pthread_mutex_lock(&p->lock);
    late = p->next;
    p->next = f;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (late) ph_node_drop(n);
    ph_frame_unref(&late);
    return atomic_load(&p->closed) ? PH_EOF : PH_OK;
}

#else

struct window {
    const char *title;
    struct ph_size size;
    bool fullscreen, vsync, limiter;
};

static ph_err window_open(struct ph_node *n, struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOTSUP, "window",
                   "this build has no window: install libsdl2-dev and build again");
}

static void window_close(struct ph_node *n)
{
}

static ph_err window_process(struct ph_node *n)
{
    return PH_ENOTSUP;
}

#endif

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct window, title, .max = 200, .def = "phosphene", .flags = PH_PARAM_SETUP, .help = "of the window"),
    PH_SIZE(struct window, size, 0, 16384, .unit = "px", .flags = PH_PARAM_SETUP, .help = "it opens with; 0 = the picture's"),
    PH_BOOL(struct window, fullscreen, .flags = PH_PARAM_SETUP, .help = "opens over the whole screen; the key f changes it"),
    PH_BOOL(struct window, vsync, .def = "on", .flags = PH_PARAM_SETUP, .help = "shows pictures with the screen's refresh, without tearing"),
    PH_GUARD_PARAM(struct window),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_window = {
    .name = "window",
    .group = "deliver",
    .help = "shows the picture in a window of this machine; q or Escape closes it",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "rgba pictures" }),
    .params = params,
    .priv_size = sizeof(struct window),
    .open = window_open,
    .close = window_close,
    .process = window_process,
};
