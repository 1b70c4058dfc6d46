// SPDX-License-Identifier: MIT
// TLS 1.2 and later by OpenSSL; without it an honest stub.
#ifndef PH_SERVER_TLS_H
#define PH_SERVER_TLS_H

#include <phosphene/common.h>

#include <sys/types.h>

struct ph_tls_context;
struct ph_tls;

// PEM files: the certificate with its chain, and its key. thread: ctl
ph_err ph_tls_context_create(struct ph_tls_context **out, const char *cert, const char *key,
                             struct ph_fault *fault);
void ph_tls_context_destroy(struct ph_tls_context **ctx);

// The server's side of one connection on a non-blocking socket, which it borrows. thread: io
ph_err ph_tls_create(struct ph_tls **out, struct ph_tls_context *ctx, int fd);
void ph_tls_destroy(struct ph_tls **t); // sends close_notify when that is possible at once

// As recv and send: bytes, 0 = end, -1 with errno EAGAIN (wait) or another. *want_write tells what
// to wait for. A handshake that has begun goes on by itself within both.
ssize_t ph_tls_read(struct ph_tls *t, void *buf, size_t size, bool *want_write);
ssize_t ph_tls_write(struct ph_tls *t, const void *buf, size_t size, bool *want_read);
bool ph_tls_pending(const struct ph_tls *t); // decrypted bytes that no epoll will tell of
bool ph_tls_established(const struct ph_tls *t);

#endif
