// SPDX-License-Identifier: MIT
// The clock that pictures follow: beats that are counted on and never back, from whatever tells the
// tempo (ph_pulse, taps, a MIDI clock, a hand), and what performers do to it: tap, nudge, resync,
// double, halve, hold. All moments are seconds of one time that the caller keeps; nothing waits.
//                                                       thread of all: any, one at a time
#ifndef PH_AUDIO_LIVE_TEMPO_H
#define PH_AUDIO_LIVE_TEMPO_H

#include <phosphene/common.h>
#include <phosphene/frame.h>

// What somebody says about the beat at a moment.
struct ph_tempo_hint {
    double bpm;       // 0 = nothing is known
    double next_s;    // from that moment to the next beat
    float confidence; // 0..1
};

// Zeroed is a clock at beat 0 that knows no tempo.
struct ph_tempo {
    double now_s, bpm, beat; // of what is followed, before `scale`
    float confidence;
    double trouble_s;   // for how long its phase has been far from the hint's
    double doubt_s;     // for how long the hint has been worth nothing
    bool running, held; // a tempo is known; hints are not listened to
    double scale;       // 0 = 1
    double from, to;    // output = to + (beat - from) * scale
    double shift_s;     // nudges so far: positive is later
    int per_bar;        // 0 = 4
};

// Moves on to now_s (times that go back count as no step) with what is known there; hint may be
// NULL. *out is the beat at now_s. Beats never go back: a clock that is early waits, running at
// half speed at least, and one that is far off for half a second skips forwards.
void ph_tempo_step(struct ph_tempo *t, double now_s, const struct ph_tempo_hint *hint,
                   struct ph_beat *out);
void ph_tempo_nudge(struct ph_tempo *t, double later_s);
// The beat nearest to the moment of the newest step is the first of a bar; it is counted forwards.
void ph_tempo_resync(struct ph_tempo *t);
// Factor of the output: 0.5, 1, 2 … From the present beat on; beats of the old and the new fall together.
void ph_tempo_scale(struct ph_tempo *t, double factor);
void ph_tempo_hold(struct ph_tempo *t, bool hold);
// A tempo by hand: bpm > 0, with a beat at the moment at_s.
void ph_tempo_set(struct ph_tempo *t, double bpm, double at_s);

// --- tapping
#define PH_TAPS 24

// Zeroed is nothing tapped yet.
struct ph_taps {
    double at_s[PH_TAPS]; // by newest last
    int64_t index[PH_TAPS];
    int count;
    double bpm;    // 0 = too few
    double beat_s; // a moment of a beat: the newest one
};

// One tap; moments rise. The tempo is the line of least squares through the newest PH_TAPS taps,
// each at the beat it is nearest to: taps may be missing. One that follows another within a third
// of a beat is a second bounce of the same finger and is passed over; one after a pause of more
// than 2 s, or 4 beats of the tempo that is known where that is longer, begins anew.
void ph_taps_add(struct ph_taps *t, double now_s);
// What they say at a moment; bpm 0 while nothing is known.
struct ph_tempo_hint ph_taps_hint(const struct ph_taps *t, double now_s);

// --- quantised changes
enum ph_quantum {
    PH_QUANTUM_NONE,
    PH_QUANTUM_BEAT,
    PH_QUANTUM_BAR,
    PH_QUANTUM_2_BARS,
    PH_QUANTUM_4_BARS
};
extern const char *const ph_quantum_names[]; // "none" "beat" "bar" "2_bars" "4_bars", NULL

// In how many seconds after the moment of `beat` a change that is wanted now may happen: 0 for none,
// and while no tempo is known.
double ph_quantum_wait_s(const struct ph_beat *beat, enum ph_quantum quantum);

#endif
