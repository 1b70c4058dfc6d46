// SPDX-License-Identifier: MIT
// phosphene replay: a journal once more, to the same frames.
#include "cli.h"

#include "core/buf.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What hash nodes log at the end is the result of a replay: it goes to stdout. Lines come from
// several threads.
struct results {
    pthread_mutex_t lock;
    struct ph_buf json;
    bool as_json;
    struct ph_log log; // for all the rest
};

static void take_hash(struct results *r, const char *node, unsigned long long hash,
                      unsigned long long frames)
{
    pthread_mutex_lock(&r->lock);
    if (r->as_json) {
        ph_json_sep(&r->json);
        ph_buf_puts(&r->json, "{\"node\":");
        ph_json_str(&r->json, node);
        ph_buf_printf(&r->json, ",\"hash\":\"%016llx\",\"frames\":%llu}", hash, frames);
    } else {
        printf("%-16s %016llx over %llu frames\n", node, hash, frames);
    }
    pthread_mutex_unlock(&r->lock);
}

static void on_log(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    struct results *r = opaque;
    unsigned long long hash, frames;
    if (level == PH_LOG_INFO && sscanf(line, "%16llx over %llu frames", &hash, &frames) == 2)
        take_hash(r, who, hash, frames);
    else
        ph_log(&r->log, level, who, "%s", line);
}

// --- time that goes by, on a terminal

struct watch {
    pthread_t thread;
    _Atomic bool done;
};

static void *show_time(void *arg)
{
    struct watch *w = arg;
    int64_t begin = ph_now_ns();
    while (!atomic_load(&w->done)) {
        usleep(100000);
        double s = (double) (ph_now_ns() - begin) / 1e9;
        if (s > 2) fprintf(stderr, "\rreplaying, %.0f s\033[K", s);
    }
    if (ph_now_ns() - begin > 2 * PH_SECOND_NS) fputs("\r\033[K", stderr);
    return NULL;
}

static ph_err replay_watched(const char *path, const struct ph_replay_params *par, bool quiet,
                             struct ph_fault *fault)
{
    struct watch w = { 0 };
    bool watched =
        !quiet && isatty(STDERR_FILENO) && !pthread_create(&w.thread, NULL, show_time, &w);
    ph_err err = ph_replay(path, par, fault);
    atomic_store(&w.done, true);
    if (watched) pthread_join(w.thread, NULL);
    return err;
}

static void say_end(struct results *r, double seconds, bool quiet)
{
    if (r->as_json)
        printf("{\"seconds\":%.3f,\"sinks\":[%s]}\n", seconds,
               r->json.data ? r->json.data : "");
    else if (!quiet)
        fprintf(stderr, "replayed in %.1f s\n", seconds);
}

static int say_not_replayed(const char *path, ph_err err, struct ph_fault *fault)
{
    fault->code = err;
    if (err == PH_EFORMAT) {
        cli_error("%s is no journal, or it is damaged: %s", path, fault->message);
        return CLI_INPUT;
    }
    return cli_fault(path, NULL, fault);
}

static int run_replay(struct cli_args *args)
{
    struct ph_fault fault = { 0 };
    const char *path = args->words[0];
    if (access(path, R_OK)) {
        cli_error("cannot read %s: %s", path, strerror(errno));
        return CLI_INPUT;
    }
    bool quiet = cli_flag(args, "quiet");
    struct results r = { .lock = PTHREAD_MUTEX_INITIALIZER,
                         .as_json = cli_flag(args, "json"),
                         .log = cli_log(cli_flag(args, "verbose"), quiet) };
    struct ph_log log = { .level = cli_flag(args, "verbose") ? PH_LOG_DEBUG : PH_LOG_INFO,
                          .write = on_log,
                          .opaque = &r };
    struct ph_replay_params par = { .log = &log };
    int64_t begin = ph_now_ns();
    ph_err err = replay_watched(path, &par, quiet, &fault);
    if (err >= 0) say_end(&r, (double) (ph_now_ns() - begin) / 1e9, quiet);
    ph_buf_free(&r.json);
    return err >= 0 ? CLI_OK : say_not_replayed(path, err, &fault);
}

static const struct cli_option options[] = {
    { "json", 0, .help = "hashes as JSON", .group = "Output" },
    { 0 },
};
static const struct cli_example examples[] = {
    { "phosphene run demo --journal show.journal --for 10s", "write one" },
    { "phosphene replay show.journal", "the same frames to the same sinks" },
    { 0 },
};
const struct cli_command cli_replay = {
    .name = "replay",
    .args = "JOURNAL",
    .help = "run a journal again and get the same frames",
    .text = "A journal holds everything that went into a graph: inputs, seeds, changes and "
            "cuts. It runs as fast as it can, without a clock.",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_FILE,
    .run = run_replay,
};
