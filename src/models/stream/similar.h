// SPDX-License-Identifier: MIT
// The similar-frame filter: a picture much like the last one that was worked on is left out, by
// chance, the likelier the more alike they are. Nothing sleeps: the caller shows the last result
// again, and the frames left out are counted (StreamDiffusion's stochastic similarity filter,
// arXiv 2312.12491, section 3.4, and its image_filter.py).
//
// c = cosine of the two pictures, seen as vectors in [-1, 1]; p = max(0, 1 - (1-c)/(1-threshold)),
// 0 for a threshold of 1; worked on when p < u, u uniform in [0, 1) and given by the caller.
#ifndef PH_MODELS_STREAM_SIMILAR_H
#define PH_MODELS_STREAM_SIMILAR_H

#include <phosphene/common.h>

// How the limit of skips in a row is counted.
enum ph_similar_rule {
    // Every frame that is worked on begins the count anew, and at most max_skip are left out in a
    // row: the only one of the three for which max_skip means what it says. The default.
    PH_SIMILAR_STRICT,
    PH_SIMILAR_LOOSE,    // begins anew, but max_skip + 1 are possible
    PH_SIMILAR_UPSTREAM, // only a forced frame begins anew: skips long ago still count
};

struct ph_similar_params {
    double threshold; // 0 = 0.98
    int max_skip;     // 0 = 10; negative = 0: nothing is left out
    enum ph_similar_rule rule;
    // A stream batch of n steps shows a picture n - 1 frames late. With drain = n - 1 that many
    // frames are still worked on after the last one that differs, so that what stays on show is
    // the scene as it came to rest and no step holds a frame from before (upstream stops at once
    // and resumes with stale steps).
    int drain;
    // A picture of mid grey alone is the zero vector, whose cosine is not defined. Two of them are
    // the same picture, so they may be left out; upstream never does.
    bool grey_differs;
};

struct ph_similar {
    struct ph_similar_params par;
    void *last;    // the last picture worked on
    int64_t count; // elements of it
    bool bytes, has;
    int run;                     // frames left out, as the rule counts them
    int settled;                 // frames worked on since the last one that differs
    double norm2;                // of last
    double cosine, p;            // of the latest call; 2 and 0 where nothing was compared
    uint64_t processed, skipped; // since the beginning
};

// count elements a picture: floats of [-1, 1], or pixels of RGBA bytes.             thread: ctl
ph_err ph_similar_init(struct ph_similar *s, const struct ph_similar_params *params,
                       int64_t count, bool rgba);
void ph_similar_finish(struct ph_similar *s);
// New settings; the last picture and the counters stay.
void ph_similar_set(struct ph_similar *s, const struct ph_similar_params *params);
// The next picture is worked on, whatever it is: for a change that the picture does not show.
void ph_similar_reset(struct ph_similar *s);

// true: work on this picture, which becomes the last one; false: leave it out. A first picture is
// worked on and needs no u. NaN in a picture: worked on. Never allocates.           thread: lane
bool ph_similar_next(struct ph_similar *s, const void *picture, double u);

#endif
