// SPDX-License-Identifier: MIT
#include "audio/decibel.h"

#include <math.h>

float ph_db(float power)
{
    return 10 * log10f(power > PH_DB_FLOOR ? power : PH_DB_FLOOR);
}

void ph_power_to_db(const float *power, float *db, int64_t n, float ref)
{
    float zero = ph_db(ref);
    for (int64_t i = 0; i < n; i++) db[i] = ph_db(power[i]) - zero;
}

void ph_amplitude_to_db(const float *amplitude, float *db, int64_t n, float ref)
{
    float zero = ph_db(ref * ref);
    for (int64_t i = 0; i < n; i++) db[i] = ph_db(amplitude[i] * amplitude[i]) - zero;
}

void ph_db_to_power(const float *db, float *power, int64_t n, float ref)
{
    for (int64_t i = 0; i < n; i++) power[i] = ref * powf(10, 0.1f * db[i]);
}

float ph_max(const float *x, int64_t n)
{
    float most = -INFINITY;
    for (int64_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

void ph_db_clamp(float *db, int64_t n, float range)
{
    float least = ph_max(db, n) - range;
    for (int64_t i = 0; i < n; i++) db[i] = db[i] > least ? db[i] : least;
}
