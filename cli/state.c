// SPDX-License-Identifier: MIT
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ph_err cli_state_folder(char *path, size_t size)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    path[0] = 0;
    if (state && *state == '/')
        snprintf(path, size, "%s/phosphene", state);
    else if (home && *home == '/')
        snprintf(path, size, "%s/.local/state/phosphene", home);
    else
        return PH_ENOENT;
    return PH_OK;
}

int cli_state_problem(const char *path)
{
    char folder[1024];
    snprintf(folder, sizeof folder, "%s", path);
    // what is not there yet can be made where its parent may be written
    while (access(folder, F_OK) && errno == ENOENT) {
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder) break;
        *slash = 0;
    }
    return access(folder, W_OK | X_OK) ? errno : 0;
}
