// SPDX-License-Identifier: MIT
#include "image/checkerboard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RADIUS = 5, // of the ring that responses are taken from
    BORDER = RADIUS + 3,
    CANDIDATES = 1200, // the strongest are kept
    SEEDS = 60,
};

bool ph_board_valid(const struct ph_board *b)
{
    return b->rows >= 3 && b->columns >= b->rows && b->columns <= PH_BOARD_MAX &&
           (b->columns + b->rows) % 2 == 1;
}

// --- brightness

struct grey {
    int width, height;
    float *px;
};

static float at(const struct grey *g, int x, int y)
{
    return g->px[(size_t) y * (size_t) g->width + (size_t) x];
}

// Brightness, a little blurred against noise: a binomial of 3 by 3.
static bool make_grey(struct grey *g, const struct ph_picture *p)
{
    size_t n = (size_t) p->width * (size_t) p->height;
    float *raw = malloc(n * sizeof *raw);
    *g = (struct grey){ p->width, p->height, malloc(n * sizeof *raw) };
    if (!raw || !g->px) {
        free(raw);
        return false;
    }
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            const uint8_t *c = p->data[0] + y * p->stride[0] + 4 * x;
            raw[(size_t) y * (size_t) p->width + (size_t) x] =
                0.299f * (float) c[0] + 0.587f * (float) c[1] + 0.114f * (float) c[2];
        }
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            float sum = 0;
            for (int j = -1; j <= 1; j++)
                for (int i = -1; i <= 1; i++) {
                    int u = x + i < 0 ? 0 : x + i >= p->width ? p->width - 1 : x + i;
                    int v = y + j < 0 ? 0 : y + j >= p->height ? p->height - 1 : y + j;
                    sum += raw[(size_t) v * (size_t) p->width + (size_t) u] *
                           (float) ((2 - abs(i)) * (2 - abs(j)));
                }
            g->px[(size_t) y * (size_t) p->width + (size_t) x] = sum / 16;
        }
    free(raw);
    return true;
}

// --- candidates

struct candidate {
    double x, y; // of pixels' middles, as an index
    float response;
};

// The ring of 16 around a pixel: opposite samples of a corner are alike, those a quarter on differ.
static float response(const struct grey *g, int x, int y)
{
    static const int8_t ring[16][2] = { { 0, -5 }, { 2, -5 },  { 3, -3 },  { 5, -2 },
                                        { 5, 0 },  { 5, 2 },   { 3, 3 },   { 2, 5 },
                                        { 0, 5 },  { -2, 5 },  { -3, 3 },  { -5, 2 },
                                        { -5, 0 }, { -5, -2 }, { -3, -3 }, { -2, -5 } };
    float v[16], sum = 0, differ = 0, mean = 0;
    for (int i = 0; i < 16; i++) {
        v[i] = at(g, x + ring[i][0], y + ring[i][1]);
        mean += v[i] / 16;
    }
    for (int i = 0; i < 4; i++) sum += fabsf(v[i] + v[i + 8] - v[i + 4] - v[i + 12]);
    for (int i = 0; i < 8; i++) differ += fabsf(v[i] - v[i + 8]);
    float here =
        (at(g, x, y) + at(g, x - 1, y) + at(g, x + 1, y) + at(g, x, y - 1) + at(g, x, y + 1)) /
        5;
    return sum - differ - 16 * fabsf(here - mean);
}

static bool is_peak(const struct grey *r, int x, int y)
{
    float v = at(r, x, y);
    for (int j = -4; j <= 4; j++)
        for (int i = -4; i <= 4; i++) {
            float other = at(r, x + i, y + j);
            if (other > v || (other == v && (j < 0 || (j == 0 && i < 0)))) return false;
        }
    return true;
}

static int stronger(const void *a, const void *b)
{
    const struct candidate *p = a, *q = b;
    return p->response < q->response ? 1 : p->response > q->response ? -1 : 0;
}

static int collect(struct candidate *out, const struct grey *r, float least)
{
    int n = 0;
    for (int y = BORDER; y < r->height - BORDER; y++)
        for (int x = BORDER; x < r->width - BORDER; x++) {
            if (at(r, x, y) < least || !is_peak(r, x, y)) continue;
            struct candidate c = { x, y, at(r, x, y) };
            if (n < CANDIDATES) {
                out[n++] = c;
                if (n == CANDIDATES) qsort(out, (size_t) n, sizeof *out, stronger);
                continue;
            }
            int k = n - 1; // full, and in order: the weakest makes room for a stronger one
            if (c.response <= out[k].response) continue;
            for (; k > 0 && out[k - 1].response < c.response; k--) out[k] = out[k - 1];
            out[k] = c;
        }
    qsort(out, (size_t) n, sizeof *out, stronger);
    return n;
}

static int find_candidates(struct candidate *out, const struct grey *g)
{
    size_t n = (size_t) g->width * (size_t) g->height;
    struct grey r = { g->width, g->height, calloc(n, sizeof(float)) };
    float most = 0;
    if (!r.px) return -1;
    for (int y = RADIUS + 1; y < g->height - RADIUS - 1; y++)
        for (int x = RADIUS + 1; x < g->width - RADIUS - 1; x++) {
            float v = response(g, x, y);
            r.px[(size_t) y * (size_t) g->width + (size_t) x] = v;
            most = v > most ? v : most;
        }
    int found = collect(out, &r, fmaxf(most * 0.15f, 20));
    free(r.px);
    return found;
}

// --- finer than a pixel

static double between(const struct grey *g, double x, double y)
{
    int u = (int) x, v = (int) y;
    double a = x - u, b = y - v;
    return (1 - b) * ((1 - a) * (double) at(g, u, v) + a * (double) at(g, u + 1, v)) +
           b * ((1 - a) * (double) at(g, u, v + 1) + a * (double) at(g, u + 1, v + 1));
}

// One step: all gradients in the window are at right angles to the way from the corner.
static bool refine_once(const struct grey *g, struct candidate *c, int window)
{
    double a = 0, b = 0, d = 0, p = 0, q = 0;
    for (int j = -window; j <= window; j++)
        for (int i = -window; i <= window; i++) {
            double x = c->x + i, y = c->y + j;
            double gx = between(g, x + 1, y) - between(g, x - 1, y);
            double gy = between(g, x, y + 1) - between(g, x, y - 1);
            double w = exp(-(i * i + j * j) / (0.5 * window * window));
            a += w * gx * gx;
            b += w * gx * gy;
            d += w * gy * gy;
            p += w * (gx * gx * i + gx * gy * j);
            q += w * (gx * gy * i + gy * gy * j);
        }
    double det = a * d - b * b;
    if (!(det > 1e-9 * (a + d) * (a + d))) return false;
    double dx = (d * p - b * q) / det, dy = (a * q - b * p) / det;
    if (!(hypot(dx, dy) < 2)) return false;
    c->x += dx;
    c->y += dy;
    return hypot(dx, dy) > 1e-3;
}

static void refine(const struct grey *g, struct candidate *c, int window)
{
    struct candidate was = *c;
    int margin = window + 3;
    for (int i = 0; i < 12; i++) {
        bool inside = c->x > margin && c->y > margin && c->x < g->width - 1 - margin &&
                      c->y < g->height - 1 - margin;
        if (!inside || !refine_once(g, c, window)) break;
    }
    if (hypot(c->x - was.x, c->y - was.y) > 3) *c = was;
}

// --- the grid

enum { GRID = 2 * PH_BOARD_MAX + 1, NOBODY = -1 };

struct grid {
    const struct candidate *c;
    int count;
    int16_t who[GRID][GRID]; // [row][column], the seed in the middle
    bool *used;
};

struct step {
    double x, y;
};

static int nearest(const struct grid *g, double x, double y, double within)
{
    int best = NOBODY;
    for (int i = 0; i < g->count; i++) {
        double far = hypot(g->c[i].x - x, g->c[i].y - y);
        if (far >= within || g->used[i]) continue;
        within = far;
        best = i;
    }
    return best;
}

// The way to the next one: as from the one before, else as the seed's.
static struct step way(const struct grid *g, int row, int column, int dr, int dc,
                       struct step first)
{
    int r = row - dr, c = column - dc;
    int before = r >= 0 && c >= 0 && r < GRID && c < GRID ? g->who[r][c] : NOBODY;
    if (before != NOBODY) {
        const struct candidate *a = &g->c[before], *b = &g->c[g->who[row][column]];
        return (struct step){ b->x - a->x, b->y - a->y };
    }
    // the same step one row, or one column, beside
    for (int side = -1; side <= 1; side += 2) {
        int r0 = row + side * abs(dc), c0 = column + side * abs(dr);
        int r1 = r0 + dr, c1 = c0 + dc;
        if (r0 < 0 || c0 < 0 || r0 >= GRID || c0 >= GRID || r1 < 0 || c1 < 0 || r1 >= GRID ||
            c1 >= GRID || g->who[r0][c0] == NOBODY || g->who[r1][c1] == NOBODY)
            continue;
        const struct candidate *a = &g->c[g->who[r0][c0]], *b = &g->c[g->who[r1][c1]];
        return (struct step){ b->x - a->x, b->y - a->y };
    }
    return first;
}

static bool grow_at(struct grid *g, int row, int column, const struct step first[2])
{
    static const int ways[4][2] = { { 0, 1 }, { 1, 0 }, { 0, -1 }, { -1, 0 } };
    bool grew = false;
    for (int k = 0; k < 4; k++) {
        int dr = ways[k][0], dc = ways[k][1], r = row + dr, c = column + dc;
        if (r < 0 || c < 0 || r >= GRID || c >= GRID || g->who[r][c] != NOBODY) continue;
        const struct step *s = &first[dr != 0];
        int sign = dr + dc;
        struct step w = way(g, row, column, dr, dc, (struct step){ s->x * sign, s->y * sign });
        const struct candidate *from = &g->c[g->who[row][column]];
        int found = nearest(g, from->x + w.x, from->y + w.y, 0.35 * hypot(w.x, w.y));
        if (found == NOBODY) continue;
        g->who[r][c] = (int16_t) found;
        g->used[found] = true;
        grew = true;
    }
    return grew;
}

// Its nearest neighbour, and the nearest that lies well aside of that.
static bool first_steps(const struct grid *g, int seed, struct step out[2])
{
    const struct candidate *s = &g->c[seed];
    double best[2] = { INFINITY, INFINITY };
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < g->count; i++) {
            struct step w = { g->c[i].x - s->x, g->c[i].y - s->y };
            double far = hypot(w.x, w.y);
            if (i == seed || far < 4 || far >= best[round]) continue;
            double sine = round ? fabs(w.x * out[0].y - w.y * out[0].x) / (far * best[0]) : 1;
            if (sine < 0.5) continue;
            best[round] = far;
            out[round] = w;
        }
    // the second to the right hand of the first, as rows follow columns
    if (out[0].x * out[1].y - out[0].y * out[1].x < 0)
        out[1] = (struct step){ -out[1].x, -out[1].y };
    return best[1] < 4 * best[0];
}

static bool grow(struct grid *g, int seed)
{
    struct step first[2] = { 0 };
    memset(g->who, 0xff, sizeof g->who);
    memset(g->used, 0, (size_t) g->count);
    if (!first_steps(g, seed, first)) return false;
    g->who[PH_BOARD_MAX][PH_BOARD_MAX] = (int16_t) seed;
    g->used[seed] = true;
    for (bool grew = true; grew;) {
        grew = false;
        for (int r = 0; r < GRID; r++)
            for (int c = 0; c < GRID; c++)
                if (g->who[r][c] != NOBODY && grow_at(g, r, c, first)) grew = true;
    }
    return true;
}

// Response of a full window of the grid; below 0 when it has a hole.
static double weight(const struct grid *g, int row, int column, int rows, int columns)
{
    double sum = 0;
    for (int r = row; r < row + rows; r++)
        for (int c = column; c < column + columns; c++) {
            if (g->who[r][c] == NOBODY) return -1;
            sum += (double) g->c[g->who[r][c]].response;
        }
    return sum;
}

struct window {
    int row, column;
    bool turned; // the board's columns run down the grid
};

static bool find_window(const struct grid *g, const struct ph_board *b, struct window *out)
{
    double best = -1;
    for (int turned = 0; turned < 2; turned++) {
        int rows = turned ? b->columns : b->rows, columns = turned ? b->rows : b->columns;
        for (int r = 0; r + rows <= GRID; r++)
            for (int c = 0; c + columns <= GRID; c++) {
                if (g->who[r][c] == NOBODY) continue;
                double w = weight(g, r, c, rows, columns);
                if (w <= best) continue;
                best = w;
                *out = (struct window){ r, c, turned };
            }
    }
    return best > 0;
}

// Corner (i, j) of the board in one of the two ways it can lie in the window.
static const struct candidate *corner(const struct grid *g, const struct ph_board *b,
                                      const struct window *w, bool flipped, int i, int j)
{
    if (flipped) {
        i = b->columns - 1 - i;
        j = b->rows - 1 - j;
    }
    // a quarter turn, so that rows stay to the right hand of columns
    int row = w->turned ? i : j, column = w->turned ? b->rows - 1 - j : i;
    return &g->c[g->who[w->row + row][w->column + column]];
}

static double middle_of_square(const struct grey *px, const struct grid *g,
                               const struct ph_board *b, const struct window *w, int i, int j)
{
    double x = 0, y = 0;
    for (int k = 0; k < 4; k++) {
        const struct candidate *c = corner(g, b, w, false, i + k % 2, j + k / 2);
        x += c->x / 4;
        y += c->y / 4;
    }
    return between(px, x, y);
}

// Whether the squares alternate; *flipped: the dark one that it begins with lies at the other end.
static bool alternates(const struct grey *px, const struct grid *g, const struct ph_board *b,
                       const struct window *w, bool *flipped)
{
    double sum[2] = { 0, 0 }, low[2] = { INFINITY, INFINITY }, high[2] = { 0, 0 };
    int count[2] = { 0, 0 };
    for (int j = 0; j + 1 < b->rows; j++)
        for (int i = 0; i + 1 < b->columns; i++) {
            int k = (i + j) % 2;
            double v = middle_of_square(px, g, b, w, i, j);
            sum[k] += v;
            count[k]++;
            low[k] = fmin(low[k], v);
            high[k] = fmax(high[k], v);
        }
    *flipped = sum[0] / count[0] > sum[1] / count[1];
    int dark = *flipped, light = !dark;
    return sum[light] / count[light] - sum[dark] / count[dark] > 15 &&
           high[dark] < low[light] + 40;
}

static double smallest_step(const struct grid *g, const struct ph_board *b,
                            const struct window *w)
{
    double least = INFINITY;
    for (int j = 0; j < b->rows; j++)
        for (int i = 0; i < b->columns; i++) {
            const struct candidate *c = corner(g, b, w, false, i, j);
            const struct candidate *r = corner(g, b, w, false, i ? i - 1 : 1, j);
            const struct candidate *d = corner(g, b, w, false, i, j ? j - 1 : 1);
            least = fmin(
                least, fmin(hypot(c->x - r->x, c->y - r->y), hypot(c->x - d->x, c->y - d->y)));
        }
    return least;
}

static bool read_board(double (*out)[2], const struct grey *px, const struct grid *g,
                       const struct ph_board *b)
{
    struct window w = { 0 };
    bool flipped;
    if (!find_window(g, b, &w) || !alternates(px, g, b, &w, &flipped)) return false;
    int window = (int) (0.4 * smallest_step(g, b, &w));
    window = window < 2 ? 2 : window > 9 ? 9 : window;
    for (int j = 0; j < b->rows; j++)
        for (int i = 0; i < b->columns; i++) {
            struct candidate c = *corner(g, b, &w, flipped, i, j);
            refine(px, &c, window);
            out[j * b->columns + i][0] = c.x + 0.5;
            out[j * b->columns + i][1] = c.y + 0.5;
        }
    return true;
}

ph_err ph_board_find(double (*corners)[2], int *seen, const struct ph_picture *picture,
                     const struct ph_board *board)
{
    struct grey px = { 0 };
    *seen = 0;
    if (!ph_board_valid(board) || picture->format != PH_RGBA) return PH_EINVAL;
    if (picture->width < 4 * BORDER || picture->height < 4 * BORDER) return PH_MORE;
    struct candidate *c = malloc(CANDIDATES * sizeof *c);
    struct grid *g = malloc(sizeof *g);
    bool *used = malloc(CANDIDATES);
    ph_err ret = c && g && used && make_grey(&px, picture) ? PH_MORE : PH_ENOMEM;
    if (ret == PH_MORE && (*seen = find_candidates(c, &px)) < 0) ret = PH_ENOMEM;
    if (ret == PH_MORE) *g = (struct grid){ .c = c, .count = *seen, .used = used };
    for (int seed = 0; ret == PH_MORE && seed < *seen && seed < SEEDS; seed++)
        if (grow(g, seed) && read_board(corners, &px, g, board)) ret = PH_OK;
    free(px.px);
    free(c);
    free(g);
    free(used);
    return ret;
}
