// SPDX-License-Identifier: MIT
#include "server/tls.h"

#include "config.h"

#if PH_HAVE_TLS

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

// Both are OpenSSL's own objects under our names.
static SSL_CTX *context_of(struct ph_tls_context *ctx)
{
    return (SSL_CTX *) ctx;
}

static SSL *ssl_of(const struct ph_tls *t)
{
    return (SSL *) (uintptr_t) t;
}

static ph_err tls_fail(struct ph_fault *fault, const char *field, const char *path,
                       const char *what)
{
    char text[200] = "";
    if (access(path, R_OK))
        return ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, field, "cannot read %s: %s",
                       path, strerror(errno));
    unsigned long e = ERR_peek_last_error();
    if (e) ERR_error_string_n(e, text, sizeof text);
    ERR_clear_error();
    return ph_fail(fault, PH_EFORMAT, field, "%s: %s (%s)", path, what, text);
}

// A server has nobody to ask; without this OpenSSL would wait at the terminal.
static int no_passphrase(char *buf, int size, int writing, void *opaque)
{
    return 0;
}

ph_err ph_tls_context_create(struct ph_tls_context **out, const char *cert, const char *key,
                             struct ph_fault *fault)
{
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    *out = (struct ph_tls_context *) c;
    if (!c) return ph_fail(fault, PH_ENOMEM, "tls", "out of memory");
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(c, no_passphrase);
    ph_err ret = PH_OK;
    if (SSL_CTX_use_certificate_chain_file(c, cert) != 1)
        ret = tls_fail(fault, "tls-cert", cert, "a readable PEM certificate is needed");
    else if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1)
        ret = tls_fail(fault, "tls-key", key,
                       "a readable PEM key, without passphrase, that fits the certificate is "
                       "needed");
    else if (SSL_CTX_check_private_key(c) != 1)
        ret = tls_fail(fault, "tls-key", key, "it is not the certificate's key");
    if (ret < 0) ph_tls_context_destroy(out);
    return ret;
}

void ph_tls_context_destroy(struct ph_tls_context **ctx)
{
    if (*ctx) SSL_CTX_free(context_of(*ctx));
    *ctx = NULL;
}

ph_err ph_tls_create(struct ph_tls **out, struct ph_tls_context *ctx, int fd)
{
    SSL *s = SSL_new(context_of(ctx));
    *out = (struct ph_tls *) s;
    if (!s) return PH_ENOMEM;
    SSL_set_accept_state(s);
    if (SSL_set_fd(s, fd) == 1) return PH_OK;
    ph_tls_destroy(out);
    return PH_ENOMEM;
}

void ph_tls_destroy(struct ph_tls **t)
{
    if (!*t) return;
    SSL *s = ssl_of(*t);
    ERR_clear_error();
    if (SSL_is_init_finished(s)) SSL_shutdown(s);
    SSL_free(s);
    ERR_clear_error();
    *t = NULL;
}

// Maps the result of a call that did not succeed; *other is set when it waits for the direction
// that it is not about.
static ssize_t blocked(SSL *s, int result, int other_error, bool *other)
{
    switch (SSL_get_error(s, result)) {
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        *other = SSL_get_error(s, result) == other_error;
        errno = EAGAIN;
        return -1;
    default: errno = EPROTO; return -1;
    }
}

ssize_t ph_tls_read(struct ph_tls *t, void *buf, size_t size, bool *want_write)
{
    *want_write = false;
    ERR_clear_error();
    int n = SSL_read(ssl_of(t), buf, size > INT_MAX ? INT_MAX : (int) size);
    return n > 0 ? n : blocked(ssl_of(t), n, SSL_ERROR_WANT_WRITE, want_write);
}

ssize_t ph_tls_write(struct ph_tls *t, const void *buf, size_t size, bool *want_read)
{
    *want_read = false;
    ERR_clear_error();
    int n = SSL_write(ssl_of(t), buf, size > INT_MAX ? INT_MAX : (int) size);
    return n > 0 ? n : blocked(ssl_of(t), n, SSL_ERROR_WANT_READ, want_read);
}

bool ph_tls_pending(const struct ph_tls *t)
{
    return SSL_pending(ssl_of(t)) > 0;
}

bool ph_tls_established(const struct ph_tls *t)
{
    return SSL_is_init_finished(ssl_of(t));
}

#else

ph_err ph_tls_context_create(struct ph_tls_context **out, const char *cert, const char *key,
                             struct ph_fault *fault)
{
    *out = NULL;
    return ph_fail(fault, PH_ENOTSUP, "tls-cert",
                   "this build has no TLS: OpenSSL 3 (libssl-dev) was not there");
}

void ph_tls_context_destroy(struct ph_tls_context **ctx)
{
    *ctx = NULL;
}

ph_err ph_tls_create(struct ph_tls **out, struct ph_tls_context *ctx, int fd)
{
    *out = NULL;
    return PH_ENOTSUP;
}

void ph_tls_destroy(struct ph_tls **t)
{
    *t = NULL;
}

ssize_t ph_tls_read(struct ph_tls *t, void *buf, size_t size, bool *want_write)
{
    return 0;
}

ssize_t ph_tls_write(struct ph_tls *t, const void *buf, size_t size, bool *want_read)
{
    return 0;
}

bool ph_tls_pending(const struct ph_tls *t)
{
    return false;
}

bool ph_tls_established(const struct ph_tls *t)
{
    return false;
}

#endif
