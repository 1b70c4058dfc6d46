// SPDX-License-Identifier: MIT
#include "image/depth.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>

static bool is_map(const struct ph_picture *p)
{
    return px_valid(p) && px_is_depth(p->format);
}

static float *map_row(const struct ph_picture *p, int y)
{
    return (float *) (void *) px_row(p, 0, y);
}

// --- which pixels to believe

static bool there(float z)
{
    return z > 0 && z < INFINITY;
}

static bool step_ok(float z, float neighbour, float limit)
{
    return !there(neighbour) || fabsf(z - neighbour) <= limit;
}

static void keep_row(float *d, const float *up, const float *z, const float *down,
                     const float *confidence, int x0, int x1, int w,
                     const struct ph_depth_rule *r)
{
    for (int x = x0; x < x1; x++) {
        float v = z[x], limit = r->edge * v;
        bool keep = there(v) && v >= r->near && v <= r->far &&
                    (!confidence || confidence[x] >= r->confidence) &&
                    step_ok(v, z[x > 0 ? x - 1 : x], limit) &&
                    step_ok(v, z[x + 1 < w ? x + 1 : x], limit) && step_ok(v, up[x], limit) &&
                    step_ok(v, down[x], limit);
        d[x] = keep ? v : 0;
    }
}

ph_err ph_depth_keep(const struct ph_picture *dst, const struct ph_picture *src,
                     const struct ph_picture *confidence, const struct ph_depth_rule *rule)
{
    if (!is_map(dst) || !is_map(src) || !px_same_size(dst, src)) return PH_EINVAL;
    if (confidence && (!is_map(confidence) || !px_same_size(confidence, src))) return PH_EINVAL;
    int last = src->height - 1;
    for (int y = 0; y <= last; y++)
        ph_image_ops()->depth_keep(map_row(dst, y), map_row(src, max_int(y - 1, 0)),
                                   map_row(src, y), map_row(src, min_int(y + 1, last)),
                                   confidence ? map_row(confidence, y) : NULL, 0, src->width,
                                   src->width, rule);
    return PH_OK;
}

// --- disparity to metres

static void metres_row(float *d, const float *s, int n, const struct ph_depth_line *l)
{
    for (int x = 0; x < n; x++) {
        float dn = (s[x] - l->lo) * l->gain;
        dn = dn > 0 ? dn : 0;
        dn = dn < 1 ? dn : 1;
        float z = 1 / (dn * l->slope + l->floor);
        d[x] = fabsf(s[x]) < INFINITY ? z : 0;
    }
}

ph_err ph_depth_metres(const struct ph_picture *dst, const struct ph_picture *src, float lo,
                       float hi, float near, float far)
{
    if (!is_map(dst) || !is_map(src) || !px_same_size(dst, src)) return PH_EINVAL;
    if (!(near > 0) || !(far > near)) return PH_EINVAL;
    double spread = (double) hi - (double) lo;
    struct ph_depth_line l = { .lo = lo,
                               .gain = spread > 1e-12 ? (float) (1 / spread) : 0,
                               .slope = (float) (1 / (double) near - 1 / (double) far),
                               .floor = (float) (1 / (double) far) };
    for (int y = 0; y < src->height; y++)
        ph_image_ops()->depth_metres(map_row(dst, y), map_row(src, y), src->width, &l);
    return PH_OK;
}

// --- percentiles

int ph_depth_sample(float *values, int most, const struct ph_picture *map)
{
    int step = 1, n = 0;
    if (!is_map(map) || most < 1) return 0;
    while ((int64_t) ((map->width + step - 1) / step) * ((map->height + step - 1) / step) >
           most)
        step++;
    for (int y = step / 2; y < map->height; y += step)
        for (int x = step / 2; x < map->width; x += step) {
            float v = map_row(map, y)[x];
            if (fabsf(v) < INFINITY) values[n++] = v;
        }
    return n;
}

// Hoare's selection: afterwards v[k] is what it is in order, all before are not above it.
static void select_rank(float *v, int n, int k)
{
    int lo = 0, hi = n - 1;
    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        int i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i > j) break;
            float t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            return;
    }
}

float ph_percentile(float *v, int n, double p)
{
    double at = fmin(fmax(p, 0), 100) / 100 * (n - 1);
    int k = (int) at;
    select_rank(v, n, k);
    if (k + 1 >= n) return v[k];
    float next = v[k + 1];
    for (int i = k + 2; i < n; i++)
        if (v[i] < next) next = v[i];
    return (float) ((double) v[k] + ((double) next - (double) v[k]) * (at - k));
}

enum { CONFIDENCES = 16384 }; // enough for a percentile to a third of a percent

float ph_depth_confidence(const struct ph_picture *confidence, double percent, float floor)
{
    float values[CONFIDENCES];
    int n = percent > 0 ? ph_depth_sample(values, CONFIDENCES, confidence) : 0;
    float least = n ? ph_percentile(values, n, percent) : floor;
    return least > floor ? least : floor;
}

// --- the range of a film

void ph_depth_range_add(struct ph_depth_range *r, float lo, float hi, int delay, float alpha)
{
    if (!(lo > 0) || !(lo < INFINITY)) lo = 1e-3f;
    if (!(hi > lo) || !(hi < INFINITY)) hi = lo + 1e-3f;
    if (!r->set) {
        *r = (struct ph_depth_range){ lo, hi, 0, true };
        return;
    }
    bool wider = lo < r->lo || hi > r->hi;
    if (lo < r->lo) r->lo = lo;
    if (hi > r->hi) r->hi = hi;
    r->inside = wider ? 0 : r->inside + 1;
    if (r->inside < delay || wider) return;
    r->lo += alpha * (lo - r->lo);
    r->hi += alpha * (hi - r->hi);
}

void ph_init_depth_c(struct ph_image_ops *o)
{
    o->depth_keep = keep_row;
    o->depth_metres = metres_row;
}
