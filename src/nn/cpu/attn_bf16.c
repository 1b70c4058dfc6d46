// SPDX-License-Identifier: MIT
// Attention with vdpbf16ps: pairs along what is summed lie together, so queries are read as they
// are, keys packed [d / 2][tile][2], weights made [6][tile], values packed [tile / 2][d][2].
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "nn/cpu/attn.h"
#include "nn/cpu/transpose.h"
#include "nn/tensor_simd.h"

#define MR 6
// Sums live in registers only when loops over them are gone early.
#define UNROLL   _Pragma("GCC unroll 16")
#define INLINE   static inline __attribute__((always_inline))
#define LOG2E    1.44269504f
#define ALIGN(n) (((n) + 63) & ~(size_t) 63)

struct work {   // the piece, cut up
    int dq, dv; // d up to a multiple of 2 and of 16
    bool half;  // of the last vector of values only 8 are used: it holds them twice
    uint16_t *q, *k, *v, *p;
    float *s, *o, *sum, *max, *row;
};

static size_t cut(const struct ph_attn_shape *h, char *at, struct work *w)
{
    size_t dq = (size_t) (h->d + 1) / 2 * 2, dv = (size_t) (h->d + 15) / 16 * 16;
    size_t rows = (size_t) h->rows, tile = (size_t) h->tile, used = 0;
    *w = (struct work){ .dq = (int) dq, .dv = (int) dv };
    w->half = h->d <= 40 && (h->d - 1) % 16 < 8;
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

// 32 elements from i on of a row of n, zero after its end. Loads of whole pairs where they will
// do: those of single 16-bit elements are slow.
INLINE __m512i load32(enum ph_dtype type, const void *row, int64_t i, int64_t n)
{
    int64_t left = n - i < 32 ? n - i : 32;
    if (left <= 0) return _mm512_setzero_si512();
    if (type == PH_BF16) {
        const uint16_t *x = (const uint16_t *) row + i;
        if (left == 32) return _mm512_loadu_si512(x);
        if (left % 2) return _mm512_maskz_loadu_epi16((1u << left) - 1, x);
        return _mm512_maskz_loadu_epi32((__mmask16) ((1u << left / 2) - 1), x);
    }
    const float *x = (const float *) row + i;
    __mmask32 m = left == 32 ? 0xffffffffu : (1u << left) - 1;
    return round_pairs(_mm512_maskz_loadu_ps((__mmask16) m, x),
                       _mm512_maskz_loadu_ps((__mmask16) (m >> 16), x + 16));
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
        __builtin_prefetch((const char *) from + 8 * h->c * (u->q->dtype == PH_F32 ? 4 : 2));
        for (int i = 0; i < w->dq; i += 32) {
            __mmask16 m = w->dq - i >= 32 ? 0xffff : (__mmask16) ((1u << (w->dq - i) / 2) - 1);
            __m512i x = load32(type_of(u->q), from, i, h->d);
            if (u->scale < 0) x = _mm512_xor_si512(x, _mm512_set1_epi16((short) 0x8000));
            _mm512_mask_storeu_epi32(to + i, m, x);
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
            ph_transpose(r);
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
        for (int e = 0; e < w->dv; e += 16) {
            __m512i x = load32(type_of(u->v), a, e / 32 * 32, n0);
            __m512i y = load32(type_of(u->v), b, e / 32 * 32, n1);
            __m512i both = _mm512_permutex2var_epi16(x, e % 32 ? high : low, y);
            if (w->half && e + 16 == w->dv) both = _mm512_shuffle_i64x2(both, both, 0x44);
            _mm512_store_si512(to + e * 2, both);
        }
    }
}

// ------------------------------------------------------------------------------ products
INLINE __m512bh broadcast_pair(const uint16_t *a)
{
    int pair;
    memcpy(&pair, a, sizeof pair);
    return (__m512bh) _mm512_set1_epi32(pair);
}

// c[6][16 nv] (+)= a[6][2 pairs] b[pairs][.][2]; lda in elements, ldb and ldc in dwords.
INLINE void product(int nv, bool add, const uint16_t *a, int64_t lda, const uint16_t *b,
                    int64_t ldb, float *c, int64_t ldc, int64_t pairs)
{
    __m512 acc[MR][4];
    UNROLL
    for (int r = 0; r < MR; r++) UNROLL
    for (int i = 0; i < nv; i++)
        acc[r][i] = add ? _mm512_load_ps(c + r * ldc + 16 * i) : _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; p++) {
        __m512bh x[4];
        UNROLL
        for (int i = 0; i < nv; i++)
            x[i] = (__m512bh) _mm512_load_si512(b + (p * ldb + 16 * i) * 2);
        UNROLL
        for (int r = 0; r < MR; r++) {
            __m512bh y = broadcast_pair(a + r * lda + 2 * p);
            UNROLL
            for (int i = 0; i < nv; i++) acc[r][i] = _mm512_dpbf16_ps(acc[r][i], y, x[i]);
        }
    }
    UNROLL
    for (int r = 0; r < MR; r++) UNROLL
    for (int i = 0; i < nv; i++) _mm512_store_ps(c + r * ldc + 16 * i, acc[r][i]);
}

// The same with 8 more columns, which b has twice in its last vector: two rows share a sum.
INLINE void product_half(int nv, bool add, const uint16_t *a, int64_t lda, const uint16_t *b,
                         int64_t ldb, float *c, int64_t ldc, int64_t pairs)
{
    __m512 acc[MR][2], two[MR / 2], zero = _mm512_setzero_ps();
    UNROLL
    for (int r = 0; r < MR; r++) {
        float *rest = c + r * ldc + 16 * nv;
        UNROLL
        for (int i = 0; i < nv; i++)
            acc[r][i] = add ? _mm512_load_ps(c + r * ldc + 16 * i) : zero;
        if (r % 2) continue;
        __m512 low = _mm512_castps256_ps512(_mm256_load_ps(rest));
        two[r / 2] = add ? _mm512_insertf32x8(low, _mm256_load_ps(rest + ldc), 1) : zero;
    }
    for (int64_t p = 0; p < pairs; p++) {
        __m512bh x[3];
        UNROLL
        for (int i = 0; i <= nv; i++)
            x[i] = (__m512bh) _mm512_load_si512(b + (p * ldb + 16 * i) * 2);
        UNROLL
        for (int r = 0; r < MR; r += 2) {
            __m512bh y = broadcast_pair(a + r * lda + 2 * p);
            __m512bh z = broadcast_pair(a + (r + 1) * lda + 2 * p);
            __asm__("" : "+v"(y), "+v"(z)); // one load each
            UNROLL
            for (int i = 0; i < nv; i++) {
                acc[r][i] = _mm512_dpbf16_ps(acc[r][i], y, x[i]);
                acc[r + 1][i] = _mm512_dpbf16_ps(acc[r + 1][i], z, x[i]);
            }
            y = (__m512bh) _mm512_mask_mov_epi32((__m512i) y, 0xff00, (__m512i) z);
            two[r / 2] = _mm512_dpbf16_ps(two[r / 2], y, x[nv]);
        }
    }
    UNROLL
    for (int r = 0; r < MR; r++) {
        float *rest = c + r * ldc + 16 * nv;
        UNROLL
        for (int i = 0; i < nv; i++) _mm512_store_ps(c + r * ldc + 16 * i, acc[r][i]);
        _mm256_store_ps(rest, r % 2 ? _mm512_extractf32x8_ps(two[r / 2], 1)
                                    : _mm512_castps512_ps256(two[r / 2]));
    }
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

static void half_any(int nv, bool add, const uint16_t *a, int64_t lda, const uint16_t *b,
                     int64_t ldb, float *c, int64_t ldc, int64_t pairs)
{
    switch (nv * 2 + add) {
    case 0: product_half(0, false, a, lda, b, ldb, c, ldc, pairs); break;
    case 1: product_half(0, true, a, lda, b, ldb, c, ldc, pairs); break;
    case 2: product_half(1, false, a, lda, b, ldb, c, ldc, pairs); break;
    case 3: product_half(1, true, a, lda, b, ldb, c, ldc, pairs); break;
    case 4: product_half(2, false, a, lda, b, ldb, c, ldc, pairs); break;
    default: product_half(2, true, a, lda, b, ldb, c, ldc, pairs); break;
    }
}

// ------------------------------------------------------------------------------ softmax
// 2^x to 1e-4, which the rounding to bf16 hides; NaN stays. scalef takes the whole part of x by
// itself. Several at once, for one alone would wait for its own results.
INLINE void exp2_rough(__m512 *x, int count)
{
    __m512 f[4], p[4];
    UNROLL
    for (int i = 0; i < count; i++)
        f[i] = _mm512_reduce_ps(x[i], _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    UNROLL
    for (int i = 0; i < count; i++)
        p[i] = _mm512_fmadd_ps(_mm512_set1_ps(0.07802452f), f[i], _mm512_set1_ps(0.226067159f));
    UNROLL
    for (int i = 0; i < count; i++)
        p[i] = _mm512_fmadd_ps(p[i], f[i], _mm512_set1_ps(0.695833539f));
    UNROLL
    for (int i = 0; i < count; i++) {
        p[i] = _mm512_fmadd_ps(p[i], f[i], _mm512_set1_ps(0.999925219f));
        x[i] = _mm512_scalef_ps(p[i], x[i]);
    }
}

INLINE __mmask16 lanes(int64_t n)
{
    return n >= 16 ? 0xffff : n <= 0 ? 0 : (__mmask16) ((1u << n) - 1);
}

INLINE __m512 load_seen(const float *s, int64_t seen, bool whole)
{
    const __m512 lowest = _mm512_set1_ps(-INFINITY);
    return whole ? _mm512_load_ps(s) : _mm512_mask_load_ps(lowest, lanes(seen), s);
}

// Largest of a query's scores to a tile.
INLINE float peak_of(const float *s, int tile, int64_t seen, bool whole)
{
    __m512 a = load_seen(s, seen, whole), b = load_seen(s + 16, seen - 16, whole);
    for (int j = 32; j < tile; j += 32) {
        a = _mm512_max_ps(a, load_seen(s + j, seen - j, whole));
        b = _mm512_max_ps(b, load_seen(s + j + 16, seen - j - 16, whole));
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(a, b));
}

// Scores s times scale less max become weights p, which are added to sum as they are rounded: by
// products with one, for which there is more room than for sums.
INLINE void weights_of(const float *s, int count, int64_t seen, bool whole, float scale,
                       float max, uint16_t *p, __m512 sum[2])
{
    const __m512bh ones = (__m512bh) _mm512_set1_epi16(0x3f80);
    const __m512 factor = _mm512_set1_ps(scale), from = _mm512_set1_ps(-max);
    __m512 x[4];
    UNROLL
    for (int i = 0; i < count; i++)
        x[i] = _mm512_fmadd_ps(_mm512_load_ps(s + 16 * i), factor, from);
    exp2_rough(x, count);
    UNROLL
    for (int i = 0; i < count; i++)
        if (!whole) x[i] = _mm512_maskz_mov_ps(lanes(seen - 16 * i), x[i]);
    UNROLL
    for (int i = 0; i < count; i += 2) {
        __m512i pairs = round_pairs(x[i], x[i + 1]);
        sum[i / 2] = _mm512_dpbf16_ps(sum[i / 2], (__m512bh) pairs, ones);
        _mm512_store_si512(p + 16 * i, pairs);
    }
}

// A larger maximum shrinks what a query has gathered so far.
INLINE void raise_peak(const struct work *w, int row, float peak, bool fresh)
{
    float before = w->max[row], *sum = w->sum + row * 16, *o = w->o + (int64_t) row * w->dv;
    if (fresh) _mm512_store_ps(sum, _mm512_setzero_ps());
    if (!(peak > before)) return;
    w->max[row] = peak;
    if (fresh) return;
    __m512 shrink = _mm512_set1_ps(exp2f(before - peak));
    for (int e = 0; e < w->dv; e += 16)
        _mm512_store_ps(o + e, _mm512_mul_ps(_mm512_load_ps(o + e), shrink));
    _mm512_store_ps(sum, _mm512_mul_ps(_mm512_load_ps(sum), shrink));
}

// A query's scores s to a tile of `used` keys (a multiple of 32), of which it sees the first `seen`,
// become weights; their sum.
INLINE __m512 weigh_query(const float *s, uint16_t *p, int used, int64_t seen, bool whole,
                          float scale, float max)
{
    __m512 total[2] = { _mm512_setzero_ps(), _mm512_setzero_ps() };
    int j = 0;
    for (; j + 64 <= used; j += 64)
        weights_of(s + j, 4, seen - j, whole, scale, max, p + j, total);
    if (j < used) weights_of(s + j, 2, seen - j, whole, scale, max, p + j, total);
    return _mm512_add_ps(total[0], total[1]);
}

INLINE void find_peak(const struct work *w, int row, int i, int tile, int used, int64_t seen,
                      bool whole, float scale, bool fresh)
{
    raise_peak(w, row + i, peak_of(w->s + i * tile, used, seen, whole) * scale, fresh);
}

// Scores of six queries from `row` on. The maximum need not be one, since weights are floats: that
// of the first tile does until weights are so much larger that sums of them might overflow. The
// comparison is also true of NaN.
INLINE void weigh(const struct work *w, int row, int tile, int used, const int64_t seen[MR],
                  bool whole, float scale, bool fresh)
{
    const __m512 most = _mm512_set1_ps(0x1p40f);
    for (int i = 0; i < MR && fresh; i++)
        find_peak(w, row, i, tile, used, seen[i], whole, scale, true);
    for (int i = 0; i < MR; i++) {
        const float *s = w->s + i * tile, *max = &w->max[row + i];
        uint16_t *p = w->p + i * tile;
        float *sum = w->sum + (row + i) * 16;
        __m512 part = weigh_query(s, p, used, seen[i], whole, scale, *max);
        if (!fresh && _mm512_cmp_ps_mask(part, most, _CMP_NLT_UQ)) {
            find_peak(w, row, i, tile, used, seen[i], whole, scale, false);
            part = weigh_query(s, p, used, seen[i], whole, scale, *max);
        }
        _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), part));
    }
}

// ------------------------------------------------------------------------------ the unit
// Weights times values of a tile: what six queries from `row` on gather.
static void gather(const struct work *w, int row, int tile, int pairs, bool add)
{
    float *o = w->o + (int64_t) row * w->dv;
    int vectors = w->dv / 16, parts = (vectors + 3) / 4;
    if (w->half) {
        half_any(vectors - 1, add, w->p, tile, w->v, w->dv, o, w->dv, pairs);
        return;
    }
    for (int i = 0, at = 0; i < parts; i++) {
        int nv = (vectors - at + parts - i - 1) / (parts - i);
        product_any(nv, add, w->p, tile, w->v + at * 32, w->dv, o + at * 16, w->dv, pairs);
        at += nv;
    }
}

static void one_tile(const struct ph_attn_unit *u, const struct work *w, int64_t from,
                     int count)
{
    const struct ph_attn_shape *h = u->shape;
    int used = padded(count);
    float scale = fabsf(u->scale) * LOG2E;
    for (int r = 0; r < u->count; r += MR) {
        int last = r + MR < u->count ? r + MR : u->count;
        if (ph_attn_seen(u, last - 1) <= from) continue;
        ph_attn_fetch(u, from + h->tile, r / MR, (u->count + MR - 1) / MR);
        for (int j = 0; j < used; j += 64)
            product_any(used - j < 64 ? 2 : 4, false, w->q + r * w->dq, w->dq, w->k + j * 2,
                        h->tile, w->s + j, h->tile, w->dq / 2);
        int64_t seen[MR];
        bool whole = true;
        for (int i = 0; i < MR; i++) {
            seen[i] = ph_attn_seen(u, r + i < last ? r + i : last - 1) - from;
            seen[i] = seen[i] < count ? seen[i] : count;
            whole = whole && seen[i] >= used;
        }
        if (whole)
            weigh(w, r, h->tile, used, seen, true, scale, from == 0);
        else
            weigh(w, r, h->tile, used, seen, false, scale, from == 0);
        gather(w, r, h->tile, used / 2, from > 0);
    }
}

// Up to 16 sums to the output.
INLINE void put16(const struct ph_place *out, int64_t at, __m512 x, int count)
{
    if (out->dtype == PH_F32) {
        _mm512_mask_storeu_ps((float *) out->data + at, lanes(count), x);
        return;
    }
    uint16_t part[16], *to = (uint16_t *) out->data + at;
    if (out->dtype == PH_BF16) {
        __m256i h = (__m256i) _mm512_cvtneps_pbh(x);
        if (count >= 16)
            _mm256_storeu_si256((__m256i *) to, h);
        else if (count == 8)
            _mm_storeu_si128((__m128i *) to, _mm256_castsi256_si128(h));
        else
            _mm256_storeu_si256((__m256i *) part, h);
        if (count >= 16 || count == 8) return;
    } else {
        _mm256_storeu_si256((__m256i *) part, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    }
    memcpy(to, part, sizeof *to * (size_t) (count < 16 ? count : 16));
}

static void put_row(const struct ph_attn_unit *u, const struct work *w, int r)
{
    int64_t at = u->q_at + r * u->shape->c;
    const float *o = w->o + (int64_t) r * w->dv;
    const __m512 inverse =
        _mm512_set1_ps(1 / _mm512_reduce_add_ps(_mm512_load_ps(w->sum + r * 16)));
    for (int e = 0; e < w->dv; e += 16)
        put16(u->out, at + e, _mm512_mul_ps(_mm512_load_ps(o + e), inverse), u->shape->d - e);
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
