// SPDX-License-Identifier: MIT
// The host's side of norm.cu, matrix.cu and attend.cu: which tile, how many parts, packed weights.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/cuda.h"
#include "nn/plan_priv.h"

static int up(int64_t n, int to)
{
    return (int) ((n + to - 1) / to * to);
}

static unsigned parts_of(int64_t n, int each)
{
    return (unsigned) ((n + each - 1) / each);
}

static const float *weight_of(const struct cu_ready *r)
{
    return r->weight ? r->weight->data : NULL;
}

static const float *bias_of(const struct cu_ready *r)
{
    return r->bias ? r->bias->data : NULL;
}

// ------------------------------------------------------------------------------ norms
static double norm_fits(const struct ph_step *s, const struct ph_place *place,
                        enum ph_precision precision)
{
    return ph_cu_all_float(s, place) ? 10 : 0;
}

// Parts of the pixels so that the picture is work for the whole device twice over, of 32 at least.
static void describe_group(struct cu_group *a, const struct ph_step *s,
                           const struct ph_place *place, int multiprocessors)
{
    const struct ph_place *x = &place[s->in[0]];
    a->n = (int) x->dim[0];
    a->c = ph_cu_channels(x);
    a->space = (int) (x->count / ((int64_t) a->n * a->c));
    a->groups = s->groups;
    a->unit = a->c % 8 == 0 ? 8 : 1;
    int slabs = (int) parts_of(a->c, 8 * a->unit);
    int most = 2 * multiprocessors / (slabs * a->n);
    if (most > CU_PARTS) most = CU_PARTS;
    if (most < 1) most = 1;
    a->pixels = (int) parts_of(a->space, most);
    if (a->pixels < 32) a->pixels = 32;
    a->parts = (int) parts_of(a->space, a->pixels);
}

static size_t partial_bytes(const struct cu_group *a)
{
    return (size_t) up((int64_t) a->n * a->parts * a->c * 2 * (int64_t) sizeof(float), 64);
}

static ph_err group_prepare(struct ph_device *d, struct ph_step *s,
                            const struct ph_place *place, enum ph_precision precision,
                            struct ph_fault *fault)
{
    struct cu_group a = { 0 };
    describe_group(&a, s, place, ph_cu_of(d)->multiprocessors);
    s->scratch = partial_bytes(&a) + (size_t) a.n * 3 * (size_t) a.c * sizeof(float);
    return ph_cu_prepare_vectors(d, s, place, precision, fault);
}

static void group_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct cu_ready *r = s->ready;
    const struct ph_place *row = s->row == PH_NONE ? NULL : &run->place[s->row];
    struct cu_group a = { ph_cu_view_of(&run->place[s->out]),
                          ph_cu_view_of(&run->place[s->in[0]]) };
    describe_group(&a, s, run->place, ph_cu_of(r->device)->multiprocessors);
    if (row) a.row = ph_cu_view_of(row);
    a.row_stride = row && row->dim[0] > 1 ? a.c : 0;
    a.weight = weight_of(r);
    a.bias = bias_of(r);
    a.partial = run->scratch;
    a.factors = (float *) (void *) ((char *) run->scratch + partial_bytes(&a));
    a.act = (int) s->act;
    a.eps = s->eps;
    struct cu_grid sums = { parts_of(a.c, 8 * a.unit), (unsigned) a.parts, (unsigned) a.n };
    struct cu_grid solve = { (unsigned) a.groups, (unsigned) a.n, 1 };
    size_t width = (size_t) (a.c / a.groups);
    ph_cu_launch(s, CU_KERNEL_group_sums, sums, 32 * 8 * (size_t) a.unit * 2 * sizeof(float),
                 &a, sizeof a);
    ph_cu_launch(s, CU_KERNEL_group_solve, solve, (2 * width + 2) * sizeof(double), &a,
                 sizeof a);
    ph_cu_launch_flat(s, CU_KERNEL_group_apply,
                      (uint64_t) a.n * a.space * a.c / (unsigned) a.unit, &a, sizeof a);
}

static const struct ph_kernel group_kernel = {
    PH_OP_GROUP_NORM, "cuda", norm_fits, group_prepare, group_run, ph_cu_ready_finish,
};

static void layer_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct cu_ready *r = s->ready;
    const struct ph_place *x = &run->place[s->in[0]];
    struct cu_layer a = { ph_cu_view_of(&run->place[s->out]), ph_cu_view_of(x), weight_of(r),
                          bias_of(r) };
    a.c = (int) x->dim[x->rank - 1];
    a.rows = (int) (x->count / a.c);
    a.unit = a.c % 8 == 0 ? 8 : 1;
    a.act = (int) s->act;
    a.eps = s->eps;
    ph_cu_launch(s, CU_KERNEL_layer, (struct cu_grid){ parts_of(a.rows, 8), 1, 1 }, 0, &a,
                 sizeof a);
}

static const struct ph_kernel layer_kernel = {
    PH_OP_LAYER_NORM, "cuda", norm_fits, ph_cu_prepare_vectors, layer_run, ph_cu_ready_finish,
};

// ------------------------------------------------------------------------------ packing
struct packing {
    enum ph_dtype type;
    int pad;
};

// [outputs][tap][channel], padded with zeros.
static ph_err make_matrix(void *arg, const struct ph_step *s, void *data, size_t size,
                          struct ph_fault *fault)
{
    const struct packing *how = arg;
    int64_t w[4];
    ph_step_window(s, w);
    int64_t taps = w[2] * w[3], in = w[1], padded = up(in, how->pad), row = taps * padded;
    size_t each = ph_dtype_size(how->type);
    float *values = calloc((size_t) (taps * in + row), sizeof *values);
    if (!values) return PH_ENOMEM;
    float *turned = values + taps * in;
    ph_err ret = PH_OK;
    memset(data, 0, size);
    for (int64_t o = 0; o < w[0] && ret >= 0; o++) {
        ret = ph_step_weight(s, o * taps * in, taps * in, values);
        for (int64_t i = 0; i < in; i++)
            for (int64_t t = 0; t < taps; t++) turned[t * padded + i] = values[i * taps + t];
        ph_convert(how->type, (char *) data + (size_t) (o * row) * each, PH_F32, turned, row);
    }
    free(values);
    return ret < 0 ? ph_fail(fault, ret, s->name, "%s cannot be read", s->weight->name) : PH_OK;
}

ph_err ph_cu_pack_matrix(struct ph_device *d, struct ph_step *s, enum ph_dtype type, int pad,
                         const struct ph_pack **out, struct ph_fault *fault)
{
    struct packing how = { type, pad };
    int64_t w[4];
    char text[48];
    ph_step_window(s, w);
    size_t size = (size_t) up(w[0], CU_N_PADDED) * (size_t) (w[2] * w[3]) *
                  (size_t) up(w[1], pad) * ph_dtype_size(type);
    snprintf(text, sizeof text, "cuda %s k%d n%d", ph_dtype_name(type), pad, CU_N_PADDED);
    return ph_pack_get(d, s, s->weight, text, size, make_matrix, &how, out, fault);
}

// ------------------------------------------------------------------------------ products
static void describe_matrix(struct cu_matrix *a, const struct ph_step *s,
                            const struct ph_place *place)
{
    const struct ph_place *x = &place[s->in[0]], *y = &place[s->out];
    int64_t w[4];
    ph_step_window(s, w);
    a->n = (int) w[0];
    a->cin = (int) w[1];
    a->c_padded = up(a->cin, CU_K);
    a->kh = (int) w[2];
    a->kw = (int) w[3];
    a->m = (int) (y->count / a->n);
    a->stride = 1;
    a->h = a->oh = 1;
    a->w_in = a->ow = a->m; // a linear layer is a row of pixels
    if (s->op == PH_OP_CONV) {
        a->h = (int) x->dim[2];
        a->w_in = (int) x->dim[3];
        a->oh = (int) y->dim[2];
        a->ow = (int) y->dim[3];
        a->stride = s->conv.stride ? s->conv.stride : 1;
        a->top = s->conv.top;
        a->left = s->conv.left;
    }
    a->chunks = a->kh * a->kw * a->c_padded / CU_K;
    a->chunks_each = a->chunks;
    a->splits = 1;
    a->act = (int) s->act;
}

static void matrix(const struct ph_step *s, const struct ph_run *run, struct cu_matrix *a)
{
    const struct cu_ready *r = s->ready;
    describe_matrix(a, s, run->place);
    a->x = ph_cu_view_of(&run->place[s->in[0]]);
    a->y = ph_cu_view_of(&run->place[s->out]);
    if (s->residual != PH_NONE) a->residual = ph_cu_view_of(&run->place[s->residual]);
    a->w = r->weight->data;
    a->bias = bias_of(r);
}

static ph_err prepare_matrix(struct ph_device *d, struct ph_step *s, enum ph_dtype type,
                             int pad, struct ph_fault *fault)
{
    struct cu_ready *r = ph_cu_ready_new(d, s, fault);
    if (!r) return PH_ENOMEM;
    ph_err ret = ph_cu_pack_matrix(d, s, type, pad, &r->weight, fault);
    if (!ret && s->bias) ret = ph_pack_f32(d, s, s->bias, &r->bias, fault);
    if (ret < 0) ph_cu_ready_finish(d, s);
    return ret;
}

// f32: the reference, and what runs when f32 is asked for.
static double f32_fits(const struct ph_step *s, const struct ph_place *place,
                       enum ph_precision precision)
{
    return !ph_cu_all_float(s, place) ? 0 : precision == PH_PRECISION_F32 ? 10 : 1;
}

static ph_err f32_prepare(struct ph_device *d, struct ph_step *s, const struct ph_place *place,
                          enum ph_precision precision, struct ph_fault *fault)
{
    return prepare_matrix(d, s, PH_F32, 1, fault);
}

static void f32_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_matrix a = { 0 };
    matrix(s, run, &a);
    ph_cu_launch(s, CU_KERNEL_matrix_f32,
                 (struct cu_grid){ parts_of(a.m, 64), parts_of(a.n, 64), 1 },
                 64 * 68 * sizeof(float), &a, sizeof a);
}

// Tensor cores. x of f16 has products in f16, all else in bf16.
static enum ph_dtype type_of(const struct ph_step *s, const struct ph_place *place)
{
    return place[s->in[0]].dtype == PH_F16 ? PH_F16 : PH_BF16;
}

static size_t tile_bytes(int tile)
{
    size_t stages = CU_STAGES * 2 * (size_t) tile * CU_K * 2;
    size_t results = (size_t) tile * (size_t) (tile + 4) * sizeof(float);
    return stages > results ? stages : results;
}

// K is split among blocks until there is one for each multiprocessor and parts would be short.
static void split(struct cu_matrix *a, int tile, int multiprocessors)
{
    int blocks = (int) (parts_of(a->m, tile) * parts_of(a->n, tile)), splits = 1;
    while (blocks * splits * 2 <= multiprocessors * 2 && a->chunks / (splits * 2) >= 8 &&
           splits < 16)
        splits *= 2;
    a->chunks_each = (int) parts_of(a->chunks, splits);
    a->splits = (int) parts_of(a->chunks, a->chunks_each);
}

static double tensor_fits(const struct ph_step *s, const struct ph_place *place,
                          enum ph_precision precision, int tile)
{
    if (precision == PH_PRECISION_F32 || !ph_cu_all_float(s, place)) return 0;
    if (tile == 128 && type_of(s, place) == PH_F16) return 0;
    struct cu_matrix a = { 0 };
    describe_matrix(&a, s, place);
    int64_t blocks = (int64_t) parts_of(a.m, 128) * parts_of(a.n, 128);
    return (tile == 128) == (blocks >= 64) ? 200 : 100;
}

static double fits_128(const struct ph_step *s, const struct ph_place *place,
                       enum ph_precision precision)
{
    return tensor_fits(s, place, precision, 128);
}

static double fits_64(const struct ph_step *s, const struct ph_place *place,
                      enum ph_precision precision)
{
    return tensor_fits(s, place, precision, 64);
}

static ph_err tensor_prepare(struct ph_device *d, struct ph_step *s,
                             const struct ph_place *place, int tile, struct ph_fault *fault)
{
    ph_err ret = prepare_matrix(d, s, type_of(s, place), CU_K, fault);
    if (ret < 0) return ret;
    struct cu_matrix a = { 0 };
    struct cu_ready *r = s->ready;
    describe_matrix(&a, s, place);
    split(&a, tile, ph_cu_of(d)->multiprocessors);
    r->splits = a.splits;
    r->chunks_each = a.chunks_each;
    r->tile = tile;
    s->scratch =
        a.splits > 1 ? (size_t) a.splits * (size_t) a.m * (size_t) a.n * sizeof(float) : 0;
    return PH_OK;
}

static ph_err prepare_128(struct ph_device *d, struct ph_step *s, const struct ph_place *place,
                          enum ph_precision precision, struct ph_fault *fault)
{
    return tensor_prepare(d, s, place, 128, fault);
}

static ph_err prepare_64(struct ph_device *d, struct ph_step *s, const struct ph_place *place,
                         enum ph_precision precision, struct ph_fault *fault)
{
    return tensor_prepare(d, s, place, 64, fault);
}

static enum cu_kernel tensor_kernel(const struct cu_matrix *a, enum ph_dtype type, int tile)
{
    bool any = a->x.dtype != (int) type || a->cin % 8 != 0;
    if (type == PH_F16) return any ? CU_KERNEL_matrix_64_f16_any : CU_KERNEL_matrix_64_f16;
    if (tile == 64) return any ? CU_KERNEL_matrix_64_bf16_any : CU_KERNEL_matrix_64_bf16;
    return any ? CU_KERNEL_matrix_128_bf16_any : CU_KERNEL_matrix_128_bf16;
}

static void tensor_run(const struct ph_step *s, const struct ph_run *run)
{
    const struct cu_ready *r = s->ready;
    struct cu_matrix a = { 0 };
    matrix(s, run, &a);
    a.splits = r->splits;
    a.chunks_each = r->chunks_each;
    a.partial = r->splits > 1 ? run->scratch : NULL;
    struct cu_grid grid = { parts_of(a.m, r->tile), parts_of(a.n, r->tile),
                            (unsigned) a.splits };
    ph_cu_launch(s, tensor_kernel(&a, type_of(s, run->place), r->tile), grid,
                 tile_bytes(r->tile), &a, sizeof a);
    if (a.partial)
        ph_cu_launch_flat(s, CU_KERNEL_matrix_join,
                          (uint64_t) a.m * (unsigned) a.n / (a.n % 8 ? 1 : 8), &a, sizeof a);
}

#define PRODUCTS(op, ident)                                                                    \
    static const struct ph_kernel ident##_f32 = {                                              \
        op, "cuda f32", f32_fits, f32_prepare, f32_run, ph_cu_ready_finish,                    \
    };                                                                                         \
    static const struct ph_kernel ident##_64 = {                                               \
        op, "cuda mma 64", fits_64, prepare_64, tensor_run, ph_cu_ready_finish,                \
    };                                                                                         \
    static const struct ph_kernel ident##_128 = {                                              \
        op, "cuda mma 128", fits_128, prepare_128, tensor_run, ph_cu_ready_finish,             \
    };
PRODUCTS(PH_OP_CONV, conv)
PRODUCTS(PH_OP_LINEAR, linear)

// ------------------------------------------------------------------------------ attention
static void describe_attend(struct cu_attend *a, const struct ph_step *s,
                            const struct ph_place *place)
{
    const struct ph_place *q = &place[s->in[0]], *k = &place[s->in[1]];
    a->q = ph_cu_view_of(q);
    a->k = ph_cu_view_of(k);
    a->v = ph_cu_view_of(&place[s->in[2]]);
    a->y = ph_cu_view_of(&place[s->out]);
    a->n = (int) q->dim[0];
    a->t = (int) q->dim[1];
    a->s = (int) k->dim[1];
    a->heads = s->attention.heads;
    a->d = (int) (q->dim[2] / a->heads);
    a->causal = s->attention.causal;
    a->scale = s->attention.scale;
}

static double any_fits(const struct ph_step *s, const struct ph_place *place,
                       enum ph_precision precision)
{
    struct cu_attend a = { 0 };
    describe_attend(&a, s, place);
    if (!ph_cu_all_float(s, place) || a.d > CU_HEAD_MOST) return 0;
    return precision == PH_PRECISION_F32 ? 10 : 1;
}

static void any_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_attend a = { 0 };
    describe_attend(&a, s, run->place);
    struct cu_grid grid = { parts_of(a.t, 8), (unsigned) a.heads, (unsigned) a.n };
    ph_cu_launch(s, CU_KERNEL_attend_any, grid, 8 * (size_t) a.d * sizeof(float), &a, sizeof a);
}

static const struct ph_kernel attend_any_kernel = {
    PH_OP_ATTEND, "cuda", any_fits, ph_cu_prepare, any_run, ph_cu_ready_finish,
};

// By type, the narrowest that holds a head.
static const struct {
    enum cu_kernel kernel;
    int type, d;
} heads[] = {
    { CU_KERNEL_attend_48_bf16, CU_BF16, 48 }, { CU_KERNEL_attend_64_bf16, CU_BF16, 64 },
    { CU_KERNEL_attend_80_bf16, CU_BF16, 80 }, { CU_KERNEL_attend_160_bf16, CU_BF16, 160 },
    { CU_KERNEL_attend_64_f16, CU_F16, 64 },   { CU_KERNEL_attend_160_f16, CU_F16, 160 },
};

static int head_of(const struct cu_attend *a)
{
    if (a->q.dtype != a->k.dtype || a->q.dtype != a->v.dtype || a->d % 8) return -1;
    for (int i = 0; i < (int) (sizeof heads / sizeof *heads); i++)
        if (heads[i].type == a->q.dtype && heads[i].d >= a->d) return i;
    return -1;
}

static size_t head_bytes(int i)
{
    return (CU_QUERIES + 4 * CU_KEYS) * (size_t) (heads[i].d * 2 + 16);
}

static double flash_fits(const struct ph_step *s, const struct ph_place *place,
                         enum ph_precision precision)
{
    struct cu_attend a = { 0 };
    if (precision == PH_PRECISION_F32 || !ph_cu_all_float(s, place)) return 0;
    describe_attend(&a, s, place);
    return head_of(&a) < 0 ? 0 : 100;
}

static ph_err flash_prepare(struct ph_device *d, struct ph_step *s,
                            const struct ph_place *place, enum ph_precision precision,
                            struct ph_fault *fault)
{
    struct cu_attend a = { 0 };
    describe_attend(&a, s, place);
    if (head_bytes(head_of(&a)) > ph_cu_of(d)->shared_most)
        return ph_fail(fault, PH_ENOTSUP, s->name, "%s: heads of %d need more shared memory",
                       s->name, a.d);
    return ph_cu_prepare(d, s, place, precision, fault);
}

static void flash_run(const struct ph_step *s, const struct ph_run *run)
{
    struct cu_attend a = { 0 };
    describe_attend(&a, s, run->place);
    int i = head_of(&a);
    struct cu_grid grid = { parts_of(a.t, CU_QUERIES), (unsigned) a.heads, (unsigned) a.n };
    ph_cu_launch(s, heads[i].kernel, grid, head_bytes(i), &a, sizeof a);
}

static const struct ph_kernel flash_kernel = {
    PH_OP_ATTEND, "cuda mma", flash_fits, flash_prepare, flash_run, ph_cu_ready_finish,
};

const struct ph_kernel *const ph_cu_layer_kernels[] = {
    &group_kernel, &layer_kernel, &conv_f32,          &conv_64,      &conv_128, &linear_f32,
    &linear_64,    &linear_128,   &attend_any_kernel, &flash_kernel, NULL,
};
