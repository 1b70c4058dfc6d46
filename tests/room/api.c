// SPDX-License-Identifier: MIT
// The HTTP API, call by call, as docs/protocol.md has it.
#include "house.h"

#include "core/buf.h"

#define GRAPH "pattern ball size=160x120 fps=30 id=on => jpeg -> live"

TEST(health_is_always_and_readiness_comes_with_the_first_frame)
{
    struct house h;
    house_start(&h, NULL, NULL);
    EXPECT(200, &h, "GET", "/healthz", NULL);
    EXPECT(503, &h, "GET", "/readyz", NULL);
    CHECK_HAS(answer, "no room yet");
    EXPECT(404, &h, "GET", "/frame.jpg", NULL);
    CHECK_OK(ph_room_create(h.rooms, ph_room_params(.graph = GRAPH), NULL));
    while (api(&h, "GET", "/readyz/", NULL, answer, sizeof answer) != 200) sleep_ms(20);
    house_stop(&h);
}

TEST(a_room_that_makes_no_frame_is_not_ready_and_says_why)
{
    struct house h;
    NEED("file");
    // a stream that nobody sends: connecting is refused, again and again
    house_start(&h, "file http://127.0.0.1:9/none => jpeg -> live", NULL);
    sleep_ms(500);
    EXPECT(503, &h, "GET", "/readyz", NULL);
    CHECK_HAS(answer, "has made no frame yet");
    house_stop(&h);
}

TEST(rooms_are_listed_made_inspected_edited_and_removed)
{
    struct house h;
    house_start(&h, GRAPH, NULL);
    EXPECT(201, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"two\",\"graph\":\"b: pattern bars size=64x48 fps=5 => jpeg -> live\"}");
    struct ph_json_doc *doc = parse_json(answer);
    CHECK_STR(str(doc, "name"), "two");
    CHECK_STR(str(doc, "nodes.0.name"), "b");
    CHECK_STR(str(doc, "nodes.0.type"), "pattern");
    CHECK_STR(str(doc, "nodes.0.params.kind"), "bars");
    CHECK_NUM(num(doc, "epoch"), ==, 0);
    CHECK_NUM(num(doc, "viewers"), ==, 0);
    CHECK_NUM(num(doc, "rates.input"), >=, 0);
    CHECK_NUM(num(doc, "latencyMs.p50"), >=, 0);
    CHECK(at(doc, "lanes.0.busy") && at(doc, "links.0.from") && at(doc, "text"));
    CHECK(at(doc, "dropped.input") && at(doc, "bottleneck") && at(doc, "time"));
    ph_json_free(&doc);
    doc = get_json(&h, "/api/v1/rooms/");
    CHECK_INT(at(doc, "rooms")->count, ==, 2);
    CHECK_STR(str(doc, "rooms.0.name"), "demo");
    CHECK_STR(str(doc, "rooms.1.name"), "two");
    CHECK_NUM(num(doc, "rooms.1.viewers"), ==, 0);
    CHECK(at(doc, "rooms.1.rates.output") && at(doc, "rooms.1.state"));
    ph_json_free(&doc);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/two",
           "{\"graph\":\"b: pattern bars size=64x48 fps=5 -> mirror => jpeg -> live\"}");
    CHECK_HAS(answer, "mirror");
    EXPECT(409, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"two\",\"graph\":\"pattern -> null\"}");
    CHECK_HAS(answer, "there is a room");
    EXPECT(204, &h, "DELETE", "/api/v1/rooms/two", "");
    EXPECT(404, &h, "GET", "/api/v1/rooms/two", NULL);
    EXPECT(404, &h, "DELETE", "/api/v1/rooms/two", "");
    EXPECT(201, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"two\",\"graph\":\"pattern -> null\"}");
    house_stop(&h);
}

TEST(what_is_wrong_with_a_new_room_is_said)
{
    struct house h;
    house_start(&h, NULL, &(struct ph_rooms_params){ .limits = { .rooms = 2 } });
    static const struct {
        int status;
        const char *body, *part;
    } bad[] = {
        { 400, "{\"graph\":\"pattern -> null\"}", "name is missing" },
        { 400, "{\"name\":\"a\"}", "a graph text or a preset" },
        { 400, "{\"name\":\"a\",\"graph\":\"x\",\"preset\":\"y\"}", "not both" },
        { 400, "{\"name\":\"a\",\"graph\":7}", "graph is a text" },
        { 400, "{\"name\":\"a/b\",\"graph\":\"pattern -> null\"}", "1 to 63" },
        { 400, "{\"name\":\"\",\"graph\":\"pattern -> null\"}", "1 to 63" },
        { 400, "{\"name\":\"a\",\"grap\":\"pattern -> null\"}", "did you mean \\\"graph\\\"" },
        { 400, "{\"name\":\"a\",\"graph\":\"patern -> null\"}", "pattern" },
        { 400, "not json", "error" },
        { 404, "{\"name\":\"a\",\"preset\":\"nonsense\"}", "no preset" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(bad[i].status, &h, "POST", "/api/v1/rooms", bad[i].body);
        CHECK_HAS(answer, bad[i].part);
    }
    CHECK_INT(client_once(h.port, "POST", "/api/v1/rooms", "Content-Type: text/plain\r\n",
                          "{\"name\":\"a\",\"graph\":\"pattern -> null\"}", NULL, 0),
              ==, 415);
    EXPECT(405, &h, "PUT", "/api/v1/rooms", "{}");
    EXPECT(201, &h, "POST", "/api/v1/rooms", "{\"name\":\"a\",\"graph\":\"pattern -> null\"}");
    EXPECT(201, &h, "POST", "/api/v1/rooms", "{\"name\":\"b\",\"graph\":\"pattern -> null\"}");
    EXPECT(429, &h, "POST", "/api/v1/rooms", "{\"name\":\"c\",\"graph\":\"pattern -> null\"}");
    CHECK_HAS(answer, "at most 2 rooms");
    EXPECT(404, &h, "GET", "/api/v1/rooms/aa", NULL);
    CHECK_HAS(answer, "did you mean \\\"a\\\"");
    house_stop(&h);
}

TEST(params_are_read_and_set_over_http)
{
    struct house h;
    struct client c;
    house_start(&h, GRAPH, NULL);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo/params");
    CHECK_STR(str(doc, "nodes.0.name"), "pattern");
    CHECK_STR(str(doc, "nodes.0.values.size"), "160x120");
    CHECK_NUM(num(doc, "nodes.0.values.fps"), ==, 30);
    CHECK(at(doc, "nodes.0.values.id")->type == PH_JSON_BOOL);
    ph_json_free(&doc);
    const char *set = "{\"node\":\"pattern\",\"values\":{\"size\":\"96x64\"}}";
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo/params", set);
    doc = parse_json(answer);
    CHECK_STR(str(doc, "type"), "ack");
    CHECK_NUM(num(doc, "frame"), >=, s.frame);
    CHECK_NUM(num(doc, "epoch"), ==, 0);
    ph_json_free(&doc);
    doc = get_json(&h, "/api/v1/rooms/demo/params");
    CHECK_STR(str(doc, "nodes.0.values.size"), "96x64");
    ph_json_free(&doc);
    client_close(&c);
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"pattern\",\"values\":{\"fps\":5000}}");
    CHECK_HAS(answer, "\"field\":\"fps\"");
    CHECK_HAS(answer, " … 1000");
    EXPECT(404, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"x\",\"values\":{\"a\":1}}");
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo/params", "{\"node\":\"pattern\",\"value\":1}");
    CHECK_HAS(answer, "did you mean \\\"values\\\"");
    EXPECT(400, &h, "POST", "/api/v1/rooms/demo/cut", "{\"kind\":\"wet\"}");
    // nobody watches: it is kept, and lands on the next frame there is
    wait_asleep(&h);
    int64_t begin = client_now_ns();
    EXPECT(202, &h, "PATCH", "/api/v1/rooms/demo/params",
           "{\"node\":\"pattern\",\"values\":{\"size\":\"80x60\"}}");
    CHECK_INT((client_now_ns() - begin) / MS, >, 900);
    CHECK_INT((client_now_ns() - begin) / MS, <, 2000 * TEST_SLOW);
    watch(&h, &c, "/ws/stream");
    s = next_sight(&c);
    CHECK_INT(s.shot.width, ==, 80);
    shot_free(&s.shot);
    client_close(&c);
    house_stop(&h);
}

TEST(lists_tell_what_this_build_and_server_have)
{
    struct house h;
    char *text;
    house_start(&h, GRAPH,
                &(struct ph_rooms_params){
                    .sources = (const char *const[]){ "wall=scene fps=12", NULL } });
    struct ph_json_doc *doc = get_json(&h, "/api/v1/nodes");
    int types = 0;
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++) types++;
    CHECK_INT(ph_json_root(doc)->count, ==, types);
    CHECK(at(doc, "0.name") && at(doc, "0.group") && at(doc, "0.params") && at(doc, "0.in"));
    ph_json_free(&doc);
    doc = get_json(&h, "/api/v1/sources");
    int n = at(doc, "sources")->count;
    char path[32];
    snprintf(path, sizeof path, "sources.%d.name", n - 1);
    CHECK_STR(str(doc, path), "wall");
    snprintf(path, sizeof path, "sources.%d.kind", n - 1);
    CHECK_STR(str(doc, path), "scene");
    CHECK_STR(str(doc, "sources.0.name"), "pattern");
    ph_json_free(&doc);
    doc = get_json(&h, "/api/v1/presets");
    CHECK(at(doc, "presets"));
    ph_json_free(&doc);
    EXPECT(404, &h, "GET", "/api/v1/devices", NULL);
    CHECK_HAS(answer, "does not list devices");
    doc = get_json(&h, "/api/v1/openapi.json");
    const struct ph_json *paths = at(doc, "paths");
    CHECK(ph_json_get(paths, "/api/v1/rooms/{name}/params"));
    ph_json_free(&doc);
    text = ph_room_json(h.rooms, "demo");
    CHECK_HAS(text, "\"name\":\"demo\"");
    free(text);
    CHECK(!ph_room_json(h.rooms, "none"));
    house_stop(&h);
}

static _Atomic bool probed;

static char *list_devices(void *opaque)
{
    while (!probed) sleep_ms(1); // probing takes its time
    return opaque ? strdup("{\"cameras\":[]}") : NULL;
}

TEST(devices_are_listed_without_making_anybody_wait)
{
    struct house h;
    struct client slow;
    struct response r;
    int some;
    house_start(&h, GRAPH,
                &(struct ph_rooms_params){ .devices = list_devices, .opaque = &some });
    client_open(&slow, h.port);
    client_sendf(&slow, "GET /api/v1/devices HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    EXPECT(200, &h, "GET", "/healthz", NULL);
    probed = true;
    CHECK(client_response(&slow, &r, false));
    CHECK_STR(r.body, "{\"cameras\":[]}");
    response_free(&r);
    client_close(&slow);
    house_stop(&h);
    house_start(&h, NULL, &(struct ph_rooms_params){ .devices = list_devices });
    EXPECT(503, &h, "GET", "/api/v1/devices", NULL);
    house_stop(&h);
}

TEST(the_source_is_replaced_by_one_of_the_list_and_comes_back_as_it_was)
{
    struct house h;
    struct client c;
    size_t size;
    uint8_t *red = encode_solid(64, 48, 200, 30, 30, &size);
    house_start(&h, "pattern ball size=160x120 fps=30 id=on => m: mirror => jpeg -> live",
                &(struct ph_rooms_params){
                    .sources = (const char *const[]){ "wall=scene size=96x64 fps=30", NULL } });
    watch(&h, &c, "/ws/stream");
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"wall\"}");
    struct sight s;
    do {
        s = next_sight(&c);
        shot_free(&s.shot);
    } while (s.shot.width != 96);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"browser\"}");
    ws_send_raw(&c, 0x82, true, red, size);
    do {
        s = next_sight(&c);
        shot_free(&s.shot);
    } while (s.shot.width != 64);
    CHECK(is_color(&s.shot, 200, 30, 30));
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"pattern\"}");
    CHECK_HAS(answer, "\"name\":\"m\"");
    do {
        s = next_sight(&c);
        shot_free(&s.shot);
    } while (s.shot.width != 160); // with the parameters it began with
    CHECK(s.shot.coded);
    EXPECT(404, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"wal\"}");
    CHECK_HAS(answer, "did you mean \\\"wall\\\"");
    EXPECT(404, &h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"/etc/passwd\"}");
    EXPECT(400, &h, "POST", "/api/v1/rooms/demo/source", "{}");
    free(red);
    client_close(&c);
    house_stop(&h);
}

TEST(presets_of_a_folder_are_listed_made_into_rooms_and_may_name_paths)
{
    struct house h;
    char dir[] = "/tmp/ph-presets-XXXXXX", path[64];
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/stage.graph", dir);
    FILE *f = fopen(path, "w");
    CHECK(f);
    fprintf(f,
            "# a preset of a test\n# title: The stage\npattern bars size=64x48 fps=10 -> image "
            "%s/out.png\n",
            dir);
    fclose(f);
    house_start(&h, GRAPH, &(struct ph_rooms_params){ .presets_dir = dir });
    struct ph_json_doc *doc = get_json(&h, "/api/v1/presets");
    bool found = false;
    for (const struct ph_json *p = at(doc, "presets")->child; p; p = p->next)
        if (!strcmp(ph_json_string(ph_json_get(p, "name"), ""), "stage")) {
            CHECK_STR(ph_json_string(ph_json_get(p, "title"), ""), "The stage");
            CHECK_HAS(ph_json_string(ph_json_get(p, "text"), ""), "pattern bars");
            found = true;
        }
    CHECK(found);
    ph_json_free(&doc);
    EXPECT(201, &h, "POST", "/api/v1/rooms", "{\"name\":\"s\",\"preset\":\"stage\"}");
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo", "{\"preset\":\"stage\"}");
    EXPECT(404, &h, "PATCH", "/api/v1/rooms/demo", "{\"preset\":\"stag\"}");
    CHECK_HAS(answer, "did you mean \\\"stage\\\"");
    house_stop(&h);
    remove_folder(dir);
}

TEST(every_embedded_preset_has_a_title_and_opens)
{
    struct house h;
    struct ph_fault fault;
    int n = 0;
    house_start(&h, NULL, NULL);
    setenv("PH_MODELS", "/nonexistent", 1);
    for (const struct ph_preset *p = ph_presets(); p->name; p++, n++) {
        CHECK(p->title[0]);
        // those open where a model is: tests/nodes/presets.c
        if (strstr(p->text, ": diffusion ") || strstr(p->text, ": depth ")) {
            CHECK_INT(ph_room_create(
                          h.rooms, ph_room_params(.name = p->name, .preset = p->name), &fault),
                      ==, PH_ENOENT);
            CHECK_HAS(fault.message, "models pull");
            continue;
        }
        if (ph_room_create(h.rooms, ph_room_params(.name = p->name, .preset = p->name),
                           &fault) < 0)
            TEST_FAIL("%s: %s", p->name, fault.message);
        CHECK_OK(ph_room_destroy(h.rooms, p->name));
    }
    CHECK_INT(n, >, 0);
    house_stop(&h);
}

TEST(the_trace_is_there_and_the_journal_when_it_was_asked_for)
{
    struct house h;
    struct client c;
    char path[128];
    house_start(&h, NULL, NULL);
    snprintf(path, sizeof path, "%s/journal", h.dir);
    CHECK_OK(ph_room_create(h.rooms, ph_room_params(.graph = GRAPH, .journal = path), NULL));
    CHECK_OK(ph_room_create(h.rooms, ph_room_params(.name = "two", .graph = GRAPH), NULL));
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo/trace");
    CHECK_INT(at(doc, "traceEvents")->count, >, 3);
    CHECK(strstr(answer, "\"name\":\"pattern\"") && strstr(answer, "\"ph\":\"X\""));
    ph_json_free(&doc);
    client_close(&c);
    EXPECT(404, &h, "GET", "/api/v1/rooms/two/journal", NULL);
    CHECK_HAS(answer, "--journal");
    EXPECT(200, &h, "GET", "/api/v1/rooms/demo/journal", NULL);
    house_stop(&h);
}

// --- Prometheus

static void check_exposition(const char *text)
{
    char family[128] = "";
    int samples = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        char one[512];
        snprintf(one, sizeof one, "%.*s", (int) strcspn(line, "\n"), line);
        if (!strncmp(one, "# HELP ", 7)) {
            sscanf(one + 7, "%127s", family);
        } else if (!strncmp(one, "# TYPE ", 7)) {
            char name[128], type[32];
            CHECK_INT(sscanf(one + 7, "%127s %31s", name, type), ==, 2);
            CHECK_STR(name, family); // HELP and TYPE of one family, then its samples
        } else {
            if (strncmp(one, family, strlen(family))) TEST_FAIL("no # TYPE above %s", one);
            const char *value = strrchr(one, ' ');
            char *end;
            CHECK(value);
            strtod(value + 1, &end);
            CHECK(end != value + 1 && !*end);
            samples++;
        }
    }
    CHECK_INT(samples, >, 30);
}

TEST(prometheus_has_help_and_type_before_every_family_and_loses_no_sample)
{
    struct house h;
    struct client c;
    struct ph_graph *g;
    house_start(&h, GRAPH, NULL);
    EXPECT(201, &h, "POST", "/api/v1/rooms",
           "{\"name\":\"two\",\"graph\":\"pattern fps=5 => null\"}");
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    EXPECT(200, &h, "GET", "/metrics", NULL);
    check_exposition(answer);
    CHECK_HAS(answer, "phosphene_room_viewers{room=\"demo\"} 1\n");
    CHECK_HAS(answer, "phosphene_viewer_sent_total{room=\"demo\",viewer=\"");
    CHECK_HAS(answer, "phosphene_server_requests_total");
    // every sample that a graph has to tell finds its family
    CHECK_OK(ph_graph_create(&g, "pattern fps=5 => null", NULL, NULL));
    char *own = ph_graph_metrics_text(g, "two");
    for (const char *line = own; *line; line += strcspn(line, "\n") + 1) {
        char name[160];
        snprintf(name, sizeof name, "\n%.*s", (int) strcspn(line, " "), line);
        CHECK_HAS(answer, name);
    }
    free(own);
    ph_graph_destroy(&g);
    client_close(&c);
    house_stop(&h);
}

TEST(d2_41_what_the_metrics_say_is_what_was_counted)
{
    struct house h;
    struct client c;
    house_start(&h, GRAPH, NULL);
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    shot_free(&s.shot);
    int n = 0;
    // What is said is of two seconds: in three that are alike, other programs may be busy between.
    for (bool agree = false; !agree;) {
        int64_t begin = client_now_ns();
        int before = n;
        double said = 0, pipeline = 0;
        for (; client_now_ns() - begin < 3000 * MS; n++) {
            struct message m = ws_wait(&c, 1);
            struct ph_json_doc *doc = parse_json(m.data);
            said = num(doc, "data.outputFps");
            pipeline = num(doc, "data.pipelineFps");
            ph_json_free(&doc);
            message_free(&m);
        }
        double counted = (n - before) / ((double) (client_now_ns() - begin) * 1e-9);
        double sent_fps = room_num(&h, "clients.0.sentFps");
        agree = fabs(said - counted) < 0.15 * counted &&
                fabs(pipeline - counted) < 0.15 * counted &&
                fabs(sent_fps - counted) < 0.15 * counted;
    }
    EXPECT(200, &h, "GET", "/metrics", NULL);
    const char *sent = strstr(answer, "phosphene_viewer_sent_total{room=\"demo\"");
    CHECK(sent);
    CHECK_NUM(fabs(atof(strchr(sent, '}') + 1) - (n + 1)), <=, 4);
    client_close(&c);
    house_stop(&h);
}

// --- the studio page

TEST(the_page_is_embedded_with_tags_and_a_strict_policy)
{
    struct house h;
    struct client c;
    struct response r;
    char etag[128], header[160];
    house_start(&h, GRAPH, NULL);
    client_open(&c, h.port);
    client_request(&c, &r, "GET", "/", NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_HAS(r.body, "<title>phosphene</title>");
    CHECK_HAS(response_header(&r, "Content-Security-Policy"), "default-src 'self'");
    snprintf(etag, sizeof etag, "%.100s", response_header(&r, "ETag"));
    response_free(&r);
    snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    client_request(&c, &r, "GET", "/index.html", header, NULL);
    CHECK_INT(r.status, ==, 304);
    response_free(&r);
    client_request(&c, &r, "GET", "/js/app.js", "Accept-Encoding: gzip\r\n", NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_STR(response_header(&r, "Content-Encoding"), "gzip");
    CHECK_HAS(response_header(&r, "Content-Type"), "javascript");
    response_free(&r);
    client_close(&c);
    EXPECT(404, &h, "GET", "/js/nothing.js", NULL);
    house_stop(&h);
}

TEST(the_page_may_come_from_a_folder_uncached)
{
    struct house h;
    struct client c;
    struct response r;
    char dir[] = "/tmp/ph-web-XXXXXX", path[64];
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/index.html", dir);
    FILE *f = fopen(path, "w");
    CHECK(f);
    fputs("<title>mine</title>", f);
    fclose(f);
    house_start(&h, GRAPH, &(struct ph_rooms_params){ .web_root = dir });
    client_open(&c, h.port);
    client_request(&c, &r, "GET", "/", NULL, NULL);
    CHECK_INT(r.status, ==, 200);
    CHECK_HAS(r.body, "mine");
    CHECK_HAS(response_header(&r, "Cache-Control"), "no-store");
    CHECK_HAS(response_header(&r, "Content-Type"), "text/html");
    response_free(&r);
    client_close(&c);
    EXPECT(400, &h, "GET", "/../../etc/passwd", NULL);
    EXPECT(200, &h, "GET", "/api/v1/openapi.json", NULL);
    house_stop(&h);
    remove_folder(dir);
}

// --- where the server keeps its files

// Makes a film in the house's folder and returns its path.
static const char *make_film(const struct house *h, const char *name)
{
    static char path[160];
    char text[300];
    struct ph_graph *g;
    struct ph_fault fault = { 0 };
    snprintf(path, sizeof path, "%s/%s", h->dir, name);
    snprintf(text, sizeof text, "pattern size=64x48 fps=30 -> record \"%s\"", path);
    if (ph_graph_create(&g, text, ph_graph_params(.mode = PH_OFFLINE, .frames = 30), &fault))
        TEST_FAIL("%s", fault.message);
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    ph_graph_destroy(&g);
    return path;
}

TEST(viewers_see_names_of_files_and_not_where_they_are)
{
    static const char *const paths[] = { "/api/v1/rooms/demo", "/api/v1/rooms/demo/params",
                                         "/api/v1/sources", "/api/v1/presets" };
    struct house h;
    struct client c;
    char graph[400], body[1200];
    NEED("file");
    NEED("record");
    house_start(&h, NULL, NULL);
    // a name that needs quotes in a graph text and escapes in JSON
    snprintf(graph, sizeof graph, "f: file \"%s\" loop=on => jpeg -> live",
             make_film(&h, "a \\\\ clip.mp4"));
    struct ph_fault fault = { 0 };
    if (ph_room_create(h.rooms, ph_room_params(.graph = graph), &fault))
        TEST_FAIL("%s", fault.message);
    EXPECT(200, &h, "POST", "/api/v1/rooms/demo/record", "{\"action\":\"start\"}");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        EXPECT(200, &h, "GET", paths[i], NULL);
        if (strstr(answer, h.dir)) TEST_FAIL("%s: %s", paths[i], answer);
        if (i < 2) CHECK_HAS(answer, "clip.mp4");
    }
    // what was shown may be sent back: it means the same film, and the recording goes on
    struct ph_json_doc *doc = get_json(&h, "/api/v1/rooms/demo");
    struct ph_buf b = { 0 };
    ph_buf_puts(&b, "{\"graph\":");
    ph_json_str(&b, str(doc, "text"));
    ph_buf_puts(&b, "}");
    ph_json_free(&doc);
    EXPECT(200, &h, "PATCH", "/api/v1/rooms/demo", b.data);
    ph_buf_free(&b);
    CHECK_HAS(answer, "\"recording\":true");
    if (strstr(answer, h.dir)) TEST_FAIL("%s", answer);
    watch(&h, &c, "/ws/stream");
    struct sight s = next_sight(&c);
    CHECK_INT(s.shot.width, ==, 64);
    shot_free(&s.shot);
    client_close(&c);
    // a name of the same kind elsewhere is not understood
    snprintf(body, sizeof body, "{\"graph\":\"g: file other.mp4 => jpeg -> live\"}");
    EXPECT(400, &h, "PATCH", "/api/v1/rooms/demo", body);
    house_stop(&h);
}

TEST(a_url_is_shown_without_its_password)
{
    struct house h;
    NEED("file");
    house_start(&h, "f: file http://me:secret@127.0.0.1:9/none?key=7 => jpeg -> live", NULL);
    for (int i = 0; i < 2; i++) {
        EXPECT(200, &h, "GET", i ? "/api/v1/rooms/demo/params" : "/api/v1/rooms/demo", NULL);
        CHECK_HAS(answer, "http://127.0.0.1:9/none");
        CHECK(!strstr(answer, "secret"));
        CHECK(!strstr(answer, "key=7"));
    }
    house_stop(&h);
}

TEST(a_source_that_cannot_be_opened_is_named_without_its_folder)
{
    struct house h;
    NEED("file");
    house_start(&h, GRAPH,
                &(struct ph_rooms_params){ .sources = (const char *const[]){
                                               "gone=/nowhere/at all/gone.mp4", NULL } });
    EXPECT(200, &h, "GET", "/api/v1/sources", NULL);
    CHECK(!strstr(answer, "nowhere"));
    api(&h, "POST", "/api/v1/rooms/demo/source", "{\"source\":\"gone\"}", answer,
        sizeof answer);
    CHECK_HAS(answer, "gone.mp4");
    CHECK(!strstr(answer, "nowhere"));
    house_stop(&h);
}
