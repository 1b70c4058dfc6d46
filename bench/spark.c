// SPDX-License-Identifier: MIT
// The bundled models from end to end, as they come: words or a picture to a JPEG, a picture to its
// depth; the first picture of a new process, and what such a process holds.
#include "lab.h"

#include "core/share.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

#define FRAMES_MOST 512

// graph: %s is the folder of the model.
static const struct way {
    const char *name, *model, *graph;
    double bar; // frames a second
} ways[] = {
    { "models/spark-text-to-jpeg-256", "models/spark",
      "diffusion \"a blue spiral\" size=256x256 fps=30 model=%s -> jpeg -> live: live", 20 },
    { "models/spark-picture-to-jpeg-256", "models/spark",
      "scene 256x256 fps=30 -> diffusion \"a blue spiral\" size=256x256 strength=0.5 model=%s "
      "-> jpeg -> live: live",
      15 },
    { "models/spark-depth-168x224", "models/spark-depth",
      "pattern ball size=640x480 fps=30 -> depth size=224x168 model=%s -> live: live", 40 },
};

static void count(void *opaque, struct ph_frame *f)
{
    (*(uint64_t *) opaque)++;
}

// The first pictures make the plans and do not count.
static ph_err time_steps(struct bench *b, struct ph_graph *g, double *samples, uint64_t *n)
{
    uint64_t seen = 0, before;
    int64_t step = 0, begin, end;
    struct ph_subscriber sub = { .deliver = count, .opaque = &seen };
    ph_err ret;
    *n = 0;
    ph_graph_subscribe(g, "live", &sub);
    while (seen < 3 && step < 300 && !bench_stopped(b))
        PH_TRY(ph_graph_step(g, step++ * PH_SECOND_NS / 30));
    bench_restart(b);
    begin = ph_now_ns();
    end = begin + (int64_t) (bench_seconds(b, 4) * 1e9);
    while (*n < FRAMES_MOST && (*n < 3 || ph_now_ns() < end) && !bench_stopped(b)) {
        before = seen;
        PH_TRY(ph_graph_step(g, step++ * PH_SECOND_NS / 30));
        if (seen == before && step > 1000) break; // nothing comes out
        if (seen == before) continue;
        int64_t now = ph_now_ns();
        samples[(*n)++] = (double) (now - begin);
        begin = now;
    }
    ret = *n ? PH_OK : PH_EDEVICE;
fail:
    ph_graph_unsubscribe(g, &sub);
    return ret;
}

static void bench_way(struct bench *b, const struct way *w)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    static double samples[FRAMES_MOST];
    char folder[PH_SHARE_PATH_MAX], text[PH_SHARE_PATH_MAX + 512];
    struct ph_fault fault = { 0 };
    struct ph_graph *g = NULL;
    uint64_t n = 0;
    if (!bench_begin(b, w->name)) return;
    ph_err ret = ph_share_find(w->model, folder, &fault);
    if (ret == PH_OK) {
        snprintf(text, sizeof text, w->graph, folder);
        ret = ph_graph_create(&g, text, ph_graph_params(.mode = PH_STEPPED, .log = &quiet),
                              &fault);
    }
    if (ret == PH_OK) ret = time_steps(b, g, samples, &n);
    ph_graph_destroy(&g);
    if (ret < 0)
        return bench_skip(b, w->name, "%s", *fault.message ? fault.message : ph_strerror(ret));
    double p50 = bench_quantile(samples, n, 0.5), p99 = bench_quantile(samples, n, 0.99);
    bench_add(b, (struct bench_result){ .value = 1e9 / p50,
                                        .unit = "frames/s",
                                        .p50 = 1e9 / p50,
                                        .p99 = 1e9 / p99,
                                        .n = n,
                                        .bar = w->bar });
}

// The most that was resident of a process so far, in MB; 0 = it is over. What wait4 says would begin
// with what its parent held.
static double most_resident_mb(pid_t pid)
{
    char path[64], line[256];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int) pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1) break;
    if (f) fclose(f);
    return kb * 1024 / 1e6;
}

// The program with these arguments in a process of its own: seconds from its start to its end, and
// the most megabytes that were resident.
static ph_err run_program(char *const argv[], double *seconds, double *most_mb)
{
    posix_spawn_file_actions_t silent;
    pid_t pid, over = 0;
    int status = 1;
    *most_mb = 0;
    posix_spawn_file_actions_init(&silent);
    posix_spawn_file_actions_addopen(&silent, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&silent, 2, "/dev/null", O_WRONLY, 0);
    int64_t begin = ph_now_ns();
    bool ran = !posix_spawn(&pid, "/proc/self/exe", &silent, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&silent);
    while (ran && !(over = waitpid(pid, &status, WNOHANG))) {
        double mb = most_resident_mb(pid);
        if (mb > *most_mb) *most_mb = mb;
        ph_sleep_until_ns(ph_now_ns() + 2 * PH_MS_NS);
    }
    *seconds = (double) (ph_now_ns() - begin) / 1e9;
    return over == pid && !status ? PH_OK : PH_EDEVICE;
}

// Words to a JPEG, as a user runs it, `frames` times; which: 0 = ms until it is over, 1 = MB.
static void bench_program(struct bench *b, const char *name, const char *frames, int which,
                          double bar)
{
    char folder[PH_SHARE_PATH_MAX], text[PH_SHARE_PATH_MAX + 512];
    struct ph_fault fault = { 0 };
    double samples[5], seconds = 0, most_mb = 0;
    uint64_t n = 0, rounds = which || bench_quick(b) ? 1 : 5;
    if (!bench_begin(b, name)) return;
    ph_err ret = ph_share_find("models/spark", folder, &fault);
    snprintf(text, sizeof text,
             "diffusion \"a blue spiral\" size=256x256 fps=0 model=%s -> jpeg -> null", folder);
    char *argv[] = { "phosphene",     "run",       text,      "-n",
                     (char *) frames, "--offline", "--quiet", NULL };
    while (ret == PH_OK && n < rounds && !bench_stopped(b)) {
        ret = run_program(argv, &seconds, &most_mb);
        samples[n++] = which ? most_mb : seconds * 1e3;
    }
    if (ret < 0 || !n)
        return bench_skip(b, name, "%s",
                          *fault.message ? fault.message : "the program does not run");
    double p50 = bench_quantile(samples, n, 0.5);
    bench_add(b, (struct bench_result){ .value = p50,
                                        .unit = which ? "MB" : "ms",
                                        .p50 = p50,
                                        .p99 = samples[n - 1],
                                        .n = n,
                                        .bar = bar,
                                        .less = true });
}

void bench_spark(struct bench *b)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !bench_stopped(b); i++)
        bench_way(b, &ways[i]);
    bench_program(b, "models/spark-first-picture", "1", 0, 1500);
    bench_program(b, "models/spark-memory", "60", 1, 300);
}
