// SPDX-License-Identifier: MIT
// A small three-dimensional scene with its true depth and camera: a source for whatever works on
// depth, with an answer to compare with.
#include <phosphene/node.h>

#include "nodes/source/scene_render.h"
#include "nodes/util.h"

struct scene {
    struct ph_size size;
    float fps, orbit, spin, height, distance, fov, angle;
    bool smooth;
};

enum { OUT, DEPTH, CONFIDENCE };

static ph_err scene_open(struct ph_node *n, struct ph_fault *fault)
{
    const struct scene *p = ph_priv(n);
    ph_node_set_fps(n, (double) p->fps);
    return PH_OK;
}

static ph_err scene_apply(struct ph_node *n)
{
    return scene_open(n, NULL);
}

static double turns(int64_t pts_ns, float period_s)
{
    return period_s > 0 ? (double) pts_ns * 1e-9 / (double) period_s : 0;
}

struct frames {
    struct ph_frame *color, *depth, *confidence;
};

static ph_err make(struct ph_node *n, struct frames *f)
{
    const struct scene *p = ph_priv(n);
    int w = p->size.width, h = p->size.height;
    bool sure = ph_node_linked(n, true, CONFIDENCE);
    struct ph_scene_camera camera;
    ph_err ret;
    PH_TRY(ph_node_picture(n, NULL, PH_RGBA, w, h, &f->color));
    if (sure || ph_node_linked(n, true, DEPTH))
        PH_TRY(ph_node_picture(n, f->color, PH_DEPTHF, w, h, &f->depth));
    if (sure) PH_TRY(ph_node_picture(n, f->color, PH_DEPTHF, w, h, &f->confidence));
    ph_scene_camera_at(&camera, (double) p->angle / 360, turns(f->color->pts_ns, p->orbit), w,
                       h, (double) p->height, (double) p->distance, (double) p->fov);
    ph_scene_render(&f->color->picture, f->depth ? &f->depth->picture : NULL, &camera,
                    turns(f->color->pts_ns, p->spin), p->smooth);
    f->color->intrinsics = camera.lens;
    if (f->depth) f->depth->intrinsics = camera.lens;
    if (sure) ph_scene_confidence(&f->confidence->picture, &f->depth->picture, &camera.lens);
fail:
    return ret;
}

// Takes the frame out of *f.
static ph_err give(struct ph_node *n, int port, struct ph_frame **f)
{
    struct ph_frame *out = *f;
    *f = NULL;
    return out ? ph_node_write(n, port, out) : PH_OK;
}

static ph_err scene_process(struct ph_node *n)
{
    struct frames f = { 0 };
    ph_err ret;
    PH_TRY(make(n, &f));
    PH_TRY(give(n, CONFIDENCE, &f.confidence));
    PH_TRY(give(n, DEPTH, &f.depth));
    PH_TRY(give(n, OUT, &f.color));
fail:
    ph_frame_unref(&f.color);
    ph_frame_unref(&f.depth);
    ph_frame_unref(&f.confidence);
    return ret;
}

// clang-format off
static const struct ph_param params[] = {
    PH_SIZE(struct scene, size, 1, 4096, .def = "320x240", .unit = "px", .flags = PH_PARAM_FIRST, .help = "of picture and depth"),
    PH_FLOAT(struct scene, fps, 0, 1000, .def = "30", .unit = "fps", .help = "pictures per second; 0 = as fast as possible"),
    PH_FLOAT(struct scene, orbit, 0, 3600, .def = "24", .unit = "s", .help = "how long the camera takes once round; 0 = it stands still"),
    PH_FLOAT(struct scene, spin, 0, 3600, .def = "9", .unit = "s", .help = "how long the ring takes once round; 0 = all things stand still"),
    PH_FLOAT(struct scene, height, 0.1, 20, .def = "1.75", .unit = "m", .help = "of the camera over the ground"),
    PH_FLOAT(struct scene, distance, 2.5, 50, .def = "6.2", .unit = "m", .help = "of the camera from the middle"),
    PH_FLOAT(struct scene, fov, 10, 120, .def = "50", .unit = "deg", .help = "horizontal angle of view"),
    PH_FLOAT(struct scene, angle, -360, 360, .def = "0", .unit = "deg", .help = "where round the middle the camera begins"),
    PH_BOOL(struct scene, smooth, .def = "on", .help = "smooth edges, a third more work"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_scene = {
    .name = "scene",
    .group = "source",
    .help = "a ray-marched scene with true depth and camera parameters",
    .out = PH_PORTS({ "out", PH_PICTURE, .help = "rgba pictures" },
                    { "depth", PH_PICTURE,
                      .help = "metres along the optical axis (depthf), the sky infinite" },
                    { "confidence", PH_PICTURE,
                      .help = "1 to 2 (depthf): how squarely a surface is seen; 1 on edges" }),
    .params = params,
    .priv_size = sizeof(struct scene),
    .open = scene_open,
    .process = scene_process,
    .apply = scene_apply,
};
