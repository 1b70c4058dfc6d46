// SPDX-License-Identifier: MIT
// Film files made by the ffmpeg program, graphs that run on the real clock, and what came out.
#ifndef PH_TEST_NODES_MEDIA_H
#define PH_TEST_NODES_MEDIA_H

#include "run.h"

#include "config.h"
#include "image/barcode.h"

#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

static char media_folder[64];

static inline void media_cleanup(void)
{
    char command[256];
    if (!media_folder[0]) return;
    snprintf(command, sizeof command, "umount -l %s/* 2>/dev/null; rm -rf %s", media_folder,
             media_folder);
    if (system(command)) {}
}

// A folder of this case's own, removed at its end.
static inline const char *media_dir(void)
{
    if (media_folder[0]) return media_folder;
    strcpy(media_folder, "/tmp/ph-media-XXXXXX");
    CHECK(mkdtemp(media_folder) != NULL);
    atexit(media_cleanup);
    return media_folder;
}

static inline const char *media_path(const char *name)
{
    static char paths[8][160];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", media_dir(), name);
    return path;
}

// Runs a shell command in the folder; what it prints comes back, at most 64 KiB.
static inline const char *media_sh(const char *fmt, ...)
{
    static char out[64 << 10];
    char command[2048], whole[2200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    snprintf(whole, sizeof whole, "cd %s && { %s; } 2>&1", media_dir(), command);
    FILE *f = popen(whole, "r");
    CHECK(f != NULL);
    size_t n = fread(out, 1, sizeof out - 1, f);
    out[n] = 0;
    int status = pclose(f);
    if (status) TEST_FAIL("%s\n# gives %d: %s", command, status, out);
    return out;
}

static inline int media_has(const char *program)
{
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", program);
    return system(command) == 0;
}

#define MEDIA_NEEDS(program)                                                                   \
    do {                                                                                       \
        if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");                            \
        if (!media_has(program)) TEST_SKIP("no program %s here", program);                     \
    } while (0)

// --- a graph on the real clock, or rendered

struct media_seen { // what a frame was, without its pixels
    uint64_t id, hash;
    int64_t pts_ns, capture_ns, came_ns;
    int bar; // number of the bar code; -1 = none
    int width, height;
    uint32_t epoch;
};

#define MEDIA_SEEN 8192

struct media {
    struct ph_graph *graph;
    struct ph_subscriber sub;
    pthread_mutex_t lock;
    struct media_seen seen[MEDIA_SEEN];
    int count;
    struct ph_frame *last;
    char problem[512]; // the newest; "" = all is well
    char problems[4096];
};

static inline void media_deliver(void *opaque, struct ph_frame *f)
{
    struct media *m = opaque;
    uint32_t bar;
    struct media_seen s = {
        f->id, 0, f->pts_ns, f->capture_ns, ph_now_ns(), -1, 0, 0, f->epoch
    };
    if (f->kind == PH_PICTURE) {
        s.hash = ph_image_hash(&f->picture);
        s.width = f->picture.width;
        s.height = f->picture.height;
        if (ph_barcode_read(&f->picture, &bar) == PH_OK) s.bar = (int) bar;
    }
    pthread_mutex_lock(&m->lock);
    if (m->count < MEDIA_SEEN) m->seen[m->count++] = s;
    ph_frame_unref(&m->last);
    m->last = ph_frame_ref(f);
    pthread_mutex_unlock(&m->lock);
}

static inline void media_event(void *opaque, const struct ph_event *e)
{
    struct media *m = opaque;
    if (e->type != PH_EVENT_PROBLEM) return;
    pthread_mutex_lock(&m->lock);
    snprintf(m->problem, sizeof m->problem, "%s", e->message ? e->message : "");
    size_t len = strlen(m->problems);
    snprintf(m->problems + len, sizeof m->problems - len, "[%s]",
             e->message ? e->message : "well");
    pthread_mutex_unlock(&m->lock);
}

static inline ph_err media_try(struct media *m, enum ph_mode mode, const char *text,
                               struct ph_fault *fault)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    memset(m, 0, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    ph_err ret = ph_graph_create(
        &m->graph, text,
        ph_graph_params(.mode = mode, .log = &quiet, .event = media_event, .opaque = m), fault);
    if (ret < 0) return ret;
    m->sub = (struct ph_subscriber){ .deliver = media_deliver, .opaque = m };
    ph_graph_subscribe(m->graph, "live", &m->sub);
    return ret;
}

PH_PRINTF(3, 4)
static inline void media_open(struct media *m, enum ph_mode mode, const char *fmt, ...)
{
    struct ph_fault fault = { 0 };
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (media_try(m, mode, text, &fault) < 0)
        TEST_FAIL("%s\n# column %d: %s", text, fault.column, fault.message);
}

static inline int media_count(struct media *m)
{
    pthread_mutex_lock(&m->lock);
    int n = m->count;
    pthread_mutex_unlock(&m->lock);
    return n;
}

static inline void media_close(struct media *m)
{
    ph_graph_unsubscribe(m->graph, &m->sub);
    ph_graph_destroy(&m->graph);
    ph_frame_unref(&m->last);
}

// Renders the graph to its end.
#define media_render(m, ...)                                                                   \
    do {                                                                                       \
        media_open(m, PH_OFFLINE, __VA_ARGS__);                                                \
        ph_graph_start((m)->graph);                                                            \
        CHECK_INT(ph_graph_wait((m)->graph, -1), ==, PH_EOF);                                  \
    } while (0)

static inline double media_now(void)
{
    return (double) ph_now_ns() * 1e-9;
}

// Waits until the condition holds, at most so many seconds of a quiet machine.
#define WAIT_FOR(cond, seconds)                                                                \
    do {                                                                                       \
        double until_ = media_now() + (seconds) *TEST_SLOW;                                    \
        while (!(cond)) {                                                                      \
            if (media_now() > until_)                                                          \
                TEST_FAIL("not within %g s: %s", (double) (seconds) *TEST_SLOW, #cond);        \
            usleep(5000);                                                                      \
        }                                                                                      \
    } while (0)

static inline int media_says(struct media *m, const char *part)
{
    pthread_mutex_lock(&m->lock);
    int yes = strstr(m->problem, part) != NULL;
    pthread_mutex_unlock(&m->lock);
    return yes;
}

// No more frames are taken: what was seen may be read at leisure, and the graph runs on.
static inline void media_unwatch(struct media *m)
{
    ph_graph_unsubscribe(m->graph, &m->sub);
}

#define CHECK_WELL(m)                                                                          \
    do {                                                                                       \
        pthread_mutex_lock(&(m)->lock);                                                        \
        CHECK_STR((m)->problem, "");                                                           \
        pthread_mutex_unlock(&(m)->lock);                                                      \
    } while (0)

// Bar codes first, first + 1, …, one for each frame seen.
static inline void media_check_bars(const struct media *m, int first, int count)
{
    CHECK_INT(m->count, ==, count);
    for (int i = 0; i < count; i++) CHECK_INT(m->seen[i].bar, ==, first + i);
}

static inline void media_check_rising(const struct media *m)
{
    for (int i = 1; i < m->count; i++) {
        CHECK_INT(m->seen[i].pts_ns, >, m->seen[i - 1].pts_ns);
        CHECK_INT(m->seen[i].id, >, m->seen[i - 1].id);
    }
}

// What ffprobe says of a film, a number.
static inline double media_probe(const char *path, const char *what)
{
    return atof(media_sh("ffprobe -v error -count_packets -select_streams v -show_entries %s "
                         "-of default=nk=1:nw=1 %s",
                         what, path));
}

// Decodes all of a film with the ffmpeg program, which is silent when nothing is wrong with it.
static inline void media_check_sound_file(const char *path)
{
    const char *said = media_sh(
        "ffmpeg -v error -i %s -vsync passthrough -enc_time_base 1/90000 -f null -", path);
    if (said[0]) TEST_FAIL("ffmpeg about %s: %s", path, said);
}

#endif
