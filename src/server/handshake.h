// SPDX-License-Identifier: MIT
// What RFC 6455 asks of an upgrade: Sec-WebSocket-Accept is base64(SHA-1(key + a fixed id)). It
// proves that the server speaks WebSocket and guards nothing, so that it needs no crypto library.
#ifndef PH_SERVER_HANDSHAKE_H
#define PH_SERVER_HANDSHAKE_H

#include <phosphene/common.h>

#define PH_WS_ACCEPT_SIZE 29 // characters with the NUL

// False when the key is not base64 of 16 bytes.
bool ph_ws_accept_key(const char *key, char accept[PH_WS_ACCEPT_SIZE]);

void ph_sha1(const void *bytes, size_t size, uint8_t digest[20]); // FIPS 180-4
// Writes 4 * ceil(size / 3) characters and a NUL.
void ph_base64(const void *bytes, size_t size, char *text);

#endif
