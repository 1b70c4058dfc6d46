// SPDX-License-Identifier: MIT
// The body of every variant: PH_RANK_FN is its name, PH_RANK_VEC the bytes of its vectors. Four
// rows by two vectors keep eight sums in registers.
#include "nn/rank_add.h"

#include <string.h>

typedef float vec __attribute__((vector_size(PH_RANK_VEC)));
#define LANES (PH_RANK_VEC / 4)

static inline vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

void PH_RANK_FN(float *delta, const float *up, const float *down, int k, int cols)
{
    for (int c = 0; c < cols; c += 2 * LANES) {
        vec sum[PH_RANK_ROWS][2] = { 0 };
        for (int i = 0; i < k; i++) {
            vec a = load(down + i * PH_RANK_COLS + c),
                b = load(down + i * PH_RANK_COLS + c + LANES);
            for (int r = 0; r < PH_RANK_ROWS; r++) {
                sum[r][0] += a * up[r * PH_RANK_K + i];
                sum[r][1] += b * up[r * PH_RANK_K + i];
            }
        }
        for (int r = 0; r < PH_RANK_ROWS; r++)
            memcpy(delta + r * PH_RANK_COLS + c, sum[r], sizeof sum[r]);
    }
}
