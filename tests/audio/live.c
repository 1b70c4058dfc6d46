// SPDX-License-Identifier: MIT
// What is heard while it plays: frames, followers, senses; any rate, any channels, any nonsense.
#include "audio/live/follow.h"
#include "audio/live/hear.h"
#include "audio/live/sense.h"

#include "safetensors.h"
#include "wav.h"

#define FRAMES 4000

static struct ph_heard heard[FRAMES];

static struct ph_hear *ear(int rate)
{
    struct ph_hear *h;
    CHECK_OK(ph_hear_create(&h, rate));
    return h;
}

// Gives the samples in pieces of so many; returns the number of frames.
static int listen_to(struct ph_hear *h, const float *x, int count, int channels, int piece,
                     struct ph_heard *out)
{
    int frames = 0;
    for (int at = 0; at < count;) {
        int used, n = count - at < piece ? count - at : piece;
        frames += ph_hear_take(h, x + at * channels, n, channels, &used, &out[frames]);
        CHECK_INT(frames, <, FRAMES);
        at += used;
    }
    return frames;
}

static float *tone(int rate, double hz, double seconds, float amplitude)
{
    int n = (int) (rate * seconds);
    float *x = malloc(sizeof *x * (size_t) n);
    for (int i = 0; i < n; i++) x[i] = amplitude * (float) sin(2 * M_PI * hz * i / rate);
    return x;
}

TEST(a_tone_is_measured_alike_at_every_rate)
{
    int rates[] = { 8000, 11025, 22050, 44100, 48000, 96000, 192000, 384000 };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        int rate = rates[i];
        float *x = tone(rate, 1000, 1, 0.5f);
        struct ph_hear *h = ear(rate);
        CHECK_INT(listen_to(h, x, rate, 1, 777, heard), ==, 100);
        const struct ph_heard *f = &heard[99];
        CHECK_NUM(f->end_s, ==, 1);
        CHECK_NUM(fabsf(f->rms - 0.3536f), <=, 0.005);
        CHECK_NUM(fabsf(f->peak - 0.5f), <=, 0.02);
        CHECK_NUM(fabsf(f->centroid_hz - 1000), <=, 130);
        CHECK_NUM(f->flatness, <=, 0.05);
        CHECK_NUM(fabsf(f->zcr * (float) rate - 2000), <=, 110);
        CHECK_NUM(f->mid, >, 10 * fmaxf(f->low, f->high));
        CHECK_NUM(f->onset, <=, 0.05);
        ph_hear_destroy(&h);
        CHECK(!h);
        free(x);
    }
}

TEST(frames_do_not_depend_on_how_samples_come)
{
    struct wav w = wav_golden("song_128_stereo");
    static struct ph_heard other[FRAMES];
    struct ph_hear *h = ear(w.rate_hz);
    int n = listen_to(h, w.samples, w.count, w.channels, 1 << 20, heard);
    CHECK_INT(n, ==, 3000);
    ph_hear_reset(h);
    CHECK_INT(listen_to(h, w.samples, w.count, w.channels, 1, other), ==, n);
    CHECK(memcmp(heard, other, sizeof *heard * (size_t) n) == 0);
    ph_hear_reset(h);
    CHECK_INT(listen_to(h, w.samples, w.count, w.channels, 1023, other), ==, n);
    CHECK(memcmp(heard, other, sizeof *heard * (size_t) n) == 0);
    ph_hear_destroy(&h);
    free(w.samples);
}

TEST(a_click_shows_within_the_latency_that_is_stated)
{
    for (int at_us = 300000; at_us < 320000; at_us += 700) {
        enum { RATE = 48000 };
        static float x[RATE];
        memset(x, 0, sizeof x);
        int at = (int) ((int64_t) at_us * RATE / 1000000);
        for (int i = 0; i < 240; i++)
            x[at + i] = 0.8f * (float) sin(i * 0.9) * expf(-0.02f * (float) i);
        struct ph_hear *h = ear(RATE);
        int n = listen_to(h, x, RATE, 1, 480, heard), first = 0, best = 0;
        for (int i = 0; i < n; i++) {
            if (!first && heard[i].onset > 0.1f) first = i;
            if (heard[i].onset > heard[best].onset) best = i;
        }
        double shown_s = heard[first].end_s - (double) at / RATE;
        CHECK_NUM(shown_s, >=, 0); // nothing is known before it sounds
        CHECK_NUM(shown_s, <=, PH_HEAR_LATENCY_S);
        CHECK_NUM(heard[best].end_s - (double) at / RATE, <=, 0.02 + 0.01);
        ph_hear_destroy(&h);
    }
}

TEST(what_is_no_sound_harms_nothing)
{
    enum { N = 48000 };
    static float x[N * 8];
    static const float nonsense[] = { NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0.2f, -0.2f, 0 };
    struct ph_hear *h = ear(48000);
    struct ph_sense sense = { 0 };
    struct ph_sense_params par = { 0 };
    struct ph_beat beat = { .per_bar = 4 };
    float v[PH_SENSE_COUNT];
    for (int kind = 0; kind < 4; kind++) {
        int channels = kind == 3 ? 8 : 1;
        for (int i = 0; i < N * channels; i++)
            x[i] = kind == 0   ? 0
                   : kind == 1 ? 0.7f
                   : kind == 2 ? (i / 50 % 2 ? 1.0f : -1.0f)
                               : nonsense[i * 7 % 8];
        int n = listen_to(h, x, N, channels, 500, heard);
        for (int i = 0; i < n; i++) {
            ph_sense_step(&sense, &heard[i], &beat, &par, v);
            for (int k = 0; k < PH_SENSE_COUNT; k++) CHECK(isfinite(v[k]));
            if (kind == 0 || (kind == 1 && i > 30)) CHECK_NUM(heard[i].rms, <=, 1e-3);
            if (kind == 2) CHECK_NUM(heard[i].peak, <=, 2);
        }
        if (kind == 0)
            CHECK_NUM(v[PH_SENSE_level] + v[PH_SENSE_kick] + v[PH_SENSE_onset], ==, 0);
    }
    ph_hear_destroy(&h);
    CHECK_INT(ph_hear_create(&h, 0), ==, PH_EINVAL);
    CHECK_INT(ph_hear_create(&h, 1000000), ==, PH_EINVAL);
}

TEST(dc_is_not_heard)
{
    struct wav w = wav_golden("dc_offset");
    static struct ph_heard moved[FRAMES];
    struct ph_hear *h = ear(w.rate_hz);
    int n = listen_to(h, w.samples, w.count, 1, 512, heard);
    for (int i = 0; i < w.count; i++) w.samples[i] -= 0.3f;
    ph_hear_reset(h);
    CHECK_INT(listen_to(h, w.samples, w.count, 1, 512, moved), ==, n);
    for (int i = 0; i < n; i++) {
        CHECK_NUM(fabsf(heard[i].rms - moved[i].rms), <=, 1e-4);
        CHECK_NUM(fabsf(heard[i].onset - moved[i].onset), <=, 1e-2);
    }
    ph_hear_destroy(&h);
    free(w.samples);
}

TEST(a_chord_shows_its_notes)
{
    enum { RATE = 48000 };
    static const int classes[] = { 9, 1, 4 }; // a c# e
    static const double hz[] = { 220, 277.18, 329.63 };
    static float x[RATE];
    for (int i = 0; i < RATE; i++)
        for (int k = 0; k < 3; k++) x[i] += 0.2f * (float) sin(2 * M_PI * hz[k] * i / RATE);
    struct ph_hear *h = ear(RATE);
    int n = listen_to(h, x, RATE, 1, 4800, heard);
    for (int k = 0; k < 3; k++) CHECK_NUM(heard[n - 1].chroma[classes[k]], >=, 0.6);
    for (int c = 0; c < 12; c++)
        if (c != 9 && c != 1 && c != 4) CHECK_NUM(heard[n - 1].chroma[c], <=, 0.2);
    ph_hear_destroy(&h);
}

// Share of frames whose strongest note belongs to the chord that is played.
TEST(chords_of_the_golden_are_heard)
{
    struct wav w = wav_golden("chords_a440");
    static struct ph_heard f[FRAMES];
    struct ph_hear *h = ear(w.rate_hz);
    int n = listen_to(h, w.samples, w.count, 1, 512, f), seen = 0, right = 0;
    struct expected_file *e = expected_open("audio/chords_a440.features.safetensors");
    struct expected chroma = expected_get(e, "chroma_stft");
    CHECK_STR(chroma.type, "F32");
    const float *want = (const float *) (const void *) chroma.data;
    int frames = (int) chroma.dim[1];
    for (int i = 20; i < n; i++) { // librosa's frame about the middle of what the chroma sees
        int at = (int) ((f[i].end_s - PH_HEAR_CHROMA_S / 2) * w.rate_hz / 512), mine = 0;
        if (f[i].rms < 0.01f || at >= frames) continue;
        for (int c = 0; c < 12; c++)
            if (f[i].chroma[c] > f[i].chroma[mine]) mine = c;
        seen++;
        right += want[mine * frames + at] >= 0.6f;
    }
    CHECK_INT(seen, >, 500);
    CHECK_NUM((double) right / seen, >=, 0.85); // the rest is about the changes
    expected_close(e);
    ph_hear_destroy(&h);
    free(w.samples);
}

// --- followers

static void check_follower(const struct expected_file *e, const char *name,
                           const struct ph_follow_times *times)
{
    for (int fps = 30; fps <= 60; fps += 30) {
        char in[32], out[32];
        snprintf(in, sizeof in, "in_%d", fps);
        snprintf(out, sizeof out, "follow_%s_%d", name, fps);
        const double *x = expected_doubles(e, in, 4 * fps),
                     *want = expected_doubles(e, out, 4 * fps);
        double y = 0;
        for (int i = 0; i < 4 * fps; i++) {
            y = ph_follow(y, x[i], 1.0 / fps, times);
            CHECK_NUM(fabs(y - want[i]), <=, 1e-5 + 1e-5 * fabs(want[i]));
        }
    }
}

static void check_spring(const struct expected_file *e, const char *name,
                         const struct ph_spring_kind *kind)
{
    char out[32];
    snprintf(out, sizeof out, "spring_%s_60", name);
    const double *x = expected_doubles(e, "in_60", 240), *want = expected_doubles(e, out, 240);
    struct ph_spring s = { 0 }, fine = { 0 };
    for (int i = 0; i < 240; i++) {
        CHECK_NUM(fabs(ph_spring_step(&s, x[i], 1.0 / 60, kind) - want[i]), <=, 1e-5);
        for (int k = 0; k < 7; k++) ph_spring_step(&fine, x[i], 1.0 / 420, kind);
        CHECK_NUM(fabs(fine.x - s.x), <=, 1e-9); // steps of any length are exact
    }
}

TEST(followers_springs_and_gains_are_the_goldens)
{
    struct expected_file *e = expected_open("audio/vis_followers.safetensors");
    check_follower(e, "drums", &ph_follow_drums);
    check_follower(e, "kick", &ph_follow_kick);
    check_follower(e, "snare", &ph_follow_snare);
    check_follower(e, "hats", &ph_follow_hats);
    check_follower(e, "bass", &ph_follow_bass);
    check_follower(e, "vocals", &ph_follow_vocals);
    check_follower(e, "default", &ph_follow_default);
    check_follower(e, "sustain", &ph_follow_sustain);
    check_spring(e, "kick", &ph_spring_kick);
    check_spring(e, "bass", &ph_spring_bass);
    check_spring(e, "vocals", &ph_spring_vocals);
    check_spring(e, "ambient", &ph_spring_ambient);
    const double *raw = expected_doubles(e, "gain_raw_30", 300);
    const double *now = expected_doubles(e, "gain_now_30", 300);
    const double *att = expected_doubles(e, "gain_att_30", 300);
    struct ph_gain g = { 0 };
    for (int i = 0; i < 300; i++) {
        ph_gain_step(&g, raw[i], 1.0 / 30);
        CHECK_NUM(fabs(g.now - now[i]), <=, 1e-5 + 1e-5 * fabs(now[i]));
        CHECK_NUM(fabs(g.att - att[i]), <=, 1e-5 + 1e-5 * fabs(att[i]));
    }
    expected_close(e);
}

TEST(a_critically_damped_spring_is_solved_too)
{
    struct ph_spring_kind kind = { 1, 100, 20 };
    struct ph_spring s = { 0 };
    for (int i = 0; i < 10; i++) ph_spring_step(&s, 1, 0.01, &kind);
    CHECK_NUM(fabs(s.x - (1 - exp(-1) * 2)), <=, 1e-9);
}

// --- senses

static void sense_all(struct ph_sense *s, const struct ph_heard *f, int n, float *mean)
{
    struct ph_sense_params par = { 0 };
    struct ph_beat beat = { .per_bar = 4 };
    float v[PH_SENSE_COUNT];
    for (int k = 0; k < PH_SENSE_COUNT; k++) mean[k] = 0;
    for (int i = 0; i < n; i++) {
        ph_sense_step(s, &f[i], &beat, &par, v);
        for (int k = 0; k < PH_SENSE_COUNT; k++) {
            CHECK(isfinite(v[k]) && v[k] >= 0);
            mean[k] += v[k] / (float) n;
        }
    }
}

TEST(a_song_feels_the_same_however_loud_it_is)
{
    struct wav w = wav_golden("song_128");
    struct ph_hear *h = ear(w.rate_hz);
    float loud[PH_SENSE_COUNT], soft[PH_SENSE_COUNT];
    struct ph_sense a = { 0 }, b = { 0 };
    int n = listen_to(h, w.samples, w.count, 1, 512, heard);
    sense_all(&a, heard, n, loud);
    for (int i = 0; i < w.count; i++) w.samples[i] *= 0.2f;
    ph_hear_reset(h);
    sense_all(&b, heard, listen_to(h, w.samples, w.count, 1, 512, heard), soft);
    static const int same[] = { PH_SENSE_level, PH_SENSE_bass, PH_SENSE_mid,  PH_SENSE_high,
                                PH_SENSE_kick,  PH_SENSE_hat,  PH_SENSE_onset };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        CHECK_NUM(loud[same[i]], >, 0.02);
        CHECK_NUM(fabsf(loud[same[i]] - soft[same[i]]), <=,
                  0.05 + 0.25 * (double) loud[same[i]]);
    }
    CHECK_NUM(fabsf(soft[PH_SENSE_rms] - 0.2f * loud[PH_SENSE_rms]), <=, 0.01);
    ph_hear_destroy(&h);
    free(w.samples);
}

// At each of the golden's drums the sense of that drum rises higher than it is between them.
static void check_drum(const char *kind, int sense)
{
    size_t size;
    struct ph_json_doc *doc;
    char *bytes = wav_slurp(golden("audio/song_128.truth.json"), &size);
    CHECK_OK(ph_json_parse(&doc, bytes, size, 0, NULL));
    const struct ph_json *events = ph_json_get(ph_json_root(doc), "events");
    struct wav w = wav_golden("song_128");
    struct ph_hear *h = ear(w.rate_hz);
    struct ph_sense s = { 0 };
    struct ph_sense_params par = { 0 };
    struct ph_beat beat = { .per_bar = 4 };
    static float v[FRAMES][PH_SENSE_COUNT];
    int n = listen_to(h, w.samples, w.count, 1, 512, heard), hits = 0, felt = 0;
    double all = 0;
    for (int i = 0; i < n; i++) {
        ph_sense_step(&s, &heard[i], &beat, &par, v[i]);
        all += (double) v[i][sense] / n;
    }
    for (int i = 0; i < events->count; i++) {
        const struct ph_json *e = ph_json_at(events, i);
        int at = (int) (ph_json_double(ph_json_get(e, "t"), 0) * 100);
        if (strcmp(ph_json_string(ph_json_get(e, "kind"), ""), kind) || at < 100 || at + 4 > n)
            continue;
        float top = 0;
        for (int k = 0; k < 4; k++) top = fmaxf(top, v[at + k][sense]);
        hits++;
        felt += top > v[at - 1][sense] + 0.15f && top > 0.35f;
    }
    CHECK_INT(hits, >, 10);
    if (felt < hits * 8 / 10) TEST_FAIL("%s: %d of %d felt, mean %.3f", kind, felt, hits, all);
    ph_json_free(&doc);
    ph_hear_destroy(&h);
    free(bytes), free(w.samples);
}

TEST(drums_are_felt)
{
    check_drum("kick", PH_SENSE_kick);
    check_drum("snare", PH_SENSE_snare);
}
