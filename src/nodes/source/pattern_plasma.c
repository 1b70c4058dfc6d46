// SPDX-License-Identifier: MIT
#include "nodes/source/pattern_draw.h"

#include "nodes/util.h"

#include <math.h>

enum { TURN = 4096 }; // a sine's steps

static float sine[TURN];

void ph_pattern_plasma_prepare(void)
{
    for (int i = 0; i < TURN; i++) sine[i] = ph_sin_turns((double) i / TURN);
}

// |turns| below 64
static float wave(float turns)
{
    return sine[(int) ((turns + 64) * TURN) & (TURN - 1)];
}

struct phases {
    float p[8]; // 0..1
};

// Each drifts at its own pace, none a multiple of another: nothing repeats for hours.
static struct phases phases_at(double seconds)
{
    static const double per_second[8] = { 0.023,  -0.031, 0.037, -0.029,
                                          -0.053, 0.017,  0.041, 0.013 };
    struct phases f;
    for (int i = 0; i < 8; i++) {
        double turns = seconds * per_second[i] + 0.37 * i;
        f.p[i] = (float) (turns - floor(turns));
    }
    return f;
}

// Three waves in a plane that two others bend: -1..1 of a place in heights from the middle.
static float field(float u, float v, const struct phases *f)
{
    float bend_u = wave(-0.43f * u + 0.91f * v + f->p[0]);
    float bend_v = wave(0.79f * u + 0.51f * v + f->p[1]);
    float x = u + 0.31f * bend_u, y = v + 0.31f * bend_v;
    float a = wave(1.07f * x - 0.61f * y + f->p[2]);
    float b = wave(0.67f * x + 1.31f * y + f->p[3]);
    float c = wave(1.53f * sqrtf(x * x + y * y) + f->p[4]);
    return (a + b + c) / 3;
}

void ph_pattern_plasma(const struct ph_picture *dst, double seconds, float cell)
{
    struct phases f = phases_at(seconds);
    float scale = 1 / (4 * cell), mx = (float) dst->width / 2, my = (float) dst->height / 2;
    for (int y = 0; y < dst->height; y++) {
        uint8_t *d = dst->data[0] + (ptrdiff_t) y * dst->stride[0];
        float v = ((float) y + 0.5f - my) * scale;
        v = v > -12 ? v < 12 ? v : 12 : -12;
        for (int x = 0; x < dst->width; x++, d += 4) {
            float u = ((float) x + 0.5f - mx) * scale;
            float value = field(u > -12 ? u < 12 ? u : 12 : -12, v, &f);
            float light = 0.5f + 0.5f * wave(1.4f * value + f.p[5]);
            light = light * light * 255;
            for (int c = 0; c < 3; c++) {
                float hue = 0.55f * value + f.p[7] + 0.31f * (float) c;
                d[c] = (uint8_t) (light * (0.52f + 0.48f * wave(hue)));
            }
            d[3] = 255;
        }
    }
}
