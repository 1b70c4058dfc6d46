// SPDX-License-Identifier: MIT
#include "nodes/encode/depth16.h"

#include <phosphene/node.h>

#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if PH_HAVE_SERVER
#include <zlib.h>
#endif

// --- the format; little-endian

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t) (v >> (8 * i));
}

static void put_f32(uint8_t *at, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    put_u32(at, bits);
}

struct span {
    float near, far; // of what is there; 0 0 when nothing is
};

static const float *row_of(const struct ph_picture *map, int y)
{
    return (const float *) (const void *) (map->data[0] + y * map->stride[0]);
}

static bool there(float z)
{
    return z > 0 && z < INFINITY;
}

static struct span span_of(const struct ph_picture *map)
{
    struct span s = { INFINITY, 0 };
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++) {
            float z = row_of(map, y)[x];
            float low = there(z) ? z : INFINITY, high = there(z) ? z : 0;
            s.near = low < s.near ? low : s.near;
            s.far = high > s.far ? high : s.far;
        }
    if (s.far <= 0) s.near = 0;
    return s;
}

// Nearly equal bytes side by side are what zlib is good at.
static void differences(uint8_t *low, uint8_t *high, const struct ph_picture *map, float near,
                        float inverse, float most)
{
    size_t at = 0;
    for (int y = 0; y < map->height; y++) {
        uint16_t left = 0;
        const float *row = row_of(map, y);
        for (int x = 0; x < map->width; x++, at++) {
            float v = (row[x] - near) * inverse + 1.5f; // 1 is the nearest, 0 is nothing
            uint16_t q = there(row[x]) ? (uint16_t) (v < most ? v : most) : 0;
            uint16_t d = (uint16_t) (q - left);
            low[at] = (uint8_t) d;
            high[at] = (uint8_t) (d >> 8);
            left = q;
        }
    }
}

struct ph_depth16 {
    uint8_t *work; // differences
    size_t work_bytes;
#if PH_HAVE_SERVER
    z_stream z;
#endif
};

// Differences of a measured depth are noise around 0: a good code for single bytes and runs of
// zeros is all there is to win, and looking for longer matches costs five times as much.
ph_err ph_depth16_create(struct ph_depth16 **out)
{
    struct ph_depth16 *p = calloc(1, sizeof *p);
    *out = p;
    if (!p) return PH_ENOMEM;
#if PH_HAVE_SERVER
    if (deflateInit2(&p->z, 1, Z_DEFLATED, 15, 8, Z_RLE) == Z_OK) return PH_OK;
    free(p);
    *out = NULL;
    return PH_ENOMEM;
#else
    return PH_OK;
#endif
}

void ph_depth16_destroy(struct ph_depth16 **p)
{
    if (!*p) return;
#if PH_HAVE_SERVER
    deflateEnd(&(*p)->z);
#endif
    free((*p)->work);
    free(*p);
    *p = NULL;
}

static size_t squeeze(struct ph_depth16 *p, uint8_t *out, size_t capacity, size_t n,
                      uint32_t *packing)
{
#if PH_HAVE_SERVER
    *packing = PH_DEPTH16_ZLIB;
    deflateReset(&p->z);
    p->z.next_in = p->work;
    p->z.avail_in = (uInt) n;
    p->z.next_out = out;
    p->z.avail_out = (uInt) capacity;
    return deflate(&p->z, Z_FINISH) == Z_STREAM_END ? p->z.total_out : 0;
#else
    *packing = PH_DEPTH16_RAW;
    if (n > capacity) return 0;
    memcpy(out, p->work, n);
    return n;
#endif
}

static bool need_work(struct ph_depth16 *p, size_t bytes)
{
    if (bytes <= p->work_bytes) return true;
    free(p->work);
    p->work = malloc(bytes);
    p->work_bytes = p->work ? bytes : 0;
    return p->work;
}

size_t ph_depth16_bound(int width, int height, size_t jpeg_bytes)
{
    size_t n = (size_t) width * (size_t) height * 3;
    return PH_DEPTH16_HEAD + PH_DEPTH16_TAIL + jpeg_bytes + n + n / 8 + 512; // > deflateBound
}

size_t ph_depth16_pack(struct ph_depth16 *p, uint8_t *out, size_t capacity,
                       const struct ph_picture *map, const struct ph_intrinsics *lens, int bits,
                       const uint8_t *jpeg, size_t jpeg_bytes)
{
    size_t n = (size_t) map->width * (size_t) map->height;
    if (!need_work(p, 2 * n)) return 0;
    struct span s = span_of(map);
    float scale = fmaxf(s.far - s.near, 1e-6f) / (float) ((1 << bits) - 2);
    float bias = s.near - scale;
    const float head[8] = {
        lens->fx, lens->fy, lens->cx, lens->cy, scale, bias, s.near, s.far
    };
    uint32_t packing;
    for (int i = 0; i < 8; i++) put_f32(out + 4 * i, head[i]);
    put_u32(out + 32, (uint32_t) jpeg_bytes);
    if (jpeg_bytes) memcpy(out + PH_DEPTH16_HEAD, jpeg, jpeg_bytes);
    differences(p->work, p->work + n, map, s.near, 1 / scale, (float) ((1 << bits) - 1));
    size_t begin = PH_DEPTH16_HEAD + jpeg_bytes;
    size_t size = squeeze(p, out + begin, capacity - begin, 2 * n, &packing);
    put_u32(out + 36, packing);
    return size ? begin + size : 0;
}

// --- confidence

struct line {
    float low, scale; // of value 0, of a step
};

static struct line line_of(const struct ph_picture *map)
{
    float low = INFINITY, high = -INFINITY;
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++) {
            float c = row_of(map, y)[x];
            if (!(fabsf(c) < INFINITY)) continue;
            low = c < low ? c : low;
            high = c > high ? c : high;
        }
    if (!(high > low)) return (struct line){ high == low ? low : 0, 0 };
    return (struct line){ low, (high - low) / 255 };
}

static void certain_differences(uint8_t *out, const struct ph_picture *map, struct line l)
{
    float inverse = l.scale > 0 ? 1 / l.scale : 0;
    for (int y = 0; y < map->height; y++) {
        uint8_t left = 0;
        const float *row = row_of(map, y);
        for (int x = 0; x < map->width; x++) {
            float v = (row[x] - l.low) * inverse + 0.5f;
            v = v > 0 ? v : 0; // also what is no number
            uint8_t q = (uint8_t) (v < 255 ? v : 255);
            *out++ = (uint8_t) (q - left);
            left = q;
        }
    }
}

size_t ph_depth16_confidence(struct ph_depth16 *p, uint8_t *out, size_t capacity,
                             const struct ph_picture *map)
{
    size_t n = (size_t) map->width * (size_t) map->height;
    uint32_t packing;
    if (!need_work(p, n) || capacity < PH_DEPTH16_TAIL) return 0;
    struct line l = line_of(map);
    certain_differences(p->work, map, l);
    size_t size = squeeze(p, out, capacity - PH_DEPTH16_TAIL, n, &packing);
    if (!size) return 0;
    put_f32(out + size, l.scale);
    put_f32(out + size + 4, l.low);
    put_u32(out + size + 8, (uint32_t) size);
    put_u32(out + size + 12, packing);
    return size + PH_DEPTH16_TAIL;
}

// --- the node

struct depth16 {
    int64_t bits;

    struct ph_depth16 *packer;
};

enum { IN, PICTURE, CONFIDENCE };

static ph_err depth16_open(struct ph_node *n, struct ph_fault *fault)
{
    struct depth16 *p = ph_priv(n);
    ph_err ret = ph_depth16_create(&p->packer);
    return ret < 0 ? ph_fail(fault, ret, "depth16", "%s", ph_strerror(ret)) : PH_OK;
}

static void depth16_close(struct ph_node *n)
{
    struct depth16 *p = ph_priv(n);
    ph_depth16_destroy(&p->packer);
}

static ph_err encode(struct ph_node *n, struct depth16 *p, const struct ph_frame *f,
                     const struct ph_frame *jpeg, const struct ph_frame *sure,
                     struct ph_frame **out)
{
    const struct ph_picture *map = &f->picture;
    size_t jpeg_bytes = jpeg ? jpeg->packet.size : 0;
    size_t room = ph_depth16_bound(map->width, map->height, jpeg_bytes);
    ph_err ret = ph_node_packet(n, f, PH_DEPTH16, room, out);
    if (ret < 0) return ret;
    struct ph_packet *packet = &(*out)->packet;
    packet->size =
        ph_depth16_pack(p->packer, packet->data, packet->capacity, map, &f->intrinsics,
                        (int) p->bits, jpeg ? jpeg->packet.data : NULL, jpeg_bytes);
    packet->key = true;
    packet->width = map->width;
    packet->height = map->height;
    if (!packet->size) return PH_ENOMEM;
    if (!sure) return PH_OK;
    packet->extra = ph_depth16_confidence(p->packer, packet->data + packet->size,
                                          packet->capacity - packet->size, &sure->picture);
    packet->size += packet->extra;
    return packet->extra ? PH_OK : PH_ENOMEM;
}

// The map of what port shows, when it fits the depth; to be released.
static struct ph_frame *confidence_of(struct ph_node *n, const struct ph_frame *depth)
{
    struct ph_frame *f = NULL;
    if (!ph_node_linked(n, false, CONFIDENCE)) return NULL;
    ph_node_read(n, CONFIDENCE, &f);
    const struct ph_picture *a = f ? &f->picture : NULL, *b = &depth->picture;
    if (a && (a->format != PH_DEPTHF || a->width != b->width || a->height != b->height))
        ph_frame_unref(&f); // of another model, or of the size before
    return f;
}

static ph_err depth16_process(struct ph_node *n)
{
    struct depth16 *p = ph_priv(n);
    struct ph_frame *f, *jpeg = NULL, *sure = NULL, *packet = NULL;
    ph_err ret = ph_node_read(n, IN, &f);
    if (ret != PH_OK) return ret;
    bool wanted = ph_node_wanted(n, PH_DEPTH16);
    if (f->picture.format != PH_DEPTHF) {
        ph_node_problem(n, "in is a depth map in metres, not %s: put steady before it",
                        ph_format_name(f->picture.format));
        ph_node_drop(n);
        ret = PH_EFORMAT;
    } else if (wanted) {
        if (ph_node_linked(n, false, PICTURE)) ph_node_read(n, PICTURE, &jpeg);
        bool usable = jpeg && jpeg->packet.codec == PH_JPEG;
        sure = confidence_of(n, f);
        ret = encode(n, p, f, usable ? jpeg : NULL, sure, &packet);
    }
    ph_frame_unref(&sure);
    ph_frame_unref(&jpeg);
    ph_frame_unref(&f);
    if (ret < 0) ph_frame_unref(&packet);
    return packet ? ph_node_write(n, 0, packet) : ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct depth16, bits, 8, 16, .def = "13", .flags = PH_PARAM_FIRST, .help = "of a depth value, from the nearest to the farthest of each frame; fewer are smaller"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_depth16 = {
    .name = "depth16",
    .group = "encode",
    .help = "packs depth and its picture for viewers that make the points themselves",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "metres (depthf), 0 = nothing there" },
                   { "picture", PH_PACKET, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                     .help = "JPEG packets, of any size" },
                   { "confidence", PH_PICTURE, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                     .help = "one number a pixel (depthf); for viewers that ask for it" }),
    .out = PH_PORTS({ "out", PH_PACKET, .help = "one message for each map" }),
    .params = params,
    .priv_size = sizeof(struct depth16),
    .open = depth16_open,
    .close = depth16_close,
    .process = depth16_process,
};
