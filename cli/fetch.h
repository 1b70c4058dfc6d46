// SPDX-License-Identifier: MIT
// Files from an HTTP server, by libcurl: whole or not at all, resumed where a connection broke or
// an earlier call was ended. Without libcurl there is an honest refusal.
#ifndef PH_CLI_FETCH_H
#define PH_CLI_FETCH_H

#include "core/buf.h"

struct cli_fetch;
// token: sent to the server that is asked, not to those it redirects to; NULL = none. PH_ENOTSUP
// without libcurl.
ph_err cli_fetch_open(struct cli_fetch **out, const char *token, struct ph_fault *fault);
void cli_fetch_close(struct cli_fetch **f);

// Appends a body of at most `limit` bytes. PH_ENOENT: the server has no such thing (404).
ph_err cli_fetch_text(struct cli_fetch *f, const char *url, size_t limit, struct ph_buf *out,
                      struct ph_fault *fault);

struct cli_remote {
    int64_t size;    // -1 = the server does not tell
    char sha256[65]; // of a hub's X-Linked-Etag; "" = it does not tell
};
ph_err cli_fetch_head(struct cli_fetch *f, const char *url, struct cli_remote *out,
                      struct ph_fault *fault);

struct cli_download {
    const char *url, *path;
    int64_t size;       // -1 = unknown
    const char *sha256; // "" = unknown; then nothing is resumed, because nothing proves it fits
    // Bytes of the file that are here; may be NULL.
    void (*progress)(void *opaque, int64_t bytes);
    void *opaque;
};
// Into "PATH.part", then renamed. A lost connection is taken up again while there is progress.
// PH_ESTOPPED after a signal; what came stays for the next call, as after PH_EIO. PH_EFORMAT: size
// or checksum are wrong; then it is removed.
ph_err cli_fetch_file(struct cli_fetch *f, const struct cli_download *d,
                      struct ph_fault *fault);

#endif
