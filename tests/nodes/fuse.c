// SPDX-License-Identifier: MIT
// Three cameras round one scene whose surfaces are known.
#include "run.h"

#include "image/pose.h"
#include "nodes/source/scene_render.h"

#include <math.h>

#define HEIGHT   2.0
#define DISTANCE 6.0
#define FOV      60.0

// The scene's world has y up, that of poses y down: turned by half about x.
static void pose_of(char text[PH_POSE_TEXT], double angle_deg)
{
    struct ph_scene_camera c;
    struct ph_pose p;
    ph_scene_camera_at(&c, angle_deg / 360, 0, 64, 48, HEIGHT, DISTANCE, FOV);
    for (int i = 0; i < 3; i++) {
        double sign = i ? -1 : 1;
        p.r[3 * i] = sign * (double) c.right[i];
        p.r[3 * i + 1] = sign * (double) c.down[i];
        p.r[3 * i + 2] = sign * (double) c.forward[i];
        p.t[i] = sign * (double) c.eye[i];
    }
    ph_pose_print(&p, text);
}

#define CAMERA(name, size, fps, angle)                                                         \
    name ": scene " size " fps=" fps " orbit=0 spin=0 height=2 distance=6 fov=60 smooth=off "  \
         "angle=" angle " -> " name "rest: null\n" name ".depth -> " name                      \
         "s: steady smooth=0 far=13 -> " name "c: cloud stride=1 -> "                          \
         "fuse."

static void open_three(struct run *r, const char *more)
{
    char poses[3][PH_POSE_TEXT], text[4096];
    for (int i = 0; i < 3; i++) pose_of(poses[i], 120 * i);
    snprintf(text, sizeof text,
             "fuse: fuse %s pose1=\"%s\" pose2=\"%s\" pose3=\"%s\" -> live: live\n" CAMERA(
                 "a", "160x120", "10",
                 "0") "in1\n" CAMERA("b", "128x96", "10",
                                     "120") "in2\n" CAMERA("c", "96x104", "20", "240") "in3\n",
             more, poses[0], poses[1], poses[2]);
    run_open(r, text);
}

static const struct ph_points *points(const struct run *r, int i)
{
    if (i >= r->count) TEST_FAIL("there is no frame %d: %d came; %s", i, r->count, r->problem);
    CHECK_INT(r->frames[i]->kind, ==, PH_POINTS);
    return &r->frames[i]->points;
}

TEST(points_of_three_fused_views_lie_on_the_surfaces_of_the_scene)
{
    static struct run r;
    open_three(&r, "voxel=0");
    run_until(&r, 0.25);
    CHECK_INT(r.count, >=, 3);
    const struct ph_points *p = points(&r, 2);
    int off = 0;
    CHECK_INT(p->views, ==, 3);
    CHECK_INT(p->count, >, 20000);
    for (int i = 0; i < p->count; i++) {
        const float *q = p->xyz + 3 * i, world[3] = { q[0], q[1], -q[2] };
        double far = (double) ph_scene_distance(world, 0);
        CHECK_NUM(far, <, 0.01);
        off += far > 1e-4;
    }
    // a ray that only grazes a thing ends beside it
    if (off > p->count / 1000) TEST_FAIL("%d of %d points lie off the surface", off, p->count);
    run_close(&r);
}

TEST(a_fused_cloud_is_thinned_the_same_way_each_time)
{
    static struct run a, b;
    open_three(&a, "voxel=0.05");
    open_three(&b, "voxel=0.05");
    run_until(&a, 0.35);
    run_until(&b, 0.35);
    CHECK_INT(a.count, ==, b.count);
    for (int i = 0; i < a.count; i++) {
        const struct ph_points *p = points(&a, i), *q = points(&b, i);
        CHECK_INT(p->count, ==, q->count);
        CHECK(!memcmp(p->xyz, q->xyz, sizeof(float) * 3 * (size_t) p->count));
        CHECK(!memcmp(p->rgb, q->rgb, 3 * (size_t) p->count));
        if (i) CHECK(a.frames[i]->pts_ns > a.frames[i - 1]->pts_ns);
        if (i) CHECK(a.frames[i]->id > a.frames[i - 1]->id);
    }
    // what stands still does not shimmer
    CHECK(!memcmp(points(&a, 1)->xyz, points(&a, 2)->xyz, 12 * (size_t) points(&a, 1)->count));
    run_set(&a, "fuse", "most", "1000");
    run_until(&a, 0.5);
    CHECK_INT(points(&a, a.count - 1)->count, ==, 1000);
    run_close(&a);
    run_close(&b);
}

static uint64_t offline_hash(int *count)
{
    static struct run r;
    r.par = (struct ph_graph_params){ .mode = PH_OFFLINE, .frames = 20 };
    uint64_t hash = 1469598103934665603u;
    // lanes of their own, and one view slower than the other
    run_open(&r, "fuse: fuse voxel=0.05 -> live: live\n"
                 "a: scene 64x48 fps=10 -> null\n"
                 "a.depth => steady near=1 far=13 -> cloud -> fuse.in1\n"
                 "b: scene 96x72 fps=20 -> null\n"
                 "b.depth => steady near=1 far=13 -> cloud -> fuse.in2");
    ph_graph_start(r.graph);
    CHECK_INT(ph_graph_wait(r.graph, -1), ==, PH_EOF);
    *count = r.count;
    for (int i = 0; i < r.count; i++) {
        const struct ph_points *p = points(&r, i);
        for (int k = 0; k < 3 * p->count; k++) {
            uint32_t bits;
            memcpy(&bits, &p->xyz[k], sizeof bits);
            hash = (hash ^ bits) * 1099511628211u;
        }
        hash = (hash ^ (uint64_t) r.frames[i]->pts_ns) * 1099511628211u;
    }
    run_close(&r);
    return hash;
}

TEST(a_film_of_two_views_is_the_same_however_the_lanes_ran)
{
    int count, again;
    uint64_t first = offline_hash(&count);
    CHECK_INT(count, >=, 10);
    for (int i = 0; i < 5; i++) {
        CHECK(offline_hash(&again) == first);
        CHECK_INT(again, ==, count);
    }
}

static void watch(void *opaque, struct ph_graph *g)
{
    struct run *r = opaque;
    r->sub = (struct ph_subscriber){ .deliver = run_deliver, .opaque = r };
    ph_graph_subscribe(g, "live", &r->sub);
}

static void leave(void *opaque, struct ph_graph *g)
{
    struct run *r = opaque;
    ph_graph_unsubscribe(g, &r->sub);
}

// On the real clock, until `live` has seen 25 frames.
static void run_live(struct run *r, const char *text, const char *journal)
{
    struct ph_fault fault = { 0 };
    struct ph_graph *g;
    if (ph_graph_create(&g, text,
                        ph_graph_params(.mode = PH_LIVE, .frames = 25, .journal = journal),
                        &fault) < 0)
        TEST_FAIL("%s", fault.message);
    watch(r, g);
    CHECK_OK(ph_graph_start(g));
    CHECK_INT(ph_graph_wait(g, -1), ==, PH_EOF);
    leave(r, g);
    ph_graph_destroy(&g);
}

static bool same_cloud(const struct ph_frame *a, const struct ph_frame *b)
{
    return a->points.count == b->points.count && a->points.views == b->points.views &&
           a->pts_ns == b->pts_ns && a->id == b->id &&
           !memcmp(a->points.xyz, b->points.xyz, 12 * (size_t) a->points.count) &&
           !memcmp(a->points.rgb, b->points.rgb, 3 * (size_t) a->points.count);
}

// Sources of the graph's own, whose capture times are those of lanes: a replay has others.
TEST_LIMIT(a_replay_joins_the_clouds_that_the_live_run_joined, 120)
{
    static struct run live, again;
    char journal[64];
    struct ph_fault fault = { 0 };
    snprintf(journal, sizeof journal, "/tmp/ph-fuse-%d", (int) getpid());
    run_live(&live,
             "fuse: fuse voxel=0.05 window=0.03 -> live: live\n"
             "a: scene 32x24 fps=50 -> null\n"
             "a.depth => steady near=1 far=13 -> cloud -> fuse.in1\n"
             "b: scene 48x36 fps=70 angle=40 -> null\n"
             "b.depth => steady near=1 far=13 -> cloud -> fuse.in2",
             journal);
    CHECK_INT(live.count, >=, 5);
    struct ph_replay_params par = { .started = watch, .ended = leave, .opaque = &again };
    if (ph_replay(journal, &par, &fault) < 0) TEST_FAIL("%s", fault.message);
    unlink(journal);
    CHECK_INT(again.count, >=, live.count);
    for (int i = 0; i < live.count; i++)
        if (!same_cloud(live.frames[i], again.frames[i])) TEST_FAIL("cloud %d differs", i);
    run_forget(&again);
    run_forget(&live);
}

TEST(who_falls_silent_is_waited_for_no_longer_than_the_window_and_comes_back)
{
    static struct run r;
    open_three(&r, "window=0.25");
    run_until(&r, 0.5);
    CHECK_INT(points(&r, r.count - 1)->views, ==, 3);
    run_set(&r, "b", "fps", "0.001");
    run_until(&r, 2);
    CHECK_INT(points(&r, r.count - 1)->views, ==, 2);
    CHECK_INT(r.frames[r.count - 1]->capture_ns, >=, (int64_t) 1.8e9);
    run_set(&r, "b", "fps", "10");
    run_close(&r);
}

TEST(a_pose_changes_live_and_a_bad_one_leaves_all_as_it_was)
{
    static struct run r;
    open_three(&r, "voxel=0");
    run_until(&r, 0.05);
    float x = points(&r, 0)->xyz[0], y = points(&r, 0)->xyz[1];
    run_set(&r, "fuse", "pose1", "left of the door");
    run_until(&r, 0.15);
    CHECK_HAS(r.problem, "pose1 is six numbers");
    CHECK(points(&r, r.count - 1)->xyz[0] == x);
    char pose[PH_POSE_TEXT];
    struct ph_pose p;
    pose_of(pose, 0);
    CHECK_OK(ph_pose_parse(&p, pose));
    p.t[0] += 1;
    p.t[1] += 2; // down
    ph_pose_print(&p, pose);
    run_set(&r, "fuse", "pose1", pose);
    run_until(&r, 0.25);
    CHECK_STR(r.problem, "");
    CHECK_NUM(fabs((double) (points(&r, r.count - 1)->xyz[0] - x - 1)), <, 1e-4);
    CHECK_NUM(fabs((double) (points(&r, r.count - 1)->xyz[1] - y + 2)), <, 1e-4);
    run_close(&r);
}

// Empty clouds and a single camera are no special cases.
TEST(one_camera_that_sees_nothing_gives_a_cloud_without_points)
{
    static struct run r;
    run_open(&r, "fuse: fuse -> live: live\nscene 64x48 fps=10 -> null\n"
                 "scene.depth -> steady near=500 far=600 -> cloud -> fuse.in4");
    run_until(&r, 0.15);
    CHECK_INT(r.count, ==, 2);
    CHECK_INT(points(&r, 0)->count, ==, 0);
    CHECK_INT(points(&r, 0)->views, ==, 1);
    run_close(&r);
}
