// SPDX-License-Identifier: MIT
// The CPU as a device: threads, memory, and the kernels in the order of files.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "core/cpu.h"
#include "nn/cpu/kernels.h"
#include "nn/plan_priv.h"

// ------------------------------------------------------------------------------ options
struct options {
    int threads;
    bool pin, plain, bf16;
};

static ph_err parse(const char *text, struct options *o, struct ph_fault *fault)
{
    *o = (struct options){ .threads = ph_cpu_count() };
    while (*text) {
        size_t len = strcspn(text, ",");
        char *end = NULL;
        if (len > 8 && strncmp(text, "threads=", 8) == 0) {
            long threads = strtol(text + 8, &end, 10);
            if (end != text + len || threads < 1 || threads > 1024)
                return ph_fail(fault, PH_EINVAL, "device", "threads=%.*s: expected 1 to 1024",
                               (int) len - 8, text + 8);
            o->threads = (int) threads;
        } else if (len == 3 && strncmp(text, "pin", len) == 0) {
            o->pin = true;
        } else if (len == 5 && strncmp(text, "plain", len) == 0) {
            o->plain = true;
        } else if (len == 4 && strncmp(text, "bf16", len) == 0) {
            o->plain = o->bf16 = true;
        } else {
            return ph_fail(fault, PH_EINVAL, "device",
                           "cpu has no option \"%.*s\"; there are threads=N, pin, plain, bf16",
                           (int) len, text);
        }
        text += len + (text[len] == ',');
    }
    return PH_OK;
}

// ------------------------------------------------------------------------------ threads
// The calling thread, number `want`, to the processor of that number among those it may use.
static void pin(const cpu_set_t *all, int want)
{
    want %= CPU_COUNT(all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, all) || want--) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static void start_threads(int threads, bool pinned)
{
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all) != 0) pinned = false;
#if defined(_OPENMP)
    omp_set_num_threads(threads); // of teams that this thread makes: the device's
#pragma omp parallel num_threads(threads)
    if (pinned) pin(&all, omp_get_thread_num());
#else
    if (pinned) pin(&all, 0);
#endif
}

// ------------------------------------------------------------------------------ the device
static void list_kernels(struct ph_device *d, bool plain)
{
    const struct ph_kernel *const *const lists[] = {
        ph_cpu_plain,    ph_cpu_attention, ph_cpu_norm, ph_cpu_chain,
        ph_cpu_winograd, ph_cpu_product,   ph_cpu_few,  ph_cpu_onednn,
    };
    int used = plain ? 1 : (int) (sizeof lists / sizeof *lists), n = 0;
    for (int i = 0; i < used; i++)
        for (const struct ph_kernel *const *k = lists[i]; *k && n < PH_DEVICE_KERNELS; k++)
            d->kernels[n++] = *k;
}

static ph_err cpu_open(struct ph_device *d, const char *text, struct ph_fault *fault)
{
    struct options o;
    ph_err ret = parse(text, &o, fault);
    if (ret < 0) return ret;
#if defined(__SANITIZE_THREAD__) || !defined(_OPENMP) // that sanitizer does not see its waits
    o.threads = 1;
#endif
    d->threads = o.threads;
    d->rounds = o.bf16;
    start_threads(o.threads, o.pin);
    list_kernels(d, o.plain);
    unsigned cpu = ph_cpu_flags();
    snprintf(d->name, sizeof d->name, "cpu: %d thread%s, %s%s%s, %s", d->threads,
             d->threads == 1 ? "" : "s", ph_cpu_level(), cpu & PH_CPU_BF16 ? " bf16" : "",
             cpu & PH_CPU_VNNI ? " vnni" : "",
             o.bf16    ? "plain C rounded to bf16"
             : o.plain ? "plain C"
                       : ph_cpu_onednn_name());
    return PH_OK;
}

static void cpu_close(struct ph_device *d)
{
    (void) d;
}

// Large blocks in huge pages where the system has them: weights are read from end to end.
enum { HUGE = 2 << 20 };

static void *cpu_alloc(struct ph_device *d, size_t size)
{
    (void) d;
    if (size < HUGE) {
        size_t rounded = (size + 63) / 64 * 64;
        void *memory = aligned_alloc(64, rounded ? rounded : 64);
        return memory ? memset(memory, 0, rounded) : NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

static void cpu_release(struct ph_device *d, void *memory, size_t size)
{
    (void) d;
    if (size < HUGE)
        free(memory);
    else
        munmap(memory, size);
}

static void cpu_copy(struct ph_device *d, void *dst, const void *src, size_t size)
{
    (void) d;
    memmove(dst, src, size);
}

static ph_err cpu_finish(struct ph_device *d)
{
    (void) d; // every kernel returns when it is done
    return PH_OK;
}

const struct ph_backend ph_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .move = cpu_copy,
    .finish = cpu_finish,
};
