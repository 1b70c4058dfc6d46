// SPDX-License-Identifier: MIT
// A trained model's pictures in one precision beside f32: made-up weights have neither the outliers of
// trained ones nor answers that cancel with the noise.
#include <math.h>

#include <phosphene/frame.h>
#include <phosphene/model.h>

#include "models/gate.h"

enum { PICTURES = 2 };
static const int steps[PICTURES] = { 1, 4 }; // one step is the hardest: nothing mends its error

struct gallery {
    struct ph_frame *picture[PICTURES];
};

static void clear(struct gallery *g)
{
    for (int i = 0; i < PICTURES; i++) ph_frame_unref(&g->picture[i]);
}

static ph_err paint(struct ph_diffuser *d, int i, struct gallery *out, struct ph_fault *fault)
{
    const struct ph_prompt prompt = { "a red fox in the snow", 1 };
    int side = ph_diffuser_native_px(d);
    struct ph_diffuser_settings s;
    ph_err ret;
    ph_diffuser_defaults(&s);
    s.width = s.height = side;
    s.painting = PH_PAINT_WHOLE;
    s.from_picture = false;
    s.steps = steps[i];
    s.prompts = &prompt;
    s.prompt_count = 1;
    PH_TRY(ph_diffuser_set(d, &s, fault));
    PH_TRY(ph_diffuser_settle(d, fault));
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, side, side, &out->picture[i]));
    PH_TRY(ph_diffuser_paint(d, NULL, NULL, &out->picture[i]->picture, NULL, fault));
fail:
    return ret;
}

static ph_err fill(const char *model, const char *device, enum ph_precision precision,
                   struct gallery *out, struct ph_fault *fault)
{
    struct ph_diffuser_params params = { .model = model,
                                         .device = device,
                                         .precision = ph_precision_name(precision) };
    struct ph_diffuser *d;
    *out = (struct gallery){ 0 };
    ph_err ret = ph_diffuser_open(&params, &d, fault);
    for (int i = 0; i < PICTURES && ret >= 0; i++) ret = paint(d, i, out, fault);
    ph_diffuser_close(&d);
    if (ret < 0) clear(out);
    return ret;
}

static double psnr(const struct ph_picture *a, const struct ph_picture *b)
{
    double sum = 0;
    for (int y = 0; y < a->height; y++)
        for (int x = 0; x < a->width * 4; x++) {
            double d = (double) a->data[0][y * a->stride[0] + x] -
                       (double) b->data[0][y * b->stride[0] + x];
            if (x % 4 < 3) sum += d * d;
        }
    return 10 * log10(255.0 * 255 * 3 * a->width * a->height / (sum + 1e-9));
}

ph_err ph_gate_trained(const char *model, const char *device, struct ph_gate *gates, int count,
                       struct ph_fault *fault)
{
    struct gallery want, got;
    ph_err ret = fill(model, device, PH_PRECISION_F32, &want, fault);
    if (ret < 0) return ret;
    for (int i = 0; i < count && ret >= 0; i++) {
        ret = fill(model, device, gates[i].precision, &got, fault);
        if (ret < 0) break;
        double worst = INFINITY;
        for (int k = 0; k < PICTURES; k++)
            worst = fmin(worst, psnr(&want.picture[k]->picture, &got.picture[k]->picture));
        gates[i].trained_db = worst;
        gates[i].passed = gates[i].passed && worst >= gates[i].gate_db;
        clear(&got);
    }
    clear(&want);
    return ret;
}
