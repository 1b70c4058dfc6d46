// SPDX-License-Identifier: MIT
// Elementwise operations, what only moves elements, pictures, tables and noise: one thread for
// eight elements where they lie together, for one elsewhere.
#include "kernel.cuh"

// ------------------------------------------------------------------------------ pointwise
// Where in b the value for element e of x lies.
DEVICE uint32_t spread_at(const struct cu_pointwise *a, uint32_t e)
{
    if (a->spread == CU_SAME) return e;
    if (a->spread == CU_ONE) return 0;
    if (a->spread == CU_ROW) return e / a->row;
    if (a->spread == CU_CHANNEL) return e % a->channels;
    if (a->spread == CU_ROW_CHANNEL) return e / a->row * a->channels + e % a->channels;
    return e % a->row;
}

DEVICE int spread_lies_together(const struct cu_pointwise *a)
{
    if (a->spread == CU_SAME) return 1;
    if (a->spread == CU_CHANNEL) return a->channels % 8 == 0;
    if (a->spread == CU_ROW_CHANNEL) return a->channels % 8 == 0 && a->row % 8 == 0;
    return a->spread == CU_TOKEN && a->row % 8 == 0;
}

DEVICE float combine(const struct cu_pointwise *a, float x, float b, uint32_t e)
{
    if (a->op == CU_ADD) return x + b;
    if (a->op == CU_MUL) return x * b;
    if (a->op == CU_AFFINE) return a->scale * x + a->offset;
    if (a->op == CU_AXPBY) return cu_get(a->a, e / a->row) * x + cu_get(a->z, e / a->row) * b;
    if (a->op == CU_CLAMP) return x < a->scale ? a->scale : x > a->offset ? a->offset : x;
    if (a->op == CU_GEGLU) return x * cu_act(CU_GELU, b);
    return x;
}

DEVICE uint32_t first_of(const struct cu_pointwise *a, uint32_t e)
{
    return a->op == CU_GEGLU ? e / a->channels * 2 * a->channels + e % a->channels : e;
}

DEVICE float second(const struct cu_pointwise *a, uint32_t e)
{
    if (a->op == CU_GEGLU) return cu_get(a->x, (int64_t) first_of(a, e) + a->channels);
    return a->b.data ? cu_get(a->b, spread_at(a, e)) : 0;
}

DEVICE void pointwise_eight(const struct cu_pointwise *a, uint32_t e)
{
    float x[8], b[8], y[8];
    if (a->op == CU_GEGLU) {
        cu_get8(a->x, first_of(a, e), x);
        cu_get8(a->x, (int64_t) first_of(a, e) + a->channels, b);
    } else {
        cu_get8(a->x, e, x);
        if (a->b.data && spread_lies_together(a))
            cu_get8(a->b, spread_at(a, e), b);
        else
            UNROLL for (int k = 0; k < 8; k++) b[k] = second(a, e + (uint32_t) k);
    }
    UNROLL for (int k = 0; k < 8; k++)
        y[k] = cu_act(a->act, combine(a, x[k], b[k], e + (uint32_t) k));
    cu_put8(a->y, e, y);
}

KERNEL(pointwise, struct cu_pointwise, 256)
{
    uint64_t at = cu_first(256) * 8;
    if (at >= a.count) return;
    uint32_t e = (uint32_t) at, last = a.count - e < 8 ? a.count : e + 8;
    if (last == e + 8 && (a.op != CU_GEGLU || a.channels % 8 == 0)) {
        pointwise_eight(&a, e);
        return;
    }
    for (; e < last; e++)
        cu_put(a.y, e, cu_act(a.act, combine(&a, cu_get(a.x, first_of(&a, e)), second(&a, e), e)));
}

// ------------------------------------------------------------------------------ moving
// The element of x (or of b, *other) that becomes element e of y.
DEVICE int64_t moved_from(const struct cu_move *a, uint32_t e, int *other)
{
    const uint32_t *p = a->p;
    *other = 0;
    if (a->op == CU_CONCAT) { // p: elements of a row of x, of b
        uint32_t row = e / (p[0] + p[1]), at = e % (p[0] + p[1]);
        *other = at >= p[0];
        return *other ? (int64_t) row * p[1] + (at - p[0]) : (int64_t) row * p[0] + at;
    }
    if (a->op == CU_SLICE) // p: of a row of x, of y, the first
        return (int64_t)(e / p[1]) * p[0] + p[2] + e % p[1];
    if (a->op == CU_REPEAT) return e % p[0]; // p: elements of x
    if (a->op == CU_UPSAMPLE) {              // p: c, h, w, h and w of x
        uint32_t c = e % p[0], pixel = e / p[0], x = pixel % p[2], row = pixel / p[2];
        uint32_t from = row / p[1] * p[3] + row % p[1] * p[3] / p[1];
        return ((int64_t) from * p[4] + x * p[4] / p[2]) * p[0] + c;
    }
    if (a->op == CU_SPREAD) { // p: k, w of x, k c
        uint32_t at = e / p[2], x = at % p[1], row = at / p[1];
        uint32_t pixel = row / p[0] * p[1] + x;
        return ((int64_t) pixel * p[0] + row % p[0]) * p[2] + e % p[2];
    }
    if (a->op == CU_PICK) { // p: c, t
        int32_t i = a->index[e / p[0]];
        uint32_t token = i < 0 ? 0 : (uint32_t) i >= p[1] ? p[1] - 1 : (uint32_t) i;
        return ((int64_t)(e / p[0]) * p[1] + token) * p[0] + e % p[0];
    }
    if (a->op == CU_EMBED) { // p: c, entries
        int32_t i = a->index[e / p[0]];
        return (int64_t)(i < 0 || (uint32_t) i >= p[1] ? 0 : i) * p[0] + e % p[0];
    }
    return e;
}

KERNEL(move, struct cu_move, 256)
{
    uint64_t at = cu_first(256) * (uint32_t) a.unit;
    if (at >= a.count) return;
    int other;
    int64_t from = moved_from(&a, (uint32_t) at, &other);
    struct cu_view source = other ? a.b : a.x;
    if (a.unit == 1) {
        cu_put(a.y, (int64_t) at, cu_get(source, from));
        return;
    }
    float v[8];
    cu_get8(source, from, v);
    cu_put8(a.y, (int64_t) at, v);
}

// ------------------------------------------------------------------------------ resampling
DEVICE float stretched(const struct cu_resample *a, int64_t image, int y, int x, int c)
{
    double sy = a->h > 1 ? (double) y * (a->in_h - 1) / (a->h - 1) : 0;
    double sx = a->w > 1 ? (double) x * (a->in_w - 1) / (a->w - 1) : 0;
    int y0 = (int) sy, x0 = (int) sx;
    if (y0 > a->in_h - 1) y0 = a->in_h - 1;
    if (x0 > a->in_w - 1) x0 = a->in_w - 1;
    int y1 = y0 + 1 < a->in_h ? y0 + 1 : y0, x1 = x0 + 1 < a->in_w ? x0 + 1 : x0;
    float fy = (float) (sy - y0), fx = (float) (sx - x0);
    int64_t top = (image * a->in_h + y0) * a->in_w, low = (image * a->in_h + y1) * a->in_w;
    float v00 = cu_get(a->x, (top + x0) * a->c + c), v01 = cu_get(a->x, (top + x1) * a->c + c);
    float v10 = cu_get(a->x, (low + x0) * a->c + c), v11 = cu_get(a->x, (low + x1) * a->c + c);
    float upper = v00 + fx * (v01 - v00), lower = v10 + fx * (v11 - v10);
    return upper + fy * (lower - upper);
}

// Keys' kernel with a = -0.75 at distances 1 + t, t, 1 - t, 2 - t.
DEVICE void cubic_weights(double t, double w[4])
{
    const double k = -0.75;
    double u = 1 - t, far = t + 1, last = u + 1;
    w[0] = ((k * far - 5 * k) * far + 8 * k) * far - 4 * k;
    w[1] = ((k + 2) * t - (k + 3)) * t * t + 1;
    w[2] = ((k + 2) * u - (k + 3)) * u * u + 1;
    w[3] = ((k * last - 5 * k) * last + 8 * k) * last - 4 * k;
}

DEVICE int inside(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

DEVICE float bicubic(const struct cu_resample *a, int64_t image, int y, int x, int c)
{
    double sy = (y + 0.5) / (double) a->scale_y - 0.5, sx = (x + 0.5) / (double) a->scale_x - 0.5;
    double wy[4], wx[4], sum = 0, whole_y = floor(sy), whole_x = floor(sx);
    cubic_weights(sy - whole_y, wy);
    cubic_weights(sx - whole_x, wx);
    for (int t = 0; t < 16; t++) {
        int64_t row = image * a->in_h + inside((int) whole_y - 1 + t / 4, a->in_h);
        int64_t at = row * a->in_w + inside((int) whole_x - 1 + t % 4, a->in_w);
        sum += wy[t / 4] * wx[t % 4] * (double) cu_get(a->x, at * a->c + c);
    }
    return (float) sum;
}

KERNEL(resample, struct cu_resample, 256)
{
    uint64_t at = cu_first(256);
    if (at >= a.count) return;
    uint32_t e = (uint32_t) at, pixel = e / (uint32_t) a.c, row = pixel / (uint32_t) a.w;
    int c = (int) (e % (uint32_t) a.c), x = (int) (pixel % (uint32_t) a.w);
    int y = (int) (row % (uint32_t) a.h);
    int64_t image = row / (uint32_t) a.h;
    cu_put(a.y, e, a.cubic ? bicubic(&a, image, y, x, c) : stretched(&a, image, y, x, c));
}

// ------------------------------------------------------------------------------ tables
KERNEL(rotary, struct cu_rotary, 256)
{
    uint64_t at = cu_first(256);
    if (at >= a.pairs) return;
    int half = a.d / 2, q = a.d / 4, e = (int) (at % (uint32_t) half);
    int64_t head = (int64_t)(at / (uint32_t) half);
    int64_t row = head / a.heads % a.t * a.d, i = head * a.d + e / q * 2 * q + e % q;
    float cosine = cu_get(a.table, row + e), sine = cu_get(a.table, row + half + e);
    float x = cu_get(a.x, i), y = cu_get(a.x, i + q);
    cu_put(a.y, i, x * cosine - y * sine);
    cu_put(a.y, i + q, y * cosine + x * sine);
}

// The frequency is rounded to float before it meets t, as where these embeddings come from.
KERNEL(sinusoid, struct cu_sinusoid, 256)
{
    uint64_t at = cu_first(256);
    if (at >= a.count) return;
    int e = (int) (at % (uint32_t) a.c), half = a.c / 2;
    float frequency = (float) pow((double) a.max_period, -(double) (e % half) / half);
    double angle = (double) (cu_get(a.x, (int64_t)(at / (uint32_t) a.c)) * frequency);
    cu_put(a.y, (int64_t) at, (float) (e < half ? cos(angle) : sin(angle)));
}

// ------------------------------------------------------------------------------ pictures
DEVICE uint8_t to_byte(float v)
{
    return v >= 1 ? 255 : v > 0 ? (uint8_t) rintf(v * 255) : 0; // NaN is black
}

KERNEL(pixels, struct cu_pixels, 256)
{
    uint64_t at = cu_first(256);
    if (at >= a.pixels) return;
    int64_t i = (int64_t) at;
    for (int c = 0; c < 3; c++)
        if (a.to)
            a.rgba[i * 4 + c] = to_byte(a.scale * cu_get(a.x, i * 3 + c) + a.offset);
        else
            cu_put(a.x, i * 3 + c, a.scale * ((float) a.rgba[i * 4 + c] / 255) + a.offset);
    if (a.to) a.rgba[i * 4 + 3] = 255;
}

// ------------------------------------------------------------------------------ noise
// src/nn/philox.h and src/nn/rng_simd.h are the definition; every product and sum is rounded by
// itself, so that the bits are those of any processor.
DEVICE void philox(uint64_t seed, uint64_t stream, uint64_t block, uint32_t c[4])
{
    uint32_t k0 = (uint32_t) seed, k1 = (uint32_t)(seed >> 32);
    c[0] = (uint32_t) block, c[1] = (uint32_t)(block >> 32);
    c[2] = (uint32_t) stream, c[3] = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t x = (uint64_t) 0xD2511F53u * c[0], y = (uint64_t) 0xCD9E8D57u * c[2];
        uint32_t n0 = (uint32_t)(y >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(x >> 32) ^ c[3] ^ k1;
        c[1] = (uint32_t) y;
        c[3] = (uint32_t) x;
        c[0] = n0;
        c[2] = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

#define MUL(x, y) cu_mul_exact(x, y)
#define ADD(x, y) cu_add_exact(x, y)

DEVICE double natural_log(double x)
{
    const uint64_t root_half = 0x3FE6A09E667F3BCDull;
    union {
        double d;
        uint64_t u;
    } bits;
    bits.d = x;
    int32_t e = (int32_t)((bits.u - root_half) >> 32) >> 20;
    bits.u -= (uint64_t)(int64_t) e << 52;
    double m = bits.d, s = (m - 1) / (m + 1), q = MUL(s, s), sum = 1.0 / 19;
    for (int k = 17; k >= 3; k -= 2) sum = ADD(MUL(sum, q), 1.0 / k);
    sum = ADD(MUL(sum, q), 1);
    return ADD(MUL((double) e, 0.693147180559945309417), MUL(MUL(2, s), sum));
}

DEVICE double small_sin(double x)
{
    double q = MUL(x, x), sum = -1.0 / 1307674368000;
    sum = ADD(MUL(sum, q), 1.0 / 6227020800);
    sum = ADD(MUL(sum, q), -1.0 / 39916800);
    sum = ADD(MUL(sum, q), 1.0 / 362880);
    sum = ADD(MUL(sum, q), -1.0 / 5040);
    sum = ADD(MUL(sum, q), 1.0 / 120);
    sum = ADD(MUL(sum, q), -1.0 / 6);
    return ADD(x, MUL(MUL(x, q), sum));
}

DEVICE double small_cos(double x)
{
    double q = MUL(x, x), sum = 1.0 / 20922789888000;
    sum = ADD(MUL(sum, q), -1.0 / 87178291200);
    sum = ADD(MUL(sum, q), 1.0 / 479001600);
    sum = ADD(MUL(sum, q), -1.0 / 3628800);
    sum = ADD(MUL(sum, q), 1.0 / 40320);
    sum = ADD(MUL(sum, q), -1.0 / 720);
    sum = ADD(MUL(sum, q), 1.0 / 24);
    sum = ADD(MUL(sum, q), -1.0 / 2);
    return ADD(1, MUL(q, sum));
}

DEVICE void normal_pair(uint32_t u, uint32_t v, float *x, float *y)
{
    double r = MUL(ADD((double) u, 0.5), 0x1p-32), radius = sqrt(MUL(-2, natural_log(r)));
    uint32_t quarter = (v + 0x20000000u) >> 30;
    double rest = ADD((double) (int32_t)(v - (quarter << 30)), 0.5);
    double angle = MUL(rest, 0x1p-32 * 6.283185307179586476925);
    double s = small_sin(angle), c = small_cos(angle);
    double across = quarter & 1 ? s : c, up = quarter & 1 ? c : s;
    across = (quarter + 1) & 2 ? -across : across;
    up = quarter & 2 ? -up : up;
    *x = (float) MUL(radius, across);
    *y = (float) MUL(radius, up);
}

KERNEL(noise, struct cu_noise, 256)
{
    uint64_t at = cu_first(256);
    if (at * 4 >= a.count) return;
    uint32_t word[4];
    float v[4];
    philox(a.seed, a.stream, a.block + at, word);
    normal_pair(word[0], word[1], &v[0], &v[1]);
    normal_pair(word[2], word[3], &v[2], &v[3]);
    for (uint32_t k = 0; k < 4 && at * 4 + k < a.count; k++) a.y[at * 4 + k] = v[k];
}
