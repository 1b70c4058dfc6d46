// SPDX-License-Identifier: MIT
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ph_err errno_code(void)
{
    return errno == ENOENT ? PH_ENOENT : errno == ENOMEM ? PH_ENOMEM : PH_EIO;
}

static char *fail_read(FILE *f, char *text, const char *path, const char *why,
                       struct ph_fault *fault)
{
    ph_fail(fault, errno_code(), "path", "cannot read %s: %s", path, why);
    if (f) fclose(f);
    free(text);
    return NULL;
}

char *cli_read_file(const char *path, size_t limit, struct ph_fault *fault)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    if (!f || fstat(fileno(f), &st)) return fail_read(f, NULL, path, strerror(errno), fault);
    if (S_ISDIR(st.st_mode)) return fail_read(f, NULL, path, "it is a folder", fault);
    char *text = malloc(limit + 2);
    if (!text) return fail_read(f, NULL, path, "out of memory", fault);
    size_t n = fread(text, 1, limit + 1, f);
    if (ferror(f)) return fail_read(f, text, path, strerror(errno), fault);
    if (n > limit) return fail_read(f, text, path, "it is too long for a graph text", fault);
    if (memchr(text, 0, n)) return fail_read(f, text, path, "it is not a text", fault);
    fclose(f);
    text[n] = 0;
    return text;
}

static ph_err write_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t w = write(fd, text, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return PH_EIO;
        text += w;
        n -= (size_t) w;
    }
    return PH_OK;
}

// Devices and pipes (/dev/stdout) are written in place.
static ph_err write_in_place(const char *path, const char *text, struct ph_fault *fault)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write_all(fd, text, strlen(text)) < 0)
        ph_fail(fault, errno_code(), "path", "cannot write %s: %s", path, strerror(errno));
    else
        return close(fd), PH_OK;
    if (fd >= 0) close(fd);
    return PH_EIO;
}

ph_err cli_write_file(const char *path, const char *text, struct ph_fault *fault)
{
    struct stat st;
    if (!stat(path, &st) && !S_ISREG(st.st_mode)) return write_in_place(path, text, fault);
    char part[4096];
    snprintf(part, sizeof part, "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write_all(fd, text, strlen(text)) == PH_OK;
    if (fd >= 0 && close(fd)) ok = false;
    if (ok && !rename(part, path)) return PH_OK;
    int reason = errno;
    if (fd >= 0) unlink(part);
    return ph_fail(fault, PH_EIO, "path", "cannot write %s: %s", path, strerror(reason));
}

ph_err cli_check_writable(const char *path, struct ph_fault *fault)
{
    struct stat st;
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int) (slash - path) + 1 : 1,
             slash ? path : ".");
    errno = 0;
    bool there = !stat(path, &st);
    if (there && S_ISDIR(st.st_mode)) errno = EISDIR;
    if (there ? !errno && !access(path, W_OK) : !access(folder, W_OK)) return PH_OK;
    return ph_fail(fault, errno_code(), "path", "cannot write %s: %s", path, strerror(errno));
}
