// SPDX-License-Identifier: MIT
// Types, shapes and conversions.
#include "nn/tensor_simd.h"

#include "core/cpu.h"
#include "test.h"

TEST(every_type_has_its_size_and_name)
{
    CHECK_INT(ph_dtype_size(PH_DTYPE_NONE), ==, 0);
    CHECK_INT(ph_dtype_size(PH_F32), ==, 4);
    CHECK_INT(ph_dtype_size(PH_F16), ==, 2);
    CHECK_INT(ph_dtype_size(PH_BF16), ==, 2);
    CHECK_INT(ph_dtype_size(PH_I8), ==, 1);
    CHECK_INT(ph_dtype_size(PH_U8), ==, 1);
    CHECK_INT(ph_dtype_size(PH_I32), ==, 4);
    CHECK_INT(ph_dtype_size(PH_I64), ==, 8);
    CHECK_STR(ph_dtype_name(PH_BF16), "bf16");
    CHECK_STR(ph_dtype_name((enum ph_dtype) 99), "none");
    CHECK_INT(ph_dtype_size((enum ph_dtype) - 1), ==, 0);
}

TEST(a_shape_tells_its_elements_and_its_text)
{
    char text[64], tight[8];
    struct ph_tensor t = { .dtype = PH_F16, .rank = 4, .dim = { 1, 4, 64, 32 } };
    struct ph_tensor scalar = { .dtype = PH_F32 };
    CHECK_INT(ph_tensor_count(&t), ==, 8192);
    CHECK_INT(ph_tensor_bytes(&t), ==, 16384);
    CHECK_STR(ph_tensor_shape(&t, text, sizeof text), "[1, 4, 64, 32]");
    CHECK_INT(ph_tensor_count(&scalar), ==, 1);
    CHECK_STR(ph_tensor_shape(&scalar, text, sizeof text), "[]");
    CHECK_STR(ph_tensor_shape(&t, tight, sizeof tight), "[1, 4, ");
}

// What a 16-bit float means, from its definition.
static double f16_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    if (e == 31) v = m ? NAN : INFINITY;
    return h & 0x8000 ? -v : v;
}

TEST(every_half_becomes_the_float_it_means_and_comes_back)
{
    static uint16_t half[65536], back[65536];
    static float wide[65536];
    for (int i = 0; i < 65536; i++) half[i] = (uint16_t) i;
    ph_convert(PH_F32, wide, PH_F16, half, 65536);
    ph_convert(PH_F16, back, PH_F32, wide, 65536);
    for (int i = 0; i < 65536; i++) {
        double want = f16_value(half[i]);
        if (want != want) {
            CHECK(isnan(wide[i]));
            CHECK_INT(back[i], ==, half[i] | 0x200); // quiet, payload kept
            continue;
        }
        CHECK_NUM(wide[i], ==, want);
        CHECK_INT(back[i], ==, half[i]);
    }
}

// The nearest of all finite halves to v, ties to the even one; found by searching.
static uint16_t nearest_half(float v)
{
    double a = fabs((double) v);
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    if (a >= 65520) return sign | 0x7c00;
    int low = 0, high = 0x7bff; // positive halves are ordered as integers
    while (low < high) {
        int mid = (low + high + 1) / 2;
        if (f16_value((uint16_t) mid) <= a)
            low = mid;
        else
            high = mid - 1;
    }
    double below = a - f16_value((uint16_t) low);
    double above = low == 0x7bff ? 65536 - a : f16_value((uint16_t) (low + 1)) - a;
    bool up = above < below || (above == below && (low & 1));
    return (uint16_t) (sign | (low + up));
}

TEST(floats_round_to_the_nearest_half_and_ties_to_even)
{
    uint32_t u = 1;
    for (int i = 0; i < 400000; i++) {
        u = u * 1664525 + 1013904223;
        // exponents about those of a half, all mantissas; every other one is a tie
        uint32_t bits = (u & 0x80000000) | ((u >> 8 & 63) + 90) << 23 | (u & 0x7fffff);
        if (i & 1) bits = (bits & ~0x1fffu) | 0x1000;
        float v = ph_float_of(bits);
        uint16_t got;
        ph_convert(PH_F16, &got, PH_F32, &v, 1);
        if (got != nearest_half(v))
            TEST_FAIL("%.9g became %04x, not %04x", v, got, nearest_half(v));
    }
}

TEST(floats_round_to_the_nearest_bfloat_and_ties_to_even)
{
    static const struct {
        uint32_t in;
        uint16_t out;
    } cases[] = {
        { 0x3f800000, 0x3f80 }, { 0x3f808000, 0x3f80 }, { 0x3f818000, 0x3f82 },
        { 0x3f808001, 0x3f81 }, { 0x3f807fff, 0x3f80 }, { 0x7f7fffff, 0x7f80 },
        { 0xff800000, 0xff80 }, { 0x7f800001, 0x7fc0 }, { 0xffc12345, 0xffc1 },
        { 0x00000001, 0x0000 }, { 0x00008001, 0x0001 }, { 0x80000000, 0x8000 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float v = ph_float_of(cases[i].in), wide;
        uint16_t got;
        ph_convert(PH_BF16, &got, PH_F32, &v, 1);
        CHECK_INT(got, ==, cases[i].out);
        ph_convert(PH_F32, &wide, PH_BF16, &got, 1);
        CHECK_INT(ph_bits_of(wide), ==, (uint32_t) cases[i].out << 16);
    }
}

TEST(integers_saturate_and_round_to_even)
{
    const float in[] = { 0.5f, 1.5f, -2.5f, 127.6f, -1e9f, 1e30f, NAN, 255.4f };
    const int8_t want8[] = { 0, 2, -2, 127, -128, 127, 0, 127 };
    const uint8_t want_u8[] = { 0, 2, 0, 128, 0, 255, 0, 255 };
    int8_t i8[8];
    uint8_t u8[8];
    int64_t i64[8], wide[] = { INT64_MIN, -5, 300, INT64_MAX };
    int32_t i32[4];
    ph_convert(PH_I8, i8, PH_F32, in, 8);
    ph_convert(PH_U8, u8, PH_F32, in, 8);
    ph_convert(PH_I64, i64, PH_F32, in, 8);
    CHECK(!memcmp(i8, want8, sizeof i8));
    CHECK(!memcmp(u8, want_u8, sizeof u8));
    CHECK_INT(i64[5], ==, INT64_MAX);
    CHECK_INT(i64[4], ==, -1000000000);
    ph_convert(PH_I32, i32, PH_I64, wide, 4);
    CHECK_INT(i32[0], ==, INT32_MIN);
    CHECK_INT(i32[1], ==, -5);
    CHECK_INT(i32[3], ==, INT32_MAX);
    uint16_t half;
    ph_convert(PH_F16, &half, PH_I64, &wide[2], 1);
    CHECK_NUM(f16_value(half), ==, 300);
}

#define GUARD 0xA5
typedef void convert_fn(void *dst, const void *src, int64_t n);

// Random bits and all kinds of extremes; unaligned ends, and not a byte beside what is asked.
static void check_variant(convert_fn *plain, convert_fn *variant, int to, int from)
{
    enum { MOST = 700 };
    static uint8_t in[MOST * 4 + 8], want[MOST * 4 + 16], got[MOST * 4 + 16];
    static const uint32_t extremes[] = { 0x7f800000, 0xff800001, 0x7fc00000, 1,
                                         0x80000000, 0x477fefff, 0x477ff000, 0x33000000,
                                         0x33000001, 0x387fffff, 0x7c017c00, 0x03ff8400,
                                         0xfbff0001 };
    uint32_t u = 7;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t) ((u = u * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++)
        memcpy(in + 1 + i * 12, &extremes[i], 4);
    for (int n = 0; n < MOST; n += n < 70 ? 1 : 61) {
        for (int offset = 0; offset < 3; offset++) {
            memset(want, GUARD, sizeof want);
            memset(got, GUARD, sizeof got);
            plain(want + 8 + offset, in + offset, n);
            variant(got + 8 + offset, in + offset, n);
            CHECK(!memcmp(want, got, sizeof want));
            CHECK_INT(got[8 + offset + n * to], ==, GUARD);
        }
        if (to != from) continue;
        memcpy(got, in, sizeof in);
        variant(got, got, n);
        plain(want, in, n);
        CHECK(!memcmp(want, got, (size_t) (n * to)));
    }
}

static void check_ops(const struct ph_convert_ops *v)
{
    const struct ph_convert_ops *c = &ph_convert_ops_c;
    check_variant(c->f16_to_f32, v->f16_to_f32, 4, 2);
    check_variant(c->bf16_to_f32, v->bf16_to_f32, 4, 2);
    check_variant(c->f32_to_f16, v->f32_to_f16, 2, 4);
    check_variant(c->f32_to_bf16, v->f32_to_bf16, 2, 4);
    check_variant(c->f16_to_bf16, v->f16_to_bf16, 2, 2);
    check_variant(c->bf16_to_f16, v->bf16_to_f16, 2, 2);
}

TEST(the_avx2_variant_gives_the_bits_of_plain_c)
{
#if defined(__x86_64__)
    if (ph_cpu_flags() & PH_CPU_AVX2) return check_ops(&ph_convert_ops_avx2);
#endif
    TEST_SKIP("no AVX2 here");
}

TEST(the_avx512_variant_gives_the_bits_of_plain_c)
{
#if defined(__x86_64__)
    if (ph_cpu_flags() & PH_CPU_AVX512) return check_ops(&ph_convert_ops_avx512);
#endif
    TEST_SKIP("no AVX-512 here");
}
