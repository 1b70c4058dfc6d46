// SPDX-License-Identifier: MIT
#include "audio/spectral.h"
#include "audio/rows.h"

#include <float.h>
#include <math.h>
#include <string.h>

double ph_centroid_hz(const float *magnitude, int bins, double bin_hz)
{
    double sum = 0, weighted = 0;
    for (int k = 0; k < bins; k++) {
        sum += (double) magnitude[k];
        weighted += (double) magnitude[k] * k;
    }
    return sum < (double) FLT_MIN ? weighted * bin_hz : weighted * bin_hz / sum;
}

double ph_bandwidth_hz(const float *magnitude, int bins, double bin_hz, double centroid_hz)
{
    double sum = 0, weighted = 0;
    for (int k = 0; k < bins; k++) {
        double away = k * bin_hz - centroid_hz;
        sum += (double) magnitude[k];
        weighted += (double) magnitude[k] * away * away;
    }
    return sqrt(sum < (double) FLT_MIN ? weighted : weighted / sum);
}

double ph_rolloff_hz(const float *magnitude, int bins, double bin_hz, double share)
{
    double total = 0, sum = 0;
    for (int k = 0; k < bins; k++) total += (double) magnitude[k];
    for (int k = 0; k < bins; k++) {
        sum += (double) magnitude[k];
        if (sum >= share * total) return k * bin_hz;
    }
    return 0;
}

// Logarithms of products of eight: one logarithm for eight bins; 1e-10 ^ 8 and 1e38 are in range.
double ph_flatness(const float *power, int bins)
{
    double logs = 0, sum = 0, product = 1;
    for (int k = 0; k < bins; k++) {
        double v = (double) (power[k] > 1e-10f ? power[k] : 1e-10f);
        sum += v;
        product *= v;
        if ((k & 7) == 7 || k == bins - 1) {
            logs += log(product);
            product = 1;
        }
    }
    return exp(logs / bins) / (sum / bins);
}

double ph_flux(const float *magnitude, const float *before, int bins)
{
    double sum = 0;
    for (int k = 0; k < bins; k++) {
        float more = magnitude[k] - before[k];
        sum += (double) (more > 0 ? more : 0);
    }
    return sum;
}

// ------------------------------------------------------------------------------ contrast
// Mean of the k smallest of n, which are reordered.
static double mean_of_least(float *x, int n, int k)
{
    double sum = 0;
    ph_select(x, n, k - 1);
    for (int i = 0; i < k; i++) sum += (double) x[i];
    return sum / k;
}

static double mean_of_most(float *x, int n, int k)
{
    double sum = 0;
    ph_select(x, n, n - k);
    for (int i = n - k; i < n; i++) sum += (double) x[i];
    return sum / k;
}

void ph_contrast_extremes(const float *magnitude, int bins, double bin_hz, float *valley,
                          float *peak, float *work)
{
    for (int b = 0; b < PH_CONTRAST_BANDS; b++) {
        bool is_last = b == PH_CONTRAST_BANDS - 1;
        double low = b ? 200 * pow(2, b - 1) : 0, high = 200 * pow(2, b);
        int first = (int) ceil(low / bin_hz), end = (int) floor(high / bin_hz) + 1;
        valley[b] = peak[b] = 0;
        if (first >= bins) continue;
        if (b && first > 0) first--;
        if (is_last || end > bins) end = bins;
        int band = end - first, n = is_last ? band : band - 1;
        int k = (int) rint(0.02 * band);
        k = k < 1 ? 1 : k;
        if (n < k) continue;
        memcpy(work, magnitude + first, sizeof *work * (size_t) n);
        valley[b] = (float) mean_of_least(work, n, k);
        peak[b] = (float) mean_of_most(work, n, k);
    }
}

// ------------------------------------------------------------------------------ samples
double ph_rms(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double) x[i] * (double) x[i];
    return n > 0 ? sqrt(sum / (double) n) : 0;
}

int64_t ph_crossings(const float *x, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 1; i < n; i++) count += (x[i] < -1e-10f) != (x[i - 1] < -1e-10f);
    return count;
}
