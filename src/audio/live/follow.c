// SPDX-License-Identifier: MIT
#include "audio/live/follow.h"

#include "core/wave.h"

#include <math.h>

const struct ph_follow_times ph_follow_drums = { 0.002, 0.100 };
const struct ph_follow_times ph_follow_kick = { 0.005, 0.150 };
const struct ph_follow_times ph_follow_snare = { 0.002, 0.090 };
const struct ph_follow_times ph_follow_hats = { 0.001, 0.080 };
const struct ph_follow_times ph_follow_bass = { 0.010, 0.200 };
const struct ph_follow_times ph_follow_vocals = { 0.015, 0.150 };
const struct ph_follow_times ph_follow_default = { 0.005, 0.150 };
const struct ph_follow_times ph_follow_sustain = { 0.020, 0.200 };

const struct ph_spring_kind ph_spring_kick = { 1, 400, 18 };
const struct ph_spring_kind ph_spring_bass = { 1.5, 150, 25.5 };
const struct ph_spring_kind ph_spring_vocals = { 1, 250, 22 };
const struct ph_spring_kind ph_spring_ambient = { 2, 50, 25 };

double ph_follow(double y, double x, double dt_s, const struct ph_follow_times *times)
{
    double tau = x > y ? times->attack_s : times->release_s;
    return tau > 0 ? y + (x - y) * (1 - exp(-dt_s / tau)) : x;
}

struct ph_spring_kind ph_spring_at(const struct ph_spring_kind *kind, double s)
{
    return (struct ph_spring_kind){ kind->mass, kind->stiffness * s, kind->damping * sqrt(s) };
}

// Solved for the distance to the input: d'' + 2 a d' + w^2 d = 0.
double ph_spring_step(struct ph_spring *s, double input, double dt_s,
                      const struct ph_spring_kind *kind)
{
    double a = kind->damping / (2 * kind->mass), w2 = kind->stiffness / kind->mass;
    double d = s->x - input, v = s->v, under = w2 - a * a, e = exp(-a * dt_s), c, sn;
    if (under > 1e-9 * w2) {
        double w = sqrt(under);
        c = cos(w * dt_s);
        sn = sin(w * dt_s) / w;
    } else if (under < -1e-9 * w2) {
        double w = sqrt(-under);
        c = cosh(w * dt_s);
        sn = sinh(w * dt_s) / w;
    } else {
        c = 1;
        sn = dt_s;
    }
    s->x = input + e * (d * c + (v + a * d) * sn);
    s->v = e * (v * c - (a * v + w2 * d) * sn);
    return s->x;
}

void ph_gain_step(struct ph_gain *g, double x, double dt_s)
{
    double r = ph_factor_over(x > g->average ? 0.2 : 0.5, dt_s);
    double slow = ph_factor_over(g->age_s < 49.5 / 30 ? 0.9 : 0.992, dt_s);
    g->average = r * g->average + (1 - r) * x;
    g->longer = slow * g->longer + (1 - slow) * x;
    g->age_s += dt_s;
    bool silent = fabs(g->longer) < 0.001;
    g->now = silent ? 1 : x / g->longer;
    g->att = silent ? 1 : g->average / g->longer;
}

double ph_span_step(struct ph_span *r, double x, double dt_s, double memory_s, double least)
{
    if (!r->known) r->low = r->high = x;
    r->known = true;
    double part = 1 - exp(-dt_s / memory_s), quick = 1 - exp(-dt_s / 0.03);
    double middle = r->low + (r->high - r->low) * 0.3;
    r->high += (x - r->high) * (x > r->high ? quick : 0) + (middle - r->high) * part;
    r->low += (x - r->low) * (x < r->low ? quick : 0) + (middle - r->low) * part;
    double y = (x - r->low) / fmax(r->high - r->low, least);
    return fmin(1, fmax(0, y));
}
