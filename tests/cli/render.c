// SPDX-License-Identifier: MIT
// phosphene render: decoded again, the film has the song's length, sound and beats; a render that
// was killed goes on to the same bytes.
#include "terminal.h"

#include <math.h>
#include <signal.h>

static void need_ffmpeg(void)
{
    if (!have_program("ffprobe") || !have_program("ffmpeg"))
        TEST_SKIP("ffmpeg is not installed");
    if (!strstr(PHOSPHENE("doctor")->out, "libx264")) TEST_SKIP("no H.264 encoder");
}

static void make_song(const char *path, const char *filter)
{
    CHECK_STATUS(run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", filter, "-ar", "44100",
                     path, NULL),
                 0);
}

static double probe(const char *file, const char *stream, const char *what)
{
    char show[64];
    snprintf(show, sizeof show, "stream=%s", what);
    const struct output *o = run("ffprobe", "-v", "error", "-count_frames", "-select_streams",
                                 stream, "-show_entries", show, "-of", "csv=p=0", file, NULL);
    CHECK_STATUS(o, 0);
    return atof(o->out);
}

// dB
static double loudness(const char *file)
{
    const struct output *o = run("ffmpeg", "-v", "info", "-nostats", "-i", file, "-map", "a",
                                 "-af", "volumedetect", "-f", "null", "-", NULL);
    const char *mean = strstr(o->err, "mean_volume: ");
    if (!mean) TEST_FAIL("no loudness of %s: %s", file, o->err);
    return atof(mean + 13);
}

#define SMALL "--size", "160x90", "--fps", "30"
#define WAVE  "pattern -> b: blur -> live; b.radius <- 5 + 5 * sine(2) + walk(1)"

TEST(a_film_has_the_songs_length_and_loudness)
{
    need_ffmpeg();
    char song[256], film[256];
    snprintf(song, sizeof song, "%s", temp_path("song.flac"));
    snprintf(film, sizeof film, "%s", temp_path("film.mp4"));
    make_song(song, "sine=frequency=440:duration=12.345");
    const struct output *o = PHOSPHENE("render", song, "-o", film, "--preset", WAVE, SMALL);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "frames/s");
    CHECK_INT((int) probe(film, "v", "nb_read_frames"), ==,
              371);                                             // 12.345 s * 30, the last begun
    CHECK(fabs(probe(film, "a", "duration") - 12.345) < 0.022); // a frame of AAC
    CHECK(fabs(probe(film, "v", "start_time")) < 1e-6);
    CHECK(fabs(loudness(song) - loudness(film)) < 0.5);
    CHECK(run("test", "-e", temp_path("film.mp4.part"), NULL)->status != 0);
}

// Pairs of a click in the sound and the first white frame: a click each half second, and a white
// frame wherever a beat of 120 a minute begins.
static int samples(const char *film, float *out, int most)
{
    static char path[300];
    snprintf(path, sizeof path, "%s.f32", film);
    CHECK_STATUS(run("ffmpeg", "-v", "error", "-y", "-i", film, "-map", "a", "-ac", "1", "-f",
                     "f32le", "-ar", "48000", path, NULL),
                 0);
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    int n = (int) fread(out, sizeof *out, (size_t) most, f);
    fclose(f);
    return n;
}

static int grays(const char *film, unsigned char *out, int most)
{
    static char path[300];
    snprintf(path, sizeof path, "%s.gray", film);
    CHECK_STATUS(run("ffmpeg", "-v", "error", "-y", "-i", film, "-map", "v", "-vf",
                     "scale=1:1:flags=area,format=gray", "-f", "rawvideo", path, NULL),
                 0);
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    int n = (int) fread(out, 1, (size_t) most, f);
    fclose(f);
    return n;
}

TEST(clicks_and_flashes_are_within_5_ms_from_the_first_to_the_last)
{
    need_ffmpeg();
    static float sound[48000 * 40];
    static unsigned char gray[50 * 40];
    char song[256], film[256];
    snprintf(song, sizeof song, "%s", temp_path("clicks.wav"));
    snprintf(film, sizeof film, "%s", temp_path("clicks.mp4"));
    make_song(song, "aevalsrc=0.9*lt(mod(t\\,0.5)\\,0.01)*sin(6283*t):d=31:s=44100");
    CHECK_STATUS(PHOSPHENE("render", song, "-o", film, "--size", "64x64", "--fps", "50",
                           "--preset",
                           "pattern solid color=#000000 -> c: color -> live\n"
                           "c.brightness <- step(0.5, exp_decay(1))"),
                 0);
    int count = samples(film, sound, 48000 * 40), frames = grays(film, gray, 50 * 40);
    CHECK_INT(frames, ==, 31 * 50);
    CHECK_INT(count, >, 48000 * 30);
    for (int k = 2; k < 61; k++) { // the encoder's run-in blurs the very first
        int at = k * 24000 - 4800, frame = k * 25 - 5;
        while (at < count && fabsf(sound[at]) < 0.2f) at++;
        while (frame < frames && gray[frame] < 128) frame++;
        double click = at / 48000.0, flash = frame / 50.0;
        if (fabs(click - flash) > 0.005)
            TEST_FAIL("beat %d: click at %.4f s, flash at %.4f s", k, click, flash);
    }
}

// Kills a render once it has its first segment; false: it was quicker than that.
static bool kill_in_the_middle(const char *song, const char *film)
{
    char segment[300];
    snprintf(segment, sizeof segment, "%s.part/000000.seg", film);
    struct child c =
        start(program(), "render", song, "-o", film, "--preset", WAVE, SMALL, NULL);
    while (access(segment, F_OK) && access(film, F_OK)) sleep_ms(1);
    kill(c.pid, SIGKILL);
    finish(&c);
    return access(film, F_OK) != 0;
}

TEST(a_killed_render_goes_on_to_the_same_bytes)
{
    need_ffmpeg();
    char song[256], whole[256], killed[256], filter[300];
    snprintf(song, sizeof song, "%s", temp_path("long.flac"));
    snprintf(whole, sizeof whole, "%s", temp_path("whole.mp4"));
    snprintf(killed, sizeof killed, "%s", temp_path("killed.mp4"));
    bool caught = false;
    for (int seconds = 25; seconds <= 1600 && !caught; seconds *= 4) {
        snprintf(filter, sizeof filter, "sine=frequency=330:duration=%d", seconds);
        make_song(song, filter);
        unlink(killed);
        caught = kill_in_the_middle(song, killed);
    }
    CHECK(caught);
    const struct output *o =
        PHOSPHENE("render", song, "-o", killed, "--preset", WAVE, SMALL, "--seed", "2");
    CHECK_STATUS(o, 3); // not the same work
    CHECK_HAS(o->err, "another render");
    o = PHOSPHENE("render", song, "-o", killed, "--preset", WAVE, SMALL);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "are there already");
    CHECK_STATUS(PHOSPHENE("render", song, "-o", whole, "--preset", WAVE, SMALL), 0);
    CHECK_STATUS(run("cmp", whole, killed, NULL), 0);

    unlink(killed); // segments as another version made them are made anew
    snprintf(filter, sizeof filter, "%s.part/000000.seg", killed);
    if (!kill_in_the_middle(song, killed)) return;
    FILE *segment = fopen(filter, "r+b");
    CHECK(segment && fwrite("PHSEG1\n", 8, 1, segment) == 1 && !fclose(segment));
    o = PHOSPHENE("render", song, "-o", killed, "--preset", WAVE, SMALL);
    CHECK_STATUS(o, 0);
    CHECK(!strstr(o->err, "are there already"));
    CHECK_STATUS(run("cmp", whole, killed, NULL), 0);
}

TEST(another_seed_gives_other_bytes)
{
    need_ffmpeg();
    char song[256], a[256], b[256];
    snprintf(song, sizeof song, "%s", temp_path("song.flac"));
    snprintf(a, sizeof a, "%s", temp_path("a.mp4"));
    snprintf(b, sizeof b, "%s", temp_path("b.mp4"));
    make_song(song, "sine=frequency=440:duration=2");
    CHECK_STATUS(PHOSPHENE("render", song, "-o", a, "--preset", WAVE, SMALL), 0);
    CHECK_STATUS(PHOSPHENE("render", song, "-o", b, "--preset", WAVE, SMALL, "--seed", "2"), 0);
    CHECK_STATUS(run("cmp", "-s", a, b, NULL), 1);
}

TEST(the_song_takes_the_place_of_what_the_graph_hears)
{
    need_ffmpeg();
    char song[256];
    snprintf(song, sizeof song, "%s", temp_path("song.flac"));
    make_song(song, "sine=frequency=440:duration=2");
    const struct output *o =
        PHOSPHENE("render", song, "-o", temp_path("f.mp4"), "--explain", "--preset",
                  "file elsewhere.mp4 -> w: waveform -> jpeg -> live; file.sound => w.audio",
                  "--set", "waveform.position=0.25", SMALL);
    CHECK_STATUS(o, 3); // no node is called waveform
    CHECK_HAS(o->err, "no node \"waveform\"");
    o = PHOSPHENE("render", song, "-o", temp_path("f.mp4"), "--explain", "--preset",
                  "p: pattern -> w: waveform -> jpeg -> live; m: file loud.mp3; m.sound => "
                  "w.audio",
                  "--set", "w.position=0.25", SMALL);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "song: file path=");
    CHECK_HAS(o->out, "song.sound =>");
    CHECK_HAS(o->out, "size=160x90");
    CHECK_HAS(o->out, "fps=30");
    CHECK_HAS(o->out, "position=0.25");
    CHECK(!strstr(o->out, "loud.mp3"));
    CHECK(!strstr(o->out, "jpeg"));
}

// Two parts of other notes, loudness and overtones.
#define TWO_PARTS                                                                              \
    "aevalsrc=exprs='if(lt(t,16),0.1*sin(2*PI*220*t)+0.1*sin(2*PI*277*t),"                     \
    "0.2*sin(2*PI*311*t)+0.2*sin(2*PI*1244*t)+0.2*sin(2*PI*370*t))':d=32:s=44100"

TEST(a_film_has_a_chapter_for_each_part_of_its_song)
{
    need_ffmpeg();
    char song[256], film[256];
    snprintf(song, sizeof song, "%s", temp_path("parts.wav"));
    snprintf(film, sizeof film, "%s", temp_path("parts.mp4"));
    make_song(song, TWO_PARTS);
    CHECK_STATUS(PHOSPHENE("render", song, "-o", film, "--preset", "pattern -> live", SMALL),
                 0);
    const struct output *o =
        run("ffprobe", "-v", "error", "-show_chapters", "-of", "csv=p=0:nk=1", "-show_entries",
            "chapter=start_time,end_time:chapter_tags=title", film, NULL);
    CHECK_STATUS(o, 0);
    double at[4];
    char one[32] = "", two[32] = "";
    if (sscanf(o->out, "%lf,%lf,%31[^\n]\n%lf,%lf,%31[^\n]", &at[0], &at[1], one, &at[2],
               &at[3], two) != 6)
        TEST_FAIL("other chapters than two: %s", o->out);
    CHECK_STR(one, "Section 1");
    CHECK_STR(two, "Section 2");
    CHECK_NUM(at[0], ==, 0);
    CHECK_NUM(fabs(at[2] - 16), <=, 0.6);
    CHECK_NUM(fabs(at[3] - 32), <=, 0.01);
    CHECK_NUM(at[1], ==, at[2]);
}

TEST(a_journal_is_rendered_larger_than_it_was_live)
{
    need_ffmpeg();
    char journal[256], film[256];
    snprintf(journal, sizeof journal, "%s", temp_path("show.journal"));
    snprintf(film, sizeof film, "%s", temp_path("show.mp4"));
    CHECK_STATUS(PHOSPHENE("run", "p: pattern size=64x48 fps=60 => j: jpeg -> l: live", "-n",
                           "20", "--journal", journal),
                 0);
    const struct output *o =
        PHOSPHENE("render", journal, "-o", film, "--size", "640x480", "--set", "p.speed=3");
    CHECK_STATUS(o, 0);
    CHECK_INT((int) probe(film, "v", "width"), ==, 640);
    CHECK_INT((int) probe(film, "v", "nb_read_frames"), >, 1);
}

TEST(what_cannot_be_rendered_says_why)
{
    need_ffmpeg();
    char song[256], text[256];
    snprintf(song, sizeof song, "%s", temp_path("song.flac"));
    snprintf(text, sizeof text, "%s", temp_path("text.flac"));
    make_song(song, "sine=frequency=440:duration=1");
    write_text(text, "this is no sound\n");
    const struct output *o = PHOSPHENE("render", song);
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "-o film.mp4");
    CHECK_STATUS(PHOSPHENE("render", song, "-o", "f.gif"), 2);
    CHECK_STATUS(PHOSPHENE("render", song, "-o", "f.mp4", "--size", "big", "--preset", WAVE),
                 2);
    CHECK_STATUS(PHOSPHENE("render", song, "-o", "f.mp4", "--fps", "0", "--preset", WAVE), 2);
    CHECK_STATUS(PHOSPHENE("render", "/nowhere.flac", "-o", "f.mp4", "--preset", WAVE), 3);
    o = PHOSPHENE("render", text, "-o", temp_path("f.mp4"), "--preset", WAVE);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "text.flac");
    o = PHOSPHENE("render", song, "-o", temp_path("f.mp4"), "--preset",
                  "pattern -> b: blur -> live; b.radius <- kik");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "kik");
}
