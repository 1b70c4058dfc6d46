// SPDX-License-Identifier: MIT
// What a viewer is sent: both dialects, late and slow viewers, webcams.
#include "house.h"

#include <math.h>

#define BALL  "pattern ball size=320x240 fps=30 id=on => jpeg -> live"
#define NOISE "pattern noise size=320x240 fps=30 id=on => jpeg q=95 -> live"

static const char *const fields[] = {
    "frame",         "inferenceTimeMs", "inferenceTimeEmaMs",
    "throughputFps", "denoisingSteps",  "frameWidth",
    "frameHeight",   "modelName",       "guidanceScale",
    "inputFps",      "pipelineFps",     "outputFps",
    "dropped",       "bottleneck",      "backend",
    "latencyMs",
};

TEST(the_plain_stream_sends_metrics_with_the_fixed_names_before_each_picture)
{
    struct house h;
    struct client c;
    char path[64];
    house_start(&h, BALL, NULL);
    watch(&h, &c, "/ws/stream");
    for (int i = 0; i < 10; i++) {
        struct message text = ws_next(&c), picture = ws_next(&c);
        CHECK_INT(text.opcode, ==, 1);
        CHECK_INT(picture.opcode, ==, 2);
        struct ph_json_doc *doc = parse_json(text.data);
        CHECK_STR(str(doc, "type"), "metrics");
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
            snprintf(path, sizeof path, "data.%s", fields[k]);
            if (!at(doc, path)) TEST_FAIL("metrics lack %s: %s", fields[k], text.data);
        }
        struct shot s = decode(picture.data, picture.size);
        CHECK(s.coded);
        CHECK_INT(s.id, ==, num(doc, "data.frame")); // they speak of this picture
        CHECK_INT(s.width, ==, num(doc, "data.frameWidth"));
        CHECK_INT(s.height, ==, num(doc, "data.frameHeight"));
        CHECK_NUM(num(doc, "data.dropped.input"), >=, 0);
        CHECK_NUM(num(doc, "data.latencyMs"), <, 1000 * TEST_SLOW);
        CHECK_HAS(str(doc, "data.backend"), "cpu-");
        shot_free(&s);
        ph_json_free(&doc);
        message_free(&text);
        message_free(&picture);
    }
    client_close(&c);
    house_stop(&h);
}

TEST(d2_36_two_viewers_each_see_all_frames_once)
{
    struct house h;
    struct client c[2];
    double seen[2][15];
    house_start(&h, "pattern ball size=160x120 fps=10 id=on => jpeg -> live", NULL);
    for (int i = 0; i < 2; i++) watch(&h, &c[i], "/ws/stream");
    for (int n = 0; n < 15; n++) {
        for (int i = 0; i < 2; i++) {
            struct sight s = next_sight(&c[i]);
            CHECK(s.shot.coded && s.shot.id == s.frame);
            seen[i][n] = s.frame;
            if (n) CHECK_NUM(s.frame, >, seen[i][n - 1]);
            shot_free(&s.shot);
        }
    }
    // a busy machine costs a frame now and then; shared out among the two they had none in common
    int common = 0;
    for (int a = 0; a < 15; a++)
        for (int b = 0; b < 15; b++) common += seen[0][a] == seen[1][b];
    CHECK_INT(common, >=, 3);
    CHECK_NUM(room_num(&h, "viewers"), ==, 2);
    for (int i = 0; i < 2; i++) client_close(&c[i]);
    house_stop(&h);
}

TEST(who_joins_late_has_a_picture_at_once)
{
    struct house h;
    struct client first, late;
    // The frame that proved the room ready may be gone when the first one comes: 20 s to the next.
    house_start(&h, "pattern ball size=160x120 fps=0.05 id=on => jpeg -> live", NULL);
    watch(&h, &first, "/ws/stream");
    struct sight seen = next_sight(&first);
    watch(&h, &late, "/ws/stream");
    struct sight same = next_sight(&late);
    CHECK_NUM(same.frame, ==, seen.frame);
    shot_free(&seen.shot);
    shot_free(&same.shot);
    client_close(&first);
    client_close(&late);
    house_stop(&h);
}

TEST(d2_09_nothing_is_lost_between_joining_a_sleeping_room_and_its_first_frame)
{
    struct house h;
    house_start(&h, "pattern ball size=64x48 fps=50 id=on => jpeg -> live", NULL);
    for (int i = 0; i < 40; i++) {
        struct client c;
        int64_t begin = client_now_ns();
        watch(&h, &c, "/ws/stream");
        struct sight s = next_sight(&c);
        CHECK_INT((client_now_ns() - begin) / MS, <, 1500 * TEST_SLOW);
        shot_free(&s.shot);
        client_close(&c);
        if (i % 2) sleep_ms(30); // asleep again, or on the way there
    }
    house_stop(&h);
}

static int count_lines;
static void count_line(void *opaque, enum ph_log_level level, const char *who, const char *line)
{
    __atomic_add_fetch(&count_lines, 1, __ATOMIC_RELAXED);
}

TEST(d2_10_a_viewer_that_stops_reading_costs_nobody_a_frame_and_sees_the_newest_afterwards)
{
    struct house h;
    struct client good, stalled;
    struct ph_log log = { .level = PH_LOG_INFO, .write = count_line };
    house_start(&h, NOISE, &(struct ph_rooms_params){ .log = &log });
    watch(&h, &good, "/ws/stream");
    client_open_from(&stalled, h.port, NULL, 4096);
    CHECK_INT(ws_open(&stalled, "/ws/stream", NULL), ==, 101);
    struct sight s = next_sight(&stalled), first = next_sight(&good);
    shot_free(&s.shot);
    shot_free(&first.shot);
    count_lines = 0;
    double newest = first.frame, frames = 0;
    int64_t until = client_now_ns() + 3000 * MS;
    while (client_now_ns() < until) {
        struct message m = ws_next(&good);
        CHECK(m.opcode);
        if (m.opcode == 2) frames++;
        if (m.opcode == 1) newest = atof(strstr(m.data, "\"frame\":") + 8);
        message_free(&m);
    }
    // of what the room made, the good viewer saw the most; other programs may run here as well
    CHECK_NUM(frames, >, 0.2 * (newest - first.frame));
    CHECK_INT(count_lines, <, 5);
    // a few pictures lie in the kernel's buffers and are old; right behind them comes the newest
    double got = 0;
    int64_t again = client_now_ns();
    for (int i = 0; i < 12 && got <= newest - 30; i++) {
        s = next_sight(&stalled);
        got = s.frame;
        shot_free(&s.shot);
    }
    CHECK_INT((client_now_ns() - again) / MS, <, 1000 * TEST_SLOW);
    CHECK_NUM(got, >, newest - 30); // under a second old
    client_close(&good);
    client_close(&stalled);
    house_stop(&h);
}

TEST(the_test_stream_needs_no_room_runs_at_30_fps_and_sleeps_unwatched)
{
    struct house h;
    struct client c;
    house_start(&h, NULL, NULL);
    watch(&h, &c, "/ws/test/");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    double first = s.frame;
    int n = 0;
    int64_t begin = client_now_ns();
    for (; client_now_ns() - begin < 2000 * MS; n++) {
        s = next_sight(&c);
        CHECK(s.shot.coded && s.shot.id == s.frame);
        shot_free(&s.shot);
    }
    CHECK_INT(n, >, 50 / TEST_SLOW);
    int most = (int) ((client_now_ns() - begin) / MS) * 30 / 1000 + 6;
    CHECK_INT(n, <, most);
    CHECK_NUM(s.frame - first, <, most);
    EXPECT(200, &h, "GET", "/api/v1/rooms", NULL);
    CHECK_STR(answer, "{\"rooms\":[]}");
    client_close(&c);
    sleep_ms(3000); // 90 frames
    watch(&h, &c, "/ws/test");
    struct sight again = next_sight(&c);
    CHECK_NUM(again.frame - s.frame, <, 60); // it made no frames meanwhile
    shot_free(&again.shot);
    client_close(&c);
    house_stop(&h);
}

// --- phosphene.v1

static struct ph_wire unpack(const struct message *m)
{
    struct ph_wire w;
    struct ph_fault f = { 0 };
    if (ph_wire_unpack(m->data, m->size, &w, &f) < 0) TEST_FAIL("%s", f.message);
    return w;
}

TEST(phosphene_v1_says_hello_and_puts_a_header_before_each_picture)
{
    struct house h;
    struct client c;
    house_start(&h, BALL, NULL);
    watch_v1(&h, &c, "/ws/stream?room=demo");
    ws_send_text(&c, "{\"type\":\"hello\",\"codecs\":[\"h264\",\"jpeg\"]}");
    struct message m = wait_text(&c, "\"hello\"");
    CHECK_HAS(m.data, "\"room\":\"demo\",\"codec\":\"jpeg\""); // the graph makes no H.264
    CHECK_HAS(m.data, ph_version());
    message_free(&m);
    uint32_t last = 0;
    int metrics = 0;
    int64_t begin = client_now_ns();
    for (int i = 0; i < 30;) {
        m = ws_next(&c);
        CHECK(m.opcode);
        if (m.opcode == 1 && strstr(m.data, "metrics")) metrics++;
        if (m.opcode == 2) {
            struct ph_wire w = unpack(&m);
            struct shot s = decode(m.data + PH_WIRE_BYTES, m.size - PH_WIRE_BYTES);
            CHECK_INT(w.codec, ==, PH_WIRE_JPEG);
            CHECK_INT(w.width, ==, 320);
            CHECK_INT(w.frame, ==, s.id);
            CHECK_INT(w.flags, ==, PH_WIRE_KEY);
            if (i++) CHECK_INT(w.frame, >, last);
            last = w.frame;
            shot_free(&s);
        }
        message_free(&m);
    }
    double seconds = (double) (client_now_ns() - begin) * 1e-9;
    CHECK_NUM(metrics, <=, seconds * 10 + 2);
    CHECK_INT(metrics, >=, 2);
    client_close(&c);
    house_stop(&h);
}

TEST(a_v1_client_that_says_no_hello_gets_jpeg_after_a_second)
{
    struct house h;
    struct client c;
    house_start(&h, BALL, NULL);
    int64_t begin = client_now_ns();
    watch_v1(&h, &c, "/ws/stream");
    struct message m = ws_wait(&c, 2);
    int64_t after_ms = (client_now_ns() - begin) / MS;
    CHECK_INT(unpack(&m).codec, ==, PH_WIRE_JPEG);
    CHECK_INT(after_ms, >, 900);
    CHECK_INT(after_ms, <, 2500 * TEST_SLOW);
    message_free(&m);
    client_close(&c);
    house_stop(&h);
}

#define VIDEO                                                                                  \
    "p: pattern ball size=320x240 fps=30\np => jpeg -> live: live\np => video h264 gop=60 -> " \
    "live"

static struct ph_wire next_wire(struct client *c, int codec)
{
    for (;;) {
        struct message m = ws_wait(c, 2);
        CHECK(m.opcode);
        struct ph_wire w = unpack(&m);
        bool keyed = !memcmp(m.data + PH_WIRE_BYTES, "\0\0\0\1", 4);
        message_free(&m);
        if (w.codec != codec) continue;
        CHECK(codec == PH_WIRE_JPEG || keyed); // Annex B
        return w;
    }
}

TEST(h264_goes_to_who_wants_it_beginning_with_a_key_frame_soon)
{
    struct house h;
    struct client c, other, plain;
    NEED("video");
    house_start(&h, VIDEO, NULL);
    watch_v1(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"hello\",\"codecs\":[\"h264\",\"vp8\",\"jpeg\"]}");
    struct message m = wait_text(&c, "\"hello\"");
    CHECK_HAS(m.data, "\"codec\":\"h264\"");
    message_free(&m);
    struct ph_wire w = next_wire(&c, PH_WIRE_H264);
    CHECK(w.flags & PH_WIRE_KEY);
    uint32_t frame = w.frame;
    for (int i = 0; i < 20; i++) {
        w = next_wire(&c, PH_WIRE_H264);
        CHECK_INT(w.frame, >, frame);
        frame = w.frame;
    }
    // who comes later does not wait for the next regular key frame, which is a minute away
    int64_t begin = client_now_ns();
    watch_v1(&h, &other, "/ws/stream");
    ws_send_text(&other, "{\"type\":\"hello\",\"codecs\":[\"h264\"]}");
    CHECK(next_wire(&other, PH_WIRE_H264).flags & PH_WIRE_KEY);
    CHECK_INT((client_now_ns() - begin) / MS, <, 2000 * TEST_SLOW);
    watch(&h, &plain, "/ws/stream"); // and JPEG goes on beside it
    m = ws_wait(&plain, 2);
    struct shot s = decode(m.data, m.size);
    CHECK_INT(s.width, ==, 320);
    shot_free(&s);
    message_free(&m);
    client_close(&c);
    client_close(&other);
    client_close(&plain);
    house_stop(&h);
}

TEST(the_codec_changes_live_and_an_edit_that_takes_it_away_falls_back)
{
    struct house h;
    struct client c;
    NEED("video");
    house_start(&h, VIDEO, NULL);
    watch_v1(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"hello\",\"codecs\":[\"jpeg\"]}");
    next_wire(&c, PH_WIRE_JPEG);
    ws_send_text(&c, "{\"type\":\"codec\",\"codec\":\"h264\"}");
    CHECK(next_wire(&c, PH_WIRE_H264).flags & PH_WIRE_KEY);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"p: pattern ball size=320x240 fps=30\\np => jpeg -> live: live\"}");
    struct message m = wait_text(&c, "\"codec\":\"jpeg\"");
    message_free(&m);
    next_wire(&c, PH_WIRE_JPEG);
    client_close(&c);
    house_stop(&h);
}

// --- what was shown

TEST(shown_tells_the_room_what_its_viewers_see_and_how_late)
{
    struct house h;
    struct client c;
    char text[128];
    house_start(&h, BALL, NULL);
    watch_v1(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"hello\"}");
    ws_send_text(&c, "{\"type\":\"subscribe\",\"room\":true,\"hz\":10}");
    double p50 = 0, fps = 0;
    for (int i = 0; i < 60;) {
        struct message m = ws_next(&c);
        CHECK(m.opcode);
        if (m.opcode == 2) {
            // a clock of its own, and 40 ms until the picture is on the screen
            sleep_ms(i++ == 0 ? 0 : 5);
            double t = (double) client_now_ns() * 1e-6 - 123456789 + 40;
            snprintf(text, sizeof text, "{\"type\":\"shown\",\"frame\":%u,\"t\":%.3f}",
                     unpack(&m).frame, t);
            ws_send_text(&c, text);
        } else if (strstr(m.data, "\"type\":\"room\"")) {
            struct ph_json_doc *doc = parse_json(m.data);
            CHECK_STR(str(doc, "data.clients.0.dialect"), "phosphene.v1");
            fps = num(doc, "data.clients.0.shownFps");
            const struct ph_json *latency = at(doc, "data.clients.0.latencyMs");
            CHECK(latency);
            if (latency->type == PH_JSON_OBJECT) p50 = num(doc, "data.clients.0.latencyMs.p50");
            ph_json_free(&doc);
        }
        message_free(&m);
    }
    CHECK_NUM(fps, >, 24 / TEST_SLOW);
    CHECK_NUM(fps, <, 33);
    CHECK_NUM(p50, >, 0);
    CHECK_NUM(p50, <, 200 * TEST_SLOW);
    client_close(&c);
    house_stop(&h);
}

// --- webcams

#define CAMERA "browser => jpeg q=95 -> live"

TEST(a_webcam_goes_in_and_comes_out_newest_first)
{
    struct house h;
    struct client camera, viewer;
    size_t red_size, blue_size;
    uint8_t *red = encode_solid(64, 48, 200, 30, 30, &red_size),
            *blue = encode_solid(64, 48, 20, 40, 220, &blue_size);
    house_start(&h, CAMERA, NULL);
    EXPECT(200, &h, "GET", "/readyz", NULL); // it waits for somebody's camera, that is ready
    CHECK_HAS(answer, "webcam");
    EXPECT(503, &h, "GET", "/frame.jpg", NULL); // at once, for the same reason
    CHECK_HAS(answer, "webcam");
    watch(&h, &camera, "/ws/stream");
    watch(&h, &viewer, "/ws/stream");
    for (int i = 0; i < 5; i++) ws_send_raw(&camera, 0x82, true, red, red_size);
    struct sight s = next_sight(&viewer);
    CHECK(is_color(&s.shot, 200, 30, 30));
    CHECK_INT(s.shot.width, ==, 64);
    shot_free(&s.shot);
    for (int i = 0; i < 20; i++) ws_send_raw(&camera, 0x82, true, blue, blue_size);
    do {
        shot_free(&s.shot);
        s = next_sight(&viewer);
    } while (!is_color(&s.shot, 20, 40, 220));
    shot_free(&s.shot);
    EXPECT(200, &h, "GET", "/readyz", NULL);
    CHECK_STR(answer, "ready\n");
    EXPECT(200, &h, "GET", "/frame.jpg", NULL);
    free(red);
    free(blue);
    client_close(&camera);
    client_close(&viewer);
    house_stop(&h);
}

// The room sleeps when the viewer comes, and no second picture follows the first: it must not get
// lost while the room wakes up.
TEST(the_only_picture_of_a_webcam_reaches_a_viewer_that_has_just_come)
{
    struct house h;
    struct client c;
    size_t size;
    uint8_t *jpeg = encode_solid(16, 16, 200, 30, 30, &size);
    house_start(&h, CAMERA, NULL);
    for (int i = 0; i < 20; i++) {
        watch(&h, &c, "/ws/stream");
        ws_send_raw(&c, 0x82, true, jpeg, size);
        struct sight s = next_sight(&c);
        CHECK(is_color(&s.shot, 200, 30, 30));
        shot_free(&s.shot);
        client_close(&c);
        while (room_num(&h, "viewers") > 0) sleep_ms(1);
    }
    watch_v1(&h, &c, "/ws/stream"); // its hello comes after the picture
    ws_send_raw(&c, 0x82, true, jpeg, size);
    ws_send_text(&c, "{\"type\":\"hello\"}");
    struct message m = ws_wait(&c, 2);
    CHECK_INT(m.opcode, ==, 2);
    message_free(&m);
    client_close(&c);
    free(jpeg);
    house_stop(&h);
}

TEST(pictures_that_nobody_takes_or_can_be_read_are_told_and_the_connection_stays)
{
    struct house h;
    struct client c;
    size_t size;
    uint8_t *jpeg = encode_solid(64, 48, 200, 30, 30, &size);
    house_start(&h, BALL, NULL);
    watch(&h, &c, "/ws/stream");
    ws_send_raw(&c, 0x82, true, jpeg, size);
    EXPECT_ERROR(&c, "\"field\":\"source\"", "takes no pictures");
    ws_send_raw(&c, 0x82, true, jpeg, size / 2);
    EXPECT_ERROR(&c, "\"error\"");
    ws_send_raw(&c, 0x82, true, "hello", 5);
    EXPECT_ERROR(&c, "JPEG");
    CHECK(ws_send_text(&c, "{\"type\":\"ping\",\"t\":4.25}"));
    struct message m = wait_text(&c, "\"pong\"");
    CHECK_HAS(m.data, "\"t\":4.25,\"server_ns\":");
    message_free(&m);
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    free(jpeg);
    client_close(&c);
    house_stop(&h);
}

TEST(a_picture_over_the_limit_ends_its_connection_alone)
{
    struct house h;
    struct client c, viewer;
    size_t size;
    uint8_t *jpeg = encode_solid(128, 16, 200, 30, 30, &size);
    house_start(&h, CAMERA, &(struct ph_rooms_params){ .limits = { .picture_side = 100 } });
    watch(&h, &c, "/ws/stream");
    watch(&h, &viewer, "/ws/stream");
    ws_send_raw(&c, 0x82, true, jpeg, size);
    EXPECT_ERROR(&c, "128", "100");
    ws_expect_close(&c, 1008, NULL);
    CHECK(ws_send_text(&viewer, "{\"type\":\"ping\"}"));
    struct message m = wait_text(&viewer, "\"pong\"");
    message_free(&m);
    free(jpeg);
    client_close(&c);
    client_close(&viewer);
    house_stop(&h);
}

TEST(one_more_publisher_than_allowed_is_turned_away)
{
    struct house h;
    struct client c[3];
    size_t size;
    uint8_t *jpeg = encode_solid(16, 16, 200, 30, 30, &size);
    house_start(&h, CAMERA, &(struct ph_rooms_params){ .limits = { .publishers = 2 } });
    for (int i = 0; i < 3; i++) watch(&h, &c[i], "/ws/stream");
    for (int i = 0; i < 2; i++) {
        ws_send_raw(&c[i], 0x82, true, jpeg, size);
        struct message m = ws_wait(&c[2], 2);
        CHECK(m.opcode);
        message_free(&m);
    }
    ws_send_raw(&c[2], 0x82, true, jpeg, size);
    EXPECT_ERROR(&c[2], "at most 2 clients");
    ws_expect_close(&c[2], 1008, NULL);
    free(jpeg);
    for (int i = 0; i < 3; i++) client_close(&c[i]);
    house_stop(&h);
}

TEST(who_sends_to_a_room_that_takes_no_pictures_keeps_no_place_from_others)
{
    struct house h;
    struct client idle, camera;
    size_t size;
    uint8_t *jpeg = encode_solid(16, 16, 200, 30, 30, &size);
    house_start(&h, CAMERA, &(struct ph_rooms_params){ .limits = { .publishers = 1 } });
    EXPECT(201, &h, "POST", "/api/v1/rooms", "{\"name\":\"ball\",\"graph\":\"" BALL "\"}");
    watch(&h, &idle, "/ws/stream?room=ball");
    ws_send_raw(&idle, 0x82, true, jpeg, size);
    EXPECT_ERROR(&idle, "takes no pictures");
    watch(&h, &camera, "/ws/stream");
    ws_send_raw(&camera, 0x82, true, jpeg, size);
    struct sight s = next_sight(&camera);
    CHECK(is_color(&s.shot, 200, 30, 30));
    shot_free(&s.shot);
    free(jpeg);
    client_close(&idle);
    client_close(&camera);
    house_stop(&h);
}

TEST(a_picture_may_be_as_large_as_the_owner_of_the_server_allows)
{
    struct house h;
    struct client c;
    size_t size;
    uint8_t *jpeg = encode_solid(4200, 16, 200, 30, 30, &size);
    house_start(&h, CAMERA, &(struct ph_rooms_params){ .limits = { .picture_side = 5000 } });
    watch(&h, &c, "/ws/stream");
    ws_send_raw(&c, 0x82, true, jpeg, size);
    struct sight s = next_sight(&c);
    CHECK_INT(s.shot.width, ==, 4200);
    shot_free(&s.shot);
    free(jpeg);
    client_close(&c);
    house_stop(&h);
}

TEST(mjpeg_and_single_frames_come_also_from_a_room_that_slept)
{
    struct house h;
    struct client c;
    struct response r;
    house_start(&h, BALL, NULL);
    wait_asleep(&h);
    uint32_t last = 0;
    for (int i = 0; i < 3; i++) {
        client_open(&c, h.port);
        client_request(&c, &r, "GET", i == 2 ? "/api/v1/rooms/demo/frame.jpg" : "/frame.jpg",
                       NULL, NULL);
        CHECK_INT(r.status, ==, 200);
        CHECK_STR(response_header(&r, "Content-Type"), "image/jpeg");
        struct shot s = decode(r.body, r.size);
        CHECK(s.coded);
        if (i) CHECK_INT(s.id, >=, last);
        last = s.id;
        shot_free(&s);
        response_free(&r);
        client_close(&c);
        if (i == 1) wait_asleep(&h);
    }
    client_open(&c, h.port);
    client_sendf(&c, "GET /stream.mjpg?room=demo HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    CHECK(client_head(&c, &r));
    CHECK_INT(r.status, ==, 200);
    CHECK_HAS(response_header(&r, "Content-Type"), "multipart/x-mixed-replace");
    CHECK(client_fill(&c, 20000)); // several parts
    CHECK(memmem(c.in, c.len, "image/jpeg", 10));
    CHECK_NUM(room_num(&h, "viewers"), ==, 1);
    client_close(&c);
    EXPECT(404, &h, "GET", "/frame.jpg?room=demi", NULL);
    EXPECT(404, &h, "GET", "/stream.mjpg?room=demi", NULL);
    CHECK_HAS(answer, "did you mean \\\"demo\\\"");
    house_stop(&h);
}

TEST(a_room_whose_graph_shows_nothing_says_so)
{
    struct house h;
    struct client c;
    house_start(&h, "pattern size=64x64 fps=10 -> null", NULL);
    watch(&h, &c, "/ws/stream");
    EXPECT_ERROR(&c, "jpeg node");
    EXPECT(409, &h, "GET", "/frame.jpg", NULL);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"pattern size=64x64 fps=10 => jpeg -> live\"}");
    struct sight s = next_sight(&c); // on the same connection
    CHECK_INT(s.shot.width, ==, 64);
    shot_free(&s.shot);
    client_close(&c);
    house_stop(&h);
}

// --- points

#define CLOUD                                                                                  \
    "scene 64x48 fps=30 -> pic: jpeg -> out: live\nscene.depth => s: steady -> c: cloud -> "   \
    "msgpack => out\nscene.out => c.picture\ns => d: depth16 => out\npic => d.picture"

TEST(points_come_as_messagepack_with_nothing_before_them)
{
    struct house h;
    static const char *const paths[] = { "/ws/depth", "/ws", "/ws/depth?room=demo" };
    house_start(&h, CLOUD, NULL);
    for (int i = 0; i < 3; i++) {
        struct client c;
        watch(&h, &c, paths[i]);
        for (int k = 0; k < 3; k++) {
            struct message m = ws_next(&c);
            CHECK_INT(m.opcode, ==, 2);
            CHECK(!memcmp(m.data, "\x85\xa4type\xaapointcloud\xa9timestamp\xba", 28));
            CHECK(!memcmp(m.data + 54, "\xaanum_points\xcd", 12)); // more than 255
            size_t n = (size_t) (uint8_t) m.data[66] << 8 | (uint8_t) m.data[67];
            CHECK_INT(n, >, 200);
            CHECK_INT(m.size, >, n * 15);
            CHECK_INT(m.size, <, n * 15 + 100);
            message_free(&m);
        }
        client_close(&c);
    }
    house_stop(&h);
}

static struct message wait_kind(struct client *c, int kind)
{
    for (;;) {
        struct message m = ws_wait(c, 2);
        CHECK(m.opcode);
        if ((int) unpack(&m).kind == kind) return m;
        message_free(&m);
    }
}

TEST(a_v1_client_chooses_between_pictures_points_and_depth)
{
    struct house h;
    struct client c;
    house_start(&h, CLOUD, NULL);
    watch_v1(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"hello\",\"codecs\":[\"depth16\",\"jpeg\"]}");
    struct message m = wait_text(&c, "\"hello\"");
    CHECK_HAS(m.data, "\"codec\":\"depth16\"");
    message_free(&m);
    m = wait_kind(&c, PH_WIRE_DEPTH);
    CHECK_INT(unpack(&m).width, ==, 64);
    message_free(&m);
    ws_send_text(&c, "{\"type\":\"codec\",\"codec\":\"cloud\"}");
    m = wait_kind(&c, PH_WIRE_CLOUD);
    CHECK(!memcmp(m.data + PH_WIRE_BYTES, "\x85\xa4type", 6));
    message_free(&m);
    ws_send_text(&c, "{\"type\":\"codec\",\"codec\":\"jpeg\"}");
    m = wait_kind(&c, PH_WIRE_PICTURE);
    message_free(&m);
    client_close(&c);
    house_stop(&h);
}

// The payload without its optional part, by the number of bytes that the JPEG's size and zlib's end
// tell; here only whether it is there.
TEST(who_does_not_ask_for_confidence_gets_depth_as_it_always_was)
{
    struct house h;
    struct client old, knows;
    house_start(&h, CLOUD "\nscene.confidence => d.confidence", NULL);
    watch_v1(&h, &old, "/ws/stream");
    watch_v1(&h, &knows, "/ws/stream");
    ws_send_text(&old, "{\"type\":\"hello\",\"codecs\":[\"depth16\"]}");
    ws_send_text(&knows, "{\"type\":\"hello\",\"codecs\":[\"depth16\"],"
                         "\"parts\":[\"colour-of-smell\",\"confidence\"]}");
    struct message m = wait_kind(&old, PH_WIRE_DEPTH), with;
    CHECK_INT(unpack(&m).flags & PH_WIRE_EXTRA, ==, 0);
    do { // the confidence of the first map may come a moment later than the map
        with = wait_kind(&knows, PH_WIRE_DEPTH);
        if (unpack(&with).flags & PH_WIRE_EXTRA) break;
        message_free(&with);
    } while (true);
    const uint8_t *tail = (const uint8_t *) with.data + with.size - 16;
    uint32_t extra = 16 + (tail[8] | (uint32_t) tail[9] << 8);
    // scene stands on the same frame only when ids agree; sizes alone say that the old one ends
    // where its depth ends
    while (unpack(&m).frame < unpack(&with).frame) {
        message_free(&m);
        m = wait_kind(&old, PH_WIRE_DEPTH);
    }
    CHECK_INT(unpack(&m).flags & PH_WIRE_EXTRA, ==, 0);
    CHECK_INT(extra, >, 20);
    if (unpack(&m).frame == unpack(&with).frame) {
        CHECK_INT(m.size + extra, ==, with.size);
        CHECK(
            !memcmp(m.data + PH_WIRE_BYTES, with.data + PH_WIRE_BYTES, m.size - PH_WIRE_BYTES));
    }
    message_free(&m);
    message_free(&with);
    ws_send_text(&old, "{\"type\":\"hello\",\"codecs\":[\"depth16\"],\"parts\":\"all\"}");
    m = wait_text(&old, "parts is a list");
    message_free(&m);
    client_close(&old);
    client_close(&knows);
    house_stop(&h);
}

TEST(viewers_are_told_who_the_cameras_are)
{
    struct house h;
    struct client viewer, camera;
    house_start(&h, CLOUD, NULL);
    watch(&h, &viewer, "/ws");
    ws_send_text(&viewer, "{\"type\":\"register_role\",\"role\":\"viewer\",\"timestamp\":1.5}");
    struct message m = wait_text(&viewer, "camera_list");
    CHECK_HAS(m.data, "\"cameras\":[],\"count\":0");
    message_free(&m);
    watch(&h, &camera, "/ws");
    ws_send_text(&camera, "{\"type\":\"register_role\",\"role\":\"camera\",\"timestamp\":2}");
    m = wait_text(&viewer, "\"count\":1");
    CHECK_HAS(m.data, "\"client_id\":");
    CHECK_HAS(m.data, "\"buffer_size\":0");
    message_free(&m);
    ws_send_text(&camera, "{\"type\":\"ping\"}");
    m = wait_text(&camera, "\"pong\"");
    message_free(&m);
    ws_send_text(&camera, "{\"type\":\"register_role\",\"role\":\"king\"}");
    m = wait_text(&camera, "viewer");
    CHECK_HAS(m.data, "\"field\":\"role\"");
    message_free(&m);
    client_close(&camera);
    m = wait_text(&viewer, "\"count\":0");
    message_free(&m);
    client_close(&viewer);
    watch(&h, &viewer, "/ws/stream");
    ws_send_text(&viewer, "{\"type\":\"register_role\",\"role\":\"viewer\"}");
    m = wait_text(&viewer, "/ws/depth");
    message_free(&m);
    client_close(&viewer);
    house_stop(&h);
}

TEST(a_room_without_points_says_what_it_needs)
{
    struct house h;
    struct client c;
    house_start(&h, BALL, NULL);
    watch(&h, &c, "/ws/depth");
    struct message m = wait_text(&c, "\"error\"");
    CHECK_HAS(m.data, "msgpack");
    message_free(&m);
    client_close(&c);
    house_stop(&h);
}

TEST(a_viewer_of_points_that_stops_reading_holds_nobody_up)
{
    struct house h;
    struct client slow, quick;
    house_start(
        &h,
        "scene 160x120 fps=60 -> rest: null\nscene.depth => steady -> cloud stride=1 -> "
        "msgpack => live",
        NULL);
    watch(&h, &slow, "/ws/depth"); // some 280 kB a message: its socket is soon full
    watch(&h, &quick, "/ws/depth");
    for (int i = 0; i < 60; i++) {
        struct message m = ws_wait(&quick, 2);
        CHECK(m.opcode);
        message_free(&m);
    }
    client_close(&slow);
    client_close(&quick);
    house_stop(&h);
}
