// SPDX-License-Identifier: MIT
// A small world of signed distances, seen by a camera that goes round it: a picture and the true
// depth of every pixel. Plain functions of their arguments.                 thread of all: any
#ifndef PH_NODES_SCENE_RENDER_H
#define PH_NODES_SCENE_RENDER_H

#include <phosphene/frame.h>

// Metres; y up, the ground at y = 0, the things within 2.2 m of the middle. Right-handed.
struct ph_scene_camera {
    float eye[3];
    float right[3], down[3], forward[3]; // unit vectors
    struct ph_intrinsics lens;           // pixel (i, j) is seen at (i + 1/2, j + 1/2)
};

// The camera of one moment: once round in `orbit_s` seconds (0 = stands still), rising and
// sinking a little. fov_deg: horizontal angle of view.
void ph_scene_camera(struct ph_scene_camera *c, int64_t pts_ns, int width, int height,
                     double orbit_s, double height_m, double distance_m, double fov_deg);

// The same camera begun at another angle and at another moment, both in turns.
void ph_scene_camera_at(struct ph_scene_camera *c, double angle, double moved, int width,
                        int height, double height_m, double distance_m, double fov_deg);

// How far a sensor could trust each pixel of a true depth map: 1 + the cosine between the surface,
// as the neighbours tell it, and the ray; 1 at the border, on edges and in the sky.
void ph_scene_confidence(const struct ph_picture *out, const struct ph_picture *depth,
                         const struct ph_intrinsics *lens);
// Metres from a point of the world (y up) to the nearest surface of the scene.
float ph_scene_distance(const float at[3], double spin);

// Marches one ray a pixel (Hart, Sphere Tracing, 1996). `color` is RGBA, `depth` DEPTHF or NULL,
// both of the size that the camera was made for. Depth is metres along `forward`; the sky is
// infinitely far. `smooth` averages the pixels whose neighbours show another thing over four rays,
// depth stays that of the middle. spin: turns that the things have made.
void ph_scene_render(const struct ph_picture *color, const struct ph_picture *depth,
                     const struct ph_scene_camera *camera, double spin, bool smooth);

#endif
