// SPDX-License-Identifier: MIT
#include "nn/cpu/plain.h"

#include <math.h>
#include <stdlib.h>

#include "nn/cpu/kernels.h"

const struct ph_kernel *const ph_cpu_plain[] = {
    &ph_plain_param,       &ph_plain_conv,       &ph_plain_linear,
    &ph_plain_group_norm,  &ph_plain_layer_norm, &ph_plain_attend,
    &ph_plain_activate,    &ph_plain_add,        &ph_plain_mul,
    &ph_plain_affine,      &ph_plain_axpby,      &ph_plain_clamp,
    &ph_plain_geglu,       &ph_plain_view,       &ph_plain_concat,
    &ph_plain_slice,       &ph_plain_upsample,   &ph_plain_repeat,
    &ph_plain_embed,       &ph_plain_pick,       &ph_plain_sinusoid,
    &ph_plain_from_pixels, &ph_plain_to_pixels,  &ph_plain_constant,
    &ph_plain_spread,      &ph_plain_stretch,    &ph_plain_bicubic,
    &ph_plain_rotary,      &ph_plain_copy,       NULL,
};

double ph_plain_fits(const struct ph_step *step, const struct ph_place *place,
                     enum ph_precision precision)
{
    return 1;
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

// Minus infinity gives NaN where the formula says so: better than a silent zero.
float ph_plain_act1(enum ph_act act, float x)
{
    switch (act) {
    case PH_ACT_NONE: break;
    case PH_ACT_RELU: return x < 0 ? 0 : x; // keeps NaN
    case PH_ACT_SILU: return x * sigmoid(x);
    case PH_ACT_GELU: return 0.5f * x * erfcf(x * -0.70710678f);
    case PH_ACT_GELU_TANH: {
        // x/2 (1 + tanh u) = x sigmoid(2 u), which cancels nowhere.
        float u = 0.79788456f * (x + 0.044715f * x * x * x);
        return x * sigmoid(2 * u);
    }
    case PH_ACT_QUICK_GELU: return x * sigmoid(1.702f * x);
    case PH_ACT_SIGMOID: return sigmoid(x);
    case PH_ACT_TANH: return tanhf(x);
    case PH_ACT_EXP: return expf(x);
    }
    return x;
}

void ph_plain_act(enum ph_act act, float *x, int64_t n)
{
    if (act == PH_ACT_NONE) return;
    for (int64_t i = 0; i < n; i++) x[i] = ph_plain_act1(act, x[i]);
}

struct ph_plain_ready *ph_plain_ready_new(struct ph_step *step, struct ph_fault *fault)
{
    struct ph_plain_ready *r = calloc(1, sizeof *r);
    if (!r) ph_fail(fault, PH_ENOMEM, step->name, "%s: out of memory", step->name);
    step->ready = r;
    return r;
}

void ph_plain_finish(struct ph_device *device, struct ph_step *step)
{
    struct ph_plain_ready *r = step->ready;
    if (!r) return;
    ph_pack_put(device, r->weight);
    ph_pack_put(device, r->bias);
    free(r);
    step->ready = NULL;
}

ph_err ph_plain_prepare_vectors(struct ph_device *device, struct ph_step *step,
                                const struct ph_place *place, enum ph_precision precision,
                                struct ph_fault *fault)
{
    struct ph_plain_ready *r = ph_plain_ready_new(step, fault);
    if (!r) return PH_ENOMEM;
    ph_err err = PH_OK;
    if (step->weight) err = ph_pack_f32(device, step, step->weight, &r->weight, fault);
    if (!err && step->bias) err = ph_pack_f32(device, step, step->bias, &r->bias, fault);
    if (err) ph_plain_finish(device, step);
    return err;
}
