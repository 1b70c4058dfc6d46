// SPDX-License-Identifier: MIT
// Depth maps and their points for PH_VEC; see vec.h and the truth in depth.c, steady.c, cloud.c.
#include "image/vec.h"

#include "image/depth.h"

#include <math.h>

static struct ph_image_ops plain;

static inline fvec vsetf(float v)
{
    return V(set1_ps)(v);
}

static inline fvec vabsf(fvec v)
{
    return V(andnot_ps)(vsetf(-0.0f), v);
}

#if PH_VEC == 512
typedef __mmask16 fmask;
#define FCMP(a, b, op) _mm512_cmp_ps_mask(a, b, op)

static inline fmask mand(fmask a, fmask b)
{
    return _kand_mask16(a, b);
}

static inline fmask mor(fmask a, fmask b)
{
    return _kor_mask16(a, b);
}

static inline fvec vselect(fmask m, fvec yes, fvec no)
{
    return _mm512_mask_blend_ps(m, no, yes);
}

static inline int mcount(fmask m)
{
    return __builtin_popcount(m);
}
#else
typedef __m256 fmask;
#define FCMP(a, b, op) _mm256_cmp_ps(a, b, op)

static inline fmask mand(fmask a, fmask b)
{
    return _mm256_and_ps(a, b);
}

static inline fmask mor(fmask a, fmask b)
{
    return _mm256_or_ps(a, b);
}

static inline fvec vselect(fmask m, fvec yes, fvec no)
{
    return _mm256_blendv_ps(no, yes, m);
}

static inline int mcount(fmask m)
{
    return __builtin_popcount((unsigned) _mm256_movemask_ps(m));
}
#endif

// --- which pixels to believe

static inline fmask there(fvec z)
{
    return mand(FCMP(z, vsetf(0), _CMP_GT_OQ), FCMP(z, vsetf(INFINITY), _CMP_LT_OQ));
}

static inline fmask step_bad(fvec z, fvec neighbour, fvec limit)
{
    return mand(there(neighbour), FCMP(vabsf(V(sub_ps)(z, neighbour)), limit, _CMP_NLE_UQ));
}

static inline fvec keep_vec(const float *up, const float *z, const float *down, fmask sure,
                            const struct ph_depth_rule *r)
{
    fvec v = vloadf(z), limit = V(mul_ps)(vsetf(r->edge), v);
    fmask ok = mand(mand(there(v), sure), mand(FCMP(v, vsetf(r->near), _CMP_GE_OQ),
                                               FCMP(v, vsetf(r->far), _CMP_LE_OQ)));
    fmask bad = mor(mor(step_bad(v, vloadf(z - 1), limit), step_bad(v, vloadf(z + 1), limit)),
                    mor(step_bad(v, vloadf(up), limit), step_bad(v, vloadf(down), limit)));
    return vselect(bad, vsetf(0), vselect(ok, v, vsetf(0)));
}

static void depth_keep(float *d, const float *up, const float *z, const float *down,
                       const float *confidence, int x0, int x1, int w,
                       const struct ph_depth_rule *r)
{
    int x = x0 > 1 ? x0 : 1;
    plain.depth_keep(d, up, z, down, confidence, x0, x < x1 ? x : x1, w, r);
    for (; x + VPX <= x1 && x + VPX < w; x += VPX) {
        fvec c = confidence ? vloadf(confidence + x) : vsetf(0);
        fvec least = vsetf(confidence ? r->confidence : 0);
        V(storeu_ps)(d + x, keep_vec(up + x, z + x, down + x, FCMP(c, least, _CMP_GE_OQ), r));
    }
    if (x < x1) plain.depth_keep(d, up, z, down, confidence, x, x1, w, r);
}

static void depth_metres(float *d, const float *s, int n, const struct ph_depth_line *l)
{
    int x = 0;
    for (; x + VPX <= n; x += VPX) {
        fvec v = vloadf(s + x);
        // max and min give their second operand where the first is no number
        fvec dn = V(max_ps)(V(mul_ps)(V(sub_ps)(v, vsetf(l->lo)), vsetf(l->gain)), vsetf(0));
        dn = V(min_ps)(dn, vsetf(1));
        fvec z = V(add_ps)(V(mul_ps)(dn, vsetf(l->slope)), vsetf(l->floor));
        z = V(div_ps)(vsetf(1), z);
        fmask known = FCMP(vabsf(v), vsetf(INFINITY), _CMP_LT_OQ);
        V(storeu_ps)(d + x, vselect(known, z, vsetf(0)));
    }
    plain.depth_metres(d + x, s + x, n - x, l);
}

// --- still pixels

static inline fvec lerp_vec(fvec from, fvec to, fvec t)
{
    return V(add_ps)(from, V(mul_ps)(t, V(sub_ps)(to, from)));
}

static inline fvec number_or(fvec v, fvec other)
{
    return vselect(FCMP(vabsf(v), vsetf(INFINITY), _CMP_LT_OQ), v, other);
}

static int steady(float *dst, const float *src, float *reference, float *shown, int n,
                  const struct ph_steady_line *l)
{
    const fvec still = vsetf(l->still), moving = vsetf(1 - l->still);
    int x = 0, moved = 0;
    for (; x + VPX <= n; x += VPX) {
        fvec y = V(add_ps)(V(mul_ps)(vsetf(l->a), vloadf(src + x)), vsetf(l->b));
        fvec r = vloadf(reference + x), s = vloadf(shown + x);
        fmask outlier = FCMP(vabsf(V(sub_ps)(y, r)), vsetf(l->outlier), _CMP_GT_OQ);
        fmask known = FCMP(vabsf(y), vsetf(INFINITY), _CMP_LT_OQ);
        fvec past = lerp_vec(r, y, vselect(outlier, vsetf(l->past_moved), vsetf(l->past)));
        fvec gate = V(sub_ps)(vabsf(V(sub_ps)(y, s)), vsetf(l->gate));
        gate = V(max_ps)(V(mul_ps)(gate, vsetf(l->gate_gain)), vsetf(0));
        gate = V(min_ps)(gate, vsetf(1));
        fvec show = lerp_vec(s, y, V(add_ps)(still, V(mul_ps)(moving, gate)));
        past = number_or(past, y);
        show = number_or(show, y);
        moved += mcount(mand(known, outlier));
        V(storeu_ps)(dst + x, vselect(known, show, y));
        V(storeu_ps)(reference + x, vselect(known, past, r));
        V(storeu_ps)(shown + x, vselect(known, show, s));
    }
    return moved + plain.steady(dst + x, src + x, reference + x, shown + x, n - x, l);
}

// --- points

#if PH_VEC == 512
// x0 y0 z0 x1 y1 z1 ...: 48 floats.
static inline void store_points(float *d, fvec x, fvec y, fvec z)
{
    const vec xy0 = _mm512_setr_epi32(0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5);
    const vec xy1 = _mm512_setr_epi32(21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26);
    const vec xy2 = _mm512_setr_epi32(0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0);
    const vec z0 = _mm512_setr_epi32(0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15);
    const vec z1 = _mm512_setr_epi32(0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15);
    const vec z2 = _mm512_setr_epi32(26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31);
    _mm512_storeu_ps(d, _mm512_permutex2var_ps(_mm512_permutex2var_ps(x, xy0, y), z0, z));
    _mm512_storeu_ps(d + 16, _mm512_permutex2var_ps(_mm512_permutex2var_ps(x, xy1, y), z1, z));
    _mm512_storeu_ps(d + 32, _mm512_permutex2var_ps(_mm512_permutex2var_ps(x, xy2, y), z2, z));
}

// r g b of 16 pixels: 48 bytes, and 16 more that mean nothing.
static inline void store_colors(uint8_t *d, vec px)
{
    const vec three = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const vec close = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);
    vstore(d, _mm512_permutexvar_epi32(close, _mm512_shuffle_epi8(px, three)));
}

static int cloud_points(float *xyz, uint8_t *rgb, const float *z, const uint8_t *px,
                        const float *u, int w, float v, float fx, float fy)
{
    const fvec row = vsetf(v), wide = vsetf(fx), high = vsetf(fy);
    int n = 0, x = 0;
    for (; x + VPX <= w; x += VPX) {
        fvec depth = vloadf(z + x);
        fmask m = there(depth);
        fvec px_x = _mm512_div_ps(_mm512_mul_ps(vloadf(u + x), depth), wide);
        fvec px_y = _mm512_div_ps(_mm512_mul_ps(row, depth), high);
        px_y = _mm512_xor_ps(px_y, vsetf(-0.0f));
        store_points(xyz + 3 * n, _mm512_maskz_compress_ps(m, px_x),
                     _mm512_maskz_compress_ps(m, px_y), _mm512_maskz_compress_ps(m, depth));
        store_colors(rgb + 3 * n, _mm512_maskz_compress_epi32(m, vload(px + 4 * x)));
        n += mcount(m);
    }
    return n + plain.cloud_points(xyz + 3 * n, rgb + 3 * n, z + x, px + 4 * x, u + x, w - x, v,
                                  fx, fy);
}
#endif

void PH_NAME(ph_init_cloud)(struct ph_image_ops *o)
{
    plain = *o;
    o->depth_keep = depth_keep;
    o->depth_metres = depth_metres;
    o->steady = steady;
#if PH_VEC == 512
    o->cloud_points = cloud_points;
#endif
}
