// SPDX-License-Identifier: MIT
#include "alloc_count.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **out, size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **out, size_t align, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

#define STACK 16

static _Thread_local long here, fail_in = -1, failed;
static _Thread_local bool fail_once;
static _Thread_local bool inside; // backtrace may allocate

static char watch_prefix[16];
static atomic_bool watching;
static atomic_long watched;
static atomic_flag first_taken = ATOMIC_FLAG_INIT;
static char first_text[4096];

static void note_first(const char *thread)
{
    if (atomic_flag_test_and_set(&first_taken)) return;
    void *stack[STACK];
    int n = backtrace(stack, STACK);
    char **names = backtrace_symbols(stack, n);
    size_t len = (size_t) snprintf(first_text, sizeof first_text, "thread \"%s\"", thread);
    for (int i = 2; names && i < n && len < sizeof first_text; i++)
        len +=
            (size_t) snprintf(first_text + len, sizeof first_text - len, "\n#   %s", names[i]);
    free(names);
}

static void watch_one(void)
{
    char thread[16] = "";
    prctl(PR_GET_NAME, thread);
    if (strncmp(thread, watch_prefix, strlen(watch_prefix))) return;
    inside = true;
    atomic_fetch_add(&watched, 1);
    note_first(thread);
    inside = false;
}

// True when this allocation has to fail.
static bool count_one(void)
{
    if (inside) return false;
    here++;
    if (atomic_load_explicit(&watching, memory_order_acquire)) watch_one();
    if (fail_in < 0) return false;
    if (fail_in > 0) return fail_in--, false;
    failed++;
    if (fail_once) fail_in = -1;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return count_one() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return count_one() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return count_one() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return count_one() ? NULL : __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **out, size_t align, size_t size)
{
    return count_one() ? ENOMEM : __real_posix_memalign(out, align, size);
}

static char *copy(const char *text, size_t len)
{
    char *mem = __wrap_malloc(len + 1);
    if (!mem) return NULL;
    memcpy(mem, text, len);
    mem[len] = '\0';
    return mem;
}

char *__wrap_strdup(const char *text)
{
    return copy(text, strlen(text));
}

char *__wrap_strndup(const char *text, size_t n)
{
    return copy(text, strnlen(text, n));
}

long alloc_count_here(void)
{
    return here;
}

void alloc_watch(const char *prefix)
{
    atomic_store_explicit(&watching, false, memory_order_release);
    if (!prefix) return;
    void *warm[1];
    backtrace(warm, 1); // loads its library now and not on a watched thread
    snprintf(watch_prefix, sizeof watch_prefix, "%s", prefix);
    first_text[0] = '\0';
    atomic_flag_clear(&first_taken);
    atomic_store(&watched, 0);
    atomic_store_explicit(&watching, true, memory_order_release);
}

long alloc_watched(void)
{
    return atomic_load(&watched);
}

const char *alloc_first(void)
{
    return first_text;
}

void alloc_fail_from(long n)
{
    fail_in = n;
    fail_once = false;
    failed = 0;
}

void alloc_fail_only(long n)
{
    fail_in = n;
    fail_once = true;
    failed = 0;
}

long alloc_failed(void)
{
    return failed;
}
