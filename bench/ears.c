// SPDX-License-Identifier: MIT
// Live analysis: what a second of sound costs, how soon a sound shows, and how many beats are told in
// time. Scores need the goldens (PH_GOLDEN, else ../shared/golden).
#include "bench.h"

#include "audio/live/hear.h"
#include "audio/live/pulse.h"
#include "audio/live/score.h"
#include "audio/live/sense.h"
#include "audio/live/tempo.h"
#include "core/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE    48000
#define AHEAD_S 0.05 // how long before a beat its time is taken down
#define MAX     1000

// Everything that the node `listen` does with samples.
struct ears {
    struct ph_hear *hear;
    struct ph_pulse *pulse;
    struct ph_tempo tempo;
    struct ph_sense sense;
    float value[PH_SENSE_COUNT];
    float *sound; // stereo, a second
    double found[MAX], counted;
    int count;
};

static void ears_finish(struct ears *e)
{
    ph_hear_destroy(&e->hear);
    ph_pulse_destroy(&e->pulse);
    free(e->sound);
    free(e);
}

static struct ears *ears_new(int rate)
{
    struct ears *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->counted = -1;
    if (ph_hear_create(&e->hear, rate) == PH_OK && ph_pulse_create(&e->pulse) == PH_OK)
        return e;
    ears_finish(e);
    return NULL;
}

static void take_down(struct ears *e, double now, const struct ph_beat *beat)
{
    double ahead = beat->beat + AHEAD_S * beat->bpm / 60;
    if (beat->bpm <= 0 || floor(ahead) <= e->counted) return;
    if (e->counted >= 0 && e->count < MAX)
        e->found[e->count++] = now + AHEAD_S - (ahead - floor(ahead)) * 60 / beat->bpm;
    e->counted = floor(ahead);
}

static void listen_to(struct ears *e, const float *x, int count, int channels)
{
    static const struct ph_sense_params par;
    for (int at = 0, used; at < count; at += used) {
        struct ph_heard f;
        struct ph_pulse_state s;
        struct ph_beat beat;
        if (!ph_hear_take(e->hear, x + (ptrdiff_t) at * channels, count - at, channels, &used,
                          &f))
            continue;
        double now = f.end_s - PH_HEAR_WINDOW_S / 2;
        ph_pulse_step(e->pulse, f.accent, &s);
        struct ph_tempo_hint hint = { s.bpm, s.next_s, s.confidence };
        ph_tempo_step(&e->tempo, now, &hint, &beat);
        ph_sense_step(&e->sense, &f, &beat, &par, e->value);
        take_down(e, now, &beat);
    }
}

// --- cost

static void one_second(void *arg)
{
    struct ears *e = arg;
    listen_to(e, e->sound, RATE, 2);
}

// Kicks, hats, a chord and noise.
static void make_second(float *x)
{
    uint32_t state = 1;
    for (int i = 0; i < RATE; i++) {
        double t = (double) i / RATE, in = fmod(t, 0.5), off = fmod(t + 0.25, 0.5), v = 0;
        state = state * 1664525u + 1013904223u;
        double noise = (double) (state >> 8) / (1 << 23) - 1;
        v += exp(-in * 20) * sin(2 * M_PI * 60 * in) + 0.2 * exp(-off * 60) * noise;
        for (int k = 0; k < 3; k++) v += 0.1 * sin(2 * M_PI * (220 + 55 * k) * t);
        x[2 * i] = (float) (0.5 * v + 0.01 * noise);
        x[2 * i + 1] = x[2 * i];
    }
}

static void bench_cost(struct bench *b)
{
    struct ears *e;
    if (!bench_begin(b, "ears/cpu-48k-stereo") || !(e = ears_new(RATE))) return;
    e->sound = calloc(2 * RATE, sizeof *e->sound);
    if (e->sound) {
        make_second(e->sound);
        struct bench_timing t = bench_time(b, one_second, e);
        bench_add(b, (struct bench_result){ .value = t.p50_ns / 1e7, // of a core, in percent
                                            .unit = "%",
                                            .p50 = t.p50_ns / 1e7,
                                            .p99 = t.p99_ns / 1e7,
                                            .n = t.n,
                                            .bar = 2,
                                            .less = true });
    }
    ears_finish(e);
}

// --- latency: from a click's first sample to the end of the frame that shows it, in sound

static double shown_after_ms(int offset)
{
    struct ph_hear *h;
    struct ph_heard f;
    static float x[RATE / 2];
    int at = RATE / 4 + offset, used;
    double ms = 1e9;
    memset(x, 0, sizeof x);
    for (int i = 0; i < 240; i++) x[at + i] = 0.8f * (float) (sin(i * 0.9) * exp(-0.02 * i));
    if (ph_hear_create(&h, RATE) < 0) return ms;
    for (int i = 0; i < RATE / 2 && ms > 1e8; i += used)
        if (ph_hear_take(h, x + i, RATE / 2 - i, 1, &used, &f) && f.onset > 0.1f)
            ms = 1e3 * (f.end_s - (double) at / RATE);
    ph_hear_destroy(&h);
    return ms;
}

static void bench_latency(struct bench *b)
{
    double ms[120];
    if (!bench_begin(b, "ears/latency-worst")) return;
    for (int i = 0; i < 120; i++) ms[i] = shown_after_ms(i * 4 + 1);
    double p50 = bench_quantile(ms, 120, 0.5);
    bench_add(b, (struct bench_result){ .value = bench_quantile(ms, 120, 1),
                                        .unit = "ms",
                                        .p50 = p50,
                                        .p99 = bench_quantile(ms, 120, 0.99),
                                        .n = 120,
                                        .bar = 20,
                                        .less = true });
}

// --- scores

static char *slurp(const char *name, const char *end, size_t *size)
{
    char path[1024];
    const char *root = getenv("PH_GOLDEN");
    snprintf(path, sizeof path, "%s/audio/%s%s", root ? root : "../shared/golden", name, end);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t) ftell(f);
    rewind(f);
    char *bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, f) != *size) *size = 0;
    fclose(f);
    return bytes;
}

// The goldens are 16-bit PCM behind a header of 44 bytes.
static struct ears *hear_golden(const char *name)
{
    size_t size;
    char *bytes = slurp(name, ".wav", &size);
    const uint8_t *u = (const uint8_t *) bytes;
    if (!bytes || size <= 44) return free(bytes), NULL;
    int channels = u[22], rate = u[24] | u[25] << 8 | u[26] << 16;
    size_t n = (size - 44) / 2;
    float *x = malloc(n * sizeof *x);
    struct ears *e = x ? ears_new(rate) : NULL;
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float) (int16_t) (u[44 + 2 * i] | u[45 + 2 * i] << 8) / 32768;
    if (e) listen_to(e, x, (int) n / channels, channels);
    free(x);
    free(bytes);
    return e;
}

static int read_beats(const char *name, double *out)
{
    size_t size;
    struct ph_json_doc *doc;
    char *bytes = slurp(name, ".truth.json", &size);
    if (!bytes || ph_json_parse(&doc, bytes, size, 0, NULL) < 0) return free(bytes), 0;
    const struct ph_json *v = ph_json_get(ph_json_root(doc), "beats");
    int n = v && v->count < MAX ? v->count : 0;
    for (int i = 0; i < n; i++) out[i] = ph_json_double(ph_json_at(v, i), 0);
    ph_json_free(&doc);
    free(bytes);
    return n;
}

static void bench_score(struct bench *b, const char *name, double bar)
{
    char figure[64];
    double truth[MAX];
    snprintf(figure, sizeof figure, "ears/beats-%s", name);
    if (!bench_begin(b, figure)) return;
    struct ears *e = hear_golden(name);
    int n = read_beats(name, truth);
    if (!e) {
        bench_skip(b, figure, "there is no golden of it");
        return;
    }
    struct ph_score s = ph_score_events(e->found, e->count, truth, n, 0.07, 5);
    struct bench_result r = { .value = s.f, .unit = "F", .n = (uint64_t) s.truth, .bar = bar };
    if (bar < 0) // false beats of what has none; the bar is librosa's number
        r = (struct bench_result){
            .value = e->count, .unit = "beats", .bar = -bar - 1, .less = true
        };
    bench_add(b, r);
    ears_finish(e);
}

void bench_ears(struct bench *b)
{
    static const struct {
        const char *name;
        double bar;
    } scores[] = { { "click_060", .9 },    { "click_090", .9 },       { "click_120", .9 },
                   { "click_174", .9 },    { "song_128", .9 },        { "song_128_stereo", .9 },
                   { "song_clipped", .9 }, { "song_44k_stereo", .9 }, { "dc_offset", .9 },
                   { "ramp_100_140", .8 }, { "swing_096", .8 },       { "noise_white", -15 },
                   { "speech_en", -20 },   { "sweep_log", -1.5 } };
    bench_cost(b);
    bench_latency(b);
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++)
        bench_score(b, scores[i].name, scores[i].bar);
}
