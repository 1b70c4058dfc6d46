// SPDX-License-Identifier: MIT
// Elementwise operations, plain: chunks of elements as floats, the operation, the activation.
#include <math.h>

#include "nn/cpu/plain.h"
#include "nn/cpu/pool.h"

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
    // Makes elements [at, at + n) of the output.
    void (*make)(const struct job *j, int64_t at, int64_t n, float *out);
};

static const struct ph_place *input(const struct job *j, int i)
{
    return &j->run->place[j->step->in[i]];
}

static void chunks(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *y = &j->run->place[j->step->out];
    float part[PH_PLAIN_CHUNK];
    for (int64_t i = first; i < last; i++) {
        int64_t at = i * PH_PLAIN_CHUNK, left = y->count - at;
        int64_t n = left < PH_PLAIN_CHUNK ? left : PH_PLAIN_CHUNK;
        j->make(j, at, n, part);
        ph_plain_act(j->step->act, part, n);
        ph_place_store(y, at, n, part);
    }
}

static void run_chunks(const struct ph_step *step, const struct ph_run *run,
                       void (*make)(const struct job *, int64_t, int64_t, float *))
{
    struct job j = { step, run, make };
    int64_t count = run->place[step->out].count;
    ph_parallel_range((count + PH_PLAIN_CHUNK - 1) / PH_PLAIN_CHUNK, 8, chunks, &j);
}

#define KERNEL(op, ident)                                                                      \
    static void ident##_run(const struct ph_step *step, const struct ph_run *run)              \
    {                                                                                          \
        run_chunks(step, run, ident);                                                          \
    }                                                                                          \
    const struct ph_kernel ph_plain_##ident = {                                                \
        op, "plain", ph_plain_fits, NULL, ident##_run, NULL,                                   \
    };

static void activate(const struct job *j, int64_t at, int64_t n, float *out)
{
    ph_place_load(input(j, 0), at, n, out);
}
KERNEL(PH_OP_ACTIVATE, activate)

// The second operand of an addition or a product, spread over elements [at, at + n) of the first.
static void load_spread(const struct job *j, int64_t at, int64_t n, float *out)
{
    const struct ph_place *a = input(j, 0), *b = input(j, 1);
    int64_t c = ph_place_channels(a), row = a->count / a->dim[0];
    enum ph_spread how = ph_spread(a->rank, a->dim, b->rank, b->dim);
    if (how == PH_SPREAD_SAME) {
        ph_place_load(b, at, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t e = at + i, from = 0;
        if (how == PH_SPREAD_ROW) from = e / row;
        if (how == PH_SPREAD_CHANNEL) from = e % c;
        if (how == PH_SPREAD_ROW_CHANNEL) from = e / row * c + e % c;
        if (how == PH_SPREAD_TOKEN) from = e % row;
        ph_place_load(b, from, 1, &out[i]);
    }
}

static void add(const struct job *j, int64_t at, int64_t n, float *out)
{
    float b[PH_PLAIN_CHUNK];
    ph_place_load(input(j, 0), at, n, out);
    load_spread(j, at, n, b);
    for (int64_t i = 0; i < n; i++) out[i] += b[i];
}
KERNEL(PH_OP_ADD, add)

static void mul(const struct job *j, int64_t at, int64_t n, float *out)
{
    float b[PH_PLAIN_CHUNK];
    ph_place_load(input(j, 0), at, n, out);
    load_spread(j, at, n, b);
    for (int64_t i = 0; i < n; i++) out[i] *= b[i];
}
KERNEL(PH_OP_MUL, mul)

static void affine(const struct job *j, int64_t at, int64_t n, float *out)
{
    ph_place_load(input(j, 0), at, n, out);
    for (int64_t i = 0; i < n; i++) out[i] = j->step->scale * out[i] + j->step->offset;
}
KERNEL(PH_OP_AFFINE, affine)

static void axpby(const struct job *j, int64_t at, int64_t n, float *out)
{
    const struct ph_place *x = input(j, 1);
    int64_t row = x->count / x->dim[0];
    float y[PH_PLAIN_CHUNK], a, b;
    ph_place_load(x, at, n, out);
    ph_place_load(input(j, 3), at, n, y);
    for (int64_t i = 0; i < n; i++) {
        ph_place_load(input(j, 0), (at + i) / row, 1, &a);
        ph_place_load(input(j, 2), (at + i) / row, 1, &b);
        out[i] = a * out[i] + b * y[i];
    }
}
KERNEL(PH_OP_AXPBY, axpby)

static void clamp(const struct job *j, int64_t at, int64_t n, float *out)
{
    float low = j->step->scale, high = j->step->offset;
    ph_place_load(input(j, 0), at, n, out);
    for (int64_t i = 0; i < n; i++) out[i] = out[i] < low ? low : out[i] > high ? high : out[i];
}
KERNEL(PH_OP_CLAMP, clamp)

static void geglu(const struct job *j, int64_t at, int64_t n, float *out)
{
    const struct ph_place *x = input(j, 0);
    int64_t f = x->dim[x->rank - 1] / 2;
    for (int64_t i = 0; i < n; i++) {
        int64_t e = at + i, from = e / f * 2 * f + e % f;
        float gate;
        ph_place_load(x, from, 1, &out[i]);
        ph_place_load(x, from + f, 1, &gate);
        out[i] *= ph_plain_act1(PH_ACT_GELU, gate);
    }
}
KERNEL(PH_OP_GEGLU, geglu)

// The frequency is rounded to float before it meets t, as where these embeddings come from.
static void sinusoid(const struct job *j, int64_t at, int64_t n, float *out)
{
    const struct ph_place *t = input(j, 0), *y = &j->run->place[j->step->out];
    int64_t c = y->count / t->count, half = c / 2;
    for (int64_t i = 0; i < n; i++) {
        int64_t e = (at + i) % c;
        double exponent = -(double) (e % half) / (double) half;
        float when, frequency = (float) pow(j->step->max_period, exponent);
        ph_place_load(t, (at + i) / c, 1, &when);
        double angle = when * frequency;
        out[i] = (float) (e < half ? cos(angle) : sin(angle));
    }
}
KERNEL(PH_OP_SINUSOID, sinusoid)
