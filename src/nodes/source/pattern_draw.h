// SPDX-License-Identifier: MIT
// The test pictures of `pattern`, as plain functions on RGBA pictures of any size. All arithmetic
// is whole or in a fixed order, so a pattern has the same bytes on every machine. thread of all: any
#ifndef PH_NODES_PATTERN_DRAW_H
#define PH_NODES_PATTERN_DRAW_H

#include <phosphene/frame.h>

// SMPTE EG 1-1990: seven 75 % bars over two thirds, the reversed blue bars over a twelfth, then
// -I, white, +Q, black, the PLUGE (3.5, 7.5 and 11.5 IRE) and black.
void ph_pattern_bars(const struct ph_picture *dst);

// From one colour to another along a direction (degrees: 0 to the right, 90 downwards), with
// ordered dither so that dark slopes show no steps.
void ph_pattern_gradient(const struct ph_picture *dst, uint32_t from, uint32_t to,
                         float angle_deg);

// Squares of `cell` pixels, `a` in the upper left corner.
void ph_pattern_checker(const struct ph_picture *dst, int cell, uint32_t a, uint32_t b);

// Grey noise, another one for each seed.
void ph_pattern_noise(const struct ph_picture *dst, uint64_t seed);

// Bright shapes of many colours that flow through each other over black, `cell` pixels wide. Smooth:
// drawn in a quarter of the size and enlarged it looks the same. prepare() makes its table, once.
void ph_pattern_plasma_prepare(void);
void ph_pattern_plasma(const struct ph_picture *dst, double seconds, float cell);

// The room in which the ball bounces: a wall with soft light on it and a floor from `floor_y` on.
void ph_pattern_stage(const struct ph_picture *dst, uint32_t light, uint32_t dark, int floor_y);

// A lit ball of `radius` in the middle of a square picture, with a glow that reaches its sides.
void ph_pattern_ball(const struct ph_picture *dst, float radius, uint32_t color);
// Its shadow: a dark ellipse that fills the picture and fades towards its sides.
void ph_pattern_shadow(const struct ph_picture *dst);

// Where the ball is at a time: its middle across 0..1 and its height over the floor 0..1.
// Pure functions of the time: any frame can be drawn without the ones before it.
struct ph_ball_place {
    double across, height;
};
struct ph_ball_place ph_ball_place(int64_t pts_ns, double speed);

#endif
