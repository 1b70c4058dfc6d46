// SPDX-License-Identifier: MIT
#include "nn/cuda/energy.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "nn/cuda/driver.h"

// X(name, arguments) of NVML: 0 = done.
#define NVML(X)                                                                                \
    X(nvmlInit_v2, (void) )                                                                    \
    X(nvmlDeviceGetHandleByPciBusId_v2, (const char *pci, void **device))                      \
    X(nvmlDeviceGetTotalEnergyConsumption, (void *device, unsigned long long *millijoules))    \
    X(nvmlDeviceGetPowerUsage, (void *device, unsigned *milliwatts))                           \
    X(nvmlDeviceGetEnforcedPowerLimit, (void *device, unsigned *milliwatts))

static struct {
#define FIELD(name, arguments) int(*name) arguments;
    NVML(FIELD)
#undef FIELD
} nvml;
static const char *missing; // NULL: it may be called
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void)
{
    static const char *const names[] = { "libnvidia-ml.so.1", NULL };
    void *library = ph_cu_library_open(names);
    missing = "no libnvidia-ml.so.1 (comes with the driver): energy is not told";
    if (!library) return;
    missing = "a libnvidia-ml.so.1 that is too old to tell energy";
#define FIND(name, arguments)                                                                  \
    *(void **) &nvml.name = dlsym(library, #name);                                             \
    if (!nvml.name) return;
    NVML(FIND)
#undef FIND
    missing = nvml.nvmlInit_v2() ? "NVML does not start: energy is not told" : NULL;
}

static void *device_at(const char *pci)
{
    void *device = NULL;
    pthread_once(&once, begin);
    return missing || nvml.nvmlDeviceGetHandleByPciBusId_v2(pci, &device) ? NULL : device;
}

double ph_cu_energy(const char *pci)
{
    unsigned long long millijoules = 0;
    void *device = device_at(pci);
    if (!device || nvml.nvmlDeviceGetTotalEnergyConsumption(device, &millijoules)) return -1;
    return (double) millijoules * 1e-3;
}

bool ph_cu_energy_describe(const char *pci, char *text, size_t size)
{
    unsigned now = 0, limit = 0;
    void *device = device_at(pci);
    if (!device) {
        snprintf(text, size, "%s", missing ? missing : "NVML does not know the device");
        return false;
    }
    if (nvml.nvmlDeviceGetPowerUsage(device, &now) ||
        nvml.nvmlDeviceGetEnforcedPowerLimit(device, &limit) || ph_cu_energy(pci) < 0) {
        snprintf(text, size, "NVML does not tell the energy of this device");
        return false;
    }
    snprintf(text, size, "it draws %u W of %u W", now / 1000, limit / 1000);
    return true;
}
