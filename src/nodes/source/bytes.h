// SPDX-License-Identifier: MIT
// Bytes that strangers send (MIDI, OSC), from a thread of the node's own into its external port 0 as
// packets. They are read on the lane: a journal has the bytes, so a replay hears the same.
#ifndef PH_NODES_SOURCE_BYTES_H
#define PH_NODES_SOURCE_BYTES_H

#include <phosphene/node.h>

#include <pthread.h>
#include <stdatomic.h>

// Zeroed does nothing. Lives in the node's private struct.
struct ph_bytes {
    struct ph_node *node;
    void (*run)(struct ph_bytes *b, void *opaque);
    void *opaque;
    pthread_t thread;
    bool running;
    _Atomic bool stop;
    // the lane's
    bool started;
    int64_t first_ns, newest_ns;
};

// Starts run(b, opaque), which must look at ph_bytes_stopped five times a second and end by it. In a
// replay nothing runs. PH_ENOMEM: no thread.                                        thread: ctl
ph_err ph_bytes_start(struct ph_bytes *b, struct ph_node *n,
                      void (*run)(struct ph_bytes *b, void *opaque), void *opaque);
void ph_bytes_stop(struct ph_bytes *b); // waits for the thread                      thread: ctl
bool ph_bytes_stopped(struct ph_bytes *b); // thread: its own
// Pushes a packet that came now; when the lane is far behind, the oldest are lost.
void ph_bytes_push(struct ph_bytes *b, const void *bytes, size_t size); // thread: its own

// The next packet, with a pts of stream time that rises and begins at 0. As ph_node_read; the
// caller unrefs *f.                                                                 thread: lane
ph_err ph_bytes_read(struct ph_bytes *b, struct ph_node *n, struct ph_frame **f);

#endif
