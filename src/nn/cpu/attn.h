// SPDX-License-Identifier: MIT
// Attention in tiles. A unit is one head and up to `rows` queries; it walks over tiles of keys with
// a running maximum and sum for each query (M. Milakov, N. Gimelshein, "Online normalizer
// calculation for softmax", 2018), so that scores exist for six queries and one tile only. Keys
// and values are packed tile by tile, once for all queries of the unit, in the unit's own scratch.
#ifndef PH_NN_CPU_ATTN_H
#define PH_NN_CPU_ATTN_H

#include "nn/backend.h"

struct ph_attn_shape {
    int64_t n, t, s, c;
    int heads, d; // c = heads * d
    int rows;     // queries of a unit, a multiple of 6
    int tile;     // keys of a tile, a multiple of 64
};

struct ph_attn_unit {
    const struct ph_attn_shape *shape;
    const struct ph_place *q, *k, *v, *out;
    int64_t q_at, k_at; // first element of its queries and of its keys
    int64_t first;      // index of its first query
    int count;          // queries
    bool causal;
    float scale;
    char *piece; // scratch of the size below, aligned to 64
};

struct ph_attn_ops {
    const char *name;
    size_t (*scratch)(const struct ph_attn_shape *shape);
    void (*run)(const struct ph_attn_unit *unit);
};

extern const struct ph_attn_ops ph_attn_avx2, ph_attn_avx512; // products of f32
extern const struct ph_attn_ops ph_attn_bf16;                 // of bf16, sums f32

// Keys that a unit's queries may see, and those that query i of it may.
static inline int64_t ph_attn_seen(const struct ph_attn_unit *u, int i)
{
    int64_t last = u->first + i + 1;
    return u->causal && last < u->shape->s ? last : u->shape->s;
}

// Asks for what the next tile packs, a few keys at a time while there is work to do: rows of one
// head lie far apart, which no prefetcher follows. part of parts: how far the work is.
static inline void ph_attn_fetch(const struct ph_attn_unit *u, int64_t next, int part,
                                 int parts)
{
    const struct ph_attn_shape *h = u->shape;
    int64_t first = next + (int64_t) h->tile * part / parts;
    int64_t last = next + (int64_t) h->tile * (part + 1) / parts;
    const struct ph_place *both[] = { u->k, u->v };
    for (int64_t j = first; j < last && j < h->s; j++)
        for (int i = 0; i < 2; i++) {
            int64_t size = both[i]->dtype == PH_F32 ? 4 : 2, at = u->k_at + j * h->c;
            const char *row = (const char *) both[i]->data + at * size;
            for (int64_t b = 0; b < h->d * size + 63; b += 64)
                __builtin_prefetch(row + b, 0, 2);
        }
}

#endif
