// SPDX-License-Identifier: MIT
// A model of NVML for tests: a device that draws 76 W and has used 1.5 J more whenever it is asked.
#include <string.h>

#define NVML_MODEL __attribute__((visibility("default")))
NVML_MODEL int nvmlInit_v2(void);
NVML_MODEL int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device);
NVML_MODEL int nvmlDeviceGetTotalEnergyConsumption(void *device,
                                                   unsigned long long *millijoules);
NVML_MODEL int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts);
NVML_MODEL int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts);

enum { UNINITIALIZED = 1, INVALID = 2, NOT_FOUND = 6 };
static int begun, the_device;

int nvmlInit_v2(void)
{
    begun = 1;
    return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device)
{
    *device = &the_device;
    return !begun ? UNINITIALIZED : strcmp(pci, "0000:3b:00.0") == 0 ? 0 : NOT_FOUND;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules)
{
    static unsigned long long used = 1000;
    *millijoules = used += 1500;
    return device == &the_device ? 0 : INVALID;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts)
{
    *milliwatts = 76500;
    return device == &the_device ? 0 : INVALID;
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts)
{
    *milliwatts = 700000;
    return device == &the_device ? 0 : INVALID;
}
