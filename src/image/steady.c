// SPDX-License-Identifier: MIT
// Least trimmed squares with concentration steps: Rousseeuw, Van Driessen, Computing LTS regression
// for large data sets (2006).
#include "image/steady.h"
#include "image/depth.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLE = 4096, STEPS = 8 };
#define INNER_PERCENT 2.0  // of the map on both sides that no fit sees
#define KEEP_PERCENT  70.0 // of the errors that each step trusts
#define CUT           0.15 // q above this is another scene
#define LEAST_SCALE   0.2
#define MOST_SCALE    5.0
#define OUTLIER       4.0f // in sigmas of the fit
#define PAST          0.1f // weight of a frame in the reference
#define PAST_MOVED    0.5f

struct ph_steady {
    int width, height; // 0 = no frame yet
    float *reference;  // what still pixels were, in the first frame's scale
    float *shown;      // smoothed over time
    size_t capacity;   // floats of each
    float d[SAMPLE], r[SAMPLE], error[SAMPLE], work[SAMPLE];
    int n;
};

ph_err ph_steady_create(struct ph_steady **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? PH_OK : PH_ENOMEM;
}

void ph_steady_destroy(struct ph_steady **s)
{
    if (!*s) return;
    free((*s)->reference);
    free((*s)->shown);
    free(*s);
    *s = NULL;
}

void ph_steady_forget(struct ph_steady *s)
{
    s->width = 0;
}

static float *map_row(const struct ph_picture *p, int y)
{
    return (float *) (void *) px_row(p, 0, y);
}

// --- the sample: pairs of this frame and the reference

static float percentile_of(struct ph_steady *s, const float *v, int n, double p)
{
    memcpy(s->work, v, (size_t) n * sizeof *v);
    return ph_percentile(s->work, n, p);
}

static void take_pairs(struct ph_steady *s, const struct ph_picture *src)
{
    int step = 1;
    while ((int64_t) ((src->width + step - 1) / step) * ((src->height + step - 1) / step) >
           SAMPLE)
        step++;
    s->n = 0;
    for (int y = step / 2; y < src->height; y += step)
        for (int x = step / 2; x < src->width; x += step) {
            float d = map_row(src, y)[x], r = s->reference[(size_t) y * (size_t) s->width + x];
            if (!(fabsf(d) < INFINITY) || !(fabsf(r) < INFINITY)) continue;
            s->d[s->n] = d;
            s->r[s->n++] = r;
        }
}

static void keep_inner(struct ph_steady *s)
{
    float lo = percentile_of(s, s->d, s->n, INNER_PERCENT);
    float hi = percentile_of(s, s->d, s->n, 100 - INNER_PERCENT);
    int n = 0;
    for (int i = 0; i < s->n; i++)
        if (s->d[i] >= lo && s->d[i] <= hi) {
            s->d[n] = s->d[i];
            s->r[n++] = s->r[i];
        }
    s->n = n;
}

// --- the fit r = a d + b

struct sums {
    double n, d, r, dd, dr, rr;
};

// Of the pairs whose error is at most `most`.
static struct sums sums_of(const struct ph_steady *s, float most)
{
    struct sums m = { 0 };
    for (int i = 0; i < s->n; i++) {
        if (s->error[i] > most) continue;
        double d = (double) s->d[i], r = (double) s->r[i];
        m.n++;
        m.d += d;
        m.r += r;
        m.dd += d * d;
        m.dr += d * r;
        m.rr += r * r;
    }
    return m;
}

static void solve(const struct sums *m, enum ph_steady_fit fit, double *a, double *b)
{
    double var = m->dd / m->n - m->d / m->n * (m->d / m->n);
    double cov = m->dr / m->n - m->d / m->n * (m->r / m->n);
    *b = 0;
    if (fit == PH_FIT_SCALE)
        *a = m->dd > 1e-12 ? m->dr / m->dd : 1;
    else
        *a = var < 1e-12 ? 1 : cov / var;
    if (fit == PH_FIT_SCALE_SHIFT) *b = (m->r - *a * m->d) / m->n;
}

static void errors_of(struct ph_steady *s, double a, double b)
{
    for (int i = 0; i < s->n; i++)
        s->error[i] = (float) fabs(a * (double) s->d[i] + b - (double) s->r[i]);
}

static void fit_scale(struct ph_steady *s, enum ph_steady_fit fit, struct ph_steady_report *out)
{
    memset(s->error, 0, (size_t) s->n * sizeof *s->error);
    struct sums m = sums_of(s, INFINITY);
    double spread = sqrt(fmax(m.rr / m.n - m.r / m.n * (m.r / m.n), 0));
    solve(&m, fit, &out->a, &out->b);
    for (int i = 0; i < STEPS; i++) {
        errors_of(s, out->a, out->b);
        m = sums_of(s, percentile_of(s, s->error, s->n, KEEP_PERCENT));
        solve(&m, fit, &out->a, &out->b);
    }
    errors_of(s, out->a, out->b);
    double sigma = 1.4826 * (double) percentile_of(s, s->error, s->n, 50);
    out->q = sigma / fmax(spread, 1e-9);
    double a = fmin(fmax(out->a, LEAST_SCALE), MOST_SCALE);
    out->cut = out->q > CUT || out->a <= 0;
    if (a != out->a && fit == PH_FIT_SCALE_SHIFT) out->b = (m.r - a * m.d) / m.n;
    out->a = a;
}

static double sigma_of(struct ph_steady *s, const struct ph_steady_report *r)
{
    errors_of(s, r->a, r->b);
    return s->n ? 1.4826 * (double) percentile_of(s, s->error, s->n, 50) : 0;
}

// --- every pixel

static int steady_row(float *dst, const float *src, float *reference, float *shown, int n,
                      const struct ph_steady_line *l)
{
    int moved = 0;
    for (int x = 0; x < n; x++) {
        float y = l->a * src[x] + l->b, off = fabsf(y - reference[x]);
        bool outlier = off > l->outlier, known = fabsf(y) < INFINITY;
        float past = reference[x] + (outlier ? l->past_moved : l->past) * (y - reference[x]);
        float gate = (fabsf(y - shown[x]) - l->gate) * l->gate_gain;
        gate = gate > 0 ? gate : 0;
        gate = gate < 1 ? gate : 1;
        float show = shown[x] + (l->still + (1 - l->still) * gate) * (y - shown[x]);
        if (!(fabsf(past) < INFINITY)) past = y; // was no number before
        if (!(fabsf(show) < INFINITY)) show = y;
        moved += known && outlier;
        dst[x] = known ? show : y;
        if (known) reference[x] = past;
        if (known) shown[x] = show;
    }
    return moved;
}

static ph_err begin(struct ph_steady *s, const struct ph_picture *src)
{
    size_t need = (size_t) src->width * (size_t) src->height;
    if (need > s->capacity) {
        free(s->reference);
        free(s->shown);
        s->width = 0;
        s->capacity = 0;
        s->reference = malloc(need * sizeof(float));
        s->shown = malloc(need * sizeof(float));
        if (!s->reference || !s->shown) return PH_ENOMEM;
        s->capacity = need;
    }
    s->width = src->width;
    s->height = src->height;
    for (int y = 0; y < s->height; y++) {
        size_t at = (size_t) y * (size_t) s->width;
        memcpy(s->reference + at, map_row(src, y), (size_t) s->width * sizeof(float));
        memcpy(s->shown + at, map_row(src, y), (size_t) s->width * sizeof(float));
    }
    return PH_OK;
}

static void copy_map(const struct ph_picture *dst, const struct ph_picture *src)
{
    for (int y = 0; y < src->height && dst->data[0] != src->data[0]; y++)
        memcpy(map_row(dst, y), map_row(src, y), (size_t) src->width * sizeof(float));
}

static struct ph_steady_line line_of(const struct ph_steady_report *r, double sigma,
                                     float smooth)
{
    float s = (float) fmax(sigma, 1e-9), still = 1 - 0.94f * fminf(fmaxf(smooth, 0), 1);
    return (struct ph_steady_line){ .a = (float) r->a,
                                    .b = (float) r->b,
                                    .outlier = fmaxf(OUTLIER * (float) sigma, 1e-6f),
                                    .past = PAST,
                                    .past_moved = PAST_MOVED,
                                    .still = still,
                                    .gate = 3 * s,
                                    .gate_gain = 1 / (2 * s) };
}

ph_err ph_steady_apply(struct ph_steady *s, const struct ph_picture *dst,
                       const struct ph_picture *src, const struct ph_steady_params *par,
                       struct ph_steady_report *report)
{
    struct ph_steady_report r = { .a = 1, .cut = true };
    if (!px_same_size(dst, src) || !px_is_depth(src->format) || !px_is_depth(dst->format))
        return PH_EINVAL;
    bool known = s->width == src->width && s->height == src->height;
    if (known) {
        r.cut = false;
        take_pairs(s, src);
        if (s->n) keep_inner(s);
        if (s->n && par->fit != PH_FIT_NONE) fit_scale(s, par->fit, &r);
    }
    if (r.cut) {
        r.a = 1;
        r.b = 0;
        ph_err ret = begin(s, src);
        if (ret != PH_OK) return ret;
        copy_map(dst, src);
    } else {
        struct ph_steady_line l = line_of(&r, sigma_of(s, &r), par->smooth);
        for (int y = 0; y < s->height; y++) {
            size_t at = (size_t) y * (size_t) s->width;
            r.outliers +=
                ph_image_ops()->steady(map_row(dst, y), map_row(src, y), s->reference + at,
                                       s->shown + at, s->width, &l);
        }
    }
    if (report) *report = r;
    return PH_OK;
}

void ph_init_steady_c(struct ph_image_ops *o)
{
    o->steady = steady_row;
}
