// SPDX-License-Identifier: MIT
// phosphene listen on songs that are made here.
#include "program.h"

#include "audio/make_wav.h"
#include "config.h"
#include "core/json.h"

#include <sys/stat.h>

// Clicks at 120 BPM over a quiet A minor chord.
static const char *song(double seconds)
{
    static float x[22050 * 30];
    static char path[4096];
    int frames = (int) (seconds * 22050);
    if (!PH_HAVE_FFMPEG) TEST_SKIP("a build without FFmpeg reads no sound files");
    for (int i = 0; i < frames; i++) {
        double t = i / 22050.0, beat = fmod(t, 0.5);
        x[i] = (float) (0.6 * exp(-beat * 60) * sin(2 * M_PI * 1500 * beat) +
                        0.05 * (sin(2 * M_PI * 220 * t) + sin(2 * M_PI * 261.63 * t) +
                                sin(2 * M_PI * 329.63 * t)));
    }
    struct wav w = { 22050, 1, frames, false, x, 0 };
    snprintf(path, sizeof path, "%s", temp_path("song.wav"));
    CHECK_OK(wav_write(path, &w));
    return path;
}

TEST(a_song_is_summed_up_and_drawn)
{
    const char *path = song(12), *png = temp_path("plot.png");
    const struct output *o = PHOSPHENE("listen", path, "-o", png);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "song.wav\n");
    CHECK_HAS(o->out, "0:12.0");
    CHECK_HAS(o->out, "A minor");
    CHECK_HAS(o->out, "BPM");
    CHECK_HAS(o->err, "plot.png");
    unsigned char head[24];
    FILE *f = fopen(png, "rb");
    CHECK(f && fread(head, 1, sizeof head, f) == sizeof head);
    fclose(f);
    CHECK(!memcmp(head, "\x89PNG", 4));
    CHECK_INT(head[18] << 8 | head[19], ==, 1920);
    o = PHOSPHENE("listen", path, "-o", png);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "exists already");
    CHECK_STATUS(PHOSPHENE("listen", path, "-o", png, "-y", "--quiet"), 0);
}

TEST(json_has_beats_at_their_times)
{
    const struct output *o = PHOSPHENE("listen", song(12), "--json", "--no-plot");
    struct ph_json_doc *doc;
    CHECK_STATUS(o, 0);
    CHECK_OK(ph_json_parse(&doc, o->out, strlen(o->out), 0, NULL));
    const struct ph_json *root = ph_json_root(doc), *beats = ph_json_get(root, "beats");
    CHECK_NUM(fabs(ph_json_double(ph_json_get(root, "tempo_of_beats_bpm"), 0) - 120), <, 1.5);
    CHECK_INT(beats->count, >=, 20);
    for (const struct ph_json *b = beats->child; b; b = b->next)
        CHECK_NUM(fabs(b->number - 0.5 * rint(b->number / 0.5)), <, 0.07);
    CHECK_INT(ph_json_get(root, "onsets")->count, >=, 20);
    CHECK_INT(ph_json_get(root, "warnings")->count, ==, 0);
    CHECK_STR(ph_json_string(ph_json_get(ph_json_get(root, "key"), "name"), ""), "A minor");
    ph_json_free(&doc);
}

static int lines_of(const char *dir, const char *name)
{
    char path[4400];
    int lines = 0, c;
    snprintf(path, sizeof path, "%s/%s.csv", dir, name);
    FILE *f = fopen(path, "r");
    if (!f) TEST_FAIL("%s is not there", path);
    while ((c = fgetc(f)) != EOF) lines += c == '\n';
    fclose(f);
    return lines;
}

TEST(tables_have_a_line_for_each_frame)
{
    static const char *const names[] = { "frames", "mel_db",     "mfcc",   "contrast_db",
                                         "chroma", "chroma_cqt", "tonnetz" };
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", temp_path("tables"));
    CHECK_STATUS(PHOSPHENE("listen", song(3), "--csv", dir, "--no-plot"), 0);
    for (int i = 0; i < 7; i++) CHECK_INT(lines_of(dir, names[i]), ==, 2 + 3 * 22050 / 512);
    CHECK_INT(lines_of(dir, "beats"), >, 1);
    CHECK_INT(lines_of(dir, "onsets"), >, 1);
    CHECK_STATUS(PHOSPHENE("listen", song(3), "--csv", "/none/there", "--no-plot"), 1);
}

TEST(odd_songs_are_told_about)
{
    static float x[22050 * 9];
    struct wav w = { 22050, 1, 22050 * 9, true, x, 0 };
    char path[4096];
    song(1);
    snprintf(path, sizeof path, "%s", temp_path("odd.wav"));
    CHECK_OK(wav_write(path, &w));
    const struct output *o = PHOSPHENE("listen", path, "--no-plot");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "silent");
    CHECK_HAS(o->out, "tempo      none");
    for (int i = 0; i < w.frames; i++) x[i] = i % 4 < 2 ? 1 : -1;
    x[99] = NAN;
    CHECK_OK(wav_write(path, &w));
    o = PHOSPHENE("listen", path, "--no-plot");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "clipped");
    CHECK_HAS(o->err, "1 samples are no numbers");
    w.frames = 1;
    CHECK_OK(wav_write(path, &w));
    o = PHOSPHENE("listen", path, "-o", temp_path("one.png"));
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "shorter than 8 seconds");
}

TEST(what_is_no_song_is_refused)
{
    song(1);
    const struct output *o = PHOSPHENE("listen", "/none/song.mp3", "--no-plot");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "/none/song.mp3");
    CHECK_STATUS(PHOSPHENE("listen"), 2);
    o = PHOSPHENE("listen", song(1), "-o", temp_path("plot.txt"));
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, ".png");
}
