// SPDX-License-Identifier: MIT
// Follows the beat of music while it plays, and says when the next one will be.
//
// A hidden Markov model of (how long a beat is, how long ago the last one was), after the bar pointer
// model of Whiteley, Cemgil and Godsill (ISMIR 2006) and its efficient states of Krebs, Böck and
// Widmer (ISMIR 2015), filtered forwards alone, so that it needs no future. A beat lasts 55 .. 216
// per minute, in steps of 5 ms. It is observed where a beat begins: an onset there speaks for it,
// none against it. What lies between beats says nothing, so that a beat's double loses by its empty
// beats and its half by the onsets it has no use for.
//
// All moments are of the sound, in frames of 1/PH_PULSE_HZ s from the first on; nothing else counts:
// no clock, no chance.                                          thread of all: any, one at a time
#ifndef PH_AUDIO_LIVE_PULSE_H
#define PH_AUDIO_LIVE_PULSE_H

#include <phosphene/common.h>

#define PH_PULSE_HZ      100
#define PH_PULSE_MIN_BPM 55
#define PH_PULSE_MAX_BPM 216

// What is known after a frame, about the moment of that frame.
struct ph_pulse_state {
    double bpm;       // 0 = nothing is known
    double next_s;    // from the frame's moment to the next beat
    float confidence; // 0..1: the probability that a beat comes within 5 % of a beat, there
    float onset;      // 0..1: the onset as it was judged
};

struct ph_pulse;

ph_err ph_pulse_create(struct ph_pulse **out); // PH_ENOMEM
void ph_pulse_destroy(struct ph_pulse **p);
void ph_pulse_reset(struct ph_pulse *p);
// Beats outside are not thought of from now on; the nearest octave inside stays. Limits are taken
// into PH_PULSE_MIN_BPM .. MAX_BPM and at least a factor 1.2 apart.
void ph_pulse_limit(struct ph_pulse *p, double min_bpm, double max_bpm);
// Somebody knows better (taps): only tempi near bpm are thought of now, with a beat in next_s seconds.
void ph_pulse_set(struct ph_pulse *p, double bpm, double next_s);
// Takes the frame's onset strength (any scale, >= 0; else 0): ph_heard.accent.
void ph_pulse_step(struct ph_pulse *p, float onset, struct ph_pulse_state *out);

#endif
