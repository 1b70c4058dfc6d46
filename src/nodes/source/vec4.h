// SPDX-License-Identifier: MIT
// Four floats at once and points made of them, for arithmetic that is the same on every machine:
// only + - * / sqrt, comparisons and choices, each rounded once as IEEE 754 says.
#ifndef PH_NODES_VEC4_H
#define PH_NODES_VEC4_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#else
#include <math.h>
#endif

typedef float v4 __attribute__((vector_size(16)));
typedef int32_t m4 __attribute__((vector_size(16))); // a mask: all bits or none

static inline v4 v4_all(float a)
{
    return (v4){ a, a, a, a };
}

static inline v4 v4_pick(m4 mask, v4 yes, v4 no)
{
    return (v4) ((mask & (m4) yes) | (~mask & (m4) no));
}

#ifdef __SSE2__
static inline v4 v4_min(v4 a, v4 b)
{
    return _mm_min_ps(a, b);
}
static inline v4 v4_max(v4 a, v4 b)
{
    return _mm_max_ps(a, b);
}
static inline v4 v4_sqrt(v4 a)
{
    return _mm_sqrt_ps(a);
}
static inline int m4_bits(m4 mask)
{
    return _mm_movemask_ps((__m128) mask);
}
#else
static inline v4 v4_min(v4 a, v4 b)
{
    return v4_pick(a < b, a, b);
}
static inline v4 v4_max(v4 a, v4 b)
{
    return v4_pick(a > b, a, b);
}
static inline v4 v4_sqrt(v4 a)
{
    return (v4){ sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3]) };
}
static inline int m4_bits(m4 mask)
{
    return (mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8);
}
#endif

static inline v4 v4_abs(v4 a)
{
    return v4_max(a, -a);
}

static inline v4 v4_clamp(v4 a, float lo, float hi)
{
    return v4_min(v4_max(a, v4_all(lo)), v4_all(hi));
}

static inline v4 v4_mix(v4 a, v4 b, v4 t)
{
    return a + (b - a) * t;
}

struct p4 { // four points or directions
    v4 x, y, z;
};

static inline struct p4 p4_add(struct p4 a, struct p4 b)
{
    return (struct p4){ a.x + b.x, a.y + b.y, a.z + b.z };
}

static inline struct p4 p4_sub(struct p4 a, struct p4 b)
{
    return (struct p4){ a.x - b.x, a.y - b.y, a.z - b.z };
}

static inline struct p4 p4_scale(struct p4 a, v4 s)
{
    return (struct p4){ a.x * s, a.y * s, a.z * s };
}

static inline v4 p4_dot(struct p4 a, struct p4 b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static inline v4 p4_length(struct p4 a)
{
    return v4_sqrt(p4_dot(a, a));
}

static inline struct p4 p4_unit(struct p4 a)
{
    return p4_scale(a, v4_all(1) / v4_max(p4_length(a), v4_all(1e-12f)));
}

static inline struct p4 p4_all(float x, float y, float z)
{
    return (struct p4){ v4_all(x), v4_all(y), v4_all(z) };
}

static inline struct p4 p4_pick(m4 mask, struct p4 yes, struct p4 no)
{
    return (struct p4){ v4_pick(mask, yes.x, no.x), v4_pick(mask, yes.y, no.y),
                        v4_pick(mask, yes.z, no.z) };
}

static inline struct p4 p4_mix(struct p4 a, struct p4 b, v4 t)
{
    return p4_add(a, p4_scale(p4_sub(b, a), t));
}

#endif
