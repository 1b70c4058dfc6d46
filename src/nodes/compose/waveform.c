// SPDX-License-Identifier: MIT
// An oscilloscope's line across the picture: of the sound at `audio`, or else of a made-up wave
// that depends on nothing but the picture's time.
#include <phosphene/node.h>

#include "image/draw.h"
#include "nodes/util.h"

#define MAX_POINTS 2048

struct waveform {
    uint32_t color;
    float thickness, position, height, speed, gain;
    bool glow;
    float xy[2 * MAX_POINTS]; // of the present picture, pixels
};

enum { IN, AUDIO };

// Three sines that drift against each other, -1..1; u 0..1 across the picture
static float made_up(double u, double seconds)
{
    float a = ph_sin_turns(2.0 * u - 0.31 * seconds);
    float b = ph_sin_turns(5.0 * u + 0.47 * seconds + 0.2);
    float c = ph_sin_turns(11.0 * u - 0.83 * seconds);
    float swell = 0.6f + 0.4f * ph_sin_turns(0.13 * seconds);
    return (0.55f * a + 0.30f * b + 0.15f * c * (2 * swell - 1)) * swell;
}

static void from_nothing(struct waveform *p, int count, int64_t pts_ns)
{
    double seconds = (double) pts_ns * 1e-9 * (double) p->speed;
    for (int i = 0; i < count; i++)
        p->xy[2 * i + 1] = made_up((double) i / (count - 1), seconds);
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

static void from_sound(struct waveform *p, int count, const struct ph_samples *s)
{
    int start = find_start(s), length = s->count - s->count / 2;
    for (int i = 0; i < count; i++) {
        int at = start + (int) ((int64_t) i * (length - 1) / (count - 1));
        float v = mixed(s, at) * p->gain;
        p->xy[2 * i + 1] = v < -1 ? -1 : v > 1 ? 1 : v;
    }
}

// From -1..1 to pixels; the line thins out to rest at both ends.
static void place(struct waveform *p, int count, int width, int height)
{
    float middle = p->position * (float) height, reach = p->height * (float) height / 2;
    for (int i = 0; i < count; i++) {
        double u = (double) i / (count - 1);
        float calm = 0.5f - 0.5f * ph_cos_turns(u < 0.5 ? u * 2 : (1 - u) * 2);
        float rise = u > 0.25 && u < 0.75 ? 1 : calm;
        p->xy[2 * i] = (float) (u * width);
        p->xy[2 * i + 1] = middle - p->xy[2 * i + 1] * reach * rise;
    }
}

static uint32_t paler(uint32_t color, int percent)
{
    return (color & ~UINT32_C(0xff)) | (color & 0xff) * (uint32_t) percent / 100;
}

static void draw(const struct waveform *p, const struct ph_picture *dst, int count)
{
    float thick = p->thickness > 0 ? p->thickness : (float) dst->height / 240;
    if (p->glow) {
        ph_draw_polyline(dst, p->xy, count, thick * 5, paler(p->color, 14));
        ph_draw_polyline(dst, p->xy, count, thick * 2.4f, paler(p->color, 28));
    }
    ph_draw_polyline(dst, p->xy, count, thick, p->color);
}

static ph_err waveform_process(struct ph_node *n)
{
    struct waveform *p = ph_priv(n);
    struct ph_frame *f, *sound = NULL;
    ph_err ret = ph_node_read_own(n, IN, &f);
    if (ret != PH_OK) return ret;
    int count = f->picture.width / 3 + 2;
    if (count > MAX_POINTS) count = MAX_POINTS;
    if (ph_node_linked(n, false, AUDIO)) {
        for (int i = 0; i < count; i++) p->xy[2 * i + 1] = 0; // silence until there is sound
        if (ph_node_read(n, AUDIO, &sound) == PH_OK) from_sound(p, count, &sound->samples);
        ph_frame_unref(&sound);
    } else {
        from_nothing(p, count, f->pts_ns);
    }
    place(p, count, f->picture.width, f->picture.height);
    draw(p, &f->picture, count);
    return ph_node_write(n, 0, f);
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
    .process = waveform_process,
};
