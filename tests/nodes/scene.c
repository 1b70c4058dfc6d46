// SPDX-License-Identifier: MIT
#include "run.h"

#include "nodes/source/scene_render.h"
#include "nodes/util.h"

static struct run r;

static float depth_at(const struct ph_picture *p, int x, int y)
{
    float z;
    memcpy(&z, p->data[0] + y * p->stride[0] + 4 * x, sizeof z);
    return z;
}

// Draws one moment into frames of its own.
static void draw(struct ph_frame **color, struct ph_frame **depth, struct ph_scene_camera *c,
                 int w, int h, double seconds, bool smooth)
{
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, w, h, color));
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, w, h, depth));
    ph_scene_camera(c, (int64_t) (seconds * 1e9), w, h, 24, 1.75, 6.2, 50);
    ph_scene_render(&(*color)->picture, &(*depth)->picture, c, seconds / 9, smooth);
}

static void release(struct ph_frame *color, struct ph_frame *depth)
{
    ph_frame_unref(&color);
    ph_frame_unref(&depth);
}

// The point in the world that a pixel shows, by its depth and the camera alone.
static void unproject(const struct ph_scene_camera *c, int x, int y, float z, double out[3])
{
    double u = (x + 0.5 - c->lens.cx) / c->lens.fx, v = (y + 0.5 - c->lens.cy) / c->lens.fy;
    for (int i = 0; i < 3; i++)
        out[i] = c->eye[i] + z * (c->forward[i] + u * c->right[i] + v * c->down[i]);
}

TEST(depth_of_the_ground_puts_its_pixels_on_the_ground)
{
    struct ph_frame *color, *depth;
    struct ph_scene_camera c;
    draw(&color, &depth, &c, 320, 240, 1, false);
    int checked = 0;
    for (int y = 0; y < 240; y += 3)
        for (int x = 0; x < 320; x += 3) {
            float z = depth_at(&depth->picture, x, y);
            double p[3];
            if (!isfinite(z)) continue;
            unproject(&c, x, y, z, p);
            CHECK_NUM(p[1], >, -0.01);
            if (p[0] * p[0] + p[2] * p[2] < 2.4 * 2.4 || z > 30) continue;
            CHECK_NUM(fabs(p[1]), <, 0.002); // outside the things there is only ground
            checked++;
        }
    CHECK_INT(checked, >, 1500);
    release(color, depth);
}

TEST(depth_of_the_pearl_puts_its_pixels_on_a_sphere)
{
    struct ph_frame *color, *depth;
    struct ph_scene_camera c;
    draw(&color, &depth, &c, 320, 240, 0, false);
    int checked = 0;
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 320; x++) {
            double p[3];
            unproject(&c, x, y, depth_at(&depth->picture, x, y), p);
            double d = sqrt((p[0] - 0.95) * (p[0] - 0.95) + (p[1] - 0.24) * (p[1] - 0.24) +
                            (p[2] - 1.25) * (p[2] - 1.25));
            if (d > 0.25 || p[1] < 0.02) continue;
            CHECK_NUM(fabs(d - 0.24), <, 0.008);
            checked++;
        }
    CHECK_INT(checked, >, 200);
    release(color, depth);
}

TEST(the_sky_is_infinitely_far)
{
    struct ph_frame *color, *depth;
    struct ph_scene_camera c;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 64, 48, &color));
    CHECK_OK(ph_frame_picture(NULL, PH_DEPTHF, 64, 48, &depth));
    ph_scene_camera(&c, 0, 64, 48, 24, 0.4, 6.2, 80); // low: the horizon is in the picture
    ph_scene_render(&color->picture, &depth->picture, &c, 0, true);
    CHECK(isinf(depth_at(&depth->picture, 0, 0)));
    CHECK(isfinite(depth_at(&depth->picture, 0, 47)));
    CHECK_PX(&color->picture, 5, 5, px(&color->picture, 5, 5) | 0xff);
    release(color, depth);
}

TEST(depth_does_not_depend_on_smooth_edges_and_they_are_smooth)
{
    struct ph_frame *c0, *d0, *c1, *d1;
    struct ph_scene_camera c;
    draw(&c0, &d0, &c, 161, 121, 2, false);
    draw(&c1, &d1, &c, 161, 121, 2, true);
    CHECK(ph_image_hash(&d0->picture) == ph_image_hash(&d1->picture));
    int changed = 0;
    for (int y = 0; y < 121; y++)
        for (int x = 0; x < 161; x++)
            changed += px(&c0->picture, x, y) != px(&c1->picture, x, y);
    CHECK_INT(changed, >, 300);
    CHECK_INT(changed, <, 161 * 121 / 5);
    release(c0, d0);
    release(c1, d1);
}

TEST(a_pixel_next_to_another_in_the_world_is_next_to_it_a_moment_later)
{
    // the camera is a pure function of pts and moves without steps
    struct ph_scene_camera a, b;
    for (int i = 0; i < 600; i++) {
        ph_scene_camera(&a, i * PH_SECOND_NS / 25, 320, 240, 24, 1.75, 6.2, 50);
        ph_scene_camera(&b, (i + 1) * PH_SECOND_NS / 25, 320, 240, 24, 1.75, 6.2, 50);
        double moved = 0, across = 0;
        for (int k = 0; k < 3; k++) {
            moved += pow((double) a.eye[k] - (double) b.eye[k], 2);
            across += (double) a.right[k] * (double) a.forward[k];
        }
        CHECK_NUM(sqrt(moved), <, 0.08);
        CHECK_NUM(fabs(across), <, 1e-5);
    }
}

TEST(both_outputs_carry_one_frame_and_its_intrinsics)
{
    run_open(&r, "s: scene 64x48 fps=30 fov=90 -> null\ns.depth -> live");
    run_until(&r, 0.1);
    CHECK_INT(r.count, ==, 4);
    CHECK_INT(run_picture(&r, 0)->format, ==, PH_DEPTHF);
    CHECK_NUM(r.frames[2]->intrinsics.fx, >, 31.99); // 90 degrees: half the width
    CHECK_NUM(r.frames[2]->intrinsics.fx, <, 32.01);
    CHECK_NUM(r.frames[2]->intrinsics.cy, ==, 24);
    CHECK_INT(r.frames[2]->id, ==, 2);
    CHECK_INT(r.frames[2]->pts_ns, ==, 66666666);
    run_close(&r);
    run_open(&r, "scene 64x48 fov=90 -> live");
    run_until(&r, 0);
    CHECK_NUM(fabs((double) r.frames[0]->intrinsics.fx - 32), <, 0.01);
    run_close(&r);
}

TEST(odd_sizes_are_drawn_whole)
{
    static const char *const sizes[] = { "1x1", "1x2", "3x1", "51x33" };
    for (int i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof text, "scene %s -> live", sizes[i]);
        const struct ph_picture *p = run_first(&r, text);
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++) CHECK_INT(px(p, x, y) & 255, ==, 255);
        run_close(&r);
    }
}

TEST(the_same_moment_has_the_same_bytes_at_any_rate_and_level)
{
    run_same_on_all_levels("scene 80x60 fps=10 -> live", 0.5);
    run_open(&r, "scene 80x60 fps=30 -> live");
    run_until(&r, 1);
    uint64_t want = ph_image_hash(run_picture(&r, 30));
    run_close(&r);
    run_open(&r, "scene 80x60 fps=1 -> live");
    run_until(&r, 1);
    CHECK(ph_image_hash(run_picture(&r, 1)) == want);
    CHECK(ph_image_hash(run_picture(&r, 0)) != want);
    run_close(&r);
}

TEST(parameters_change_live)
{
    run_open(&r, "scene 80x60 fps=10 orbit=0 spin=0 -> live");
    run_until(&r, 0.2);
    uint64_t still = ph_image_hash(run_picture(&r, 1));
    CHECK(ph_image_hash(run_picture(&r, 2)) == still);
    run_set(&r, "scene", "distance", "9");
    run_until(&r, 0.3);
    CHECK(ph_image_hash(run_picture(&r, 3)) != still);
    run_set(&r, "scene", "size", "32x24");
    run_until(&r, 0.4);
    CHECK_INT(run_picture(&r, 4)->width, ==, 32);
    run_close(&r);
}

TEST(sine_is_right_everywhere)
{
    for (int i = -4000; i <= 4000; i++) {
        double turns = i / 1000.0;
        CHECK_NUM(fabs((double) ph_sin_turns(turns) - sin(2 * M_PI * turns)), <, 4e-7);
        CHECK_NUM(fabs((double) ph_cos_turns(turns) - cos(2 * M_PI * turns)), <, 4e-7);
    }
}
