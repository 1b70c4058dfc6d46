// SPDX-License-Identifier: MIT
// What is heard, as numbers that pictures can follow: normalised by what has been loud lately (no
// largest value of a song is known while it plays), with attack and release, and springs if wanted.
// A step depends on what was heard and on the beat alone.           thread of all: any, one at a time
#ifndef PH_AUDIO_LIVE_SENSE_H
#define PH_AUDIO_LIVE_SENSE_H

#include "audio/live/follow.h"
#include "audio/live/hear.h"

#include <phosphene/frame.h>

// name, largest usual value, help. All begin at 0.
// clang-format off
#define PH_SENSES(X)                                                                              \
    X(level,      1, "how loud it is, against the loudest of late")                               \
    X(rms,        1, "root mean square of the samples, as it is")                                 \
    X(peak,       1, "largest sample, as it is")                                                  \
    X(energy,     1, "level, slower")                                                             \
    X(presence,   1, "level over seconds: is anything going on")                                  \
    X(bass,       1, "loudness below 150 Hz")                                                     \
    X(mid,        1, "loudness from 150 Hz to 4 kHz")                                             \
    X(high,       1, "loudness above 4 kHz")                                                      \
    X(kick,       1, "hits below 150 Hz")                                                         \
    X(snare,      1, "hits from 200 Hz to 5 kHz")                                                 \
    X(hat,        1, "hits above 6 kHz")                                                          \
    X(onset,      1, "hits of all kinds, each fading in 80 ms")                                   \
    X(bass_now,   2, "bass against its mean of late: 1 is usual, above 1.3 a hit")                \
    X(bass_att,   2, "the same, smoothed")                                                        \
    X(mid_att,    2, "the same of mid")                                                           \
    X(high_att,   2, "the same of high")                                                          \
    X(flux,       1, "how much the spectrum rises")                                               \
    X(centroid,   1, "brightness: centre of the spectrum, 50 Hz to 16 kHz by octaves")            \
    X(rolloff,    1, "where 85 % of the spectrum lie below, on the same scale")                   \
    X(flatness,   1, "0 a tone, 1 noise")                                                         \
    X(zcr,        1, "sign changes as a share of the samples")                                    \
    X(beat_env,       1, "1 on the beat, fading in 150 ms")                                           \
    X(beat_phase,      1, "how far the beat has gone")                                                 \
    X(bar_phase,        1, "how far the bar has gone")                                                  \
    X(bpm,      240, "beats per minute; 0 = none known")                                          \
    X(confidence, 1, "in beat and bpm")
// clang-format on

enum {
#define X(name, max, help) PH_SENSE_##name,
    PH_SENSES(X)
#undef X
        PH_SENSE_CHROMA,                      // 12, C first
    PH_SENSE_SPECTRUM = PH_SENSE_CHROMA + 12, // PH_HEAR_BANDS
    PH_SENSE_COUNT = PH_SENSE_SPECTRUM + PH_HEAR_BANDS
};

enum ph_sense_band {
    PH_BAND_BASS,
    PH_BAND_MID,
    PH_BAND_HIGH,
    PH_BAND_KICK,
    PH_BAND_SNARE,
    PH_BAND_HAT,
    PH_BAND_ALL,
    PH_BANDS
};

struct ph_sense_params {
    double gain[PH_BANDS];  // of each band, PH_BAND_ALL of all that is 0..1; 0 = 1
    double attack, release; // factors of the usual times; 0 = 1
    double memory_s;        // how long a loud moment is the measure; 0 = 10
    bool spring;            // bass, mid, kick and energy swing
};

// Zeroed has heard nothing.
struct ph_sense {
    struct ph_span range[PH_BANDS], spectrum;
    struct ph_gain gain[3];
    struct ph_spring spring[4];
    double band[PH_BANDS], energy, presence, onset, flux, centroid, rolloff, flatness;
    struct ph_span flux_range;
    double chroma[12], bin[PH_HEAR_BANDS];
};

// One frame of ph_hear and the beat at it; writes PH_SENSE_COUNT values.
void ph_sense_step(struct ph_sense *s, const struct ph_heard *heard, const struct ph_beat *beat,
                   const struct ph_sense_params *par, float *values);

#endif
