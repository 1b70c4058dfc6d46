// SPDX-License-Identifier: MIT
#include "image/draw.h"
#include "image/ops.h"
#include "image/px.h"

#include <math.h>

enum { TILE = 64 };

// What a colour of the API is in memory order.
static uint32_t color_px(uint32_t color)
{
    return __builtin_bswap32(color);
}

// --- rectangles

struct box {
    int x0, y0, x1, y1; // [x0, x1) x [y0, y1)
};

static struct box clip_box(const struct ph_picture *dst, int64_t x, int64_t y, int64_t w,
                           int64_t h)
{
    int64_t right = x + w, bottom = y + h;
    return (struct box){ (int) (x < 0            ? 0
                                : x < dst->width ? x
                                                 : dst->width),
                         (int) (y < 0             ? 0
                                : y < dst->height ? y
                                                  : dst->height),
                         (int) (right < 0            ? 0
                                : right < dst->width ? right
                                                     : dst->width),
                         (int) (bottom < 0             ? 0
                                : bottom < dst->height ? bottom
                                                       : dst->height) };
}

static bool drawable(const struct ph_picture *dst)
{
    return px_valid(dst) && dst->format == PH_RGBA;
}

static void blend_row(uint8_t *d, int n, uint32_t px)
{
    static const uint8_t full[] = { [0 ... 255] = 255 };
    for (int i = 0; i < n; i += 256)
        ph_image_ops()->mask(d + 4 * i, full, min_int(n - i, 256), px);
}

static void fill_box(const struct ph_picture *dst, struct box b, uint32_t px)
{
    int n = b.x1 - b.x0;
    if (n <= 0) return;
    for (int y = b.y0; y < b.y1; y++) {
        uint8_t *d = px_row(dst, 0, y) + 4 * b.x0;
        if (px >> 24 == 255)
            ph_image_ops()->fill(d, px, n);
        else
            blend_row(d, n, px);
    }
}

void ph_draw_clear(const struct ph_picture *dst, uint32_t color)
{
    if (!drawable(dst)) return;
    for (int y = 0; y < dst->height; y++)
        ph_image_ops()->fill(px_row(dst, 0, y), color_px(color), dst->width);
}

void ph_draw_rect(const struct ph_picture *dst, int x, int y, int w, int h, uint32_t color)
{
    if (drawable(dst) && w > 0 && h > 0)
        fill_box(dst, clip_box(dst, x, y, w, h), color_px(color));
}

void ph_draw_frame(const struct ph_picture *dst, int x, int y, int w, int h, int thickness,
                   uint32_t color)
{
    if (!drawable(dst) || w <= 0 || h <= 0 || thickness <= 0) return;
    if (2 * (int64_t) thickness >= min_int(w, h)) {
        ph_draw_rect(dst, x, y, w, h, color);
        return;
    }
    uint32_t px = color_px(color);
    int64_t t = thickness, inner = (int64_t) h - 2 * t;
    fill_box(dst, clip_box(dst, x, y, w, t), px);
    fill_box(dst, clip_box(dst, x, y + h - t, w, t), px);
    fill_box(dst, clip_box(dst, x, y + t, t, inner), px);
    fill_box(dst, clip_box(dst, x + (int64_t) w - t, y + t, t, inner), px);
}

// --- strokes. Coverage is gathered in a tile of 64 x 64 on the stack and then blended once, so
// that parts which overlap do not show, and no memory is needed.

struct tile {
    uint8_t mask[TILE * TILE];
    struct box at; // in the picture
};

static void tile_begin(struct tile *t, struct box at)
{
    t->at = at;
    memset(t->mask, 0, (size_t) (at.y1 - at.y0) * TILE);
}

static void tile_stroke(struct tile *t, struct ph_stroke s)
{
    s.x0 -= (float) t->at.x0;
    s.y0 -= (float) t->at.y0;
    ph_image_ops()->stroke(t->mask, TILE, t->at.x1 - t->at.x0, t->at.y1 - t->at.y0, &s);
}

static void tile_end(const struct tile *t, const struct ph_picture *dst, uint32_t px)
{
    for (int y = t->at.y0; y < t->at.y1; y++)
        ph_image_ops()->mask(px_row(dst, 0, y) + 4 * t->at.x0,
                             t->mask + (ptrdiff_t) (y - t->at.y0) * TILE, t->at.x1 - t->at.x0,
                             px);
}

enum tile_state { TILE_OUTSIDE, TILE_PARTLY, TILE_INSIDE };

// By the distance of the tile's middle, give or take half its diagonal.
static enum tile_state tile_state(struct box b, const struct ph_stroke *s)
{
    float w = (float) (b.x1 - b.x0), h = (float) (b.y1 - b.y0);
    float half = 0.5f * sqrtf(w * w + h * h);
    float px = (float) b.x0 + 0.5f * w - s->x0, py = (float) b.y0 + 0.5f * h - s->y0;
    float t = fminf(fmaxf((px * s->dx + py * s->dy) * s->inv_length2, 0), 1);
    float d = hypotf(px - t * s->dx, py - t * s->dy);
    if (d - half > s->ring + s->reach || d + half < s->ring - s->reach) return TILE_OUTSIDE;
    return s->ring == 0 && d + half < s->reach - 1 ? TILE_INSIDE : TILE_PARTLY;
}

// Pixels a stroke can touch.
static struct box stroke_box(const struct ph_picture *dst, const struct ph_stroke *s)
{
    float far = s->ring + s->reach, x1 = s->x0 + s->dx, y1 = s->y0 + s->dy;
    float w = (float) dst->width, h = (float) dst->height;
    return (struct box){ (int) fminf(fmaxf(fminf(s->x0, x1) - far, 0), w),
                         (int) fminf(fmaxf(fminf(s->y0, y1) - far, 0), h),
                         (int) ceilf(fminf(fmaxf(fmaxf(s->x0, x1) + far, 0), w)),
                         (int) ceilf(fminf(fmaxf(fmaxf(s->y0, y1) + far, 0), h)) };
}

static void draw_tile(const struct ph_picture *dst, struct box b, const struct ph_stroke *s,
                      uint32_t px)
{
    struct tile tile;
    switch (tile_state(b, s)) {
    case TILE_OUTSIDE: break;
    case TILE_INSIDE: fill_box(dst, b, px); break;
    case TILE_PARTLY:
        tile_begin(&tile, b);
        tile_stroke(&tile, *s);
        tile_end(&tile, dst, px);
        break;
    }
}

static void draw_stroke(const struct ph_picture *dst, const struct ph_stroke *s, uint32_t px)
{
    struct box all = stroke_box(dst, s);
    for (int y = all.y0; y < all.y1; y += TILE)
        for (int x = all.x0; x < all.x1; x += TILE)
            draw_tile(
                dst, (struct box){ x, y, min_int(x + TILE, all.x1), min_int(y + TILE, all.y1) },
                s, px);
}

// Thinner than a pixel is a pixel, only paler.
static bool prepare(uint32_t *px, uint32_t color, float *thickness)
{
    if (!(*thickness > 0) || !isfinite(*thickness)) return false;
    uint32_t alpha = color & 0xff;
    if (*thickness < 1) {
        alpha = (uint32_t) lrintf((float) alpha * *thickness);
        *thickness = 1;
    }
    *px = color_px((color & ~UINT32_C(0xff)) | alpha);
    return alpha > 0;
}

static struct ph_stroke line_stroke(const float *a, const float *b, float thickness)
{
    float dx = b[0] - a[0], dy = b[1] - a[1], length2 = dx * dx + dy * dy;
    if (length2 < 1e-6f) dx = dy = length2 = 0;
    return (struct ph_stroke){ .x0 = a[0],
                               .y0 = a[1],
                               .dx = dx,
                               .dy = dy,
                               .inv_length2 = length2 > 0 ? 1 / length2 : 0,
                               .reach = 0.5f * thickness + 0.5f };
}

// Beyond this floats no longer tell pixels apart.
static bool sane(float v)
{
    return fabsf(v) < 1e6f;
}

void ph_draw_line(const struct ph_picture *dst, float x0, float y0, float x1, float y1,
                  float thickness, uint32_t color)
{
    uint32_t px;
    const float a[2] = { x0, y0 }, b[2] = { x1, y1 };
    if (!drawable(dst) || !prepare(&px, color, &thickness)) return;
    if (!sane(x0) || !sane(y0) || !sane(x1) || !sane(y1)) return;
    struct ph_stroke s = line_stroke(a, b, thickness);
    draw_stroke(dst, &s, px);
}

void ph_draw_disc(const struct ph_picture *dst, float x, float y, float radius, uint32_t color)
{
    if (!drawable(dst) || !sane(x) || !sane(y) || !(radius > 0) || !sane(radius)) return;
    struct ph_stroke s = { .x0 = x, .y0 = y, .reach = radius + 0.5f };
    draw_stroke(dst, &s, color_px(color));
}

void ph_draw_circle(const struct ph_picture *dst, float x, float y, float radius,
                    float thickness, uint32_t color)
{
    uint32_t px;
    if (!drawable(dst) || !sane(x) || !sane(y) || !(radius > 0) || !sane(radius)) return;
    if (!prepare(&px, color, &thickness)) return;
    struct ph_stroke s = { .x0 = x, .y0 = y, .ring = radius, .reach = 0.5f * thickness + 0.5f };
    draw_stroke(dst, &s, px);
}

// --- polylines

struct polyline {
    const float *xy;
    int n;
    float thickness, reach;
    bool ordered; // x never falls: a waveform
};

// Whether segment i comes near [lo, hi) in direction c (0 = x, 1 = y).
static bool near_range(const struct polyline *p, int i, int c, int lo, int hi)
{
    float a = p->xy[2 * i + c], b = p->xy[2 * i + 2 + c];
    return fmaxf(a, b) + p->reach > (float) lo && fminf(a, b) - p->reach < (float) hi;
}

// Segments first..last that come near a column of tiles, and the rows they touch.
struct run {
    int first, last;
    float top, bottom;
};

static struct run find_run(const struct polyline *p, int from, int x0, int x1)
{
    struct run r = { p->n, -1, INFINITY, -INFINITY };
    for (int i = from; i + 1 < p->n; i++) {
        if (p->ordered && p->xy[2 * i] - p->reach >= (float) x1) break;
        if (!near_range(p, i, 0, x0, x1)) continue;
        r.first = min_int(r.first, i);
        r.last = i;
        r.top = fminf(r.top, fminf(p->xy[2 * i + 1], p->xy[2 * i + 3]));
        r.bottom = fmaxf(r.bottom, fmaxf(p->xy[2 * i + 1], p->xy[2 * i + 3]));
    }
    return r;
}

static void draw_run_tile(const struct ph_picture *dst, const struct polyline *p,
                          const struct run *r, struct box b, uint32_t px)
{
    struct tile tile;
    tile_begin(&tile, b);
    for (int i = r->first; i <= r->last; i++) {
        if (near_range(p, i, 0, b.x0, b.x1) && near_range(p, i, 1, b.y0, b.y1))
            tile_stroke(&tile, line_stroke(p->xy + 2 * i, p->xy + 2 * i + 2, p->thickness));
    }
    tile_end(&tile, dst, px);
}

static bool polyline_init(struct polyline *p, const float *xy, int n, float thickness)
{
    *p = (struct polyline){ xy, n, thickness, 0.5f * thickness + 0.5f, true };
    for (int i = 0; i < 2 * n; i++)
        if (!sane(xy[i])) return false;
    for (int i = 1; i < n; i++) p->ordered &= xy[2 * i] >= xy[2 * i - 2];
    return n >= 2;
}

void ph_draw_polyline(const struct ph_picture *dst, const float *xy, int n, float thickness,
                      uint32_t color)
{
    uint32_t px;
    struct polyline p;
    int from = 0;
    if (!drawable(dst) || !prepare(&px, color, &thickness)) return;
    if (!polyline_init(&p, xy, n, thickness)) return;
    for (int x = 0; x < dst->width; x += TILE) {
        int x1 = min_int(x + TILE, dst->width);
        struct run r = find_run(&p, from, x, x1);
        if (r.last < 0) continue;
        if (p.ordered) from = r.first;
        int top = (int) fminf(fmaxf(r.top - p.reach, 0), (float) dst->height);
        int bottom = (int) ceilf(fminf(fmaxf(r.bottom + p.reach, 0), (float) dst->height));
        for (int y = top; y < bottom; y += TILE)
            draw_run_tile(dst, &p, &r, (struct box){ x, y, x1, min_int(y + TILE, bottom) }, px);
    }
}

// --- bands, in pieces of as many columns as fit on the stack

enum { PIECE = 256 };

struct piece {
    float top[PIECE], bottom[PIECE];
    int n;
};

static void piece_set(struct piece *p, float top, float bottom)
{
    bool ok = sane(top) && sane(bottom) && bottom > top;
    p->top[p->n] = ok ? top : 0;
    p->bottom[p->n++] = ok ? bottom : 0;
}

static void piece_draw(const struct ph_picture *dst, int x, const struct piece *p, uint32_t px)
{
    uint8_t mask[PIECE];
    float h = (float) dst->height, top = h, bottom = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->bottom[i] <= p->top[i]) continue;
        top = fminf(top, p->top[i]);
        bottom = fmaxf(bottom, p->bottom[i]);
    }
    int y1 = (int) ceilf(fminf(bottom, h));
    for (int y = (int) fmaxf(top, 0); y < y1; y++) {
        ph_image_ops()->band(mask, p->top, p->bottom, p->n, (float) y);
        ph_image_ops()->mask(px_row(dst, 0, y) + 4 * x, mask, p->n, px);
    }
}

void ph_draw_band(const struct ph_picture *dst, int x, const float *top, const float *bottom,
                  int n, uint32_t color)
{
    if (!drawable(dst) || n <= 0) return;
    struct box b = clip_box(dst, x, 0, n, dst->height);
    for (int at = b.x0; at < b.x1; at += PIECE) {
        struct piece p;
        p.n = 0;
        for (int i = at; i < min_int(at + PIECE, b.x1); i++)
            piece_set(&p, top[i - (int64_t) x], bottom[i - (int64_t) x]);
        piece_draw(dst, at, &p, color_px(color));
    }
}

// What column i covers: its value, and half-way to the neighbours'.
static void wave_column(struct piece *p, const float *y, int n, int64_t i, float half)
{
    float left = 0.5f * (y[i] + y[i > 0 ? i - 1 : i]);
    float right = 0.5f * (y[i] + y[i + 1 < n ? i + 1 : i]);
    piece_set(p, fminf(y[i], fminf(left, right)) - half,
              fmaxf(y[i], fmaxf(left, right)) + half);
}

void ph_draw_wave(const struct ph_picture *dst, int x, const float *y, int n, float thickness,
                  uint32_t color)
{
    uint32_t px;
    if (!drawable(dst) || n <= 0 || !prepare(&px, color, &thickness)) return;
    struct box b = clip_box(dst, x, 0, n, dst->height);
    for (int at = b.x0; at < b.x1; at += PIECE) {
        struct piece p;
        p.n = 0;
        for (int i = at; i < min_int(at + PIECE, b.x1); i++)
            wave_column(&p, y, n, i - (int64_t) x, 0.5f * thickness);
        piece_draw(dst, at, &p, px);
    }
}

// --- masks

void ph_draw_mask(const struct ph_picture *dst, const uint8_t *mask, ptrdiff_t stride, int w,
                  int h, int x, int y, uint32_t color)
{
    if (!drawable(dst) || w <= 0 || h <= 0) return;
    struct box b = clip_box(dst, x, y, w, h);
    if (b.x1 <= b.x0) return;
    for (int row = b.y0; row < b.y1; row++)
        ph_image_ops()->mask(px_row(dst, 0, row) + 4 * b.x0,
                             mask + (row - (ptrdiff_t) y) * stride + (b.x0 - (ptrdiff_t) x),
                             b.x1 - b.x0, color_px(color));
}
