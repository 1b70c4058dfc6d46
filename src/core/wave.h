// SPDX-License-Identifier: MIT
// Shapes in time: easings of 0..1, waves of a phase, noise of a number, factors of a step. Pure
// functions in double; what is no number counts as 0.                       thread of all: any
#ifndef PH_CORE_WAVE_H
#define PH_CORE_WAVE_H

#include <phosphene/common.h>

// From 0 to 1 while t goes from 0 to 1; t beyond is held at the ends.
enum ph_ease {
    PH_EASE_LINEAR,
    PH_EASE_QUAD_IN,      // t^2
    PH_EASE_QUAD_OUT,     // 1 - (1-t)^2
    PH_EASE_QUAD_IN_OUT,  // 2t^2, from t = .5 on 1 - (2-2t)^2 / 2
    PH_EASE_CUBIC_IN,     // t^3
    PH_EASE_CUBIC_OUT,    // 1 - (1-t)^3
    PH_EASE_CUBIC_IN_OUT, // 4t^3, from t = .5 on 1 - (2-2t)^3 / 2
    PH_EASE_SINE_IN_OUT,  // .5 - .5 cos(pi t)
    PH_EASE_SMOOTHSTEP,   // 3t^2 - 2t^3
    PH_EASE_SMOOTHERSTEP, // 6t^5 - 15t^4 + 10t^3
    PH_EASE_EXPO_OUT,     // 1 - 2^(-10t), 1 at t = 1
    PH_EASES
};
double ph_ease(enum ph_ease kind, double t);

// -1..1 (the decay: 0..1) over each whole number of `phase`, which may be any number.
enum ph_wave {
    PH_WAVE_SINE,
    PH_WAVE_COSINE,
    PH_WAVE_TRIANGLE,  // 0 up to 1, down to -1, up to 0
    PH_WAVE_SAW,       // from -1 up to 1
    PH_WAVE_SQUARE,    // 1 in the first half, -1 in the second
    PH_WAVE_EXP_DECAY, // exp(-phase / .15)
    PH_WAVES
};
double ph_wave(enum ph_wave kind, double phase);

// How long a modulator's wave is, in beats.
enum ph_period {
    PH_PERIOD_HALF_BEAT,
    PH_PERIOD_BEAT,
    PH_PERIOD_2_BEAT,
    PH_PERIOD_BAR,
    PH_PERIOD_2_BAR,
    PH_PERIOD_4_BAR,
    PH_PERIOD_8_BEAT,
    PH_PERIOD_16_BEAT,
    PH_PERIODS
};
double ph_period_beats(enum ph_period period, int beats_per_bar);

// Names as graph texts write them: "cubic_in_out", "exp_decay", "4_bar"; NULL-terminated, so that
// a parameter's table can use them.
extern const char *const ph_ease_names[PH_EASES + 1];
extern const char *const ph_wave_names[PH_WAVES + 1];
extern const char *const ph_period_names[PH_PERIODS + 1];

// 32 bits mixed: every bit of the result depends on every bit of v. A bijection.
uint32_t ph_hash32(uint32_t v);
// Gradient noise of one dimension (Perlin): -1..1, 0 at whole numbers, the same for each x.
double ph_noise1(double x);

// What a factor that is given for 1/30 s is for a step of dt_s: factor^(30 dt). Steps of any
// length multiply to the same. A factor or a step below 0 counts as 0.
double ph_factor_over(double factor, double dt_s);

#endif
