// SPDX-License-Identifier: MIT
// A depth map in 16 bits for the wire, kind 2 of docs/protocol.md: z = value * scale + bias metres,
// value 0 = nothing there. The viewer makes the points itself.
#ifndef PH_NODES_DEPTH16_H
#define PH_NODES_DEPTH16_H

#include <phosphene/frame.h>

#define PH_DEPTH16_HEAD 40 // bytes before the picture

enum ph_depth16_packing { PH_DEPTH16_RAW, PH_DEPTH16_ZLIB };

struct ph_depth16; // what is kept between frames; belongs to one thread
ph_err ph_depth16_create(struct ph_depth16 **p);
void ph_depth16_destroy(struct ph_depth16 **p);

// Bytes of a message with a JPEG of so many bytes, at most; with its optional part.
size_t ph_depth16_bound(int width, int height, size_t jpeg_bytes);
// Writes the payload: 8 f32 (fx, fy, cx, cy, scale, bias, near, far), u32 bytes of the JPEG, u32
// packing, the JPEG (may be empty), then the depth: each row as differences to the left (modulo
// 2^16), first all low bytes, then all high bytes; packed. Values have `bits` bits (8..16) from near
// to far, those of the map. Returns the size, 0 when there was no memory.
size_t ph_depth16_pack(struct ph_depth16 *p, uint8_t *out, size_t capacity,
                       const struct ph_picture *map, const struct ph_intrinsics *lens, int bits,
                       const uint8_t *jpeg, size_t jpeg_bytes);

// The optional part, written at `out`: how certain each pixel is, in 8 bits. Rows of differences to
// the left (modulo 2^8), packed; then the tail f32 scale, f32 bias (c = value * scale + bias), u32
// packed bytes, u32 packing. map: DEPTHF, of the depth's size. Returns the size of it all, 0 when
// there was no memory.
#define PH_DEPTH16_TAIL 16
size_t ph_depth16_confidence(struct ph_depth16 *p, uint8_t *out, size_t capacity,
                             const struct ph_picture *map);

#endif
