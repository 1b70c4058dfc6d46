// SPDX-License-Identifier: MIT
// The beat: predicted from music as it plays, tapped, told by a MIDI clock; and the clock that counts.
#include "audio/live/hear.h"
#include "audio/live/midi.h"
#include "audio/live/pulse.h"
#include "audio/live/score.h"
#include "audio/live/tempo.h"

#include "safetensors.h"
#include "wav.h"

#define AHEAD_S 0.05 // how long before a beat its time is taken down
#define MAX     1000

struct heard_beats {
    double at_s[MAX];
    int count;
    double bpm; // at the end
};

// What a listener predicts; every decision is made AHEAD_S before the beat, less what the analysis
// takes (PH_HEAR_LATENCY_S), from samples that have been played.
static struct heard_beats follow(const struct wav *w)
{
    struct heard_beats got = { .count = 0 };
    struct ph_hear *h;
    struct ph_pulse *p;
    struct ph_tempo tempo = { 0 };
    struct ph_beat beat = { 0 };
    double counted = -1, before = 0;
    CHECK_OK(ph_hear_create(&h, w->rate_hz));
    CHECK_OK(ph_pulse_create(&p));
    for (int at = 0; at < w->count;) {
        struct ph_heard f;
        struct ph_pulse_state s;
        int used;
        bool whole = ph_hear_take(h, w->samples + (ptrdiff_t) at * w->channels, w->count - at,
                                  w->channels, &used, &f);
        at += used;
        if (!whole) continue;
        double now = f.end_s - PH_HEAR_WINDOW_S / 2;
        ph_pulse_step(p, f.accent, &s);
        CHECK(s.confidence >= 0 && s.confidence <= 1.0001f && isfinite(s.bpm));
        ph_tempo_step(&tempo, now, &(struct ph_tempo_hint){ s.bpm, s.next_s, s.confidence },
                      &beat);
        CHECK_NUM(beat.beat, >=, before); // never back
        before = beat.beat;
        double ahead = beat.beat + AHEAD_S * beat.bpm / 60;
        if (beat.bpm <= 0 || floor(ahead) <= counted) continue;
        if (counted >= 0 && got.count < MAX)
            got.at_s[got.count++] = now + AHEAD_S - (ahead - floor(ahead)) * 60 / beat.bpm;
        counted = floor(ahead);
    }
    got.bpm = beat.bpm;
    ph_pulse_destroy(&p);
    ph_hear_destroy(&h);
    return got;
}

static void check_music(const char *name, double least)
{
    struct wav w = wav_golden(name);
    double truth[MAX];
    int n = wav_truth(name, "beats", truth, MAX);
    struct heard_beats got = follow(&w);
    struct ph_score s = ph_score_events(got.at_s, got.count, truth, n, 0.07, 5);
    printf("# %s: F %.3f of %d beats after 5 s, %.1f ms late\n", name, s.f, s.truth,
           s.late_s * 1e3);
    CHECK_INT(s.truth, >=, 5);
    if (s.f < least) TEST_FAIL("%s: F is %.3f, want %.2f", name, s.f, least);
    CHECK_NUM(fabs(s.late_s), <=, 0.02);
    free(w.samples);
}

TEST(beats_of_steady_music_are_predicted)
{
    static const char *const names[] = { "click_060",    "click_090",       "click_120",
                                         "click_174",    "song_128",        "song_128_stereo",
                                         "song_clipped", "song_44k_stereo", "dc_offset" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_music(names[i], 0.90);
}

TEST(beats_that_quicken_and_swing_are_predicted)
{
    check_music("ramp_100_140", 0.80);
    check_music("swing_096", 0.80);
}

// Not more than librosa's: SCORES.md.
TEST(what_has_no_beat_gets_none)
{
    static const struct {
        const char *name;
        int most;
    } cases[] = { { "noise_white", 14 }, { "speech_en", 19 },  { "sweep_log", 0 },
                  { "silence", 0 },      { "short_100ms", 1 }, { "one_frame", 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wav w = wav_golden(cases[i].name);
        struct heard_beats got = follow(&w);
        printf("# %s: %d beats\n", cases[i].name, got.count);
        CHECK_INT(got.count, <=, cases[i].most);
        free(w.samples);
    }
}

TEST(the_beat_does_not_hang_on_loudness_noise_or_rate)
{
    struct wav w = wav_golden("song_128");
    double truth[MAX];
    int n = wav_truth("song_128", "beats", truth, MAX);
    for (int kind = 0; kind < 3; kind++) {
        struct wav v = w;
        uint32_t state = 1;
        v.samples = malloc(sizeof(float) * (size_t) w.count);
        v.count = 0;
        for (int i = 0; i < w.count; i++) {
            state = state * 1664525u + 1013904223u;
            float noise = (float) (state >> 8) / (1 << 23) - 1;
            if (kind == 0) v.samples[v.count++] = w.samples[i] * 0.01f;
            if (kind == 1) v.samples[v.count++] = w.samples[i] + 0.05f * noise;
            if (kind == 2 && i % 2)
                v.samples[v.count++] = (w.samples[i] + w.samples[i - 1]) / 2;
        }
        if (kind == 2) v.rate_hz /= 2;
        struct heard_beats got = follow(&v);
        struct ph_score s = ph_score_events(got.at_s, got.count, truth, n, 0.07, 5);
        printf("# kind %d: F %.3f\n", kind, s.f);
        CHECK_NUM(s.f, >=, 0.85);
        free(v.samples);
    }
    free(w.samples);
}

// 128 are 64 or 128: what is allowed decides.
TEST(a_range_of_tempi_is_kept)
{
    struct wav w = wav_golden("click_120");
    struct ph_hear *h;
    struct ph_pulse *p;
    struct ph_heard f;
    struct ph_pulse_state s = { 0 };
    CHECK_OK(ph_hear_create(&h, w.rate_hz));
    CHECK_OK(ph_pulse_create(&p));
    ph_pulse_limit(p, 55, 90);
    for (int at = 0, used; at < w.count; at += used)
        if (ph_hear_take(h, w.samples + at, w.count - at, 1, &used, &f))
            ph_pulse_step(p, f.accent, &s);
    CHECK_NUM(fabs(s.bpm - 60), <=, 1.5);
    ph_pulse_destroy(&p);
    ph_hear_destroy(&h);
    free(w.samples);
}

TEST(a_hint_sets_tempo_and_beat_at_once)
{
    struct ph_pulse *p;
    struct ph_pulse_state s;
    CHECK_OK(ph_pulse_create(&p));
    for (int i = 0; i < 300; i++) ph_pulse_step(p, 0, &s);
    ph_pulse_set(p, 140, 0.2);
    ph_pulse_step(p, 0, &s);
    CHECK_NUM(fabs(s.bpm - 140), <=, 2);
    CHECK_NUM(fabs(s.next_s - 0.19), <=, 0.02);
    CHECK_NUM(s.confidence, >=, 0.5);
    ph_pulse_set(p, -1, 0); // is no tempo
    ph_pulse_set(p, NAN, NAN);
    ph_pulse_step(p, NAN, &s);
    ph_pulse_step(p, INFINITY, &s);
    CHECK(isfinite(s.bpm) && isfinite(s.next_s));
    ph_pulse_destroy(&p);
}

TEST(scores_match_events_once)
{
    const double truth[] = { 1, 2, 3, 4 }, found[] = { 1.05, 1.06, 2.2, 2.96, 4 };
    struct ph_score s = ph_score_events(found, 5, truth, 4, 0.07, 0);
    CHECK_INT(s.matched, ==, 3);
    CHECK_NUM(fabs(s.f - 6.0 / 9), <=, 1e-12);
    s = ph_score_events(found, 5, truth, 4, 0.07, 2.5);
    CHECK_INT(s.truth, ==, 2);
    CHECK_INT(s.found, ==, 2);
    CHECK_NUM(s.f, ==, 1);
}

// --- taps

static void check_taps(const struct expected_file *e, const char *name, double bpm)
{
    char key[64];
    snprintf(key, sizeof key, "tap_%s_t", name);
    struct expected t = expected_get(e, key);
    const double *at = expected_doubles(e, key, t.count);
    struct ph_taps taps = { 0 };
    for (int i = 0; i < t.count; i++) ph_taps_add(&taps, at[i]);
    if (fabs(taps.bpm - bpm) > 0.2) TEST_FAIL("%s: %.3f, want %.1f", name, taps.bpm, bpm);
    double now = at[t.count - 1] + 0.1;
    struct ph_tempo_hint hint = ph_taps_hint(&taps, now);
    // true beats are at 1 s + k beats, but for the case that begins again
    if (!strcmp(name, "pause_change")) return;
    double beats = (now + hint.next_s - 1) * bpm / 60;
    CHECK_NUM(fabs(beats - floor(beats + 0.5)) * 60 / bpm, <=, 0.02);
}

TEST(taps_are_the_goldens)
{
    struct expected_file *e = expected_open("audio/vis_beatclock.safetensors");
    check_taps(e, "clean_120", 120);
    check_taps(e, "jitter5_128", 128);
    check_taps(e, "jitter8_90", 90);
    check_taps(e, "missing_124", 124);
    check_taps(e, "double_110", 110);
    check_taps(e, "fast_174", 174);
    check_taps(e, "pause_change", 140);
    expected_close(e);
}

// --- MIDI clock

static void check_clock(const struct expected_file *e, const char *name, double beat_tolerance)
{
    char key[5][64];
    static const char *const parts[] = { "t", "status", "check_t", "expected_bpm",
                                         "expected_beat" };
    for (int i = 0; i < 5; i++) snprintf(key[i], sizeof key[i], "midi_%s_%s", name, parts[i]);
    int64_t events = expected_get(e, key[0]).count, checks = expected_get(e, key[2]).count,
            at = 0;
    const double *t = expected_doubles(e, key[0], events);
    const uint8_t *status = expected_get(e, key[1]).data;
    const double *check_t = expected_doubles(e, key[2], checks);
    const double *bpm = expected_doubles(e, key[3], checks);
    const double *beat = expected_doubles(e, key[4], checks);
    struct ph_midi_clock c = { 0 };
    for (int64_t i = 0; i < checks; i++) {
        for (; at < events && t[at] <= check_t[i]; at++)
            ph_midi_clock_take(&c, t[at], &(struct ph_midi_message){ .status = status[at] });
        CHECK_NUM(fabs(c.bpm - bpm[i]), <=, 0.2);
        double off = ph_midi_clock_beat(&c, check_t[i]) - beat[i];
        if (fabs(off) > beat_tolerance)
            TEST_FAIL("%s: beat off by %.4f at %.2f s", name, off, check_t[i]);
    }
}

TEST(midi_clocks_are_the_goldens)
{
    struct expected_file *e = expected_open("audio/vis_beatclock.safetensors");
    check_clock(e, "clean_120", 0.03);
    check_clock(e, "jitter1ms_128", 0.03);
    check_clock(e, "jitter2ms_93p5", 0.03);
    check_clock(e, "step_120_128", 0.03);
    check_clock(e, "lossy_140",
                0.1); // the golden asks for the tempo alone; lost ticks are counted too
    expected_close(e);
}

static void tick(struct ph_midi_clock *c, double at_s)
{
    ph_midi_clock_take(c, at_s, &(struct ph_midi_message){ .status = PH_MIDI_CLOCK });
}

// Two beats at one tempo, then at another without a pause: after a beat the clock has it, and has
// counted every tick once.
static void check_step(double from_bpm, double to_bpm, int lose)
{
    struct ph_midi_clock c = { 0 };
    double now = 1;
    ph_midi_clock_take(&c, now, &(struct ph_midi_message){ .status = PH_MIDI_START });
    for (int i = 0; i < 48; i++, now += 60 / from_bpm / 24) tick(&c, now);
    for (int i = 48; i < 120; i++, now += 60 / to_bpm / 24) {
        if (i != lose) tick(&c, now);
        double off = ph_midi_clock_beat(&c, now) - i / 24.0;
        if (i >= 96 && fabs(off) > 0.05)
            TEST_FAIL("%g to %g: tick %d is off by %g beats", from_bpm, to_bpm, i, off);
        if (i >= 96 && fabs(c.bpm - to_bpm) > 0.02 * to_bpm)
            TEST_FAIL("%g to %g: %g at tick %d", from_bpm, to_bpm, c.bpm, i);
    }
}

TEST(a_clock_that_drops_far_without_a_pause_is_not_taken_for_lost_ticks)
{
    for (double ratio = 1; ratio < 4.4; ratio += 0.1) check_step(174, 174 / ratio, 0);
    check_step(120, 74, 0);
    check_step(120, 70, 0);
    check_step(120, 60, 0);
    check_step(180, 60, 0);
    check_step(174, 40, 0);
    check_step(120, 60, 70);
    check_step(120, 120, 70);
}

TEST(a_clock_that_speeds_up_far_without_a_pause_is_not_taken_for_ticks_told_twice)
{
    for (double ratio = 1; ratio < 6; ratio += 0.1) check_step(60, 60 * ratio, 0);
    check_step(40, 200, 0);
    check_step(100, 400, 0);
}

// START before tick `start` of those that come at another tempo all at once: that one is beat 0.
static void check_start(double from_bpm, double to_bpm, int start)
{
    struct ph_midi_clock c = { 0 };
    double now = 1;
    for (int i = 0; i < 48; i++, now += 60 / from_bpm / 24) tick(&c, now);
    now += 60 / to_bpm / 24 - 60 / from_bpm / 24; // the first of them is told as soon
    for (int i = 1; i <= 96; i++, now += 60 / to_bpm / 24) {
        if (i == start)
            ph_midi_clock_take(&c, now, &(struct ph_midi_message){ .status = PH_MIDI_START });
        tick(&c, now);
        double off = ph_midi_clock_beat(&c, now) - (i - start) / 24.0;
        if (i >= 60 && fabs(off) > 0.03)
            TEST_FAIL("START at tick %d, %g to %g: tick %d is off by %g beats", start, from_bpm,
                      to_bpm, i, off);
    }
}

TEST(a_start_among_the_first_ticks_of_another_tempo_is_beat_zero)
{
    static const double tempi[][2] = { { 60, 130 }, { 60, 180 }, { 40, 200 }, { 100, 400 },
                                       { 174, 60 }, { 180, 50 }, { 120, 40 } };
    for (size_t i = 0; i < sizeof tempi / sizeof *tempi; i++) {
        check_start(tempi[i][0], tempi[i][1], 3);
        check_start(tempi[i][0], tempi[i][1], 4);
        check_start(tempi[i][0], tempi[i][1], 11);
        check_start(tempi[i][0], tempi[i][1], 12);
    }
}

// By two cables, or held up and then all at once: neither is another tempo.
TEST(ticks_told_twice_and_ticks_held_up_keep_the_tempo)
{
    struct ph_midi_clock twice = { 0 }, held = { 0 };
    double now = 1;
    for (int i = 0; i < 96; i++, now += 60.0 / 120 / 24) {
        tick(&twice, now);
        tick(&twice, now + 0.0005);
        bool holds = i > 48 && i < 66;
        for (int k = 0; k < (i == 66 ? 18 : 1) && !holds; k++) tick(&held, now + 0.0001 * k);
        if (i < 12) continue;
        CHECK_NUM(fabs(twice.bpm - 120), <=, 3);
        CHECK_NUM(held.bpm, <=, 140);
    }
    CHECK_NUM(fabs(held.bpm - 120), <=, 3);
}

TEST(transport_is_the_golden)
{
    struct expected_file *e = expected_open("audio/vis_beatclock.safetensors");
    int64_t events = expected_get(e, "transport_t").count, at = 0;
    const double *t = expected_doubles(e, "transport_t", events);
    const uint8_t *status = expected_get(e, "transport_status").data;
    const int64_t *data =
        (const int64_t *) (const void *) expected_get(e, "transport_data").data;
    const double *check_t = expected_doubles(e, "transport_check_t", 4);
    const double *beat = expected_doubles(e, "transport_beat", 4);
    const uint8_t *playing = expected_get(e, "transport_playing").data;
    struct ph_midi_clock c = { 0 };
    for (int i = 0; i < 4; i++) {
        for (; at < events && t[at] <= check_t[i]; at++)
            ph_midi_clock_take(
                &c, t[at],
                &(struct ph_midi_message){ .status = status[at], .value = (int) data[at] });
        CHECK_INT(c.playing, ==, playing[i]);
        CHECK_NUM(fabs(ph_midi_clock_beat(&c, check_t[i]) - beat[i]), <=, 0.06);
    }
    CHECK_NUM(ph_midi_clock_hint(&c, check_t[3]).bpm, >, 119);
    CHECK_NUM(ph_midi_clock_hint(&c, check_t[3] + 5).bpm, ==, 0); // cut off
    expected_close(e);
}

// --- MIDI bytes

static int parse(const uint8_t *bytes, size_t size, struct ph_midi_message *out)
{
    struct ph_midi_parser p = { 0 };
    int n = 0;
    for (size_t i = 0; i < size; i++) n += ph_midi_byte(&p, bytes[i], &out[n]);
    return n;
}

TEST(midi_bytes_become_messages)
{
    static const uint8_t bytes[] = { 0x10,                      // of no status
                                     0x93, 60,   0xf8, 100,     // a clock inside a note
                                     60,   0,                   // running status, velocity 0
                                     0xb0, 7,    0xf0, 1,    2, // cut short by an exclusive
                                     0xf8, 0xf7, 5,             // a clock inside it; stray data
                                     0xe1, 0,    64,            // bend, in the middle
                                     0xf2, 32,   0,    9,       // position; no running status
                                     0xc5, 12,   13,   0xd0, 90 }; // programs, pressure
    struct ph_midi_message m[32];
    CHECK_INT(parse(bytes, sizeof bytes, m), ==, 9);
    CHECK_INT(m[0].status, ==, PH_MIDI_CLOCK);
    CHECK(m[1].status == PH_MIDI_NOTE_ON && m[1].channel == 3 && m[1].number == 60 &&
          m[1].value == 100);
    CHECK(m[2].status == PH_MIDI_NOTE_OFF && m[2].channel == 3);
    CHECK_INT(m[3].status, ==, PH_MIDI_CLOCK);
    CHECK(m[4].status == PH_MIDI_BEND && m[4].channel == 1 && m[4].value == 8192);
    CHECK(m[5].status == PH_MIDI_POSITION && m[5].value == 32);
    CHECK(m[6].status == PH_MIDI_PROGRAM && m[6].value == 12 && m[7].value == 13);
    CHECK(m[8].status == PH_MIDI_PRESSURE && m[8].value == 90);
}

TEST(a_fader_takes_over_where_the_value_is)
{
    struct ph_pickup p = { .last = -1 };
    CHECK(!ph_pickup_move(&p, 0.1, 0.5));
    CHECK(!ph_pickup_move(&p, 0.3, 0.5));
    CHECK(ph_pickup_move(&p, 0.7, 0.5)); // has passed it
    CHECK(ph_pickup_move(&p, 0.2, 0.5)); // and keeps it
    p = (struct ph_pickup){ .last = -1 };
    CHECK(ph_pickup_move(&p, 0.505, 0.5)); // was there
}

// --- the clock

static double run_tempo(struct ph_tempo *t, double from, double to,
                        const struct ph_tempo_hint *hint)
{
    struct ph_beat b = { 0 };
    for (double now = from; now < to; now += 0.01) {
        double was = b.beat;
        ph_tempo_step(t, now, hint, &b);
        CHECK_NUM(b.beat, >=, was);
    }
    return b.beat;
}

TEST(a_clock_is_set_nudged_scaled_held_and_resynced)
{
    struct ph_tempo t = { 0 };
    struct ph_beat b;
    CHECK_NUM(run_tempo(&t, 0, 1, NULL), ==, 0);
    ph_tempo_step(&t, 1, NULL, &b);
    CHECK_NUM(b.bpm, ==, 0);
    ph_tempo_set(&t, 120, 1.25);
    ph_tempo_step(&t, 1.25, NULL, &b);
    CHECK_NUM(fabs(b.beat - floor(b.beat + 0.5)), <=, 1e-9);
    CHECK_NUM(b.bpm, ==, 120);
    double at = b.beat;
    ph_tempo_step(&t, 3.25, NULL, &b);
    CHECK_NUM(fabs(b.beat - at - 4), <=, 1e-9);
    ph_tempo_step(&t, 3, NULL, &b); // time that goes back
    CHECK_NUM(fabs(b.beat - at - 4), <=, 1e-9);
    ph_tempo_scale(&t, 2);
    ph_tempo_step(&t, 3.5, NULL, &b);
    CHECK_NUM(b.bpm, ==, 240);
    CHECK_NUM(fabs(b.beat - floor(b.beat + 0.5)), <=, 1e-9);
    double fast = b.beat;
    ph_tempo_scale(&t, 0.5);
    ph_tempo_step(&t, 5.25, NULL, &b);
    CHECK_NUM(b.beat, >=, fast);
    CHECK_NUM(b.bpm, ==, 60);
    ph_tempo_scale(&t, 1);
    ph_tempo_step(&t, 5.5, NULL, &b);
    ph_tempo_resync(&t);
    ph_tempo_step(&t, 5.75, NULL, &b);
    double bar = b.beat / 4;
    CHECK(fabs(bar - floor(bar)) < 0.3 || fabs(bar - floor(bar + 0.5)) < 0.01);
    ph_tempo_hold(&t, true);
    struct ph_tempo_hint other = { 150, 0.1, 1 };
    for (double now = 6; now < 9; now += 0.01) ph_tempo_step(&t, now, &other, &b);
    CHECK_NUM(b.bpm, ==, 120);
}

TEST(a_nudge_moves_the_beat_later)
{
    struct ph_tempo a = { 0 }, b = { 0 };
    struct ph_beat beat_a, beat_b;
    ph_tempo_nudge(&b, 0.05);
    for (int i = 0; i < 1000; i++) {
        double now = i * 0.01, phase = now * 2;
        struct ph_tempo_hint hint = { 120, (floor(phase) + 1 - phase) / 2, 1 };
        ph_tempo_step(&a, now, &hint, &beat_a);
        ph_tempo_step(&b, now, &hint, &beat_b);
    }
    double off = beat_a.beat - beat_b.beat;
    CHECK_NUM(fabs(off - floor(off) - 0.1), <=, 0.01);
}

TEST(a_clock_follows_what_it_is_told_and_gives_up_in_silence)
{
    struct ph_tempo t = { 0 };
    struct ph_beat b = { 0 };
    for (int i = 0; i < 600; i++) { // a clock of the other phase and tempo
        double now = i * 0.01, phase = now * 100 / 60 + 0.4;
        struct ph_tempo_hint hint = { 100, (floor(phase) + 1 - phase) * 0.6, 0.9f };
        ph_tempo_step(&t, now, &hint, &b);
        double off = b.beat - phase;
        if (i > 200) CHECK_NUM(fabs(off - floor(off + 0.5)), <=, 0.01);
    }
    CHECK_NUM(fabs(b.bpm - 100), <=, 0.1);
    struct ph_tempo_hint nothing = { 70, 0.1, 0.01f };
    for (int i = 600; i < 1100; i++) ph_tempo_step(&t, i * 0.01, &nothing, &b);
    CHECK_NUM(b.bpm, ==, 0);
}

TEST(changes_wait_for_their_beat)
{
    struct ph_beat b = { .bpm = 120, .beat = 5.25, .per_bar = 4 };
    CHECK_NUM(ph_quantum_wait_s(&b, PH_QUANTUM_NONE), ==, 0);
    CHECK_NUM(fabs(ph_quantum_wait_s(&b, PH_QUANTUM_BEAT) - 0.375), <=, 1e-9);
    CHECK_NUM(fabs(ph_quantum_wait_s(&b, PH_QUANTUM_BAR) - 1.375), <=, 1e-9);
    CHECK_NUM(fabs(ph_quantum_wait_s(&b, PH_QUANTUM_2_BARS) - 1.375), <=, 1e-9);
    CHECK_NUM(fabs(ph_quantum_wait_s(&b, PH_QUANTUM_4_BARS) - 5.375), <=, 1e-9);
    b.beat = 8;
    CHECK_NUM(ph_quantum_wait_s(&b, PH_QUANTUM_BAR), ==, 0);
    b.bpm = 0;
    CHECK_NUM(ph_quantum_wait_s(&b, PH_QUANTUM_4_BARS), ==, 0);
}
