// SPDX-License-Identifier: MIT
// What a client may say: a text message of docs/protocol.md, checked and taken apart. Pure: bytes
// in, struct or fault out. Whether a node, a parameter or a range exists is the room's to say.
#ifndef PH_ROOM_MESSAGE_H
#define PH_ROOM_MESSAGE_H

#include <phosphene/frame.h>

#include "core/json.h"

enum ph_message_type {
    PH_MESSAGE_SET,
    PH_MESSAGE_CUT,
    PH_MESSAGE_PING,
    PH_MESSAGE_SUBSCRIBE,
    PH_MESSAGE_SHOWN,
    PH_MESSAGE_HELLO,
    PH_MESSAGE_CODEC,
    PH_MESSAGE_ROLE,
};

#define PH_MESSAGE_VALUES     64
#define PH_MESSAGE_CODECS     8
#define PH_MESSAGE_SIGNALS_HZ 30

struct ph_message_value {
    const char *param;
    const char *text; // as ph_graph_set takes it; NULL = back to the default (JSON null)
    bool drive;       // text is an expression, as ph_graph_drive takes it; NULL = none any more
};

// One block of memory, so that a queue of many stays small.
struct ph_message {
    enum ph_message_type type;
    size_t bytes;      // of this block
    const char *node;  // SET
    int at;            // SET: enum ph_when
    bool hard;         // CUT
    int chunks;        // CUT: 1 … 64
    const char *t;     // PING: the number as it came, to be echoed; NULL = none
    const char *inlet; // ROLE: the browser node that a camera wants; NULL = any
    bool timed;        // PING: tells of the ping before, on two clocks
    double sent_ms,
        heard_ms;      // PING: when that one was sent and its pong heard, the client's clock
    int64_t server_ns; // PING: what its pong said
    double hz;         // SUBSCRIBE: room documents a second; 0 = no more, -1 = as it is
    double signals_hz; // SUBSCRIBE: signals a second, likewise
    uint64_t frame;    // SHOWN
    double t_ms;       // SHOWN: the client's clock; NAN = not told
    bool camera;       // ROLE: sends pictures and wants none; else a viewer
    int shown;         // SHOWN: pictures since the last report, at least 1
    enum ph_codec
        codecs[PH_MESSAGE_CODECS]; // HELLO, CODEC: best first; JPEG is always among them
    int codec_count;
    bool confidence; // HELLO: wants the confidence of depth16, too
    int count;       // SET, at least one
    struct ph_message_value *values;
};

struct ph_message_id {
    bool given;
    int64_t value;
};

// PH_EFORMAT, PH_EINVAL: the fault names the member; *id is filled where it could be read, so that
// the error can name the message. *out is for free(), NULL on failure.              thread: any
ph_err ph_message_parse(struct ph_message **out, struct ph_message_id *id, const char *text,
                        size_t len, struct ph_fault *fault);
// The same from the body of an HTTP request, which has no type and no id: SET or CUT.
ph_err ph_message_body(struct ph_message **out, enum ph_message_type type,
                       const struct ph_json *body, struct ph_fault *fault);

// Refuses members that are not in the NULL-terminated list: "unknown member …, did you mean …".
ph_err ph_json_only(const struct ph_json *v, const char *const *known, struct ph_fault *fault);

#endif
