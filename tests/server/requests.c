// SPDX-License-Identifier: MIT
// HTTP with a real client: routes, bodies, keep-alive, limits. Every refusal has a clear error.
#include "fixture.h"

static const struct ph_server_params defaults = { 0 };

TEST(a_route_gets_its_request)
{
    struct fixture f;
    char text[1000];
    fixture_start(&f, &defaults);
    CHECK_INT(client_once(f.port, "GET", "/hello", NULL, NULL, text, sizeof text), ==, 200);
    CHECK_STR(text, "hello");
    CHECK_INT(client_once(f.port, "GET", "/api/v1/things/a%20b?x=1&q=%C3%A4+c",
                          "X-Test: yes\r\n", NULL, text, sizeof text),
              ==, 200);
    CHECK_STR(text, "path=/api/v1/things/a b name=a b q=ä c x=yes");
    fixture_stop(&f);
}

TEST(routes_match_segments_slashes_and_rests)
{
    static const struct {
        const char *path, *want;
    } cases[] = {
        { "/hello/", "hello" },
        { "/api/v1/things/special", "hello" },
        { "/api/v1/things/special/", "hello" },
        { "/api/v1/things/other/", "path=/api/v1/things/other/ name=other q=- x=-" },
        { "/files/a/b.txt", "path=/files/a/b.txt name=a/b.txt q=- x=-" },
        { "/files", "path=/files name= q=- x=-" },
        { "/files/x?q", "path=/files/x name=x q= x=-" },
    };
    struct fixture f;
    char text[1000];
    fixture_start(&f, &defaults);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(client_once(f.port, "GET", cases[i].path, NULL, NULL, text, sizeof text), ==,
                  200);
        CHECK_STR(text, cases[i].want);
    }
    CHECK_INT(client_once(f.port, "GET", "/api/v1/things", NULL, NULL, text, sizeof text), ==,
              404);
    CHECK_HAS(text, "there is no /api/v1/things");
    CHECK_INT(client_once(f.port, "GET", "/api/v1/things/a/b", NULL, NULL, NULL, 0), ==, 404);
    CHECK_INT(client_once(f.port, "GET", "/api/v1/things//", NULL, NULL, NULL, 0), ==, 404);
    fixture_stop(&f);
}

TEST(a_method_that_a_route_lacks_is_405_with_allow)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_request(&c, &r, "DELETE", "/echo", NULL, "{}");
    CHECK_INT(r.status, ==, 405);
    CHECK_STR(response_header(&r, "Allow"), "POST, PATCH");
    CHECK_HAS(r.body, "\"code\":\"EMETHOD\"");
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(changes_need_the_json_content_type)
{
    static const char *const types[] = { "text/plain", "application/x-www-form-urlencoded",
                                         "multipart/form-data; boundary=x", "application/jsonp",
                                         "application/json2" };
    struct fixture f;
    char text[1000], header[200];
    fixture_start(&f, &defaults);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        snprintf(header, sizeof header, "Content-Type: %s\r\n", types[i]);
        CHECK_INT(client_once(f.port, "POST", "/echo", header, "{}", text, sizeof text), ==,
                  415);
        CHECK_HAS(text, "application/json");
    }
    CHECK_INT(client_once(f.port, "POST", "/echo", NULL, NULL, NULL, 0), ==, 415);
    CHECK_INT(client_once(f.port, "DELETE", "/api/v1/things/x", NULL, NULL, NULL, 0), ==, 415);
    CHECK_INT(client_once(f.port, "DELETE", "/api/v1/things/x",
                          "Content-Type: application/json\r\n", NULL, NULL, 0),
              ==, 200);
    CHECK_INT(client_once(f.port, "POST", "/echo",
                          "Content-Type: Application/JSON; charset=utf-8\r\n", "{\"a\":1}",
                          text, sizeof text),
              ==, 200);
    CHECK_STR(text, "{\"a\":1}");
    fixture_stop(&f);
}

TEST(one_connection_serves_many_requests)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    for (int i = 0; i < 100; i++) {
        client_request(&c, &r, i % 2 ? "GET" : "POST", i % 2 ? "/hello" : "/echo", NULL,
                       i % 2 ? NULL : "{\"n\":12}");
        CHECK_INT(r.status, ==, 200);
        CHECK_STR(r.body, i % 2 ? "hello" : "{\"n\":12}");
        response_free(&r);
    }
    // not after "Connection: close", nor for HTTP/1.0
    client_request(&c, &r, "GET", "/hello", "Connection: close\r\n", NULL);
    CHECK_STR(response_header(&r, "Connection"), "close");
    response_free(&r);
    CHECK(client_sees_end(&c));
    client_close(&c);
    client_open(&c, f.port);
    client_sendf(&c, "GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n");
    CHECK(client_response(&c, &r, false));
    CHECK_INT(r.status, ==, 200);
    response_free(&r);
    CHECK(client_sees_end(&c));
    client_close(&c);
    fixture_stop(&f);
}

TEST(head_has_the_length_and_no_body)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_request(&c, &r, "HEAD", "/hello", NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(response_header(&r, "Content-Length"), "5");
    response_free(&r);
    client_request(&c, &r, "GET", "/hello", NULL, NULL); // nothing of a body was in between
    CHECK_STR(r.body, "hello");
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(pipelined_requests_are_answered_in_order)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    char all[20000];
    size_t n = 0;
    for (int i = 0; i < 60; i++)
        n += (size_t) snprintf(all + n, sizeof all - n,
                               "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\nContent-Length: 3\r\n\r\n%03d",
                               i + 100);
    client_send(&c, all, n);
    for (int i = 0; i < 60; i++) {
        CHECK(client_response(&c, &r, false));
        CHECK_INT(atoi(r.body), ==, i + 100);
        response_free(&r);
    }
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_request_may_come_byte_by_byte)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nContent-Length: 12\r\n\r\n{\"abc\":1234}";
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        client_send(&c, request + i, 1);
        if (i % 16 == 0) sleep_ms(1);
    }
    CHECK(client_response(&c, &r, false));
    CHECK_STR(r.body, "{\"abc\":1234}");
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

// Sends `text` on a connection of its own and checks status, error and that the connection ends.
static void expect_refusal(int port, const char *text, size_t len, int status, const char *part)
{
    struct client c;
    struct response r;
    client_open(&c, port);
    client_send(&c, text, len);
    if (!client_response(&c, &r, false)) TEST_FAIL("no answer to %.60s", text);
    if (r.status != status)
        TEST_FAIL("%.60s gives %d, want %d: %s", text, r.status, status, r.body);
    CHECK_HAS(r.body, "\"error\":{\"code\":");
    CHECK_HAS(r.body, part);
    response_free(&r);
    CHECK(client_sees_end(&c));
    client_close(&c);
}

#define H "Host: localhost\r\n"
#define J "Content-Type: application/json\r\n"

TEST(malformed_requests_get_400_and_their_connection_alone_ends)
{
    static const struct {
        const char *text;
        int status;
        const char *part;
    } cases[] = {
        { "GET /hello HTTP/1.1\n" H "\n", 400, "CR LF" },
        { "\r\nGET /hello HTTP/1.1\r\n" H "\r\n", 400, "METHOD /path" },
        { "GET /hello\r\n\r\n", 400, "METHOD /path" },
        { "GET  /hello HTTP/1.1\r\n" H "\r\n", 400, "METHOD /path" },
        { "GET /hello HTTP/1.1 \r\n" H "\r\n", 400, "METHOD /path" },
        { "G(T /hello HTTP/1.1\r\n" H "\r\n", 400, "METHOD /path" },
        { "GET hello HTTP/1.1\r\n" H "\r\n", 400, "'/'" },
        { "GET //evil HTTP/1.1\r\n" H "\r\n", 400, "'/'" },
        { "GET http://localhost/hello HTTP/1.1\r\n" H "\r\n", 400, "'/'" },
        { "GET /a/../hello HTTP/1.1\r\n" H "\r\n", 400, "'..'" },
        { "GET /a/%2e%2e/hello HTTP/1.1\r\n" H "\r\n", 400, "'..'" },
        { "GET /a%2fb HTTP/1.1\r\n" H "\r\n", 400, "slashes" },
        { "GET /a%5cb HTTP/1.1\r\n" H "\r\n", 400, "slashes" },
        { "GET /a%00b HTTP/1.1\r\n" H "\r\n", 400, "control" },
        { "GET /a%zz HTTP/1.1\r\n" H "\r\n", 400, "target" },
        { "GET /%ff%fe HTTP/1.1\r\n" H "\r\n", 400, "target" },
        { "GET /hello?q=%ff HTTP/1.1\r\n" H "\r\n", 400, "query" },
        { "GET /hello HTTP/2.0\r\n" H "\r\n", 505, "HTTP/1.1" },
        { "GET /hello HTTP/1.11\r\n" H "\r\n", 505, "HTTP/1.1" },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1" },
        { "BREW /hello HTTP/1.1\r\n" H "\r\n", 501, "GET" },
        { "GET /hello HTTP/1.1\r\n\r\n", 400, "Host" },
        { "GET /hello HTTP/1.1\r\n" H H "\r\n", 400, "Host" },
        { "GET /hello HTTP/1.1\r\n" H "X-A : 1\r\n\r\n", 400, "name without spaces" },
        { "GET /hello HTTP/1.1\r\n" H "X-A: 1\r\n folded\r\n\r\n", 400, "header" },
        { "GET /hello HTTP/1.1\r\n" H ": 1\r\n\r\n", 400, "header" },
        { "GET /hello HTTP/1.1\r\n" H "nocolon\r\n\r\n", 400, "header" },
        { "GET /hello HTTP/1.1\r\n" H "Origin: a\r\nOrigin: b\r\n\r\n", 400, "origin" },
        { "POST /echo HTTP/1.1\r\n" H J
          "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
          501, "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J
          "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
          501, "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400,
          "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: 2, 2\r\n\r\n{}", 400,
          "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: +2\r\n\r\n{}", 400, "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: -2\r\n\r\n{}", 400, "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: 0x2\r\n\r\n{}", 400,
          "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: \r\n\r\n{}", 400, "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: 99999999999999999999\r\n\r\n", 400,
          "Content-Length" },
        { "POST /echo HTTP/1.1\r\n" H J "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
          417, "at once" },
        { "GET /hello HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 400, "no body" },
        { "\x16\x03\x01\x02 a TLS hello", 400, "https" },
    };
    struct fixture f;
    struct client good;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&good, f.port);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_refusal(f.port, cases[i].text, strlen(cases[i].text), cases[i].status,
                       cases[i].part);
        client_request(&good, &r, "GET", "/hello", NULL, NULL);
        CHECK_INT(r.status, ==, 200);
        response_free(&r);
    }
    expect_refusal(f.port, "GET /hello\0 HTTP/1.1\r\n\r\n", 24, 400, "0x00");
    client_close(&good);
    struct ph_server_stats stats;
    ph_server_stats(f.server, &stats);
    CHECK_INT(stats.refused[PH_REFUSED_FORMAT], ==, sizeof cases / sizeof cases[0] + 1);
    fixture_stop(&f);
}

TEST(a_body_that_nobody_reads_is_not_taken_for_the_next_request)
{
    static const char request[] = "POST /nowhere HTTP/1.1\r\n" H J
                                  "Content-Length: 42\r\n\r\nGET /hello HTTP/1.1\r\n" H "\r\n";
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_send(&c, request, sizeof request - 1);
    CHECK(client_response(&c, &r, false));
    CHECK_INT(r.status, ==, 404);
    response_free(&r);
    CHECK(!client_fill(&c, 1)); // no second answer
    client_close(&c);
    fixture_stop(&f);
}

TEST(limits_of_a_request_are_kept_exactly)
{
    struct fixture f;
    static char text[40000];
    char error[1000];
    fixture_start(&f, &(struct ph_server_params){ .limits = { .body_bytes = 1000 } });
    // 64 headers pass (Host is one), the next one does not
    for (int extra = 63; extra <= 64; extra++) {
        size_t n = 0;
        for (int i = 0; i < extra; i++) n += (size_t) sprintf(text + n, "X-%d: 1\r\n", i);
        int status = client_once(f.port, "GET", "/hello", text, NULL, error, sizeof error);
        CHECK_INT(status, ==, extra == 63 ? 200 : 431);
        if (extra == 64) CHECK_HAS(error, "at most 64 headers");
    }
    // 16 KiB of head
    for (int size = 16384; size <= 16385; size++) {
        int n = sprintf(text, "GET /hello HTTP/1.1\r\n" H "X: ");
        memset(text + n, 'x', (size_t) (size - n - 4));
        memcpy(text + size - 4, "\r\n\r\n", 4);
        struct client c;
        struct response r;
        client_open(&c, f.port);
        client_send(&c, text, (size_t) size);
        CHECK(client_response(&c, &r, false));
        CHECK_INT(r.status, ==, size == 16384 ? 200 : 431);
        if (r.status == 431) CHECK_HAS(r.body, "16384 bytes");
        response_free(&r);
        client_close(&c);
    }
    // the body
    memset(text, ' ', 1001);
    text[1001] = 0;
    CHECK_INT(client_once(f.port, "POST", "/echo", NULL, text, error, sizeof error), ==, 413);
    CHECK_HAS(error, "at most 1000 bytes");
    CHECK_INT(client_once(f.port, "POST", "/echo", NULL, text + 1, NULL, 0), ==, 200);
    // the target
    int n = sprintf(text, "/");
    memset(text + n, 'a', 4096);
    text[n + 4096] = 0;
    CHECK_INT(client_once(f.port, "GET", text, NULL, NULL, NULL, 0), ==, 414);
    text[n + 4095] = 0;
    CHECK_INT(client_once(f.port, "GET", text, NULL, NULL, NULL, 0), ==, 404);
    fixture_stop(&f);
}

TEST(an_endless_head_is_refused_when_it_is_too_long)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_sendf(&c, "GET /hello HTTP/1.1\r\n");
    while (client_sendf(&c, "X-Header: and so on and so on and so on\r\n") && c.len == 0) {
        char byte;
        if (recv(c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1) break;
    }
    CHECK(client_response(&c, &r, false));
    CHECK_INT(r.status, ==, 431);
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_big_body_arrives_whole)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    static char body[(1 << 20) + 1];
    for (size_t i = 0; i < sizeof body - 1; i++) body[i] = (char) ('a' + i * 7 % 26);
    client_open(&c, f.port);
    client_sendf(&c, "POST /echo HTTP/1.1\r\n" H J "Content-Length: %zu\r\n\r\n",
                 sizeof body - 1);
    client_send(&c, body, sizeof body - 1);
    CHECK(client_response(&c, &r, false));
    CHECK_INT(r.status, ==, 200);
    CHECK(r.size == sizeof body - 1 && !memcmp(r.body, body, r.size));
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(slow_requests_end_after_their_time)
{
    struct fixture f;
    struct client head, body, idle, loris;
    struct response r;
    fixture_start(&f, &(struct ph_server_params){
                          .limits = { .request_ns = 300 * MS, .idle_ns = 600 * MS } });
    client_open(&head, f.port);
    client_sendf(&head, "GET /hello HTTP/1.1\r\n");
    client_open(&body, f.port);
    client_sendf(&body, "POST /echo HTTP/1.1\r\n" H J "Content-Length: 9\r\n\r\n{");
    int64_t begin = client_now_ns();
    CHECK(client_response(&head, &r, false));
    CHECK_INT(r.status, ==, 408);
    CHECK_HAS(r.body, "within 0.3 s");
    response_free(&r);
    CHECK(client_response(&body, &r, false));
    CHECK_INT(r.status, ==, 408);
    response_free(&r);
    CHECK_INT((client_now_ns() - begin) / MS, <, 550 * TEST_SLOW);
    // a byte now and then does not help
    client_open(&loris, f.port);
    char byte;
    for (int i = 0; recv(loris.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0; i++) {
        client_sendf(&loris, i ? "x" : "GET /");
        sleep_ms(20);
    }
    CHECK(client_response(&loris, &r, false));
    CHECK_INT(r.status, ==, 408);
    response_free(&r);
    // an idle keep-alive connection is closed without a word
    client_open(&idle, f.port);
    client_request(&idle, &r, "GET", "/hello", NULL, NULL);
    response_free(&r);
    begin = client_now_ns();
    CHECK(!client_fill(&idle, 1));
    int64_t took = (client_now_ns() - begin) / MS;
    CHECK_INT(took, >=, 590);
    CHECK_INT(took, <, 900 * TEST_SLOW);
    client_close(&head);
    client_close(&body);
    client_close(&loris);
    client_close(&idle);
    fixture_stop(&f);
}

TEST(a_deferred_reply_comes_from_another_thread_or_at_its_deadline)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    for (int i = 0; i < 2; i++) {
        client_sendf(&c, "GET /later HTTP/1.1\r\n" H "\r\n");
        for (bool there = false; !there; sleep_ms(2)) {
            pthread_mutex_lock(&f.seen.lock);
            there = f.seen.deferred != NULL;
            pthread_mutex_unlock(&f.seen.lock);
        }
        if (i && ph_deferred_reply(&f.seen.deferred, 200, "{\"type\":\"ack\"}", 14)) i = 0;
        CHECK(client_response(&c, &r, false)); // once more where this process was held up
        CHECK_INT(r.status, ==, i ? 200 : 202);
        CHECK_STR(r.body, i ? "{\"type\":\"ack\"}" : "{\"type\":\"pending\"}");
        response_free(&r);
        if (!i && f.seen.deferred)
            CHECK_INT(ph_deferred_reply(&f.seen.deferred, 200, "{}", 2), ==, PH_ETIMEOUT);
        CHECK(!f.seen.deferred);
    }
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_deferred_reply_outlives_client_and_server)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_sendf(&c, "GET /later HTTP/1.1\r\n" H "\r\n");
    while (!fixture_deferred(&f)) sleep_ms(2);
    struct linger reset = { 1, 0 };
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&c);
    sleep_ms(50);
    struct ph_deferred *held = fixture_deferred(&f);
    CHECK(held);
    fixture_stop(&f);
    CHECK_INT(ph_deferred_reply(&held, 200, "{}", 2), ==, PH_ETIMEOUT);
}

TEST(a_page_has_its_headers_and_is_cached_by_tag)
{
    struct fixture f;
    struct client c;
    struct response r;
    char tag[5000];
    fixture_start(&f, &defaults);
    client_open(&c, f.port);
    client_request(&c, &r, "GET", "/", NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(r.body, page_text);
    CHECK_HAS(response_header(&r, "Content-Security-Policy"), "default-src 'self'");
    CHECK_HAS(response_header(&r, "Content-Security-Policy"), "frame-ancestors 'none'");
    CHECK_STR(response_header(&r, "X-Content-Type-Options"), "nosniff");
    CHECK_STR(response_header(&r, "Referrer-Policy"), "no-referrer");
    CHECK_STR(response_header(&r, "Cross-Origin-Opener-Policy"), "same-origin");
    CHECK_STR(response_header(&r, "Cache-Control"), "no-cache");
    snprintf(tag, sizeof tag, "If-None-Match: %s\r\n", response_header(&r, "ETag"));
    response_free(&r);
    client_request(&c, &r, "GET", "/", tag, NULL);
    CHECK_INT(r.status, ==, 304);
    CHECK_INT(r.size, ==, 0);
    response_free(&r);
    client_request(&c, &r, "GET", "/", "If-None-Match: \"other\"\r\n", NULL);
    CHECK_INT(r.status, ==, 200);
    response_free(&r);
    client_request(&c, &r, "GET", "/hello", NULL, NULL);
    CHECK_STR(response_header(&r, "Cache-Control"), "no-store");
    CHECK_STR(response_header(&r, "X-Content-Type-Options"), "nosniff");
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}
