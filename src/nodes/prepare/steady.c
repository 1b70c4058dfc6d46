// SPDX-License-Identifier: MIT
// Depth that holds still and can be believed: a model's relative depth becomes metres, the film
// stops flickering, and pixels on edges or of low confidence become 0, nothing there.
#include <phosphene/node.h>

#include "image/depth.h"
#include "image/steady.h"
#include "nodes/util.h"

#include <math.h>

struct steady {
    float smooth, edge, confidence, near, far;
    bool lock;

    struct ph_steady *film;
    struct ph_depth_range range; // of relative depth
};

enum { IN, CONFIDENCE };
enum { SAMPLE = 4096, DELAY = 60 };
#define NARROW 0.01f

static ph_err steady_open(struct ph_node *n, struct ph_fault *fault)
{
    struct steady *p = ph_priv(n);
    ph_err ret = ph_steady_create(&p->film);
    return ret < 0 ? ph_fail(fault, ret, "steady", "%s", ph_strerror(ret)) : PH_OK;
}

static void steady_close(struct ph_node *n)
{
    struct steady *p = ph_priv(n);
    ph_steady_destroy(&p->film);
}

static ph_err steady_cut(struct ph_node *n, const struct ph_cut *cut)
{
    struct steady *p = ph_priv(n);
    if (!cut->hard) return PH_OK;
    ph_steady_forget(p->film);
    p->range.set = false;
    return PH_OK;
}

static ph_err refuse(struct ph_node *n, const char *what, enum ph_format got)
{
    ph_node_problem(n, "%s is a depth map (depthf, inversef), not %s", what,
                    ph_format_name(got));
    ph_node_drop(n);
    return PH_EFORMAT;
}

static bool is_depth(const struct ph_frame *f)
{
    return f->mem == PH_HOST &&
           (f->picture.format == PH_DEPTHF || f->picture.format == PH_INVERSEF);
}

// Relative depth: hold the scale, then lay the range of the film between near and far.
static ph_err to_metres(struct steady *p, const struct ph_picture *map, bool relative)
{
    float values[SAMPLE];
    struct ph_steady_params par = { relative ? PH_FIT_SCALE_SHIFT : PH_FIT_NONE, p->smooth };
    struct ph_steady_report report;
    ph_err ret = ph_steady_apply(p->film, map, map, &par, &report);
    if (ret < 0 || !relative) return ret;
    if (report.cut && !p->lock) p->range.set = false;
    int n = ph_depth_sample(values, SAMPLE, map);
    if (n && !(p->lock && p->range.set)) {
        float hi = ph_percentile(values, n, 98), lo = ph_percentile(values, n, 2);
        ph_depth_range_add(&p->range, lo, hi, DELAY, NARROW);
    }
    float far = p->far > p->near ? p->far : p->near * 1.001f;
    return ph_depth_metres(map, map, p->range.lo, p->range.hi, p->near, far);
}

static struct ph_depth_rule rule_of(const struct steady *p, const struct ph_picture *confidence)
{
    struct ph_depth_rule rule = { .near = p->near,
                                  // what was laid at the limit may be a rounding beyond it
                                  .far = p->far > 0 ? p->far * 1.0001f : INFINITY,
                                  .edge = p->edge > 0 ? p->edge : INFINITY };
    rule.near *= 0.9999f;
    if (confidence)
        rule.confidence = ph_depth_confidence(confidence, (double) p->confidence, -INFINITY);
    return rule;
}

static ph_err filter(struct ph_node *n, struct steady *p, struct ph_frame *f,
                     const struct ph_picture *confidence, struct ph_frame **out)
{
    bool relative = f->picture.format == PH_INVERSEF;
    struct ph_picture *map = &f->picture;
    ph_err ret = to_metres(p, map, relative);
    if (ret < 0) return ret;
    ret = ph_node_picture(n, f, PH_DEPTHF, map->width, map->height, out);
    if (ret < 0) return ret;
    if (confidence && (confidence->width != map->width || confidence->height != map->height))
        confidence = NULL; // of the size before
    struct ph_depth_rule rule = rule_of(p, confidence);
    return ph_depth_keep(&(*out)->picture, map, confidence, &rule);
}

static ph_err steady_process(struct ph_node *n)
{
    struct steady *p = ph_priv(n);
    struct ph_frame *f, *confidence = NULL, *out = NULL;
    ph_err ret = ph_node_read(n, IN, &f);
    if (ret != PH_OK) return ret;
    if (!is_depth(f)) {
        ret = refuse(n, "in", f->picture.format);
        ph_frame_unref(&f);
        return ret;
    }
    if ((ret = ph_frame_make_writable(&f)) < 0) return ret;
    if (p->confidence > 0 && ph_node_linked(n, false, CONFIDENCE))
        ph_node_read(n, CONFIDENCE, &confidence);
    bool usable = confidence && confidence->picture.format == PH_DEPTHF;
    ret = filter(n, p, f, usable ? &confidence->picture : NULL, &out);
    ph_frame_unref(&confidence);
    ph_frame_unref(&f);
    if (ret < 0) ph_frame_unref(&out);
    return ret < 0 ? ret : ph_node_write(n, 0, out);
}

// clang-format off
static const struct ph_param params[] = {
    PH_FLOAT(struct steady, smooth, 0, 1, .def = "0.8", .flags = PH_PARAM_FIRST, .help = "how much of a still pixel's past stays; what moves is never smoothed"),
    PH_FLOAT(struct steady, edge, 0, 1, .def = "0.05", .help = "largest step to a neighbour, as a share of the depth; flying pixels go; 0 = all stay"),
    PH_FLOAT(struct steady, confidence, 0, 95, .unit = "%", .help = "so many of the least certain pixels go; needs the input confidence"),
    PH_FLOAT(struct steady, near, 0.001, 1000, .def = "0.3", .unit = "m", .help = "nearer pixels go; where the nearest of relative depth is laid"),
    PH_FLOAT(struct steady, far, 0, 10000, .def = "12", .unit = "m", .help = "farther pixels go; where the farthest of relative depth is laid; 0 = no limit for metres"),
    PH_BOOL(struct steady, lock, .help = "keep the range of relative depth as it is now"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_steady = {
    .name = "steady",
    .group = "prepare",
    .help = "makes depth hold still and leaves out what is not to be believed",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "metres (depthf) or a model's relative depth" },
                   { "confidence", PH_PICTURE, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                     .help = "one number a pixel (depthf), larger = more certain" }),
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "metres (depthf), 0 = nothing there" }),
    .params = params,
    .priv_size = sizeof(struct steady),
    .open = steady_open,
    .close = steady_close,
    .process = steady_process,
    .cut = steady_cut,
};
