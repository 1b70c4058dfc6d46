// SPDX-License-Identifier: MIT
// Walks: through noise on a circle, and through prompts token by token. Plain arithmetic on rows;
// nothing here remembers anything, so a walk is a function of where it stands and of no frame rate.
#ifndef PH_MODELS_STREAM_WALK_H
#define PH_MODELS_STREAM_WALK_H

#include "models/stream/blend.h"

// The circular latent walk: x = cos(2 pi turns) a + sin(2 pi turns) b, which keeps the variance of
// noise because a and b are independent (hammamiomar's hambaJubaTuba and latent-dance walk so; the
// phase is continuous here and any number of turns). radius below 1 is a smaller circle around mid:
//     out = sqrt(1 - radius^2) mid + radius x
// radius 0 gives mid bit by bit, whatever a and b are (they may be NULL). [n] each; out may be none
// of them.                                                                          thread: any
void ph_walk_circle(const float *mid, const float *a, const float *b, double radius,
                    double turns, int64_t n, float *out);

// Where `place` stands on a ring of `count` things, 0 the first and 1 it again: between `from` and
// the next one round, at `share` in [0, 1).
struct ph_walk_place {
    int from, to;
    double share;
};
struct ph_walk_place ph_walk_ring(double place, int count);

// Weights of `count` prompts (2 .. 13) by the strengths of the twelve notes, C first. With 13 the
// first is what the others leave; with 12 and fewer all of them are, in equal parts, and notes
// share prompts (with 4: C, C sharp and D have the first).
//     pull_k = max(0, chroma_k - the fifth largest)             so that at most four notes pull
//     reach' = reach max(pull)
//     weight_k = reach' pull_k / sum(pull),    weight of what is left = 1 - reach'
// which is continuous in the chroma, silence included. Causal form of hambaJubaTuba's cumulative
// mode (its four strongest notes, its share of 0.8 at most).                        thread: any
void ph_walk_notes(const float chroma[12], int count, double reach, float *weights);

// Blends embeddings row by row, each row (a token's state) a vector of its own: `linear` the
// weighted sum; else the sum's direction with the weighted mean of the rows' lengths (where rows
// cancel out, the sum as it is). Weights are >= 0 and sum to 1. [rows, width] each.   thread: any
void ph_walk_tokens(const struct ph_blend_input *in, int count, int64_t rows, int64_t width,
                    bool linear, float *out);
// Two embeddings, each row along its great circle (ph_blend_slerp).                 thread: any
void ph_walk_slerp(const float *a, const float *b, double share, int64_t rows, int64_t width,
                   float *out);

#endif
