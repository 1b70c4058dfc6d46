// SPDX-License-Identifier: MIT
#include "image/cloud_file.h"

#include "core/number.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum {
    HEAD = 2048,
    POINT = 20
}; // most bytes of a file's head, of a point in the larger format

int ph_cloud_kind_of(const char *path)
{
    const char *end = strrchr(path, '.');
    if (end && !strcasecmp(end, ".ply")) return PH_CLOUD_PLY;
    if (end && !strcasecmp(end, ".glb")) return PH_CLOUD_GLB;
    return -1;
}

size_t ph_cloud_file_bound(int count)
{
    return HEAD + (size_t) count * POINT;
}

static uint8_t *put(uint8_t *at, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) *at++ = (uint8_t) (v >> (8 * i));
    return at;
}

static uint8_t *put_float(uint8_t *at, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return put(at, bits, 4);
}

// Of a ray without an end there is no vertex: readers refuse files that have one.
static bool there(const struct ph_points *p, int i)
{
    const float *at = p->xyz + 3 * (size_t) i;
    return isfinite(at[0]) && isfinite(at[1]) && isfinite(at[2]);
}

static int count_there(const struct ph_points *p)
{
    int count = 0;
    for (int i = 0; i < p->count; i++) count += there(p, i);
    return count;
}

static uint8_t *put_point(uint8_t *at, const float *p)
{
    at = put_float(at, p[0]);
    at = put_float(at, p[1]);
    return put_float(at, -p[2]);
}

// --- PLY

static size_t ply(uint8_t *out, const struct ph_points *p)
{
    int head = ph_snprintf((char *) out, HEAD,
                           "ply\nformat binary_little_endian 1.0\ncomment phosphene\n"
                           "element vertex %d\nproperty float x\nproperty float y\n"
                           "property float z\nproperty uchar red\nproperty uchar green\n"
                           "property uchar blue\nend_header\n",
                           count_there(p));
    uint8_t *at = out + head;
    for (int i = 0; i < p->count; i++) {
        if (!there(p, i)) continue;
        at = put_point(at, p->xyz + 3 * (size_t) i);
        memcpy(at, p->rgb + 3 * (size_t) i, 3);
        at += 3;
    }
    return (size_t) (at - out);
}

// --- GLB

struct bounds {
    float low[3], high[3];
};

static struct bounds bounds_of(const struct ph_points *p)
{
    struct bounds b = { { INFINITY, INFINITY, INFINITY }, { -INFINITY, -INFINITY, -INFINITY } };
    for (int i = 0; i < p->count; i++)
        for (int k = 0; there(p, i) && k < 3; k++) {
            float v = p->xyz[3 * (size_t) i + (size_t) k] * (k == 2 ? -1 : 1);
            b.low[k] = fminf(b.low[k], v);
            b.high[k] = fmaxf(b.high[k], v);
        }
    return b;
}

// IEC 61966-2-1, as 16 bits: glTF's colours of vertices are linear.
static void linear_table(uint16_t table[256])
{
    for (int i = 0; i < 256; i++) {
        double v = i / 255.0;
        v = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
        table[i] = (uint16_t) lround(v * 65535);
    }
}

static int describe(char *text, size_t size, const struct ph_points *p, int count)
{
    struct bounds b = bounds_of(p);
    unsigned positions = (unsigned) count * 12, all = (unsigned) count * 20;
    if (!count)
        return ph_snprintf(text, size,
                           "{\"asset\":{\"version\":\"2.0\",\"generator\":\"phosphene\"},"
                           "\"scene\":0,\"scenes\":[{}]}");
    return ph_snprintf(
        text, size,
        "{\"asset\":{\"version\":\"2.0\",\"generator\":\"phosphene\"},"
        "\"extensionsUsed\":[\"KHR_materials_unlit\"],\"scene\":0,"
        "\"scenes\":[{\"nodes\":[0]}],\"nodes\":[{\"mesh\":0,\"name\":\"cloud\"}],"
        "\"meshes\":[{\"primitives\":[{\"mode\":0,\"material\":0,"
        "\"attributes\":{\"POSITION\":0,\"COLOR_0\":1}}]}],"
        "\"materials\":[{\"extensions\":{\"KHR_materials_unlit\":{}}}],"
        "\"buffers\":[{\"byteLength\":%u}],"
        "\"bufferViews\":[{\"buffer\":0,\"byteOffset\":0,\"byteLength\":%u,\"target\":34962},"
        "{\"buffer\":0,\"byteOffset\":%u,\"byteLength\":%u,\"byteStride\":8,\"target\":34962}],"
        "\"accessors\":[{\"bufferView\":0,\"componentType\":5126,\"count\":%d,"
        "\"type\":\"VEC3\",\"min\":[%.9g,%.9g,%.9g],\"max\":[%.9g,%.9g,%.9g]},"
        "{\"bufferView\":1,\"componentType\":5123,\"normalized\":true,\"count\":%d,"
        "\"type\":\"VEC3\"}]}",
        all, positions, positions, all - positions, count, (double) b.low[0], (double) b.low[1],
        (double) b.low[2], (double) b.high[0], (double) b.high[1], (double) b.high[2], count);
}

static uint8_t *put_chunk(uint8_t *at, uint32_t bytes, const char type[4])
{
    at = put(at, bytes, 4);
    memcpy(at, type, 4);
    return at + 4;
}

static size_t glb(uint8_t *out, const struct ph_points *p)
{
    uint16_t linear[256];
    char *text = (char *) out + 20;
    int count = count_there(p), used = describe(text, HEAD - 64, p, count);
    size_t len = (size_t) used, points = (size_t) count * 20;
    while (len % 4) text[len++] = ' ';
    uint8_t *at = out + 20 + len;
    put_chunk(out + 12, (uint32_t) len, "JSON");
    if (points) at = put_chunk(at, (uint32_t) points, "BIN\0");
    for (int i = 0; i < p->count; i++)
        if (there(p, i)) at = put_point(at, p->xyz + 3 * (size_t) i);
    linear_table(linear);
    for (size_t i = 0; i < (size_t) p->count; i++) {
        if (!there(p, (int) i)) continue;
        for (size_t k = 0; k < 3; k++) at = put(at, linear[p->rgb[3 * i + k]], 2);
        at = put(at, 0, 2);
    }
    memcpy(out, "glTF", 4);
    put(put(out + 4, 2, 4), (uint32_t) (at - out), 4);
    return (size_t) (at - out);
}

size_t ph_cloud_file(uint8_t *out, enum ph_cloud_kind kind, const struct ph_points *points)
{
    return kind == PH_CLOUD_GLB ? glb(out, points) : ply(out, points);
}
