// SPDX-License-Identifier: MIT
#include "values.h"

#include "models/stream/similar.h"

enum { N = 300 };

static struct ph_similar filter(struct ph_similar_params par)
{
    struct ph_similar s;
    CHECK_OK(ph_similar_init(&s, &par, N, false));
    values_keep(s.last);
    return s;
}

TEST(the_same_picture_is_worked_on_once_in_eleven_frames)
{
    struct ph_similar s = filter((struct ph_similar_params){ 0 });
    float x[N];
    values_noise(1, x, N);
    for (int k = 0; k < 110; k++) CHECK_INT(ph_similar_next(&s, x, 0.999), ==, k % 11 == 0);
    CHECK_INT(s.processed, ==, 10);
    CHECK_INT(s.skipped, ==, 100);
}

TEST(another_picture_is_always_worked_on)
{
    struct ph_similar s = filter((struct ph_similar_params){ 0 });
    float x[N];
    for (uint64_t k = 0; k < 50; k++) {
        values_noise(k, x, N);
        CHECK(ph_similar_next(&s, x, 0.001));
    }
    CHECK_INT(s.skipped, ==, 0);
}

TEST(grey_pictures_are_the_same_picture)
{
    struct ph_similar s = filter((struct ph_similar_params){ 0 });
    float grey[N] = { 0 }, x[N];
    values_noise(1, x, N);
    CHECK(ph_similar_next(&s, x, 0.5));
    CHECK(ph_similar_next(&s, grey, 0.5)); // from picture to grey: another one
    CHECK(!ph_similar_next(&s, grey, 0.5));
    CHECK(ph_similar_next(&s, x, 0.5));
}

TEST(a_broken_picture_is_worked_on)
{
    struct ph_similar s = filter((struct ph_similar_params){ 0 });
    float x[N], bad[N];
    values_noise(1, x, N);
    memcpy(bad, x, sizeof x);
    bad[7] = NAN;
    CHECK(ph_similar_next(&s, x, 0.5));
    CHECK(ph_similar_next(&s, bad, 0.5));
    CHECK(ph_similar_next(&s, x, 0.5));
    CHECK(!ph_similar_next(&s, x, 0.5));
}

TEST(a_threshold_of_1_leaves_nothing_out)
{
    struct ph_similar s = filter((struct ph_similar_params){ .threshold = 1 });
    float x[N];
    values_noise(1, x, N);
    for (int k = 0; k < 20; k++) CHECK(ph_similar_next(&s, x, 0.01));
}

// A moving scene that comes to rest, and later a cut: whenever a frame is left out, the picture on
// show and every step of the batch are of the scene at rest. Upstream stops STEPS - 1 frames early.
static int stale_pictures(int drain)
{
    enum { STEPS = 4 };
    struct ph_similar s = filter((struct ph_similar_params){ .drain = drain, .max_skip = 20 });
    float x[N];
    int slot[STEPS] = { 0 }, stale = 0;
    for (int k = 0; k < 50; k++) {
        int scene = k < 10 ? k : k < 35 ? 10 : 11;
        values_noise((uint64_t) scene + 1, x, N);
        if (ph_similar_next(&s, x, 0.5)) {
            memmove(slot + 1, slot, sizeof slot - sizeof *slot);
            slot[0] = scene;
        } else {
            bool all = true; // the last slot is the picture on show
            for (int i = 0; i < STEPS; i++) all = all && slot[i] == scene;
            stale += !all;
        }
    }
    CHECK_INT(s.skipped, >, 20);
    return stale;
}

TEST(a11_7_every_step_holds_the_scene_at_rest_before_frames_are_left_out)
{
    CHECK_INT(stale_pictures(3), ==, 0);
    CHECK_INT(stale_pictures(0), >, 10); // what it would be without
}

TEST(bytes_and_floats_decide_alike)
{
    struct ph_similar f, r;
    struct ph_similar_params par = { .threshold = 0.9 };
    static float x[N * 3];
    static uint8_t rgba[N * 4];
    CHECK_OK(ph_similar_init(&f, &par, N * 3, false));
    CHECK_OK(ph_similar_init(&r, &par, N, true));
    values_keep(f.last);
    values_keep(r.last);
    float base[N * 3], more[N * 3], u[200];
    values_noise(1, base, N * 3);
    values_noise(9, u, 200);
    for (int k = 0; k < 200; k++) {
        values_noise((uint64_t) k, more, N * 3);
        for (int i = 0; i < N * 3; i++) {
            int v = (int) (127.5f + 60 * base[i] + 12 * more[i]);
            rgba[i / 3 * 4 + i % 3] = (uint8_t) v;
            rgba[i / 3 * 4 + 3] = (uint8_t) k; // alpha is no part of the picture
            x[i] = (float) v / 255 * 2 - 1;
        }
        double draw = u[k] / 3.5 + 0.5;
        CHECK_INT(ph_similar_next(&f, x, draw), ==, ph_similar_next(&r, rgba, draw));
        CHECK_NUM(fabs(f.cosine - r.cosine), <, 1e-6);
    }
    CHECK_INT(f.skipped, ==, r.skipped);
    CHECK_INT(f.skipped, >, 10);
    CHECK_INT(f.processed, >, 20);
}

TEST(a_reset_lets_the_next_picture_through)
{
    struct ph_similar s = filter((struct ph_similar_params){ 0 });
    float x[N];
    values_noise(1, x, N);
    CHECK(ph_similar_next(&s, x, 0.5));
    CHECK(!ph_similar_next(&s, x, 0.5));
    ph_similar_reset(&s);
    CHECK(ph_similar_next(&s, x, 0.5));
    CHECK_INT(s.skipped, ==, 1);
}
