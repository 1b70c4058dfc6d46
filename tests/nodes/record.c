// SPDX-License-Identifier: MIT
// Recordings: times, content, sizes, and that they are playable whatever happens.
#include "media.h"

#include "nodes/media/writer.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mount.h>
#include <sys/resource.h>

static struct media m;

static struct ph_frame *number(int n, int64_t pts_ns, int width, int height)
{
    struct ph_frame *f;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, width, height, &f));
    for (int y = 0; y < height; y++)
        memset(f->picture.data[0] + y * f->picture.stride[0], 0x60, (size_t) width * 4);
    CHECK_OK(ph_barcode_draw(&f->picture, PH_BARCODE_CENTER, (uint32_t) n));
    f->pts_ns = pts_ns;
    return f;
}

static void write_times(const char *path, const int64_t *pts_ns, int count)
{
    struct ph_writer *w;
    struct ph_fault fault = { 0 };
    struct ph_writer_params par = { .path = path, .quality = 80, .overwrite = true };
    if (ph_writer_create(&w, &par, &fault)) TEST_FAIL("%s", fault.message);
    for (int i = 0; i < count; i++) {
        struct ph_frame *f = number(i, pts_ns[i], 320, 240);
        CHECK_OK(ph_writer_picture(w, f));
        ph_frame_unref(&f);
    }
    CHECK_OK(ph_writer_finish(w));
    ph_writer_destroy(&w);
}

TEST(d2_35_times_in_a_file_rise_even_when_those_of_the_frames_do_not)
{
    MEDIA_NEEDS("ffmpeg");
    static const int64_t ms[] = {
        500, 533, 567, 567, 567, 550, 600, 633, // repeats, a step back
        900, 933, 967,                          // a gap
        0,   33,  67,  100,                     // another source: its time begins again
        134, 134,
    };
    enum { N = sizeof ms / sizeof *ms };
    static const char *const names[] = { "a.mp4", "a.mkv", "a.webm" };
    int64_t pts[N];
    for (int i = 0; i < N; i++) pts[i] = ms[i] * PH_MS_NS;
    for (int k = 0; k < 3; k++) {
        const char *path = media_path(names[k]);
        write_times(path, pts, N);
        media_check_sound_file(path);
        // the demuxer's own numbers, which our source might have put in order
        char *at = (char *) media_sh(
            "ffprobe -v error -show_entries packet=pts,dts -of csv=p=0 %s", path);
        long last = -1, t, d;
        int packets = 0;
        for (; sscanf(at, "%ld,%ld", &t, &d) == 2; at = strchr(at, '\n') + 1, packets++) {
            CHECK_INT(t, >, last);
            CHECK_INT(d, ==, t);
            last = t;
        }
        CHECK_INT(packets, ==, N);
        media_render(&m, "file %s -> live", path);
        media_check_bars(&m, 0, N);
        CHECK_INT(m.seen[0].pts_ns, ==, 0);
        CHECK_INT(llabs(m.seen[8].pts_ns - 400 * PH_MS_NS), <=, 2 * PH_MS_NS);
        CHECK_INT(m.seen[11].pts_ns - m.seen[10].pts_ns, <, 50 * PH_MS_NS); // no hole, no pile
        CHECK_INT(llabs(m.seen[14].pts_ns - m.seen[11].pts_ns - 100 * PH_MS_NS), <=,
                  2 * PH_MS_NS);
        media_close(&m);
    }
}

TEST(d2_35_recording_faster_than_real_time_keeps_the_frames_times)
{
    MEDIA_NEEDS("ffprobe");
    const char *path = media_path("a.mp4");
    struct ph_fault fault = { 0 };
    char text[300];
    snprintf(text, sizeof text, "pattern size=160x120 fps=24 id=on -> record %s", path);
    if (ph_graph_create(&m.graph, text, ph_graph_params(.mode = PH_OFFLINE, .frames = 240),
                        &fault))
        TEST_FAIL("%s", fault.message);
    double before = media_now();
    ph_graph_start(m.graph);
    CHECK_INT(ph_graph_wait(m.graph, -1), ==, PH_EOF);
    CHECK_NUM(media_now() - before, <, 8);
    ph_graph_destroy(&m.graph);
    CHECK_NUM(media_probe(path, "format=duration"), ==, 10);
    media_render(&m, "file %s -> live", path);
    media_check_bars(&m, 0, 240);
    media_close(&m);
}

// The bar codes of a film are a part of what a viewer saw, in order and without a hole.
static void check_part_of(const char *path, const struct media *viewer)
{
    static struct media film;
    int at = 0;
    media_render(&film, "file %s -> live", path);
    CHECK_INT(film.count, >, 0);
    CHECK_INT(film.seen[film.count - 1].pts_ns, >, PH_SECOND_NS * 9 / 10);
    while (at < viewer->count && viewer->seen[at].bar < film.seen[0].bar) at++;
    for (int i = 0; i < film.count && at + i < viewer->count; i++)
        CHECK_INT(film.seen[i].bar, ==, viewer->seen[at + i].bar);
    media_close(&film);
}

TEST(d2_36_a_recording_and_a_viewer_both_get_each_frame_once)
{
    MEDIA_NEEDS("ffmpeg");
    const char *path = media_path("a.mp4");
    media_open(
        &m, PH_LIVE,
        "p: pattern size=160x120 fps=50 id=on\np =>[block 4] record %s\np =>[block 4] live",
        path);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 60, 10);
    media_close(&m);
    for (int i = 1; i < m.count; i++) CHECK_INT(m.seen[i].bar, >, m.seen[i - 1].bar);
    CHECK_INT(abs((int) media_probe(path, "stream=nb_read_packets") - m.count), <=,
              9); // frames in the queues at the end
    check_part_of(path, &m);
}

// Starts and stops a recording of a running room by editing its graph.
static void record_some(const char *path, int frames)
{
    struct ph_fault fault = { 0 };
    char text[400];
    snprintf(text, sizeof text,
             "p: pattern size=511x321 fps=30 id=on\np => live\np =>[block 8] rec: record %s",
             path);
    if (ph_graph_edit(m.graph, 1, text, &fault)) TEST_FAIL("%s", fault.message);
    int before = media_count(&m);
    WAIT_FOR(media_count(&m) >= before + frames, 10);
    if (ph_graph_edit(m.graph, 2, "p: pattern size=511x321 fps=30 id=on\np => live", &fault))
        TEST_FAIL("%s", fault.message);
}

TEST(d2_37_two_recordings_in_a_row_are_fresh_whole_and_of_odd_size)
{
    MEDIA_NEEDS("ffmpeg");
    int begin[2], end[2];
    const char *paths[2] = { media_path("one.mp4"), media_path("two.mp4") };
    media_open(&m, PH_LIVE, "p: pattern size=511x321 fps=30 id=on\np => live");
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 10, 5);
    for (int i = 0; i < 2; i++) {
        usleep(300000); // what is made now must not be in the next file
        begin[i] = m.seen[media_count(&m) - 1].bar;
        record_some(paths[i], 30);
        int now = media_count(&m);
        WAIT_FOR(media_count(&m) >= now + 2, 10); // newer than all that was recorded
        end[i] = m.seen[media_count(&m) - 1].bar;
    }
    media_close(&m);
    for (int i = 0; i < 2; i++) {
        media_check_sound_file(paths[i]);
        media_render(&m, "file %s -> live", paths[i]);
        int last = m.count - 1;
        CHECK_INT(m.count, >, 15);
        CHECK_INT(m.seen[0].width, ==, 512);
        CHECK_INT(m.seen[0].height, ==, 322);
        CHECK_INT(m.seen[0].bar, >=, begin[i]); // no backlog
        CHECK_INT(m.seen[last].bar, <=, end[i] + 9);
        CHECK_INT(m.seen[0].pts_ns, ==, 0);
        double lasts = (m.seen[last].bar - m.seen[0].bar + 1) / 30.;
        CHECK_NUM(fabs(media_probe(paths[i], "format=duration") - lasts), <, 1.01 / 30);
        for (int k = 1; k <= last; k++)
            CHECK_INT(
                llabs(m.seen[k].pts_ns - (m.seen[k].bar - m.seen[0].bar) * PH_SECOND_NS / 30),
                <, PH_MS_NS);
        media_close(&m);
    }
}

TEST(the_added_edge_of_an_odd_size_repeats_the_last_pixels)
{
    MEDIA_NEEDS("ffmpeg");
    media_open(&m, PH_OFFLINE,
               "pattern kind=solid color=#c04080 size=31x17 fps=10 -> record %s quality=100",
               media_path("a.mp4"));
    ph_graph_destroy(&m.graph);
    struct ph_fault fault = { 0 };
    char text[300];
    snprintf(text, sizeof text,
             "pattern kind=solid color=#c04080 size=31x17 fps=10 -> record %s quality=100",
             media_path("a.mp4"));
    CHECK_OK(ph_graph_create(&m.graph, text, ph_graph_params(.mode = PH_OFFLINE, .frames = 2),
                             &fault));
    ph_graph_start(m.graph);
    ph_graph_wait(m.graph, -1);
    ph_graph_destroy(&m.graph);
    media_render(&m, "file %s -> live", media_path("a.mp4"));
    CHECK_INT(m.seen[0].width, ==, 32);
    CHECK_INT(m.seen[0].height, ==, 18);
    for (int y = 0; y < 18; y++)
        for (int x = 0; x < 32; x++)
            if (px_far(px(&m.last->picture, x, y), 0xc04080ff) > 6)
                TEST_FAIL("(%d, %d) is #%08x", x, y, px(&m.last->picture, x, y));
    media_close(&m);
}

TEST(a_film_by_nvenc_is_made_without_it_too)
{
    MEDIA_NEEDS("ffmpeg");
    const char *path = media_path("a.mp4");
    media_open(&m, PH_STEPPED,
               "pattern size=320x240 fps=30 id=on -> record %s preset=nvenc quality=95", path);
    ph_graph_step(m.graph, PH_SECOND_NS);
    media_close(&m);
    media_render(&m, "file %s -> live", path);
    CHECK_INT(m.count, ==, 31);
    for (int i = 0; i < 31; i++) CHECK_INT(m.seen[i].bar, ==, i);
    media_close(&m);
}

TEST(a_stream_that_changes_size_stays_in_one_film)
{
    MEDIA_NEEDS("ffmpeg");
    struct ph_fault fault = { 0 };
    const char *path = media_path("a.mp4");
    media_open(&m, PH_STEPPED, "p: pattern size=320x240 fps=30 id=on -> record %s", path);
    ph_graph_step(m.graph, PH_SECOND_NS);
    CHECK_OK(ph_graph_set(m.graph, 1, "p", "size", "640x480", &fault));
    ph_graph_step(m.graph, 2 * PH_SECOND_NS);
    CHECK_OK(ph_graph_set(m.graph, 1, "p", "size", "480x240", &fault)); // another shape
    ph_graph_step(m.graph, 3 * PH_SECOND_NS);
    media_close(&m);
    media_check_sound_file(path);
    media_render(&m, "file %s -> live", path);
    CHECK_INT(m.count, ==, 91);
    for (int i = 0; i < 61; i++) {
        CHECK_INT(m.seen[i].width, ==, 320);
        CHECK_INT(m.seen[i].bar, ==, i);
    }
    CHECK_INT(m.seen[90].width, ==, 320);
    CHECK_INT(m.seen[90].height, ==, 240);
    CHECK_INT(px_far(px(&m.last->picture, 160, 10), 0x000000ff), <, 8); // fitted, not stretched
    CHECK_INT(px_far(px(&m.last->picture, 10, 120), 0x000000ff), >, 8);
    media_close(&m);
}

TEST(a_killed_process_leaves_a_film_of_all_but_the_last_second)
{
    MEDIA_NEEDS("ffmpeg");
    static const char *const names[] = { "a.mp4", "a.mkv" };
    for (int k = 0; k < 2; k++) {
        const char *path = media_path(names[k]);
        int ends[2], bar = 0;
        CHECK_OK(pipe(ends));
        pid_t pid = fork();
        if (!pid) {
            media_open(&m, PH_LIVE,
                       "p: pattern size=320x240 fps=30 id=on =>[block 2] record %s\np => live",
                       path);
            ph_graph_start(m.graph);
            WAIT_FOR(media_count(&m) > 0 && m.seen[media_count(&m) - 1].bar >= 80, 20);
            bar = m.seen[media_count(&m) - 1].bar;
            CHECK(write(ends[1], &bar, sizeof bar) == sizeof bar);
            kill(getpid(), SIGKILL);
        }
        int status;
        CHECK(read(ends[0], &bar, sizeof bar) == sizeof bar);
        CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        media_render(&m, "file %s -> live", path);
        CHECK_INT(m.count, >=, 30);
        CHECK_INT(m.seen[m.count - 1].bar, >=, bar - 40);
        for (int i = 1; i < m.count; i++) CHECK_INT(m.seen[i].bar, >, m.seen[i - 1].bar);
        media_close(&m);
        if (k == 0) media_check_sound_file(path);
    }
}

// Records noise until the file cannot grow any more; the graph's other sink must not notice.
static void fill_up(const char *path, const char *says)
{
    media_open(
        &m, PH_LIVE,
        "p: pattern noise size=320x240 fps=30 id=on\np =>[block 8] rec: record %s quality=90\n"
        "p -> live",
        path);
    ph_graph_start(m.graph);
    WAIT_FOR(media_says(&m, says), 20);
    CHECK(media_says(&m, path) && media_says(&m, "playable"));
    int when = media_count(&m);
    WAIT_FOR(media_count(&m) >= when + 30, 10);
    CHECK(media_says(&m, says)); // it stays said
    media_unwatch(&m);
    for (int i = 1; i < m.count; i++) CHECK_INT(m.seen[i].bar, >, m.seen[i - 1].bar);
    CHECK_INT(m.seen[m.count - 1].bar - m.seen[when].bar, <, 30 * TEST_SLOW);
    media_close(&m);
    media_check_sound_file(path); // no fragment is broken
    check_part_of(path, &m);
}

TEST(a_file_that_may_not_grow_ends_whole_and_alone)
{
    MEDIA_NEEDS("ffmpeg");
    static const char *const names[] = { "a.mp4", "a.mkv" };
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        struct rlimit limit = { 3 << 20, RLIM_INFINITY };
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
        fill_up(media_path(names[i]), "may not grow");
    }
}

TEST(a_full_disk_ends_the_recording_alone)
{
    MEDIA_NEEDS("ffmpeg");
    const char *disk = media_path("disk");
    CHECK_OK(mkdir(disk, 0755));
    if (mount("tmpfs", disk, "tmpfs", 0, "size=3m"))
        TEST_SKIP("no small disk can be mounted here");
    char path[200];
    snprintf(path, sizeof path, "%s/a.mp4", disk);
    fill_up(path, "the disk is full");
}

TEST(a_graph_that_is_destroyed_closes_its_recording_within_a_second)
{
    MEDIA_NEEDS("ffprobe");
    const char *path = media_path("a.mp4");
    media_open(&m, PH_LIVE,
               "p: pattern size=1920x1080 fps=30 id=on\np =>[block 2] record %s\np => live",
               path);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 20, 20);
    int last = m.seen[media_count(&m) - 1].bar;
    double before = media_now();
    media_close(&m);
    CHECK_NUM(media_now() - before, <, TEST_SLOW);
    media_check_sound_file(path);
    CHECK_NUM(media_probe(path, "format=duration"), >, 0.3);
    media_render(&m, "file %s -> live", path);
    CHECK_INT(m.seen[m.count - 1].bar, >=, last - 30);
    media_close(&m);
}

TEST(sound_is_recorded_in_step_with_the_pictures)
{
    MEDIA_NEEDS("ffmpeg");
    static const char *const names[] = { "b.mp4", "b.webm" };
    // one second of silence, then a tone
    media_sh(
        "ffmpeg -v error -f lavfi -i testsrc2=size=160x120:rate=25:duration=2 -f lavfi -i "
        "sine=frequency=1000:duration=2 -af \"volume=0:enable='lt(t,1)'\" -c:v libx264 -c:a "
        "pcm_s16le a.mkv");
    for (int i = 0; i < 2; i++) {
        const char *path = media_path(names[i]);
        media_render(&m, "f: file %s -> rec: record %s\nf.sound -> rec.sound",
                     media_path("a.mkv"), path);
        media_close(&m);
        media_check_sound_file(path);
        CHECK_NUM(fabs(media_probe(path, "format=duration") - 2), <, 0.06);
        char *at =
            (char *) media_sh("ffmpeg -v info -i %s -af silencedetect=n=-30dB:d=0.3 -f null "
                              "- 2>&1 | sed -n 's/.*silence_end: \\([0-9.]*\\).*/\\1/p'",
                              path);
        CHECK_NUM(fabs(atof(at) - 1), <, 0.05);
    }
}

TEST(what_cannot_be_recorded_is_refused_with_the_reason)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    static const char *const bad[][2] = {
        { "", "which file" },
        { "/tmp/film.avi", ".mp4, .mov, .mkv or .webm" },
        { "/tmp/film", ".mp4, .mov, .mkv or .webm" },
        { "/nowhere/film.mp4", "no such folder" },
        { "/proc/film.mp4", "/proc/film.mp4: " },
    };
    struct ph_fault fault;
    char text[300];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "pattern -> record path=\"%s\"", bad[i][0]);
        CHECK_INT(media_try(&m, PH_LIVE, text, &fault), <, 0);
        CHECK_HAS(fault.message, bad[i][1]);
    }
}

TEST(a_film_that_exists_is_not_overwritten_unless_asked)
{
    MEDIA_NEEDS("ffprobe");
    const char *path = media_path("a.mp4");
    struct ph_fault fault;
    char text[300];
    int64_t pts[30];
    for (int i = 0; i < 30; i++) pts[i] = i * PH_SECOND_NS / 10;
    write_times(path, pts, 30);
    snprintf(text, sizeof text, "pattern -> record %s", path);
    CHECK_INT(media_try(&m, PH_LIVE, text, &fault), ==, PH_EBUSY);
    CHECK_HAS(fault.message, "exists already");
    CHECK_NUM(media_probe(path, "format=duration"), ==, 3);
    media_open(&m, PH_LIVE, "%s overwrite=on", text);
    media_close(&m);
    struct stat st;
    CHECK_INT(stat(path, &st), <, 0); // nothing was recorded, nothing stays
}

static unsigned lost_at_recording(void)
{
    char *status = ph_graph_status_json(m.graph), *link = strstr(status, "\"to\":\"rec.in\"");
    unsigned dropped = 0;
    CHECK(link && sscanf(strstr(link, "\"full\":"), "\"full\":%u", &dropped) == 1);
    free(status);
    return dropped;
}

TEST(slow_encoding_behind_a_queue_costs_the_viewer_nothing)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("this build has no FFmpeg");
    media_open(&m, PH_LIVE,
               "p: pattern noise size=1280x720 fps=0 id=on\np => rec: record %s preset=slow "
               "quality=95\np -> live",
               media_path("a.mp4"));
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 30 && lost_at_recording() > 5, 20); // it is slow
    media_unwatch(&m);
    double late = 0;
    for (int i = 1; i < m.count; i++) {
        double l = (double) (m.seen[i].came_ns - m.seen[i].capture_ns) * 1e-9;
        if (l > late) late = l;
    }
    CHECK_NUM(late, <, TEST_SLOW);
    media_close(&m);
}
