// SPDX-License-Identifier: MIT
// An oscilloscope's line across the picture: of the sound at `audio`, or else of a made-up wave
// that depends on nothing but the picture's time.
#include <phosphene/node.h>

#include "image/draw.h"
#include "nodes/util.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 321 // of the made-up wave: 29 to its shortest part

struct waveform {
    uint32_t color;
    float thickness, position, height, speed, gain;
    bool glow;

    float points[POINTS];
    float *y, *half, *top, *bottom; // a value for each column; y owns the memory of all
    int width;
};

enum { IN, AUDIO };

static ph_err need_columns(struct waveform *p, int width)
{
    if (p->width >= width) return PH_OK;
    free(p->y);
    p->y = malloc((size_t) width * 4 * sizeof *p->y);
    p->width = p->y ? width : 0;
    if (!p->y) return PH_ENOMEM;
    p->half = p->y + width;
    p->top = p->half + width;
    p->bottom = p->top + width;
    return PH_OK;
}

// --- the wave, -1..1

// Three sines that drift against each other; u 0..1 across the picture
static float made_up(double u, double seconds)
{
    float a = ph_sin_turns(2.0 * u - 0.31 * seconds);
    float b = ph_sin_turns(5.0 * u + 0.47 * seconds + 0.2);
    float c = ph_sin_turns(11.0 * u - 0.83 * seconds);
    float swell = 0.6f + 0.4f * ph_sin_turns(0.13 * seconds);
    return (0.55f * a + 0.30f * b + 0.15f * c * (2 * swell - 1)) * swell;
}

static void from_nothing(struct waveform *p, int width, int64_t pts_ns)
{
    double seconds = (double) pts_ns * 1e-9 * (double) p->speed;
    for (int i = 0; i < POINTS; i++) p->points[i] = made_up((double) i / (POINTS - 1), seconds);
    for (int x = 0; x < width; x++) {
        float at = ((float) x + 0.5f) * (POINTS - 1) / (float) width;
        int i = (int) at < POINTS - 2 ? (int) at : POINTS - 2;
        p->y[x] = p->points[i] + (p->points[i + 1] - p->points[i]) * (at - (float) i);
    }
}

static float mixed(const struct ph_samples *s, int at)
{
    float sum = 0;
    for (int c = 0; c < s->channels; c++) sum += s->data[at * s->channels + c];
    return sum / (float) s->channels;
}

// Where the line begins so that a tone stands still: the first rise through zero of the first half
static int find_start(const struct ph_samples *s)
{
    for (int i = 1; i < s->count / 2; i++)
        if (mixed(s, i - 1) < 0 && mixed(s, i) >= 0) return i;
    return 0;
}

static void from_sound(struct waveform *p, int width, const struct ph_samples *s)
{
    int start = find_start(s), length = s->count - s->count / 2;
    for (int x = 0; x < width; x++) {
        int at = start + (int) ((int64_t) x * length / width);
        float v = mixed(s, at) * p->gain;
        p->y[x] = v > -1 ? v < 1 ? v : 1 : -1; // also what is no number
    }
}

// --- the line

// From -1..1 to pixels; the line comes to rest at both sides of the picture.
static void place(struct waveform *p, int width, int height)
{
    float middle = p->position * (float) height, reach = p->height * (float) height / 2;
    int quarter = width / 4;
    for (int x = 0; x < width; x++) {
        int inside = x < width - 1 - x ? x : width - 1 - x;
        float rise = 1;
        if (inside < quarter) rise = 0.5f - 0.5f * ph_cos_turns(inside / (2.0 * quarter));
        p->y[x] = middle - p->y[x] * reach * rise;
    }
}

// What a line of thickness 2 needs above and below its middle in each column: more where it is
// steep, and as far as half-way to its neighbours.
static void measure(struct waveform *p, int width)
{
    for (int x = 0; x < width; x++) {
        float left = p->y[x > 0 ? x - 1 : x], right = p->y[x + 1 < width ? x + 1 : x];
        float slope = (right - left) / 2, steep = sqrtf(1 + slope * slope);
        p->half[x] = steep < 4 ? steep : 4;
        p->top[x] = fminf(p->y[x], (p->y[x] + fminf(left, right)) / 2);
        p->bottom[x] = fmaxf(p->y[x], (p->y[x] + fmaxf(left, right)) / 2);
    }
}

// Widens what is measured by `more` on both sides and draws it.
static void stroke(struct waveform *p, const struct ph_picture *dst, float more, int percent)
{
    for (int x = 0; x < dst->width; x++) {
        p->top[x] -= more * p->half[x];
        p->bottom[x] += more * p->half[x];
    }
    uint32_t alpha = (p->color & 0xff) * (uint32_t) percent / 100;
    ph_draw_band(dst, 0, p->top, p->bottom, dst->width, (p->color & ~UINT32_C(0xff)) | alpha);
}

static void draw(struct waveform *p, const struct ph_picture *dst)
{
    float thick = p->thickness > 0 ? p->thickness : fmaxf((float) dst->height / 240, 1.2f);
    measure(p, dst->width);
    stroke(p, dst, thick / 2, 100);
    if (!p->glow) return;
    // from the line outwards: light over the line's own colour changes nothing
    stroke(p, dst, thick * 0.7f, 28);
    stroke(p, dst, thick * 0.9f, 16);
    stroke(p, dst, thick * 1.2f, 9);
}

static ph_err waveform_process(struct ph_node *n)
{
    struct waveform *p = ph_priv(n);
    struct ph_frame *f, *sound = NULL;
    ph_err ret = ph_node_read_own(n, IN, &f);
    if (ret != PH_OK) return ret;
    int width = f->picture.width;
    PH_TRY(need_columns(p, width));
    if (!ph_node_linked(n, false, AUDIO))
        from_nothing(p, width, f->pts_ns);
    else if (ph_node_read(n, AUDIO, &sound) == PH_OK)
        from_sound(p, width, &sound->samples);
    else
        memset(p->y, 0, (size_t) width * sizeof *p->y); // silence until there is sound
    ph_frame_unref(&sound);
    place(p, width, f->picture.height);
    draw(p, &f->picture);
    return ph_node_write(n, 0, f);
fail:
    ph_frame_unref(&f);
    return ret;
}

static void waveform_close(struct ph_node *n)
{
    struct waveform *p = ph_priv(n);
    free(p->y);
}

// clang-format off
static const struct ph_param params[] = {
    PH_COLOR(struct waveform, color, .def = "#5eead4", .flags = PH_PARAM_FIRST, .help = "of the line"),
    PH_FLOAT(struct waveform, thickness, 0, 100, .unit = "px", .help = "of the line; 0 = by the picture's height"),
    PH_FLOAT(struct waveform, position, 0, 1, .def = "0.5", .help = "of silence: 0 is the upper edge, 1 the lower one"),
    PH_FLOAT(struct waveform, height, 0, 2, .def = "0.28", .help = "from trough to crest, in picture heights"),
    PH_FLOAT(struct waveform, speed, 0, 10, .def = "1", .help = "of the made-up wave"),
    PH_FLOAT(struct waveform, gain, 0, 100, .def = "1", .help = "of the sound"),
    PH_BOOL(struct waveform, glow, .def = "on", .help = "a soft light around the line"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_waveform = {
    .name = "waveform",
    .group = "compose",
    .help = "an oscilloscope's line across the picture",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" },
                   { "audio", PH_SAMPLES, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                     .help = "the sound to show; without it, a wave of its own" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with a line over it" }),
    .params = params,
    .priv_size = sizeof(struct waveform),
    .close = waveform_close,
    .process = waveform_process,
};
