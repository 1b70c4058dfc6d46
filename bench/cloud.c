// SPDX-License-Identifier: MIT
// Depth to points with every filter on, one core, without a model: what the graph adds to one.
#include "bench.h"

#include "image/cloud.h"
#include "image/depth.h"
#include "image/steady.h"
#include "nodes/encode/depth16.h"
#include "nodes/encode/msgpack.h"

#include <math.h>
#include <stdlib.h>

enum { W = 504, H = 378 };

struct state {
    struct ph_frame *raw[4], *map, *kept, *confidence, *color, *points;
    struct ph_steady *film;
    struct ph_depth16 *packer;
    uint8_t *out;
    size_t room;
    int turn;
};

static float *row_of(struct ph_frame *f, int y)
{
    return (float *) (void *) (f->picture.data[0] + y * f->picture.stride[0]);
}

// A slanted wall with a box before it and some noise; relative depth, its scale drifting.
static void draw(struct ph_frame *f, int turn, bool confidence)
{
    uint32_t seed = 7 + (uint32_t) turn;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            seed = seed * 1664525 + 1013904223;
            float noise = (float) (seed >> 16) / 65536;
            bool box = x > 150 + 4 * turn && x < 260 + 4 * turn && y > 120 && y < 300;
            float d =
                (box ? 3 : 1 + (float) x / W) * (1 + 0.02f * (float) turn) + 0.01f * noise;
            row_of(f, y)[x] = confidence ? 1 + noise : d;
        }
}

static bool prepare(struct state *s)
{
    bool ok = ph_steady_create(&s->film) == PH_OK;
    struct ph_frame **maps[] = { &s->map, &s->kept, &s->confidence };
    for (int i = 0; i < 4 && ok; i++) {
        ok = ph_frame_picture(NULL, PH_INVERSEF, W, H, &s->raw[i]) == PH_OK;
        if (ok) draw(s->raw[i], i, false);
    }
    for (int i = 0; i < 3 && ok; i++)
        ok = ph_frame_picture(NULL, PH_DEPTHF, W, H, maps[i]) == PH_OK;
    ok = ok && ph_frame_picture(NULL, PH_RGBA, W, H, &s->color) == PH_OK &&
         ph_frame_points(NULL, W * H + PH_CLOUD_SLACK, &s->points) == PH_OK;
    if (!ok) return false;
    draw(s->confidence, 0, true);
    s->room = PH_CLOUD_HEAD + 15 * W * H;
    s->out = malloc(s->room);
    return s->out && ph_depth16_create(&s->packer) == PH_OK;
}

static void clean(struct state *s)
{
    for (int i = 0; i < 4; i++) ph_frame_unref(&s->raw[i]);
    ph_frame_unref(&s->map);
    ph_frame_unref(&s->kept);
    ph_frame_unref(&s->confidence);
    ph_frame_unref(&s->color);
    ph_frame_unref(&s->points);
    ph_steady_destroy(&s->film);
    free(s->out);
    ph_depth16_destroy(&s->packer);
}

static const struct ph_intrinsics lens = { 400, 400, W / 2, H / 2 };

static void cloud_once(void *arg)
{
    struct state *s = arg;
    struct ph_steady_params par = { PH_FIT_SCALE_SHIFT, 0.8f };
    struct ph_picture *map = &s->map->picture;
    float values[4096];
    ph_steady_apply(s->film, map, &s->raw[s->turn++ & 3]->picture, &par, NULL);
    int n = ph_depth_sample(values, 4096, map);
    float hi = ph_percentile(values, n, 98), lo = ph_percentile(values, n, 2);
    ph_depth_metres(map, map, lo, hi, 0.3f, 12);
    struct ph_depth_rule rule = { .near = 0.3f,
                                  .far = 12.1f,
                                  .edge = 0.05f,
                                  .confidence = ph_depth_confidence(&s->confidence->picture, 20,
                                                                    -INFINITY) };
    ph_depth_keep(&s->kept->picture, map, &s->confidence->picture, &rule);
    s->points->points.count =
        ph_cloud_unproject(s->points->points.xyz, s->points->points.rgb, &s->kept->picture,
                           &s->color->picture, &lens, 1);
}

static void pack_once(void *arg)
{
    struct state *s = arg;
    ph_cloud_pack(s->out, &s->points->points, "2026-01-02T03:04:05.678901", 0);
}

static void depth16_once(void *arg)
{
    struct state *s = arg;
    ph_depth16_pack(s->packer, s->out, s->room, &s->kept->picture, &lens, 13, NULL, 0);
}

static void time_one(struct bench *b, const char *name, void (*once)(void *arg),
                     struct state *s, double bar)
{
    if (!bench_begin(b, name)) return;
    struct bench_timing t = bench_time(b, once, s);
    bench_add(b, (struct bench_result){ .value = t.p50_ns / 1e6,
                                        .unit = "ms",
                                        .p50 = t.p50_ns / 1e6,
                                        .p99 = t.p99_ns / 1e6,
                                        .n = t.n,
                                        .bar = bar,
                                        .less = true });
}

void bench_cloud(struct bench *b)
{
    struct state s = { 0 };
    if (!bench_counting(b) && bench_wants(b, "cloud/")) {
        if (!prepare(&s)) {
            bench_skip(b, "cloud/points-378x504", "out of memory");
            clean(&s);
            return;
        }
        cloud_once(&s);
    }
    time_one(b, "cloud/points-378x504", cloud_once, &s, 1.0);
    time_one(b, "cloud/msgpack-378x504", pack_once, &s, 0.1);
    time_one(b, "cloud/depth16-378x504", depth16_once, &s, 0);
    clean(&s);
}
