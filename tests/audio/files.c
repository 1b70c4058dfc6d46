// SPDX-License-Identifier: MIT
// Sound files as an analysis gets them: every rate and number of channels, damaged and odd ones.
#include "test.h"

#include "config.h"
#include "nodes/media/resample.h"
#include "nodes/media/song_file.h"
#include "make_wav.h"

#define TONE_HZ 440.0

static const char *temp(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/ph_song_%d.wav", (int) getpid());
    return path;
}

static void need_ffmpeg(void)
{
    if (!PH_HAVE_FFMPEG) TEST_SKIP("a build without FFmpeg reads no sound files");
}

static void *kept[128]; // lives as long as its case, which is a process
static int kept_count;

static float *keep(float *x)
{
    CHECK_INT(kept_count, <, 128);
    return kept[kept_count++] = x;
}

// A tone that all channels but the first have with half the loudness.
static float *tone(int rate, int channels, int frames)
{
    float *x = keep(malloc(sizeof *x * (size_t) (frames * channels)));
    for (int i = 0; i < frames * channels; i++)
        x[i] = (float) ((i % channels ? 0.25 : 0.5) *
                        sin(2 * M_PI * TONE_HZ * (double) (i / channels) / rate));
    return x;
}

static struct ph_song_file *open_wav(const struct wav *w)
{
    struct ph_song_file *f = NULL;
    struct ph_fault fault = { 0 };
    CHECK_OK(wav_write(temp(), w));
    ph_err err = ph_song_file_open(&f, temp(), &(struct ph_song_file_params){ 0 }, &fault);
    unlink(temp());
    if (err) TEST_FAIL("%s", fault.message);
    return f;
}

static float *read_all(struct ph_song_file *f, int64_t *n)
{
    struct ph_song_source s = ph_song_file_source(f);
    float *x = keep(malloc(sizeof *x * (size_t) s.samples));
    *n = s.samples;
    CHECK_OK(s.read(s.opaque, 0, s.samples, x));
    return x;
}

TEST(every_rate_becomes_22_kilohertz_and_every_channel_counts)
{
    static const int rates[] = { 8000, 11025, 22050, 44100, 48000, 96000, 384000 };
    need_ffmpeg();
    for (int i = 0; i < 7; i++)
        for (int channels = 1; channels <= 8; channels += i == 3 ? 1 : 7) {
            int frames = rates[i] / 2;
            struct wav w = { rates[i], channels, frames, false, NULL, 0 };
            w.x = tone(rates[i], channels, frames);
            struct ph_song_file *f = open_wav(&w);
            const struct ph_song_file_info *info = ph_song_file_info(f);
            int64_t n;
            float *x = read_all(f, &n);
            CHECK_INT(info->rate_hz, ==, rates[i]);
            CHECK_INT(info->channels, ==, channels);
            CHECK_INT(n, ==, (int64_t) ceil(frames * 22050.0 / rates[i]));
            double loud = (0.5 + 0.25 * (channels - 1)) / channels, worst = 0;
            for (int64_t k = 500; k < n - 500; k++) {
                double want = loud * sin(2 * M_PI * TONE_HZ * (double) k / 22050);
                worst = fmax(worst, fabs(want - (double) x[k]));
            }
            CHECK_NUM(worst, <, 2e-3);
            ph_song_file_close(&f);
            CHECK(!f);
        }
}

TEST(samples_that_are_no_numbers_are_counted_and_do_not_spread)
{
    need_ffmpeg();
    for (int rate = 22050; rate <= 44100; rate += 22050) {
        float *x = tone(rate, 1, rate);
        x[5000] = NAN;
        x[6000] = INFINITY;
        x[7000] = -1e20f;
        struct wav w = { rate, 1, rate, true, x, 0 };
        struct ph_song_file *f = open_wav(&w);
        int64_t n;
        float *y = read_all(f, &n);
        CHECK_INT(ph_song_file_info(f)->bad, ==, 3);
        for (int64_t i = 0; i < n; i++) CHECK(fabsf(y[i]) < 2);
        ph_song_file_close(&f);
    }
}

TEST(full_scale_samples_are_counted)
{
    need_ffmpeg();
    float *x = tone(22050, 2, 22050);
    for (int i = 100; i < 400; i++) x[i] = i % 2 ? 1 : -1;
    struct wav w = { 22050, 2, 22050, false, x, 0 };
    struct ph_song_file *f = open_wav(&w);
    CHECK_INT(ph_song_file_info(f)->clipped, ==, 300);
    ph_song_file_close(&f);
}

TEST(a_file_that_was_cut_gives_what_is_there)
{
    need_ffmpeg();
    struct wav w = { 44100, 2, 44100, false, tone(44100, 2, 44100), 100001 };
    struct ph_song_file *f = open_wav(&w);
    const struct ph_song_file_info *info = ph_song_file_info(f);
    CHECK_NUM(fabs(info->seconds - (44100 - 100001 / 4.0) / 44100), <, 0.001);
    ph_song_file_close(&f);
}

static void check_refused(const char *path, ph_err want, const char *has)
{
    struct ph_song_file *f;
    struct ph_fault fault = { 0 };
    struct ph_song_file_params par = { 0 };
    CHECK_INT(ph_song_file_open(&f, path, &par, &fault), ==, want);
    CHECK(!f);
    CHECK_HAS(fault.message, path);
    CHECK_HAS(fault.message, has);
}

TEST(what_is_no_sound_is_refused_by_name)
{
    need_ffmpeg();
    check_refused("/none/song.flac", PH_ENOENT, "o such file");
    FILE *f = fopen(temp(), "wb");
    fputs("this is a text, and no sound at all\n", f);
    fclose(f);
    check_refused(temp(), PH_EFORMAT, "no sound");
    struct wav w = { 44100, 1, 0, false, NULL, 0 };
    CHECK_OK(wav_write(temp(), &w));
    check_refused(temp(), PH_EFORMAT, "0 samples");
    unlink(temp());
}

// Bytes of a real file changed at random: an error or fewer samples, never a crash.
TEST(damaged_files_do_no_harm)
{
    need_ffmpeg();
    struct wav w = { 22050, 2, 4000, false, tone(22050, 2, 4000), 0 };
    char bytes[17000];
    CHECK_OK(wav_write(temp(), &w));
    FILE *f = fopen(temp(), "rb");
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    unsigned state = 7;
    for (int i = 0; i < 150; i++) {
        char copy[sizeof bytes];
        struct ph_song_file *song;
        struct ph_fault fault = { 0 };
        memcpy(copy, bytes, n);
        for (int k = 0; k < 4; k++) {
            state = state * 1664525u + 1013904223u;
            copy[(state >> 8) % (k ? n : 44)] = (char) (state >> 24);
        }
        f = fopen(temp(), "wb");
        fwrite(copy, 1, n - state % 999, f);
        fclose(f);
        if (!ph_song_file_open(&song, temp(), &(struct ph_song_file_params){ 0 }, &fault))
            ph_song_file_close(&song);
        else
            CHECK(*fault.message);
    }
    unlink(temp());
}

TEST(resampling_in_pieces_is_resampling_at_once)
{
    struct ph_resample *r;
    if (ph_resample_create(&r, 48000, 22050) == PH_ENOTSUP) TEST_SKIP("no resampler");
    float *x = tone(48000, 1, 20000), *whole = keep(malloc(sizeof *whole * 20000));
    const float *out;
    int64_t n = 0, total = 0, at = 0;
    for (int part = 0; part < 2; part++) { // once as one piece and the end, then in small ones
        int64_t made = 0;
        if (part) CHECK_OK(ph_resample_create(&r, 48000, 22050));
        for (at = 0; at <= 20000; at += part ? 777 : 20000) {
            int64_t piece = 20000 - at < (part ? 777 : 20000) ? 20000 - at : part ? 777 : 20000;
            if (!piece) break;
            CHECK_OK(ph_resample_run(r, x + at, piece, &out, &n));
            for (int64_t i = 0; i < n; i++, made++)
                if (part)
                    CHECK_NUM(fabsf(whole[made] - out[i]), <, 1e-6);
                else
                    whole[made] = out[i];
        }
        CHECK_OK(ph_resample_run(r, NULL, 0, &out, &n));
        for (int64_t i = 0; i < n && !part; i++) whole[made + i] = out[i];
        if (part) CHECK_INT(made + n, ==, total);
        total = made + n;
        ph_resample_destroy(&r);
    }
    CHECK_NUM(fabs((double) total - 20000 * 22050.0 / 48000), <, 64);
    CHECK_INT(ph_resample_create(&r, 0, 22050), ==, PH_EINVAL);
}
