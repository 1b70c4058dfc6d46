// SPDX-License-Identifier: MIT
// Streams, cameras and screens, from real servers on this machine: connecting, losing, idling.
#include "media.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#if PH_HAVE_FFMPEG
#include "nodes/media/v4l2_colors.h"
#endif

static struct media m;

// --- servers

// For a program that has to be told its port: below those that the kernel gives to others, and begun
// at a place of the process's own, so that it is still free when the program takes it.
static int free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    static int next;
    if (!next) next = (int) getpid() * 7;
    for (bool taken = true; taken;) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_port = htons((uint16_t) (12000 + next++ % 18000));
        taken = bind(s, (struct sockaddr *) &a, sizeof a) < 0;
        close(s);
    }
    return ntohs(a.sin_port);
}

// A program that runs beside the test until it is killed.
PH_PRINTF(1, 2)
static pid_t spawn(const char *fmt, ...)
{
    char command[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    pid_t pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char whole[1100];
    snprintf(whole, sizeof whole, "exec %s", command);
    execl("/bin/sh", "sh", "-c", whole, NULL);
    _exit(127);
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

// A television station: MPEG-TS over TCP to whoever connects, key frames every `gop` pictures.
static pid_t station(int port, int gop)
{
    return spawn(
        "ffmpeg -v quiet -re -f lavfi -i testsrc2=size=160x120:rate=30 -c:v libx264 -preset "
        "ultrafast -tune zerolatency -g %d -keyint_min %d -sc_threshold 0 -f mpegts "
        "\"tcp://127.0.0.1:%d?listen=1\" >/dev/null 2>&1",
        gop, gop, port);
}

static void check_time_goes_on(void)
{
    media_unwatch(&m);
    for (int i = 1; i < m.count; i++) {
        CHECK_INT(m.seen[i].pts_ns, >, m.seen[i - 1].pts_ns);
        CHECK_INT(m.seen[i].id, >, m.seen[i - 1].id);
        CHECK_INT(m.seen[i].epoch, ==, 0);
    }
    // stream time is the clock's: the gap of a lost connection is in it
    double stream = (double) (m.seen[m.count - 1].pts_ns - m.seen[0].pts_ns) * 1e-9;
    double clock = (double) (m.seen[m.count - 1].capture_ns - m.seen[0].capture_ns) * 1e-9;
    CHECK_NUM(fabs(stream - clock), <, 1.5);
}

// --- streams

TEST(d2_43_a_stream_that_is_not_there_yet_is_tried_until_it_is)
{
    MEDIA_NEEDS("ffmpeg");
    int port = free_port();
    media_open(&m, PH_LIVE, "file tcp://127.0.0.1:%d => live", port); // does not wait
    ph_graph_start(m.graph);
    WAIT_FOR(media_says(&m, "connection refused"), 3);
    WAIT_FOR(media_says(&m, "trying again"), 1);
    pid_t server = station(port, 30);
    WAIT_FOR(media_count(&m) >= 20, 20);
    CHECK_WELL(&m);
    media_close(&m);
    stop(server);
}

TEST(d2_44_a_stream_that_dies_is_said_so_and_comes_back)
{
    MEDIA_NEEDS("ffmpeg");
    int port = free_port();
    pid_t server = station(port, 30);
    media_open(&m, PH_LIVE, "file tcp://127.0.0.1:%d => live", port);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 15, 20);
    stop(server);
    WAIT_FOR(media_says(&m, "has ended"), 2);
    int died = media_count(&m);
    server = station(port, 30);
    WAIT_FOR(media_count(&m) >= died + 15, 20);
    CHECK_WELL(&m);
    check_time_goes_on();
    media_close(&m);
    stop(server);
}

TEST(an_rtsp_camera_is_read_lost_and_found_again)
{
#ifndef RTSP_SERVER
    TEST_SKIP("built without libgstrtspserver-1.0-dev");
#else
    MEDIA_NEEDS("true");
    if (system(RTSP_SERVER " check >/dev/null 2>&1"))
        TEST_SKIP("no GStreamer plugins (gstreamer1.0-plugins-base, -good)");
    int port = free_port();
    pid_t server = spawn(RTSP_SERVER " %d >/dev/null 2>&1", port);
    media_open(&m, PH_LIVE, "file rtsp://visitor:geheim@127.0.0.1:%d/cam => live", port);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 15, 20);
    media_unwatch(&m);
    CHECK_INT(m.seen[0].width, ==, 320);
    CHECK_INT(px_far(px(&m.last->picture, 100, 100), 0xffffffff), <, 24);
    ph_graph_subscribe(m.graph, "live", &m.sub);
    stop(server);
    WAIT_FOR(media_says(&m, "rtsp://"), 8);
    int died = media_count(&m);
    server = spawn(RTSP_SERVER " %d >/dev/null 2>&1", port);
    WAIT_FOR(media_count(&m) >= died + 15, 20);
    check_time_goes_on();
    media_close(&m);
    CHECK(!strstr(m.problems, "geheim")); // passwords are nobody's business
    CHECK_HAS(m.problems, "rtsp://127.0.0.1");
    stop(server);
#endif
}

TEST(srt_is_read)
{
    MEDIA_NEEDS("ffmpeg");
    if (!strstr(media_sh("ffmpeg -v quiet -protocols"), "srt"))
        TEST_SKIP("this ffmpeg has no SRT");
    int port = free_port();
    pid_t server =
        spawn("ffmpeg -v quiet -re -f lavfi -i testsrc2=size=160x120:rate=30 -c:v libx264 "
              "-preset ultrafast -g 30 -f mpegts \"srt://127.0.0.1:%d?mode=listener\" "
              ">/dev/null 2>&1",
              port);
    media_open(&m, PH_LIVE, "file \"srt://127.0.0.1:%d\" => live", port);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 20, 20);
    media_unwatch(&m);
    media_check_rising(&m);
    media_close(&m);
    stop(server);
}

TEST(a_film_on_a_web_server_plays_at_its_own_pace_and_ends)
{
    MEDIA_NEEDS("python3");
    int port = free_port();
    media_open(&m, PH_STEPPED, "pattern size=160x120 fps=30 id=on -> record %s",
               media_path("a.mp4"));
    ph_graph_step(m.graph, PH_SECOND_NS);
    media_close(&m);
    pid_t server = spawn("python3 %s/../nodes/http_films.py %s %d", getenv("PH_TEST_DATA"),
                         media_dir(), port);
    media_open(&m, PH_LIVE, "file http://127.0.0.1:%d/a.mp4 => live", port);
    ph_graph_start(m.graph);
    CHECK_INT(ph_graph_wait(m.graph, -1), ==, PH_EOF);
    CHECK_INT(m.count, >=, 28); // live: a late one may go
    CHECK_INT(m.seen[m.count - 1].bar, ==, 30);
    double lasted = (double) (m.seen[m.count - 1].came_ns - m.seen[0].came_ns) * 1e-9;
    CHECK_NUM(fabs(lasted - 1), <, 0.4);
    media_close(&m);
    media_open(&m, PH_LIVE, "file http://127.0.0.1:%d/a.mp4 loop=on => live", port);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 45, 10);
    media_unwatch(&m);
    media_check_rising(&m);
    media_close(&m);
    media_open(&m, PH_LIVE, "file http://127.0.0.1:%d/b.mp4 => live", port);
    WAIT_FOR(media_says(&m, "404"), 5);
    media_close(&m);
    stop(server);
}

TEST(rendering_a_film_from_a_web_server_loses_no_frame)
{
    MEDIA_NEEDS("python3");
    int port = free_port();
    media_open(&m, PH_STEPPED, "pattern size=160x120 fps=30 id=on -> record %s",
               media_path("a.mp4"));
    ph_graph_step(m.graph, 5 * PH_SECOND_NS);
    media_close(&m);
    pid_t server = spawn("python3 %s/../nodes/http_films.py %s %d", getenv("PH_TEST_DATA"),
                         media_dir(), port);
    media_render(&m, "file http://127.0.0.1:%d/a.mp4 pace=fast -> live", port);
    media_check_bars(&m, 0, 151);
    media_close(&m);
    stop(server);
}

static double destroy_time(const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    media_open(&m, PH_LIVE, "%s", text);
    ph_graph_start(m.graph);
    usleep(300000);
    double before = media_now();
    media_close(&m);
    return media_now() - before;
}

TEST(d2_17_a_graph_ends_at_once_while_a_server_does_not_answer)
{
    MEDIA_NEEDS("ffmpeg");
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0); // listens, and never says a word
    CHECK(!bind(s, (struct sockaddr *) &a, sizeof a) && !listen(s, 4) &&
          !getsockname(s, (struct sockaddr *) &a, &len));
    int port = ntohs(a.sin_port);
    CHECK_NUM(destroy_time("file rtsp://127.0.0.1:%d/cam => live", port), <, 0.9 * TEST_SLOW);
    CHECK_NUM(destroy_time("file tcp://127.0.0.1:%d => live", port), <, 0.9 * TEST_SLOW);
    CHECK_NUM(destroy_time("file http://127.0.0.1:%d/a.mp4 => live", port), <, 0.9 * TEST_SLOW);
    CHECK_NUM(destroy_time("file rtsp://192.0.2.1/cam => live"), <, 0.9 * TEST_SLOW);
    CHECK_NUM(destroy_time("file rtsp://no.such.host.invalid/cam => live"), <, 0.9 * TEST_SLOW);
    // nothing can interrupt this one: the thread is left behind
    media_sh("mkfifo pipe");
    CHECK_NUM(destroy_time("file %s => live", media_path("pipe")), <, 0.9 * TEST_SLOW);
}

TEST(a_silent_server_is_given_up_and_said_so)
{
    MEDIA_NEEDS("ffmpeg");
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!bind(s, (struct sockaddr *) &a, sizeof a) && !listen(s, 4) &&
          !getsockname(s, (struct sockaddr *) &a, &len));
    media_open(&m, PH_LIVE, "file tcp://127.0.0.1:%d => live", ntohs(a.sin_port));
    ph_graph_start(m.graph);
    WAIT_FOR(media_says(&m, "connecting"), 1);
    WAIT_FOR(media_says(&m, "trying again"), 15);
    media_close(&m);
}

static bool is_asleep(struct ph_graph *g)
{
    struct ph_graph_rates r;
    ph_graph_get_rates(g, &r);
    return r.asleep;
}

TEST(d2_48_a_stream_that_nobody_watches_is_kept_but_not_decoded)
{
    MEDIA_NEEDS("ffmpeg");
    int port = free_port();
    pid_t server = station(port, 3000); // one key frame, then none
    media_open(&m, PH_LIVE, "file tcp://127.0.0.1:%d => live", port);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 15, 20);
    ph_graph_unsubscribe(m.graph, &m.sub);
    WAIT_FOR(is_asleep(m.graph), 5);
    int left = media_count(&m);
    usleep(1000000);
    CHECK_INT(media_count(&m), ==, left);
    int64_t back_ns = ph_now_ns();
    ph_graph_subscribe(m.graph, "live", &m.sub);
    ph_graph_wake(m.graph);
    WAIT_FOR(media_count(&m) >= left + 5, 5);
    media_unwatch(&m);
    // what it shows is new, and did not wait for a key frame, which would not come
    CHECK_INT(m.seen[left].capture_ns, >=, back_ns - 900 * PH_MS_NS);
    CHECK_INT(m.seen[left].pts_ns - m.seen[left - 1].pts_ns, >, PH_SECOND_NS / 2);
    check_time_goes_on();
    media_close(&m);
    stop(server);
}

TEST(what_a_stream_gave_is_replayed_when_the_stream_is_gone)
{
    MEDIA_NEEDS("ffmpeg");
    int port = free_port();
    pid_t server = station(port, 30);
    struct ph_fault fault = { 0 };
    struct ph_graph *g;
    char text[400], journal[160], *live;
    snprintf(journal, sizeof journal, "%s", media_path("journal"));
    snprintf(text, sizeof text, "f: file tcp://127.0.0.1:%d => hash %s", port,
             media_path("lines"));
    if (ph_graph_create(&g, text, ph_graph_params(.mode = PH_LIVE, .journal = journal), &fault))
        TEST_FAIL("%s", fault.message);
    ph_graph_start(g);
    WAIT_FOR(atol(media_sh("cat lines | wc -l")) >= 20, 20);
    ph_graph_destroy(&g);
    stop(server);
    live = strdup(media_sh("cat lines"));
    double before = media_now();
    if (ph_replay(journal, NULL, &fault)) TEST_FAIL("%s", fault.message);
    CHECK_NUM(media_now() - before, <, 5 * TEST_SLOW);
    CHECK_STR(media_sh("cat lines"), live);
    free(live);
}

TEST(a_host_that_cannot_be_resolved_is_named)
{
    static const char *const urls[] = { "rtsp://user:word@no-such-host.invalid:554/stream",
                                        "http://no-such-host.invalid/film.mp4" };
    MEDIA_NEEDS("true");
    for (int i = 0; i < 2; i++) {
        char graph[128];
        snprintf(graph, sizeof graph, "file %s -> live", urls[i]);
        media_open(&m, PH_LIVE, graph);
        ph_graph_start(m.graph);
        WAIT_FOR(media_says(&m, "the host no-such-host.invalid cannot be resolved"), 20);
        ph_graph_destroy(&m.graph);
    }
}

// --- cameras

#if PH_HAVE_FFMPEG
// A webcam says sRGB and no more, at any size; `make vm` looks at the pictures themselves.
TEST(a_cameras_matrix_and_range_are_what_its_driver_says_or_the_kernels_default_for_it)
{
    struct v4l2_pix_format pix = { .width = 1920, .height = 1080 };
    CHECK_INT(ph_v4l2_space(&pix), ==, AVCOL_SPC_SMPTE170M);
    pix.colorspace = V4L2_COLORSPACE_SRGB;
    CHECK_INT(ph_v4l2_space(&pix), ==, AVCOL_SPC_SMPTE170M);
    CHECK_INT(ph_v4l2_range(&pix), ==, AVCOL_RANGE_MPEG);
    pix.ycbcr_enc = V4L2_YCBCR_ENC_709;
    pix.quantization = V4L2_QUANTIZATION_FULL_RANGE;
    CHECK_INT(ph_v4l2_space(&pix), ==, AVCOL_SPC_BT709);
    CHECK_INT(ph_v4l2_range(&pix), ==, AVCOL_RANGE_JPEG);
    pix = (struct v4l2_pix_format){ .width = 320, .colorspace = V4L2_COLORSPACE_REC709 };
    CHECK_INT(ph_v4l2_space(&pix), ==, AVCOL_SPC_BT709);
    pix.colorspace = V4L2_COLORSPACE_JPEG;
    CHECK_INT(ph_v4l2_space(&pix), ==, AVCOL_SPC_SMPTE170M);
    CHECK_INT(ph_v4l2_range(&pix), ==, AVCOL_RANGE_JPEG);
}
#endif

TEST(a_camera_that_is_not_there_is_named_with_those_that_are)
{
    MEDIA_NEEDS("true");
    struct ph_fault fault;
    if (access("/dev/video0", F_OK) < 0) {
        CHECK_INT(media_try(&m, PH_LIVE, "camera -> live", &fault), ==, PH_ENOENT);
        CHECK_HAS(fault.message, "there is no /dev/video0; cameras here: ");
    }
    CHECK_INT(media_try(&m, PH_LIVE, "camera 77 -> live", &fault), ==, PH_ENOENT);
    CHECK_HAS(fault.message, "there is no /dev/video77; cameras here: ");
    CHECK_STR(fault.field, "device");
}

TEST(something_that_is_no_camera_is_said_to_be_none)
{
    MEDIA_NEEDS("true");
    media_open(&m, PH_LIVE, "camera /dev/null -> live");
    ph_graph_start(m.graph);
    WAIT_FOR(media_says(&m, "/dev/null"), 5);
    WAIT_FOR(media_says(&m, "trying again"), 5);
    media_close(&m);
}

TEST(a_device_gives_its_frames_at_its_own_rate)
{
    MEDIA_NEEDS("true");
    media_open(&m, PH_LIVE, "camera \"lavfi:testsrc2=size=160x120:rate=25\" => live");
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 50, 20);
    media_unwatch(&m);
    double lasted = (double) (m.seen[49].came_ns - m.seen[0].came_ns) * 1e-9;
    CHECK_NUM(lasted, >, 49 / 25. - 0.3);
    CHECK_NUM(lasted, <, 49 / 25. * TEST_SLOW);
    CHECK_WELL(&m);
    media_check_rising(&m);
    for (int i = 0; i < 50; i++) {
        CHECK_INT(m.seen[i].came_ns - m.seen[i].capture_ns, <, 500 * PH_MS_NS * TEST_SLOW);
        CHECK_INT(m.seen[i].came_ns - m.seen[i].capture_ns, >=, 0);
    }
    media_close(&m);
}

TEST(d2_44_a_camera_that_is_unplugged_is_said_so_and_comes_back)
{
    MEDIA_NEEDS("true");
    media_open(&m, PH_LIVE,
               "camera \"lavfi:testsrc2=size=160x120:rate=30:duration=0.4\" => live");
    ph_graph_start(m.graph);
    WAIT_FOR(media_says(&m, "trying again in"), 5);
    int first = media_count(&m);
    CHECK_INT(first, >, 0);
    WAIT_FOR(media_count(&m) > first + 5, 5);
    WAIT_FOR(media_says(&m, "trying again in"), 5);
    check_time_goes_on();
    media_close(&m);
}

TEST(a_change_of_the_device_rebuilds_the_camera_and_keeps_the_room)
{
    MEDIA_NEEDS("true");
    struct ph_fault fault;
    media_open(&m, PH_LIVE, "c: camera \"lavfi:color=red:size=64x64\" => live");
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 5, 5);
    CHECK_OK(
        ph_graph_edit(m.graph, 1, "c: camera \"lavfi:color=blue:size=64x64\" => live", &fault));
    int count = media_count(&m);
    WAIT_FOR(media_count(&m) >= count + 5, 5);
    media_unwatch(&m);
    CHECK_INT(px_far(px(&m.last->picture, 30, 30), 0x0000ffff), <, 8);
    ph_graph_subscribe(m.graph, "live", &m.sub);
    // the new one is refused, the old one goes on
    CHECK_INT(ph_graph_edit(m.graph, 2, "c: camera 77 => live", &fault), <, 0);
    count = media_count(&m);
    WAIT_FOR(media_count(&m) >= count + 5, 5);
    media_close(&m);
}

// --- screens

static pid_t start_screen(const char *root, int *number)
{
    int ends[2];
    char text[16] = "";
    CHECK_OK(pipe(ends));
    pid_t pid =
        spawn("Xvfb -displayfd %d -screen 0 640x480x24 %s -nolisten tcp >/dev/null 2>&1",
              ends[1], root);
    close(ends[1]);
    CHECK(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    *number = atoi(text);
    return pid;
}

TEST(the_screen_is_grabbed_whole_and_in_part)
{
    MEDIA_NEEDS("Xvfb");
    int number;
    pid_t white = start_screen("-wr", &number);
    media_open(&m, PH_LIVE, "screen :%d fps=30 => live", number);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 10, 10);
    media_unwatch(&m);
    CHECK_INT(m.seen[0].width, ==, 640);
    CHECK_INT(m.seen[0].height, ==, 480);
    CHECK_PX(&m.last->picture, 5, 5, 0xffffffff);
    media_check_rising(&m);
    int64_t age = m.seen[9].came_ns - m.seen[9].capture_ns;
    CHECK_INT(age, >=, 0);
    CHECK_INT(age, <, 500 * PH_MS_NS * TEST_SLOW);
    media_close(&m);
    media_open(&m, PH_LIVE, "screen :%d size=101x77 x=20 y=30 cursor=off => live", number);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 3, 10);
    media_unwatch(&m);
    CHECK_INT(m.seen[0].width, ==, 101);
    CHECK_INT(m.seen[0].height, ==, 77);
    ph_graph_subscribe(m.graph, "live", &m.sub);
    stop(white); // the screen is gone: said, and the graph lives on
    WAIT_FOR(media_says(&m, "trying again"), 15);
    media_close(&m);
    pid_t black = start_screen("-br", &number);
    media_open(&m, PH_LIVE, "screen :%d cursor=off => live", number);
    ph_graph_start(m.graph);
    WAIT_FOR(media_count(&m) >= 3, 10);
    media_unwatch(&m);
    CHECK_PX(&m.last->picture, 5, 5, 0x000000ff);
    media_close(&m);
    stop(black);
}

TEST(a_screen_that_is_not_there_is_named)
{
    MEDIA_NEEDS("true");
    struct ph_fault fault;
    unsetenv("DISPLAY");
    CHECK_INT(media_try(&m, PH_LIVE, "screen -> live", &fault), ==, PH_ENOENT);
    CHECK_HAS(fault.message, "DISPLAY is not set");
    media_open(&m, PH_LIVE, "screen :977 -> live");
    ph_graph_start(m.graph);
    WAIT_FOR(media_says(&m, ":977"), 5);
    media_close(&m);
}
