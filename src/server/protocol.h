// SPDX-License-Identifier: MIT
// The 32-byte header of phosphene.v1 binary messages (docs/protocol.md), little-endian.
#ifndef PH_SERVER_PROTOCOL_H
#define PH_SERVER_PROTOCOL_H

#include <phosphene/frame.h>

#define PH_WIRE_SUBPROTOCOL "phosphene.v1"
#define PH_WIRE_BYTES       32
#define PH_WIRE_MAGIC       UINT32_C(0x31534850) // "PHS1" in memory

enum ph_wire_kind { PH_WIRE_PICTURE = 1, PH_WIRE_DEPTH, PH_WIRE_CLOUD, PH_WIRE_AUDIO };
enum ph_wire_codec { PH_WIRE_JPEG = 1, PH_WIRE_H264, PH_WIRE_VPX, PH_WIRE_PNG };
enum ph_wire_flag {
    PH_WIRE_KEY = 1,
    PH_WIRE_EPOCH = 2, // first of a new epoch
    PH_WIRE_EXTRA = 4, // the payload ends with an optional part; only for who asked for it
};

struct ph_wire {
    enum ph_wire_kind kind;
    int codec; // enum ph_wire_codec for pictures, 0 otherwise
    unsigned flags;
    uint32_t frame, epoch;
    int64_t pts_ns;
    uint32_t payload_bytes; // what follows the header
    int width, height;      // pixels, 0..65535
};

void ph_wire_pack(const struct ph_wire *h, uint8_t out[PH_WIRE_BYTES]); // thread: any
// Checks size, magic, kind, codec and that exactly payload_bytes follow. `size` is of the whole
// message. PH_EFORMAT names the member.                                            thread: any
ph_err ph_wire_unpack(const void *bytes, size_t size, struct ph_wire *out,
                      struct ph_fault *fault);
// The header of a packet frame; 0 for a codec that the wire does not know (nothing is written).
// epoch_changed: sets PH_WIRE_EPOCH; extra: the packet's extra bytes go along. Returns PH_WIRE_BYTES.                        thread: any
size_t ph_wire_of_frame(const struct ph_frame *f, bool epoch_changed, bool extra,
                        uint8_t out[PH_WIRE_BYTES]);

#endif
