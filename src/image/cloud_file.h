// SPDX-License-Identifier: MIT
// Points as files that other programs open. Both are right-handed: x right, y up, z backward, as
// glTF has it, so that nothing is mirrored. Plain functions of their arguments.    thread of all: any
#ifndef PH_IMAGE_CLOUD_FILE_H
#define PH_IMAGE_CLOUD_FILE_H

#include <phosphene/frame.h>

enum ph_cloud_kind { PH_CLOUD_PLY, PH_CLOUD_GLB };

// By the name's end, .ply or .glb; -1 = neither.
int ph_cloud_kind_of(const char *path);

// Most bytes of a file of so many points.
size_t ph_cloud_file_bound(int count);

// The file's bytes; returns how many. `out` has room for ph_cloud_file_bound. Points that are not
// finite are left out.
// PLY: binary_little_endian 1.0, float x y z, uchar red green blue (Turk, The PLY Polygon File
// Format, 1994).
// GLB: one primitive of points (glTF 2.0, sections 3.7.2 and 4.4): POSITION as floats with their
// bounds, COLOR_0 as 16 bits in linear light, each vertex on 4 bytes; without points a scene that
// is empty, since an accessor may not be.
size_t ph_cloud_file(uint8_t *out, enum ph_cloud_kind kind, const struct ph_points *points);

#endif
