// SPDX-License-Identifier: MIT
#include "models/sampler/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "models/sampler/mix.h"

// What times and noise levels a sampler visits, before they become coefficients.
struct path {
    const struct ph_schedule *s;
    const struct ph_sampler_params *par;
    enum ph_spacing spacing;
    int count, first;
    double *t;     // [count]
    double *sigma; // [count + 1], of kinds that go by sigma
};

static bool by_table(enum ph_sampler_kind kind)
{
    return kind == PH_SAMPLER_LCM || kind == PH_SAMPLER_TCD;
}

static bool by_sigma(enum ph_sampler_kind kind)
{
    return kind == PH_SAMPLER_EULER || kind == PH_SAMPLER_EULER_ANCESTRAL ||
           kind == PH_SAMPLER_DPMPP_2M;
}

static double sigma_of(double abar)
{
    return sqrt((1 - abar) / abar);
}

// ------------------------------------------------------------------------- times
// The distillation's table, k, 2k, ... - 1, from its noisy end, thinned to n (LCMScheduler and
// TCDScheduler, set_timesteps).
static ph_err table_times(const struct path *p, int n, double *t, struct ph_fault *fault)
{
    int original = p->par->original_steps ? p->par->original_steps : p->s->original_steps;
    if (!p->par->original_steps && original < n) original = n;
    if (original < 1 || original > p->s->count)
        return ph_fail(fault, PH_EINVAL, "original_steps", "original_steps is %d, not 1 .. %d",
                       original, p->s->count);
    double strength = p->par->strength && !p->par->chosen ? p->par->strength : 1;
    int length = (int) (original * strength), gap = p->s->count / original;
    if (n > length)
        return ph_fail(fault, PH_EINVAL, "steps",
                       "%d steps, but the table of %d at strength %g "
                       "has %d: use fewer steps or a higher strength",
                       n, original, strength, length);
    for (int i = 0; i < n; i++) {
        int place = (int) floor(i * ((double) length / n));
        t[i] = (double) (length - place) * gap - 1;
    }
    return PH_OK;
}

static void linspace_times(const struct path *p, int n, double *t)
{
    bool dpm = p->s->kind == PH_SAMPLER_DPMPP_2M; // leaves out t = 0, and so has one gap more
    bool whole = dpm || p->s->kind == PH_SAMPLER_DDIM;
    int gaps = dpm ? n : n - 1;
    double top = p->s->count - 1;
    for (int i = 0; i < n; i++) {
        int place = dpm ? n - i : n - 1 - i;
        double v = gaps ? place * (top / gaps) : 0;
        t[i] = whole ? rint(v) : v;
    }
}

static void spaced_times(const struct path *p, int n, double *t)
{
    bool dpm = p->s->kind == PH_SAMPLER_DPMPP_2M;
    int ratio = p->s->count / (dpm ? n + 1 : n);
    if (p->spacing == PH_SPACING_LINSPACE) {
        linspace_times(p, n, t);
        return;
    }
    for (int i = 0; i < n; i++)
        if (p->spacing == PH_SPACING_LEADING)
            t[i] = fmin((double) (dpm ? n - i : n - 1 - i) * ratio + p->s->steps_offset,
                        p->s->count - 1);
        else
            t[i] = fmax(rint(p->s->count - i * ((double) p->s->count / n)) - 1, 0);
}

static ph_err full_times(const struct path *p, int n, double *t, struct ph_fault *fault)
{
    if (n < 1 || n > p->s->count)
        return ph_fail(fault, PH_EINVAL, "steps", "steps is %d, not 1 .. %d", n, p->s->count);
    if (by_table(p->s->kind)) return table_times(p, n, t, fault);
    spaced_times(p, n, t);
    return PH_OK;
}

static ph_err indexed_times(const struct path *p, struct ph_fault *fault)
{
    int n = p->par->steps ? p->par->steps : 50;
    double *table = malloc((size_t) (n > 0 ? n : 1) * sizeof *table);
    if (!table) return ph_fail(fault, PH_ENOMEM, "steps", "out of memory");
    ph_err ret = full_times(p, n, table, fault);
    for (int i = 0; ret >= 0 && i < p->count; i++) {
        int place = p->par->index[i];
        if (place < 0 || place >= n)
            ret = ph_fail(fault, PH_EINVAL, "index", "step %d of %d does not exist: 0 .. %d",
                          place, n, n - 1);
        else
            p->t[i] = table[place];
    }
    free(table);
    return ret;
}

static ph_err given_times(const struct path *p, struct ph_fault *fault)
{
    for (int i = 0; i < p->count; i++) {
        p->t[i] = p->par->timesteps[i];
        if (!(p->t[i] >= 0 && p->t[i] <= p->s->count - 1))
            return ph_fail(fault, PH_EINVAL, "timesteps", "timestep %g is not in 0 .. %d",
                           p->t[i], p->s->count - 1);
    }
    return PH_OK;
}

static ph_err find_times(const struct path *p, struct ph_fault *fault)
{
    ph_err ret = p->par->timesteps ? given_times(p, fault)
                 : p->par->index   ? indexed_times(p, fault)
                                   : full_times(p, p->count, p->t, fault);
    for (int i = 1; ret >= 0 && i < p->count; i++)
        if (p->t[i] > p->t[i - 1])
            ret = ph_fail(fault, PH_EINVAL, "timesteps",
                          "timesteps must go from noisy to clean, "
                          "but %g comes after %g",
                          p->t[i], p->t[i - 1]);
    return ret;
}

// ------------------------------------------------------------------------- sigmas
static double sigma_at(const struct ph_schedule *s, double t)
{
    int low = (int) t < s->count - 2 ? (int) t : s->count - 2;
    double w = t - low, a = sigma_of(s->abar[low]), b = sigma_of(s->abar[low + 1]);
    return a + (b - a) * w;
}

// The time of a noise level, linear in its logarithm.
static double time_of(const struct ph_schedule *s, double sigma)
{
    int low = 0, high = s->count - 1;
    while (high - low > 1) {
        int mid = (low + high) / 2;
        if (sigma_of(s->abar[mid]) <= sigma)
            low = mid;
        else
            high = mid;
    }
    double a = log(sigma_of(s->abar[low])), b = log(sigma_of(s->abar[low + 1]));
    return low + fmin(fmax((log(fmax(sigma, 1e-10)) - a) / (b - a), 0), 1);
}

// Karras et al., arXiv 2206.00364, eq. 5, rho 7. DPM++ goes over the whole table, Euler over what
// the spacing left of it; DPM++ tells the model whole times.
static void karras_sigmas(const struct path *p)
{
    bool dpm = p->s->kind == PH_SAMPLER_DPMPP_2M;
    double top = pow(dpm ? sigma_of(p->s->abar[p->s->count - 1]) : p->sigma[0], 1 / 7.0);
    double end = pow(dpm ? sigma_of(p->s->abar[0]) : p->sigma[p->count - 1], 1 / 7.0);
    for (int i = 0; i < p->count; i++) {
        double u = p->count > 1 ? i / (p->count - 1.0) : 0;
        p->sigma[i] = pow(top + u * (end - top), 7);
        p->t[i] = time_of(p->s, p->sigma[i]);
        if (dpm) p->t[i] = rint(p->t[i]);
    }
}

static void find_sigmas(const struct path *p)
{
    for (int i = 0; i < p->count; i++) p->sigma[i] = sigma_at(p->s, p->t[i]);
    if (p->s->karras && !p->par->chosen) karras_sigmas(p);
    bool stays = p->s->kind == PH_SAMPLER_DPMPP_2M && p->s->final_sigma_min;
    p->sigma[p->count] = stays ? sigma_of(p->s->abar[0]) : 0;
}

// ------------------------------------------------------------------------- coefficients
// A quantity as a factor of x and one of the model's output.
struct pair {
    double x, m;
};

static struct pair sum(double a, struct pair p, double b, struct pair q)
{
    return (struct pair){ a * p.x + b * q.x, a * p.m + b * q.m };
}

// x = a z + b n, and what the model says of it.
static void estimates(enum ph_prediction prediction, double a, double b, struct pair *x0,
                      struct pair *eps)
{
    *eps = (struct pair){ 0, 1 };
    *x0 = (struct pair){ 1 / a, -b / a };
    switch (prediction) {
    case PH_PREDICT_EPSILON: break;
    case PH_PREDICT_V:
        *eps = (struct pair){ b, a };
        *x0 = (struct pair){ a, -b };
        break;
    case PH_PREDICT_SAMPLE:
        *eps = (struct pair){ 1 / b, -a / b };
        *x0 = (struct pair){ 0, 1 };
        break;
    }
}

static void set(struct ph_sampler_step *o, struct pair x0, struct pair eps, struct pair next)
{
    o->x0_x = (float) x0.x, o->x0_m = (float) x0.m;
    o->eps_x = (float) eps.x, o->eps_m = (float) eps.m;
    o->next_x = (float) next.x, o->next_m = (float) next.m;
}

static double abar_at(const struct path *p, int i)
{
    return p->s->abar[(int) p->t[i]];
}

static void lcm_step(const struct path *p, int i, struct ph_sampler_step *o)
{
    double abar = abar_at(p, i), s = p->t[i] * p->s->timestep_scaling;
    double c_skip = 0.25 / (s * s + 0.25), c_out = s / sqrt(s * s + 0.25);
    struct pair x0, eps, keep = { 1, 0 };
    estimates(p->s->prediction, sqrt(abar), sqrt(1 - abar), &x0, &eps);
    struct pair clean = sum(c_out, x0, c_skip, keep);
    bool last = i == p->count - 1;
    double ahead = last ? 1 : abar_at(p, i + 1);
    set(o, clean, eps, sum(sqrt(ahead), clean, 0, eps));
    o->next_noise = last ? 0 : (float) sqrt(1 - ahead);
}

static double ddim_ahead(const struct path *p, int i)
{
    double end = p->s->alpha_to_one ? 1 : p->s->abar[0];
    if (p->par->chosen) return i + 1 < p->count ? abar_at(p, i + 1) : end;
    int t = (int) p->t[i] - p->s->count / p->count;
    return t >= 0 ? p->s->abar[t] : end;
}

static void ddim_step(const struct path *p, int i, struct ph_sampler_step *o)
{
    double abar = abar_at(p, i), ahead = ddim_ahead(p, i);
    double variance = (1 - ahead) / (1 - abar) * (1 - abar / ahead);
    double noise = p->par->eta * sqrt(fmax(variance, 0));
    struct pair x0, eps;
    estimates(p->s->prediction, sqrt(abar), sqrt(1 - abar), &x0, &eps);
    double along = sqrt(fmax(1 - ahead - noise * noise, 0));
    set(o, x0, eps, sum(sqrt(ahead), x0, along, eps));
    o->next_noise = (float) noise;
}

static void tcd_step(const struct path *p, int i, struct ph_sampler_step *o)
{
    bool last = i == p->count - 1;
    double abar = abar_at(p, i), goal = last ? 0 : p->t[i + 1];
    // In float, as the reference takes the floor.
    double between = p->s->abar[(int) floorf((float) (1 - p->par->eta) * (float) goal)];
    double ahead = p->s->abar[(int) goal];
    struct pair x0, eps;
    estimates(p->s->prediction, sqrt(abar), sqrt(1 - abar), &x0, &eps);
    struct pair noised = sum(sqrt(between), x0, sqrt(1 - between), eps);
    bool noisy = p->par->eta > 0 && !last;
    set(o, x0, eps, sum(noisy ? sqrt(ahead / between) : 1, noised, 0, eps));
    o->next_noise = noisy ? (float) sqrt(1 - ahead / between) : 0;
}

static void euler_step(const struct path *p, int i, struct ph_sampler_step *o)
{
    double sigma = p->sigma[i], ahead = p->sigma[i + 1], down = ahead, up = 0;
    double a = 1 / sqrt(sigma * sigma + 1);
    struct pair x0, eps, keep = { 1, 0 };
    estimates(p->s->prediction, a, sigma * a, &x0, &eps);
    x0.x *= a, eps.x *= a; // the model saw a x
    if (p->s->kind == PH_SAMPLER_EULER_ANCESTRAL) {
        up = ahead * sqrt(fmax(sigma * sigma - ahead * ahead, 0)) / sigma;
        down = sqrt(fmax(ahead * ahead - up * up, 0));
    }
    set(o, x0, eps, sum(1, keep, down - sigma, eps));
    o->next_noise = (float) up;
    o->input = (float) a;
    o->clean = 1;
    o->noise = (float) sigma;
    bool narrow = p->spacing == PH_SPACING_LEADING; // that does not begin at pure noise
    o->start = (float) (narrow ? 1 / a : sigma);
}

static void dpm_step(const struct path *p, int i, struct ph_sampler_step *o)
{
    double sigma = p->sigma[i], ahead = p->sigma[i + 1];
    double a = 1 / sqrt(sigma * sigma + 1), a2 = 1 / sqrt(ahead * ahead + 1);
    struct pair x0, eps, keep = { 1, 0 };
    estimates(p->s->prediction, a, sigma * a, &x0, &eps);
    double weight = a2 * (1 - ahead / sigma), back = 0; // a2 (1 - exp(-h))
    bool ends_low = ahead == 0 || (p->s->lower_order_final && p->count < 15);
    bool first_order = i == p->first || (i == p->count - 1 && ends_low);
    if (!first_order) {
        double h = log(sigma / ahead), h_before = log(p->sigma[i - 1] / sigma);
        back = weight * h / (2 * h_before);
    }
    set(o, x0, eps, sum(ahead * a2 / (sigma * a), keep, weight + back, x0));
    o->next_prev = (float) -back;
    o->clean = (float) a;
    o->noise = (float) (sigma * a);
}

static void fill_step(const struct path *p, int i, struct ph_sampler_step *o)
{
    *o = (struct ph_sampler_step){ .timestep = p->t[i], .input = 1, .start = 1 };
    if (!by_sigma(p->s->kind)) {
        o->clean = (float) sqrt(abar_at(p, i));
        o->noise = (float) sqrt(1 - abar_at(p, i));
    }
    switch (p->s->kind) {
    case PH_SAMPLER_AUTO: break;
    case PH_SAMPLER_LCM: lcm_step(p, i, o); break;
    case PH_SAMPLER_DDIM: ddim_step(p, i, o); break;
    case PH_SAMPLER_TCD: tcd_step(p, i, o); break;
    case PH_SAMPLER_EULER:
    case PH_SAMPLER_EULER_ANCESTRAL: euler_step(p, i, o); break;
    case PH_SAMPLER_DPMPP_2M: dpm_step(p, i, o); break;
    }
}

// ------------------------------------------------------------------------- the object
static ph_err check(const struct ph_schedule *s, const struct ph_sampler_params *par,
                    struct ph_fault *fault)
{
    bool picked = par->timesteps || par->index;
    if (picked != (par->chosen > 0) || (par->timesteps && par->index) || par->chosen > s->count)
        return ph_fail(fault, PH_EINVAL, "chosen",
                       "chosen steps need either timesteps or places, 1 .. %d of them",
                       s->count);
    if (!(par->strength >= 0 && par->strength <= 1))
        return ph_fail(fault, PH_EINVAL, "strength", "strength is %g, not in 0 .. 1",
                       par->strength);
    if (!(par->eta >= 0 && par->eta <= 1))
        return ph_fail(fault, PH_EINVAL, "eta", "eta is %g, not in 0 .. 1", par->eta);
    return PH_OK;
}

// As diffusers' img2img pipelines count (get_timesteps), but never no step at all.
static int first_step(const struct path *p)
{
    double strength = p->par->strength ? p->par->strength : 1;
    if (by_table(p->s->kind) && !p->par->chosen) return 0;
    int run = (int) (p->count * strength);
    return p->count - (run > 1 ? run : 1);
}

ph_err ph_sampler_create(const struct ph_schedule *schedule,
                         const struct ph_sampler_params *params, struct ph_sampler **out,
                         struct ph_fault *fault)
{
    *out = NULL;
    ph_err ret = check(schedule, params, fault);
    if (ret < 0) return ret;
    struct path p = { .s = schedule, .par = params };
    p.spacing = params->spacing ? params->spacing : schedule->spacing;
    p.count = params->chosen ? params->chosen : params->steps;
    p.first = first_step(&p);
    if (p.count < 1 || p.count > schedule->count)
        return ph_fail(fault, PH_EINVAL, "steps", "steps is %d, not 1 .. %d", p.count,
                       schedule->count);
    struct ph_sampler *s = calloc(1, sizeof *s + (size_t) p.count * sizeof *s->step);
    p.t = calloc((size_t) p.count * 2 + 1, sizeof *p.t);
    p.sigma = p.t ? p.t + p.count : NULL;
    ret = s && p.t ? find_times(&p, fault)
                   : ph_fail(fault, PH_ENOMEM, "sampler", "out of memory");
    if (ret >= 0) {
        s->kind = schedule->kind;
        s->count = p.count;
        s->first = p.first;
        if (by_sigma(s->kind)) find_sigmas(&p);
        for (int i = 0; i < p.count; i++) fill_step(&p, i, &s->step[i]);
        *out = s;
    } else {
        free(s);
    }
    free(p.t);
    return ret;
}

void ph_sampler_free(struct ph_sampler **s)
{
    free(*s);
    *s = NULL;
}

bool ph_sampler_needs_noise(const struct ph_sampler *s)
{
    for (int i = 0; i < s->count; i++)
        if (s->step[i].next_noise != 0) return true;
    return false;
}

bool ph_sampler_needs_prev(const struct ph_sampler *s)
{
    for (int i = 0; i < s->count; i++)
        if (s->step[i].next_prev != 0) return true;
    return false;
}

void ph_sampler_advance(const struct ph_sampler_step *step, const float *x, const float *m,
                        const float *noise, const float *prev, int64_t n, float *x0,
                        float *next)
{
    // In pieces, so that next may be x and x0 may be prev with both still read by the other sum.
    float clean[512];
    for (int64_t at = 0; at < n; at += 512) {
        int64_t part = n - at < 512 ? n - at : 512;
        const float *nz = noise ? noise + at : NULL, *pv = prev ? prev + at : NULL;
        ph_mix_of(clean, part, { step->x0_x, x + at }, { step->x0_m, m + at });
        ph_mix_of(next + at, part, { step->next_x, x + at }, { step->next_m, m + at },
                  { step->next_noise, nz }, { step->next_prev, pv });
        for (int64_t i = 0; x0 && i < part; i++) x0[at + i] = clean[i];
    }
}
