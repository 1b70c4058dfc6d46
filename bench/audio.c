// SPDX-License-Identifier: MIT
// Group audio: a four-minute song analysed whole, and how well beats and onsets are found where the
// truth is known (the reference's signals, when their folder is there).
#include "bench.h"

#include "audio/live/score.h"
#include "audio/tempo.h"
#include "audio/song.h"
#include "core/json.h"
#include "core/together.h"
#include "cli/cli.h"
#include "nodes/media/song_file.h"

#include <phosphene/clock.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RATE = PH_SONG_RATE_HZ, MINUTES = 4, CORES = 2 };

// ------------------------------------------------------------------------------ speed
static uint32_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return (uint32_t) (x >> 16);
}

// Kick, hats, a bass and changing chords at 126 BPM.
static void make_song(int64_t at, int64_t n, float *out)
{
    static const float chord[4][3] = { { 220, 261.63f, 329.63f },
                                       { 174.61f, 220, 261.63f },
                                       { 261.63f, 329.63f, 392 },
                                       { 196, 246.94f, 293.66f } };
    for (int64_t i = 0; i < n; i++) {
        double t = (double) (at + i) / RATE, beat = t * 2.1;
        float in_beat = (float) ((beat - floor(beat)) / 2.1);
        const float *c = chord[(int) (beat / 4) & 3];
        float noise = (float) mix((uint64_t) (at + i)) / 2147483648.0f - 1;
        float v = 0.5f * expf(-18 * in_beat) * sinf(345 * in_beat) + 0.01f * noise;
        float half = in_beat > 0.238f ? in_beat - 0.238f : 1;
        v += 0.15f * expf(-90 * half) * noise;
        float turn = (float) (t - floor(t));
        for (int k = 0; k < 3; k++) v += 0.07f * sinf(6.2831853f * roundf(c[k]) * turn);
        out[i] = v;
    }
}

// As a song from a file is kept: in an unnamed file, so that its samples are no part of the memory.
static FILE *spool_song(int64_t samples)
{
    float piece[4096];
    FILE *f = tmpfile();
    for (int64_t at = 0; f && at < samples; at += 4096) {
        size_t n = (size_t) (samples - at < 4096 ? samples - at : 4096);
        make_song(at, (int64_t) n, piece);
        if (fwrite(piece, sizeof *piece, n, f) != n) {
            fclose(f);
            return NULL;
        }
    }
    if (f) fflush(f);
    return f;
}

static ph_err read_spool(void *opaque, int64_t at, int64_t n, float *out)
{
    size_t bytes = sizeof *out * (size_t) n;
    ssize_t got = pread(fileno(opaque), out, bytes, (off_t) (sizeof *out * (size_t) at));
    return got == (ssize_t) bytes ? PH_OK : PH_EIO;
}

// In a process of its own, so that its memory is this one's alone. Answers seconds and megabytes.
static bool analyse_apart(int64_t samples, double *seconds, double *mb)
{
    int ends[2];
    double answer[2] = { 0 };
    if (pipe(ends)) return false;
    pid_t pid = fork();
    if (!pid) {
        struct ph_song *song = NULL;
        FILE *spool = spool_song(samples);
        struct ph_song_source source = { samples, 0, read_spool, spool };
        struct ph_song_params par = { .together = ph_together, .workers = CORES };
        struct rusage after;
        int64_t start = ph_now_ns();
        bool ok = spool && !ph_song_analyse(&song, &source, &par, NULL);
        answer[0] = (double) (ph_now_ns() - start) / 1e9;
        getrusage(RUSAGE_SELF, &after);
        answer[1] = (double) after.ru_maxrss / 1024;
        ok = ok && write(ends[1], answer, sizeof answer) == sizeof answer;
        _exit(!ok);
    }
    close(ends[1]);
    bool ok = pid > 0 && read(ends[0], answer, sizeof answer) == sizeof answer;
    close(ends[0]);
    if (pid > 0) waitpid(pid, NULL, 0);
    *seconds = answer[0];
    *mb = answer[1];
    return ok;
}

static void time_song(struct bench *b)
{
    static const char *const name = "audio/song-4min", *const memory = "audio/song-4min-memory";
    double seconds = 0, mb = 0, best = 1e9;
    bool ok = true;
    if (!bench_wants(b, name)) return;
    int64_t samples = (int64_t) (MINUTES * 60 * RATE);
    if (bench_begin(b, name)) {
        for (int i = 0; i < (bench_quick(b) ? 1 : 3) && ok && !bench_stopped(b); i++) {
            ok = analyse_apart(samples, &seconds, &mb);
            best = seconds < best ? seconds : best;
        }
        if (!ok) return bench_skip(b, name, "the analysis failed");
        bench_add(b,
                  (struct bench_result){ .value = best, .unit = "s", .bar = 3, .less = true });
    }
    if (bench_begin(b, memory)) {
        if (mb <= 0) ok = analyse_apart(samples, &seconds, &mb);
        if (!ok) return bench_skip(b, memory, "the analysis failed");
        bench_add(b,
                  (struct bench_result){ .value = mb, .unit = "MB", .bar = 120, .less = true });
    }
    if (!bench_counting(b) && bench_wants(b, "audio/song-4min-librosa"))
        bench_skip(b, "audio/song-4min-librosa", "librosa is no Debian package");
}

// ------------------------------------------------------------------------------ scores
#define MOST_EVENTS 4096

struct times {
    double at[MOST_EVENTS];
    int count;
};

static void times_of(const struct ph_json *list, struct times *out)
{
    out->count = 0;
    for (const struct ph_json *v = list ? list->child : NULL; v && out->count < MOST_EVENTS;
         v = v->next)
        out->at[out->count++] = v->number;
}

static void times_of_frames(const struct ph_song *s, const int64_t *frame, int64_t n,
                            struct times *out)
{
    out->count = 0;
    for (int64_t i = 0; i < n && i < MOST_EVENTS; i++)
        out->at[out->count++] = (double) frame[i] * s->hop / s->rate_hz;
}

static struct ph_song *analyse_file(const char *path)
{
    struct ph_song *song = NULL;
    struct ph_song_file *file = NULL;
    if (ph_song_file_open(&file, path, &(struct ph_song_file_params){ 0 }, NULL)) return NULL;
    struct ph_song_source source = ph_song_file_source(file);
    struct ph_song_params par = { .together = ph_together, .workers = CORES };
    if (ph_song_analyse(&song, &source, &par, NULL)) song = NULL;
    ph_song_file_close(&file);
    return song;
}

static void score(struct bench *b, const char *name, const struct times *found,
                  const struct times *truth, double tolerance_s, double from_s)
{
    struct ph_score s =
        ph_score_events(found->at, found->count, truth->at, truth->count, tolerance_s, from_s);
    if (!bench_begin(b, name)) return;
    struct bench_result r = { .value = s.f, .unit = "F" };
    if (!truth->count) r = (struct bench_result){ .value = found->count, .unit = "false" };
    bench_add(b, r);
}

// How likely half or double the tempo is beside the one that was found: an octave error is near at 1.
static void weigh_octaves(struct bench *b, const char *name, const struct ph_song *s)
{
    if (!bench_begin(b, name)) return;
    const struct ph_tempo_params par = { .rate_hz = s->rate_hz, .hop = s->hop };
    struct ph_tempo_octaves o =
        ph_tempo_octaves(s->onset_median, s->frames, s->beats.bpm, &par);
    bench_add(b, (struct bench_result){ .value = fmax(o.half, o.twice), .unit = "octave" });
}

static void score_signal(struct bench *b, const char *dir, const char *signal)
{
    static struct times found, truth;
    char path[4200], name[96], prefix[64];
    struct ph_json_doc *doc = NULL;
    snprintf(prefix, sizeof prefix, "audio/%s", signal);
    if (!bench_wants(b, prefix)) return;
    snprintf(path, sizeof path, "%s/%s.truth.json", dir, signal);
    char *text = bench_counting(b) ? NULL : cli_read_file(path, 16 << 20, NULL);
    bool ok = text && !ph_json_parse(&doc, text, strlen(text), 0, NULL);
    snprintf(path, sizeof path, "%s/%s.wav", dir, signal);
    struct ph_song *s = ok ? analyse_file(path) : NULL;
    const struct ph_json *root = ok ? ph_json_root(doc) : NULL;
    if (s || bench_counting(b)) {
        times_of(ph_json_get(root, "beats"), &truth);
        if (s) times_of_frames(s, s->beats.frame, s->beats.count, &found);
        snprintf(name, sizeof name, "audio/%s-beats", signal);
        score(b, name, &found, &truth, 0.07, 0);
        snprintf(name, sizeof name, "audio/%s-beats-trim5s", signal);
        score(b, name, &found, &truth, 0.07, 5);
        snprintf(name, sizeof name, "audio/%s-octave", signal);
        weigh_octaves(b, name, s);
        times_of(ph_json_get(root, "onsets"), &truth);
        if (s) times_of_frames(s, s->onset_frame, s->onsets, &found);
        snprintf(name, sizeof name, "audio/%s-onsets", signal);
        score(b, name, &found, &truth, 0.05, 0);
    } else {
        bench_skip(b, prefix, "its file cannot be read");
    }
    ph_song_destroy(&s);
    ph_json_free(&doc);
    free(text);
}

static void score_signals(struct bench *b)
{
    static const char *const signals[] = { "click_060", "click_090",    "click_120",
                                           "click_174", "ramp_100_140", "song_128",
                                           "swing_096", "song_clipped", "song_44k_stereo",
                                           "sweep_log", "noise_white",  "speech_en" };
    const char *golden = getenv("PH_GOLDEN");
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/audio", golden ? golden : "../shared/golden");
    if (access(dir, R_OK)) {
        if (!bench_counting(b) && bench_wants(b, "audio/scores"))
            bench_skip(b, "audio/scores", "no reference signals; PH_GOLDEN names their folder");
        return;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals && !bench_stopped(b); i++)
        score_signal(b, dir, signals[i]);
}

void bench_audio(struct bench *b)
{
    time_song(b);
    score_signals(b);
}
