// SPDX-License-Identifier: MIT
#include "nn/rng.h"

#include <math.h>

#include "nn/philox.h"

// Four elements share a block; a range may begin and end inside one.
typedef void block_fn(const uint32_t word[4], float out[4]);

static void fill(block_fn *block, uint64_t seed, uint64_t stream, uint64_t first, int64_t n,
                 float *out)
{
    uint64_t at = first, end = first + (uint64_t) (n > 0 ? n : 0);
    while (at != end) {
        uint32_t word[4];
        float four[4];
        ph_philox(seed, stream, at / 4, word);
        block(word, four);
        do *out++ = four[at++ % 4];
        while (at != end && at % 4);
    }
}

// Pairs by Box-Muller. The radius takes the larger half step, so that log never sees 0.
static void normals(const uint32_t word[4], float out[4])
{
    for (int i = 0; i < 4; i += 2) {
        double u = ((double) word[i] + 0.5) * 0x1p-32;
        double angle = ((double) word[i + 1] + 0.5) * (0x1p-32 * 6.283185307179586476925);
        double radius = sqrt(-2 * log(u));
        out[i] = (float) (radius * cos(angle));
        out[i + 1] = (float) (radius * sin(angle));
    }
}

static void uniforms(const uint32_t word[4], float out[4])
{
    for (int i = 0; i < 4; i++) out[i] = (float) (word[i] >> 8) * 0x1p-24f;
}

void ph_rng_normal(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out)
{
    fill(normals, seed, stream, first, n, out);
}

void ph_rng_uniform(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out)
{
    fill(uniforms, seed, stream, first, n, out);
}
