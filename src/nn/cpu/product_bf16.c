// SPDX-License-Identifier: MIT
#include <immintrin.h>
#include <string.h>

#include "nn/cpu/product.h"
#include "nn/cpu/simd.h"
#include "nn/cpu/transpose.h"

// ------------------------------------------------------------------------------ packing
static __m512i round_pairs(const float *x)
{
    return (__m512i) _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), _mm512_loadu_ps(x));
}

// 32 inputs (or the rest of them) from i on of an output's row.
static __m512i load_inputs(const float *row, int64_t i, int64_t inputs)
{
    if (inputs - i >= 32) return round_pairs(row + i);
    float rest[32] = { 0 };
    memcpy(rest, row + i, (size_t) (inputs - i) * sizeof *rest);
    return round_pairs(rest);
}

static void pack(const float *w, int64_t inputs, int count, uint16_t *panel)
{
    for (int o = 0; o < count; o += 16)
        for (int64_t i = 0; i < inputs; i += 32) {
            __m512i r[16];
            for (int k = 0; k < 16; k++) r[k] = load_inputs(w + (o + k) * inputs, i, inputs);
            ph_transpose(r);
            int64_t pairs = inputs - i < 32 ? (inputs - i) / 2 : 16;
            for (int64_t k = 0; k < pairs; k++)
                _mm512_storeu_si512(panel + ((i / 2 + k) * count + o) * 2, r[k]);
        }
}

static void narrow(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) _mm512_storeu_si512(out + i, round_pairs(x + i));
    for (; i < n; i += 16) {
        vm m = v_first(n - i);
        v_store_bf16_m(out + i, m, v_load_m(x + i, m));
    }
}

// ------------------------------------------------------------------------------ sums
// rows and vectors are constants where this is used: 2 rows + 3 registers.
V_INLINE void sum_of(const uint16_t *x, int64_t inputs, const uint16_t *w, int rows,
                     int vectors, float *out, const char *next, int64_t step)
{
    __m512 sum[PH_PRODUCT_ROWS][2];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    for (int64_t i = 0; i < inputs; i += 2, w += vectors * 32) {
        __m512bh b[2];
        __builtin_prefetch(next + (i * step >> 8), 0, 2);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) b[v] = (__m512bh) _mm512_loadu_si512(w + v * 32);
#pragma GCC unroll 14
        for (int r = 0; r < rows; r++) {
            int pair;
            memcpy(&pair, x + r * inputs + i, sizeof pair);
            __m512i a = _mm512_set1_epi32(pair);
            __asm__("" : "+v"(a)); // one load for both
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh) a, b[v]);
        }
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) v_store(out + (r * 2 + v) * 16, sum[r][v]);
}

#define ALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

static void sums_wide(const uint16_t *x, int64_t inputs, const uint16_t *w, int rows,
                      float *out, const char *next, int64_t step)
{
    switch (rows) {
#define ROWS(n)                                                                                \
    case n: sum_of(x, inputs, w, n, 2, out, next, step); return;
        ALL_ROWS(ROWS)
#undef ROWS
    }
}

static void sums_narrow(const uint16_t *x, int64_t inputs, const uint16_t *w, int rows,
                        float *out, const char *next, int64_t step)
{
    switch (rows) {
#define ROWS(n)                                                                                \
    case n: sum_of(x, inputs, w, n, 1, out, next, step); return;
        ALL_ROWS(ROWS)
#undef ROWS
    }
}

// ------------------------------------------------------------------------------ GELU
// gelu(x) - max(x, 0) is an even function; of |x| in steps of 1 / 6.5 up to 4.8 it is these
// parabolas (through its values at the Chebyshev nodes of each step), to 1.5e-5: far less than
// bf16 rounds. At zero it is zero.
static const float gelu_parts[3][32] = {
    { 0,
      -0.067517772f,
      -0.11666407f,
      -0.14871053f,
      -0.165631f,
      -0.16990627f,
      -0.16429251f,
      -0.1515848f,
      -0.13440566f,
      -0.11504084f,
      -0.095335238f,
      -0.076650813f,
      -0.05987988f,
      -0.045500264f,
      -0.033656258f,
      -0.024249526f,
      -0.017026776f,
      -0.011655073f,
      -0.0077799908f,
      -0.0050655589f,
      -0.0032176811f,
      -0.0019943146f,
      -0.001206244f,
      -0.00071205507f,
      -0.00041026776f,
      -0.00023074316f,
      -0.00012668497f,
      -6.7901477e-05f,
      -3.5531277e-05f,
      -1.8152514e-05f,
      -9.0546455e-06f,
      -4.4098865e-06f },
    { -0.076922499f,  -0.058213856f,  -0.040372301f,  -0.024176167f,  -0.010237072f,
      0.0010510325f,  0.0095325029f,  0.015279267f,   0.018553529f,   0.019752651f,
      0.019346682f,   0.0178186f,     0.015615097f,   0.013112557f,   0.010599419f,
      0.00827331f,    0.0062494236f,  0.0045758449f,  0.0032516827f,  0.0022447333f,
      0.0015064955f,  0.00098351226f, 0.00062490546f, 0.00038658737f, 0.0002329308f,
      0.00013673384f, 7.8216864e-05f, 4.3610446e-05f, 2.3704151e-05f, 1.2562326e-05f,
      6.4921246e-06f, 3.2721048e-06f },
    { 0.0094342781f,   0.0092142923f,   0.0085739745f,   0.0075803255f,   0.0063319295f,
      0.0049457285f,   0.0035409229f,   0.0022240512f,   0.0010776311f,   0.00015380775f,
      -0.00052667368f, -0.00097088976f, -0.0012069891f,  -0.0012760021f,  -0.0012238278f,
      -0.0010946105f,  -0.00092616986f, -0.00074761396f, -0.00057885051f, -0.00043147424f,
      -0.00031044296f, -0.00021601793f, -0.00014558637f, -9.5142779e-05f, -6.0346843e-05f,
      -3.717756e-05f,  -2.2259812e-05f, -1.2959814e-05f, -7.3400738e-06f, -4.0456312e-06f,
      -2.1706705e-06f, -1.1340768e-06f },
};

V_INLINE vf gelu_rough(vf x)
{
    const vf magic = v_set(12582912.0f); // 1.5 * 2^23: whole numbers stay in the lowest bits
    vf t = v_min(v_set(31), v_abs(x) * v_set(6.5f)), n = t + magic, r = t - (n - magic);
    vf p[3];
#pragma GCC unroll 3
    for (int i = 0; i < 3; i++)
        p[i] = _mm512_permutex2var_ps(v_load(gelu_parts[i]), (__m512i) n,
                                      v_load(gelu_parts[i] + 16));
    return v_max(v_set(0), x) + v_fma(v_fma(p[2], r, p[1]), r, p[0]);
}

// ------------------------------------------------------------------------------ results
V_INLINE vf act_of(enum ph_act act, enum ph_dtype y_type, vf x)
{
    return act == PH_ACT_GELU && y_type == PH_BF16 ? gelu_rough(x) : v_act(act, x);
}

// Types and act are constants where this is used.
V_INLINE void put_typed(const struct ph_product *p, const float *sums, int64_t at, int rows,
                        int64_t first, int count, enum ph_dtype y_type, enum ph_dtype r_type,
                        enum ph_act act)
{
    for (int c = 0; c < count; c += 16) {
        vf bias = p->bias ? v_load(p->bias + first + c) : v_set(0);
        for (int r = 0; r < rows; r++) {
            int64_t to = (at + r) * p->outputs + first + c;
            vf v = v_load(sums + r * 32 + c) + bias;
            if (r_type) v = v + v_get(r_type, p->residual, to);
            v_put(y_type, p->y, to, act_of(act, y_type, v));
        }
    }
}

V_INLINE void put_act(const struct ph_product *p, const float *sums, int64_t at, int rows,
                      int64_t first, int count, enum ph_dtype y_type, enum ph_act act)
{
    if (!p->r_type)
        put_typed(p, sums, at, rows, first, count, y_type, PH_DTYPE_NONE, act);
    else if (p->r_type == PH_F32)
        put_typed(p, sums, at, rows, first, count, y_type, PH_F32, act);
    else
        put_typed(p, sums, at, rows, first, count, y_type, PH_BF16, act);
}

V_INLINE void put_as(const struct ph_product *p, const float *sums, int64_t at, int rows,
                     int64_t first, int count, enum ph_dtype y_type)
{
    if (p->act == PH_ACT_NONE)
        put_act(p, sums, at, rows, first, count, y_type, PH_ACT_NONE);
    else if (p->act == PH_ACT_GELU)
        put_act(p, sums, at, rows, first, count, y_type, PH_ACT_GELU);
    else
        put_act(p, sums, at, rows, first, count, y_type, p->act);
}

static void block(const struct ph_product *p, const uint16_t *x, int64_t at, int rows,
                  int64_t first, int count, const char *next, int64_t bytes)
{
    float sums[PH_PRODUCT_ROWS * PH_PRODUCT_COLS] __attribute__((aligned(64)));
    const uint16_t *w = p->w + first * p->inputs;
    int64_t step = bytes * 256 / p->inputs; // of next, an input, in 256ths
    if (count == PH_PRODUCT_COLS)
        sums_wide(x, p->inputs, w, rows, sums, next, step);
    else
        sums_narrow(x, p->inputs, w, rows, sums, next, step);
    if (p->y_type == PH_F32)
        put_as(p, sums, at, rows, first, count, PH_F32);
    else
        put_as(p, sums, at, rows, first, count, PH_BF16);
}

const struct ph_product_ops ph_product_bf16 = { pack, block, narrow };
