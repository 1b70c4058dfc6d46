// SPDX-License-Identifier: MIT
// Resize and Gaussian kernels for PH_VEC; see vec.h and the truth in resize.c.
#include "image/vec.h"

static struct ph_image_ops plain;

static inline vec scale_sum(vec sum, fvec scale)
{
    return V(cvtps_epi32)(V(mul_ps)(V(cvtepi32_ps)(sum), scale));
}

// --- down the rows

// Sums of rows k and k + 1 for VB elements: sum[i] holds four of each lane's sixteen.
static inline void add_pair_u8(vec sum[4], const uint8_t *a, const uint8_t *b, vec weight)
{
    const vec zero = VBITS(setzero)();
    vec va = vload(a), vb = vload(b);
    vec lo = V(unpacklo_epi8)(va, vb), hi = V(unpackhi_epi8)(va, vb);
    sum[0] = V(add_epi32)(sum[0], V(madd_epi16)(V(unpacklo_epi8)(lo, zero), weight));
    sum[1] = V(add_epi32)(sum[1], V(madd_epi16)(V(unpackhi_epi8)(lo, zero), weight));
    sum[2] = V(add_epi32)(sum[2], V(madd_epi16)(V(unpacklo_epi8)(hi, zero), weight));
    sum[3] = V(add_epi32)(sum[3], V(madd_epi16)(V(unpackhi_epi8)(hi, zero), weight));
}

static void rows_u8(int16_t *d, const uint8_t *const *rows, const int16_t *weights, int taps,
                    int n, float scale)
{
    const fvec factor = V(set1_ps)(scale);
    FOR_OVERLAPPED(i, VB, n)
    {
        vec sum[4] = { VBITS(setzero)(), VBITS(setzero)(), VBITS(setzero)(), VBITS(setzero)() };
        for (int k = 0; k < taps; k += 2)
            add_pair_u8(sum, rows[k] + i, rows[k + 1] + i, vpair(weights[k], weights[k + 1]));
        vec lo = V(packs_epi32)(scale_sum(sum[0], factor), scale_sum(sum[1], factor));
        vec hi = V(packs_epi32)(scale_sum(sum[2], factor), scale_sum(sum[3], factor));
        vstore_zipped(d + i, lo, hi);
    }
    if (n < VB) plain.rows_u8(d, rows, weights, taps, n, scale);
}

static inline void add_pair_s16(vec sum[2], const int16_t *a, const int16_t *b, vec weight)
{
    vec va = vload(a), vb = vload(b);
    sum[0] = V(add_epi32)(sum[0], V(madd_epi16)(V(unpacklo_epi16)(va, vb), weight));
    sum[1] = V(add_epi32)(sum[1], V(madd_epi16)(V(unpackhi_epi16)(va, vb), weight));
}

static void rows_s16(uint8_t *d, const int16_t *const *rows, const int16_t *weights, int taps,
                     int n, float scale)
{
    const fvec factor = V(set1_ps)(scale);
    FOR_OVERLAPPED(i, VB, n)
    {
        vec sum[4] = { VBITS(setzero)(), VBITS(setzero)(), VBITS(setzero)(), VBITS(setzero)() };
        for (int k = 0; k < taps; k += 2) {
            vec weight = vpair(weights[k], weights[k + 1]);
            add_pair_s16(sum, rows[k] + i, rows[k + 1] + i, weight);
            add_pair_s16(sum + 2, rows[k] + i + VB / 2, rows[k + 1] + i + VB / 2, weight);
        }
        vec lo = V(packs_epi32)(scale_sum(sum[0], factor), scale_sum(sum[1], factor));
        vec hi = V(packs_epi32)(scale_sum(sum[2], factor), scale_sum(sum[3], factor));
        vstore(d + i, vunpack_order(V(packus_epi16)(lo, hi)));
    }
    if (n < VB) plain.rows_s16(d, rows, weights, taps, n, scale);
}

static void rows_f32(float *d, const float *const *rows, const float *weights, int taps, int n)
{
    FOR_OVERLAPPED(i, 2 * VPX, n)
    {
        fvec w = V(set1_ps)(weights[0]);
        fvec a = V(mul_ps)(vloadf(rows[0] + i), w), b = V(mul_ps)(vloadf(rows[0] + i + VPX), w);
        for (int k = 1; k < taps; k++) {
            w = V(set1_ps)(weights[k]);
            a = V(add_ps)(a, V(mul_ps)(vloadf(rows[k] + i), w));
            b = V(add_ps)(b, V(mul_ps)(vloadf(rows[k] + i + VPX), w));
        }
        V(storeu_ps)(d + i, a);
        V(storeu_ps)(d + i + VPX, b);
    }
    if (n < 2 * VPX) plain.rows_f32(d, rows, weights, taps, n);
}

// --- along a row

enum { ALONG = VB / 16 }; // pixels at a time: one in each lane

// Two neighbouring pixels for each output, their channels side by side.
static inline vec load_pairs(const int16_t *s, const int32_t *start)
{
#if PH_VEC == 512
    vec v = _mm512_castsi128_si512(_mm_loadu_si128((const void *) (s + 4 * start[0])));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *) (s + 4 * start[1])), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *) (s + 4 * start[2])), 2);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *) (s + 4 * start[3])), 3);
#else
    vec v = _mm256_castsi128_si256(_mm_loadu_si128((const void *) (s + 4 * start[0])));
    v = _mm256_inserti128_si256(v, _mm_loadu_si128((const void *) (s + 4 * start[1])), 1);
#endif
    const __m128i order = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
#if PH_VEC == 512
    return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(order));
#else
    return _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(order));
#endif
}

// A pair of weights for each output, four times.
static inline vec load_weights(const int16_t *w)
{
#if PH_VEC == 512
    const vec spread = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_permutexvar_epi32(spread,
                                    _mm512_castsi128_si512(_mm_loadu_si128((const void *) w)));
#else
    const vec spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return _mm256_permutevar8x32_epi32(
        _mm256_castsi128_si256(_mm_loadl_epi64((const void *) w)), spread);
#endif
}

static inline vec along_sum(const int16_t *s, const int32_t *start, const int16_t *weights,
                            int pitch, int taps)
{
    vec sum = V(madd_epi16)(load_pairs(s, start), load_weights(weights));
    for (int k = 2; k < taps; k += 2) {
        weights += 2 * pitch;
        sum = V(add_epi32)(sum,
                           V(madd_epi16)(load_pairs(s + 4 * k, start), load_weights(weights)));
    }
    return sum;
}

// Start and weights are valid up to the pitch, so that the last group may compute pixels that do
// not exist; only what exists is stored.
static void along_s16(uint8_t *d, const int16_t *s, const int32_t *start,
                      const int16_t *weights, int pitch, int taps, int n, float scale)
{
    const fvec factor = V(set1_ps)(scale);
    for (int x = 0; x < n; x += ALONG) {
        uint8_t last[4 * ALONG];
        bool whole = x + ALONG <= n;
        vec v = scale_sum(along_sum(s, start + x, weights + 2 * x, pitch, taps), factor);
#if PH_VEC == 512
        v = _mm512_max_epi32(v, _mm512_setzero_si512());
#endif
        vstore_32_8(whole ? d + 4 * x : last, v);
        if (!whole) memcpy(d + 4 * x, last, 4 * (size_t) (n - x));
    }
}

static inline fvec gather(const float *s, vec at)
{
#if PH_VEC == 512
    return _mm512_i32gather_ps(at, s, 4);
#else
    return _mm256_i32gather_ps(s, at, 4);
#endif
}

static void along_f32(float *d, const float *s, const int32_t *start, const float *weights,
                      int pitch, int taps, int n)
{
    for (int x = 0; x < n; x += VPX) {
        vec at = vload(start + x);
        fvec sum = V(mul_ps)(gather(s, at), vloadf(weights + x));
        for (int k = 1; k < taps; k++)
            sum = V(add_ps)(sum, V(mul_ps)(gather(s + k, at), vloadf(weights + k * pitch + x)));
        float last[VPX];
        if (x + VPX <= n) {
            V(storeu_ps)(d + x, sum);
            continue;
        }
        V(storeu_ps)(last, sum);
        memcpy(d + x, last, sizeof *d * (size_t) (n - x));
    }
}

void PH_NAME(ph_init_resize)(struct ph_image_ops *o)
{
    plain = *o;
    o->rows_u8 = rows_u8;
    o->rows_s16 = rows_s16;
    o->rows_f32 = rows_f32;
    o->along_s16 = along_s16;
    o->along_f32 = along_f32;
}
