// SPDX-License-Identifier: MIT
#include "models/stream/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/sampler/mix.h"

static float *row(float *rows, const struct ph_batch *b, int i)
{
    return rows + (int64_t) i * b->len;
}

static const float *row_of(const float *rows, const struct ph_batch *b, int i)
{
    return rows + (int64_t) i * b->len;
}

static void copy(const struct ph_batch *b, float *to, const float *from)
{
    memmove(to, from, (size_t) b->len * sizeof *to);
}

// ------------------------------------------------------------------------- coefficients
// In terms of eps instead of the model's output m: m = (eps - eps_x x) / eps_m.
static void in_eps(const struct ph_sampler_step *s, double of_x, double of_m, float *x,
                   float *e)
{
    *x = (float) (of_x - of_m * s->eps_x / s->eps_m);
    *e = (float) (of_m / s->eps_m);
}

static void slot_coefs(struct ph_batch_coefs *c, int i, const struct ph_batch_params *par)
{
    const struct ph_sampler_step *s = &par->step[i];
    bool last = i == par->slots - 1;
    c->input[i] = s->input;
    c->timestep[i] = s->timestep;
    c->eps_x[i] = s->eps_x, c->eps_m[i] = s->eps_m;
    c->clean[i] = s->clean, c->noise[i] = s->noise, c->start[i] = s->start;
    in_eps(s, s->x0_x, s->x0_m, &c->x0_x[i], &c->x0_e[i]);
    in_eps(s, s->next_x, s->next_m, &c->next_x[i], &c->next_e[i]);
    c->next_n[i] = par->no_noise ? 0 : s->next_noise;
    c->next_prev[i] = s->next_prev;
    float ahead = last ? 1 : par->step[i + 1].noise;
    // What a clean estimate of before pulls away from this frame's own latent (DPM++ 2M).
    float pull = s->next_prev / ahead;
    c->stock_prev[i] = pull;
    c->stock_x[i] = -pull / s->clean;
    c->stock_s[i] = (c->next_x[i] / ahead + pull / s->clean) * s->noise;
    c->stock_e[i] = c->next_e[i] / ahead;
    c->stock_n[i] = s->next_noise / ahead;
}

static enum ph_guidance effective(const struct ph_batch_params *par)
{
    return par->scale > 1 ? par->guidance : PH_GUIDANCE_NONE;
}

static void find_coefs(struct ph_batch_coefs *c, const struct ph_batch_params *par)
{
    enum ph_guidance guidance = effective(par);
    float g = par->scale;
    for (int i = 0; i < par->slots; i++) slot_coefs(c, i, par);
    c->pos = guidance == PH_GUIDANCE_NONE ? 1 : g;
    c->neg = guidance == PH_GUIDANCE_FULL ? 1 - g : 0;
    bool stock = guidance == PH_GUIDANCE_SELF || guidance == PH_GUIDANCE_INITIALIZE;
    c->stock = stock ? (1 - g) * par->delta : 0;
}

static ph_err check(const struct ph_batch_params *par, int capacity, struct ph_fault *fault)
{
    if (par->slots < 1 || !par->step)
        return ph_fail(fault, PH_EINVAL, "steps", "a stream needs at least one step");
    if (par->slots > capacity)
        return ph_fail(fault, PH_ELIMIT, "steps", "%d steps, but this stream has room for %d",
                       par->slots, capacity);
    if (!isfinite(par->scale) || !isfinite(par->delta))
        return ph_fail(fault, PH_EINVAL, "guidance", "guidance scale and delta must be finite");
    for (int i = 1; i < par->slots; i++)
        if (par->step[i].timestep > par->step[i - 1].timestep)
            return ph_fail(fault, PH_EINVAL, "steps",
                           "steps must go from noisy to clean, but t = %g comes after %g",
                           par->step[i].timestep, par->step[i - 1].timestep);
    return PH_OK;
}

static void take(struct ph_batch *b, const struct ph_batch_params *par)
{
    b->slots = par->slots;
    b->guidance = effective(par);
    b->no_noise = par->no_noise;
    find_coefs(&b->c, par);
}

// ------------------------------------------------------------------------- the object
ph_err ph_batch_create(struct ph_batch **out, int capacity, int64_t len, const float *noise,
                       const struct ph_batch_params *params, struct ph_fault *fault)
{
    *out = NULL;
    if (capacity < 1 || capacity > PH_BATCH_MAX || len < 1)
        return ph_fail(fault, PH_EINVAL, "steps", "a stream has 1 .. %d steps, not %d",
                       PH_BATCH_MAX, capacity);
    ph_err ret = check(params, capacity, fault);
    if (ret < 0) return ret;
    size_t plane = (size_t) capacity * (size_t) len;
    struct ph_batch *b = calloc(1, sizeof *b);
    float *rows = b ? calloc(plane * 5, sizeof *rows) : NULL;
    if (!rows) {
        free(b);
        return ph_fail(fault, PH_ENOMEM, "steps", "out of memory");
    }
    b->capacity = capacity;
    b->len = len;
    b->x = rows;
    b->noise = rows + plane;
    b->stock = rows + 2 * plane;
    b->prev = rows + 3 * plane;
    b->guided = rows + 4 * plane;
    memcpy(b->noise, noise, plane * sizeof *noise);
    take(b, params);
    *out = b;
    return PH_OK;
}

void ph_batch_destroy(struct ph_batch **b)
{
    if (*b) free((*b)->x);
    free(*b);
    *b = NULL;
}

void ph_batch_empty(struct ph_batch *b)
{
    b->filled = false;
}

static void renoise(struct ph_batch *b, const float *noise, int rows)
{
    for (int i = 1; b->filled && i < b->slots; i++) {
        float *n = row(b->noise, b, i), *x = row(b->x, b, i), *s = row(b->stock, b, i);
        const float *fresh = row_of(noise, b, i);
        float level = b->c.noise[i];
        ph_mix_of(x, b->len, { 1, x }, { level, fresh }, { -level, n });
        ph_mix_of(s, b->len, { 1, s }, { 1, fresh }, { -1, n });
    }
    memcpy(b->noise, noise, (size_t) rows * (size_t) b->len * sizeof *noise);
}

void ph_batch_reseed(struct ph_batch *b, const float *noise)
{
    renoise(b, noise, b->capacity);
}

void ph_batch_shift(struct ph_batch *b, const float *noise)
{
    renoise(b, noise, b->slots);
}

// ------------------------------------------------------------------------- live change of steps
static bool same_steps(const struct ph_batch_coefs *a, int n, const struct ph_batch_params *par)
{
    if (n != par->slots) return false;
    for (int i = 0; i < n; i++)
        if (a->timestep[i] != par->step[i].timestep || a->clean[i] != par->step[i].clean ||
            a->noise[i] != par->step[i].noise)
            return false;
    return true;
}

static int nearest(const struct ph_batch_coefs *c, int slots, const struct ph_sampler_step *s)
{
    int best = 1;
    double least = INFINITY, level = log(s->noise / s->clean);
    for (int i = 1; i < slots; i++) {
        double far = fabs(log(c->noise[i] / c->clean[i]) - level);
        if (far < least) least = far, best = i;
    }
    return best;
}

// Whether X of a slot was made from a clean estimate and fresh noise, as LCM does.
static bool noised_anew(const struct ph_batch *b, int i)
{
    return i == 0 || b->no_noise || fabsf(b->c.next_n[i - 1] - b->c.noise[i]) < 1e-6f;
}

// X and S of slot i of the old batch into a slot of another level: row j of x and s.
static void relevel(const struct ph_batch *b, int i, const struct ph_sampler_step *to, int j,
                    float *x, float *s)
{
    const float *x1 = row_of(b->x, b, i), *s1 = row_of(b->stock, b, i);
    bool anew = noised_anew(b, i), quiet = b->no_noise && i > 0;
    const float *n1 = anew ? row_of(b->noise, b, i) : s1;
    const float *n2 = anew ? row_of(b->noise, b, j) : s1;
    float clean = b->c.clean[i], noise = b->c.noise[i], ratio = to->clean / clean;
    // to.clean (x1 - noise n1)/clean + to.noise n2, and S' = (x' - to.clean (x1 - noise s1)/clean)
    // over to.noise; x1 falls out of the latter.
    float a1 = quiet ? 0 : -ratio * noise, a2 = quiet ? 0 : to->noise;
    ph_mix_of(x, b->len, { ratio, x1 }, { a1, n1 }, { a2, n2 });
    ph_mix_of(s, b->len, { ratio * noise / to->noise, s1 }, { -ratio * noise / to->noise, n1 },
              { 1, n2 });
}

// New slots read old rows on either side of them, so the walk goes to where none is needed again:
// slots that take from further down go first to last, the others last to first.
static void move_slots(struct ph_batch *b, const struct ph_batch_params *par)
{
    int from[PH_BATCH_MAX] = { 0 };
    uint64_t id[PH_BATCH_MAX];
    memcpy(id, b->id, sizeof id);
    for (int j = 1; j < par->slots; j++)
        from[j] = par->slots == b->slots ? j : nearest(&b->c, b->slots, &par->step[j]);
    for (int turn = 0; turn < 2; turn++)
        for (int k = 1; k < par->slots; k++) {
            int j = turn ? par->slots - k : k, i = from[j];
            if ((i > j) == (turn == 1)) continue;
            relevel(b, i, &par->step[j], j, row(b->x, b, j), row(b->stock, b, j));
            copy(b, row(b->prev, b, j), row(b->prev, b, i));
            b->id[j] = id[i];
        }
}

ph_err ph_batch_set(struct ph_batch *b, const struct ph_batch_params *params,
                    struct ph_fault *fault)
{
    ph_err ret = check(params, b->capacity, fault);
    if (ret < 0) return ret;
    if (!same_steps(&b->c, b->slots, params)) {
        if (b->filled && b->slots > 1) move_slots(b, params);
        // Nothing was in flight, so nothing can be moved.
        if (b->slots == 1 && params->slots > 1) b->filled = false;
        if (b->warm > params->slots - 1) b->warm = params->slots - 1;
    }
    take(b, params);
    return PH_OK;
}

// ------------------------------------------------------------------------- a frame enters
// z0 NULL: noise alone.
static void fill(struct ph_batch *b, const float *z0, uint64_t id)
{
    for (int i = 0; i < b->slots; i++) {
        float clean = z0 ? b->c.clean[i] : 0, noise = z0 ? b->c.noise[i] : b->c.start[i];
        if (b->no_noise && i > 0 && z0) noise = 0;
        const float *n = row(b->noise, b, i);
        ph_mix_of(row(b->x, b, i), b->len, { clean, z0 }, { noise, n });
        copy(b, row(b->stock, b, i), n);
        ph_mix_of(row(b->prev, b, i), b->len, { z0 ? 1 : 0, z0 });
        b->id[i] = id;
    }
    b->filled = true;
    b->warm = b->slots - 1;
}

void ph_batch_enter(struct ph_batch *b, const float *z0, uint64_t id)
{
    if (!b->filled) fill(b, z0, id);
    ph_mix_of(b->x, b->len, { b->c.clean[0], z0 }, { b->c.noise[0], b->noise });
    copy(b, b->stock, b->noise);
    b->id[0] = id;
}

void ph_batch_enter_noise(struct ph_batch *b, const float *noise, uint64_t id)
{
    if (!b->filled) fill(b, NULL, id);
    ph_mix_of(b->x, b->len, { b->c.start[0], noise ? noise : b->noise });
    copy(b, b->stock, b->noise);
    b->id[0] = id;
}

// ------------------------------------------------------------------------- rows
static int negatives(const struct ph_batch *b)
{
    return b->guidance == PH_GUIDANCE_FULL ? b->slots : b->guidance == PH_GUIDANCE_INITIALIZE;
}

int ph_batch_rows(const struct ph_batch *b)
{
    return negatives(b) + b->slots;
}

struct ph_batch_row ph_batch_row_at(const struct ph_batch *b, int r)
{
    int first = negatives(b), slot = r < first ? r : r - first;
    return (struct ph_batch_row){ slot, r < first, b->c.timestep[slot] };
}

void ph_batch_gather(const struct ph_batch *b, float *rows)
{
    for (int r = 0; r < ph_batch_rows(b); r++) {
        int slot = ph_batch_row_at(b, r).slot;
        ph_mix_of(row(rows, b, r), b->len, { b->c.input[slot], row_of(b->x, b, slot) });
    }
}

void ph_batch_prompts(const struct ph_batch *b, const float *const *positive,
                      const float *negative, int64_t size, float *rows)
{
    for (int r = 0; r < ph_batch_rows(b); r++) {
        struct ph_batch_row w = ph_batch_row_at(b, r);
        memcpy(rows + r * size, w.negative ? negative : positive[w.slot],
               (size_t) size * sizeof *rows);
    }
}

// ------------------------------------------------------------------------- a step
void ph_batch_guide(struct ph_batch *b, const float *unet)
{
    const struct ph_batch_coefs *c = &b->c;
    int first = negatives(b);
    if (b->guidance == PH_GUIDANCE_INITIALIZE)
        ph_mix_of(b->stock, b->len, { c->eps_x[0], b->x }, { c->eps_m[0], unet });
    for (int i = 0; i < b->slots; i++) {
        const float *positive = row_of(unet, b, first + i);
        const float *negative = c->neg != 0 ? row_of(unet, b, i) : NULL;
        ph_mix_of(row(b->guided, b, i), b->len,
                  { (c->pos + c->neg) * c->eps_x[i], row(b->x, b, i) },
                  { c->pos * c->eps_m[i], positive }, { c->neg * c->eps_m[i], negative },
                  { c->stock, row(b->stock, b, i) });
    }
}

void ph_batch_x0(const struct ph_batch *b, int i, float *out)
{
    ph_mix_of(out, b->len, { b->c.x0_x[i], row_of(b->x, b, i) },
              { b->c.x0_e[i], row_of(b->guided, b, i) });
}

// From the last slot to the first, so that each writes where nothing is read any more.
void ph_batch_advance(struct ph_batch *b, float *clean)
{
    const struct ph_batch_coefs *c = &b->c;
    for (int i = b->slots - 1; i >= 0; i--) {
        bool last = i == b->slots - 1;
        const float *x = row(b->x, b, i), *m = row(b->guided, b, i), *s = row(b->stock, b, i);
        const float *n = last ? b->noise : row(b->noise, b, i + 1);
        float *ahead = last ? clean : row(b->x, b, i + 1);
        ph_mix_of(ahead, b->len, { c->next_x[i], x }, { c->next_e[i], m }, { c->next_n[i], n },
                  { c->next_prev[i], row(b->prev, b, i) });
        if (last) continue;
        ph_mix_of(row(b->stock, b, i + 1), b->len, { c->stock_s[i], s }, { c->stock_e[i], m },
                  { c->stock_n[i], n }, { c->stock_x[i], x },
                  { c->stock_prev[i], row(b->prev, b, i) });
        ph_batch_x0(b, i, row(b->prev, b, i + 1));
    }
    b->left = b->id[b->slots - 1];
    memmove(b->id + 1, b->id, sizeof *b->id * (size_t) (b->slots - 1));
    if (b->warm > 0) b->warm--;
}

void ph_batch_step(struct ph_batch *b, const float *unet, float *clean)
{
    ph_batch_guide(b, unet);
    ph_batch_advance(b, clean);
}

void ph_batch_indices(double strength, int n, int table, int *index)
{
    double s = strength > 0 ? fmin(strength, 1) : 0;
    int first = (int) lrint((1 - s) * table);
    if (first > table - n) first = table - n;
    if (first < 0) first = 0;
    for (int i = 0; i < n; i++)
        index[i] = first + (int) floor(i * ((double) (table - first) / n));
}
