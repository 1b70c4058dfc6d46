// SPDX-License-Identifier: MIT
// Counts and fails allocations of our own objects, for tests of "a lane allocates nothing" and of
// "every allocation may fail". Link with alloc_sources and alloc_link_args (tests/meson.build),
// which wrap malloc, calloc, realloc, aligned_alloc, posix_memalign, strdup and strndup with the
// linker: what libraries allocate inside themselves is neither seen nor failed.
#ifndef PH_ALLOC_COUNT_H
#define PH_ALLOC_COUNT_H

// Allocations of the calling thread so far.
long alloc_count_here(void);

// Counts from now on the allocations of every thread whose name begins with `prefix` ("ph:" are
// the engine's lanes; "" is every thread), from 0. NULL stops counting.
void alloc_watch(const char *prefix);
long alloc_watched(void); // since alloc_watch
// Who made the first of them: the thread's name and a call stack as text; "" when there was none.
const char *alloc_first(void);

// The n-th allocation of the calling thread from now (0 = the next) fails with ENOMEM, and with
// `from` all later ones do too; -1 ends that. alloc_failed tells how many did.
void alloc_fail_from(long n);
void alloc_fail_only(long n);
long alloc_failed(void);

#endif
