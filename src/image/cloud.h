// SPDX-License-Identifier: MIT
// A depth map and its picture become points of a pinhole camera: x = (u - cx) z / fx,
// y = -(v - cy) z / fy, z = z. So x is right, y up, z forward.
#ifndef PH_IMAGE_CLOUD_H
#define PH_IMAGE_CLOUD_H

#include <phosphene/frame.h>

// Points beyond the last that may be written, so that kernels store whole vectors.
#define PH_CLOUD_SLACK 32

// How many points a map gives at most with that stride.
int ph_cloud_most(int width, int height, int stride);

// Every stride-th column of every stride-th row whose depth is finite and above 0, in raster order.
// color: RGBA of the same size as depth; NULL = white. xyz and rgb have room for ph_cloud_most
// points and PH_CLOUD_SLACK more. Returns how many; 0 also for what is no map or has fx or fy of 0.
int ph_cloud_unproject(float *xyz, uint8_t *rgb, const struct ph_picture *depth,
                       const struct ph_picture *color, const struct ph_intrinsics *lens,
                       int stride);

// Moves points from a camera into the world: pose is camera to world (3 rows of 4) in axes of
// computer vision (y down); points come and go with y up.
void ph_cloud_move(float *xyz, int count, const float pose[12]);

// At most one point for each cube of that side: the first that fell into it, in order. Works in
// place; returns how many are left. scratch: ph_cloud_voxel_bytes(count).
size_t ph_cloud_voxel_bytes(int count);
int ph_cloud_voxel(float *xyz, uint8_t *rgb, int count, float side, void *scratch);

#endif
