// SPDX-License-Identifier: MIT
// What `phosphene doctor` finds out. A probe looks at one subject and takes down what it finds;
// text, JSON and the exit status are made from that list.
#ifndef PH_CLI_DOCTOR_H
#define PH_CLI_DOCTOR_H

#include <phosphene/common.h>

#include "core/buf.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_NONE,    // not there, and nothing is wrong with that: a camera, a GPU
    DOCTOR_MISSING, // a part of phosphene does not work without it
};

struct doctor_finding {
    const char *section; // "cpu", "codecs"
    char name[48];
    enum doctor_state state;
    char detail[192];
    const char *package; // Debian package that would help; NULL = none
};

#define DOCTOR_MAX 64
struct doctor {
    struct doctor_finding found[DOCTOR_MAX];
    int count;
    int port;   // that the server would use; 0 = do not try
    bool gates; // measure what precisions cost in quality: about a second
};

// package may be NULL.
void doctor_add(struct doctor *d, const char *section, const char *name,
                enum doctor_state state, const char *package, const char *detail, ...)
    PH_PRINTF(6, 7);

void doctor_probe_media(struct doctor *d);   // jpeg, png, FFmpeg, fonts
void doctor_probe_devices(struct doctor *d); // cameras, displays, GPUs
void doctor_probe_models(struct doctor *d);  // what runs models, precisions, the shelf
void doctor_probe_server(struct doctor *d);  // TLS, port, state folder

// The whole of it, as `doctor --json` and GET /api/v1/devices give it; free it. NULL: no memory.
char *doctor_json(int port);

#endif
