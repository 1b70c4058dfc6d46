// SPDX-License-Identifier: MIT
// Where the reference values lie: PH_GOLDEN, set by the build. Absent, the case is a counted skip.
#ifndef PH_TEST_GOLDEN_H
#define PH_TEST_GOLDEN_H

#include "test.h"

// The path of a file below the golden folder; valid until the fourth next call.
static inline const char *golden(const char *relative)
{
    static char paths[4][4096];
    static int turn;
    char *path = paths[turn++ % 4];
    const char *root = getenv("PH_GOLDEN");
    snprintf(path, sizeof paths[0], "%s/%s", root ? root : "../shared/golden", relative);
    if (access(path, R_OK) != 0) TEST_SKIP("no %s", path);
    return path;
}

#endif
