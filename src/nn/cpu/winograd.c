// SPDX-License-Identifier: MIT
#include "nn/cpu/winograd.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/pool.h"
#include "nn/cpu/slots.h"

#if defined(__x86_64__)

// ------------------------------------------------------------------------------ the layer
// Two ways through the tiles. Alone: a thread takes some groups of tiles through all stages, so
// that what it transforms stays in its cache. Shared: all threads transform many tiles, then each
// takes blocks of 32 outputs, so that the weights, which are larger, are read once.
struct layer {
    const struct ph_wino_ops *ops;
    struct ph_wino g;
    int64_t tiles, groups, blocks;
    int64_t at_once; // groups that are transformed before they are multiplied
    int64_t part;    // groups that one thread multiplies with 32 outputs
    bool shared;
    int steps;
    int64_t group_bytes, point_bytes;
    int64_t panel; // bytes of weights of one block and point
    size_t each;   // scratch of a thread
    size_t shared_at;
    const struct ph_pack *weight, *bias;
    float *zero;
};

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static struct ph_wino picture_of(const struct ph_step *step, const struct ph_place *place,
                                 int m)
{
    const struct ph_place *x = &place[step->in[0]], *y = &place[step->out];
    struct ph_wino g = { .c = x->dim[1],
                         .h = x->dim[2],
                         .w = x->dim[3],
                         .outputs = y->dim[1],
                         .oh = y->dim[2],
                         .ow = y->dim[3],
                         .top = step->conv.top,
                         .left = step->conv.left,
                         .x_type = x->dtype,
                         .y_type = y->dtype,
                         .act = step->act };
    g.across = ceil_div(g.ow, m);
    g.each = g.across * ceil_div(g.oh, m);
    if (step->residual != PH_NONE) g.r_type = place[step->residual].dtype;
    return g;
}

static size_t pack_bytes(const struct ph_wino *g, const struct ph_wino_ops *ops)
{
    return (size_t) (ceil_div(g->outputs, PH_WINO_COLS) * ops->points * (g->c / ops->step) *
                     16 * PH_WINO_COLS * 4);
}

static int64_t product_bytes(const struct layer *l) // of a group
{
    return (int64_t) PH_WINO_ROWS * l->ops->points * PH_WINO_COLS * 4;
}

static int64_t even_part(int64_t n, int64_t most, int64_t multiple)
{
    int64_t parts = ceil_div(n, most < 1 ? 1 : most);
    return ceil_div(n, ceil_div(parts, multiple) * multiple);
}

// Bytes, found by trying on processors with 1 MB of second-level cache a core: weights up to OWN are
// read by each thread for itself; ALONE is what a thread transforms and multiplies at once, PART
// the products of one thread, TOGETHER the transformed inputs of all; results of more than STREAM
// go past the caches.
enum {
    OWN = 3 << 20,
    ALONE = 450 << 10,
    PART = 600 << 10,
    TOGETHER = 8 << 20,
    STREAM = 24 << 20
};

static void lay_out(struct ph_device *device, struct ph_step *step, struct layer *l)
{
    int threads = (int) (ph_slots_bytes(device, 64) / 64);
    int64_t transformed;
    l->steps = (int) (l->g.c / l->ops->step);
    l->group_bytes = (int64_t) l->steps * PH_WINO_ROWS * 64;
    l->panel = (int64_t) l->steps * 16 * PH_WINO_COLS * 4;
    l->blocks = ceil_div(l->g.outputs, PH_WINO_COLS);
    l->groups = ceil_div(l->tiles, PH_WINO_ROWS);
    transformed = l->group_bytes * l->ops->points;
    l->shared = pack_bytes(&l->g, l->ops) > OWN;
    if (l->shared) {
        l->at_once = even_part(l->groups, TOGETHER / transformed, 1);
        l->part = even_part(l->at_once, PART / product_bytes(l), 1);
    } else {
        int64_t both = transformed + product_bytes(l);
        l->at_once = even_part(l->groups, ALONE / both, threads);
        l->part = l->at_once;
    }
    // An odd number of lines, so that the points of a tile do not fall on one another in the cache.
    l->point_bytes = l->at_once * l->group_bytes;
    if (l->point_bytes / 64 % 2 == 0) l->point_bytes += 64;
    size_t products = (size_t) (l->part * product_bytes(l));
    size_t inputs = (size_t) (l->ops->points * l->point_bytes);
    l->each = l->shared ? products : products + inputs;
    l->shared_at = ph_slots_bytes(device, l->each);
    step->scratch = l->shared_at + (l->shared ? inputs : 0);
}

// ------------------------------------------------------------------------------ prepare
struct packing {
    const struct layer *l;
    const struct ph_step *step;
    char *out;
    int failed;
};

static void pack_block(void *arg, int block)
{
    struct packing *p = arg;
    const struct layer *l = p->l;
    int64_t row = l->g.c * 9, first = (int64_t) block * PH_WINO_COLS;
    int64_t left = l->g.outputs - first, count = left < PH_WINO_COLS ? left : PH_WINO_COLS;
    float *w = malloc((size_t) (count * row) * sizeof(float));
    ph_err ret = w ? ph_step_weight(p->step, first * row, count * row, w) : PH_ENOMEM;
    if (ret >= 0)
        l->ops->weights(w, l->g.c, (int) count, p->out + block * l->panel * l->ops->points);
    else
        __atomic_store_n(&p->failed, (int) ret, __ATOMIC_RELAXED);
    free(w);
}

static ph_err make_pack(void *arg, const struct ph_step *step, void *data, size_t size,
                        struct ph_fault *fault)
{
    struct packing p = { arg, step, data, 0 };
    ph_parallel((int) p.l->blocks, pack_block, &p);
    if (!p.failed) return PH_OK;
    return ph_fail(fault, (ph_err) p.failed, step->weight->name, "%s: cannot read %s",
                   step->weight->file, step->weight->name);
}

static void finish(struct ph_device *device, struct ph_step *step)
{
    struct layer *l = step->ready;
    if (!l) return;
    ph_pack_put(device, l->weight);
    ph_pack_put(device, l->bias);
    free(l->zero);
    free(l);
    step->ready = NULL;
}

static ph_err prepare(struct ph_device *device, struct ph_step *step,
                      const struct ph_place *place, const struct ph_wino_ops *ops,
                      struct ph_fault *fault)
{
    struct layer *l = calloc(1, sizeof *l);
    ph_err ret = PH_OK;
    char how[32];
    if (!l) return PH_ENOMEM;
    step->ready = l;
    l->ops = ops;
    l->g = picture_of(step, place, ops->m);
    l->tiles = l->g.each * place[step->in[0]].dim[0];
    lay_out(device, step, l);
    l->g.zero = l->zero = calloc((size_t) l->g.c, sizeof(float));
    if (!l->zero) PH_TRY(PH_ENOMEM);
    snprintf(how, sizeof how, "winograd %d %d", ops->m, ops->step);
    PH_TRY(ph_pack_get(device, step, step->weight, how, pack_bytes(&l->g, ops), make_pack, l,
                       &l->weight, fault));
    if (step->bias) PH_TRY(ph_pack_f32(device, step, step->bias, &l->bias, fault));
    return PH_OK;
fail:
    finish(device, step);
    return ret;
}

// ------------------------------------------------------------------------------ run
struct job {
    const struct layer *l;
    struct ph_wino g;
    char *inputs; // shared
    int threads;
    int64_t first, count; // groups at hand
};

static int64_t tiles_until(const struct layer *l, int64_t group)
{
    int64_t tiles = group * PH_WINO_ROWS;
    return tiles < l->tiles ? tiles : l->tiles;
}

static void transform(const struct job *j, int64_t first, int64_t count, char *inputs)
{
    const struct layer *l = j->l;
    int64_t from = first * PH_WINO_ROWS, until = tiles_until(l, first + count);
    for (int64_t t = from; t < until; t++) {
        int64_t group = (t - from) / PH_WINO_ROWS, row = (t - from) % PH_WINO_ROWS;
        l->ops->input(&j->g, t, inputs + group * l->group_bytes + row * 64, PH_WINO_ROWS * 64,
                      l->point_bytes);
    }
}

// A row of the pixels that only tile `t` brings, of `m` rows.
static void fetch_row(const struct job *j, int64_t t, int64_t row)
{
    const struct ph_wino *g = &j->g;
    int m = j->l->ops->m;
    if (t >= j->l->tiles || row >= m) return;
    int64_t at = t % g->each, y = at / g->across * m + row + 2 - g->top;
    int64_t x = at % g->across * m + 2 - g->left, pixel = g->c * (g->x_type == PH_F32 ? 4 : 2);
    if (y < 0 || y >= g->h || x < 0 || x + m > g->w) return;
    const char *from = (const char *) g->x + ((t / g->each * g->h + y) * g->w + x) * pixel;
    for (int64_t i = 0; i < m * pixel; i += 64) __builtin_prefetch(from + i, 0, 2);
}

// The memory is idle while products run: call number `i` of a block of groups fetches a part of
// what the thread will transform next.
static void fetch_next(const struct job *j, int64_t tile, int64_t i, int64_t groups)
{
    int64_t calls = j->l->blocks * j->l->ops->points; // for a group
    int64_t per_tile = calls / PH_WINO_ROWS;
    if (per_tile > 0 && i / per_tile < groups * PH_WINO_ROWS)
        fetch_row(j, tile + i / per_tile, i % per_tile);
}

// 32 outputs of `count` groups, of which the transformed inputs begin at `inputs`.
static void multiply(const struct job *j, int64_t block, int64_t first, int64_t count,
                     const char *inputs, float *products, int64_t next)
{
    const struct layer *l = j->l;
    int points = l->ops->points;
    int64_t tile = (int64_t) points * PH_WINO_COLS, channel = block * PH_WINO_COLS;
    int64_t left = l->g.outputs - channel;
    const char *u = (const char *) l->weight->data + block * points * l->panel;
    int64_t from = first * PH_WINO_ROWS, until = tiles_until(l, first + count);
    for (int p = 0; p < points; p++, u += l->panel)
        for (int64_t i = 0; i < count; i++) {
            int64_t rows = until - from - i * PH_WINO_ROWS;
            l->ops->product(inputs + p * l->point_bytes + i * l->group_bytes, u,
                            products + i * PH_WINO_ROWS * tile + p * PH_WINO_COLS, tile,
                            rows < PH_WINO_ROWS ? (int) rows : PH_WINO_ROWS, l->steps);
            if (next) fetch_next(j, next, (block * points + p) * count + i, count);
        }
    for (int64_t t = from; t < until; t++)
        l->ops->output(&j->g, t, products + (t - from) * tile, channel,
                       left < PH_WINO_COLS ? (int) left : PH_WINO_COLS);
    if (j->g.stream) __builtin_ia32_sfence(); // before another thread reads it
}

static void run_alone(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    const struct layer *l = j->l;
    int64_t first = unit * l->at_once, left = l->groups - first;
    int64_t count = left < l->at_once ? left : l->at_once;
    float *products = (float *) ((char *) piece + l->ops->points * l->point_bytes);
    int64_t next = (first + l->at_once * j->threads) * PH_WINO_ROWS; // likely
    transform(j, first, count, piece);
    for (int64_t b = 0; b < l->blocks; b++) multiply(j, b, first, count, piece, products, next);
}

static void transform_shared(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    transform(j, j->first + unit, 1, j->inputs + unit * j->l->group_bytes);
}

static void multiply_shared(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    const struct layer *l = j->l;
    int64_t parts = ceil_div(j->count, l->part), part = unit % parts;
    int64_t first = part * l->part, left = j->count - first;
    multiply(j, unit / parts, j->first + first, left < l->part ? left : l->part,
             j->inputs + first * l->group_bytes, piece, 0);
}

static void run(const struct ph_step *step, const struct ph_run *run)
{
    const struct layer *l = step->ready;
    struct job j = { .l = l, .g = l->g, .threads = run->threads };
    j.g.x = run->place[step->in[0]].data;
    j.g.y = run->place[step->out].data;
    j.g.stream = run->place[step->out].count * 4 > STREAM && (uintptr_t) j.g.y % 64 == 0;
    j.g.residual = step->residual == PH_NONE ? NULL : run->place[step->residual].data;
    j.g.bias = l->bias ? l->bias->data : NULL;
    if (!l->shared) {
        ph_slots_run(run, ceil_div(l->groups, l->at_once), l->each, run_alone, &j);
        return;
    }
    j.inputs = (char *) run->scratch + l->shared_at;
    for (; j.first < l->groups; j.first += j.count) {
        int64_t left = l->groups - j.first;
        j.count = left < l->at_once ? left : l->at_once;
        ph_slots_run(run, j.count, l->each, transform_shared, &j);
        ph_slots_run(run, l->blocks * ceil_div(j.count, l->part), l->each, multiply_shared, &j);
    }
}

// ------------------------------------------------------------------------------ the kernels
static bool takes(const struct ph_step *step, const struct ph_place *place,
                  const struct ph_wino_ops *ops)
{
    const struct ph_tensor *w = &step->weight->disk;
    const struct ph_place *x = &place[step->in[0]], *y = &place[step->out];
    return w->dim[2] == 3 && w->dim[3] == 3 && step->conv.stride <= 1 && w->dim[0] % 16 == 0 &&
           w->dim[1] % ops->step == 0 && (x->dtype == PH_F32 || x->dtype == PH_BF16) &&
           (y->dtype == PH_F32 || y->dtype == PH_BF16) &&
           (step->act == PH_ACT_NONE || step->act == PH_ACT_RELU || step->act == PH_ACT_SILU);
}

// Nanoseconds of two cores that run 235 GFLOP/s of f32 and twice that of bf16; fitted to what
// docs/perf-log.md shows, good to a tenth.
struct cost {
    double rate;    // GFLOP/s of products
    double channel; // of the transforms of a tile, a channel
    size_t most;    // bytes of weights, which are 4 (f32) and 16/9 (bf16) times the direct ones
};
static const struct cost cost_f32 = { 214, 6.5, 64 << 20 }, cost_bf16 = { 470, 2.6, 40 << 20 };
#define WEIGHT_NS 0.04 // a byte, from memory

static double speed(const struct ph_step *step, const struct ph_place *place,
                    const struct ph_wino_ops *ops, const struct cost *cost)
{
    if (!takes(step, place, ops)) return 0;
    struct ph_wino g = picture_of(step, place, ops->m);
    size_t weights = pack_bytes(&g, ops);
    if (weights > cost->most) return 0;
    double n = (double) place[step->in[0]].dim[0], c = (double) g.c;
    double outputs = (double) ceil_div(g.outputs, PH_WINO_COLS) * PH_WINO_COLS;
    double tile =
        2.0 * ops->points * c * outputs / cost->rate + (c + outputs) / 2 * cost->channel;
    double ns = n * (double) g.each * tile + (double) weights * WEIGHT_NS;
    return 18.0 * n * (double) (g.oh * g.ow * g.c * g.outputs) / ns;
}

static double fits_f32(const struct ph_step *step, const struct ph_place *place,
                       enum ph_precision want)
{
    if (!(ph_cpu_flags() & PH_CPU_AVX512) || want == PH_PRECISION_Q4) return 0;
    return speed(step, place, &ph_wino_f32, &cost_f32);
}

static double fits_bf16(const struct ph_step *step, const struct ph_place *place,
                        enum ph_precision want)
{
    if (!(ph_cpu_flags() & PH_CPU_BF16)) return 0;
    // Four bits are wanted for their size, which Winograd's weights undo.
    if (want == PH_PRECISION_F32 || want == PH_PRECISION_Q4) return 0;
    return speed(step, place, &ph_wino_bf16, &cost_bf16);
}

static ph_err prepare_f32(struct ph_device *device, struct ph_step *step,
                          const struct ph_place *place, enum ph_precision precision,
                          struct ph_fault *fault)
{
    return prepare(device, step, place, &ph_wino_f32, fault);
}

static ph_err prepare_bf16(struct ph_device *device, struct ph_step *step,
                           const struct ph_place *place, enum ph_precision precision,
                           struct ph_fault *fault)
{
    return prepare(device, step, place, &ph_wino_bf16, fault);
}

static const struct ph_kernel winograd_f32 = {
    PH_OP_CONV, "winograd 4x3 f32", fits_f32, prepare_f32, run, finish,
};
static const struct ph_kernel winograd_bf16 = {
    PH_OP_CONV, "winograd 2x3 bf16", fits_bf16, prepare_bf16, run, finish,
};
const struct ph_kernel *const ph_cpu_winograd[] = { &winograd_f32, &winograd_bf16, NULL };

#else

const struct ph_kernel *const ph_cpu_winograd[] = { NULL };

#endif
