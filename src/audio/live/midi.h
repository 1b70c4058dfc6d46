// SPDX-License-Identifier: MIT
// MIDI 1.0 bytes: messages out of any stream, the clock's tempo and place, controllers that do not
// jump.                                                 thread of all: any, one at a time
#ifndef PH_AUDIO_LIVE_MIDI_H
#define PH_AUDIO_LIVE_MIDI_H

#include "audio/live/tempo.h"

enum ph_midi_status {
    PH_MIDI_NOTE_OFF = 0x80,
    PH_MIDI_NOTE_ON = 0x90, // velocity 0 is given as NOTE_OFF
    PH_MIDI_CONTROL = 0xb0,
    PH_MIDI_PROGRAM = 0xc0,
    PH_MIDI_PRESSURE = 0xd0,
    PH_MIDI_BEND = 0xe0,
    PH_MIDI_POSITION = 0xf2, // data = sixteenths
    PH_MIDI_CLOCK = 0xf8,
    PH_MIDI_START = 0xfa,
    PH_MIDI_CONTINUE = 0xfb,
    PH_MIDI_STOP = 0xfc,
};

struct ph_midi_message {
    uint8_t status;  // without the channel
    uint8_t channel; // 0..15
    uint8_t number;  // note or controller; 0 where there is none
    int value;       // 0..127; bend and position 0..16383
};

// Zeroed is the beginning of a stream.
struct ph_midi_parser {
    uint8_t running; // status that data bytes belong to; 0 = none
    uint8_t data[2];
    int have;
    bool exclusive; // inside a system exclusive message: passed over
};

// One more byte. True: it ends a message, *out. Realtime messages come through in the middle of
// others; data without a status, and what a status cut short, is passed over.
bool ph_midi_byte(struct ph_midi_parser *p, uint8_t byte, struct ph_midi_message *out);

// --- clock: 24 ticks a beat
#define PH_MIDI_TICKS 72 // that the tempo is measured over

// Zeroed has heard nothing.
struct ph_midi_clock {
    double at_s[PH_MIDI_TICKS];
    int64_t index[PH_MIDI_TICKS]; // counts ticks that were lost, and none twice
    int count;
    uint32_t
        late;  // of the newest ticks, a bit each: it came as if others had been lost before it
    int quick; // so many of the newest came sooner after another than any of a usual beat
    int quick_origin;   // which of them `origin` is once they count; 0 = it was before them
    int64_t quick_from; // number of the tick before them
    double quick_s[12], arrived_s; // when they came, the newest last; of any tick
    double bpm;                    // 0 = not known yet
    double tick_s, line_s;         // length of a tick; where the line has the newest one
    bool playing;
    bool armed;      // the next tick is at `position`
    double position; // beats, at tick `origin` while playing, else where it stands
    int64_t origin;
};

// A message at a moment (moments rise); others than the clock's and the transport's do nothing.
void ph_midi_clock_take(struct ph_midi_clock *c, double now_s, const struct ph_midi_message *m);
// Beats since the song's begin. While it plays, the line of least squares through the ticks, half a
// second beyond the newest one at most: a clock that was cut off stands still.
double ph_midi_clock_beat(const struct ph_midi_clock *c, double now_s);
struct ph_tempo_hint ph_midi_clock_hint(const struct ph_midi_clock *c, double now_s);

// --- soft takeover: a fader does nothing until it has passed the value that it is to take over
struct ph_pickup {
    double last;  // where the fader was; below 0 = not known
    bool holding; // it has been picked up
};
// True when the fader, now at `at`, moves the value, which is at `value` (both 0..1).
bool ph_pickup_move(struct ph_pickup *p, double at, double value);

#endif
