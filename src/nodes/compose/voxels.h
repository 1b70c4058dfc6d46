// SPDX-License-Identifier: MIT
// Points of a frame thinned out, with the memory that it takes.
#ifndef PH_NODES_COMPOSE_VOXELS_H
#define PH_NODES_COMPOSE_VOXELS_H

#include <phosphene/frame.h>

struct ph_voxels { // zeroed at first; belongs to one thread
    void *scratch;
    size_t bytes;
};

// At most one point for each cube of that side (metres), as ph_cloud_voxel chooses. PH_ENOMEM: all
// points are as they were.
ph_err ph_voxels_thin(struct ph_voxels *v, struct ph_points *points, float side);
void ph_voxels_finish(struct ph_voxels *v);

#endif
