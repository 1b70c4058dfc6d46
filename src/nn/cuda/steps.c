// SPDX-License-Identifier: MIT
// The host's side of pointwise.cu, and what all steps share.
#include "nn/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

#include "nn/plan_priv.h"

_Static_assert((int) CU_F32 == (int) PH_F32 && (int) CU_F16 == (int) PH_F16 &&
                   (int) CU_BF16 == (int) PH_BF16,
               "types");
_Static_assert((int) CU_EXP == (int) PH_ACT_EXP && (int) CU_GELU == (int) PH_ACT_GELU,
               "activations");
_Static_assert((int) CU_SAME == (int) PH_SPREAD_SAME && (int) CU_TOKEN == (int) PH_SPREAD_TOKEN,
               "spreads");

// ------------------------------------------------------------------------------ shared
struct cu_device *ph_cu_of(struct ph_device *d)
{
    return d->own;
}

struct cu_ready *ph_cu_ready_new(struct ph_device *d, struct ph_step *s, struct ph_fault *fault)
{
    struct cu_ready *r = calloc(1, sizeof *r);
    if (!r)
        ph_fail(fault, PH_ENOMEM, s->name, "%s: out of memory", s->name);
    else
        r->device = d;
    s->ready = r;
    return r;
}

void ph_cu_ready_finish(struct ph_device *d, struct ph_step *s)
{
    struct cu_ready *r = s->ready;
    if (!r) return;
    ph_pack_put(d, r->weight);
    ph_pack_put(d, r->bias);
    if (r->memory) d->backend->release(d, r->memory, r->memory_size);
    free(r);
    s->ready = NULL;
}

ph_err ph_cu_prepare(struct ph_device *d, struct ph_step *s, const struct ph_place *place,
                     enum ph_precision precision, struct ph_fault *fault)
{
    return ph_cu_ready_new(d, s, fault) ? PH_OK : PH_ENOMEM;
}

ph_err ph_cu_prepare_vectors(struct ph_device *d, struct ph_step *s,
                             const struct ph_place *place, enum ph_precision precision,
                             struct ph_fault *fault)
{
    struct cu_ready *r = ph_cu_ready_new(d, s, fault);
    if (!r) return PH_ENOMEM;
    ph_err ret = PH_OK;
    if (s->weight) ret = ph_pack_f32(d, s, s->weight, &r->weight, fault);
    if (!ret && s->bias) ret = ph_pack_f32(d, s, s->bias, &r->bias, fault);
    if (ret < 0) ph_cu_ready_finish(d, s);
    return ret;
}

struct cu_view ph_cu_view_of(const struct ph_place *p)
{
    return (struct cu_view){ p->data, (int) p->dtype };
}

// The kernels count in 32 bits.
bool ph_cu_is_float(const struct ph_place *p)
{
    return (p->dtype == PH_F32 || p->dtype == PH_F16 || p->dtype == PH_BF16) &&
           p->count < INT32_MAX;
}

bool ph_cu_all_float(const struct ph_step *s, const struct ph_place *place)
{
    ph_val reads[PH_STEP_READS];
    int n = ph_step_reads(s, reads);
    for (int i = 0; i < n; i++)
        if (!ph_cu_is_float(&place[reads[i]])) return false;
    return ph_cu_is_float(&place[s->out]);
}

int ph_cu_channels(const struct ph_place *p)
{
    return p->rank == 0 ? 1 : (int) p->dim[p->rank == 4 && p->dtype != PH_U8 ? 1 : p->rank - 1];
}

void ph_cu_launch(const struct ph_step *s, enum cu_kernel k, struct cu_grid grid, size_t shared,
                  const void *args, size_t size)
{
    const struct cu_ready *r = s->ready;
    ph_cu_of(r->device)->launch(r->device, k, grid, shared, args, size);
}

void ph_cu_launch_flat(const struct ph_step *s, enum cu_kernel k, uint64_t n, const void *args,
                       size_t size)
{
    ph_cu_launch(s, k, (struct cu_grid){ (unsigned) ((n + 255) / 256), 1, 1 }, 0, args, size);
}

// Fits whatever reads and writes floats alone.
static double floats_fit(const struct ph_step *s, const struct ph_place *place,
                         enum ph_precision precision)
{
    return ph_cu_all_float(s, place) ? 10 : 0;
}

#define KERNEL(op, ident, fits, prepare)                                                       \
    static const struct ph_kernel ident##_kernel = {                                           \
        op, "cuda", fits, prepare, ident##_run, ph_cu_ready_finish,                            \
    };

// ------------------------------------------------------------------------------ pointwise
static void pointwise(const struct ph_step *s, const struct ph_run *run, struct cu_pointwise *a)
{
    const struct ph_place *y = &run->place[s->out];
    a->y = ph_cu_view_of(y);
    a->act = (int) s->act;
    a->scale = s->scale;
    a->offset = s->offset;
    a->count = (uint32_t) y->count;
    if (!a->x.data) a->x = ph_cu_view_of(&run->place[s->in[0]]);
    if (!a->channels) a->channels = (uint32_t) ph_cu_channels(y);
    a->row = (uint32_t) (y->count / (y->rank ? y->dim[0] : 1));
    ph_cu_launch_flat(s, CU_KERNEL_pointwise, (a->count + 7u) / 8, a, sizeof *a);
}

static void one_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_pointwise a = { 0 };
    a.op = s->op == PH_OP_AFFINE  ? CU_AFFINE
           : s->op == PH_OP_CLAMP ? CU_CLAMP
           : s->op == PH_OP_GEGLU ? CU_GEGLU
                                  : CU_ACTIVATE;
    pointwise(s, run, &a);
}
#define activate_run one_run
#define affine_run   one_run
#define clamp_run    one_run
#define geglu_run    one_run
KERNEL(PH_OP_ACTIVATE, activate, floats_fit, ph_cu_prepare)
KERNEL(PH_OP_AFFINE, affine, floats_fit, ph_cu_prepare)
KERNEL(PH_OP_CLAMP, clamp, floats_fit, ph_cu_prepare)
KERNEL(PH_OP_GEGLU, geglu, floats_fit, ph_cu_prepare)

static void two_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]], *b = &run->place[s->in[1]];
    struct cu_pointwise a = { .op = s->op == PH_OP_ADD ? CU_ADD : CU_MUL };
    a.b = ph_cu_view_of(b);
    a.spread = (int) ph_spread(x->rank, x->dim, b->rank, b->dim);
    pointwise(s, run, &a);
}
#define add_run two_run
#define mul_run two_run
KERNEL(PH_OP_ADD, add, floats_fit, ph_cu_prepare)
KERNEL(PH_OP_MUL, mul, floats_fit, ph_cu_prepare)

static void axpby_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_pointwise a = { .op = CU_AXPBY, .spread = CU_SAME };
    a.a = ph_cu_view_of(&run->place[s->in[0]]);
    a.x = ph_cu_view_of(&run->place[s->in[1]]);
    a.z = ph_cu_view_of(&run->place[s->in[2]]);
    a.b = ph_cu_view_of(&run->place[s->in[3]]);
    pointwise(s, run, &a);
}
KERNEL(PH_OP_AXPBY, axpby, floats_fit, ph_cu_prepare)

// ------------------------------------------------------------------------------ moving
// Eight at once when all that lies together is so long.
static void move(const struct ph_step *s, const struct ph_run *run, struct cu_move *a,
                 bool eights)
{
    const struct ph_place *y = &run->place[s->out];
    a->y = ph_cu_view_of(y);
    if (!a->x.data) a->x = ph_cu_view_of(&run->place[s->in[0]]);
    a->count = (uint32_t) y->count;
    a->unit = eights && y->count % 8 == 0 ? 8 : 1;
    ph_cu_launch_flat(s, CU_KERNEL_move, a->count / (unsigned) a->unit, a, sizeof *a);
}

static void copy_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_move a = { .op = CU_COPY };
    move(s, run, &a, true);
}
KERNEL(PH_OP_COPY, copy, floats_fit, ph_cu_prepare)

static void repeat_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_move a = { .op = CU_REPEAT, .p = { (uint32_t) run->place[s->in[0]].count } };
    move(s, run, &a, a.p[0] % 8 == 0);
}
KERNEL(PH_OP_REPEAT, repeat, floats_fit, ph_cu_prepare)

// Elements behind an axis, as memory has it.
static int64_t inner_of(const struct ph_place *p, int axis)
{
    static const int from[4] = { 0, 2, 3, 1 }, to[4] = { 0, 3, 1, 2 };
    bool permuted = p->rank == 4 && p->dtype != PH_U8;
    int64_t n = 1;
    for (int i = (permuted ? to[axis] : axis) + 1; i < p->rank; i++)
        n *= p->dim[permuted ? from[i] : i];
    return n;
}

static void concat_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]], *b = &run->place[s->in[1]];
    int64_t inner = inner_of(&run->place[s->out], s->axis);
    struct cu_move a = { .op = CU_CONCAT, .b = ph_cu_view_of(b) };
    a.p[0] = (uint32_t) (x->dim[s->axis] * inner);
    a.p[1] = (uint32_t) (b->dim[s->axis] * inner);
    move(s, run, &a, a.p[0] % 8 == 0 && a.p[1] % 8 == 0);
}
KERNEL(PH_OP_CONCAT, concat, floats_fit, ph_cu_prepare)

static void slice_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]], *y = &run->place[s->out];
    int64_t inner = inner_of(x, s->axis);
    struct cu_move a = { .op = CU_SLICE };
    a.p[0] = (uint32_t) (x->dim[s->axis] * inner);
    a.p[1] = (uint32_t) (y->dim[s->axis] * inner);
    a.p[2] = (uint32_t) (s->first * inner);
    move(s, run, &a, a.p[0] % 8 == 0 && a.p[1] % 8 == 0 && a.p[2] % 8 == 0);
}
KERNEL(PH_OP_SLICE, slice, floats_fit, ph_cu_prepare)

static void upsample_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]], *y = &run->place[s->out];
    struct cu_move a = { .op = CU_UPSAMPLE };
    for (int i = 0; i < 3; i++) a.p[i] = (uint32_t) y->dim[i + 1];
    a.p[3] = (uint32_t) x->dim[2];
    a.p[4] = (uint32_t) x->dim[3];
    move(s, run, &a, a.p[0] % 8 == 0);
}
KERNEL(PH_OP_UPSAMPLE, upsample, floats_fit, ph_cu_prepare)

static void spread_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[s->out];
    struct cu_move a = { .op = CU_SPREAD };
    a.p[0] = (uint32_t) s->groups;
    a.p[1] = (uint32_t) (y->dim[3] / s->groups);
    a.p[2] = (uint32_t) (s->groups * y->dim[1]);
    move(s, run, &a, a.p[2] % 8 == 0);
}
KERNEL(PH_OP_SPREAD, spread, floats_fit, ph_cu_prepare)

static double pick_fits(const struct ph_step *s, const struct ph_place *place,
                        enum ph_precision precision)
{
    const struct ph_place *x = &place[s->in[0]];
    bool embed = s->op == PH_OP_EMBED;
    const struct ph_place *index = embed ? x : &place[s->in[1]];
    return index->dtype == PH_I32 && ph_cu_is_float(&place[s->out]) &&
                   (embed || ph_cu_is_float(x))
               ? 10
               : 0;
}

static void pick_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]];
    struct cu_move a = { .op = CU_PICK, .index = run->place[s->in[1]].data };
    a.p[0] = (uint32_t) x->dim[2];
    a.p[1] = (uint32_t) x->dim[1];
    move(s, run, &a, a.p[0] % 8 == 0);
}
KERNEL(PH_OP_PICK, pick, pick_fits, ph_cu_prepare)

static void embed_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct cu_ready *r = s->ready;
    struct cu_move a = { .op = CU_EMBED, .index = run->place[s->in[0]].data };
    a.x = (struct cu_view){ r->weight->data, CU_F32 };
    a.p[0] = (uint32_t) s->weight->disk.dim[1];
    a.p[1] = (uint32_t) s->weight->disk.dim[0];
    move(s, run, &a, a.p[0] % 8 == 0);
}
KERNEL(PH_OP_EMBED, embed, pick_fits, ph_cu_prepare_vectors)

// ------------------------------------------------------------------------------ constants
static double constant_fits(const struct ph_step *s, const struct ph_place *place,
                            enum ph_precision precision)
{
    return ph_cu_is_float(&place[s->out]) ? 10 : 0;
}

static ph_err constant_prepare(struct ph_device *d, struct ph_step *s,
                               const struct ph_place *place, enum ph_precision precision,
                               struct ph_fault *fault)
{
    const struct ph_place *y = &place[s->out];
    int64_t c = ph_cu_channels(y), space = y->rank == 4 ? y->dim[2] * y->dim[3] : 1;
    struct cu_ready *r = ph_cu_ready_new(d, s, fault);
    if (!r) return PH_ENOMEM;
    r->memory_size = (size_t) y->count * sizeof(float);
    float *values = malloc(r->memory_size);
    r->memory = values ? d->backend->alloc(d, r->memory_size) : NULL;
    if (!r->memory) {
        free(values);
        ph_cu_ready_finish(d, s);
        return ph_fail(fault, PH_ENOMEM, s->name, "%s: out of memory", s->name);
    }
    for (int64_t i = 0; i < y->count; i++) // channels last
        values[i] =
            s->values[y->rank == 4 ? (i / (space * c) * c + i % c) * space + i / c % space : i];
    d->backend->upload(d, r->memory, values, r->memory_size);
    free(values);
    return PH_OK;
}

static void constant_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_move a = { .op = CU_COPY };
    a.x = (struct cu_view){ ((const struct cu_ready *) s->ready)->memory, CU_F32 };
    move(s, run, &a, true);
}
KERNEL(PH_OP_CONSTANT, constant, constant_fits, constant_prepare)

// ------------------------------------------------------------------------------ resampling
static void resample_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]], *y = &run->place[s->out];
    struct cu_resample a = { ph_cu_view_of(y), ph_cu_view_of(x), (uint32_t) y->count };
    a.c = (int) y->dim[1];
    a.h = (int) y->dim[2];
    a.w = (int) y->dim[3];
    a.in_h = (int) x->dim[2];
    a.in_w = (int) x->dim[3];
    a.cubic = s->op == PH_OP_BICUBIC;
    a.scale_y = s->scale;
    a.scale_x = s->offset;
    ph_cu_launch_flat(s, CU_KERNEL_resample, a.count, &a, sizeof a);
}
#define stretch_run resample_run
#define bicubic_run resample_run
KERNEL(PH_OP_STRETCH, stretch, floats_fit, ph_cu_prepare)
KERNEL(PH_OP_BICUBIC, bicubic, floats_fit, ph_cu_prepare)

static void rotary_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[s->in[0]];
    struct cu_rotary a = { ph_cu_view_of(&run->place[s->out]),
                           ph_cu_view_of(x),
                           ph_cu_view_of(&run->place[s->in[1]]),
                           (uint32_t) (x->count / 2),
                           (int) x->dim[1],
                           s->groups,
                           (int) (x->dim[2] / s->groups) };
    ph_cu_launch_flat(s, CU_KERNEL_rotary, a.pairs, &a, sizeof a);
}
KERNEL(PH_OP_ROTARY, rotary, floats_fit, ph_cu_prepare)

static void sinusoid_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct ph_place *t = &run->place[s->in[0]], *y = &run->place[s->out];
    struct cu_sinusoid a = { ph_cu_view_of(y), ph_cu_view_of(t), (uint32_t) y->count,
                             (int) (y->count / t->count), s->max_period };
    ph_cu_launch_flat(s, CU_KERNEL_sinusoid, a.count, &a, sizeof a);
}
KERNEL(PH_OP_SINUSOID, sinusoid, floats_fit, ph_cu_prepare)

// ------------------------------------------------------------------------------ pictures
static double pixels_fit(const struct ph_step *s, const struct ph_place *place,
                         enum ph_precision precision)
{
    bool to = s->op == PH_OP_TO_PIXELS;
    const struct ph_place *rgba = &place[to ? s->out : s->in[0]];
    return rgba->dtype == PH_U8 && ph_cu_is_float(&place[to ? s->in[0] : s->out]) ? 10 : 0;
}

static void pixels_run(const struct ph_step *s, const struct ph_run *run)
{
    bool to = s->op == PH_OP_TO_PIXELS;
    const struct ph_place *rgba = &run->place[to ? s->out : s->in[0]];
    struct cu_pixels a = { ph_cu_view_of(&run->place[to ? s->in[0] : s->out]),
                           rgba->data,
                           (uint32_t) (rgba->count / 4),
                           s->scale,
                           s->offset,
                           to };
    ph_cu_launch_flat(s, CU_KERNEL_pixels, a.pixels, &a, sizeof a);
}
#define from_pixels_run pixels_run
#define to_pixels_run   pixels_run
KERNEL(PH_OP_FROM_PIXELS, from_pixels, pixels_fit, ph_cu_prepare)
KERNEL(PH_OP_TO_PIXELS, to_pixels, pixels_fit, ph_cu_prepare)

const struct ph_kernel *const ph_cu_pointwise_kernels[] = {
    &activate_kernel,    &affine_kernel,    &clamp_kernel,  &geglu_kernel,
    &add_kernel,         &mul_kernel,       &axpby_kernel,  &copy_kernel,
    &repeat_kernel,      &concat_kernel,    &slice_kernel,  &upsample_kernel,
    &spread_kernel,      &pick_kernel,      &embed_kernel,  &constant_kernel,
    &stretch_kernel,     &bicubic_kernel,   &rotary_kernel, &sinusoid_kernel,
    &from_pixels_kernel, &to_pixels_kernel, NULL,
};

void ph_cu_list_kernels(struct ph_device *d, bool lt)
{
    const struct ph_kernel *const *const lists[] = { ph_cu_pointwise_kernels,
                                                     ph_cu_layer_kernels, ph_cu_lt_kernels };
    int n = 0;
    for (int i = 0; i < (lt ? 3 : 2); i++)
        for (const struct ph_kernel *const *k = lists[i]; *k && n < PH_DEVICE_KERNELS; k++)
            d->kernels[n++] = *k;
    d->kernels[n] = NULL;
}
