// SPDX-License-Identifier: MIT
#include "nodes/tape_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_MESSAGES = 10000000 };
#define MOST_BYTES (256u << 20) // of one message

static bool append(struct ph_tape *t, const struct ph_tape_entry *e)
{
    if (t->count == t->capacity) {
        int more = t->capacity ? 2 * t->capacity : 256;
        struct ph_tape_entry *grown = realloc(t->entries, (size_t) more * sizeof *grown);
        if (!grown) return false;
        t->entries = grown;
        t->capacity = more;
    }
    t->entries[t->count++] = *e;
    return true;
}

// The size is in the header that is yet to be checked against it.
static bool read_head(struct ph_wire *head, const uint8_t bytes[PH_WIRE_BYTES])
{
    uint32_t payload = (uint32_t) bytes[24] | (uint32_t) bytes[25] << 8 |
                       (uint32_t) bytes[26] << 16 | (uint32_t) bytes[27] << 24;
    struct ph_fault fault;
    return payload <= MOST_BYTES &&
           ph_wire_unpack(bytes, (size_t) PH_WIRE_BYTES + payload, head, &fault) == PH_OK;
}

// Times rise, and their differences are times.
static bool follows(const struct ph_tape *t, const struct ph_wire *head)
{
    int64_t before = t->count ? t->entries[t->count - 1].head.pts_ns : 0;
    return head->pts_ns >= before && head->pts_ns < INT64_MAX / 4;
}

ph_err ph_tape_index(struct ph_tape *t, int fd, uint64_t size, struct ph_fault *fault)
{
    uint64_t at = 0;
    *t = (struct ph_tape){ 0 };
    while (size - at >= PH_WIRE_BYTES && t->count < MOST_MESSAGES) {
        uint8_t bytes[PH_WIRE_BYTES];
        struct ph_tape_entry e = { .offset = at };
        if (pread(fd, bytes, sizeof bytes, (off_t) at) != PH_WIRE_BYTES)
            return ph_fail(fault, PH_EIO, "path", "the tape cannot be read at byte %llu",
                           (unsigned long long) at);
        if (!read_head(&e.head, bytes) || !follows(t, &e.head)) {
            if (t->count) return PH_OK; // garbled from here on, as after a loss of power
            break;
        }
        if (e.head.payload_bytes > size - at - PH_WIRE_BYTES) return PH_OK; // torn off
        if (!append(t, &e)) return ph_fail(fault, PH_ENOMEM, "path", "out of memory");
        at += PH_WIRE_BYTES + (uint64_t) e.head.payload_bytes;
    }
    if (t->count || !size) return PH_OK; // torn off, or as much as is read of one
    return ph_fail(fault, PH_EFORMAT, "path",
                   "no message of a tape (\"PHS1\" and its header) at byte %llu",
                   (unsigned long long) at);
}

void ph_tape_finish(struct ph_tape *t)
{
    free(t->entries);
    *t = (struct ph_tape){ 0 };
}

int ph_tape_find(const struct ph_tape *t, int64_t pts_ns)
{
    int lo = 0, hi = t->count;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (t->entries[mid].head.pts_ns <= pts_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

bool ph_tape_head(const struct ph_frame *f, uint8_t head[PH_WIRE_BYTES])
{
    return ph_wire_of_frame(f, false, true, head) == PH_WIRE_BYTES;
}

enum ph_codec ph_tape_codec(const struct ph_wire *head)
{
    if (head->kind == PH_WIRE_DEPTH) return PH_DEPTH16;
    if (head->kind == PH_WIRE_CLOUD) return PH_CLOUD;
    if (head->kind == PH_WIRE_PICTURE && head->codec == PH_WIRE_JPEG) return PH_JPEG;
    return PH_CODEC_NONE;
}

size_t ph_tape_extra(const uint8_t *payload, size_t size)
{
    if (size < 16) return 0;
    const uint8_t *at = payload + size - 8;
    size_t packed =
        (size_t) at[0] | (size_t) at[1] << 8 | (size_t) at[2] << 16 | (size_t) at[3] << 24;
    return packed <= size - 16 ? packed + 16 : 0;
}
