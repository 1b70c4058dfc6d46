// SPDX-License-Identifier: MIT
// Convolutions and linear layers of the diffusion models, one figure for each kernel that can do
// them, on all processors. The "peer" is oneDNN's best without another layout, in the same run and
// in turns with ours.
#include "bench.h"

#include <phosphene/clock.h>
#include "../tests/nn/layer.h"

#include <stdio.h>

struct figure {
    const char *name, *kernel;
    enum ph_precision precision;
    double bar; // GFLOP/s
};

static const struct figure conv_figures[] = {
    { "winograd-f32", "winograd 4x3 f32", PH_PRECISION_F32, 600 },
    { "winograd-bf16", "winograd 2x3 bf16", PH_PRECISION_BF16, 600 },
    { "onednn-f32", "onednn f32", PH_PRECISION_F32, 0 },
    { "onednn-bf16", "onednn bf16", PH_PRECISION_BF16, 0 },
    { "onednn-i8", "onednn i8", PH_PRECISION_I8, 0 },
    { 0 },
};
static const struct figure linear_figures[] = {
    { "onednn-f32", "onednn f32", PH_PRECISION_F32, 0 },
    { "onednn-bf16", "onednn bf16", PH_PRECISION_BF16, 0 },
    { "onednn-i8", "onednn i8", PH_PRECISION_I8, 0 },
    { "onednn-q4", "onednn q4", PH_PRECISION_Q4, 0 },
    { 0 },
};

// UNet at 512x512 on its levels, TAESD on its last two.
static const int convs[][3] = { { 320, 320, 64 },   { 640, 640, 32 }, { 1280, 640, 32 },
                                { 1280, 1280, 16 }, { 64, 64, 512 },  { 64, 64, 256 } };
static const int products[][3] = { // rows, inputs, outputs
    { 4096, 320, 320 },
    { 4096, 320, 2560 },
    { 1024, 640, 5120 },
    { 256, 1280, 10240 },
    { 64, 1280, 1280 }
};

// One run of each in turns; the samples of the first in ns, and the best of both.
enum { SAMPLES = 400 };
struct turns {
    double sample[SAMPLES], best[2];
    int n;
};

static void take_turns(struct bench *b, struct layer *l, int layers, struct turns *t)
{
    int64_t until = ph_now_ns() + (int64_t) (bench_seconds(b, 0.6) * 1e9);
    for (t->n = 0; t->n < SAMPLES && (t->n < 3 || ph_now_ns() < until); t->n++)
        for (int i = 0; i < layers; i++) {
            double ns = layer_time(&l[i], 1, false);
            if (!t->n || ns < t->best[i]) t->best[i] = ns;
            if (!i) t->sample[t->n] = ns;
        }
}

static bool open_layer(struct layer *l, const struct layer_spec *spec, struct ph_device *d,
                       const char *kernel)
{
    if (layer_open(l, spec, d, NULL) < 0) return false;
    const struct ph_kernel *k = layer_kernel(l, kernel);
    return k && layer_prepare(l, k, NULL) >= 0;
}

static void measure(struct bench *b, const char *name, const struct figure *f,
                    struct layer_spec spec, struct ph_device *d)
{
    static struct turns t;
    struct layer l[2] = { 0 };
    const char *peer = f->precision == PH_PRECISION_F32 ? "onednn f32" : "onednn bf16";
    spec.precision = f->precision;
    spec.x = f->precision == PH_PRECISION_F32 ? PH_F32 : PH_BF16;
    if (!open_layer(&l[0], &spec, d, f->kernel)) {
        bench_skip(b, name, "%s does not take this layer here", f->kernel);
        layer_close(&l[0]);
        return;
    }
    bool beside = f->bar > 0 && open_layer(&l[1], &spec, d, peer);
    take_turns(b, l, beside ? 2 : 1, &t);
    double flops = layer_flops(&spec);
    struct bench_result r = { .unit = "GFLOP/s", .n = (uint64_t) t.n, .bar = f->bar };
    r.value = r.p50 = flops / bench_quantile(t.sample, (size_t) t.n, 0.5);
    r.p99 = flops / bench_quantile(t.sample, (size_t) t.n, 0.99);
    if (beside) {
        r.peer = peer;
        r.ratio = t.best[1] / t.best[0];
    }
    bench_add(b, r);
    for (int i = 0; i < 2; i++) layer_close(&l[i]);
}

static void figures(struct bench *b, const char *what, const struct figure *f,
                    const struct layer_spec *spec, struct ph_device **d)
{
    for (; f->name && !bench_stopped(b); f++) {
        char name[96];
        snprintf(name, sizeof name, "nn/%s-%s", what, f->name);
        if (!bench_begin(b, name)) continue;
        if (!*d && ph_device_open(NULL, d, NULL) < 0) return;
        measure(b, name, f, *spec, *d);
    }
}

void bench_nn(struct bench *b)
{
    struct ph_device *d = NULL;
    char what[64];
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        const int *c = convs[i];
        struct layer_spec s = { .op = PH_OP_CONV, .n = 1, .c = c[0], .h = c[2], .w = c[2] };
        s.outputs = c[1];
        s.k = 3;
        s.y = PH_F32;
        s.conv = (struct ph_conv){ 1, 1, 1, 1, 1, 0 };
        snprintf(what, sizeof what, "conv-%d-%d-%d", c[0], c[1], c[2]);
        figures(b, what, conv_figures, &s, &d);
    }
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        const int *p = products[i];
        struct layer_spec s = { .op = PH_OP_LINEAR, .n = 1, .c = p[1], .h = 1, .w = p[0] };
        s.outputs = p[2];
        s.y = PH_F32;
        snprintf(what, sizeof what, "linear-%d-%d-%d", p[0], p[1], p[2]);
        figures(b, what, linear_figures, &s, &d);
    }
    ph_device_unref(&d);
    bench_attention(b);
}
