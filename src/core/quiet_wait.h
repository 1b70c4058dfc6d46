// SPDX-License-Identifier: MIT
// To be included by a program's main file, once. GNU's OpenMP burns a processor while it waits for
// the next loop, which starves the lanes beside it; it reads how to wait from the environment, when
// it is loaded and never again. So the program says it before any library starts. Whoever sets
// OMP_WAIT_POLICY keeps the last word. (A library cannot do this: programs that embed phosphene set
// the variable themselves.)
#ifndef PH_CORE_QUIET_WAIT_H
#define PH_CORE_QUIET_WAIT_H

#include <stdlib.h>

// Sanitizers are not ready that early; their tests get the variable from outside.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void ph_wait_quietly(void)
{
    setenv("OMP_WAIT_POLICY", "passive", 0);
}
__attribute__((section(".preinit_array"),
               used)) static void (*const ph_before_libraries)(void) = ph_wait_quietly;
#endif

#endif
