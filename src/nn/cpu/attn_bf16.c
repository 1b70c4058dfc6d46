// SPDX-License-Identifier: MIT
// Attention with vdpbf16ps: pairs along what is summed lie together, so queries are read as they
// are, keys packed [d / 2][tile][2], weights made [6][tile], values packed [tile / 2][d][2].
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "nn/cpu/attn.h"
#include "nn/tensor_simd.h"

#define MR       6
#define INLINE   static inline __attribute__((always_inline))
#define LOG2E    1.44269504f
#define ALIGN(n) (((n) + 63) & ~(size_t) 63)

struct work {   // the piece, cut up
    int dq, dv; // d up to a multiple of 2 and of 16
    uint16_t *q, *k, *v, *p;
    float *s, *o, *sum, *max, *row;
};

static size_t cut(const struct ph_attn_shape *h, char *at, struct work *w)
{
    size_t dq = (size_t) (h->d + 1) / 2 * 2, dv = (size_t) (h->d + 15) / 16 * 16;
    size_t rows = (size_t) h->rows, tile = (size_t) h->tile, used = 0;
    *w = (struct work){ .dq = (int) dq, .dv = (int) dv };
#define TAKE(field, n)                                                                         \
    do {                                                                                       \
        w->field = (void *) (at + used);                                                       \
        used += ALIGN((n) * sizeof *w->field);                                                 \
    } while (0)
    TAKE(q, rows * dq);
    TAKE(k, tile * dq);
    TAKE(v, tile * dv);
    TAKE(p, MR * tile);
    TAKE(s, MR * tile);
    TAKE(o, rows * dv);
    TAKE(sum, rows * 16);
    TAKE(max, rows);
    TAKE(row, 2 * dv);
#undef TAKE
    return used;
}

static size_t scratch(const struct ph_attn_shape *shape)
{
    struct work w;
    return cut(shape, NULL, &w);
}

// ------------------------------------------------------------------------------ packing
INLINE __m512i round_pairs(__m512 low, __m512 high)
{
    return (__m512i) _mm512_cvtne2ps_pbh(high, low);
}

// 32 elements from i on of a row of n, zero after its end.
INLINE __m512i load32(enum ph_dtype type, const void *row, int64_t i, int64_t n)
{
    int64_t left = n - i;
    __mmask32 m = left >= 32 ? 0xffffffffu : left <= 0 ? 0 : (1u << left) - 1;
    if (type == PH_BF16) return _mm512_maskz_loadu_epi16(m, (const uint16_t *) row + i);
    const float *x = (const float *) row + i;
    return round_pairs(_mm512_maskz_loadu_ps((__mmask16) m, x),
                       _mm512_maskz_loadu_ps((__mmask16) (m >> 16), x + 16));
}

// Rows and columns of 16 x 16 dwords change places.
INLINE void transpose(__m512i r[16])
{
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 8; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
}

INLINE const void *element(const struct ph_place *p, int64_t i)
{
    return (const char *) p->data + i * (p->dtype == PH_BF16 ? 2 : 4);
}

// A row of q, k or v in a type that load32 knows.
INLINE const void *row_of(const struct ph_place *p, int64_t at, int d, float *spare)
{
    if (p->dtype != PH_F16) return element(p, at);
    ph_convert(PH_F32, spare, PH_F16, (const uint16_t *) p->data + at, d);
    return spare;
}

static enum ph_dtype type_of(const struct ph_place *p)
{
    return p->dtype == PH_BF16 ? PH_BF16 : PH_F32;
}

// Keys as the products take them: two vectors at a time.
static int padded(int count)
{
    return (count + 31) / 32 * 32;
}

static void pack_queries(const struct ph_attn_unit *u, const struct work *w)
{
    const struct ph_attn_shape *h = u->shape;
    int rows = (u->count + MR - 1) / MR * MR;
    for (int r = 0; r < rows; r++) {
        uint16_t *to = w->q + r * w->dq;
        if (r >= u->count) {
            memset(to, 0, sizeof *to * (size_t) w->dq);
            continue;
        }
        const void *from = row_of(u->q, u->q_at + r * h->c, h->d, w->row);
        for (int i = 0; i < w->dq; i += 32) {
            __mmask32 m = w->dq - i >= 32 ? 0xffffffffu : (1u << (w->dq - i)) - 1;
            __m512i x = load32(type_of(u->q), from, i, h->d);
            if (u->scale < 0) x = _mm512_xor_si512(x, _mm512_set1_epi16((short) 0x8000));
            _mm512_mask_storeu_epi16(to + i, m, x);
        }
    }
}

static void pack_keys(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                      int count)
{
    const struct ph_attn_shape *h = u->shape;
    int pairs = w->dq / 2;
    for (int j = 0; j < padded(count); j += 16) {
        for (int p = 0; p < pairs; p += 16) {
            __m512i r[16];
            for (int i = 0; i < 16; i++) {
                int64_t at = u->k_at + (from + j + i) * h->c;
                r[i] = _mm512_setzero_si512();
                if (j + i >= count) continue;
                r[i] = load32(type_of(u->k), row_of(u->k, at, h->d, w->row), 2 * p, h->d);
            }
            transpose(r);
            uint16_t *to = w->k + ((int64_t) p * h->tile + j) * 2;
            int many = pairs - p < 16 ? pairs - p : 16;
            for (int i = 0; i < many; i++)
                _mm512_store_si512(to + (int64_t) i * h->tile * 2, r[i]);
        }
    }
}

static void pack_values(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                        int count)
{
    const struct ph_attn_shape *h = u->shape;
    const __m512i low =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7,
                         38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int j = 0; j < padded(count); j += 2) {
        int64_t at = u->k_at + (from + j) * h->c;
        int n0 = j < count ? h->d : 0, n1 = j + 1 < count ? h->d : 0;
        const void *a = n0 ? row_of(u->v, at, h->d, w->row) : w->row;
        const void *b = n1 ? row_of(u->v, at + h->c, h->d, w->row + w->dv) : w->row;
        uint16_t *to = w->v + (int64_t) j * w->dv;
        for (int e = 0; e < w->dv; e += 32) {
            __m512i x = load32(type_of(u->v), a, e, n0), y = load32(type_of(u->v), b, e, n1);
            _mm512_store_si512(to + e * 2, _mm512_permutex2var_epi16(x, low, y));
            if (e + 16 < w->dv)
                _mm512_store_si512(to + e * 2 + 32, _mm512_permutex2var_epi16(x, high, y));
        }
    }
}

// ------------------------------------------------------------------------------ products
// c[6][16 nv] (+)= a[6][2 pairs] b[pairs][.][2]; lda in elements, ldb and ldc in dwords.
INLINE void product(int nv, bool add, const uint16_t *a, int64_t lda, const uint16_t *b,
                    int64_t ldb, float *c, int64_t ldc, int64_t pairs)
{
    __m512 acc[MR][4];
    for (int r = 0; r < MR; r++)
        for (int i = 0; i < nv; i++)
            acc[r][i] = add ? _mm512_load_ps(c + r * ldc + 16 * i) : _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; p++) {
        __m512bh x[4];
        for (int i = 0; i < nv; i++)
            x[i] = (__m512bh) _mm512_load_si512(b + (p * ldb + 16 * i) * 2);
        for (int r = 0; r < MR; r++) {
            int pair;
            memcpy(&pair, a + r * lda + 2 * p, sizeof pair);
            __m512bh y = (__m512bh) _mm512_set1_epi32(pair);
            for (int i = 0; i < nv; i++) acc[r][i] = _mm512_dpbf16_ps(acc[r][i], y, x[i]);
        }
    }
    for (int r = 0; r < MR; r++)
        for (int i = 0; i < nv; i++) _mm512_store_ps(c + r * ldc + 16 * i, acc[r][i]);
}

static void product_any(int nv, bool add, const uint16_t *a, int64_t lda, const uint16_t *b,
                        int64_t ldb, float *c, int64_t ldc, int64_t pairs)
{
    switch (nv * 2 + add) {
    case 2: product(1, false, a, lda, b, ldb, c, ldc, pairs); break;
    case 3: product(1, true, a, lda, b, ldb, c, ldc, pairs); break;
    case 4: product(2, false, a, lda, b, ldb, c, ldc, pairs); break;
    case 5: product(2, true, a, lda, b, ldb, c, ldc, pairs); break;
    case 6: product(3, false, a, lda, b, ldb, c, ldc, pairs); break;
    case 7: product(3, true, a, lda, b, ldb, c, ldc, pairs); break;
    case 8: product(4, false, a, lda, b, ldb, c, ldc, pairs); break;
    default: product(4, true, a, lda, b, ldb, c, ldc, pairs); break;
    }
}

// ------------------------------------------------------------------------------ softmax
// 2^x for x <= 0 to 1e-4, which the rounding to bf16 hides; NaN stays.
INLINE __m512 exp2_rough(__m512 x)
{
    const __m512 magic = _mm512_set1_ps(12582912.0f);
    x = _mm512_max_ps(_mm512_set1_ps(-150), x);
    __m512 n = _mm512_sub_ps(_mm512_add_ps(x, magic), magic), r = _mm512_sub_ps(x, n);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.0558382832f), r, _mm512_set1_ps(0.242639482f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693136752f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999924541f));
    return _mm512_scalef_ps(p, n);
}

INLINE __mmask16 lanes(int64_t n)
{
    return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16) ((1u << n) - 1);
}

// Scores of one query to a tile, of which it sees the first `seen`, become weights. `tile` is a
// multiple of 32; max is that of scores times `scale`.
static void weigh(const float *s, int tile, int64_t seen, float scale, float *max, float *sum,
                  float *o, int dv, bool fresh, uint16_t *p)
{
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    __m512 most = lowest;
    bool whole = seen >= tile;
    for (int j = 0; j < tile; j += 16) {
        __m512 x =
            whole ? _mm512_load_ps(s + j) : _mm512_mask_load_ps(lowest, lanes(seen - j), s + j);
        most = _mm512_max_ps(most, x);
    }
    float peak = _mm512_reduce_max_ps(most) * scale, before = *max;
    __m512 total = fresh ? _mm512_setzero_ps() : _mm512_load_ps(sum);
    if (peak > before) {
        *max = peak;
        __m512 shrink = _mm512_set1_ps(exp2f(before - peak));
        for (int e = 0; e < dv && !fresh; e += 16)
            _mm512_store_ps(o + e, _mm512_mul_ps(_mm512_load_ps(o + e), shrink));
        total = _mm512_mul_ps(total, shrink);
    }
    const __m512 factor = _mm512_set1_ps(scale), from = _mm512_set1_ps(-*max);
    for (int j = 0; j < tile; j += 32) {
        __m512 a = exp2_rough(_mm512_fmadd_ps(_mm512_load_ps(s + j), factor, from));
        __m512 b = exp2_rough(_mm512_fmadd_ps(_mm512_load_ps(s + j + 16), factor, from));
        if (!whole) {
            a = _mm512_maskz_mov_ps(lanes(seen - j), a);
            b = _mm512_maskz_mov_ps(lanes(seen - j - 16), b);
        }
        total = _mm512_add_ps(total, _mm512_add_ps(a, b));
        _mm512_store_si512(p + j, round_pairs(a, b));
    }
    _mm512_store_ps(sum, total);
}

// ------------------------------------------------------------------------------ the unit
static void one_tile(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                     int count)
{
    const struct ph_attn_shape *h = u->shape;
    int used = padded(count), vectors = w->dv / 16, parts = (vectors + 3) / 4;
    float scale = fabsf(u->scale) * LOG2E;
    for (int r = 0; r < u->count; r += MR) {
        int last = r + MR < u->count ? r + MR : u->count;
        if (ph_attn_seen(u, last - 1) <= from) continue;
        for (int j = 0; j < used; j += 64)
            product_any(used - j < 64 ? 2 : 4, false, w->q + r * w->dq, w->dq, w->k + j * 2,
                        h->tile, w->s + j, h->tile, w->dq / 2);
        for (int i = 0; i < MR; i++) {
            int row = r + i;
            int64_t seen = ph_attn_seen(u, row < last ? row : last - 1) - from;
            weigh(w->s + i * h->tile, used, seen < count ? seen : count, scale, &w->max[row],
                  w->sum + row * 16, w->o + (int64_t) row * w->dv, w->dv, from == 0,
                  w->p + i * h->tile);
        }
        for (int i = 0, at = 0; i < parts; i++) {
            int nv = (vectors - at + parts - i - 1) / (parts - i);
            product_any(nv, from > 0, w->p, h->tile, w->v + at * 32, w->dv,
                        w->o + (int64_t) r * w->dv + at * 16, w->dv, used / 2);
            at += nv;
        }
    }
}

static void put_row(const struct ph_attn_unit *u, const struct work *w, int r)
{
    int64_t at = u->q_at + r * u->shape->c;
    const __m512 inverse =
        _mm512_set1_ps(1 / _mm512_reduce_add_ps(_mm512_load_ps(w->sum + r * 16)));
    float *o = w->o + (int64_t) r * w->dv;
    for (int e = 0; e < w->dv; e += 16)
        _mm512_store_ps(o + e, _mm512_mul_ps(_mm512_load_ps(o + e), inverse));
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

const struct ph_attn_ops ph_attn_bf16 = { "bf16", scratch, run };
