// SPDX-License-Identifier: MIT
// Goldens of sound: files of tensors beside sound files, one tolerance for each tensor's name.
#ifndef PH_AUDIO_SOUND_GOLDEN_H
#define PH_AUDIO_SOUND_GOLDEN_H

#include "audio/song.h"
#include "models/golden.h"

// One tensor of a file, as doubles.
struct sound_tensor {
    const char *name;
    int rank;
    int64_t dim[4], count;
    double *value;
};

struct sound_store {
    int count;
    struct sound_tensor *tensor;
};

// Everything hangs on c->mem. false: a failure was counted.
bool sound_store_read(struct golden_case *c, const char *file, struct sound_store *out);
const struct sound_tensor *sound_find(const struct sound_store *s, const char *name); // or NULL

// A sound file: [frames][channels]; NULL: a failure was counted.
struct sound_samples {
    int64_t frames;
    int channels, rate_hz;
    float *x;
};
bool sound_samples_read(struct golden_case *c, const char *file, struct sound_samples *out);

// got[count] against the tensor by the rule `tolerance` of the manifest: one row of the table, the
// error as a share of what is allowed. `store` has the tensors that a rule refers to. loose: the
// list hangs on a near tie (the manifest's "unstable").
void sound_judge(struct golden_case *c, const char *label, const struct ph_json *tolerance,
                 const struct sound_store *store, const struct sound_tensor *want,
                 const double *got, int64_t got_count, bool loose);
// |got - want| of every value <= atol + rtol |want|.
void sound_judge_close(struct golden_case *c, const char *label, const double *want,
                       const double *got, int64_t n, double rtol, double atol);

void sound_check_helpers(struct golden_case *c);
void sound_check_formats(struct golden_case *c);
void sound_check_encodes(struct golden_case *c, const struct ph_json *signal,
                         const struct sound_store *features);
// NULL-terminated memory source for ph_song_analyse.
struct ph_song *sound_analyse(struct golden_case *c, const char *what, const float *x,
                              int64_t n);

#endif
