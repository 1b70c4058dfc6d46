// SPDX-License-Identifier: MIT
#include "nn/cpu/attn.h"

#include <stdlib.h>

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/slots.h"
#include "nn/plan_priv.h"

struct ready {
    const struct ph_attn_ops *ops;
    struct ph_attn_shape shape;
    size_t each;
};

static bool is_bf16(enum ph_precision precision)
{
    return precision != PH_PRECISION_F32 && precision != PH_PRECISION_AUTO;
}

static const struct ph_attn_ops *choose(bool bf16)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (bf16) return cpu & PH_CPU_BF16 ? &ph_attn_bf16 : NULL;
    if (cpu & PH_CPU_AVX512) return &ph_attn_avx512;
    if (cpu & PH_CPU_AVX2) return &ph_attn_avx2;
#endif
    return NULL;
}

static bool is_float(enum ph_dtype t)
{
    return t == PH_F32 || t == PH_BF16 || t == PH_F16;
}

static bool takes(const struct ph_step *step, const struct ph_place *place)
{
    for (int i = 0; i < 3; i++)
        if (!is_float(place[step->in[i]].dtype)) return false;
    return is_float(place[step->out].dtype);
}

static double f32_fits(const struct ph_step *step, const struct ph_place *place,
                       enum ph_precision precision)
{
    const struct ph_attn_ops *ops = choose(false);
    if (!ops || !takes(step, place)) return 0;
#if defined(__x86_64__)
    if (ops == &ph_attn_avx512) return 180;
#endif
    return 90;
}

static double bf16_fits(const struct ph_step *step, const struct ph_place *place,
                        enum ph_precision precision)
{
    return is_bf16(precision) && choose(true) && takes(step, place) ? 340 : 0;
}

// Many queries, since keys and values are packed anew for each unit, but no more than leave every
// thread four units and have their sums in the second cache; the same number of units for each
// thread where that can be had. A query's result does not depend on it.
static int rows_of(const struct ph_attn_shape *s, int threads)
{
    int64_t heads = s->n * s->heads, most = (640 << 10) / (6 * s->d + 80);
    int64_t each = (4 * (int64_t) threads + heads - 1) / heads; // units of a head
    if (each < (s->t + most - 1) / most) each = (s->t + most - 1) / most;
    for (int i = 0; i < threads && heads * each % threads; i++) each++;
    int64_t rows = (s->t + each - 1) / each;
    return (int) ((rows < 96 ? 96 : rows) + 5) / 6 * 6;
}

// Tiles whose keys and values stay in the nearest caches.
static struct ph_attn_shape shape_of(const struct ph_step *step, const struct ph_place *place,
                                     bool bf16, int threads)
{
    const struct ph_place *q = &place[step->in[0]], *k = &place[step->in[1]];
    struct ph_attn_shape s = { q->dim[0], q->dim[1], k->dim[1], q->dim[2],
                               step->attention.heads };
    s.d = (int) (s.c / s.heads);
    s.rows = rows_of(&s, threads);
    int bytes = s.d * (bf16 ? 2 : 4);
    s.tile = bytes <= 80 ? 192 : bytes <= 128 ? 256 : bytes <= 320 ? 128 : 64;
    return s;
}

static ph_err prepare(struct ph_device *device, struct ph_step *step,
                      const struct ph_place *place, bool bf16, struct ph_fault *fault)
{
    struct ready *r = calloc(1, sizeof *r);
    if (!r) return ph_fail(fault, PH_ENOMEM, step->name, "%s: out of memory", step->name);
    r->ops = choose(bf16);
    r->shape = shape_of(step, place, bf16, device->threads);
    r->each = r->ops->scratch(&r->shape);
    step->scratch = ph_slots_bytes(device, r->each);
    step->ready = r;
    return PH_OK;
}

static ph_err f32_prepare(struct ph_device *device, struct ph_step *step,
                          const struct ph_place *place, enum ph_precision precision,
                          struct ph_fault *fault)
{
    return prepare(device, step, place, false, fault);
}

static ph_err bf16_prepare(struct ph_device *device, struct ph_step *step,
                           const struct ph_place *place, enum ph_precision precision,
                           struct ph_fault *fault)
{
    return prepare(device, step, place, true, fault);
}

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
    int64_t blocks; // of queries, in one head
};

static void run_unit(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    const struct ready *r = j->step->ready;
    const struct ph_attn_shape *s = &r->shape;
    const struct ph_place *place = j->run->place;
    int64_t block = unit % j->blocks, head = unit / j->blocks % s->heads;
    int64_t n = unit / j->blocks / s->heads;
    struct ph_attn_unit u = { s, &place[j->step->in[0]], &place[j->step->in[1]],
                              &place[j->step->in[2]], &place[j->step->out] };
    u.first = block * s->rows;
    u.count = s->t - u.first < s->rows ? (int) (s->t - u.first) : s->rows;
    u.q_at = (n * s->t + u.first) * s->c + head * s->d;
    u.k_at = n * s->s * s->c + head * s->d;
    u.causal = j->step->attention.causal;
    u.scale = j->step->attention.scale;
    u.piece = piece;
    r->ops->run(&u);
}

static void run(const struct ph_step *step, const struct ph_run *r)
{
    const struct ready *ready = step->ready;
    const struct ph_attn_shape *s = &ready->shape;
    struct job j = { step, r, (s->t + s->rows - 1) / s->rows };
    ph_slots_run(r, s->n * s->heads * j.blocks, ready->each, run_unit, &j);
}

static void finish(struct ph_device *device, struct ph_step *step)
{
    free(step->ready);
    step->ready = NULL;
}

static const struct ph_kernel attend_f32 = {
    PH_OP_ATTEND, "tiled f32", f32_fits, f32_prepare, run, finish,
};
static const struct ph_kernel attend_bf16 = {
    PH_OP_ATTEND, "tiled bf16", bf16_fits, bf16_prepare, run, finish,
};

const struct ph_kernel *const ph_cpu_attention[] = { &attend_bf16, &attend_f32, NULL };
