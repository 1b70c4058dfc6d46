// SPDX-License-Identifier: MIT
#include "image/color.h"
#include "image/geometry.h"
#include "image/init.h"
#include "image/px.h"

#include <math.h>

enum { SHIFT = 11, ONE = 1 << SHIFT };

// --- kernels

static void color_matrix_c(uint8_t *d, const uint8_t *s, int n, const struct ph_color_matrix *m)
{
    for (int i = 0; i < 4 * n; i += 4) {
        int r = s[i], g = s[i + 1], b = s[i + 2];
        for (int c = 0; c < 3; c++) {
            int v = m->m[c][0] * r + m->m[c][1] * g + m->m[c][2] * b + m->add[c];
            d[i + c] = (uint8_t) clamp_int(v >> SHIFT, 0, 255);
        }
        d[i + 3] = s[i + 3];
    }
}

static void lut_c(uint8_t *d, const uint8_t *s, int n, const uint8_t table[256])
{
    for (int i = 0; i < 4 * n; i += 4) {
        d[i] = table[s[i]];
        d[i + 1] = table[s[i + 1]];
        d[i + 2] = table[s[i + 2]];
        d[i + 3] = s[i + 3];
    }
}

void ph_init_color_c(struct ph_image_ops *o)
{
    o->color_matrix = color_matrix_c;
    o->lut = lut_c;
}

// --- preparing

static const double luma[3] = { 0.213, 0.715, 0.072 };

static void saturate_matrix(double m[3][3], double s)
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) m[i][j] = luma[j] * (1 - s) + (i == j) * s;
}

static int16_t to_q11(double v)
{
    return (int16_t) lrint(fmin(fmax(v * ONE, -32768), 32767));
}

static void prepare_lut(struct ph_color *c, double gamma)
{
    for (int i = 0; i < 256; i++) c->lut[i] = (uint8_t) lrint(255 * pow(i / 255.0, 1 / gamma));
}

void ph_color_prepare(struct ph_color *c, const struct ph_color_params *p)
{
    double m[3][3];
    double gamma = fmin(fmax((double) p->gamma, 0.1), 10);
    saturate_matrix(m, (double) p->saturation);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) c->matrix.m[i][j] = to_q11(m[i][j] * (double) p->contrast);
        double add = 127.5 * (1 - (double) p->contrast) + 255 * (double) p->brightness;
        c->matrix.add[i] = (int32_t) lrint(fmin(fmax(add, -4096), 4096) * ONE) + ONE / 2;
    }
    c->has_matrix = p->brightness != 0 || p->contrast != 1 || p->saturation != 1;
    c->has_lut = gamma != 1;
    prepare_lut(c, gamma);
}

void ph_color_flash(struct ph_color *c, float amount, const float color[3])
{
    double a = amount > 0 ? fmin((double) amount, 1) : 0;
    *c = (struct ph_color){ .has_matrix = a > 0 };
    for (int i = 0; i < 3; i++) {
        double v = color[i] > 0 ? a * fmin((double) color[i], 1) : 0;
        for (int j = 0; j < 3; j++) c->matrix.m[i][j] = to_q11((i == j) - v * luma[j]);
        c->matrix.add[i] = (int32_t) lrint(255 * v * ONE) + ONE / 2;
    }
}

ph_err ph_image_color(const struct ph_picture *dst, const struct ph_picture *src,
                      const struct ph_color *c)
{
    const struct ph_image_ops *o = ph_image_ops();
    if (!px_same_size(dst, src) || dst->format != PH_RGBA || src->format != PH_RGBA)
        return PH_EINVAL;
    if (!c->has_matrix && !c->has_lut)
        return dst->data[0] == src->data[0] ? PH_OK : ph_image_copy(dst, src);
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *s = px_row(src, 0, y);
        uint8_t *d = px_row(dst, 0, y);
        if (c->has_matrix) o->color_matrix(d, s, dst->width, &c->matrix);
        if (c->has_lut) o->lut(d, c->has_matrix ? d : s, dst->width, c->lut);
    }
    return PH_OK;
}
