// SPDX-License-Identifier: MIT
// The stream batch (StreamDiffusion, arXiv 2312.12491, sections 3.1 and 3.2, and its pipeline.py):
// n steps of n consecutive frames in one run of the model. Slot i holds the frame that is at step
// i, slot 0 the newest and noisiest; a frame enters at slot 0, moves one slot a run, and leaves
// clean after n runs. This is arithmetic only: the caller runs the model in between.
//
//   ph_batch_enter(b, z0, id);                    the newest frame's latent
//   ph_batch_gather(b, rows);                     what the model gets, [ph_batch_rows(b), len]
//   ... the model: out [rows, len] ...
//   ph_batch_step(b, out, clean);                 what leaves, of frame b->left
//
// Per slot: X the noisy latent, N its noise, fixed for the whole stream (which is what keeps the
// picture calm), and S the stock noise: the noise that would make X out of the frame's own latent
//     X_i = clean_i z0_i + noise_i S_i        for every slot, guidance scale and delta
// which holds from the first frame on: a frame enters with S = N, and a step moves S as it moves X.
// (Not with initialize, where S_0 is what the model says of the negative prompt.)
//
//   eps_i  = eps_x X_i + eps_m out_i                       what the model says, as noise
//   m_i    = u + g (eps_i - u)          u: none - ; full: eps of the negative row;
//                                       self, initialize: delta S_i
//   X_i+1  = next_x X_i + next_e m_i + next_noise N_i+1    (+ next_prev x0 before, of DPM++ 2M)
//   S_i+1  = (next_x noise_i S_i + next_e m_i + next_noise N_i+1
//             + next_prev (x0 before - z0_i)) / noise_i+1        with z0_i by the line above
//
// with the factors of the slot's own sampler step. For LCM this is what upstream writes as
// X_i+1 = a_i+1 D_i + b_i+1 N_i+1 and S_i+1 = N_i+1 + (a_i+1/b_i+1) D(b_i S_i). With initialize,
// S_0 is eps of the negative row of slot 0: one more row, not n.
//
// Where upstream is wrong and this is not:
//   - One step with self guidance: upstream's stock noise reads itself and grows without bound
//     (131 after 400 frames at t = 299, 5e11 after 10 at t = 999), and its first frame has u = 0.
//     Here S_0 = N_0 whenever a frame enters, whatever n.
//   - Several frames a run with n > 1: upstream shifts by one row and mixes frames. Here every
//     stream is a batch of its own; rows of many go into one run of the model, one after another,
//     each with its own prompts, noise and times.
//   - A prompt change with full or initialize: upstream drops the negative rows, its forks repeat
//     the wrong ones. Here rows name slot and sign, and ph_batch_prompts fills what they name.
//   - An empty stream: upstream starts from zeros, so the first n - 1 pictures are dark. Here the
//     first frame fills every slot at its own noise level, and the first picture is of that frame.
//   - txt2img: upstream draws from a generator nobody seeded. Here the noise is the caller's.
// Kept as upstream has it: with no_noise, X moves without N but S with it, so the identity above
// holds only for slot 0 (its own goldens want it so).
#ifndef PH_MODELS_STREAM_BATCH_H
#define PH_MODELS_STREAM_BATCH_H

#include "models/sampler/sampler.h"

#define PH_BATCH_MAX 32 // slots

enum ph_guidance {
    PH_GUIDANCE_NONE,
    PH_GUIDANCE_FULL,
    PH_GUIDANCE_SELF,
    PH_GUIDANCE_INITIALIZE
};

// One row of the model's batch.
struct ph_batch_row {
    int slot;
    bool negative; // with the negative prompt
    double timestep;
};

struct ph_batch_params {
    int slots;                          // n, 1 .. capacity
    const struct ph_sampler_step *step; // [n], noisy to clean: from the sampler's `first` on
    enum ph_guidance guidance;
    float scale; // g; at most 1 there is no guidance: rows and arithmetic of NONE
    float delta; // 1 = the stock noise as it is; 0 = none of it
    bool no_noise;
};

// What a step needs for each slot; a backend takes these as vectors of n.
struct ph_batch_coefs {
    float input[PH_BATCH_MAX];                           // model_in = input X
    float eps_x[PH_BATCH_MAX], eps_m[PH_BATCH_MAX];      // of positive and negative rows alike
    float pos, neg, stock;                               // m = pos eps + neg eps_neg + stock S
    float x0_x[PH_BATCH_MAX], x0_e[PH_BATCH_MAX];        // D = x0_x X + x0_e m
    float next_x[PH_BATCH_MAX], next_e[PH_BATCH_MAX];    // X' = next_x X + next_e m
    float next_n[PH_BATCH_MAX], next_prev[PH_BATCH_MAX]; //      + next_n N[i+1] + next_prev P
    float stock_s[PH_BATCH_MAX], stock_e[PH_BATCH_MAX];  // S' = stock_s S + stock_e m
    float stock_n[PH_BATCH_MAX];                         //      + stock_n N[i+1]
    float stock_x[PH_BATCH_MAX], stock_prev[PH_BATCH_MAX]; //      + stock_x X + stock_prev P
    float clean[PH_BATCH_MAX], noise[PH_BATCH_MAX], start[PH_BATCH_MAX];
    double timestep[PH_BATCH_MAX];
};

struct ph_batch {
    int slots, capacity;
    int64_t len;               // elements of a latent
    enum ph_guidance guidance; // in effect: NONE when scale <= 1
    bool no_noise;
    struct ph_batch_coefs c;
    // [capacity, len] each. Between step and enter slot 0 of x holds nothing.
    float *x, *noise, *stock, *prev;
    float *guided;             // m of the last step, before slots moved
    bool filled;               // slots hold frames
    int warm;                  // how many more pictures come from slots filled at the start
    uint64_t id[PH_BATCH_MAX]; // the frame in each slot
    uint64_t left;             // the frame that the last step gave
};

// All memory for up to `capacity` slots; nothing after allocates. noise [capacity, len] is copied:
// row i is N of slot i.                                                              thread: ctl
ph_err ph_batch_create(struct ph_batch **out, int capacity, int64_t len, const float *noise,
                       const struct ph_batch_params *params, struct ph_fault *fault);
void ph_batch_destroy(struct ph_batch **b);

// Another number of steps, times, sampler, guidance, scale or delta, between two frames.
// Guidance, scale and delta change nothing in the slots: S is kept up in every mode.
// Where steps change but not their number, each slot keeps its frame. With another number each new
// slot 1 .. takes the old slot 1 .. nearest to it in log(noise/clean), so that order in time is
// kept: one frame may fill two slots when there are more of them, frames fall out when there are
// fewer. What a slot takes moves to its new level: the last clean estimate
// D = (X - noise N)/clean is noised anew with the new slot's N (samplers that do not noise anew:
// with S), and S follows from the identity above. With nothing in flight (one step before), the
// next frame fills all slots. PH_EINVAL, PH_ELIMIT (over capacity): nothing has changed.
//                                                                       thread: that of the steps
ph_err ph_batch_set(struct ph_batch *b, const struct ph_batch_params *params,
                    struct ph_fault *fault);

// New noise [capacity, len]. Frames in flight get it at once: X += noise_i (new - old), S += new -
// old; so a seed is visible in the next picture and the identity holds on.
void ph_batch_reseed(struct ph_batch *b, const float *noise);
// The same for the slots in use alone, [slots, len]; the others keep what they have: noise that
// moves a little with every picture.
void ph_batch_shift(struct ph_batch *b, const float *noise);

// What was in flight is forgotten; the next frame fills all slots.
void ph_batch_empty(struct ph_batch *b);

// img2img: X_0 = clean z0 + noise N_0. id: the caller's, comes back in `left`.
void ph_batch_enter(struct ph_batch *b, const float *z0, uint64_t id);
// txt2img: X_0 = start * noise; NULL = N_0, the same picture each time. The slots of an empty stream
// are filled with noise of their level, and `warm` pictures are to be left out.
void ph_batch_enter_noise(struct ph_batch *b, const float *noise, uint64_t id);

// Rows of the model's batch: none, self: slots 0 .. n-1. full: negatives 0 .. n-1, then slots
// 0 .. n-1. initialize: the negative of slot 0, then slots 0 .. n-1.
int ph_batch_rows(const struct ph_batch *b);
struct ph_batch_row ph_batch_row_at(const struct ph_batch *b, int row);
void ph_batch_gather(const struct ph_batch *b, float *rows); // [rows, len]
// One prompt a slot (positive[i] [size]) and one negative, laid out by rows: [rows, size].
void ph_batch_prompts(const struct ph_batch *b, const float *const *positive,
                      const float *negative, int64_t size, float *rows);

// unet: the model's output [rows, len], as it is (epsilon, v or sample). clean [len]: the finished
// latent. Slots move on.                                                    thread: that of steps
void ph_batch_step(struct ph_batch *b, const float *unet, float *clean);
// The same in two parts: m into b->guided (and S_0 of initialize), then everything else. Between
// them ph_batch_x0 gives D of a slot: the clean estimate, a preview of what is to come.
void ph_batch_guide(struct ph_batch *b, const float *unet);
void ph_batch_x0(const struct ph_batch *b, int slot, float *out);
void ph_batch_advance(struct ph_batch *b, float *clean);

// t-indices of n steps for a strength: places in a table of `table` steps, evenly from
// round((1 - strength) table) on, as the table itself is thinned. strength 1, n 4, 50: 0 12 25 37.
void ph_batch_indices(double strength, int n, int table, int *index);

#endif
