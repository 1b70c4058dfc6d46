// SPDX-License-Identifier: MIT
// What the engine holds on to: processor time while idle, memory while it runs and afterwards.
#include "bench.h"
#include "nodes.h"

#include <phosphene/room.h>

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// Resident megabytes of a process; 0 = gone.
static double resident_mb(pid_t pid)
{
    char path[64], line[256];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int) pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %lf", &kb) == 1) break;
    if (f) fclose(f);
    return kb * 1024 / 1e6;
}

static double own_mb(void)
{
    malloc_trim(0); // what was freed must not count as held
    return resident_mb(getpid());
}

static void sleep_s(double s)
{
    ph_sleep_until_ns(ph_now_ns() + (int64_t) (s * 1e9));
}

// The demo in a process of its own, as a user runs it: the most it held.
static void bench_resident(struct bench *b)
{
    const char *figure = "runtime/demo-1080p-memory";
    if (!bench_begin(b, figure)) return;
    char *argv[] = { "phosphene",
                     "run",
                     "pattern kind=ball size=1920x1080 -> overlay => waveform -> text -> null",
                     "--offline",
                     "--quiet",
                     NULL };
    pid_t pid;
    double most = 0;
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ))
        return bench_skip(b, figure, "cannot start it");
    uint64_t n = 0;
    int64_t end = ph_now_ns() + (int64_t) (bench_seconds(b, 5) * 1e9);
    for (; ph_now_ns() < end && !bench_stopped(b); n++) {
        double mb = resident_mb(pid);
        if (mb > most) most = mb;
        sleep_s(0.02);
    }
    bool alive = !waitpid(pid, NULL, WNOHANG);
    if (alive) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    if (!alive) return bench_skip(b, figure, "the demo does not run");
    bench_add(b,
              (struct bench_result){ .value = most, .unit = "MB", .bar = 150, .less = true });
}

static struct ph_graph *create(const char *text, enum ph_mode mode, uint64_t frames)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    struct ph_graph *g = NULL;
    ph_graph_create(
        &g, text,
        ph_graph_params(.mode = mode, .frames = frames, .nodes = bench_nodes(), .log = &quiet),
        NULL);
    if (g && ph_graph_start(g) < 0) ph_graph_destroy(&g);
    return g;
}

// Growth from the first tenth of 100 000 frames to the last one.
static void bench_growth_frames(struct bench *b)
{
    const char *figure = "runtime/growth-100k-frames";
    if (!bench_begin(b, figure)) return;
    uint64_t frames = bench_quick(b) ? 10000 : 100000;
    bench_seen_reset(frames);
    struct ph_graph *g =
        create("pattern kind=ball size=160x90 -> overlay => waveform -> text -> bench_sink",
               PH_OFFLINE, frames);
    if (!g) return bench_skip(b, figure, "the demo does not run");
    while (atomic_load(&bench_seen.count) < frames / 10 && !bench_stopped(b))
        if (ph_graph_wait(g, 5 * PH_MS_NS) != PH_MORE) break;
    double early = resident_mb(getpid());
    while (ph_graph_wait(g, 50 * PH_MS_NS) == PH_MORE && !bench_stopped(b)) {}
    double late = resident_mb(getpid());
    ph_graph_destroy(&g);
    bench_add(b, (struct bench_result){
                     .value = late - early, .unit = "MB", .bar = 1, .less = true });
}

// --- rooms

static struct ph_rooms *open_server(struct bench *b, const char *figure)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    struct ph_fault fault = { 0 };
    struct ph_rooms *rooms = NULL;
    ph_err err = ph_rooms_create(&rooms, ph_rooms_params(.log = &quiet), &fault);
    if (err == PH_OK) err = ph_rooms_start(rooms, &fault);
    if (err == PH_OK) return rooms;
    bench_skip(b, figure, "%s", *fault.message ? fault.message : ph_strerror(err));
    ph_rooms_destroy(&rooms);
    return NULL;
}

static bool open_room(struct bench *b, const char *figure, struct ph_rooms *rooms,
                      const char *graph)
{
    struct ph_fault fault = { 0 };
    ph_err err = ph_room_create(rooms, ph_room_params(.name = "bench", .graph = graph), &fault);
    if (err < 0) bench_skip(b, figure, "%s", fault.message);
    return err == PH_OK;
}

// Growth from cycles 10 to 29 of making a room, letting it run and taking it down, to cycles 80 to
// 99. The least of each, because the allocator's arenas come and go by a few megabytes.
static void bench_growth_rooms(struct bench *b)
{
    const char *figure = "runtime/growth-100-rooms";
    if (!bench_begin(b, figure)) return;
    struct ph_rooms *rooms = open_server(b, figure);
    double early = 1e9, late = 1e9;
    int cycles = 0;
    for (; rooms && cycles < 100 && !bench_stopped(b); cycles++) {
        if (!open_room(b, figure, rooms,
                       "pattern kind=ball size=640x480 -> overlay => waveform -> text -> null"))
            break;
        sleep_s(bench_seconds(b, 0.05));
        ph_room_destroy(rooms, "bench");
        double mb = own_mb();
        if (cycles >= 10 && cycles < 30 && mb < early) early = mb;
        if (cycles >= 80 && mb < late) late = mb;
    }
    ph_rooms_destroy(&rooms);
    if (cycles == 100)
        bench_add(b, (struct bench_result){
                         .value = late - early, .unit = "MB", .bar = 1, .less = true });
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// A room that nobody watches, with its server: the share of one core that the process takes.
static void bench_idle(struct bench *b)
{
    const char *figure = "runtime/idle-room";
    if (!bench_begin(b, figure)) return;
    struct ph_rooms *rooms = open_server(b, figure);
    if (rooms && open_room(b, figure, rooms, "pattern size=1280x720 fps=60 => jpeg -> live")) {
        sleep_s(1);
        double cpu = cpu_seconds(), seconds = bench_seconds(b, 5);
        sleep_s(seconds);
        cpu = cpu_seconds() - cpu;
        bench_add(b, (struct bench_result){
                         .value = 100 * cpu / seconds, .unit = "%", .bar = 0.5, .less = true });
    }
    ph_rooms_destroy(&rooms);
}

void bench_memory(struct bench *b)
{
    bench_resident(b);
    bench_growth_frames(b);
    bench_growth_rooms(b);
    bench_idle(b);
}
