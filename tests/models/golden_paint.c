// SPDX-License-Identifier: MIT
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden_paint.h"

static struct golden_noise noise; // of the painter that is open
static int64_t steps_drawn;

static void draw_recorded(uint64_t seed, uint64_t stream, uint64_t first, int64_t n, float *out)
{
    (void) seed;
    (void) first;
    memset(out, 0, sizeof *out * (size_t) n); // slots that no run has
    const float *from = NULL;
    if (stream < (uint64_t) noise.slot_count)
        from = noise.slots + (int64_t) stream * n;
    else if (stream >= PH_STEP_NOISE && steps_drawn < noise.step_count)
        from = noise.steps + n * steps_drawn++;
    if (from) memcpy(out, from, sizeof *out * (size_t) n);
}

bool golden_has_pipeline(const struct golden_case *c)
{
    return c->models == 1 && !c->model[0].module && !strcmp(c->model[0].key, "pipeline") &&
           golden_runs(c);
}

static ph_err open_painter(struct golden_painter *p, const struct ph_diffuser_settings *s,
                           struct ph_fault *fault)
{
    struct golden_case *c = p->c;
    const struct ph_json *models = ph_json_get(c->manifest, "models");
    const char *folder = ph_json_string(ph_json_get(models, c->model[0].key), "");
    struct ph_diffuser_params params = { .model =
                                             ph_tree_printf(c->mem, "%s/%s", c->dir, folder),
                                         .device = c->options->device_name,
                                         .precision =
                                             ph_precision_name(c->options->precision) };
    ph_err ret;
    PH_TRY(ph_diffuser_open(&params, &p->d, fault));
    p->d->draw = draw_recorded;
    PH_TRY(ph_diffuser_set(p->d, s, fault));
    PH_TRY(ph_diffuser_settle(p->d, fault));
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, s->width, s->height, &p->in));
    PH_TRY(ph_frame_picture(NULL, PH_RGBA, s->width, s->height, &p->out));
fail:
    return ret;
}

bool golden_painter_open(struct golden_painter *p, struct golden_case *c,
                         const struct golden_file *f, const struct ph_diffuser_settings *s,
                         const struct golden_noise *recorded)
{
    struct ph_fault fault = { 0 };
    *p = (struct golden_painter){ .c = c, .f = f };
    noise = *recorded;
    steps_drawn = 0;
    if (open_painter(p, s, &fault) >= 0) return true;
    golden_failure(c, f, "open", fault.message);
    golden_painter_close(p);
    return false;
}

void golden_painter_close(struct golden_painter *p)
{
    ph_diffuser_close(&p->d);
    ph_frame_unref(&p->in);
    ph_frame_unref(&p->out);
}

static void fill(struct ph_picture *p, const uint8_t *rgb)
{
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            uint8_t *at = p->data[0] + y * p->stride[0] + x * 4;
            memcpy(at, rgb + (y * p->width + x) * 3, 3);
            at[3] = 255;
        }
}

bool golden_painter_paint(struct golden_painter *p, const uint8_t *rgb)
{
    struct ph_fault fault = { 0 };
    struct ph_picture *in = rgb ? &p->in->picture : NULL;
    if (rgb) fill(in, rgb);
    if (ph_diffuser_paint(p->d, in, NULL, &p->out->picture, NULL, &fault) >= 0) return true;
    golden_failure(p->c, p->f, "paint", fault.message);
    return false;
}

// ------------------------------------------------------------------------------ verdicts
struct golden_series golden_series_new(struct golden_case *c, int64_t room)
{
    return (struct golden_series){ ph_new(c->mem, float, (size_t) room), 0, room };
}

void golden_series_add(struct golden_series *s, const float *x, int64_t n)
{
    if (s->at + n > s->room) n = s->room - s->at;
    memcpy(s->data + s->at, x, sizeof *x * (size_t) n);
    s->at += n;
}

void golden_series_compare(struct golden_case *c, const struct golden_file *f,
                           const struct golden_series *s, struct golden_check check,
                           const struct ph_tensor *want)
{
    if (!want || !s->at) return;
    struct ph_tensor got = { PH_F32, 1, { s->at }, s->data };
    struct ph_tensor part = golden_floats(c, want);
    if (ph_tensor_count(&part) > s->at) part.rank = 1, part.dim[0] = s->at;
    golden_compare(c, f, check, &got, &part);
}

void golden_painter_compare(struct golden_painter *p, const char *label, const float *raw)
{
    const struct ph_picture *out = &p->out->picture;
    int w = out->width, h = out->height, most = 0, differ = 0;
    char share[96];
    for (int i = 0; i < w * h * 3; i++) {
        int x = i / 3 % w, y = i / 3 / w;
        float v = raw[i % 3 * w * h + i / 3] / 2 + 0.5f;
        int want = (int) rintf(255 * (v < 0 ? 0 : v > 1 ? 1 : v));
        int off = abs(out->data[0][y * out->stride[0] + x * 4 + i % 3] - want);
        most = off > most ? off : most;
        differ += off != 0;
    }
    bool judged = p->c->options->precision == PH_PRECISION_F32;
    golden_compare_number(p->c, p->f, label, most, 0, judged);
    snprintf(share, sizeof share, "%s: share of values", label);
    golden_compare_number(p->c, p->f, share, (double) differ / (w * h * 3), 0,
                          judged ? 0.005 : 0);
}

struct ph_tensor golden_painter_decode(struct golden_painter *p, const float *latents,
                                       int64_t n)
{
    const struct ph_module *vae = p->d->maker.folder->vae;
    const struct ph_made *made = p->d->now;
    const struct ph_diffuser_settings *s = &made->wish->s;
    struct ph_tensor in = { PH_F32,
                            4,
                            { n, ph_folder_latent_channels(p->d->maker.folder), made->latent_h,
                              made->latent_w },
                            (void *) latents };
    struct golden_input inputs[2] = { { "latent", in } };
    struct ph_module_size size = { .batch = n, .height = s->height, .width = s->width };
    struct ph_prog *prog;
    if (ph_prog_create(&prog) < 0) return (struct ph_tensor){ 0 };
    ph_module_record(prog, vae, 1, &size, NULL);
    struct ph_plan *plan = golden_plan(p->c, p->f, prog, inputs, 0);
    if (!plan) return (struct ph_tensor){ 0 };
    struct ph_tensor out = golden_read(p->c, plan, "image");
    ph_plan_destroy(&plan);
    return out;
}
