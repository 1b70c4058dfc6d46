// SPDX-License-Identifier: MIT
// Where the files lie that come with the program: the bundled models.
#ifndef PH_CORE_SHARE_H
#define PH_CORE_SHARE_H

#include <phosphene/common.h>

#define PH_SHARE_PATH_MAX 4096

// The path of a file or folder that comes with the program, "models/spark". Looked for in the folder
// that PH_SHARE names, and if it is set nowhere else; then where the program was installed
// (../share/phosphene from its own folder, wherever that was moved to, and the datadir it was built
// for); then, for a program in a build folder, in share/ of each of the folders above it.
// PH_ENOENT: it is in none of them, and where was looked. fault may be NULL.       thread: any
ph_err ph_share_find(const char *name, char path[PH_SHARE_PATH_MAX], struct ph_fault *fault);

#endif
