// SPDX-License-Identifier: MIT
#include "nn/cpu/quant.h"

#include <math.h>
#include <string.h>

#include "core/cpu.h"
#include "nn/cpu/pool.h"
#include "nn/tensor_simd.h"
#include "nn/weights.h"

static float peak_f32(const float *x, int64_t n)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = fabsf(x[i]);
        if (v > peak) peak = v;
    }
    return peak;
}

static float peak_bf16(const uint16_t *x, int64_t n)
{
    // Magnitudes order as integers; what is above infinity is NaN.
    uint16_t peak = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t v = x[i] & 0x7fff;
        if (v > peak && v <= 0x7f80) peak = v;
    }
    return ph_bf16_to_f32(peak);
}

static int8_t byte_of(float v)
{
    if (!(v >= -127)) return v < -127 ? -127 : 0; // NaN
    return (int8_t) lrintf(v > 127 ? 127 : v);
}

static void bytes_f32(int8_t *q, const float *x, int64_t n, float inverse)
{
    for (int64_t i = 0; i < n; i++) q[i] = byte_of(x[i] * inverse);
}

static void bytes_bf16(int8_t *q, const uint16_t *x, int64_t n, float inverse)
{
    for (int64_t i = 0; i < n; i++) q[i] = byte_of(ph_bf16_to_f32(x[i]) * inverse);
}

static void widen(uint16_t *out, const uint8_t *q, const float *scale, int pairs, int outputs)
{
    for (int p = 0; p < pairs; p++)
        for (int o = 0; o < outputs; o++, out += 2, q++) {
            out[0] = ph_f32_to_bf16((float) ((*q & 15) - 8) * scale[o]);
            out[1] = ph_f32_to_bf16((float) ((*q >> 4) - 8) * scale[o]);
        }
}

const struct ph_quant_ops ph_quant_ops_c = { peak_f32, peak_bf16, bytes_f32, bytes_bf16,
                                             widen };

const struct ph_quant_ops *ph_quant_ops(void)
{
#if defined(__x86_64__)
    if (ph_cpu_flags() & PH_CPU_AVX512) return &ph_quant_ops_avx512;
#endif
    return &ph_quant_ops_c;
}

// ------------------------------------------------------------------------------ on all threads
enum { LEAST = 1 << 14 }; // elements worth a thread

struct cast {
    enum ph_dtype to, from;
    char *dst;
    const char *src;
    int64_t count;
    float inverse, *peaks;
};

static void cast_range(void *arg, long first, long last)
{
    const struct cast *c = arg;
    size_t to = ph_dtype_size(c->to), from = ph_dtype_size(c->from), at = (size_t) first;
    if (c->to == c->from)
        memcpy(c->dst + at * to, c->src + at * to, (size_t) (last - first) * to);
    else
        ph_convert(c->to, c->dst + at * to, c->from, c->src + at * from, last - first);
}

void ph_cast(enum ph_dtype to, void *dst, enum ph_dtype from, const void *src, int64_t n)
{
    struct cast c = { .to = to, .from = from, .dst = dst, .src = src };
    ph_parallel_range(n, LEAST, cast_range, &c);
}

static void peak_part(void *arg, int i)
{
    const struct cast *c = arg;
    int64_t first = c->count * i / PH_QUANT_PEAKS;
    int64_t n = c->count * (i + 1) / PH_QUANT_PEAKS - first;
    c->peaks[i] = c->from == PH_BF16
                      ? ph_quant_ops()->peak_bf16((const uint16_t *) c->src + first, n)
                      : ph_quant_ops()->peak_f32((const float *) c->src + first, n);
}

static void bytes_range(void *arg, long first, long last)
{
    const struct cast *c = arg;
    int8_t *q = (int8_t *) c->dst + first;
    if (c->from == PH_BF16)
        ph_quant_ops()->bytes_bf16(q, (const uint16_t *) c->src + first, last - first,
                                   c->inverse);
    else
        ph_quant_ops()->bytes_f32(q, (const float *) c->src + first, last - first, c->inverse);
}

float ph_quant_bytes(int8_t *q, enum ph_dtype from, const void *x, int64_t n,
                     float peaks[PH_QUANT_PEAKS])
{
    struct cast c = { .from = from, .dst = (char *) q, .src = x, .count = n, .peaks = peaks };
    ph_parallel(PH_QUANT_PEAKS, peak_part, &c);
    float peak = 0;
    for (int i = 0; i < PH_QUANT_PEAKS; i++) peak = peaks[i] > peak ? peaks[i] : peak;
    bool usable = peak > 0x1p-100f && peak < 0x1p120f;
    c.inverse = usable ? 127 / peak : 0;
    ph_parallel_range(n, LEAST, bytes_range, &c);
    return usable ? peak / 127 : 0;
}

// ------------------------------------------------------------------------------ 4 bits
struct panels {
    struct ph_panels p;
    const float *in;
    uint8_t *q;
    float *scale;
    uint16_t *out;
    struct ph_loss *loss;
};

static struct panels panels_of(const struct ph_panels *p, void *pack)
{
    int64_t bytes = p->blocks * p->group * p->width / 2;
    return (struct panels){ .p = *p, .q = pack, .scale = (float *) ((char *) pack + bytes) };
}

size_t ph_panels_size(const struct ph_panels *p)
{
    return (size_t) (p->blocks * p->width * (p->group / 2 + (int64_t) sizeof(float)));
}

static void pack_panel(const struct ph_panels *p, const float *in, uint8_t *q, float *scale,
                       struct ph_loss *loss)
{
    struct ph_loss one;
    float row[PH_Q4_GROUP];
    uint8_t nibbles[PH_Q4_GROUP / 2];
    for (int64_t o = 0; o < p->width; o++) {
        for (int64_t i = 0; i < p->group; i++) row[i] = in[(i / 2 * p->width + o) * 2 + i % 2];
        ph_quantize_q4(row, 1, p->group, nibbles, scale + o);
        ph_loss_q4(row, 1, p->group, nibbles, scale + o, &one);
        loss->signal += one.signal;
        loss->noise += one.noise;
        for (int64_t i = 0; i < p->group / 2; i++) q[i * p->width + o] = nibbles[i];
    }
}

static void pack_panels(void *arg, long first, long last)
{
    const struct panels *n = arg;
    int64_t size = n->p.group * n->p.width;
    struct ph_loss loss = { 0 };
    for (long b = first; b < last; b++)
        pack_panel(&n->p, n->in + b * size, n->q + b * size / 2, n->scale + b * n->p.width,
                   &loss);
    ph_loss_add(n->loss, &loss);
}

static void widen_panels(void *arg, long first, long last)
{
    const struct panels *n = arg;
    int64_t size = n->p.group * n->p.width;
    for (long b = first; b < last; b++)
        ph_quant_ops()->widen(n->out + b * size, n->q + b * size / 2, n->scale + b * n->p.width,
                              (int) n->p.group / 2, (int) n->p.width);
}

void ph_panels_pack(const struct ph_panels *p, const float *in, void *pack,
                    struct ph_loss *loss)
{
    struct panels n = panels_of(p, pack);
    n.in = in;
    n.loss = loss;
    ph_parallel_range(p->blocks, 16, pack_panels, &n);
}

void ph_panels_widen(const struct ph_panels *p, const void *pack, uint16_t *out)
{
    struct panels n = panels_of(p, (void *) pack);
    n.out = out;
    ph_parallel_range(p->blocks, 16, widen_panels, &n);
}
