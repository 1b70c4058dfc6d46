// SPDX-License-Identifier: MIT
// Open Sound Control 1.0: packets to messages and back. Nothing is allocated; texts point into the
// packet.                                                                      thread of all: any
#ifndef PH_AUDIO_LIVE_OSC_H
#define PH_AUDIO_LIVE_OSC_H

#include <phosphene/common.h>

#define PH_OSC_ARGS  32   // more are passed over
#define PH_OSC_DEPTH 8    // of bundles in bundles
#define PH_OSC_MAX   8192 // bytes of a packet that is read or written

struct ph_osc_arg {
    char type;        // i f h d c t T F N I s S b r m; others end the message's arguments
    double number;    // of i f h d c T F; else 0
    const char *text; // of s and S; else NULL
};

struct ph_osc_message {
    const char *address; // begins with '/'
    int count;
    struct ph_osc_arg arg[PH_OSC_ARGS];
};

// Calls got for each message of the packet, those of bundles in their order, whatever their time.
// PH_EFORMAT: something in it makes no sense; what came before it has been given.
ph_err ph_osc_read(const void *packet, size_t size,
                   void (*got)(void *opaque, const struct ph_osc_message *m), void *opaque);

// True when the pattern of a message (? * [a-z] [!a-z] {foo,bar}; none of them crosses a '/')
// means the address. A pattern of more than 255 bytes, or one that takes too many tries, means none.
bool ph_osc_match(const char *pattern, const char *address);

// A packet that is being written; zeroed is empty.
struct ph_osc_writer {
    uint8_t bytes[PH_OSC_MAX];
    size_t size;
    bool full; // a message did not fit and was left out whole
};
void ph_osc_begin_bundle(struct ph_osc_writer *w); // first, "immediately"
// One message of floats or of one text; inside a bundle when one was begun.
void ph_osc_put_floats(struct ph_osc_writer *w, const char *address, const float *v, int count);
void ph_osc_put_text(struct ph_osc_writer *w, const char *address, const char *text);

#endif
