// SPDX-License-Identifier: MIT
#include "audio/cqt.h"
#include "audio/chroma.h"
#include "audio/fft.h"
#include "audio/window.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

#define C1_HZ 32.70319566257483
#define SIZE  1024 // of a frame at every octave's rate: longer than any filter
#define HALF  15   // reach of the half-band filter

struct kernel {
    int first, count; // bins
    float *re, *im;   // conjugate, scaled
};

struct ph_cqt {
    int hop;
    struct ph_fft *fft;
    float half_band[HALF + 1]; // by distance from the middle; even ones are 0
    struct kernel kernel[PH_CQT_STEPS];
};

// ------------------------------------------------------------------------------ tables
// Modified Bessel function of order 0, by its series.
static double bessel0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 64; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

// A quarter of the rate is where it is down to a half; beyond .375 it is below -100 dB.
static void fill_half_band(float *taps)
{
    double value[HALF + 1], sum = 0;
    for (int i = 0; i <= HALF; i++) {
        double x = (double) i / (HALF + 1), sinc = i ? sin(M_PI * i / 2) / (M_PI * i) : 0.5;
        value[i] = i && i % 2 == 0 ? 0 : sinc * bessel0(10 * sqrt(1 - x * x)) / bessel0(10);
        sum += i ? 2 * value[i] : value[i];
    }
    for (int i = 0; i <= HALF; i++) taps[i] = (float) (value[i] / sum);
}

// The filter in frame[SIZE] pairs as a spectrum; what is below 1e-4 of its largest is left out.
static bool keep_spectrum(struct ph_cqt *c, struct kernel *k, const double *re,
                          const double *im, double scale)
{
    double most = 0;
    int last = 0;
    for (int i = 0; i <= SIZE / 2; i++) most = fmax(most, hypot(re[i], im[i]));
    for (int i = SIZE / 2; i >= 0; i--)
        if (hypot(re[i], im[i]) > 1e-4 * most) {
            last = last ? last : i;
            k->first = i;
        }
    k->count = last - k->first + 1;
    k->re = ph_new(c, float, (size_t) k->count);
    k->im = ph_new(c, float, (size_t) k->count);
    if (!k->re || !k->im) return false;
    for (int i = 0; i < k->count; i++) {
        k->re[i] = (float) (re[k->first + i] * scale);
        k->im[i] = (float) (-im[k->first + i] * scale);
    }
    return true;
}

// A Hann window of `length` periods' samples on a turning pointer, `step` of a turn each sample.
// As in librosa its middle lies half a sample behind the frame's.
static bool make_kernel(struct ph_cqt *c, const struct ph_fft64 *fft, struct kernel *k,
                        double turn, double length, double whole_length)
{
    static const int middle = SIZE / 2;
    double *part = ph_new(NULL, double, 8 * SIZE), *spectrum[2], sum = 0;
    if (!part) return false;
    int count = (int) (floor(length / 2) - floor(-length / 2)), half = count / 2;
    double *hann = part + 6 * SIZE;
    ph_hann64(hann, count);
    for (int j = 0; j < count; j++) {
        int at = half + 1 - j;
        part[middle + at] = hann[j] * cos(2 * M_PI * turn * at);
        part[SIZE + middle + at] = hann[j] * sin(2 * M_PI * turn * at);
        sum += hann[j];
    }
    double *work = part + 4 * SIZE + 4;
    for (int i = 0; i < 2; i++) { // the spectra of both parts, in place of two pairs of rows
        spectrum[i] = part + 2 * SIZE + i * (SIZE + 2);
        ph_fft64_forward(fft, part + i * SIZE, spectrum[i], work);
    }
    for (int i = 0; i <= SIZE / 2; i++) {
        part[i] = spectrum[0][2 * i] - spectrum[1][2 * i + 1];
        part[SIZE + i] = spectrum[0][2 * i + 1] + spectrum[1][2 * i];
    }
    bool ok = keep_spectrum(c, k, part, part + SIZE, sqrt(whole_length) / sum / SIZE);
    ph_tree_free(part);
    return ok;
}

ph_err ph_cqt_create(struct ph_cqt **out, double rate_hz, int hop, double tuning)
{
    ph_err ret = PH_ENOMEM;
    struct ph_fft64 *fft = NULL;
    double ratio = exp2(2.0 / PH_CQT_PER_OCTAVE), q = (ratio + 1) / (ratio - 1);
    double lowest = C1_HZ * exp2(tuning / PH_CQT_PER_OCTAVE);
    *out = NULL;
    if (hop < 64 || hop % 64 || !(lowest * exp2(PH_CQT_OCTAVES) <= 0.25 * rate_hz) ||
        !(q * rate_hz / lowest < (SIZE - 4) * exp2(PH_CQT_OCTAVES - 1)))
        return PH_EINVAL;
    struct ph_cqt *c = ph_new(NULL, struct ph_cqt, 1);
    if (!c) return PH_ENOMEM;
    c->hop = hop;
    fill_half_band(c->half_band);
    PH_TRY(ph_fft_create(&c->fft, SIZE));
    PH_TRY(ph_fft64_create(&fft, SIZE));
    for (int i = 0; i < PH_CQT_STEPS; i++) {
        double hz = lowest * exp2((double) i / PH_CQT_PER_OCTAVE), whole = q * rate_hz / hz;
        double slower = exp2(PH_CQT_OCTAVES - 1 - i / PH_CQT_PER_OCTAVE);
        if (!make_kernel(c, fft, &c->kernel[i], hz * slower / rate_hz, whole / slower, whole))
            PH_TRY(PH_ENOMEM);
    }
    ph_fft64_destroy(&fft);
    *out = c;
    return PH_OK;
fail:
    ph_fft64_destroy(&fft);
    ph_cqt_destroy(&c);
    return ret;
}

void ph_cqt_destroy(struct ph_cqt **c)
{
    if (*c) ph_fft_destroy(&(*c)->fft);
    ph_tree_free(*c);
    *c = NULL;
}

// ------------------------------------------------------------------------------ frames
// Samples [from, to) of an octave's rate that `frames` frames look at, through all octaves below.
struct span {
    int64_t from, to;
};

static struct span span_of(const struct ph_cqt *c, int level, int64_t first, int64_t frames)
{
    int64_t last = first + frames - 1;
    int deepest = PH_CQT_OCTAVES - 1;
    struct span s = { (first * c->hop >> deepest) - SIZE / 2,
                      (last * c->hop >> deepest) + SIZE / 2 };
    for (int l = deepest; l > level; l--)
        s = (struct span){ 2 * s.from - HALF, 2 * (s.to - 1) + HALF + 1 };
    return s;
}

int64_t ph_cqt_reach(const struct ph_cqt *c)
{
    return -span_of(c, 0, 0, 1).from;
}

int64_t ph_cqt_work(const struct ph_cqt *c, int64_t frames)
{
    struct span whole = span_of(c, 0, 0, frames), half = span_of(c, 1, 0, frames);
    return whole.to - whole.from + (half.to - half.from) + SIZE + 2 + 2 * SIZE;
}

// to[i] is from[2i] of the filtered signal; `from` begins HALF samples before.
static void halve(const float *taps, const float *from, float *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float *middle = from + 2 * i + HALF;
        float sum = taps[0] * middle[0];
        for (int k = 1; k <= HALF; k += 2) sum += taps[k] * (middle[-k] + middle[k]);
        to[i] = sum;
    }
}

static void copy_span(const float *x, int64_t at, int64_t n, struct span s, float *out)
{
    memset(out, 0, sizeof *out * (size_t) (s.to - s.from));
    int64_t from = s.from > at ? s.from : at, to = s.to < at + n ? s.to : at + n;
    if (to > from)
        memcpy(out + (from - s.from), x + (from - at), sizeof *x * (size_t) (to - from));
}

static float response(const struct kernel *k, const float *spectrum)
{
    const float *s = spectrum + 2 * k->first;
    float re = 0, im = 0;
    for (int i = 0; i < k->count; i++) {
        re += s[2 * i] * k->re[i] - s[2 * i + 1] * k->im[i];
        im += s[2 * i] * k->im[i] + s[2 * i + 1] * k->re[i];
    }
    return sqrtf(re * re + im * im);
}

static void hear_octave(const struct ph_cqt *c, int level, struct span s, const float *x,
                        int64_t first, int64_t frames, float *out, float *work)
{
    int step = (PH_CQT_OCTAVES - 1 - level) * PH_CQT_PER_OCTAVE;
    float *spectrum = work;
    for (int64_t t = 0; t < frames; t++) {
        int64_t from = ((first + t) * c->hop >> level) - SIZE / 2 - s.from;
        ph_fft_forward(c->fft, x + from, spectrum, work + SIZE + 2);
        for (int i = 0; i < PH_CQT_PER_OCTAVE; i++)
            out[t * PH_CQT_STEPS + step + i] = response(&c->kernel[step + i], spectrum);
    }
}

void ph_cqt_frames(const struct ph_cqt *c, const float *x, int64_t at, int64_t n, int64_t first,
                   int64_t frames, float *out, float *work)
{
    struct span whole = span_of(c, 0, first, frames), half = span_of(c, 1, first, frames);
    float *here = work, *next = here + (whole.to - whole.from);
    float *frame = next + (half.to - half.from);
    copy_span(x, at, n, whole, here);
    for (int level = 0; level < PH_CQT_OCTAVES; level++) {
        struct span s = span_of(c, level, first, frames);
        hear_octave(c, level, s, here, first, frames, out, frame);
        if (level == PH_CQT_OCTAVES - 1) break;
        struct span below = span_of(c, level + 1, first, frames);
        halve(c->half_band, here, next, below.to - below.from);
        float *swap = here;
        here = next;
        next = swap;
    }
}

void ph_cqt_chroma(const float *steps, float *out)
{
    memset(out, 0, sizeof *out * PH_CHROMA);
    for (int i = 0; i < PH_CQT_STEPS; i++) out[(i + 1) / 3 % PH_CHROMA] += steps[i];
}
