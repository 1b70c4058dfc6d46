// SPDX-License-Identifier: MIT
// A whole song to numbers: every feature of this folder for every frame, in blocks, so that memory
// grows by the rows below (1.5 KB a frame, 16 MB for four minutes) and by nothing else. The song is
// read twice: chroma wants the tuning, which all of the song decides.
// Equal to librosa 0.11 with its defaults (n_fft 2048, hop 512, rate 22050); ../shared/golden/audio
// has the tolerances. Results do not depend on the number of workers.
#ifndef PH_AUDIO_SONG_H
#define PH_AUDIO_SONG_H

#include "audio/chroma.h"

#include <stdatomic.h>

#define PH_SONG_RATE_HZ 22050
#define PH_SONG_FFT     2048
#define PH_SONG_MELS    128
#define PH_SONG_MFCC    20
#define PH_SONG_BANDS   7 // of contrast
#define PH_SONG_WORKERS 16

struct ph_song_source {
    int64_t samples; // mono
    double rate_hz;  // 0 = PH_SONG_RATE_HZ; chroma_cqt is for 16.8 to 41 kHz, 0 elsewhere
    // Samples at … at + n, all within the song. A negative return ends the analysis.
    // thread: any worker, several at once
    ph_err (*read)(void *opaque, int64_t at, int64_t n, float *out);
    void *opaque;
};

struct ph_song_params {
    int hop; // 0 = 512; a multiple of 64, at most 512
    // Runs job(arg, 0 … workers - 1), side by side as it can, and returns when all are done; NULL:
    // one after the other. This folder makes no threads: whoever calls has them.
    void (*together)(int workers, void (*job)(void *arg, int worker), void *arg);
    int workers;             // 0 = 1, at most PH_SONG_WORKERS; each has 6 MB
    _Atomic int *permille;   // how far it is, 0 … 1000; may be NULL
    const _Atomic int *stop; // not 0: PH_ESTOPPED soon; may be NULL
};

struct ph_beats {
    int64_t count;
    int64_t *frame; // rising
    double bpm;     // 0 = none
};

// Rows are [frames][width]; times of frames are frame * hop / rate_hz.
struct ph_song {
    double rate_hz;
    int hop;
    int64_t samples, frames;
    int64_t bad_samples; // not finite or beyond +-1e6: taken as 0
    float peak;          // largest |sample|
    double rms_all;      // of the whole song

    float *low, *high; // [frames] smallest and largest of the hop's samples, for drawing
    float *rms, *crossings, *centroid_hz, *bandwidth_hz, *rolloff_hz, *flatness,
        *flux;                    // [frames]
    float *power;                 // sum of 256 mel bands
    float *harmonic, *percussive; // energies: sums of squares of the parts' magnitudes
    float *mel_db;                // [PH_SONG_MELS] decibels, at least loudest_db - 80
    float *mfcc;                  // [PH_SONG_MFCC]
    float *contrast;              // [PH_SONG_BANDS] dB
    float *chroma;                // [12] of the spectrum, each frame's largest is 1
    float *chroma_cqt;            // [12] of constant Q
    float *tonnetz;               // [6] of chroma_cqt
    float *onset;                 // strength, mean over bands
    float *onset_median;
    float *percussive_onset;                 // of the percussive part, median over bands
    float loudest_db;                        // of mel bands
    double tuning, tuning_cqt;               // fractions of a step of 12 and of 36 an octave
    double tempo_bpm;                        // by the mean envelope; librosa's feature.tempo
    int64_t onsets;                          // how many
    int64_t *onset_frame, *onset_begin;      // detected; moved back to where it begins
    struct ph_beats beats, percussive_beats; // of onset_median, of percussive_onset
    struct ph_key key;
};

// PH_EINVAL (rate, hop, an empty song), PH_ENOMEM, PH_ESTOPPED, or what read returned; fault says it.
ph_err ph_song_analyse(struct ph_song **out, const struct ph_song_source *source,
                       const struct ph_song_params *par, struct ph_fault *fault);
void ph_song_destroy(struct ph_song **song);

#endif
