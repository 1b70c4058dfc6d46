// SPDX-License-Identifier: MIT
// Who is let in: Host, Origin, tokens, numbers of connections.
#include "fixture.h"

#include "server/guard.h"
#include "server/token.h"

#include <sys/stat.h>

#define TOKEN "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"

static const struct ph_server_params defaults = { 0 };

static int get_with(int port, const char *path, const char *headers)
{
    return client_once(port, "GET", path, headers, NULL, NULL, 0);
}

TEST(a_host_that_we_are_not_is_refused_on_every_request)
{
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        { "localhost", 200 },
        { "LocalHost:8080", 200 },
        { "localhost.", 200 },
        { "127.0.0.1:9", 200 },
        { "[::1]:80", 200 },
        { "studio.example:443", 200 }, // listed
        { "evil.example", 403 },       // a name that was rebound to us
        { "127.0.0.1.evil.example", 403 },
        { "localhost.evil.example", 403 },
        { "evil.example:127.0.0.1", 403 },
        { "localhost:80:80", 403 },
        { "localhost@evil.example", 403 },
        { "127.0.0.2", 403 },
        { "", 403 },
        { "[::1", 403 },
    };
    static const char *const hosts[] = { "studio.example", NULL };
    struct fixture f;
    char header[200];
    fixture_start(&f, &(struct ph_server_params){ .hosts = hosts });
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(header, sizeof header, "Host: %s\r\n", cases[i].host);
        int status = get_with(f.port, "/hello", header);
        if (status != cases[i].status) TEST_FAIL("Host %s gives %d", cases[i].host, status);
    }
    // the page itself, static files and upgrades are no exceptions
    CHECK_INT(get_with(f.port, "/", "Host: evil.example\r\n"), ==, 403);
    CHECK_INT(get_with(f.port, "/nothing", "Host: evil.example\r\n"), ==, 403);
    struct client c;
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", "Host: evil.example\r\n"), ==, 403);
    client_close(&c);
    // nor is the second request of a connection
    struct response r;
    client_open(&c, f.port);
    client_request(&c, &r, "GET", "/hello", NULL, NULL);
    response_free(&r);
    client_request(&c, &r, "GET", "/hello", "Host: evil.example\r\n", NULL);
    CHECK_INT(r.status, ==, 403);
    CHECK_HAS(r.body, "not known by that name");
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(pages_from_elsewhere_are_refused_unless_listed)
{
    static const char *const origins[] = { "https://art.example", NULL };
    struct fixture f, strict;
    char own[100];
    fixture_start(&f, &(struct ph_server_params){ .origins = origins });
    fixture_start(&strict, &defaults);
    snprintf(own, sizeof own, "Host: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n", f.port,
             f.port);
    CHECK_INT(get_with(f.port, "/hello", own), ==, 200);
    CHECK_INT(get_with(f.port, "/hello", "Origin: https://art.example\r\n"), ==, 200);
    CHECK_INT(get_with(strict.port, "/hello", "Origin: https://art.example\r\n"), ==, 403);
    CHECK_INT(get_with(f.port, "/hello", "Origin: http://art.example\r\n"), ==, 403);
    CHECK_INT(get_with(f.port, "/hello", "Origin: null\r\n"), ==, 403);
    CHECK_INT(get_with(f.port, "/hello", "Origin: http://127.0.0.1:1\r\n"), ==,
              403); // other port
    CHECK_INT(get_with(f.port, "/hello", "Origin: https://127.0.0.1\r\n"), ==,
              403); // other scheme
    struct client c;
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", "Origin: http://evil.example\r\n"), ==, 403);
    client_close(&c);
    // embedding by another site sends no Origin, but browsers say so
    CHECK_INT(get_with(strict.port, "/hello",
                       "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"),
              ==, 403);
    CHECK_INT(get_with(strict.port, "/hello",
                       "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"),
              ==, 200);
    CHECK_INT(get_with(strict.port, "/hello", "Sec-Fetch-Site: same-origin\r\n"), ==, 200);
    fixture_stop(&f);
    fixture_stop(&strict);
}

TEST(a_listed_origin_gets_its_preflight_and_others_do_not)
{
    static const char *const origins[] = { "https://art.example", NULL };
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &(struct ph_server_params){ .origins = origins, .token = TOKEN });
    client_open(&c, f.port);
    client_request(&c, &r, "OPTIONS", "/echo",
                   "Origin: https://art.example\r\nAccess-Control-Request-Method: PATCH\r\n",
                   NULL);
    CHECK_INT(r.status, ==, 204);
    CHECK_STR(response_header(&r, "Access-Control-Allow-Origin"), "https://art.example");
    CHECK_STR(response_header(&r, "Access-Control-Allow-Methods"), "POST, PATCH");
    response_free(&r);
    client_request(&c, &r, "OPTIONS", "/echo", "Origin: https://evil.example\r\n", NULL);
    CHECK_INT(r.status, ==, 403);
    CHECK(!response_header(&r, "Access-Control-Allow-Origin"));
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_token_is_asked_for_everywhere_but_on_open_routes)
{
    struct fixture f;
    char text[1000];
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN });
    CHECK_STR(ph_server_token(f.server), TOKEN);
    CHECK_INT(get_with(f.port, "/", NULL), ==, 200);
    CHECK_INT(get_with(f.port, "/open", NULL), ==, 200);
    CHECK_INT(client_once(f.port, "GET", "/hello", NULL, NULL, text, sizeof text), ==, 401);
    CHECK_HAS(text, "Authorization: Bearer");
    CHECK_INT(get_with(f.port, "/nothing", NULL), ==, 401); // not even what is there
    CHECK_INT(get_with(f.port, "/stream.mjpg", NULL), ==, 401);
    CHECK_INT(get_with(f.port, "/hello?token=" TOKEN, NULL), ==, 401); // never in a query
    CHECK_INT(get_with(f.port, "/hello", "Authorization: Bearer " TOKEN "\r\n"), ==, 200);
    CHECK_INT(get_with(f.port, "/hello", "authorization: bearer   " TOKEN "\r\n"), ==, 200);
    CHECK_INT(get_with(f.port, "/hello", "Authorization: Basic " TOKEN "\r\n"), ==, 401);
    CHECK_INT(client_once(f.port, "POST", "/echo", NULL, "{}", NULL, 0), ==, 401);
    CHECK_INT(client_once(f.port, "POST", "/echo",
                          "Content-Type: application/json\r\nAuthorization: Bearer " TOKEN
                          "\r\n",
                          "{}", NULL, 0),
              ==, 200);
    fixture_stop(&f);
}

TEST(headers_that_ask_for_a_websocket_open_no_other_route_without_a_token)
{
    static const char upgrade[] = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    static const char *const paths[] = { "/hello", "/api/v1/things/x", "/later", "/stream.mjpg",
                                         "/nothing" };
    struct fixture f;
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN });
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        CHECK_INT(get_with(f.port, paths[i], upgrade), ==, 401);
    CHECK_INT(get_with(f.port, "/open", upgrade), ==, 200);
    CHECK_INT(get_with(f.port, "/hello",
                       "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Authorization: Bearer " TOKEN "\r\n"),
              ==, 200);
    fixture_stop(&f);
}

TEST(a_wrong_token_is_answered_late_and_holds_up_nobody)
{
    struct fixture f;
    struct client bad, good;
    struct response r;
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN });
    client_open(&bad, f.port);
    client_open(&good, f.port);
    int64_t begin = client_now_ns();
    client_sendf(&bad,
                 "GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                 TOKEN "x");
    client_request(&good, &r, "GET", "/open", NULL, NULL);
    CHECK_INT((client_now_ns() - begin) / MS, <, 80 * TEST_SLOW);
    response_free(&r);
    CHECK(client_response(&bad, &r, false));
    int64_t took = (client_now_ns() - begin) / MS;
    CHECK_INT(r.status, ==, 401);
    CHECK_HAS(r.body, "wrong token");
    CHECK_INT(took, >=, 99);
    CHECK_INT(took, <, 400 * TEST_SLOW);
    response_free(&r);
    client_close(&bad);
    client_close(&good);
    fixture_stop(&f);
}

TEST(ten_wrong_tokens_a_minute_lock_an_address_out)
{
    struct fixture f;
    struct client c[11];
    struct response r;
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN });
    for (int i = 0; i < 10; i++) {
        client_open_from(&c[i], f.port, "127.0.0.9", 0);
        client_sendf(&c[i], "GET /hello HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                            "wrong\r\n\r\n");
    }
    for (int i = 0; i < 10; i++) {
        CHECK(client_response(&c[i], &r, false));
        CHECK_INT(r.status, ==, 401);
        response_free(&r);
        client_close(&c[i]);
    }
    client_open_from(&c[10], f.port, "127.0.0.9", 0);
    client_request(&c[10], &r, "GET", "/hello", "Authorization: Bearer " TOKEN "\r\n", NULL);
    CHECK_INT(r.status, ==, 429); // even the right one
    response_free(&r);
    client_close(&c[10]);
    CHECK_INT(get_with(f.port, "/hello", "Authorization: Bearer " TOKEN "\r\n"), ==, 200);
    fixture_stop(&f);
}

TEST(a_websocket_shows_its_token_in_a_header_a_subprotocol_or_its_first_message)
{
    static struct response r;
    struct fixture f;
    struct client c;
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN });
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", "Authorization: Bearer " TOKEN "\r\n"), ==, 101);
    ws_send_text(&c, "echo:1");
    ws_expect_text(&c, "1");
    client_close(&c);
    for (int both = 0; both < 2; both++) {
        client_open(&c, f.port);
        client_sendf(&c,
                     "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: "
                     "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %stoken.%s\r\n\r\n",
                     both ? "phosphene.v1, " : "", TOKEN);
        CHECK(client_head(&c, &r));
        CHECK_INT(r.status, ==, 101);
        CHECK_STR(response_header(&r, "Sec-WebSocket-Protocol"),
                  both ? "phosphene.v1" : "token." TOKEN);
        ws_send_text(&c, "echo:2");
        ws_expect_text(&c, "2");
        client_close(&c);
    }
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    fixture_wait(&f, &f.seen.accepted, 4);
    CHECK_INT(fixture_read(&f, &f.seen.opened), ==, 3); // not before its token
    ws_send_text(&c, "{\"type\":\"auth\",\"token\":\"" TOKEN "\"}");
    ws_expect_text(&c, "{\"type\":\"authenticated\"}");
    ws_send_text(&c, "echo:3");
    ws_expect_text(&c, "3");
    client_close(&c);
    fixture_stop(&f);
}

TEST(a_websocket_without_a_right_token_gets_nothing)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN,
                                                  .limits = { .request_ns = 2000 * MS } });
    // something else first
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    ws_send_text(&c, "echo:secret");
    ws_expect_close(&c, PH_WS_POLICY, "a token is needed first");
    client_close(&c);
    // a wrong one: late, and what follows it is not looked at
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    int64_t begin = client_now_ns();
    ws_send_text(&c, "{\"type\":\"auth\",\"token\":\"wrong\"}");
    ws_send_text(&c, "{\"type\":\"auth\",\"token\":\"" TOKEN "\"}");
    ws_send_text(&c, "echo:secret");
    ws_expect_close(&c, PH_WS_POLICY, "wrong token");
    CHECK_INT((client_now_ns() - begin) / MS, >=, 99);
    client_close(&c);
    // none at all
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
    begin = client_now_ns();
    ws_expect_close(&c, PH_WS_POLICY, "no token came in time");
    CHECK_INT((client_now_ns() - begin) / MS, >=, 1900);
    client_close(&c);
    // a wrong one in a header
    client_open(&c, f.port);
    CHECK_INT(ws_open(&c, "/ws", "Authorization: Bearer wrong\r\n"), ==, 401);
    client_close(&c);
    CHECK_INT(fixture_read(&f, &f.seen.opened), ==, 0);
    CHECK_INT(fixture_read(&f, &f.seen.texts), ==, 0);
    fixture_wait(&f, &f.seen.closed, f.seen.accepted);
    fixture_stop(&f);
}

TEST(a_token_that_is_not_needed_is_welcome)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &defaults);
    fixture_ws(&f, &c, "/ws");
    ws_send_text(&c, "{\"type\":\"auth\",\"token\":\"whatever-it-was-once\"}");
    ws_expect_text(&c, "{\"type\":\"authenticated\"}");
    ws_send_text(&c, "echo:x");
    ws_expect_text(&c, "x");
    CHECK_INT(fixture_read(&f, &f.seen.texts), ==, 1);
    client_close(&c);
    fixture_stop(&f);
}

TEST(beyond_loopback_a_token_is_made_and_kept_for_its_owner_alone)
{
    char folder[] = "/tmp/ph-token-XXXXXX", path[200], url[500], first[PH_TOKEN_MAX + 1];
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    struct ph_server *s;
    struct ph_fault fault = { 0 };
    struct stat st;
    CHECK(mkdtemp(folder));
    setenv("XDG_STATE_HOME", folder, 1);
    snprintf(path, sizeof path, "%s/phosphene/token", folder);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(
            ph_server_create(&s, ph_server_params(.bind = "0.0.0.0", .log = &quiet), &fault));
        CHECK(ph_server_token(s));
        if (i) CHECK_STR(ph_server_token(s), first); // the same at the next start
        snprintf(first, sizeof first, "%s", ph_server_token(s));
        CHECK_INT(strlen(first), >=, 43); // 256 bits
        CHECK(ph_token_valid(first));
        ph_server_url(s, url, sizeof url);
        CHECK_HAS(url, "/#token=");
        CHECK_HAS(url, first);
        CHECK_OK(stat(path, &st));
        CHECK_INT(st.st_mode & 0777, ==, 0600);
        ph_server_destroy(&s);
    }
    // one that others could have read, or that is none, is refused
    CHECK_OK(chmod(path, 0644));
    CHECK_INT(ph_server_create(&s, ph_server_params(.bind = "0.0.0.0", .log = &quiet), &fault),
              ==, PH_EINVAL);
    CHECK_HAS(fault.message, "chmod 600");
    CHECK(!s);
    CHECK_OK(unlink(path));
    FILE *file = fopen(path, "w");
    fputs("short\n", file);
    fchmod(fileno(file), 0600);
    fclose(file);
    CHECK_INT(ph_server_create(&s, ph_server_params(.bind = "0.0.0.0", .log = &quiet), &fault),
              ==, PH_EFORMAT);
    CHECK_HAS(fault.message, path);
    // on loopback none is needed, and without one only if that is said
    CHECK_OK(ph_server_create(&s, ph_server_params(.log = &quiet), &fault));
    CHECK(!ph_server_token(s));
    ph_server_destroy(&s);
    CHECK_OK(ph_server_create(
        &s, ph_server_params(.bind = "0.0.0.0", .insecure_no_auth = true, .log = &quiet),
        &fault));
    CHECK(!ph_server_token(s));
    ph_server_destroy(&s);
    char command[300];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_OK(system(command));
}

static char warned[500];

static void keep_warning(void *opaque, enum ph_log_level level, const char *who,
                         const char *line)
{
    if (level == PH_LOG_WARN) snprintf(warned, sizeof warned, "%s", line);
}

TEST(going_without_a_token_is_warned_about)
{
    struct ph_log log = { .write = keep_warning };
    struct ph_server *s;
    CHECK_OK(ph_server_create(
        &s, ph_server_params(.bind = "0.0.0.0", .insecure_no_auth = true, .log = &log), NULL));
    CHECK_HAS(warned, "NO TOKEN");
    ph_server_destroy(&s);
}

TEST(beyond_loopback_the_address_itself_is_a_known_host)
{
    struct fixture f;
    struct client c;
    struct response r;
    fixture_start(&f, &(struct ph_server_params){ .bind = "0.0.0.0", .token = TOKEN });
    // 127.0.0.5 reaches it, and is where the connection came to
    memset(&c, 0, sizeof c);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) f.port) };
    inet_pton(AF_INET, "127.0.0.5", &a.sin_addr);
    c.fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(connect(c.fd, (struct sockaddr *) &a, sizeof a));
    client_request(&c, &r, "GET", "/open", "Host: 127.0.0.5:80\r\n", NULL);
    CHECK_INT(r.status, ==, 200);
    response_free(&r);
    client_request(&c, &r, "GET", "/open", "Host: 127.0.0.6:80\r\n", NULL);
    CHECK_INT(r.status, ==, 403);
    response_free(&r);
    client_close(&c);
    fixture_stop(&f);
}

TEST(tokens_are_compared_whole)
{
    CHECK(ph_token_equal("abcdefghijklmnop", "abcdefghijklmnop", 16));
    CHECK(!ph_token_equal("abcdefghijklmnop", "abcdefghijklmno", 15));
    CHECK(!ph_token_equal("abcdefghijklmnop", "abcdefghijklmnopq", 17));
    CHECK(!ph_token_equal("abcdefghijklmnop", "abcdefghijklmnoq", 16));
    CHECK(!ph_token_equal("abcdefghijklmnop", "bbcdefghijklmnop", 16));
    CHECK(!ph_token_equal("abcdefghijklmnop", "", 0));
    // a length that agrees in its low byte
    char longer[16 + 256];
    memset(longer, 0, sizeof longer);
    memcpy(longer, "abcdefghijklmnop", 16);
    CHECK(!ph_token_equal("abcdefghijklmnop", longer, sizeof longer));
    CHECK(!ph_token_valid("abcdefghijklmno"));
    CHECK(!ph_token_valid("abcdefghijklmnop q"));
    CHECK(ph_token_valid("abcdefghijklmnop-_.~"));
}

TEST(failures_are_counted_by_address_for_a_minute)
{
    static struct ph_auth_limit a;
    struct ph_address one = { { 1 } }, two = { { 2 } };
    int64_t now = 5 * PH_SECOND_NS;
    for (int i = 0; i < 3; i++) ph_auth_failed(&a, &one, now);
    CHECK(ph_auth_limited(&a, &one, 3, now));
    CHECK(!ph_auth_limited(&a, &one, 4, now));
    CHECK(!ph_auth_limited(&a, &two, 3, now));
    CHECK(!ph_auth_limited(&a, &one, 3, now + 60 * PH_SECOND_NS));
    ph_auth_failed(&a, &one, now + 61 * PH_SECOND_NS); // counting begins anew
    CHECK(!ph_auth_limited(&a, &one, 2, now + 61 * PH_SECOND_NS));
    // more addresses than slots: the oldest are forgotten, nothing breaks
    for (int i = 0; i < 1000; i++) {
        struct ph_address x = { { 9, (uint8_t) i, (uint8_t) (i >> 8) } };
        ph_auth_failed(&a, &x, now + 62 * PH_SECOND_NS + i);
    }
    CHECK(!ph_auth_limited(&a, &one, 1, now + 63 * PH_SECOND_NS));
}

TEST(viewers_are_limited_altogether_and_by_address)
{
    struct fixture f;
    struct client c[12];
    fixture_start(&f, &(struct ph_server_params){
                          .limits = { .viewers = 10, .viewers_per_address = 4 } });
    for (int i = 0; i < 10; i++) {
        char from[20];
        snprintf(from, sizeof from, "127.0.1.%d", 1 + i / 4);
        client_open_from(&c[i], f.port, from, 0);
        CHECK_INT(ws_open(&c[i], "/ws", NULL), ==, 101);
    }
    client_open_from(&c[10], f.port, "127.0.1.1", 0);
    CHECK_INT(ws_open(&c[10], "/ws", NULL), ==, 503);
    client_fill(&c[10], 20);
    CHECK_HAS(c[10].in, "at most 10 viewers");
    client_close(&c[10]);
    client_close(&c[9]);
    fixture_wait(&f, &f.seen.closed, 1);
    client_open_from(&c[10], f.port, "127.0.1.1", 0);
    CHECK_INT(ws_open(&c[10], "/ws", NULL), ==, 429);
    client_fill(&c[10], 20);
    CHECK_HAS(c[10].in, "at most 4 viewers an address");
    client_close(&c[10]);
    client_open_from(&c[10], f.port, "127.0.1.77", 0);
    CHECK_INT(ws_open(&c[10], "/ws", NULL), ==, 101);
    client_close(&c[10]);
    for (int i = 0; i < 9; i++) client_close(&c[i]);
    fixture_stop(&f);
}

TEST(strangers_who_show_no_token_leave_places_to_others)
{
    struct fixture f;
    struct client stranger[4], viewer;
    fixture_start(&f, &(struct ph_server_params){ .token = TOKEN, .limits = { .viewers = 4 } });
    for (int i = 0; i < 4; i++) client_open(&stranger[i], f.port);
    CHECK_INT(ws_open(&stranger[0], "/ws", NULL), ==, 101);
    for (int i = 1; i < 4; i++) CHECK_INT(ws_upgrade(&stranger[i], "/ws", NULL), ==, 503);
    client_open(&viewer, f.port);
    CHECK_INT(ws_open(&viewer, "/ws", "Authorization: Bearer " TOKEN "\r\n"), ==, 101);
    ws_send_text(&stranger[0], "{\"type\":\"auth\",\"token\":\"" TOKEN "\"}");
    ws_expect_text(&stranger[0], "{\"type\":\"authenticated\"}");
    client_close(&stranger[1]);
    client_open(&stranger[1], f.port);
    CHECK_INT(ws_upgrade(&stranger[1], "/ws", NULL), ==, 101); // there is a place again
    for (int i = 0; i < 4; i++) client_close(&stranger[i]);
    client_close(&viewer);
    fixture_stop(&f);
}

TEST(connections_are_limited_altogether_and_by_address)
{
    struct fixture f;
    struct client c[9];
    struct response r;
    fixture_start(&f, &(struct ph_server_params){
                          .limits = { .connections = 8, .connections_per_address = 4 } });
    for (int i = 0; i < 8; i++) {
        client_open_from(&c[i], f.port, i < 4 ? "127.0.1.1" : "127.0.1.2", 0);
        client_request(&c[i], &r, "GET", "/hello", NULL, NULL);
        response_free(&r);
        if (i != 3) continue;
        client_open_from(&c[8], f.port, "127.0.1.1", 0);
        CHECK(client_response(&c[8], &r, false));
        CHECK_INT(r.status, ==, 503);
        response_free(&r);
        client_close(&c[8]);
    }
    client_open_from(&c[8], f.port, "127.0.1.3", 0);
    CHECK(client_response(&c[8], &r, false));
    CHECK_INT(r.status, ==, 503);
    CHECK_HAS(r.body, "too many connections");
    response_free(&r);
    client_close(&c[8]);
    struct ph_server_stats stats;
    ph_server_stats(f.server, &stats);
    CHECK_INT(stats.connections, ==, 8);
    CHECK_INT(stats.refused[PH_REFUSED_LIMIT], ==, 2);
    for (int i = 0; i < 8; i++) client_close(&c[i]);
    fixture_stop(&f);
}
