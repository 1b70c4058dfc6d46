// SPDX-License-Identifier: MIT
#ifndef PH_CLI_STATE_H
#define PH_CLI_STATE_H

#include <phosphene/common.h>

// Where the token and recordings are: $XDG_STATE_HOME/phosphene, else ~/.local/state/phosphene.
// PH_ENOENT, path "": neither variable is set.
ph_err cli_state_folder(char *path, size_t size);
// 0, or the errno of what keeps us from writing there; makes nothing.
int cli_state_problem(const char *path);

#endif
