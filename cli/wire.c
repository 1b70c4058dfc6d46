// SPDX-License-Identifier: MIT
#include "wire.h"

#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#if PH_HAVE_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// An address is checked against the certificate's addresses, a name against its names.
static bool expect_host(SSL *tls, const char *host)
{
    X509_VERIFY_PARAM *par = SSL_get0_param(tls);
    if (X509_VERIFY_PARAM_set1_ip_asc(par, host)) return true;
    ERR_clear_error();
    return SSL_set_tlsext_host_name(tls, host) && SSL_set1_host(tls, host);
}

static ph_err fail_tls(SSL *tls, const char *host, struct ph_fault *fault)
{
    long verdict = tls ? SSL_get_verify_result(tls) : X509_V_OK;
    const char *why = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                                           : ERR_reason_error_string(ERR_get_error());
    return ph_fail(fault, PH_EDEVICE, "url", "no TLS with %s: %s%s", host,
                   why ? why : "it does not answer as a TLS server",
                   verdict != X509_V_OK ? " (--tls-ca FILE trusts a certificate)" : "");
}

ph_err cli_wire_secure(struct cli_wire *w, const char *host, const char *ca,
                       struct ph_fault *fault)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *tls = NULL;
    w->context = context;
    if (!context) return fail_tls(NULL, host, fault);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (ca ? !SSL_CTX_load_verify_file(context, ca)
           : !SSL_CTX_set_default_verify_paths(context))
        return ph_fail(fault, PH_ENOENT, "tls-ca", "%s is no certificate (PEM)", ca ? ca : "");
    w->tls = tls = SSL_new(context);
    if (!tls || !expect_host(tls, host) || !SSL_set_fd(tls, w->fd) || SSL_connect(tls) != 1)
        return fail_tls(tls, host, fault);
    return PH_OK;
}

static ssize_t tls_result(struct cli_wire *w, int n)
{
    int why = SSL_get_error(w->tls, n);
    if (n > 0) return n;
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

ssize_t cli_wire_write(struct cli_wire *w, const void *bytes, size_t size)
{
    if (!w->tls) return send(w->fd, bytes, size, MSG_NOSIGNAL);
    return tls_result(w, SSL_write(w->tls, bytes, (int) size));
}

ssize_t cli_wire_read(struct cli_wire *w, void *bytes, size_t size)
{
    if (!w->tls) return recv(w->fd, bytes, size, 0);
    return tls_result(w, SSL_read(w->tls, bytes, (int) size));
}

void cli_wire_close(struct cli_wire *w)
{
    if (w->tls) SSL_shutdown(w->tls);
    SSL_free(w->tls);
    SSL_CTX_free(w->context);
    if (w->fd >= 0) close(w->fd);
}
#else
ph_err cli_wire_secure(struct cli_wire *w, const char *host, const char *ca,
                       struct ph_fault *fault)
{
    (void) w, (void) ca;
    return ph_fail(fault, PH_ENOTSUP, "url",
                   "https://%s: this program was built without OpenSSL (libssl-dev)", host);
}

ssize_t cli_wire_write(struct cli_wire *w, const void *bytes, size_t size)
{
    return send(w->fd, bytes, size, MSG_NOSIGNAL);
}

ssize_t cli_wire_read(struct cli_wire *w, void *bytes, size_t size)
{
    return recv(w->fd, bytes, size, 0);
}

void cli_wire_close(struct cli_wire *w)
{
    if (w->fd >= 0) close(w->fd);
}
#endif
