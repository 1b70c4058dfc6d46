// SPDX-License-Identifier: MIT
// How a number that jumps becomes one that moves. Every step is exact for an input that is held
// during it, so that 30, 60 and 100 steps a second agree.                      thread of all: any
#ifndef PH_AUDIO_LIVE_FOLLOW_H
#define PH_AUDIO_LIVE_FOLLOW_H

#include <phosphene/common.h>

// --- attack and release: one pole, quicker upwards
struct ph_follow_times {
    double attack_s, release_s; // time constants; 0 = at once
};
extern const struct ph_follow_times ph_follow_drums, ph_follow_kick, ph_follow_snare,
    ph_follow_hats, ph_follow_bass, ph_follow_vocals, ph_follow_default, ph_follow_sustain;

// The next value after dt_s at the input x.
double ph_follow(double y, double x, double dt_s, const struct ph_follow_times *times);

// --- spring: m x'' = k (u - x) - c x'
struct ph_spring_kind {
    double mass, stiffness, damping;
};
extern const struct ph_spring_kind ph_spring_kick, ph_spring_bass, ph_spring_vocals,
    ph_spring_ambient;

// The same for a music s times as fast: stiffness times s, damping times its root.
struct ph_spring_kind ph_spring_at(const struct ph_spring_kind *kind, double s);

struct ph_spring {
    double x, v; // place and speed; zeroed is at rest in 0
};
double ph_spring_step(struct ph_spring *s, double input, double dt_s,
                      const struct ph_spring_kind *kind); // the new x

// --- automatic gain, as Milkdrop's presets know it: 1 is as loud as lately, a hit is above 1.3
struct ph_gain {
    double average, longer;
    double age_s;
    double now, att; // of the newest step: as it is, and smoothed
};
void ph_gain_step(struct ph_gain *g, double x, double dt_s);

// --- 0..1 of a number whose range is not known: between the floor and the ceiling of lately
struct ph_span {
    double low, high;
    bool known;
};
// `least`: what high is at least above low, so that silence is no music. memory_s: how long a peak
// is remembered.
double ph_span_step(struct ph_span *r, double x, double dt_s, double memory_s, double least);

#endif
