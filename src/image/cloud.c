// SPDX-License-Identifier: MIT
#include "image/cloud.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>

int ph_cloud_most(int width, int height, int stride)
{
    return (width + stride - 1) / stride * ((height + stride - 1) / stride);
}

static int points_row(float *xyz, uint8_t *rgb, const float *z, const uint8_t *px,
                      const float *u, int w, float v, float fx, float fy)
{
    int n = 0;
    for (int x = 0; x < w; x++) {
        if (!(z[x] > 0 && z[x] < INFINITY)) continue;
        xyz[3 * n] = u[x] * z[x] / fx;
        xyz[3 * n + 1] = -(v * z[x] / fy);
        xyz[3 * n + 2] = z[x];
        memcpy(rgb + 3 * n, px + 4 * x, 3);
        n++;
    }
    return n;
}

enum { MAX_WIDTH = 16384, PART = 1024 };

// The columns that are taken, side by side.
struct columns {
    float z[PART], u[PART];
    uint8_t px[4 * PART];
};

static void gather(struct columns *c, const float *z, const uint8_t *px, int x0, int n,
                   int stride, float cx)
{
    for (int i = 0; i < n; i++) {
        int x = x0 + i * stride;
        c->z[i] = z[x];
        c->u[i] = (float) x - cx;
        store32(c->px + 4 * i, px ? load32(px + 4 * x) : UINT32_MAX);
    }
}

int ph_cloud_unproject(float *xyz, uint8_t *rgb, const struct ph_picture *depth,
                       const struct ph_picture *color, const struct ph_intrinsics *lens,
                       int stride)
{
    if (!px_valid(depth) || depth->format != PH_DEPTHF || stride < 1) return 0;
    if (color && (!px_same_size(color, depth) || color->format != PH_RGBA)) return 0;
    if (!(fabsf(lens->fx) > 0) || !(fabsf(lens->fy) > 0)) return 0;
    struct columns c;
    int n = 0, across = (depth->width + stride - 1) / stride;
    for (int y = 0; y < depth->height; y += stride) {
        const float *z = (const float *) (const void *) px_row(depth, 0, y);
        const uint8_t *px = color ? px_row(color, 0, y) : NULL;
        for (int at = 0; at < across; at += PART) {
            int part = min_int(PART, across - at);
            gather(&c, z, px, at * stride, part, stride, lens->cx);
            n += ph_image_ops()->cloud_points(xyz + 3 * (size_t) n, rgb + 3 * (size_t) n, c.z,
                                              c.px, c.u, part, (float) y - lens->cy, lens->fx,
                                              lens->fy);
        }
    }
    return n;
}

void ph_cloud_move(float *xyz, int count, const float m[12])
{
    for (int i = 0; i < count; i++, xyz += 3) {
        float x = xyz[0], y = -xyz[1], z = xyz[2];
        xyz[0] = m[0] * x + m[1] * y + m[2] * z + m[3];
        xyz[1] = -(m[4] * x + m[5] * y + m[6] * z + m[7]);
        xyz[2] = m[8] * x + m[9] * y + m[10] * z + m[11];
    }
}

// --- voxels: a hash table of the cubes that are taken, open addressing

static size_t table_size(int count)
{
    size_t n = 64;
    while (n < 2 * (size_t) count) n *= 2;
    return n;
}

size_t ph_cloud_voxel_bytes(int count)
{
    return table_size(count) * sizeof(uint64_t);
}

// Three coordinates of 21 bits; far outside they share cubes, which only thins what is there.
static uint64_t cube_of(const float *p, float inverse)
{
    uint64_t key = 0;
    for (int k = 0; k < 3; k++) {
        float at = floorf(p[k] * inverse);
        at = at > -1048576 ? at : -1048576; // also what is no number
        at = at < 1048575 ? at : 1048575;
        key = key << 21 | (uint64_t) ((int32_t) at + 1048576);
    }
    return key + 1; // 0 is an empty place
}

static bool take_cube(uint64_t *table, size_t mask, uint64_t cube)
{
    size_t at = (size_t) ((cube * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & mask;
    for (; table[at]; at = (at + 1) & mask)
        if (table[at] == cube) return false;
    table[at] = cube;
    return true;
}

int ph_cloud_voxel(float *xyz, uint8_t *rgb, int count, float side, void *scratch)
{
    uint64_t *table = scratch;
    size_t size = table_size(count);
    int n = 0;
    if (!(side > 0)) return count;
    memset(table, 0, size * sizeof *table);
    for (int i = 0; i < count; i++) {
        if (!take_cube(table, size - 1, cube_of(xyz + 3 * (size_t) i, 1 / side))) continue;
        memmove(xyz + 3 * (size_t) n, xyz + 3 * (size_t) i, 3 * sizeof *xyz);
        memmove(rgb + 3 * (size_t) n, rgb + 3 * (size_t) i, 3);
        n++;
    }
    return n;
}

void ph_init_cloud_c(struct ph_image_ops *o)
{
    o->cloud_points = points_row;
}
