// SPDX-License-Identifier: MIT
// The two norms, plain: mean first, then the squares of what is left of it, both in double.
#include <math.h>

#include "nn/cpu/plain.h"
#include "nn/cpu/pool.h"

struct job {
    const struct ph_step *step;
    const struct ph_run *run;
    int64_t n, space, c; // of the group norm
};

// ------------------------------------------------------------------------------ group norm
static struct job group_job(const struct ph_step *step, const struct ph_run *run)
{
    const struct ph_place *x = &run->place[step->in[0]];
    struct job j = { step, run, x->dim[0], 0, ph_place_channels(x) };
    j.space = x->count / (j.n * j.c);
    return j;
}

// The `m` values of x from element `at` on, channels from `first`, with what `row` adds.
static void load_group(const struct job *j, int64_t n, int64_t at, int64_t first, int64_t m,
                       float *out)
{
    float add[PH_PLAIN_CHUNK];
    ph_place_load(&j->run->place[j->step->in[0]], at, m, out);
    if (j->step->row == PH_NONE) return;
    const struct ph_place *row = &j->run->place[j->step->row];
    ph_place_load(row, (row->dim[0] == 1 ? 0 : n) * j->c + first, m, add);
    for (int64_t i = 0; i < m; i++) out[i] += add[i];
}

// Sum of x - mean, or of its square.
static double group_sum(const struct job *j, int64_t n, int64_t first, int64_t width,
                        double mean, bool square)
{
    double sum = 0;
    float part[PH_PLAIN_CHUNK];
    for (int64_t s = 0; s < j->space; s++)
        for (int64_t i = 0; i < width; i += PH_PLAIN_CHUNK) {
            int64_t m = width - i < PH_PLAIN_CHUNK ? width - i : PH_PLAIN_CHUNK;
            load_group(j, n, ((n * j->space + s) * j->c) + first + i, first + i, m, part);
            for (int64_t k = 0; k < m; k++) {
                double v = part[k] - mean;
                sum += square ? v * v : v;
            }
        }
    return sum;
}

static void group_write(const struct job *j, int64_t n, int64_t first, int64_t width,
                        double mean, double inverse)
{
    const float *weight = ph_plain_weight(j->step), *bias = ph_plain_bias(j->step);
    float part[PH_PLAIN_CHUNK];
    for (int64_t s = 0; s < j->space; s++)
        for (int64_t i = 0; i < width; i += PH_PLAIN_CHUNK) {
            int64_t m = width - i < PH_PLAIN_CHUNK ? width - i : PH_PLAIN_CHUNK;
            int64_t c = first + i, at = (n * j->space + s) * j->c + c;
            load_group(j, n, at, c, m, part);
            for (int64_t k = 0; k < m; k++) {
                float v = (float) ((part[k] - mean) * inverse);
                part[k] = (weight ? v * weight[c + k] : v) + (bias ? bias[c + k] : 0);
            }
            ph_plain_act(j->step->act, part, m);
            ph_place_store(&j->run->place[j->step->out], at, m, part);
        }
}

static void group_one(void *arg, int unit)
{
    const struct job *j = arg;
    int64_t width = j->c / j->step->groups, n = unit / j->step->groups;
    int64_t first = unit % j->step->groups * width;
    double count = (double) (width * j->space);
    double mean = group_sum(j, n, first, width, 0, false) / count;
    double variance = group_sum(j, n, first, width, mean, true) / count;
    group_write(j, n, first, width, mean, 1 / sqrt(variance + j->step->eps));
}

static void group_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = group_job(step, run);
    ph_parallel((int) (j.n * step->groups), group_one, &j);
}

const struct ph_kernel ph_plain_group_norm = {
    PH_OP_GROUP_NORM,         "plain",   ph_plain_fits,
    ph_plain_prepare_vectors, group_run, ph_plain_finish,
};

// ------------------------------------------------------------------------------ layer norm
static double layer_sum(const struct ph_place *x, int64_t at, int64_t c, double mean,
                        bool square)
{
    double sum = 0;
    float part[PH_PLAIN_CHUNK];
    for (int64_t i = 0; i < c; i += PH_PLAIN_CHUNK) {
        int64_t m = c - i < PH_PLAIN_CHUNK ? c - i : PH_PLAIN_CHUNK;
        ph_place_load(x, at + i, m, part);
        for (int64_t k = 0; k < m; k++) {
            double v = part[k] - mean;
            sum += square ? v * v : v;
        }
    }
    return sum;
}

static void layer_row(const struct job *j, int64_t r)
{
    const struct ph_place *x = &j->run->place[j->step->in[0]];
    const float *weight = ph_plain_weight(j->step), *bias = ph_plain_bias(j->step);
    int64_t c = x->dim[x->rank - 1], at = r * c;
    double mean = layer_sum(x, at, c, 0, false) / (double) c;
    double variance = layer_sum(x, at, c, mean, true) / (double) c;
    double inverse = 1 / sqrt(variance + j->step->eps);
    float part[PH_PLAIN_CHUNK];
    for (int64_t i = 0; i < c; i += PH_PLAIN_CHUNK) {
        int64_t m = c - i < PH_PLAIN_CHUNK ? c - i : PH_PLAIN_CHUNK;
        ph_place_load(x, at + i, m, part);
        for (int64_t k = 0; k < m; k++) {
            float v = (float) ((part[k] - mean) * inverse);
            part[k] = (weight ? v * weight[i + k] : v) + (bias ? bias[i + k] : 0);
        }
        ph_plain_act(j->step->act, part, m);
        ph_place_store(&j->run->place[j->step->out], at + i, m, part);
    }
}

static void layer_rows(void *arg, long first, long last)
{
    for (long r = first; r < last; r++) layer_row(arg, r);
}

static void layer_run(const struct ph_step *step, const struct ph_run *run)
{
    struct job j = { step, run };
    const struct ph_place *x = &run->place[step->in[0]];
    ph_parallel_range(x->count / x->dim[x->rank - 1], 16, layer_rows, &j);
}

const struct ph_kernel ph_plain_layer_norm = {
    PH_OP_LAYER_NORM,         "plain",   ph_plain_fits,
    ph_plain_prepare_vectors, layer_run, ph_plain_finish,
};
