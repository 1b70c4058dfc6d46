// SPDX-License-Identifier: MIT
// The rules by which a tensor of sound is equal to the reference.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sound_golden.h"

static double number(const struct ph_json *v, const char *key, double fallback)
{
    return ph_json_double(ph_json_get(v, key), fallback);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

// The value that `share` of the n are not above. Reorders.
static double worst_of(double *x, int64_t n, double share)
{
    if (n < 1) return 0;
    qsort(x, (size_t) n, sizeof *x, by_value);
    int64_t k = (int64_t) ceil(share * (double) n - 1e-9) - 1;
    return x[k < 0 ? 0 : k < n ? k : n - 1];
}

static void row(struct golden_case *c, const char *label, double ratio)
{
    golden_compare_number(c, NULL, label, isfinite(ratio) ? ratio : 1e9, 0, 1);
}

static double ratio_of(double got, double want, double limit)
{
    double d = fabs(got - want);
    if (!isfinite(got)) return 1e9;
    return limit > 0 ? d / limit : d > 0 ? 1e9 : 0;
}

// ------------------------------------------------------------------------------ numbers
static bool selected(const struct sound_store *s, const char *where, int64_t i)
{
    if (!where) return true;
    // "hpss_harm + hpss_perc > 1e-5 * its maximum"
    const struct sound_tensor *h = sound_find(s, "hpss_harm"), *p = sound_find(s, "hpss_perc");
    double most = 0;
    static const struct sound_tensor *of;
    static double least;
    if (!h || !p) return true;
    if (of != h) {
        for (int64_t k = 0; k < h->count; k++) most = fmax(most, h->value[k] + p->value[k]);
        of = h;
        least = 1e-5 * most;
    }
    return h->value[i] + p->value[i] > least;
}

static double close_ratio(const struct ph_json *rule, const struct sound_store *s,
                          const struct sound_tensor *want, const double *got)
{
    double most = 0, sum = 0, mean_limit = number(rule, "mean_abs", 0);
    const char *where = ph_json_string(ph_json_get(rule, "where"), NULL);
    double *ratio = malloc(sizeof *ratio * (size_t) (want->count + 1));
    int64_t n = 0;
    for (int64_t i = 0; i < want->count; i++) most = fmax(most, fabs(want->value[i]));
    for (int64_t i = 0; i < want->count; i++) {
        if (!selected(s, where, i)) continue;
        double limit = number(rule, "atol", 0) +
                       number(rule, "rtol", 0) * fabs(want->value[i]) +
                       number(rule, "atol_max", 0) * most;
        ratio[n++] = ratio_of(got[i], want->value[i], limit);
        sum += fabs(got[i] - want->value[i]);
    }
    double worst = worst_of(ratio, n, number(rule, "share", 1));
    free(ratio);
    if (mean_limit > 0 && n) worst = fmax(worst, sum / (double) n / mean_limit);
    return worst;
}

// ------------------------------------------------------------------------------ lists
static double events_ratio(const struct ph_json *rule, const struct sound_tensor *want,
                           const double *got, int64_t n, bool loose)
{
    int64_t i = 0, k = 0, changed = 0, shift = (int64_t) number(rule, "max_shift", 1);
    if (!loose) {
        bool same = n == want->count;
        for (i = 0; same && i < n; i++) same = got[i] == want->value[i];
        return same ? 0 : 1e3;
    }
    while (i < n || k < want->count) {
        double d = i < n && k < want->count ? got[i] - want->value[k]
                   : i < n                  ? -INFINITY
                                            : INFINITY;
        bool match = fabs(d) <= (double) shift;
        changed += !match;
        i += match || d < 0;
        k += match || d > 0;
    }
    double allowed = fmax(1, number(rule, "max_changed_share", 0) * (double) want->count);
    return (double) changed / allowed;
}

static double equal_where_ratio(const struct ph_json *rule, const struct sound_store *s,
                                const struct sound_tensor *want, const double *got)
{
    const struct sound_tensor *where =
        sound_find(s, ph_json_string(ph_json_get(rule, "where"), ""));
    int64_t n = 0, off = 0;
    for (int64_t i = 0; i < want->count; i++) {
        if (where && where->value[i] == 0) continue;
        n++;
        off += ratio_of(got[i], want->value[i], 1e-5 * fabs(want->value[i])) > 1;
    }
    double allowed = (1 - number(rule, "share", 1)) * (double) n;
    return allowed >= 1 ? (double) off / allowed : off ? 1e3 : 0;
}

static double rolloff_ratio(const struct ph_json *rule, const struct sound_tensor *want,
                            const double *got)
{
    double bin = 22050.0 / 2048, worst = 0;
    int64_t off = 0;
    for (int64_t i = 0; i < want->count; i++) {
        double d = fabs(got[i] - want->value[i]);
        off += d > 0.01 * bin;
        worst = fmax(worst, d / (1.01 * bin * number(rule, "max_bins", 1)));
    }
    double allowed = (1 - number(rule, "exact_share", 1)) * (double) want->count;
    return fmax(worst, off ? (double) off / fmax(allowed, 1e-9) : 0);
}

// ------------------------------------------------------------------------------ chroma
static double chroma_ratio(const struct ph_json *rule, const struct sound_store *s,
                           const struct sound_tensor *want, const double *got)
{
    const struct sound_tensor *valid =
        sound_find(s, ph_json_string(ph_json_get(rule, "valid_mask"), ""));
    int64_t frames = want->dim[1], n = 0, within = 0, right = 0, columns = 0;
    double sum = 0, floor_at = number(rule, "argmax_floor", 0.95);
    for (int64_t t = 0; t < frames; t++) {
        int best = 0;
        if (valid && valid->value[t] == 0) continue;
        columns++;
        for (int k = 0; k < 12; k++, n++) {
            double d = fabs(got[k * frames + t] - want->value[k * frames + t]);
            sum += d;
            within += d <= number(rule, "within", 0.1);
            if (got[k * frames + t] > got[best * frames + t]) best = k;
        }
        right += want->value[best * frames + t] >= floor_at;
    }
    if (!columns) return 0;
    double mean = sum / (double) n / number(rule, "mean_abs", 0.02);
    double out = (1 - (double) within / (double) n) / (1 - number(rule, "within_share", 0.97));
    double wrong =
        (1 - (double) right / (double) columns) / (1 - number(rule, "argmax_share", 0.95));
    return fmax(mean, fmax(out, wrong));
}

// ------------------------------------------------------------------------------ verdicts
// What is no number where there is one escapes comparisons.
static bool has_lost_numbers(const struct sound_tensor *want, const double *got, int64_t count)
{
    for (int64_t i = 0; i < count && i < want->count; i++)
        if (!isfinite(got[i]) && isfinite(want->value[i])) return true;
    return false;
}

void sound_judge(struct golden_case *c, const char *label, const struct ph_json *tolerance,
                 const struct sound_store *store, const struct sound_tensor *want,
                 const double *got, int64_t got_count, bool loose)
{
    const char *kind = ph_json_string(ph_json_get(tolerance, "kind"), "");
    double ratio = 1e9;
    if (has_lost_numbers(want, got, got_count))
        ratio = 1e9;
    else if (!strcmp(kind, "events"))
        ratio = events_ratio(tolerance, want, got, got_count, loose);
    else if (got_count != want->count)
        ratio = 1e9;
    else if (!strcmp(kind, "close") || !strcmp(kind, "close_where"))
        ratio = close_ratio(tolerance, store, want, got);
    else if (!strcmp(kind, "equal_where"))
        ratio = equal_where_ratio(tolerance, store, want, got);
    else if (!strcmp(kind, "scalar"))
        ratio = loose ? 0
                      : ratio_of(got[0], want->value[0],
                                 number(tolerance, "rtol", 0) * fabs(want->value[0]));
    else if (!strcmp(kind, "scalar_abs"))
        ratio = loose ? 0 : ratio_of(got[0], want->value[0], number(tolerance, "atol", 0));
    else if (!strcmp(kind, "rolloff"))
        ratio = rolloff_ratio(tolerance, want, got);
    else if (!strcmp(kind, "chroma_cqt"))
        ratio = chroma_ratio(tolerance, store, want, got);
    row(c, label, ratio);
}

void sound_judge_close(struct golden_case *c, const char *label, const double *want,
                       const double *got, int64_t n, double rtol, double atol)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, ratio_of(got[i], want[i], atol + rtol * fabs(want[i])));
    row(c, label, worst);
}
