// SPDX-License-Identifier: MIT
#include "audio/rows.h"

#include <float.h>
#include <math.h>

// ------------------------------------------------------------------------------ norms
static double add_to(double norm, double v, enum ph_norm kind)
{
    switch (kind) {
    case PH_NORM_MAX: return v > norm ? v : norm;
    case PH_NORM_MIN: return v < norm ? v : norm;
    case PH_NORM_COUNT: return norm + (v > 0);
    case PH_NORM_L1: return norm + v;
    case PH_NORM_L2: return norm + v * v;
    }
    return norm;
}

static double norm_of(const float *x, int64_t n, int64_t step, enum ph_norm kind)
{
    double norm = kind == PH_NORM_MIN && n ? INFINITY : 0;
    for (int64_t i = 0; i < n; i++) norm = add_to(norm, fabs((double) x[i * step]), kind);
    return kind == PH_NORM_L2 ? sqrt(norm) : norm;
}

void ph_normalize(const float *x, float *out, int64_t n, int64_t step,
                  const struct ph_normalize_params *par)
{
    double norm = norm_of(x, n, step, par->norm);
    bool none = norm < (par->least > 0 ? par->least : (double) FLT_MIN);
    double same = par->norm == PH_NORM_L2   ? 1 / sqrt((double) n)
                  : par->norm == PH_NORM_L1 ? 1 / (double) n
                                            : 1;
    for (int64_t i = 0; i < n; i++)
        if (none && par->fill)
            out[i * step] = (float) same;
        else
            out[i * step] = none ? x[i * step] : (float) ((double) x[i * step] / norm);
}

void ph_normalize_rows(float *x, int64_t frames, int width)
{
    const struct ph_normalize_params by_max = { .norm = PH_NORM_MAX };
    for (int64_t t = 0; t < frames; t++)
        ph_normalize(x + t * width, x + t * width, width, 1, &by_max);
}

// ------------------------------------------------------------------------------ slopes
static double at_end_repeated(const float *x, int64_t n, int64_t step, int64_t i)
{
    return (double) x[(i < 0 ? 0 : i < n ? i : n - 1) * step];
}

// The polynomial's only derivative of that order: a constant over the whole window.
static double slope(const float *x, int64_t n, int64_t step, int64_t at, int half, int order)
{
    double square = 0, fourth = 0, count = 2 * half + 1, sum = 0, scale = 0;
    for (int k = -half; k <= half; k++) {
        square += (double) k * k;
        fourth += (double) k * k * k * k;
    }
    for (int k = -half; k <= half; k++) {
        double weight = order == 1 ? k : k * k - square / count;
        sum += weight * at_end_repeated(x, n, step, at + k);
    }
    scale = order == 1 ? 1 / square : 2 / (fourth - square * square / count);
    return sum * scale;
}

ph_err ph_delta(const float *x, float *out, int64_t n, int64_t step, int width, int order,
                enum ph_delta_mode mode)
{
    if (width < 3 || !(width & 1) || order < 1 || order > 2) return PH_EINVAL;
    int half = width / 2;
    bool interp = mode == PH_DELTA_INTERP && n >= width;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        if (interp) at = at < half ? half : at < n - half ? at : n - 1 - half;
        out[i * step] = (float) slope(x, n, step, at, half, order);
    }
    return PH_OK;
}

// ------------------------------------------------------------------------------ order
bool ph_is_local_max(const float *x, int64_t n, int64_t i)
{
    return i > 0 && i < n && x[i] > x[i - 1] && (i == n - 1 || x[i] >= x[i + 1]);
}

bool ph_is_local_min(const float *x, int64_t n, int64_t i)
{
    return i > 0 && i < n - 1 && x[i] <= x[i - 1] && x[i] < x[i + 1];
}

static void swap(float *a, float *b)
{
    float t = *a;
    *a = *b;
    *b = t;
}

// Hoare's quickselect, with the middle of three as pivot.
float ph_select(float *x, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, i = low, j = high;
        if (x[middle] < x[low]) swap(&x[middle], &x[low]);
        if (x[high] < x[low]) swap(&x[high], &x[low]);
        if (x[high] < x[middle]) swap(&x[high], &x[middle]);
        float pivot = x[middle];
        while (i <= j) {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i <= j) swap(&x[i++], &x[j--]);
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return x[k];
}

float ph_median(float *x, int64_t n)
{
    if (n < 1) return 0;
    float upper = ph_select(x, n, n / 2), lower = -INFINITY;
    if (n & 1) return upper;
    for (int64_t i = 0; i < n / 2; i++) lower = x[i] > lower ? x[i] : lower;
    return (lower + upper) / 2;
}

int64_t ph_s_to_frame(double seconds, int hop, double rate_hz)
{
    return (int64_t) floor(floor(seconds * rate_hz) / hop);
}
