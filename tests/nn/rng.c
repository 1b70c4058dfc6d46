// SPDX-License-Identifier: MIT
// Random numbers depend on (seed, stream, element) alone, and are what they claim to be.
#include "nn/rng.h"

#include "core/cpu.h"
#include "nn/philox.h"
#include "nn/rng_blocks.h"
#include "test.h"

// The vectors that the authors of the generator publish with it: counter, key, result.
TEST(philox_gives_its_known_answers)
{
    static const struct {
        uint64_t block, stream, seed;
        uint32_t want[4];
    } cases[] = {
        { 0, 0, 0, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { UINT64_MAX,
          UINT64_MAX,
          UINT64_MAX,
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { 0x85a308d3243f6a88,
          0x0370734413198a2e,
          0x299f31d0a4093822,
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t word[4];
        ph_philox(cases[i].seed, cases[i].stream, cases[i].block, word);
        for (int k = 0; k < 4; k++) CHECK_INT(word[k], ==, cases[i].want[k]);
    }
}

typedef void draw_fn(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out);

static void check_blocks(draw_fn *draw)
{
    enum { N = 1000 };
    static float whole[N], parts[N];
    const uint64_t first = (1ull << 34) - 5; // past 32 bits of blocks
    draw(42, 7, first, N, whole);
    for (int size = 1; size < 40; size += 3) {
        memset(parts, 0, sizeof parts);
        for (int at = 0; at < N; at += size)
            draw(42, 7, first + (uint64_t) at, at + size < N ? size : N - at, parts + at);
        CHECK(!memcmp(whole, parts, sizeof whole));
    }
}

TEST(numbers_do_not_depend_on_how_many_are_asked_for)
{
    check_blocks(ph_rng_normal);
    check_blocks(ph_rng_uniform);
}

TEST(asking_for_none_writes_none)
{
    float v = 5;
    ph_rng_normal(1, 2, 3, 0, &v);
    ph_rng_uniform(1, 2, 3, -4, &v);
    CHECK_NUM(v, ==, 5);
}

enum { MANY = 1 << 20 };
static float sample[MANY], other[MANY];

TEST(normals_have_the_moments_of_a_normal)
{
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, far = 0, neighbours = 0;
    ph_rng_normal(1234, 0, 0, MANY, sample);
    for (int i = 0; i < MANY; i++) {
        double x = sample[i];
        m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
        far += fabs(x) > 3;
        neighbours += i ? x * sample[i - 1] : 0;
    }
    // five standard errors of each
    double e = 5 / sqrt(MANY);
    CHECK_NUM(fabs(m1 / MANY), <, e);
    CHECK_NUM(fabs(m2 / MANY - 1), <, e * sqrt(2));
    CHECK_NUM(fabs(m3 / MANY), <, e * sqrt(15));
    CHECK_NUM(fabs(m4 / MANY - 3), <, e * sqrt(96));
    CHECK_NUM(fabs(far / MANY - 0.0026998), <, e * 0.052);
    CHECK_NUM(fabs(neighbours / MANY), <, e);
}

TEST(uniforms_fill_their_range_evenly)
{
    int bins[64] = { 0 };
    double chi = 0;
    ph_rng_uniform(99, 3, 0, MANY, sample);
    for (int i = 0; i < MANY; i++) {
        CHECK(sample[i] >= 0 && sample[i] < 1);
        bins[(int) (sample[i] * 64)]++;
    }
    for (int b = 0; b < 64; b++) chi += pow(bins[b] - MANY / 64.0, 2) / (MANY / 64.0);
    CHECK_NUM(chi, <, 63 + 5 * sqrt(126));
}

static double correlation(uint64_t seed, uint64_t stream)
{
    double sum = 0;
    ph_rng_normal(1234, 0, 0, MANY, sample);
    ph_rng_normal(seed, stream, 0, MANY, other);
    for (int i = 0; i < MANY; i++) sum += (double) sample[i] * other[i];
    return sum / MANY;
}

TEST(seeds_and_streams_are_independent)
{
    CHECK_NUM(correlation(1234, 0), >, 0.9); // of a sample with itself
    CHECK_NUM(fabs(correlation(1235, 0)), <, 5 / sqrt(MANY));
    CHECK_NUM(fabs(correlation(1234, 1)), <, 5 / sqrt(MANY));
    CHECK_NUM(fabs(correlation(1234ull << 32, 0)), <, 5 / sqrt(MANY));
}

// The formula in the C library's functions: differences are those of rounding.
static double box_muller(uint64_t seed, int i)
{
    uint32_t w[4];
    ph_philox(seed, 0, (uint64_t) i / 4, w);
    double u = (w[i & 2] + 0.5) * 0x1p-32, angle = (w[(i & 2) + 1] + 0.5) * 0x1p-32 * 2 * M_PI;
    return sqrt(-2 * log(u)) * (i & 1 ? sin(angle) : cos(angle));
}

TEST(normals_are_those_of_box_and_muller)
{
    ph_rng_normal(77, 0, 0, MANY, sample);
    for (int i = 0; i < MANY; i++) {
        double want = box_muller(77, i);
        if (!(fabs(sample[i] - want) <= 6e-8 * fabs(want) + 1e-15))
            TEST_FAIL("element %d is %.9g, want %.17g", i, sample[i], want);
    }
}

static void check_variant(ph_rng_fn *fn)
{
    float want[PH_RNG_BLOCKS * 4], got[PH_RNG_BLOCKS * 4];
    for (uint64_t i = 0; i < 20000; i++) {
        ph_rng_blocks_c(i * 7, i & 3, i << (i & 31), want);
        fn(i * 7, i & 3, i << (i & 31), got);
        CHECK(!memcmp(want, got, sizeof want));
    }
}

TEST(every_variant_draws_the_same_bits)
{
    check_variant(ph_rng_blocks_c);
#if defined(__x86_64__)
    if (ph_cpu_flags() & PH_CPU_AVX2) check_variant(ph_rng_blocks_avx2);
    if (ph_cpu_flags() & PH_CPU_AVX512) check_variant(ph_rng_blocks_avx512);
#endif
}

// Frozen: a changed generator would change every picture of every seed.
TEST(a_seed_means_the_same_picture_for_ever)
{
    float normal[4], uniform[4];
    ph_rng_normal(42, 0, 0, 4, normal);
    ph_rng_uniform(42, 0, 0, 4, uniform);
    const float want_normal[4] = { -0.97018981f, 0.19401896f, -1.23562074f, 1.92392671f };
    const float want_uniform[4] = { 0.612959862f, 0.468586504f, 0.0732316971f, 0.340861499f };
    for (int i = 0; i < 4; i++) {
        CHECK_NUM(normal[i], ==, want_normal[i]);
        CHECK_NUM(uniform[i], ==, want_uniform[i]);
    }
}
