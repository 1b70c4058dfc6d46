// SPDX-License-Identifier: MIT
// phosphene serve: rooms in a browser.
#include "cli.h"
#include "doctor.h"
#include "graphtext.h"

#include "core/buf.h"
#include "core/share.h"
#include "models/shelf.h"

#include <phosphene/room.h>

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LIST 64

// A NULL-terminated list of texts; those of "a,b,c" are copies of its own.
struct list {
    const char *texts[MAX_LIST + 1];
    char *copies[MAX_LIST];
    int count, copied;
};

static void list_add(struct list *l, const char *text)
{
    if (l->count < MAX_LIST) l->texts[l->count++] = text;
}

// Commas separate, so that one variable in the environment holds several.
static void list_add_commas(struct list *l, const struct cli_value *values)
{
    for (int i = 0; i < values->count; i++) {
        char *copy = strdup(values->many[i]), *rest = copy;
        if (!copy || l->copied == MAX_LIST) {
            free(copy);
            return;
        }
        l->copies[l->copied++] = copy;
        for (char *t; (t = strsep(&rest, ","));)
            if (*t) list_add(l, t);
    }
}

static void list_free(struct list *l)
{
    for (int i = 0; i < l->copied; i++) free(l->copies[i]);
}

static char *devices(void *opaque)
{
    (void) opaque;
    return doctor_json(0);
}

static struct ph_rooms_limits limits_of(const struct cli_args *args)
{
    return (struct ph_rooms_limits){
        .viewers = (int) cli_int(args, "max-viewers"),
        .viewers_per_address = (int) cli_int(args, "max-viewers-per-address"),
        .publishers = (int) cli_int(args, "max-publishers"),
        .messages_per_s = (int) cli_int(args, "max-messages"),
        .text_bytes = (size_t) cli_int(args, "max-text"),
        .picture_bytes = (size_t) cli_int(args, "max-picture"),
        .picture_side = (int) cli_int(args, "max-picture-side"),
        .rooms = (int) cli_int(args, "max-rooms"),
        .connections = (int) cli_int(args, "max-connections"),
        .header_bytes = (size_t) cli_int(args, "max-header"),
        .request_ms = (int) (1000 * cli_seconds(args, "request-timeout")),
        .ping_ms = (int) (1000 * cli_seconds(args, "ping")),
        .stall_ms = (int) (1000 * cli_seconds(args, "stall-timeout")),
    };
}

// --- rooms

// A text with links in it, whatever its name.
static bool is_graph_file(const char *path)
{
    char *text = cli_read_file(path, 64 * 1024, NULL);
    bool links = text && (strstr(text, "->") || strstr(text, "=>"));
    free(text);
    return links;
}

// What the word on the command line is: a graph, or something to look at.
static bool is_input(const char *word)
{
    static const char *const graphs[] = { "->", "=>", "\n", ";" };
    for (int i = 0; i < 4; i++)
        if (strstr(word, graphs[i])) return false;
    if (strstr(word, "://") || !strncmp(word, "/dev/", 5)) return true;
    return !access(word, R_OK) && !is_graph_file(word);
}

static bool is_preset(const char *word)
{
    for (const struct ph_preset *p = ph_presets(); p->name; p++)
        if (!strcmp(p->name, word)) return true;
    return false;
}

// A preset may also lie in the folder of --presets, where it wins.
static int load_graph(const struct cli_args *args, const char *word, struct cli_graph *graph)
{
    char path[PATH_MAX];
    const char *folder = cli_text(args, "presets");
    snprintf(path, sizeof path, "%s/%s.graph", folder ? folder : "", word);
    return cli_graph_load(folder && !access(path, R_OK) ? path : word, graph);
}

static int make_room(const struct cli_args *args, struct ph_rooms *rooms, const char *name,
                     const char *word, bool first)
{
    struct cli_graph graph = { 0 };
    struct ph_fault fault = { 0 };
    const char *input = first ? cli_text(args, "input") : NULL;
    int status = load_graph(args, word, &graph);
    if (!status && input) status = cli_graph_source(&graph, input, true);
    if (!status && first && cli_given(args, "model"))
        status = cli_graph_model(&graph, cli_text(args, "model"));
    const struct cli_value *params = cli_value(args, "param");
    for (int i = 0; first && i < params->count && !status; i++)
        status = cli_graph_param(&graph, params->many[i]);
    if (!status) {
        ph_err err =
            ph_room_create(rooms,
                           ph_room_params(.name = name, .graph = graph.text,
                                          .journal = first ? cli_text(args, "journal") : NULL,
                                          .seed = (uint64_t) cli_int(args, "seed")),
                           &fault);
        if (err < 0) {
            fault.code = err;
            status = cli_fault(graph.where, graph.text, &fault);
        }
    }
    cli_graph_free(&graph);
    return status;
}

// The first room, and those of --room NAME=GRAPH.
static int make_rooms(const struct cli_args *args, struct ph_rooms *rooms, const char *word)
{
    char name[64] = "demo";
    if (is_preset(word)) snprintf(name, sizeof name, "%s", word);
    int status = make_room(args, rooms, name, word, true);
    const struct cli_value *more = cli_value(args, "room");
    for (int i = 0; i < more->count && !status; i++) {
        const char *equal = strchr(more->many[i], '=');
        if (!equal) {
            cli_error("--room takes NAME=GRAPH or NAME=PRESET, got \"%s\"", more->many[i]);
            return CLI_USAGE;
        }
        snprintf(name, sizeof name, "%.*s", (int) (equal - more->many[i]), more->many[i]);
        status = make_room(args, rooms, name, equal + 1, false);
    }
    return status;
}

// --- serving

static void say_where(const struct cli_args *args, const struct ph_rooms *rooms)
{
    char url[1024];
    ph_rooms_url(rooms, url, sizeof url);
    if (cli_flag(args, "json")) {
        struct ph_buf b = { 0 };
        ph_buf_puts(&b, "{\"url\":");
        ph_json_str(&b, url);
        ph_buf_printf(&b, ",\"port\":%d}", ph_rooms_port(rooms));
        if (!b.failed) puts(b.data);
        ph_buf_free(&b);
    } else {
        printf("\n  phosphene is live:\n\n      %s%s%s\n\n  Ctrl-C stops it. phosphene top "
               "watches it, phosphene serve --help has more.\n\n",
               cli_color(stdout, CLI_BOLD), url, cli_color(stdout, CLI_PLAIN));
    }
    fflush(stdout);
}

static void warn_about_network(const struct cli_args *args)
{
    const char *bind = cli_text(args, "bind");
    bool network =
        bind && strncmp(bind, "127.", 4) && strcmp(bind, "localhost") && strcmp(bind, "::1");
    if (!network || cli_flag(args, "quiet")) return;
    if (cli_flag(args, "insecure-no-auth"))
        cli_error("warning: anybody who reaches %s may watch and change this", bind);
    if (!cli_given(args, "tls-cert"))
        cli_error("warning: without --tls-cert the token and the pictures can be read on the "
                  "way");
}

static int serve(const struct cli_args *args, struct ph_rooms *rooms, const char *word)
{
    struct ph_fault fault = { 0 };
    int status = make_rooms(args, rooms, word);
    if (status) return status;
    ph_err err = ph_rooms_start(rooms, &fault);
    if (err < 0) {
        fault.code = err;
        cli_fault("", NULL, &fault);
        return CLI_FAILED;
    }
    warn_about_network(args);
    say_where(args, rooms);
    while (!cli_signal) poll(NULL, 0, 50);
    return CLI_OK;
}

static int say_no_server(const struct cli_args *args, ph_err err, struct ph_fault *fault)
{
    fault->code = err;
    int status = cli_fault("", NULL, fault);
    if (err == PH_EBUSY)
        cli_hint("--port %d takes the next one, --port 0 any that is free",
                 (int) cli_int(args, "port") + 1);
    return err == PH_EINVAL ? CLI_USAGE : status;
}

static int serve_word(const struct cli_args *args, const char *word)
{
    struct list hosts = { 0 }, origins = { 0 }, sources = { 0 };
    struct ph_log log = cli_log(cli_flag(args, "verbose"), cli_flag(args, "quiet"));
    struct ph_fault fault = { 0 };
    struct ph_rooms *rooms = NULL;
    list_add_commas(&hosts, cli_value(args, "allowed-hosts"));
    list_add_commas(&origins, cli_value(args, "cors-origins"));
    if (cli_given(args, "input")) list_add(&sources, cli_text(args, "input"));
    const struct cli_value *allow = cli_value(args, "allow");
    for (int i = 0; i < allow->count; i++) list_add(&sources, allow->many[i]);
    ph_err err = ph_rooms_create(
        &rooms,
        ph_rooms_params(.bind = cli_text(args, "bind"), .port = (int) cli_int(args, "port"),
                        .tls_cert = cli_text(args, "tls-cert"),
                        .tls_key = cli_text(args, "tls-key"), .token = cli_text(args, "token"),
                        .insecure_no_auth = cli_flag(args, "insecure-no-auth"),
                        .hosts = hosts.texts, .origins = origins.texts,
                        .limits = limits_of(args), .sources = sources.texts,
                        .presets_dir = cli_text(args, "presets"),
                        .recordings_dir = cli_text(args, "recordings"),
                        .web_root = cli_text(args, "web-root"), .devices = devices,
                        .log = &log),
        &fault);
    int status = err < 0 ? say_no_server(args, err, &fault) : serve(args, rooms, word);
    ph_rooms_destroy(&rooms);
    list_free(&hosts);
    list_free(&origins);
    return status;
}

// What opens when nothing was asked for: a model's pictures where there is a model for it.
static const char *default_preset(const struct cli_args *args)
{
    char path[PH_SHARE_PATH_MAX];
    if (cli_given(args, "input")) return "demo";
    if (cli_given(args, "model")) return "spark";
    return ph_share_find("models/spark/model_index.json", path, NULL) == PH_OK ? "spark"
                                                                               : "demo";
}

// Points in space need no model: the scene knows its own depth.
static const char *without_a_model(const struct cli_args *args, const char *preset)
{
    char path[PH_SHELF_PATH_MAX];
    if (strcmp(preset, "cloud") || cli_given(args, "model")) return preset;
    if (ph_shelf_find_depth("", path, NULL) == PH_OK) return preset;
    if (!cli_flag(args, "quiet"))
        cli_error("no depth model is here: cloud-true shows the scene's own depth");
    return "cloud-true";
}

// `serve clip.mp4` is `serve --input clip.mp4`
static int run_serve(struct cli_args *args)
{
    const char *word = args->word_count ? args->words[0] : NULL;
    const char *preset = cli_text(args, "preset");
    if (word && is_input(word) && !is_preset(word)) {
        for (int i = 0; i < args->option_count; i++)
            if (!strcmp(args->options[i]->name, "input")) args->values[i].text = word;
        if (!preset) preset = "demo";
        word = NULL;
    }
    if (word && cli_given(args, "preset") && strcmp(preset, word)) {
        cli_error("both --preset %s and \"%s\": give one graph", preset, word);
        return CLI_USAGE;
    }
    cli_catch_signals();
    if (!word) word = preset ? preset : default_preset(args);
    return serve_word(args, without_a_model(args, word));
}

// clang-format off
static const struct cli_option options[] = {
    { "input", 'i', "SOURCE", .help = "what to look at: a file, a URL, /dev/video0, or a source node with parameters", .group = "Room", .words = CLI_FILE },
    { "preset", 0, "NAME", .help = "which shipped graph [spark, or demo where its model is not]", .group = "Room", .words = CLI_PRESET },
    { "param", 'p', "NODE.PARAM=VALUE", .help = "sets a parameter of the first room", .group = "Room", .words = CLI_PARAM, .flags = CLI_MANY | CLI_NO_ENV },
    { "model", 0, "DIR", .help = "a model's folder, or a name of `phosphene models list`, for the first room; without a graph it walks through prompts", .group = "Room", .words = CLI_DIR, .flags = CLI_NO_ENV },
    { "room", 0, "NAME=GRAPH", .help = "one more room: a preset, a file or a graph text", .group = "Room", .flags = CLI_MANY | CLI_NO_ENV },
    { "allow", 0, "SOURCE", .help = "a source that viewers may switch to: [NAME=]FILE, URL or device", .group = "Room", .words = CLI_FILE, .flags = CLI_MANY },
    { "journal", 0, "FILE", .help = "write down all that goes into the first room, for phosphene replay", .group = "Room", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "seed", 0, "N", .help = "what random numbers start from [1]", .group = "Room", .type = CLI_INT, .min = 0, .max = 9007199254740992.0 },
    { "bind", 0, "ADDRESS", "127.0.0.1", "where to listen; 0.0.0.0 is everywhere", "Network" },
    { "port", 0, "PORT", "8080", "TCP port; 0 = any that is free", "Network", CLI_INT, 0, 65535 },
    { "token", 0, "TOKEN", .help = "what clients must present; beyond this machine one is made and kept", .group = "Network" },
    { "insecure-no-auth", 0, .help = "no token even beyond this machine", .group = "Network" },
    { "tls-cert", 0, "FILE", .help = "certificate (PEM): https and wss", .group = "Network", .words = CLI_FILE },
    { "tls-key", 0, "FILE", .help = "its key (PEM)", .group = "Network", .words = CLI_FILE },
    { "allowed-hosts", 0, "NAME,...", .help = "further names that the server goes by", .group = "Network", .flags = CLI_MANY },
    { "cors-origins", 0, "URL,...", .help = "further pages that may use it: https://host:port", .group = "Network", .flags = CLI_MANY },
    { "max-viewers", 0, "N", "64", "viewers at once", "Limits", CLI_INT, 1, 100000 },
    { "max-viewers-per-address", 0, "N", "16", "of one address", "Limits", CLI_INT, 1, 100000 },
    { "max-publishers", 0, "N", "8", "clients that send pictures", "Limits", CLI_INT, 1, 1000 },
    { "max-rooms", 0, "N", "16", "rooms that clients made", "Limits", CLI_INT, 1, 1000 },
    { "max-connections", 0, "N", "256", "sockets", "Limits", CLI_INT, 1, 100000 },
    { "max-messages", 0, "N", "120", "messages a second and client", "Limits", CLI_INT, 1, 100000 },
    { "max-text", 0, "BYTES", "65536", "of one text message", "Limits", CLI_INT, 1024, 16777216 },
    { "max-picture", 0, "BYTES", "4194304", "of one picture sent in", "Limits", CLI_INT, 1024, 268435456 },
    { "max-picture-side", 0, "PIXELS", "4096", "width and height of it", "Limits", CLI_INT, 16, 16384 },
    { "max-header", 0, "BYTES", "16384", "request line and headers", "Limits", CLI_INT, 1024, 1048576 },
    { "request-timeout", 0, "TIME", "10s", "for a client to finish a request", "Limits", CLI_SECONDS, 0.1, 3600 },
    { "ping", 0, "TIME", "20s", "between pings", "Limits", CLI_SECONDS, 0.1, 3600 },
    { "stall-timeout", 0, "TIME", "10s", "a viewer that takes nothing is closed", "Limits", CLI_SECONDS, 0.1, 3600 },
    { "presets", 0, "DIR", .help = "a folder with NAME.graph files, besides the shipped ones", .group = "Files", .words = CLI_DIR },
    { "recordings", 0, "DIR", .help = "where recordings go [the state folder]", .group = "Files", .words = CLI_DIR },
    { "web-root", 0, "DIR", .help = "serve the studio page from here, uncached: for work on it", .group = "Files", .words = CLI_DIR },
    { "json", 0, .help = "print {\"url\":…,\"port\":…} instead of the banner", .group = "Output" },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene serve", "the demo: open the URL that it prints" },
    { "phosphene serve --model sd-turbo", "a walk through prompts by a model of yours" },
    { "phosphene serve /dev/video0", "your camera instead of the test pattern" },
    { "phosphene serve --input rtsp://camera.local/stream", "a network camera" },
    { "phosphene serve 'browser => blur radius=8 -> jpeg -> live'",
      "the viewer's own webcam, through a graph of yours" },
    { "phosphene serve --bind 0.0.0.0 --tls-cert cert.pem --tls-key key.pem",
      "for the whole network: a token is part of the URL" },
    { "phosphene serve --allow stage=rtsp://10.0.0.7/ --allow intro.mp4",
      "sources that viewers may choose from" },
    { "curl -s http://127.0.0.1:8080/frame.jpg > now.jpg", "a picture without a browser" },
    { 0 },
};
const struct cli_command cli_serve = {
    .name = "serve",
    .args = "[PRESET|GRAPH|INPUT]",
    .help = "show a graph in browsers, with knobs and metrics",
    .text = "Listens on this machine only, unless --bind says otherwise; then a token is "
            "required. The server opens only what this command line or a preset names. Ctrl-C "
            "or SIGTERM ends it within a second, recordings closed, with exit status 0.",
    .examples = examples,
    .options = options,
    .max_words = 1,
    .words = CLI_GRAPH,
    .run = run_serve,
};
