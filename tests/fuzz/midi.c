// SPDX-License-Identifier: MIT
// MIDI bytes: every message is one, and the clock that they drive stays finite and goes forwards.
// Time passes with each byte, by the byte before it.
#include "audio/live/midi.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok) abort();
}

static void check_message(const struct ph_midi_message *m)
{
    bool channel = m->status < 0xf0;
    check(m->status & 0x80 && m->channel < 16 && m->number < 128);
    check(!channel || !(m->status & 0x0f));
    check(m->value >= 0 && m->value < 16384);
    check(m->status != PH_MIDI_NOTE_ON || m->value > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_midi_parser parser = { 0 };
    struct ph_midi_clock clock = { 0 };
    struct ph_tempo tempo = { 0 };
    struct ph_beat beat;
    double now_s = 0, before = 0;
    for (size_t i = 0; i < size; i++) {
        struct ph_midi_message m;
        now_s += i ? data[i - 1] * 1e-4 : 0;
        if (!ph_midi_byte(&parser, data[i], &m)) continue;
        check_message(&m);
        ph_midi_clock_take(&clock, now_s, &m);
        check(clock.bpm >= 0 && isfinite(clock.bpm));
        check(isfinite(ph_midi_clock_beat(&clock, now_s)));
        struct ph_tempo_hint hint = ph_midi_clock_hint(&clock, now_s);
        check(isfinite(hint.next_s) && hint.next_s >= 0);
        ph_tempo_step(&tempo, now_s, &hint, &beat);
        check(beat.beat >= before && isfinite(beat.beat) && isfinite(beat.bpm));
        before = beat.beat;
    }
    return 0;
}
