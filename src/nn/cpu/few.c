// SPDX-License-Identifier: MIT
#include "nn/cpu/few.h"

#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/slots.h"

#if defined(__x86_64__)

struct layer {
    struct ph_few f;
    ph_few_row *row;
    const struct ph_pack *weight, *bias;
    float bias_at[PH_FEW_MOST];
    float *zero;
};

static ph_err make_pack(void *arg, const struct ph_step *step, void *data, size_t size,
                        struct ph_fault *fault)
{
    const struct ph_few *f = arg;
    float *w = malloc(size), *out = data;
    if (!w) return PH_ENOMEM;
    ph_err ret = ph_step_weight(step, 0, (int64_t) (size / sizeof *w), w);
    int window = f->k * f->k;
    for (int ky = 0; ret >= 0 && ky < f->k; ky++)
        for (int64_t c = 0; c < f->c; c += PH_FEW_LANES)
            for (int kx = 0; kx < f->k; kx++)
                for (int o = 0; o < f->outputs; o++)
                    for (int i = 0; i < PH_FEW_LANES; i++)
                        *out++ = w[(o * f->c + c + i) * window + ky * f->k + kx];
    free(w);
    if (ret >= 0) return PH_OK;
    return ph_fail(fault, ret, step->weight->name, "%s: cannot read %s", step->weight->file,
                   step->weight->name);
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
                      const struct ph_place *place, enum ph_precision precision,
                      struct ph_fault *fault)
{
    const struct ph_place *x = &place[step->in[0]], *y = &place[step->out];
    const struct ph_tensor *w = &step->weight->disk;
    struct layer *l = calloc(1, sizeof *l);
    ph_err ret = PH_OK;
    if (!l) return PH_ENOMEM;
    step->ready = l;
    l->f = (struct ph_few){ .c = x->dim[1],
                            .h = x->dim[2],
                            .w = x->dim[3],
                            .ow = y->dim[3],
                            .outputs = (int) y->dim[1],
                            .k = (int) w->dim[2],
                            .top = step->conv.top,
                            .left = step->conv.left,
                            .x_type = x->dtype };
    l->row = ph_cpu_flags() & PH_CPU_AVX512 ? ph_few_row_avx512 : ph_few_row_avx2;
    l->zero = calloc((size_t) l->f.c, sizeof(float));
    if (!l->zero) PH_TRY(PH_ENOMEM);
    PH_TRY(ph_pack_get(device, step, step->weight, "few outputs",
                       (size_t) ph_tensor_count(w) * sizeof(float), make_pack, &l->f,
                       &l->weight, fault));
    if (step->bias) {
        PH_TRY(ph_pack_f32(device, step, step->bias, &l->bias, fault));
        memcpy(l->bias_at, l->bias->data, (size_t) l->f.outputs * sizeof(float));
    }
    return PH_OK;
fail:
    finish(device, step);
    return ret;
}

struct job {
    const struct layer *l;
    const char *x;
    float *y;
    int64_t oh;
};

static void run_row(void *arg, int64_t unit, void *piece)
{
    const struct job *j = arg;
    struct ph_few f = j->l->f;
    int64_t picture = f.c * f.h * f.w * (f.x_type == PH_F32 ? 4 : 2);
    f.x = j->x + unit / j->oh * picture;
    f.w_at = j->l->weight->data;
    f.bias = j->l->bias_at;
    f.zero = j->l->zero;
    j->l->row(&f, unit % j->oh, j->y + unit * f.ow * f.outputs);
}

static void run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[step->out];
    struct job j = { step->ready, run->place[step->in[0]].data, y->data, y->dim[2] };
    ph_slots_run(run, y->dim[0] * y->dim[2], 0, run_row, &j);
}

static double fits(const struct ph_step *step, const struct ph_place *place,
                   enum ph_precision precision)
{
    const struct ph_tensor *w = &step->weight->disk;
    const struct ph_place *x = &place[step->in[0]], *y = &place[step->out];
    bool takes = w->dim[0] <= PH_FEW_MOST && w->dim[1] % PH_FEW_LANES == 0 && w->dim[2] == 3 &&
                 w->dim[3] == 3 && step->conv.stride <= 1 && step->act == PH_ACT_NONE &&
                 step->residual == PH_NONE && y->dtype == PH_F32 &&
                 (x->dtype == PH_F32 || x->dtype == PH_BF16);
    if (!takes || !(ph_cpu_flags() & PH_CPU_AVX2)) return 0;
    return 150;
}

static const struct ph_kernel few = { PH_OP_CONV, "few outputs", fits, prepare, run, finish };
const struct ph_kernel *const ph_cpu_few[] = { &few, NULL };

#else

const struct ph_kernel *const ph_cpu_few[] = { NULL };

#endif
