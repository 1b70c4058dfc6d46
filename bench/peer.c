// SPDX-License-Identifier: MIT
#include "peer.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

const char *bench_gstreamer(void)
{
    static char name[64];
    int major, minor;
    if (*name) return name;
    FILE *f = popen("gst-launch-1.0 --version 2>/dev/null", "re");
    if (!f) return NULL;
    if (fscanf(f, "gst-launch-1.0 version %d.%d", &major, &minor) == 2)
        snprintf(name, sizeof name, "gstreamer %d.%d", major, minor);
    pclose(f);
    return *name ? name : NULL;
}

static double seconds(struct timeval t)
{
    return (double) t.tv_sec + (double) t.tv_usec / 1e6;
}

// Runs it to its end; seconds of processor time, or -1.
static double run_seconds(char **argv)
{
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status = -1;
    struct rusage used = { 0 };
    if (!posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ))
        wait4(pid, &status, 0, &used);
    posix_spawn_file_actions_destroy(&quiet);
    return status ? -1 : seconds(used.ru_utime) + seconds(used.ru_stime);
}

static double launch(const char *element, int count, int buffers)
{
    enum { MAX = 300 };
    char *argv[MAX], number[40], name[32];
    int n = 0;
    snprintf(number, sizeof number, "num-buffers=%d", buffers);
    snprintf(name, sizeof name, "%s", element);
    argv[n++] = "gst-launch-1.0";
    argv[n++] = "-q";
    argv[n++] = "fakesrc";
    argv[n++] = number;
    for (int i = 0; i < count && n < MAX - 4; i++) argv[n++] = "!", argv[n++] = name;
    argv[n++] = "!";
    argv[n++] = "fakesink";
    argv[n] = NULL;
    return run_seconds(argv);
}

// The shorter of two runs of each length, so that a hiccup of the machine does not count.
static double buffer_ns(const char *element, int count, int few, int many)
{
    double shortest[2] = { 1e9, 1e9 };
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 2; i++) {
            double s = launch(element, count, i ? many : few);
            if (s < 0) return -1;
            if (s < shortest[i]) shortest[i] = s;
        }
    return (shortest[1] - shortest[0]) / (many - few) * 1e9;
}

double bench_gstreamer_element_ns(struct bench *b, const char *element, int count)
{
    int few = 2000, many = bench_quick(b) ? 22000 : 202000;
    double without = buffer_ns(element, 0, few, many),
           with = buffer_ns(element, count, few, many);
    return without < 0 || with < without ? 0 : (with - without) / count;
}
