// SPDX-License-Identifier: MIT
#include "audio/cepstrum.h"

#include <math.h>

void ph_cepstrum_table(float *table, int count, int bands, double lifter)
{
    for (int i = 0; i < count; i++) {
        double scale = sqrt((i ? 2.0 : 1.0) / bands);
        if (lifter > 0) scale *= 1 + lifter / 2 * sin(M_PI * (i + 1) / lifter);
        for (int b = 0; b < bands; b++)
            table[i * bands + b] =
                (float) (scale * cos(M_PI * i * (2 * b + 1) / (2.0 * bands)));
    }
}

void ph_cepstrum(const float *table, int count, int bands, const float *db, float least,
                 float *out)
{
    for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int b = 0; b < bands; b++)
            sum += (double) table[i * bands + b] * (double) (db[b] > least ? db[b] : least);
        out[i] = (float) sum;
    }
}
