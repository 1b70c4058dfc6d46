// SPDX-License-Identifier: MIT
// The analysis of whole songs: made ones whose truth is known, and every kind of bad input.
#include "test.h"

#include "audio/beat.h"
#include "audio/hpss.h"
#include "audio/onset.h"
#include "audio/rows.h"
#include "audio/song.h"
#include "core/together.h"

enum { RATE = PH_SONG_RATE_HZ };

struct sound {
    float *x;
    int64_t n;
    bool fails;
};

static ph_err read_sound(void *opaque, int64_t at, int64_t n, float *out)
{
    struct sound *s = opaque;
    CHECK(at >= 0 && n > 0 && at + n <= s->n);
    if (s->fails) return PH_EIO;
    memcpy(out, s->x + at, sizeof *out * (size_t) n);
    return PH_OK;
}

static float *kept[64]; // lives as long as its case, which is a process
static int kept_count;

static struct sound sound_of(double seconds)
{
    struct sound s = { .n = (int64_t) (seconds * RATE) };
    CHECK_INT(kept_count, <, 64);
    kept[kept_count++] = s.x = calloc((size_t) s.n + 1, sizeof *s.x);
    return s;
}

static struct ph_song *analyse(struct sound *s, int workers)
{
    struct ph_song *song = NULL;
    struct ph_song_source source = { .samples = s->n, .read = read_sound, .opaque = s };
    struct ph_song_params par = { .together = ph_together, .workers = workers };
    struct ph_fault fault = { 0 };
    if (ph_song_analyse(&song, &source, &par, &fault)) TEST_FAIL("%s", fault.message);
    return song;
}

static void add_click(struct sound *s, double at_s, double hz, double loud)
{
    int64_t first = (int64_t) (at_s * RATE);
    for (int64_t i = 0; i < RATE / 10 && first + i < s->n; i++)
        s->x[first + i] +=
            (float) (loud * exp(-(double) i / 400) * sin(2 * M_PI * hz * (double) i / RATE));
}

static void add_tone(struct sound *s, double from_s, double to_s, double hz, double loud)
{
    for (int64_t i = (int64_t) (from_s * RATE); i < (int64_t) (to_s * RATE) && i < s->n; i++)
        s->x[i] += (float) (loud * sin(2 * M_PI * hz * (double) i / RATE));
}

static void check_finite(const char *what, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) TEST_FAIL("%s[%lld] is not finite", what, (long long) i);
}

static void check_all_finite(const struct ph_song *s)
{
    const struct {
        const char *name;
        const float *x;
        int width;
    } rows[] = {
        { "rms", s->rms, 1 },
        { "crossings", s->crossings, 1 },
        { "centroid", s->centroid_hz, 1 },
        { "bandwidth", s->bandwidth_hz, 1 },
        { "rolloff", s->rolloff_hz, 1 },
        { "flatness", s->flatness, 1 },
        { "flux", s->flux, 1 },
        { "power", s->power, 1 },
        { "harmonic", s->harmonic, 1 },
        { "percussive", s->percussive, 1 },
        { "mel", s->mel_db, PH_SONG_MELS },
        { "mfcc", s->mfcc, PH_SONG_MFCC },
        { "contrast", s->contrast, PH_SONG_BANDS },
        { "chroma", s->chroma, PH_CHROMA },
        { "chroma_cqt", s->chroma_cqt, PH_CHROMA },
        { "tonnetz", s->tonnetz, PH_TONNETZ },
        { "onset", s->onset, 1 },
        { "onset_median", s->onset_median, 1 },
        { "percussive_onset", s->percussive_onset, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_finite(rows[i].name, rows[i].x, s->frames * rows[i].width);
    CHECK(isfinite(s->tempo_bpm) && isfinite(s->beats.bpm) && isfinite(s->rms_all));
}

// ------------------------------------------------------------------------------ truth
TEST(clicks_have_their_tempo_beats_and_onsets)
{
    struct sound s = sound_of(20);
    for (int i = 0; i * 0.5 < 20; i++) add_click(&s, 0.25 + i * 0.5, 1000, 0.8);
    struct ph_song *g = analyse(&s, 1);
    CHECK_NUM(fabs(g->beats.bpm - 120), <, 4);
    CHECK_INT(g->beats.count, >=, 37);
    CHECK_INT(g->onsets, ==, 40);
    for (int64_t i = 0; i < g->onsets; i++) {
        double t = (double) g->onset_frame[i] * 512 / RATE - 0.25;
        CHECK_NUM(fabs(t - 0.5 * rint(t / 0.5)), <, 0.05);
        CHECK_INT(g->onset_begin[i], <=, g->onset_frame[i]);
    }
    for (int64_t i = 0; i < g->beats.count; i++) {
        double t = (double) g->beats.frame[i] * 512 / RATE - 0.25;
        CHECK_NUM(fabs(t - 0.5 * rint(t / 0.5)), <, 0.07);
    }
    ph_song_destroy(&g);
    CHECK(!g);
}

// Clicks that are all alike may be counted by twos; where no click is, there is no double tempo.
TEST(the_octaves_of_a_tempo_are_weighed)
{
    struct sound s = sound_of(20);
    for (double at = 0.25; at < 20; at += 60 / 170.0) add_click(&s, at, 1000, 0.5);
    struct ph_song *song = analyse(&s, 2);
    const struct ph_tempo_params par = { .rate_hz = song->rate_hz, .hop = song->hop };
    struct ph_tempo_octaves fast =
        ph_tempo_octaves(song->onset_median, song->frames, 170, &par);
    struct ph_tempo_octaves slow = ph_tempo_octaves(song->onset_median, song->frames, 85, &par);
    CHECK_NUM(fast.half, >=, PH_TEMPO_NEARLY);
    CHECK_NUM(fast.twice, <, 0.1);
    CHECK_NUM(fabs(fast.half * slow.twice - 1), <, 1e-9);
    CHECK_NUM(ph_tempo_octaves(song->onset_median, song->frames, 0, &par).half, ==, 0);
    ph_song_destroy(&song);
}

TEST(a_chord_is_in_its_pitch_classes_whatever_the_tuning)
{
    for (int cents = -30; cents <= 30; cents += 30) {
        struct sound s = sound_of(6);
        double off = exp2(cents / 1200.0), pitch[] = { 261.6256, 329.6276, 391.9954 }; // C E G
        for (int i = 0; i < 3; i++) add_tone(&s, 0, 6, pitch[i] * off, 0.2);
        struct ph_song *g = analyse(&s, 1);
        // a parabola through three bins of a Hann window errs by some cents
        CHECK_NUM(fabs(g->tuning - cents / 100.0), <, 0.12);
        const float *row = g->chroma_cqt + g->frames / 2 * PH_CHROMA;
        for (int c = 0; c < PH_CHROMA; c++)
            if (c == 0 || c == 4 || c == 7)
                CHECK_NUM(row[c], >, 0.6);
            else
                CHECK_NUM(row[c], <, 0.4);
        ph_song_destroy(&g);
    }
}

TEST(a_key_is_that_of_its_scale_and_turns_with_it)
{
    static const double scale[12] = { 9, 1, 5, 1, 7, 6, 1, 8, 1, 5, 1, 4 };
    static const double minor[12] = { 9, 1, 5, 8, 1, 5, 1, 8, 5, 1, 4, 1 };
    static const double flat[12] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    for (int i = 0; i < 24; i++) {
        double chroma[12];
        for (int c = 0; c < 12; c++) chroma[(c + i) % 12] = i < 12 ? scale[c] : minor[c];
        struct ph_key key = ph_key_of(chroma);
        CHECK_INT(key.tonic, ==, i % 12);
        CHECK_INT(key.minor, ==, i >= 12);
        CHECK_NUM(key.next_fit, <, key.fit);
    }
    CHECK_INT(ph_key_of(flat).tonic, ==, -1);
}

TEST(tones_are_harmonic_and_clicks_percussive)
{
    struct sound s = sound_of(8);
    add_tone(&s, 0, 4, 440, 0.3);
    for (int i = 0; i < 8; i++) add_click(&s, 4.2 + i * 0.4, 3000, 0.8);
    struct ph_song *g = analyse(&s, 1);
    double part[2][2] = { 0 };
    for (int64_t t = 20; t < g->frames; t++) {
        double at = (double) t * 512 / RATE;
        if (fabs(at - 4) < 0.5) continue;
        part[at > 4][0] += (double) g->harmonic[t];
        part[at > 4][1] += (double) g->percussive[t];
    }
    CHECK_NUM(part[0][0], >, 20 * part[0][1]);
    CHECK_NUM(part[1][1], >, 3 * part[1][0]);
    ph_song_destroy(&g);
}

static void check_same(const struct ph_song *a, const struct ph_song *b)
{
    size_t frames = (size_t) a->frames * sizeof(float);
    CHECK_INT(a->frames, ==, b->frames);
    CHECK(!memcmp(a->mel_db, b->mel_db, frames * PH_SONG_MELS));
    CHECK(!memcmp(a->chroma_cqt, b->chroma_cqt, frames * PH_CHROMA));
    CHECK(!memcmp(a->percussive_onset, b->percussive_onset, frames));
    CHECK(!memcmp(a->contrast, b->contrast, frames * PH_SONG_BANDS));
    CHECK_INT(a->beats.count, ==, b->beats.count);
    CHECK(!memcmp(a->beats.frame, b->beats.frame, sizeof(int64_t) * (size_t) a->beats.count));
    CHECK_NUM(a->tuning, ==, b->tuning);
}

TEST(any_number_of_workers_gives_the_same_numbers)
{
    struct sound s = sound_of(14);
    for (int i = 0; i < 30; i++) add_click(&s, i * 0.47, 500 + 90 * i, 0.5);
    add_tone(&s, 1, 13, 311, 0.2);
    struct ph_song *one = analyse(&s, 1);
    for (int workers = 2; workers <= 5; workers += 3) {
        struct ph_song *many = analyse(&s, workers);
        check_same(one, many);
        ph_song_destroy(&many);
    }
    ph_song_destroy(&one);
}

// ------------------------------------------------------------------------------ bad input
TEST(silence_has_no_beats_and_no_onsets)
{
    struct sound s = sound_of(5);
    struct ph_song *g = analyse(&s, 2);
    CHECK_INT(g->beats.count, ==, 0);
    CHECK_INT(g->onsets, ==, 0);
    CHECK_NUM(g->beats.bpm, ==, 0);
    CHECK_INT(g->key.tonic, ==, -1);
    check_all_finite(g);
    ph_song_destroy(&g);
}

TEST(few_samples_are_a_song_too)
{
    for (int64_t n = 1; n < 40000; n = n * 3 + 1) {
        struct sound s = sound_of(2);
        s.n = n;
        for (int64_t i = 0; i < n; i++) s.x[i] = (float) sin((double) i * 0.1);
        struct ph_song *g = analyse(&s, 2);
        CHECK_INT(g->frames, ==, 1 + n / 512);
        check_all_finite(g);
        ph_song_destroy(&g);
    }
}

TEST(steady_and_clipped_and_huge_samples_give_finite_numbers)
{
    for (int kind = 0; kind < 3; kind++) {
        struct sound s = sound_of(3);
        for (int64_t i = 0; i < s.n; i++) {
            double v = kind == 0 ? 1 : 3 * sin((double) i * 0.05);
            s.x[i] = (float) (kind == 1 ? fmax(-1, fmin(1, v)) : kind == 2 ? v * 3e5 : v);
        }
        struct ph_song *g = analyse(&s, 1);
        check_all_finite(g);
        CHECK_INT(g->bad_samples, ==, 0);
        ph_song_destroy(&g);
    }
}

TEST(samples_that_are_no_numbers_are_silence_and_counted_once)
{
    struct sound clean = sound_of(8), s = sound_of(8);
    for (int i = 0; i < 16; i++) add_click(&clean, i * 0.5, 900, 0.5);
    memcpy(s.x, clean.x, sizeof *s.x * (size_t) s.n);
    int64_t spoiled = 0;
    for (int64_t i = 777; i < s.n; i += 1001, spoiled++) {
        s.x[i] = spoiled % 3 ? NAN : spoiled % 2 ? INFINITY : -1e30f;
        clean.x[i] = 0;
    }
    struct ph_song *a = analyse(&clean, 2), *b = analyse(&s, 2);
    CHECK_INT(b->bad_samples, ==, spoiled);
    CHECK_INT(a->bad_samples, ==, 0);
    check_all_finite(b);
    check_same(a, b);
    ph_song_destroy(&a);
    ph_song_destroy(&b);
}

TEST(what_cannot_be_analysed_says_why)
{
    struct sound s = sound_of(1);
    struct ph_song *g;
    struct ph_fault fault = { 0 };
    struct ph_song_source source = { .samples = 0, .read = read_sound, .opaque = &s };
    struct ph_song_params par = { 0 };
    CHECK_INT(ph_song_analyse(&g, &source, &par, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "0 samples");
    source.samples = s.n;
    source.rate_hz = 100;
    CHECK_INT(ph_song_analyse(&g, &source, &par, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "4000");
    source.rate_hz = 0;
    par.hop = 100;
    CHECK_INT(ph_song_analyse(&g, &source, &par, &fault), ==, PH_EINVAL);
    CHECK_HAS(fault.message, "multiple of 64");
    par.hop = 0;
    s.fails = true;
    CHECK_INT(ph_song_analyse(&g, &source, &par, &fault), ==, PH_EIO);
    s.fails = false;
    _Atomic int stop = 1;
    par.stop = &stop;
    CHECK_INT(ph_song_analyse(&g, &source, &par, &fault), ==, PH_ESTOPPED);
    CHECK(!g);
}

TEST(other_rates_are_analysed_and_those_far_off_have_no_constant_q)
{
    double rates[] = { 8000, 16000, 22050, 32000, 44100, 384000 };
    for (int i = 0; i < 6; i++) {
        struct sound s = sound_of(1);
        struct ph_song *g;
        struct ph_song_source source = { s.n, rates[i], read_sound, &s };
        add_tone(&s, 0, 1, 440, 0.5);
        CHECK_OK(ph_song_analyse(&g, &source, &(struct ph_song_params){ 0 }, NULL));
        check_all_finite(g);
        bool has_cqt = false;
        for (int64_t k = 0; k < g->frames * PH_CHROMA; k++) has_cqt |= g->chroma_cqt[k] > 0;
        CHECK_INT(has_cqt, ==, rates[i] > 16800 && rates[i] < 41000);
        ph_song_destroy(&g);
    }
}

// ------------------------------------------------------------------------------ parts
static float slow_median(const float *const *row, int t, int k, int bins, bool over_time)
{
    float window[PH_HPSS_WINDOW];
    for (int i = 0; i < PH_HPSS_WINDOW; i++)
        window[i] = over_time
                        ? row[t + i][k]
                        : row[t + PH_HPSS_REACH][ph_mirrored(k - PH_HPSS_REACH + i, bins)];
    return ph_median(window, PH_HPSS_WINDOW);
}

TEST(running_medians_are_medians)
{
    enum { COUNT = 19, BINS = 61, ROWS = COUNT + 2 * PH_HPSS_REACH };
    static float data[ROWS][BINS], over_time[COUNT][BINS], over_bins[COUNT][BINS];
    static float work[BINS * 16];
    const float *row[ROWS];
    unsigned state = 3;
    for (int t = 0; t < ROWS; t++) {
        row[t] = data[t];
        for (int k = 0; k < BINS; k++) {
            state = state * 1664525u + 1013904223u;
            data[t][k] = (float) (state >> 24) / (state & 1 ? 1 : 1000); // with ties and zeros
        }
    }
    CHECK_INT(ph_hpss_work(BINS), <=, BINS * 16);
    ph_hpss_medians(row, COUNT, BINS, over_time[0], over_bins[0], work);
    for (int t = 0; t < COUNT; t++)
        for (int k = 0; k < BINS; k++) {
            CHECK_NUM(over_time[t][k], ==, slow_median(row, t, k, BINS, true));
            CHECK_NUM(over_bins[t][k], ==, slow_median(row, t, k, BINS, false));
        }
}

TEST(mirrors_repeat_as_often_as_needed)
{
    CHECK_INT(ph_mirrored(-1, 5), ==, 0);
    CHECK_INT(ph_mirrored(5, 5), ==, 4);
    CHECK_INT(ph_mirrored(-6, 5), ==, 4);
    CHECK_INT(ph_mirrored(12, 5), ==, 2);
    for (int i = -9; i < 9; i++) CHECK_INT(ph_mirrored(i, 1), ==, 0);
}

TEST(medians_and_selections_are_those_of_a_sort)
{
    float even[] = { 4, 1, 3, 2 }, odd[] = { 9, 1, 5 }, same[] = { 2, 2, 2, 2, 2 };
    CHECK_NUM(ph_median(even, 4), ==, 2.5);
    CHECK_NUM(ph_median(odd, 3), ==, 5);
    CHECK_NUM(ph_median(same, 5), ==, 2);
    CHECK_NUM(ph_median(odd, 0), ==, 0);
    unsigned state = 1;
    for (int n = 1; n < 60; n++) {
        float x[60], y[60];
        for (int i = 0; i < n; i++) {
            state = state * 1664525u + 1013904223u;
            x[i] = y[i] = (float) (state >> 28);
        }
        for (int i = 0; i < n; i++) // insertion sort
            for (int k = i; k > 0 && y[k - 1] > y[k]; k--) {
                float t = y[k];
                y[k] = y[k - 1];
                y[k - 1] = t;
            }
        int k = (int) (state % (unsigned) n);
        CHECK_NUM(ph_select(x, n, k), ==, y[k]);
    }
}

TEST(envelopes_that_are_flat_or_no_numbers_have_no_onsets_and_no_beats)
{
    float flat[200], scaled[200];
    int64_t frames[200], n;
    double bpm;
    struct ph_peak_params peaks = ph_onset_peaks(RATE, 512);
    struct ph_beat_params par = { .tempo = { .rate_hz = RATE, .hop = 512 } };
    for (int i = 0; i < 200; i++) flat[i] = 3;
    CHECK_INT(ph_onset_detect(flat, 200, &peaks, scaled, frames, 200), ==, 0);
    CHECK_OK(ph_beat_track(flat, 200, &par, frames, &n, &bpm));
    CHECK_INT(n, <=, 200);
    flat[100] = NAN;
    CHECK_INT(ph_onset_detect(flat, 200, &peaks, scaled, frames, 200), ==, 0);
    CHECK_OK(ph_beat_track(flat, 200, &par, frames, &n, &bpm));
    CHECK_INT(n, ==, 0);
    par.bpm = 1e9;
    flat[100] = 3;
    CHECK_INT(ph_beat_track(flat, 200, &par, frames, &n, &bpm), ==, PH_EINVAL);
}
