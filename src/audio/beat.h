// SPDX-License-Identifier: MIT
// Beats of a whole envelope by dynamic programming (Ellis, "Beat Tracking by Dynamic Programming",
// 2007, as librosa.beat.beat_track does it).                                     thread of all: any
#ifndef PH_AUDIO_BEAT_H
#define PH_AUDIO_BEAT_H

#include "audio/tempo.h"

struct ph_beat_params {
    struct ph_tempo_params tempo;
    double bpm;       // 0 = by ph_tempo
    double tightness; // 0 = 100: how little the distance of beats may change
    bool keep_weak;   // weak beats at both ends are kept (librosa trim=False)
};
// envelope: [n]; librosa's default is the median over bands. beats: room for n frames; rising.
// *tempo_bpm is 0 and there are no beats where the envelope is all zero or not finite.
ph_err ph_beat_track(const float *envelope, int64_t n, const struct ph_beat_params *par,
                     int64_t *beats, int64_t *count, double *tempo_bpm);

#endif
