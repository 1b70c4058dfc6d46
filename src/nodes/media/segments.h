// SPDX-License-Identifier: MIT
// A film made in segments, so that a render that was killed goes on where it was: each segment is
// an encoder's whole run (it begins with a key frame and needs nothing before it) in a file of its
// own, which has its name only once it is complete. Joining copies the packets and adds the sound.
#ifndef PH_NODES_MEDIA_SEGMENTS_H
#define PH_NODES_MEDIA_SEGMENTS_H

#include <phosphene/frame.h>

struct ph_segments_params {
    const char *folder; // is there
    int width, height;  // of the film; 0 = of the first picture; others are fitted into it
    int quality;        // 1..100
    int64_t num, den;   // frames per second
    int length;         // frames of a segment
    int first;          // segment to begin with: those before it are there
};

struct ph_segments;

ph_err ph_segments_create(struct ph_segments **out, const struct ph_segments_params *par,
                          struct ph_fault *fault);
// The next frame, RGBA. Borrows.                                                   thread: one
ph_err ph_segments_picture(struct ph_segments *s, const struct ph_picture *src,
                           struct ph_fault *fault);
// Completes the segment under way, which may be shorter.
ph_err ph_segments_finish(struct ph_segments *s, struct ph_fault *fault);
void ph_segments_destroy(struct ph_segments **s); // what is incomplete goes

// How many segments are there, from the first on without a gap and as this version makes them.
int ph_segments_count(const char *folder);

struct ph_chapter {
    int64_t begin_ns;
    char title[64];
};

struct ph_join_params {
    const char *folder, *output; // output is replaced: .mp4, .m4v, .mov
    const char *sound; // file whose sound goes into it, resampled to 48 kHz; NULL = none
    int64_t sound_ns;  // so much of it at most; 0 = all
    const struct ph_chapter *chapters;
    int chapter_count;
    bool (*cancelled)(void *opaque); // asked between packets; may be NULL
    void *opaque;
};
// All segments there are into one film. PH_ESTOPPED: cancelled.
ph_err ph_segments_join(const struct ph_join_params *par, struct ph_fault *fault);

// How long the sound of a file is, by its container or else by decoding all of it; PH_EINVAL: it
// has none.
ph_err ph_sound_length(const char *path, int64_t *ns, struct ph_fault *fault);

#endif
