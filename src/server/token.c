// SPDX-License-Identifier: MIT
#include "server/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MADE_BYTES 32 // of randomness in a token that we make

ph_err ph_token_default_path(char *path, size_t size, struct ph_fault *fault)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (state && state[0] == '/')
        n = snprintf(path, size, "%s/phosphene/token", state);
    else if (home && home[0] == '/')
        n = snprintf(path, size, "%s/.local/state/phosphene/token", home);
    else
        return ph_fail(fault, PH_ENOENT, "token",
                       "HOME or XDG_STATE_HOME must say where the token is kept");
    if (n < 0 || (size_t) n >= size)
        return ph_fail(fault, PH_ELIMIT, "token", "a shorter path than %d bytes", n);
    return PH_OK;
}

bool ph_token_valid(const char *text)
{
    size_t n =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~");
    return !text[n] && n >= PH_TOKEN_MIN && n <= PH_TOKEN_MAX;
}

bool ph_token_equal(const char *secret, const char *given, size_t given_len)
{
    size_t n = strlen(secret);
    unsigned different = (unsigned) (n ^ given_len);
    for (size_t i = 0; i < n; i++)
        different |= (unsigned) (unsigned char) (secret[i] ^ (i < given_len ? given[i] : 0));
    return !different;
}

static ph_err read_token(int fd, const char *path, char token[PH_TOKEN_MAX + 1],
                         struct ph_fault *fault)
{
    struct stat st;
    if (fstat(fd, &st)) return ph_fail(fault, PH_EIO, "token", "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_mode & 077)
        return ph_fail(fault, PH_EINVAL, "token",
                       "%s may be read by others: chmod 600 it, or remove it to get a new one",
                       path);
    char text[PH_TOKEN_MAX + 2];
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n < 0) return ph_fail(fault, PH_EIO, "token", "%s: %s", path, strerror(errno));
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r')) n--;
    text[n] = 0;
    if (!ph_token_valid(text))
        return ph_fail(fault, PH_EFORMAT, "token",
                       "%s must hold %d to %d of A-Z a-z 0-9 - _ . ~ on one line; remove it to "
                       "get a new one",
                       path, PH_TOKEN_MIN, PH_TOKEN_MAX);
    memcpy(token, text, (size_t) n + 1);
    return PH_OK;
}

static void make_folders(const char *path)
{
    char part[4096];
    for (const char *at = path; (at = strchr(at + 1, '/'));) {
        if ((size_t) (at - path) >= sizeof part) return;
        memcpy(part, path, (size_t) (at - path));
        part[at - path] = 0;
        mkdir(part, 0700); // what matters is whether the file can be made
    }
}

static void make_text(char token[PH_TOKEN_MAX + 1])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[MADE_BYTES * 4 / 3 + 1]; // six bits of each are used
    size_t got = 0;
    while (got < sizeof random) {
        ssize_t n = getrandom(random + got, sizeof random - got, 0);
        if (n > 0) got += (size_t) n;
    }
    for (size_t i = 0; i < sizeof random; i++) token[i] = digits[random[i] & 63];
    token[sizeof random] = 0;
}

// Complete before it has its name, so that a second server that starts now reads all of it.
static ph_err make_token(const char *path, char token[PH_TOKEN_MAX + 1], struct ph_fault *fault)
{
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.%ld", path, (long) getpid());
    if (n < 0 || (size_t) n >= sizeof temporary)
        return ph_fail(fault, PH_ELIMIT, "token", "a shorter path");
    make_folders(path);
    make_text(token);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ph_fail(fault, PH_EIO, "token", "cannot make %s: %s", path, strerror(errno));
    bool ok = dprintf(fd, "%s\n", token) > 0;
    ok = !close(fd) && ok;
    if (ok && link(temporary, path) && errno != EEXIST) ok = false;
    int err = errno;
    unlink(temporary);
    if (!ok) return ph_fail(fault, PH_EIO, "token", "cannot make %s: %s", path, strerror(err));
    return PH_OK;
}

ph_err ph_token_load(const char *path, char token[PH_TOKEN_MAX + 1], struct ph_fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        ph_err ret = make_token(path, token, fault);
        if (ret < 0) return ret;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (fd < 0)
        return ph_fail(fault, PH_EIO, "token", "cannot read %s: %s", path, strerror(errno));
    ph_err ret = read_token(fd, path, token, fault);
    close(fd);
    return ret;
}
