// SPDX-License-Identifier: MIT
// A diffuser paints: words, and mostly a live picture, become a picture, one after another. It reads
// a model folder as Hugging Face ships it (model_index.json, tokenizer/, text_encoder/, unet/, vae/,
// scheduler/) and needs nothing else. Settings are whole: say what is wanted, the diffuser finds out
// what has changed and prepares it beside the pictures that go on being painted.
#ifndef PHOSPHENE_MODEL_H
#define PHOSPHENE_MODEL_H

#include "common.h"
#include "frame.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ph_diffuser;

struct ph_diffuser_params {
    const char *model;     // the folder; required
    const char *vae;       // another autoencoder's folder (TAESD); NULL = the model's own
    const char *control;   // a ControlNet's folder; NULL = none
    const char *device;    // "cpu", "cpu:threads=2"; NULL = "cpu"
    const char *precision; // "auto", "f32", "bf16", "int8", "q4"; NULL = "auto"
    bool tune;             // measure kernels that were never measured here (once, seconds)
    // Asked between the steps of whatever runs or is made, on any thread, until close returns; true
    // ends it with PH_ESTOPPED, so that nobody waits for a large model. NULL = never.
    bool (*stop)(void *arg);
    void *stop_arg;
};

// Loads what every size needs; the first ph_diffuser_set makes the rest. Takes seconds; fault names
// file, tensor or field.                                                            thread: any
PH_API ph_err ph_diffuser_open(const struct ph_diffuser_params *params,
                               struct ph_diffuser **out, struct ph_fault *fault);
// Waits for a step of the model at most.
PH_API void ph_diffuser_close(struct ph_diffuser **d);

enum ph_painting {
    PH_PAINT_STREAM, // steps of consecutive pictures in one run of the model; n - 1 pictures late
    PH_PAINT_WHOLE   // all steps of a picture before the next
};

// Each text with its weight; weights are divided by their sum.
struct ph_prompt {
    const char *text;
    float weight;
};
struct ph_seed {
    uint64_t seed;
    float weight;
};
struct ph_style { // a LoRA
    const char *path;
    float scale;
};

#define PH_STEPS_MAX 32

struct ph_diffuser_settings {
    int width, height; // pixels, multiples of 8, 16 .. 4096
    enum ph_painting painting;
    bool from_picture; // paint over the picture given to ph_diffuser_paint; else from noise

    const struct ph_prompt *prompts; // 1 .. 64
    int prompt_count;
    const char *negative;        // NULL = ""
    bool blend_linear;           // of prompts; else along the sphere
    int transition;              // pictures from the old prompts to new ones; 0 = at once
    const struct ph_seed *seeds; // NULL = seed 2; up to 16
    int seed_count;

    const char *sampler; // "auto", "lcm", "euler", "euler_a", "ddim", "tcd", "dpmpp_2m"
    int steps;           // 1 .. 32
    // Places in a table of `table` steps (StreamDiffusion's t_index_list), `steps` of them, rising;
    // NULL = by strength.
    const int *index;
    int table;      // 0 = 50
    float strength; // 0 .. 1: how far from the picture; with from_picture only
    float eta;      // TCD, DDIM

    const char *guidance; // "none", "full", "self", "initialize"
    float guidance_scale; // 1 and less = none
    float delta;          // of self and initialize; 1 = 1
    bool no_noise;        // do not noise anew between steps

    // The similar-frame filter: from this cosine on pictures are left out; 0 = off.
    float similar;
    int similar_max;        // in a row
    float smooth;           // 0 .. 0.95 of the previous latent into what is shown
    float latent_feedback;  // 0 .. 0.4 of the previous latent into the next start
    float picture_feedback; // 0 .. 1 of the previous picture into the next input
    float control_scale;    // 0 .. 2
    bool control_guess;
    // Pictures whose attention keys and values stay in view of the next (0 .. 4), so that it looks
    // like them; taken every memory_interval pictures (0 = 1). For streams.
    int memory, memory_interval;

    const struct ph_style *styles; // up to 8
    int style_count;

    // The two seeds whose noises span the circle of ph_steering; 0 0 = 1001 1002.
    uint64_t circle[2];
};
// What a live stream starts from: 512x512, stream, one step, no guidance.
PH_API void ph_diffuser_defaults(struct ph_diffuser_settings *s);

// Checks, copies and begins to prepare. Everything of one call lands between the same two pictures,
// in order, a later call before an earlier one landed replaces it. PH_EINVAL names the setting.
//                                                                                   thread: any
PH_API ph_err ph_diffuser_set(struct ph_diffuser *d, const struct ph_diffuser_settings *s,
                              struct ph_fault *fault);
// Waits until the last set could land with the next picture; its error when preparing failed (the
// settings before stay). For rendering, where the same call must give the same picture. thread: any
PH_API ph_err ph_diffuser_settle(struct ph_diffuser *d, struct ph_fault *fault);

// --- numbers that need nothing prepared, such as music drives: they hold from the next picture on
enum ph_prompt_walk {
    PH_WALK_WEIGHTS,  // prompts are mixed as their weights say
    PH_WALK_POSITION, // they lie on a ring; the picture stands at `position`
    PH_WALK_NOTES     // each is a note's, and pulls as strongly as it sounds
};

struct ph_steering {
    // The circular latent walk. The stream goes on, whatever changes: pictures in flight get the
    // difference of the noises at once. With N_seed the noise of the seeds, A and B those of
    // `circle`, for what a picture starts from (noise between its steps stays N_seed's):
    //     noise = sqrt(1 - radius^2) N_seed + radius (cos(2 pi angle) A + sin(2 pi angle) B)
    float radius; // 0 .. 1; 0 = N_seed alone
    double angle; // turns, any number
    // That many is added to every seed; a fraction lies between two, on the sphere. The numbers are
    // a ring of PH_VARIATIONS.
    double variation;

    enum ph_prompt_walk walk;
    double position;  // turns round the ring of prompts: 0 = the first, 1 = it again
    float reach;      // of notes: how much of the picture is theirs at most, 0 .. 1
    float chroma[12]; // C first, 0 .. 1; ph_walk_notes says what they weigh

    // As in ph_diffuser_settings, which from the first ph_diffuser_steer on are not read.
    float similar;
    int similar_max;
    float smooth, latent_feedback, picture_feedback;
};
#define PH_VARIATIONS 100

// Before the next picture. Mixes noise and embeddings when it is painted, where they have moved;
// never waits. PH_EINVAL: a number is out of its range, and nothing has changed.
//                                                                              thread: painting
PH_API ph_err ph_diffuser_steer(struct ph_diffuser *d, const struct ph_steering *s,
                                struct ph_fault *fault);
// The side of the pictures that the model was trained with.                       thread: any
PH_API int ph_diffuser_native_px(const struct ph_diffuser *d);

struct ph_painted {
    uint64_t landed; // how many ph_diffuser_set had landed when this was painted
    bool skipped;    // the picture before, because the input is like it
    bool warming;    // no picture of this stream yet: what is shown began before it
    // Set when the last ph_diffuser_set could not be prepared; once.
    struct ph_fault problem;
    int rows;                               // of the model's batch
    int64_t encode_ns, model_ns, decode_ns; // on the device
};

// in: RGBA, width x height of the settings that land with it, or NULL without from_picture.
// control: RGBA of the same size, or NULL without a ControlNet. out: RGBA, written. PH_EINVAL when a
// size differs (fault says which was expected); PH_EBUSY before anything was set.  thread: one
PH_API ph_err ph_diffuser_paint(struct ph_diffuser *d, const struct ph_picture *in,
                                const struct ph_picture *control, struct ph_picture *out,
                                struct ph_painted *painted, struct ph_fault *fault);
// Width and height that the next picture will have; 0 before the first settings are ready. Another
// size may become ready before the picture is painted: that is PH_EINVAL then, and asking again
// tells it.                                                                        thread: painting
PH_API void ph_diffuser_size(struct ph_diffuser *d, int *width, int *height);
// Forgets what is in flight, and every memory of pictures: a cut.                  thread: painting
PH_API void ph_diffuser_cut(struct ph_diffuser *d);

// Called between steps of a WHOLE painting; true stops it (PH_ESTOPPED).
PH_API void ph_diffuser_on_step(struct ph_diffuser *d,
                                bool (*step)(void *arg, int done, int of), void *arg);

// "sd_turbo: unet 866 M, bf16, cpu: 2 threads ..."; for people. Valid until close.  thread: any
PH_API const char *ph_diffuser_describe(const struct ph_diffuser *d);
struct ph_diffuser_use {
    int64_t packed_bytes, arena_bytes, kept_bytes; // weights as packed, between steps, inputs
    double flops;                                  // of one picture: encode, model, decode
};
//                                                                                  thread: painting
PH_API void ph_diffuser_usage(struct ph_diffuser *d, struct ph_diffuser_use *use);

// What rounding the weights of the UNet and the autoencoder to 8 or 4 bits left of them when they were
// loaded: signal over noise, all together and in the layer that lost most. Below the gate pictures
// suffer. gate_db 0: they are not rounded.
struct ph_diffuser_quality {
    double weights_db, worst_db, gate_db;
    char worst[96]; // layer
};
// Of the settings that are ready or painted with; all 0 before.                    thread: painting
PH_API void ph_diffuser_rounding(struct ph_diffuser *d, struct ph_diffuser_quality *out);

#ifdef __cplusplus
}
#endif
#endif
