// SPDX-License-Identifier: MIT
// Rooms come and go, sleep and wake, and leave nothing behind.
#include "house.h"

#include <sys/resource.h>

#define GRAPH "pattern ball size=160x120 fps=60 id=on => jpeg -> live"

#define KEEPS_FREED TEST_SANITIZED // a sanitizer does not give memory back at once

static int count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static long rss_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%*s %ld", &pages) == 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void cycle(const struct house *h)
{
    struct client c;
    EXPECT(201, h, "POST", "/api/v1/rooms",
           "{\"name\":\"x\",\"graph\":\"pattern size=320x240 fps=60 => jpeg -> live\"}");
    watch(h, &c, "/ws/stream?room=x");
    struct message m = ws_wait(&c, 2);
    CHECK(m.opcode);
    message_free(&m);
    EXPECT(204, h, "DELETE", "/api/v1/rooms/x", "");
    ws_expect_close(&c, 1001, "removed");
    client_close(&c);
}

TEST_LIMIT(a_hundred_rooms_made_watched_and_removed_leave_nothing, 120)
{
    struct house h;
    house_start(&h, NULL, NULL);
    for (int i = 0; i < 20; i++) cycle(&h);
    sleep_ms(2500);
    int fds = count_fds(), threads = count_threads();
    long rss = rss_kib();
    for (int i = 0; i < 100; i++) cycle(&h);
    // what a closed socket still has to say may take a moment
    for (int i = 0; i < 6000 && (count_threads() > threads || count_fds() > fds); i++)
        sleep_ms(10);
    CHECK_INT(count_fds(), <=, fds);
    CHECK_INT(count_threads(), <=, threads);
    // a leaked room of this size would be 400 KiB, a hundred times
    if (!KEEPS_FREED) CHECK_INT(rss_kib(), <, rss + 6000);
    house_stop(&h);
}

TEST(d2_43_a_room_that_failed_to_open_leaves_nothing_and_the_next_try_works)
{
    struct house h;
    struct client c;
    struct ph_fault fault = { 0 };
    char graph[256], logo[128];
    size_t size;
    uint8_t *red = encode_solid(16, 16, 200, 30, 30, &size);
    NEED("overlay");
    house_start(&h, NULL, NULL);
    int threads = count_threads();
    snprintf(logo, sizeof logo, "%s/logo.jpg", h.dir);
    snprintf(graph, sizeof graph,
             "pattern size=64x48 fps=10 -> overlay logo=%s => jpeg -> live", logo);
    CHECK_INT(ph_room_create(h.rooms, ph_room_params(.graph = graph), &fault), <, 0);
    CHECK_HAS(fault.message, "logo.jpg");
    EXPECT(200, &h, "GET", "/api/v1/rooms", NULL);
    CHECK_STR(answer, "{\"rooms\":[]}");
    FILE *f = fopen(logo, "wb");
    CHECK(f && fwrite(red, 1, size, f) == size);
    fclose(f);
    free(red);
    CHECK_OK(ph_room_create(h.rooms, ph_room_params(.graph = graph), &fault));
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    CHECK_INT(s.shot.width, ==, 64);
    shot_free(&s.shot);
    client_close(&c);
    CHECK_OK(ph_room_destroy(h.rooms, "demo"));
    for (int i = 0; i < 6000 && count_threads() > threads; i++) sleep_ms(10);
    CHECK_INT(count_threads(), <=, threads);
    house_stop(&h);
}

TEST(d2_43_a_graph_without_a_source_is_refused_and_does_not_wait_for_ever)
{
    struct house h;
    struct ph_fault fault = { 0 };
    house_start(&h, NULL, NULL);
    CHECK_INT(ph_room_create(h.rooms, ph_room_params(.graph = "jpeg -> live"), &fault), <, 0);
    CHECK(fault.message[0]);
    CHECK_OK(ph_room_create(h.rooms, ph_room_params(.graph = GRAPH), &fault));
    CHECK_INT(ph_room_create(h.rooms, ph_room_params(.graph = GRAPH), &fault), ==, PH_EBUSY);
    CHECK_INT(ph_room_create(h.rooms, ph_room_params(.name = "b"), &fault), ==, PH_EINVAL);
    CHECK_INT(ph_room_edit(h.rooms, "b", GRAPH, &fault), ==, PH_ENOENT);
    CHECK_INT(ph_room_edit(h.rooms, "demo", "pattern ->", &fault), <, 0);
    CHECK_OK(ph_room_edit(h.rooms, "demo", "pattern -> null", &fault));
    CHECK_OK(ph_room_destroy(h.rooms, "demo"));
    CHECK_INT(ph_room_destroy(h.rooms, "demo"), ==, PH_ENOENT);
    house_stop(&h);
}

TEST(a_port_in_use_is_said)
{
    struct house h;
    struct ph_rooms *second = NULL;
    struct ph_fault fault = { 0 };
    house_start(&h, NULL, NULL);
    CHECK_INT(ph_rooms_create(&second, ph_rooms_params(.port = h.port), &fault), ==, PH_EBUSY);
    CHECK(!second && fault.message[0]);
    char text[128];
    CHECK_INT(ph_rooms_url(h.rooms, text, sizeof text), >, 0);
    CHECK_HAS(text, "http://127.0.0.1:");
    house_stop(&h);
}

static double frames_made(const struct house *h)
{
    EXPECT(200, h, "GET", "/metrics", NULL);
    const char *at = strstr(answer, "phosphene_frames_total{room=\"demo\",node=\"pattern\"}");
    CHECK(at);
    return atof(strchr(at, '}') + 1);
}

TEST(d2_44_a_killed_viewer_lets_the_room_sleep_and_values_stay)
{
    struct house h;
    struct client c;
    house_start(&h, GRAPH, NULL);
    watch(&h, &c, "/ws/stream");
    send_acked(
        &c, "{\"type\":\"set\",\"id\":1,\"node\":\"pattern\",\"values\":{\"size\":\"96x64\"}}",
        1);
    CHECK_NUM(room_num(&h, "viewers"), ==, 1);
    struct linger rst = { 1, 0 }; // as when the process behind it is killed
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
    client_close(&c);
    wait_asleep(&h);
    double asleep = frames_made(&h);
    sleep_ms(500);
    CHECK_NUM(frames_made(&h), ==, asleep);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo");
    CHECK_NUM(num(doc, "viewers"), ==, 0);
    ph_json_free(&doc);
    watch(&h, &c, "/ws/stream"); // and wakes with what was set
    struct sight s = next_sight(&c);
    CHECK_INT(s.shot.width, ==, 96);
    shot_free(&s.shot);
    client_close(&c);
    house_stop(&h);
}

TEST(d2_48_rooms_that_nobody_watches_use_no_processor)
{
    struct house h;
    house_start(&h, GRAPH, NULL);
    EXPECT(201, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"two\",\"graph\":\"scene fps=60 => jpeg -> live\"}");
    while (!is_asleep(&h, "demo") || !is_asleep(&h, "two")) sleep_ms(10);
    sleep_ms(500);
    double before = cpu_seconds();
    sleep_ms(2000);
    CHECK_NUM(cpu_seconds() - before, <, 0.01 * (TEST_SANITIZED ? 10 : 4)); // of 2
    house_stop(&h);
}

TEST(stopping_takes_less_than_a_second_with_viewers_of_every_kind)
{
    struct house h;
    struct client plain, v1, stalled, test, mjpeg, calm;
    struct message m;
    house_start(&h, "pattern noise size=640x480 fps=60 => jpeg q=95 -> live", NULL);
    CHECK_OK(ph_room_create(
        h.rooms,
        ph_room_params(.name = "calm", .graph = "pattern size=64x48 fps=1 => jpeg -> live"),
        NULL));
    watch(&h, &calm, "/ws/stream?room=calm");
    watch(&h, &plain, "/ws/stream");
    watch_v1(&h, &v1, "/ws/stream");
    client_open_from(&stalled, h.port, NULL, 4096);
    CHECK_INT(ws_open(&stalled, "/ws/stream", NULL), ==, 101);
    watch(&h, &test, "/ws/test");
    client_open(&mjpeg, h.port);
    client_sendf(&mjpeg, "GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    CHECK(client_fill(&mjpeg, 1000));
    m = ws_wait(&plain, 2);
    message_free(&m);
    sleep_ms(500);
    house_stop(&h);        // checks the time
    m = ws_wait(&calm, 8); // its small pictures have left room for a goodbye
    CHECK_INT(m.code, ==, 1001);
    message_free(&m);
    client_close(&plain);
    client_close(&v1);
    client_close(&stalled);
    client_close(&test);
    client_close(&calm);
    client_close(&mjpeg);
}

TEST(a_house_can_be_destroyed_before_it_was_started)
{
    struct ph_rooms *rooms = NULL;
    struct ph_fault fault = { 0 };
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    CHECK_OK(ph_rooms_create(&rooms, ph_rooms_params(.log = &quiet), &fault));
    CHECK_OK(ph_room_create(rooms, ph_room_params(.graph = "pattern -> null"), &fault));
    ph_rooms_destroy(&rooms);
    CHECK(!rooms);
    ph_rooms_destroy(&rooms);
    CHECK_INT(
        ph_rooms_create(
            &rooms,
            ph_rooms_params(.sources = (const char *const[]){ "a=scene", "a=scene", NULL }),
            &fault),
        ==, PH_EINVAL);
    CHECK_HAS(fault.message, "two sources");
    CHECK_INT(ph_rooms_create(&rooms, ph_rooms_params(.presets_dir = "/nowhere"), &fault), ==,
              PH_EIO);
    CHECK_HAS(fault.message, "/nowhere");
}

TEST(a_token_is_wanted_for_all_but_the_page_and_health)
{
    struct house h;
    struct client c;
    house_start(&h, GRAPH, &(struct ph_rooms_params){ .token = "0123456789abcdefghij" });
    EXPECT(200, &h, "GET", "/", NULL);
    EXPECT(200, &h, "GET", "/healthz", NULL);
    EXPECT(401, &h, "GET", "/api/v1/rooms", NULL);
    EXPECT(401, &h, "GET", "/metrics", NULL);
    EXPECT(401, &h, "GET", "/frame.jpg", NULL);
    CHECK_INT(client_once(h.port, "GET", "/api/v1/rooms",
                          "Authorization: Bearer 0123456789abcdefghij\r\n", NULL, NULL, 0),
              ==, 200);
    client_open(&c, h.port);
    CHECK_INT(ws_open(&c, "/ws/stream",
                      "Sec-WebSocket-Protocol: phosphene.v1, token.0123456789abcdefghij\r\n"),
              ==, 101);
    ws_send_text(&c, "{\"type\":\"hello\"}");
    struct message m = ws_wait(&c, 2);
    CHECK(m.opcode);
    message_free(&m);
    client_close(&c);
    house_stop(&h);
}

TEST(who_shows_no_token_learns_no_name_of_a_room)
{
    struct house h;
    struct client c;
    house_start(&h, GRAPH, &(struct ph_rooms_params){ .token = "0123456789abcdefghij" });
    client_open(&c, h.port);
    CHECK_INT(ws_open(&c, "/ws/stream?room=dema", NULL), ==, 401);
    client_close(&c);
    client_open(&c, h.port);
    CHECK_INT(
        ws_open(&c, "/ws/stream?room=dema", "Authorization: Bearer 0123456789abcdefghij\r\n"),
        ==, 404);
    client_close(&c);
    house_stop(&h);
}
