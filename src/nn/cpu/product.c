// SPDX-License-Identifier: MIT
#include "nn/cpu/product.h"

#include <stdlib.h>

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/pool.h"
#include "nn/plan_priv.h"

#if defined(__x86_64__)

// ------------------------------------------------------------------------------ the layer
// Each thread has rows of its own, the same in every layer, so that it finds in its cache what it
// made itself; all of them walk over all panels, at about the same pace. Where there are too few
// rows, each has panels of its own.
struct layer {
    const struct ph_product_ops *ops;
    int64_t rows, inputs, outputs, panels;
    int threads;
    int64_t most; // rows at once
    size_t each;  // scratch of a thread: rows as bf16
    const struct ph_pack *weight, *bias;
};

enum { CHUNK = 512 << 10 }; // bytes of rows that stay in a second cache of 1 MB

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static bool by_rows(const struct layer *l)
{
    return l->rows >= 2 * PH_PRODUCT_ROWS * (int64_t) l->threads;
}

static void cut(struct layer *l, int threads)
{
    l->threads = threads;
    int64_t mine = by_rows(l) ? ceil_div(l->rows, threads) : l->rows;
    int64_t most = CHUNK / (2 * l->inputs);
    if (most < 2 * PH_PRODUCT_ROWS) most = 2 * PH_PRODUCT_ROWS;
    l->most = ceil_div(mine, ceil_div(mine, most));
}

// ------------------------------------------------------------------------------ prepare
struct packing {
    const struct layer *l;
    const struct ph_step *step;
    uint16_t *out;
    int failed;
};

static int width_of(const struct layer *l, int64_t panel)
{
    int64_t left = l->outputs - panel * PH_PRODUCT_COLS;
    return left < PH_PRODUCT_COLS ? (int) left : PH_PRODUCT_COLS;
}

static void pack_panel(void *arg, int panel)
{
    struct packing *p = arg;
    const struct layer *l = p->l;
    int64_t first = (int64_t) panel * PH_PRODUCT_COLS;
    int count = width_of(l, panel);
    float *w = malloc((size_t) (count * l->inputs) * sizeof *w);
    ph_err ret =
        w ? ph_step_weight(p->step, first * l->inputs, count * l->inputs, w) : PH_ENOMEM;
    if (ret >= 0)
        l->ops->pack(w, l->inputs, count, p->out + first * l->inputs);
    else
        __atomic_store_n(&p->failed, (int) ret, __ATOMIC_RELAXED);
    free(w);
}

static ph_err make_pack(void *arg, const struct ph_step *step, void *data, size_t size,
                        struct ph_fault *fault)
{
    struct packing p = { arg, step, data, 0 };
    ph_parallel((int) p.l->panels, pack_panel, &p);
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
    free(l);
    step->ready = NULL;
}

static ph_err prepare(struct ph_device *device, struct ph_step *step,
                      const struct ph_place *place, enum ph_precision precision,
                      struct ph_fault *fault)
{
    struct layer *l = calloc(1, sizeof *l);
    ph_err ret = PH_OK;
    int64_t w[4];
    if (!l) return PH_ENOMEM;
    step->ready = l;
    ph_step_window(step, w);
    l->ops = &ph_product_bf16;
    l->outputs = w[0];
    l->inputs = w[1];
    l->rows = place[step->out].count / l->outputs;
    l->panels = ceil_div(l->outputs, PH_PRODUCT_COLS);
    cut(l, device->threads);
    if (place[step->in[0]].dtype == PH_F32)
        l->each = ((size_t) (l->most * l->inputs) * sizeof(uint16_t) + 63) & ~(size_t) 63;
    step->scratch = l->each * (size_t) l->threads;
    PH_TRY(ph_pack_get(device, step, step->weight, "panels bf16",
                       (size_t) (l->outputs * l->inputs) * sizeof(uint16_t), make_pack, l,
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
    struct ph_product p;
    const struct ph_place *x;
    char *scratch;
};

// Rows [from, until) times one panel, in blocks of about as many rows; each fetches its share of
// the panel after it.
static void run_panel(const struct job *j, const uint16_t *x, int64_t from, int64_t until,
                      int64_t panel)
{
    const struct layer *l = j->l;
    int64_t n = until - from, blocks = ceil_div(n, PH_PRODUCT_ROWS);
    int64_t first = panel * PH_PRODUCT_COLS, bytes = 0;
    if (panel + 1 < l->panels) bytes = width_of(l, panel + 1) * l->inputs * 2;
    const char *next = (const char *) (j->p.w + (first + PH_PRODUCT_COLS) * l->inputs);
    for (int64_t b = 0; b < blocks; b++) {
        int64_t at = n * b / blocks, rows = n * (b + 1) / blocks - at,
                done = bytes * b / blocks;
        l->ops->block(&j->p, x + at * l->inputs, from + at, (int) rows, first,
                      width_of(l, panel), next + done, bytes * (b + 1) / blocks - done);
    }
}

// Some rows, at most l->most, times panels [first, last).
static void run_rows(const struct job *j, int64_t from, int64_t until, int64_t first,
                     int64_t last, uint16_t *piece)
{
    const struct layer *l = j->l;
    const uint16_t *x = (const uint16_t *) j->x->data + from * l->inputs;
    if (j->x->dtype == PH_F32) {
        l->ops->narrow((const float *) j->x->data + from * l->inputs,
                       (until - from) * l->inputs, piece);
        x = piece;
    }
    for (int64_t panel = first; panel < last; panel++) run_panel(j, x, from, until, panel);
}

static void run_shares(void *arg, long begin, long end)
{
    const struct job *j = arg;
    const struct layer *l = j->l;
    bool by = by_rows(l);
    for (long i = begin; i < end; i++) {
        int64_t from = by ? l->rows * i / l->threads : 0;
        int64_t until = by ? l->rows * (i + 1) / l->threads : l->rows;
        int64_t first = by ? 0 : l->panels * i / l->threads;
        int64_t last = by ? l->panels : l->panels * (i + 1) / l->threads;
        for (; from < until && first < last; from += l->most)
            run_rows(j, from, from + l->most < until ? from + l->most : until, first, last,
                     (uint16_t *) (void *) (j->scratch + (size_t) i * l->each));
    }
}

static void run(const struct ph_step *step, const struct ph_run *run)
{
    const struct layer *l = step->ready;
    const struct ph_place *y = &run->place[step->out];
    struct job j = { .l = l, .x = &run->place[step->in[0]], .scratch = run->scratch };
    j.p = (struct ph_product){ .inputs = l->inputs,
                               .outputs = l->outputs,
                               .w = l->weight->data,
                               .bias = l->bias ? l->bias->data : NULL,
                               .y = y->data,
                               .y_type = y->dtype,
                               .act = step->act };
    if (step->residual != PH_NONE) {
        j.p.residual = run->place[step->residual].data;
        j.p.r_type = run->place[step->residual].dtype;
    }
    ph_parallel_range(l->threads, 1, run_shares, &j);
}

// ------------------------------------------------------------------------------ the kernels
static bool is_float(enum ph_dtype t)
{
    return t == PH_F32 || t == PH_BF16;
}

static bool takes(const struct ph_step *step, const struct ph_place *place)
{
    const struct ph_conv *c = &step->conv;
    int64_t w[4];
    ph_step_window(step, w);
    bool product = step->op == PH_OP_LINEAR || (w[2] == 1 && w[3] == 1 && c->stride <= 1 &&
                                                !(c->top | c->left | c->bottom | c->right));
    return product && w[0] % 16 == 0 && w[1] % 2 == 0 && is_float(place[step->in[0]].dtype) &&
           is_float(place[step->out].dtype) && place[step->out].count > 0 &&
           (step->residual == PH_NONE || is_float(place[step->residual].dtype));
}

static double fits(const struct ph_step *step, const struct ph_place *place,
                   enum ph_precision want)
{
    bool narrow = want != PH_PRECISION_F32 && want != PH_PRECISION_Q4;
    if (!narrow || !(ph_cpu_flags() & PH_CPU_BF16) || !takes(step, place)) return 0;
    return 480;
}

static const struct ph_kernel linear = {
    PH_OP_LINEAR, "panels bf16", fits, prepare, run, finish
};
static const struct ph_kernel conv = { PH_OP_CONV, "panels bf16", fits, prepare, run, finish };
const struct ph_kernel *const ph_cpu_product[] = { &linear, &conv, NULL };

#else

const struct ph_kernel *const ph_cpu_product[] = { NULL };

#endif
