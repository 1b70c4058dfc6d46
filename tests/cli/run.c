// SPDX-License-Identifier: MIT
// phosphene run, nodes and doctor as a user meets them.
#include "terminal.h"

TEST(a_wrong_node_is_shown_with_its_place_and_the_nearest_name)
{
    const struct output *o = PHOSPHENE("run", "pattern -> nul");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "graph:1:12:");
    CHECK_HAS(o->err, "\"null\"");
    CHECK_HAS(o->err, "    1 | pattern -> nul\n      |            ^\n");
}

TEST(a_wrong_value_in_a_file_is_shown_with_file_line_and_column)
{
    const char *file = temp_path("wrong.graph");
    write_text(file, "# three lines\npattern kind=ball\n  -> resize 99999x1 -> null\n");
    const struct output *o = PHOSPHENE("run", file);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "wrong.graph:3:13:");
    CHECK_HAS(o->err, "    3 |   -> resize 99999x1 -> null\n      |             ^\n");
}

TEST(the_caret_counts_characters_and_not_bytes)
{
    const struct output *o = PHOSPHENE("run", "pattern # äöü\n-> \"ß\" -> null");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "    2 | -> \"ß\" -> null\n      |    ^\n");
}

TEST(what_is_neither_graph_nor_file_is_bad_input)
{
    const struct output *o = PHOSPHENE("run", "nosuchthing");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "\"nosuchthing\" is no preset, no file and no graph text");
    CHECK_STATUS(PHOSPHENE("run", temp_dir()), 3);
    CHECK_STATUS(PHOSPHENE("run"), 2);
    o = PHOSPHENE("run", "pattern", "->", "null");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "quotes");
}

TEST(frames_ends_a_run_with_success)
{
    const struct output *o =
        PHOSPHENE("run", "pattern size=64x64 -> null", "-n", "20", "--offline");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "20 frames");
    CHECK_STR(o->out, "");
}

TEST(for_ends_a_run_on_time)
{
    const struct output *o =
        PHOSPHENE("run", "pattern size=64x64 fps=30 -> null", "--for", "500ms", "--quiet");
    CHECK_STATUS(o, 0);
    CHECK_NUM(o->seconds, >=, 0.5);
    CHECK_NUM(o->seconds, <, 1.5 * TEST_SLOW);
    CHECK_STR(o->err, "");
    CHECK_STATUS(PHOSPHENE("run", "pattern -> null", "--for", "1s", "--offline"), 2);
}

TEST(offline_is_faster_than_the_clock_and_loses_nothing)
{
    const struct output *o = PHOSPHENE("run", "pattern size=64x64 fps=1 => null", "-n", "200",
                                       "--offline", "--json");
    CHECK_STATUS(o, 0);
    CHECK_NUM(o->seconds, <, 100); // twice that by the clock
    const struct ph_json *room = parse_json(o->out);
    CHECK_STR(ph_json_string(ph_json_get(room, "state"), ""), "ended");
    CHECK_INT(ph_json_int(ph_json_get(room, "frame"), 0), ==, 200);
}

TEST(stats_name_every_node_and_its_times)
{
    const struct output *o = PHOSPHENE("run", "a: pattern size=64x64 -> b: mirror => c: null",
                                       "-n", "30", "--stats");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "p99 ms");
    CHECK_HAS(o->out, "bottleneck");
    CHECK_HAS(o->out, "\na  ");
    CHECK_HAS(o->out, "\nb  ");
    CHECK_HAS(o->out, "b.out -> c.in");
}

TEST(explain_prints_the_plan_and_runs_nothing)
{
    const struct output *o = PHOSPHENE("run", "pattern => null", "--explain");
    CHECK_STATUS(o, 0);
    CHECK_NUM(o->seconds, <, 2 * TEST_SLOW);
    CHECK_HAS(o->out, "pattern");
    CHECK_HAS(o->out, "lane");
}

TEST(p_sets_a_parameter_before_the_first_frame)
{
    const struct output *o = PHOSPHENE("run", "pattern -> null", "-p", "pattern.size=320x200",
                                       "-p", "pattern.kind=bars", "-n", "3", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *node = ph_json_at(ph_json_get(parse_json(o->out), "nodes"), 0);
    const struct ph_json *params = ph_json_get(node, "params");
    CHECK_STR(ph_json_string(ph_json_get(params, "size"), ""), "320x200");
    CHECK_STR(ph_json_string(ph_json_get(params, "kind"), ""), "bars");
}

TEST(p_refuses_what_does_not_fit_by_name)
{
    const struct output *o = PHOSPHENE("run", "pattern -> null", "-p", "patern.size=1x1");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "did you mean pattern?");
    o = PHOSPHENE("run", "pattern -> null", "-p", "pattern.fps=1e9");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "pattern.fps");
    o = PHOSPHENE("run", "pattern -> null", "-p", "size=1x1");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, "node.param=value");
}

TEST(i_replaces_the_source_and_keeps_the_rest)
{
    const struct output *o = PHOSPHENE("run", "pattern -> mirror -> null", "-i",
                                       "pattern kind=noise size=48x48", "-n", "3", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *room = parse_json(o->out);
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), "kind=noise");
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), "mirror");
    o = PHOSPHENE("run", "pattern -> null", "-i", "/no/such/file.mp4", "-n", "1");
    CHECK(o->status == 3 || o->status == 4);
    CHECK_HAS(o->err, "/no/such/file.mp4");
}

TEST(o_refuses_a_name_that_it_cannot_write)
{
    const struct output *o = PHOSPHENE("run", "pattern -> null", "-o", "out.xyz");
    CHECK_STATUS(o, 2);
    CHECK_HAS(o->err, ".mp4");
}

TEST(a_file_that_cannot_be_used_is_bad_input_and_a_device_is_missing)
{
    static const struct {
        const char *graph;
        int status;
        const char *says;
    } cases[] = {
        { "pattern -> record there.mp4", 3, "there.mp4 exists already" },
        { "pattern -> record none/film.mp4", 3, "no such folder" },
        { "pattern -> image none/still.png", 3, "no such folder" },
        { "pattern -> hash none/lines.txt", 3, "none/lines.txt" },
        { "pattern -> overlay logo=none.png -> null", 3, "none.png" },
        { "pattern -> overlay logo=folder -> null", 3, "folder is not a file" },
        { "pattern -> overlay logo=there.mp4 -> null", 3, "neither PNG nor JPEG" },
        { "file none.mp4 -> null", 3, "none.mp4" },
        { "file folder -> null", 3, "folder: is a directory" },
        { "folder", 3, "folder: it is a folder" },
        { "camera /dev/video77 -> null", 4, "there is no /dev/video77" },
        { "camera folder -> null", 4, "folder is no camera" },
        { "screen -> null", 4, "no X11 display" },
    };
    if (!strstr(PHOSPHENE("doctor")->out, "libx264")) TEST_SKIP("built without FFmpeg");
    write_text(temp_path("there.mp4"), "mine\n");
    CHECK_OK(mkdir(temp_path("folder"), 0777));
    CHECK_OK(chdir(temp_dir()));
    unsetenv("DISPLAY");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct output *o = PHOSPHENE("run", cases[i].graph, "-n", "1");
        if (o->status != cases[i].status || !strstr(o->err, cases[i].says))
            TEST_FAIL("%s: exit status %d, want %d; %s", cases[i].graph, o->status,
                      cases[i].status, o->err);
    }
    CHECK_STATUS(PHOSPHENE("run", "pattern -> null", "-n", "1", "--journal", "folder"), 3);
    CHECK_STATUS(PHOSPHENE("run", "pattern -> null", "-n", "1", "--trace", "folder"), 3);
    CHECK_STATUS(PHOSPHENE("run", "pattern -> null", "-n", "1", "-i", "folder"), 3);
    CHECK_STR(read_text("there.mp4"), "mine\n");
}

TEST(what_a_sink_could_not_write_fails_the_run)
{
    const char *folder = temp_path("here"), *away = temp_path("away"),
               *still = temp_path("here/still.png");
    char graph[256];
    const struct output *o;
    CHECK_OK(mkdir(folder, 0777));
    snprintf(graph, sizeof graph, "pattern size=64x64 fps=100 -> image %s", still);
    struct child c = start(program(), "run", graph, "-n", "300", NULL);
    while (access(still, F_OK)) sleep_ms(10); // it has begun
    CHECK_OK(rename(folder, away));
    o = finish(&c);
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, "still.png: No such file");
}

TEST(a_window_without_a_display_is_skipped)
{
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
    setenv("LSAN_OPTIONS", "detect_leaks=0", 1); // SDL keeps some memory for good
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    const struct output *o =
        PHOSPHENE("run", "p: pattern size=64x64 fps=30 -> window\np -> null", "-n", "60");
    if (o->status == 4) TEST_SKIP("built without SDL");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "[window] warning: skipped: there is no display");
    CHECK_HAS(o->err, " frames in "); // it went on to its end
}

TEST(a_graph_that_leads_nowhere_says_so_and_o_ends_it)
{
    static const char *const graphs[] = { "pattern size=64x64 fps=60",
                                          "pattern size=64x64 fps=60 -> mirror" };
    for (int i = 0; i < 2; i++) {
        const struct output *o = PHOSPHENE("run", graphs[i], "-n", "5");
        CHECK_STATUS(o, 3);
        CHECK_HAS(o->err, "no sink");
        CHECK_HAS(o->err, "-> window");
        CHECK_HAS(o->err, "-o out.mp4");
        o = PHOSPHENE("run", graphs[i], "-n", "5", "-o", "null", "--json");
        CHECK_STATUS(o, 0);
        const char *text = ph_json_string(ph_json_get(parse_json(o->out), "text"), "");
        CHECK_HAS(text, i ? "mirror.out -> null.in" : "pattern.out -> null.in");
        CHECK_STATUS(PHOSPHENE("run", graphs[i], "--explain"), 0);
    }
}

TEST(trace_is_chrome_json_with_a_bar_for_each_node)
{
    const char *file = temp_path("trace.json");
    const struct output *o =
        PHOSPHENE("run", "pattern size=64x64 -> mirror -> null", "-n", "10", "--trace", file);
    CHECK_STATUS(o, 0);
    const struct ph_json *events = ph_json_get(parse_json(read_text(file)), "traceEvents");
    int seen = 0;
    for (const struct ph_json *e = events ? events->child : NULL; e; e = e->next)
        seen += !strcmp(ph_json_string(ph_json_get(e, "name"), ""), "mirror");
    CHECK_INT(seen, >=, 10);
    o = PHOSPHENE("run", "pattern -> null", "-n", "1", "--trace", "/no/such/folder/t.json");
    CHECK_STATUS(o, 3);
    CHECK(!strstr(o->err, "frames")); // said before the run, not after it
    CHECK_HAS(o->err, "/no/such/folder/t.json");
}

TEST(sigterm_and_sigint_end_a_run_within_a_second)
{
    static const char *const graphs[] = {
        "pattern size=64x64 -> null",
        "pattern size=64x64 fps=1 => null", // asleep between ticks
        "pattern size=64x64 => delay 10000 -> delay 10000 -> delay 10000 => null", // a long step
        "pattern size=64x64 fps=1000 =>[block 4] delay 100 -> null", // a producer that waits
    };
    static const int signals[] = { SIGTERM, SIGINT };
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++)
        for (int s = 0; s < 2; s++) {
            const struct output *o;
            struct child c = start(program(), "run", graphs[i], NULL);
            sleep_ms(i ? 400 : 150);
            double took = stop_child(&c, signals[s], &o);
            CHECK_STATUS(o, 128 + signals[s]);
            CHECK_NUM(took, <, STOP_LIMIT_S);
        }
}

// VP8 takes seconds for such a picture, and nothing can tell it to leave off.
TEST(a_step_that_does_not_end_keeps_no_run_from_ending)
{
    char graph[256];
    const struct output *o = PHOSPHENE("doctor");
    if (!strstr(o->out, "libvpx")) TEST_SKIP("no VP8 encoder");
    snprintf(graph, sizeof graph, "pattern noise size=6000x6000 fps=1 -> record %s",
             temp_path("slow.webm"));
    struct child c = start(program(), "run", graph, NULL);
    sleep_ms(2500);
    double took = stop_child(&c, SIGTERM, &o);
    CHECK_STATUS(o, 143);
    CHECK_NUM(took, <, STOP_LIMIT_S);
}

TEST(a_second_signal_ends_at_once)
{
    struct child c =
        start(program(), "run",
              "pattern size=64x64 => delay 10000 -> delay 10000 -> delay 10000 -> null", NULL);
    const struct output *o;
    sleep_ms(300);
    kill(c.pid, SIGINT);
    double took = stop_child(&c, SIGINT, &o);
    CHECK_STATUS(o, 130);
    CHECK_NUM(took, <, STOP_LIMIT_S);
}

TEST(nodes_lists_what_the_graph_knows_and_its_json_parses)
{
    const struct output *o = PHOSPHENE("nodes", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *nodes = parse_json(o->out);
    CHECK_INT(nodes->count, >, 5);
    for (const struct ph_json *n = nodes->child; n; n = n->next) {
        CHECK(*ph_json_string(ph_json_get(n, "name"), ""));
        CHECK(*ph_json_string(ph_json_get(n, "help"), ""));
        CHECK(ph_json_get(n, "params"));
    }
    o = PHOSPHENE("nodes", "pattern");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "size=1280x720");
    CHECK_STR(
        ph_json_string(
            ph_json_get(parse_json(PHOSPHENE("nodes", "pattern", "--json")->out), "name"), ""),
        "pattern");
    o = PHOSPHENE("nodes", "patern");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "did you mean pattern?");
}

TEST(doctor_fits_one_screen_and_its_json_parses)
{
    const struct output *o = PHOSPHENE("doctor");
    CHECK(o->status == 0 || o->status == 4);
    int lines = 0;
    for (const char *c = o->out; *c; c++) lines += *c == '\n';
    CHECK_INT(lines, <=, 40);
    const char *line = too_long(o->out, 100);
    if (line) TEST_FAIL("too long: %s", line);
    int status = o->status;
    o = PHOSPHENE("doctor", "--json");
    CHECK_STATUS(o, status);
    const struct ph_json *report = parse_json(o->out),
                         *sections = ph_json_get(report, "sections");
    CHECK(ph_json_bool(ph_json_get(report, "ok"), false) == (status == 0));
    static const char *const names[] = { "machine",  "pictures", "video",  "text",  "cameras",
                                         "displays", "gpus",     "models", "server" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!ph_json_get(sections, names[i])) TEST_FAIL("no section %s", names[i]);
}

TEST(doctor_tells_a_port_in_use_and_a_masked_cpu)
{
    setenv("PH_CPU", "sse2", 1);
    const struct output *o = PHOSPHENE("doctor");
    CHECK_HAS(o->out, "use sse2 (PH_CPU=sse2)");
    CHECK(!strstr(o->out, "avx512"));
    setenv("XDG_STATE_HOME", "/dev/null/state", 1);
    o = PHOSPHENE("doctor");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->out, "/dev/null/state/phosphene");
}

TEST(a_terminal_sees_rate_and_time_left_after_two_seconds)
{
    const char *text =
        TERMINAL_UNTIL(" left", "run", "pattern size=64x64 fps=50 -> null", "-n", "16000");
    CHECK_HAS(text, " of 16000 frames, ");
    CHECK_HAS(text, "/s, ");
    CHECK_HAS(text, " left");
    CHECK(!strstr(TERMINAL("run", "pattern size=64x64 fps=50 -> null", "-n", "5"), " left"));
    CHECK_HAS(
        TERMINAL_UNTIL(" left", "run", "pattern size=64x64 fps=50 -> null", "--for", "90s"),
        " s left");
}

TEST(no_color_is_honoured_on_a_terminal)
{
    CHECK_HAS(TERMINAL("run", "patern -> null", "-n", "1"), "\033[31m");
    setenv("NO_COLOR", "1", 1);
    CHECK(!strchr(TERMINAL("run", "patern -> null", "-n", "1"), '\033'));
}

// --- files

static int frames_in(const char *file)
{
    const struct output *o = run("ffprobe", "-v", "error", "-count_frames", "-show_entries",
                                 "stream=nb_read_frames", "-of", "csv=p=0", file, NULL);
    CHECK_STATUS(o, 0);
    return atoi(o->out);
}

TEST(i_and_o_put_files_in_place_of_a_presets_ends)
{
    if (!have_program("ffprobe")) TEST_SKIP("ffprobe is not installed");
    const char *one = temp_path("one.mp4"), *two = temp_path("two.mp4");
    const struct output *o = PHOSPHENE("run", "demo", "-p", "pattern.size=160x90", "-o", one,
                                       "-n", "45", "--offline");
    CHECK_STATUS(o, 0);
    CHECK_INT(frames_in(one), ==, 45);
    o = PHOSPHENE("run", "pattern -> mirror => jpeg -> live", "-i", one, "-o", two, "--offline",
                  "--json");
    CHECK_STATUS(o, 0);
    const char *text = ph_json_string(ph_json_get(parse_json(o->out), "text"), "");
    CHECK_INT(frames_in(two), ==, 45);
    CHECK_HAS(text, "file: file");
    CHECK_HAS(text, "record: record");
    CHECK(!strstr(text, "jpeg"));
    o = PHOSPHENE("run", "pattern size=160x90 -> null", "-o", two, "-n", "5", "--offline");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "two.mp4");
    CHECK_HAS(o->err, "-y replaces it");
    CHECK_INT(frames_in(two), ==, 45);
    o = PHOSPHENE("run", "pattern size=160x90 -> null", "-o", two, "-n", "5", "--offline",
                  "-y");
    CHECK_STATUS(o, 0);
    CHECK_INT(frames_in(two), ==, 5);
}

TEST(a_replay_gives_the_hash_of_the_live_run)
{
    const char *journal = temp_path("live.journal");
    // the slow step drops frames: which ones is in the journal
    const struct output *o =
        PHOSPHENE("run", "pattern kind=noise size=64x64 fps=60 => delay 25 -> hash", "-n", "60",
                  "--journal", journal);
    CHECK_STATUS(o, 0);
    char hash[32] = "";
    const char *line = strstr(o->err, "[hash] ");
    CHECK(line && sscanf(line, "[hash] %16[0-9a-f] over", hash) == 1);
    o = PHOSPHENE("replay", journal, "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *sink = ph_json_at(ph_json_get(parse_json(o->out), "sinks"), 0);
    CHECK_STR(ph_json_string(ph_json_get(sink, "hash"), ""), hash);
}

TEST(what_is_no_journal_is_bad_input)
{
    const char *file = temp_path("no.journal");
    write_text(file, "pattern -> null\n");
    const struct output *o = PHOSPHENE("replay", file);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "no.journal is no journal");
    CHECK_STATUS(PHOSPHENE("replay", "/no/such.journal"), 3);
    CHECK_STATUS(PHOSPHENE("replay"), 2);
}
