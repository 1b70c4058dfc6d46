// SPDX-License-Identifier: MIT
// Conversions for PH_VEC; see vec.h and the truth in convert.c.
#include "image/vec.h"

static struct ph_image_ops plain; // for rows shorter than a vector, and odd ends

// A pixel as two pairs of 16 bits, red-blue and green-alpha, so that two madd make a sum of three
// products.
struct pixels {
    vec rb, ga;
};

static inline struct pixels split(vec px)
{
    return (struct pixels){ VBITS(and)(px, V(set1_epi32)(0x00ff00ff)), V(srli_epi16)(px, 8) };
}

struct weights {
    vec rb, ga, add;
};

static inline struct weights make_weights(const int16_t k[3], int add)
{
    return (struct weights){ vpair(k[0], k[2]), vpair(k[1], 0), V(set1_epi32)(add) };
}

static inline vec weigh(struct pixels p, const struct weights *w)
{
    vec sum = V(add_epi32)(V(madd_epi16)(p.rb, w->rb), V(madd_epi16)(p.ga, w->ga));
    return V(srai_epi32)(V(add_epi32)(sum, w->add), 15);
}

// --- RGBA to YUV: 2 VPX pixels of two rows at a time

struct yuv_weights {
    struct weights y, u, v;
};

static inline struct yuv_weights make_yuv(const struct ph_yuv *c)
{
    return (struct yuv_weights){ make_weights(c->y, c->y_add), make_weights(c->u, c->uv_add),
                                 make_weights(c->v, c->uv_add) };
}

static inline void store_luma2(uint8_t *y0, uint8_t *y1, const struct pixels p[4],
                               const struct weights *w)
{
    vec top = V(packs_epi32)(weigh(p[0], w), weigh(p[1], w));
    vec low = V(packs_epi32)(weigh(p[2], w), weigh(p[3], w));
    vec both = V(packus_epi16)(top, low);
#if PH_VEC == 512
    const vec order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    both = _mm512_permutexvar_epi32(order, both);
    _mm256_storeu_si256((__m256i *) (void *) y0, _mm512_castsi512_si256(both));
    _mm256_storeu_si256((__m256i *) (void *) y1, _mm512_extracti64x4_epi64(both, 1));
#else
    both = _mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm_storeu_si128((__m128i *) (void *) y0, _mm256_castsi256_si128(both));
    _mm_storeu_si128((__m128i *) (void *) y1, _mm256_extracti128_si256(both, 1));
#endif
}

// Neighbours of a added, then those of b, pair by pair within lanes.
static inline vec add_neighbours(vec a, vec b)
{
#if PH_VEC == 512
    __m512 fa = _mm512_castsi512_ps(a), fb = _mm512_castsi512_ps(b);
    vec even = _mm512_castps_si512(_mm512_shuffle_ps(fa, fb, 0x88));
    vec odd = _mm512_castps_si512(_mm512_shuffle_ps(fa, fb, 0xdd));
#else
    __m256 fa = _mm256_castsi256_ps(a), fb = _mm256_castsi256_ps(b);
    vec even = _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0x88));
    vec odd = _mm256_castps_si256(_mm256_shuffle_ps(fa, fb, 0xdd));
#endif
    return V(srli_epi16)(V(add_epi16)(V(add_epi16)(even, odd), V(set1_epi16)(2)), 2);
}

static inline struct pixels mean_2x2(const struct pixels p[4])
{
    return (struct pixels){
        add_neighbours(V(add_epi16)(p[0].rb, p[2].rb), V(add_epi16)(p[1].rb, p[3].rb)),
        add_neighbours(V(add_epi16)(p[0].ga, p[2].ga), V(add_epi16)(p[1].ga, p[3].ga))
    };
}

static inline void load_2x2(struct pixels p[4], const uint8_t *s0, const uint8_t *s1)
{
    p[0] = split(vload(s0));
    p[1] = split(vload(s0 + VB));
    p[2] = split(vload(s1));
    p[3] = split(vload(s1 + VB));
}

static void rgba_to_i420(uint8_t *y0, uint8_t *y1, uint8_t *u, uint8_t *v, const uint8_t *s0,
                         const uint8_t *s1, int w, const struct ph_yuv *c)
{
    struct yuv_weights k = make_yuv(c);
    int even = w & ~1, done = even >= 2 * VPX ? even : 0;
    FOR_OVERLAPPED(x, 2 * VPX, even)
    {
        struct pixels p[4], mean;
        load_2x2(p, s0 + 4 * x, s1 + 4 * x);
        store_luma2(y0 + x, y1 + x, p, &k.y);
        mean = mean_2x2(p);
        vstore_32_8(u + x / 2, vunpack_order(weigh(mean, &k.u)));
        vstore_32_8(v + x / 2, vunpack_order(weigh(mean, &k.v)));
    }
    plain.rgba_to_i420(y0 + done, y1 + done, u + done / 2, v + done / 2, s0 + 4 * done,
                       s1 + 4 * done, w - done, c);
}

static void rgba_to_nv12(uint8_t *y0, uint8_t *y1, uint8_t *uv, const uint8_t *s0,
                         const uint8_t *s1, int w, const struct ph_yuv *c)
{
    struct yuv_weights k = make_yuv(c);
    int even = w & ~1, done = even >= 2 * VPX ? even : 0;
    FOR_OVERLAPPED(x, 2 * VPX, even)
    {
        struct pixels p[4], mean;
        load_2x2(p, s0 + 4 * x, s1 + 4 * x);
        store_luma2(y0 + x, y1 + x, p, &k.y);
        mean = mean_2x2(p);
        const vec most = V(set1_epi32)(255);
        vec u = V(min_epi32)(weigh(mean, &k.u), most),
            v = V(min_epi32)(weigh(mean, &k.v), most);
        vstore_32_16(uv + x, vunpack_order(VBITS(or)(u, V(slli_epi32)(v, 8))));
    }
    plain.rgba_to_nv12(y0 + done, y1 + done, uv + done, s0 + 4 * done, s1 + 4 * done, w - done,
                       c);
}

static void rgba_to_gray(uint8_t *d, const uint8_t *s, int w, const struct ph_yuv *c)
{
    struct weights k = make_weights(c->y, c->y_add);
    FOR_OVERLAPPED(x, VPX, w) vstore_32_8(d + x, weigh(split(vload(s + 4 * x)), &k));
    if (w < VPX) plain.rgba_to_gray(d, s, w, c);
}

// --- YUV to RGBA: 2 VPX pixels of a row at a time

struct rgb_weights {
    vec y_off, r, g, gu, b;
};

static inline struct rgb_weights make_rgb(const struct ph_yuv *c)
{
    return (struct rgb_weights){ V(set1_epi16)(c->y_off), vpair(c->luma, c->rv),
                                 vpair(c->luma, c->gv), vpair(0, c->gu),
                                 vpair(c->luma, c->bu) };
}

static inline vec round13(vec v)
{
    return V(srai_epi32)(V(add_epi32)(v, V(set1_epi32)(4096)), 13);
}

// A channel from pairs (y, chroma) of the lower and the upper half of each lane.
static inline vec channel(vec lo, vec hi, vec weight)
{
    return V(packs_epi32)(round13(V(madd_epi16)(lo, weight)),
                          round13(V(madd_epi16)(hi, weight)));
}

static inline vec green(const vec yv[2], const vec yu[2], const struct rgb_weights *k)
{
    vec lo = V(add_epi32)(V(madd_epi16)(yv[0], k->g), V(madd_epi16)(yu[0], k->gu));
    vec hi = V(add_epi32)(V(madd_epi16)(yv[1], k->g), V(madd_epi16)(yu[1], k->gu));
    return V(packs_epi32)(round13(lo), round13(hi));
}

// y, u, v: 16 bits each, one for each pixel; offsets are taken off.
static inline void store_rgb(uint8_t *d, vec y, vec u, vec v, const struct rgb_weights *k)
{
    vec yv[2] = { V(unpacklo_epi16)(y, v), V(unpackhi_epi16)(y, v) };
    vec yu[2] = { V(unpacklo_epi16)(y, u), V(unpackhi_epi16)(y, u) };
    vec r = channel(yv[0], yv[1], k->r), b = channel(yu[0], yu[1], k->b);
    vec rb = V(packus_epi16)(r, b);
    vec ga = V(packus_epi16)(green(yv, yu, k), V(set1_epi16)(255));
    vec rg = V(unpacklo_epi8)(rb, ga), ba = V(unpackhi_epi8)(rb, ga);
    vstore_zipped(d, V(unpacklo_epi16)(rg, ba), V(unpackhi_epi16)(rg, ba));
}

// Chroma in 32 bits, each for two pixels.
static inline vec twice(vec v)
{
    return V(sub_epi16)(VBITS(or)(v, V(slli_epi32)(v, 16)), V(set1_epi16)(128));
}

static void i420_to_rgba(uint8_t *d, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                         int w, const struct ph_yuv *c)
{
    struct rgb_weights k = make_rgb(c);
    int even = w & ~1, done = even >= 2 * VPX ? even : 0;
    FOR_OVERLAPPED(x, 2 * VPX, even)
    store_rgb(d + 4 * x, V(sub_epi16)(vload_8_16(y + x), k.y_off), twice(vload_8_32(u + x / 2)),
              twice(vload_8_32(v + x / 2)), &k);
    plain.i420_to_rgba(d + 4 * done, y + done, u + done / 2, v + done / 2, w - done, c);
}

static void nv12_to_rgba(uint8_t *d, const uint8_t *y, const uint8_t *uv, int w,
                         const struct ph_yuv *c)
{
    struct rgb_weights k = make_rgb(c);
    int even = w & ~1, done = even >= 2 * VPX ? even : 0;
    FOR_OVERLAPPED(x, 2 * VPX, even)
    {
        vec both = vload_16_32(uv + x);
        store_rgb(d + 4 * x, V(sub_epi16)(vload_8_16(y + x), k.y_off),
                  twice(VBITS(and)(both, V(set1_epi32)(255))), twice(V(srli_epi32)(both, 8)),
                  &k);
    }
    plain.nv12_to_rgba(d + 4 * done, y + done, uv + done, w - done, c);
}

// --- the others

#if PH_VEC == 512 // what the compiler makes of the plain one is as fast as AVX2 gets
static void gray_to_rgba(uint8_t *d, const uint8_t *s, int w)
{
    FOR_OVERLAPPED(x, VPX, w)
    {
        vec v = vload_8_32(s + x);
        v = VBITS(or)(VBITS(or)(v, V(slli_epi32)(v, 8)), V(slli_epi32)(v, 16));
        vstore(d + 4 * x, VBITS(or)(v, V(set1_epi32)((int) 0xff000000)));
    }
    if (w < VPX) plain.gray_to_rgba(d, s, w);
}
#endif

static inline void store_unit(float *d, vec v)
{
    V(storeu_ps)(d, V(mul_ps)(V(cvtepi32_ps)(v), V(set1_ps)(1 / 255.0f)));
}

static void rgba_to_rgbf(float *r, float *g, float *b, const uint8_t *s, int w)
{
    const vec low = V(set1_epi32)(255);
    FOR_OVERLAPPED(x, VPX, w)
    {
        vec p = vload(s + 4 * x);
        store_unit(r + x, VBITS(and)(p, low));
        store_unit(g + x, VBITS(and)(V(srli_epi32)(p, 8), low));
        store_unit(b + x, VBITS(and)(V(srli_epi32)(p, 16), low));
    }
    if (w < VPX) plain.rgba_to_rgbf(r, g, b, s, w);
}

// max gives its second operand for NaN, as the truth does.
static inline vec unit_to_byte(const float *s)
{
    fvec v = V(max_ps)(V(mul_ps)(vloadf(s), V(set1_ps)(255)), V(setzero_ps)());
    return V(cvtps_epi32)(V(min_ps)(v, V(set1_ps)(255)));
}

static void rgbf_to_rgba(uint8_t *d, const float *r, const float *g, const float *b, int w)
{
    FOR_OVERLAPPED(x, VPX, w)
    {
        vec rg = VBITS(or)(unit_to_byte(r + x), V(slli_epi32)(unit_to_byte(g + x), 8));
        vec ba =
            VBITS(or)(V(slli_epi32)(unit_to_byte(b + x), 16), V(set1_epi32)((int) 0xff000000));
        vstore(d + 4 * x, VBITS(or)(rg, ba));
    }
    if (w < VPX) plain.rgbf_to_rgba(d, r, g, b, w);
}

void PH_NAME(ph_init_convert)(struct ph_image_ops *o)
{
    plain = *o;
    o->rgba_to_i420 = rgba_to_i420;
    o->rgba_to_nv12 = rgba_to_nv12;
    o->i420_to_rgba = i420_to_rgba;
    o->nv12_to_rgba = nv12_to_rgba;
    o->rgba_to_gray = rgba_to_gray;
#if PH_VEC == 512
    o->gray_to_rgba = gray_to_rgba;
#endif
    o->rgba_to_rgbf = rgba_to_rgbf;
    o->rgbf_to_rgba = rgbf_to_rgba;
}
