// SPDX-License-Identifier: MIT
// Words, and mostly a live picture, become a picture. What the knobs mean: docs/diffusion.md.
#include "nodes/model/diffusion.h"

#include "core/cpu.h"
#include "image/blend.h"
#include "image/draw.h"
#include "image/geometry.h"
#include "image/resize.h"
#include "models/shelf.h"
#include "nodes/fit.h"
#include "nodes/util.h"

#include <stdio.h>
#include <string.h>

enum { IN = DIFFUSION_IN, CONTROL = DIFFUSION_CONTROL };

static const char *const precisions[] = { "auto", "f32", "bf16", "int8", "q4", NULL };

// --- opening

static void name_things(struct diffusion *p, const char *folder)
{
    const char *slash = strrchr(folder, '/'), *precision = precisions[p->precision];
    bool cpu = !*p->device || !strncmp(p->device, "cpu", 3);
    if (!p->precision) precision = ph_cpu_flags() & PH_CPU_BF16 ? "bf16" : "f32";
    snprintf(p->name, sizeof p->name, "%.63s", slash && slash[1] ? slash + 1 : folder);
    if (cpu)
        snprintf(p->backend, sizeof p->backend, "cpu-%s-%s", ph_cpu_level(), precision);
    else
        snprintf(p->backend, sizeof p->backend, "%.*s-%s", (int) strcspn(p->device, ":"),
                 p->device, precision);
}

// A large model must not hold up the end of the graph.
static bool is_over(void *node)
{
    return ph_node_stopping(node);
}

static ph_err diffusion_open(struct ph_node *n, struct ph_fault *fault)
{
    struct diffusion *p = ph_priv(n);
    char model[PH_SHELF_PATH_MAX], vae[PH_SHELF_PATH_MAX], control[PH_SHELF_PATH_MAX];
    struct ph_diffuser_params params = { .precision = precisions[p->precision],
                                         .tune = p->tune,
                                         .model = model,
                                         .stop = is_over,
                                         .stop_arg = n };
    ph_err ret;
    PH_TRY(ph_diffusion_check(p, fault));
    PH_TRY(ph_shelf_find(p->model, model, fault));
    if (*p->vae) PH_TRY(ph_shelf_find(p->vae, vae, fault));
    if (*p->control) PH_TRY(ph_shelf_find(p->control, control, fault));
    params.vae = *p->vae ? vae : NULL;
    params.control = *p->control ? control : NULL;
    if (*p->device) params.device = p->device;
    PH_TRY(ph_diffuser_open(&params, &p->diffuser, fault));
    name_things(p, model);
    p->quality = (struct ph_diffuser_quality){ 0 };
    p->quality_told = false;
    ph_node_set_fps(n, (double) p->fps);
    ph_info(ph_node_log(n), ph_node_name(n), "%s", ph_diffuser_describe(p->diffuser));
fail:
    return ret;
}

static void diffusion_close(struct ph_node *n)
{
    struct diffusion *p = ph_priv(n);
    ph_diffuser_close(&p->diffuser);
    ph_diffusion_forget(p);
    ph_resize_destroy(&p->resize);
    ph_resize_destroy(&p->resize_control);
    ph_frame_unref(&p->fitted);
    ph_frame_unref(&p->fitted_control);
    ph_frame_unref(&p->newest);
    ph_frame_unref(&p->fading);
}

static ph_err diffusion_apply(struct ph_node *n)
{
    struct diffusion *p = ph_priv(n);
    ph_node_set_fps(n, (double) p->fps);
    if (ph_diffusion_needs_wish(p))
        p->changed = true; // wished with the next picture, whose size is known then
    return PH_OK;
}

// --- the size

static int whole_eights(int side)
{
    int n = side / 8 * 8;
    return n < 16 ? 16 : n > 4096 ? 4096 : n;
}

static struct ph_size size_for(const struct diffusion *p, const struct ph_frame *in)
{
    int native = whole_eights(ph_diffuser_native_px(p->diffuser));
    if (p->size.width || p->size.height) return p->size;
    if (!in || p->sized_by) return (struct ph_size){ native, native };
    return (struct ph_size){ whole_eights(in->picture.width),
                             whole_eights(in->picture.height) };
}

static ph_err blank(struct ph_frame **f, struct ph_size size)
{
    const struct ph_picture *p = *f ? &(*f)->picture : NULL;
    if (p && p->width == size.width && p->height == size.height) return PH_OK;
    ph_frame_unref(f);
    ph_err ret = ph_frame_picture(NULL, PH_RGBA, size.width, size.height, f);
    if (ret == PH_OK) ph_draw_clear(&(*f)->picture, 0x000000ff);
    return ret;
}

// `from` in the size that is painted: itself, or drawn into *made. NULL stays what was drawn last.
static ph_err fit(const struct diffusion *p, const struct ph_frame *from, struct ph_size size,
                  struct ph_resize **plan, struct ph_frame **made,
                  const struct ph_picture **out)
{
    *out = from ? &from->picture : NULL;
    if (from && from->picture.width == size.width && from->picture.height == size.height)
        return PH_OK;
    ph_err ret = blank(made, size);
    if (ret == PH_OK && from)
        ret = ph_fit_draw(plan, &(*made)->picture, &from->picture, (enum ph_fit) p->fit,
                          PH_FIT_AUTO, 0x000000ff);
    *out = ret == PH_OK ? &(*made)->picture : NULL;
    return ret;
}

// --- painting

struct work {
    struct ph_frame *in, *control, *out;
    struct ph_painted painted;
    struct ph_fault fault;
};

static ph_err paint_once(struct ph_node *n, struct work *w)
{
    struct diffusion *p = ph_priv(n);
    const struct ph_picture *in, *control = NULL;
    struct ph_size size;
    ph_err ret;
    ph_diffuser_size(p->diffuser, &size.width, &size.height);
    PH_TRY(fit(p, w->in, size, &p->resize, &p->fitted, &in));
    if (*p->control)
        PH_TRY(fit(p, w->control ? w->control : w->in, size, &p->resize_control,
                   &p->fitted_control, &control));
    ph_frame_unref(&w->out);
    PH_TRY(ph_node_picture(n, w->in, PH_RGBA, size.width, size.height, &w->out));
    ret = ph_diffuser_paint(p->diffuser, in, control, &w->out->picture, &w->painted, &w->fault);
    struct ph_size now;
    ph_diffuser_size(p->diffuser, &now.width, &now.height);
    if (ret == PH_EINVAL && (now.width != size.width || now.height != size.height))
        return PH_MORE; // another size landed in between
fail:
    return ret;
}

// Nothing can be painted before the first wish was made, and that may have failed.
static ph_err await_first(struct ph_node *n, struct ph_fault *fault)
{
    struct diffusion *p = ph_priv(n);
    struct ph_size size;
    ph_diffuser_size(p->diffuser, &size.width, &size.height);
    if (size.width) return PH_OK;
    if (!p->first || ph_node_replaying(n)) return PH_MORE;
    if (!ph_node_offline(n))
        ph_node_problem(n, "preparing %s for %dx%d", p->name, p->wished_size.width,
                        p->wished_size.height);
    ph_err ret = ph_diffuser_settle(p->diffuser, fault);
    if (ret == PH_ESTOPPED) return ret; // the graph ends: no problem
    if (ret < 0) {
        ph_node_landed(n, p->wished);
        ph_node_problem(n, "%s", fault->message);
    } else if (!ph_node_offline(n)) {
        ph_node_problem(n, NULL);
    }
    return ret;
}

// What a soft cut lets go stays in view, less with every picture.
static ph_err fade(struct diffusion *p, struct ph_frame *out)
{
    const struct ph_picture *old = p->fading ? &p->fading->picture : NULL;
    if (!old) return PH_OK;
    ph_err ret = PH_OK;
    int left = p->fade_of - ++p->fade_done;
    if (old->width == out->picture.width && old->height == out->picture.height && left > 0)
        ret = ph_image_blend(&out->picture, old, 0, 0, PH_BLEND_OVER, 255 * left / p->fade_of);
    if (left <= 0) ph_frame_unref(&p->fading);
    return ret;
}

static void report(struct ph_node *n, const struct work *w)
{
    struct diffusion *p = ph_priv(n);
    p->skipped += w->painted.skipped;
    struct ph_model_report r = { .steps = p->steps_now,
                                 .rows = w->painted.rows,
                                 .guidance_scale = p->scale_now,
                                 .encode_ns = w->painted.encode_ns,
                                 .model_ns = w->painted.model_ns,
                                 .decode_ns = w->painted.decode_ns,
                                 .skipped = p->skipped,
                                 .landed = w->painted.landed,
                                 .weights_db = p->quality.weights_db,
                                 .weights_gate_db = p->quality.gate_db };
    memcpy(r.model, p->name, sizeof r.model);
    memcpy(r.backend, p->backend, sizeof r.backend);
    ph_node_report(n, w->out, &r);
}

// Once, when the weights are there.
static void tell_quality(struct ph_node *n)
{
    struct diffusion *p = ph_priv(n);
    struct ph_diffuser_quality *q = &p->quality;
    if (p->quality_told) return;
    p->quality_told = true;
    ph_diffuser_rounding(p->diffuser, q);
    if (!q->gate_db) return;
    const char *precision = precisions[p->precision];
    if (q->weights_db < q->gate_db)
        ph_warn(ph_node_log(n), ph_node_name(n),
                "in %s the weights keep %.1f dB of the gate's %.0f, least in %s (%.1f dB): "
                "pictures suffer, precision=bf16 would not",
                precision, q->weights_db, q->gate_db, q->worst, q->worst_db);
    else
        ph_info(ph_node_log(n), ph_node_name(n),
                "%s: the weights keep %.1f dB (gate %.0f), least in %s: %.1f dB", precision,
                q->weights_db, q->gate_db, q->worst, q->worst_db);
}

static ph_err paint(struct ph_node *n, struct work *w)
{
    struct diffusion *p = ph_priv(n);
    ph_err ret;
    PH_TRY(ph_diffusion_settle(n, &w->fault));
    PH_TRY(await_first(n, &w->fault));
    if (ret == PH_MORE) { // refused, and said so
        ph_node_drop(n);
        return ret;
    }
    PH_TRY(ph_diffusion_steer(n, w->in ? w->in->pts_ns : ph_node_tick(n).pts_ns, &w->fault));
    do PH_TRY(paint_once(n, w));
    while (ret == PH_MORE);
    ph_diffusion_landed(n, &w->painted);
    tell_quality(n);
    report(n, w);
    PH_TRY(fade(p, w->out));
    ph_frame_unref(&p->newest);
    p->newest = ph_frame_ref(w->out);
    ret = ph_node_write(n, 0, w->out);
    w->out = NULL;
    return ret;
fail:
    if (ret == PH_ESTOPPED) return PH_EOF;
    if (w->fault.code == ret) ph_node_problem(n, "%s", w->fault.message);
    return ret;
}

static ph_err diffusion_process(struct ph_node *n)
{
    struct diffusion *p = ph_priv(n);
    bool over = ph_node_linked(n, false, IN);
    struct work w = { 0 };
    ph_err ret = over ? ph_node_read_rgba(n, IN, &w.in) : PH_OK;
    if (ret != PH_OK) return ret;
    if (*p->control && (ret = ph_node_read_rgba(n, CONTROL, &w.control)) < 0) goto fail;
    struct ph_size size = size_for(p, w.in);
    if (p->changed || over != p->wished_over || size.width != p->wished_size.width ||
        size.height != p->wished_size.height)
        ph_diffusion_wish(n, size, over);
    ret = paint(n, &w);
fail:
    ph_frame_unref(&w.in);
    ph_frame_unref(&w.control);
    ph_frame_unref(&w.out);
    return ret;
}

static ph_err diffusion_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct diffusion *p = ph_priv(n);
    ph_frame_unref(&p->fading);
    if (!cut->hard) {
        p->fading = p->newest ? ph_frame_ref(p->newest) : NULL;
        p->fade_of = cut->chunks + 1;
        p->fade_done = 0;
    }
    ph_diffuser_cut(p->diffuser);
    if (cut->hard) p->spun = 0, p->spins = false;
    return PH_OK;
}

// clang-format off
static const struct ph_param params[] = {
    PH_STRING(struct diffusion, prompt, .max = 32768, .def = "an oil painting", .flags = PH_PARAM_FIRST, .help = "what to paint; several texts with weights: \"an oil painting | a watercolour:0.3\""),
    PH_STRING(struct diffusion, negative, .max = 32768, .help = "what to keep out; needs guidance"),
    PH_FLOAT(struct diffusion, strength, 0, 1, .def = "0.5", .help = "how far from the picture; 0 keeps it, 1 paints from noise"),
    PH_INT(struct diffusion, steps, 1, PH_STEPS_MAX, .def = "1", .help = "passes of the model for one picture; in a stream they run side by side"),
    PH_STRING(struct diffusion, seed, .max = 1024, .def = "2", .help = "of the noise; several with weights: \"1 2:0.5\""),
    PH_ENUM(struct diffusion, guidance, ph_diffusion_guidances, .help = "how the prompt is pushed against the negative one; full costs twice, the other two nearly nothing"),
    PH_FLOAT(struct diffusion, guidance_scale, 0, 30, .def = "1.5", .help = "how hard guidance pushes; 1 and less = not at all"),
    PH_FLOAT(struct diffusion, delta, 0, 10, .def = "1", .help = "how much of the assumed noise guidance self and initialize take; less is bolder"),
    PH_INT(struct diffusion, transition, 0, 100000, .unit = "pictures", .help = "over how many pictures a new prompt comes in"),
    PH_ENUM(struct diffusion, blend, PH_NAMES("sphere", "linear"), .help = "how several prompts and a transition are mixed"),
    PH_FLOAT(struct diffusion, similar, 0, 1, .def = "0", .help = "pictures so like the one before show its painting again, 1 = only the very same; 0 = off"),
    PH_INT(struct diffusion, similar_max, 0, 10000, .def = "10", .unit = "pictures", .help = "so many are left out in a row; 0 = any number"),
    PH_FLOAT(struct diffusion, smooth, 0, 0.95, .help = "how much of the painting before stays in this one"),
    PH_FLOAT(struct diffusion, latent_feedback, 0, 0.4, .help = "how much of the painting before the next one starts from"),
    PH_FLOAT(struct diffusion, picture_feedback, 0, 1, .help = "how much of the painting before is mixed into the next input"),
    PH_FLOAT(struct diffusion, control_scale, 0, 2, .def = "1", .help = "how much the ControlNet steers"),
    PH_INT(struct diffusion, memory, 0, 4, .unit = "pictures", .help = "how many earlier pictures attention looks back at"),
    PH_STRING(struct diffusion, style, .max = 4096, .help = "LoRAs of the styles' folder with scales: \"lineart:0.8, ink:0.5\""),
    PH_ENUM(struct diffusion, walk, PH_NAMES("weights", "position", "notes"), .help = "how several prompts are mixed: by their weights, by where position stands on the ring of them, or by the notes that sound"),
    PH_FLOAT(struct diffusion, position, 0, 1, .flags = PH_PARAM_RING, .unit = "turns", .help = "where on the ring of prompts: 0 = the first, 1 = it again; of walk=position"),
    PH_FLOAT(struct diffusion, reach, 0, 1, .def = "0.8", .help = "how far notes pull the picture away from its base; of walk=notes"),
    PH_FLOAT(struct diffusion, radius, 0, 1, .help = "of the circle that the noise walks on, around the seed's own; 0 = it stands still"),
    PH_FLOAT(struct diffusion, angle, 0, 1, .flags = PH_PARAM_RING, .unit = "turns", .help = "where on that circle"),
    PH_FLOAT(struct diffusion, spin, -8, 8, .unit = "turns/s", .help = "how quickly it goes round by itself, from where angle is"),
    PH_STRING(struct diffusion, circle, .max = 60, .help = "two seeds, those of the circle at 0 and at a quarter: \"40 41\""),
    PH_FLOAT(struct diffusion, variation, 0, 100, .flags = PH_PARAM_RING, .help = "that many is added to every seed; fractions lie between two"),
    PH_SIZE(struct diffusion, size, 0, 4096, .def = "0x0", .unit = "px", .help = "of the painting, sides in eights; 0x0 = what sized_by says"),
    PH_ENUM(struct diffusion, sized_by, PH_NAMES("input", "model"), .help = "what size 0x0 means: the input's, or the one that the model was trained with, as always without an input"),
    PH_ENUM(struct diffusion, fit, PH_FIT_NAMES, .def = "cover", .help = "what to do when the input has another shape"),
    PH_ENUM(struct diffusion, painting, PH_NAMES("stream", "whole"), .help = "stream: steps of consecutive pictures run together; whole: each picture is finished before the next"),
    PH_ENUM(struct diffusion, sampler, ph_diffusion_samplers, .help = "auto: lcm in a stream, else what the model came with"),
    PH_STRING(struct diffusion, index, .max = 256, .help = "places of the steps in the table: \"16 32\"; empty = by strength and steps"),
    PH_INT(struct diffusion, table, 1, 1000, .def = "50", .unit = "steps", .help = "length of the table that index points into"),
    PH_FLOAT(struct diffusion, eta, 0, 1, .help = "noise between steps, of ddim and tcd"),
    PH_FLOAT(struct diffusion, fps, 0, 1000, .def = "30", .unit = "fps", .help = "pictures per second without an input; 0 = as fast as possible"),
    PH_STRING(struct diffusion, model, .max = 4000, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "folder, or a name in the models' folder; empty = the first there"),
    PH_STRING(struct diffusion, vae, .max = 4000, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "another autoencoder: taesd is ten times as quick as the model's own"),
    PH_STRING(struct diffusion, control, .max = 4000, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "a ControlNet's folder; empty = none"),
    PH_STRING(struct diffusion, styles, .max = 4000, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "folder where style looks; empty = the models' folder, its styles/ and loras/"),
    PH_STRING(struct diffusion, device, .max = 64, .flags = PH_PARAM_SETUP, .help = "cpu, or cpu:threads=2; empty = cpu"),
    PH_ENUM(struct diffusion, precision, precisions, .flags = PH_PARAM_SETUP, .help = "auto is bf16 where the processor has it, else f32"),
    PH_BOOL(struct diffusion, tune, .flags = PH_PARAM_SETUP, .help = "measure every kernel once on this machine; takes seconds, is kept"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_diffusion = {
    .name = "diffusion",
    .group = "model",
    .help = "paints over the picture that comes in, or from words alone",
    .in =
        PH_PORTS({ "in", PH_PICTURE, PH_PORT_OPTIONAL,
                   .help = "rgba pictures to paint over; unconnected: from words alone" },
                 { "control", PH_PICTURE, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                   .help = "what a ControlNet goes by; unconnected: the picture itself" },
                 { "notes", PH_SIGNALS, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                   .help = "signals chroma_c to chroma_b, such as listen's, for walk=notes" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures" }),
    .params = params,
    .priv_size = sizeof(struct diffusion),
    .open = diffusion_open,
    .close = diffusion_close,
    .process = diffusion_process,
    .apply = diffusion_apply,
    .cut = diffusion_cut,
};
