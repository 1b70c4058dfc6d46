// SPDX-License-Identifier: MIT
// A few jobs side by side: for plain functions that can be split, from whoever may have threads.
#ifndef PH_CORE_TOGETHER_H
#define PH_CORE_TOGETHER_H

// Runs job(arg, 0 … count - 1), each on a thread of its own (0 on the caller's), and returns when
// all have ended. At most 64; where no thread can be had, one after the other.      thread: any
void ph_together(int count, void (*job)(void *arg, int i), void *arg);

#endif
