// SPDX-License-Identifier: MIT
// phosphene replay: a journal once more, to the same frames.
#include "cli.h"

#include "graphtext.h"
#include "replay_graph.h"

#include "core/buf.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// What comes out of a replay: what its hash nodes log at the end, which goes to stdout, and what
// the film's node complains of. Lines come from several threads.
struct results {
    pthread_mutex_t lock;
    struct ph_buf json;
    bool as_json;
    bool film_failed;
    bool told[MAX_REPLAY_SINKS]; // sinks whose hash has come
    struct replay_graph graph;
    struct ph_log log;        // for all the rest
    struct ph_graph *running; // lock; NULL = not yet, or no more
};

static void put_hash(struct results *r, const char *node, unsigned long long hash,
                     unsigned long long frames)
{
    if (!r->as_json && frames) {
        printf("%-16s %016llx over %llu frames\n", node, hash, frames);
    } else if (!r->as_json) {
        printf("%-16s not a frame\n", node);
    } else {
        ph_json_sep(&r->json);
        ph_buf_puts(&r->json, "{\"node\":");
        ph_json_str(&r->json, node);
        if (frames)
            ph_buf_printf(&r->json, ",\"hash\":\"%016llx\",\"frames\":%llu}", hash, frames);
        else
            ph_buf_puts(&r->json, ",\"hash\":null,\"frames\":0}");
    }
}

static void on_log(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    struct results *r = opaque;
    unsigned long long hash, frames;
    bool is_hash =
        level == PH_LOG_INFO && sscanf(line, "%16llx over %llu frames", &hash, &frames) == 2;
    bool film = *r->graph.film && !strcmp(who, r->graph.film);
    if (!is_hash) ph_log(&r->log, level, who, "%s", line);
    pthread_mutex_lock(&r->lock);
    for (int i = 0; is_hash && i < r->graph.sink_count; i++)
        r->told[i] = r->told[i] || !strcmp(r->graph.sinks[i], who);
    if (is_hash) put_hash(r, who, hash, frames);
    r->film_failed = r->film_failed || (film && level <= PH_LOG_WARN);
    pthread_mutex_unlock(&r->lock);
}

// --- how far it is, on a terminal

static void on_started(void *opaque, struct ph_graph *g)
{
    struct results *r = opaque;
    pthread_mutex_lock(&r->lock);
    r->running = g;
    pthread_mutex_unlock(&r->lock);
}

static void on_ended(void *opaque, struct ph_graph *g)
{
    (void) g;
    on_started(opaque, NULL);
}

static bool ask(void *opaque, struct cli_progress *p, double *done)
{
    struct results *r = opaque;
    uint64_t made = 0, all = 0;
    pthread_mutex_lock(&r->lock);
    bool running = r->running != NULL;
    if (running) ph_replay_progress(r->running, &made, &all);
    pthread_mutex_unlock(&r->lock);
    *done = (double) made;
    p->total = (double) all;
    return running;
}

static ph_err exchange_sinks(void *opaque, char **texts, int count, struct ph_fault *fault)
{
    struct results *r = opaque;
    return replay_exchange_sinks(&r->graph, texts, count, fault);
}

static ph_err replay_watched(const char *path, struct results *r, const struct ph_log *log,
                             bool quiet, struct ph_fault *fault)
{
    struct cli_watch *w =
        quiet ? NULL
              : cli_watch_begin(&(struct cli_watch_params){
                    .what = "replaying: frame", .unit = "frames", .ask = ask, .opaque = r });
    ph_err err = ph_replay(path,
                           &(struct ph_replay_params){ .log = log,
                                                       .nodes = replay_nodes(),
                                                       .started = on_started,
                                                       .ended = on_ended,
                                                       .graphs = exchange_sinks,
                                                       .opaque = r },
                           fault);
    cli_watch_end(&w);
    return err;
}

// --- the end

static void say_end(struct results *r, double seconds, bool quiet)
{
    for (int i = 0; i < r->graph.sink_count; i++)
        if (!r->told[i]) put_hash(r, r->graph.sinks[i], 0, 0);
    bool unseen = false;
    for (int i = 0; i < r->graph.sink_count; i++) unseen = unseen || !r->told[i];
    if (r->as_json)
        printf("{\"seconds\":%.3f,\"sinks\":[%s]}\n", seconds,
               r->json.data ? r->json.data : "");
    else if (!quiet)
        fprintf(stderr, "replayed in %.1f s\n", seconds);
    if (unseen && !r->graph.output && !r->as_json && !quiet)
        cli_hint("for what nobody watched nothing was encoded; -o FILE writes its pictures");
}

// A picture's name may have a number in it, so what was written is not looked for.
static int say_film(const struct results *r, const char *output, bool quiet)
{
    struct stat st;
    if (r->film_failed) return CLI_FAILED; // the log has said why
    if (cli_output_is_film(output) && stat(output, &st)) {
        cli_error("%s is not written: %s was shown no picture", output, r->graph.film);
        return CLI_FAILED;
    }
    if (r->graph.film_left_out)
        cli_hint("%s ends where %s was made anew; what came later is not in it", output,
                 r->graph.film);
    if (!quiet) fprintf(stderr, "%s has what %s showed\n", output, r->graph.film);
    return CLI_OK;
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

static int check_output(const char *output, bool overwrite)
{
    if (!output) return CLI_OK;
    if (!cli_output_is_film(output) && !cli_output_is_picture(output)) {
        cli_error("-o writes .mp4, .mkv, .mov, .webm, .png or .jpg; got \"%s\"", output);
        return CLI_USAGE;
    }
    if (overwrite || access(output, F_OK)) return CLI_OK;
    cli_error("%s exists already", output);
    cli_hint("-y replaces it");
    return CLI_INPUT;
}

static int check_journal(const char *path)
{
    struct stat st;
    if (!access(path, R_OK) && !stat(path, &st) && !S_ISDIR(st.st_mode)) return CLI_OK;
    cli_error("cannot read %s: %s", path,
              access(path, R_OK) ? strerror(errno) : "it is a folder");
    return CLI_INPUT;
}

static int run_replay(struct cli_args *args)
{
    struct ph_fault fault = { 0 };
    const char *path = args->words[0], *output = cli_text(args, "output");
    int status = check_journal(path);
    if (!status) status = check_output(output, cli_flag(args, "overwrite"));
    if (status) return status;
    bool quiet = cli_flag(args, "quiet"), verbose = cli_flag(args, "verbose");
    struct results r = { .lock = PTHREAD_MUTEX_INITIALIZER,
                         .as_json = cli_flag(args, "json"),
                         .graph = { .output = output,
                                    .overwrite = cli_flag(args, "overwrite") },
                         .log = cli_log(verbose, quiet) };
    struct ph_log log = { .level = verbose ? PH_LOG_DEBUG : PH_LOG_INFO,
                          .write = on_log,
                          .opaque = &r };
    int64_t begin = ph_now_ns();
    ph_err err = replay_watched(path, &r, &log, quiet, &fault);
    status = err < 0 ? say_not_replayed(path, err, &fault) : CLI_OK;
    if (err >= 0) say_end(&r, (double) (ph_now_ns() - begin) / 1e9, quiet);
    if (err >= 0 && output) status = say_film(&r, output, quiet);
    ph_buf_free(&r.json);
    return status;
}

// clang-format off
static const struct cli_option options[] = {
    { "output", 'o', "FILE", .help = "writes what the first record or image (else live, else window) showed: .mp4 .mkv .mov .webm .png .jpg", .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "overwrite", 'y', .help = "-o may replace a file of that name", .group = "Output", .flags = CLI_NO_ENV },
    { "json", 0, .help = "hashes as JSON", .group = "Output" },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene run demo --journal show.journal --for 10s", "write one" },
    { "phosphene replay show.journal", "the same frames again, as a number for each sink" },
    { "phosphene replay show.journal -o show.mp4", "look at them" },
    { 0 },
};
const struct cli_command cli_replay = {
    .name = "replay",
    .args = "JOURNAL",
    .help = "run a journal again and get the same frames",
    .text = "A journal holds everything that went into a graph: inputs, seeds, changes and "
            "cuts. It runs as fast as it can, without a clock.\n\nIt writes over nothing: in "
            "place of each sink (record, image, live, window, ...) stands a hash, one number "
            "for all that the sink was shown. Two replays print the same numbers. With -o one "
            "sink writes to a file instead; before a live, the encoder is left out.",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_FILE,
    .run = run_replay,
};
