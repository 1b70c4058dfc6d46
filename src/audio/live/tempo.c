// SPDX-License-Identifier: MIT
#include "audio/live/tempo.h"

#include <math.h>
#include <string.h>

#define PATIENCE_S 0.5  // how long a phase may be far off before the clock skips
#define CERTAIN    0.35 // a confidence to begin with
#define DOUBTFUL   0.1  // one that is none
#define GIVE_UP_S  4.0  // how long without any
#define FAR        0.2  // beats: what is far off
#define PHASE_S    0.15 // time in which the phase follows
#define TEMPO_S    0.10 // and the tempo

const char *const ph_quantum_names[] = { "none", "beat", "bar", "2_bars", "4_bars", NULL };

static double scale_of(const struct ph_tempo *t)
{
    return t->scale > 0 ? t->scale : 1;
}

static double output(const struct ph_tempo *t)
{
    return t->to + (t->beat - t->from) * scale_of(t);
}

static int bar_of(const struct ph_tempo *t)
{
    return t->per_bar > 0 ? t->per_bar : 4;
}

static void start(struct ph_tempo *t, double bpm, double next_s)
{
    double phase = 1 - next_s * bpm / 60;
    phase -= floor(phase);
    double ahead = phase - (t->beat - floor(t->beat));
    t->beat += ahead < 0 ? ahead + 1 : ahead;
    t->bpm = bpm;
    t->running = true;
    t->trouble_s = t->doubt_s = 0;
}

// How much of the way is gone in dt.
static double share(double dt, double time_s)
{
    return 1 - exp(-dt / time_s);
}

static double wrapped(double beats)
{
    return beats - floor(beats + 0.5);
}

static void follow(struct ph_tempo *t, const struct ph_tempo_hint *hint, double dt)
{
    double sure = (double) hint->confidence;
    double next_s = hint->next_s + t->shift_s;
    if (!t->running) {
        if (sure >= CERTAIN) start(t, hint->bpm, next_s);
        return;
    }
    t->doubt_s = sure < DOUBTFUL ? t->doubt_s + dt : 0;
    if (t->doubt_s > GIVE_UP_S) {
        t->running = false;
        return;
    }
    double off = wrapped(1 - next_s * hint->bpm / 60 - t->beat);
    bool strange = fabs(off) > FAR || fabs(hint->bpm / t->bpm - 1) > 0.15;
    t->trouble_s = strange && sure > 0.3 ? t->trouble_s + dt : 0;
    if (t->trouble_s > PATIENCE_S) {
        start(t, hint->bpm, next_s);
        return;
    }
    if (strange) return;
    t->bpm += (hint->bpm - t->bpm) * share(dt, TEMPO_S) * sure;
    double step = off * share(dt, PHASE_S) * sure, slowest = -0.5 * dt * t->bpm / 60;
    t->beat += fmax(step, slowest);
}

void ph_tempo_step(struct ph_tempo *t, double now_s, const struct ph_tempo_hint *hint,
                   struct ph_beat *out)
{
    double dt = fmax(0, now_s - t->now_s);
    t->now_s = fmax(now_s, t->now_s);
    if (t->running) t->beat += dt * t->bpm / 60;
    bool heard = hint && hint->bpm > 0 && !t->held;
    if (heard) follow(t, hint, dt);
    float sure = heard ? hint->confidence : t->held && t->running ? 1 : 0;
    t->confidence += (sure - t->confidence) * (float) share(dt, 0.3);
    *out = (struct ph_beat){ .bpm = t->running ? t->bpm * scale_of(t) : 0,
                             .beat = output(t),
                             .per_bar = bar_of(t),
                             .confidence = t->confidence };
}

void ph_tempo_nudge(struct ph_tempo *t, double later_s)
{
    t->shift_s += later_s;
}

void ph_tempo_resync(struct ph_tempo *t)
{
    double now = output(t), bar = bar_of(t);
    double behind = floor(now + 0.5) / bar;
    t->to += (ceil(behind) - behind) * bar;
}

// Both scales have a beat where the old one has a whole bar, or else a beat.
void ph_tempo_scale(struct ph_tempo *t, double factor)
{
    double from = floor(t->beat), to = t->to + (from - t->from) * scale_of(t);
    if (!(factor > 0) || factor == scale_of(t)) return;
    double now = output(t), after = floor(to) + (t->beat - from) * factor;
    t->from = from;
    t->to = floor(to) + ceil(fmax(0, now - after));
    t->scale = factor;
}

void ph_tempo_hold(struct ph_tempo *t, bool hold)
{
    t->held = hold;
}

void ph_tempo_set(struct ph_tempo *t, double bpm, double at_s)
{
    if (!(bpm > 0)) return;
    double left = (at_s - t->now_s) * bpm / 60;
    start(t, bpm, (left - floor(left)) * 60 / bpm);
}

// --- tapping

static void begin_taps(struct ph_taps *t, double now_s)
{
    memset(t, 0, sizeof *t);
    t->at_s[0] = t->beat_s = now_s;
    t->count = 1;
}

// Least squares of the moments over their numbers.
static void fit(struct ph_taps *t)
{
    double n = t->count, mean_i = 0, mean_t = 0, top = 0, bottom = 0;
    for (int k = 0; k < t->count; k++) {
        mean_i += (double) t->index[k] / n;
        mean_t += t->at_s[k] / n;
    }
    for (int k = 0; k < t->count; k++) {
        double i = (double) t->index[k] - mean_i;
        top += i * (t->at_s[k] - mean_t);
        bottom += i * i;
    }
    if (bottom <= 0 || top <= 0) return;
    double beat = top / bottom;
    t->bpm = 60 / beat;
    t->beat_s = mean_t + beat * ((double) t->index[t->count - 1] - mean_i);
}

void ph_taps_add(struct ph_taps *t, double now_s)
{
    double gap = t->count ? now_s - t->at_s[t->count - 1] : 0;
    double beat = t->bpm > 0 ? 60 / t->bpm : 0;
    if (!t->count || gap > fmax(2, 4 * beat)) {
        begin_taps(t, now_s);
        return;
    }
    if (gap < fmax(0.12, beat / 3)) return;
    double beats = beat > 0 ? (now_s - t->beat_s) / beat : 1;
    int64_t steps = (int64_t) lround(beats);
    if (t->count == PH_TAPS) {
        memmove(t->at_s, t->at_s + 1, (PH_TAPS - 1) * sizeof *t->at_s);
        memmove(t->index, t->index + 1, (PH_TAPS - 1) * sizeof *t->index);
        t->count--;
    }
    t->at_s[t->count] = now_s;
    t->index[t->count] = t->index[t->count - 1] + (steps > 1 ? steps : 1);
    t->count++;
    fit(t);
}

struct ph_tempo_hint ph_taps_hint(const struct ph_taps *t, double now_s)
{
    struct ph_tempo_hint hint = { .bpm = t->bpm };
    if (t->bpm <= 0) return hint;
    double beat = 60 / t->bpm, since = (now_s - t->beat_s) / beat;
    hint.next_s = (floor(since) + 1 - since) * beat;
    hint.confidence = t->count >= 4 ? 1 : 0.5f;
    return hint;
}

// --- quantised changes

double ph_quantum_wait_s(const struct ph_beat *b, enum ph_quantum quantum)
{
    double beats = quantum == PH_QUANTUM_BEAT     ? 1
                   : quantum == PH_QUANTUM_BAR    ? b->per_bar
                   : quantum == PH_QUANTUM_2_BARS ? 2 * b->per_bar
                   : quantum == PH_QUANTUM_4_BARS ? 4 * b->per_bar
                                                  : 0;
    if (beats <= 0 || b->bpm <= 0) return 0;
    return (ceil(b->beat / beats) * beats - b->beat) * 60 / b->bpm;
}
