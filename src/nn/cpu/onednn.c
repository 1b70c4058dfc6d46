// SPDX-License-Identifier: MIT
// Convolutions and matrix products by oneDNN 2.x: the one file that knows it. Weights are packed
// into the layout that oneDNN asks for; activations stay as they are, channels last.
#include "nn/cpu/kernels.h"

#include "config.h"

#if PH_HAVE_ONEDNN

#include <oneapi/dnnl/dnnl.h>

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "nn/cpu/pool.h"
#include "nn/cpu/quant.h"

// ------------------------------------------------------------------------------ the library
static dnnl_engine_t engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void engine_open(void)
{
    unsigned cpu = ph_cpu_flags();
    // So that PH_CPU caps this library like our own kernels.
    dnnl_set_max_cpu_isa(cpu & PH_CPU_BF16     ? dnnl_cpu_isa_all
                         : cpu & PH_CPU_VNNI   ? dnnl_cpu_isa_avx512_core_vnni
                         : cpu & PH_CPU_AVX512 ? dnnl_cpu_isa_avx512_core
                         : cpu & PH_CPU_AVX2   ? dnnl_cpu_isa_avx2
                                               : dnnl_cpu_isa_sse41);
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
}

static dnnl_engine_t engine_get(void)
{
    pthread_once(&engine_once, engine_open);
    return engine;
}

const char *ph_cpu_onednn_name(void)
{
    static char name[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(name, sizeof name, "onednn %d.%d.%d", v->major, v->minor, v->patch);
    return name;
}

// ------------------------------------------------------------------------------ shapes
// What is computed: a convolution, or rows x inputs times inputs x outputs.
struct shape {
    bool product;
    int64_t n, h, w, oh, ow, rows; // rows = n oh ow
    int64_t inputs, outputs, kh, kw;
    int64_t window; // weights of one output
};

static struct shape shape_of(const struct ph_step *step, const struct ph_place *place)
{
    const struct ph_place *x = &place[step->in[0]], *y = &place[step->out];
    int64_t w[4];
    ph_step_window(step, w);
    struct shape s = { .outputs = w[0], .inputs = w[1], .kh = 1, .kw = 1 };
    s.product = step->op == PH_OP_LINEAR;
    s.rows = y->count / s.outputs;
    if (!s.product) {
        s.n = x->dim[0];
        s.h = x->dim[2];
        s.w = x->dim[3];
        s.oh = y->dim[2];
        s.ow = y->dim[3];
        s.kh = w[2];
        s.kw = w[3];
        const struct ph_conv *c = &step->conv;
        s.product = s.kh == 1 && s.kw == 1 && c->stride <= 1 &&
                    !(c->top | c->left | c->bottom | c->right);
    }
    s.window = s.inputs * s.kh * s.kw;
    return s;
}

// ------------------------------------------------------------------------------ one layer
enum { ARGS = 9 };

struct layer {
    enum ph_precision kind;
    enum ph_dtype x_type, y_type; // what the primitive reads and writes
    int64_t outputs;
    dnnl_stream_t stream;
    // Of a result that adds to what is already there, and of one that adds another tensor. Where
    // nothing is added only the first is there.
    dnnl_primitive_t sum, add;
    dnnl_memory_desc_t weight_desc;
    dnnl_memory_t src, weight, bias, dst, scratch, residual, scale;
    const struct ph_pack *weight_pack, *bias_pack;
    float *scales; // int8: scale of each output, then those of this run, then its bias
    size_t at_x, at_y, at_weight, at_peak;
};

// Whether 4-bit weights can be widened straight into this layout.
static bool panels_of(const dnnl_memory_desc_t *d, struct ph_panels *p)
{
    const dnnl_blocking_desc_t *b = &d->format_desc.blocking;
    if (d->format_kind != dnnl_blocked || b->inner_nblks != 3 || b->inner_blks[2] != 2 ||
        b->inner_idxs[0] != b->inner_idxs[2] || b->inner_idxs[1] == b->inner_idxs[0] ||
        b->inner_blks[1] % 16 != 0 || d->extra.flags != dnnl_memory_extra_flag_none)
        return false;
    p->group = b->inner_blks[0] * 2;
    p->width = b->inner_blks[1];
    p->blocks = 1;
    for (int i = 0; i < d->ndims; i++) p->blocks *= d->padded_dims[i];
    p->blocks /= p->group * p->width;
    return p->group <= PH_Q4_GROUP;
}

// ------------------------------------------------------------------------------ packing
enum { ROW_STEP = 64 }; // about so many outputs at once

struct packing {
    const struct shape *shape;
    const struct layer *layer;
    const struct ph_step *step;
    float *rows; // of the outputs at hand
    int8_t *bytes;
    float *scale;
    int64_t first, count, failed;
    struct ph_loss loss;
};

// Whole blocks of outputs, as many as make the step; blocks of 48 there are too.
static int64_t row_step(const struct shape *s, const dnnl_memory_desc_t *d)
{
    const dnnl_blocking_desc_t *b = &d->format_desc.blocking;
    int64_t block = 1;
    for (int i = 0; i < b->inner_nblks; i++)
        if (b->inner_idxs[i] == (s->product ? 1 : 0)) block *= b->inner_blks[i];
    return (ROW_STEP + block - 1) / block * block;
}

static void read_rows(void *arg, long first, long last)
{
    struct packing *p = arg;
    int64_t window = p->shape->window;
    if (ph_step_weight(p->step, (p->first + first) * window, (last - first) * window,
                       p->rows + first * window) < 0)
        __atomic_store_n(&p->failed, 1, __ATOMIC_RELAXED);
}

static void quantize_rows(void *arg, long first, long last)
{
    struct packing *p = arg;
    int64_t window = p->shape->window, at = p->first + first;
    read_rows(arg, first, last);
    struct ph_loss loss;
    ph_quantize_i8(p->rows + first * window, last - first, window, p->bytes + at * window,
                   p->scale + at);
    ph_loss_i8(p->rows + first * window, last - first, window, p->bytes + at * window,
               p->scale + at, &loss);
    ph_loss_add(&p->loss, &loss);
}

// The weights of `outputs` outputs as the file has them.
static dnnl_memory_desc_t file_desc(const struct shape *s, int64_t outputs, dnnl_data_type_t t)
{
    dnnl_memory_desc_t d;
    if (s->product)
        dnnl_memory_desc_init_by_tag(&d, 2, (dnnl_dims_t){ s->inputs, outputs }, t, dnnl_ba);
    else
        dnnl_memory_desc_init_by_tag(&d, 4, (dnnl_dims_t){ outputs, s->inputs, s->kh, s->kw },
                                     t, dnnl_abcd);
    return d;
}

static dnnl_status_t reorder(dnnl_stream_t stream, const dnnl_memory_desc_t *from,
                             const void *src, const dnnl_memory_desc_t *to, void *dst)
{
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t prim = NULL;
    dnnl_memory_t a = NULL, b = NULL;
    dnnl_status_t ok =
        dnnl_reorder_primitive_desc_create(&desc, from, engine_get(), to, engine_get(), NULL);
    if (ok == dnnl_success) ok = dnnl_primitive_create(&prim, desc);
    if (ok == dnnl_success) ok = dnnl_memory_create(&a, from, engine_get(), (void *) src);
    if (ok == dnnl_success) ok = dnnl_memory_create(&b, to, engine_get(), dst);
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, a }, { DNNL_ARG_TO, b } };
    if (ok == dnnl_success) ok = dnnl_primitive_execute(prim, stream, 2, args);
    if (ok == dnnl_success) ok = dnnl_stream_wait(stream);
    dnnl_memory_destroy(a);
    dnnl_memory_destroy(b);
    dnnl_primitive_destroy(prim);
    dnnl_primitive_desc_destroy(desc);
    return ok;
}

static ph_err read_failed(const struct ph_step *step, struct ph_fault *fault)
{
    return ph_fail(fault, PH_EIO, step->weight->name, "%s: cannot read %s", step->weight->file,
                   step->weight->name);
}

static ph_err reorder_failed(const struct ph_step *step, dnnl_status_t why,
                             struct ph_fault *fault)
{
    if (why == dnnl_out_of_memory) return PH_ENOMEM;
    return ph_fail(fault, PH_EDEVICE, step->name, "%s: oneDNN cannot pack the weights (%d)",
                   step->name, (int) why);
}

// Outputs in steps, so that what was read is still in the cache when it is packed.
static ph_err pack_floats(struct packing *p, const dnnl_memory_desc_t *want, void *data,
                          struct ph_fault *fault)
{
    const struct shape *s = p->shape;
    int64_t step = row_step(s, want);
    for (p->first = 0; p->first < s->outputs; p->first += p->count) {
        int64_t left = s->outputs - p->first;
        p->count = left < step ? left : step;
        ph_parallel_range(p->count, 1, read_rows, p);
        if (p->failed) return read_failed(p->step, fault);
        dnnl_memory_desc_t from = file_desc(s, p->count, dnnl_f32), to;
        dnnl_dims_t part, at = { 0 };
        memcpy(part, want->dims, sizeof part);
        part[s->product ? 1 : 0] = p->count;
        at[s->product ? 1 : 0] = p->first;
        dnnl_status_t ok = dnnl_memory_desc_init_submemory(&to, want, part, at);
        if (ok == dnnl_success) ok = reorder(p->layer->stream, &from, p->rows, &to, data);
        if (ok != dnnl_success) return reorder_failed(p->step, ok, fault);
    }
    return PH_OK;
}

static ph_err pack_bytes(struct packing *p, void *data, size_t size, struct ph_fault *fault)
{
    const struct shape *s = p->shape;
    p->scale = (float *) ((char *) data + size) - s->outputs;
    for (p->first = 0; p->first < s->outputs; p->first += p->count) {
        int64_t left = s->outputs - p->first;
        p->count = left < ROW_STEP ? left : ROW_STEP;
        ph_parallel_range(p->count, 1, quantize_rows, p);
        if (p->failed) return read_failed(p->step, fault);
    }
    // The layout may end with sums over whole outputs, so this is done in one go.
    dnnl_memory_desc_t from = file_desc(s, s->outputs, dnnl_s8);
    dnnl_status_t ok = reorder(p->layer->stream, &from, p->bytes, &p->layer->weight_desc, data);
    return ok == dnnl_success ? PH_OK : reorder_failed(p->step, ok, fault);
}

// By way of floats in the same layout: groups are then a column of a block.
static ph_err pack_nibbles(struct packing *p, void *data, struct ph_fault *fault)
{
    struct ph_panels panels;
    panels_of(&p->layer->weight_desc, &panels);
    dnnl_memory_desc_t want = p->layer->weight_desc;
    want.data_type = dnnl_f32;
    float *in = calloc(1, dnnl_memory_desc_get_size(&want));
    if (!in) return PH_ENOMEM;
    ph_err ret = pack_floats(p, &want, in, fault);
    if (ret >= 0) ph_panels_pack(&panels, in, data, &p->loss);
    free(in);
    return ret;
}

static ph_err make_pack(void *arg, const struct ph_step *step, void *data, size_t size,
                        struct ph_fault *fault)
{
    struct packing *p = arg;
    const struct shape *s = p->shape;
    enum ph_precision kind = p->layer->kind;
    int64_t most = row_step(s, &p->layer->weight_desc);
    p->rows = malloc((size_t) (most * s->window) * sizeof(float));
    if (kind == PH_PRECISION_I8) p->bytes = malloc((size_t) (s->outputs * s->window));
    ph_err ret = PH_ENOMEM;
    if (p->rows && (p->bytes || kind != PH_PRECISION_I8))
        ret = kind == PH_PRECISION_I8   ? pack_bytes(p, data, size, fault)
              : kind == PH_PRECISION_Q4 ? pack_nibbles(p, data, fault)
                                        : pack_floats(p, &p->layer->weight_desc, data, fault);
    free(p->rows);
    free(p->bytes);
    return ret;
}

// Everything the layout depends on, since plans of other sizes may get another one.
static void describe(const struct layer *l, char *text, size_t size)
{
    const dnnl_memory_desc_t *d = &l->weight_desc;
    const dnnl_blocking_desc_t *b = &d->format_desc.blocking;
    size_t at = (size_t) snprintf(text, size, "onednn %s", ph_precision_name(l->kind));
    for (int i = 0; i < d->ndims && at < size; i++)
        at += (size_t) snprintf(text + at, size - at, " %lld/%lld",
                                (long long) d->padded_dims[i], (long long) b->strides[i]);
    for (int i = 0; i < b->inner_nblks && at < size; i++)
        at += (size_t) snprintf(text + at, size - at, "%s%lld%c", i ? "" : " ",
                                (long long) b->inner_blks[i], 'a' + (int) b->inner_idxs[i]);
    if (at < size)
        snprintf(text + at, size - at, " x%llx %d %d %g", (unsigned long long) d->extra.flags,
                 d->extra.compensation_mask, d->extra.asymm_compensation_mask,
                 (double) d->extra.scale_adjust);
}

static ph_err pack_weights(struct ph_device *device, const struct ph_step *step,
                           const struct shape *s, struct layer *l, struct ph_fault *fault)
{
    char how[256];
    describe(l, how, sizeof how);
    size_t size = dnnl_memory_desc_get_size(&l->weight_desc);
    struct ph_panels panels;
    if (l->kind == PH_PRECISION_Q4 && panels_of(&l->weight_desc, &panels))
        size = ph_panels_size(&panels);
    if (l->kind == PH_PRECISION_I8)
        size = (size + 63) / 64 * 64 + (size_t) s->outputs * sizeof(float);
    struct packing p = { .shape = s, .layer = l, .step = step };
    ph_err ret = ph_pack_get(device, step, step->weight, how, size, make_pack, &p,
                             &l->weight_pack, fault);
    if (ret >= 0 && p.loss.signal > 0) ph_pack_lost(device, l->weight_pack, &p.loss);
    return ret;
}

// ------------------------------------------------------------------------------ primitives
static dnnl_data_type_t type_of(enum ph_dtype t)
{
    return t == PH_BF16 ? dnnl_bf16 : t == PH_I8 ? dnnl_s8 : dnnl_f32;
}

static dnnl_status_t append_act(dnnl_post_ops_t ops, enum ph_act act)
{
    static const struct {
        dnnl_alg_kind_t kind;
        float alpha;
    } of[] = {
        [PH_ACT_RELU] = { dnnl_eltwise_relu, 0 },
        [PH_ACT_SILU] = { dnnl_eltwise_swish, 1 },
        [PH_ACT_GELU] = { dnnl_eltwise_gelu_erf, 0 },
        [PH_ACT_GELU_TANH] = { dnnl_eltwise_gelu_tanh, 0 },
        [PH_ACT_QUICK_GELU] = { dnnl_eltwise_swish, 1.702f },
        [PH_ACT_SIGMOID] = { dnnl_eltwise_logistic, 0 },
        [PH_ACT_TANH] = { dnnl_eltwise_tanh, 0 },
        [PH_ACT_EXP] = { dnnl_eltwise_exp, 0 },
    };
    if (act == PH_ACT_NONE) return dnnl_success;
    return dnnl_post_ops_append_eltwise(ops, 1, of[act].kind, of[act].alpha, 0);
}

static dnnl_memory_desc_t value_desc(const struct shape *s, int64_t c, int64_t h, int64_t w,
                                     dnnl_data_type_t t)
{
    dnnl_memory_desc_t d;
    if (s->product)
        dnnl_memory_desc_init_by_tag(&d, 2, (dnnl_dims_t){ s->rows, c }, t, dnnl_ab);
    else
        dnnl_memory_desc_init_by_tag(&d, 4, (dnnl_dims_t){ s->n, c, h, w }, t, dnnl_acdb);
    return d;
}

// The memory descriptors of one layer, and what goes into its attributes.
struct spec {
    const struct ph_step *step;
    const struct shape *shape;
    dnnl_memory_desc_t src, weight, bias, dst, residual, scale;
    bool has_bias, has_residual, scaled;
};

static struct spec spec_of(const struct ph_step *step, const struct ph_place *place,
                           const struct shape *s, const struct layer *l)
{
    struct spec p = { .step = step, .shape = s };
    dnnl_data_type_t x = type_of(l->x_type);
    p.src = value_desc(s, s->inputs, s->h, s->w, x);
    p.dst = value_desc(s, s->outputs, s->oh, s->ow, type_of(l->y_type));
    p.weight = file_desc(s, s->outputs, x);
    p.weight.format_kind = dnnl_format_kind_any;
    p.has_bias = step->bias != NULL;
    p.has_residual = step->residual != PH_NONE;
    p.scaled = l->kind == PH_PRECISION_I8;
    if (s->product)
        dnnl_memory_desc_init_by_tag(&p.bias, 2, (dnnl_dims_t){ 1, s->outputs }, dnnl_f32,
                                     dnnl_ab);
    else
        dnnl_memory_desc_init_by_tag(&p.bias, 1, (dnnl_dims_t){ s->outputs }, dnnl_f32, dnnl_a);
    dnnl_dims_t one_each = { 1, s->outputs, 1, 1 };
    dnnl_memory_desc_init_by_tag(&p.scale, s->product ? 2 : 4, one_each, dnnl_f32,
                                 s->product ? dnnl_ab : dnnl_acdb);
    if (p.has_residual)
        p.residual =
            value_desc(s, s->outputs, s->oh, s->ow, type_of(place[step->residual].dtype));
    return p;
}

static dnnl_status_t create_attr(const struct spec *p, bool add, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t ok = dnnl_primitive_attr_create(attr);
    if (ok == dnnl_success)
        ok = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (ok == dnnl_success) ok = dnnl_post_ops_create(&ops);
    // Convolutions of 2.6 have no output scales of the run.
    if (ok == dnnl_success && p->scaled)
        ok = dnnl_post_ops_append_binary(ops, dnnl_binary_mul, &p->scale);
    if (ok == dnnl_success && p->has_residual)
        ok = add ? dnnl_post_ops_append_binary(ops, dnnl_binary_add, &p->residual)
                 : dnnl_post_ops_append_sum(ops, 1);
    if (ok == dnnl_success) ok = append_act(ops, p->step->act);
    if (ok == dnnl_success) ok = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return ok;
}

static dnnl_status_t create_desc(const struct spec *p, dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *out)
{
    union {
        dnnl_matmul_desc_t product;
        dnnl_convolution_desc_t conv;
    } op;
    const struct ph_conv *c = &p->step->conv;
    const dnnl_memory_desc_t *bias = p->has_bias ? &p->bias : NULL;
    dnnl_status_t ok;
    if (p->shape->product) {
        ok = dnnl_matmul_desc_init(&op.product, &p->src, &p->weight, bias, &p->dst);
    } else {
        int64_t stride = c->stride ? c->stride : 1;
        ok = dnnl_convolution_forward_desc_init(
            &op.conv, dnnl_forward_inference, dnnl_convolution_direct, &p->src, &p->weight,
            bias, &p->dst, (dnnl_dims_t){ stride, stride }, (dnnl_dims_t){ c->top, c->left },
            (dnnl_dims_t){ c->bottom, c->right });
    }
    if (ok == dnnl_success) ok = dnnl_primitive_desc_create(out, &op, attr, engine_get(), NULL);
    return ok;
}

// One of the two primitives; *scratch grows to what it needs.
static dnnl_status_t create_primitive(struct spec *p, bool add, dnnl_primitive_t *out,
                                      size_t *scratch)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t ok = create_attr(p, add, &attr);
    if (ok == dnnl_success) ok = create_desc(p, attr, &desc);
    if (ok == dnnl_success) ok = dnnl_primitive_create(out, desc);
    if (ok == dnnl_success) {
        size_t need = dnnl_memory_desc_get_size(
            dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));
        if (need > *scratch) *scratch = need;
        p->weight = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    }
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attr);
    return ok;
}

static dnnl_status_t create_memories(const struct spec *p, struct layer *l, size_t scratch)
{
    dnnl_memory_desc_t pad;
    dnnl_dims_t size = { (int64_t) scratch };
    dnnl_memory_desc_init_by_tag(&pad, 1, size, dnnl_u8, dnnl_a);
    const struct {
        const dnnl_memory_desc_t *desc;
        dnnl_memory_t *memory;
        bool wanted;
    } of[] = {
        { &p->src, &l->src, true },
        { &l->weight_desc, &l->weight, true },
        { &p->bias, &l->bias, p->has_bias },
        { &p->dst, &l->dst, true },
        { &p->residual, &l->residual, p->has_residual },
        { &p->scale, &l->scale, p->scaled },
        { &pad, &l->scratch, scratch > 0 },
    };
    dnnl_status_t ok = dnnl_success;
    for (size_t i = 0; i < sizeof of / sizeof *of && ok == dnnl_success; i++)
        if (of[i].wanted)
            ok = dnnl_memory_create(of[i].memory, of[i].desc, engine_get(), DNNL_MEMORY_NONE);
    return ok;
}

static dnnl_status_t create(struct spec *p, struct layer *l, size_t *scratch)
{
    dnnl_status_t ok = dnnl_stream_create(&l->stream, engine_get(), dnnl_stream_default_flags);
    if (ok == dnnl_success) ok = create_primitive(p, false, &l->sum, scratch);
    l->weight_desc = p->weight;
    // For convolutions adding another tensor costs more than copying it first; for products less.
    if (ok == dnnl_success && p->has_residual && p->shape->product)
        create_primitive(p, true, &l->add, scratch);
    if (ok == dnnl_success) ok = create_memories(p, l, *scratch);
    return ok;
}

// ------------------------------------------------------------------------------ prepare, finish
static void finish(struct ph_device *device, struct ph_step *step)
{
    struct layer *l = step->ready;
    if (!l) return;
    dnnl_memory_t memories[] = { l->src,      l->weight, l->bias,   l->dst,
                                 l->residual, l->scale,  l->scratch };
    for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
        dnnl_memory_destroy(memories[i]);
    dnnl_primitive_destroy(l->sum);
    dnnl_primitive_destroy(l->add);
    dnnl_stream_destroy(l->stream);
    ph_pack_put(device, l->weight_pack);
    ph_pack_put(device, l->bias_pack);
    free(l->scales);
    free(l);
    step->ready = NULL;
}

static size_t add_part(size_t *total, size_t size)
{
    size_t at = *total;
    *total += (size + 63) / 64 * 64;
    return at;
}

static void lay_out(struct ph_step *step, const struct ph_place *place, struct layer *l,
                    size_t scratch)
{
    const struct ph_place *x = &place[step->in[0]];
    size_t total = 0;
    add_part(&total, scratch);
    if (x->dtype != l->x_type)
        l->at_x = add_part(&total, (size_t) x->count * ph_dtype_size(l->x_type));
    if (place[step->out].dtype != l->y_type)
        l->at_y = add_part(&total, (size_t) place[step->out].count * sizeof(float));
    if (l->kind == PH_PRECISION_I8)
        l->at_peak = add_part(&total, PH_QUANT_PEAKS * sizeof(float));
    if (l->kind == PH_PRECISION_Q4)
        l->at_weight = add_part(&total, dnnl_memory_desc_get_size(&l->weight_desc));
    step->scratch = total;
}

static ph_err prepare(struct ph_device *device, struct ph_step *step,
                      const struct ph_place *place, enum ph_precision kind,
                      struct ph_fault *fault)
{
    struct shape s = shape_of(step, place);
    struct layer *l = calloc(1, sizeof *l);
    if (!l) return PH_ENOMEM;
    step->ready = l;
    ph_err ret = PH_OK;
    l->kind = kind;
    l->outputs = s.outputs;
    l->x_type = kind == PH_PRECISION_F32 ? PH_F32 : kind == PH_PRECISION_I8 ? PH_I8 : PH_BF16;
    // Only products of bf16 are stored as bf16 by all of its kernels.
    l->y_type = l->x_type == PH_BF16 ? place[step->out].dtype : PH_F32;
    struct spec spec = spec_of(step, place, &s, l);
    size_t scratch = 0;
    struct ph_panels panels;
    dnnl_status_t ok = create(&spec, l, &scratch);
    if (ok != dnnl_success) {
        ret = ok == dnnl_out_of_memory
                  ? PH_ENOMEM
                  : ph_fail(fault, PH_EDEVICE, step->name, "%s: oneDNN has no kernel (%d)",
                            step->name, (int) ok);
        goto fail;
    }
    // Layers with a layout of its own, such as those of few inputs, keep 16 bits.
    if (kind == PH_PRECISION_Q4 && !panels_of(&l->weight_desc, &panels))
        l->kind = PH_PRECISION_BF16;
    PH_TRY(pack_weights(device, step, &s, l, fault));
    step->loss = l->weight_pack->loss;
    if (step->bias) PH_TRY(ph_pack_f32(device, step, step->bias, &l->bias_pack, fault));
    if (kind == PH_PRECISION_I8) {
        const struct ph_pack *w = l->weight_pack;
        l->scales = malloc((size_t) s.outputs * 3 * sizeof(float));
        if (!l->scales) PH_TRY(PH_ENOMEM);
        memcpy(l->scales, (float *) ((char *) w->data + w->size) - s.outputs,
               (size_t) s.outputs * sizeof(float));
    }
    lay_out(step, place, l, scratch);
    return PH_OK;
fail:
    finish(device, step);
    return ret;
}

// ------------------------------------------------------------------------------ run
// The scales and the bias of this run. oneDNN multiplies after it added the bias.
static void scale_outputs(struct layer *l, float x_scale)
{
    const float *bias = l->bias_pack ? l->bias_pack->data : NULL;
    float *now = l->scales + l->outputs, *shift = now + l->outputs;
    for (int64_t i = 0; i < l->outputs; i++) {
        // An output without weights is its bias.
        float scale = l->scales[i] * x_scale;
        now[i] = scale > 0x1p-100f ? scale : 1;
        shift[i] = bias ? bias[i] / now[i] : 0;
    }
}

static const void *load_x(const struct ph_step *step, const struct ph_run *run, struct layer *l)
{
    const struct ph_place *x = &run->place[step->in[0]];
    char *own = (char *) run->scratch + l->at_x;
    if (x->dtype == l->x_type) return x->data;
    if (l->kind != PH_PRECISION_I8) {
        ph_cast(l->x_type, own, x->dtype, x->data, x->count);
        return own;
    }
    float *peaks = (float *) ((char *) run->scratch + l->at_peak);
    scale_outputs(l, ph_quant_bytes((int8_t *) own, x->dtype, x->data, x->count, peaks));
    return own;
}

static void *load_weight(const struct ph_run *run, const struct layer *l)
{
    struct ph_panels panels;
    if (l->kind != PH_PRECISION_Q4 || !panels_of(&l->weight_desc, &panels))
        return l->weight_pack->data;
    void *own = (char *) run->scratch + l->at_weight;
    ph_panels_widen(&panels, l->weight_pack->data, own);
    return own;
}

// Without `add`, what is added has to be in the result before.
static dnnl_primitive_t load_residual(const struct ph_step *step, const struct ph_run *run,
                                      const struct layer *l, void *y)
{
    if (step->residual == PH_NONE) return l->sum;
    const struct ph_place *r = &run->place[step->residual];
    if (r->data == y) return l->sum;
    if (l->add) return l->add;
    ph_cast(l->y_type, y, r->dtype, r->data, r->count);
    return l->sum;
}

#define POST_OP(i) (DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1)

static void run(const struct ph_step *step, const struct ph_run *run)
{
    struct layer *l = step->ready;
    const void *x = load_x(step, run, l);
    const struct ph_place *out = &run->place[step->out];
    void *y = out->dtype == l->y_type ? out->data : (char *) run->scratch + l->at_y;
    dnnl_primitive_t prim = load_residual(step, run, l, y);
    const float *bias = l->bias_pack ? l->bias_pack->data : NULL;
    if (l->kind == PH_PRECISION_I8) bias = l->scales + 2 * l->outputs;
    const struct {
        int arg;
        dnnl_memory_t memory;
        const void *data;
    } of[] = {
        { DNNL_ARG_SRC, l->src, x },
        { DNNL_ARG_WEIGHTS, l->weight, load_weight(run, l) },
        { DNNL_ARG_BIAS, l->bias, bias },
        { DNNL_ARG_DST, l->dst, y },
        { DNNL_ARG_SCRATCHPAD, l->scratch, run->scratch },
        { POST_OP(0), l->scale, l->scales + l->outputs },
        { POST_OP(l->scale ? 1 : 0), prim == l->add ? l->residual : NULL,
          step->residual == PH_NONE ? NULL : run->place[step->residual].data },
    };
    dnnl_exec_arg_t args[ARGS];
    int n = 0;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        if (!of[i].memory) continue;
        dnnl_memory_set_data_handle(of[i].memory, (void *) of[i].data);
        args[n++] = (dnnl_exec_arg_t){ of[i].arg, of[i].memory };
    }
    dnnl_primitive_execute(prim, l->stream, n, args);
    dnnl_stream_wait(l->stream);
    if (y != out->data) ph_cast(out->dtype, out->data, l->y_type, y, out->count);
}

// ------------------------------------------------------------------------------ the kernels
// Convolutions of 1x1 are shortcuts more often than not, whose error goes to the end undamped; those
// of few inputs win no time over Winograd in bf16. A claim this low wins against nothing and is not
// measured beside anything.
static double speed_i8(const struct ph_step *step, const struct shape *s)
{
    if (s->window < 32) return 0;
    if (step->op == PH_OP_CONV && (s->product || s->inputs < 128)) return 50;
    return s->product ? 830 : 890;
}

// Measured on two cores of an EPYC 9004; what counts is the order.
static double speed(const struct ph_step *step, const struct ph_place *place,
                    enum ph_precision kind)
{
    struct shape s = shape_of(step, place);
    if (!ph_cpu_flags() || !engine_get() || s.rows < 1) return 0;
    if (place[step->in[0]].dtype != PH_F32 && place[step->in[0]].dtype != PH_BF16) return 0;
    if (place[step->out].dtype != PH_F32 && place[step->out].dtype != PH_BF16) return 0;
    // Outputs fill vectors.
    double filled = (double) s.outputs / (double) ((s.outputs + 15) / 16 * 16);
    switch (kind) {
    case PH_PRECISION_BF16: return filled * (s.product ? 445 : 470);
    case PH_PRECISION_I8: return filled * speed_i8(step, &s);
    case PH_PRECISION_Q4: // above bf16, for it is what was asked for
        return s.inputs < 32 ? 0 : filled * 500;
    default: return filled * (s.product ? 222 : 231);
    }
}

static double fits_f32(const struct ph_step *step, const struct ph_place *place,
                       enum ph_precision want)
{
    return speed(step, place, PH_PRECISION_F32);
}

static bool narrow(enum ph_precision want)
{
    return want != PH_PRECISION_F32 && ph_cpu_flags() & PH_CPU_BF16;
}

static double fits_bf16(const struct ph_step *step, const struct ph_place *place,
                        enum ph_precision want)
{
    return narrow(want) ? speed(step, place, PH_PRECISION_BF16) : 0;
}

static double fits_i8(const struct ph_step *step, const struct ph_place *place,
                      enum ph_precision want)
{
    if (want != PH_PRECISION_I8 || !(ph_cpu_flags() & PH_CPU_VNNI)) return 0;
    return speed(step, place, PH_PRECISION_I8);
}

static double fits_q4(const struct ph_step *step, const struct ph_place *place,
                      enum ph_precision want)
{
    return want == PH_PRECISION_Q4 && narrow(want) ? speed(step, place, want) : 0;
}

#define KERNELS(text, kind, suffix)                                                            \
    static ph_err prepare_##suffix(struct ph_device *device, struct ph_step *step,             \
                                   const struct ph_place *place, enum ph_precision precision,  \
                                   struct ph_fault *fault)                                     \
    {                                                                                          \
        return prepare(device, step, place, kind, fault);                                      \
    }                                                                                          \
    static const struct ph_kernel conv_##suffix = { PH_OP_CONV,       text, fits_##suffix,     \
                                                    prepare_##suffix, run,  finish };          \
    static const struct ph_kernel linear_##suffix = { PH_OP_LINEAR,     text, fits_##suffix,   \
                                                      prepare_##suffix, run,  finish }

KERNELS("onednn f32", PH_PRECISION_F32, f32);
KERNELS("onednn bf16", PH_PRECISION_BF16, bf16);
KERNELS("onednn i8", PH_PRECISION_I8, i8);
KERNELS("onednn q4", PH_PRECISION_Q4, q4);

const struct ph_kernel *const ph_cpu_onednn[] = {
    &conv_f32,    &conv_bf16, &conv_i8,   &conv_q4, &linear_f32,
    &linear_bf16, &linear_i8, &linear_q4, NULL,
};

#else

const struct ph_kernel *const ph_cpu_onednn[] = { NULL };

const char *ph_cpu_onednn_name(void)
{
    return "no onednn (built without it, so convolutions are slow)";
}

#endif
