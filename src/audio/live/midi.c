// SPDX-License-Identifier: MIT
#include "audio/live/midi.h"

#include <math.h>
#include <string.h>

#define NEWEST     12    // ticks that tell of the present tempo
#define QUICK      0.6   // of a tick: sooner than this after another
#define SHORTEST_S 0.005 // between ticks: 500 bpm
#define LOST_S     0.5   // a clock that says nothing for so long has stopped

// --- bytes

static int data_bytes(uint8_t status)
{
    switch (status < 0xf0 ? status & 0xf0 : status) {
    case PH_MIDI_PROGRAM:
    case PH_MIDI_PRESSURE:
    case 0xf1: // time code
    case 0xf3: // song
        return 1;
    case 0xf4:
    case 0xf5:
    case 0xf6: // tune
    case 0xf7: return 0;
    default: return 2;
    }
}

static void finish(const struct ph_midi_parser *p, struct ph_midi_message *out)
{
    uint8_t status = p->running < 0xf0 ? p->running & 0xf0 : p->running;
    bool wide = status == PH_MIDI_BEND || status == PH_MIDI_POSITION;
    bool one = data_bytes(p->running) == 1;
    *out = (struct ph_midi_message){ .status = status,
                                     .channel = p->running < 0xf0 ? p->running & 0x0f : 0,
                                     .number = one || wide ? 0 : p->data[0],
                                     .value = wide  ? p->data[0] | p->data[1] << 7
                                              : one ? p->data[0]
                                                    : p->data[1] };
    if (status == PH_MIDI_NOTE_ON && !out->value) out->status = PH_MIDI_NOTE_OFF;
}

bool ph_midi_byte(struct ph_midi_parser *p, uint8_t byte, struct ph_midi_message *out)
{
    if (byte >= 0xf8) {
        *out = (struct ph_midi_message){ .status = byte };
        return true;
    }
    if (byte & 0x80) {
        p->exclusive = byte == 0xf0;
        p->running = byte == 0xf0 || !data_bytes(byte) ? 0 : byte;
        p->have = 0;
        return false;
    }
    if (p->exclusive || !p->running) return false;
    p->data[p->have++] = byte;
    if (p->have < data_bytes(p->running)) return false;
    finish(p, out);
    p->have = 0;
    if (p->running >= 0xf0) p->running = 0; // system messages have no running status
    return true;
}

// --- clock

static void forget(struct ph_midi_clock *c)
{
    c->count = 0;
    c->late = 0;
    c->bpm = 0;
}

// Least squares of the moments over the ticks' numbers.
static void fit(struct ph_midi_clock *c)
{
    double n = c->count, mean_i = 0, mean_t = 0, top = 0, bottom = 0;
    int64_t first = c->index[0];
    for (int k = 0; k < c->count; k++) {
        mean_i += (double) (c->index[k] - first) / n;
        mean_t += (c->at_s[k] - c->at_s[0]) / n;
    }
    for (int k = 0; k < c->count; k++) {
        double i = (double) (c->index[k] - first) - mean_i;
        top += i * (c->at_s[k] - c->at_s[0] - mean_t);
        bottom += i * i;
    }
    if (bottom <= 0 || top <= 0) return;
    double last = (double) (c->index[c->count - 1] - first);
    c->tick_s = top / bottom;
    c->line_s = c->at_s[0] + mean_t + c->tick_s * (last - mean_i);
    c->bpm = c->count >= 6 ? 60 / (24 * c->tick_s) : 0;
}

static void add_tick(struct ph_midi_clock *c, double now_s, int64_t index)
{
    if (c->count == PH_MIDI_TICKS) {
        memmove(c->at_s, c->at_s + 1, (PH_MIDI_TICKS - 1) * sizeof *c->at_s);
        memmove(c->index, c->index + 1, (PH_MIDI_TICKS - 1) * sizeof *c->index);
        c->count--;
    }
    c->at_s[c->count] = now_s;
    c->index[c->count++] = index;
    fit(c);
}

// A tempo that has changed shows in the newest beat's ticks: the older ones go.
static void drop_old_tempo(struct ph_midi_clock *c)
{
    int recent = NEWEST;
    if (c->count < 2 * recent) return;
    int from = c->count - 1 - recent;
    double now = (c->at_s[c->count - 1] - c->at_s[from]) /
                 (double) (c->index[c->count - 1] - c->index[from]);
    if (fabs(now / c->tick_s - 1) < 0.04) return;
    int gone = c->count - recent;
    memmove(c->at_s, c->at_s + gone, (size_t) recent * sizeof *c->at_s);
    memmove(c->index, c->index + gone, (size_t) recent * sizeof *c->index);
    c->count = recent;
    fit(c);
}

// Ticks are lost now and then; when half of the newest come late, none was: the clock has dropped by
// more than half, and what was counted for lost ones is taken back.
static void drop_lost(struct ph_midi_clock *c)
{
    int late = 0, first = 0;
    for (int k = 0; k < NEWEST; k++)
        late += c->late >> k & 1, first = c->late >> k & 1 ? k : first;
    if (late < NEWEST / 2 || c->count < first + 2) return;
    int kept = first + 2, gone = c->count - kept; // from the last tick that was not late on
    memmove(c->at_s, c->at_s + gone, (size_t) kept * sizeof *c->at_s);
    memmove(c->index, c->index + gone, (size_t) kept * sizeof *c->index);
    int64_t origin = c->origin;
    for (int k = 1; k < kept; k++) {
        if (c->index[k] == origin) c->origin = c->index[0] + k; // it was among them
        c->index[k] = c->index[0] + k;
    }
    c->count = kept;
    c->late = 0;
    fit(c);
}

// Ticks that come twice are left out; when one after the other comes sooner than any of a usual beat,
// none was: the clock has more than doubled its tempo, and each of them counts. One that is told twice
// has the usual gaps between; ticks that were held up and come all at once are no tempo.
static bool take_quick(struct ph_midi_clock *c, double now_s)
{
    double gap = now_s - c->arrived_s;
    c->arrived_s = now_s;
    if (c->count < 6 || gap > QUICK * c->tick_s) {
        c->quick = c->quick_origin = 0;
        return false;
    }
    if (!c->quick) c->quick_from = c->index[c->count - 1];
    memmove(c->quick_s, c->quick_s + 1, (NEWEST - 1) * sizeof *c->quick_s);
    c->quick_s[NEWEST - 1] = now_s;
    c->quick++;
    if (c->armed && !c->quick_origin) c->quick_origin = c->quick;
    if (c->quick < NEWEST || now_s - c->quick_s[0] < (NEWEST - 1) * SHORTEST_S) return false;
    for (int k = 0; k < NEWEST; k++) {
        c->at_s[k] = c->quick_s[k];
        c->index[k] = c->quick_from + c->quick - NEWEST + 1 + k;
    }
    if (c->quick_origin) c->origin = c->quick_from + c->quick_origin;
    if (c->armed) c->playing = true;
    c->armed = false;
    c->count = NEWEST;
    c->quick = c->quick_origin = c->late = 0;
    fit(c);
    return true;
}

static void take_tick(struct ph_midi_clock *c, double now_s)
{
    if (take_quick(c, now_s)) return;
    int64_t newest = c->count ? c->index[c->count - 1] : c->origin, steps = 1;
    if (c->count && now_s - c->at_s[c->count - 1] > LOST_S) forget(c);
    if (c->count >= 6) {
        double ticks = (now_s - c->at_s[c->count - 1]) / c->tick_s; // the line lags a change
        if (ticks < 0.4) return;                                    // the same once more
        if (ticks > 1.6) steps = (int64_t) lround(ticks);
    }
    c->late = c->late << 1 | (steps > 1);
    add_tick(c, now_s, newest + steps);
    drop_lost(c);
    drop_old_tempo(c);
    if (!c->armed) return;
    c->armed = false;
    c->playing = true;
    c->origin = c->index[c->count - 1];
}

void ph_midi_clock_take(struct ph_midi_clock *c, double now_s, const struct ph_midi_message *m)
{
    switch (m->status) {
    case PH_MIDI_CLOCK: take_tick(c, now_s); break;
    case PH_MIDI_START:
        c->position = 0;
        c->armed = true;
        c->quick_origin = 0;
        break;
    case PH_MIDI_CONTINUE:
        if (c->playing) break;
        c->armed = true;
        c->quick_origin = 0;
        break;
    case PH_MIDI_STOP:
        c->position = ph_midi_clock_beat(c, now_s);
        c->playing = c->armed = false;
        break;
    case PH_MIDI_POSITION:
        c->position = m->value / 4.0;
        c->origin = c->count ? c->index[c->count - 1] : c->origin;
        if (!c->armed) c->quick_origin = c->quick;
        break;
    default: break;
    }
}

double ph_midi_clock_beat(const struct ph_midi_clock *c, double now_s)
{
    if (!c->playing || !c->count) return c->position;
    double ticks = (double) (c->index[c->count - 1] - c->origin);
    if (c->bpm > 0) ticks += fmin(now_s - c->line_s, LOST_S) / c->tick_s;
    return fmax(c->position, c->position + ticks / 24);
}

struct ph_tempo_hint ph_midi_clock_hint(const struct ph_midi_clock *c, double now_s)
{
    struct ph_tempo_hint hint = { .bpm = c->playing ? c->bpm : 0 };
    if (hint.bpm <= 0 || now_s - c->at_s[c->count - 1] > LOST_S)
        return (struct ph_tempo_hint){ 0 };
    double beat = ph_midi_clock_beat(c, now_s);
    hint.next_s = (floor(beat) + 1 - beat) * 60 / hint.bpm;
    hint.confidence = 1;
    return hint;
}

// --- soft takeover

bool ph_pickup_move(struct ph_pickup *p, double at, double value)
{
    bool near = fabs(at - value) <= 1.5 / 127;
    bool passed = p->last >= 0 && (p->last - value) * (at - value) <= 0;
    if (near || passed) p->holding = true;
    p->last = at;
    return p->holding;
}
