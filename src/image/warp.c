// SPDX-License-Identifier: MIT
#include "image/warp.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>

// A line across the source at an angle meets another line of the cache with almost every pixel;
// rows as short as this find them again one row further down.
enum { STRIP = 256 };

// --- kernel

// Into 0..top: see struct ph_warp_row. The comparisons treat what is no number as SIMD does.
static float fold(float v, float period, float inverse, float turn, float top)
{
    float u = v + 0.5f;
    u = u - period * floorf(u * inverse);
    float back = turn - u;
    u = (u < back ? u : back) - 0.5f;
    u = u > 0 ? u : 0;
    return u < top ? u : top;
}

// a * b / 2^15, rounded: pmulhrsw.
static int scale15(int a, int b)
{
    return (a * b + 0x4000) >> 15;
}

struct place {
    int low, high, part; // two neighbours and where between them, Q15
};

static struct place place_of(float u, int size)
{
    int low = (int) u;
    if (low > size - 2) low = size > 1 ? size - 2 : 0;
    return (struct place){ low, low + 1 < size ? low + 1 : low,
                           min_int((int) ((u - (float) low) * 32768), 32767) };
}

// In Q6 from here on: six bits behind the point.
static int between(int a, int b, int part)
{
    return a * 64 + scale15((b - a) * 64, part);
}

static void warp_c(uint8_t *d, const uint8_t *add, int n, const struct ph_warp_row *r)
{
    for (int i = 0; i < n; i++) {
        float at = (float) (r->first + i);
        struct place x = place_of(
            fold(r->x + at * r->dx, r->period_x, r->inverse_x, r->turn_x, r->top_x), r->w);
        struct place y = place_of(
            fold(r->y + at * r->dy, r->period_y, r->inverse_y, r->turn_y, r->top_y), r->h);
        const uint8_t *upper = r->src + y.low * r->stride, *lower = r->src + y.high * r->stride;
        for (int c = 0; c < 4; c++) {
            int t = between(upper[4 * x.low + c], upper[4 * x.high + c], x.part);
            int b = between(lower[4 * x.low + c], lower[4 * x.high + c], x.part);
            int v = scale15(t + scale15(b - t, y.part), r->keep);
            int more = add ? scale15(add[4 * i + c] * 64, r->add) : 0;
            int sum = r->lighten ? max_int(v, more) : v + more;
            d[4 * i + c] = (uint8_t) min_int((sum + r->dither[(r->first + i) & 15]) >> 6, 255);
        }
    }
}

void ph_init_warp_c(struct ph_image_ops *o)
{
    o->warp = warp_c;
}

// --- preparing

static void set_axis(float *period, float *inverse, float *turn, float *top, int size,
                     enum ph_border border)
{
    float s = (float) size;
    *period = border == PH_BORDER_MIRROR ? 2 * s : border == PH_BORDER_WRAP ? s : 0;
    *inverse = *period > 0 ? 1 / *period : 0;
    *turn = border == PH_BORDER_EDGE ? INFINITY : 2 * s;
    *top = s - 1;
}

static int16_t to_q15(float v)
{
    return (int16_t) (v > 0 ? v < 1 ? (int) (v * 32767 + 0.5f) : 32767 : 0);
}

static struct ph_warp_row row_for(const struct ph_picture *src, enum ph_border border)
{
    struct ph_warp_row r = { .src = src->data[0],
                             .stride = src->stride[0],
                             .w = src->width,
                             .h = src->height,
                             .keep = 32767 };
    set_axis(&r.period_x, &r.inverse_x, &r.turn_x, &r.top_x, src->width, border);
    set_axis(&r.period_y, &r.inverse_y, &r.turn_y, &r.top_y, src->height, border);
    for (int i = 0; i < 32; i++) r.dither[i] = 32;
    return r;
}

static bool is_finite(const struct ph_affine *m)
{
    return isfinite(m->xx) && isfinite(m->xy) && isfinite(m->x0) && isfinite(m->yx) &&
           isfinite(m->yy) && isfinite(m->y0);
}

static void enter(struct ph_warp_row *r, const struct ph_affine *m, int y)
{
    r->x = m->xy * (float) y + m->x0;
    r->y = m->yy * (float) y + m->y0;
    r->dx = m->xx;
    r->dy = m->yx;
}

static double or_value(double v, double otherwise)
{
    return isfinite(v) ? v : otherwise;
}

struct ph_affine ph_affine_view(int w, int h, double cx, double cy, double scale,
                                double angle_deg, double dx, double dy)
{
    double a = fmod(or_value(angle_deg, 0), 360) * M_PI / 180;
    double s = 1 / fmax(or_value(scale, 1), 1e-3);
    double c = cos(a) * s, d = sin(a) * s;
    double mx = or_value(cx, 0.5) * w - 0.5, my = or_value(cy, 0.5) * h - 0.5;
    double px = mx + or_value(dx, 0), py = my + or_value(dy, 0);
    return (struct ph_affine){ (float) c,  (float) d, (float) (mx - c * px - d * py),
                               (float) -d, (float) c, (float) (my + d * px - c * py) };
}

static bool are_rgba(const struct ph_picture *a, const struct ph_picture *b)
{
    return px_valid(a) && px_valid(b) && a->format == PH_RGBA && b->format == PH_RGBA;
}

ph_err ph_image_warp(const struct ph_picture *dst, const struct ph_picture *src,
                     const struct ph_affine *map, enum ph_border border)
{
    if (!are_rgba(dst, src) || !is_finite(map)) return PH_EINVAL;
    struct ph_warp_row r = row_for(src, border);
    for (int x = 0; x < dst->width; x += STRIP)
        for (int y = 0; y < dst->height; y++) {
            enter(&r, map, y);
            r.first = x;
            ph_image_ops()->warp(px_row(dst, 0, y) + 4 * (ptrdiff_t) x, NULL,
                                 min_int(dst->width - x, STRIP), &r);
        }
    return PH_OK;
}

// Bayer's 4 x 4 thresholds four times along a row. From one step to the next they move by the
// bits of its number turned around, so that what one step rounds down the next one rounds up.
static void set_dither(struct ph_warp_row *r, int y, uint32_t step)
{
    static const uint8_t bayer[4][4] = {
        { 0, 8, 2, 10 }, { 12, 4, 14, 6 }, { 3, 11, 1, 9 }, { 15, 7, 13, 5 }
    };
    unsigned turned = 0;
    for (int bit = 0; bit < 6; bit++) turned |= (step >> bit & 1) << (5 - bit);
    for (unsigned i = 0; i < 32; i++)
        r->dither[i] = (int32_t) ((bayer[y & 3][i & 3] * 4u + turned) & 63);
}

ph_err ph_image_feedback(const struct ph_picture *dst, const struct ph_picture *prev,
                         const struct ph_picture *now, const struct ph_feedback *step)
{
    if (!are_rgba(dst, prev) || !px_same_size(dst, now) || now->format != PH_RGBA ||
        !is_finite(&step->map))
        return PH_EINVAL;
    struct ph_warp_row r = row_for(prev, step->border);
    r.keep = to_q15(step->keep);
    r.add = to_q15(step->add);
    r.lighten = step->lighten;
    for (int y = 0; y < dst->height; y++) {
        enter(&r, &step->map, y);
        set_dither(&r, y, step->count);
        ph_image_ops()->warp(px_row(dst, 0, y), px_row(now, 0, y), dst->width, &r);
    }
    return PH_OK;
}

// --- kaleidoscope

struct scope {
    int sectors;
    double mx, my, turn;                            // the middle in dst; of the first mirror
    double ray[2 * PH_KALEIDOSCOPE_AXES][2];        // where each sector begins
    struct ph_affine map[2 * PH_KALEIDOSCOPE_AXES]; // of each sector
};

// Sectors of even number are turned back, those between are mirrored: theta' = a - theta.
static void prepare_sector(struct scope *s, int i, const struct ph_kaleidoscope *k,
                           const struct ph_picture *src)
{
    double wide = 2 * M_PI / s->sectors, begin = s->turn + i * wide;
    double source = k->source_deg * M_PI / 180, size = 1 / k->zoom;
    bool odd = i & 1;
    double a = odd ? begin + wide + source : source - begin;
    double c = cos(a) * size, d = sin(a) * size;
    struct ph_affine m = { (float) c, (float) (odd ? d : -d), 0,
                           (float) d, (float) (odd ? -c : c), 0 };
    m.x0 = (float) (k->sx * src->width - 0.5 - (double) m.xx * s->mx - (double) m.xy * s->my);
    m.y0 = (float) (k->sy * src->height - 0.5 - (double) m.yx * s->mx - (double) m.yy * s->my);
    s->map[i] = m;
    s->ray[i][0] = cos(begin);
    s->ray[i][1] = sin(begin);
}

static int sector_at(const struct scope *s, double x, double y)
{
    double turns = (atan2(y - s->my, x - s->mx) - s->turn) / (2 * M_PI);
    int i = (int) ((turns - floor(turns)) * s->sectors);
    return i < s->sectors ? i : s->sectors - 1;
}

// Where row y goes from one sector into another between left and right, rising; right is the last.
static int borders_of_row(const struct scope *s, int y, int left, int right, int *x)
{
    int n = 0;
    double dy = y - s->my;
    for (int i = 0; i < s->sectors; i++) {
        if (s->ray[i][1] * dy <= 0) continue; // the ray goes to the other side
        double at = ceil(s->mx + dy * s->ray[i][0] / s->ray[i][1]);
        if (!(at > left && at < right)) continue;
        int j = n++;
        for (; j > 0 && x[j - 1] > (int) at; j--) x[j] = x[j - 1];
        x[j] = (int) at;
    }
    if (dy == 0 && s->mx > left && s->mx < right) x[n++] = (int) ceil(s->mx);
    x[n++] = right;
    return n;
}

static void kaleidoscope_row(const struct scope *s, const struct ph_picture *dst, int from,
                             int y, struct ph_warp_row *r)
{
    int x[2 * PH_KALEIDOSCOPE_AXES + 2];
    int n = borders_of_row(s, y, from, min_int(from + STRIP, dst->width), x);
    for (int i = 0; i < n; i++) {
        if (x[i] <= from) continue;
        enter(r, &s->map[sector_at(s, (from + x[i] - 1) / 2.0, y)], y);
        r->first = from;
        ph_image_ops()->warp(px_row(dst, 0, y) + 4 * (ptrdiff_t) from, NULL, x[i] - from, r);
        from = x[i];
    }
}

static bool can_fold(const struct ph_kaleidoscope *k)
{
    return k->axes >= 1 && k->axes <= PH_KALEIDOSCOPE_AXES && k->zoom > 1e-3 &&
           isfinite(k->zoom) && isfinite(k->cx) && isfinite(k->cy) && isfinite(k->sx) &&
           isfinite(k->sy) && isfinite(k->angle_deg) && isfinite(k->source_deg);
}

ph_err ph_image_kaleidoscope(const struct ph_picture *dst, const struct ph_picture *src,
                             const struct ph_kaleidoscope *k)
{
    if (!are_rgba(dst, src) || !can_fold(k)) return PH_EINVAL;
    struct scope s = { .sectors = 2 * k->axes,
                       .mx = k->cx * dst->width - 0.5,
                       .my = k->cy * dst->height - 0.5,
                       .turn = fmod(k->angle_deg, 360) * M_PI / 180 };
    for (int i = 0; i < s.sectors; i++) prepare_sector(&s, i, k, src);
    struct ph_warp_row r = row_for(src, k->border);
    for (int x = 0; x < dst->width; x += STRIP)
        for (int y = 0; y < dst->height; y++) kaleidoscope_row(&s, dst, x, y, &r);
    return PH_OK;
}
