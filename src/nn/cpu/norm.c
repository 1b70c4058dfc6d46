// SPDX-License-Identifier: MIT
// The norms in two passes over memory. Statistics are taken of parts of the pixels, whose limits
// depend on the shape alone, in floats about each channel's first value, and joined in doubles
// (T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances", 1979): stable for pictures far from zero, and the same for any number of threads.
#include "nn/cpu/norm.h"

#include <math.h>
#include <string.h>

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/plain.h"
#include "nn/cpu/pool.h"
#include "nn/cpu/slots.h"

static const struct ph_norm_ops *ops(void)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (cpu & PH_CPU_AVX512) return &ph_norm_avx512;
    if (cpu & PH_CPU_AVX2) return &ph_norm_avx2;
#endif
    return NULL;
}

static double fits(const struct ph_step *step, const struct ph_place *place,
                   enum ph_precision precision)
{
    enum ph_dtype in = place[step->in[0]].dtype, out = place[step->out].dtype;
    bool known = (in == PH_F32 || in == PH_BF16) && (out == PH_F32 || out == PH_BF16);
    return known && ops() ? 10 : 0;
}

// ------------------------------------------------------------------------------ group norm
#define PARTS 64  // of an image, at most
#define LEAST 16  // pixels of a part
#define FOLD  256 // pixels summed in floats

struct moments {
    double count, mean, square; // square: sum of squared differences from the mean
};

struct group {
    const struct ph_step *step;
    const struct ph_run *run;
    int64_t n, c, space, pixels, parts; // pixels of a part
    int64_t width;                      // channels of a group
    struct moments *moments;            // [n][parts][groups]
    float *factors;                     // [n][4][c]: middle, factor, offset, row
    char *pieces;
};

static void describe(struct group *g, const struct ph_step *step, const struct ph_place *place)
{
    const struct ph_place *x = &place[step->in[0]];
    g->step = step;
    g->n = x->dim[0];
    g->c = ph_place_channels(x);
    g->space = x->count / (g->n * g->c);
    g->width = g->c / step->groups;
    int64_t each = (g->space + PARTS - 1) / PARTS;
    g->pixels = each < LEAST ? LEAST : each;
    g->parts = (g->space + g->pixels - 1) / g->pixels;
}

static size_t up(size_t n)
{
    return (n + 63) & ~(size_t) 63;
}

// Scratch: moments, factors, then the pieces of threads.
static size_t moments_bytes(const struct group *g)
{
    return up(sizeof(struct moments) * (size_t) (g->n * g->parts * g->step->groups));
}

static size_t factors_bytes(const struct group *g)
{
    return up(sizeof(float) * (size_t) (g->n * 4 * g->c));
}

static size_t piece_bytes(const struct group *g)
{
    return 3 * up(sizeof(float) * (size_t) g->c);
}

static ph_err group_prepare(struct ph_device *device, struct ph_step *step,
                            const struct ph_place *place, enum ph_precision precision,
                            struct ph_fault *fault)
{
    struct group g = { 0 };
    describe(&g, step, place);
    step->scratch =
        moments_bytes(&g) + factors_bytes(&g) + ph_slots_bytes(device, piece_bytes(&g));
    return ph_plain_prepare_vectors(device, step, place, precision, fault);
}

// What is added to the channels of image n before the norm.
static float *row_of(const struct group *g, int64_t n)
{
    return g->factors + (n * 4 + 3) * g->c;
}

static void load_rows(const struct group *g)
{
    for (int64_t n = 0; n < g->n; n++) {
        float *row = row_of(g, n);
        memset(row, 0, sizeof *row * (size_t) g->c);
        if (g->step->row == PH_NONE) continue;
        const struct ph_place *from = &g->run->place[g->step->row];
        ph_place_load(from, from->dim[0] == 1 ? 0 : n * g->c, g->c, row);
    }
}

static void join(struct moments *a, double count, double mean, double square)
{
    double all = a->count + count, apart = mean - a->mean;
    a->square += square + apart * apart * (a->count * count / all);
    a->mean += apart * (count / all);
    a->count = all;
}

// Joins the sums of `pixels` pixels into the moments of each group.
static void fold(const struct group *g, int64_t n, int64_t pixels, const float *first,
                 const float *sum, const float *square, struct moments *m)
{
    const float *row = row_of(g, n);
    double count = (double) pixels, inverse = 1 / count;
    for (int64_t k = 0; k < g->step->groups; k++) {
        double mean = 0, spread = 0, within = 0, width = (double) g->width;
        double base = first[k * g->width] + (double) row[k * g->width];
        for (int64_t i = k * g->width; i < (k + 1) * g->width; i++) {
            double s = sum[i] * inverse, at = first[i] + (double) row[i] + s - base;
            within += square[i] - sum[i] * s;
            mean += at;
            spread += at * at;
        }
        mean /= width;
        within += count * (spread - width * mean * mean);
        join(&m[k], count * width, base + mean, within);
    }
}

static void measure_part(void *arg, int64_t unit, void *piece)
{
    const struct group *g = arg;
    const struct ph_place *x = &g->run->place[g->step->in[0]];
    int64_t n = unit / g->parts, from = unit % g->parts * g->pixels;
    int64_t last = from + g->pixels < g->space ? from + g->pixels : g->space;
    size_t line = piece_bytes(g) / 3 / sizeof(float);
    float *first = piece, *sum = first + line, *square = sum + line;
    struct moments *m = g->moments + unit * g->step->groups;
    for (int k = 0; k < g->step->groups; k++) m[k] = (struct moments){ 0 };
    for (int64_t p = from; p < last; p += FOLD) {
        int64_t count = last - p < FOLD ? last - p : FOLD;
        ops()->sums(x->dtype, ph_place_at(x, (n * g->space + p) * g->c), count, g->c, first,
                    sum, square);
        fold(g, n, count, first, sum, square, m);
    }
}

// The factors of group k of image n. The mean's own rounding goes into the offset.
static void solve(const struct group *g, int64_t n, int64_t k)
{
    const float *weight = ph_plain_weight(g->step), *bias = ph_plain_bias(g->step);
    struct moments all = { 0 };
    for (int64_t p = 0; p < g->parts; p++) {
        const struct moments *m = &g->moments[(n * g->parts + p) * g->step->groups + k];
        join(&all, m->count, m->mean, m->square);
    }
    // Rounding may leave a constant group a little below zero; NaN stays.
    double variance = all.square < 0 ? 0 : all.square / all.count;
    double inverse = 1 / sqrt(variance + g->step->eps);
    float *middle = g->factors + n * 4 * g->c, *factor = middle + g->c, *offset = factor + g->c;
    for (int64_t i = k * g->width; i < (k + 1) * g->width; i++) {
        double mean = all.mean - row_of(g, n)[i], f = inverse * (weight ? weight[i] : 1);
        middle[i] = (float) mean;
        factor[i] = (float) f;
        offset[i] = (float) ((bias ? bias[i] : 0) + (middle[i] - mean) * f);
    }
}

static void apply_pixels(void *arg, long first, long last)
{
    const struct group *g = arg;
    const struct ph_place *x = &g->run->place[g->step->in[0]],
                          *y = &g->run->place[g->step->out];
    for (int64_t p = first; p < last;) {
        int64_t n = p / g->space, end = (n + 1) * g->space < last ? (n + 1) * g->space : last;
        const float *middle = g->factors + n * 4 * g->c;
        ops()->apply(x->dtype, ph_place_at(x, p * g->c), y->dtype, ph_place_at(y, p * g->c),
                     end - p, g->c, middle, middle + g->c, middle + 2 * g->c, g->step->act);
        p = end;
    }
}

static void group_run(const struct ph_step *step, const struct ph_run *run)
{
    struct group g = { .run = run };
    describe(&g, step, run->place);
    char *memory = run->scratch;
    g.moments = (struct moments *) memory;
    g.factors = (float *) (memory + moments_bytes(&g));
    struct ph_run rest = *run;
    rest.scratch = memory + moments_bytes(&g) + factors_bytes(&g);
    load_rows(&g);
    ph_slots_run(&rest, g.n * g.parts, piece_bytes(&g), measure_part, &g);
    for (int64_t n = 0; n < g.n; n++)
        for (int64_t k = 0; k < step->groups; k++) solve(&g, n, k);
    ph_parallel_range(g.n * g.space, 1 + 4096 / g.c, apply_pixels, &g);
}

static const struct ph_kernel group_norm = {
    PH_OP_GROUP_NORM, "two passes", fits, group_prepare, group_run, ph_plain_finish,
};

// ------------------------------------------------------------------------------ layer norm
struct layer {
    const struct ph_step *step;
    const struct ph_run *run;
    int64_t c;
};

static void layer_rows(void *arg, long first, long last)
{
    const struct layer *l = arg;
    const struct ph_place *x = &l->run->place[l->step->in[0]],
                          *y = &l->run->place[l->step->out];
    ops()->layer(x->dtype, ph_place_at(x, first * l->c), y->dtype, ph_place_at(y, first * l->c),
                 last - first, l->c, ph_plain_weight(l->step), ph_plain_bias(l->step),
                 l->step->eps, l->step->act);
}

static void layer_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]];
    struct layer l = { step, run, x->dim[x->rank - 1] };
    ph_parallel_range(x->count / l.c, 1 + 4096 / l.c, layer_rows, &l);
}

static const struct ph_kernel layer_norm = {
    PH_OP_LAYER_NORM, "one pass", fits, ph_plain_prepare_vectors, layer_run, ph_plain_finish,
};

const struct ph_kernel *const ph_cpu_norm[] = { &group_norm, &layer_norm, NULL };
