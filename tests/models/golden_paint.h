// SPDX-License-Identifier: MIT
// For cases that paint: the whole diffuser, fed with recorded noise and watched while it paints.
#ifndef PH_GOLDEN_PAINT_H
#define PH_GOLDEN_PAINT_H

#include "golden.h"
#include "models/diffuser/diffuser.h"

// Noise that a painting draws instead of its own: of slot i, and of step i in turn.
struct golden_noise {
    const float *slots, *steps;
    int64_t slot_count, step_count; // latents
};

struct golden_painter {
    struct golden_case *c;
    const struct golden_file *f;
    struct ph_diffuser *d;
    struct ph_frame *in, *out; // of the settings' size
};

// The case has a pipeline folder and runs of the manifest.
bool golden_has_pipeline(const struct golden_case *c);
// Opens the case's pipeline and sets s, which becomes the painter's. false: a failure is counted.
bool golden_painter_open(struct golden_painter *p, struct golden_case *c,
                         const struct golden_file *f, const struct ph_diffuser_settings *s,
                         const struct golden_noise *noise);
void golden_painter_close(struct golden_painter *p);
// One picture over RGB bytes [h, w, 3] (NULL = from noise); false: a failure is counted.
bool golden_painter_paint(struct golden_painter *p, const uint8_t *rgb);

// Values in order, to be compared as one tensor.
struct golden_series {
    float *data;
    int64_t at, room;
};
struct golden_series golden_series_new(struct golden_case *c, int64_t room);
void golden_series_add(struct golden_series *s, const float *x, int64_t n);
// Against `want`, of which only what was added is compared.
void golden_series_compare(struct golden_case *c, const struct golden_file *f,
                           const struct golden_series *s, struct golden_check check,
                           const struct ph_tensor *want);

// The picture that was painted against what latents decode to in the reference: `raw` [3, h, w].
// Each byte within one level, and at most one in 200 off at all: where the rounding's borders lie.
// Judged in f32 alone.
void golden_painter_compare(struct golden_painter *p, const char *label, const float *raw);
// Latents [n, ...] decoded by the pipeline's autoencoder: [n, 3, h, w] as they come.
struct ph_tensor golden_painter_decode(struct golden_painter *p, const float *latents,
                                       int64_t n);

#endif
