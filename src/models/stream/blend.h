// SPDX-License-Identifier: MIT
// Blending of prompt embeddings and of seeds' noise, and transitions between them. An embedding of
// any shape is one vector: its flattened elements.
#ifndef PH_MODELS_STREAM_BLEND_H
#define PH_MODELS_STREAM_BLEND_H

#include <phosphene/common.h>

enum ph_blend {
    // Direction along the great circle, length interpolated on its own (Shoemake 1985; SDTD 0.4's
    // variant). N inputs are folded from the heaviest on, each at t = w / (sum so far + w).
    PH_BLEND_SLERP,
    PH_BLEND_LINEAR, // sum of w x
    // As LINEAR and SLERP would in livepeer's fork: two inputs by (sin((1-t)a) x + sin(t a) y) /
    // sin a with t = the second weight and lengths left in; any other number is LINEAR.
    PH_BLEND_SLERP_TWO,
    // SLERP after each weight was multiplied by the input's cosine to the weighted sum of all
    // (at least 1e-4), their sum kept: what agrees with the rest counts for more.
    PH_BLEND_COSINE
};

#define PH_BLEND_MAX 64 // inputs

struct ph_blend_input {
    const float *x; // [n]
    float weight;
};

struct ph_blend_params {
    enum ph_blend method;
    // Else weights are divided by their sum, and a sum of 0 makes them equal. What is not finite
    // counts as 0.
    bool raw_weights;
    // Noise: a LINEAR blend of normalised weights is scaled to the mean length of its inputs, else
    // what is blended has too little noise in it (livepeer's fork does the same).
    bool keep_length;
};

// Never gives a value that is not finite for finite inputs and weights: near-parallel inputs (an
// angle below 1e-3), near-opposite ones (within 1e-3 of pi; 0.1 for SLERP_TWO, whose factor grows
// without bound there) and zero vectors are interpolated linearly. With raw weights and SLERP, a
// sum above 1 makes the result longer by it. A single input with normalised weights, and one that
// has all the weight, come out bit by bit. out may not overlap an input. PH_EINVAL for a count not
// in 1 .. PH_BLEND_MAX; never allocates.                                            thread: any
ph_err ph_blend_mix(const struct ph_blend_input *in, int count, int64_t n,
                    const struct ph_blend_params *params, float *out);

// Two vectors, t from 0 (exactly a) to 1 (exactly b). out may be a or b.             thread: any
void ph_blend_slerp(const float *a, const float *b, double t, int64_t n, float *out);

// ------------------------------------------------------------------------- transitions
enum ph_ease {
    PH_EASE_LINEAR,
    PH_EASE_IN,     // u^2
    PH_EASE_OUT,    // 1 - (1-u)^2
    PH_EASE_IN_OUT, // 3 u^2 - 2 u^3
};
// u outside 0 .. 1 is taken as the nearer end; 0 gives 0 and 1 gives 1, exactly.
double ph_ease_at(enum ph_ease ease, double u);

struct ph_transition {
    int frames, frame; // length; how many were given
    enum ph_ease ease;
    bool linear; // else ph_blend_slerp
};

// Over the next `frames` calls, the last of which gives `to` bit by bit; frames <= 0: the first.
// A new target while under way begins another from what was last given.
void ph_transition_begin(struct ph_transition *t, int frames, enum ph_ease ease, bool linear);
// Writes the next blend; true while more are to come. Once over it goes on giving `to`. out may be
// `to` but not `from`, which must stay as it was at the beginning.                  thread: any
bool ph_transition_next(struct ph_transition *t, const float *from, const float *to, int64_t n,
                        float *out);

#endif
