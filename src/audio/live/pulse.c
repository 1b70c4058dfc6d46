// SPDX-License-Identifier: MIT
#include "audio/live/pulse.h"

#include "core/tree.h"

#include <math.h>
#include <string.h>

#define TICK_HZ 200
#define TICKS   (TICK_HZ / PH_PULSE_HZ)
#define SHORT   (60 * TICK_HZ / PH_PULSE_MAX_BPM)     // ticks of the shortest beat
#define LONG    (60 * TICK_HZ / PH_PULSE_MIN_BPM + 1) // of the longest
#define TEMPI   (LONG - SHORT + 1)
#define WIDTH   6  // ticks around a predicted beat that count as it
#define REACH   24 // ticks a beat may differ from the one before

// Found by trying: each may be changed by a third without much change in the scores.
#define AGAINST   1.1f  // logarithm of how much a beat without an onset speaks against it
#define IN_FAVOUR 2.3f  // and one with the strongest for it
#define CURVE     1.3f  // power of the onsets in between
#define STEADY    80.0f // how a beat's length differs from the one before: exp(-80 |ratio - 1|)
#define JUMP      0.02f // part of all that may go on with any tempo
#define RESTART   5e-4f // and with any tempo at any moment, in each tick
#define PULL      0.8f  // how much a second at a rare tempo costs
#define MEAN_S    0.3f
#define TOP_S     6.0f  // how long a strong onset is the measure of others
#define LEAST     0.05f // what never gets stronger is no onset
#define ACTIVE_S  2.0f  // how long after an onset its absence says anything

struct ph_pulse {
    float *
        mass[TEMPI]; // [SHORT + i]: probability by the tick of the last beat, modulo its length
    float step[TEMPI][2 * REACH + 1]; // from length i to i + k - REACH
    float prior[TEMPI], pull[TEMPI];
    bool allowed[TEMPI];
    int64_t tick;
    float onset[3];       // normalised, newest first
    float widened;        // of the frame before
    float mean, top;      // running, of the onsets
    float activity;       // 1 where something is going on, falls within seconds
    float left[LONG + 1]; // probability by ticks until the next beat
};

// --- creation

static void make_steps(struct ph_pulse *p)
{
    for (int i = 0; i < TEMPI; i++) {
        double sum = 0;
        for (int k = 0; k <= 2 * REACH; k++) {
            int to = i + k - REACH;
            bool inside = to >= 0 && to < TEMPI && p->allowed[to];
            double ratio = (double) (SHORT + to) / (SHORT + i);
            p->step[i][k] = inside ? (float) exp(-(double) STEADY * fabs(ratio - 1)) : 0;
            sum += (double) p->step[i][k];
        }
        for (int k = 0; k <= 2 * REACH; k++)
            p->step[i][k] = sum > 0 ? (float) (p->step[i][k] * (1 - JUMP) / sum) : 0;
    }
}

static void make_prior(struct ph_pulse *p)
{
    double sum = 0;
    for (int i = 0; i < TEMPI; i++) {
        double bpm = 60.0 * TICK_HZ / (SHORT + i), off = log2(bpm / 120);
        p->prior[i] = p->allowed[i] ? (float) (exp(-0.5 * off * off) / (SHORT + i)) : 0;
        p->pull[i] = (float) exp(-0.5 * off * off * (double) PULL * (SHORT + i) / TICK_HZ);
        sum += (double) p->prior[i];
    }
    for (int i = 0; i < TEMPI; i++) p->prior[i] /= (float) sum;
}

static void spread(struct ph_pulse *p)
{
    for (int i = 0; i < TEMPI; i++)
        for (int k = 0; k < SHORT + i; k++) p->mass[i][k] = p->prior[i] / (float) (SHORT + i);
}

void ph_pulse_reset(struct ph_pulse *p)
{
    p->tick = 0;
    memset(p->onset, 0, sizeof p->onset);
    p->mean = p->top = p->activity = p->widened = 0;
    spread(p);
}

ph_err ph_pulse_create(struct ph_pulse **out)
{
    struct ph_pulse *p = ph_new(NULL, struct ph_pulse, 1);
    *out = NULL;
    if (!p) return PH_ENOMEM;
    for (int i = 0; i < TEMPI; i++) {
        p->mass[i] = ph_new(p, float, (size_t) (SHORT + i));
        if (!p->mass[i]) {
            ph_tree_free(p);
            return PH_ENOMEM;
        }
        p->allowed[i] = true;
    }
    make_steps(p);
    make_prior(p);
    ph_pulse_reset(p);
    *out = p;
    return PH_OK;
}

void ph_pulse_destroy(struct ph_pulse **p)
{
    ph_tree_free(*p);
    *p = NULL;
}

void ph_pulse_limit(struct ph_pulse *p, double min_bpm, double max_bpm)
{
    double low = fmin(fmax(min_bpm, PH_PULSE_MIN_BPM), PH_PULSE_MAX_BPM / 1.2);
    double high = fmax(fmin(max_bpm, PH_PULSE_MAX_BPM), low * 1.2);
    bool changed = false;
    for (int i = 0; i < TEMPI; i++) {
        double bpm = 60.0 * TICK_HZ / (SHORT + i);
        bool allowed = bpm >= low - 0.5 && bpm <= high + 0.5;
        changed |= allowed != p->allowed[i];
        p->allowed[i] = allowed;
    }
    if (!changed) return;
    make_steps(p);
    make_prior(p);
    spread(p);
}

// --- onsets

// To 0..1: above the mean of the last moments, against the strongest of the last seconds.
static float judge(struct ph_pulse *p, float onset)
{
    float x = onset > 0 && onset < 1e6f ? onset : 0;
    float over = fmaxf(0, x - p->mean);
    p->mean += (x - p->mean) * (1 - expf(-1 / (MEAN_S * PH_PULSE_HZ)));
    p->top *= expf(-1 / (TOP_S * PH_PULSE_HZ));
    if (over > p->top) p->top += (over - p->top) * 0.7f;
    p->activity *= expf(-1 / (ACTIVE_S * PH_PULSE_HZ));
    float o = fminf(1, over / fmaxf(p->top, LEAST));
    p->activity = fmaxf(p->activity, o);
    return o;
}

// --- one tick

static void add_steps(const struct ph_pulse *p, int i, float mass, float *to)
{
    int first = i < REACH ? REACH - i : 0;
    int last = i + REACH >= TEMPI ? TEMPI - 1 - i + REACH : 2 * REACH;
    for (int k = first; k <= last; k++) to[i + k - REACH] += mass * p->step[i][k];
}

// Beats whose time has come begin again, each with the lengths it may have next.
static void tick(struct ph_pulse *p, float onset)
{
    float begun[TEMPI] = { 0 }, sum = 0;
    for (int i = 0; i < TEMPI; i++) {
        float *slot = &p->mass[i][p->tick % (SHORT + i)];
        sum += *slot;
        if (*slot > 1e-12f) add_steps(p, i, *slot, begun);
    }
    float agree = expf(p->activity * ((AGAINST + IN_FAVOUR) * powf(onset, CURVE) - AGAINST));
    for (int i = 0; i < TEMPI; i++) {
        float fresh = begun[i] + (sum * JUMP + RESTART) * p->prior[i];
        p->mass[i][p->tick % (SHORT + i)] = fresh * agree * p->pull[i];
    }
    p->tick++;
}

// Brings the sum to 1 again, and takes down when next beats will be. The newest tick was p->tick - 1.
static void balance(struct ph_pulse *p)
{
    float sum = 0;
    for (int i = 0; i < TEMPI; i++)
        for (int k = 0; k < SHORT + i; k++) sum += p->mass[i][k];
    if (!(sum > 0)) {
        spread(p); // everything that was possible is forbidden now
        sum = 1;
    }
    float scale = 1 / sum;
    memset(p->left, 0, sizeof p->left);
    for (int i = 0; i < TEMPI; i++) {
        int length = SHORT + i, now = (int) (p->tick % length);
        float *m = p->mass[i];
        // the slot at `now` begins again with the next tick
        for (int k = now; k < length; k++) p->left[k - now + 1] += m[k] *= scale;
        for (int k = 0; k < now; k++) p->left[length + k - now + 1] += m[k] *= scale;
    }
}

// --- what it says

static float window_at(const struct ph_pulse *p, int at, int width)
{
    float sum = 0;
    for (int k = at - width; k <= at + width; k++)
        if (k >= 0 && k <= LONG) sum += p->left[k];
    return sum;
}

static float mass_left(const struct ph_pulse *p, int i, int left)
{
    int length = SHORT + i;
    if (left < 1 || left > length) return 0;
    return p->mass[i][(p->tick + left - 1) % length];
}

// The lengths of those beats that end about `at`, and their strongest neighbourhood.
static void find_length(const struct ph_pulse *p, int at, int width, struct ph_pulse_state *out)
{
    float by_length[TEMPI] = { 0 }, best = 0;
    int peak = 0;
    for (int i = 0; i < TEMPI; i++)
        for (int k = at - width; k <= at + width; k++) by_length[i] += mass_left(p, i, k);
    for (int i = 0; i < TEMPI; i++) {
        float sum = 0;
        for (int k = i - 3; k <= i + 3; k++)
            if (k >= 0 && k < TEMPI) sum += by_length[k];
        if (sum > best) peak = i;
        best = fmaxf(best, sum);
    }
    double mass = 0, length = 0, left = 0;
    int reach = (SHORT + peak) / 12;
    for (int i = peak - reach; i <= peak + reach; i++)
        for (int k = at - width; i >= 0 && i < TEMPI && k <= at + width; k++) {
            double m = (double) mass_left(p, i, k);
            mass += m;
            length += m * (SHORT + i);
            left += m * k;
        }
    if (mass <= 0) return;
    out->bpm = 60.0 * TICK_HZ / (length / mass);
    out->next_s = left / mass / TICK_HZ;
    out->confidence = (float) fmin(1, mass);
}

// An onset up to a frame early or late still is the beat's.
static float widened(const float *onset)
{
    return fmaxf(onset[1], 0.6f * fmaxf(onset[0], onset[2]));
}

void ph_pulse_step(struct ph_pulse *p, float onset, struct ph_pulse_state *out)
{
    memmove(p->onset + 1, p->onset, 2 * sizeof *p->onset);
    p->onset[0] = judge(p, onset);
    float now = widened(p->onset);
    tick(p, (p->widened + now) / 2);
    tick(p, now);
    p->widened = now;
    balance(p);
    memset(out, 0, sizeof *out);
    out->onset = p->onset[0];
    int at = 0, width = WIDTH;
    float best = 0;
    for (int k = 1; k <= LONG; k++) {
        float sum = window_at(p, k, width);
        if (sum > best) at = k;
        best = fmaxf(best, sum);
    }
    find_length(p, at, width, out);
    out->next_s -= 1.0 / PH_PULSE_HZ; // the second tick was about the frame before this one
}

void ph_pulse_set(struct ph_pulse *p, double bpm, double next_s)
{
    if (!(bpm > 0) || !isfinite(next_s)) return;
    double beat = 60.0 * TICK_HZ / bpm, left = (next_s + 1.0 / PH_PULSE_HZ) * TICK_HZ / beat;
    left -= floor(left);
    for (int i = 0; i < TEMPI; i++) {
        int length = SHORT + i;
        double off = fabs(length / beat - 1);
        float m = p->allowed[i] ? (float) exp(-(double) STEADY * off) : 0;
        memset(p->mass[i], 0, (size_t) length * sizeof(float));
        for (int k = -WIDTH; k <= WIDTH && m > 0; k++) {
            int64_t slot = (int64_t) lround(left * length) - 1 + k + p->tick + length;
            p->mass[i][slot % length] += m * expf(-0.1f * (float) (k * k));
        }
    }
    balance(p);
}
