// SPDX-License-Identifier: MIT
// phosphene replay: writes over nothing, shows its pictures where it is told, and twice the same.
#include "terminal.h"

#include <phosphene/graph.h>

#include <time.h>

static bool same_bytes(const char *a, const char *b)
{
    return run("cmp", "-s", a, b, NULL)->status == 0;
}

static void copy_file(const char *from, const char *to)
{
    CHECK_STATUS(run("cp", from, to, NULL), 0);
}

static int frames_in(const char *file)
{
    const struct output *o =
        run("ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries",
            "stream=nb_read_frames", "-of", "csv=p=0", file, NULL);
    CHECK_STATUS(o, 0);
    return atoi(o->out);
}

static void need_ffmpeg(void)
{
    if (!have_program("ffprobe") || !have_program("ffmpeg"))
        TEST_SKIP("ffmpeg is not installed");
    if (!strstr(PHOSPHENE("doctor")->out, "libx264")) TEST_SKIP("no H.264 encoder");
}

// A live run of a graph with its journal.
static void make_journal(const char *journal, const char *graph, const char *frames)
{
    const struct output *o = PHOSPHENE("run", graph, "-n", frames, "--journal", journal);
    CHECK_STATUS(o, 0);
}

// frames of the sinks of `phosphene replay --json`; -1 = there is none of that name
static int replayed_frames(const struct output *o, const char *sink)
{
    const struct ph_json *sinks = ph_json_get(parse_json(o->out), "sinks");
    for (const struct ph_json *s = sinks ? sinks->child : NULL; s; s = s->next)
        if (!strcmp(ph_json_string(ph_json_get(s, "node"), ""), sink))
            return (int) ph_json_int(ph_json_get(s, "frames"), -1);
    return -1;
}

TEST(a_replay_writes_over_nothing_that_the_live_run_wrote)
{
    need_ffmpeg();
    char graph[1024], kept[32];
    snprintf(graph, sizeof graph,
             "p: pattern size=64x64 fps=60 -> r: record %s\np -> i: image %s\n"
             "p -> h: hash %s\np => n: null\np => w: delay 5 -> e: jpeg -> l: live",
             temp_path("take.mp4"), temp_path("still.png"), temp_path("hashes.txt"));
    make_journal(temp_path("j"), graph, "30");
    static const char *const names[] = { "take.mp4", "still.png", "hashes.txt" };
    write_text(temp_path("still.png"), "mine\n"); // what is there now must be there afterwards
    write_text(temp_path("hashes.txt"), "mine\n");
    for (int i = 0; i < 3; i++) {
        snprintf(kept, sizeof kept, "kept-%d", i);
        copy_file(temp_path(names[i]), temp_path(kept));
    }
    const struct output *o = PHOSPHENE("replay", temp_path("j"), "--json");
    CHECK_STATUS(o, 0);
    CHECK_INT(replayed_frames(o, "n"), >, 0);
    CHECK_INT(replayed_frames(o, "l"), ==, 0); // nobody watched it
    int frames = replayed_frames(o, "r");
    CHECK_INT(frames, >, 3);
    CHECK_INT(replayed_frames(o, "i"), ==, frames);
    CHECK_INT(replayed_frames(o, "h"), ==, frames);
    CHECK_INT(frames_in(temp_path("take.mp4")), ==, frames);
    for (int i = 0; i < 3; i++) {
        snprintf(kept, sizeof kept, "kept-%d", i);
        if (!same_bytes(temp_path(names[i]), temp_path(kept)))
            TEST_FAIL("%s was written over", names[i]);
    }
}

TEST(o_gives_the_bytes_of_the_live_record_with_its_sound_and_twice_the_same)
{
    static const char *const ends[] = { "mp4", "mkv", "webm" };
    char graph[1024], name[32];
    need_ffmpeg();
    const char *input = temp_path("in.mp4");
    CHECK_STATUS(run("ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                     "testsrc=size=160x120:rate=30", "-f", "lavfi", "-i", "sine=440", "-t", "1",
                     input, NULL),
                 0);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "live.%s", ends[i]);
        snprintf(graph, sizeof graph,
                 "f: file %s/in.mp4 => m: mirror -> r: record %s\nf.sound => r.sound",
                 temp_dir(), temp_path(name));
        CHECK_STATUS(PHOSPHENE("run", graph, "--journal", temp_path("j")), 0);
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "again-%d.%s", k, ends[i]);
            const struct output *o = PHOSPHENE("replay", temp_path("j"), "-o", temp_path(name));
            CHECK_STATUS(o, 0);
            CHECK_HAS(o->err, name);
            char live[32];
            snprintf(live, sizeof live, "live.%s", ends[i]);
            if (!same_bytes(temp_path(name), temp_path(live)))
                TEST_FAIL("replay %d and %s differ", k, live);
        }
        const struct output *o =
            run("ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of",
                "csv=p=0", temp_path(name), NULL);
        CHECK_HAS(o->out, "video");
        CHECK_HAS(o->out, "audio");
        CHECK_INT(frames_in(temp_path(name)), >, 2); // those that were not dropped
    }
}

TEST(o_shows_what_went_to_a_live_without_its_encoder)
{
    char graph[512], ids[64];
    need_ffmpeg();
    const char *journal = temp_path("j"), *film = temp_path("film.mp4");
    // a slow step: the numbers in the pictures have gaps
    make_journal(journal,
                 "pattern size=320x240 fps=60 id=on => delay 25 => h: hash id=on\n"
                 "p: pattern size=320x240 fps=30 id=on kind=solid => d: delay 50 -> j: jpeg "
                 "-> live: live\np -> null",
                 "40");
    CHECK_STATUS(PHOSPHENE("replay", journal, "-o", film), 0);
    int frames = frames_in(film);
    CHECK_INT(frames, >, 2);
    CHECK_INT(frames, <, 40);
    snprintf(graph, sizeof graph, "file %s pace=fast -> hash - id=on", film);
    const struct output *o = PHOSPHENE("run", graph, "--offline", "-q");
    CHECK_STATUS(o, 0);
    int seen = 0, gaps = 0, last = -1;
    for (const char *line = o->out; *line; line = strchr(line, '\n') + 1) {
        unsigned long long id;
        long long pts;
        int code;
        if (sscanf(line, "%llu %lld %63s %d", &id, &pts, ids, &code) != 4)
            TEST_FAIL("no bar code: %.80s", line);
        CHECK_INT(code, >, last);
        gaps += code > last + 1;
        last = code;
        seen++;
    }
    CHECK_INT(seen, ==, frames);
    CHECK_INT(gaps, >, 0);
}

TEST(what_drives_an_encoder_does_not_keep_a_session_from_being_replayed)
{
    char film[256];
    need_ffmpeg();
    const char *journal = temp_path("j");
    make_journal(journal,
                 "pattern size=64x64 fps=60 => j: jpeg -> live\nj.q <- 60 + 20 * sine(1)",
                 "12");
    snprintf(film, sizeof film, "%s", temp_path("film.mp4"));
    CHECK_STATUS(PHOSPHENE("replay", journal), 0);
    CHECK_STATUS(PHOSPHENE("replay", journal, "-o", film), 0);
    CHECK_INT(frames_in(film), >, 0);
}

TEST(o_writes_pictures_too)
{
    const char *journal = temp_path("j");
    make_journal(journal, "pattern size=64x64 fps=60 -> jpeg -> live", "12");
    CHECK_STATUS(PHOSPHENE("replay", journal, "-o", temp_path("last.png")), 0);
    CHECK_STATUS(PHOSPHENE("replay", journal, "-o", temp_path("p-%02d.png")), 0);
    char name[32]; // a live run may show one more before it hears that twelve are enough
    int last = 99;
    do snprintf(name, sizeof name, "p-%02d.png", --last);
    while (last > 0 && access(temp_path(name), F_OK));
    CHECK_INT(last, >=, 11);
    CHECK(same_bytes(temp_path("last.png"), temp_path(name)));
}

TEST(o_refuses_what_it_cannot_or_must_not_write)
{
    char journal[160], there[160];
    snprintf(journal, sizeof journal, "%s", temp_path("j"));
    snprintf(there, sizeof there, "%s", temp_path("there.mp4"));
    make_journal(journal, "pattern size=64x64 fps=60 => jpeg => live", "5");
    write_text(there, "mine\n");
    const struct output *o = PHOSPHENE("replay", journal, "-o", there);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "there.mp4 exists already");
    CHECK_HAS(o->err, "-y");
    CHECK_STR(read_text(there), "mine\n");
    o = PHOSPHENE("replay", journal, "-o", "film.xyz");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, ".mp4");
    o = PHOSPHENE("replay", temp_dir());
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "folder");
    // nobody watched, and the encoder has a lane of its own: the sink had no frame
    o = PHOSPHENE("replay", journal, "-o", temp_path("none.mp4"));
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "live was shown no picture");
    CHECK(access(temp_path("none.mp4"), F_OK));
    need_ffmpeg();
    CHECK_STATUS(run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440", "-t", "1",
                     temp_path("sound.mkv"), NULL),
                 0);
    char graph[256];
    snprintf(graph, sizeof graph, "f: file %s\nf.sound -> hash", temp_path("sound.mkv"));
    CHECK_STATUS(PHOSPHENE("run", graph, "--journal", journal), 0);
    o = PHOSPHENE("replay", journal, "-o", temp_path("sound.mp4"));
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "no sink of the journal's graph shows pictures");
}

// Waits until that many frames have come out.
static void wait_for_frames(struct ph_graph *g, uint64_t frames)
{
    struct ph_graph_rates r = { 0 };
    for (; r.input < frames; sleep_ms(10)) ph_graph_get_rates(g, &r);
}

TEST(o_is_the_first_recording_when_there_were_several)
{
    need_ffmpeg();
    char text[512];
    struct ph_graph *g;
    snprintf(text, sizeof text, "p: pattern size=64x64 fps=60 => n: null");
    CHECK_OK(
        ph_graph_create(&g, text, ph_graph_params(.journal = temp_path("j"), .seed = 3), NULL));
    CHECK_OK(ph_graph_start(g));
    wait_for_frames(g, 10);
    for (int i = 0; i < 3; i++) { // one, none, another of the same name
        snprintf(text, sizeof text, "p: pattern size=64x64 fps=60 => n: null\n%s%s%s",
                 i == 1 ? "" : "p =>[block 8] r: record ",
                 i == 1 ? "" : temp_path(i ? "b.mkv" : "a.mkv"), "\n");
        CHECK_OK(ph_graph_edit(g, 1, text, NULL));
        wait_for_frames(g, 30 + 20 * (uint64_t) i);
    }
    ph_graph_destroy(&g);
    const struct output *o = PHOSPHENE("replay", temp_path("j"), "-o", temp_path("film.mkv"));
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "made anew");
    CHECK(same_bytes(temp_path("film.mkv"), temp_path("a.mkv")));
    CHECK(!same_bytes(temp_path("film.mkv"), temp_path("b.mkv")));
}

// Until a child has used so much of the processor.
static void wait_for_work(const struct child *c, double seconds)
{
    clockid_t clock;
    CHECK_OK(clock_getcpuclockid(c->pid, &clock));
    for (struct timespec t = { 0 }; (double) t.tv_sec + (double) t.tv_nsec / 1e9 < seconds;
         sleep_ms(20))
        CHECK_OK(clock_gettime(clock, &t));
}

// A replay is as much work as its run was: more than there is in the two seconds after which there
// is something to see.
TEST_LIMIT(a_terminal_sees_how_far_a_replay_is, 240)
{
    const char *journal = temp_path("j");
    const struct output *o;
    struct child c = start(program(), "run", "pattern noise size=256x256 -> blur -> hash",
                           "--offline", "--journal", journal, NULL);
    wait_for_work(&c, 4);
    stop_child(&c, SIGINT, &o);
    CHECK_STATUS(o, 130);
    const char *text = TERMINAL_UNTIL(" left", "replay", journal);
    CHECK_HAS(text, "\rreplaying: frame ");
    CHECK_HAS(text, " frames, ");
    CHECK_HAS(text, " left");
}
