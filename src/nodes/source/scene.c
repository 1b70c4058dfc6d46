// SPDX-License-Identifier: MIT
// A small three-dimensional scene with its true depth and camera: a source for whatever works on
// depth, with an answer to compare with.
#include <phosphene/node.h>

#include "nodes/source/scene_render.h"
#include "nodes/util.h"

struct scene {
    struct ph_size size;
    float fps, orbit, spin, height, distance, fov;
    bool smooth;
};

enum { OUT, DEPTH };

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

static ph_err scene_process(struct ph_node *n)
{
    const struct scene *p = ph_priv(n);
    int w = p->size.width, h = p->size.height;
    struct ph_frame *color = NULL, *depth = NULL;
    struct ph_scene_camera camera;
    ph_err ret;
    PH_TRY(ph_node_picture(n, NULL, PH_RGBA, w, h, &color));
    if (ph_node_linked(n, true, DEPTH)) {
        PH_TRY(ph_node_picture(n, color, PH_DEPTHF, w, h, &depth));
    }
    ph_scene_camera(&camera, color->pts_ns, w, h, (double) p->orbit, (double) p->height,
                    (double) p->distance, (double) p->fov);
    ph_scene_render(&color->picture, depth ? &depth->picture : NULL, &camera,
                    turns(color->pts_ns, p->spin), p->smooth);
    color->intrinsics = camera.lens;
    if (depth) {
        depth->intrinsics = camera.lens;
        ret = ph_node_write(n, DEPTH, depth);
        depth = NULL;
        PH_TRY(ret);
    }
    return ph_node_write(n, OUT, color);
fail:
    ph_frame_unref(&color);
    ph_frame_unref(&depth);
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
                      .help = "metres along the optical axis (depthf), the sky infinite" }),
    .params = params,
    .priv_size = sizeof(struct scene),
    .open = scene_open,
    .process = scene_process,
    .apply = scene_apply,
};
