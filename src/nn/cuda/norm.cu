// SPDX-License-Identifier: MIT
// Norms. A group norm is three kernels: sums of each channel about its first value over parts of
// the pixels, factors of each channel in doubles, and the picture with its activation. Nothing
// depends on the order in which blocks run.
#include "kernel.cuh"

// ------------------------------------------------------------------------------ group norm
#define LANES 8  // units side by side in a block
#define LINES 32 // pixels

// Block (slab of LANES units, part, image).
KERNEL(group_sums, struct cu_group, 256)
{
    float *sums = (float *) cu_shared; // [LINES][LANES * unit][2]
    int lane = cu_thread % LANES, line = cu_thread / LANES, wide = LANES * a.unit;
    int c = ((int) cu_block(x) * LANES + lane) * a.unit;
    int64_t image = (int64_t) cu_block(z) * a.space;
    int first = (int) cu_block(y) * a.pixels;
    int last = first + a.pixels < a.space ? first + a.pixels : a.space;
    float base[8], v[8], s[8], q[8];
    UNROLL for (int k = 0; k < 8; k++) s[k] = q[k] = base[k] = v[k] = 0;
    if (c < a.c) {
        if (a.unit == 8)
            cu_get8(a.x, image * a.c + c, base);
        else
            base[0] = cu_get(a.x, image * a.c + c);
        for (int p = first + line; p < last; p += LINES) {
            if (a.unit == 8)
                cu_get8(a.x, (image + p) * a.c + c, v);
            else
                v[0] = cu_get(a.x, (image + p) * a.c + c);
            UNROLL for (int k = 0; k < 8; k++)
            {
                float d = v[k] - base[k];
                s[k] += d;
                q[k] += d * d;
            }
        }
    }
    UNROLL for (int k = 0; k < 8; k++)
        if (k < a.unit) {
            sums[(line * wide + lane * a.unit + k) * 2] = s[k];
            sums[(line * wide + lane * a.unit + k) * 2 + 1] = q[k];
        }
    cu_sync();
    int of = (int) cu_block(x) * wide * 2 + cu_thread; // (channel, which sum)
    if (cu_thread >= wide * 2 || of >= a.c * 2) return;
    float total = 0;
    for (int i = 0; i < LINES; i++) total += sums[i * wide * 2 + cu_thread];
    a.partial[((int64_t) cu_block(z) * a.parts + cu_block(y)) * a.c * 2 + of] = total;
}

// Block (group, image): the moments of each channel, a warp a channel, then of the group.
KERNEL(group_solve, struct cu_group, 256)
{
    double *mean = (double *) cu_shared, *square; // [width] each, then two for all
    int width = a.c / a.groups, first = (int) cu_block(x) * width, image = (int) cu_block(y);
    int warp = cu_thread / 32, lane = cu_thread % 32;
    square = mean + width;
    for (int i = warp; i < width; i += 8) {
        double s = 0, q = 0;
        for (int p = lane; p < a.parts; p += 32) {
            const float *sums =
                a.partial + (((int64_t) image * a.parts + p) * a.c + first + i) * 2;
            s += (double) sums[0];
            q += (double) sums[1];
        }
        s = cu_warp_sum_double(s);
        q = cu_warp_sum_double(q);
        if (lane) continue;
        int64_t at = first + i;
        double base = (double) cu_get(a.x, (int64_t) image * a.space * a.c + at);
        if (a.row.data) base += (double) cu_get(a.row, (int64_t) image * a.row_stride + at);
        mean[i] = base + s / a.space;
        square[i] = q - s * s / a.space;
    }
    cu_sync();
    if (warp == 0) {
        double m = 0, within = 0;
        for (int i = lane; i < width; i += 32) m += mean[i];
        m = cu_warp_sum_double(m) / width;
        for (int i = lane; i < width; i += 32)
            within += square[i] + a.space * (mean[i] - m) * (mean[i] - m);
        within = cu_warp_sum_double(within);
        if (lane == 0) {
            mean[2 * width] = m;
            // Rounding may leave a constant group a little below zero; NaN stays.
            mean[2 * width + 1] = within < 0 ? 0 : within / ((double) width * a.space);
        }
    }
    cu_sync();
    double inverse = 1 / sqrt(mean[2 * width + 1] + (double) a.eps);
    for (int i = cu_thread; i < width; i += 256) {
        int at = first + i;
        double m = mean[2 * width], f = inverse * (a.weight ? (double) a.weight[at] : 1);
        if (a.row.data) m -= (double) cu_get(a.row, (int64_t) image * a.row_stride + at);
        float middle = (float) m, *to = a.factors + (int64_t) image * 3 * a.c + at;
        to[0] = middle;
        to[a.c] = (float) f;
        // What the middle lost to rounding goes into the offset.
        to[2 * a.c] = (float) ((a.bias ? (double) a.bias[at] : 0) + ((double) middle - m) * f);
    }
}

KERNEL(group_apply, struct cu_group, 256)
{
    uint64_t e = cu_first(256) * (uint32_t) a.unit, row = (uint64_t) a.space * (uint32_t) a.c;
    if (e >= row * (uint32_t) a.n) return;
    const float *f = a.factors + (int64_t)(e / row) * 3 * a.c + (int64_t)(e % (uint32_t) a.c);
    float v[8];
    if (a.unit == 1) {
        float x = cu_get(a.x, (int64_t) e);
        cu_put(a.y, (int64_t) e, cu_act(a.act, (x - f[0]) * f[a.c] + f[2 * a.c]));
        return;
    }
    cu_get8(a.x, (int64_t) e, v);
    UNROLL for (int k = 0; k < 8; k++)
        v[k] = cu_act(a.act, (v[k] - f[k]) * f[a.c + k] + f[2 * a.c + k]);
    cu_put8(a.y, (int64_t) e, v);
}

// ------------------------------------------------------------------------------ layer norm
DEVICE void layer_get(const struct cu_layer *a, int64_t at, float v[8])
{
    if (a->unit == 8)
        cu_get8(a->x, at, v);
    else
        v[0] = cu_get(a->x, at);
}

// A warp a row; all about the row's first value, which keeps rows far from zero exact.
KERNEL(layer, struct cu_layer, 256)
{
    int row = (int) cu_block(x) * 8 + cu_thread / 32, lane = cu_thread % 32;
    if (row >= a.rows) return;
    int64_t at = (int64_t) row * a.c;
    float base = cu_get(a.x, at), sum = 0, square = 0, v[8];
    for (int c = lane * a.unit; c < a.c; c += 32 * a.unit) {
        layer_get(&a, at + c, v);
        UNROLL for (int k = 0; k < 8; k++)
            if (k < a.unit) sum += v[k] - base;
    }
    float mean = cu_warp_sum(sum) / (float) a.c;
    for (int c = lane * a.unit; c < a.c; c += 32 * a.unit) {
        layer_get(&a, at + c, v);
        UNROLL for (int k = 0; k < 8; k++)
            if (k < a.unit) {
                float d = v[k] - base - mean;
                square += d * d;
            }
    }
    float inverse = 1 / sqrtf(cu_warp_sum(square) / (float) a.c + a.eps);
    for (int c = lane * a.unit; c < a.c; c += 32 * a.unit) {
        layer_get(&a, at + c, v);
        UNROLL for (int k = 0; k < 8; k++)
            if (k < a.unit) {
                float d = (v[k] - base - mean) * inverse;
                d = (a.weight ? d * a.weight[c + k] : d) + (a.bias ? a.bias[c + k] : 0);
                v[k] = cu_act(a.act, d);
            }
        if (a.unit == 8)
            cu_put8(a.y, at + c, v);
        else
            cu_put(a.y, at + c, v[0]);
    }
}
