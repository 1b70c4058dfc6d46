// SPDX-License-Identifier: MIT
// phosphene top and trace when the other side is not what it should be.
#include "program.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

// A server that answers each connection with these bytes and closes it. Returns its port.
static int serve_bytes(const char *bytes, size_t size)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(bind(fd, (struct sockaddr *) &a, sizeof a));
    CHECK_OK(listen(fd, 8));
    CHECK_OK(getsockname(fd, (struct sockaddr *) &a, &length));
    if (!fork())
        for (;;) {
            char request[4096];
            int c = accept(fd, NULL, NULL);
            if (read(c, request, sizeof request) > 0 && size) {
                ssize_t n = write(c, bytes, size);
                (void) n;
            }
            close(c);
        }
    close(fd);
    return ntohs(a.sin_port);
}

static const struct output *top_of(const char *bytes)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", serve_bytes(bytes, strlen(bytes)));
    return PHOSPHENE("top", url, "--once");
}

TEST(no_server_is_a_missing_thing_that_is_named)
{
    const struct output *o = PHOSPHENE("top", "--once", "127.0.0.1:1");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "no server at http://127.0.0.1:1");
    o = PHOSPHENE("trace", ":1", "-o", temp_path("t.json"));
    CHECK_STATUS(o, 4);
    CHECK(access(temp_path("t.json"), F_OK));
    CHECK_STATUS(PHOSPHENE("top", "--once", "http://no.such.host.invalid"), 4);
}

TEST(a_malformed_address_is_a_usage_error)
{
    CHECK_STATUS(PHOSPHENE("top", "--once", "127.0.0.1:99999"), 2);
    CHECK_STATUS(PHOSPHENE("top", "--once", "http://[::1"), 2);
    const struct output *o = PHOSPHENE("top", "--once", "https://127.0.0.1:1");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "no server at https://127.0.0.1:1");
}

TEST(an_answer_that_is_not_http_is_refused)
{
    static const char *const answers[] = {
        "",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", // cut short
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct output *o = top_of(answers[i]);
        CHECK_STATUS(o, 4);
        CHECK_HAS(o->err, "does not answer as a phosphene server");
    }
}

TEST(a_plain_server_is_no_tls_server)
{
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d",
             serve_bytes("HTTP/1.1 400 x\r\n\r\n", 18));
    const struct output *o = PHOSPHENE("top", url, "--once");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "TLS");
}

TEST(a_page_that_is_not_the_api_is_refused)
{
    CHECK(top_of("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")->status != 0);
    CHECK(top_of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"rooms\":[]}")->status != 0);
}

TEST(a_refusal_is_passed_on_with_what_would_help)
{
    const struct output *o =
        top_of("HTTP/1.1 401 Unauthorized\r\n\r\n"
               "{\"error\":{\"code\":\"EACCES\",\"message\":\"a token, please\"}}");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "--token");
}
