// SPDX-License-Identifier: MIT
// Elementwise operations at the speed of memory: which loop of chain.h runs over which parts.
#include "nn/cpu/chain.h"

#include <string.h>

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/plain.h"
#include "nn/cpu/pool.h"

#define LEAST 16384 // elements that are worth a thread

static const struct ph_chain_ops *ops(void)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (cpu & PH_CPU_AVX512) return &ph_chain_avx512;
    if (cpu & PH_CPU_AVX2) return &ph_chain_avx2;
#endif
    return NULL;
}

static bool known(enum ph_dtype t)
{
    return t == PH_F32 || t == PH_BF16;
}

static double fits(const struct ph_step *step, const struct ph_place *place,
                   enum ph_precision precision)
{
    bool ok = known(place[step->out].dtype) && ops();
    for (int i = 0; i < step->inputs; i++) ok = ok && known(place[step->in[i]].dtype);
    return ok ? 10 : 0;
}

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
    int64_t row; // elements of a row of the batch, or of a pixel
};

static const struct ph_place *input(const struct job *j, int i)
{
    return &j->run->place[j->step->in[i]];
}

static const struct ph_place *output(const struct job *j)
{
    return &j->run->place[j->step->out];
}

static float scalar(const struct ph_place *p, int64_t i)
{
    float v;
    ph_place_load(p, i, 1, &v);
    return v;
}

static void over_elements(const struct ph_step *step, const struct ph_run *run,
                          void (*part)(void *arg, long first, long last))
{
    const struct ph_place *x = &run->place[step->in[step->op == PH_OP_AXPBY]];
    struct job j = { step, run, x->count / x->dim[0] };
    ph_parallel_range(run->place[step->out].count, LEAST, part, &j);
}

#define KERNEL(op, ident, how)                                                                 \
    static const struct ph_kernel ident = { op, how, fits, NULL, ident##_run, NULL };

// ------------------------------------------------------------------------------ of one
static void activate_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    ops()->activate(x->dtype, ph_place_at(x, first), y->dtype, ph_place_at(y, first),
                    last - first, j->step->act);
}

static void activate_run(const struct ph_step *step, const struct ph_run *run)
{
    over_elements(step, run, activate_part);
}
KERNEL(PH_OP_ACTIVATE, activate, "vector")

static void affine_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    ops()->affine(x->dtype, ph_place_at(x, first), y->dtype, ph_place_at(y, first),
                  last - first, j->step->scale, j->step->offset, j->step->act);
}

static void affine_run(const struct ph_step *step, const struct ph_run *run)
{
    over_elements(step, run, affine_part);
}
KERNEL(PH_OP_AFFINE, affine, "vector")

static void clamp_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    ops()->clamp(x->dtype, ph_place_at(x, first), y->dtype, ph_place_at(y, first), last - first,
                 j->step->scale, j->step->offset);
}

static void clamp_run(const struct ph_step *step, const struct ph_run *run)
{
    over_elements(step, run, clamp_part);
}
KERNEL(PH_OP_CLAMP, clamp, "vector")

// ------------------------------------------------------------------------------ of two
// Calls fn for each part of [first, last) that lies in one row of the batch.
static void by_row(const struct job *j, int64_t first, int64_t last,
                   void (*fn)(const struct job *j, int64_t row, int64_t at, int64_t n))
{
    while (first < last) {
        int64_t row = first / j->row, end = (row + 1) * j->row;
        if (end > last) end = last;
        fn(j, row, first, end - first);
        first = end;
    }
}

// A number for each row, or one for all.
static void number_part(const struct job *j, int64_t row, int64_t at, int64_t n)
{
    const struct ph_place *a = input(j, 0), *b = input(j, 1), *y = output(j);
    float v = scalar(b, b->count == 1 ? 0 : row);
    bool add = j->step->op == PH_OP_ADD;
    ops()->affine(a->dtype, ph_place_at(a, at), y->dtype, ph_place_at(y, at), n, add ? 1 : v,
                  add ? v : 0, j->step->act);
}

// An element of b for each of a, b beginning anew with each row when it is a single one.
static void same_part(const struct job *j, int64_t row, int64_t at, int64_t n)
{
    const struct ph_place *a = input(j, 0), *b = input(j, 1), *y = output(j);
    int64_t from = b->count == a->count ? at : at - row * j->row;
    if (j->step->op == PH_OP_ADD)
        ops()->blend(a->dtype, ph_place_at(a, at), 1, b->dtype, ph_place_at(b, from), 1,
                     y->dtype, ph_place_at(y, at), n, j->step->act);
    else
        ops()->product(a->dtype, ph_place_at(a, at), b->dtype, ph_place_at(b, from), y->dtype,
                       ph_place_at(y, at), n, j->step->act);
}

static void numbers(void *arg, long first, long last)
{
    by_row(arg, first, last, number_part);
}

static void elements(void *arg, long first, long last)
{
    by_row(arg, first, last, same_part);
}

// Pixels first .. last: channels of all rows or of each.
static void channels(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *a = input(j, 0), *b = input(j, 1), *y = output(j);
    int64_t c = j->row, space = a->count / (a->dim[0] * c);
    for (int64_t p = first; p < last;) {
        int64_t n = p / space, end = (n + 1) * space < last ? (n + 1) * space : last;
        ops()->spread(j->step->op, a->dtype, ph_place_at(a, p * c), b->dtype,
                      ph_place_at(b, b->count == c ? 0 : n * c), y->dtype,
                      ph_place_at(y, p * c), end - p, c, j->step->act);
        p = end;
    }
}

static void binary_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *a = &run->place[step->in[0]], *b = &run->place[step->in[1]];
    enum ph_spread how = ph_spread(a->rank, a->dim, b->rank, b->dim);
    if (how == PH_SPREAD_CHANNEL || how == PH_SPREAD_ROW_CHANNEL) {
        struct job j = { step, run, ph_place_channels(a) };
        ph_parallel_range(a->count / j.row, 1 + LEAST / j.row, channels, &j);
    } else {
        bool number = how == PH_SPREAD_ONE || how == PH_SPREAD_ROW;
        over_elements(step, run, number ? numbers : elements);
    }
}

static const struct ph_kernel add = { PH_OP_ADD, "vector", fits, NULL, binary_run, NULL };
static const struct ph_kernel mul = { PH_OP_MUL, "vector", fits, NULL, binary_run, NULL };

static void axpby_row(const struct job *j, int64_t row, int64_t at, int64_t n)
{
    const struct ph_place *x = input(j, 1), *z = input(j, 3), *y = output(j);
    ops()->blend(x->dtype, ph_place_at(x, at), scalar(input(j, 0), row), z->dtype,
                 ph_place_at(z, at), scalar(input(j, 2), row), y->dtype, ph_place_at(y, at), n,
                 j->step->act);
}

static void axpby_part(void *arg, long first, long last)
{
    by_row(arg, first, last, axpby_row);
}

static void axpby_run(const struct ph_step *step, const struct ph_run *run)
{
    over_elements(step, run, axpby_part);
}
KERNEL(PH_OP_AXPBY, axpby, "vector")

static void geglu_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    ops()->geglu(x->dtype, ph_place_at(x, first * 2 * j->row), y->dtype,
                 ph_place_at(y, first * j->row), last - first, j->row);
}

static void geglu_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[step->out];
    struct job j = { step, run, y->dim[y->rank - 1] };
    ph_parallel_range(y->count / j.row, 1 + LEAST / j.row, geglu_part, &j);
}
KERNEL(PH_OP_GEGLU, geglu, "vector")

// ------------------------------------------------------------------------------ pictures
static double pixels_fit(const struct ph_step *step, const struct ph_place *place,
                         enum ph_precision precision)
{
    bool from = step->op == PH_OP_FROM_PIXELS;
    return known(place[from ? step->out : step->in[0]].dtype) && ops() ? 10 : 0;
}

// What each of the 256 values becomes.
static void from_pixels_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *y = output(j);
    const uint8_t *rgba = input(j, 0)->data;
    float table[256];
    uint16_t table16[256];
    for (int v = 0; v < 256; v++)
        table[v] = j->step->scale * ((float) v / 255) + j->step->offset;
    ph_convert(PH_BF16, table16, PH_F32, table, 256);
    if (y->dtype == PH_F32) {
        float *to = y->data;
        for (int64_t i = first; i < last; i++)
            for (int c = 0; c < 3; c++) to[i * 3 + c] = table[rgba[i * 4 + c]];
    } else {
        uint16_t *to = y->data;
        for (int64_t i = first; i < last; i++)
            for (int c = 0; c < 3; c++) to[i * 3 + c] = table16[rgba[i * 4 + c]];
    }
}

static void from_pixels_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    ph_parallel_range(run->place[step->in[0]].count / 4, LEAST / 4, from_pixels_part, &j);
}

static void to_pixels_part(void *arg, long first, long last)
{
    enum { MANY = 256 };
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0);
    uint8_t *rgba = output(j)->data, rgb[3 * MANY];
    for (int64_t i = first; i < last; i += MANY) {
        int n = last - i < MANY ? (int) (last - i) : MANY;
        ops()->bytes(x->dtype, ph_place_at(x, i * 3), rgb, 3 * n, j->step->scale,
                     j->step->offset);
        for (int k = 0; k < n; k++) {
            for (int c = 0; c < 3; c++) rgba[(i + k) * 4 + c] = rgb[k * 3 + c];
            rgba[(i + k) * 4 + 3] = 255;
        }
    }
}

static void to_pixels_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    ph_parallel_range(run->place[step->in[0]].count / 3, LEAST / 4, to_pixels_part, &j);
}

static const struct ph_kernel from_pixels = {
    PH_OP_FROM_PIXELS, "table", pixels_fit, NULL, from_pixels_run, NULL,
};
static const struct ph_kernel to_pixels = {
    PH_OP_TO_PIXELS, "vector", pixels_fit, NULL, to_pixels_run, NULL,
};

// ------------------------------------------------------------------------------ moves
static double move_fits(const struct ph_step *step, const struct ph_place *place,
                        enum ph_precision precision)
{
    return 10; // conversions come vectorised as it is
}

static void move(const struct ph_place *y, int64_t to, const struct ph_place *x, int64_t from,
                 int64_t n)
{
    if (y->dtype == x->dtype)
        memcpy(ph_place_at(y, to), ph_place_at(x, from), (size_t) n * ph_dtype_size(x->dtype));
    else
        ph_convert(y->dtype, ph_place_at(y, to), x->dtype, ph_place_at(x, from), n);
}

#define MOVE(op, ident)                                                                        \
    static const struct ph_kernel ident = { op, "move", move_fits, NULL, ident##_run, NULL };

static void copy_part(void *arg, long first, long last)
{
    move(output(arg), first, input(arg, 0), first, last - first);
}

static void copy_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    ph_parallel_range(run->place[step->out].count, LEAST, copy_part, &j);
}
MOVE(PH_OP_COPY, copy)

static void repeat_part(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0);
    while (first < last) {
        int64_t at = first % x->count, n = x->count - at;
        if (n > last - first) n = last - first;
        move(output(j), first, x, at, n);
        first += n;
    }
}

static void repeat_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    ph_parallel_range(run->place[step->out].count, LEAST, repeat_part, &j);
}
MOVE(PH_OP_REPEAT, repeat)

// An axis in memory: `outer` rows of dim[axis] pieces of `inner` elements.
static void split(const struct ph_place *p, int axis, int64_t *outer, int64_t *inner)
{
    int64_t dim[PH_RANK_MAX];
    ph_place_layout(p, dim, &axis);
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++) *outer *= dim[i];
    for (int i = axis + 1; i < p->rank; i++) *inner *= dim[i];
}

// Elements [at, at + n) of a row of both, to where they go.
static void join_part(const struct job *j, int64_t row, int64_t at, int64_t n)
{
    const struct ph_place *a = input(j, 0), *b = input(j, 1), *y = output(j);
    int64_t outer = y->count / j->row, na = a->count / outer, nb = b->count / outer;
    int64_t from = at - row * j->row, of_a = from < na ? na - from : 0;
    if (of_a > n) of_a = n;
    if (of_a) move(y, at, a, row * na + from, of_a);
    if (of_a < n) move(y, at + of_a, b, row * nb + from + of_a - na, n - of_a);
}

static void concat_part(void *arg, long first, long last)
{
    by_row(arg, first, last, join_part);
}

static void concat_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[step->out];
    int64_t outer, inner;
    split(y, step->axis, &outer, &inner);
    struct job j = { step, run, y->count / outer };
    ph_parallel_range(y->count, LEAST, concat_part, &j);
}
MOVE(PH_OP_CONCAT, concat)

static void cut_part(const struct job *j, int64_t row, int64_t at, int64_t n)
{
    const struct ph_place *x = input(j, 0), *y = output(j);
    int64_t outer, inner;
    split(x, j->step->axis, &outer, &inner);
    int64_t from = row * (x->count / outer) + j->step->first * inner;
    move(y, at, x, from + at - row * j->row, n);
}

static void slice_part(void *arg, long first, long last)
{
    by_row(arg, first, last, cut_part);
}

static void slice_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[step->out];
    int64_t outer, inner;
    split(y, step->axis, &outer, &inner);
    struct job j = { step, run, y->count / outer };
    ph_parallel_range(y->count, LEAST, slice_part, &j);
}
MOVE(PH_OP_SLICE, slice)

// The rows of y that come from one row of x are made once and copied.
static void upsample_rows(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    int64_t c = y->dim[1], h = y->dim[2], w = y->dim[3], before = -1;
    for (int64_t r = first; r < last; r++) {
        int64_t from = r / h * x->dim[2] + r % h * x->dim[2] / h;
        if (from == before)
            move(y, r * w * c, y, (r - 1) * w * c, w * c);
        else
            for (int64_t i = 0; i < w; i++)
                move(y, (r * w + i) * c, x, (from * x->dim[3] + i * x->dim[3] / w) * c, c);
        before = from;
    }
}

static void upsample_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    const struct ph_place *y = &run->place[step->out];
    ph_parallel_range(y->dim[0] * y->dim[2], 1 + LEAST / (y->dim[3] * y->dim[1]), upsample_rows,
                      &j);
}
MOVE(PH_OP_UPSAMPLE, upsample)

// ------------------------------------------------------------------------------ resampling
struct tap {
    int64_t at, next;
    float share; // of next
};

static struct tap tap_of(int64_t i, int64_t in, int64_t out)
{
    double src = out > 1 ? (double) i * (double) (in - 1) / (double) (out - 1) : 0;
    struct tap t = { .at = (int64_t) src };
    if (t.at > in - 1) t.at = in - 1;
    t.next = t.at + 1 < in ? t.at + 1 : t.at;
    t.share = (float) (src - (double) t.at);
    return t;
}

static void stretch_rows(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    int64_t c = y->dim[1], h = y->dim[2], w = y->dim[3];
    for (int64_t r = first; r < last; r++) {
        struct tap v = tap_of(r % h, x->dim[2], h);
        int64_t top = (r / h * x->dim[2] + v.at) * x->dim[3];
        int64_t low = (r / h * x->dim[2] + v.next) * x->dim[3];
        for (int64_t i = 0; i < w; i++) {
            struct tap u = tap_of(i, x->dim[3], w);
            const void *from[4] = { ph_place_at(x, (top + u.at) * c),
                                    ph_place_at(x, (top + u.next) * c),
                                    ph_place_at(x, (low + u.at) * c),
                                    ph_place_at(x, (low + u.next) * c) };
            float p = 1 - v.share, q = v.share;
            float share[4] = { p * (1 - u.share), p * u.share, q * (1 - u.share), q * u.share };
            ops()->mix(x->dtype, from, share, y->dtype, ph_place_at(y, (r * w + i) * c), c);
        }
    }
}

static void stretch_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    const struct ph_place *y = &run->place[step->out];
    ph_parallel_range(y->dim[0] * y->dim[2], 1 + LEAST / (y->dim[3] * y->dim[1]), stretch_rows,
                      &j);
}
KERNEL(PH_OP_STRETCH, stretch, "vector")

// (pixel, ky) becomes (row y k + ky, columns x k ..).
static void spread_rows(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    int64_t k = j->step->groups, w = y->dim[3] / k, n = k * y->dim[1];
    for (int64_t r = first; r < last; r++)
        for (int64_t i = 0; i < w; i++)
            move(y, (r * w + i) * n, x, ((r / k * w + i) * k + r % k) * n, n);
}

static void spread_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    const struct ph_place *y = &run->place[step->out];
    ph_parallel_range(y->dim[0] * y->dim[2], 1 + LEAST / (y->dim[3] * y->dim[1]), spread_rows,
                      &j);
}
MOVE(PH_OP_SPREAD, spread)

static void rotary_tokens(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *x = input(j, 0), *y = output(j);
    int64_t c = x->dim[2], d = c / j->step->groups;
    for (int64_t t = first; t < last; t++)
        ops()->rotary(x->dtype, ph_place_at(x, t * c),
                      (const float *) input(j, 1)->data + t % x->dim[1] * d, y->dtype,
                      ph_place_at(y, t * c), j->step->groups, d);
}

static void rotary_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run, 0 };
    const struct ph_place *x = &run->place[step->in[0]];
    ph_parallel_range(x->dim[0] * x->dim[1], 1 + LEAST / x->dim[2], rotary_tokens, &j);
}

static double rotary_fits(const struct ph_step *step, const struct ph_place *place,
                          enum ph_precision precision)
{
    return place[step->in[1]].dtype == PH_F32 ? fits(step, place, precision) : 0;
}

static const struct ph_kernel rotary = {
    PH_OP_ROTARY, "vector", rotary_fits, NULL, rotary_run, NULL,
};

const struct ph_kernel *const ph_cpu_chain[] = {
    &activate, &affine, &clamp,  &add,   &mul,      &axpby,   &geglu,  &from_pixels, &to_pixels,
    &copy,     &repeat, &concat, &slice, &upsample, &stretch, &spread, &rotary,      NULL,
};
