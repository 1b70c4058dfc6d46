// SPDX-License-Identifier: MIT
// The matrix that a layer computes with: some rows of a stored one, turned, or times a vector.
#include <stdlib.h>
#include <string.h>

#include "nn/backend.h"
#include "nn/weights_priv.h"

void ph_step_window(const struct ph_step *s, int64_t w[4])
{
    const struct ph_tensor *t = &s->weight->disk;
    const int64_t *d = t->dim;
    bool kernel = t->rank == 4 && !s->turned;
    w[0] = s->turned ? d[1] * d[2] * d[3] : s->rows ? s->rows : d[0];
    w[1] = s->turned ? d[0] : d[1];
    w[2] = kernel ? d[2] : 1;
    w[3] = kernel ? d[3] : 1;
}

// Stored [in, out, k, k]; row (ky, kx, o), column i.
static ph_err read_turned(const struct ph_step *s, int64_t first, int64_t n, float *out)
{
    const int64_t *d = s->weight->disk.dim;
    int64_t taps = d[2] * d[3], count = ph_tensor_count(&s->weight->disk);
    float *all = malloc((size_t) count * sizeof *all);
    if (!all) return PH_ENOMEM;
    ph_err ret = ph_weights_read(s->set, s->weight, 0, count, all);
    for (int64_t e = first; e < first + n && ret >= 0; e++) {
        int64_t row = e / d[0], i = e % d[0], tap = row / d[1], o = row % d[1];
        *out++ = all[(i * d[1] + o) * taps + tap];
    }
    free(all);
    return ret;
}

// Each of `n` elements from `first` on times the gain of its row, of `width`.
static ph_err apply_gain(const struct ph_step *s, int64_t first, int64_t n, int64_t width,
                         float *out)
{
    if (!s->gain || n <= 0) return PH_OK;
    int64_t row = first / width, rows = (first + n - 1) / width - row + 1;
    float *gain = malloc((size_t) rows * sizeof *gain);
    if (!gain) return PH_ENOMEM;
    ph_err ret = ph_weights_read(s->set, s->gain, row, rows, gain);
    for (int64_t e = 0; e < n && ret >= 0; e++) out[e] *= gain[(first + e) / width - row];
    free(gain);
    return ret;
}

// What was just read is in the cache: looking here costs next to nothing, and finds what adapters
// made of the stored values, too.
static ph_err look(const float *x, int64_t n)
{
    return ph_all_finite(x, n) ? PH_OK : PH_EFORMAT;
}

ph_err ph_step_weight(const struct ph_step *s, int64_t first, int64_t n, float *out)
{
    int64_t w[4];
    ph_err ret;
    if (s->turned) {
        ret = read_turned(s, first, n, out);
        return ret < 0 ? ret : look(out, n);
    }
    ph_step_window(s, w);
    int64_t width = w[1] * w[2] * w[3];
    ret = ph_weights_read(s->set, s->weight, s->first_row * width + first, n, out);
    if (ret >= 0) ret = apply_gain(s, first, n, width, out);
    return ret < 0 ? ret : look(out, n);
}

ph_err ph_step_bias(const struct ph_step *s, float *out)
{
    int64_t w[4], stored = ph_tensor_count(&s->bias->disk);
    ph_step_window(s, w);
    int64_t count = s->turned ? stored : w[0];
    ph_err ret = ph_weights_read(s->set, s->bias, s->first_row, count, out);
    if (ret < 0) return ret;
    for (int64_t at = count; at < w[0]; at += count)
        memcpy(out + at, out, (size_t) count * sizeof *out);
    ret = apply_gain(s, 0, count, 1, out);
    return ret < 0 ? ret : look(out, w[0]);
}
