// SPDX-License-Identifier: MIT
// What models do between convolutions and products, of the group nn: attention beside the most
// that the same processors can multiply and add, norms and elementwise chains beside a copy.
#include "bench.h"
#include "lab.h"

#include <phosphene/clock.h>
#include "../tests/nn/rig.h"

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/cpu/pool.h"
#include "nn/plan_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------ the peak
#define ROUNDS 4000000 // some 20 ms: waking threads must not count

#if defined(__x86_64__)
#include <immintrin.h>

// Eighteen sums: enough to hide the latency of two units, which twelve are not on every processor.
#define SIX(X, a, b, c, d, e, f) X(a) X(b) X(c) X(d) X(e) X(f)
#define SUMS(X)                                                                                \
    SIX(X, 0, 1, 2, 3, 4, 5) SIX(X, 6, 7, 8, 9, 10, 11) SIX(X, 12, 13, 14, 15, 16, 17)
#define STEP_512(i)  v##i = _mm512_fmadd_ps(v##i, x, y);
#define STEP_BF16(i) v##i = _mm512_dpbf16_ps(v##i, (__m512bh) x, (__m512bh) y);
#define STEP_256(i)  v##i = _mm256_fmadd_ps(v##i, x, y);
#define PLUS(i)      +v##i
// Sums that a compiler cannot prove equal, or it makes one of them.
#define START(i)                                                                               \
    __typeof__(x) v##i = x;                                                                    \
    __asm__("" : "+v"(v##i));

#define BURN(name, isa, type, set, step)                                                       \
    __attribute__((target(isa))) static float name(void)                                       \
    {                                                                                          \
        type x = set(1.0001f), y = set(0.5f);                                                  \
        SUMS(START)                                                                            \
        for (int i = 0; i < ROUNDS; i++) {                                                     \
            SUMS(step)                                                                         \
        }                                                                                      \
        return (SUMS(PLUS))[0];                                                                \
    }
BURN(burn_512, "avx512f", __m512, _mm512_set1_ps, STEP_512)
BURN(burn_bf16, "avx512f,avx512bf16", __m512, _mm512_set1_ps, STEP_BF16)
BURN(burn_256, "avx2,fma", __m256, _mm256_set1_ps, STEP_256)
#endif

enum { SLOTS = 256 };
struct peak {
    bool bf16;
    int threads;
    struct {
        double operations;
        float sink; // so that nothing is left out
    } slot[SLOTS];
    double gflops; // of all threads together
};

// Operations of one burn; 0 when there are no such instructions.
static double burn(const struct peak *p, float *sink)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (p->bf16 && (cpu & PH_CPU_BF16)) return *sink = burn_bf16(), 18.0 * 64 * ROUNDS;
    if (p->bf16) return 0;
    if (cpu & PH_CPU_AVX512) return *sink = burn_512(), 18.0 * 32 * ROUNDS;
    if (cpu & PH_CPU_AVX2) return *sink = burn_256(), 18.0 * 16 * ROUNDS;
#endif
    return 0;
}

static void burn_one(void *arg, int i)
{
    struct peak *p = arg;
    p->slot[i].operations = burn(p, &p->slot[i].sink);
}

static void burn_all(void *arg)
{
    struct peak *p = arg;
    int threads = p->threads < SLOTS ? p->threads : SLOTS;
    int64_t start = ph_now_ns();
    ph_parallel(threads, burn_one, p);
    double ns = (double) (ph_now_ns() - start);
    p->gflops = 0;
    for (int i = 0; i < threads; i++) p->gflops += p->slot[i].operations / ns;
}

double bench_peak(struct ph_device *d, bool bf16)
{
    static struct peak p;
    p.bf16 = bf16;
    p.threads = d->threads;
    ph_device_call(d, burn_all, &p);
    return p.gflops;
}

// ------------------------------------------------------------------------------ attention
#define TOKENS(t, c)                                                                           \
    {                                                                                          \
        3,                                                                                     \
        {                                                                                      \
            1, t, c                                                                            \
        }                                                                                      \
    }
#define ATTEND(label, t, s, c, h)                                                              \
    {                                                                                          \
        .name = label,                                                                         \
        .step = { .op = PH_OP_ATTEND, .attention = { .heads = h, .scale = 0.125f } },          \
        .in = { TOKENS(t, c), TOKENS(s, c), TOKENS(s, c) }, .out = TOKENS(t, c)                \
    }

static const struct rig_case attentions[] = {
    ATTEND("attention-4096", 4096, 4096, 320, 5),      // SD-Turbo at 512x512
    ATTEND("attention-4096-d40", 4096, 4096, 320, 8),  // SD 1.5
    ATTEND("attention-4096-d512", 4096, 4096, 512, 1), // AutoencoderKL
    ATTEND("attention-1024", 1024, 1024, 640, 10),
    ATTEND("attention-256", 256, 256, 1280, 20),
    ATTEND("attention-4096-77", 4096, 77, 320, 5),
    { 0 },
};

enum { SAMPLES = 200 };

static const struct ph_kernel *kernel_for(const struct rig *r, enum ph_precision precision)
{
    const struct ph_kernel *best = NULL;
    for (int i = 0; i < PH_DEVICE_KERNELS && r->device->kernels[i]; i++) {
        const struct ph_kernel *k = r->device->kernels[i];
        if (k->op != r->step.op) continue;
        if (!best ||
            k->fits(&r->step, r->place, precision) > best->fits(&r->step, r->place, precision))
            best = k;
    }
    return best;
}

static void measure_attention(struct bench *b, struct rig *r, bool bf16)
{
    static double ns[SAMPLES], peak[SAMPLES];
    enum ph_precision precision = bf16 ? PH_PRECISION_BF16 : PH_PRECISION_F32;
    const struct ph_kernel *k = kernel_for(r, precision);
    int64_t until = ph_now_ns() + (int64_t) (bench_seconds(b, 1) * 1e9);
    int n = 0;
    for (; n < SAMPLES && (n < 3 || ph_now_ns() < until); n++) {
        peak[n] = bench_peak(r->device, bf16);
        ns[n] = rig_time(r, k, precision, 1);
    }
    const struct ph_place *q = &r->place[0], *s = &r->place[1];
    double flops = 4.0 * (double) q->count * (double) s->dim[1];
    double most = bench_quantile(peak, (size_t) n, 0.5);
    struct bench_result f = { .unit = "GFLOP/s", .n = (uint64_t) n };
    f.value = f.p50 = flops / bench_quantile(ns, (size_t) n, 0.5);
    f.p99 = flops / bench_quantile(ns, (size_t) n, 0.99);
    if (q->dim[1] == 4096 && s->dim[1] == 4096) f.bar = 0.7 * most;
    f.peer = most > 0 ? "the machine's peak" : NULL;
    f.ratio = most > 0 ? f.value / most : 0;
    bench_add(b, f);
}

static void one_attention(struct bench *b, const struct rig_case *c, struct ph_device **d,
                          bool bf16)
{
    char name[96];
    struct rig r;
    snprintf(name, sizeof name, "nn/%s-%s", c->name, bf16 ? "bf16" : "f32");
    if (!bench_begin(b, name)) return;
    if (!*d && ph_device_open(NULL, d, NULL) < 0) return;
    if (bf16 && !(ph_cpu_flags() & PH_CPU_BF16)) {
        bench_skip(b, name, "this processor has no bf16 products");
        return;
    }
    enum ph_dtype t = bf16 ? PH_BF16 : PH_F32;
    if (rig_open(&r, c, *d, t, t, NULL) >= 0) measure_attention(b, &r, bf16);
    rig_close(&r);
}

// ------------------------------------------------------------------------------ memory
#define SPACE(c, h)                                                                            \
    {                                                                                          \
        4,                                                                                     \
        {                                                                                      \
            1, c, h, h                                                                         \
        }                                                                                      \
    }
static const struct rig_case streams[] = {
    { .name = "copy-320-64",
      .step = { .op = PH_OP_COPY },
      .in = { SPACE(320, 64) },
      .out = SPACE(320, 64) },
    { .name = "group-norm-silu-320-64",
      .step = { .op = PH_OP_GROUP_NORM, .groups = 32, .act = PH_ACT_SILU, .eps = 1e-5f },
      .in = { SPACE(320, 64) },
      .out = SPACE(320, 64),
      .weight = { 1, { 320 } } },
    { .name = "group-norm-silu-128-512",
      .step = { .op = PH_OP_GROUP_NORM, .groups = 32, .act = PH_ACT_SILU, .eps = 1e-5f },
      .in = { SPACE(128, 512) },
      .out = SPACE(128, 512),
      .weight = { 1, { 128 } } },
    { .name = "layer-norm-4096-320",
      .step = { .op = PH_OP_LAYER_NORM, .eps = 1e-5f },
      .in = { TOKENS(4096, 320) },
      .out = TOKENS(4096, 320),
      .weight = { 1, { 320 } } },
    { .name = "add-320-64",
      .step = { .op = PH_OP_ADD },
      .in = { SPACE(320, 64), SPACE(320, 64) },
      .out = SPACE(320, 64) },
    { .name = "geglu-4096-1280",
      .step = { .op = PH_OP_GEGLU },
      .in = { TOKENS(4096, 2560) },
      .out = TOKENS(4096, 1280) },
    { .name = "concat-640-64",
      .step = { .op = PH_OP_CONCAT, .axis = 1 },
      .in = { SPACE(320, 64), SPACE(320, 64) },
      .out = SPACE(640, 64) },
    { .name = "upsample-64-512",
      .step = { .op = PH_OP_UPSAMPLE },
      .in = { SPACE(64, 256) },
      .out = SPACE(64, 512) },
    { 0 },
};

// Bytes that must be read and written; a group norm reads its picture twice.
static double bytes_of(const struct rig *r)
{
    double bytes = 0;
    for (int i = 0; i < RIG_PLACES; i++) {
        const struct ph_place *p = &r->place[i];
        double size = p->data ? (double) p->count * (double) ph_dtype_size(p->dtype) : 0;
        bytes += i == 0 && r->step.op == PH_OP_GROUP_NORM ? 2 * size : size;
    }
    return bytes;
}

static void one_stream(struct bench *b, const struct rig_case *c, struct ph_device **d)
{
    static double ns[SAMPLES];
    char name[96];
    struct rig r;
    snprintf(name, sizeof name, "nn/%s", c->name);
    if (!bench_begin(b, name)) return;
    if (!*d && ph_device_open(NULL, d, NULL) < 0) return;
    if (rig_open(&r, c, *d, PH_F32, PH_F32, NULL) >= 0) {
        const struct ph_kernel *k = kernel_for(&r, PH_PRECISION_F32);
        int64_t until = ph_now_ns() + (int64_t) (bench_seconds(b, 0.3) * 1e9);
        int n = 0;
        for (; n < SAMPLES && (n < 3 || ph_now_ns() < until); n++)
            ns[n] = rig_time(&r, k, PH_PRECISION_F32, 3);
        struct bench_result f = { .unit = "GB/s", .n = (uint64_t) n };
        f.value = f.p50 = bytes_of(&r) / bench_quantile(ns, (size_t) n, 0.5);
        f.p99 = bytes_of(&r) / bench_quantile(ns, (size_t) n, 0.99);
        bench_add(b, f);
    }
    rig_close(&r);
}

void bench_attention(struct bench *b)
{
    struct ph_device *d = NULL;
    for (const struct rig_case *c = attentions; c->name && !bench_stopped(b); c++)
        for (int bf16 = 0; bf16 < 2; bf16++) one_attention(b, c, &d, bf16);
    for (const struct rig_case *c = streams; c->name && !bench_stopped(b); c++)
        one_stream(b, c, &d);
    ph_device_unref(&d);
}
