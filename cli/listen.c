// SPDX-License-Identifier: MIT
// phosphene listen: what is in a song, as a summary, a picture, JSON and tables.
#include "cli.h"
#include "listen.h"

#include "core/cpu.h"
#include "core/together.h"
#include "nodes/picture_file.h"

#include <phosphene/clock.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MOST 4096

struct job {
    const struct cli_args *args;
    struct listen l;
    char plot[PATH_MOST]; // "" = none
    struct ph_picture_writer *writer;
    struct ph_song_file *file;
    struct ph_song *song;
    struct cli_watch *watch;
    _Atomic int decoded, analysed; // permille
};

// ------------------------------------------------------------------------------ output
// song.mp3 → song.png in the folder one is in, song-2.png where that is taken.
static void choose_plot(struct job *j)
{
    const char *dot = strrchr(j->l.name, '.');
    int length = (int) (dot && dot > j->l.name ? dot - j->l.name : (long) strlen(j->l.name));
    snprintf(j->plot, sizeof j->plot, "%.*s.png", length, j->l.name);
    for (int i = 2; !access(j->plot, F_OK) && i < 10000; i++)
        snprintf(j->plot, sizeof j->plot, "%.*s-%d.png", length, j->l.name, i);
}

static int prepare_plot(struct job *j)
{
    struct ph_fault fault = { 0 };
    const char *out = cli_text(j->args, "output");
    if (cli_flag(j->args, "no-plot")) return CLI_OK;
    if (out)
        snprintf(j->plot, sizeof j->plot, "%s", out);
    else
        choose_plot(j);
    if (!access(j->plot, F_OK) && !cli_flag(j->args, "overwrite")) {
        cli_error("%s exists already", j->plot);
        cli_hint("-y replaces it; without -o the picture gets a number");
        return CLI_INPUT;
    }
    ph_err ret = cli_check_writable(j->plot, &fault);
    if (ret >= 0) ret = ph_picture_writer_create(&j->writer, j->plot, &fault);
    if (ret == PH_ENOTSUP && !out) { // a build without PNG still tells and writes tables
        j->plot[0] = '\0';
        return CLI_OK;
    }
    if (ret == PH_EINVAL) return cli_error("%s", fault.message), CLI_USAGE;
    return ret < 0 ? cli_fault("", NULL, &fault) : CLI_OK;
}

static int draw(struct job *j)
{
    struct ph_fault fault = { 0 };
    struct ph_frame *picture = NULL;
    if (!j->writer) return CLI_OK;
    ph_err ret = ph_frame_picture(NULL, PH_RGBA, 1920, 1200, &picture);
    if (ret >= 0) ret = listen_plot(&picture->picture, &j->l, &fault);
    if (ret >= 0) ret = ph_picture_save(j->writer, j->plot, &picture->picture, 95, &fault);
    ph_frame_unref(&picture);
    if (ret >= 0) return CLI_OK;
    if (!fault.code) ph_fail(&fault, ret, "", "%s: %s", j->plot, ph_strerror(ret));
    return cli_fault("", NULL, &fault);
}

static int say(struct job *j)
{
    struct ph_fault fault = { 0 };
    struct ph_buf text = { 0 };
    const char *tables = cli_text(j->args, "csv");
    if (tables && listen_tables(tables, &j->l, &fault) < 0) return cli_fault("", NULL, &fault);
    int status = draw(j);
    if (cli_flag(j->args, "json"))
        listen_json(&text, &j->l);
    else
        listen_summary(&text, &j->l);
    if (text.data) fputs(text.data, stdout);
    ph_buf_clear(&text);
    listen_warnings(&text, &j->l);
    if (text.len && !cli_flag(j->args, "quiet") && !cli_flag(j->args, "json"))
        fputs(text.data, stderr);
    ph_buf_free(&text);
    if (status || cli_flag(j->args, "quiet")) return status;
    if (j->plot[0]) fprintf(stderr, "wrote %s\n", j->plot);
    if (tables) fprintf(stderr, "wrote tables to %s\n", tables);
    return CLI_OK;
}

// ------------------------------------------------------------------------------ work
static bool ask(void *opaque, struct cli_progress *p, double *done)
{
    struct job *j = opaque;
    int analysed = atomic_load(&j->analysed);
    p->what = analysed ? "listening" : "decoding";
    p->total = 100;
    p->share = (300 * atomic_load(&j->decoded) / 1000.0 + 700 * analysed / 1000.0) / 1000;
    *done = 100 * p->share;
    return true;
}

static ph_err listen_to(struct job *j, struct ph_fault *fault)
{
    int64_t start = ph_now_ns(), decoded;
    const struct ph_song_file_params read = { .permille = &j->decoded, .stop = &cli_signal };
    int workers = ph_cpu_count() < 8 ? ph_cpu_count() : 8;
    const struct ph_song_params par = { .together = ph_together,
                                        .workers = workers,
                                        .permille = &j->analysed,
                                        .stop = &cli_signal };
    ph_err ret = ph_song_file_open(&j->file, j->l.path, &read, fault);
    if (ret < 0) return ret;
    decoded = ph_now_ns();
    j->decoded = 1000;
    struct ph_song_source source = ph_song_file_source(j->file);
    ret = ph_song_analyse(&j->song, &source, &par, fault);
    j->l.file = ph_song_file_info(j->file);
    j->l.song = j->song;
    j->l.decode_s = (double) (decoded - start) / 1e9;
    j->l.analysis_s = (double) (ph_now_ns() - decoded) / 1e9;
    return ret;
}

static int run_listen(struct cli_args *args)
{
    struct ph_fault fault = { 0 };
    struct job *j = calloc(1, sizeof *j);
    if (!j) return cli_error("out of memory"), CLI_FAILED;
    const char *path = args->words[0], *slash = strrchr(path, '/');
    j->args = args;
    j->l = (struct listen){ .path = path, .name = slash ? slash + 1 : path };
    cli_catch_signals();
    int status = prepare_plot(j);
    if (!status) {
        if (!cli_flag(args, "quiet"))
            j->watch = cli_watch_begin(
                &(struct cli_watch_params){ .unit = "%", .ask = ask, .opaque = j });
        ph_err ret = listen_to(j, &fault);
        cli_watch_end(&j->watch);
        if (cli_signal)
            status = cli_exit_of_signal();
        else
            status = ret < 0 ? cli_fault("", NULL, &fault) : say(j);
    }
    ph_song_destroy(&j->song);
    ph_song_file_close(&j->file);
    ph_picture_writer_destroy(&j->writer);
    free(j);
    return status;
}

// clang-format off
static const struct cli_option options[] = {
    { "output", 'o', "FILE", .help = "the picture, .png or .jpg [song.png of song.mp3, here]", .group = "Output", .words = CLI_FILE, .flags = CLI_NO_ENV },
    { "no-plot", 0, .help = "draw no picture", .group = "Output", .flags = CLI_NO_ENV },
    { "overwrite", 'y', .help = "-o may replace a file", .group = "Output", .flags = CLI_NO_ENV },
    { "csv", 0, "DIR", .help = "write every feature of every frame as tables", .group = "Output", .words = CLI_DIR, .flags = CLI_NO_ENV },
    { "json", 0, .help = "say it as JSON: tempo, beats, onsets, key, levels", .group = "Output" },
    { 0 },
};
// clang-format on
static const struct cli_example examples[] = {
    { "phosphene listen song.flac", "a summary, and a picture of it" },
    { "phosphene listen song.mp3 --json --no-plot", "for a program" },
    { "phosphene listen song.wav --csv features", "every feature, frame by frame" },
    { 0 },
};
const struct cli_command cli_listen = {
    .name = "listen",
    .args = "FILE",
    .help = "find tempo, beats, onsets and key of a song, and draw them",
    .text = "Reads what FFmpeg reads; of several channels the mean is heard, at 22.05 kHz. The "
            "numbers are librosa's (docs/music.md).",
    .examples = examples,
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .words = CLI_FILE,
    .run = run_listen,
};
