// SPDX-License-Identifier: MIT
// What vision transformers for dense outputs need besides the usual, plain: pictures in other sizes,
// pixels from products, tables, and rotary positions.
#include <math.h>

#include "nn/cpu/plain.h"
#include "nn/cpu/pool.h"

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
};

#define KERNEL(op, ident)                                                                      \
    const struct ph_kernel ph_plain_##ident = {                                                \
        op, "plain", ph_plain_fits, NULL, ident##_run, NULL,                                   \
    };

static void move(const struct ph_place *y, int64_t to, const struct ph_place *x, int64_t from,
                 int64_t n)
{
    ph_convert(y->dtype, ph_place_at(y, to), x->dtype, ph_place_at(x, from), n);
}

// ------------------------------------------------------------------------------ tables
static void constant_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *y = &run->place[step->out];
    if (y->rank != 4) {
        ph_place_store(y, 0, y->count, step->values);
        return;
    }
    int64_t c = y->dim[1], space = y->dim[2] * y->dim[3];
    for (int64_t i = 0; i < y->count; i++)
        ph_place_store(y, i, 1,
                       &step->values[(i / (space * c) * c + i % c) * space + i / c % space]);
}
KERNEL(PH_OP_CONSTANT, constant)

// ------------------------------------------------------------------------------ pixels
// In memory both are rows of k c numbers: (pixel, ky) becomes (row y k + ky, columns x k ..).
static void spread_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]], *y = &run->place[step->out];
    int64_t k = step->groups, h = y->dim[2] / k, w = y->dim[3] / k, n = k * y->dim[1];
    for (int64_t p = 0; p < y->dim[0] * h * w; p++)
        for (int64_t ky = 0; ky < k; ky++)
            move(y, ((p / w * k + ky) * w + p % w) * n, x, (p * k + ky) * n, n);
}
KERNEL(PH_OP_SPREAD, spread)

// ------------------------------------------------------------------------------ bilinear
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

static void stretch_pixel(const struct job *j, int64_t row, struct tap y, struct tap x,
                          int64_t to)
{
    const struct ph_place *in = &j->run->place[j->step->in[0]];
    int64_t c = in->dim[1], w = in->dim[3];
    float a[PH_PLAIN_CHUNK], b[PH_PLAIN_CHUNK], p[PH_PLAIN_CHUNK], q[PH_PLAIN_CHUNK];
    for (int64_t i = 0; i < c; i += PH_PLAIN_CHUNK) {
        int64_t m = c - i < PH_PLAIN_CHUNK ? c - i : PH_PLAIN_CHUNK;
        ph_place_load(in, ((row + y.at) * w + x.at) * c + i, m, a);
        ph_place_load(in, ((row + y.at) * w + x.next) * c + i, m, b);
        ph_place_load(in, ((row + y.next) * w + x.at) * c + i, m, p);
        ph_place_load(in, ((row + y.next) * w + x.next) * c + i, m, q);
        for (int64_t k = 0; k < m; k++) {
            float top = a[k] + x.share * (b[k] - a[k]), low = p[k] + x.share * (q[k] - p[k]);
            a[k] = top + y.share * (low - top);
        }
        ph_place_store(&j->run->place[j->step->out], to * c + i, m, a);
    }
}

static void stretch_rows(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *in = &j->run->place[j->step->in[0]];
    const struct ph_place *out = &j->run->place[j->step->out];
    int64_t h = out->dim[2], w = out->dim[3];
    for (int64_t r = first; r < last; r++) {
        struct tap y = tap_of(r % h, in->dim[2], h);
        for (int64_t i = 0; i < w; i++)
            stretch_pixel(j, r / h * in->dim[2], y, tap_of(i, in->dim[3], w), r * w + i);
    }
}

static void stretch_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    const struct ph_place *y = &run->place[step->out];
    ph_parallel_range(y->dim[0] * y->dim[2], 1, stretch_rows, &j);
}
KERNEL(PH_OP_STRETCH, stretch)

// ------------------------------------------------------------------------------ bicubic
// Keys' kernel with a = -0.75 at distances 1 + t, t, 1 - t, 2 - t.
static void cubic_weights(double t, double w[4])
{
    const double a = -0.75;
    double u = 1 - t, far = t + 1, last = u + 1;
    w[0] = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    w[3] = ((a * last - 5 * a) * last + 8 * a) * last - 4 * a;
}

// Of output i: the first of four source places (they may lie outside) and their weights.
static int64_t cubic_taps(int64_t i, double scale, double w[4])
{
    double src = ((double) i + 0.5) / scale - 0.5, whole = floor(src);
    cubic_weights(src - whole, w);
    return (int64_t) whole - 1;
}

static int64_t inside(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static void bicubic_pixel(const struct job *j, int64_t row, int64_t y, int64_t x, int64_t to)
{
    const struct ph_place *in = &j->run->place[j->step->in[0]];
    int64_t c = in->dim[1], h = in->dim[2], w = in->dim[3];
    double wy[4], wx[4], sum[PH_PLAIN_CHUNK];
    int64_t sy = cubic_taps(y, (double) j->step->scale, wy);
    int64_t sx = cubic_taps(x, (double) j->step->offset, wx);
    float part[PH_PLAIN_CHUNK];
    for (int64_t i = 0; i < c; i += PH_PLAIN_CHUNK) {
        int64_t m = c - i < PH_PLAIN_CHUNK ? c - i : PH_PLAIN_CHUNK;
        for (int64_t k = 0; k < m; k++) sum[k] = 0;
        for (int t = 0; t < 16; t++) {
            int64_t from = (row + inside(sy + t / 4, h)) * w + inside(sx + t % 4, w);
            ph_place_load(in, from * c + i, m, part);
            for (int64_t k = 0; k < m; k++) sum[k] += wy[t / 4] * wx[t % 4] * (double) part[k];
        }
        for (int64_t k = 0; k < m; k++) part[k] = (float) sum[k];
        ph_place_store(&j->run->place[j->step->out], to * c + i, m, part);
    }
}

static void bicubic_rows(void *arg, long first, long last)
{
    const struct job *j = arg;
    const struct ph_place *out = &j->run->place[j->step->out];
    int64_t h = out->dim[2], w = out->dim[3], in_h = j->run->place[j->step->in[0]].dim[2];
    for (int64_t r = first; r < last; r++)
        for (int64_t i = 0; i < w; i++) bicubic_pixel(j, r / h * in_h, r % h, i, r * w + i);
}

static void bicubic_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    const struct ph_place *y = &run->place[step->out];
    ph_parallel_range(y->dim[0] * y->dim[2], 1, bicubic_rows, &j);
}
KERNEL(PH_OP_BICUBIC, bicubic)

// ------------------------------------------------------------------------------ rotary
// A head's channels: (half, first or second of a pair, i). Its table: (cos or sin, half, i).
static void rotary_head(const struct ph_place *x, const struct ph_place *y, int64_t at,
                        const struct ph_place *table, int64_t row, int64_t d)
{
    int64_t q = d / 4;
    for (int64_t e = 0; e < d / 2; e++) {
        int64_t i = e / q * 2 * q + e % q;
        float a, b, cosine, sine;
        ph_place_load(table, row * d + e, 1, &cosine);
        ph_place_load(table, row * d + d / 2 + e, 1, &sine);
        ph_place_load(x, at + i, 1, &a);
        ph_place_load(x, at + i + q, 1, &b);
        float turned[2] = { a * cosine - b * sine, b * cosine + a * sine };
        ph_place_store(y, at + i, 1, &turned[0]);
        ph_place_store(y, at + i + q, 1, &turned[1]);
    }
}

static void rotary_run(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]];
    int64_t d = x->dim[2] / step->groups;
    for (int64_t at = 0; at < x->count; at += d)
        rotary_head(x, &run->place[step->out], at, &run->place[step->in[1]],
                    at / x->dim[2] % x->dim[1], d);
}
KERNEL(PH_OP_ROTARY, rotary)
