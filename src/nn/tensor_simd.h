// SPDX-License-Identifier: MIT
// The conversions between 16- and 32-bit floats that weights are packed with, per instruction set.
// Pointers need no alignment: files of old writers have none. src may equal dst where the element
// sizes are equal.
#ifndef PH_NN_TENSOR_SIMD_H
#define PH_NN_TENSOR_SIMD_H

#include <phosphene/tensor.h>

#include <string.h>

struct ph_convert_ops {
    void (*f16_to_f32)(void *dst, const void *src, int64_t n);
    void (*bf16_to_f32)(void *dst, const void *src, int64_t n);
    void (*f32_to_f16)(void *dst, const void *src, int64_t n);
    void (*f32_to_bf16)(void *dst, const void *src, int64_t n);
    void (*f16_to_bf16)(void *dst, const void *src, int64_t n);
    void (*bf16_to_f16)(void *dst, const void *src, int64_t n);
};

extern const struct ph_convert_ops ph_convert_ops_c;
extern const struct ph_convert_ops ph_convert_ops_avx2;
extern const struct ph_convert_ops ph_convert_ops_avx512;

// One element; what every variant agrees with bit by bit, NaNs included: they keep their sign and
// upper bits and become quiet.
static inline uint32_t ph_bits_of(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static inline float ph_float_of(uint32_t u)
{
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

// Without arithmetic on subnormals, so that flush-to-zero modes change nothing.
static inline float ph_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t) (h & 0x8000) << 16, body = h & 0x7fff;
    uint32_t tiny = ph_bits_of((float) body * 0x1p-24f); // exact: below 2^-14
    uint32_t normal = (body << 13) + (112u << 23);
    uint32_t special = (body << 13) | 0x7f800000u | (body > 0x7c00 ? 0x400000u : 0u);
    uint32_t u = body < 0x400 ? tiny : normal;
    return ph_float_of(sign | (body >= 0x7c00 ? special : u));
}

static inline uint16_t ph_f32_to_f16(float v)
{
    uint32_t u = ph_bits_of(v), sign = u >> 16 & 0x8000, body = u & 0x7fffffff;
    if (body > 0x7f800000) return (uint16_t) (sign | 0x7e00 | (body >> 13 & 0x3ff));
    if (body >= 0x477ff000) return (uint16_t) (sign | 0x7c00); // 65520 and more
    if (body < 0x33000000) return (uint16_t) sign;             // below half of the smallest
    if (body < 0x38800000) {                                   // a subnormal result
        int shift = 126 - (int) (body >> 23);
        uint32_t mantissa = (body & 0x7fffff) | 0x800000;
        uint32_t half = 1u << (shift - 1), rest = mantissa & ((1u << shift) - 1);
        uint32_t q = mantissa >> shift;
        return (uint16_t) (sign | (q + (rest > half || (rest == half && (q & 1)))));
    }
    body += 0xfff + (body >> 13 & 1);
    return (uint16_t) (sign | ((body - (112u << 23)) >> 13));
}

static inline float ph_bf16_to_f32(uint16_t h)
{
    return ph_float_of((uint32_t) h << 16);
}

static inline uint16_t ph_f32_to_bf16(float v)
{
    uint32_t u = ph_bits_of(v);
    uint32_t nan = u >> 16 | 0x40, rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    return (uint16_t) ((u & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

// Reads and writes of elements that may lie anywhere.
static inline uint16_t ph_load16(const void *src, int64_t i)
{
    uint16_t h;
    memcpy(&h, (const char *) src + i * 2, sizeof h);
    return h;
}

static inline float ph_load32(const void *src, int64_t i)
{
    float v;
    memcpy(&v, (const char *) src + i * 4, sizeof v);
    return v;
}

static inline void ph_store16(void *dst, int64_t i, uint16_t h)
{
    memcpy((char *) dst + i * 2, &h, sizeof h);
}

static inline void ph_store32(void *dst, int64_t i, float v)
{
    memcpy((char *) dst + i * 4, &v, sizeof v);
}

#endif
