// SPDX-License-Identifier: MIT
#include "nodes/source/pattern_draw.h"

#include "nodes/util.h"

#include "image/draw.h"
#include "image/px.h"

#include <math.h>

static uint32_t *row_of(const struct ph_picture *p, int y)
{
    return (uint32_t *) (void *) (p->data[0] + (ptrdiff_t) y * p->stride[0]);
}

// 0xRRGGBBAA to the four bytes in memory
static uint32_t pixel_of(uint32_t color)
{
    uint8_t b[4] = { (uint8_t) (color >> 24), (uint8_t) (color >> 16), (uint8_t) (color >> 8),
                     (uint8_t) color };
    return load32(b);
}

// --- bars

// Columns given by their right edges in `parts` of the width, rows top..bottom.
static void columns(const struct ph_picture *dst, int top, int bottom, const int *edges,
                    int parts, const uint32_t *colors, int count)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        int right = (int) (((int64_t) dst->width * edges[i] + parts / 2) / parts);
        ph_draw_rect(dst, left, top, right - left, bottom - top, colors[i]);
        left = right;
    }
}

void ph_pattern_bars(const struct ph_picture *dst)
{
    enum { BLACK = 0x131313ff }; // 7.5 IRE, so that the PLUGE has something below it
    static const uint32_t bars[] = { 0xbfbfbfff, 0xbfbf00ff, 0x00bfbfff, 0x00bf00ff,
                                     0xbf00bfff, 0xbf0000ff, 0x0000bfff };
    static const uint32_t reversed[] = { 0x0000bfff, BLACK, 0xbf00bfff, BLACK,
                                         0x00bfbfff, BLACK, 0xbfbfbfff };
    static const uint32_t foot[] = { 0x00214cff, 0xffffffff, 0x32006aff, BLACK,
                                     0x090909ff, BLACK,      0x1d1d1dff, BLACK };
    static const int sevenths[] = { 1, 2, 3, 4, 5, 6, 7 };
    static const int foot_edges[] = { 15, 30, 45, 60, 64, 68, 72, 84 }; // in 84ths
    int h = dst->height, two_thirds = (h * 2 + 1) / 3, three_quarters = (h * 3 + 2) / 4;
    columns(dst, 0, two_thirds, sevenths, 7, bars, 7);
    columns(dst, two_thirds, three_quarters, sevenths, 7, reversed, 7);
    columns(dst, three_quarters, h, foot_edges, 84, foot, 8);
}

// --- gradients

// Bayer's 8 x 8 matrix, as the thresholds (k + 1/2) / 64 of the last half bit.
static float threshold(int x, int y)
{
    unsigned v = 0, a = (unsigned) (x ^ y), b = (unsigned) y;
    for (int bit = 0; bit < 3; bit++)
        v |= ((a >> bit & 1) << 1 | (b >> bit & 1)) << (2 * (2 - bit));
    return ((float) v + 0.5f) / 64;
}

struct mix {
    float from[4], step[4];
};

static struct mix mix_of(uint32_t from, uint32_t to)
{
    struct mix m;
    for (int c = 0; c < 4; c++) {
        m.from[c] = (float) (from >> (24 - 8 * c) & 255);
        m.step[c] = (float) (to >> (24 - 8 * c) & 255) - m.from[c];
    }
    return m;
}

// t 0..1 between the two colours, dithered
static uint32_t mix_pixel(const struct mix *m, float t, float dither)
{
    uint8_t px[4];
    for (int c = 0; c < 4; c++) px[c] = (uint8_t) (m->from[c] + m->step[c] * t + dither);
    px[3] = (uint8_t) (m->from[3] + m->step[3] * t + 0.5f);
    return load32(px);
}

static float clamp01(float t)
{
    return t < 0 ? 0 : t > 1 ? 1 : t;
}

void ph_pattern_gradient(const struct ph_picture *dst, uint32_t from, uint32_t to,
                         float angle_deg)
{
    struct mix m = mix_of(from, to);
    float dx = ph_cos_turns(angle_deg / 360), dy = ph_sin_turns(angle_deg / 360);
    float w = (float) dst->width, h = (float) dst->height;
    float length = fabsf(dx) * w + fabsf(dy) * h; // corner to corner
    for (int y = 0; y < dst->height; y++) {
        uint32_t *d = row_of(dst, y);
        float along_y = ((float) y + 0.5f - h / 2) * dy;
        for (int x = 0; x < dst->width; x++) {
            float along = ((float) x + 0.5f - w / 2) * dx + along_y;
            d[x] = mix_pixel(&m, clamp01(along / length + 0.5f), threshold(x, y));
        }
    }
}

void ph_pattern_checker(const struct ph_picture *dst, int cell, uint32_t a, uint32_t b)
{
    uint32_t px[2] = { pixel_of(a), pixel_of(b) };
    for (int y = 0; y < dst->height; y++) {
        uint32_t *d = row_of(dst, y);
        for (int x = 0; x < dst->width; x++) d[x] = px[(x / cell ^ y / cell) & 1];
    }
}

// --- noise

// Vigna, splitmix64: each value from its index alone
static uint64_t random_at(uint64_t index)
{
    uint64_t z = index * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void ph_pattern_noise(const struct ph_picture *dst, uint64_t seed)
{
    uint64_t at = random_at(seed);
    const uint32_t white = pixel_of(0x01010100), opaque = pixel_of(0x000000ff);
    for (int y = 0; y < dst->height; y++) {
        uint32_t *d = row_of(dst, y);
        for (int x = 0; x < dst->width; x += 8) {
            uint64_t bits = random_at(++at);
            int count = dst->width - x < 8 ? dst->width - x : 8;
            for (int i = 0; i < count; i++)
                d[x + i] = (uint32_t) (bits >> (8 * i) & 255) * white | opaque;
        }
    }
}

// --- the ball

void ph_pattern_stage(const struct ph_picture *dst, uint32_t light, uint32_t dark, int floor_y)
{
    struct mix m = mix_of(dark, light);
    float w = (float) dst->width, h = (float) dst->height;
    float edge = (float) floor_y, deep = h - edge > 1 ? h - edge : 1;
    for (int y = 0; y < dst->height; y++) {
        uint32_t *d = row_of(dst, y);
        float fy = (float) y + 0.5f, v = (fy - 0.42f * h) / (0.85f * h);
        float into = clamp01((fy - edge) / deep); // 0 at the wall, 1 at the viewer
        float on_floor = clamp01((fy - edge) / (0.012f * h) + 0.5f);
        for (int x = 0; x < dst->width; x++) {
            float u = ((float) x + 0.5f - w / 2) / (0.72f * w);
            float t = clamp01(1 - (u * u + v * v));
            float wall = 0.9f * t * t;
            float ground = (0.55f + 0.45f * (1 - into)) * clamp01(1.05f - 1.3f * u * u);
            float lit = clamp01(wall + (ground - wall) * on_floor);
            d[x] = mix_pixel(&m, lit, threshold(x, y));
        }
    }
}

static float channel(uint32_t color, int c)
{
    return (float) (color >> (24 - 8 * c) & 255) / 255;
}

// Lambert's light from the upper left, a highlight and a darker rim; nx, ny on the unit disc.
static uint32_t ball_pixel(uint32_t color, float nx, float ny, float cover, float glow)
{
    float nz = sqrtf(clamp01(1 - nx * nx - ny * ny));
    float light = clamp01(-0.48f * nx - 0.62f * ny + 0.62f * nz);
    float half = clamp01(-0.30f * nx - 0.39f * ny + 0.87f * nz);
    float spark = half * half;
    for (int i = 0; i < 4; i++) spark *= spark; // half^32
    float rim = (1 - nz) * (1 - nz) * (1 - nz); // the room's blue, seen at a flat angle
    static const float room[3] = { 0.16f, 0.19f, 0.34f };
    uint8_t px[4];
    float alpha = cover + (1 - cover) * glow;
    for (int c = 0; c < 3; c++) {
        float base = channel(color, c);
        float lit = base * (0.26f + 0.84f * light) + 0.75f * spark + room[c] * rim;
        float v = alpha > 0 ? (lit * cover + base * (1 - cover) * glow) / alpha : 0;
        px[c] = (uint8_t) (255 * clamp01(v) + 0.5f);
    }
    px[3] = (uint8_t) (255 * clamp01(alpha) + 0.5f);
    return load32(px);
}

void ph_pattern_ball(const struct ph_picture *dst, float radius, uint32_t color)
{
    float mx = (float) dst->width / 2, my = (float) dst->height / 2, reach = mx - radius;
    for (int y = 0; y < dst->height; y++) {
        uint32_t *d = row_of(dst, y);
        for (int x = 0; x < dst->width; x++) {
            float dx = (float) x + 0.5f - mx, dy = (float) y + 0.5f - my;
            float distance = sqrtf(dx * dx + dy * dy);
            float cover = clamp01(radius - distance + 0.5f);
            float out = clamp01(1 - (distance - radius) / reach);
            float glow = 0.30f * out * out * out;
            d[x] = ball_pixel(color, dx / radius, dy / radius, cover, glow);
        }
    }
}

void ph_pattern_shadow(const struct ph_picture *dst)
{
    float mx = (float) dst->width / 2, my = (float) dst->height / 2;
    for (int y = 0; y < dst->height; y++) {
        uint32_t *d = row_of(dst, y);
        float v = ((float) y + 0.5f - my) / my;
        for (int x = 0; x < dst->width; x++) {
            float u = ((float) x + 0.5f - mx) / mx, t = clamp01(1 - u * u - v * v);
            d[x] = pixel_of((uint32_t) (255 * t * t + 0.5f));
        }
    }
}

// 0..1 within a period
static double phase(double seconds, double period)
{
    double turns = seconds / period;
    return turns - floor(turns);
}

struct ph_ball_place ph_ball_place(int64_t pts_ns, double speed)
{
    double s = (double) pts_ns * 1e-9 * speed;
    double u = phase(s, 7.0), v = phase(s, 1.6);
    return (struct ph_ball_place){ .across = u < 0.5 ? 2 * u : 2 - 2 * u,
                                   .height = 4 * v * (1 - v) };
}
