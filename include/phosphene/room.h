// SPDX-License-Identifier: MIT
// A server whose rooms are running graphs: what `phosphene serve` is made of, for programs of your
// own. Everything it says over the network is in docs/protocol.md.
//
//   struct ph_rooms *rooms;
//   ph_rooms_create(&rooms, ph_rooms_params( .port = 8080 ), &fault);    // binds the port
//   ph_room_create(rooms, ph_room_params( .name = "demo", .preset = "demo" ), &fault);
//   ph_rooms_start(rooms, &fault);                                       // serves, in its own threads
//   ...
//   ph_rooms_destroy(&rooms);                                            // below a second
//
// Threads. Every function here may be called from any thread, also several at once, but not from
// a callback of this header; create, start, stop and destroy of struct ph_rooms belong to one.
#ifndef PHOSPHENE_ROOM_H
#define PHOSPHENE_ROOM_H

#include "common.h"
#include "log.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ph_rooms;

// --- presets: shipped graphs, presets/NAME.graph, whose first comment line is "# title: ..."
struct ph_preset {
    const char *name, *title, *text; // name NULL ends a list
};
// Those embedded in the library, sorted by name.
PH_API const struct ph_preset *ph_presets(void);

// --- the server

// Zero means the default written beside it. The rest of the limits is fixed (docs/protocol.md).
struct ph_rooms_limits {
    int rooms;               // 16 that clients may have made at once; those made here are free
    int viewers;             // 64
    int viewers_per_address; // 16
    int publishers;          // 8 clients that send pictures at once
    int messages_per_s;      // 120 a client
    size_t text_bytes;       // 64 KiB a message
    size_t picture_bytes;    // 4 MiB
    int picture_side;        // 4096 pixels, width and height
    int connections;         // 256 sockets
    size_t header_bytes;     // 16 KiB of request line and headers
    int request_ms;          // 10000 for a whole request
    int ping_ms;             // 20000 between pings
    int stall_ms;            // 10000 without progress closes a viewer
};

// All texts are copied.
struct ph_rooms_params {
    const char *bind;     // NULL = "127.0.0.1"; "0.0.0.0", "::" for everywhere
    int port;             // 0 = one that is free: ask ph_rooms_port
    const char *tls_cert; // PEM files, both or none
    const char *tls_key;
    const char *token;          // NULL = none on loopback; beyond it the one in token_path
    const char *token_path;     // NULL = $XDG_STATE_HOME/phosphene/token; made when missing
    bool insecure_no_auth;      // beyond loopback without a token
    const char *const *hosts;   // further names in Host; NULL-terminated; may be NULL
    const char *const *origins; // further Origins; likewise
    struct ph_rooms_limits limits;

    // What clients may switch a room's source to, besides pattern and browser: files, devices and
    // URLs ("clip.mp4", "/dev/video0", "rtsp://…") or source nodes ("scene fps=30"), each with a
    // name of its own if wanted ("stage=rtsp://…"). NULL-terminated; may be NULL. A client names
    // one of these; it can name no other path or URL.
    const char *const *sources;
    const char *presets_dir; // NULL = the embedded ones; its *.graph files come on top of them
    const char *recordings_dir; // NULL = $XDG_STATE_HOME/phosphene/recordings; made when needed
    const char *web_root; // serve the studio page from this folder, uncached; NULL = embedded

    // What GET /api/v1/devices answers: JSON, malloc'ed; NULL = failed. May take its time; called
    // on a worker thread, one at a time; a call that still runs is not waited for by
    // ph_rooms_stop. NULL = 404.
    char *(*devices)(void *opaque);
    void *opaque;

    const struct ph_log *log; // borrowed for the life of the server; may be NULL
};
#define ph_rooms_params(...) (&(struct ph_rooms_params){ __VA_ARGS__ })

// Binds and listens, so that a port in use (PH_EBUSY), a bad address (PH_EINVAL), certificate
// (PH_ENOENT, PH_EFORMAT), token or preset file is told here; nothing is accepted before the start.
// PH_ENOTSUP: TLS in a build without OpenSSL. A build without wslay and zlib has no WebSockets.
PH_API ph_err ph_rooms_create(struct ph_rooms **out, const struct ph_rooms_params *par,
                              struct ph_fault *fault);
PH_API ph_err ph_rooms_start(struct ph_rooms *r, struct ph_fault *fault);
// Ends all connections and rooms, closes recordings. Below a second.
PH_API void ph_rooms_stop(struct ph_rooms *r);
PH_API void ph_rooms_destroy(struct ph_rooms **r); // stops; nulls *r

PH_API int ph_rooms_port(const struct ph_rooms *r);
// "http://127.0.0.1:8080/" for people, with "#token=…" where one is needed. Like snprintf.
PH_API int ph_rooms_url(const struct ph_rooms *r, char *text, size_t size);

// --- rooms

struct ph_room_params {
    const char *name;    // 1 to 63 of A-Z a-z 0-9 - _ . (not first); NULL = "demo"
    const char *graph;   // graph text (trusted: it may name paths and URLs), or
    const char *preset;  // the name of a preset
    const char *journal; // file to write, for GET …/journal and `replay`; NULL = none
    uint64_t seed;       // 0 = 1
};
#define ph_room_params(...) (&(struct ph_room_params){ __VA_ARGS__ })

// Opens every node and starts the room. The first room made is the one that paths without ?room=
// mean. PH_EBUSY: the name is taken; PH_ENOENT: no such preset; what ph_graph_create says. A room
// that failed leaves nothing behind.
PH_API ph_err ph_room_create(struct ph_rooms *r, const struct ph_room_params *par,
                             struct ph_fault *fault);
// ph_graph_edit: nodes of the same name go on, viewers stay. The text is trusted.
PH_API ph_err ph_room_edit(struct ph_rooms *r, const char *name, const char *graph,
                           struct ph_fault *fault);
// PH_ENOENT when there is none. Its viewers are closed.
PH_API ph_err ph_room_destroy(struct ph_rooms *r, const char *name);
// The room document of docs/protocol.md, malloc'ed; NULL = no such room, or out of memory.
PH_API char *ph_room_json(struct ph_rooms *r, const char *name);

#ifdef __cplusplus
}
#endif
#endif
