// SPDX-License-Identifier: MIT
// An analysis under way: what its two passes share.
#ifndef PH_AUDIO_SONG_PRIV_H
#define PH_AUDIO_SONG_PRIV_H

#include "audio/cqt.h"
#include "audio/mel.h"
#include "audio/song.h"
#include "audio/stft.h"

#define SONG_BLOCK      128 // frames
#define SONG_BINS       (PH_SONG_FFT / 2 + 1)
#define SONG_POWER_MELS 256

struct song_worker {
    void *mem;
    struct ph_tuning tuning, tuning_cqt;
    int64_t bad;
    float peak;
    ph_err err;
};

struct song_job {
    struct ph_song *song;
    const struct ph_song_source *source;
    const struct ph_song_params *par;
    struct ph_stft *stft;
    struct ph_mel *mel, *power_mel;
    struct ph_cqt *cqt; // NULL: none at this rate
    float *chroma_weights;
    float *percussive_db; // [frames][PH_SONG_MELS]
    float *valley, *peak; // [frames][PH_SONG_BANDS]
    double *square;       // [frames] sums of squares of the hop's samples
    int blocks, workers;
    _Atomic int next_block, blocks_done;
    _Atomic int failed; // a ph_err
    struct song_worker worker[PH_SONG_WORKERS];
    ph_err (*pass)(struct song_job *j, struct song_worker *w, int64_t first, int64_t end);
};

// Samples [from, to) of the song; zeros beyond its ends and for what is no number.
ph_err ph_song_read(struct song_job *j, struct song_worker *w, int64_t from, int64_t to,
                    float *out);
// The passes, each on frames [first, end).
ph_err ph_song_pass_spectra(struct song_job *j, struct song_worker *w, int64_t first,
                            int64_t end);
ph_err ph_song_pass_tones(struct song_job *j, struct song_worker *w, int64_t first,
                          int64_t end);

#endif
