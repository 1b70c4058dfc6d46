// SPDX-License-Identifier: MIT
// phosphene serve, and top and trace on it: a real server, started as a user starts it.
#include "program.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define GRAPH "pattern size=160x90 fps=30 -> jpeg -> live"

struct server {
    struct child child;
    char url[512];
    int port;
};

// Waits for the line that --json prints.
static struct server server_of(struct child c)
{
    struct server s = { .child = c };
    const char *line = read_line(&s.child);
    if (*line != '{') {
        const struct output *o = finish(&s.child);
        TEST_FAIL("no URL but \"%s\", exit status %d: %s", line, o->status, o->err);
    }
    const struct ph_json *v = parse_json(line);
    snprintf(s.url, sizeof s.url, "%s", ph_json_string(ph_json_get(v, "url"), ""));
    s.port = (int) ph_json_int(ph_json_get(v, "port"), 0);
    CHECK_INT(s.port, >, 0);
    return s;
}

#define SERVE(...)                                                                             \
    server_of(start(program(), "serve", "--json", "--port", "0", __VA_ARGS__, NULL))

static void stop_server(struct server *s)
{
    const struct output *o;
    double took = stop_child(&s->child, SIGTERM, &o);
    CHECK_STATUS(o, 0);
    CHECK_NUM(took, <, STOP_LIMIT_S);
}

static int connect_to(int port, const char *request)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t) port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(connect(fd, (struct sockaddr *) &a, sizeof a));
    CHECK(write(fd, request, strlen(request)) == (ssize_t) strlen(request));
    return fd;
}

static const char *http_get(int port, const char *path)
{
    static char text[1 << 20];
    char request[512];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n", path, port);
    int fd = connect_to(port, request);
    size_t at = 0;
    for (ssize_t n; (n = read(fd, text + at, sizeof text - 1 - at)) > 0;) at += (size_t) n;
    text[at] = 0;
    close(fd);
    return text;
}

TEST(serve_prints_its_url_and_top_and_trace_see_the_room)
{
    struct server s = SERVE(GRAPH);
    const struct output *o = PHOSPHENE("top", s.url, "--once", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *room = parse_json(o->out);
    CHECK_STR(ph_json_string(ph_json_get(room, "name"), ""), "demo");
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), "160x90");
    o = PHOSPHENE("top", s.url, "--once");
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->out, "pattern");
    CHECK_HAS(o->out, "bottleneck");
    CHECK_STATUS(PHOSPHENE("trace", s.url, "-o", temp_path("trace.json")), 0);
    CHECK(ph_json_get(parse_json(read_text(temp_path("trace.json"))), "traceEvents"));
    o = PHOSPHENE("top", s.url, "--once", "--room", "nosuch");
    CHECK_STATUS(o, 4);
    stop_server(&s);
}

TEST(serve_without_arguments_shows_the_demo_and_how_to_stop_it)
{
    struct child c = start(program(), "serve", "--port", "0", NULL);
    const struct output *o;
    bool url = false, stop = false;
    while (!url || !stop) {
        const char *line = read_line(&c);
        if (!*line && waitpid(c.pid, NULL, WNOHANG)) TEST_FAIL("it ended without its URL");
        url = url || strstr(line, "http://127.0.0.1:");
        stop = stop || strstr(line, "Ctrl-C");
    }
    double took = stop_child(&c, SIGINT, &o);
    CHECK_STATUS(o, 0);
    CHECK_NUM(took, <, STOP_LIMIT_S);
}

// A folder as the bundled model's: of one's own, with the small pipeline in it.
static void lend_bundle(void)
{
    char command[4096];
    const char *golden = getenv("PH_GOLDEN");
    if (!golden) golden = "../shared/golden";
    snprintf(command, sizeof command, "%s/diffusion/models/pipe_sd15_tiny/model_index.json",
             golden);
    if (access(command, R_OK)) TEST_SKIP("no %s", command);
    snprintf(
        command, sizeof command,
        "mkdir -p '%s/models' && ln -sfn \"$(realpath '%s/diffusion/models/pipe_sd15_tiny')\" "
        "'%s/models/spark'",
        temp_path("share"), golden, temp_path("share"));
    CHECK(system(command) == 0);
    setenv("PH_SHARE", temp_path("share"), 1);
    setenv("PH_MODELS", "/nonexistent", 1);
}

static void check_room(const struct server *s, const char *name, const char *text)
{
    const struct output *o = PHOSPHENE("top", s->url, "--once", "--json");
    CHECK_STATUS(o, 0);
    const struct ph_json *room = parse_json(o->out);
    CHECK_STR(ph_json_string(ph_json_get(room, "name"), ""), name);
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), text);
}

TEST_LIMIT(with_the_bundled_model_serve_opens_on_a_walk_and_without_it_on_the_demo, 300)
{
    struct server s = SERVE("--max-rooms", "2");
    check_room(&s, "demo", "waveform");
    stop_server(&s);
    lend_bundle();
    s = SERVE("--max-rooms", "2");
    check_room(&s, "spark", "walk=position");
    stop_server(&s);
    s = SERVE("--input", "pattern"); // what was asked for comes first
    check_room(&s, "demo", "waveform");
    stop_server(&s);
}

TEST_LIMIT(model_is_what_paints_whatever_the_graph_says, 300)
{
    lend_bundle();
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/models/spark", temp_path("share"));
    struct server s = SERVE("--model", folder);
    check_room(&s, "spark", "model=");
    stop_server(&s);
    const struct output *o = PHOSPHENE("serve", "--port", "0", "--model", "no-such-model");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "no model \"no-such-model\"");
    o = PHOSPHENE("serve", "--port", "0", "--model", folder, "pattern => jpeg -> live");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "no node diffusion");
}

// The test's environment has it; users' have not.
TEST(openmp_waits_without_burning_a_processor)
{
    char path[64], *text;
    unsetenv("OMP_WAIT_POLICY");
    struct server s = SERVE(GRAPH);
    snprintf(path, sizeof path, "/proc/%d/comm", (int) s.child.pid);
    CHECK_STR(read_text(path), "phosphene\n");
    snprintf(path, sizeof path, "/proc/%d/environ", (int) s.child.pid);
    text = read_text(path); // as OpenMP found it: setenv does not change this
    size_t at = 0;
    while (text[at] && strcmp(text + at, "OMP_WAIT_POLICY=passive"))
        at += strlen(text + at) + 1;
    CHECK(text[at]);
    stop_server(&s);
}

TEST(points_in_space_need_no_model)
{
    setenv("PH_MODELS", "/nonexistent", 1); // and the bundled one is not there either
    struct server s = SERVE("--preset", "cloud");
    CHECK_HAS(http_get(s.port, "/api/v1/rooms"), "\"cloud-true\"");
    const struct output *o;
    stop_child(&s.child, SIGTERM, &o);
    CHECK_STATUS(o, 0);
    CHECK_HAS(o->err, "no depth model is here");
}

TEST(input_takes_the_place_of_the_source)
{
    struct server s = SERVE(GRAPH, "--input", "pattern kind=noise size=64x64");
    const struct ph_json *room = parse_json(PHOSPHENE("top", s.url, "--json")->out);
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), "kind=noise");
    stop_server(&s);
}

TEST(a_word_may_be_a_graph_file_or_a_film)
{
    const char *graph = temp_path("mine.txt"), *film = temp_path("film.mp4");
    write_text(graph, "# mine\n" GRAPH "\n");
    struct server s = SERVE(graph);
    const struct ph_json *room = parse_json(PHOSPHENE("top", s.url, "--json")->out);
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), "160x90");
    stop_server(&s);
    CHECK_STATUS(PHOSPHENE("run", GRAPH, "-o", film, "-n", "30", "--offline"), 0);
    s = SERVE(film);
    room = parse_json(PHOSPHENE("top", s.url, "--json")->out);
    CHECK_HAS(ph_json_string(ph_json_get(room, "text"), ""), "film.mp4");
    stop_server(&s);
}

TEST(further_rooms_have_their_own_names)
{
    struct server s = SERVE(GRAPH, "--room", "second=pattern size=32x32 -> jpeg -> live");
    const struct output *o = PHOSPHENE("top", s.url, "--json", "--room", "second");
    CHECK_STATUS(o, 0);
    CHECK_HAS(ph_json_string(ph_json_get(parse_json(o->out), "text"), ""), "32x32");
    stop_server(&s);
    CHECK_STATUS(PHOSPHENE("serve", "--port", "0", GRAPH, "--room", "noequal"), 2);
}

TEST(a_wrong_graph_is_shown_with_its_place_and_nothing_is_served)
{
    const struct output *o = PHOSPHENE("serve", "--port", "0", "pattern -> jpg -> live");
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "    1 | pattern -> jpg -> live\n      |            ^\n");
    CHECK_HAS(o->err, "jpeg");
    CHECK_STR(o->out, "");
}

TEST(a_port_in_use_is_named_with_a_way_out)
{
    struct server s = SERVE(GRAPH);
    char port[16];
    snprintf(port, sizeof port, "%d", s.port);
    const struct output *o = PHOSPHENE("serve", "--port", port, GRAPH);
    CHECK_STATUS(o, 1);
    CHECK_HAS(o->err, port);
    CHECK_HAS(o->err, "--port 0");
    CHECK_HAS(PHOSPHENE("doctor", "--port", port)->out, "Address already in use");
    stop_server(&s);
}

TEST(a_certificate_that_is_not_there_is_named)
{
    const struct output *o = PHOSPHENE("serve", "--port", "0", "--tls-cert", "/no/cert.pem",
                                       "--tls-key", "/no/key.pem", GRAPH);
    CHECK_STATUS(o, 3);
    CHECK_HAS(o->err, "cannot read /no/cert.pem: No such file");
}

TEST(beyond_this_machine_a_token_is_part_of_the_url_and_needed)
{
    struct server s = SERVE(GRAPH, "--bind", "0.0.0.0", "--quiet");
    char local[64];
    const char *token = strstr(s.url, "#token=");
    CHECK(token);
    snprintf(local, sizeof local, "http://127.0.0.1:%d", s.port);
    CHECK_STATUS(PHOSPHENE("top", local, "--once", "--token", token + 7), 0);
    CHECK_STATUS(PHOSPHENE("top", local, "--once"), 0); // the state folder has it
    const struct output *o = PHOSPHENE("top", local, "--once", "--token", "0123456789abcdef0");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "--token");
    stop_server(&s);
}

TEST(top_speaks_tls_and_trusts_only_the_certificate_it_is_given)
{
    if (!have_program("openssl")) TEST_SKIP("openssl is not installed");
    const char *cert = temp_path("cert.pem"), *key = temp_path("key.pem");
    CHECK_STATUS(run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                     "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                     "-keyout", key, "-out", cert, NULL),
                 0);
    struct server s = SERVE(GRAPH, "--tls-cert", cert, "--tls-key", key);
    CHECK_HAS(s.url, "https://");
    CHECK_STATUS(PHOSPHENE("top", s.url, "--once", "--tls-ca", cert), 0);
    const struct output *o = PHOSPHENE("top", s.url, "--once");
    CHECK_STATUS(o, 4);
    CHECK_HAS(o->err, "--tls-ca");
    stop_server(&s);
}

TEST(devices_are_what_doctor_prints)
{
    struct server s = SERVE(GRAPH);
    const char *body = strstr(http_get(s.port, "/api/v1/devices"), "\r\n\r\n");
    CHECK(body);
    const struct ph_json *v = parse_json(body + 4);
    CHECK(ph_json_get(ph_json_get(v, "sections"), "cameras"));
    stop_server(&s);
}

TEST(sigterm_ends_a_server_within_a_second_whatever_its_viewers_do)
{
    struct server s = SERVE("pattern size=1280x720 fps=60 -> jpeg -> live");
    char mjpeg[128], slow[] = "GET / HTTP/1.1\r\nHost: x";
    snprintf(mjpeg, sizeof mjpeg, "GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
             s.port);
    int never_reads = connect_to(s.port, mjpeg), never_ends = connect_to(s.port, slow);
    sleep_ms(700);
    stop_server(&s);
    close(never_reads);
    close(never_ends);
}

TEST(sigterm_leaves_a_recording_that_plays)
{
    if (!have_program("ffprobe")) TEST_SKIP("ffprobe is not installed");
    const char *file = temp_path("out.mp4");
    struct child c = start(program(), "run", "pattern size=320x180 fps=30 -> null", "-o", file,
                           "--quiet", NULL);
    const struct output *o;
    struct stat st = { 0 };
    while (stat(file, &st) || st.st_size < 20000) sleep_ms(20); // some fragments
    double took = stop_child(&c, SIGTERM, &o);
    CHECK_STATUS(o, 143);
    CHECK_NUM(took, <, STOP_LIMIT_S);
    o = run("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames",
            "-of", "csv=p=0", file, NULL);
    CHECK_STATUS(o, 0);
    CHECK_INT(atoi(o->out), >, 5);
}
