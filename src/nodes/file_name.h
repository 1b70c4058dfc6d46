// SPDX-License-Identifier: MIT
// Names of files that sinks write: a path with at most one number in it, and writing them whole.
#ifndef PH_NODES_FILE_NAME_H
#define PH_NODES_FILE_NAME_H

#include <phosphene/common.h>

// A path is text with at most one number: %d, or %06d for at least six digits. PH_EINVAL: it is
// empty, too long, or has other percent signs; PH_ENOENT: its folder is not there.
ph_err ph_file_name_check(const char *path, struct ph_fault *fault);
// The path with that number; false when it is too long.
bool ph_file_name_make(char *name, size_t size, const char *path, uint64_t number);

// Writes a new file beside `path` and then renames it, so that who reads `path` never sees a part;
// a failure leaves the old file and nothing else.                          thread: any, may wait
ph_err ph_file_replace(const char *path, const uint8_t *bytes, size_t size,
                       struct ph_fault *fault);

#endif
