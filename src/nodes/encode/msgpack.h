// SPDX-License-Identifier: MIT
// The point cloud message of docs/protocol.md as MessagePack (https://msgpack.org): one map in a
// fixed order of keys.
#ifndef PH_NODES_MSGPACK_H
#define PH_NODES_MSGPACK_H

#include <phosphene/frame.h>

#define PH_CLOUD_HEAD 160 // most bytes that are neither xyz nor rgb

// Writes the message into out, which has room for PH_CLOUD_HEAD + 15 bytes a point; returns its
// size. timestamp: ISO 8601, at most 32 bytes. views 0: one camera, the field is left out.
size_t ph_cloud_pack(uint8_t *out, const struct ph_points *points, const char *timestamp,
                     int views);

#endif
