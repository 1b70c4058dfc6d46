// SPDX-License-Identifier: MIT
// Products: linear layers and convolutions as one product of windows with weights, the windows
// never written down (implicit GEMM). K runs over taps, then channels padded to CU_K.
#include "kernel.cuh"

// Where the window of output row m begins; image < 0: there is no such row.
struct origin {
    int64_t image; // its first pixel
    int y, x;
};

DEVICE struct origin origin_of(const struct cu_matrix *a, int m)
{
    struct origin o = { -1, 0, 0 };
    if (m >= a->m) return o;
    int x = m % a->ow, row = m / a->ow;
    o.image = (int64_t)(row / a->oh) * a->h * a->w_in;
    o.y = row % a->oh * a->stride - a->top;
    o.x = x * a->stride - a->left;
    return o;
}

// The first element of the pixel under a tap, or -1 where there is only padding.
DEVICE int64_t window_at(const struct cu_matrix *a, const struct origin *o, int tap)
{
    int y = o->y + tap / a->kw, x = o->x + tap % a->kw;
    if (o->image < 0 || y < 0 || y >= a->h || x < 0 || x >= a->w_in) return -1;
    return (o->image + (int64_t) y * a->w_in + x) * a->cin;
}

// Up to eight results that lie together, from element `at` and column n on: n is a multiple of eight
// or they are one. whole: sums of all of K, so that the rest of the layer follows.
DEVICE void finish_eight(const struct cu_matrix *a, struct cu_view y, int whole, int64_t at, int n,
                         int count, const float *sum)
{
    float v[8], r[8];
    if (a->n % 8) { // rows begin anywhere
        UNROLL for (int k = 0; k < 8; k++)
        {
            if (k >= count) break;
            float one = sum[k];
            if (whole && a->bias) one += a->bias[n + k];
            if (whole && a->residual.data) one += cu_get(a->residual, at + k);
            cu_put(y, at + k, whole ? cu_act(a->act, one) : one);
        }
        return;
    }
    UNROLL for (int k = 0; k < 8; k++) v[k] = sum[k];
    if (whole) {
        if (a->bias) UNROLL for (int k = 0; k < 8; k++) v[k] += a->bias[n + k];
        if (a->residual.data) {
            cu_get8(a->residual, at, r);
            UNROLL for (int k = 0; k < 8; k++) v[k] += r[k];
        }
        UNROLL for (int k = 0; k < 8; k++) v[k] = cu_act(a->act, v[k]);
    }
    cu_put8(y, at, v);
}

// Eight results of one row, from column n on, a multiple of eight.
DEVICE void finish(const struct cu_matrix *a, int m, int n, const float *sum)
{
    int count = a->n - n < 8 ? a->n - n : 8;
    struct cu_view y = a->y;
    if (m >= a->m || count <= 0) return;
    if (a->partial) {
        y.data = a->partial + (int64_t) cu_block(z) * a->m * a->n;
        y.dtype = CU_F32;
    }
    finish_eight(a, y, !a->partial, (int64_t) m * a->n + n, n, count, sum);
}

// All results of a block, lying in shared memory in lines of `size` and four more.
DEVICE void finish_tile(const struct cu_matrix *a, int m0, int n0, const float *tile, int size,
                        int threads)
{
    for (int i = cu_thread; i < size * size / 8; i += threads) {
        int line = i / (size / 8), n = i % (size / 8) * 8;
        finish(a, m0 + line, n0 + n, tile + line * (size + 4) + n);
    }
}

// ------------------------------------------------------------------------------ f32
#define TILE 64
#define DEEP 16

// Block (m tile, n tile), 4 x 4 results a thread; K in f32 weights [n][tap][cin].
KERNEL(matrix_f32, struct cu_matrix, 256)
{
    float *left = (float *) cu_shared, *right = left + DEEP * TILE; // [DEEP][TILE] each
    int m0 = (int) cu_block(x) * TILE, n0 = (int) cu_block(y) * TILE;
    int line = cu_thread / 4, quad = cu_thread % 4 * 4; // what it loads
    int row = cu_thread / 16 * 4, column = cu_thread % 16 * 4;
    int k_all = a.kh * a.kw * a.cin;
    const float *w = (const float *) a.w + (int64_t)(n0 + line) * k_all;
    struct origin o = origin_of(&a, m0 + line);
    float sum[4][4];
    UNROLL for (int i = 0; i < 16; i++) sum[i / 4][i % 4] = 0;
    for (int k0 = 0; k0 < k_all; k0 += DEEP) {
        UNROLL for (int i = 0; i < 4; i++)
        {
            int k = k0 + quad + i;
            int64_t at = k < k_all ? window_at(&a, &o, k / a.cin) : -1;
            left[(quad + i) * TILE + line] = at < 0 ? 0 : cu_get(a.x, at + k % a.cin);
            right[(quad + i) * TILE + line] = k < k_all && n0 + line < a.n ? w[k] : 0;
        }
        cu_sync();
        for (int k = 0; k < DEEP; k++)
            UNROLL for (int i = 0; i < 16; i++)
                sum[i / 4][i % 4] +=
                    left[k * TILE + row + i / 4] * right[k * TILE + column + i % 4];
        cu_sync();
    }
    float *tile = (float *) cu_shared;
    UNROLL for (int i = 0; i < 16; i++)
        tile[(row + i / 4) * (TILE + 4) + column + i % 4] = sum[i / 4][i % 4];
    cu_sync();
    finish_tile(&a, m0, n0, tile, TILE, 256);
}

// ------------------------------------------------------------------------------ joining
// Adds the parts of K, in order, and finishes; eight results a thread where rows are so long.
KERNEL(matrix_join, struct cu_matrix, 256)
{
    int unit = a.n % 8 ? 1 : 8;
    int64_t at = (int64_t) cu_first(256) * unit, all = (int64_t) a.m * a.n;
    float sum[8], part[8];
    if (at >= all) return;
    UNROLL for (int k = 0; k < 8; k++) sum[k] = 0;
    for (int i = 0; i < a.splits; i++) {
        struct cu_view of = { a.partial + i * all, CU_F32 };
        if (unit == 1) {
            sum[0] += cu_get(of, at);
            continue;
        }
        cu_get8(of, at, part);
        UNROLL for (int k = 0; k < 8; k++) sum[k] += part[k];
    }
    finish_eight(&a, a.y, 1, at, (int) (at % a.n), unit, sum);
}

// ------------------------------------------------------------------------------ tensor cores
// A line of a tile in shared memory is CU_K elements, four pieces of 16 bytes, whose places are
// exchanged so that eight lines' pieces lie in different banks.
DEVICE char *piece_at(char *tile, int line, int piece)
{
    return tile + line * (CU_K * 2) + ((piece ^ (line >> 1 & 3)) * 16);
}

// Eight channels of one pixel, of any type and alignment, as a piece.
DEVICE void put_piece(const struct cu_matrix *a, char *to, int64_t at, int c, int dtype)
{
    float v[8];
    if (at >= 0 && a->cin % 8 == 0 && c + 8 <= a->cin)
        cu_get8(a->x, at + c, v);
    else
        UNROLL for (int k = 0; k < 8; k++)
            v[k] = at >= 0 && c + k < a->cin ? cu_get(a->x, at + c + k) : 0;
    cu_store16(to, cu_pack8(dtype, v));
}

#define MATRIX_NAME matrix_128_bf16
#define MATRIX_M    128
#define MATRIX_WARPS_M 2
#define MATRIX_WARPS_N 4
#define MATRIX_TYPE CU_BF16
#define MATRIX_MMA  cu_mma_bf16
#define MATRIX_ANY  0
#include "matrix_tile.cuh"
#undef MATRIX_NAME
#undef MATRIX_ANY
#define MATRIX_NAME matrix_128_bf16_any
#define MATRIX_ANY  1
#include "matrix_tile.cuh"
#undef MATRIX_NAME
#undef MATRIX_ANY
#undef MATRIX_M
#undef MATRIX_WARPS_N
#define MATRIX_M       64
#define MATRIX_WARPS_N 2
#define MATRIX_NAME    matrix_64_bf16
#define MATRIX_ANY     0
#include "matrix_tile.cuh"
#undef MATRIX_NAME
#undef MATRIX_ANY
#define MATRIX_NAME matrix_64_bf16_any
#define MATRIX_ANY  1
#include "matrix_tile.cuh"
#undef MATRIX_NAME
#undef MATRIX_ANY
#undef MATRIX_TYPE
#undef MATRIX_MMA
#define MATRIX_TYPE CU_F16
#define MATRIX_MMA  cu_mma_f16
#define MATRIX_NAME matrix_64_f16
#define MATRIX_ANY  0
#include "matrix_tile.cuh"
#undef MATRIX_NAME
#undef MATRIX_ANY
#define MATRIX_NAME matrix_64_f16_any
#define MATRIX_ANY  1
#include "matrix_tile.cuh"
