// SPDX-License-Identifier: MIT
#include "nn/tensor_simd.h"

#include "core/cpu.h"

#include <math.h>
#include <stdio.h>

static const struct {
    size_t size;
    const char *name;
} dtypes[] = {
    [PH_DTYPE_NONE] = { 0, "none" }, [PH_F32] = { 4, "f32" }, [PH_F16] = { 2, "f16" },
    [PH_BF16] = { 2, "bf16" },       [PH_I8] = { 1, "i8" },   [PH_U8] = { 1, "u8" },
    [PH_I32] = { 4, "i32" },         [PH_I64] = { 8, "i64" },
};
#define DTYPES (sizeof dtypes / sizeof *dtypes)

size_t ph_dtype_size(enum ph_dtype dtype)
{
    return (unsigned) dtype < DTYPES ? dtypes[dtype].size : 0;
}

const char *ph_dtype_name(enum ph_dtype dtype)
{
    return (unsigned) dtype < DTYPES ? dtypes[dtype].name : "none";
}

int64_t ph_tensor_count(const struct ph_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

size_t ph_tensor_bytes(const struct ph_tensor *t)
{
    return (size_t) ph_tensor_count(t) * ph_dtype_size(t->dtype);
}

const char *ph_tensor_shape(const struct ph_tensor *t, char *text, size_t size)
{
    size_t n = 0;
    for (int i = 0; i < t->rank && n < size; i++) {
        int wrote =
            snprintf(text + n, size - n, "%s%lld", i ? ", " : "[", (long long) t->dim[i]);
        n += wrote > 0 ? (size_t) wrote : 0;
    }
    if (n < size) snprintf(text + n, size - n, t->rank ? "]" : "[]");
    return text;
}

// ------------------------------------------------------------------------------------ plain C

static void f16_to_f32(void *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++) ph_store32(dst, i, ph_f16_to_f32(ph_load16(src, i)));
}

static void bf16_to_f32(void *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++) ph_store32(dst, i, ph_bf16_to_f32(ph_load16(src, i)));
}

static void f32_to_f16(void *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++) ph_store16(dst, i, ph_f32_to_f16(ph_load32(src, i)));
}

static void f32_to_bf16(void *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++) ph_store16(dst, i, ph_f32_to_bf16(ph_load32(src, i)));
}

static void f16_to_bf16(void *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ph_store16(dst, i, ph_f32_to_bf16(ph_f16_to_f32(ph_load16(src, i))));
}

static void bf16_to_f16(void *dst, const void *src, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ph_store16(dst, i, ph_f32_to_f16(ph_bf16_to_f32(ph_load16(src, i))));
}

const struct ph_convert_ops ph_convert_ops_c = {
    f16_to_f32, bf16_to_f32, f32_to_f16, f32_to_bf16, f16_to_bf16, bf16_to_f16,
};

static const struct ph_convert_ops *ops(void)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (cpu & PH_CPU_AVX512) return &ph_convert_ops_avx512;
    if (cpu & PH_CPU_AVX2) return &ph_convert_ops_avx2;
#endif
    return &ph_convert_ops_c;
}

// ------------------------------------------------------------------------------------ any to any

static bool is_float(enum ph_dtype t)
{
    return t == PH_F32 || t == PH_F16 || t == PH_BF16;
}

static float load_float(enum ph_dtype t, const void *src, int64_t i)
{
    if (t == PH_F16) return ph_f16_to_f32(ph_load16(src, i));
    return t == PH_BF16 ? ph_bf16_to_f32(ph_load16(src, i)) : ph_load32(src, i);
}

static void store_float(enum ph_dtype t, void *dst, int64_t i, float v)
{
    if (t == PH_F16)
        ph_store16(dst, i, ph_f32_to_f16(v));
    else if (t == PH_BF16)
        ph_store16(dst, i, ph_f32_to_bf16(v));
    else
        ph_store32(dst, i, v);
}

static int64_t load_int(enum ph_dtype t, const void *src, int64_t i)
{
    int32_t v32;
    int64_t v64;
    switch (t) {
    case PH_I8: return ((const int8_t *) src)[i];
    case PH_U8: return ((const uint8_t *) src)[i];
    case PH_I32: memcpy(&v32, (const char *) src + i * 4, sizeof v32); return v32;
    default: memcpy(&v64, (const char *) src + i * 8, sizeof v64); return v64;
    }
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static void store_int(enum ph_dtype t, void *dst, int64_t i, int64_t v)
{
    int32_t v32 = (int32_t) clamp(v, INT32_MIN, INT32_MAX);
    switch (t) {
    case PH_I8: ((int8_t *) dst)[i] = (int8_t) clamp(v, INT8_MIN, INT8_MAX); break;
    case PH_U8: ((uint8_t *) dst)[i] = (uint8_t) clamp(v, 0, UINT8_MAX); break;
    case PH_I32: memcpy((char *) dst + i * 4, &v32, sizeof v32); break;
    default: memcpy((char *) dst + i * 8, &v, sizeof v); break;
    }
}

static int64_t round_saturated(float v)
{
    if (v != v) return 0;
    if (v >= 0x1p63f) return INT64_MAX;
    if (v <= -0x1p63f) return INT64_MIN;
    return (int64_t) rintf(v);
}

static void convert_any(enum ph_dtype to, void *dst, enum ph_dtype from, const void *src,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (is_float(from) && is_float(to))
            store_float(to, dst, i, load_float(from, src, i));
        else if (is_float(from))
            store_int(to, dst, i, round_saturated(load_float(from, src, i)));
        else if (is_float(to))
            store_float(to, dst, i, (float) load_int(from, src, i));
        else
            store_int(to, dst, i, load_int(from, src, i));
    }
}

void ph_convert(enum ph_dtype to, void *dst, enum ph_dtype from, const void *src, int64_t n)
{
    if (n <= 0 || !ph_dtype_size(to) || !ph_dtype_size(from)) return;
    if (to == from) {
        memmove(dst, src, (size_t) n * ph_dtype_size(to));
        return;
    }
    const struct ph_convert_ops *o = ops();
    if (from == PH_F16 && to == PH_F32)
        o->f16_to_f32(dst, src, n);
    else if (from == PH_BF16 && to == PH_F32)
        o->bf16_to_f32(dst, src, n);
    else if (from == PH_F32 && to == PH_F16)
        o->f32_to_f16(dst, src, n);
    else if (from == PH_F32 && to == PH_BF16)
        o->f32_to_bf16(dst, src, n);
    else if (from == PH_F16 && to == PH_BF16)
        o->f16_to_bf16(dst, src, n);
    else if (from == PH_BF16 && to == PH_F16)
        o->bf16_to_f16(dst, src, n);
    else
        convert_any(to, dst, from, src, n);
}
