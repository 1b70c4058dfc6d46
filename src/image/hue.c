// SPDX-License-Identifier: MIT
#include "image/hue.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>
#include <stdlib.h>

// A square root need not set errno: four of them side by side.
#pragma GCC optimize("no-math-errno")

enum {
    SIDE = PH_CUBE_SIDE,
    CELLS = SIDE - 1,
    COUNT = SIDE * SIDE * SIDE,
    BLOCK = 32,
    ROOM = (COUNT + BLOCK - 1) / BLOCK * BLOCK,
    ROOTS = 2048,  // of the table that encodes: sRGB of its square root
    HALVINGS = 11, // of the chroma that fits: within 1 of 2000
};

struct ph_hue {
    double deg;
    uint32_t cube[ROOM];
    float lab[3][ROOM];
    float code[ROOTS + 2];
};

// --- one colour

// Rows of M1 times linear sRGB, of M2, and of their inverses, as published.
static const double to_lms[3][3] = { { 0.4122214708, 0.5363325363, 0.0514459929 },
                                     { 0.2119034982, 0.6806995451, 0.1073969566 },
                                     { 0.0883024619, 0.2817188376, 0.6299787005 } };
static const double to_lab[3][3] = { { 0.2104542553, 0.7936177850, -0.0040720468 },
                                     { 1.9779984951, -2.4285922050, 0.4505937099 },
                                     { 0.0259040371, 0.7827717662, -0.8086757660 } };
static const double from_lab[3][3] = { { 1, 0.3963377774, 0.2158037573 },
                                       { 1, -0.1055613458, -0.0638541728 },
                                       { 1, -0.0894841775, -1.2914855480 } };
static const double from_lms[3][3] = { { 4.0767416621, -3.3077115913, 0.2309699292 },
                                       { -1.2684380046, 2.6097574011, -0.3413193965 },
                                       { -0.0041960863, -0.7034186147, 1.7076147010 } };

static void multiply(double out[3], const double m[3][3], const double v[3])
{
    for (int i = 0; i < 3; i++) out[i] = m[i][0] * v[0] + m[i][1] * v[1] + m[i][2] * v[2];
}

static double to_linear(double c)
{
    return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

static double to_srgb(double c)
{
    c = fmin(fmax(c, 0), 1);
    return c <= 0.0031308 ? 12.92 * c : 1.055 * pow(c, 1 / 2.4) - 0.055;
}

static void lab_of(double lab[3], const double rgb[3])
{
    double linear[3], lms[3];
    for (int i = 0; i < 3; i++) linear[i] = to_linear(rgb[i]);
    multiply(lms, to_lms, linear);
    for (int i = 0; i < 3; i++) lms[i] = cbrt(lms[i]);
    multiply(lab, to_lab, lms);
}

// Some colours at a time, so that the compiler has them side by side. Linear light of one lightness and
// hue as polynomials of the share of the chroma that is kept: cubes of the roots L + keep k, weighed.
struct rays {
    float of[3][4][BLOCK];
    float keep[BLOCK];
};

static void add_root(struct rays *r, int i, const float lab[3][BLOCK])
{
    const float a = (float) from_lab[i][1], b = (float) from_lab[i][2];
    for (int c = 0; c < 3; c++) {
        const float w = (float) from_lms[c][i];
        for (int n = 0; n < BLOCK; n++) {
            float l = lab[0][n], k = a * lab[1][n] + b * lab[2][n];
            r->of[c][0][n] += w * (l * l * l);
            r->of[c][1][n] += w * (3 * l * l * k);
            r->of[c][2][n] += w * (3 * l * k * k);
            r->of[c][3][n] += w * (k * k * k);
        }
    }
}

static inline float light(const struct rays *r, int c, int n, float keep)
{
    return r->of[c][0][n] +
           keep * (r->of[c][1][n] + keep * (r->of[c][2][n] + keep * r->of[c][3][n]));
}

// 1 when all three are light that can be shown, else 0. A hair's breadth more, so that white and full colours
// that are not turned stay what they are.
static inline float fits(const struct rays *r, int n, float keep)
{
    const float low = -1e-4f, high = 1 + 1e-4f;
    float x = light(r, 0, n, keep), y = light(r, 1, n, keep), z = light(r, 2, n, keep);
    int ok = (x >= low) & (x <= high) & (y >= low) & (y <= high) & (z >= low) & (z <= high);
    return (float) ok;
}

// The most chroma that fits, by halving.
static void find_keep(struct rays *r)
{
    float step = 0.5f;
    for (int i = 0; i < HALVINGS; i++, step /= 2)
        for (int n = 0; n < BLOCK; n++) r->keep[n] += step * fits(r, n, r->keep[n] + step);
    for (int n = 0; n < BLOCK; n++) r->keep[n] += (1 - r->keep[n]) * fits(r, n, 1);
}

// Linear light of colours in Oklab that lie within sRGB then.
static void light_of(float out[3][BLOCK], const float lab[3][BLOCK])
{
    struct rays r = { 0 };
    for (int i = 0; i < 3; i++) add_root(&r, i, lab);
    find_keep(&r);
    for (int c = 0; c < 3; c++)
        for (int n = 0; n < BLOCK; n++) out[c][n] = light(&r, c, n, r.keep[n]);
}

void ph_hue_exact(double out[3], const double rgb[3], double deg)
{
    double lab[3], angle = deg * M_PI / 180;
    float turned[3][BLOCK] = { 0 }, linear[3][BLOCK];
    lab_of(lab, rgb);
    turned[0][0] = (float) lab[0];
    turned[1][0] = (float) (cos(angle) * lab[1] - sin(angle) * lab[2]);
    turned[2][0] = (float) (sin(angle) * lab[1] + cos(angle) * lab[2]);
    light_of(linear, (const float(*)[BLOCK]) turned);
    for (int i = 0; i < 3; i++) out[i] = to_srgb((double) linear[i][0]);
}

// --- all colours of the table

// 0..1 of linear light to 0..1020, four times the byte.
static void encode(float out[BLOCK], const float linear[BLOCK], const float *code)
{
    for (int n = 0; n < BLOCK; n++) {
        float x = linear[n] > 0 ? linear[n] : 0;
        float at = sqrtf(x < 1 ? x : 1) * ROOTS;
        int i = (int) at;
        out[n] = code[i] + (at - (float) i) * (code[i + 1] - code[i]) + 0.5f;
    }
}

static void fill_block(struct ph_hue *h, int from, float c, float s)
{
    float lab[3][BLOCK], linear[3][BLOCK], code[3][BLOCK];
    for (int n = 0; n < BLOCK; n++) {
        float a = h->lab[1][from + n], b = h->lab[2][from + n];
        lab[0][n] = h->lab[0][from + n];
        lab[1][n] = c * a - s * b;
        lab[2][n] = s * a + c * b;
    }
    light_of(linear, (const float(*)[BLOCK]) lab);
    for (int k = 0; k < 3; k++) encode(code[k], linear[k], h->code);
    for (int n = 0; n < BLOCK; n++)
        h->cube[from + n] =
            (uint32_t) ((int) code[0][n] | (int) code[1][n] << 10 | (int) code[2][n] << 20);
}

static void make_cube(struct ph_hue *h)
{
    double angle = h->deg * M_PI / 180;
    for (int i = 0; i < COUNT; i += BLOCK)
        fill_block(h, i, (float) cos(angle), (float) sin(angle));
}

static void fill_lab(struct ph_hue *h)
{
    for (int i = 0; i < COUNT; i++) {
        const double rgb[3] = { (double) (i % SIDE) / CELLS, (double) (i / SIDE % SIDE) / CELLS,
                                (double) (i / SIDE / SIDE) / CELLS };
        double lab[3];
        lab_of(lab, rgb);
        for (int k = 0; k < 3; k++) h->lab[k][i] = (float) lab[k];
    }
}

ph_err ph_hue_create(struct ph_hue **out)
{
    struct ph_hue *h = *out = calloc(1, sizeof *h);
    if (!h) return PH_ENOMEM;
    for (int i = 0; i < ROOTS + 2; i++) {
        double root = fmin((double) i / ROOTS, 1);
        h->code[i] = (float) (to_srgb(root * root) * 1020);
    }
    fill_lab(h);
    make_cube(h);
    return PH_OK;
}

void ph_hue_destroy(struct ph_hue **h)
{
    free(*h);
    *h = NULL;
}

void ph_hue_turn(struct ph_hue *h, double deg)
{
    if (!isfinite(deg) || deg == h->deg) return;
    h->deg = deg;
    make_cube(h);
}

// --- a picture

// Where a byte lies along one side: which cell, and how far into it, of 256.
static void place(int byte, int *cell, int *part)
{
    int at = byte * 32 + (byte + 4) / 8;
    *cell = min_int(at >> 8, CELLS - 1);
    *part = at - *cell * 256;
}

static void swap_if(bool swap, int part[2], int step[2])
{
    if (!swap) return;
    int p = part[0], s = step[0];
    part[0] = part[1], part[1] = p;
    step[0] = step[1], step[1] = s;
}

static void cube_px(uint8_t *d, const uint8_t *s, const uint32_t *cube)
{
    int part[3], step[3] = { 1, SIDE, SIDE * SIDE }, from = 0;
    for (int c = 0; c < 3; c++) {
        int cell;
        place(s[c], &cell, &part[c]);
        from += cell * step[c];
    }
    swap_if(part[0] < part[1], part, step);
    swap_if(part[1] < part[2], part + 1, step + 1);
    swap_if(part[0] < part[1], part, step);
    // along the edges of the tetrahedron: first the way that goes farthest
    const uint32_t *p = cube + from;
    uint32_t v[4] = { p[0], p[step[0]], p[step[0] + step[1]], p[step[0] + step[1] + step[2]] };
    uint32_t w[4] = { (uint32_t) (256 - part[0]), (uint32_t) (part[0] - part[1]),
                      (uint32_t) (part[1] - part[2]), (uint32_t) part[2] };
    for (int c = 0; c < 3; c++) {
        uint32_t sum = 512;
        for (int k = 0; k < 4; k++) sum += (v[k] >> 10 * c & 1023) * w[k];
        d[c] = (uint8_t) (sum >> 10);
    }
    d[3] = s[3];
}

static void cube_c(uint8_t *d, const uint8_t *s, int n, const uint32_t *cube)
{
    for (int i = 0; i < n; i++) cube_px(d + 4 * i, s + 4 * i, cube);
}

void ph_init_hue_c(struct ph_image_ops *o)
{
    o->cube = cube_c;
}

ph_err ph_image_hue(const struct ph_picture *dst, const struct ph_picture *src,
                    const struct ph_hue *h)
{
    const struct ph_image_ops *o = ph_image_ops();
    if (!px_same_size(dst, src) || dst->format != PH_RGBA || src->format != PH_RGBA)
        return PH_EINVAL;
    for (int y = 0; y < dst->height; y++)
        o->cube(px_row(dst, 0, y), px_row(src, 0, y), dst->width, h->cube);
    return PH_OK;
}
