// SPDX-License-Identifier: MIT
// The two halves of WebSocket framing (RFC 6455), without a socket. Incoming frames are parsed by
// wslay (masking, fragments, control frames, UTF-8, close codes); we add limits and put messages
// together. Outgoing headers are two to ten bytes that we write ourselves, so that one immutable
// payload serves all viewers.
#ifndef PH_SERVER_WS_H
#define PH_SERVER_WS_H

#include <phosphene/common.h>

enum ph_ws_opcode { PH_WS_TEXT = 1, PH_WS_BINARY = 2, PH_WS_CLOSE = 8, PH_WS_PING = 9 };

enum ph_ws_code {
    PH_WS_NORMAL = 1000,
    PH_WS_GOING = 1001,
    PH_WS_PROTOCOL = 1002,
    PH_WS_NO_CODE = 1005, // the client's close had none
    PH_WS_GONE = 1006,    // the client went away without a close
    PH_WS_DATA = 1007,
    PH_WS_POLICY = 1008,
    PH_WS_TOO_BIG = 1009,
    PH_WS_INTERNAL = 1011,
    PH_WS_TRY_LATER = 1013
};

#define PH_WS_HEADER_MAX 10
#define PH_WS_REASON_MAX 123

// The header of an unfragmented, unmasked frame; returns its 2, 4 or 10 bytes.
size_t ph_ws_header(uint8_t out[PH_WS_HEADER_MAX], enum ph_ws_opcode opcode, uint64_t size);
// A whole close frame; reason may be NULL and is cut at a character to 123 bytes. Returns <= 127.
size_t ph_ws_close_frame(uint8_t out[127], int code, const char *reason);

struct ph_ws_in_params {
    size_t text_bytes, binary_bytes; // of a message
    int messages_per_s;              // data messages and control frames; a second of burst
    // A whole message; NUL-terminated. Borrowed.
    void (*message)(void *opaque, bool text, const char *bytes, size_t size);
    // Bytes to send that the protocol asks for (a pong, the answer to a close).
    void (*control)(void *opaque, const void *bytes, size_t size);
    void (*pong)(void *opaque);
    void *opaque;
};

struct ph_ws_in;
ph_err ph_ws_in_create(struct ph_ws_in **out, const struct ph_ws_in_params *par);
void ph_ws_in_destroy(struct ph_ws_in **w);
// PH_OK: go on. PH_EOF: the client closed properly; *code is its code, the answer went to
// `control`. PH_EFORMAT, PH_ELIMIT, PH_ENOMEM: close with *code, *reason (static) says why. After
// anything but PH_OK feed no more.
ph_err ph_ws_in_feed(struct ph_ws_in *w, const void *bytes, size_t size, int64_t now_ns,
                     int *code, const char **reason);
// Ends the current feed early: the rest of its bytes is dropped. For use inside callbacks.
void ph_ws_in_shut(struct ph_ws_in *w);

#endif
