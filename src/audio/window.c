// SPDX-License-Identifier: MIT
#include "audio/window.h"

#include <math.h>
#include <string.h>

static double hann(int i, int n)
{
    return 0.5 - 0.5 * cos(2 * M_PI * i / n);
}

void ph_hann(float *out, int n)
{
    for (int i = 0; i < n; i++) out[i] = (float) hann(i, n);
}

void ph_hann64(double *out, int n)
{
    for (int i = 0; i < n; i++) out[i] = hann(i, n);
}

void ph_hann_padded(float *out, int length, int n)
{
    memset(out, 0, sizeof *out * (size_t) n);
    ph_hann(out + (n - length) / 2, length);
}
