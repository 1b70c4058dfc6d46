// SPDX-License-Identifier: MIT
// Runs a graph text on the virtual clock and keeps what its node "live" published.
#ifndef PH_TEST_NODES_RUN_H
#define PH_TEST_NODES_RUN_H

#include "test.h"

#include <phosphene/graph.h>

#include "image/measure.h"

#include <pthread.h>
#include <stdint.h>

#define RUN_FRAMES 1024

struct run {
    struct ph_graph *graph;
    struct ph_subscriber sub;
    struct ph_frame *frames[RUN_FRAMES]; // in order; the last RUN_FRAMES of them are not kept
    int count;
    char problem[512]; // the newest; "" = none
    int problems;
    struct ph_graph_params par; // mode, seed and events are filled in; set others before
    uint64_t acked_frame;       // of the newest acknowledgement
    uint64_t acked_id;
};

static inline void run_deliver(void *opaque, struct ph_frame *f)
{
    struct run *r = opaque;
    if (r->count < RUN_FRAMES) r->frames[r->count] = ph_frame_ref(f);
    r->count++;
}

static pthread_mutex_t run_lock = PTHREAD_MUTEX_INITIALIZER; // problem, problems, acked_*

static inline void run_event(void *opaque, const struct ph_event *e)
{
    struct run *r = opaque;
    pthread_mutex_lock(&run_lock);
    if (e->type == PH_EVENT_ACK) {
        r->acked_frame = e->frame;
        r->acked_id = e->id;
    }
    if (e->type == PH_EVENT_PROBLEM) {
        r->problems += e->message != NULL;
        snprintf(r->problem, sizeof r->problem, "%s", e->message ? e->message : "");
    }
    pthread_mutex_unlock(&run_lock);
}

// The error of a graph that is refused; *fault says why.
static inline ph_err run_try(struct run *r, const char *text, struct ph_fault *fault)
{
    struct ph_graph_params par = r->par;
    memset(r, 0, sizeof *r);
    if (!par.mode) par.mode = PH_STEPPED;
    par.seed = 7;
    par.event = run_event;
    par.opaque = r;
    ph_err ret = ph_graph_create(&r->graph, text, &par, fault);
    if (ret < 0) return ret;
    r->sub = (struct ph_subscriber){ .deliver = run_deliver, .opaque = r };
    ph_graph_subscribe(r->graph, "live", &r->sub);
    return ret;
}

static inline void run_open(struct run *r, const char *text)
{
    struct ph_fault fault = { 0 };
    if (run_try(r, text, &fault) < 0)
        TEST_FAIL("%s\n# column %d: %s", text, fault.column, fault.message);
}

static inline ph_err run_until(struct run *r, double seconds)
{
    return ph_graph_step(r->graph, (int64_t) (seconds * 1e9));
}

static inline void run_set(struct run *r, const char *node, const char *param,
                           const char *value)
{
    struct ph_fault fault = { 0 };
    if (ph_graph_set(r->graph, 1, node, param, value, &fault) < 0)
        TEST_FAIL("%s.%s=%s: %s", node, param, value, fault.message);
}

static inline void run_forget(struct run *r) // the frames, not the graph
{
    for (int i = 0; i < r->count && i < RUN_FRAMES; i++) ph_frame_unref(&r->frames[i]);
    r->count = 0;
}

static inline void run_close(struct run *r)
{
    ph_graph_unsubscribe(r->graph, &r->sub);
    ph_graph_destroy(&r->graph);
    run_forget(r);
}

static inline const struct ph_picture *run_picture(const struct run *r, int i)
{
    if (i >= r->count) TEST_FAIL("there is no frame %d: %d came; %s", i, r->count, r->problem);
    return &r->frames[i]->picture;
}

// The first picture of a graph whose clock has just begun.
static inline const struct ph_picture *run_first(struct run *r, const char *text)
{
    run_open(r, text);
    run_until(r, 0);
    return run_picture(r, 0);
}

// 0xRRGGBBAA
static inline uint32_t px(const struct ph_picture *p, int x, int y)
{
    if (x < 0 || y < 0 || x >= p->width || y >= p->height)
        TEST_FAIL("(%d, %d) is not in %dx%d", x, y, p->width, p->height);
    const uint8_t *d = p->data[0] + y * p->stride[0] + 4 * x;
    return (uint32_t) d[0] << 24 | (uint32_t) d[1] << 16 | (uint32_t) d[2] << 8 | d[3];
}

#define CHECK_PX(p, x, y, want)                                                                \
    do {                                                                                       \
        uint32_t got_ = px(p, x, y), want_ = (want);                                           \
        if (got_ != want_)                                                                     \
            TEST_FAIL("pixel (%d, %d) is #%08x, want #%08x", x, y, got_, want_);               \
    } while (0)

// Greatest difference of a channel
static inline int px_far(uint32_t a, uint32_t b)
{
    int most = 0;
    for (int c = 0; c < 4; c++) {
        int d = abs((int) (a >> (8 * c) & 255) - (int) (b >> (8 * c) & 255));
        if (d > most) most = d;
    }
    return most;
}

// One number for all frames that a graph gives until a time, in a process of its own whose kernels
// are capped at a level ("c", "sse2", "avx2", "avx512").
static inline uint64_t run_hash_at(const char *level, const char *text, double seconds)
{
    int ends[2];
    uint64_t hash = 0;
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (!pid) {
        static struct run r;
        setenv("PH_CPU", level, 1);
        run_open(&r, text);
        run_until(&r, seconds);
        for (int i = 0; i < r.count && i < RUN_FRAMES; i++)
            hash = hash * 31 + ph_image_hash(&r.frames[i]->picture);
        CHECK(write(ends[1], &hash, sizeof hash) == sizeof hash);
        _exit(r.count ? 0 : 1);
    }
    int status = -1;
    CHECK(read(ends[0], &hash, sizeof hash) == sizeof hash);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(ends[0]);
    close(ends[1]);
    return hash;
}

// The same bytes on every level that this machine has; levels it has not are the one below.
static inline uint64_t run_same_on_all_levels(const char *text, double seconds)
{
    uint64_t truth = run_hash_at("c", text, seconds);
    for (int i = 0; i < 3; i++) {
        const char *level = ((const char *[]){ "sse2", "avx2", "avx512" })[i];
        uint64_t got = run_hash_at(level, text, seconds);
        if (got != truth)
            TEST_FAIL("%s: %016llx with %s, %016llx with c", text, (unsigned long long) got,
                      level, (unsigned long long) truth);
    }
    return truth;
}

#endif
