// SPDX-License-Identifier: MIT
// What the node `diffusion` holds; for diffusion.c and diffusion_wish.c.
#ifndef PH_NODES_DIFFUSION_H
#define PH_NODES_DIFFUSION_H

#include <phosphene/model.h>
#include <phosphene/node.h>

struct ph_resize;

enum { DIFFUSION_IN, DIFFUSION_CONTROL, DIFFUSION_NOTES };

// What a wish says, without its size: where it is the same, no wish is made.
struct diffusion_texts {
    const char *prompt, *negative, *seed, *style, *index, *circle;
};
struct diffusion_numbers {
    int64_t transition, steps, table, memory;
    int blend, sampler, guidance, painting;
    float strength, eta, guidance_scale, delta, control_scale;
    float unused; // the struct has no holes: it is compared as bytes
};
struct diffusion_said {
    struct diffusion_texts texts; // of a tree below
    struct diffusion_numbers numbers;
};

// What was wished of the diffuser and has not landed yet. A tree: the settings' lists are below.
struct diffusion_wish {
    struct diffusion_wish *next;
    uint64_t number; // of the wish, refused ones counted
    uint64_t set;    // the diffuser's count when it was taken
    struct ph_diffuser_settings s;
};

struct diffusion {
    const char *model, *vae, *control, *styles, *device;
    int precision;
    bool tune;
    const char *prompt, *negative;
    int64_t transition;
    int blend;
    const char *seed, *index, *style;
    int sampler, guidance, painting, fit;
    int64_t steps, table, similar_max, memory;
    float strength, eta, guidance_scale, delta;
    float similar, smooth, latent_feedback, picture_feedback, control_scale;
    const char *circle;
    int walk, sized_by;
    float radius, angle, spin, variation, position, reach;
    struct ph_size size;
    float fps;

    struct ph_diffuser *diffuser;
    char name[64], backend[64]; // for reports
    struct ph_diffuser_quality quality;
    bool quality_told;

    struct diffusion_wish *first, **last; // on their way, oldest first
    uint64_t wished;                      // wishes so far
    uint64_t taken;                       // of them, those that the diffuser took
    uint64_t landed;                      // the wish that pictures show
    uint64_t troubled;                    // the newest wish that came to nothing; 0 = none
    bool changed;                         // settings have, since the last wish
    struct diffusion_said *said;          // by the newest wish; a tree
    struct ph_size wished_size;
    bool wished_over; // to paint over a picture
    int steps_now;    // of the wish that has landed
    double scale_now;

    struct ph_resize *resize, *resize_control;
    struct ph_frame *fitted, *fitted_control; // in the size that is painted
    struct ph_frame *newest;                  // what was painted last
    struct ph_frame *fading;                  // what a soft cut lets go, and
    int fade_done, fade_of;
    uint64_t skipped;

    double spun;     // turns that `spin` has added up to
    int64_t spun_ns; // at which time of the stream
    bool spins;      // it is known
    int chroma[12];  // places of the notes among the signals that are linked; -1 = not there
    const struct ph_node_info *notes_of; // the type of node that they were looked up in
};

// Wishes what the parameters say for pictures of that size. What cannot be is the node's problem.
void ph_diffusion_wish(struct ph_node *n, struct ph_size size, bool over);
// Whether what has changed needs a wish; the rest is steered.
bool ph_diffusion_needs_wish(const struct diffusion *p);
// Tells the diffuser the numbers that need nothing prepared, as they are for the picture at pts_ns.
// spin is integrated over the time of the stream: as many turns, however many pictures there are.
ph_err ph_diffusion_steer(struct ph_node *n, int64_t pts_ns, struct ph_fault *fault);
// Before painting: what must be ready is waited for, offline and in a replay.
ph_err ph_diffusion_settle(struct ph_node *n, struct ph_fault *fault);
// After it: what has landed is acknowledged, what went wrong is said.
void ph_diffusion_landed(struct ph_node *n, const struct ph_painted *painted);
void ph_diffusion_forget(struct diffusion *p);

// Checks all texts without wishing anything.
ph_err ph_diffusion_check(const struct diffusion *p, struct ph_fault *fault);

extern const char *const ph_diffusion_samplers[], *const ph_diffusion_guidances[];

#endif
