// SPDX-License-Identifier: MIT
// The body of every product on tensor cores; no include guard. A tile of MATRIX_M x MATRIX_M
// results is MATRIX_WARPS_M x MATRIX_WARPS_N warps; CU_STAGES chunks of K are under way.
// MATRIX_ANY: x is of any type and width and goes through registers; else it is of MATRIX_TYPE, cin
// is a multiple of 8, and pieces are fetched past the registers.
#define THREADS (MATRIX_WARPS_M * MATRIX_WARPS_N * 32)
#define WARP_M  (MATRIX_M / MATRIX_WARPS_M)
#define WARP_N  (MATRIX_M / MATRIX_WARPS_N)
#define TILES_M (WARP_M / 16)
#define TILES_N (WARP_N / 8)
#define LINES_T (THREADS / 4)          // lines that the block loads at once
#define TURNS   (MATRIX_M / LINES_T)   // of loading
#define STAGE   (2 * MATRIX_M * CU_K * 2) // bytes
#define JOIN2(a, b) a##_##b
#define JOIN(a, b)  JOIN2(a, b)
#define FN(name)    JOIN(name, MATRIX_NAME)

DEVICE void FN(load)(const struct cu_matrix *a, const struct origin o[TURNS], int n0, int chunk,
                     char *stage)
{
    int of_tap = a->c_padded / CU_K, tap = chunk / of_tap, c0 = chunk % of_tap * CU_K;
    int piece = cu_thread % 4, line = cu_thread / 4, c = c0 + piece * 8;
    char *right = stage + MATRIX_M * CU_K * 2;
    int64_t k_all = (int64_t) a->kh * a->kw * a->c_padded;
    UNROLL for (int i = 0; i < TURNS; i++)
    {
        int64_t at = window_at(a, &o[i], tap);
        char *to = piece_at(stage, line + i * LINES_T, piece);
#if MATRIX_ANY
        put_piece(a, to, at, c, MATRIX_TYPE);
#else
        int there = at >= 0 && c < a->cin;
        cu_fetch(to, (const uint16_t *) a->x.data + (there ? at + c : 0), there);
#endif
        const uint16_t *w = (const uint16_t *) a->w +
                            (int64_t)(n0 + line + i * LINES_T) * k_all +
                            (int64_t) chunk * CU_K + piece * 8;
        cu_fetch(piece_at(right, line + i * LINES_T, piece), w, 1);
    }
}

DEVICE void FN(multiply)(float sum[TILES_M][TILES_N][4], char *stage, int warp_m, int warp_n)
{
    int lane = cu_thread % 32;
    char *right = stage + MATRIX_M * CU_K * 2;
    UNROLL for (int k = 0; k < CU_K / 16; k++)
    {
        uint32_t x[TILES_M][4], w[TILES_N][2];
        UNROLL for (int i = 0; i < TILES_M; i++)
            cu_matrices(x[i], piece_at(stage, warp_m * WARP_M + i * 16 + lane % 16,
                                       k * 2 + lane / 16));
        UNROLL for (int j = 0; j < TILES_N; j += 2)
        {
            uint32_t r[4];
            cu_matrices(r, piece_at(right, warp_n * WARP_N + j * 8 + lane / 16 * 8 + lane % 8,
                                    k * 2 + lane / 8 % 2));
            w[j][0] = r[0], w[j][1] = r[1];
            w[j + 1][0] = r[2], w[j + 1][1] = r[3];
        }
        UNROLL for (int i = 0; i < TILES_M; i++)
            UNROLL for (int j = 0; j < TILES_N; j++) MATRIX_MMA(sum[i][j], x[i], w[j]);
    }
}

// Block (m tile, n tile, part of K).
KERNEL(MATRIX_NAME, struct cu_matrix, THREADS)
{
    int warp = cu_thread / 32, lane = cu_thread % 32;
    int warp_m = warp / MATRIX_WARPS_N, warp_n = warp % MATRIX_WARPS_N;
    int m0 = (int) cu_block(x) * MATRIX_M, n0 = (int) cu_block(y) * MATRIX_M;
    int first = (int) cu_block(z) * a.chunks_each;
    int last = first + a.chunks_each < a.chunks ? first + a.chunks_each : a.chunks;
    struct origin o[TURNS];
    float sum[TILES_M][TILES_N][4];
    UNROLL for (int i = 0; i < TURNS; i++) o[i] = origin_of(&a, m0 + cu_thread / 4 + i * LINES_T);
    UNROLL for (int i = 0; i < TILES_M; i++)
        UNROLL for (int j = 0; j < TILES_N; j++)
            UNROLL for (int k = 0; k < 4; k++) sum[i][j][k] = 0;
    UNROLL for (int s = 0; s < CU_STAGES - 1; s++)
    {
        if (first + s < last) FN(load)(&a, o, n0, first + s, cu_shared + s * STAGE);
        cu_commit();
    }
    for (int q = first; q < last; q++) {
        cu_wait(CU_STAGES - 2);
        cu_sync();
        int next = q + CU_STAGES - 1;
        if (next < last)
            FN(load)(&a, o, n0, next, cu_shared + (next - first) % CU_STAGES * STAGE);
        cu_commit();
        FN(multiply)(sum, cu_shared + (q - first) % CU_STAGES * STAGE, warp_m, warp_n);
    }
    cu_wait(0);
    cu_sync();
    float *tile = (float *) cu_shared;
    int line = warp_m * WARP_M + lane / 4, column = warp_n * WARP_N + lane % 4 * 2;
    UNROLL for (int i = 0; i < TILES_M; i++)
        UNROLL for (int j = 0; j < TILES_N; j++)
            UNROLL for (int k = 0; k < 4; k++)
                tile[(line + i * 16 + k / 2 * 8) * (MATRIX_M + 4) + column + j * 8 + k % 2] =
                    sum[i][j][k];
    cu_sync();
    finish_tile(&a, m0, n0, tile, MATRIX_M, THREADS);
}

#undef THREADS
#undef WARP_M
#undef WARP_N
#undef TILES_M
#undef TILES_N
#undef LINES_T
#undef TURNS
#undef STAGE
#undef JOIN2
#undef JOIN
#undef FN
