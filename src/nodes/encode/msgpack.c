// SPDX-License-Identifier: MIT
#include "nodes/encode/msgpack.h"

#include <phosphene/node.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

// --- the format; big-endian

static uint8_t *put_be(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) *at++ = (uint8_t) (v >> (8 * i));
    return at;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t n = strlen(text);
    if (n < 32) {
        *at++ = (uint8_t) (0xa0 | n);
    } else {
        *at++ = 0xd9;
        *at++ = (uint8_t) n;
    }
    memcpy(at, text, n);
    return at + n;
}

static uint8_t *put_whole(uint8_t *at, uint32_t v)
{
    if (v < 128) {
        *at++ = (uint8_t) v;
        return at;
    }
    *at++ = v < 256 ? 0xcc : v < 65536 ? 0xcd : 0xce;
    return put_be(at, v, v < 256 ? 1 : v < 65536 ? 2 : 4);
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t n)
{
    *at++ = n < 256 ? 0xc4 : n < 65536 ? 0xc5 : 0xc6;
    at = put_be(at, n, n < 256 ? 1 : n < 65536 ? 2 : 4);
    memcpy(at, bytes, n);
    return at + n;
}

size_t ph_cloud_pack(uint8_t *out, const struct ph_points *points, const char *timestamp,
                     int views)
{
    uint8_t *at = out;
    size_t n = (size_t) points->count;
    *at++ = (uint8_t) (0x80 | (views ? 6 : 5));
    at = put_text(put_text(at, "type"), "pointcloud");
    at = put_text(put_text(at, "timestamp"), timestamp);
    at = put_whole(put_text(at, "num_points"), (uint32_t) n);
    at = put_bytes(put_text(at, "points"), points->xyz, n * 3 * sizeof(float));
    at = put_bytes(put_text(at, "colors"), points->rgb, n * 3);
    if (views) at = put_whole(put_text(at, "num_views"), (uint32_t) views);
    return (size_t) (at - out);
}

// --- the node

// When the light fell in, in the world's time, to the microsecond; a replay says what was said then.
// Offline it is the stream's own time since 1970, so that the same frame has the same bytes.
static int64_t time_us(struct ph_node *n, const struct ph_frame *f)
{
    struct timespec now;
    int64_t ns = f->pts_ns;
    if (!ph_node_offline(n)) {
        clock_gettime(CLOCK_REALTIME, &now);
        ns = now.tv_sec * PH_SECOND_NS + now.tv_nsec - (ph_node_now_ns(n) - f->capture_ns);
    }
    return ph_node_chance(n, "time", ns / 1000);
}

static void put_time(char text[40], int64_t us)
{
    struct tm tm;
    time_t seconds = (time_t) (us / 1000000);
    gmtime_r(&seconds, &tm);
    size_t len = strftime(text, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, 40 - len, ".%06d", (int) (us % 1000000));
}

static ph_err msgpack_process(struct ph_node *n)
{
    struct ph_frame *f, *packet = NULL;
    char stamp[40];
    ph_err ret = ph_node_read(n, 0, &f);
    if (ret != PH_OK) return ret;
    bool wanted = ph_node_wanted(n, PH_CLOUD);
    size_t room = PH_CLOUD_HEAD + (size_t) f->points.count * 15;
    if (wanted) ret = ph_node_packet(n, f, PH_CLOUD, room, &packet);
    if (packet) {
        put_time(stamp, time_us(n, f));
        int views = f->points.views > 1 ? f->points.views : 0;
        packet->packet.size = ph_cloud_pack(packet->packet.data, &f->points, stamp, views);
        packet->packet.key = true;
    }
    ph_frame_unref(&f);
    return packet ? ph_node_write(n, 0, packet) : ret;
}

const struct ph_node_info ph_node_msgpack = {
    .name = "msgpack",
    .group = "encode",
    .help = "packs points as MessagePack, for /ws/depth",
    .in = PH_PORTS({ "in", PH_POINTS, .help = "points" }),
    .out = PH_PORTS({ "out", PH_PACKET, .help = "one map for each cloud" }),
    .process = msgpack_process,
};
