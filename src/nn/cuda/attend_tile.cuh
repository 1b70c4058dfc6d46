// SPDX-License-Identifier: MIT
// The body of attention on tensor cores, for heads of at most ATTEND_D channels (a multiple of 16);
// no include guard. Four warps of 16 queries; keys and values in tiles of CU_KEYS, the next tile on
// its way while one is used. All of q, k, v are ATTEND_TYPE and d is a multiple of 8.
#define LINE   (ATTEND_D * 2 + 16) // bytes: neighbours begin in other banks
#define TILE_B (CU_KEYS * LINE)
#define PIECES (ATTEND_D / 8)
#define TILES_D (ATTEND_D / 8)
#define TILES_K (CU_KEYS / 8)
#define JOIN2(a, b) a##_##b
#define JOIN(a, b)  JOIN2(a, b)
#define FN(name)    JOIN(name, ATTEND_NAME)

// CU_KEYS lines of `of`, from `first` on; zeros beyond `count` lines and d channels.
DEVICE void FN(load)(const struct cu_attend *a, struct cu_view of, int64_t base, int first,
                     int count, char *to)
{
    int64_t c = (int64_t) a->heads * a->d;
    for (int i = cu_thread; i < CU_KEYS * PIECES; i += 128) {
        int line = i / PIECES, piece = i % PIECES, there = first + line < count;
        there = there && piece * 8 < a->d;
        int64_t at = base + (first + line) * c + piece * 8;
        cu_fetch(to + line * LINE + piece * 16, (const uint16_t *) of.data + (there ? at : 0),
                 there);
    }
}

DEVICE void FN(scores)(float s[TILES_K][4], const char *queries, const char *keys)
{
    int lane = cu_thread % 32, warp = cu_thread / 32;
    UNROLL for (int j = 0; j < TILES_K; j++)
        UNROLL for (int k = 0; k < 4; k++) s[j][k] = 0;
    UNROLL for (int k = 0; k < ATTEND_D / 16; k++)
    {
        uint32_t q[4], r[4];
        cu_matrices(q, queries + (warp * 16 + lane % 16) * LINE + k * 32 + lane / 16 * 16);
        UNROLL for (int j = 0; j < TILES_K; j += 2)
        {
            cu_matrices(r, keys + (j * 8 + lane / 16 * 8 + lane % 8) * LINE + k * 32 +
                               lane / 8 % 2 * 16);
            ATTEND_MMA(s[j], q, r);
            ATTEND_MMA(s[j + 1], q, r + 2);
        }
    }
}

// Scores to powers of two about the largest so far; sums and results follow it.
DEVICE void FN(weigh)(const struct cu_attend *a, float s[TILES_K][4], float y[TILES_D][4],
                      float most[2], float total[2], int query, int key)
{
    float scale = a->scale * LOG2E;
    UNROLL for (int h = 0; h < 2; h++)
    {
        float high = most[h], part = 0;
        int row = query + h * 8;
        UNROLL for (int j = 0; j < TILES_K; j++)
            UNROLL for (int k = 0; k < 2; k++)
            {
                int at = key + j * 8 + k;
                float v = s[j][h * 2 + k] * scale;
                if (at >= a->s || (a->causal && at > row)) v = -cu_infinity;
                s[j][h * 2 + k] = v;
                high = fmaxf(high, v);
            }
        high = fmaxf(high, cu_xor(high, 1));
        high = fmaxf(high, cu_xor(high, 2));
        float from = high == -cu_infinity ? 0 : high, keep = exp2f(most[h] - from);
        UNROLL for (int j = 0; j < TILES_K; j++)
            UNROLL for (int k = 0; k < 2; k++)
            {
                float p = exp2f(s[j][h * 2 + k] - from);
                s[j][h * 2 + k] = p;
                part += p;
            }
        total[h] = total[h] * keep + part;
        most[h] = high;
        UNROLL for (int i = 0; i < TILES_D; i++)
        {
            y[i][h * 2] *= keep;
            y[i][h * 2 + 1] *= keep;
        }
    }
}

// y += p values, p as the scores lie.
DEVICE void FN(gather)(float s[TILES_K][4], const char *values, float y[TILES_D][4])
{
    int lane = cu_thread % 32;
    UNROLL for (int k = 0; k < CU_KEYS / 16; k++)
    {
        uint32_t p[4], r[4];
        p[0] = cu_pair(ATTEND_TYPE, s[2 * k][0], s[2 * k][1]);
        p[1] = cu_pair(ATTEND_TYPE, s[2 * k][2], s[2 * k][3]);
        p[2] = cu_pair(ATTEND_TYPE, s[2 * k + 1][0], s[2 * k + 1][1]);
        p[3] = cu_pair(ATTEND_TYPE, s[2 * k + 1][2], s[2 * k + 1][3]);
        UNROLL for (int i = 0; i < TILES_D; i += 2)
        {
            cu_matrices_turned(r, values + (k * 16 + lane % 16) * LINE + i * 16 + lane / 16 * 16);
            ATTEND_MMA(y[i], p, r);
            ATTEND_MMA(y[i + 1], p, r + 2);
        }
    }
}

DEVICE void FN(store)(const struct cu_attend *a, float y[TILES_D][4], const float total[2],
                      int query, int64_t base)
{
    int64_t c = (int64_t) a->heads * a->d;
    UNROLL for (int h = 0; h < 2; h++)
    {
        float sum = total[h];
        sum += cu_xor(sum, 1);
        sum += cu_xor(sum, 2);
        UNROLL for (int i = 0; i < TILES_D; i++)
        {
            int e = i * 8 + cu_thread % 4 * 2, row = query + h * 8;
            if (row >= a->t || e >= a->d) continue;
            cu_put(a->y, base + row * c + e, y[i][h * 2] / sum);
            cu_put(a->y, base + row * c + e + 1, y[i][h * 2 + 1] / sum);
        }
    }
}

// Block (CU_QUERIES queries, head, image).
KERNEL(ATTEND_NAME, struct cu_attend, 128)
{
    char *queries = cu_shared, *stage[2];
    int64_t c = (int64_t) a.heads * a.d, head = (int64_t) cu_block(y) * a.d;
    int64_t mine = (int64_t) cu_block(z) * a.t * c + head;
    int64_t theirs = (int64_t) cu_block(z) * a.s * c + head;
    int first = (int) cu_block(x) * CU_QUERIES;
    int query = first + cu_thread / 32 * 16 + cu_thread % 32 / 4;
    int last = a.causal && first + CU_QUERIES < a.s ? first + CU_QUERIES : a.s;
    float s[TILES_K][4], y[TILES_D][4], most[2] = { -cu_infinity, -cu_infinity };
    float total[2] = { 0, 0 };
    stage[0] = queries + CU_QUERIES * LINE;
    stage[1] = stage[0] + 2 * TILE_B;
    UNROLL for (int i = 0; i < TILES_D; i++)
        UNROLL for (int k = 0; k < 4; k++) y[i][k] = 0;
    FN(load)(&a, a.q, mine, first, a.t, queries);
    FN(load)(&a, a.k, theirs, 0, a.s, stage[0]);
    FN(load)(&a, a.v, theirs, 0, a.s, stage[0] + TILE_B);
    cu_commit();
    for (int key = 0, turn = 0; key < last; key += CU_KEYS, turn ^= 1) {
        char *now = turn ? stage[1] : stage[0], *next = turn ? stage[0] : stage[1];
        if (key + CU_KEYS < last) {
            FN(load)(&a, a.k, theirs, key + CU_KEYS, a.s, next);
            FN(load)(&a, a.v, theirs, key + CU_KEYS, a.s, next + TILE_B);
        }
        cu_commit();
        cu_wait(1);
        cu_sync();
        FN(scores)(s, queries, now);
        FN(weigh)(&a, s, y, most, total, query, key + cu_thread % 4 * 2);
        FN(gather)(s, now + TILE_B, y);
        cu_sync();
    }
    cu_wait(0);
    FN(store)(&a, y, total, query, mine);
}

#undef LINE
#undef TILE_B
#undef PIECES
#undef TILES_D
#undef TILES_K
#undef JOIN2
#undef JOIN
#undef FN
#undef ATTEND_D
#undef ATTEND_NAME
