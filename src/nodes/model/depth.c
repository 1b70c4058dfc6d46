// SPDX-License-Identifier: MIT
// How far everything in a picture is, by a model. What the numbers mean: docs/depth.md.
#include <phosphene/node.h>

#include "core/cpu.h"
#include "image/stretch.h"
#include "models/depth/depther.h"
#include "models/shelf.h"
#include "nodes/model/depth_input.h"
#include "nodes/util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT, CONFIDENCE, PICTURE, MAP };

static const char *const precisions[] = { "auto", "f32", "bf16", "int8", NULL };

struct depth {
    int64_t side;
    struct ph_size size;
    bool restore;
    char *model, *device;
    int64_t precision;

    struct ph_depther *depther;
    struct ph_depth_input input;
    char name[64], backend[64];
    bool first;                   // nothing has been asked for yet
    bool told;                    // what went wrong with it
    struct ph_depth_size wished;  // asked for last
    struct ph_depth_size now, by; // serves; by way of (DA3)
    float *numbers, *map, *sure;  // [3, h, w], [h, w], [h, w]: of what serves
    float near, far;              // of the grey map, in inverse depth; far < near
};

// --- opening

static void name_things(struct depth *p, const char *folder)
{
    const char *slash = strrchr(folder, '/');
    enum ph_precision precision = ph_precision_parse(precisions[p->precision]);
    snprintf(p->name, sizeof p->name, "%.63s", slash && slash[1] ? slash + 1 : folder);
    snprintf(p->backend, sizeof p->backend, "cpu-%s-%s", ph_cpu_level(),
             ph_precision_name(ph_precision_resolve(precision)));
}

// A large model must not hold up the end of the graph.
static bool is_over(void *node)
{
    return ph_node_stopping(node);
}

static ph_err depth_open(struct ph_node *n, struct ph_fault *fault)
{
    struct depth *p = ph_priv(n);
    char model[PH_SHELF_PATH_MAX];
    struct ph_depther_params params = {
        .model = model, .device = *p->device ? p->device : NULL, .stop = is_over, .stop_arg = n
    };
    ph_err ret;
    params.precision = ph_precision_parse(precisions[p->precision]);
    PH_TRY(ph_shelf_find_depth(p->model, model, fault));
    PH_TRY(ph_depther_open(&params, &p->depther, fault));
    if (p->size.width || p->size.height)
        PH_TRY(ph_depther_wish(p->depther, p->size.width, p->size.height, fault));
    name_things(p, model);
    p->first = true;
    ph_info(ph_node_log(n), ph_node_name(n), "%s", ph_depther_describe(p->depther));
fail:
    return ret;
}

static void free_numbers(struct depth *p)
{
    free(p->numbers);
    free(p->map);
    free(p->sure);
    p->numbers = p->map = p->sure = NULL;
}

static void depth_close(struct ph_node *n)
{
    struct depth *p = ph_priv(n);
    ph_depther_close(&p->depther);
    ph_depth_input_finish(&p->input);
    free_numbers(p);
}

static ph_err depth_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct depth *p = ph_priv(n);
    if (cut->hard) p->near = p->far = 0;
    return PH_OK;
}

// --- sizes

static struct ph_depth_size size_for(const struct depth *p, const struct ph_picture *in,
                                     struct ph_depth_size *by)
{
    *by = (struct ph_depth_size){ 0 };
    if (p->size.width || p->size.height)
        return (struct ph_depth_size){ p->size.width, p->size.height };
    return ph_depth_input_size(ph_depther_config(p->depther)->da3, in->width, in->height,
                               (int) p->side, by);
}

// Offline, and before the first, a size is waited for; else the one before serves on.
static ph_err ask(struct ph_node *n, struct ph_depth_size want, bool wait)
{
    struct depth *p = ph_priv(n);
    struct ph_fault fault = { 0 };
    ph_err ret = PH_OK;
    if (p->first || want.width != p->wished.width || want.height != p->wished.height) {
        p->wished = want;
        p->told = false;
        ret = ph_depther_wish(p->depther, want.width, want.height, &fault);
        if (ret == PH_OK && (p->first || wait)) ret = ph_depther_settle(p->depther, &fault);
        if (ret == PH_ESTOPPED) return ret; // the graph ends: no problem
        ph_node_problem(n, ret < 0 ? "%s" : NULL, fault.message);
    } else if (!p->told && ph_depther_trouble(p->depther, &fault) < 0) {
        if (fault.code == PH_ESTOPPED) return PH_ESTOPPED;
        p->told = true;
        ph_node_problem(n, "%s", fault.message);
    }
    p->first = p->first && ret < 0;
    return p->now.width ? PH_OK : ret;
}

// What landed, and the room for its numbers.
static ph_err take_over(struct depth *p, uint64_t *landed)
{
    struct ph_depth_size s = ph_depther_size(p->depther, landed);
    if (s.width == p->now.width && s.height == p->now.height) return PH_OK;
    size_t n = (size_t) s.width * (size_t) s.height;
    free_numbers(p);
    p->now = (struct ph_depth_size){ 0 };
    p->numbers = malloc(3 * n * sizeof(float));
    p->map = malloc(n * sizeof(float));
    p->sure = malloc(n * sizeof(float));
    if (!p->numbers || !p->map || !p->sure) return PH_ENOMEM;
    p->now = s;
    return PH_OK;
}

// Live, a new size lands when it is ready: chance, so the journal keeps which one each picture had.
static ph_err choose_size(struct ph_node *n, const struct ph_picture *in, uint64_t *landed)
{
    struct depth *p = ph_priv(n);
    struct ph_depth_size want = size_for(p, in, &p->by);
    int64_t kept = ph_node_replaying(n) ? ph_node_chance(n, "size", 0) : 0;
    if (kept) {
        struct ph_depth_size had = { (int) (kept >> 16), (int) (kept & 0xffff) };
        // run_model went straight to a size that still served in another one's place
        if (had.width != want.width || had.height != want.height)
            p->by = (struct ph_depth_size){ 0 };
        want = had;
    }
    ph_err ret;
    PH_TRY(ask(n, want, ph_node_offline(n)));
    PH_TRY(take_over(p, landed));
    if (!ph_node_replaying(n))
        ph_node_chance(n, "size", (int64_t) p->now.width << 16 | p->now.height);
fail:
    return ret;
}

// --- one picture

struct work {
    struct ph_frame *in;
    struct ph_depth_result result;
    uint64_t landed;
};

static ph_err run_model(struct ph_node *n, struct work *w)
{
    struct depth *p = ph_priv(n);
    const struct ph_picture *in = &w->in->picture;
    bool by = p->now.width == p->wished.width && p->now.height == p->wished.height;
    ph_err ret;
    if (ph_depther_config(p->depther)->da3)
        ret = ph_depth_input_da3(&p->input, in, by ? p->by : (struct ph_depth_size){ 0 },
                                 p->now, p->numbers);
    else
        ret = ph_depth_input_v2(&p->input, in, p->now, p->numbers);
    w->result = (struct ph_depth_result){ .depth = p->map };
    if (ph_node_linked(n, true, CONFIDENCE)) w->result.confidence = p->sure;
    return ret < 0 ? ret : ph_depther_run(p->depther, p->numbers, &w->result);
}

// The model's lens, else the camera's, for pictures of width x height.
static struct ph_intrinsics lens_of(const struct depth *p, const struct work *w, int width,
                                    int height)
{
    const struct ph_picture *in = &w->in->picture;
    const struct ph_intrinsics *own = &w->in->intrinsics;
    float x = (float) width / (float) in->width, y = (float) height / (float) in->height;
    if (own->fx > 0)
        return (struct ph_intrinsics){ own->fx * x, own->fy * y, own->cx * x, own->cy * y };
    const float *k = w->result.lens;
    x = (float) width / (float) p->now.width;
    y = (float) height / (float) p->now.height;
    return (struct ph_intrinsics){ k[0] * x, k[1] * y, k[2] * x, k[3] * y };
}

static void fill(const struct ph_picture *to, const float *from)
{
    for (int y = 0; y < to->height; y++)
        memcpy(to->data[0] + y * to->stride[0], from + (size_t) y * (size_t) to->width,
               (size_t) to->width * sizeof *from);
}

// Numbers as a frame, in the model's size or the picture's.
static ph_err give_map(struct ph_node *n, const struct work *w, int port, enum ph_format format,
                       const float *numbers)
{
    struct depth *p = ph_priv(n);
    struct ph_frame *small = NULL, *whole = NULL;
    const struct ph_picture *in = &w->in->picture;
    ph_err ret;
    PH_TRY(ph_node_picture(n, w->in, format, p->now.width, p->now.height, &small));
    fill(&small->picture, numbers);
    if (p->restore) {
        PH_TRY(ph_node_picture(n, w->in, format, in->width, in->height, &whole));
        PH_TRY(ph_image_stretch(&whole->picture, &small->picture));
        ph_frame_unref(&small);
        small = whole;
        whole = NULL;
    }
    small->intrinsics = lens_of(p, w, small->picture.width, small->picture.height);
    return ph_node_write(n, port, small);
fail:
    ph_frame_unref(&small);
    ph_frame_unref(&whole);
    return ret;
}

// --- the grey map

static float nearness(float v, bool inverse)
{
    return inverse ? v : v > 0 ? 1 / v : 0;
}

// The range widens at once and narrows slowly, so that the map does not flicker.
static void follow_range(struct depth *p, int count, bool inverse)
{
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < count; i++) {
        float v = nearness(p->map[i], inverse);
        if (!isfinite(v)) continue;
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    if (!(high >= low)) return;
    bool known = p->near > p->far;
    p->far = !known || low < p->far ? low : p->far + 0.02f * (low - p->far);
    p->near = !known || high > p->near ? high : p->near + 0.02f * (high - p->near);
}

// Near is white: what depth ControlNets were trained on.
static ph_err give_grey(struct ph_node *n, const struct work *w, bool inverse)
{
    struct depth *p = ph_priv(n);
    struct ph_frame *f;
    int width = p->now.width, height = p->now.height;
    ph_err ret = ph_node_picture(n, w->in, PH_RGBA, width, height, &f);
    if (ret < 0) return ret;
    follow_range(p, width * height, inverse);
    float scale = p->near > p->far ? 255 / (p->near - p->far) : 0;
    for (int y = 0; y < height; y++) {
        uint8_t *row = f->picture.data[0] + y * f->picture.stride[0];
        for (int x = 0; x < width; x++) {
            float v = (nearness(p->map[y * width + x], inverse) - p->far) * scale;
            uint8_t grey = v > 0 ? v < 255 ? (uint8_t) (v + 0.5f) : 255 : 0;
            row[4 * x] = row[4 * x + 1] = row[4 * x + 2] = grey;
            row[4 * x + 3] = 255;
        }
    }
    return ph_node_write(n, MAP, f);
}

// --- running

static void report(struct ph_node *n, const struct work *w, int64_t prepared_ns)
{
    const struct depth *p = ph_priv(n);
    struct ph_model_report r = { .steps = 1,
                                 .rows = 1,
                                 .encode_ns = prepared_ns,
                                 .model_ns = w->result.model_ns,
                                 .landed = w->landed };
    memcpy(r.model, p->name, sizeof r.model);
    memcpy(r.backend, p->backend, sizeof r.backend);
    ph_node_report(n, w->in, &r);
}

static ph_err give_all(struct ph_node *n, const struct work *w)
{
    struct depth *p = ph_priv(n);
    bool inverse = ph_depther_config(p->depther)->meaning == PH_DEPTH_DISPARITY;
    ph_err ret = PH_OK;
    if (ph_node_linked(n, true, CONFIDENCE))
        PH_TRY(give_map(n, w, CONFIDENCE, PH_DEPTHF, p->sure));
    if (ph_node_linked(n, true, MAP)) PH_TRY(give_grey(n, w, inverse));
    if (ph_node_linked(n, true, PICTURE)) {
        struct ph_frame *same = ph_frame_ref(w->in);
        PH_TRY(ph_node_write(n, PICTURE, same));
    }
    return give_map(n, w, OUT, inverse ? PH_INVERSEF : PH_DEPTHF, p->map);
fail:
    return ret;
}

static ph_err depth_process(struct ph_node *n)
{
    struct work w = { 0 };
    ph_err ret = ph_node_read_rgba(n, 0, &w.in);
    if (ret != PH_OK) return ret;
    int64_t begin = ph_now_ns();
    PH_TRY(choose_size(n, &w.in->picture, &w.landed));
    PH_TRY(run_model(n, &w));
    report(n, &w, ph_now_ns() - begin - w.result.model_ns);
    ret = give_all(n, &w);
fail:
    if (ret == PH_ESTOPPED) ret = PH_EOF;
    if (ret < 0) ph_node_drop(n);
    ph_frame_unref(&w.in);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct depth, side, 14, PH_DEPTH_SIDE_MAX, .def = "252", .unit = "px", .flags = PH_PARAM_FIRST, .help = "shorter side of what the model sees, in fourteens; the shape is the picture's"),
    PH_SIZE(struct depth, size, 0, PH_DEPTH_SIDE_MAX, .def = "0x0", .unit = "px", .help = "what the model sees, sides in fourteens, whatever the picture's shape; 0x0 = by side"),
    PH_BOOL(struct depth, restore, .help = "depth as large as the picture; off: as the model sees it"),
    PH_STRING(struct depth, model, .max = 4000, .flags = PH_PARAM_SETUP | PH_PARAM_PATH, .help = "folder, or a name in the models' folder; empty = the first depth model there"),
    PH_STRING(struct depth, device, .max = 64, .flags = PH_PARAM_SETUP, .help = "cpu, or cpu:threads=2; empty = cpu"),
    PH_ENUM(struct depth, precision, precisions, .flags = PH_PARAM_SETUP, .help = "auto is bf16 where the processor has it, else f32"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_depth = {
    .name = "depth",
    .group = "model",
    .help = "how far everything in a picture is, by a model",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "rgba pictures" }),
    .out = PH_PORTS(
        { "out", PH_PICTURE,
          .help = "inverse depth of unknown scale (inversef), or depth (depthf), as the "
                  "model has it; with the lens where it is known" },
        { "confidence", PH_PICTURE,
          .help = "one number a pixel, 1 and more, larger is surer (depthf)" },
        { "picture", PH_PICTURE, .help = "the picture that the depth is of" },
        { "map", PH_PICTURE,
          .help = "grey, near is white: what a ControlNet for depth goes by" }),
    .params = params,
    .priv_size = sizeof(struct depth),
    .open = depth_open,
    .close = depth_close,
    .process = depth_process,
    .cut = depth_cut,
};
