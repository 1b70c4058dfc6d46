// SPDX-License-Identifier: MIT
// Convolution, linear layers and attention, plain. Weights lie in panels of eight outputs,
// [out / 8][kh][kw][in][8] (a linear layer is a 1x1 convolution of one row of pixels), so that the
// inner loop runs over memory once and works on vectors the compiler knows how to make.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cpu/plain.h"

#define PANEL 8
#define ROWS  4
#define FOLD  256 // products summed before they join the total: keeps rounding errors small

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));

struct layer {
    int64_t out, in, kh, kw;
};

static struct layer layer_of(const struct ph_step *step)
{
    int64_t w[4];
    ph_step_window(step, w);
    return (struct layer){ w[0], w[1], w[2], w[3] };
}

static int64_t panels(const struct layer *l)
{
    return (l->out + PANEL - 1) / PANEL;
}

static ph_err make_panels(void *arg, const struct ph_step *step, void *data, size_t size,
                          struct ph_fault *fault)
{
    const struct layer *l = arg;
    int64_t taps = l->kh * l->kw, row = l->in * taps;
    float *values = malloc(sizeof *values * (size_t) row), *panel = data;
    if (!values) return ph_fail(fault, PH_ENOMEM, step->name, "%s: out of memory", step->name);
    ph_err err = PH_OK;
    memset(data, 0, size);
    for (int64_t o = 0; o < l->out && !err; o++) {
        err = ph_step_weight(step, o * row, row, values);
        float *to = panel + o / PANEL * row * PANEL + o % PANEL;
        for (int64_t i = 0; i < l->in && !err; i++)
            for (int64_t t = 0; t < taps; t++)
                to[(t * l->in + i) * PANEL] = values[i * taps + t];
    }
    free(values);
    if (err) return ph_fail(fault, err, step->name, "%s cannot be read", step->weight->name);
    return PH_OK;
}

static ph_err prepare(struct ph_device *device, struct ph_step *step, size_t each,
                      struct ph_fault *fault)
{
    struct layer l = layer_of(step);
    struct ph_plain_ready *r = ph_plain_ready_new(step, fault);
    if (!r) return PH_ENOMEM;
    r->each = each;
    step->scratch = ph_slots_bytes(device, each);
    size_t size = sizeof(float) * (size_t) (panels(&l) * PANEL * l.in * l.kh * l.kw);
    ph_err err = ph_pack_get(device, step, step->weight, "plain f32 panels 8", size,
                             make_panels, &l, &r->weight, fault);
    if (!err && step->bias) err = ph_pack_f32(device, step, step->bias, &r->bias, fault);
    if (err) ph_plain_finish(device, step);
    return err;
}

// sum[r] += x[r] . panel, over k inputs.
static void multiply(vec sum[ROWS], const float *const x[ROWS], int64_t k, const float *panel)
{
    for (int64_t first = 0; first < k; first += FOLD) {
        int64_t last = first + FOLD < k ? first + FOLD : k;
        vec acc[ROWS] = { { 0 } };
        for (int64_t i = first; i < last; i++) {
            vec w;
            memcpy(&w, panel + i * PANEL, sizeof w);
            for (int r = 0; r < ROWS; r++) acc[r] += x[r][i] * w;
        }
        for (int r = 0; r < ROWS; r++) sum[r] += acc[r];
    }
}

// A finished row of outputs: bias, residual, activation, then memory.
static void put_row(const struct ph_step *step, const struct ph_run *run, int64_t at, int64_t n,
                    float *row)
{
    const float *bias = ph_plain_bias(step);
    float part[PH_PLAIN_CHUNK];
    for (int64_t i = 0; i < n && bias; i++) row[i] += bias[i];
    for (int64_t i = 0; i < n && step->residual != PH_NONE; i += PH_PLAIN_CHUNK) {
        int64_t m = n - i < PH_PLAIN_CHUNK ? n - i : PH_PLAIN_CHUNK;
        ph_place_load(&run->place[step->residual], at + i, m, part);
        for (int64_t j = 0; j < m; j++) row[i + j] += part[j];
    }
    ph_plain_act(step->act, row, n);
    ph_place_store(&run->place[step->out], at, n, row);
}

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
};

static size_t each_of(const struct ph_step *step)
{
    return ((const struct ph_plain_ready *) step->ready)->each;
}

// ------------------------------------------------------------------------------ convolution
// Scratch: kh padded input rows, then ROWS rows of outputs.
static size_t conv_scratch(const struct ph_step *step, const struct ph_place *place)
{
    struct layer l = layer_of(step);
    const struct ph_place *x = &place[step->in[0]];
    int64_t wide = x->dim[3] + step->conv.left + step->conv.right;
    return sizeof(float) * (size_t) (l.kh * wide * l.in + ROWS * panels(&l) * PANEL);
}

static ph_err conv_prepare(struct ph_device *device, struct ph_step *step,
                           const struct ph_place *place, enum ph_precision precision,
                           struct ph_fault *fault)
{
    return prepare(device, step, conv_scratch(step, place), fault);
}

static void load_rows(const struct ph_step *step, const struct ph_place *x, int64_t n,
                      int64_t y, int64_t kh, float *rows)
{
    int64_t c = x->dim[1], h = x->dim[2], w = x->dim[3];
    int64_t wide = w + step->conv.left + step->conv.right;
    memset(rows, 0, sizeof *rows * (size_t) (kh * wide * c));
    for (int64_t k = 0; k < kh; k++) {
        int64_t from = y * step->conv.stride + k - step->conv.top;
        float *to = rows + (k * wide + step->conv.left) * c;
        if (from >= 0 && from < h) ph_place_load(x, (n * h + from) * w * c, w * c, to);
    }
}

static void conv_panel(const struct layer *l, const float *const x[ROWS], int64_t row_floats,
                       const float *panel, vec sum[ROWS])
{
    for (int64_t ky = 0; ky < l->kh; ky++)
        for (int64_t kx = 0; kx < l->kw; kx++) {
            const float *at[ROWS];
            for (int r = 0; r < ROWS; r++) at[r] = x[r] + ky * row_floats + kx * l->in;
            multiply(sum, at, l->in, panel + (ky * l->kw + kx) * l->in * PANEL);
        }
}

static void conv_row(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    const struct ph_step *step = j->step;
    const struct ph_place *x = &j->run->place[step->in[0]], *y = &j->run->place[step->out];
    struct layer l = layer_of(step);
    int64_t width = y->dim[3], wide = x->dim[3] + step->conv.left + step->conv.right;
    int64_t padded = panels(&l) * PANEL;
    float *rows = piece, *out = rows + l.kh * wide * l.in;
    load_rows(step, x, unit / y->dim[2], unit % y->dim[2], l.kh, rows);
    for (int64_t ox = 0; ox < width; ox += ROWS) {
        int count = width - ox < ROWS ? (int) (width - ox) : ROWS;
        const float *at[ROWS];
        for (int r = 0; r < ROWS; r++)
            at[r] = rows + (ox + (r < count ? r : 0)) * step->conv.stride * l.in;
        for (int64_t p = 0; p < panels(&l); p++) {
            vec sum[ROWS] = { { 0 } };
            const float *panel = ph_plain_weight(step) + p * l.in * l.kh * l.kw * PANEL;
            conv_panel(&l, at, wide * l.in, panel, sum);
            for (int r = 0; r < ROWS; r++)
                memcpy(out + r * padded + p * PANEL, &sum[r], sizeof *sum);
        }
        for (int r = 0; r < count; r++)
            put_row(step, j->run, (unit * width + ox + r) * l.out, l.out, out + r * padded);
    }
}

static void conv_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    const struct ph_place *y = &run->place[step->out];
    ph_slots_run(run, y->dim[0] * y->dim[2], each_of(step), conv_row, &j);
}

const struct ph_kernel ph_plain_conv = {
    PH_OP_CONV, "plain", ph_plain_fits, conv_prepare, conv_run, ph_plain_finish,
};

// ------------------------------------------------------------------------------ linear
#define BLOCK (4 * ROWS) // rows of a unit: a panel is read from memory once for all of them

static ph_err linear_prepare(struct ph_device *device, struct ph_step *step,
                             const struct ph_place *place, enum ph_precision precision,
                             struct ph_fault *fault)
{
    struct layer l = layer_of(step);
    return prepare(device, step, sizeof(float) * BLOCK * (size_t) (l.in + panels(&l) * PANEL),
                   fault);
}

static void linear_block(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    const struct ph_place *x = &j->run->place[j->step->in[0]];
    struct layer l = layer_of(j->step);
    int64_t all = x->count / l.in, first = unit * BLOCK, padded = panels(&l) * PANEL;
    int64_t count = all - first < BLOCK ? all - first : BLOCK;
    float *rows = piece, *out = rows + BLOCK * l.in;
    ph_place_load(x, first * l.in, count * l.in, rows);
    for (int64_t p = 0; p < panels(&l); p++)
        for (int64_t r = 0; r < count; r += ROWS) {
            const float *at[ROWS];
            vec sum[ROWS] = { { 0 } };
            for (int i = 0; i < ROWS; i++) at[i] = rows + (r + i < count ? r + i : r) * l.in;
            multiply(sum, at, l.in, ph_plain_weight(j->step) + p * l.in * PANEL);
            for (int i = 0; i < ROWS; i++)
                memcpy(out + (r + i) * padded + p * PANEL, &sum[i], sizeof *sum);
        }
    for (int64_t r = 0; r < count; r++)
        put_row(j->step, j->run, (first + r) * l.out, l.out, out + r * padded);
}

static void linear_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    const struct ph_place *x = &run->place[step->in[0]];
    int64_t rows = x->count / layer_of(step).in;
    ph_slots_run(run, (rows + BLOCK - 1) / BLOCK, each_of(step), linear_block, &j);
}

const struct ph_kernel ph_plain_linear = {
    PH_OP_LINEAR, "plain", ph_plain_fits, linear_prepare, linear_run, ph_plain_finish,
};

// ------------------------------------------------------------------------------ attention
#define QUERIES 16 // of a unit; their scores, [s][QUERIES], are the only ones there are

struct heads {
    int64_t n, t, s, c, d, blocks; // blocks of queries
};

static struct heads heads_of(const struct ph_step *step, const struct ph_place *place)
{
    const struct ph_place *q = &place[step->in[0]], *k = &place[step->in[1]];
    struct heads h = { q->dim[0], q->dim[1], k->dim[1], q->dim[2] };
    h.d = h.c / step->attention.heads;
    h.blocks = (h.t + QUERIES - 1) / QUERIES;
    return h;
}

static ph_err attend_prepare(struct ph_device *device, struct ph_step *step,
                             const struct ph_place *place, enum ph_precision precision,
                             struct ph_fault *fault)
{
    struct heads h = heads_of(step, place);
    struct ph_plain_ready *r = ph_plain_ready_new(step, fault);
    if (!r) return PH_ENOMEM;
    r->each = sizeof(float) * (size_t) (QUERIES * (h.s + h.d) + h.d) +
              sizeof(double) * (size_t) (QUERIES * h.d) + 64;
    step->scratch = ph_slots_bytes(device, r->each);
    return PH_OK;
}

// Scores of QUERIES queries (q: [d][QUERIES]) to one key.
static void score(const float *q, const float *key, int64_t d, float scale, float *out)
{
    float acc[QUERIES] = { 0 };
    for (int64_t e = 0; e < d; e++)
        for (int i = 0; i < QUERIES; i++) acc[i] += key[e] * q[e * QUERIES + i];
    for (int i = 0; i < QUERIES; i++) out[i] = acc[i] * scale;
}

// Scores of query i to its first `keys` keys become weights that sum to 1, those after it zero.
static void softmax(float *p, int64_t keys, int64_t s)
{
    float max = -INFINITY;
    double sum = 0;
    for (int64_t j = 0; j < keys; j++) max = p[j * QUERIES] > max ? p[j * QUERIES] : max;
    for (int64_t j = 0; j < keys; j++) {
        p[j * QUERIES] = expf(p[j * QUERIES] - max);
        sum += p[j * QUERIES];
    }
    for (int64_t j = 0; j < keys; j++) p[j * QUERIES] = (float) (p[j * QUERIES] / sum);
    for (int64_t j = keys; j < s; j++) p[j * QUERIES] = 0;
}

static void load_queries(const struct ph_place *q, int64_t at, int64_t stride, int count,
                         int64_t d, float *row, float *out)
{
    memset(out, 0, sizeof *out * (size_t) (d * QUERIES));
    for (int i = 0; i < count; i++) {
        ph_place_load(q, at + i * stride, d, row);
        for (int64_t e = 0; e < d; e++) out[e * QUERIES + i] = row[e];
    }
}

static void attend_block(void *arg, int64_t unit, void *piece)
{
    const struct job *job = arg;
    const struct ph_step *step = job->step;
    const struct ph_place *place = job->run->place;
    struct heads h = heads_of(step, place);
    int64_t head = unit / h.blocks % step->attention.heads;
    int64_t n = unit / h.blocks / step->attention.heads, first = unit % h.blocks * QUERIES;
    int count = h.t - first < QUERIES ? (int) (h.t - first) : QUERIES;
    double *sum = piece;
    float *q = (float *) (sum + QUERIES * h.d), *row = q + QUERIES * h.d, *p = row + h.d;
    int64_t at = (n * h.t + first) * h.c + head * h.d, keys = n * h.s * h.c + head * h.d;
    int64_t last = step->attention.causal && first + count < h.s ? first + count : h.s;

    load_queries(&place[step->in[0]], at, h.c, count, h.d, row, q);
    for (int64_t j = 0; j < last; j++) {
        ph_place_load(&place[step->in[1]], keys + j * h.c, h.d, row);
        score(q, row, h.d, step->attention.scale, p + j * QUERIES);
    }
    for (int i = 0; i < count; i++) {
        int64_t seen = step->attention.causal && first + i + 1 < last ? first + i + 1 : last;
        softmax(p + i, seen, last);
    }
    memset(sum, 0, sizeof *sum * (size_t) (QUERIES * h.d));
    for (int64_t j = 0; j < last; j++) {
        ph_place_load(&place[step->in[2]], keys + j * h.c, h.d, row);
        for (int i = 0; i < count; i++) {
            double w = p[j * QUERIES + i], *to = sum + i * h.d;
            for (int64_t e = 0; e < h.d; e++) to[e] += w * row[e];
        }
    }
    for (int i = 0; i < count; i++) {
        for (int64_t e = 0; e < h.d; e++) row[e] = (float) sum[i * h.d + e];
        ph_place_store(&place[step->out], at + i * h.c, h.d, row);
    }
}

static void attend_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    struct heads h = heads_of(step, run->place);
    ph_slots_run(run, h.n * step->attention.heads * h.blocks, each_of(step), attend_block, &j);
}

const struct ph_kernel ph_plain_attend = {
    PH_OP_ATTEND, "plain", ph_plain_fits, attend_prepare, attend_run, ph_plain_finish,
};
