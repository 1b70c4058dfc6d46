// SPDX-License-Identifier: MIT
// A whole room from the outside: a webcam's pictures with a bar code go in over a WebSocket, and
// the bar code is read back out of what a viewer is sent; and how many 1080p pictures a viewer gets.
#include "bench.h"
#include "config.h"

#if PH_HAVE_JPEG && PH_HAVE_SERVER

#include "image/barcode.h"
#include "image/draw.h"

#include <phosphene/clock.h>
#include <phosphene/frame.h>
#include <phosphene/log.h>
#include <phosphene/room.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <turbojpeg.h>
#include <unistd.h>

#define IDS       4096
#define INCOMING  (4u << 20)
#define CAMERA_HZ 30

struct glass {
    int fd;
    uint8_t *in; // one message that is being read
    size_t have;
    tjhandle encoder, decoder;
    unsigned char *jpeg;
    unsigned long jpeg_capacity;
    struct ph_frame *camera, *shown;
    int64_t sent_ns[IDS];
    double age_ms[IDS];
    int seen;
    uint64_t pictures;
};

// --- a viewer that is also a camera

static bool send_all(int fd, const void *data, size_t n)
{
    for (const char *p = data; n;) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) return false;
        p += k;
        n -= (size_t) k;
    }
    return true;
}

static bool connect_room(struct glass *g, int port)
{
    static const char request[] =
        "GET /ws/stream?room=bench HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char answer[2048];
    size_t n = 0;
    g->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (g->fd < 0 || connect(g->fd, (struct sockaddr *) &a, sizeof a)) return false;
    if (!send_all(g->fd, request, sizeof request - 1)) return false;
    while (n < 4 || memcmp(answer + n - 4, "\r\n\r\n", 4) != 0) // no byte of what follows
        if (n == sizeof answer || recv(g->fd, answer + n++, 1, 0) != 1) return false;
    return !memcmp(answer, "HTTP/1.1 101", 12);
}

// A masked binary message; the mask is zero, which leaves the bytes as they are.
static bool send_picture(struct glass *g, uint32_t id)
{
    const struct ph_picture *p = &g->camera->picture;
    unsigned long size = g->jpeg_capacity;
    ph_barcode_draw(p, PH_BARCODE_CENTER, id);
    if (tjCompress2(g->encoder, p->data[0], p->width, (int) p->stride[0], p->height, TJPF_RGBX,
                    &g->jpeg, &size, TJSAMP_420, 80, TJFLAG_NOREALLOC))
        return false;
    uint8_t head[14] = { 0x82 };
    size_t wide = size < 65536 ? 2 : 8, n = 2 + wide + 4;
    head[1] = (uint8_t) (0x80 | (wide == 2 ? 126 : 127));
    for (size_t i = 0; i < wide; i++)
        head[2 + i] = (uint8_t) ((uint64_t) size >> 8 * (wide - 1 - i));
    g->sent_ns[id] = ph_now_ns(); // the moment at which a camera would hand the picture over
    return send_all(g->fd, head, n) && send_all(g->fd, g->jpeg, size);
}

static void look(struct glass *g, const uint8_t *jpeg, size_t size, bool read_code)
{
    int64_t now = ph_now_ns();
    const struct ph_picture *p = &g->shown->picture;
    uint32_t id;
    g->pictures++;
    if (!read_code) return;
    if (tjDecompress2(g->decoder, jpeg, size, p->data[0], p->width, (int) p->stride[0],
                      p->height, TJPF_RGBX, 0))
        return;
    if (ph_barcode_read(p, &id) < 0 || id >= IDS || !g->sent_ns[id] || g->seen == IDS) return;
    g->age_ms[g->seen++] = (double) (now - g->sent_ns[id]) * 1e-6;
    g->sent_ns[id] = 0; // a repeated picture is not a second sample
}

// Takes whole messages out of what has come; false when the server has closed.
static bool receive(struct glass *g, bool read_code)
{
    ssize_t n = recv(g->fd, g->in + g->have, INCOMING - g->have, MSG_DONTWAIT);
    if (n == 0) return false;
    if (n > 0) g->have += (size_t) n;
    for (;;) {
        size_t head = 2, size = g->have > 1 ? g->in[1] & 127 : 0, wide = 0;
        if (size == 126) wide = 2;
        if (size == 127) wide = 8;
        head += wide;
        if (g->have < head) return true;
        if (wide) size = 0;
        for (size_t i = 0; i < wide; i++) size = size << 8 | g->in[2 + i];
        if (head + size > INCOMING) return false;
        if (g->have < head + size) return true;
        if ((g->in[0] & 15) == 2) look(g, g->in + head, size, read_code);
        g->have -= head + size;
        memmove(g->in, g->in + head + size, g->have);
    }
}

static bool wait_until(struct glass *g, int64_t until_ns, bool read_code)
{
    for (int64_t left; (left = until_ns - ph_now_ns()) > 0;) {
        struct pollfd p = { .fd = g->fd, .events = POLLIN };
        struct timespec t = { 0, left < PH_SECOND_NS ? left : PH_SECOND_NS - 1 };
        if (ppoll(&p, 1, &t, NULL) > 0 && !receive(g, read_code)) return false;
    }
    return true;
}

// --- its room

static void glass_close(struct glass *g)
{
    if (g->fd >= 0) close(g->fd);
    if (g->encoder) tjDestroy(g->encoder);
    if (g->decoder) tjDestroy(g->decoder);
    tjFree(g->jpeg);
    ph_frame_unref(&g->camera);
    ph_frame_unref(&g->shown);
    free(g->in);
}

static bool glass_open(struct glass *g, int port, int width, int height)
{
    *g = (struct glass){ .fd = -1, .in = malloc(INCOMING) };
    g->encoder = tjInitCompress();
    g->decoder = tjInitDecompress();
    g->jpeg_capacity = tjBufSize(width, height, TJSAMP_420);
    g->jpeg = tjAlloc((int) g->jpeg_capacity);
    if (!g->in || !g->encoder || !g->decoder || !g->jpeg) return false;
    if (ph_frame_picture(NULL, PH_RGBA, width, height, &g->camera) < 0) return false;
    if (ph_frame_picture(NULL, PH_RGBA, width, height, &g->shown) < 0) return false;
    ph_draw_clear(&g->camera->picture, 0x305070ff);
    return connect_room(g, port);
}

static struct ph_rooms *open_rooms(struct bench *b, const char *figure, const char *graph)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    struct ph_fault fault = { 0 };
    struct ph_rooms *rooms = NULL;
    ph_err err = ph_rooms_create(&rooms, ph_rooms_params(.log = &quiet), &fault);
    if (err == PH_OK) err = ph_rooms_start(rooms, &fault);
    if (err == PH_OK)
        err = ph_room_create(rooms, ph_room_params(.name = "bench", .graph = graph), &fault);
    if (err == PH_OK) return rooms;
    bench_skip(b, figure, "%s", *fault.message ? fault.message : ph_strerror(err));
    ph_rooms_destroy(&rooms);
    return NULL;
}

// --- the figures

static void camera_to_viewer(struct bench *b)
{
    const char *figure = "delivery/camera-to-viewer";
    if (!bench_begin(b, figure)) return;
    struct ph_rooms *rooms = open_rooms(b, figure, "browser -> overlay => jpeg q=85 -> live");
    struct glass g;
    if (!rooms) return;
    bool ok = glass_open(&g, ph_rooms_port(rooms), 640, 480);
    int frames = (int) bench_seconds(b, 10) * CAMERA_HZ;
    int64_t start = ph_now_ns();
    for (int i = 0; ok && i < frames && i < IDS && !bench_stopped(b); i++)
        ok = wait_until(&g, start + i * PH_SECOND_NS / CAMERA_HZ, true) &&
             send_picture(&g, (uint32_t) i);
    if (ok) ok = wait_until(&g, ph_now_ns() + PH_SECOND_NS / 4, true);
    size_t n = ok ? (size_t) g.seen : 0;
    double p50 = bench_quantile(g.age_ms, n, 0.5);
    if (n > (size_t) frames / 2)
        bench_add(b, (struct bench_result){ .value = p50,
                                            .unit = "ms",
                                            .p50 = p50,
                                            .p99 = bench_quantile(g.age_ms, n, 0.99),
                                            .n = n,
                                            .bar = 1.2 * 1000 / CAMERA_HZ,
                                            .less = true });
    else
        bench_skip(b, figure, "%zu of %d pictures came back", n, frames);
    glass_close(&g);
    ph_rooms_destroy(&rooms);
}

static void room_1080p(struct bench *b)
{
    const char *figure = "delivery/room-1080p";
    if (!bench_begin(b, figure)) return;
    struct ph_rooms *rooms =
        open_rooms(b, figure, "pattern size=1920x1080 fps=240 -> overlay => jpeg q=85 -> live");
    struct glass g;
    if (!rooms) return;
    bool ok = glass_open(&g, ph_rooms_port(rooms), 64, 64);
    if (ok) ok = wait_until(&g, ph_now_ns() + PH_SECOND_NS / 2, false); // warm
    uint64_t before = g.pictures;
    double seconds = bench_seconds(b, 5);
    bench_restart(b);
    int64_t from = ph_now_ns();
    if (ok) ok = wait_until(&g, from + (int64_t) (seconds * 1e9), false);
    double rate = (double) (g.pictures - before) * 1e9 / (double) (ph_now_ns() - from);
    if (ok && rate > 0)
        bench_add(b,
                  (struct bench_result){
                      .value = rate, .unit = "frames/s", .n = g.pictures - before, .bar = 60 });
    else
        bench_skip(b, figure, "no picture came");
    glass_close(&g);
    ph_rooms_destroy(&rooms);
}

void bench_glass(struct bench *b)
{
    camera_to_viewer(b);
    room_1080p(b);
}

#else

void bench_glass(struct bench *b)
{
    bench_skip(b, "delivery/camera-to-viewer", "built without libjpeg-turbo or the server");
}

#endif
