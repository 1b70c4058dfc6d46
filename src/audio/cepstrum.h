// SPDX-License-Identifier: MIT
// Mel-frequency cepstral coefficients (librosa feature.mfcc): the orthonormal DCT-II of decibels in
// mel bands.                                                                    thread of all: any
#ifndef PH_AUDIO_CEPSTRUM_H
#define PH_AUDIO_CEPSTRUM_H

#include <phosphene/common.h>

// table: [count][bands]; lifter 0 = none, else row i is scaled by 1 + lifter/2 sin(pi (i+1)/lifter).
void ph_cepstrum_table(float *table, int count, int bands, double lifter);
// db: [bands], values below `least` are taken as it. out: [count].
void ph_cepstrum(const float *table, int count, int bands, const float *db, float least,
                 float *out);

#endif
