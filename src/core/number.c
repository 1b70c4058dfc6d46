// SPDX-License-Identifier: MIT
#include "core/number.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static locale_t plain;

static void make_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", (locale_t) 0); // glibc has it built in
}

static locale_t plain_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_plain);
    return plain;
}

double ph_strtod(const char *text, char **end)
{
    locale_t l = plain_locale();
    return l ? strtod_l(text, end, l) : strtod(text, end);
}

float ph_strtof(const char *text, char **end)
{
    locale_t l = plain_locale();
    return l ? strtof_l(text, end, l) : strtof(text, end);
}

int ph_vsnprintf(char *text, size_t size, const char *fmt, va_list args)
{
    locale_t before = uselocale(plain_locale()); // of this thread; 0 changes nothing
    int n = vsnprintf(text, size, fmt, args);
    uselocale(before);
    return n;
}

int ph_snprintf(char *text, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = ph_vsnprintf(text, size, fmt, args);
    va_end(args);
    return n;
}
