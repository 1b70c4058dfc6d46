// SPDX-License-Identifier: MIT
// phosphene render: a song and a graph become a film, without a clock, in segments; or a journal
// once more, larger or with more steps.
#include "cli.h"
#include "render_graph.h"
#include "replay_graph.h"
#include "sections.h"

#include "core/buf.h"
#include "core/tree.h"
#include "graph/text.h"
#include "nodes/util.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>
#include <phosphene/room.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_S 10

struct render {
    const struct cli_args *args;
    const char *song, *output;
    char folder[4200]; // of the segments
    struct cli_graph graph;
    struct render_film film;
    int64_t length_ns;
    bool hears;
    bool quiet;
};

// --- what is to be made

static int parse_size(const char *text, int *width, int *height)
{
    const struct ph_param size = {
        .name = "size", .type = PH_TYPE_SIZE, .min = 16, .max = 16384
    };
    union ph_value v;
    struct ph_fault fault = { 0 };
    *width = *height = 0;
    if (!text) return CLI_OK;
    if (ph_param_parse(&size, text, &v, &fault) < 0) {
        cli_error("--size: %s", fault.message);
        return CLI_USAGE;
    }
    *width = v.size.width;
    *height = v.size.height;
    return CLI_OK;
}

static const char *default_graph(void)
{
    for (const struct ph_preset *p = ph_presets(); p->name; p++)
        if (!strcmp(p->name, "waves")) return p->name;
    return NULL;
}

static int load_graph(struct render *r)
{
    const struct cli_args *args = r->args;
    const char *preset = cli_text(args, "preset");
    if (!preset) preset = default_graph();
    if (!preset) {
        cli_error("which graph? --preset NAME, a file or a graph text");
        return CLI_USAGE;
    }
    int status = cli_graph_load(preset, &r->graph);
    return status ? status : cli_graph_sink(&r->graph, r->output, true);
}

static int prepare(struct render *r)
{
    const struct cli_value *set = cli_value(r->args, "set");
    struct render_wish wish = { .song = r->song,
                                .params = set->many,
                                .param_count = set->count };
    double fps = 0, seconds = cli_seconds(r->args, "for");
    struct ph_fault fault = { 0 };
    const char *rate = cli_text(r->args, "fps");
    int status = parse_size(cli_text(r->args, "size"), &wish.width, &wish.height);
    if (status) return status;
    wish.fps = rate ? strtod(rate, NULL) : 0;
    if (rate && !(wish.fps >= 1 && wish.fps <= 240)) {
        cli_error("--fps is 1 ... 240, got \"%s\"", rate);
        return CLI_USAGE;
    }
    ph_err err = ph_sound_length(r->song, &r->length_ns, &fault);
    if (err < 0) {
        fault.code = err;
        return cli_fault("", NULL, &fault);
    }
    if (seconds > 0 && (int64_t) (seconds * 1e9) < r->length_ns)
        r->length_ns = (int64_t) (seconds * 1e9);
    if ((status = load_graph(r))) return status;
    if ((status = render_prepare(&r->graph, &wish, &fps, &r->hears))) return status;
    struct ph_segments_params *par = &r->film.par;
    ph_fps_ratio(fps, &par->num, &par->den);
    par->width = wish.width;
    par->height = wish.height;
    par->quality = (int) cli_int(r->args, "quality");
    par->folder = r->folder;
    par->length = (int) ceil(SEGMENT_S * fps);
    double frames = (double) r->length_ns * 1e-9 * (double) par->num / (double) par->den;
    r->film.total = (int64_t) ceil(frames - 1e-6);
    if (r->film.total < 1) r->film.total = 1;
    return CLI_OK;
}

// --- what is there already

// All that the bytes of a segment depend on, in words: a render goes on only where it is the same.
static char *describe(const struct render *r)
{
    const struct ph_segments_params *p = &r->film.par;
    struct ph_buf b = { 0 };
    struct stat st = { 0 };
    if (stat(r->song, &st)) st.st_size = -1;
    ph_buf_printf(&b, "phosphene %s\nsong %s\nbytes %lld\nchanged %lld\n", ph_version(),
                  r->song, (long long) st.st_size, (long long) st.st_mtime);
    ph_buf_printf(&b, "frames %lld of %lld/%lld\nsize %dx%d\nquality %d\nseed %lld\n\n",
                  (long long) r->film.total, (long long) p->num, (long long) p->den, p->width,
                  p->height, p->quality, (long long) cli_int(r->args, "seed"));
    ph_buf_puts(&b, r->graph.text);
    return ph_buf_steal(&b);
}

static void remove_folder(const char *folder)
{
    DIR *d = opendir(folder);
    char name[4600];
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        bool ours = !strcmp(e->d_name, "render") ||
                    (dot && (!strcmp(dot, ".seg") || !strcmp(dot, ".tmp") ||
                             !strcmp(dot, ".mp4") || !strcmp(dot, ".mov")));
        if (!ours) continue;
        snprintf(name, sizeof name, "%s/%s", folder, e->d_name);
        unlink(name);
    }
    if (d) closedir(d);
    rmdir(folder);
}

static int begin_folder(const struct render *r, const char *state, const char *words)
{
    struct ph_fault fault = { 0 };
    if (mkdir(r->folder, 0777) && errno != EEXIST) {
        cli_error("%s: %s", r->folder, strerror(errno));
        return CLI_INPUT;
    }
    if (cli_write_file(state, words, &fault) >= 0) return CLI_OK;
    return cli_fault("", NULL, &fault);
}

// Goes on with what an interrupted call has left, when that was the same work.
static int look_back(struct render *r)
{
    char state[4300];
    int status = CLI_OK;
    snprintf(state, sizeof state, "%s/render", r->folder);
    char *now = describe(r),
         *before = access(state, R_OK) ? NULL : cli_read_file(state, 1 << 20, NULL);
    if (before && now && strcmp(before, now) && !cli_flag(r->args, "overwrite")) {
        cli_error("%s has the beginning of another render (song, graph or options differ)",
                  r->folder);
        cli_hint("-y throws it away and begins anew");
        status = CLI_INPUT;
    } else if (before && now && !strcmp(before, now)) {
        r->film.par.first = ph_segments_count(r->folder);
        r->film.first = (int64_t) r->film.par.first * r->film.par.length;
        if (r->film.first > r->film.total) r->film.first = r->film.total;
    } else {
        if (before) remove_folder(r->folder);
        status = now ? begin_folder(r, state, now) : CLI_FAILED;
    }
    free(now);
    free(before);
    return status;
}

// --- its chapters

// The song is listened to while its pictures are made: work of some seconds for cores that would
// else wait for the encoder now and then.
struct chapters {
    const struct render *render;
    struct ph_chapter chapter[MAX_CHAPTERS];
    struct ph_fault fault;
    int count; // negative: a ph_err
    pthread_t thread;
    bool runs;
};

static void *listen_on(void *opaque)
{
    struct chapters *c = opaque;
    c->count = cli_song_chapters(c->render->song, c->render->length_ns, c->chapter, &c->fault);
    return NULL;
}

static void begin_chapters(struct chapters *c, const struct render *r)
{
    *c = (struct chapters){ .render = r };
    c->runs = !pthread_create(&c->thread, NULL, listen_on, c);
    if (!c->runs) listen_on(c);
}

// A song that cannot be understood has a film without chapters.
static void end_chapters(struct chapters *c)
{
    if (c->runs) pthread_join(c->thread, NULL);
    if (c->count < 0 && !cli_signal && !c->render->quiet)
        cli_hint("no chapters: %s",
                 c->fault.message[0] ? c->fault.message : ph_strerror(c->count));
    if (c->count < 0) c->count = 0;
}

// --- making it

static int run_frames(struct render *r)
{
    struct ph_fault fault = { 0 };
    struct ph_log log = cli_log(cli_flag(r->args, "verbose"), r->quiet);
    struct ph_graph *g = NULL;
    struct cli_progress progress;
    ph_err err = ph_graph_create(&g, r->graph.text,
                                 ph_graph_params(.log = &log, .mode = PH_OFFLINE,
                                                 .seed = (uint64_t) cli_int(r->args, "seed"),
                                                 .nodes = render_nodes(&r->film)),
                                 &fault);
    if (err < 0) {
        fault.code = err;
        return cli_fault(r->graph.where, r->graph.text, &fault);
    }
    cli_progress_begin(&progress, "rendering: frame", "frames", (double) r->film.total);
    err = ph_graph_start(g);
    while (err >= 0 && !cli_signal && ph_graph_wait(g, 50 * PH_MS_NS) == PH_MORE) {
        // frames that are only made, not encoded, are none of the rate's
        if (!r->quiet) cli_progress_show(&progress, (double) atomic_load(&r->film.done));
        if (atomic_load(&r->film.failed)) break;
    }
    cli_progress_end(&progress);
    ph_graph_destroy(&g);
    if (atomic_load(&r->film.failed)) {
        cli_error("%s", r->film.fault.message);
        return CLI_FAILED;
    }
    return err < 0 ? cli_exit_of(err) : CLI_OK;
}

static bool interrupted(void *opaque)
{
    (void) opaque;
    return cli_signal != 0;
}

static int say_interrupted(const struct render *r)
{
    int left = ph_segments_count(r->folder);
    if (!r->quiet)
        fprintf(stderr, "interrupted; %.0f s of the film are in %s, the same command goes on\n",
                (double) left * r->film.par.length * (double) r->film.par.den /
                    (double) r->film.par.num,
                r->folder);
    return cli_exit_of_signal();
}

// Beside the segments, then renamed: a film of that name is whole.
static int join(struct render *r, const struct chapters *chapters)
{
    char whole[4300];
    struct ph_fault fault = { 0 };
    const char *end = strrchr(r->output, '.');
    snprintf(whole, sizeof whole, "%s/film%s", r->folder, end);
    struct ph_join_params par = { .folder = r->folder,
                                  .output = whole,
                                  .sound = r->song,
                                  .sound_ns = r->length_ns,
                                  .chapters = chapters->chapter,
                                  .chapter_count = chapters->count,
                                  .cancelled = interrupted };
    ph_err err = ph_segments_join(&par, &fault);
    if (err == PH_ESTOPPED || cli_signal) return say_interrupted(r);
    if (err >= 0 && rename(whole, r->output))
        err = ph_fail(&fault, PH_EIO, "output", "%s: %s", r->output, strerror(errno));
    if (err < 0) {
        fault.code = err;
        return cli_fault("", NULL, &fault);
    }
    remove_folder(r->folder);
    return CLI_OK;
}

static void say_end(const struct render *r, double seconds)
{
    char spent[32];
    double film = (double) r->length_ns * 1e-9;
    int64_t made = r->film.total - r->film.first;
    if (r->quiet) return;
    fprintf(stderr, "%s: %.1f s, %lld frames in %s, %.1f frames/s, %.1f x real time\n",
            r->output, film, (long long) made, cli_duration(seconds, spent, sizeof spent),
            (double) made / seconds, film * (double) made / (double) r->film.total / seconds);
    if (!r->hears)
        cli_hint("nothing in this graph takes sound from a source, so the song is only heard");
}

static int render_song(struct render *r)
{
    struct chapters chapters;
    int64_t begin = ph_now_ns();
    int status = prepare(r);
    if (!status && cli_flag(r->args, "explain")) return fputs(r->graph.text, stdout), CLI_OK;
    if (!status) status = look_back(r);
    if (status) return status;
    if (r->film.first && !r->quiet)
        fprintf(stderr, "%lld of %lld frames are there already\n", (long long) r->film.first,
                (long long) r->film.total);
    begin_chapters(&chapters, r);
    if (r->film.first < r->film.total) status = run_frames(r);
    end_chapters(&chapters);
    if (!status && cli_signal) return say_interrupted(r);
    if (!status) status = join(r, &chapters);
    if (!status) say_end(r, (double) (ph_now_ns() - begin) * 1e-9);
    return status;
}

// --- a journal once more

struct again {
    struct replay_graph graph;
    const struct cli_args *args;
    int width, height;
    pthread_mutex_t lock;
    struct ph_graph *running; // lock; NULL = not yet, or no more
};

static void on_started(void *opaque, struct ph_graph *g)
{
    struct again *a = opaque;
    pthread_mutex_lock(&a->lock);
    a->running = g;
    pthread_mutex_unlock(&a->lock);
}

static void on_ended(void *opaque, struct ph_graph *g)
{
    (void) g;
    on_started(opaque, NULL);
}

static bool ask(void *opaque, struct cli_progress *p, double *done)
{
    struct again *a = opaque;
    uint64_t made = 0, all = 0;
    pthread_mutex_lock(&a->lock);
    bool running = a->running != NULL;
    if (running) ph_replay_progress(a->running, &made, &all);
    pthread_mutex_unlock(&a->lock);
    *done = (double) made;
    p->total = (double) all;
    return running;
}

static ph_err set_one(struct ph_ast *ast, const char *assignment, struct ph_fault *fault)
{
    char node[64], param[64];
    const char *dot = strchr(assignment, '.'), *equal = strchr(assignment, '=');
    if (!dot || !equal || dot > equal)
        return ph_fail(fault, PH_EINVAL, "set", "--set takes node.param=value, got \"%s\"",
                       assignment);
    snprintf(node, sizeof node, "%.*s", (int) (dot - assignment), assignment);
    snprintf(param, sizeof param, "%.*s", (int) (equal - dot - 1), dot + 1);
    struct ph_ast_node *n = ph_ast_find(ast, node);
    if (!n)
        return ph_fail(fault, PH_EINVAL, "set", "--set: the journal's graph has no node \"%s\"",
                       node);
    return ph_ast_set(ast, n, param, equal + 1, fault);
}

static ph_err change_text(const struct again *a, char **text, struct ph_fault *fault)
{
    const struct cli_value *set = cli_value(a->args, "set");
    struct ph_ast *ast = NULL;
    char *sized = a->width ? render_resized(*text, ph_nodes(), a->width, a->height) : NULL;
    if (sized) {
        free(*text);
        *text = sized;
    }
    ph_err ret = ph_ast_parse(&ast, *text, ph_nodes(), fault);
    for (int i = 0; i < set->count && ret >= 0; i++) ret = set_one(ast, set->many[i], fault);
    char *out = ret >= 0 ? ph_ast_print(ast) : NULL;
    ph_tree_free(ast);
    if (!out) return ret < 0 ? ret : PH_ENOMEM;
    free(*text);
    *text = out;
    return PH_OK;
}

static ph_err change_texts(void *opaque, char **texts, int count, struct ph_fault *fault)
{
    struct again *a = opaque;
    for (int i = 0; i < count; i++) {
        ph_err ret = change_text(a, &texts[i], fault);
        if (ret < 0) return ret;
    }
    return replay_exchange_sinks(&a->graph, texts, count, fault);
}

static ph_err replay_watched(struct again *a, const char *path, const struct ph_log *log,
                             struct ph_fault *fault)
{
    const struct cli_watch_params watch = {
        .what = "rendering: frame", .unit = "frames", .ask = ask, .opaque = a
    };
    struct cli_watch *w = cli_flag(a->args, "quiet") ? NULL : cli_watch_begin(&watch);
    ph_err err = ph_replay(path,
                           &(struct ph_replay_params){ .log = log,
                                                       .nodes = replay_nodes(),
                                                       .started = on_started,
                                                       .ended = on_ended,
                                                       .graphs = change_texts,
                                                       .opaque = a },
                           fault);
    cli_watch_end(&w);
    return err;
}

// In one go: its pictures come at the moments of the live run and its sound through the graph, so
// there are no segments of a constant rate that could be put together with the sound of a file.
static int render_journal(struct cli_args *args, const char *path, const char *output)
{
    struct again a = { .graph = { .output = output, .overwrite = true },
                       .args = args,
                       .lock = PTHREAD_MUTEX_INITIALIZER };
    struct ph_fault fault = { 0 };
    struct ph_log log = cli_log(cli_flag(args, "verbose"), cli_flag(args, "quiet"));
    int64_t begin = ph_now_ns();
    char spent[32];
    int status = parse_size(cli_text(args, "size"), &a.width, &a.height);
    if (status) return status;
    ph_err err = replay_watched(&a, path, &log, &fault);
    if (err < 0) {
        fault.code = err;
        return cli_fault("", NULL, &fault);
    }
    struct stat st;
    if (stat(output, &st)) {
        cli_error("%s is not written: %s was shown no picture", output, a.graph.film);
        return CLI_FAILED;
    }
    if (!cli_flag(args, "quiet"))
        fprintf(stderr, "%s: rendered in %s\n", output,
                cli_duration((double) (ph_now_ns() - begin) * 1e-9, spent, sizeof spent));
    return CLI_OK;
}

// --- the command

static bool is_journal(const char *path)
{
    static const char begin[] = "{\"phosphene\":\"journal\"";
    char text[sizeof begin] = "";
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(text, 1, sizeof begin - 1, f) : 0;
    if (f) fclose(f);
    return n == sizeof begin - 1 && !strcmp(text, begin);
}

static int check_files(const struct cli_args *args)
{
    const char *input = args->words[0], *output = cli_text(args, "output");
    struct stat st;
    if (!output) {
        cli_error("where to? -o film.mp4");
        return CLI_USAGE;
    }
    const char *end = strrchr(output, '.');
    if (!end || (strcmp(end, ".mp4") && strcmp(end, ".mov") && strcmp(end, ".m4v"))) {
        cli_error("a render is .mp4, .m4v or .mov, got \"%s\"", output);
        return CLI_USAGE;
    }
    if (stat(input, &st) || S_ISDIR(st.st_mode) || access(input, R_OK)) {
        cli_error("cannot read %s: %s", input,
                  !stat(input, &st) && S_ISDIR(st.st_mode) ? "it is a folder"
                                                           : strerror(errno));
        return CLI_INPUT;
    }
    if (access(output, F_OK) || cli_flag(args, "overwrite")) return CLI_OK;
    cli_error("%s exists already", output);
    cli_hint("-y replaces it");
    return CLI_INPUT;
}

static int run_render(struct cli_args *args)
{
    int status = check_files(args);
    if (status) return status;
    const char *input = args->words[0], *output = cli_text(args, "output");
    cli_catch_signals();
    if (is_journal(input)) return render_journal(args, input, output);
    struct render r = {
        .args = args, .song = input, .output = output, .quiet = cli_flag(args, "quiet")
    };
    r.film.output = output;
    snprintf(r.folder, sizeof r.folder, "%.4000s.part", output);
    status = render_song(&r);
    cli_graph_free(&r.graph);
    return status;
}

// clang-format off
static const struct cli_option options[] = {
    { "output", 'o', "FILE", .help = "the film: .mp4, .m4v or .mov (H.264 and AAC)", .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "overwrite", 'y', .help = "replaces a film of that name, and what another render has left", .group = "Output", .flags = CLI_NO_ENV },
    { "quality", 'q', "N", "80", .help = "1 to 100, about as JPEG's", .group = "Output", .type = CLI_INT, .min = 1, .max = 100 },
    { "size", 0, "WxH", .help = "of the film: the largest size in the graph becomes this, the others grow with it [as the graph has it]", .group = "Output" },
    { "fps", 0, "N", .help = "frames per second, 1 to 240 [as the graph has it]", .group = "Output" },
    { "preset", 0, "GRAPH", .help = "what is shown: a preset, a file or a graph text [waves]", .group = "Graph", .words = CLI_GRAPH },
    { "set", 'p', "NODE.PARAM=VALUE", .help = "sets a parameter", .group = "Graph", .words = CLI_PARAM, .flags = CLI_MANY | CLI_NO_ENV },
    { "seed", 0, "N", "1", .help = "what random numbers start from; the same seed gives the same bytes", .group = "Graph", .type = CLI_INT, .min = 0, .max = 9007199254740992.0 },
    { "explain", 0, .help = "print the graph that would be rendered, and render nothing", .group = "Graph", .flags = CLI_NO_ENV },
    { "for", 0, "TIME", .help = "only so much of the song: 10s, 2m", .group = "How long", .type = CLI_SECONDS, .flags = CLI_NO_ENV },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene render song.flac -o song.mp4", "a music film" },
    { "phosphene render song.flac -o song.mp4 --preset 'pattern -> b: blur -> live; "
      "b.radius <- 5 + 5 * sine(2)' --size 1280x720 --fps 30",
      "by a graph of your own" },
    { "phosphene render show.journal -o show.mp4 --size 1920x1080 --set paint.steps=4",
      "a live session again, larger and with more steps" },
    { 0 },
};
const struct cli_command cli_render = {
    .name = "render",
    .args = "SONG|JOURNAL",
    .help = "make a film from a song, or a larger one from a live session",
    .text =
        "Runs the graph without a clock: every frame has the sound of its own time, nothing is "
        "dropped, and the same song, graph and seed give the same bytes. Whatever takes sound "
        "from a source in the graph takes the song's.\n\nThe film is made in segments of ten "
        "seconds beside the output (FILE.part). A render that was killed or interrupted goes "
        "on "
        "with the same command: the pictures up to there are made again, because effects "
        "remember, but not encoded, and the film has the same bytes as in one go.\n\nA journal "
        "(phosphene run --journal) is replayed with the sizes and values given here; what was "
        "changed live stays as it was changed.",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_FILE,
    .run = run_render,
};
