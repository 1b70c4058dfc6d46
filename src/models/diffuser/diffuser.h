// SPDX-License-Identifier: MIT
// What a diffuser holds; for diffuser.c and paint.c.
#ifndef PH_MODELS_DIFFUSER_H
#define PH_MODELS_DIFFUSER_H

#include <pthread.h>

#include "models/diffuser/making.h"
#include "models/diffuser/steer.h"
#include "models/stream/blend.h"
#include "models/stream/similar.h"

// Everything that painting needs at hand, sized for what landed last. Touched by the painting
// thread alone.
struct ph_easel {
    int width, height;
    int64_t latent_len, text_len; // floats of a latent; of an embedding, pooled part included
    int rows, seeds;
    struct ph_batch *batch; // of a stream; NULL in a whole painting
    struct ph_similar similar;
    bool filters; // similar is in use
    struct ph_transition transition;
    bool in_transition;
    float *noise;                  // [slots, latent] of the seeds
    float *latent, *clean, *shown; // [latent]: encoded; painted; smoothed
    float *in, *prediction;        // [rows, latent]
    float *other;             // [4, latent] of a whole painting: x0 before, noise, x, guided
    float *draws;             // [seeds, latent]: noise to be blended; NULL of one seed
    float *from, *to, *words; // [text]: transition's ends; the prompt now
    float *negative;          // [text]
    float *text;              // [rows, text]: rows as the model reads them, then pooled
    double timestep[2 * PH_STEPS_MAX];
    struct ph_noise_walk walk;
    struct ph_steering aimed; // what `to` was blended by
    uint8_t *rgba;            // [height, width, 4]: input; and
    uint8_t *last;            // the last picture painted
    bool has_last, has_shown;
    bool words_changed, rows_changed;
    bool fresh;       // the model remembers no picture of this stream
    bool was_fresh;   // what it was told last
    uint64_t painted; // pictures since the beginning
};

struct ph_diffuser {
    struct ph_maker maker; // the maker's thread, after opening
    char description[256];

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct ph_wish *wish;  // waits to be made
    struct ph_made *ready; // waits to land
    bool making;
    _Atomic bool quit;       // also read on the device's thread
    bool (*stop)(void *arg); // the opener's; NULL = none
    void *stop_arg;
    uint64_t wishes;
    struct ph_fault problem; // of the last wish; code PH_OK = none
    bool problem_told;

    // The painting thread's.
    struct ph_made *now;
    struct ph_easel easel;
    struct ph_steering steer; // as it is to be
    bool steered;             // ph_diffuser_steer was called
    // ph_rng_normal; a test puts recorded noise in its place.
    void (*draw)(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out);
    bool (*on_step)(void *arg, int done, int of);
    void *on_step_arg;
};

// The stream of random numbers of step i's noise in a whole painting; slots' noise is stream i.
#define PH_STEP_NOISE (UINT64_C(1) << 16)

void ph_painting_free(struct ph_diffuser *d);

#endif
