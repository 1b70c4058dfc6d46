// SPDX-License-Identifier: MIT
#include "nodes/file_name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Where the number lies, its length in the text and its digits; NULL without one.
static const char *find_number(const char *path, size_t *length, int *digits)
{
    const char *percent = strchr(path, '%');
    char *end;
    if (!percent) return NULL;
    long d = strtol(percent + 1, &end, 10);
    if (*end != 'd' || d < 0 || d > 18) return NULL;
    *length = (size_t) (end + 1 - percent);
    *digits = (int) d;
    return percent;
}

bool ph_file_name_make(char *name, size_t size, const char *path, uint64_t number)
{
    size_t length = 0;
    int digits = 0, len;
    const char *at = find_number(path, &length, &digits);
    if (!at)
        len = snprintf(name, size, "%s", path);
    else
        len = snprintf(name, size, "%.*s%0*" PRIu64 "%s", (int) (at - path), path, digits,
                       number, at + length);
    return len > 0 && (size_t) len < size;
}

static bool folder_is_there(const char *path)
{
    char folder[4096];
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (!slash) return true;
    snprintf(folder, sizeof folder, "%.*s", (int) (slash - path) + 1, path);
    return !stat(folder, &st) && S_ISDIR(st.st_mode);
}

ph_err ph_file_name_check(const char *path, struct ph_fault *fault)
{
    char name[4096];
    if (!path[0])
        return ph_fail(fault, PH_EINVAL, "path",
                       "path names a file: still.png or still-%%06d.png");
    if (!ph_file_name_make(name, sizeof name, path, 0))
        return ph_fail(fault, PH_EINVAL, "path", "path is too long");
    if (strchr(name, '%'))
        return ph_fail(fault, PH_EINVAL, "path",
                       "path has one number at most, as %%d or %%06d, got \"%s\"", path);
    if (!folder_is_there(name))
        return ph_fail(fault, PH_ENOENT, "path", "%s: there is no such folder", path);
    return PH_OK;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, bytes + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        done += (size_t) put;
    }
    return true;
}

ph_err ph_file_replace(const char *path, const uint8_t *bytes, size_t size,
                       struct ph_fault *fault)
{
    char beside[4096];
    int len = snprintf(beside, sizeof beside, "%s.part", path);
    if (len < 0 || (size_t) len >= sizeof beside)
        return ph_fail(fault, PH_EINVAL, "path", "path is too long");
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && write_all(fd, bytes, size);
    if (fd >= 0) ok = close(fd) == 0 && ok;
    if (ok && rename(beside, path) == 0) return PH_OK;
    int why = errno;
    if (fd >= 0) unlink(beside);
    return ph_fail(fault, PH_EIO, "path", "cannot write %s: %s", path, strerror(why));
}
