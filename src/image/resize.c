// SPDX-License-Identifier: MIT
// Down first, then along: for each target row the source rows it needs become one row of source
// width, which is then filtered along. The intermediate row of an RGBA picture is int16 with six
// fractional bits, which cubic's overshoot (at most 1.3 * 255 * 64) does not overflow.
#include "image/resize.h"
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>
#include <stdlib.h>

enum { MID_ONE = 64, WEIGHT_ONE = 16384, PITCH = 16 };

// One direction: what each of n outputs takes from the inputs start .. start + taps.
struct axis {
    int src, dst;   // sizes
    int border;     // inputs on either side beyond the picture
    int taps;       // even
    int pitch;      // dst rounded up to PITCH
    int32_t *start; // [pitch]
    int16_t *w16;   // [taps / 2][pitch][2], sum = total
    float *w32;     // [taps][pitch], sum = 1
    float total;
};

struct ph_resize {
    struct ph_resize_params par;
    struct axis x, y;
    const void **rows; // [y.taps]
    int16_t *row_w16;  // [y.taps] of the present row
    float *row_w32;    // [y.taps]
    void *mid;         // one row of source width, and taps more
};

// --- kernels

static int16_t to_s16(float v)
{
    return (int16_t) lrintf(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

static uint8_t to_u8(float v)
{
    return (uint8_t) lrintf(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void rows_u8_c(int16_t *d, const uint8_t *const *rows, const int16_t *weights, int taps,
                      int n, float scale)
{
    for (int i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int k = 0; k < taps; k++) sum += rows[k][i] * weights[k];
        d[i] = to_s16((float) sum * scale);
    }
}

static void rows_s16_c(uint8_t *d, const int16_t *const *rows, const int16_t *weights, int taps,
                       int n, float scale)
{
    for (int i = 0; i < n; i++) {
        int32_t sum = 0;
        for (int k = 0; k < taps; k++) sum += rows[k][i] * weights[k];
        d[i] = to_u8((float) sum * scale);
    }
}

static void rows_f32_c(float *d, const float *const *rows, const float *weights, int taps,
                       int n)
{
    for (int i = 0; i < n; i++) {
        float sum = rows[0][i] * weights[0];
        for (int k = 1; k < taps; k++) sum += rows[k][i] * weights[k];
        d[i] = sum;
    }
}

static void along_s16_c(uint8_t *d, const int16_t *s, const int32_t *start,
                        const int16_t *weights, int pitch, int taps, int n, float scale)
{
    for (int x = 0; x < n; x++) {
        int32_t sum[4] = { 0 };
        for (int k = 0; k < taps; k++) {
            const int16_t *p = s + 4 * (start[x] + k);
            int w = weights[(k / 2 * pitch + x) * 2 + (k & 1)];
            for (int c = 0; c < 4; c++) sum[c] += p[c] * w;
        }
        for (int c = 0; c < 4; c++) d[4 * x + c] = to_u8((float) sum[c] * scale);
    }
}

static void along_f32_c(float *d, const float *s, const int32_t *start, const float *weights,
                        int pitch, int taps, int n)
{
    for (int x = 0; x < n; x++) {
        const float *p = s + start[x];
        float sum = p[0] * weights[x];
        for (int k = 1; k < taps; k++) sum += p[k] * weights[k * pitch + x];
        d[x] = sum;
    }
}

void ph_init_resize_c(struct ph_image_ops *o)
{
    o->rows_u8 = rows_u8_c;
    o->rows_s16 = rows_s16_c;
    o->rows_f32 = rows_f32_c;
    o->along_s16 = along_s16_c;
    o->along_f32 = along_f32_c;
}

// --- what an output takes: first input (before clamping) and the weights

struct cell {
    int first, count;
    double w[4];                  // linear, cubic
    double head, tail, full, sum; // area: shares of the first, the last and the inner ones
};

static void linear_cell(struct cell *c, double scale, int i)
{
    double at = (i + 0.5) * scale - 0.5;
    c->first = (int) floor(at);
    c->count = 2;
    c->w[1] = at - c->first;
    c->w[0] = 1 - c->w[1];
}

// What INTER_AREA does when a direction grows: resize.cpp, area_mode in resize().
static void area_up_cell(struct cell *c, double scale, int i)
{
    c->first = (int) floor(i * scale);
    double f = (i + 1) - (c->first + 1) / scale;
    c->count = 2;
    c->w[1] = f <= 0 ? 0 : f - floor(f);
    c->w[0] = 1 - c->w[1];
}

// interpolateCubic(), a = -0.75.
static void cubic_cell(struct cell *c, double scale, int i)
{
    const double a = -0.75;
    double at = (i + 0.5) * scale - 0.5, t = at - floor(at), u = 1 - t;
    c->first = (int) floor(at) - 1;
    c->count = 4;
    c->w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    c->w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    c->w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    c->w[3] = 1 - c->w[0] - c->w[1] - c->w[2];
}

// computeResizeAreaTab(): shares below 1/1000 of a pixel are dropped.
static void area_cell(struct cell *c, double scale, int i, int src)
{
    double from = i * scale, to = from + scale, cell = fmin(scale, src - from);
    int last = min_int((int) floor(to), src - 1), first = min_int((int) ceil(from), last);
    c->head = first - from > 1e-3 ? first - from : 0;
    c->tail = to - last > 1e-3 ? fmin(fmin(to - last, 1), cell) : 0;
    c->first = first - (c->head > 0);
    c->count = last - first + (c->head > 0) + (c->tail > 0);
    c->sum = cell;
}

// --- axes

static double area_share(const struct cell *c, int k)
{
    if (k == 0 && c->head > 0) return c->head;
    if (k == c->count - 1 && c->tail > 0) return c->tail;
    return k < c->count ? 1 : 0;
}

static void put16(struct axis *a, int i, int k, int value)
{
    a->w16[(k / 2 * a->pitch + i) * 2 + (k & 1)] += (int16_t) value;
}

// Inner pixels weigh a power of two, so that only the two outer shares are rounded however many
// pixels a cell has; the larger of these takes what is missing to the common total.
static void put_area(struct axis *a, int i, const struct cell *c)
{
    double one = exp2(floor(log2(WEIGHT_ONE / ((double) a->src / a->dst))));
    int left = (int) a->total;
    a->start[i] = c->first;
    for (int k = 0; k < c->count; k++) {
        double share = area_share(c, k);
        put16(a, i, k, (int) lrint(share * one));
        left -= (int) lrint(share * one);
        a->w32[k * a->pitch + i] = (float) (share / c->sum);
    }
    put16(a, i, c->tail >= c->head ? c->count - 1 : 0, left);
}

// Inputs beyond a border are the border's own.
static void put_taps(struct axis *a, int i, const struct cell *c)
{
    int start = clamp_int(c->first, 0, max_int(0, a->src - c->count)), left = WEIGHT_ONE;
    a->start[i] = start;
    for (int k = 0; k < c->count; k++) {
        int at = clamp_int(c->first + k, 0, a->src - 1) - start;
        int w = k == c->count - 1 ? left : (int) lrint(c->w[k] * WEIGHT_ONE);
        left -= w;
        put16(a, i, at, w);
        a->w32[at * a->pitch + i] += (float) c->w[k];
    }
}

static void axis_area(struct axis *a)
{
    double scale = (double) a->src / a->dst;
    struct cell c;
    a->total = (float) lrint(scale * exp2(floor(log2(WEIGHT_ONE / scale))));
    for (int i = 0; i < a->dst; i++) {
        area_cell(&c, scale, i, a->src);
        put_area(a, i, &c);
    }
}

static void axis_taps(struct axis *a, void (*cell)(struct cell *, double, int))
{
    struct cell c;
    a->total = WEIGHT_ONE;
    for (int i = 0; i < a->dst; i++) {
        cell(&c, (double) (a->src - 2 * a->border) / a->dst, i);
        c.first += a->border;
        put_taps(a, i, &c);
    }
}

static void axis_nearest(struct axis *a)
{
    for (int i = 0; i < a->dst; i++)
        a->start[i] = min_int((int) floor(i * ((double) a->src / a->dst)), a->src - 1);
}

static void axis_fill(struct axis *a, enum ph_filter filter, bool shrinks)
{
    if (filter == PH_NEAREST)
        axis_nearest(a);
    else if (filter == PH_CUBIC)
        axis_taps(a, cubic_cell);
    else if (filter == PH_AREA && shrinks)
        axis_area(a);
    else
        axis_taps(a, filter == PH_AREA ? area_up_cell : linear_cell);
}

// --- plans: one block of memory, laid out by the same walk that measures it

struct arena {
    char *base; // NULL: only measures
    size_t used;
};

static void *take(struct arena *a, size_t n)
{
    void *p = a->base ? a->base + a->used : NULL;
    a->used += (n + 63) & ~(size_t) 63;
    return p;
}

static int taps_of(int src, int dst, enum ph_filter filter, bool shrinks)
{
    struct cell c;
    int most = 2;
    if (filter == PH_CUBIC) return 4;
    for (int i = 0; filter == PH_AREA && shrinks && i < dst; i++) {
        area_cell(&c, (double) src / dst, i, src);
        most = max_int(most, c.count);
    }
    return (most + 1) & ~1;
}

static void take_axis(struct arena *m, struct axis *a, int src, int dst, int taps)
{
    int pitch = (dst + PITCH - 1) / PITCH * PITCH;
    size_t n = (size_t) pitch * (size_t) taps;
    *a = (struct axis){ .src = src, .dst = dst, .taps = taps, .pitch = pitch };
    a->start = take(m, (size_t) pitch * sizeof *a->start);
    a->w16 = take(m, n * sizeof *a->w16);
    a->w32 = take(m, n * sizeof *a->w32);
}

static bool shrinks(const struct ph_resize_params *p)
{
    return p->dst_width <= p->src_width && p->dst_height <= p->src_height && !p->border;
}

static void take_plan(struct arena *m, struct ph_resize *r, const struct ph_resize_params *p)
{
    int x_taps = taps_of(p->src_width, p->dst_width, p->filter, shrinks(p));
    int y_taps = taps_of(p->src_height, p->dst_height, p->filter, shrinks(p));
    r->par = *p;
    take_axis(m, &r->x, p->src_width, p->dst_width, x_taps);
    take_axis(m, &r->y, p->src_height, p->dst_height, y_taps);
    r->x.border = r->y.border = p->border;
    // Zeroed and longer than a row: taps beyond it have no weight, but are read.
    r->mid = take(m, (size_t) (p->src_width + x_taps + 64) * 4 * sizeof(int16_t));
    r->rows = take(m, (size_t) y_taps * sizeof *r->rows);
    r->row_w16 = take(m, (size_t) y_taps * sizeof *r->row_w16);
    r->row_w32 = take(m, (size_t) y_taps * sizeof *r->row_w32);
}

size_t ph_resize_bytes(const struct ph_resize_params *par)
{
    struct arena m = { 0 };
    struct ph_resize r;
    take(&m, sizeof r);
    take_plan(&m, &r, par);
    return m.used;
}

struct ph_resize *ph_resize_init(void *memory, const struct ph_resize_params *par)
{
    struct arena m = { .base = memory };
    memset(memory, 0, ph_resize_bytes(par));
    struct ph_resize *r = take(&m, sizeof *r);
    take_plan(&m, r, par);
    axis_fill(&r->x, par->filter, shrinks(par));
    axis_fill(&r->y, par->filter, shrinks(par));
    return r;
}

static bool size_ok(int v)
{
    return v >= 1 && v <= 16384;
}

ph_err ph_resize_create(struct ph_resize **out, const struct ph_resize_params *par)
{
    struct ph_resize_params p = *par;
    *out = NULL;
    if (p.format == PH_FORMAT_NONE) p.format = PH_RGBA;
    if (!px_is_32(p.format)) return PH_ENOTSUP;
    if (!size_ok(p.src_width) || !size_ok(p.src_height) || !size_ok(p.dst_width) ||
        !size_ok(p.dst_height) || p.border < 0 || 2 * p.border >= p.src_width ||
        2 * p.border >= p.src_height)
        return PH_EINVAL;
    void *memory = aligned_alloc(64, ph_resize_bytes(&p));
    if (!memory) return PH_ENOMEM;
    *out = ph_resize_init(memory, &p);
    return PH_OK;
}

void ph_resize_destroy(struct ph_resize **r)
{
    free(*r);
    *r = NULL;
}

bool ph_resize_fits(const struct ph_resize *r, const struct ph_picture *dst,
                    const struct ph_picture *src, enum ph_filter filter)
{
    const struct ph_resize_params *p = &r->par;
    return px_valid(dst) && px_valid(src) && p->filter == filter && p->format == dst->format &&
           p->format == src->format && p->dst_width == dst->width &&
           p->dst_height == dst->height && p->src_width == src->width &&
           p->src_height == src->height;
}

// --- running

static void pick_rows(struct ph_resize *r, const struct ph_picture *src, int plane, int y)
{
    const struct axis *a = &r->y;
    for (int k = 0; k < a->taps; k++) {
        r->rows[k] = px_row(src, plane, min_int(a->start[y] + k, a->src - 1));
        r->row_w16[k] = a->w16[(k / 2 * a->pitch + y) * 2 + (k & 1)];
        r->row_w32[k] = a->w32[k * a->pitch + y];
    }
}

static void run_rgba(struct ph_resize *r, const struct ph_picture *dst,
                     const struct ph_picture *src)
{
    const struct ph_image_ops *o = ph_image_ops();
    for (int y = 0; y < dst->height; y++) {
        pick_rows(r, src, 0, y);
        o->rows_u8(r->mid, (const uint8_t *const *) r->rows, r->row_w16, r->y.taps,
                   4 * src->width, MID_ONE / r->y.total);
        o->along_s16(px_row(dst, 0, y), r->mid, r->x.start, r->x.w16, r->x.pitch, r->x.taps,
                     dst->width, 1 / (MID_ONE * r->x.total));
    }
}

static void run_float(struct ph_resize *r, const struct ph_picture *dst,
                      const struct ph_picture *src, int plane)
{
    const struct ph_image_ops *o = ph_image_ops();
    for (int y = 0; y < dst->height; y++) {
        pick_rows(r, src, plane, y);
        o->rows_f32(r->mid, (const float *const *) r->rows, r->row_w32, r->y.taps, src->width);
        o->along_f32((float *) px_row(dst, plane, y), r->mid, r->x.start, r->x.w32, r->x.pitch,
                     r->x.taps, dst->width);
    }
}

static void run_nearest(struct ph_resize *r, const struct ph_picture *dst,
                        const struct ph_picture *src, int plane)
{
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *s = px_row(src, plane, r->y.start[y]);
        uint8_t *d = px_row(dst, plane, y);
        for (int x = 0; x < dst->width; x++) store32(d + 4 * x, load32(s + 4 * r->x.start[x]));
    }
}

ph_err ph_resize_run(struct ph_resize *r, const struct ph_picture *dst,
                     const struct ph_picture *src)
{
    if (!ph_resize_fits(r, dst, src, r->par.filter)) return PH_EINVAL;
    if (src->width == dst->width && src->height == dst->height && !r->par.border)
        return ph_image_copy(dst, src);
    for (int p = 0; p < px_planes(dst->format); p++) {
        if (r->par.filter == PH_NEAREST)
            run_nearest(r, dst, src, p);
        else if (dst->format == PH_RGBA)
            run_rgba(r, dst, src);
        else
            run_float(r, dst, src, p);
    }
    return PH_OK;
}

ph_err ph_image_resize(const struct ph_picture *dst, const struct ph_picture *src,
                       enum ph_filter filter)
{
    struct ph_resize *r = NULL;
    if (!px_valid(dst) || !px_valid(src) || dst->format != src->format) return PH_EINVAL;
    ph_err ret = ph_resize_create(
        &r, ph_resize_params(.format = dst->format, .src_width = src->width,
                             .src_height = src->height, .dst_width = dst->width,
                             .dst_height = dst->height, .filter = filter));
    if (ret < 0) return ret;
    ret = ph_resize_run(r, dst, src);
    ph_resize_destroy(&r);
    return ret;
}
