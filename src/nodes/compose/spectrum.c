// SPDX-License-Identifier: MIT
// Bars of a sound's spectrum: Hann window of 2048 samples, bands of equal musical width from 40 Hz
// to 16 kHz, in dB of a full-scale sine; a bar rises at once and falls at a rate per second.
#include <phosphene/node.h>

#include "audio/fft.h"
#include "audio/window.h"
#include "image/draw.h"
#include "nodes/util.h"

#include <math.h>
#include <string.h>

enum { IN, AUDIO };
enum { N = 2048, BARS = 256 };

struct spectrum {
    int64_t bars;
    uint32_t color;
    float position, height, range, fall, gap;

    struct ph_fft *fft;
    struct ph_pace pace;
    int64_t heard_ns; // pts of the newest sound in `sound`
    bool heard;
    int rate_hz;
    float window[N], sound[N], work[2 * N], bins[N + 2], level[BARS];
};

static ph_err spectrum_open(struct ph_node *n, struct ph_fault *fault)
{
    struct spectrum *p = ph_priv(n);
    ph_hann(p->window, N);
    return ph_fft_create(&p->fft, N);
}

static void spectrum_close(struct ph_node *n)
{
    struct spectrum *p = ph_priv(n);
    ph_fft_destroy(&p->fft);
}

// The newest N samples, mixed to one channel.
static void hear(struct spectrum *p, const struct ph_samples *s)
{
    int count = s->count < N ? s->count : N;
    memmove(p->sound, p->sound + count, (size_t) (N - count) * sizeof *p->sound);
    for (int i = 0; i < count; i++) {
        const float *at = s->data + (ptrdiff_t) (s->count - count + i) * s->channels;
        float sum = 0;
        for (int c = 0; c < s->channels; c++) sum += at[c];
        p->sound[N - count + i] = isfinite(sum) ? sum / (float) s->channels : 0;
    }
    p->rate_hz = s->rate_hz;
}

// 0..1 of bar i of n: its loudest bin. A full-scale sine has a magnitude of N / 4.
static float loudness(const struct spectrum *p, int i, int n)
{
    double low = 40 * pow(400, (double) i / n), high = 40 * pow(400, (double) (i + 1) / n);
    int from = (int) (low * N / p->rate_hz + 0.5), to = (int) (high * N / p->rate_hz + 0.5);
    float most = 0;
    for (int k = from; k <= (to > from ? to - 1 : from) && k <= N / 2; k++) {
        float re = p->bins[2 * k], im = p->bins[2 * k + 1];
        most = fmaxf(most, re * re + im * im);
    }
    float db = 10 * log10f(fmaxf(most, 1e-12f) / ((float) N * N / 16));
    return fminf(fmaxf(1 + db / p->range, 0), 1);
}

static void analyse(struct spectrum *p, double dt_s)
{
    float in[N];
    int n = (int) p->bars;
    if (p->rate_hz < 1) return;
    for (int i = 0; i < N; i++) in[i] = p->sound[i] * p->window[i];
    ph_fft_forward(p->fft, in, p->bins, p->work);
    for (int i = 0; i < n; i++)
        p->level[i] = fmaxf(loudness(p, i, n), p->level[i] - p->fall * (float) dt_s);
}

static void draw(const struct spectrum *p, const struct ph_picture *pic)
{
    float w = (float) pic->width, h = (float) pic->height;
    int n = (int) p->bars, foot = (int) (p->position * h + 0.5f);
    for (int i = 0; i < n; i++) {
        int left = (int) (w * ((float) i + p->gap / 2) / (float) n);
        int right = (int) (w * ((float) i + 1 - p->gap / 2) / (float) n);
        int tall = (int) (p->level[i] * p->height * h + 0.5f);
        ph_draw_rect(pic, left, foot - tall, right > left ? right - left : 1, tall, p->color);
    }
}

static ph_err spectrum_process(struct ph_node *n)
{
    struct spectrum *p = ph_priv(n);
    struct ph_frame *f, *sound = NULL;
    ph_err ret = ph_node_read_own(n, IN, &f);
    if (ret != PH_OK) return ret;
    if (ph_node_linked(n, false, AUDIO) && ph_node_read(n, AUDIO, &sound) == PH_OK) {
        if (!p->heard || sound->pts_ns != p->heard_ns) hear(p, &sound->samples);
        p->heard = true;
        p->heard_ns = sound->pts_ns;
    }
    ph_frame_unref(&sound);
    analyse(p, ph_pace_step(&p->pace, f->pts_ns));
    draw(p, &f->picture);
    return ph_node_write(n, 0, f);
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct spectrum, bars, 1, BARS, .def = "48", .flags = PH_PARAM_FIRST, .help = "from 40 Hz to 16 kHz"),
    PH_COLOR(struct spectrum, color, .def = "#5eead4", .help = "of the bars"),
    PH_FLOAT(struct spectrum, position, 0, 1, .def = "1", .help = "of their feet: 0 is the upper edge, 1 the lower one"),
    PH_FLOAT(struct spectrum, height, 0, 2, .def = "0.4", .unit = "heights", .help = "of the loudest bar"),
    PH_FLOAT(struct spectrum, range, 6, 120, .def = "60", .unit = "dB", .help = "from nothing to the loudest"),
    PH_FLOAT(struct spectrum, fall, 0, 100, .def = "1.5", .help = "how much of the range a bar falls in a second"),
    PH_FLOAT(struct spectrum, gap, 0, 0.95, .def = "0.3", .help = "between two bars"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_spectrum = {
    .name = "spectrum",
    .group = "compose",
    .help = "draws a sound's spectrum as bars over the picture",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "an rgba picture" },
                   { "audio", PH_SAMPLES, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                     .help = "the sound; without it there are no bars" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "the same with bars over it" }),
    .params = params,
    .priv_size = sizeof(struct spectrum),
    .open = spectrum_open,
    .close = spectrum_close,
    .process = spectrum_process,
};
