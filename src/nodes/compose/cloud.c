// SPDX-License-Identifier: MIT
// A depth map and its picture become coloured points.
#include <phosphene/node.h>

#include "image/cloud.h"
#include "image/resize.h"
#include "nodes/compose/voxels.h"
#include "nodes/fit.h"
#include "nodes/util.h"

#include <math.h>

struct cloud {
    int64_t stride;
    float fov, voxel;

    struct ph_resize *resize;
    struct ph_voxels voxels;
};

enum { IN, PICTURE };

static void cloud_close(struct ph_node *n)
{
    struct cloud *p = ph_priv(n);
    ph_resize_destroy(&p->resize);
    ph_voxels_finish(&p->voxels);
}

// The camera's own lens if it is known and nothing else is asked for.
static struct ph_intrinsics lens_of(const struct cloud *p, const struct ph_frame *f)
{
    float w = (float) f->picture.width, h = (float) f->picture.height;
    if (p->fov <= 0 && f->intrinsics.fx > 0) return f->intrinsics;
    float fov = p->fov > 0 ? p->fov : 60;
    float focal = w / 2 / tanf(fov * (float) M_PI / 360);
    return (struct ph_intrinsics){ focal, focal, w / 2, h / 2 };
}

// The picture in the depth map's size; *made is to be released.
static ph_err colors_of(struct ph_node *n, struct cloud *p, const struct ph_frame *depth,
                        struct ph_frame *picture, struct ph_frame **made)
{
    int w = depth->picture.width, h = depth->picture.height;
    *made = NULL;
    if (!picture || picture->picture.format != PH_RGBA) return PH_OK;
    if (picture->picture.width == w && picture->picture.height == h) {
        *made = ph_frame_ref(picture);
        return PH_OK;
    }
    ph_err ret = ph_node_picture(n, depth, PH_RGBA, w, h, made);
    if (ret < 0) return ret;
    return ph_fit_draw(&p->resize, &(*made)->picture, &picture->picture, PH_FIT_STRETCH,
                       PH_FIT_AUTO, 0);
}

static ph_err make(struct ph_node *n, struct cloud *p, const struct ph_frame *depth,
                   const struct ph_frame *color, struct ph_frame **out)
{
    const struct ph_picture *map = &depth->picture;
    struct ph_intrinsics lens = lens_of(p, depth);
    int most = ph_cloud_most(map->width, map->height, (int) p->stride);
    ph_err ret = ph_node_points(n, depth, most + PH_CLOUD_SLACK, out);
    if (ret < 0) return ret;
    struct ph_points *points = &(*out)->points;
    (*out)->intrinsics = lens;
    lens.cx -= 0.5f; // to whole pixels
    lens.cy -= 0.5f;
    points->count = ph_cloud_unproject(points->xyz, points->rgb, map,
                                       color ? &color->picture : NULL, &lens, (int) p->stride);
    return p->voxel > 0 ? ph_voxels_thin(&p->voxels, points, p->voxel) : PH_OK;
}

static ph_err cloud_process(struct ph_node *n)
{
    struct cloud *p = ph_priv(n);
    struct ph_frame *depth, *picture = NULL, *color = NULL, *out = NULL;
    ph_err ret = ph_node_read(n, IN, &depth);
    if (ret != PH_OK) return ret;
    if (depth->picture.format != PH_DEPTHF) {
        ph_node_problem(n, "in is a depth map in metres, not %s: put steady before it",
                        ph_format_name(depth->picture.format));
        ph_node_drop(n);
        ph_frame_unref(&depth);
        return PH_EFORMAT;
    }
    if (ph_node_linked(n, false, PICTURE)) ph_node_read(n, PICTURE, &picture);
    ret = colors_of(n, p, depth, picture, &color);
    if (ret == PH_OK) ret = make(n, p, depth, color, &out);
    ph_frame_unref(&picture);
    ph_frame_unref(&color);
    ph_frame_unref(&depth);
    if (ret < 0) ph_frame_unref(&out);
    return ret < 0 ? ret : ph_node_write(n, 0, out);
}

// clang-format off
static const struct ph_param params[] = {
    PH_INT(struct cloud, stride, 1, 64, .def = "2", .flags = PH_PARAM_FIRST, .help = "takes each so-many-th column and row"),
    PH_FLOAT(struct cloud, fov, 0, 170, .unit = "deg", .help = "horizontal angle of view; 0 = the camera's own, 60 where it is not known"),
    PH_FLOAT(struct cloud, voxel, 0, 10, .unit = "m", .help = "at most one point for each cube of this side; 0 = all"),
    { 0 }
};
// clang-format on

const struct ph_node_info ph_node_cloud = {
    .name = "cloud",
    .group = "compose",
    .help = "turns depth and its picture into coloured points",
    .in = PH_PORTS({ "in", PH_PICTURE, .help = "metres (depthf), 0 = nothing there" },
                   { "picture", PH_PICTURE, PH_PORT_HOLD | PH_PORT_OPTIONAL,
                     .help = "colours, of any size; without them all is white" }),
    .out = PH_PORTS({ "out", PH_POINTS, .help = "points: x right, y up, z forward" }),
    .params = params,
    .priv_size = sizeof(struct cloud),
    .close = cloud_close,
    .process = cloud_process,
};
