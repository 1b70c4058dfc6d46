// SPDX-License-Identifier: MIT
// The body of every variant: PH_RNG_FN is its name. Only operations that IEEE 754 rounds exactly,
// in a fixed order and without fused multiply-add, so that every machine draws the same bits; the
// C library's logarithm and sine promise no such thing.
#include "nn/rng_blocks.h"

#include "nn/philox.h"

#include <math.h>
#include <string.h>

#define PAIRS (PH_RNG_BLOCKS * 2)

// ln(x) of x in (0, 1): x = 2^e m with m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh((m-1)/(m+1)),
// whose series ends below 1e-16.
static inline double natural_log(double x)
{
    const uint64_t root_half = 0x3FE6A09E667F3BCDu;
    uint64_t bits;
    double m;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t) ((bits - root_half) >> 32) >> 20;
    bits -= (uint64_t) (int64_t) e << 52;
    memcpy(&m, &bits, sizeof m);
    double s = (m - 1) / (m + 1), q = s * s;
    double sum = 1.0 / 19;
    sum = sum * q + 1.0 / 17;
    sum = sum * q + 1.0 / 15;
    sum = sum * q + 1.0 / 13;
    sum = sum * q + 1.0 / 11;
    sum = sum * q + 1.0 / 9;
    sum = sum * q + 1.0 / 7;
    sum = sum * q + 1.0 / 5;
    sum = sum * q + 1.0 / 3;
    sum = sum * q + 1;
    return (double) e * 0.693147180559945309417 + 2 * s * sum;
}

// sin and cos of a in [-pi/4, pi/4], by their series.
static inline double small_sin(double a)
{
    double q = a * a, sum = -1.0 / 1307674368000;
    sum = sum * q + 1.0 / 6227020800;
    sum = sum * q - 1.0 / 39916800;
    sum = sum * q + 1.0 / 362880;
    sum = sum * q - 1.0 / 5040;
    sum = sum * q + 1.0 / 120;
    sum = sum * q - 1.0 / 6;
    return a + a * q * sum;
}

static inline double small_cos(double a)
{
    double q = a * a, sum = 1.0 / 20922789888000;
    sum = sum * q - 1.0 / 87178291200;
    sum = sum * q + 1.0 / 479001600;
    sum = sum * q - 1.0 / 3628800;
    sum = sum * q + 1.0 / 40320;
    sum = sum * q - 1.0 / 720;
    sum = sum * q + 1.0 / 24;
    sum = sum * q - 1.0 / 2;
    return 1 + q * sum;
}

// The half step keeps log from 0. The angle is whole quarter turns and a rest of at most an eighth.
static void pairs(const uint32_t *u, const uint32_t *v, double *x, double *y)
{
    for (int i = 0; i < PAIRS; i++) {
        double radius = sqrt(-2 * natural_log(((double) u[i] + 0.5) * 0x1p-32));
        uint32_t quarter = (v[i] + 0x20000000u) >> 30;
        double rest = (double) (int32_t) (v[i] - (quarter << 30)) + 0.5;
        double a = rest * (0x1p-32 * 6.283185307179586476925);
        double s = small_sin(a), c = small_cos(a);
        double across = quarter & 1 ? s : c, up = quarter & 1 ? c : s;
        across = (quarter + 1) & 2 ? -across : across;
        up = quarter & 2 ? -up : up;
        x[i] = radius * across;
        y[i] = radius * up;
    }
}

void PH_RNG_FN(uint64_t seed, uint64_t stream, uint64_t block, float *out)
{
    uint32_t word[4][PH_RNG_BLOCKS], u[PAIRS], v[PAIRS];
    double x[PAIRS], y[PAIRS];
    for (int i = 0; i < PH_RNG_BLOCKS; i++) {
        uint32_t w[4];
        ph_philox(seed, stream, block + (uint64_t) i, w);
        for (int k = 0; k < 4; k++) word[k][i] = w[k];
    }
    memcpy(u, word[0], sizeof word[0]);
    memcpy(v, word[1], sizeof word[1]);
    memcpy(u + PH_RNG_BLOCKS, word[2], sizeof word[2]);
    memcpy(v + PH_RNG_BLOCKS, word[3], sizeof word[3]);
    pairs(u, v, x, y);
    for (int i = 0; i < PH_RNG_BLOCKS; i++) {
        out[i * 4] = (float) x[i];
        out[i * 4 + 1] = (float) y[i];
        out[i * 4 + 2] = (float) x[i + PH_RNG_BLOCKS];
        out[i * 4 + 3] = (float) y[i + PH_RNG_BLOCKS];
    }
}
