// SPDX-License-Identifier: MIT
// The shared secret of a server that faces a network.
#ifndef PH_SERVER_TOKEN_H
#define PH_SERVER_TOKEN_H

#include <phosphene/common.h>

#define PH_TOKEN_MIN 16  // characters
#define PH_TOKEN_MAX 128 //

// "$XDG_STATE_HOME/phosphene/token" or "~/.local/state/phosphene/token". PH_ENOENT: neither
// variable is set.
ph_err ph_token_default_path(char *path, size_t size, struct ph_fault *fault);
// Reads it; makes it (256 random bits, mode 0600, folders 0700) when it is missing. Refuses a file
// that others may read, and anything but 16 to 128 of A-Z a-z 0-9 - _ . ~
ph_err ph_token_load(const char *path, char token[PH_TOKEN_MAX + 1], struct ph_fault *fault);
bool ph_token_valid(const char *text);
// Takes as long whatever the two have in common.
bool ph_token_equal(const char *secret, const char *given, size_t given_len);

#endif
