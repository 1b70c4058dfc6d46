// SPDX-License-Identifier: MIT
// A tape is a file that anybody may have made: its headers are read, its messages found.
#include "nodes/tape_file.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ph_tape tape;
    struct ph_fault fault;
    int fd = memfd_create("tape", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t) size) abort();
    if (ph_tape_index(&tape, fd, size, &fault) == PH_OK)
        for (int i = 0; i < tape.count; i++) {
            const struct ph_tape_entry *e = &tape.entries[i];
            if (e->offset + PH_WIRE_BYTES + e->head.payload_bytes > size) abort();
            const uint8_t *payload = data + e->offset + PH_WIRE_BYTES;
            if (ph_tape_extra(payload, e->head.payload_bytes) > e->head.payload_bytes) abort();
            ph_tape_codec(&e->head);
        }
    ph_tape_find(&tape, 5);
    ph_tape_finish(&tape);
    close(fd);
    return 0;
}
