// SPDX-License-Identifier: MIT
// Sections of made songs whose changes are known.
#include "test.h"

#include "audio/sections.h"
#include "core/together.h"

enum { RATE = PH_SONG_RATE_HZ };

struct sound {
    float *x;
    int64_t n;
};

static ph_err read_sound(void *opaque, int64_t at, int64_t n, float *out)
{
    struct sound *s = opaque;
    memcpy(out, s->x + at, sizeof *out * (size_t) n);
    return PH_OK;
}

static struct ph_song *analyse(struct sound *s)
{
    struct ph_song *song = NULL;
    struct ph_song_source source = { .samples = s->n, .read = read_sound, .opaque = s };
    struct ph_song_params par = { .together = ph_together, .workers = 2 };
    struct ph_fault fault = { 0 };
    if (ph_song_analyse(&song, &source, &par, &fault)) TEST_FAIL("%s", fault.message);
    return song;
}

static struct sound sound_of(double seconds)
{
    struct sound s = { .n = (int64_t) (seconds * RATE) };
    s.x = calloc((size_t) s.n + 1, sizeof *s.x);
    CHECK(s.x);
    return s;
}

static uint32_t noise_state = 1;

static float noise(void)
{
    noise_state = noise_state * 1664525 + 1013904223;
    return (float) (noise_state >> 8) / 8388608 - 1;
}

// A way to play: four chords of a bar each (semitones above A2), how many overtones, how loud the
// drums are.
struct play {
    int chord[4];
    int overtones;
    double chords, kick, hat;
};

static const struct play verse = { { 0, 5, 7, 5 }, 2, 0.10, 0.5, 0.02 };
static const struct play chorus = { { 3, 10, 8, 1 }, 9, 0.18, 0.7, 0.15 };
static const struct play pause_of = { { 0, 0, 5, 5 }, 3, 0.08, 0, 0 };

static void add_chord(struct sound *s, double from_s, double to_s, int tone,
                      const struct play *p)
{
    static const int steps[] = { 0, 4, 7 };
    for (int64_t i = (int64_t) (from_s * RATE); i < (int64_t) (to_s * RATE) && i < s->n; i++)
        for (int k = 0; k < 3; k++)
            for (int h = 1; h <= p->overtones; h++) {
                double hz = 110 * pow(2, (tone + steps[k]) / 12.0) * h;
                s->x[i] += (float) (p->chords / h * sin(2 * M_PI * hz * (double) i / RATE));
            }
}

static void add_drums(struct sound *s, double at_s, const struct play *p, bool kick)
{
    int64_t first = (int64_t) (at_s * RATE);
    for (int64_t i = 0; i < RATE / 8 && first + i < s->n; i++) {
        double t = (double) i / RATE;
        if (kick) s->x[first + i] += (float) (p->kick * exp(-t * 30) * sin(2 * M_PI * 60 * t));
        s->x[first + i] += (float) (p->hat * exp(-t * 60)) * noise();
    }
}

// Bars of four beats at 120 a minute: two seconds each.
static void play(struct sound *s, double from_s, int bars, const struct play *p)
{
    for (int b = 0; b < bars; b++) {
        add_chord(s, from_s + 2 * b, from_s + 2 * b + 2, p->chord[b % 4], p);
        for (int k = 0; k < 8; k++) add_drums(s, from_s + 2 * b + k * 0.25, p, k % 2 == 0);
    }
}

static int find(const struct sound *s, struct ph_section *out, int most, int pieces)
{
    struct ph_sections *all;
    CHECK(ph_sections_create(&all) == PH_OK);
    for (int i = 0; i < pieces; i++) {
        int64_t from = s->n * i / pieces, to = s->n * (i + 1) / pieces;
        struct sound part = { s->x + from, to - from };
        struct ph_song *song = analyse(&part);
        CHECK(ph_sections_add(all, song) == PH_OK);
        ph_song_destroy(&song);
    }
    int count = ph_sections_find(all, out, most);
    ph_sections_destroy(&all);
    return count;
}

static void check_at(const struct ph_section *found, int count, const double *at, int want,
                     double near_s)
{
    for (int i = 0; i < count; i++)
        printf("# %.2f s: %.3f\n", found[i].begin_s, found[i].strength);
    CHECK_INT(count, ==, want);
    for (int i = 0; i < want; i++) CHECK_NUM(fabs(found[i].begin_s - at[i]), <=, near_s);
}

TEST(a_song_of_five_parts_has_five_sections_within_a_bar)
{
    static const double at[] = { 0, 16, 40, 56, 72 };
    struct sound s = sound_of(96);
    struct ph_section found[20];
    play(&s, 0, 8, &verse);
    play(&s, 16, 12, &chorus);
    play(&s, 40, 8, &verse);
    play(&s, 56, 8, &pause_of);
    play(&s, 72, 12, &chorus);
    check_at(found, find(&s, found, 20, 1), at, 5, 2.1);
    check_at(found, find(&s, found, 20, 3), at, 5, 2.1); // pieces do not show
    for (int64_t i = 0; i < s.n; i++) s.x[i] *= 0.05f;
    check_at(found, find(&s, found, 20, 1), at, 5, 2.1); // nor does the loudness
    free(s.x);
}

TEST(a_song_that_goes_on_as_it_began_has_one_section)
{
    struct ph_section found[20];
    struct sound s = sound_of(60);
    play(&s, 0, 30, &chorus);
    CHECK_INT(find(&s, found, 20, 1), ==, 1);
    CHECK_NUM(found[0].begin_s, ==, 0);
    memset(s.x, 0, sizeof *s.x * (size_t) s.n);
    CHECK_INT(find(&s, found, 20, 1), ==, 1);
    for (int64_t i = 0; i < s.n; i++) s.x[i] = noise() * 0.1f;
    CHECK_INT(find(&s, found, 20, 1), ==, 1);
    free(s.x);
}

TEST(without_a_beat_a_change_of_harmony_is_found)
{
    static const double at[] = { 0, 20, 40 };
    struct ph_section found[20];
    struct sound s = sound_of(60);
    struct play one = { { 0 }, 3, 0.1, 0, 0 };
    add_chord(&s, 0, 20, 0, &one);
    add_chord(&s, 20, 40, 6, &one);
    add_chord(&s, 40, 60, 3, &one);
    check_at(found, find(&s, found, 20, 1), at, 3, 0.6);
    free(s.x);
}

TEST(short_songs_and_few_places_are_fine)
{
    struct ph_section found[2];
    for (double seconds = 0.001; seconds < 10; seconds *= 3) {
        struct sound s = sound_of(seconds);
        for (int64_t i = 0; i < s.n; i++) s.x[i] = noise();
        CHECK_INT(find(&s, found, 2, 1), ==, 1);
        free(s.x);
    }
    struct ph_sections *none;
    CHECK(ph_sections_create(&none) == PH_OK);
    CHECK_INT(ph_sections_find(none, found, 2), ==, 0);
    ph_sections_destroy(&none);
    struct sound s = sound_of(60);
    play(&s, 0, 10, &verse);
    play(&s, 20, 10, &chorus);
    play(&s, 40, 10, &pause_of);
    CHECK_INT(find(&s, found, 2, 1), ==, 2);
    CHECK_NUM(found[0].begin_s, ==, 0);
    CHECK(found[1].strength > 0);
    CHECK_INT(find(&s, found, 1, 1), ==, 1);
    free(s.x);
}
