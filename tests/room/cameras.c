// SPDX-License-Identifier: MIT
// Clients that send pictures: whose go where, and when they were taken.
#include "house.h"

#include "board.h"
#include "room/clock_offset.h"

#include <pthread.h>
#include <stdatomic.h>

// A clock that is 5 s behind ours, and a network whose way back is slower than the way there, by
// another amount each time.
TEST(the_offset_of_a_clock_errs_by_less_than_half_of_the_fastest_exchange)
{
    struct ph_offset o = { 0 };
    const int64_t truth = 5 * PH_SECOND_NS;
    int64_t ours = 100 * PH_SECOND_NS, fastest = INT64_MAX;
    uint32_t seed = 3;
    CHECK(!ph_offset_get(&o).known);
    for (int i = 0; i < 200; i++) {
        seed = seed * 1664525 + 1013904223;
        int64_t there = 2 * MS + (seed >> 24) % 7 * MS, back = 2 * MS + (seed >> 16) % 90 * MS;
        ours += PH_SECOND_NS / 2;
        int64_t sent = ours - truth, server = ours + there, heard = server + back - truth;
        ph_offset_add(&o, sent, server, heard, server + back);
        if (i >= 168 && there + back < fastest) fastest = there + back;
    }
    struct ph_offset_report r = ph_offset_get(&o);
    CHECK(r.known);
    CHECK_INT(r.rtt_ns, <=, fastest);
    CHECK_INT(llabs(r.offset_ns - truth), <=, r.rtt_ns / 2);
    // nonsense changes nothing
    ph_offset_add(&o, 10, ours, 5, ours);
    ph_offset_add(&o, 0, ours + PH_SECOND_NS, 1, ours);
    ph_offset_add(&o, 0, ours, 11 * PH_SECOND_NS, ours);
    CHECK_INT(ph_offset_get(&o).offset_ns, ==, r.offset_ns);
    // an exchange that was fast long ago is forgotten: clocks drift
    int64_t later = ours + 120 * PH_SECOND_NS;
    ph_offset_add(&o, later - truth - MS, later, later - truth + 300 * MS, later + 300 * MS);
    CHECK_INT(ph_offset_get(&o).rtt_ns, ==, 301 * MS);
}

#define TWO "left: browser -> rest: null\nright: browser => jpeg q=95 -> live: live"

static void join(const struct house *h, struct client *c, const char *node)
{
    char text[160];
    watch(h, c, "/ws");
    snprintf(text, sizeof text,
             "{\"type\":\"register_role\",\"role\":\"camera\",\"timestamp\":1%s%s%s}",
             node ? ",\"node\":\"" : "", node ? node : "", node ? "\"" : "");
    ws_send_text(c, text);
}

static void expect_list(struct client *viewer, const char *part)
{
    struct message m = wait_text(viewer, part);
    message_free(&m);
}

TEST(each_camera_has_a_node_of_its_own_and_may_ask_for_one)
{
    struct house h;
    struct client viewer, list, first, second;
    size_t red_size, blue_size;
    uint8_t *red = encode_solid(32, 32, 200, 30, 30, &red_size),
            *blue = encode_solid(32, 32, 20, 40, 220, &blue_size);
    house_start(&h, TWO, NULL);
    watch(&h, &viewer, "/ws/stream");
    watch(&h, &list, "/ws");
    ws_send_text(&list, "{\"type\":\"register_role\",\"role\":\"viewer\"}");
    join(&h, &first, NULL);
    expect_list(&list, "\"node\":\"left\"");
    join(&h, &second, NULL);
    expect_list(&list, "\"node\":\"right\"");
    for (int i = 0; i < 5; i++) {
        ws_send_raw(&first, 0x82, true, red, red_size);
        ws_send_raw(&second, 0x82, true, blue, blue_size);
        struct sight s = next_sight(&viewer);
        CHECK(is_color(&s.shot, 20, 40, 220)); // the first one's go elsewhere
        shot_free(&s.shot);
    }
    // roles change: the second becomes a viewer, the first asks for its place
    ws_send_text(&second, "{\"type\":\"register_role\",\"role\":\"viewer\"}");
    ws_send_text(&first, "{\"type\":\"register_role\",\"role\":\"camera\",\"node\":\"right\"}");
    expect_list(&list, "\"node\":\"right\"}],\"count\":1");
    struct sight s;
    do {
        ws_send_raw(&first, 0x82, true, red, red_size);
        s = next_sight(&viewer);
        bool came = is_color(&s.shot, 200, 30, 30);
        shot_free(&s.shot);
        if (came) break;
    } while (true);
    // half a picture, and the connection is gone: nothing is lost for the others
    ws_send_raw(&first, 0x82, true, red, red_size / 2);
    client_close(&first);
    join(&h, &first, "right");
    do {
        ws_send_raw(&first, 0x82, true, blue, blue_size);
        s = next_sight(&viewer);
        bool came = is_color(&s.shot, 20, 40, 220);
        shot_free(&s.shot);
        if (came) break;
    } while (true);
    ws_send_text(&first, "{\"type\":\"register_role\",\"role\":\"camera\",\"node\":\"roof\"}");
    ws_send_raw(&first, 0x82, true, blue, blue_size);
    struct message m = wait_text(&first, "no browser node");
    CHECK_HAS(m.data, "\\\"roof\\\"");
    message_free(&m);
    free(red);
    free(blue);
    client_close(&first);
    client_close(&second);
    client_close(&list);
    client_close(&viewer);
    house_stop(&h);
}

// An IPv4 address in IPv6's clothes: reached where the tests are, written as IPv6 is.
TEST(a_phone_is_told_of_an_ipv6_address_in_brackets)
{
    struct house h;
    char want[96];
    house_start(
        &h, TWO,
        &(struct ph_rooms_params){ .bind = "::ffff:127.0.0.1", .insecure_no_auth = true });
    EXPECT(200, &h, "GET", "/api/v1/phone?room=demo", NULL);
    snprintf(want, sizeof want, "\"url\":\"http://[::ffff:127.0.0.1]:%d/phone.html?room=demo\"",
             h.port);
    CHECK_HAS(answer, want);
    house_stop(&h);
    house_start(&h, TWO, NULL);
    EXPECT(200, &h, "GET", "/api/v1/phone?room=demo", NULL);
    snprintf(want, sizeof want, "\"url\":\"http://127.0.0.1:%d/phone.html", h.port);
    CHECK_HAS(answer, want);
    house_stop(&h);
}

static void send_dated(struct client *c, const uint8_t *jpeg, size_t size, int64_t pts_ns)
{
    uint8_t *bytes = malloc(PH_WIRE_BYTES + size);
    CHECK(bytes);
    ph_wire_pack(&(struct ph_wire){ .kind = PH_WIRE_PICTURE,
                                    .codec = PH_WIRE_JPEG,
                                    .flags = PH_WIRE_KEY,
                                    .pts_ns = pts_ns,
                                    .payload_bytes = (uint32_t) size },
                 bytes);
    memcpy(bytes + PH_WIRE_BYTES, jpeg, size);
    ws_send_raw(c, 0x82, true, (const char *) bytes, PH_WIRE_BYTES + size);
    free(bytes);
}

// The client's clock is an hour ahead. Two pictures that were taken 40 ms apart come much later,
// one after the other; what they are dated tells when they were taken.
TEST(pictures_are_dated_by_the_clock_of_who_took_them)
{
    struct house h;
    struct client c;
    size_t size;
    char text[256];
    const int64_t ahead = 3600 * PH_SECOND_NS;
    uint8_t *jpeg = encode_solid(32, 32, 200, 30, 30, &size);
    house_start(&h, "browser => jpeg q=95 -> live", NULL);
    watch_v1(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"hello\"}");
    struct message m = wait_text(&c, "\"hello\"");
    message_free(&m);
    int64_t sent = client_now_ns() + ahead;
    ws_send_text(&c, "{\"type\":\"ping\",\"t\":1}");
    m = wait_text(&c, "server_ns");
    int64_t heard = client_now_ns() + ahead;
    long long server = atoll(strstr(m.data, "server_ns") + 11);
    message_free(&m);
    snprintf(text, sizeof text,
             "{\"type\":\"ping\",\"t\":2,\"sent\":%.3f,\"heard\":%.3f,\"server_ns\":%lld}",
             (double) sent * 1e-6, (double) heard * 1e-6, server);
    ws_send_text(&c, text);
    m = wait_text(&c, "\"t\":2");
    message_free(&m);
    int64_t taken = client_now_ns() + ahead - 300 * MS, pts[2];
    for (int i = 0; i < 2; i++) {
        send_dated(&c, jpeg, size, taken + i * 40 * MS);
        do m = ws_wait(&c, 2);
        while (m.opcode != 2);
        struct ph_wire w;
        struct ph_fault fault;
        CHECK_OK(ph_wire_unpack(m.data, m.size, &w, &fault));
        pts[i] = w.pts_ns;
        message_free(&m);
        sleep_ms(60);
    }
    CHECK_INT(pts[1] - pts[0], ==, 40 * MS);
    ws_send_text(&c, "{\"type\":\"ping\",\"sent\":1}");
    m = wait_text(&c, "\"field\":\"sent\"");
    message_free(&m);
    ws_send_raw(&c, 0x82, true, "PHS1 and then nothing", 21);
    m = wait_text(&c, "\"field\":\"size\"");
    message_free(&m);
    free(jpeg);
    client_close(&c);
    house_stop(&h);
}

#if PH_HAVE_JPEG
static uint8_t *photo(const struct ph_pose *p, size_t *size)
{
    struct ph_frame *f = draw_board(p, 2);
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    tjhandle tj = tjInitCompress();
    CHECK_OK(tjCompress2(tj, f->picture.data[0], 640, (int) f->picture.stride[0], 480,
                         TJPF_RGBA, &bytes, &n, TJSAMP_444, 95, 0));
    tjDestroy(tj);
    ph_frame_unref(&f);
    *size = n;
    return bytes;
}

struct asked {
    const struct house *h;
    const char *body;
    int status;
    _Atomic bool done;
};

static void *ask_main(void *opaque)
{
    struct asked *a = opaque;
    a->status =
        api(a->h, "POST", "/api/v1/rooms/demo/calibrate", a->body, answer, sizeof answer);
    atomic_store(&a->done, true);
    return NULL;
}

// Asks while both cameras send their pictures; the answer is in `answer`.
static int ask_calibration(const struct house *h, const char *body, struct client *cameras,
                           uint8_t *const *photos, const size_t *sizes)
{
    struct asked a = { .h = h, .body = body };
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, ask_main, &a));
    while (!atomic_load(&a.done)) {
        for (int i = 0; i < 2; i++)
            ws_send_raw(&cameras[i], 0x82, true, (const char *) photos[i], sizes[i]);
        sleep_ms(30);
    }
    pthread_join(thread, NULL);
    return a.status;
}

// Nobody sends a picture, so it waits; a machine may be so slow that it is over before anybody looks.
TEST(looking_for_a_board_leaves_the_room_free_and_says_how_far_it_is)
{
    static char other[8192];
    struct house h;
    bool waiting = false, refused = false, set = false;
    house_start(&h,
                "fuse: fuse -> points: null\nscene 32x24 fps=10 -> null\n"
                "scene.depth -> steady -> cloud -> fuse.in1\nleft: browser -> eye1: live",
                NULL);
    EXPECT(200, &h, "GET", "/api/v1/rooms/demo/calibrate", NULL);
    CHECK_HAS(answer, "{\"running\":false,\"views\":[]}");
    for (int i = 0; i < 20 && !(waiting && refused && set); i++) {
        struct asked a = { .h = &h, .body = "{\"views\":[\"eye1\"]}" };
        pthread_t thread;
        CHECK(!pthread_create(&thread, NULL, ask_main, &a));
        while (!atomic_load(&a.done) && !(waiting && refused && set)) {
            api(&h, "GET", "/api/v1/rooms/demo/calibrate", NULL, other, sizeof other);
            if (!strstr(other, "\"running\":true")) continue;
            waiting = waiting || strstr(other, "{\"view\":\"eye1\",\"state\":\"waiting\"}");
            int status =
                api(&h, "POST", "/api/v1/rooms/demo/calibrate", a.body, other, sizeof other);
            refused = refused || (status == 409 && strstr(other, "already"));
            status = api(&h, "PATCH", "/api/v1/rooms/demo/params",
                         "{\"node\":\"fuse\",\"values\":{\"voxel\":0.5}}", other, sizeof other);
            set = set || ((status == 200 || status == 202) && !atomic_load(&a.done));
        }
        pthread_join(thread, NULL);
        CHECK(a.status >= 400);
    }
    CHECK(waiting);
    CHECK(refused);
    CHECK(set);
    // a room that goes while it looks: nobody waits for an answer that does not come
    struct asked a = { .h = &h, .body = "{\"views\":[\"eye1\"]}" };
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, ask_main, &a));
    do api(&h, "GET", "/api/v1/rooms/demo/calibrate", NULL, other, sizeof other);
    while (!strstr(other, "\"running\":true") && !atomic_load(&a.done));
    CHECK_INT(api(&h, "DELETE", "/api/v1/rooms/demo", NULL, other, sizeof other), ==, 204);
    pthread_join(thread, NULL);
    CHECK(a.status >= 400);
    house_stop(&h);
}

TEST(a_board_that_two_cameras_see_tells_fuse_where_they_stand)
{
    struct house h;
    struct client cameras[2];
    struct ph_pose seen[2] = { pose("-0.13 -0.08 0.7 25 15 5"),
                               pose("-0.05 -0.12 0.8 -30 35 40") };
    uint8_t *photos[2];
    size_t sizes[2];
    house_start(&h,
                "fuse: fuse -> points: null\nscene 32x24 fps=10 -> null\n"
                "scene.depth -> steady -> cloud -> fuse.in1\n"
                "left: browser -> eye1: live\nright: browser -> eye2: live",
                NULL);
    for (int i = 0; i < 2; i++) {
        photos[i] = photo(&seen[i], &sizes[i]);
        join(&h, &cameras[i], i ? "right" : "left");
    }
    // the lens of the drawing: 620 pixels at a width of 640
    int status =
        ask_calibration(&h, "{\"views\":[\"eye1\",\"eye2\"],\"squareMm\":30,\"fov\":54.6}",
                        cameras, photos, sizes);
    if (status != 200) TEST_FAIL("%d: %s", status, answer);
    struct ph_json_doc *doc = parse_json(answer);
    for (int i = 0; i < 2; i++) {
        const struct ph_json *v = ph_json_get(ph_json_root(doc), "views")->child;
        if (i) v = v->next;
        CHECK(ph_json_bool(ph_json_get(v, "found"), false));
        CHECK_NUM(ph_json_double(ph_json_get(v, "errorPx"), 9), <, 0.3);
        if (!i) continue;
        struct ph_pose back = ph_pose_inverse(&seen[1]), want = ph_pose_after(&seen[0], &back);
        struct ph_pose got = pose(ph_json_string(ph_json_get(v, "pose"), "x"));
        for (int k = 0; k < 3; k++) CHECK_NUM(fabs(got.t[k] - want.t[k]), <, 0.012);
        for (int k = 0; k < 9; k++) CHECK_NUM(fabs(got.r[k] - want.r[k]), <, 0.015);
    }
    char pose2[128];
    snprintf(
        pose2, sizeof pose2, "\"pose2\":\"%s\"",
        ph_json_string(
            ph_json_get(ph_json_get(ph_json_root(doc), "views")->child->next, "pose"), ""));
    ph_json_free(&doc);
    EXPECT(200, &h, "GET", "/api/v1/rooms/demo/params", NULL);
    CHECK_HAS(answer, pose2);
    // what cannot be asked for
    static const char *const wrong[][2] = {
        { "{\"views\":[]}", "views" },
        { "{\"views\":[\"eye9\"]}", "eye9" },
        { "{\"views\":[\"eye1\"],\"columns\":9,\"rows\":7}", "upside down" },
        { "{\"views\":[\"eye1\"],\"node\":\"left\"}", "no fuse node" },
        { "{\"views\":[\"eye1\"],\"squareMm\":0}", "squareMm" },
        { "{\"views\":[\"eye1\"],\"color\":1}", "color" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        status =
            api(&h, "POST", "/api/v1/rooms/demo/calibrate", wrong[i][0], answer, sizeof answer);
        if (status < 400 || !strstr(answer, wrong[i][1])) TEST_FAIL("%d: %s", status, answer);
    }
    for (int i = 0; i < 2; i++) {
        tjFree(photos[i]);
        client_close(&cameras[i]);
    }
    house_stop(&h);
}
#endif
