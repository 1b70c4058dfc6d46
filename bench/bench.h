// SPDX-License-Identifier: MIT
// Benchmarks: `phosphene bench [GROUP…|NAME…] [--json]`. A group is one function that measures its
// figures one after another and hands each to bench_add. To add a group: declare it below, add its
// line to bench_groups[] in groups.c and its file to bench_sources in meson.build.
//
//   void bench_kernels(struct bench *b)
//   {
//       if (!bench_begin(b, "kernels/blend-1080p")) return;       // not asked for
//       struct bench_timing t = bench_time(b, blend_once, &state);
//       bench_add(b, (struct bench_result){ .value = t.p50_ns / 1e6, .unit = "ms",
//                     .p50 = t.p50_ns / 1e6, .p99 = t.p99_ns / 1e6, .n = t.n, .bar = 1.2,
//                     .less = true, .peer = "swscale", .ratio = theirs / ours });
//   }
//
// All calls from the one thread that runs the groups.
#ifndef PH_BENCH_H
#define PH_BENCH_H

#include <phosphene/common.h>

struct bench;

// One figure. Names are stable: "group/what-size". Zero means "there is none" in every field but
// value; texts are borrowed for the call.
struct bench_result {
    const char *name; // NULL = the one given to bench_begin
    double value;
    const char *unit; // "frames/s", "ns", "ms", "MB", "%"
    double p50, p99;  // in the unit
    uint64_t n;       // samples behind it
    double bar;       // what the project promises
    bool less;        // smaller is better: the bar is an upper bound
    const char *peer; // "gstreamer 1.22"
    double ratio;     // how many times better than the peer, > 1 = we are; same run
    bool noisy;       // set by bench_add; a caller may set it for reasons of its own
};

// True when the figure is asked for; then its interval begins: time, own and foreign CPU use.
// The figure is noisy when other processes held over 10 % of the machine from here to bench_add.
bool bench_begin(struct bench *b, const char *name);
// True in a first pass that only counts the figures: bench_begin returns false then, so nothing
// that takes time should be prepared.
bool bench_counting(const struct bench *b);
// True when something that begins with `prefix` is asked for, to share a costly preparation.
bool bench_wants(const struct bench *b, const char *prefix);
// Takes down the figure and prints its line. Ends the interval. Returns whether it is noisy.
bool bench_add(struct bench *b, struct bench_result r);
// Leaves the figure out, with a word: a peer that is not installed, a failed measurement.
// Ends the interval if one has begun.
void bench_skip(struct bench *b, const char *name, const char *why, ...) PH_PRINTF(3, 4);
// Goes on with the same figure after a pause that must not count (a peer's start-up).
void bench_restart(struct bench *b);

// A tenth of the usual time for each figure (`--quick`): do the benchmarks still run?
bool bench_quick(const struct bench *b);
// Models that were written stay for the next time (`--keep`).
bool bench_keep(const struct bench *b);
const char *bench_device(const struct bench *b); // of models (`--device`); NULL = the CPU
// `seconds`, or a tenth of it when quick.
double bench_seconds(const struct bench *b, double seconds);
bool bench_stopped(const struct bench *b); // Ctrl-C: end soon

struct bench_timing {
    double p50_ns, p99_ns, min_ns; // of one call
    uint64_t n;                    // samples; one is a batch of calls of at least 20 us
};
// Calls fn(arg) again and again for about 0.4 s (quick: 0.04 s) after a warm-up.
struct bench_timing bench_time(struct bench *b, void (*fn)(void *arg), void *arg);

// q in 0..1 of n samples, which get sorted; 0 when there are none.
double bench_quantile(double *samples, size_t n, double q);

struct bench_group {
    const char *name, *help;
    void (*run)(struct bench *b);
    double figure_s; // about how long one takes, for the time left
};
extern const struct bench_group bench_groups[]; // name NULL ends it

void bench_cloud(struct bench *b);
void bench_audio(struct bench *b);
void bench_delivery(struct bench *b);
void bench_glass(struct bench *b); // of the group delivery
void bench_kernels(struct bench *b);
void bench_runtime(struct bench *b);
void bench_memory(struct bench *b); // of the group runtime
void bench_models(struct bench *b);
void bench_nn(struct bench *b);
void bench_ears(struct bench *b);
void bench_attention(struct bench *b); // of the group nn

struct bench_params {
    const char *const *wanted; // groups or beginnings of names, NULL-terminated; NULL = all
    bool json, quick, quiet, keep;
    const char *device;      // of models; NULL = "cpu"
    const _Atomic int *stop; // nonzero: end soon; may be NULL
};
// Runs the groups. Table or one JSON object on stdout, progress on stderr where that is a
// terminal. *below counts bars that were missed by figures that are not noisy.
ph_err bench_run(const struct bench_params *par, int *below, struct ph_fault *fault);

#endif
