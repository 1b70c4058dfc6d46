// SPDX-License-Identifier: MIT
// From the depth of a scene to points, and to the messages that viewers get.
#include "../golden.h"
#include "run.h"

#include "config.h"
#include "image/cloud_file.h"
#include "core/json.h"
#include "nodes/encode/depth16.h"
#include "nodes/encode/msgpack.h"
#include "nodes/source/scene_render.h"
#include "nodes/tape_file.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>
#if PH_HAVE_SERVER
#include <zlib.h>
#endif

static const struct ph_points *run_points(const struct run *r, int i)
{
    if (i >= r->count) TEST_FAIL("there is no frame %d: %d came; %s", i, r->count, r->problem);
    CHECK_INT(r->frames[i]->kind, ==, PH_POINTS);
    return &r->frames[i]->points;
}

#define SCENE "scene 192x144 fps=10 orbit=8 spin=0 height=2 distance=6 fov=60 -> rest: null\n"

// A point of the scene's first camera in the world, y up.
static void to_world(float out[3], const struct ph_scene_camera *c, const float p[3])
{
    for (int i = 0; i < 3; i++)
        out[i] = c->eye[i] + c->right[i] * p[0] - c->down[i] * p[1] + c->forward[i] * p[2];
}

TEST(points_of_three_views_lie_on_the_ground_of_one_world)
{
    static struct run r;
    run_open(&r, SCENE "scene.depth -> steady smooth=0 edge=0 far=0 -> cloud stride=1 -> live");
    run_until(&r, 2.05);
    CHECK_INT(r.count, >=, 20);
    for (int view = 0; view < 3; view++) {
        const struct ph_points *p = run_points(&r, view * 10);
        struct ph_scene_camera c;
        ph_scene_camera(&c, r.frames[view * 10]->pts_ns, 192, 144, 8, 2, 6, 60);
        int ground = 0;
        CHECK_INT(p->count, >, 192 * 144 / 2);
        for (int i = 0; i < p->count; i++) {
            float w[3];
            to_world(w, &c, p->xyz + 3 * i);
            CHECK_NUM((double) w[1], >, -2e-3); // nothing is below it
            double aside = fmax(fabs((double) w[0]), fabs((double) w[2]));
            if (aside < 2.6 || aside > 5) continue; // where nothing else stands
            CHECK_NUM(fabs((double) w[1]), <, 1e-3);
            ground++;
        }
        CHECK_INT(ground, >, 500);
    }
    run_close(&r);
}

TEST(points_have_the_colours_of_their_pixels)
{
    static struct run r;
    run_open(
        &r,
        "scene 64x48 fps=10 -> rest: null\n"
        "scene.depth -> steady smooth=0 edge=0 far=0 -> points: cloud stride=1 -> live: live\n"
        "scene.out -> points.picture\nscene.out -> seen: delay -> live");
    run_until(&r, 0);
    const struct ph_points *p = NULL;
    const struct ph_picture *picture = NULL;
    for (int i = 0; i < r.count; i++)
        if (r.frames[i]->kind == PH_POINTS)
            p = &r.frames[i]->points;
        else
            picture = &r.frames[i]->picture;
    CHECK(p && picture);
    const struct ph_frame *f = r.frames[0]->kind == PH_POINTS ? r.frames[0] : r.frames[1];
    const struct ph_intrinsics *lens = &f->intrinsics;
    for (int i = 0; i < p->count; i++) {
        const float *at = p->xyz + 3 * i;
        int u = (int) (at[0] / at[2] * lens->fx + lens->cx);
        int v = (int) (-at[1] / at[2] * lens->fy + lens->cy);
        uint32_t want = px(picture, u, v);
        const uint8_t *rgb = p->rgb + 3 * i;
        CHECK_INT((rgb[0] << 16 | rgb[1] << 8 | rgb[2]), ==, (int) (want >> 8));
    }
    run_close(&r);
}

TEST(stride_voxels_and_the_angle_of_view_change_live)
{
    static struct run r;
    run_open(&r, SCENE "scene.depth -> steady smooth=0 -> cloud: cloud stride=1 -> live");
    run_until(&r, 0);
    int all = run_points(&r, 0)->count;
    run_set(&r, "cloud", "stride", "3");
    run_until(&r, 0.1);
    int ninth = run_points(&r, 1)->count;
    CHECK_NUM(fabs(9.0 * ninth / all - 1), <, 0.1);
    run_set(&r, "cloud", "voxel", "0.5");
    run_until(&r, 0.2);
    CHECK_INT(run_points(&r, 2)->count, <, ninth / 2);
    run_set(&r, "cloud", "fov", "90");
    run_until(&r, 0.3);
    CHECK_NUM((double) r.frames[3]->intrinsics.fx, ==, 96);
    run_close(&r);
}

TEST(edges_and_limits_leave_points_out)
{
    static struct run a, b, c;
    run_open(&a, SCENE "scene.depth -> steady smooth=0 edge=0 far=0 -> cloud -> live");
    run_open(&b, SCENE "scene.depth -> steady smooth=0 edge=0.02 far=0 -> cloud -> live");
    run_open(&c, SCENE "scene.depth -> steady smooth=0 edge=0 near=4 far=6 -> cloud -> live");
    run_until(&a, 0);
    run_until(&b, 0);
    run_until(&c, 0);
    int all = run_points(&a, 0)->count;
    CHECK_INT(run_points(&b, 0)->count, <, all);
    CHECK_INT(run_points(&b, 0)->count, >, all / 2);
    CHECK_INT(run_points(&c, 0)->count, <, all);
    for (int i = 0; i < run_points(&c, 0)->count; i++) {
        float z = run_points(&c, 0)->xyz[3 * i + 2];
        CHECK(z >= 3.999f && z <= 6.001f);
    }
    run_close(&a);
    run_close(&b);
    run_close(&c);
}

TEST(what_is_no_depth_is_refused_by_name)
{
    static struct run r;
    run_open(&r, "pattern size=32x32 fps=10 -> steady -> cloud -> live");
    run_until(&r, 0.1);
    CHECK_HAS(r.problem, "depthf");
    CHECK_INT(r.count, ==, 0);
    run_close(&r);
    run_open(&r, "pattern size=32x32 fps=10 -> cloud -> live");
    run_until(&r, 0.1);
    CHECK_HAS(r.problem, "steady");
    run_close(&r);
    run_open(&r, "pattern size=32x32 fps=10 -> depth16 -> live");
    run_until(&r, 0.1);
    CHECK_HAS(r.problem, "steady");
    run_close(&r);
}

TEST(the_same_film_has_the_same_messages)
{
    static const char text[] = SCENE "scene.depth -> s: steady -> c: cloud -> msgpack -> live: "
                                     "live\nscene.out -> c.picture\n"
                                     "s -> depth16 -> live";
    static struct run a, b;
    run_open(&a, text);
    run_open(&b, text);
    run_until(&a, 0.5);
    run_until(&b, 0.5);
    CHECK_INT(a.count, >=, 10);
    CHECK_INT(a.count, ==, b.count);
    for (int i = 0; i < a.count; i++) {
        const struct ph_packet *p = &a.frames[i]->packet, *q = &b.frames[i]->packet;
        CHECK(p->codec == q->codec && p->size == q->size);
        if (p->codec == PH_DEPTH16) CHECK(!memcmp(p->data, q->data, p->size));
    }
    run_close(&a);
    run_close(&b);
}

// --- MessagePack, byte for byte

static uint8_t *file_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    CHECK(f && bytes);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void fill_cloud(struct ph_points *p, int n)
{
    p->count = n;
    for (int i = 0; i < n; i++) {
        p->xyz[3 * i] = (float) (i * 0.25 - 1);
        p->xyz[3 * i + 1] = (float) sin(i * 0.1);
        p->xyz[3 * i + 2] = (float) (1 + (i % 97) / 64.0);
        p->rgb[3 * i] = (uint8_t) i;
        p->rgb[3 * i + 1] = (uint8_t) (i * 7);
        p->rgb[3 * i + 2] = (uint8_t) (i * 31 + 5);
    }
}

TEST(a_message_is_what_an_existing_viewer_reads)
{
    static const struct {
        const char *file, *timestamp;
        int count, views;
    } cases[] = {
        { "depth/cloud/msg_0.msgpack", "2026-01-02T03:04:05.678901", 0, 0 },
        { "depth/cloud/msg_5.msgpack", "2026-01-02T03:04:05.678901", 5, 0 },
        { "depth/cloud/msg_21.msgpack", "2026-01-02T03:04:05", 21, 0 },
        { "depth/cloud/msg_22_v2.msgpack", "2026-01-02T03:04:05.000001", 22, 2 },
        { "depth/cloud/msg_127.msgpack", "2026-11-30T23:59:59.999999", 127, 0 },
        { "depth/cloud/msg_128_v3.msgpack", "2026-11-30T23:59:59.999999", 128, 3 },
        { "depth/cloud/msg_256.msgpack", "2026-05-06T07:08:09.101112", 256, 0 },
    };
    struct ph_frame *f;
    CHECK_OK(ph_frame_points(NULL, 256, &f));
    uint8_t *out = malloc(PH_CLOUD_HEAD + 256 * 15);
    CHECK(out);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t want;
        uint8_t *bytes = file_bytes(golden(cases[i].file), &want);
        fill_cloud(&f->points, cases[i].count);
        size_t got = ph_cloud_pack(out, &f->points, cases[i].timestamp, cases[i].views);
        if (got != want || memcmp(out, bytes, want))
            TEST_FAIL("%s: %zu bytes, want %zu", cases[i].file, got, want);
        free(bytes);
    }
    free(out);
    ph_frame_unref(&f);
}

TEST(a_large_cloud_has_its_sizes_in_four_bytes)
{
    struct ph_frame *f;
    CHECK_OK(ph_frame_points(NULL, 70000, &f));
    f->points.count = 70000;
    memset(f->points.xyz, 0, 70000 * 12);
    memset(f->points.rgb, 0, 70000 * 3);
    uint8_t *out = malloc(PH_CLOUD_HEAD + 70000 * 15);
    CHECK(out);
    size_t size = ph_cloud_pack(out, &f->points, "2026-01-02T03:04:05", 0);
    CHECK_INT(size, ==, 87 + 840000 + 210000);
    CHECK(!memcmp(out + 58, "\xce\x00\x01\x11\x70\xa6points\xc6\x00\x0c\xd1\x40", 17));
    free(out);
    ph_frame_unref(&f);
}

// --- 16 bits

#if PH_HAVE_SERVER
static float f32_at(const uint8_t *at)
{
    float v;
    memcpy(&v, at, 4);
    return v;
}

TEST(sixteen_bits_give_the_depth_back)
{
    enum { W = 61, H = 37 };
    struct ph_frame *f;
    static uint8_t bytes[W * H * 2];
    struct ph_depth16 *p;
    CHECK_OK(ph_depth16_create(&p));
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, W, H, &f));
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            float *z = (float *) (void *) (f->picture.data[0] + y * f->picture.stride[0]) + x;
            *z = (x + y) % 11 == 0   ? 0
                 : (x + y) % 13 == 0 ? INFINITY
                                     : 1 + (float) ((x * 31 + y * 17) % 997) / 100;
        }
    size_t room = ph_depth16_bound(W, H, 5);
    uint8_t *out = malloc(room);
    CHECK(out);
    struct ph_intrinsics lens = { 50, 51, 30, 18 };
    for (int bits = 8; bits <= 16; bits++) {
        size_t size = ph_depth16_pack(p, out, room, &f->picture, &lens, bits,
                                      (const uint8_t *) "\xff\xd8\xff\xd9!", 5);
        CHECK_INT(size, >, 0);
        CHECK(f32_at(out) == 50 && f32_at(out + 12) == 18 && out[32] == 5 && out[36] == 1);
        uLongf n = sizeof bytes;
        CHECK_INT(uncompress(bytes, &n, out + PH_DEPTH16_HEAD + 5, size - PH_DEPTH16_HEAD - 5),
                  ==, Z_OK);
        CHECK_INT(n, ==, sizeof bytes);
        float scale = f32_at(out + 16), bias = f32_at(out + 20);
        for (int y = 0; y < H; y++) {
            uint16_t q = 0;
            const float *row =
                (const float *) (const void *) (f->picture.data[0] + y * f->picture.stride[0]);
            for (int x = 0; x < W; x++) {
                int i = y * W + x;
                q = (uint16_t) (q + (bytes[i] | bytes[W * H + i] << 8));
                bool there = row[x] > 0 && row[x] < INFINITY;
                CHECK_INT(q > 0, ==, there);
                CHECK_INT(q, <, 1 << bits);
                if (!there) continue;
                CHECK_NUM(fabs((double) ((float) q * scale + bias - row[x])), <=,
                          0.51 * (double) scale);
            }
        }
    }
    // confidence, behind the depth that an old viewer reads to its end
    struct ph_frame *sure;
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, W, H, &sure));
    for (int i = 0; i < W * H; i++)
        ((float *) (void *) (sure->picture.data[0] + i / W * sure->picture.stride[0]))[i % W] =
            i == 5 ? NAN : 1 + (float) (i * 7 % 613) / 100;
    size_t extra = ph_depth16_confidence(p, out, room, &sure->picture);
    CHECK_INT(extra, >, PH_DEPTH16_TAIL);
    const uint8_t *tail = out + extra - PH_DEPTH16_TAIL;
    CHECK_INT((size_t) (tail[8] | tail[9] << 8), ==, extra - PH_DEPTH16_TAIL);
    uLongf packed = sizeof bytes;
    CHECK_INT(uncompress(bytes, &packed, out, extra - PH_DEPTH16_TAIL), ==, Z_OK);
    CHECK_INT(packed, ==, W * H);
    for (int i = 0, value = 0; i < W * H; i++) {
        value = i % W ? (value + bytes[i]) & 255 : bytes[i];
        double c = (double) value * (double) f32_at(tail) + (double) f32_at(tail + 4);
        double want = i == 5 ? 1 : 1 + i * 7 % 613 / 100.0;
        CHECK_NUM(fabs(c - want), <=, 0.51 * (double) f32_at(tail) + 1e-5);
    }
    ph_frame_unref(&sure);
    // a wall: all at one depth, and all of it there
    for (int i = 0; i < W * H; i++)
        ((float *) (void *) (f->picture.data[0] + i / W * f->picture.stride[0]))[i % W] = 2;
    size_t wall = ph_depth16_pack(p, out, room, &f->picture, &lens, 16, NULL, 0);
    uLongf flat = sizeof bytes;
    CHECK_INT(uncompress(bytes, &flat, out + PH_DEPTH16_HEAD, wall - PH_DEPTH16_HEAD), ==,
              Z_OK);
    CHECK_INT((bytes[0] | bytes[W * H] << 8), ==, 1);
    CHECK_NUM(fabs((double) (f32_at(out + 16) + f32_at(out + 20) - 2)), <, 1e-6);
    for (int y = 0; y < H; y++) memset(f->picture.data[0] + y * f->picture.stride[0], 0, W * 4);
    CHECK_INT(ph_depth16_pack(p, out, room, &f->picture, &lens, 13, NULL, 0), >, 0);
    free(out);
    ph_depth16_destroy(&p);
    ph_frame_unref(&f);
}
#endif

TEST(a_scene_seen_aslant_is_less_certain_than_one_seen_squarely)
{
    struct ph_scene_camera c;
    struct ph_frame *color, *depth, *sure;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 96, 72, &color));
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 96, 72, &depth));
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 96, 72, &sure));
    ph_scene_camera(&c, 0, 96, 72, 0, 5, 6, 60);
    ph_scene_render(&color->picture, &depth->picture, &c, 0, false);
    ph_scene_confidence(&sure->picture, &depth->picture, &c.lens);
    float corner, near_ground, far_ground;
    memcpy(&corner, sure->picture.data[0], 4);
    memcpy(&near_ground, sure->picture.data[0] + 70 * sure->picture.stride[0] + 4 * 20, 4);
    memcpy(&far_ground, sure->picture.data[0] + 8 * sure->picture.stride[0] + 4 * 20, 4);
    CHECK_NUM((double) corner, ==, 1);
    CHECK_NUM((double) near_ground, >, (double) far_ground + 0.05);
    CHECK_NUM((double) near_ground, <=, 2);
    ph_frame_unref(&color);
    ph_frame_unref(&depth);
    ph_frame_unref(&sure);
}

// --- files

static struct ph_frame *some_points(int n)
{
    struct ph_frame *f;
    CHECK_OK(ph_frame_points(NULL, n ? n : 1, &f));
    fill_cloud(&f->points, n);
    return f;
}

static float f32_of(const uint8_t *at)
{
    float v;
    memcpy(&v, at, 4);
    return v;
}

static uint32_t u32_of(const uint8_t *at)
{
    return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

TEST(a_ply_file_gives_the_points_and_colours_back)
{
    struct ph_frame *f = some_points(300);
    uint8_t *out = malloc(ph_cloud_file_bound(300));
    CHECK(out);
    size_t size = ph_cloud_file(out, PH_CLOUD_PLY, &f->points);
    const char *end = strstr((const char *) out, "end_header\n");
    CHECK(end && strstr((const char *) out, "format binary_little_endian 1.0\n"));
    CHECK_HAS((const char *) out, "element vertex 300\n");
    const uint8_t *at = (const uint8_t *) end + 11;
    CHECK_INT(size, ==, (size_t) (at - out) + 15 * 300);
    for (int i = 0; i < 300; i++, at += 15) {
        CHECK(f32_of(at) == f->points.xyz[3 * i] && f32_of(at + 4) == f->points.xyz[3 * i + 1]);
        CHECK(f32_of(at + 8) == -f->points.xyz[3 * i + 2]); // not mirrored: z is backward
        CHECK(!memcmp(at + 12, f->points.rgb + 3 * i, 3));
    }
    free(out);
    ph_frame_unref(&f);
}

static double number_at(const struct ph_json *list, int index)
{
    const struct ph_json *v = list ? list->child : NULL;
    while (v && index--) v = v->next;
    return ph_json_double(v, NAN);
}

static const struct ph_json *item(const struct ph_json *list, int index)
{
    const struct ph_json *v = list ? list->child : NULL;
    while (v && index--) v = v->next;
    CHECK(v);
    return v;
}

static int whole(const struct ph_json *v, const char *key)
{
    return (int) ph_json_double(ph_json_get(v, key), -1);
}

// What a ray without an end gives: readers refuse files that hold it.
TEST(points_that_are_nowhere_are_left_out_of_files)
{
    struct ph_frame *f = some_points(300), *few = some_points(297);
    uint8_t *out = malloc(ph_cloud_file_bound(300)), *want = malloc(ph_cloud_file_bound(300));
    CHECK(out && want);
    f->points.xyz[3 * 299] = NAN;
    f->points.xyz[3 * 298 + 1] = INFINITY;
    f->points.xyz[3 * 297 + 2] = -INFINITY;
    for (int kind = PH_CLOUD_PLY; kind <= PH_CLOUD_GLB; kind++) {
        few->points.count = 297;
        memcpy(few->points.xyz, f->points.xyz, 297 * 3 * sizeof(float));
        memcpy(few->points.rgb, f->points.rgb, 297 * 3);
        size_t size = ph_cloud_file(out, (enum ph_cloud_kind) kind, &f->points);
        CHECK_INT(size, ==, ph_cloud_file(want, (enum ph_cloud_kind) kind, &few->points));
        CHECK(!memcmp(out, want, size));
    }
    for (int i = 0; i < 300; i++)
        f->points.xyz[3 * i] = NAN; // nothing at all is an empty scene
    size_t size = ph_cloud_file(out, PH_CLOUD_GLB, &f->points);
    few->points.count = 0;
    CHECK_INT(size, ==, ph_cloud_file(want, PH_CLOUD_GLB, &few->points));
    CHECK(!memcmp(out, want, size));
    free(out);
    free(want);
    ph_frame_unref(&f);
    ph_frame_unref(&few);
}

TEST(a_glb_file_is_what_the_format_asks_for)
{
    for (int n = 0; n < 401; n += n < 8 ? 1 : 131) {
        struct ph_frame *f = some_points(n);
        struct ph_json_doc *doc;
        struct ph_fault fault = { 0 };
        uint8_t *out = malloc(ph_cloud_file_bound(n));
        CHECK(out);
        size_t size = ph_cloud_file(out, PH_CLOUD_GLB, &f->points);
        CHECK(size <= ph_cloud_file_bound(n) && !memcmp(out, "glTF\2\0\0\0", 8));
        CHECK_INT(u32_of(out + 8), ==, size);
        uint32_t json = u32_of(out + 12);
        CHECK(!memcmp(out + 16, "JSON", 4) && json % 4 == 0 && size % 4 == 0);
        CHECK_OK(ph_json_parse(&doc, (const char *) out + 20, json, 0, &fault));
        const struct ph_json *root = ph_json_root(doc);
        if (!n) {
            CHECK(size == 20 + json && !ph_json_get(root, "accessors"));
        } else {
            const uint8_t *bin = out + 20 + json;
            const struct ph_json *views = ph_json_get(root, "bufferViews"),
                                 *position = item(ph_json_get(root, "accessors"), 0),
                                 *color = item(ph_json_get(root, "accessors"), 1);
            CHECK(!memcmp(bin + 4, "BIN\0", 4) && size == 28 + json + u32_of(bin));
            CHECK_INT(whole(item(ph_json_get(root, "buffers"), 0), "byteLength"), ==,
                      (int) u32_of(bin));
            CHECK(whole(position, "count") == n && whole(color, "count") == n);
            int offset = whole(item(views, 1), "byteOffset");
            CHECK(offset % 4 == 0 && whole(item(views, 1), "byteStride") % 4 == 0);
            CHECK_INT(offset + whole(item(views, 1), "byteLength"), ==, (int) u32_of(bin));
            for (int i = 0; i < n; i++)
                for (int k = 0; k < 3; k++) {
                    float v = f32_of(bin + 8 + 12 * i + 4 * k);
                    CHECK(v == f->points.xyz[3 * i + k] * (k == 2 ? -1 : 1));
                    CHECK(v >= (float) number_at(ph_json_get(position, "min"), k));
                    CHECK(v <= (float) number_at(ph_json_get(position, "max"), k));
                    const uint8_t *c = bin + 8 + offset + 8 * i + 2 * k;
                    double linear = (c[0] | c[1] << 8) / 65535.0; // back to sRGB
                    double s = linear <= 0.0031308 ? linear * 12.92
                                                   : 1.055 * pow(linear, 1 / 2.4) - 0.055;
                    CHECK_INT((int) lround(s * 255), ==, f->points.rgb[3 * i + k]);
                }
        }
        ph_json_free(&doc);
        free(out);
        ph_frame_unref(&f);
    }
}

TEST(export_refuses_other_files_and_writes_whole_ones)
{
    static struct run r;
    struct ph_fault fault = { 0 };
    char folder[] = "/tmp/ph-export-XXXXXX", text[256], path[128];
    CHECK(mkdtemp(folder));
    CHECK_INT(run_try(&r, "scene -> null\nscene.depth -> cloud -> export a.obj", &fault), <, 0);
    CHECK_HAS(fault.message, ".glb");
    snprintf(text, sizeof text,
             SCENE "scene.depth -> steady -> c: cloud -> export %s/c-%%02d.ply\nc -> live",
             folder);
    run_open(&r, text);
    run_until(&r, 0.15);
    CHECK_INT(r.count, ==, 2);
    for (int i = 0; i < 2; i++) {
        size_t size;
        snprintf(path, sizeof path, "%s/c-%02d.ply", folder, i);
        uint8_t *bytes = file_bytes(path, &size);
        char want[64];
        snprintf(want, sizeof want, "element vertex %d\n", run_points(&r, i)->count);
        CHECK_HAS((const char *) bytes, want);
        free(bytes);
        unlink(path);
    }
    run_close(&r);
    rmdir(folder);
}

#define TAPE                                                                                   \
    SCENE "scene.depth -> s: steady -> d: depth16 -> live: live\n"                             \
          "scene.confidence -> d.confidence\n"

TEST(a_tape_plays_the_same_bytes_and_can_be_wound)
{
    static struct run a, b;
    struct ph_fault fault = { 0 };
    char path[] = "/tmp/ph-tape-XXXXXX.phs", text[512];
    close(mkstemps(path, 4));
    snprintf(text, sizeof text, TAPE "d -> tape %s overwrite=on", path);
    run_open(&a, text);
    run_until(&a, 0.95);
    CHECK_INT(a.count, ==, 10);
    snprintf(text, sizeof text, "play: play %s -> live", path);
    run_open(&b, text);
    run_until(&b, 1.55); // and round again
    CHECK_INT(b.count, >=, 14);
    for (int i = 0; i < b.count; i++) {
        const struct ph_packet *p = &a.frames[i % 10]->packet, *q = &b.frames[i]->packet;
        CHECK(p->size == q->size && p->extra == q->extra && p->extra > 0);
        CHECK(!memcmp(p->data, q->data, p->size));
        if (i) CHECK(b.frames[i]->pts_ns > b.frames[i - 1]->pts_ns);
    }
    run_set(&b, "play", "speed", "0");
    run_until(&b, 1.8);
    int before = b.count;
    run_set(&b, "play", "position", "0.41");
    run_until(&b, 3);
    CHECK_INT(b.count, ==, before + 1); // it stands there
    CHECK(!memcmp(b.frames[before]->packet.data, a.frames[4]->packet.data,
                  a.frames[4]->packet.size));
    run_close(&b);
    CHECK(!truncate(path, 20)); // torn off in its first header
    CHECK_INT(run_try(&b, text, &fault), ==, PH_EFORMAT);

    snprintf(text, sizeof text, TAPE "d -> tape %s", path);
    CHECK_INT(run_try(&b, text, &fault), ==, PH_EBUSY);
    unlink(path);
    run_close(&a);
}
