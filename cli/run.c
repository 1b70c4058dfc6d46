// SPDX-License-Identifier: MIT
// phosphene run: a graph without a server, until it ends or is told to.
#include "cli.h"
#include "graphtext.h"
#include "table.h"

#include "core/json.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// Problems that were not solved until the end make the run a failure: a full disk, a camera that
// went away. Events come from lanes.
struct problems {
    pthread_mutex_t lock;
    struct {
        char node[64], message[256];
    } open[16];
    int count;
};

static void problem_set(struct problems *p, const char *node, const char *message)
{
    int i = 0;
    while (i < p->count && strcmp(p->open[i].node, node)) i++;
    if (!message) {
        if (i < p->count) p->open[i] = p->open[--p->count];
        return;
    }
    if (i == 16) return;
    if (i == p->count) p->count++;
    snprintf(p->open[i].node, sizeof p->open[i].node, "%s", node);
    snprintf(p->open[i].message, sizeof p->open[i].message, "%s", message);
}

static void on_event(void *opaque, const struct ph_event *e)
{
    struct problems *p = opaque;
    if (e->type != PH_EVENT_PROBLEM || !e->node) return;
    pthread_mutex_lock(&p->lock);
    problem_set(p, e->node, e->message);
    pthread_mutex_unlock(&p->lock);
}

static int prepare_graph(const struct cli_args *args, struct cli_graph *graph)
{
    int status = cli_graph_load(args->words[0], graph);
    if (!status && cli_given(args, "input"))
        status = cli_graph_source(graph, cli_text(args, "input"), false);
    if (!status && cli_given(args, "output"))
        status = cli_graph_sink(graph, cli_text(args, "output"), cli_flag(args, "overwrite"));
    if (!status && cli_given(args, "model"))
        status = cli_graph_model(graph, cli_text(args, "model"));
    const struct cli_value *params = cli_value(args, "param");
    for (int i = 0; i < params->count && !status; i++)
        status = cli_graph_param(graph, params->many[i]);
    if (!status && !cli_flag(args, "explain")) status = cli_graph_check_sinks(graph);
    return status;
}

static double frames_done(struct ph_graph *g)
{
    struct ph_graph_rates r;
    ph_graph_get_rates(g, &r);
    return (double) (r.output ? r.output : r.input);
}

// Until the end, a signal or the time given.
static void wait_for_end(struct ph_graph *g, const struct cli_args *args)
{
    struct cli_progress progress;
    double seconds = cli_seconds(args, "for");
    int64_t begin = ph_now_ns(), limit = (int64_t) (seconds * 1e9);
    cli_progress_begin(&progress, "frame", "frames", (double) cli_int(args, "frames"));
    while (!cli_signal) {
        int64_t left = limit ? limit - (ph_now_ns() - begin) : PH_NEVER;
        if (left <= 0) break;
        if (ph_graph_wait(g, left < 50 * PH_MS_NS ? left : 50 * PH_MS_NS) != PH_MORE) break;
        if (limit) progress.share = 1 - (double) left / (double) limit;
        if (!cli_flag(args, "quiet")) cli_progress_show(&progress, frames_done(g));
    }
    cli_progress_end(&progress);
}

static int print_stats(struct ph_graph *g, bool json)
{
    struct ph_json_doc *doc = NULL;
    char *text = ph_graph_status_json(g);
    int status = text ? CLI_OK : CLI_FAILED;
    if (text && json)
        puts(text);
    else if (text && ph_json_parse(&doc, text, strlen(text), 0, NULL) == PH_OK)
        cli_print_room(stdout, ph_json_root(doc), 0, 200, "\n");
    ph_json_free(&doc);
    free(text);
    return status;
}

static int write_trace(struct ph_graph *g, const char *path)
{
    struct ph_fault fault = { 0 };
    char *text = ph_graph_trace_json(g);
    if (!text) return cli_error("out of memory"), CLI_FAILED;
    ph_err err = cli_write_file(path, text, &fault);
    free(text);
    return err < 0 ? cli_fault("", NULL, &fault), CLI_FAILED : CLI_OK;
}

static int explain(struct ph_graph *g)
{
    char *text = ph_graph_explain(g);
    if (!text) return CLI_FAILED;
    fputs(text, stdout);
    free(text);
    return CLI_OK;
}

static void say_summary(const struct cli_args *args, double frames, double seconds)
{
    char spent[32];
    if (cli_flag(args, "quiet")) return;
    fprintf(stderr, "%.0f frames in %s, %.1f frames/s\n", frames,
            cli_duration(seconds, spent, sizeof spent), seconds > 0 ? frames / seconds : 0);
}

// The log has said what is wrong, unless it was told to be quiet.
static int say_problems(const struct problems *p, bool quiet)
{
    for (int i = 0; i < p->count; i++)
        cli_error("%s: %s", p->open[i].node,
                  quiet ? p->open[i].message
                        : "not solved until the end, see the warning above");
    return p->count ? CLI_FAILED : CLI_OK;
}

static int run_to_end(struct ph_graph *g, const struct cli_args *args, struct problems *p)
{
    int64_t begin = ph_now_ns();
    ph_err err = ph_graph_start(g);
    if (err < 0) {
        cli_error("the graph does not start: %s", ph_strerror(err));
        return cli_exit_of(err);
    }
    wait_for_end(g, args);
    double seconds = (double) (ph_now_ns() - begin) / 1e9;
    int status = CLI_OK;
    if (cli_flag(args, "stats") || cli_flag(args, "json"))
        status = print_stats(g, cli_flag(args, "json"));
    if (cli_given(args, "trace")) status |= write_trace(g, cli_text(args, "trace"));
    ph_graph_stop(g); // the sinks finish their files
    say_summary(args, frames_done(g), seconds);
    pthread_mutex_lock(&p->lock);
    int failed = say_problems(p, cli_flag(args, "quiet"));
    pthread_mutex_unlock(&p->lock);
    if (failed || status) return CLI_FAILED;
    return cli_exit_of_signal();
}

static int run_graph(const struct cli_args *args, const struct cli_graph *graph)
{
    struct ph_fault fault = { 0 };
    struct problems problems = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct ph_log log = cli_log(cli_flag(args, "verbose"), cli_flag(args, "quiet"));
    struct ph_graph *g = NULL;
    bool offline = cli_flag(args, "offline");
    ph_err err =
        ph_graph_create(&g, graph->text,
                        ph_graph_params(.log = &log, .mode = offline ? PH_OFFLINE : PH_LIVE,
                                        .seed = (uint64_t) cli_int(args, "seed"),
                                        .frames = (uint64_t) cli_int(args, "frames"),
                                        .always_on = true, .journal = cli_text(args, "journal"),
                                        .event = on_event, .opaque = &problems),
                        &fault);
    if (err < 0) {
        fault.code = err;
        int status = cli_fault(graph->where, graph->text, &fault);
        if (err == PH_EBUSY && cli_given(args, "output")) cli_hint("with -o, -y replaces it");
        return status;
    }
    int status = cli_flag(args, "explain") ? explain(g) : run_to_end(g, args, &problems);
    ph_graph_destroy(&g);
    return status;
}

static int run_run(struct cli_args *args)
{
    if (cli_flag(args, "offline") && cli_given(args, "for")) {
        cli_error("--for is time on the clock, and --offline runs without one; use --frames");
        return CLI_USAGE;
    }
    struct ph_fault fault = { 0 };
    if (cli_given(args, "trace") && cli_check_writable(cli_text(args, "trace"), &fault) < 0)
        return cli_fault("", NULL, &fault);
    cli_catch_signals();
    struct cli_graph graph = { 0 };
    int status = prepare_graph(args, &graph);
    if (!status) status = run_graph(args, &graph);
    cli_graph_free(&graph);
    return status;
}

// clang-format off
static const struct cli_option options[] = {
    { "input", 'i', "FILE", .help = "replaces the graph's source: a file, a URL, /dev/video0, or a source node with parameters", .group = "Graph", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "output", 'o', "FILE", .help = "replaces its sink: .mp4 .mkv .mov .webm (record), .png .jpg (image), .ply .glb (export), or a sink node", .group = "Graph", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "overwrite", 'y', .help = "-o may replace a film of that name", .group = "Graph", .flags = CLI_NO_ENV },
    { "model", 0, "DIR", .help = "a model's folder, or a name of `phosphene models list`", .group = "Graph", .words = CLI_DIR, .flags = CLI_NO_ENV },
    { "param", 'p', "NODE.PARAM=VALUE", .help = "sets a parameter", .group = "Graph", .words = CLI_PARAM, .flags = CLI_MANY | CLI_NO_ENV },
    { "seed", 0, "N", .help = "what random numbers start from [1]", .group = "Graph", .type = CLI_INT, .min = 0, .max = 9007199254740992.0 },
    { "explain", 0, .help = "print lanes, links, memory and transfers, and run nothing", .group = "Graph", .flags = CLI_NO_ENV },
    { "frames", 'n', "N", .help = "end after N frames of each source; live, those that come too late are left out", .group = "How long", .type = CLI_INT, .min = 1, .max = 9007199254740992.0, .flags = CLI_NO_ENV },
    { "for", 0, "TIME", .help = "end after 10s, 2m, 1h", .group = "How long", .type = CLI_SECONDS, .flags = CLI_NO_ENV },
    { "offline", 0, .help = "as fast as possible and without a drop: rendering", .group = "How long", .flags = CLI_NO_ENV },
    { "stats", 's', .help = "at the end, print what each node and queue did", .group = "Output", .flags = CLI_NO_ENV },
    { "json", 0, .help = "the same as JSON (the room document)", .group = "Output" },
    { "trace", 0, "FILE", .help = "write the last seconds as a Chrome trace (ui.perfetto.dev opens it)", .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "journal", 0, "FILE", .help = "write down all that goes in, for phosphene replay", .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene run 'pattern -> overlay -> null' --for 5s --stats",
      "the smallest graph, and what it cost" },
    { "phosphene run 'file clip.mp4 -> blur radius=6 -> record out.mp4' --offline",
      "a file through an effect into a file, as fast as it goes" },
    { "phosphene run demo -i /dev/video0 -o out.mp4", "a shipped graph on your camera" },
    { "phosphene run cloud -o cloud.ply -n 1 --offline", "one cloud of points as a file" },
    { "phosphene run 'pattern size=1920x1080 => blur => null' --explain",
      "what would run where" },
    { "phosphene run 'pattern -> blur -> null' -p blur.radius=20 -n 100",
      "a parameter from outside the text" },
    { 0 },
};
const struct cli_command cli_run = {
    .name = "run",
    .args = "GRAPH|PRESET|FILE",
    .help = "run a graph without a server",
    .text =
        "Runs until the sources end, --for or --frames is reached, or Ctrl-C; files are "
        "closed properly in each case. A second Ctrl-C ends at once.\n\nThe graph is a text "
        "(nodes joined by -> and =>), the name of a preset, a file with such a text, or - "
        "for stdin. A mistake in it is shown with its place.",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_GRAPH,
    .run = run_run,
};
