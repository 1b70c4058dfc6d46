// SPDX-License-Identifier: MIT
// Transforms, windows, frames, mel bands and decibels against their definitions.
#include "test.h"

#include "audio/decibel.h"
#include "audio/fft.h"
#include "audio/mel.h"
#include "audio/stft.h"
#include "audio/window.h"

static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double) (*state >> 8) / (1 << 23) - 1;
}

// Bin k of x by the definition.
static void by_definition(const double *x, int n, int k, double *re, double *im)
{
    *re = *im = 0;
    for (int i = 0; i < n; i++) {
        double a = -2 * M_PI * (double) ((int64_t) i * k % n) / n;
        *re += x[i] * cos(a);
        *im += x[i] * sin(a);
    }
}

static void check_float(int n, const double *x, double limit)
{
    struct ph_fft *f;
    float *in = malloc(sizeof *in * (size_t) n), *out = malloc(sizeof *out * (size_t) (n + 2));
    float *work = malloc(sizeof *work * (size_t) (2 * n));
    CHECK_OK(ph_fft_create(&f, n));
    CHECK_INT(ph_fft_size(f), ==, n);
    for (int i = 0; i < n; i++) in[i] = (float) x[i];
    ph_fft_forward(f, in, out, work);
    for (int k = 0; k <= n / 2; k += n > 2048 ? 37 : 1) {
        double re, im;
        by_definition(x, n, k, &re, &im);
        CHECK_NUM(fabs(re - (double) out[2 * k]), <=, limit);
        CHECK_NUM(fabs(im - (double) out[2 * k + 1]), <=, limit);
    }
    ph_fft_inverse(f, out, out, work);
    for (int i = 0; i < n; i++) CHECK_NUM(fabs((double) out[i] - x[i]), <=, 2e-6);
    ph_fft_destroy(&f);
    CHECK(!f);
    free(in), free(out), free(work);
}

static void check_double(int n, const double *x, double limit)
{
    struct ph_fft64 *f;
    double *out = malloc(sizeof *out * (size_t) (n + 2));
    double *work = malloc(sizeof *work * (size_t) (2 * n));
    CHECK_OK(ph_fft64_create(&f, n));
    CHECK_INT(ph_fft64_size(f), ==, n);
    ph_fft64_forward(f, x, out, work);
    for (int k = 0; k <= n / 2; k += n > 2048 ? 37 : 1) {
        double re, im;
        by_definition(x, n, k, &re, &im);
        CHECK_NUM(fabs(re - out[2 * k]), <=, limit);
        CHECK_NUM(fabs(im - out[2 * k + 1]), <=, limit);
    }
    ph_fft64_inverse(f, out, out, work);
    for (int i = 0; i < n; i++) CHECK_NUM(fabs(out[i] - x[i]), <=, 1e-13);
    ph_fft64_destroy(&f);
    free(out), free(work);
}

TEST(transforms_equal_the_definition_at_every_size_and_invert)
{
    uint32_t state = 5;
    for (int n = PH_FFT_MIN; n <= 8192; n *= 2) {
        double *x = malloc(sizeof *x * (size_t) n);
        for (int i = 0; i < n; i++) x[i] = (double) (float) noise(&state);
        check_float(n, x, 4e-7 * sqrt(n) * log2(n));
        check_double(n, x, 1e-12 * n);
        free(x);
    }
}

TEST(sizes_that_are_no_power_of_two_are_refused)
{
    struct ph_fft *f;
    int bad[] = { -4, 0, 1, 2, 3, 6, 1000, 2047, PH_FFT_MAX * 2 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(ph_fft_create(&f, bad[i]), ==, PH_EINVAL);
    CHECK_OK(ph_fft_create(&f, PH_FFT_MAX));
    ph_fft_destroy(&f);
}

TEST(windows_are_periodic_and_centred)
{
    float w[8], padded[12];
    ph_hann(w, 8);
    CHECK_NUM(w[0], ==, 0);
    CHECK_NUM(w[4], ==, 1);
    CHECK_NUM(fabsf(w[1] - w[7]), <=, 1e-7);
    ph_hann_padded(padded, 8, 12);
    CHECK_NUM(padded[1], ==, 0);
    CHECK(memcmp(padded + 2, w, sizeof w) == 0);
    CHECK_NUM(padded[10], ==, 0);
}

enum { SIGNAL = 5000, WORK = 6 * 2048 + 8 };

static void make_signal(float *x)
{
    uint32_t state = 9;
    for (int i = 0; i < SIGNAL; i++) x[i] = (float) (sin(i * 0.3) + 0.1 * noise(&state));
}

TEST(frames_are_centred_and_zero_beyond_the_ends)
{
    static float x[SIGNAL], spectrum[2050], work[WORK];
    static double in[2048], window[2048];
    struct ph_stft *s;
    make_signal(x);
    ph_hann64(window, 2048);
    CHECK_OK(ph_stft_create(&s, &(struct ph_stft_params){ 0 }));
    CHECK_INT(ph_stft_hop(s), ==, 512);
    CHECK_INT(ph_stft_bins(s), ==, 1025);
    CHECK_INT(ph_stft_work(s), <=, WORK);
    for (int t = 0; t < ph_stft_frames(SIGNAL, 512); t++) {
        ph_stft_at(s, x, 0, SIGNAL, t, spectrum, work);
        for (int i = 0; i < 2048; i++) {
            int at = t * 512 - 1024 + i;
            in[i] = at >= 0 && at < SIGNAL ? (double) x[at] * window[i] : 0;
        }
        for (int k = 0; k <= 1024; k += 41) {
            double re, im;
            by_definition(in, 2048, k, &re, &im);
            CHECK_NUM(fabs(re - (double) spectrum[2 * k]), <=, 2e-4);
            CHECK_NUM(fabs(im - (double) spectrum[2 * k + 1]), <=, 2e-4);
        }
    }
    ph_stft_destroy(&s);
}

TEST(a_part_of_a_signal_gives_the_frames_of_the_whole)
{
    static float x[SIGNAL], whole[2050], part[2050], work[WORK];
    struct ph_stft *s;
    make_signal(x);
    CHECK_OK(ph_stft_create(&s, &(struct ph_stft_params){ 0 }));
    for (int t = 4; t < 6; t++) {
        int64_t at = t * 512 - 1024;
        ph_stft_at(s, x, 0, SIGNAL, t, whole, work);
        ph_stft_at(s, x + at, at, 2048, t, part, work);
        CHECK(memcmp(whole, part, sizeof whole) == 0);
    }
    ph_stft_destroy(&s);
}

TEST(overlapped_inverse_frames_are_the_signal)
{
    static float x[SIGNAL], sum[SIGNAL + 2 * 2048], spectrum[2050], work[WORK];
    struct ph_stft *s;
    make_signal(x);
    CHECK_OK(ph_stft_create(&s, &(struct ph_stft_params){ 0 }));
    int64_t frames = ph_stft_frames(SIGNAL, 512);
    for (int64_t t = 0; t < frames; t++) {
        ph_stft_at(s, x, 0, SIGNAL, t, spectrum, work);
        ph_stft_add(s, spectrum, sum + t * 512, work);
    }
    for (int i = 0; i < SIGNAL; i++) {
        float norm = ph_stft_norm(s, i, 0, frames - 1);
        CHECK_NUM(fabsf(sum[1024 + i] / norm - x[i]), <=, 3e-6);
    }
    ph_stft_destroy(&s);
}

TEST(mel_bands_cover_the_spectrum_with_equal_areas)
{
    struct ph_mel *m;
    struct ph_mel_params par = { .rate_hz = 22050 };
    CHECK_OK(ph_mel_create(&m, &par));
    CHECK_INT(ph_mel_bands(m), ==, 128);
    const double *corner = ph_mel_corners(m);
    CHECK_NUM(corner[0], ==, 0);
    CHECK_NUM(fabs(corner[129] - 11025), <=, 1e-6);
    CHECK_NUM(fabs(ph_mel_to_hz(ph_hz_to_mel(440)) - 440), <=, 1e-9);
    CHECK_NUM(fabs(ph_hz_to_mel(1000) - 15), <=, 1e-12);
    CHECK_NUM(fabs(ph_hz_to_mel(6400) - 42), <=, 1e-12);
    float power[1025], out[128];
    for (int i = 0; i < 1025; i++) power[i] = 1;
    ph_mel_apply(m, power, out);
    for (int b = 40; b < 128; b++) { // wide bands have the area that the formula says
        double sum = 0;
        for (int k = 0; k < 1025; k++) sum += (double) ph_mel_weight(m, b, k);
        CHECK_NUM(fabs(sum - (double) out[b]), <=, 1e-6);
        CHECK_NUM(fabs(sum * 22050 / 2048 - 1), <=, 0.05);
    }
    ph_mel_destroy(&m);
    par.rate_hz = 0;
    CHECK_INT(ph_mel_create(&m, &par), ==, PH_EINVAL);
    par = (struct ph_mel_params){ .rate_hz = 8000, .from_hz = 5000 };
    CHECK_INT(ph_mel_create(&m, &par), ==, PH_EINVAL);
}

TEST(decibels_have_a_floor_and_a_range)
{
    float power[] = { 1, 100, 0, 1e-12f, 1e-7f }, db[5], back[5];
    ph_power_to_db(power, db, 5, 1);
    CHECK_NUM(db[0], ==, 0);
    CHECK_NUM(fabsf(db[1] - 20), <=, 1e-5);
    CHECK_NUM(db[2], ==, -100);
    CHECK_NUM(db[3], ==, -100);
    ph_db_to_power(db, back, 5, 1);
    CHECK_NUM(fabsf(back[1] - 100), <=, 1e-3);
    ph_db_clamp(db, 5, PH_DB_RANGE);
    CHECK_NUM(fabsf(db[2] + 60), <=, 1e-5);
    ph_power_to_db(power, db, 5, 100);
    CHECK_NUM(fabsf(db[0] + 20), <=, 1e-5);
}
