// SPDX-License-Identifier: MIT
#include "layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/plan_priv.h"

enum { GUARD = 256 };

// ------------------------------------------------------------------------------ numbers
static float next_value(uint64_t *state)
{
    // A sum of four even values: near enough to a normal one.
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (float) (*state >> 40) / (1 << 24) - 0.5f;
    }
    return sum * 1.7320508f;
}

static float *random_values(int64_t n, float scale, uint64_t seed)
{
    float *v = malloc((size_t) n * sizeof(float));
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 12345;
    for (int64_t i = 0; v && i < n; i++) v[i] = next_value(&state) * scale;
    return v;
}

static int out_size(int in, int before, int after, int k, int stride)
{
    return (in + before + after - k) / (stride ? stride : 1) + 1;
}

static void *aligned(size_t size)
{
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

// ------------------------------------------------------------------------------ open
static ph_err save_and_open(struct layer *l, struct ph_fault *fault)
{
    const struct layer_spec *s = &l->spec;
    char path[64];
    snprintf(path, sizeof path, "/tmp/ph_layer_%d_%p.safetensors", (int) getpid(), (void *) l);
    bool conv = s->op == PH_OP_CONV;
    struct ph_named_tensor t[] = {
        { "layer.weight",
          { PH_F32,
            conv ? 4 : 2,
            { s->outputs, s->c, conv ? s->k : 0, conv ? s->k : 0 },
            l->weight } },
        { "layer.bias", { PH_F32, 1, { s->outputs }, l->bias } },
    };
    ph_err ret = ph_weights_save(path, t, 2, 1, fault);
    if (ret >= 0) ret = ph_weights_open(path, &l->set, fault);
    unlink(path);
    return ret;
}

static struct ph_place place_of(enum ph_dtype type, const int64_t dim[4])
{
    struct ph_place p = { .dtype = type, .rank = 4, .count = 1 };
    for (int i = 0; i < 4; i++) p.count *= p.dim[i] = dim[i];
    return p;
}

static bool fill(struct ph_place *p, uint64_t seed)
{
    float *v = random_values(p->count, 1, seed);
    p->data = aligned((size_t) p->count * ph_dtype_size(p->dtype) + GUARD);
    if (v && p->data) ph_convert(p->dtype, p->data, PH_F32, v, p->count);
    free(v);
    return p->data != NULL;
}

ph_err layer_open(struct layer *l, const struct layer_spec *spec, struct ph_device *device,
                  struct ph_fault *fault)
{
    *l = (struct layer){ .spec = *spec, .device = device };
    const struct layer_spec *s = &l->spec;
    bool conv = s->op == PH_OP_CONV;
    int64_t window = (int64_t) s->c * (conv ? s->k * s->k : 1);
    int oh = conv ? out_size(s->h, s->conv.top, s->conv.bottom, s->k, s->conv.stride) : s->h;
    int ow = conv ? out_size(s->w, s->conv.left, s->conv.right, s->k, s->conv.stride) : s->w;
    l->weight = random_values(s->outputs * window, 1 / sqrtf((float) window), s->seed + 1);
    l->bias = random_values(s->outputs, 0.5f, s->seed + 2);
    // Tokens of a linear layer may have any rank; a picture serves, channels last as always.
    l->place[0] = place_of(s->x, (int64_t[]){ s->n, s->c, s->h, s->w });
    l->place[1] = place_of(s->y, (int64_t[]){ s->n, s->outputs, oh, ow });
    l->place[2] = place_of(s->residual ? s->residual : PH_F32, l->place[1].dim);
    bool ok = l->weight && l->bias;
    for (int i = 0; i < 3; i++) ok = fill(&l->place[i], s->seed + 3 + (uint64_t) i) && ok;
    if (!ok) return PH_ENOMEM;
    memset((char *) l->place[1].data + l->place[1].count * (int64_t) ph_dtype_size(s->y), 0x5a,
           GUARD);
    ph_err ret = save_and_open(l, fault);
    if (ret < 0) return ret;
    l->step = (struct ph_step){ .op = s->op,
                                .name = "layer",
                                .inputs = 1,
                                .in = { 0 },
                                .out = 1,
                                .set = l->set,
                                .weight = ph_weights_find(l->set, "layer.weight"),
                                .conv = s->conv,
                                .act = s->act,
                                .row = PH_NONE,
                                .residual = s->residual ? 2 : PH_NONE };
    if (!s->no_bias) l->step.bias = ph_weights_find(l->set, "layer.bias");
    return PH_OK;
}

void layer_close(struct layer *l)
{
    layer_finish(l);
    for (int i = 0; i < 3; i++) free(l->place[i].data);
    free(l->weight);
    free(l->bias);
    ph_weights_unref(&l->set);
    *l = (struct layer){ 0 };
}

// ------------------------------------------------------------------------------ kernels
static double fits(const struct layer *l, const struct ph_kernel *k)
{
    return k->op == l->spec.op ? k->fits(&l->step, l->place, l->spec.precision) : 0;
}

int layer_kernels(const struct layer *l, const struct ph_kernel **list, int most)
{
    int n = 0;
    for (int i = 0; i < PH_DEVICE_KERNELS && l->device->kernels[i]; i++) {
        const struct ph_kernel *k = l->device->kernels[i];
        if (n == most || fits(l, k) <= 0) continue;
        int at = n++;
        for (; at > 0 && fits(l, list[at - 1]) < fits(l, k); at--) list[at] = list[at - 1];
        list[at] = k;
    }
    return n;
}

const struct ph_kernel *layer_kernel(const struct layer *l, const char *name)
{
    const struct ph_kernel *list[32];
    int n = layer_kernels(l, list, 32);
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i]->name, name)) return list[i];
    return NULL;
}

struct preparing {
    struct layer *l;
    struct ph_fault *fault;
};

static void prepare_there(void *arg)
{
    struct preparing *p = arg;
    struct layer *l = p->l;
    l->ret = l->step.kernel->prepare ? l->step.kernel->prepare(l->device, &l->step, l->place,
                                                               l->spec.precision, p->fault)
                                     : PH_OK;
}

ph_err layer_prepare(struct layer *l, const struct ph_kernel *k, struct ph_fault *fault)
{
    layer_finish(l);
    l->step.kernel = k;
    l->step.scratch = 0;
    struct preparing p = { l, fault };
    ph_device_call(l->device, prepare_there, &p);
    if (l->ret < 0) {
        l->step.kernel = NULL;
        return l->ret;
    }
    l->run = (struct ph_run){ l->place, aligned(l->step.scratch + 64), l->device->threads };
    return l->run.scratch ? PH_OK : PH_ENOMEM;
}

static void finish_there(void *arg)
{
    struct layer *l = arg;
    if (l->step.kernel->finish) l->step.kernel->finish(l->device, &l->step);
}

void layer_finish(struct layer *l)
{
    if (l->step.kernel) ph_device_call(l->device, finish_there, l);
    l->step.kernel = NULL;
    free(l->run.scratch);
    l->run.scratch = NULL;
}

static void run_there(void *arg)
{
    struct layer *l = arg;
    struct ph_place place[3] = { l->place[0], l->place[1], l->place[2] };
    struct ph_run run = l->run;
    run.place = place;
    if (l->spec.in_place) {
        place[2].data = place[1].data;
        memcpy(place[1].data, l->place[2].data,
               (size_t) place[1].count * ph_dtype_size(place[1].dtype));
    }
    l->step.kernel->run(&l->step, &run);
}

void layer_run(struct layer *l)
{
    ph_device_call(l->device, run_there, l);
}

struct timing {
    struct layer *l;
    int times;
    clockid_t clock;
    double best;
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static void time_there(void *arg)
{
    struct timing *t = arg;
    for (int i = 0; i < t->times; i++) {
        double begin = seconds(t->clock);
        t->l->step.kernel->run(&t->l->step, &t->l->run);
        double took = seconds(t->clock) - begin;
        if (i == 0 || took < t->best) t->best = took;
    }
}

double layer_time(struct layer *l, int times, bool cpu)
{
    struct timing t = { l, times, cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, 0 };
    ph_device_call(l->device, time_there, &t);
    return t.best;
}

bool layer_guard_ok(const struct layer *l)
{
    const struct ph_place *y = &l->place[1];
    const unsigned char *g =
        (unsigned char *) y->data + y->count * (int64_t) ph_dtype_size(y->dtype);
    for (int i = 0; i < GUARD; i++)
        if (g[i] != 0x5a) return false;
    return true;
}

// ------------------------------------------------------------------------------ the reference
static float *floats_of(const struct ph_place *p)
{
    float *v = malloc((size_t) p->count * sizeof(float));
    if (v) ph_convert(PH_F32, v, p->dtype, p->data, p->count);
    return v;
}

static void round_bf16(float *v, int64_t n)
{
    uint16_t *half = malloc((size_t) n * 2);
    ph_convert(PH_BF16, half, PH_F32, v, n);
    ph_convert(PH_F32, v, PH_BF16, half, n);
    free(half);
}

static void round_i8(float *v, int64_t n)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++) peak = fmaxf(peak, fabsf(v[i]));
    for (int64_t i = 0; i < n; i++) v[i] = rintf(v[i] * (127 / peak)) * (peak / 127);
}

static void round_operands(float *x, int64_t xs, float *w, int64_t rows, int64_t window,
                           enum layer_rounding how)
{
    if (how == LAYER_BF16) {
        round_bf16(x, xs);
        round_bf16(w, rows * window);
    }
    if (how == LAYER_I8) {
        round_i8(x, xs);
        for (int64_t r = 0; r < rows; r++) round_i8(w + r * window, window);
    }
}

static double activate(double v, enum ph_act act)
{
    switch (act) {
    case PH_ACT_RELU: return v > 0 ? v : 0;
    case PH_ACT_SILU: return v / (1 + exp(-v));
    case PH_ACT_GELU: return v / 2 * (1 + erf(v / sqrt(2)));
    case PH_ACT_GELU_TANH:
        return v / 2 * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case PH_ACT_QUICK_GELU: return v / (1 + exp(-1.702 * v));
    case PH_ACT_SIGMOID: return 1 / (1 + exp(-v));
    case PH_ACT_TANH: return tanh(v);
    case PH_ACT_EXP: return exp(v);
    default: return v;
    }
}

struct reference {
    const struct layer *l;
    const float *x, *w; // x channels last; w [out][in][k][k]
    double *row;        // of one place: all outputs
};

static void reference_at(const struct reference *r, int n, int oy, int ox)
{
    const struct layer_spec *s = &r->l->spec;
    int k = s->op == PH_OP_CONV ? s->k : 1, stride = s->conv.stride ? s->conv.stride : 1;
    for (int o = 0; o < s->outputs; o++) r->row[o] = s->no_bias ? 0 : r->l->bias[o];
    for (int ky = 0; ky < k; ky++)
        for (int kx = 0; kx < k; kx++) {
            int y = oy * stride + ky - s->conv.top, x = ox * stride + kx - s->conv.left;
            if (y < 0 || y >= s->h || x < 0 || x >= s->w) continue;
            const float *at = r->x + (((int64_t) n * s->h + y) * s->w + x) * s->c;
            for (int o = 0; o < s->outputs; o++) {
                const float *w = r->w + (int64_t) o * s->c * k * k + ky * k + kx;
                double sum = 0;
                for (int i = 0; i < s->c; i++) sum += (double) at[i] * w[(int64_t) i * k * k];
                r->row[o] += sum;
            }
        }
}

double layer_error(const struct layer *l, enum layer_rounding rounding)
{
    const struct layer_spec *s = &l->spec;
    const struct ph_place *y = &l->place[1];
    int64_t weights = (int64_t) s->outputs * s->c * (s->op == PH_OP_CONV ? s->k * s->k : 1);
    float *x = floats_of(&l->place[0]), *got = floats_of(y), *add = floats_of(&l->place[2]);
    float *w = malloc((size_t) weights * sizeof(float));
    memcpy(w, l->weight, (size_t) weights * sizeof(float));
    round_operands(x, l->place[0].count, w, s->outputs, weights / s->outputs, rounding);
    struct reference r = { l, x, w, malloc((size_t) s->outputs * sizeof(double)) };
    double wrong = 0, all = 0;
    int64_t at = 0;
    for (int n = 0; n < s->n; n++)
        for (int oy = 0; oy < y->dim[2]; oy++)
            for (int ox = 0; ox < y->dim[3]; ox++) {
                reference_at(&r, n, oy, ox);
                for (int o = 0; o < s->outputs; o++, at++) {
                    double v = activate(r.row[o] + (s->residual ? add[at] : 0), s->act);
                    wrong += (got[at] - v) * (got[at] - v);
                    all += v * v;
                }
            }
    free(x);
    free(got);
    free(add);
    free(w);
    free(r.row);
    return wrong == wrong ? sqrt(wrong / (all + 1e-30)) : INFINITY;
}

double layer_flops(const struct layer_spec *s)
{
    int k = s->op == PH_OP_CONV ? s->k : 1, stride = s->conv.stride ? s->conv.stride : 1;
    double oh = s->h, ow = s->w;
    if (s->op == PH_OP_CONV) {
        oh = out_size(s->h, s->conv.top, s->conv.bottom, s->k, stride);
        ow = out_size(s->w, s->conv.left, s->conv.right, s->k, stride);
    }
    return 2.0 * s->n * oh * ow * s->outputs * s->c * k * k;
}
