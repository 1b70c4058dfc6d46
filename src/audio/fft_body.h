// SPDX-License-Identifier: MIT
// One type's transform, included once for each: REAL, FFT (the struct), NAME, LOCAL (identifiers).
// A real signal of n is a complex one of n/2 (even samples real, odd ones imaginary), transformed
// by Stockham's self-sorting passes of radix 4 between two buffers, then untangled.

typedef REAL LOCAL(lane)
    __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
#define LANE LOCAL(lane)

struct FFT {
    int n;
    REAL *twiddle; // for each pass of radix 4 of length m: re, im of w^p, w^2p, w^3p, p < m/4
    REAL *tangle;  // cos, then sin of 2 pi k / n, k <= n/4
};

static LANE LOCAL(load)(const REAL *p)
{
    return *(const LANE *) p;
}

static void LOCAL(store)(REAL *p, LANE v)
{
    *(LANE *) p = v;
}

// ------------------------------------------------------------------------------ tables
static void LOCAL(fill_twiddles)(REAL *w, int m)
{
    for (; m >= 4; m /= 4) {
        int quarter = m / 4;
        for (int p = 0; p < quarter; p++)
            for (int k = 1; k < 4; k++) {
                double a = -2 * M_PI * p * k / m;
                w[(2 * k - 2) * quarter + p] = (REAL) cos(a);
                w[(2 * k - 1) * quarter + p] = (REAL) sin(a);
            }
        w += 6 * quarter;
    }
}

ph_err NAME(create)(struct FFT **out, int n)
{
    *out = NULL;
    if (n < PH_FFT_MIN || n > PH_FFT_MAX || (n & (n - 1))) return PH_EINVAL;
    struct FFT *f = ph_new(NULL, struct FFT, 1);
    if (!f) return PH_ENOMEM;
    f->n = n;
    f->twiddle = ph_new(f, REAL, (size_t) n);
    f->tangle = ph_new(f, REAL, (size_t) n / 2 + 2);
    if (!f->twiddle || !f->tangle) {
        ph_tree_free(f);
        return PH_ENOMEM;
    }
    LOCAL(fill_twiddles)(f->twiddle, n / 2);
    for (int k = 0; k <= n / 4; k++) {
        f->tangle[k] = (REAL) cos(2 * M_PI * k / n);
        f->tangle[n / 4 + 1 + k] = (REAL) sin(2 * M_PI * k / n);
    }
    *out = f;
    return PH_OK;
}

void NAME(destroy)(struct FFT **f)
{
    ph_tree_free(*f);
    *f = NULL;
}

int NAME(size)(const struct FFT *f)
{
    return f->n;
}

// ------------------------------------------------------------------------------ passes
struct LOCAL(four) {
    LANE re[4], im[4];
};

// The four outputs of a butterfly; the last three are still to be turned by w^p, w^2p, w^3p.
static struct LOCAL(four) LOCAL(butterfly)(const REAL *re, const REAL *im, int step)
{
    LANE ar = LOCAL(load)(re), br = LOCAL(load)(re + step), cr = LOCAL(load)(re + 2 * step),
         dr = LOCAL(load)(re + 3 * step);
    LANE ai = LOCAL(load)(im), bi = LOCAL(load)(im + step), ci = LOCAL(load)(im + 2 * step),
         di = LOCAL(load)(im + 3 * step);
    LANE pr = ar + cr, pi = ai + ci, mr = ar - cr, mi = ai - ci;
    LANE qr = br + dr, qi = bi + di, nr = br - dr, ni = bi - di;
    return (struct LOCAL(four)){ { pr + qr, mr + ni, pr - qr, mr - ni },
                                 { pi + qi, mi - nr, pi - qi, mi + nr } };
}

// a b c d as rows of 4 become columns: row p of out is a[p] b[p] c[p] d[p].
static void LOCAL(store_turned)(REAL *out, const LANE *v)
{
    LANE lo0 = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
    LANE hi0 = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    LANE lo1 = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
    LANE hi1 = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    LOCAL(store)(out, __builtin_shufflevector(lo0, lo1, 0, 1, 4, 5));
    LOCAL(store)(out + 4, __builtin_shufflevector(lo0, lo1, 2, 3, 6, 7));
    LOCAL(store)(out + 8, __builtin_shufflevector(hi0, hi1, 0, 1, 4, 5));
    LOCAL(store)(out + 12, __builtin_shufflevector(hi0, hi1, 2, 3, 6, 7));
}

// The first pass (stride 1): lanes are neighbouring p. m >= 16.
static void LOCAL(first_pass)(const REAL *w, int m, const REAL *re, const REAL *im, REAL *to_re,
                              REAL *to_im)
{
    int quarter = m / 4;
    for (int p = 0; p < quarter; p += 4) {
        struct LOCAL(four) f = LOCAL(butterfly)(re + p, im + p, quarter);
        for (int k = 1; k < 4; k++) {
            LANE wr = LOCAL(load)(w + (2 * k - 2) * quarter + p);
            LANE wi = LOCAL(load)(w + (2 * k - 1) * quarter + p), r = f.re[k];
            f.re[k] = r * wr - f.im[k] * wi;
            f.im[k] = r * wi + f.im[k] * wr;
        }
        LOCAL(store_turned)(to_re + 4 * p, f.re);
        LOCAL(store_turned)(to_im + 4 * p, f.im);
    }
}

// A later pass: lanes are neighbouring q < stride, which is a multiple of 4.
static void LOCAL(pass)(const REAL *w, int m, int stride, const REAL *re, const REAL *im,
                        REAL *to_re, REAL *to_im)
{
    int quarter = m / 4;
    for (int p = 0; p < quarter; p++)
        for (int q = 0; q < stride; q += 4) {
            int from = q + stride * p, to = q + 4 * stride * p;
            struct LOCAL(four) f = LOCAL(butterfly)(re + from, im + from, stride * quarter);
            LOCAL(store)(to_re + to, f.re[0]);
            LOCAL(store)(to_im + to, f.im[0]);
            for (int k = 1; k < 4; k++) {
                REAL wr = w[(2 * k - 2) * quarter + p], wi = w[(2 * k - 1) * quarter + p];
                LOCAL(store)(to_re + to + k * stride, f.re[k] * wr - f.im[k] * wi);
                LOCAL(store)(to_im + to + k * stride, f.re[k] * wi + f.im[k] * wr);
            }
        }
}

// What is left of lengths that are no power of 4.
static void LOCAL(last_of_two)(int stride, const REAL *re, const REAL *im, REAL *to_re,
                               REAL *to_im)
{
    for (int q = 0; q < stride; q++) {
        REAL ar = re[q], ai = im[q], br = re[q + stride], bi = im[q + stride];
        to_re[q] = ar + br;
        to_im[q] = ai + bi;
        to_re[q + stride] = ar - br;
        to_im[q + stride] = ai - bi;
    }
}

// By the definition; for lengths too short for lanes.
static void LOCAL(plain)(int n, const REAL *re, const REAL *im, REAL *to_re, REAL *to_im)
{
    for (int k = 0; k < n; k++) {
        double sr = 0, si = 0;
        for (int i = 0; i < n; i++) {
            double a = -2 * M_PI * (k * i % n) / n, c = cos(a), s = sin(a);
            sr += (double) re[i] * c - (double) im[i] * s;
            si += (double) re[i] * s + (double) im[i] * c;
        }
        to_re[k] = (REAL) sr;
        to_im[k] = (REAL) si;
    }
}

// Complex, of length n/2, in work[0 .. n); the result is at the returned place in work.
static REAL *LOCAL(transform)(const struct FFT *f, REAL *work)
{
    int length = f->n / 2;
    REAL *from = work, *to = work + 2 * length;
    const REAL *w = f->twiddle;
    if (length < 16) {
        LOCAL(plain)(length, from, from + length, to, to + length);
        return to;
    }
    for (int m = length, stride = 1; m > 1; m /= 4, stride *= 4) {
        if (m == 2)
            LOCAL(last_of_two)(stride, from, from + length, to, to + length);
        else if (stride == 1)
            LOCAL(first_pass)(w, m, from, from + length, to, to + length);
        else
            LOCAL(pass)(w, m, stride, from, from + length, to, to + length);
        w += 6 * (m / 4);
        REAL *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

// ------------------------------------------------------------------------------ real signals
void NAME(forward)(const struct FFT *f, const REAL *in, REAL *out, REAL *work)
{
    int half = f->n / 2;
    const REAL *c = f->tangle, *s = f->tangle + f->n / 4 + 1;
    for (int i = 0; i < half; i++) {
        work[i] = in[2 * i];
        work[half + i] = in[2 * i + 1];
    }
    const REAL *re = LOCAL(transform)(f, work), *im = re + half;
    out[0] = re[0] + im[0];
    out[2 * half] = re[0] - im[0];
    out[1] = out[2 * half + 1] = 0;
    for (int k = 1; k <= half / 2; k++) {
        REAL er = (re[k] + re[half - k]) / 2, ei = (im[k] - im[half - k]) / 2;
        REAL dr = (im[k] + im[half - k]) / 2, di = (re[half - k] - re[k]) / 2;
        REAL tr = dr * c[k] + di * s[k], ti = di * c[k] - dr * s[k];
        out[2 * (half - k)] = er - tr;
        out[2 * (half - k) + 1] = ti - ei;
        out[2 * k] = er + tr;
        out[2 * k + 1] = ei + ti;
    }
}

// The transform of the exchanged parts is the inverse with exchanged parts.
void NAME(inverse)(const struct FFT *f, const REAL *in, REAL *out, REAL *work)
{
    int half = f->n / 2;
    REAL *im = work, *re = work + half, scale = (REAL) 1 / (REAL) f->n;
    const REAL *c = f->tangle, *s = f->tangle + f->n / 4 + 1;
    re[0] = in[0] + in[2 * half];
    im[0] = in[0] - in[2 * half];
    for (int k = 1; k <= half / 2; k++) {
        const REAL *a = in + 2 * k, *b = in + 2 * (half - k);
        REAL er = a[0] + b[0], ei = a[1] - b[1], tr = a[0] - b[0], ti = a[1] + b[1];
        REAL dr = tr * c[k] - ti * s[k], di = tr * s[k] + ti * c[k];
        re[half - k] = er + di;
        im[half - k] = dr - ei;
        re[k] = er - di;
        im[k] = ei + dr;
    }
    const REAL *got = LOCAL(transform)(f, work);
    for (int i = 0; i < half; i++) {
        out[2 * i] = got[half + i] * scale;
        out[2 * i + 1] = got[i] * scale;
    }
}

#undef LANE
#undef FFT
#undef NAME
#undef LOCAL
#undef REAL
