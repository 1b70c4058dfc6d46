// SPDX-License-Identifier: MIT
// The studio page: embedded, or read from a folder by those who work on it.
#ifndef PH_ROOM_WEB_H
#define PH_ROOM_WEB_H

#include "server/server.h"

// Generated from web/ and openapi.json by embed.py; ends with a NULL path.
extern const struct ph_resource ph_web_resources[];

// Registers the page's routes; root NULL = the embedded files. Borrows root.       thread: ctl
ph_err ph_web_routes(struct ph_server *s, const char *root);

#endif
