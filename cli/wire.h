// SPDX-License-Identifier: MIT
// Bytes to and from a server, with TLS (OpenSSL) or without.
#ifndef PH_CLI_WIRE_H
#define PH_CLI_WIRE_H

#include <phosphene/common.h>

#include <sys/types.h>

struct cli_wire {
    int fd;
    void *context, *tls; // NULL = plain
};

// Speaks TLS on w->fd. The certificate must be of `host` and signed by one of the system's
// authorities, or be (signed by) one in the file `ca`, where that is given.
ph_err cli_wire_secure(struct cli_wire *w, const char *host, const char *ca,
                       struct ph_fault *fault);
ssize_t cli_wire_write(struct cli_wire *w, const void *bytes, size_t size);
// 0 = the end; -1 = failed, errno EAGAIN when the time was over.
ssize_t cli_wire_read(struct cli_wire *w, void *bytes, size_t size);
void cli_wire_close(struct cli_wire *w);

#endif
