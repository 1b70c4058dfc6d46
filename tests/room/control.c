// SPDX-License-Identifier: MIT
// Knobs, cuts and edits of a running room: what is acknowledged is true of the pictures.
#include "house.h"

#define SOLID                                                                                  \
    "pattern solid color=#c82828 size=160x120 fps=60 id=on => jpeg q=90 limiter=off -> live"

static bool is_red(const struct shot *s)
{
    return is_color(s, 200, 40, 40);
}
static bool is_blue(const struct shot *s)
{
    return is_color(s, 32, 64, 224);
}

TEST(an_ack_names_the_first_frame_that_shows_the_change)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    for (int round = 0; round < 6; round++) {
        bool blue = round % 2 == 0; // what it changes to
        double acked = -1, boundary = -1, last_old = -1;
        char text[128];
        snprintf(
            text, sizeof text,
            "{\"type\":\"set\",\"id\":%d,\"node\":\"pattern\",\"values\":{\"color\":\"%s\"}}",
            round, blue ? "#2040e0" : "#c82828");
        CHECK(ws_send_text(&c, text));
        for (int after = 0; after < 5;) {
            struct message m = ws_next(&c);
            CHECK(m.opcode);
            if (m.opcode == 1 && strstr(m.data, "\"ack\"")) {
                struct ph_json_doc *doc = parse_json(m.data);
                CHECK_NUM(num(doc, "id"), ==, round);
                CHECK_NUM(num(doc, "epoch"), ==, 0);
                acked = num(doc, "frame");
                ph_json_free(&doc);
            } else if (m.opcode == 2) {
                struct shot s = decode(m.data, m.size);
                CHECK(s.coded && (is_red(&s) || is_blue(&s)));
                if (is_blue(&s) != blue)
                    last_old = s.id;
                else if (boundary < 0)
                    boundary = s.id;
                after += boundary >= 0 && acked >= 0;
                shot_free(&s);
            }
            message_free(&m);
        }
        // pictures may be left out between the two, so the ack lies between what was seen
        CHECK_NUM(acked, >, last_old);
        CHECK_NUM(acked, <=, boundary);
    }
    client_close(&c);
    house_stop(&h);
}

// The next text message of that type; others are passed over.
static struct message next_text(struct client *c, const char *type)
{
    for (;;) {
        struct message m = ws_next(c);
        CHECK(m.opcode);
        if (m.opcode == 1 && strstr(m.data, type)) return m;
        message_free(&m);
    }
}

TEST(a_drive_is_set_refused_and_taken_away)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    CHECK(ws_send_text(&c, "{\"type\":\"set\",\"id\":1,\"node\":\"pattern\",\"drives\":{"
                           "\"speed\":\"5 + kik\"}}"));
    struct message m = next_text(&c, "\"error\"");
    CHECK_HAS(m.data, "\"field\":\"speed\"");
    CHECK_HAS(m.data, "kik");
    message_free(&m);
    CHECK(ws_send_text(&c, "{\"type\":\"set\",\"id\":2,\"node\":\"pattern\",\"drives\":{"
                           "\"speed\":\"5 + sine(4) * 0\"},\"values\":{\"cell\":3}}"));
    m = next_text(&c, "\"ack\"");
    CHECK_HAS(m.data, "\"id\":2");
    message_free(&m);
    CHECK(ws_send_text(&c, "{\"type\":\"subscribe\",\"room\":true,\"hz\":10}"));
    m = next_text(&c, "\"room\"");
    CHECK_HAS(m.data, "pattern.speed <- 5 + sine(4) * 0\\n");
    CHECK_HAS(m.data,
              "\"drives\":[{\"param\":\"speed\",\"text\":\"5 + sine(4) * 0\",\"value\":5}]");
    message_free(&m);
    CHECK(ws_send_text(&c, "{\"type\":\"set\",\"id\":3,\"node\":\"pattern\",\"drives\":{"
                           "\"speed\":null}}"));
    m = next_text(&c, "\"ack\"");
    message_free(&m);
    CHECK(ws_send_text(&c, "{\"type\":\"set\",\"id\":4,\"node\":\"pattern\",\"at\":\"bar\","
                           "\"values\":{\"speed\":2}}")); // nobody knows a tempo here
    m = next_text(&c, "\"ack\"");
    CHECK_HAS(m.data, "\"id\":4");
    message_free(&m);
    do {
        message_free(&m);
        m = next_text(&c, "\"room\"");
    } while (strstr(m.data, "\"drives\""));
    message_free(&m);
    client_close(&c);
    house_stop(&h);
}

TEST(signals_are_sent_for_as_long_as_they_are_asked_for)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    CHECK(ws_send_text(&c, "{\"type\":\"set\",\"id\":1,\"node\":\"pattern\",\"drives\":{"
                           "\"speed\":\"5 + sine(4) * 0\"}}"));
    struct message m = next_text(&c, "\"ack\"");
    message_free(&m);
    CHECK(ws_send_text(&c, "{\"type\":\"subscribe\",\"signals\":30}"));
    for (int i = 0; i < 3; i++) {
        m = next_text(&c, "\"type\":\"signals\"");
        CHECK_HAS(m.data, "\"data\":{\"nodes\":{},\"drives\":{\"pattern\":{\"speed\":5}}}");
        message_free(&m);
    }
    CHECK(ws_send_text(&c, "{\"type\":\"subscribe\",\"room\":true,\"hz\":10,\"signals\":0}"));
    CHECK(ws_send_text(&c, "{\"type\":\"ping\"}"));
    m = next_text(&c, "\"pong\"");
    message_free(&m);
    for (int docs = 0; docs < 5;) {
        m = ws_next(&c);
        CHECK(m.opcode);
        CHECK(m.opcode != 1 || !strstr(m.data, "\"type\":\"signals\""));
        docs += m.opcode == 1 && strstr(m.data, "\"type\":\"room\"");
        message_free(&m);
    }
    client_close(&c);
    house_stop(&h);
}

TEST(several_values_land_together_with_one_ack)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    send_acked(
        &c,
        "{\"type\":\"set\",\"id\":1,\"node\":\"pattern\",\"values\":{\"color\":\"#2040e0\","
        "\"size\":\"96x64\",\"id\":false}}",
        1);
    struct sight s;
    for (int i = 0; i < 10; i++) { // until they come in one picture
        s = next_sight(&c);
        shot_free(&s.shot);
        CHECK((s.shot.width == 96) == is_blue(&s.shot));
        CHECK((s.shot.width == 96) == !s.shot.coded);
    }
    CHECK_INT(s.shot.width, ==, 96);
    client_close(&c);
    house_stop(&h);
}

TEST(one_wrong_value_refuses_all_and_each_wrong_one_is_named)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"set\",\"id\":1,\"node\":\"pattern\",\"values\":{\"color\":"
                     "\"#2040e0\",\"fps\":5000,\"speed\":\"fast\"}}");
    struct message m = wait_text(&c, "\"error\"");
    CHECK_HAS(m.data, "\"id\":1,\"field\":\"fps\",\"message\":\"fps is 0");
    struct ph_json_doc *doc = parse_json(m.data);
    CHECK_INT(at(doc, "errors")->count, ==, 2);
    CHECK_STR(str(doc, "errors.1.field"), "speed");
    ph_json_free(&doc);
    message_free(&m);
    for (int i = 0; i < 8; i++) {
        struct sight s = next_sight(&c);
        CHECK(is_red(&s.shot));
        shot_free(&s.shot);
    }
    client_close(&c);
    house_stop(&h);
}

TEST(a_setting_that_rebuilds_its_node_cannot_wait_and_refuses_what_could)
{
    struct house h;
    struct client c;
    NEED("text");
    house_start(&h,
                "pattern solid color=black size=160x120 fps=30 => text \"x\" => jpeg -> live",
                NULL);
    watch(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"set\",\"id\":1,\"node\":\"text\",\"at\":\"bar\",\"values\":{"
                     "\"text\":\"changed\",\"font\":\"serif\"}}");
    struct message m = wait_text(&c, "\"error\"");
    CHECK_HAS(m.data, "\"field\":\"font\"");
    CHECK_HAS(m.data, "rebuilds the node, so it cannot wait for a beat");
    message_free(&m);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo/params");
    CHECK(!strstr(answer, "changed") && !strstr(answer, "\"serif\""));
    ph_json_free(&doc);
    client_close(&c);
    house_stop(&h);
}

TEST(bad_messages_are_answered_and_the_connection_stays)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"set\",\"id\":5,");
    EXPECT_ERROR(&c, "\"field\":\"json\"", "line 1");
    ws_send_text(&c, "{\"type\":\"paint\",\"id\":6}");
    EXPECT_ERROR(&c, "\"id\":6", "\"field\":\"type\"");
    ws_send_text(&c, "{\"type\":\"set\",\"id\":7,\"node\":\"patern\",\"values\":{\"a\":1}}");
    EXPECT_ERROR(&c, "\"id\":7", "\"field\":\"node\"", "did you mean \\\"pattern\\\"");
    ws_send_text(&c,
                 "{\"type\":\"set\",\"id\":8,\"node\":\"pattern\",\"values\":{\"colour\":1}}");
    EXPECT_ERROR(&c, "\"id\":8", "\"field\":\"colour\"", "did you mean \\\"color\\\"");
    ws_send_text(&c,
                 "{\"type\":\"set\",\"id\":9,\"node\":\"pattern\",\"values\":{\"cell\":1.5}}");
    EXPECT_ERROR(&c, "\"id\":9", "\"field\":\"cell\"", "whole number");
    ws_send_text(&c, "{\"type\":\"hello\"}");
    EXPECT_ERROR(&c, "phosphene.v1");
    ws_send_text(&c, "{\"type\":\"subscribe\",\"room\":true,\"hz\":100}");
    EXPECT_ERROR(&c, "\"field\":\"hz\"", "1 … 10");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    client_close(&c);
    house_stop(&h);
}

TEST(d2_19_a_burst_of_10000_changes_ends_at_the_last_one_and_all_are_acked)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID,
                &(struct ph_rooms_params){ .limits = { .messages_per_s = 1000000 } });
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    int acks = 0, sent = 0;
    bool last = false;
    while (!last) {
        char text[160];
        for (int i = 0; i < 500 && sent < 10000; i++) {
            int v = ++sent == 10000 ? 0 : sent % 200; // ends at #2040e0
            snprintf(text, sizeof text,
                     "{\"type\":\"set\",\"id\":%d,\"node\":\"pattern\",\"values\":"
                     "{\"color\":\"#%02x40e0\"}}",
                     sent, v + 0x20);
            CHECK(ws_send_text(&c, text));
        }
        struct message m = ws_next(&c);
        CHECK(m.opcode);
        CHECK(!strstr(m.data, "\"error\""));
        if (m.opcode == 1 && strstr(m.data, "\"ack\"")) acks++;
        last = strstr(m.data, "\"ack\",\"id\":10000,") != NULL;
        message_free(&m);
    }
    CHECK_INT(acks, ==, 10000);
    for (int i = 0; i < 3; i++) { // the first may have been on its way
        s = next_sight(&c);
        shot_free(&s.shot);
    }
    CHECK(is_blue(&s.shot));
    client_close(&c);
    house_stop(&h);
}

TEST(d2_28_after_the_ack_of_a_hard_cut_nothing_of_the_old_epoch_comes)
{
    struct house h;
    struct client c, other;
    double epoch = 0;
    house_start(&h,
                "p: pattern ball size=320x240 fps=120 => mirror =>[drop_oldest 8] delay 20 => "
                "jpeg -> live",
                NULL);
    watch(&h, &c, "/ws/stream");
    watch(&h, &other, "/ws/stream"); // reads only at the end
    for (int round = 1; round <= 15; round++) {
        char text[96], want[64];
        snprintf(text, sizeof text, "{\"type\":\"cut\",\"id\":%d,\"kind\":\"hard\"}", round);
        snprintf(want, sizeof want, "\"ack\",\"id\":%d,", round);
        ws_send_text(&c, text);
        bool acked = false;
        for (int after = 0; after < 12;) {
            struct message m = ws_next(&c);
            CHECK(m.opcode);
            if (m.opcode == 1 && strstr(m.data, want)) {
                struct ph_json_doc *doc = parse_json(m.data);
                CHECK_NUM(num(doc, "epoch"), ==, round);
                acked = true;
                ph_json_free(&doc);
            }
            if (m.opcode == 1 && strstr(m.data, "metrics")) {
                struct ph_json_doc *doc = parse_json(m.data);
                epoch = num(doc, "data.epoch");
                ph_json_free(&doc);
                if (acked && epoch < round) TEST_FAIL("epoch %g after ack of %d", epoch, round);
            }
            after += acked && m.opcode == 2;
            message_free(&m);
        }
    }
    client_close(&c);
    client_close(&other);
    house_stop(&h);
}

TEST(a_hard_cut_of_video_begins_again_with_a_key_frame_of_the_new_epoch)
{
    struct house h;
    struct client c;
    struct ph_wire w;
    struct ph_fault f;
    NEED("video");
    house_start(&h, "pattern ball size=320x240 fps=60 => video h264 gop=60 -> live", NULL);
    watch_v1(&h, &c, "/ws/stream");
    ws_send_text(&c, "{\"type\":\"hello\",\"codecs\":[\"h264\"]}");
    struct message m = ws_wait(&c, 2);
    message_free(&m);
    ws_send_text(&c, "{\"type\":\"cut\",\"id\":1,\"kind\":\"hard\"}");
    bool acked = false, first = true;
    for (int after = 0; after < 20;) {
        m = ws_next(&c);
        CHECK(m.opcode);
        acked = acked || (m.opcode == 1 && strstr(m.data, "\"ack\",\"id\":1,"));
        if (m.opcode == 2) {
            CHECK_OK(ph_wire_unpack(m.data, m.size, &w, &f));
            if (acked) CHECK_INT(w.epoch, ==, 1);
            if (w.epoch == 1 && first) {
                CHECK_INT(w.flags, ==, PH_WIRE_KEY | PH_WIRE_EPOCH);
                first = false;
            }
            after += w.epoch == 1;
        }
        message_free(&m);
    }
    client_close(&c);
    house_stop(&h);
}

TEST(a_soft_cut_is_acked_too)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    send_acked(&c, "{\"type\":\"cut\",\"id\":3,\"kind\":\"soft\",\"chunks\":2}", 3);
    client_close(&c);
    house_stop(&h);
}

TEST(d2_20_a_cut_of_a_sleeping_room_waits_for_its_next_frame)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    wait_asleep(&h);
    EXPECT(202, &h, "POST", "/api/v1/rooms/demo/cut", "{\"kind\":\"hard\"}");
    CHECK_STR(answer, "{\"type\":\"pending\"}");
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    CHECK_NUM(s.epoch, ==, 1);
    shot_free(&s.shot);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/cut", "{\"kind\":\"hard\"}");
    CHECK_HAS(answer, "\"type\":\"ack\"");
    CHECK_HAS(answer, "\"epoch\":2");
    client_close(&c);
    house_stop(&h);
}

TEST(changes_that_wait_for_a_frame_take_bounded_memory)
{
    NEED("text");
    static char text[1200];
    struct house h;
    struct client c;
    int full = 0;
    house_start(&h, "browser => text a => jpeg -> live", // nobody sends: no frame comes
                &(struct ph_rooms_params){ .limits = { .messages_per_s = 1000000 } });
    watch(&h, &c, "/ws/stream");
    int n =
        snprintf(text, sizeof text,
                 "{\"type\":\"set\",\"node\":\"text\",\"values\":{\"text\":\"%0990d\"}}", 7);
    CHECK_INT(n, <, sizeof text);
    for (int sent = 0; sent < 18000; sent += 500) { // 18 MB of values
        for (int i = 0; i < 500; i++) CHECK(ws_send_text(&c, text));
        CHECK(ws_send_text(&c, "{\"type\":\"ping\"}"));
        for (bool answered = false; !answered;) { // all have been read
            struct message m = ws_next(&c);
            CHECK(m.opcode);
            answered = strstr(m.data, "\"pong\"") != NULL;
            full += strstr(m.data, "wait for a frame already") != NULL;
            message_free(&m);
        }
        EXPECT(200, &h, "GET", "/api/v1/rooms/demo/params", NULL); // and all are done
    }
    CHECK(ws_send_text(&c, text)); // the next is refused, if none was so far
    while (!full) {
        struct message m = ws_next(&c);
        CHECK(m.opcode);
        full += strstr(m.data, "wait for a frame already") != NULL;
        message_free(&m);
    }
    snprintf(text, sizeof text, "{\"node\":\"text\",\"values\":{\"text\":\"%0990d\"}}", 7);
    EXPECT(429, &h, "PATCH", "/api/v1/rooms/demo/params", text);
    client_close(&c);
    house_stop(&h);
}

TEST(d2_45_null_clears_a_value_back_to_its_default)
{
    struct house h;
    struct client c;
    house_start(&h, SOLID, NULL);
    watch(&h, &c, "/ws/stream");
    send_acked(
        &c, "{\"type\":\"set\",\"id\":1,\"node\":\"pattern\",\"values\":{\"color\":null}}", 1);
    struct sight s;
    for (int i = 0; i < 3; i++) {
        s = next_sight(&c);
        shot_free(&s.shot);
    }
    CHECK(is_color(&s.shot, 0xe9, 0xec, 0xf5)); // the pattern's own
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo/params");
    CHECK_STR(str(doc, "nodes.0.values.color"), "transparent");
    ph_json_free(&doc);
    client_close(&c);
    house_stop(&h);
}

TEST(a_setting_that_rebuilds_its_node_is_acked_on_the_frame_that_shows_it)
{
    struct house h;
    struct client c;
    NEED("text");
    house_start(
        &h, "pattern solid color=black size=160x120 fps=30 id=on => text \"x\" => jpeg -> live",
        NULL);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/nodes");
    const char *node = NULL, *param = NULL;
    // any parameter of a node of ours that rebuilds it and names no path
    for (const struct ph_json *n = ph_json_root(doc)->child; n && !param; n = n->next) {
        if (strcmp(ph_json_string(ph_json_get(n, "name"), ""), "text")) continue;
        for (const struct ph_json *p = ph_json_get(n, "params")->child; p; p = p->next)
            if (ph_json_bool(ph_json_get(p, "setup"), false) &&
                !ph_json_bool(ph_json_get(p, "path"), false)) {
                node = "text";
                param = ph_json_string(ph_json_get(p, "name"), NULL);
            }
    }
    if (!param) TEST_SKIP("no parameter of text rebuilds it");
    char text[160];
    watch(&h, &c, "/ws/stream");
    snprintf(text, sizeof text,
             "{\"type\":\"set\",\"id\":1,\"node\":\"%s\",\"values\":{\"%s\":null}}", node,
             param);
    double frame = send_acked(&c, text, 1);
    struct sight s = next_sight(&c);
    CHECK_NUM(s.frame, >=, frame - 1);
    shot_free(&s.shot);
    ph_json_free(&doc);
    client_close(&c);
    house_stop(&h);
}

TEST(nodes_come_go_and_are_linked_anew_while_the_connection_stays)
{
    struct house h;
    struct client c;
    house_start(&h, "p: pattern bars size=160x120 fps=30 id=on => jpeg: jpeg -> live: live",
                NULL);
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    double frame = s.frame;
    bool coded = s.shot.coded;
    shot_free(&s.shot);
    CHECK(coded);
    static const struct {
        const char *graph;
        int width;
    } edits[] = {
        { "p: pattern bars size=160x120 fps=30 id=on -> resize 96x72 => jpeg: jpeg -> live: "
          "live",
          96 },
        { "p: pattern bars size=160x120 fps=30 id=on => mirror flip=vertical => jpeg: jpeg -> "
          "live: live",
          160 },
        { "p: pattern bars size=160x120 fps=30 id=on\\nq: pattern ball size=80x60 fps=30\\n"
          "p -> null\\nq => jpeg: jpeg -> live: live",
          80 },
        { "p: pattern bars size=160x120 fps=30 id=on => jpeg: jpeg -> live: live", 160 },
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"graph\":\"%s\"}", edits[i].graph);
        EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo", body);
        do {
            s = next_sight(&c);
            shot_free(&s.shot);
        } while (s.shot.width != edits[i].width);
    }
    CHECK_NUM(s.frame, >, frame); // the first pattern has gone on all the while
    // a wrong text changes nothing
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"p: pattern =>\\n jpg -> live\"}");
    struct ph_json_doc *doc = parse_json(answer);
    CHECK_NUM(num(doc, "error.line"), >=, 1);
    CHECK_NUM(num(doc, "error.column"), >=, 1);
    ph_json_free(&doc);
    s = next_sight(&c);
    CHECK_INT(s.shot.width, ==, 160);
    shot_free(&s.shot);
    client_close(&c);
    house_stop(&h);
}

TEST(a_client_can_make_the_server_open_no_path_and_no_url)
{
    struct house h;
    struct client c;
    NEED("file");
    house_start(&h, "f: file \"lavfi:testsrc=size=160x120:rate=30\" => jpeg -> live", NULL);
    watch(&h, &c, "/ws/stream");
    ws_send_text(
        &c, "{\"type\":\"set\",\"id\":1,\"node\":\"f\",\"values\":{\"path\":\"/etc/passwd\"}}");
    EXPECT_ERROR(&c, "\"id\":1", "\"field\":\"path\"", "/api/v1/sources");
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"f\",\"values\":{\"path\":\"http://169.254.169.254/\"}}");
    CHECK_HAS(answer, "\"field\":\"path\"");
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"file /etc/passwd => jpeg -> live\"}");
    CHECK_HAS(answer, "/api/v1/sources");
    EXPECT(400, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"x\",\"graph\":\"pattern -> image /tmp/ph-never.png\"}");
    CHECK_HAS(answer, "a client may not name");
    EXPECT(400, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"x\",\"graph\":\"camera => jpeg -> live\"}");
    EXPECT(400, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"x\",\"graph\":\"screen => jpeg -> live\"}");
    EXPECT(404, &h, "GET", "/api/v1/rooms/x", NULL);
    // what the room has itself may stay in its text
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo",
           "{\"graph\":\"f: file \\\"lavfi:testsrc=size=160x120:rate=30\\\" => mirror => jpeg "
           "-> live\"}");
    client_close(&c);
    house_stop(&h);
}

TEST(a_change_of_a_stream_that_has_ended_is_not_left_without_an_answer)
{
    struct house h;
    struct client c;
    NEED("file");
    house_start(&h,
                "file \"lavfi:testsrc=size=160x120:rate=30:duration=0.3\" => j: jpeg -> live",
                NULL);
    watch(&h, &c, "/ws/stream");
    struct message m = wait_text(&c, "\"problem\""); // d2_44: nobody looks at a frozen picture
    CHECK_STR(m.data, "{\"type\":\"problem\",\"node\":null,\"message\":\"the stream of this "
                      "room has ended\"}");
    message_free(&m);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo");
    CHECK_STR(str(doc, "state"), "ended");
    ph_json_free(&doc);
    ws_send_text(&c, "{\"type\":\"set\",\"id\":4,\"node\":\"j\",\"values\":{\"q\":50}}");
    EXPECT_ERROR(&c, "\"id\":4", "ended");
    // who comes now still sees its last picture
    struct client late;
    watch(&h, &late, "/ws/stream");
    m = wait_text(&late, "\"problem\"");
    message_free(&m);
    struct sight s = next_sight(&late);
    CHECK_INT(s.shot.width, ==, 160);
    shot_free(&s.shot);
    client_close(&late);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"scene\"}");
    m = wait_text(&c, "\"message\":null"); // it runs again
    message_free(&m);
    client_close(&c);
    house_stop(&h);
}

TEST(d2_44_a_viewer_is_told_why_no_picture_comes)
{
    struct house h;
    struct client c;
    NEED("file");
    house_start(&h, "cam: file http://127.0.0.1:9/none => jpeg -> live", NULL);
    watch(&h, &c, "/ws/stream");
    struct message m = wait_text(&c, "\"problem\",\"node\":\"cam\"");
    message_free(&m);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"pattern\"}");
    m = wait_text(&c, "\"message\":null");
    message_free(&m);
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    client_close(&c);
    house_stop(&h);
}
