// SPDX-License-Identifier: MIT
// The engine by itself: what a node, a hand-over, a tick and a frame cost.
#include "bench.h"
#include "nodes.h"
#include "peer.h"

#include "core/buf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// --- running a graph

static struct ph_graph *start_graph(struct bench *b, const char *figure, const char *text,
                                    enum ph_mode mode, uint64_t frames)
{
    struct ph_fault fault = { 0 };
    struct ph_graph *g = NULL;
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    ph_err err = ph_graph_create(
        &g, text,
        ph_graph_params(.mode = mode, .frames = frames, .nodes = bench_nodes(), .log = &quiet),
        &fault);
    if (err == PH_OK) err = ph_graph_start(g);
    if (err == PH_OK) return g;
    bench_skip(b, figure, "%s", *fault.message ? fault.message : ph_strerror(err));
    ph_graph_destroy(&g);
    return NULL;
}

// Lets it run for the time given, or to its end.
static void let_run(struct bench *b, struct ph_graph *g, double seconds)
{
    int64_t end = ph_now_ns() + (int64_t) (seconds * 1e9);
    while (!bench_stopped(b) && ph_now_ns() < end)
        if (ph_graph_wait(g, 20 * PH_MS_NS) != PH_MORE) break;
}

static bool run_graph(struct bench *b, const char *figure, const char *text, enum ph_mode mode,
                      uint64_t frames, double seconds)
{
    struct ph_graph *g = start_graph(b, figure, text, mode, frames);
    if (!g) return false;
    let_run(b, g, seconds);
    ph_graph_destroy(&g);
    return true;
}

// Times between arrivals from frame `first` on; malloc'ed; *n of them.
static double *intervals_ns(size_t first, size_t *n)
{
    size_t count = atomic_load(&bench_seen.count);
    *n = count > first + 1 ? count - first - 1 : 0;
    double *t = malloc((*n + 1) * sizeof *t);
    if (!t) *n = 0;
    for (size_t i = 0; i < *n; i++)
        t[i] = (double) (bench_seen.took_ns[first + i + 1] - bench_seen.took_ns[first + i]);
    return t;
}

// --- the demo

static void bench_demo(struct bench *b, const char *figure, const char *size, double bar)
{
    if (!bench_begin(b, figure)) return;
    char text[256];
    snprintf(text, sizeof text,
             "pattern kind=ball size=%s -> overlay => waveform -> text -> bench_sink", size);
    bench_seen_reset(1 << 20);
    size_t warm = 50, n;
    double seconds = bench_seconds(b, 6);
    if (!run_graph(b, figure, text, PH_OFFLINE, 0, seconds)) return;
    double *t = intervals_ns(warm, &n);
    double all = 0;
    for (size_t i = 0; i < n; i++) all += t[i];
    if (n)
        bench_add(b, (struct bench_result){ .value = (double) n / all * 1e9,
                                            .unit = "frames/s",
                                            .p50 = 1e9 / bench_quantile(t, n, 0.5),
                                            .p99 = 1e9 / bench_quantile(t, n, 0.99),
                                            .n = n,
                                            .bar = bar });
    else
        bench_skip(b, figure, "not a frame in %.0f s", seconds);
    free(t);
}

// --- a node, a queue

// "bench_source -> bench_pass -> … -> bench_sink" with `count` nodes or queues in between.
static char *chain_text(const char *link, int count)
{
    struct ph_buf text = { 0 };
    ph_buf_puts(&text, "bench_source");
    for (int i = 0; i < count; i++) ph_buf_printf(&text, " %s bench_pass", link);
    ph_buf_puts(&text, " -> bench_sink");
    return ph_buf_steal(&text);
}

// Processor time of this process, in nanoseconds.
static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

// Nanoseconds of processor time that one frame costs in the chain: the slope between two lengths,
// which leaves out making the graph and warming up; the middle of three. 0 = failed.
static double chain_ns(struct bench *b, const char *figure, const char *text, uint64_t frames)
{
    enum { ROUNDS = 3 };
    double cost[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double spent[2];
        for (int k = 0; k < 2; k++) {
            double before = cpu_ns();
            if (!run_graph(b, figure, text, PH_OFFLINE, k ? frames : frames / 10, 60)) return 0;
            spent[k] = cpu_ns() - before;
        }
        cost[i] = (spent[1] - spent[0]) / ((double) frames * 0.9);
    }
    return bench_quantile(cost, ROUNDS, 0.5);
}

// What one of `count` nodes, or the queue before it, costs a frame: the chain against the base.
static void bench_chain(struct bench *b, const char *figure, const char *base,
                        const char *chain, int count, const char *element, double bar_ns)
{
    if (!bench_begin(b, figure)) return;
    uint64_t frames = bench_quick(b) ? 5000 : 50000;
    bench_seen_reset(0);
    double without = chain_ns(b, figure, base, frames);
    double with = without > 0 ? chain_ns(b, figure, chain, frames) : 0;
    if (with <= 0) return;
    double ours = (with - without) / count;
    const char *peer = bench_gstreamer();
    double theirs = peer ? bench_gstreamer_element_ns(b, element, count) : 0;
    bench_add(b, (struct bench_result){ .value = ours,
                                        .unit = "ns",
                                        .bar = bar_ns,
                                        .less = true,
                                        .peer = theirs > 0 ? peer : NULL,
                                        .ratio = ours > 0 ? theirs / ours : 0 });
    if (!peer)
        bench_skip(b, figure,
                   "the ratio: gst-launch-1.0 is not installed "
                   "(gstreamer1.0-tools gstreamer1.0-plugins-base)");
}

static void bench_chains(struct bench *b)
{
    char *many = chain_text("->", 64), *few = chain_text("->", 4);
    char *queues = chain_text("=>[block 200]", 4); // as deep as GStreamer's
    if (many && few && queues) {
        bench_chain(b, "runtime/node", "bench_source -> bench_sink", many, 64, "identity",
                    2000);
        bench_chain(b, "runtime/queue", few, queues, 4, "queue", 20000);
    }
    free(many);
    free(few);
    free(queues);
}

// The time from one lane's write to the other lane's read, both asleep in between: the price of a
// wake-up is in it.
static void bench_handover(struct bench *b)
{
    const char *p50 = "runtime/hand-over", *p99 = "runtime/hand-over-p99";
    bool want50 = bench_begin(b, p50);
    if (!want50 && !bench_begin(b, p99)) return;
    bench_seen_reset(1 << 16);
    if (!run_graph(b, want50 ? p50 : p99, "bench_source hz=500 => bench_sink", PH_LIVE, 0,
                   bench_seconds(b, 6)))
        return;
    size_t count = atomic_load(&bench_seen.count), warm = count / 10, n = count - warm;
    double *t = malloc((n + 1) * sizeof *t);
    for (size_t i = 0; t && i < n; i++)
        t[i] = (double) (bench_seen.took_ns[warm + i] - bench_seen.sent_ns[warm + i]) / 1e3;
    if (!t || !n) {
        bench_skip(b, p50, "not a frame came through");
        free(t);
        return;
    }
    struct bench_result r = { .name = p50,
                              .unit = "us",
                              .p50 = bench_quantile(t, n, 0.5),
                              .p99 = bench_quantile(t, n, 0.99),
                              .n = n,
                              .less = true };
    free(t);
    r.value = r.p50, r.bar = 20;
    struct bench_result tail = r;
    tail.name = p99, tail.value = r.p99, tail.bar = 100;
    bool noisy = false;
    if (want50) noisy = bench_add(b, r);
    tail.noisy = noisy;
    if (!want50 || bench_begin(b, p99)) bench_add(b, tail);
}

// --- the clock

static void bench_clock_hold(struct bench *b)
{
    static const double loads[] = { 0, 0.25, 0.5, 0.75, 0.9, 0.95 };
    const char *figure = "runtime/clock-60-hold";
    if (!bench_begin(b, figure)) return;
    struct bench_result r = { .value = 1e9, .unit = "%", .bar = 99 };
    for (size_t i = 0; i < sizeof loads / sizeof *loads && !bench_stopped(b); i++) {
        char text[160];
        snprintf(text, sizeof text, "bench_source hz=60 -> bench_work ms=%.4f -> bench_sink",
                 loads[i] * 1000 / 60);
        bench_seen_reset(1 << 12);
        if (!run_graph(b, figure, text, PH_LIVE, 0, bench_seconds(b, 4))) return;
        size_t n = atomic_load(&bench_seen.count);
        if (n < 5) return bench_skip(b, figure, "%zu frames only", n);
        double s = (double) (bench_seen.took_ns[n - 1] - bench_seen.took_ns[0]) / 1e9;
        double held = (double) (n - 1) / s / 60 * 100;
        if (held < r.value) r.value = held;
        r.n += n;
    }
    r.p50 = r.p99 = NAN;
    bench_add(b, r);
}

// How far from its due moment a tick's work begins.
static void bench_clock_jitter(struct bench *b)
{
    const char *figure = "runtime/clock-60-jitter";
    if (!bench_begin(b, figure)) return;
    bench_seen_reset(1 << 12);
    if (!run_graph(b, figure, "bench_source hz=60 -> bench_sink", PH_LIVE, 0,
                   bench_seconds(b, 6)))
        return;
    size_t n = atomic_load(&bench_seen.count);
    double *t = malloc((n + 1) * sizeof *t), first = 1e300;
    for (size_t i = 0; t && i < n; i++) {
        t[i] = (double) bench_seen.sent_ns[i] - (double) bench_seen.index[i] * (1e9 / 60);
        if (t[i] < first) first = t[i]; // the earliest stands for "in time"
    }
    for (size_t i = 0; t && i < n; i++) t[i] = (t[i] - first) / 1e6;
    if (t && n)
        bench_add(b, (struct bench_result){ .value = bench_quantile(t, n, 0.99),
                                            .unit = "ms",
                                            .p50 = bench_quantile(t, n, 0.5),
                                            .p99 = bench_quantile(t, n, 0.99),
                                            .n = n,
                                            .bar = 1,
                                            .less = true });
    free(t);
}

void bench_runtime(struct bench *b)
{
    bench_demo(b, "runtime/demo-1080p", "1920x1080", 300);
    bench_demo(b, "runtime/demo-480p", "640x480", 1500);
    bench_chains(b);
    bench_handover(b);
    bench_clock_hold(b);
    bench_clock_jitter(b);
    bench_memory(b);
    bench_seen_reset(0);
}
