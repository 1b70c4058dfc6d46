// SPDX-License-Identifier: MIT
// Quantised weights: errors within half a step, places as the header says.
#include "nn/weights.h"

#include "core/cpu.h"
#include "nn/quant_rows.h"
#include "nn/rng.h"
#include "test.h"

enum { ROWS = 7, COLS = 77 }; // groups of 32, 32, 13

static float w[ROWS * COLS], back[ROWS * COLS];

static void fill(void)
{
    ph_rng_normal(3, 0, 0, ROWS * COLS, w);
    for (int c = 0; c < COLS; c++) {
        w[1 * COLS + c] = 0;
        w[2 * COLS + c] *= 1e-30f;
        w[3 * COLS + c] *= 1e30f;
        w[4 * COLS + c] = fabsf(w[4 * COLS + c]);
        w[5 * COLS + c] = -3;
        w[6 * COLS + c] *= 1e-45f; // subnormal: no scale
    }
}

static float largest(const float *v, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++) most = fmaxf(most, fabsf(v[i]));
    return most;
}

TEST(int8_is_within_half_a_step_of_its_row)
{
    int8_t q[ROWS * COLS + 1];
    float scale[ROWS + 1];
    fill();
    q[ROWS * COLS] = 99;
    scale[ROWS] = 99;
    ph_quantize_i8(w, ROWS, COLS, q, scale);
    CHECK_INT(q[ROWS * COLS], ==, 99);
    CHECK_NUM(scale[ROWS], ==, 99);
    for (int r = 0; r < ROWS; r++) {
        float most = largest(w + r * COLS, COLS);
        bool ends = false;
        for (int c = 0; c < COLS; c++) {
            int v = q[r * COLS + c];
            ends |= abs(v) == 127;
            CHECK_INT(abs(v), <=, 127);
            CHECK_NUM(fabs((double) v * scale[r] - w[r * COLS + c]), <=,
                      most / 127.0 * 0.5001 + 1e-38);
        }
        CHECK(ends || most < 1e-37f); // the whole range is used
    }
    CHECK_NUM(scale[1], ==, 0);
}

TEST(four_bits_are_within_half_a_step_of_their_group)
{
    enum { GROUPS = 3 };
    uint8_t q[ROWS * ((COLS + 1) / 2) + 1];
    float scale[ROWS * GROUPS + 1];
    fill();
    CHECK_INT(ph_q4_row_bytes(COLS), ==, (COLS + 1) / 2);
    CHECK_INT(ph_q4_row_bytes(32), ==, 16);
    q[sizeof q - 1] = 0xA5;
    scale[ROWS * GROUPS] = 99;
    ph_quantize_q4(w, ROWS, COLS, q, scale);
    CHECK_INT(q[sizeof q - 1], ==, 0xA5);
    CHECK_NUM(scale[ROWS * GROUPS], ==, 99);
    ph_dequantize_q4(q, scale, ROWS, COLS, back);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++) {
            int g = c / 32 * 32, n = COLS - g < 32 ? COLS - g : 32;
            float most = largest(w + r * COLS + g, n);
            // with eight steps the far side loses up to one whole step
            CHECK_NUM(fabs((double) back[r * COLS + c] - w[r * COLS + c]), <=,
                      most / 7.0 * 1.0001 + 1e-38);
        }
    for (int c = 0; c < COLS; c++) {
        CHECK_NUM(back[1 * COLS + c], ==, 0);
        CHECK_NUM(fabsf(back[5 * COLS + c] + 3), <, 1e-6);
    }
}

TEST(four_bits_lie_low_nibble_first)
{
    float row[3] = { -8, 7, 3 }, scale;
    uint8_t q[2];
    ph_quantize_q4(row, 1, 3, q, &scale);
    CHECK_NUM(fabsf(scale - 1), <, 1e-6);
    CHECK_INT(q[0], ==, 0xF0);
    CHECK_INT(q[1] & 15, ==, 11);
}

// The quality a normal weight keeps; from the definition of the two formats, with room for luck.
TEST(normal_weights_keep_the_quality_of_their_format)
{
    enum { N = 64, K = 1024 };
    static float v[N * K], v4[N * K], scale[N], scale4[N * K / 32];
    static int8_t q[N * K];
    static uint8_t q4[N * K / 2];
    double signal = 0, noise8 = 0, noise4 = 0;
    ph_rng_normal(11, 0, 0, N * K, v);
    ph_quantize_i8(v, N, K, q, scale);
    ph_quantize_q4(v, N, K, q4, scale4);
    ph_dequantize_q4(q4, scale4, N, K, v4);
    for (int i = 0; i < N * K; i++) {
        double e8 = (double) q[i] * scale[i / K] - v[i], e4 = (double) v4[i] - v[i];
        signal += (double) v[i] * v[i];
        noise8 += e8 * e8;
        noise4 += e4 * e4;
    }
    printf("# int8 %.1f dB, 4 bits %.1f dB\n", 10 * log10(signal / noise8),
           10 * log10(signal / noise4));
    CHECK_NUM(10 * log10(signal / noise8), >, 41);
    CHECK_NUM(10 * log10(signal / noise4), >, 20.5);
}

TEST(nothing_is_quantised_from_nothing)
{
    float scale = 5;
    int8_t q = 6;
    uint8_t q4 = 7;
    ph_quantize_i8(w, 0, 10, &q, &scale);
    ph_quantize_q4(w, 0, 10, &q4, &scale);
    ph_quantize_q4(w, 1, 0, &q4, &scale);
    CHECK(scale == 5 && q == 6 && q4 == 7);
    CHECK_INT(ph_q4_row_bytes(0), ==, 0);
}

TEST(values_that_are_not_finite_leave_a_row_or_group_of_zeros)
{
    float row[64] = { 1, 2, 3 }, scale[2], out[64];
    int8_t q[64];
    uint8_t q4[32];
    row[40] = INFINITY;
    ph_quantize_i8(row, 2, 32, q, scale);
    CHECK(q[2] == 127 && scale[0] > 0);
    CHECK(q[8 + 32] == 0 && scale[1] == 0);
    row[40] = NAN;
    ph_quantize_q4(row, 2, 32, q4, scale);
    ph_dequantize_q4(q4, scale, 2, 32, out);
    CHECK_NUM(fabs(out[2] - 3), <, 1e-6);
    for (int i = 32; i < 64; i++) CHECK_NUM(out[i], ==, 0);
}

static void check_ops(const struct ph_quant_rows *o)
{
    const struct ph_quant_rows *c = &ph_quant_rows_c;
    static float v[300];
    static int8_t want[302], got[302];
    ph_rng_normal(8, 0, 0, 300, v);
    for (int n = 0; n < 300; n += n < 70 ? 1 : 23) {
        CHECK(c->largest(v, n) == o->largest(v, n));
        memset(want, 55, sizeof want);
        memset(got, 55, sizeof got);
        c->round_i8(v, n, 60.5f, want);
        o->round_i8(v, n, 60.5f, got);
        CHECK(!memcmp(want, got, sizeof want));
        for (int i = 0; i < n; i++)
            CHECK_INT(got[i], ==, (int) rintf(fmaxf(-127, fminf(127, v[i] * 60.5f))));
    }
    for (int i = 0; i < 300; i++) v[i] = fmaxf(-1, fminf(1, v[i]));
    for (int i = 0; i + 32 <= 300; i++) {
        uint8_t a[32], b[32];
        CHECK(c->group_q4(v + i, a) == o->group_q4(v + i, b));
        CHECK(!memcmp(a, b, sizeof a));
    }
}

TEST(every_variant_quantises_to_the_same_bytes)
{
    check_ops(&ph_quant_rows_c);
#if defined(__x86_64__)
    if (ph_cpu_flags() & PH_CPU_AVX2) check_ops(&ph_quant_rows_avx2);
    if (ph_cpu_flags() & PH_CPU_AVX512) check_ops(&ph_quant_rows_avx512);
#endif
}

TEST(what_rounding_took_is_the_distance_to_what_is_read_back)
{
    enum { R = 3, C = 200 };
    static float v[R * C], again[R * C];
    static uint8_t nibbles[R * (C + 1) / 2];
    int8_t q[R * C];
    float scale[R * ((C + PH_Q4_GROUP - 1) / PH_Q4_GROUP)];
    struct ph_loss loss, both = { 0 };
    double signal = 0, noise[2] = { 0 };
    ph_rng_normal(4, 0, 0, R * C, v);
    ph_quantize_i8(v, R, C, q, scale);
    ph_loss_i8(v, R, C, q, scale, &loss);
    for (int i = 0; i < R * C; i++) {
        double d = (double) v[i] - (double) q[i] * (double) scale[i / C];
        signal += (double) v[i] * (double) v[i];
        noise[0] += d * d;
    }
    CHECK_NUM(fabs(loss.signal / signal - 1), <, 1e-5);
    CHECK_NUM(fabs(loss.noise / noise[0] - 1), <, 1e-3);
    CHECK_NUM(ph_loss_db(&loss), >, 38);
    ph_quantize_q4(v, R, C, nibbles, scale);
    ph_loss_q4(v, R, C, nibbles, scale, &loss);
    ph_dequantize_q4(nibbles, scale, R, C, again);
    for (int i = 0; i < R * C; i++)
        noise[1] += ((double) v[i] - (double) again[i]) * ((double) v[i] - (double) again[i]);
    CHECK_NUM(fabs(loss.noise / noise[1] - 1), <, 1e-3);
    CHECK_NUM(fabs(ph_loss_db(&loss) - 22), <, 3);
    ph_loss_add(&both, &loss);
    ph_loss_add(&both, &loss);
    CHECK_NUM(both.noise, ==, 2 * loss.noise);
    // One outlier takes the bits of its row from all others.
    v[7] = 100;
    ph_quantize_i8(v, 1, C, q, scale);
    ph_loss_i8(v + 8, 1, C - 8, q + 8, scale, &loss);
    CHECK_NUM(ph_loss_db(&loss), <, 16);
}
