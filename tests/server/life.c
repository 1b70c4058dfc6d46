// SPDX-License-Identifier: MIT
// A server's life: starting, files, TLS, stopping in every state, leaking nothing.
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#if PH_HAVE_TLS
#include <openssl/pem.h>
#include <openssl/x509.h>
#endif
#if PH_HAVE_SERVER
#include <zlib.h>
#endif

static const struct ph_server_params defaults = { 0 };
static const struct ph_log quiet = { .level = PH_LOG_ERROR };
static char folder[] = "/tmp/ph-server-XXXXXX";

static ph_err create_fails(const struct ph_server_params *par, struct ph_fault *fault)
{
    struct ph_server *s;
    ph_err ret = ph_server_create(&s, par, fault);
    CHECK(!s);
    return ret;
}

TEST(d2_43_a_port_in_use_is_told_and_the_retry_works)
{
    struct fixture f;
    struct ph_fault fault = { 0 };
    char number[20];
    fixture_start(&f, &defaults);
    CHECK_INT(create_fails(ph_server_params(.port = f.port, .log = &quiet), &fault), ==,
              PH_EBUSY);
    CHECK_STR(fault.field, "port");
    snprintf(number, sizeof number, "%d", f.port);
    CHECK_HAS(fault.message, number);
    CHECK_HAS(fault.message, "in use");
    // and free again at once when the server has gone, with clients that were connected
    struct client c;
    int port = f.port;
    fixture_ws(&f, &c, "/ws");
    fixture_stop(&f);
    fixture_start(&f, &(struct ph_server_params){ .port = port });
    CHECK_INT(f.port, ==, port);
    client_close(&c);
    fixture_stop(&f);
}

TEST(bad_addresses_and_ports_are_refused)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(create_fails(ph_server_params(.bind = "300.1.1.1", .log = &quiet), &fault), ==,
              PH_EINVAL);
    CHECK_STR(fault.field, "bind");
    CHECK_HAS(fault.message, "300.1.1.1");
    CHECK_INT(create_fails(ph_server_params(.bind = "192.0.2.1", .log = &quiet), &fault), ==,
              PH_EINVAL); // not ours
    CHECK_HAS(fault.message, "192.0.2.1");
    CHECK_INT(create_fails(ph_server_params(.port = 70000, .log = &quiet), &fault), ==,
              PH_EINVAL);
    CHECK_STR(fault.field, "port");
    CHECK_INT(create_fails(ph_server_params(.port = -1, .log = &quiet), &fault), ==, PH_EINVAL);
    CHECK_INT(create_fails(ph_server_params(.token = "short", .log = &quiet), &fault), ==,
              PH_EINVAL);
    CHECK_STR(fault.field, "token");
}

TEST(the_url_is_what_a_person_can_open)
{
    struct fixture f;
    char url[200], want[200];
    fixture_start(&f, &defaults);
    ph_server_url(f.server, url, sizeof url);
    snprintf(want, sizeof want, "http://127.0.0.1:%d/", f.port);
    CHECK_STR(url, want);
    fixture_stop(&f);
    struct ph_server *s;
    if (ph_server_create(&s, ph_server_params(.bind = "::1", .log = &quiet), NULL) == PH_OK) {
        ph_server_url(s, url, sizeof url);
        snprintf(want, sizeof want, "http://[::1]:%d/", ph_server_port(s));
        CHECK_STR(url, want);
        ph_server_destroy(&s);
    }
}

// ------------------------------------------------------------------------------------- files

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, size, file) == size);
    CHECK_OK(fclose(file));
}

static void serve_file(void *opaque, struct ph_request *req)
{
    ph_reply_file(req, folder, ph_request_param(req, "name"), "video/mp4",
                  ph_request_query(req, "download"));
}

static void remove_folder(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK_OK(system(command));
}

// A server that serves `folder` at /get/.
static struct ph_server *file_server(void)
{
    struct ph_server *s;
    CHECK(mkdtemp(folder));
    CHECK_OK(ph_server_create(&s, ph_server_params(.log = &quiet), NULL));
    CHECK_OK(ph_server_route(s, &(struct ph_route){ PH_GET, "/get/{name*}", serve_file }));
    CHECK_OK(ph_server_start(s, NULL));
    return s;
}

TEST(a_file_comes_whole_or_by_range)
{
    static char bytes[3000000];
    struct client c;
    struct response r;
    struct ph_server *s = file_server();
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char) (i * 2654435761u >> 13);
    write_file("clip.mp4", bytes, sizeof bytes);
    client_open(&c, ph_server_port(s));
    client_request(&c, &r, "GET", "/get/clip.mp4", NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(response_header(&r, "Content-Type"), "video/mp4");
    CHECK_STR(response_header(&r, "Accept-Ranges"), "bytes");
    CHECK(r.size == sizeof bytes && !memcmp(r.body, bytes, r.size));
    response_free(&r);
    client_request(&c, &r, "GET", "/get/clip.mp4", "Range: bytes=1000000-1000099\r\n", NULL);
    CHECK_INT(r.status, ==, 206);
    CHECK_STR(response_header(&r, "Content-Range"), "bytes 1000000-1000099/3000000");
    CHECK(r.size == 100 && !memcmp(r.body, bytes + 1000000, 100));
    response_free(&r);
    client_request(&c, &r, "GET", "/get/clip.mp4", "Range: bytes=3000000-\r\n", NULL);
    CHECK_INT(r.status, ==, 416);
    CHECK_STR(response_header(&r, "Content-Range"), "bytes */3000000");
    response_free(&r);
    client_request(&c, &r, "HEAD", "/get/clip.mp4", NULL, NULL);
    CHECK_STR(response_header(&r, "Content-Length"), "3000000");
    response_free(&r);
    client_request(&c, &r, "GET", "/get/clip.mp4?download=a%22b.mp4", NULL, NULL);
    CHECK_STR(response_header(&r, "Content-Disposition"), "attachment; filename=\"ab.mp4\"");
    response_free(&r);
    client_close(&c);
    ph_server_destroy(&s);
    remove_folder();
}

TEST(no_name_leads_out_of_the_folder)
{
    static const char *const names[] = { "../passwd", "..%2fpasswd", "%2e%2e/passwd",
                                         ".hidden",   "sub/.hidden", "/etc/passwd",
                                         "link",      "sub",         "",
                                         "missing",   "sub//x",      "fifo" };
    struct ph_server *s = file_server();
    char path[300], link_path[300];
    write_file(".hidden", "x", 1);
    snprintf(link_path, sizeof link_path, "%s/link", folder);
    CHECK_OK(symlink("/etc/passwd", link_path));
    snprintf(link_path, sizeof link_path, "%s/sub", folder);
    CHECK_OK(mkdir(link_path, 0700));
    write_file("sub/x", "inside", 6);
    write_file("sub/.hidden", "x", 1);
    snprintf(link_path, sizeof link_path, "%s/fifo", folder);
    CHECK_OK(mkfifo(link_path, 0600));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[1000];
        snprintf(path, sizeof path, "/get/%s", names[i]);
        int status = client_once(ph_server_port(s), "GET", path, NULL, NULL, text, sizeof text);
        if (status != 404 && status != 400)
            TEST_FAIL("%s gives %d: %s", names[i], status, text);
        CHECK(!strstr(text, "root:"));
    }
    CHECK_INT(client_once(ph_server_port(s), "GET", "/get/sub/x", NULL, NULL, NULL, 0), ==,
              200);
    ph_server_destroy(&s);
    remove_folder();
}

TEST(a_file_that_gets_shorter_ends_the_connection_and_not_the_server)
{
    static char bytes[8 << 20];
    struct client c;
    static struct response r;
    char path[300];
    struct ph_server *s = file_server();
    write_file("clip.mp4", bytes, sizeof bytes);
    snprintf(path, sizeof path, "%s/clip.mp4", folder);
    client_open_from(&c, ph_server_port(s), NULL, 8192);
    client_sendf(&c, "GET /get/clip.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(client_head(&c, &r));
    CHECK_OK(truncate(path, 1000));
    size_t got = c.len;
    for (c.len = 0; client_fill(&c, 1); c.len = 0) got += c.len;
    CHECK_INT(got, <, sizeof bytes);
    client_close(&c);
    CHECK_INT(client_once(ph_server_port(s), "GET", "/get/clip.mp4", NULL, NULL, NULL, 0), ==,
              200);
    ph_server_destroy(&s);
    remove_folder();
}

#if PH_HAVE_SERVER
TEST(a_packed_resource_goes_packed_to_those_who_take_it)
{
    static char plain[20000];
    static uint8_t packed[20000];
    static struct ph_resource table[3];
    for (size_t i = 0; i < sizeof plain; i++) plain[i] = "const x = 1;\n"[i % 13];
    z_stream z = { .next_in = (Bytef *) plain,
                   .avail_in = sizeof plain,
                   .next_out = packed,
                   .avail_out = sizeof packed };
    CHECK_INT(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
    CHECK_INT(deflate(&z, Z_FINISH), ==, Z_STREAM_END);
    size_t packed_size = z.total_out;
    deflateEnd(&z);
    table[0] = (struct ph_resource){ .path = "/a.js",
                                     .type = "text/javascript",
                                     .gz = packed,
                                     .gz_size = packed_size,
                                     .immutable = true };
    table[1] = (struct ph_resource){
        .path = "/bad.js", .type = "text/javascript", .gz = packed, .gz_size = packed_size / 2
    };
    struct ph_server *s;
    CHECK_OK(ph_server_create(&s, ph_server_params(.log = &quiet), NULL));
    CHECK_OK(ph_server_resources(s, table));
    CHECK_OK(ph_server_start(s, NULL));
    struct client c;
    struct response r;
    client_open(&c, ph_server_port(s));
    client_request(&c, &r, "GET", "/a.js", "Accept-Encoding: gzip, br\r\n", NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(response_header(&r, "Content-Encoding"), "gzip");
    CHECK_STR(response_header(&r, "Vary"), "Accept-Encoding");
    CHECK_HAS(response_header(&r, "Cache-Control"), "immutable");
    CHECK(r.size == packed_size && !memcmp(r.body, packed, packed_size));
    char tag[5000];
    snprintf(tag, sizeof tag, "Accept-Encoding: gzip\r\nIf-None-Match: W/\"x\", %s\r\n",
             response_header(&r, "ETag"));
    response_free(&r);
    client_request(&c, &r, "GET", "/a.js", tag, NULL);
    CHECK_INT(r.status, ==, 304);
    response_free(&r);
    client_request(&c, &r, "GET", "/a.js", NULL, NULL);
    CHECK(!response_header(&r, "Content-Encoding"));
    CHECK(r.size == sizeof plain && !memcmp(r.body, plain, sizeof plain));
    response_free(&r);
    client_request(&c, &r, "GET", "/bad.js", NULL, NULL);
    CHECK_INT(r.status, ==, 503);
    response_free(&r);
    client_close(&c);
    ph_server_destroy(&s);
}
#endif

// --------------------------------------------------------------------------------------- TLS

#if PH_HAVE_TLS
static void write_pem(const char *name, EVP_PKEY *key, X509 *cert)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file);
    CHECK(cert ? PEM_write_X509(file, cert)
               : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    CHECK_OK(fclose(file));
}

// cert.pem and key.pem for localhost, and other.pem, the key of somebody else.
static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    CHECK(key && other && cert && mkdtemp(folder));
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *) "localhost", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    CHECK(X509_sign(cert, key, EVP_sha256()));
    write_pem("cert.pem", NULL, cert);
    write_pem("key.pem", key, NULL);
    write_pem("other.pem", other, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static const char *in_folder(const char *name)
{
    static char path[2][300];
    static int turn;
    turn ^= 1;
    snprintf(path[turn], sizeof path[0], "%s/%s", folder, name);
    return path[turn];
}

TEST(tls_carries_requests_messages_and_pictures)
{
    static char body[300000];
    struct fixture f;
    struct client c;
    struct response r;
    char url[100];
    make_certificate();
    fixture_start(&f, &(struct ph_server_params){ .tls_cert = in_folder("cert.pem"),
                                                  .tls_key = in_folder("key.pem") });
    ph_server_url(f.server, url, sizeof url);
    CHECK_HAS(url, "https://");
    client_open(&c, f.port);
    CHECK(client_tls(&c, 0));
    memset(body, 'b', sizeof body - 1);
    for (int i = 0; i < 3; i++) {
        client_request(&c, &r, "POST", "/echo", NULL, body + sizeof body - 150000);
        CHECK_INT(r.status, ==, 200);
        CHECK_INT(r.size, ==, 149999);
        response_free(&r);
    }
    // two in one record
    client_sendf(&c, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        CHECK(client_response(&c, &r, false));
        CHECK_STR(r.body, "hello");
        response_free(&r);
    }
    char origin[200];
    snprintf(origin, sizeof origin, "Host: localhost:%d\r\nOrigin: https://localhost:%d\r\n",
             f.port, f.port);
    CHECK_INT(ws_open(&c, "/ws", origin), ==, 101);
    ws_send_text(&c, "echo:secret");
    ws_expect_text(&c, "secret");
    fixture_wait(&f, &f.seen.count, 1);
    for (uint64_t n = 1; n <= 20; n++) {
        struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, n, 310000);
        post_all(&f, frame, "{\"type\":\"metrics\"}");
        struct message m = ws_next(&c);
        CHECK_STR(m.data, "{\"type\":\"metrics\"}");
        message_free(&m);
        m = ws_next(&c);
        CHECK(m.size == 310000 && !memcmp(m.data, frame->packet.data, m.size));
        message_free(&m);
        ph_frame_unref(&frame);
    }
    // a big message in
    static char bytes[4 << 20];
    CHECK(ws_send_raw(&c, 0x82, true, bytes, sizeof bytes));
    fixture_wait(&f, &f.seen.binaries, 1);
    CHECK_INT(f.seen.last_size, ==, sizeof bytes);
    ws_send_raw(&c, 0x88, true, "\x03\xe8", 2);
    ws_expect_close(&c, 1000, NULL);
    client_close(&c);
    fixture_stop(&f);
    remove_folder();
}

TEST(tls_1_1_plain_http_and_garbage_are_refused_and_others_served)
{
    struct fixture f;
    struct client c, good;
    struct response r;
    make_certificate();
    fixture_start(&f, &(struct ph_server_params){ .tls_cert = in_folder("cert.pem"),
                                                  .tls_key = in_folder("key.pem"),
                                                  .limits = { .request_ns = 300 * MS } });
    client_open(&good, f.port);
    CHECK(client_tls(&good, TLS1_2_VERSION));
    client_open(&c, f.port);
    CHECK(!client_tls(&c, TLS1_1_VERSION));
    client_close(&c);
    client_open(&c, f.port);
    client_sendf(&c, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(client_sees_end(&c));
    client_close(&c);
    client_open(&c, f.port); // says nothing
    CHECK(client_sees_end(&c));
    client_close(&c);
    client_open(&c, f.port);
    CHECK(client_tls(&c, 0));
    client_request(&c, &r, "GET", "/hello", NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    response_free(&r);
    client_close(&c);
    client_close(&good);
    fixture_stop(&f);
    remove_folder();
}

TEST(a_bad_certificate_is_told_by_its_file)
{
    struct ph_fault fault = { 0 };
    make_certificate();
    CHECK_INT(create_fails(ph_server_params(.tls_cert = "/nonexistent/cert.pem",
                                            .tls_key = in_folder("key.pem"), .log = &quiet),
                           &fault),
              ==, PH_ENOENT);
    CHECK_STR(fault.field, "tls-cert");
    CHECK_HAS(fault.message, "/nonexistent/cert.pem");
    CHECK_INT(create_fails(ph_server_params(.tls_cert = in_folder("cert.pem"),
                                            .tls_key = in_folder("other.pem"), .log = &quiet),
                           &fault),
              ==, PH_EFORMAT);
    CHECK_STR(fault.field, "tls-key");
    CHECK_HAS(fault.message, "other.pem");
    CHECK_INT(create_fails(ph_server_params(.tls_cert = in_folder("key.pem"),
                                            .tls_key = in_folder("key.pem"), .log = &quiet),
                           &fault),
              ==, PH_EFORMAT);
    CHECK_INT(create_fails(ph_server_params(.tls_cert = in_folder("cert.pem"), .log = &quiet),
                           &fault),
              ==, PH_EINVAL);
    CHECK_HAS(fault.message, "go together");
    remove_folder();
}
#else
TEST(without_openssl_a_certificate_is_refused_with_the_reason)
{
    struct ph_fault fault = { 0 };
    CHECK_INT(
        create_fails(ph_server_params(.tls_cert = "a", .tls_key = "b", .log = &quiet), &fault),
        ==, PH_ENOTSUP);
    CHECK_HAS(fault.message, "OpenSSL");
}
#endif

// ----------------------------------------------------------------------------------- stopping

TEST(d2_17_a_server_stops_within_a_second_in_every_state)
{
    enum { N = 10 };
    struct fixture f;
    struct client c[N];
    fixture_start(&f, &defaults);
    for (int i = 0; i < N; i++) client_open_from(&c[i], f.port, NULL, i == 9 ? 4096 : 0);
    // 0 is only connected, 1 in its head, 2 in its body, 3 waits for a deferred reply
    client_sendf(&c[1], "GET /hel");
    client_sendf(&c[2], "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                        "application/json\r\nContent-Length: 10\r\n\r\n{");
    client_sendf(&c[3], "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_sendf(&c[4], "GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int i = 5; i < N; i++) CHECK_INT(ws_open(&c[i], "/ws", NULL), ==, 101);
    client_send(&c[6], "\x81\xfe", 2); // in the middle of a header
    ws_send_text(&c[7], "close");      // closes already
    fixture_wait(&f, &f.seen.opened, 6);
    for (uint64_t n = 1; n <= 30; n++) { // 9 does not read
        struct ph_frame *frame = stamped_frame(NULL, PH_JPEG, true, n, 500000);
        pthread_mutex_lock(&f.seen.lock);
        ph_conn_post(f.seen.conns[f.seen.count - 1], ph_post(.frame = frame));
        pthread_mutex_unlock(&f.seen.lock);
        ph_frame_unref(&frame);
        sleep_ms(2);
    }
    while (!fixture_deferred(&f)) sleep_ms(2);
    struct ph_deferred *held = fixture_deferred(&f);
    fixture_stop(&f); // checks the time
    ws_expect_close(&c[5], PH_WS_GOING, "stops");
    CHECK(client_sees_end(&c[0]));
    CHECK(client_sees_end(&c[4]));
    struct response r;
    CHECK(client_response(&c[3], &r, false));
    CHECK_INT(r.status, ==, 202);
    response_free(&r);
    CHECK_INT(ph_deferred_reply(&held, 200, "{}", 2), ==, PH_ETIMEOUT);
    for (int i = 0; i < N; i++) client_close(&c[i]);
}

TEST(a_server_that_never_started_is_destroyed)
{
    struct ph_server *s = NULL;
    ph_server_destroy(&s);
    CHECK_OK(ph_server_create(&s, ph_server_params(.log = &quiet), NULL));
    ph_server_destroy(&s);
    CHECK(!s);
}

struct poster {
    struct ph_conn *conn;
    struct ph_frame *frame;
    pthread_t thread;
};

static void *post_until_stopped(void *arg)
{
    struct poster *p = arg;
    while (ph_conn_post(p->conn, ph_post(.frame = p->frame)) != PH_ESTOPPED)
        ph_ws_send_text(p->conn, "x", 1);
    return NULL;
}

TEST(threads_may_post_while_the_server_stops)
{
    for (int round = 0; round < 20; round++) {
        struct fixture f;
        struct client c;
        struct poster p;
        fixture_start(&f, &defaults);
        fixture_ws(&f, &c, "/ws");
        fixture_wait(&f, &f.seen.count, 1);
        p.conn = ph_conn_ref(fixture_conn(&f, 0));
        p.frame = stamped_frame(NULL, PH_JPEG, true, 1, 50000);
        CHECK_OK(pthread_create(&p.thread, NULL, post_until_stopped, &p));
        sleep_ms(round);
        fixture_stop(&f);
        pthread_join(p.thread, NULL);
        CHECK(ph_frame_writable(p.frame));
        ph_frame_unref(&p.frame);
        ph_conn_unref(&p.conn);
        client_close(&c);
    }
}

// ----------------------------------------------------------------------------------- leaking

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

// Bytes that malloc has given out; 0 under a sanitizer, which looks for leaks itself.
static long allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return (long) (info.uordblks + info.hblkhd);
}

// One connection of each kind, some ending well and some not.
static void one_cycle(struct fixture *f, int i)
{
    struct client c;
    struct response r;
    client_open(&c, f->port);
    if (i % 4 == 0) {
        client_request(&c, &r, "GET", "/hello", NULL, NULL);
        response_free(&r);
    } else if (i % 4 == 1) {
        client_sendf(&c, "GET /hel"); // goes away in the middle
    } else {
        CHECK_INT(ws_open(&c, "/ws", NULL), ==, 101);
        ws_send_text(&c, "echo:x");
        ws_expect_text(&c, "x");
        if (i % 4 == 3) {
            ws_send_raw(&c, 0x88, true, "\x03\xe8", 2);
            ws_expect_close(&c, 1000, NULL);
        }
    }
    client_close(&c);
}

TEST(a_thousand_connections_leave_nothing_behind)
{
    struct fixture f;
    fixture_start(&f, &defaults);
    for (int i = 0; i < 200; i++) one_cycle(&f, i);
    fixture_wait_empty(&f);
    int descriptors = open_descriptors();
    long before = allocated();
    for (int i = 0; i < 1000; i++) one_cycle(&f, i);
    struct ph_server_stats s = fixture_wait_empty(&f);
    CHECK_INT(s.viewers, ==, 0);
    CHECK_INT(open_descriptors(), <=, descriptors);
    CHECK_INT(allocated() - before, <, 4096);
    fixture_stop(&f);
}

TEST(d2_48_an_idle_server_uses_no_processor)
{
    struct fixture f;
    struct client c[4];
    struct timespec before, after;
    fixture_start(&f, &defaults);
    for (int i = 0; i < 4; i++) fixture_ws(&f, &c[i], "/ws");
    fixture_wait(&f, &f.seen.count, 4);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    sleep_ms(1000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t used =
        (after.tv_sec - before.tv_sec) * PH_SECOND_NS + after.tv_nsec - before.tv_nsec;
    CHECK_INT(used / 1000, <, 10000); // us of a second
    for (int i = 0; i < 4; i++) client_close(&c[i]);
    fixture_stop(&f);
}
