// SPDX-License-Identifier: MIT
// Memory for what is set up once: every block has a parent, freeing a block frees all below it.
// Not for lanes. Not thread-safe within one tree.
#ifndef PH_CORE_TREE_H
#define PH_CORE_TREE_H

#include <phosphene/common.h>

// Zeroed; NULL when out of memory. parent NULL = a root.
void *ph_tree_alloc(void *parent, size_t size);
// Grows an array below `parent` to at least n + 1 elements; keeps the block's children.
void *ph_tree_grow(void *parent, void *array, size_t n, size_t element);
char *ph_tree_text(void *parent, const char *text, size_t len); // copy, NUL-terminated
char *ph_tree_printf(void *parent, const char *fmt, ...) PH_PRINTF(2, 3);
void ph_tree_free(void *block); // and all below; NULL is fine

#define ph_new(parent, type, n) ((type *) ph_tree_alloc(parent, sizeof(type) * (n)))
// Appends one element to parent's array `a` of count `n`; false when out of memory.
#define ph_append(parent, a, n, ...)                                                           \
    (((a) = ph_tree_grow(parent, a, (size_t) (n), sizeof *(a))) != NULL                        \
         ? ((a)[(n)++] = (__VA_ARGS__), true)                                                  \
         : false)

#endif
