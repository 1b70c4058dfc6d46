// SPDX-License-Identifier: MIT
// Draws a checkerboard as a camera sees it whose place is known.
#ifndef PH_TEST_BOARD_H
#define PH_TEST_BOARD_H

#include "image/checkerboard.h"
#include "image/pose.h"

#include <math.h>

#define SQUARE 0.03
static const struct ph_board board = { 9, 6 };
static const struct ph_intrinsics lens = { 620, 620, 320, 240 };

static inline struct ph_pose pose(const char *text)
{
    struct ph_pose p;
    CHECK_OK(ph_pose_parse(&p, text));
    return p;
}

// 0 = beside the board, 1 = dark, 2 = light; the inner corner (0, 0) is the board's origin.
static inline int square_at(double x, double y)
{
    double i = floor(x / SQUARE), j = floor(y / SQUARE);
    bool on = i >= -1 && j >= -1 && i < board.columns && j < board.rows;
    return on ? 1 + ((int) fabs(i + j) % 2) : 0;
}

static inline double light_at(const struct ph_pose *p, double u, double v)
{
    static const double shade[] = { 150, 25, 235 };
    // the board's plane is z = 0 in its own axes: intersect the ray there
    struct ph_pose back = ph_pose_inverse(p);
    const double d[3] = { (u - (double) lens.cx) / (double) lens.fx,
                          (v - (double) lens.cy) / (double) lens.fy, 1 };
    double dir[3];
    for (int i = 0; i < 3; i++)
        dir[i] = back.r[3 * i] * d[0] + back.r[3 * i + 1] * d[1] + back.r[3 * i + 2] * d[2];
    double s = -back.t[2] / dir[2];
    if (!(s > 0)) return shade[0];
    double x = back.t[0] + s * dir[0], y = back.t[1] + s * dir[1];
    double margin = 0.8 * SQUARE; // of white paper
    bool paper = x > -SQUARE - margin && y > -SQUARE - margin &&
                 x < board.columns * SQUARE + margin && y < board.rows * SQUARE + margin;
    int what = square_at(x, y);
    return what ? shade[what] : paper ? 235 : shade[0];
}

static inline struct ph_frame *draw_board(const struct ph_pose *p, double noise)
{
    struct ph_frame *f;
    uint32_t seed = 5;
    CHECK_OK(ph_frame_picture(NULL, PH_RGBA, 640, 480, &f));
    for (int y = 0; y < 480; y++)
        for (int x = 0; x < 640; x++) {
            double sum = 0;
            for (int k = 0; k < 16; k++)
                sum += light_at(p, x + (k % 4 + 0.5) / 4, y + (k / 4 + 0.5) / 4) / 16;
            seed = seed * 1664525 + 1013904223;
            sum += noise * ((double) (seed >> 16) / 32768 - 1);
            uint8_t *c = f->picture.data[0] + y * f->picture.stride[0] + 4 * x;
            c[0] = c[1] = c[2] = (uint8_t) fmin(fmax(sum, 0), 255);
            c[3] = 255;
        }
    return f;
}

#endif
