// SPDX-License-Identifier: MIT
// Recordings over the API: an edit of the running graph, a file whose name the server makes up.
#include "house.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#if PH_HAVE_FFMPEG
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

struct film {
    int frames, width, height;
    double seconds;
};

// Decodes all of it.
static struct film play(const char *path)
{
    struct film film = { 0 };
    AVFormatContext *in = NULL;
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    CHECK_OK(avformat_open_input(&in, path, NULL, NULL));
    CHECK(avformat_find_stream_info(in, NULL) >= 0);
    int stream = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    CHECK(stream >= 0);
    const AVCodecParameters *par = in->streams[stream]->codecpar;
    AVCodecContext *dec = avcodec_alloc_context3(avcodec_find_decoder(par->codec_id));
    avcodec_parameters_to_context(dec, par);
    CHECK_OK(avcodec_open2(dec, NULL, NULL));
    double first = -1, last = 0;
    for (bool end = false; !end;) {
        end = av_read_frame(in, packet) < 0;
        if (!end && packet->stream_index == stream) CHECK_OK(avcodec_send_packet(dec, packet));
        if (end) avcodec_send_packet(dec, NULL);
        av_packet_unref(packet);
        while (avcodec_receive_frame(dec, frame) >= 0) {
            last = (double) frame->pts * av_q2d(in->streams[stream]->time_base);
            if (first < 0) first = last;
            film.frames++;
            film.width = frame->width;
            film.height = frame->height;
        }
    }
    film.seconds = last - first;
    avcodec_free_context(&dec);
    avformat_close_input(&in);
    av_packet_free(&packet);
    av_frame_free(&frame);
    return film;
}
#else
struct film {
    int frames, width, height;
    double seconds;
};
static struct film play(const char *path)
{
    TEST_SKIP("a build without FFmpeg");
    return (struct film){ 0 };
}
#endif

#define GRAPH "pattern ball size=160x120 fps=30 id=on -> mirror => jpeg -> live"

static void save(const struct house *h, const char *file, char *path, size_t size)
{
    struct client c;
    struct response r;
    char url[256];
    snprintf(url, sizeof url, "/api/v1/recordings/%s", file);
    snprintf(path, size, "%s/saved.mp4", h->dir);
    client_open(&c, h->port);
    client_request(&c, &r, "GET", url, NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(response_header(&r, "Content-Type"), "video/mp4");
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(r.body, 1, r.size, f) == r.size);
    fclose(f);
    response_free(&r);
    client_request(&c, &r, "GET", url, "Range: bytes=4-7\r\n", NULL);
    CHECK_INT(r.status, ==, 206);
    CHECK_STR(r.body, "ftyp");
    response_free(&r);
    client_close(&c);
}

// Until the recording under way has so much in it.
static void wait_recorded(const struct house *h, double seconds)
{
    while (room_num(h, "recording.seconds") < seconds) sleep_ms(20);
}

TEST(d2_37_two_recordings_of_a_running_room_are_two_playable_films)
{
    struct house h;
    struct client c;
    char first[160] = "", path[256];
    NEED("record");
    house_start(&h, GRAPH, NULL);
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    struct ph_json_doc *before = get_json(&h, "/api/v1/rooms/demo");
    for (int take = 0; take < 2; take++) {
        EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
        CHECK_HAS(answer, "\"recording\":true");
        int64_t began = client_now_ns();
        EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record/", "{\"action\":\"start\"}");
        CHECK_HAS(answer, "\"recording\":true"); // it is only told that it runs already
        wait_recorded(&h, 1.5);
        EXPECT(200, &h, "GET", "/api/v1/rooms/demo/record", NULL);
        CHECK_HAS(answer, "\"recording\":true");
        EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"stop\"}");
        double wall = (double) (client_now_ns() - began) * 1e-9;
        struct ph_json_doc *doc = parse_json(answer);
        const char *file = str(doc, "file");
        CHECK(strcmp(file, first));
        CHECK(!strncmp(file, "demo-", 5));
        CHECK_NUM(num(doc, "bytes"), >, 1000);
        CHECK_NUM(fabs(num(doc, "seconds") - wall), <, 0.3 * TEST_SLOW);
        save(&h, file, path, sizeof path);
        struct film film = play(path);
        CHECK_INT(film.width, ==, 160);
        CHECK_NUM(film.seconds, >, 1.2);
        CHECK_NUM(film.seconds, <, wall + 0.1);
        CHECK_NUM(film.frames, >, 0.8 * 30 * film.seconds / TEST_SLOW);
        snprintf(first, sizeof first, "%s", file);
        ph_json_free(&doc);
    }
    // the connection has seen nothing of it, and the graph is as it was
    s = next_sight(&c);
    shot_free(&s.shot);
    struct ph_json_doc *after = get_json(&h, "/api/v1/rooms/demo");
    CHECK_STR(str(after, "text"), str(before, "text"));
    ph_json_free(&before);
    ph_json_free(&after);
    client_close(&c);
    house_stop(&h);
}

TEST(a_recording_goes_on_when_another_graph_is_loaded)
{
    struct house h;
    char path[256];
    NEED("record");
    house_start(&h, GRAPH, NULL);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    wait_recorded(&h, 0.8);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"pattern bars size=80x60 fps=30 => jpeg -> live\"}");
    wait_recorded(&h, 1.6);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"stop\"}");
    struct ph_json_doc *doc = parse_json(answer);
    save(&h, str(doc, "file"), path, sizeof path);
    struct film film = play(path);
    CHECK_INT(film.width, ==, 160); // the first picture's, what comes later is fitted into it
    CHECK_NUM(film.seconds, >, 1.2);
    CHECK_NUM(film.frames, >, 0.7 * 30 * film.seconds / TEST_SLOW);
    ph_json_free(&doc);
    house_stop(&h);
}

TEST(a_recording_keeps_a_room_awake_that_nobody_watches)
{
    struct house h;
    char path[256];
    NEED("record");
    house_start(&h, GRAPH, NULL);
    wait_asleep(&h);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    wait_recorded(&h, 1.2);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"stop\"}");
    struct ph_json_doc *doc = parse_json(answer);
    save(&h, str(doc, "file"), path, sizeof path);
    CHECK_INT(play(path).frames, >, 1);
    ph_json_free(&doc);
    house_stop(&h);
}

TEST(a_recording_is_complete_when_the_room_closes_or_nothing_is_left_to_record)
{
    struct house h;
    char path[256], kept[] = "/tmp/ph-kept-XXXXXX";
    NEED("record");
    CHECK(mkdtemp(kept));
    house_start(&h, GRAPH, &(struct ph_rooms_params){ .recordings_dir = kept });
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    wait_recorded(&h, 0.7);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"pattern bars size=64x48 fps=30 -> null\"}");
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo/record");
    CHECK(!ph_json_bool(at(doc, "recording"), true));
    CHECK_NUM(num(doc, "bytes"), >, 0);
    snprintf(path, sizeof path, "%s/%s", kept, str(doc, "file"));
    CHECK_INT(play(path).frames, >, 1);
    ph_json_free(&doc);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo", "{\"graph\":\"" GRAPH "\"}");
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    doc = parse_json(answer);
    snprintf(path, sizeof path, "%s/%s", kept, str(doc, "file"));
    ph_json_free(&doc);
    wait_recorded(&h, 0.7);
    house_stop(&h);
    CHECK_INT(play(path).frames, >, 1);
    remove_folder(kept);
}

TEST(what_cannot_be_recorded_says_so)
{
    struct house h;
    NEED("record");
    house_start(&h, "pattern -> null", NULL);
    EXPECT(400, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    CHECK_HAS(answer, "nothing to record");
    EXPECT(400, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"pause\"}");
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"stop\"}");
    CHECK_STR(answer, "{\"recording\":false}");
    EXPECT(404, &h, "GET", "/api/v1/recordings/none.mp4", NULL);
    EXPECT(400, &h, "GET", "/api/v1/recordings/..%2f..%2fetc%2fpasswd", NULL);
    house_stop(&h);
    house_start(&h, GRAPH, &(struct ph_rooms_params){ .recordings_dir = "/proc/nowhere" });
    EXPECT(503, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    CHECK_HAS(answer, "/proc/nowhere");
    EXPECT(200, &h, "GET", "/api/v1/rooms/demo/record", NULL);
    CHECK_HAS(answer, "\"recording\":false");
    house_stop(&h);
}

TEST(recordings_of_before_are_listed_newest_first_and_nothing_else)
{
    struct house h;
    char path[256];
    house_start(&h, GRAPH, NULL);
    EXPECT(200, &h, "GET", "/api/v1/recordings", NULL); // there is no folder yet
    CHECK_STR(answer, "{\"recordings\":[]}");
    static const char *const names[] = { "old.mp4", "new.mp4", "notes.txt", ".hidden.mp4" };
    snprintf(path, sizeof path, "%s/recordings", h.dir);
    CHECK_OK(mkdir(path, 0700));
    for (int i = 0; i < 4; i++) {
        struct timespec times[2] = { { 1700000000 + i, 0 }, { 1700000000 + i, 0 } };
        snprintf(path, sizeof path, "%s/recordings/%s", h.dir, names[i]);
        FILE *f = fopen(path, "w");
        CHECK(f && fwrite("film", 1, (size_t) (4 - i), f) == (size_t) (4 - i));
        fclose(f);
        CHECK_OK(utimensat(AT_FDCWD, path, times, 0));
    }
    snprintf(path, sizeof path, "%s/recordings/link.mp4", h.dir);
    CHECK_OK(symlink("/etc/passwd", path));
    EXPECT(200, &h, "GET", "/api/v1/recordings/", NULL);
    CHECK_STR(answer, "{\"recordings\":[{\"file\":\"new.mp4\",\"bytes\":3,\"time\":1700000001},"
                      "{\"file\":\"old.mp4\",\"bytes\":4,\"time\":1700000000}]}");
    EXPECT(200, &h, "GET", "/api/v1/recordings/old.mp4", NULL);
    CHECK_STR(answer, "film");
    EXPECT(404, &h, "GET", "/api/v1/recordings/notes.txt",
           NULL); // what is not listed is not given
    EXPECT(404, &h, "GET", "/api/v1/recordings/link.mp4", NULL);
    house_stop(&h);
}

// --- a long step elsewhere in the graph

static _Atomic bool step_runs, step_may_end;

static ph_err long_step(struct ph_node *n)
{
    struct ph_frame *f;
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    ph_frame_unref(&f);
    step_runs = true;
    while (!step_may_end) sleep_ms(1);
    return PH_OK;
}

static const struct ph_node_info node_stuck = {
    .name = "stuck",
    .group = "deliver",
    .help = "a step that lasts",
    .in = PH_PORTS({ "in", PH_PICTURE }),
    .process = long_step,
};

static void *stop_graph(void *graph)
{
    ph_graph_stop(graph);
    return NULL;
}

static int runs_of(struct ph_graph *g, int node)
{
    char path[32], *text = ph_graph_status_json(g);
    struct ph_json_doc *doc = parse_json(text);
    snprintf(path, sizeof path, "nodes.%d.runs", node);
    int runs = (int) num(doc, path);
    ph_json_free(&doc);
    free(text);
    return runs;
}

// The program is killed when it does not end within a second: the films of all other lanes must be
// whole by then.
TEST(a_lane_inside_a_long_step_keeps_no_other_from_finishing_its_film)
{
    const struct ph_node_info *nodes[64] = { &node_stuck };
    char dir[] = "/tmp/ph-room-XXXXXX", path[64], text[256];
    struct ph_graph *g = NULL;
    struct ph_fault fault = { 0 };
    pthread_t stopper;
    NEED("record");
    for (int i = 0; ph_nodes()[i]; i++) nodes[i + 1] = ph_nodes()[i];
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.mp4", dir);
    snprintf(text, sizeof text,
             "pattern ball size=64x48 fps=30 => record %s\npattern size=16x16 fps=30 => stuck",
             path);
    if (ph_graph_create(&g, text, ph_graph_params(.nodes = nodes, .always_on = true), &fault))
        TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_graph_start(g));
    // not a whole number of seconds, at which a film is whole anyway
    while (!step_runs || runs_of(g, 1) < 40) sleep_ms(5);
    int pictures = runs_of(g, 1);
    CHECK_OK(pthread_create(&stopper, NULL, stop_graph, g));
    while (play(path).frames < pictures) sleep_ms(20);
    step_may_end = true; // it was in its step all the while
    pthread_join(stopper, NULL);
    ph_graph_destroy(&g);
    remove_folder(dir);
}

// --- a disk that is full

// A film that may not grow any more is one whose disk is full, for all but the kernel.
TEST(a_recording_says_that_it_cannot_go_on_and_where_it_ends)
{
    struct house h;
    char path[256];
    struct rlimit limit = { 1 << 20, RLIM_INFINITY };
    NEED("record");
    signal(SIGXFSZ, SIG_IGN);
    house_start(&h, "pattern noise size=320x240 fps=30 => jpeg -> live", NULL);
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    CHECK_HAS(answer, "\"problem\":null");
    while (!strstr(answer, "may not grow")) {
        sleep_ms(50);
        EXPECT(200, &h, "GET", "/api/v1/rooms/demo/record", NULL);
    }
    CHECK(!strstr(answer, h.dir)); // where it lies is nobody's business
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo");
    CHECK_HAS(str(doc, "recording.problem"), "may not grow");
    double kept = num(doc, "recording.seconds");
    ph_json_free(&doc);
    sleep_ms(300);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"stop\"}");
    doc = parse_json(answer);
    CHECK_NUM(num(doc, "seconds"), ==, kept); // it does not go on counting
    CHECK_HAS(str(doc, "problem"), "may not grow");
    const char *after = strstr(str(doc, "problem"), "after about ");
    CHECK(after);
    snprintf(path, sizeof path, "%s/recordings/%s", h.dir, str(doc, "file"));
    // from its first picture to the end of its last, of 30 a second
    CHECK_NUM(fabs(play(path).seconds + 1 / 30. - atof(after + 12)), <, 0.11);
    ph_json_free(&doc);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    CHECK_HAS(answer, "\"problem\":null");
    house_stop(&h);
}
