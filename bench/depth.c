// SPDX-License-Identifier: MIT
// Depth from end to end: a JPEG of 640x480 goes in, coloured points come out; decoding, resizing,
// the model, steadying and unprojection of every pixel in turn.
#include "lab.h"

#include <phosphene/clock.h>
#include <phosphene/graph.h>

#include <stdio.h>
#include <string.h>

#define FRAMES_MOST 128

struct way {
    const char *name;
    int width, height;
    double bar; // frames a second
};
static const struct way ways[] = {
    { "models/jpeg-to-cloud-168x224-bf16", 224, 168, 25 },
    { "models/jpeg-to-cloud-252x252-bf16", 252, 252, 15 },
    { "models/jpeg-to-cloud-378x504-bf16", 504, 378, 4 },
};

static void keep(void *opaque, struct ph_frame *f)
{
    struct ph_frame **kept = opaque;
    if (!*kept) *kept = ph_frame_ref(f);
}

static ph_err open_graph(struct bench_lab *lab, const char *text, struct ph_graph **out)
{
    static const struct ph_log quiet = { .level = PH_LOG_ERROR };
    return ph_graph_create(out, text, ph_graph_params(.mode = PH_STEPPED, .log = &quiet),
                           &lab->fault);
}

// One JPEG packet of a moving ball.
static ph_err make_jpeg(struct bench_lab *lab, struct ph_frame **out)
{
    struct ph_subscriber sub = { .deliver = keep, .opaque = out };
    struct ph_graph *g = NULL;
    *out = NULL;
    ph_err ret = open_graph(lab, "pattern ball size=640x480 fps=10 -> jpeg -> live", &g);
    if (ret < 0) return ret;
    ph_graph_subscribe(g, "live", &sub);
    ph_graph_step(g, 0);
    ph_graph_unsubscribe(g, &sub);
    ph_graph_destroy(&g);
    return *out ? PH_OK : PH_ENOTSUP;
}

static ph_err send(struct ph_graph *g, const struct ph_frame *jpeg, int64_t at_ns)
{
    struct ph_frame *f;
    ph_err ret = ph_frame_packet(NULL, PH_JPEG, jpeg->packet.size, &f);
    if (ret < 0) return ret;
    memcpy(f->packet.data, jpeg->packet.data, jpeg->packet.size);
    f->packet.size = jpeg->packet.size;
    f->packet.width = jpeg->packet.width;
    f->packet.height = jpeg->packet.height;
    f->capture_ns = at_ns;
    if ((ret = ph_graph_push(g, "b", &f)) < 0) return ret;
    return ph_graph_step(g, at_ns);
}

// The first picture makes the plan and does not count.
static ph_err time_frames(struct bench_lab *lab, struct ph_graph *g,
                          const struct ph_frame *jpeg, double *samples, size_t *n)
{
    ph_err ret = send(g, jpeg, 0);
    bench_restart(lab->b);
    int64_t begin = ph_now_ns(), end = begin + (int64_t) (bench_seconds(lab->b, 3) * 1e9);
    for (*n = 0; ret >= 0 && *n < FRAMES_MOST && (*n < 3 || ph_now_ns() < end); ++*n) {
        ret = send(g, jpeg, (int64_t) (*n + 1) * 33 * PH_MS_NS);
        int64_t now = ph_now_ns();
        samples[*n] = (double) (now - begin);
        begin = now;
    }
    return ret;
}

static void count_points(void *opaque, struct ph_frame *f)
{
    *(int *) opaque = f->kind == PH_POINTS ? f->points.count : 0;
}

static void bench_way(struct bench_lab *lab, const struct way *w)
{
    static double samples[FRAMES_MOST];
    struct ph_module *m;
    struct ph_graph *g = NULL;
    struct ph_frame *jpeg = NULL;
    char text[2000];
    size_t n = 0;
    int points = 0;
    struct ph_subscriber sub = { .deliver = count_points, .opaque = &points };
    if (!bench_begin(lab->b, w->name)) return;
    ph_err ret;
    PH_TRY(bench_lab_module(lab, BENCH_DA2_SMALL, &m));
    snprintf(
        text, sizeof text,
        "b: browser -> depth size=%dx%d precision=bf16 model=%s -> steady -> c: cloud stride=1 "
        "-> live: live\nb -> c.picture",
        w->width, w->height, m->path);
    PH_TRY(make_jpeg(lab, &jpeg));
    PH_TRY(open_graph(lab, text, &g));
    ph_graph_subscribe(g, "live", &sub);
    PH_TRY(time_frames(lab, g, jpeg, samples, &n));
    if (!points) PH_TRY(ph_fail(&lab->fault, PH_EDEVICE, "", "no points came out"));
fail:
    if (g) ph_graph_unsubscribe(g, &sub);
    ph_graph_destroy(&g);
    ph_frame_unref(&jpeg);
    if (ret < 0) {
        bench_skip(lab->b, w->name, "%s",
                   *lab->fault.message ? lab->fault.message : ph_strerror(ret));
        return;
    }
    double p50 = bench_quantile(samples, n, 0.5), p99 = bench_quantile(samples, n, 0.99);
    bench_add(lab->b, (struct bench_result){ .value = 1e9 / p50,
                                             .unit = "frames/s",
                                             .p50 = 1e9 / p50,
                                             .p99 = 1e9 / p99,
                                             .n = n,
                                             .bar = w->bar });
}

void bench_depth(struct bench_lab *lab)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !bench_stopped(lab->b); i++)
        bench_way(lab, &ways[i]);
}
