// SPDX-License-Identifier: MIT
// A house with rooms on a port of its own, and what a client reads back from its pictures.
#ifndef PH_TEST_HOUSE_H
#define PH_TEST_HOUSE_H

#include "server/client.h"

#include "core/json.h"
#include "image/barcode.h"
#include "server/protocol.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>
#include <phosphene/room.h>

#include <dirent.h>
#include <sys/stat.h>
#if PH_HAVE_JPEG
#include <turbojpeg.h>
#endif

#define MS PH_MS_NS

struct house {
    struct ph_rooms *rooms;
    int port;
    char dir[64]; // a folder of its own, for recordings and files; removed at the end
};

static inline bool have_node(const char *name)
{
    for (const struct ph_node_info *const *n = ph_nodes(); *n; n++)
        if (!strcmp((*n)->name, name)) return true;
    return false;
}

#define NEED(node)                                                                             \
    do {                                                                                       \
        if (!have_node(node)) TEST_SKIP("this build has no %s node", node);                    \
    } while (0)

// par may be NULL. graph NULL = no room yet; else the room "demo".
static inline void house_start(struct house *h, const char *graph,
                               const struct ph_rooms_params *par)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    static char recordings[96];
    struct ph_rooms_params p = par ? *par : (struct ph_rooms_params){ 0 };
    struct ph_fault fault = { 0 };
#if !PH_HAVE_SERVER || !PH_HAVE_JPEG
    TEST_SKIP("a build without the server or without JPEG");
#endif
    strcpy(h->dir, "/tmp/ph-room-XXXXXX");
    CHECK(mkdtemp(h->dir));
    snprintf(recordings, sizeof recordings, "%s/recordings", h->dir);
    if (!p.recordings_dir) p.recordings_dir = recordings;
    if (!p.log) p.log = &quiet;
    if (ph_rooms_create(&h->rooms, &p, &fault) < 0) TEST_FAIL("create: %s", fault.message);
    if (ph_rooms_start(h->rooms, &fault) < 0) TEST_FAIL("start: %s", fault.message);
    h->port = ph_rooms_port(h->rooms);
    if (graph && ph_room_create(h->rooms, ph_room_params(.graph = graph), &fault) < 0)
        TEST_FAIL("room: %s", fault.message);
}

static inline void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char child[1024];
    while (d && (e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (snprintf(child, sizeof child, "%s/%s", path, e->d_name) >= (int) sizeof child)
            continue;
        if (unlink(child)) remove_folder(child);
    }
    if (d) closedir(d);
    rmdir(path);
}

static inline void house_stop(struct house *h)
{
    int64_t begin = client_now_ns();
    ph_rooms_destroy(&h->rooms);
    int64_t took_ms = (client_now_ns() - begin) / MS;
    remove_folder(h->dir);
    CHECK_INT(took_ms, <, 1000 * TEST_SLOW);
}

// --- HTTP

static inline int api(const struct house *h, const char *method, const char *path,
                      const char *body, char *text, size_t size)
{
    const char *type = strcmp(method, "GET") ? "Content-Type: application/json\r\n" : NULL;
    return client_once(h->port, method, path, type, body, text, size);
}

static char answer[1 << 20]; // of the last EXPECT or get_json

#define EXPECT(status, h, method, path, body)                                                  \
    do {                                                                                       \
        int status_ = api(h, method, path, body, answer, sizeof answer);                       \
        if (status_ != (status))                                                               \
            TEST_FAIL("%s %s gives %d, want %d: %s", method, path, status_, status, answer);   \
    } while (0)

static inline struct ph_json_doc *parse_json(const char *text)
{
    struct ph_json_doc *doc;
    struct ph_fault fault = { 0 };
    if (ph_json_parse(&doc, text, strlen(text), 0, &fault) < 0)
        TEST_FAIL("%s in %s", fault.message, text);
    return doc;
}

// The answer must be 200. To be freed.
static inline struct ph_json_doc *get_json(const struct house *h, const char *path)
{
    EXPECT(200, h, "GET", path, NULL);
    return parse_json(answer);
}

// "nodes.0.name"; NULL = not there.
static inline const struct ph_json *at(const struct ph_json_doc *doc, const char *path)
{
    const struct ph_json *v = ph_json_root(doc);
    char key[128];
    while (v && *path) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int) n, path);
        v = v->type == PH_JSON_ARRAY ? ph_json_at(v, atoi(key)) : ph_json_get(v, key);
        path += n + (path[n] == '.');
    }
    return v;
}

static inline double num(const struct ph_json_doc *doc, const char *path)
{
    const struct ph_json *v = at(doc, path);
    if (!v || v->type != PH_JSON_NUMBER) TEST_FAIL("no number %s", path);
    return v->number;
}

static inline const char *str(const struct ph_json_doc *doc, const char *path)
{
    const struct ph_json *v = at(doc, path);
    if (!v || v->type != PH_JSON_STRING) TEST_FAIL("no text %s", path);
    return v->text;
}

static inline double room_num(const struct house *h, const char *what)
{
    struct ph_json_doc *doc = get_json(h, "/api/v1/rooms/demo");
    double v = num(doc, what);
    ph_json_free(&doc);
    return v;
}

static inline bool is_asleep(const struct house *h, const char *room)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/rooms/%s", room);
    struct ph_json_doc *doc = get_json(h, path);
    bool asleep = !strcmp(str(doc, "state"), "asleep");
    ph_json_free(&doc);
    return asleep;
}

static inline void wait_asleep(const struct house *h)
{
    while (!is_asleep(h, "demo")) sleep_ms(10);
}

// --- pictures

struct shot {
    int width, height;
    bool coded;    // a bar code was found
    uint32_t id;   // it says
    int r, g, b;   // of the middle
    uint8_t *rgba; // owned
};

static inline void shot_free(struct shot *s)
{
    free(s->rgba);
    s->rgba = NULL;
}

static inline struct shot decode(const void *jpeg, size_t size)
{
    struct shot s = { 0 };
#if PH_HAVE_JPEG
    int sub, space;
    tjhandle tj = tjInitDecompress();
    CHECK_OK(tjDecompressHeader3(tj, jpeg, size, &s.width, &s.height, &sub, &space));
    s.rgba = malloc((size_t) s.width * (size_t) s.height * 4);
    CHECK_OK(tjDecompress2(tj, jpeg, size, s.rgba, s.width, 0, s.height, TJPF_RGBA, 0));
    tjDestroy(tj);
    struct ph_picture pic = { .format = PH_RGBA,
                              .width = s.width,
                              .height = s.height,
                              .data = { s.rgba },
                              .stride = { s.width * 4 } };
    s.coded = ph_barcode_read(&pic, &s.id) == PH_OK;
    const uint8_t *p =
        s.rgba + ((size_t) (s.height / 2) * (size_t) s.width + (size_t) s.width / 2) * 4;
    s.r = p[0], s.g = p[1], s.b = p[2];
#endif
    return s;
}

// A JPEG of one colour; freed with free().
static inline uint8_t *encode_solid(int width, int height, int r, int g, int b, size_t *size)
{
    uint8_t *out = NULL;
#if PH_HAVE_JPEG
    unsigned char *jpeg = NULL;
    unsigned long n = 0;
    uint8_t *rgb = malloc((size_t) width * (size_t) height * 3);
    for (int i = 0; i < width * height; i++)
        rgb[3 * i] = (uint8_t) r, rgb[3 * i + 1] = (uint8_t) g, rgb[3 * i + 2] = (uint8_t) b;
    tjhandle tj = tjInitCompress();
    CHECK_OK(tjCompress2(tj, rgb, width, 0, height, TJPF_RGB, &jpeg, &n, TJSAMP_420, 90, 0));
    tjDestroy(tj);
    free(rgb);
    out = malloc(n);
    memcpy(out, jpeg, n);
    *size = n;
    tjFree(jpeg);
#endif
    return out;
}

static inline bool is_color(const struct shot *s, int r, int g, int b)
{
    return abs(s->r - r) < 30 && abs(s->g - g) < 30 && abs(s->b - b) < 30;
}

// --- WebSocket

static inline void watch(const struct house *h, struct client *c, const char *path)
{
    client_open(c, h->port);
    CHECK_INT(ws_open(c, path, NULL), ==, 101);
}

static inline void watch_v1(const struct house *h, struct client *c, const char *path)
{
    client_open(c, h->port);
    CHECK_INT(ws_open(c, path, "Sec-WebSocket-Protocol: phosphene.v1\r\n"), ==, 101);
}

// The next picture of a plain stream, with what its metrics said of it.
struct sight {
    struct shot shot;
    double frame, epoch;
};

static inline struct sight next_sight(struct client *c)
{
    struct sight s = { 0 };
    for (;;) {
        struct message m = ws_next(c);
        CHECK(m.opcode);
        if (m.opcode == 1 && strstr(m.data, "\"metrics\"")) {
            struct ph_json_doc *doc = parse_json(m.data);
            s.frame = num(doc, "data.frame");
            s.epoch = num(doc, "data.epoch");
            ph_json_free(&doc);
        }
        if (m.opcode == 2) {
            s.shot = decode(m.data, m.size);
            message_free(&m);
            return s;
        }
        message_free(&m);
    }
}

// The next text that has `part` in it; everything else is dropped. To be freed.
static inline struct message wait_text(struct client *c, const char *part)
{
    for (;;) {
        struct message m = ws_wait(c, 1);
        if (m.opcode != 1) TEST_FAIL("the connection ended before \"%s\"", part);
        if (strstr(m.data, part)) return m;
        message_free(&m);
    }
}

// The error that answers; its whole text has all those parts (NULL-terminated).
static inline void expect_error(struct client *c, const char *const *parts)
{
    struct message m = wait_text(c, "\"error\"");
    for (; *parts; parts++) CHECK_HAS(m.data, *parts);
    message_free(&m);
}
#define EXPECT_ERROR(c, ...) expect_error(c, (const char *const[]){ __VA_ARGS__, NULL })

// Sends and waits for the ack of that id; returns its frame.
static inline double send_acked(struct client *c, const char *message, int id)
{
    char want[64];
    snprintf(want, sizeof want, "\"ack\",\"id\":%d,", id);
    CHECK(ws_send_text(c, message));
    struct message m = wait_text(c, want);
    struct ph_json_doc *doc = parse_json(m.data);
    double frame = num(doc, "frame");
    ph_json_free(&doc);
    message_free(&m);
    return frame;
}

#endif
