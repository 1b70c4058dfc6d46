// SPDX-License-Identifier: MIT
#include "models/sampler/mix.h"

#include <string.h>

// Sums are built in a block on the stack, so that out may be one of the inputs.
#define BLOCK 512

static void mix_block(float *sum, int64_t n, int64_t at, const struct ph_term *terms, int count)
{
    memset(sum, 0, (size_t) n * sizeof *sum);
    for (int k = 0; k < count; k++) {
        float scale = terms[k].scale;
        if (scale == 0) continue;
        const float *x = terms[k].x + at;
        for (int64_t i = 0; i < n; i++) sum[i] += scale * x[i];
    }
}

void ph_mix(float *out, int64_t n, const struct ph_term *terms, int count)
{
    float sum[BLOCK];
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t part = n - at < BLOCK ? n - at : BLOCK;
        mix_block(sum, part, at, terms, count);
        memcpy(out + at, sum, (size_t) part * sizeof *sum);
    }
}
