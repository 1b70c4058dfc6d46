// SPDX-License-Identifier: MIT
// Attention whose scores are never stored: keys pass by in tiles while the largest score and the sum
// of powers so far are kept (T. Dao et al., "FlashAttention", 2022, algorithm 1, with the final
// division of FlashAttention-2).
#include "kernel.cuh"

#define LOG2E 1.4426950408889634f

// ------------------------------------------------------------------------------ any type
// Block (8 queries, head, image), a warp a query: lanes are keys for scores, channels for sums.
#define MOST_TURNS (CU_HEAD_MOST / 32)

KERNEL(attend_any, struct cu_attend, 256)
{
    int warp = cu_thread / 32, lane = cu_thread % 32, query = (int) cu_block(x) * 8 + warp;
    if (query >= a.t) return;
    float *q = (float *) cu_shared + warp * a.d, sum[MOST_TURNS], most = -cu_infinity, total = 0;
    int64_t c = (int64_t) a.heads * a.d, head = (int64_t) cu_block(y) * a.d;
    int64_t at = ((int64_t) cu_block(z) * a.t + query) * c + head;
    int64_t keys = (int64_t) cu_block(z) * a.s * c + head;
    int last = a.causal && query + 1 < a.s ? query + 1 : a.s;
    UNROLL for (int i = 0; i < MOST_TURNS; i++) sum[i] = 0;
    for (int e = lane; e < a.d; e += 32) q[e] = cu_get(a.q, at + e);
    cu_sync_warp();
    for (int j0 = 0; j0 < last; j0 += 32) {
        float score = -cu_infinity, high;
        if (j0 + lane < last) {
            score = 0;
            for (int e = 0; e < a.d; e++)
                score += q[e] * cu_get(a.k, keys + (j0 + lane) * c + e);
            score *= a.scale;
        }
        high = score;
        UNROLL for (int m = 16; m; m >>= 1) high = fmaxf(high, cu_xor(high, m));
        high = fmaxf(high, most);
        float from = high == -cu_infinity ? 0 : high;
        float keep = expf(most - from), p = j0 + lane < last ? expf(score - from) : 0;
        total = total * keep + cu_warp_sum(p);
        most = high;
        UNROLL for (int i = 0; i < MOST_TURNS; i++) sum[i] *= keep;
        for (int j = 0; j < 32 && j0 + j < last; j++) {
            float share = cu_of_lane(p, j);
            UNROLL for (int i = 0; i < MOST_TURNS; i++)
                if (i * 32 + lane < a.d)
                    sum[i] += share * cu_get(a.v, keys + (j0 + j) * c + i * 32 + lane);
        }
    }
    UNROLL for (int i = 0; i < MOST_TURNS; i++)
        if (i * 32 + lane < a.d) cu_put(a.y, at + i * 32 + lane, sum[i] / total);
}

// ------------------------------------------------------------------------------ tensor cores
#define ATTEND_TYPE CU_BF16
#define ATTEND_MMA  cu_mma_bf16
#define ATTEND_D    48
#define ATTEND_NAME attend_48_bf16
#include "attend_tile.cuh"
#define ATTEND_D    64
#define ATTEND_NAME attend_64_bf16
#include "attend_tile.cuh"
#define ATTEND_D    80
#define ATTEND_NAME attend_80_bf16
#include "attend_tile.cuh"
#define ATTEND_D    160
#define ATTEND_NAME attend_160_bf16
#include "attend_tile.cuh"
#undef ATTEND_TYPE
#undef ATTEND_MMA
#define ATTEND_TYPE CU_F16
#define ATTEND_MMA  cu_mma_f16
#define ATTEND_D    64
#define ATTEND_NAME attend_64_f16
#include "attend_tile.cuh"
#define ATTEND_D    160
#define ATTEND_NAME attend_160_f16
#include "attend_tile.cuh"
