// SPDX-License-Identifier: MIT
// Powers and amplitudes to decibels and back (librosa power_to_db, amplitude_to_db).
//                                                                               thread of all: any
#ifndef PH_AUDIO_DECIBEL_H
#define PH_AUDIO_DECIBEL_H

#include <phosphene/common.h>

#define PH_DB_FLOOR 1e-10f // powers below it are taken as it: -100 dB
#define PH_DB_RANGE 80.0f  // what librosa keeps below the loudest

// 10 log10(max(power, floor)) - 10 log10(max(ref, floor)), no clamp. In place is fine.
void ph_power_to_db(const float *power, float *db, int64_t n, float ref);
// The same of amplitudes: their squares, floor 1e-5 of the amplitude.
void ph_amplitude_to_db(const float *amplitude, float *db, int64_t n, float ref);
void ph_db_to_power(const float *db, float *power, int64_t n, float ref);
// Raises all to at least (their largest - range): over a whole matrix this is librosa's top_db.
void ph_db_clamp(float *db, int64_t n, float range);
float ph_max(const float *x, int64_t n); // -INFINITY of nothing; NaN are passed over
// One value, as ph_power_to_db.
float ph_db(float power);

#endif
