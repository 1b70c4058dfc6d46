// SPDX-License-Identifier: MIT
#include "nn/rng.h"

#include "core/cpu.h"
#include "nn/philox.h"
#include "nn/rng_blocks.h"

#include <string.h>

#define MANY (PH_RNG_BLOCKS * 4)

static ph_rng_fn *blocks_fn(void)
{
#if defined(__x86_64__)
    unsigned cpu = ph_cpu_flags();
    if (cpu & PH_CPU_AVX512) return ph_rng_blocks_avx512;
    if (cpu & PH_CPU_AVX2) return ph_rng_blocks_avx2;
#endif
    return ph_rng_blocks_c;
}

// Ranges may begin and end inside what is drawn at once.
void ph_rng_normal(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out)
{
    ph_rng_fn *draw = blocks_fn();
    while (n > 0) {
        float many[MANY];
        int64_t skip = (int64_t) (first % MANY), take = n < MANY - skip ? n : MANY - skip;
        draw(seed, stream, (first - (uint64_t) skip) / 4, many);
        memcpy(out, many + skip, (size_t) take * sizeof *out);
        out += take;
        first += (uint64_t) take;
        n -= take;
    }
}

void ph_rng_uniform(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out)
{
    uint32_t word[4];
    for (int64_t i = 0; i < n; i++, first++) {
        if (!i || first % 4 == 0) ph_philox(seed, stream, first / 4, word);
        out[i] = (float) (word[first % 4] >> 8) * 0x1p-24f;
    }
}
