// SPDX-License-Identifier: MIT
// Attention with products of f32, for whichever vectors this is compiled with (see attn_bf16.c for
// the same with bf16): keys packed [d][tile], weights [6][tile], values [tile][d].
#include <math.h>
#include <string.h>

#include "nn/cpu/attn.h"
#include "nn/cpu/simd.h"
#if defined(__AVX512F__)
#include "nn/cpu/transpose.h"
#endif

#define MR 6
// Sums live in registers only when loops over them are gone early.
#define UNROLL   _Pragma("GCC unroll 16")
#define LOG2E    1.44269504f
#define ALIGN(n) (((n) + 63) & ~(size_t) 63)
#if VF == 16
#define NV 4 // vectors of a product's row: 24 sums in registers
#else
#define NV 2
#endif

struct work { // the piece, cut up
    int dv;   // d up to a multiple of a vector
    float *q, *k, *v, *s, *o, *sum, *max, *row;
};

static size_t cut(const struct ph_attn_shape *h, char *at, struct work *w)
{
    size_t d = (size_t) h->d, dv = (d + VF - 1) / VF * VF, used = 0;
    size_t rows = (size_t) h->rows, tile = (size_t) h->tile;
    *w = (struct work){ .dv = (int) dv };
#define TAKE(field, n)                                                                         \
    do {                                                                                       \
        w->field = (void *) (at + used);                                                       \
        used += ALIGN((n) * sizeof *w->field);                                                 \
    } while (0)
    TAKE(q, rows * d);
    TAKE(k, tile * d);
    TAKE(v, tile * dv);
    TAKE(s, MR * tile);
    TAKE(o, rows * dv);
    TAKE(sum, rows * VF);
    TAKE(max, rows);
    TAKE(row, dv);
#undef TAKE
    return used;
}

static size_t scratch(const struct ph_attn_shape *shape)
{
    struct work w;
    return cut(shape, NULL, &w);
}

// ------------------------------------------------------------------------------ packing
static int padded(int count)
{
    return (count + 31) / 32 * 32;
}

static const float *row_of(const struct ph_place *p, int64_t at, int d, float *spare)
{
    if (p->dtype == PH_F32) return (const float *) p->data + at;
    ph_convert(PH_F32, spare, p->dtype, (const uint16_t *) p->data + at, d);
    return spare;
}

// Scaled, so that scores come as powers of two.
static void pack_queries(const struct ph_attn_unit *u, const struct work *w)
{
    int d = u->shape->d, rows = (u->count + MR - 1) / MR * MR;
    for (int r = 0; r < rows; r++) {
        float *to = w->q + (int64_t) r * d;
        if (r >= u->count) {
            memset(to, 0, sizeof *to * (size_t) d);
            continue;
        }
        const float *from = row_of(u->q, u->q_at + r * u->shape->c, d, w->row);
        for (int e = 0; e < d; e++) to[e] = from[e] * (u->scale * LOG2E);
    }
}

#if VF == 16
// Elements [e, e + 16) of 16 keys.
static void pack_block(const float *const key[16], int e, int d, float *to, int64_t tile)
{
    __m512i r[16];
    for (int i = 0; i < 16; i++)
        r[i] = key[i] ? _mm512_maskz_loadu_epi32(v_first(d - e), key[i] + e)
                      : _mm512_setzero_si512();
    ph_transpose(r);
    for (int i = 0; i < 16 && e + i < d; i++) _mm512_store_si512(to + (e + i) * tile, r[i]);
}
#else
static void pack_block(const float *const key[16], int e, int d, float *to, int64_t tile)
{
    for (int i = e; i < e + 16 && i < d; i++)
        for (int j = 0; j < 16; j++) to[i * tile + j] = key[j] ? key[j][i] : 0;
}
#endif

static void pack_keys(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                      int count)
{
    const struct ph_attn_shape *h = u->shape;
    float *spare = w->v; // values come later
    for (int j = 0; j < padded(count); j += 16) {
        const float *key[16] = { NULL };
        for (int i = 0; i < 16 && j + i < count; i++)
            key[i] = row_of(u->k, u->k_at + (from + j + i) * h->c, h->d, spare + i * w->dv);
        for (int e = 0; e < h->d; e += 16) pack_block(key, e, h->d, w->k + j, h->tile);
    }
}

static void pack_values(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                        int count)
{
    const struct ph_attn_shape *h = u->shape;
    for (int j = 0; j < padded(count); j++) {
        float *to = w->v + (int64_t) j * w->dv;
        memset(to, 0, sizeof *to * (size_t) w->dv);
        if (j >= count) continue;
        const float *row = row_of(u->v, u->k_at + (from + j) * h->c, h->d, w->row);
        memcpy(to, row, sizeof *to * (size_t) h->d);
    }
}

// ------------------------------------------------------------------------------ products
// c[6][VF nv] (+)= a[6][k] b[k][.].
V_INLINE void product(int nv, bool add, const float *a, int64_t lda, const float *b,
                      int64_t ldb, float *c, int64_t ldc, int64_t k)
{
    vf acc[MR][NV];
    UNROLL
    for (int r = 0; r < MR; r++) UNROLL
    for (int i = 0; i < nv; i++) acc[r][i] = add ? v_load(c + r * ldc + VF * i) : v_set(0);
    for (int64_t p = 0; p < k; p++) {
        vf x[NV];
        UNROLL
        for (int i = 0; i < nv; i++) x[i] = v_load(b + p * ldb + VF * i);
        UNROLL
        for (int r = 0; r < MR; r++) {
            vf y = v_set(a[r * lda + p]);
            UNROLL
            for (int i = 0; i < nv; i++) acc[r][i] = v_fma(y, x[i], acc[r][i]);
        }
    }
    UNROLL
    for (int r = 0; r < MR; r++) UNROLL
    for (int i = 0; i < nv; i++) v_store(c + r * ldc + VF * i, acc[r][i]);
}

static void product_any(int nv, bool add, const float *a, int64_t lda, const float *b,
                        int64_t ldb, float *c, int64_t ldc, int64_t k)
{
    switch (nv * 2 + add) {
    case 2: product(1, false, a, lda, b, ldb, c, ldc, k); break;
    case 3: product(1, true, a, lda, b, ldb, c, ldc, k); break;
    case 4: product(2, false, a, lda, b, ldb, c, ldc, k); break;
    case 5: product(2, true, a, lda, b, ldb, c, ldc, k); break;
#if NV == 4
    case 6: product(3, false, a, lda, b, ldb, c, ldc, k); break;
    case 7: product(3, true, a, lda, b, ldb, c, ldc, k); break;
    case 8: product(4, false, a, lda, b, ldb, c, ldc, k); break;
    case 9: product(4, true, a, lda, b, ldb, c, ldc, k); break;
#endif
    }
}

// c[6][VF vectors] in products of nearly equal width.
static void product_wide(int vectors, bool add, const float *a, int64_t lda, const float *b,
                         int64_t ldb, float *c, int64_t ldc, int64_t k)
{
    int parts = (vectors + NV - 1) / NV;
    for (int i = 0, at = 0; i < parts; i++) {
        int nv = (vectors - at + parts - i - 1) / (parts - i);
        product_any(nv, add, a, lda, b + at * VF, ldb, c + at * VF, ldc, k);
        at += nv;
    }
}

// ------------------------------------------------------------------------------ softmax
// Largest of a query's scores.
V_INLINE float peak_of(const float *s, int used)
{
    vf a = v_load(s), b = v_load(s + VF);
    for (int j = 2 * VF; j < used; j += 2 * VF) {
        a = v_max(a, v_load(s + j));
        b = v_max(b, v_load(s + j + VF));
    }
    return v_largest(v_max(a, b));
}

// A larger maximum shrinks what a query has gathered so far.
static void raise_peak(const struct work *w, int row, float peak, bool fresh)
{
    float before = w->max[row], *sum = w->sum + row * VF, *o = w->o + (int64_t) row * w->dv;
    if (fresh) v_store(sum, v_set(0));
    if (!(peak > before)) return;
    w->max[row] = peak;
    if (fresh) return;
    vf shrink = v_set(exp2f(before - peak));
    for (int e = 0; e < w->dv; e += VF) v_store(o + e, v_load(o + e) * shrink);
    v_store(sum, v_load(sum) * shrink);
}

// Scores s become weights in place, those from `seen` on zero; adds them to sum.
V_INLINE void weights_of(float *s, int used, int64_t seen, float max, float *sum)
{
    const vf from = v_set(max);
    vf total = v_load(sum);
    int j = 0;
    for (; j + 2 * VF <= seen; j += 2 * VF) {
        vf a = v_exp2(v_load(s + j) - from), b = v_exp2(v_load(s + j + VF) - from);
        total = total + (a + b);
        v_store(s + j, a);
        v_store(s + j + VF, b);
    }
    for (; j < used; j += VF) {
        vf a = v_keep(v_exp2(v_load(s + j) - from), v_first(seen < j ? 0 : seen - j));
        total = total + a;
        v_store(s + j, a);
    }
    v_store(sum, total);
}

// Scores of six queries from `row` on to a tile, of which each sees the first seen[i], become
// weights. Step by step for all six, for they wait for nothing of each other's.
static void weigh(const struct work *w, int row, int tile, int used, const int64_t seen[MR],
                  bool fresh)
{
    float peak[MR];
    for (int i = 0; i < MR; i++) {
        float *s = w->s + i * tile;
        for (int64_t j = seen[i] < 0 ? 0 : seen[i]; j < used; j++) s[j] = -INFINITY;
        peak[i] = peak_of(s, used);
    }
    for (int i = 0; i < MR; i++) raise_peak(w, row + i, peak[i], fresh);
    for (int i = 0; i < MR; i++)
        weights_of(w->s + i * tile, used, seen[i], w->max[row + i], w->sum + (row + i) * VF);
}

// ------------------------------------------------------------------------------ the unit
static void one_tile(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                     int count)
{
    const struct ph_attn_shape *h = u->shape;
    int used = padded(count);
    for (int r = 0; r < u->count; r += MR) {
        int last = r + MR < u->count ? r + MR : u->count;
        if (ph_attn_seen(u, last - 1) <= from) continue;
        ph_attn_fetch(u, from + h->tile, r / MR, (u->count + MR - 1) / MR);
        for (int j = 0; j < used; j += NV * VF) {
            int nv = (used - j) / VF < NV ? (used - j) / VF : NV;
            product_any(nv, false, w->q + (int64_t) r * h->d, h->d, w->k + j, h->tile, w->s + j,
                        h->tile, h->d);
        }
        int64_t seen[MR];
        for (int i = 0; i < MR; i++) {
            seen[i] = ph_attn_seen(u, r + i < last ? r + i : last - 1) - from;
            seen[i] = seen[i] < count ? seen[i] : count;
        }
        weigh(w, r, h->tile, used, seen, from == 0);
        product_wide(w->dv / VF, from > 0, w->s, h->tile, w->v, w->dv,
                     w->o + (int64_t) r * w->dv, w->dv, used);
    }
}

static void put_row(const struct ph_attn_unit *u, const struct work *w, int r)
{
    int64_t at = u->q_at + r * u->shape->c;
    float *o = w->o + (int64_t) r * w->dv;
    const vf inverse = v_set(1 / v_sum(v_load(w->sum + r * VF)));
    for (int e = 0; e < w->dv; e += VF) v_store(o + e, v_load(o + e) * inverse);
    ph_convert(u->out->dtype, (char *) u->out->data + at * (u->out->dtype == PH_F32 ? 4 : 2),
               PH_F32, o, u->shape->d);
}

static void run(const struct ph_attn_unit *u)
{
    struct work w;
    cut(u->shape, u->piece, &w);
    pack_queries(u, &w);
    for (int r = 0; r < u->shape->rows; r++) w.max[r] = -INFINITY;
    int64_t keys = ph_attn_seen(u, u->count - 1);
    for (int64_t from = 0; from < keys; from += u->shape->tile) {
        int count = keys - from < u->shape->tile ? (int) (keys - from) : u->shape->tile;
        pack_keys(u, &w, from, count);
        pack_values(u, &w, from, count);
        one_tile(u, &w, from, count);
    }
    for (int r = 0; r < u->count; r++) put_row(u, &w, r);
}
