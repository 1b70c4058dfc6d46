// SPDX-License-Identifier: MIT
// Memory: what fails when it runs out, and that posting takes none.
#include "fixture.h"

#include "alloc_count.h"

// Runs on the I/O thread: from now its n-th allocation fails.
static void fail_at(void *opaque, struct ph_request *req)
{
    const char *n = ph_request_query(req, "n");
    ph_reply_text(req, 200, "ok");
    alloc_fail_only(n ? atol(n) : -1);
}

static bool get(int port, const char *path, int *status)
{
    struct client c;
    static struct response r;
    client_open(&c, port);
    client_sendf(&c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    bool answered = client_response(&c, &r, false);
    if (answered) *status = r.status;
    response_free(&r);
    client_close(&c);
    return answered;
}

static bool post(int port, int *status)
{
    struct client c;
    static struct response r;
    client_open(&c, port);
    client_sendf(&c,
                 "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 "Content-Length: 8\r\nConnection: close\r\n\r\n{\"a\":12}");
    bool answered = client_response(&c, &r, false);
    if (answered) *status = r.status;
    response_free(&r);
    client_close(&c);
    return answered;
}

// A WebSocket that gets one text back, or is turned away.
static bool talk(int port, int *status)
{
    struct client c;
    client_open(&c, port);
    *status = ws_open(&c, "/ws", NULL);
    struct message m = { 0 };
    if (*status == 101 && ws_send_text(&c, "echo:x")) m = ws_wait(&c, 1);
    bool answered = m.opcode == 1;
    message_free(&m);
    client_close(&c);
    return answered;
}

TEST(each_single_failing_allocation_costs_one_request_and_not_the_server)
{
    struct fixture f;
    const struct ph_route fail = { PH_GET, "/fail", fail_at };
    int refused = 0;
    fixture_create(&f, &(struct ph_server_params){ 0 });
    CHECK_OK(ph_server_route(f.server, &fail));
    fixture_run(&f);
    for (int kind = 0; kind < 4; kind++) {
        for (int n = 0; n < 40; n++) {
            char path[32];
            int status = 0;
            snprintf(path, sizeof path, "/fail?n=%d", n);
            CHECK(get(f.port, path, &status));
            bool ok = kind == 0   ? get(f.port, "/api/v1/things/x", &status)
                      : kind == 1 ? post(f.port, &status)
                      : kind == 2 ? talk(f.port, &status)
                                  : get(f.port, "/nowhere", &status);
            int want = kind == 2 ? 101 : kind == 3 ? 404 : 200;
            refused += !ok || status != want;
            if (ok) CHECK(status == want || status == 503 || status == 500);
            // a failure that did not come yet must not hit the next round
            for (int i = 0; i < 5 && !get(f.port, "/fail", &status); i++) {}
            CHECK(get(f.port, "/hello", &status));
            CHECK_INT(status, ==, 200);
        }
    }
    printf("# %d of 160 were refused\n", refused);
    CHECK_INT(refused, >=, 10);
    fixture_wait(&f, &f.seen.count, 0);
    fixture_stop(&f);
}

TEST(posting_pictures_and_texts_allocates_nothing)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &(struct ph_server_params){ 0 });
    fixture_ws(&f, &c, "/ws");
    fixture_wait(&f, &f.seen.count, 1);
    struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, 1, 100000);
    long before = alloc_count_here();
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(ph_conn_post(
            fixture_conn(&f, 0),
            ph_post(.frame = frame, .text = "{\"type\":\"metrics\"}", .text_len = 18)));
        if (i % 10 == 0)
            CHECK_OK(ph_ws_send_text(fixture_conn(&f, 0), "{\"type\":\"ack\"}", 14));
    }
    CHECK_INT(alloc_count_here() - before, ==, 0);
    ph_frame_unref(&frame);
    client_close(&c);
    fixture_stop(&f);
}

TEST(the_io_thread_allocates_nothing_for_a_picture)
{
    struct fixture f;
    struct client c;
    fixture_start(&f, &(struct ph_server_params){ 0 });
    fixture_ws(&f, &c, "/ws");
    fixture_wait(&f, &f.seen.count, 1);
    struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, 1, 100000);
    alloc_watch("ph-server");
    for (int i = 0; i < 200; i++) {
        CHECK_OK(ph_conn_post(
            fixture_conn(&f, 0),
            ph_post(.frame = frame, .text = "{\"type\":\"metrics\"}", .text_len = 18)));
        struct message m = ws_wait(&c, 2);
        CHECK_INT(m.size, ==, 100000);
        message_free(&m);
    }
    long made = alloc_watched();
    if (made) TEST_FAIL("%ld allocations, the first: %s", made, alloc_first());
    alloc_watch(NULL);
    ph_frame_unref(&frame);
    client_close(&c);
    fixture_stop(&f);
}
