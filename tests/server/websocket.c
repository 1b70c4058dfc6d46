// SPDX-License-Identifier: MIT
// WebSocket with a real client: handshake, messages, limits, closing.
#include "fixture.h"

#include "server/handshake.h"

static const struct ph_server_params defaults = { 0 };

#if !PH_HAVE_SERVER
TEST(without_wslay_an_upgrade_is_refused_with_the_reason)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    CHECK_INT(ws_upgrade(&c, "/ws", NULL), ==, 501);
    CHECK(client_fill(&c, 20));
    CHECK_HAS(c.in, "libwslay");
    client_close(&c);
    CHECK_INT(fixture_read(&f, &f.seen.accepted), ==, fixture_read(&f, &f.seen.closed));
    fixture_stop(&f);
}
#else

TEST(sha1_and_the_accept_key_are_those_of_the_standards)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        // FIPS 180-4 examples
        { "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", // 55: one block
          "c1c8bbdc22796e28c0e15163d20899b65621d65a" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", // 56: two
          "c2db330f6083854c99d4b5bfb6e8f29f201be699" },
    };
    char accept[PH_WS_ACCEPT_SIZE], hex[41];
    uint8_t digest[20];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ph_sha1(cases[i].text, strlen(cases[i].text), digest);
        for (int k = 0; k < 20; k++) sprintf(hex + 2 * k, "%02x", digest[k]);
        CHECK_STR(hex, cases[i].hex);
    }
    CHECK(ph_ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept)); // RFC 6455 1.3
    CHECK_STR(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(!ph_ws_accept_key("dGhlIHNhbXBsZSBub25jZQ=", accept));
    CHECK(!ph_ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==x", accept));
    CHECK(!ph_ws_accept_key("dGhlIHNhbXBsZSBub25j\nQ==", accept));
    CHECK(!ph_ws_accept_key("", accept));
}

TEST(an_upgrade_that_is_not_one_gets_a_clear_error)
{
    static const struct {
        const char *headers;
        int status;
        const char *part;
    } cases[] = {
        { "", 426, "WebSocket" },
        { "Upgrade: websocket\r\n", 426, "WebSocket" }, // no Connection
        { "Upgrade: h2c\r\nConnection: Upgrade\r\n", 426, "WebSocket" },
        { "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n", 426,
          "version 13" },
        { "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", 400,
          "base64" },
        { "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: short==\r\n",
          400, "base64" },
    };
    struct fixture f;
    char text[1000];
    fixture_start(&f, &defaults);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(client_once(f.port, "GET", "/ws", cases[i].headers, NULL, text, sizeof text),
                  ==, cases[i].status);
        CHECK_HAS(text, cases[i].part);
    }
    CHECK_INT(fixture_read(&f, &f.seen.accepted), ==, 0);
    fixture_stop(&f);
}

TEST(the_owner_of_a_route_may_refuse_an_upgrade)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws?room=none", NULL), ==, 404);
    CHECK(client_fill(&c, 10));
    CHECK_HAS(c.in, "there is no room none");
    client_close(&c);
    CHECK_INT(fixture_read(&f, &f.seen.opened), ==, 0);
    fixture_stop(&f);
}

TEST(the_subprotocol_is_chosen_among_those_offered)
{
    static struct response r;
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    for (int i = 0; i < 3; i++) {
        static const char *const offers[] = {
            "", "Sec-WebSocket-Protocol: other\r\n",
            "Sec-WebSocket-Protocol: x, phosphene.v1 ,y\r\n"
        };
        client_open(&c, f.port);
        client_sendf(&c,
                     "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: WebSocket\r\nConnection: "
                     "keep-alive, upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                     offers[i]);
        CHECK(client_head(&c, &r));
        CHECK_INT(r.status, ==, 101);
        const char *chosen = response_header(&r, "Sec-WebSocket-Protocol");
        if (i < 2)
            CHECK(!chosen);
        else
            CHECK_STR(chosen, "phosphene.v1");
        client_close(&c);
    }
    fixture_stop(&f);
}

TEST(messages_of_every_length_come_through_unharmed)
{
    static const size_t sizes[] = { 0, 1, 125, 126, 127, 65530, 65531 };
    static char text[70000];
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memcpy(text, "echo:", 5);
        for (size_t k = 0; k < sizes[i]; k++) text[5 + k] = (char) ('a' + k % 23);
        if (sizes[i] + 5 > 65536) { // one too long
            ws_send_raw(&c, 0x81, true, text, sizes[i] + 6);
            ws_expect_text(&c,
                           "{\"type\":\"error\",\"message\":\"at most 65536 bytes a text\"}");
            ws_expect_close(&c, PH_WS_TOO_BIG, "at most 65536 bytes");
            break;
        }
        text[5 + sizes[i]] = 0;
        CHECK(ws_send_text(&c, text));
        ws_expect_text(&c, text + 5);
    }
    client_close(&c);
    fixture_stop(&f);
}

TEST(binary_up_to_its_limit_and_not_beyond)
{
    static char bytes[(4 << 20) + 1];
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    CHECK(ws_send_raw(&c, 0x82, true, bytes, 4 << 20));
    fixture_wait(&f, &f.seen.binaries, 1);
    CHECK_INT(f.seen.last_size, ==, 4 << 20);
    ws_send_raw(&c, 0x82, true, bytes, (4 << 20) + 1);
    ws_expect_close(&c, PH_WS_TOO_BIG, "at most 4194304 bytes");
    client_close(&c);
    fixture_wait(&f, &f.seen.closed, 1);
    CHECK_INT(fixture_read(&f, &f.seen.last_code), ==, PH_WS_TOO_BIG);
    fixture_stop(&f);
}

TEST(fragments_are_joined_and_pings_may_come_between)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    ws_send_raw(&c, 0x01, true, "ec", 2);
    ws_send_raw(&c, 0x89, true, "hi", 2);
    ws_send_raw(&c, 0x00, true, "", 0);
    ws_send_raw(&c, 0x00, true, "ho:\xc3", 4); // a character in two fragments
    ws_send_raw(&c, 0x80, true, "\xa4!", 2);
    for (int pong = 0, text = 0; !pong || !text;) { // in either order
        struct message m = ws_next(&c);
        CHECK(m.opcode == 10 || m.opcode == 1);
        CHECK_STR(m.data, m.opcode == 10 ? "hi" : "ä!");
        *(m.opcode == 10 ? &pong : &text) = 1;
        message_free(&m);
    }
    // fragments count together
    static char part[40000];
    memset(part, 'x', sizeof part);
    ws_send_raw(&c, 0x01, true, part, sizeof part);
    ws_send_raw(&c, 0x80, true, part, sizeof part);
    ws_expect_close(&c, PH_WS_TOO_BIG, "at most 65536");
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_message_may_come_byte_by_byte)
{
    static const uint8_t frame[] = { 0x81,    0x87,    1,       2,       3,
                                     4,       'e' ^ 1, 'c' ^ 2, 'h' ^ 3, 'o' ^ 4,
                                     ':' ^ 1, 'h' ^ 2, 'i' ^ 3 };
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    for (size_t i = 0; i < sizeof frame; i++) {
        client_send(&c, frame + i, 1);
        sleep_ms(1);
    }
    ws_expect_text(&c, "hi");
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_message_may_come_in_one_piece_with_the_upgrade)
{
    static struct response r;
    static const char start[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                                "\x81\x86\0\0\0\0echo:A";
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_send(&c, start, sizeof start - 1);
    CHECK(client_head(&c, &r));
    CHECK_INT(r.status, ==, 101);
    ws_expect_text(&c, "A");
    client_close(&c);
    fixture_stop(&f);
}

TEST(d2_15_frames_that_break_the_protocol_close_with_1002)
{
    static const struct {
        int first;
        bool masked;
        const char *bytes;
        size_t size;
        int code;
    } cases[] = {
        { 0x81, false, "hello", 5, 1002 },       // unmasked
        { 0xc1, true, "hello", 5, 1002 },        // RSV1
        { 0xa1, true, "hello", 5, 1002 },        // RSV2
        { 0x83, true, "hello", 5, 1002 },        // reserved opcodes
        { 0x8b, true, "hello", 5, 1002 },        //
        { 0x80, true, "hello", 5, 1002 },        // continues nothing
        { 0x09, true, "hello", 5, 1002 },        // a fragmented ping
        { 0x88, true, "x", 1, 1002 },            // half a close code
        { 0x88, true, "\x03\xed", 2, 1002 },     // 1005 must not be sent
        { 0x88, true, "\x00\x01", 2, 1002 },     // no such code
        { 0x88, true, "\x03\xe8\xff", 3, 1007 }, // a reason that is not UTF-8
        { 0x81, true, "a\xff", 2, 1007 },        // a text that is not UTF-8
        { 0x81, true, "\xed\xa0\x80", 3, 1007 }, // a surrogate
        { 0x81, true, "\xc0\xaf", 2, 1007 },     // overlong
        { 0x81, true, "\xf0\x90", 2, 1007 },     // cut short
        { 0x81, true, "a\0b", 3, 1007 },         // NUL
    };
    struct fixture f;
    struct client c, good;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &good, "/ws");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_ws(&f, &c, "/ws");
        ws_send_raw(&c, cases[i].first, cases[i].masked, cases[i].bytes, cases[i].size);
        ws_expect_close(&c, cases[i].code, NULL);
        CHECK(client_sees_end(&c));
        client_close(&c);
        ws_send_text(&good, "echo:still here");
        ws_expect_text(&good, "still here");
    }
    // lengths that are longer than they need be, or than anything is
    static const char *const lengths[] = { "\x81\xfe\x00\x05", "\x81\xff\0\0\0\0\0\0\0\x05",
                                           "\x82\xff\x80\0\0\0\0\0\0\0" };
    for (size_t i = 0; i < 3; i++) {
        fixture_ws(&f, &c, "/ws");
        client_send(&c, lengths[i], i ? 10 : 4);
        client_send(&c, "\0\0\0\0hello", 9);
        ws_expect_close(&c, 1002, NULL);
        client_close(&c);
    }
    client_close(&good);
    fixture_wait(&f, &f.seen.count, 0);
    CHECK_INT(fixture_read(&f, &f.seen.texts), ==,
              sizeof cases / sizeof cases[0]); // the good one's
    fixture_stop(&f);
}

TEST(a_ping_of_126_bytes_is_refused)
{
    static char bytes[126];
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    ws_send_raw(&c, 0x89, true, bytes, 125);
    struct message m = ws_wait(&c, 10);
    CHECK_INT(m.size, ==, 125);
    message_free(&m);
    ws_send_raw(&c, 0x89, true, bytes, 126);
    ws_expect_close(&c, 1002, NULL);
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_client_that_closes_gets_its_code_back)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    ws_send_raw(&c, 0x88, true,
                "\x03\xe8"
                "bye",
                5);
    ws_expect_close(&c, 1000, "bye");
    CHECK(client_sees_end(&c));
    client_close(&c);
    fixture_wait(&f, &f.seen.closed, 1);
    CHECK_INT(fixture_read(&f, &f.seen.last_code), ==, 1000);
    fixture_ws(&f, &c, "/ws");
    ws_send_raw(&c, 0x88, true, "", 0);
    struct message m = ws_wait(&c, 8);
    CHECK_INT(m.opcode, ==, 8);
    message_free(&m);
    client_close(&c);
    fixture_wait(&f, &f.seen.closed, 2);
    CHECK_INT(fixture_read(&f, &f.seen.last_code), ==, PH_WS_NO_CODE);
    fixture_stop(&f);
}

TEST(the_server_closes_after_what_it_has_still_to_say)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    ws_send_text(&c, "echo:last words");
    ws_send_text(&c, "close");
    ws_expect_text(&c, "last words");
    ws_expect_close(&c, 1000, "as you wish");
    CHECK(client_sees_end(&c));
    client_close(&c);
    fixture_stop(&f);
}

TEST(d2_44_a_client_that_is_killed_in_the_middle_of_a_message_is_1006)
{
    struct fixture f;
    struct client c, good;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &good, "/ws");
    for (int reset = 0; reset < 2; reset++) {
        fixture_ws(&f, &c, "/ws");
        client_send(&c, "\x82\xfe\x10\x00\1\2\3\4half of it", 18);
        struct linger now = { 1, 0 };
        if (reset) setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        client_close(&c);
        fixture_wait(&f, &f.seen.closed, reset + 1);
        CHECK_INT(fixture_read(&f, &f.seen.last_code), ==, PH_WS_GONE);
    }
    ws_send_text(&good, "echo:on");
    ws_expect_text(&good, "on");
    client_close(&good);
    fixture_stop(&f);
}

TEST(more_messages_a_second_than_allowed_close_that_connection)
{
    struct fixture f;
    struct client c, good;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &good, "/ws");
    fixture_ws(&f, &c, "/ws");
    int64_t begin = client_now_ns();
    for (int i = 0; i < 400; i++)
        if (!ws_send_text(&c, "x")) break;
    ws_expect_text(&c, "{\"type\":\"error\",\"message\":\"over 120 messages a second\"}");
    ws_expect_close(&c, PH_WS_POLICY, "over 120 messages a second");
    client_close(&c);
    CHECK_INT(fixture_read(&f, &f.seen.texts), >=, 120);
    CHECK_INT(fixture_read(&f, &f.seen.texts), <=,
              140 + 120 * (client_now_ns() - begin) / PH_SECOND_NS);
    // pings are messages, too
    fixture_ws(&f, &c, "/ws");
    for (int i = 0; i < 400; i++)
        if (!ws_send_raw(&c, 0x89, true, "", 0)) break;
    ws_expect_close(&c, PH_WS_POLICY, "over 120");
    client_close(&c);
    // and endless fragments are a flood
    fixture_ws(&f, &c, "/ws");
    ws_send_raw(&c, 0x01, true, "", 0);
    for (int i = 0; i < 4000; i++)
        if (!ws_send_raw(&c, 0x00, true, "", 0)) break;
    ws_expect_close(&c, PH_WS_POLICY, "over 120");
    client_close(&c);
    // 100 a second are fine for ever
    for (int i = 0; i < 150; i++) {
        ws_send_text(&good, "echo:x");
        ws_expect_text(&good, "x");
        sleep_ms(9);
    }
    client_close(&good);
    fixture_stop(&f);
}

TEST(a_client_that_does_not_answer_pings_is_closed)
{
    struct fixture f;
    struct client deaf, alive;
    fixture_start(&f, &(struct ph_server_params){ .limits = { .ping_ns = 200 * MS } });
    fixture_ws(&f, &deaf, "/ws");
    fixture_ws(&f, &alive, "/ws");
    for (int i = 0; i < 4; i++) {
        struct message m = ws_wait(&alive, 9);
        CHECK_INT(m.opcode, ==, 9);
        ws_send_raw(&alive, 0x8a, true, m.data, m.size);
        message_free(&m);
    }
    ws_expect_close(&deaf, PH_WS_POLICY, "ping");
    ws_send_text(&alive, "echo:here");
    ws_expect_text(&alive, "here");
    client_close(&deaf);
    client_close(&alive);
    fixture_stop(&f);
}

TEST(d2_9_what_is_sent_from_open_arrives_two_thousand_times)
{
    struct fixture f;
    struct client c;
    fixture_greets = true;
    fixture_start(&f, &defaults);
    for (int i = 0; i < 2000; i++) {
        fixture_ws(&f, &c, "/ws");
        ws_expect_text(&c, "welcome");
        client_close(&c);
    }
    fixture_stop(&f);
}

TEST(texts_are_sent_in_order_from_any_thread)
{
    struct fixture f;
    struct client c;
    char text[40];
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    fixture_wait(&f, &f.seen.count, 1);
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "number %d", i);
        CHECK_OK(ph_ws_send_text(fixture_conn(&f, 0), text, strlen(text)));
        if (i % 500 == 499) sleep_ms(2);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "number %d", i);
        ws_expect_text(&c, text);
    }
    client_close(&c);
    fixture_stop(&f);
}

TEST(texts_that_nobody_reads_close_the_connection_and_are_not_lost_silently)
{
    struct fixture f;
    struct client c;
    static char text[20000];
    fixture_start(&f, &defaults);
    client_open_from(&c, f.port, NULL, 4096);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    fixture_wait(&f, &f.seen.count, 1);
    struct ph_conn *conn = ph_conn_ref(fixture_conn(&f, 0));
    memset(text, 't', sizeof text);
    ph_err ret = PH_OK;
    int sent = 0;
    for (; sent < 1000 && ret == PH_OK; sent++) {
        ret = ph_ws_send_text(conn, text, sizeof text);
        if (sent % 5 == 0) sleep_ms(1);
    }
    CHECK_INT(ret, ==, PH_ELIMIT);
    CHECK_INT(ph_ws_backlog(conn), >, 200000);
    fixture_wait(&f, &f.seen.closed, 1);
    CHECK_INT(ph_ws_send_text(conn, "x", 1), ==, PH_ESTOPPED);
    int got = 0;
    struct message m;
    for (; (m = ws_next(&c)).opcode != 8; message_free(&m)) {
        CHECK_INT(m.opcode, ==, 1);
        CHECK_INT(m.size, ==, sizeof text);
        got++;
    }
    message_free(&m);
    CHECK_INT(got, ==, sent - 1); // all that were taken
    ph_conn_unref(&conn);
    client_close(&c);
    fixture_stop(&f);
}

#endif
