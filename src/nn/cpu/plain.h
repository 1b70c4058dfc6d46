// SPDX-License-Identifier: MIT
// What the plain kernels share: elements of any type as float and back, and the activations.
#ifndef PH_NN_CPU_PLAIN_H
#define PH_NN_CPU_PLAIN_H

#include "nn/backend.h"
#include "nn/cpu/slots.h"

#define PH_PLAIN_CHUNK 512 // floats that a kernel holds on its stack at once

static inline void *ph_place_at(const struct ph_place *p, int64_t i)
{
    return (char *) p->data + i * (int64_t) ph_dtype_size(p->dtype);
}

// Elements [first, first + n) as floats, and back.
static inline void ph_place_load(const struct ph_place *p, int64_t first, int64_t n, float *out)
{
    ph_convert(PH_F32, out, p->dtype, ph_place_at(p, first), n);
}

static inline void ph_place_store(const struct ph_place *p, int64_t first, int64_t n,
                                  const float *x)
{
    ph_convert(p->dtype, ph_place_at(p, first), PH_F32, x, n);
}

// Channels: the fastest dimension in memory (of pixels, [n, h, w, 4], the last).
static inline int64_t ph_place_channels(const struct ph_place *p)
{
    return p->rank == 4 && p->dtype != PH_U8 ? p->dim[1] : p->rank ? p->dim[p->rank - 1] : 1;
}

// Dims as they lie in memory, slowest first; axis (may be NULL) becomes that of memory.
static inline void ph_place_layout(const struct ph_place *p, int64_t dim[PH_RANK_MAX],
                                   int *axis)
{
    static const int from[4] = { 0, 2, 3, 1 }, to[4] = { 0, 3, 1, 2 };
    bool permuted = p->rank == 4 && p->dtype != PH_U8;
    for (int i = 0; i < p->rank; i++) dim[i] = p->dim[permuted ? from[i] : i];
    if (axis && permuted) *axis = to[*axis];
}

void ph_plain_act(enum ph_act act, float *x, int64_t n); // in place
float ph_plain_act1(enum ph_act act, float x);

// Weight and bias of a step as floats, in step->ready; see plain_matrix.c for the panels.
struct ph_plain_ready {
    const struct ph_pack *weight, *bias; // NULL when there is none
    size_t each;                         // scratch of a slot
};
struct ph_plain_ready *ph_plain_ready_new(struct ph_step *step, struct ph_fault *fault);
void ph_plain_finish(struct ph_device *device, struct ph_step *step);
// Weight and bias in the order of the file: norms, parameters.
ph_err ph_plain_prepare_vectors(struct ph_device *device, struct ph_step *step,
                                const struct ph_place *place, enum ph_precision precision,
                                struct ph_fault *fault);
static inline const float *ph_plain_weight(const struct ph_step *step)
{
    const struct ph_plain_ready *r = step->ready;
    return r && r->weight ? r->weight->data : NULL;
}

static inline const float *ph_plain_bias(const struct ph_step *step)
{
    const struct ph_plain_ready *r = step->ready;
    return r && r->bias ? r->bias->data : NULL;
}

// Plain does everything, slowly: last of all in any ranking.
double ph_plain_fits(const struct ph_step *step, const struct ph_place *place,
                     enum ph_precision precision);

extern const struct ph_kernel ph_plain_conv, ph_plain_linear, ph_plain_attend;
extern const struct ph_kernel ph_plain_group_norm, ph_plain_layer_norm;
extern const struct ph_kernel ph_plain_activate, ph_plain_add, ph_plain_mul, ph_plain_affine,
    ph_plain_axpby, ph_plain_clamp, ph_plain_geglu, ph_plain_sinusoid;
extern const struct ph_kernel ph_plain_param, ph_plain_view, ph_plain_copy, ph_plain_concat,
    ph_plain_slice, ph_plain_upsample, ph_plain_repeat, ph_plain_embed, ph_plain_pick,
    ph_plain_from_pixels, ph_plain_to_pixels, ph_plain_constant, ph_plain_spread,
    ph_plain_stretch, ph_plain_bicubic, ph_plain_rotary;

#endif
