// SPDX-License-Identifier: MIT
// Numbers as text are the same everywhere: a point before the decimals, whatever locale the
// program has set that this library is part of.
#ifndef PH_CORE_NUMBER_H
#define PH_CORE_NUMBER_H

#include <phosphene/common.h>

#include <stdarg.h>

// As strtod, strtof, snprintf and vsnprintf in the "C" locale.                      thread: any
double ph_strtod(const char *text, char **end);
float ph_strtof(const char *text, char **end);
int ph_snprintf(char *text, size_t size, const char *fmt, ...) PH_PRINTF(3, 4);
int ph_vsnprintf(char *text, size_t size, const char *fmt, va_list args) PH_PRINTF(3, 0);

#endif
