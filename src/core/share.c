// SPDX-License-Identifier: MIT
#include "core/share.h"

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDERS_ABOVE 5 // of a program in a build folder, tests/models/ included

static bool have(char path[PH_SHARE_PATH_MAX], const char *base, const char *below,
                 const char *name)
{
    int n = snprintf(path, PH_SHARE_PATH_MAX, "%s%s/%s", base, below, name);
    return n > 0 && n < PH_SHARE_PATH_MAX && access(path, R_OK) == 0;
}

// The folder of the running program; "" when the system does not say.
static void program_folder(char out[PH_SHARE_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PH_SHARE_PATH_MAX - 1);
    out[n > 0 ? n : 0] = 0;
    char *slash = strrchr(out, '/');
    if (slash) *slash = 0;
}

// Cuts the last folder off; false at the root.
static bool go_up(char *folder)
{
    char *slash = strrchr(folder, '/');
    if (!slash || !folder[0]) return false;
    *slash = 0;
    return true;
}

ph_err ph_share_find(const char *name, char path[PH_SHARE_PATH_MAX], struct ph_fault *fault)
{
    char folder[PH_SHARE_PATH_MAX];
    const char *given = getenv("PH_SHARE");
    if (given && *given) {
        if (have(path, given, "", name)) return PH_OK;
        return ph_fail(fault, PH_ENOENT, "share",
                       "%s/%s is not there (PH_SHARE names that folder)", given, name);
    }
    program_folder(folder);
    if (folder[0] && have(path, folder, "/../share/phosphene", name)) return PH_OK;
    if (have(path, PH_DATADIR, "", name)) return PH_OK;
    for (int i = 0; i < FOLDERS_ABOVE && go_up(folder); i++)
        if (have(path, folder, "/share", name)) return PH_OK;
    return ph_fail(fault, PH_ENOENT, "share",
                   "%s came not with this program: it is neither in %s nor above the program; "
                   "PH_SHARE names another folder",
                   name, PH_DATADIR);
}
