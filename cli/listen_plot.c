// SPDX-License-Identifier: MIT
// A song as a picture: waveform with beats, onset strength with onsets, energy of both parts, chroma.
#include "listen.h"

#include "image/draw.h"
#include "nodes/compose/glyphs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
enum {
    LEFT = 96, RIGHT = 48,
    WAVE_Y = 168, WAVE_H = 280,
    ONSET_Y = 492, ONSET_H = 168,
    ENERGY_Y = 704, ENERGY_H = 168,
    CHROMA_Y = 916, CHROMA_ROW = 18, CHROMA_H = 12 * CHROMA_ROW,
    AXIS_Y = CHROMA_Y + CHROMA_H + 10,
};
#define GROUND     0x0e1118ffu
#define PANEL      0x161b26ffu
#define GRID       0xffffff12u
#define BEAT       0xffffff2eu
#define BEAT_DOT   0xf2f5faffu
#define TEXT       0xe8ecf3ffu
#define DIM        0x98a2b5ffu
#define WAVE       0x2fa6b3ffu
#define WAVE_RMS   0x7fe3e6ffu
#define ONSET      0xf5b942ffu
#define ONSET_FILL 0xf5b94250u
#define HARMONIC   0x6f8dffffu
#define PERCUSSIVE 0xff7b5cffu
// clang-format on

struct plot {
    const struct ph_picture *p;
    const struct listen *l;
    const struct ph_song *s;
    struct ph_glyphs *glyphs; // NULL: this build draws no text
    int width;                // of the time axis, pixels
    double seconds;
    float *a, *b; // [width]
};

// ------------------------------------------------------------------------------ words
static int text_width(struct plot *d, int size, const char *text)
{
    if (!d->glyphs || ph_glyphs_set_size(d->glyphs, size, 0) ||
        ph_glyphs_layout(d->glyphs, text, 0))
        return 0;
    return ph_glyphs_width(d->glyphs);
}

// Returns where the text ends.
static int put(struct plot *d, int x, int y, int size, uint32_t color, const char *text)
{
    int width = text_width(d, size, text);
    if (width) ph_glyphs_draw(d->glyphs, d->p, x, y, color, 0);
    return x + width;
}

static void put_centred(struct plot *d, int x, int y, int size, uint32_t color,
                        const char *text)
{
    put(d, x - text_width(d, size, text) / 2, y, size, color, text);
}

static int legend(struct plot *d, int x, int y, uint32_t color, const char *text)
{
    ph_draw_disc(d->p, (float) x + 6, (float) y + 10, 5, color);
    return put(d, x + 18, y, 17, DIM, text) + 26;
}

// ------------------------------------------------------------------------------ time
static float x_of_frame(const struct plot *d, int64_t frame)
{
    return LEFT + (float) (listen_seconds(d->s, frame) / d->seconds * d->width);
}

// Frames that a column shows.
static void frames_of(const struct plot *d, int column, double *from, double *to)
{
    double frames = d->seconds * d->s->rate_hz / d->s->hop / d->width;
    *from = column * frames;
    *to = (column + 1) * frames;
}

enum how { MEAN, LEAST, MOST };

// A column's value of rows `width` wide: of all its frames, or between two where frames are wider.
static double value_at(const struct plot *d, const float *x, int width, int column,
                       enum how how)
{
    double from, to, sum = 0, best = 0;
    int64_t last = d->s->frames - 1;
    frames_of(d, column, &from, &to);
    int64_t first = (int64_t) from < last ? (int64_t) from : last;
    if (to - from < 1) {
        int64_t next = first < last ? first + 1 : last;
        double part = from - (double) first < 1 ? from - (double) first : 0;
        return (double) x[first * width] * (1 - part) + (double) x[next * width] * part;
    }
    int64_t end = (int64_t) to < last + 1 ? (int64_t) to : last + 1;
    end = end > first ? end : first + 1;
    for (int64_t t = first; t < end; t++) {
        double v = (double) x[t * width];
        sum += v;
        if (t == first || (how == LEAST ? v < best : v > best)) best = v;
    }
    return how == MEAN ? sum / (double) (end - first) : best;
}

static double largest(const float *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = (double) x[i] > most ? (double) x[i] : most;
    return most;
}

// ------------------------------------------------------------------------------ frame
static void panel(struct plot *d, int y, int h, const char *title)
{
    ph_draw_rect(d->p, LEFT, y, d->width, h, PANEL);
    put(d, LEFT, y - 30, 19, TEXT, title);
}

static double tick_s(double seconds)
{
    static const double steps[] = { 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,    2,    5,    10,   15,
                                    30,   60,   120,  300, 600, 900, 1800, 3600, 7200, 14400 };
    size_t i = 0;
    while (i + 1 < sizeof steps / sizeof *steps && seconds / steps[i] > 14) i++;
    return steps[i];
}

static void axis(struct plot *d)
{
    double step = tick_s(d->seconds);
    for (int i = 0; i * step <= d->seconds; i++) {
        double at = i * step;
        int x = LEFT + (int) (at / d->seconds * d->width);
        char text[32];
        static const int y[] = { WAVE_Y, ONSET_Y, ENERGY_Y },
                         h[] = { WAVE_H, ONSET_H, ENERGY_H };
        for (int k = 0; k < 3 && i; k++) ph_draw_rect(d->p, x, y[k], 1, h[k], GRID);
        if (step < 1)
            snprintf(text, sizeof text, "%.2f s", at);
        else if (d->seconds >= 3600)
            snprintf(text, sizeof text, "%d:%02d:%02d", (int) at / 3600, (int) at / 60 % 60,
                     (int) at % 60);
        else
            snprintf(text, sizeof text, "%d:%02d", (int) at / 60, (int) at % 60);
        ph_draw_rect(d->p, x, AXIS_Y - 8, 1, 8, DIM);
        put_centred(d, x, AXIS_Y + 4, 17, DIM, text);
    }
}

static void header(struct plot *d)
{
    const struct ph_song *s = d->s;
    char line[512], time[32], key[32];
    double bpm = listen_bpm(s, &s->beats);
    put(d, LEFT, 24, 40, TEXT, d->l->name);
    listen_time(d->l->file->seconds, time, sizeof time);
    listen_key(&s->key, key, sizeof key);
    int n = snprintf(line, sizeof line, "%s", time);
    if (bpm > 0) n += snprintf(line + n, sizeof line - (size_t) n, "   ·   %.1f BPM", bpm);
    if (s->beats.count)
        n += snprintf(line + n, sizeof line - (size_t) n, "   ·   %lld beats",
                      (long long) s->beats.count);
    n += snprintf(line + n, sizeof line - (size_t) n, "   ·   %lld onsets",
                  (long long) s->onsets);
    if (*key) n += snprintf(line + n, sizeof line - (size_t) n, "   ·   %s", key);
    snprintf(line + n, sizeof line - (size_t) n, "   ·   %.1f dBFS, peak %.1f",
             listen_db(s->rms_all), listen_db((double) s->peak));
    put(d, LEFT, 82, 22, DIM, line);
}

// ------------------------------------------------------------------------------ panels
static void draw_wave(struct plot *d)
{
    const struct ph_song *s = d->s;
    double scale = (double) s->peak > 1e-6 ? (WAVE_H / 2 - 8) / (double) s->peak : 0;
    float middle = WAVE_Y + WAVE_H / 2.0f;
    panel(d, WAVE_Y, WAVE_H, "waveform and beats");
    int x = legend(d, LEFT + 236, WAVE_Y - 30, WAVE, "range");
    x = legend(d, x, WAVE_Y - 30, WAVE_RMS, "effective");
    legend(d, x, WAVE_Y - 30, BEAT_DOT, "beat");
    for (int i = 0; i < d->width; i++) {
        d->a[i] = middle - (float) (value_at(d, s->high, 1, i, MOST) * scale) - 0.5f;
        d->b[i] = middle - (float) (value_at(d, s->low, 1, i, LEAST) * scale) + 0.5f;
    }
    ph_draw_band(d->p, LEFT, d->a, d->b, d->width, WAVE);
    for (int i = 0; i < d->width; i++) {
        float half = (float) (value_at(d, s->rms, 1, i, MEAN) * scale);
        d->a[i] = middle - half;
        d->b[i] = middle + half;
    }
    ph_draw_band(d->p, LEFT, d->a, d->b, d->width, WAVE_RMS);
}

// Beats go through all panels but chroma; where they would be a carpet, only their dots are drawn.
static void draw_beats(struct plot *d)
{
    const struct ph_beats *b = &d->s->beats;
    if (b->count < 1) return;
    double apart = (double) d->width / (double) b->count;
    for (int64_t i = 0; i < b->count; i++) {
        float x = x_of_frame(d, b->frame[i]);
        if (apart >= 6) {
            ph_draw_line(d->p, x, WAVE_Y, x, WAVE_Y + WAVE_H, 1.5f, BEAT);
            ph_draw_line(d->p, x, ONSET_Y, x, ONSET_Y + ONSET_H, 1.5f, BEAT);
            ph_draw_line(d->p, x, ENERGY_Y, x, ENERGY_Y + ENERGY_H, 1.5f, BEAT);
        }
        ph_draw_disc(d->p, x, WAVE_Y, apart >= 12 ? 5 : apart >= 5 ? 3 : 1.2f, BEAT_DOT);
    }
}

// A row as a hill on the panel's floor.
static void hill(struct plot *d, const float *x, bool root, double most, int y, int h,
                 uint32_t fill, uint32_t line)
{
    for (int i = 0; i < d->width; i++) {
        double v = value_at(d, x, 1, i, MOST);
        v = most > 0 ? (root ? sqrt(v / most) : v / most) : 0;
        d->a[i] = (float) (y + h) - (float) (v * (h - 14)) - 0.5f;
        d->b[i] = (float) (y + h);
    }
    ph_draw_band(d->p, LEFT, d->a, d->b, d->width, fill);
    ph_draw_wave(d->p, LEFT, d->a, d->width, 2, line);
}

static void draw_onsets(struct plot *d)
{
    const struct ph_song *s = d->s;
    double most = largest(s->onset, s->frames);
    double apart = s->onsets ? (double) d->width / (double) s->onsets : 0;
    panel(d, ONSET_Y, ONSET_H, "onset strength");
    legend(d, LEFT + 236, ONSET_Y - 30, ONSET, "onset");
    hill(d, s->onset, false, most, ONSET_Y, ONSET_H, ONSET_FILL, ONSET);
    for (int64_t i = 0; i < s->onsets; i++) {
        int64_t t = s->onset_frame[i];
        float x = x_of_frame(d, t);
        float y = ONSET_Y + ONSET_H -
                  (float) (most > 0 ? (double) s->onset[t] / most : 0) * (ONSET_H - 14);
        ph_draw_disc(d->p, x, y, apart >= 10 ? 4.5f : apart >= 5 ? 3 : 1.5f, ONSET);
    }
}

static void draw_energy(struct plot *d)
{
    const struct ph_song *s = d->s;
    double h = largest(s->harmonic, s->frames), p = largest(s->percussive, s->frames);
    panel(d, ENERGY_Y, ENERGY_H, "energy");
    int x = legend(d, LEFT + 236, ENERGY_Y - 30, HARMONIC, "harmonic");
    legend(d, x, ENERGY_Y - 30, PERCUSSIVE, "percussive");
    h = h > p ? h : p;
    hill(d, s->harmonic, true, h, ENERGY_Y, ENERGY_H, (HARMONIC & ~0xffu) | 0x58, HARMONIC);
    hill(d, s->percussive, true, h, ENERGY_Y, ENERGY_H, (PERCUSSIVE & ~0xffu) | 0x58,
         PERCUSSIVE);
}

// Dark blue, violet, coral, pale yellow.
static uint32_t heat(double v)
{
    static const int stop[5][3] = {
        { 22, 27, 38 }, { 60, 38, 110 }, { 178, 52, 118 }, { 250, 130, 82 }, { 255, 240, 190 }
    };
    double at = (v < 0 ? 0 : v > 1 ? 1 : v) * 4;
    int i = at < 4 ? (int) at : 3;
    uint32_t color = 0;
    for (int c = 0; c < 3; c++) {
        double mixed = stop[i][c] + (at - i) * (stop[i + 1][c] - stop[i][c]);
        color = color << 8 | (uint32_t) (mixed + 0.5);
    }
    return color << 8 | 0xff;
}

static void draw_chroma(struct plot *d)
{
    const struct ph_song *s = d->s;
    const float *rows =
        largest(s->chroma_cqt, s->frames * PH_CHROMA) > 0 ? s->chroma_cqt : s->chroma;
    panel(d, CHROMA_Y, CHROMA_H, "chroma");
    for (int i = 0; i < d->width; i++) {
        // a silent frame has a chroma too, that of its noise
        double level = listen_db(value_at(d, s->rms, 1, i, MEAN)) - listen_db(s->rms_all);
        double seen = level > -30 ? 1 : level > -60 ? (level + 60) / 30 : 0;
        for (int c = 0; c < PH_CHROMA; c++) {
            double v = value_at(d, rows + c, PH_CHROMA, i, MEAN);
            ph_draw_rect(d->p, LEFT + i, CHROMA_Y + (11 - c) * CHROMA_ROW, 1, CHROMA_ROW,
                         heat(v * v * seen));
        }
    }
    for (int c = 0; c < PH_CHROMA; c++) {
        bool black = ph_pitch_names[c][1] != '\0';
        put(d, LEFT - (black ? 40 : 28), CHROMA_Y + (11 - c) * CHROMA_ROW - 1, black ? 13 : 16,
            black ? DIM : TEXT, ph_pitch_names[c]);
    }
}

ph_err listen_plot(struct ph_picture *out, const struct listen *l, struct ph_fault *fault)
{
    struct plot d = { .p = out, .l = l, .s = l->song, .width = out->width - LEFT - RIGHT };
    d.seconds = (double) l->song->samples / l->song->rate_hz;
    d.a = calloc((size_t) d.width * 2, sizeof *d.a);
    if (!d.a) return ph_fail(fault, PH_ENOMEM, "", "out of memory for the picture");
    d.b = d.a + d.width;
    if (ph_glyphs_create(&d.glyphs, "", "", NULL) < 0) d.glyphs = NULL;
    ph_draw_clear(out, GROUND);
    header(&d);
    draw_wave(&d);
    draw_onsets(&d);
    draw_energy(&d);
    draw_chroma(&d);
    draw_beats(&d);
    axis(&d);
    if (d.glyphs) ph_glyphs_destroy(&d.glyphs);
    free(d.a);
    return PH_OK;
}
