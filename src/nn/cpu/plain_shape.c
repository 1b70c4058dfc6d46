// SPDX-License-Identifier: MIT
// What moves elements without computing, and pictures: plain. Any type to any type.
#include <math.h>

#include "nn/cpu/plain.h"
#include "nn/cpu/pool.h"
#include "nn/weights_priv.h"

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
};

static const struct ph_place *input(const struct job *j, int i)
{
    return &j->run->place[j->step->in[i]];
}

static const struct ph_place *output(const struct job *j)
{
    return &j->run->place[j->step->out];
}

static void move(const struct ph_place *y, int64_t to, const struct ph_place *x, int64_t from,
                 int64_t n)
{
    ph_convert(y->dtype, ph_place_at(y, to), x->dtype, ph_place_at(x, from), n);
}

#define KERNEL(op, ident)                                                                      \
    const struct ph_kernel ph_plain_##ident = {                                                \
        op, "plain", ph_plain_fits, NULL, ident##_run, NULL,                                   \
    };

// ------------------------------------------------------------------------------ copies
static void copy_part(void *arg, long first, long last)
{
    move(output(arg), first, input(arg, 0), first, last - first);
}

static void copy_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    ph_parallel_range(run->place[step->out].count, 65536, copy_part, &j);
}
KERNEL(PH_OP_COPY, copy)

static void view_run(const struct ph_step *step, const struct ph_run *run)
{
    if (run->place[step->out].data != run->place[step->in[0]].data) copy_run(step, run);
}
KERNEL(PH_OP_VIEW, view)

static void repeat_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]], *y = &run->place[step->out];
    for (int64_t n = 0; n < y->dim[0]; n++) move(y, n * x->count, x, 0, x->count);
}
KERNEL(PH_OP_REPEAT, repeat)

// ------------------------------------------------------------------------------ concat, slice
// An axis in memory: `outer` rows of dim[axis] pieces of `inner` elements.
static void split(const struct ph_place *p, int axis, int64_t *outer, int64_t *inner)
{
    int64_t dim[PH_RANK_MAX];
    ph_place_layout(p, dim, &axis);
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++) *outer *= dim[i];
    for (int i = axis + 1; i < p->rank; i++) *inner *= dim[i];
}

static void concat_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *a = input(j, 0), *b = input(j, 1), *y = output(j);
    int64_t outer, inner, axis = j->step->axis;
    split(y, j->step->axis, &outer, &inner);
    int64_t na = a->dim[axis] * inner, nb = b->dim[axis] * inner;
    for (int64_t i = first; i < last; i++) {
        move(y, i * (na + nb), a, i * na, na);
        move(y, i * (na + nb) + na, b, i * nb, nb);
    }
}

static void concat_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    int64_t outer, inner;
    split(&run->place[step->out], step->axis, &outer, &inner);
    ph_parallel_range(outer, 16, concat_part, &j);
}
KERNEL(PH_OP_CONCAT, concat)

static void slice_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]], *y = &run->place[step->out];
    int64_t outer, inner;
    split(x, step->axis, &outer, &inner);
    int64_t whole = x->dim[step->axis] * inner, part = y->dim[step->axis] * inner;
    for (int64_t i = 0; i < outer; i++)
        move(y, i * part, x, i * whole + step->first * inner, part);
}
KERNEL(PH_OP_SLICE, slice)

// ------------------------------------------------------------------------------ upsample
static void upsample_rows(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    int64_t c = y->dim[1], h = y->dim[2], w = y->dim[3];
    for (int64_t r = first; r < last; r++) {
        int64_t from = r / h * x->dim[2] + r % h * x->dim[2] / h;
        for (int64_t i = 0; i < w; i++)
            move(y, (r * w + i) * c, x, (from * x->dim[3] + i * x->dim[3] / w) * c, c);
    }
}

static void upsample_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    const struct ph_place *y = &run->place[step->out];
    ph_parallel_range(y->dim[0] * y->dim[2], 1, upsample_rows, &j);
}
KERNEL(PH_OP_UPSAMPLE, upsample)

// ------------------------------------------------------------------------------ tables
// Rows are read from the file's mapping as they are asked for: a vocabulary need not be packed.
static void embed_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *ids = &run->place[step->in[0]], *y = &run->place[step->out];
    int64_t entries = step->weight->disk.dim[0], c = step->weight->disk.dim[1];
    float part[PH_PLAIN_CHUNK];
    for (int64_t i = 0; i < ids->count; i++) {
        int32_t id = ((const int32_t *) ids->data)[i];
        if (id < 0 || id >= entries) id = 0;
        for (int64_t k = 0; k < c; k += PH_PLAIN_CHUNK) {
            int64_t m = c - k < PH_PLAIN_CHUNK ? c - k : PH_PLAIN_CHUNK;
            ph_weights_read(step->set, step->weight, id * c + k, m, part);
            ph_place_store(y, i * c + k, m, part);
        }
    }
}

static ph_err embed_prepare(struct ph_device *device, struct ph_step *step,
                            const struct ph_place *place, enum ph_precision precision,
                            struct ph_fault *fault)
{
    ph_err ret = ph_weight_check_finite(step->weight, fault);
    ph_weight_forget(step->weight);
    return ret;
}

const struct ph_kernel ph_plain_embed = {
    PH_OP_EMBED, "plain", ph_plain_fits, embed_prepare, embed_run, NULL,
};

static void pick_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]], *y = &run->place[step->out];
    const int32_t *index = run->place[step->in[1]].data;
    int64_t t = x->dim[1], c = x->dim[2];
    for (int64_t n = 0; n < x->dim[0]; n++) {
        int64_t at = index[n] < 0 ? 0 : index[n] >= t ? t - 1 : index[n];
        move(y, n * c, x, (n * t + at) * c, c);
    }
}
KERNEL(PH_OP_PICK, pick)

static void param_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[step->out];
    const float *w = ph_plain_weight(step);
    if (y->rank != 4) {
        ph_place_store(y, 0, y->count, w);
        return;
    }
    int64_t c = y->dim[1], space = y->dim[2] * y->dim[3];
    for (int64_t n = 0; n < y->dim[0]; n++)
        for (int64_t s = 0; s < space; s++)
            for (int64_t i = 0; i < c; i++)
                ph_place_store(y, (n * space + s) * c + i, 1, &w[(n * c + i) * space + s]);
}

const struct ph_kernel ph_plain_param = {
    PH_OP_PARAM, "plain", ph_plain_fits, ph_plain_prepare_vectors, param_run, ph_plain_finish,
};

// ------------------------------------------------------------------------------ pictures
static void from_pixels_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const uint8_t *rgba = input(j, 0)->data;
    float scale = j->step->scale, offset = j->step->offset;
    for (int64_t i = first; i < last; i++) {
        float v[3];
        for (int c = 0; c < 3; c++) v[c] = scale * ((float) rgba[i * 4 + c] / 255) + offset;
        ph_place_store(output(j), i * 3, 3, v);
    }
}

static void from_pixels_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    ph_parallel_range(run->place[step->in[0]].count / 4, 4096, from_pixels_part, &j);
}
KERNEL(PH_OP_FROM_PIXELS, from_pixels)

static uint8_t pixel(float v)
{
    return v >= 1 ? 255 : v > 0 ? (uint8_t) rintf(v * 255) : 0; // NaN is black
}

static void to_pixels_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    uint8_t *rgba = output(j)->data;
    for (int64_t i = first; i < last; i++) {
        float v[3];
        ph_place_load(input(j, 0), i * 3, 3, v);
        for (int c = 0; c < 3; c++)
            rgba[i * 4 + c] = pixel(j->step->scale * v[c] + j->step->offset);
        rgba[i * 4 + 3] = 255;
    }
}

static void to_pixels_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    ph_parallel_range(run->place[step->in[0]].count / 3, 4096, to_pixels_part, &j);
}
KERNEL(PH_OP_TO_PIXELS, to_pixels)
