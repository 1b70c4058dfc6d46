// SPDX-License-Identifier: MIT
#include "nodes/compose/voxels.h"

#include "image/cloud.h"

#include <stdlib.h>

ph_err ph_voxels_thin(struct ph_voxels *v, struct ph_points *points, float side)
{
    size_t need = ph_cloud_voxel_bytes(points->count);
    if (need > v->bytes) {
        free(v->scratch);
        v->scratch = malloc(need);
        v->bytes = v->scratch ? need : 0;
        if (!v->scratch) return PH_ENOMEM;
    }
    points->count = ph_cloud_voxel(points->xyz, points->rgb, points->count, side, v->scratch);
    return PH_OK;
}

void ph_voxels_finish(struct ph_voxels *v)
{
    free(v->scratch);
    *v = (struct ph_voxels){ 0 };
}
