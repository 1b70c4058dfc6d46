// SPDX-License-Identifier: MIT
// A tape: messages of phosphene.v1 (docs/protocol.md), each with its 32-byte header, one after the
// other as a viewer would have got them. What a killed program left behind is read up to its last
// whole message. Times rise; kinds and sizes may change.
#ifndef PH_NODES_TAPE_FILE_H
#define PH_NODES_TAPE_FILE_H

#include <phosphene/frame.h>

#include "server/protocol.h"

struct ph_tape_entry {
    uint64_t offset; // of the header
    struct ph_wire head;
};

struct ph_tape { // what a tape holds; fd is the caller's
    struct ph_tape_entry *entries;
    int count, capacity;
};

// Reads the headers of a file of `size` bytes. PH_EFORMAT: it begins with something else; a tape
// without a message is one, too. Finish it in each case.                   thread: any, may wait
ph_err ph_tape_index(struct ph_tape *t, int fd, uint64_t size, struct ph_fault *fault);
void ph_tape_finish(struct ph_tape *t);
// The last entry that is not after pts_ns; -1 = all are.
int ph_tape_find(const struct ph_tape *t, int64_t pts_ns);

// The whole message of a frame: PH_WIRE_BYTES go to head, the payload is the packet's. false: the
// wire has no such packets.
bool ph_tape_head(const struct ph_frame *f, uint8_t head[PH_WIRE_BYTES]);
// The codec of a message; PH_CODEC_NONE: none that a tape has.
enum ph_codec ph_tape_codec(const struct ph_wire *head);

// Bytes of the optional part that ends a payload of depth, as its tail says; 0: that cannot be.
size_t ph_tape_extra(const uint8_t *payload, size_t size);

#endif
