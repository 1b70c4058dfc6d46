// SPDX-License-Identifier: MIT
// Philox4x32-10: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11,
// section 4.3. A block of four words from a 128-bit counter (block, stream) and a 64-bit key.
#ifndef PH_NN_PHILOX_H
#define PH_NN_PHILOX_H

#include <stdint.h>

static inline void ph_philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t word[4])
{
    uint32_t c0 = (uint32_t) block, c1 = (uint32_t) (block >> 32);
    uint32_t c2 = (uint32_t) stream, c3 = (uint32_t) (stream >> 32);
    uint32_t k0 = (uint32_t) seed, k1 = (uint32_t) (seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t) 0xD2511F53u * c0, b = (uint64_t) 0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t) (b >> 32) ^ c1 ^ k0, n2 = (uint32_t) (a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t) b;
        c3 = (uint32_t) a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    word[0] = c0;
    word[1] = c1;
    word[2] = c2;
    word[3] = c3;
}

#endif
