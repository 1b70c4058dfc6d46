// SPDX-License-Identifier: MIT
// "Did you mean …?"
#ifndef PH_CORE_NEAREST_H
#define PH_CORE_NEAREST_H

#include <phosphene/common.h>

#define PH_NEAREST_LIMIT 4 // an edit distance that is no likeness any more

// Optimal string alignment distance (insert, delete, replace, swap neighbours); texts over 63
// bytes are far from everything.
int ph_edit_distance(const char *a, const char *b);
// The most similar of a NULL-terminated list; NULL when none is like it.
const char *ph_nearest(const char *text, const char *const *list);

#endif
