// SPDX-License-Identifier: MIT
#include "nn/cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct cu_driver driver;
static char reason[200];
static bool tried, usable;

static bool find_all(void *library)
{
    bool all = true;
#define FIND(name, arguments)                                                                  \
    *(void **) &driver.name = dlsym(library, #name);                                           \
    if (!driver.name && all) {                                                                 \
        snprintf(reason, sizeof reason,                                                        \
                 "libcuda.so.1 has no " #name ": a driver of CUDA 11.4 or newer is needed");   \
        all = false;                                                                           \
    }
    CU_DRIVER(FIND)
#undef FIND
#define FIND(name, arguments) *(void **) &driver.name = dlsym(library, #name);
    CU_DRIVER_LATER(FIND)
#undef FIND
    return all;
}

static bool begin(void)
{
    static const char *const names[] = { "libcuda.so.1", NULL };
    void *library = ph_cu_library_open(names);
    if (!library) {
        snprintf(reason, sizeof reason, "%s",
                 access("/proc/driver/nvidia/version", R_OK)
                     ? "no NVIDIA driver (libcuda.so.1); install nvidia-driver"
                     : "a kernel driver, but no libcuda.so.1; install libcuda1 of its version");
        return false;
    }
    if (!find_all(library)) return false;
    int error = driver.cuInit(0);
    if (error) {
        snprintf(reason, sizeof reason, "the NVIDIA driver does not start: %s",
                 ph_cu_driver_error(&driver, error));
        return false;
    }
    driver.cuDriverGetVersion(&driver.version);
    if (driver.cuDeviceGetCount(&driver.devices) || !driver.devices) {
        snprintf(reason, sizeof reason, "the NVIDIA driver sees no device");
        return false;
    }
    return true;
}

const struct cu_driver *ph_cu_driver_open(char *why, size_t size)
{
    pthread_mutex_lock(&lock);
    if (!tried) usable = begin();
    tried = true;
    if (!usable) snprintf(why, size, "%s", reason);
    pthread_mutex_unlock(&lock);
    return usable ? &driver : NULL;
}

const char *ph_cu_driver_error(const struct cu_driver *api, int error)
{
    const char *text = NULL;
    return api->cuGetErrorString(error, &text) == 0 && text ? text : "unknown error";
}

void *ph_cu_library_open(const char *const *names)
{
    const char *own = getenv("PH_CUDA_PATH");
    const char *const folders[] = { own ? own : "", "", "/usr/local/cuda/lib64",
                                    "/usr/local/nvidia/lib64", "/usr/lib/wsl/lib" };
    char path[4096];
    for (size_t f = own ? 0 : 1; f < sizeof folders / sizeof *folders; f++)
        for (const char *const *n = names; *n; n++) {
            int len =
                snprintf(path, sizeof path, "%s%s%s", folders[f], *folders[f] ? "/" : "", *n);
            if (len < 0 || (size_t) len >= sizeof path) continue;
            void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (library) return library;
        }
    return NULL;
}
