// SPDX-License-Identifier: MIT
// A drawn checkerboard whose place is known is found, and where the camera stands with it.
#include "pic.h"

#include "board.h"

static double corners[PH_BOARD_MAX * PH_BOARD_MAX][2], flat[PH_BOARD_MAX * PH_BOARD_MAX][2];

static void make_flat(void)
{
    for (int j = 0; j < board.rows; j++)
        for (int i = 0; i < board.columns; i++) {
            flat[j * board.columns + i][0] = i * SQUARE;
            flat[j * board.columns + i][1] = j * SQUARE;
        }
}

static void check_alike(const struct ph_pose *a, const struct ph_pose *b, double metres,
                        double degrees)
{
    struct ph_pose back = ph_pose_inverse(b), off = ph_pose_after(a, &back);
    double w[3], far = 0;
    ph_pose_vector(w, off.r);
    for (int i = 0; i < 3; i++) far += (a->t[i] - b->t[i]) * (a->t[i] - b->t[i]);
    CHECK_NUM(sqrt(far), <, metres);
    CHECK_NUM(sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]) * 180 / M_PI, <, degrees);
}

static const char *const places[] = {
    "-0.12 -0.07 0.6 0 0 0",      // squarely
    "-0.13 -0.08 0.7 25 15 5",    // aslant
    "-0.05 -0.12 0.8 -30 35 40",  //
    "0.11 0.09 0.7 10 -10 175",   // upside down
    "0.10 -0.12 0.6 5 20 95",     // on its side
    "-0.16 -0.05 1.1 40 -30 -20", // far
};

TEST(a_board_is_found_and_the_camera_with_it)
{
    make_flat();
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct ph_pose want = pose(places[i]), got;
        struct ph_frame *f = draw_board(&want, 4);
        double rms;
        int seen;
        ph_err ret = ph_board_find(corners, &seen, &f->picture, &board);
        if (ret != PH_OK) TEST_FAIL("%s: %d corners seen, %d", places[i], seen, ret);
        for (int k = 0; k < 54; k++) {
            double x = flat[k][0], y = flat[k][1], c[3];
            for (int a = 0; a < 3; a++)
                c[a] = want.r[3 * a] * x + want.r[3 * a + 1] * y + want.t[a];
            double u = (double) lens.fx * c[0] / c[2] + (double) lens.cx;
            double v = (double) lens.fy * c[1] / c[2] + (double) lens.cy;
            if (hypot(corners[k][0] - u, corners[k][1] - v) > 0.25)
                TEST_FAIL("%s: corner %d is at %.2f %.2f, not %.2f %.2f", places[i], k,
                          corners[k][0], corners[k][1], u, v);
        }
        CHECK_OK(ph_pose_of_board(&got, &rms, flat, corners, 54, &lens));
        CHECK_NUM(rms, <, 0.15);
        check_alike(&got, &want, 0.006, 0.5);
        ph_frame_unref(&f);
    }
}

TEST(where_cameras_stand_to_one_another_follows_from_one_board)
{
    struct ph_pose first = pose(places[1]), second = pose(places[2]), a, b;
    double rms;
    int seen;
    make_flat();
    struct ph_frame *f = draw_board(&first, 2), *g = draw_board(&second, 2);
    CHECK_OK(ph_board_find(corners, &seen, &f->picture, &board));
    CHECK_OK(ph_pose_of_board(&a, &rms, flat, corners, 54, &lens));
    CHECK_OK(ph_board_find(corners, &seen, &g->picture, &board));
    CHECK_OK(ph_pose_of_board(&b, &rms, flat, corners, 54, &lens));
    struct ph_pose back = ph_pose_inverse(&b), got = ph_pose_after(&a, &back);
    struct ph_pose true_back = ph_pose_inverse(&second),
                   want = ph_pose_after(&first, &true_back);
    check_alike(&got, &want, 0.012, 0.8);
    ph_frame_unref(&f);
    ph_frame_unref(&g);
}

TEST(what_is_no_board_is_not_found)
{
    struct ph_frame *f;
    struct ph_board other = { 8, 5 }, bad[] = { { 9, 7 }, { 6, 9 }, { 40, 3 }, { 4, 1 } };
    int seen;
    struct ph_pose p = pose(places[0]);
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 320, 240, &f));
    for (int v = 0; v < 256; v += 255) { // black, white
        for (int y = 0; y < 240; y++)
            memset(f->picture.data[0] + y * f->picture.stride[0], v, 1280);
        CHECK_INT(ph_board_find(corners, &seen, &f->picture, &board), ==, PH_MORE);
        CHECK_INT(seen, ==, 0);
    }
    uint32_t seed = 1;
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 1280; x++) {
            seed = seed * 1664525 + 1013904223;
            f->picture.data[0][y * f->picture.stride[0] + x] = (uint8_t) (seed >> 24);
        }
    CHECK_INT(ph_board_find(corners, &seen, &f->picture, &board), ==, PH_MORE);
    for (int i = 0; i < 4; i++)
        CHECK_INT(ph_board_find(corners, &seen, &f->picture, &bad[i]), ==, PH_EINVAL);
    ph_frame_unref(&f);
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 8, 8, &f));
    CHECK_INT(ph_board_find(corners, &seen, &f->picture, &board), ==, PH_MORE);
    ph_frame_unref(&f);
    f = draw_board(&p, 0);
    CHECK_INT(ph_board_find(corners, &seen, &f->picture, &(struct ph_board){ 11, 6 }), ==,
              PH_MORE);
    CHECK(ph_board_valid(&other));
    ph_frame_unref(&f);
}

TEST(a_pose_is_the_same_as_its_text)
{
    static const char *const texts[] = { "",
                                         "1 2 3 0 0 0",
                                         "0.5 -1 2 30 -40 50",
                                         "0 0 0 0 180 0",
                                         "0 0 1 -127.2 127.2 0",
                                         "0,0,0,179.9,0,0" };
    char text[PH_POSE_TEXT];
    struct ph_pose bad;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ph_pose p = pose(texts[i]), q, back = ph_pose_inverse(&p);
        ph_pose_print(&p, text);
        CHECK_OK(ph_pose_parse(&q, text));
        check_alike(&q, &p, 1e-5, 1e-3);
        struct ph_pose same = ph_pose_after(&p, &back), none = ph_pose_none();
        check_alike(&same, &none, 1e-9, 1e-6);
    }
    CHECK_INT(ph_pose_parse(&bad, "1 2 3"), ==, PH_EINVAL);
    CHECK_INT(ph_pose_parse(&bad, "1 2 3 4 5 6 7"), ==, PH_EINVAL);
    CHECK_INT(ph_pose_parse(&bad, "1 2 3 4 5 nan"), ==, PH_EINVAL);
    CHECK_INT(ph_pose_parse(&bad, "left"), ==, PH_EINVAL);
    const double line[5][2] = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 0 } };
    double rms;
    CHECK_INT(ph_pose_of_board(&bad, &rms, line, line, 5, &lens), ==, PH_EINVAL);
    CHECK_INT(ph_pose_of_board(&bad, &rms, flat, flat, 54, &(struct ph_intrinsics){ 0 }), ==,
              PH_EINVAL);
}
