// SPDX-License-Identifier: MIT
#include "nn/cuda/found.h"

#include <stdio.h>

#include "nn/cuda/cuda.h"
#include "nn/cuda/driver.h"
#include "nn/cuda/energy.h"

int ph_cuda_found(char *text, size_t size)
{
    const struct cu_driver *api = ph_cu_driver_open(text, size);
    if (!api) return 0;
    snprintf(text, size, "CUDA %d.%d", api->version / 1000, api->version % 1000 / 10);
    return api->devices;
}

void ph_cuda_found_device(int i, char *text, size_t size)
{
    char name[96] = "?", why[200];
    const struct cu_driver *api = ph_cu_driver_open(why, sizeof why);
    int device = 0, major = 0, minor = 0, processors = 0;
    size_t bytes = 0;
    if (!api || api->cuDeviceGet(&device, i)) {
        snprintf(text, size, "does not open");
        return;
    }
    api->cuDeviceGetName(name, sizeof name, device);
    api->cuDeviceTotalMem_v2(&bytes, device);
    api->cuDeviceGetAttribute(&major, CU_CAPABILITY_MAJOR, device);
    api->cuDeviceGetAttribute(&minor, CU_CAPABILITY_MINOR, device);
    api->cuDeviceGetAttribute(&processors, CU_MULTIPROCESSORS, device);
    snprintf(text, size, "%s, compute %d.%d, %.0f GiB, %d multiprocessors%s", name, major,
             minor, (double) bytes / 0x1p30, processors, major < 8 ? "; 8.0 is the least" : "");
}

bool ph_cuda_found_kernels(char *text, size_t size)
{
    bool there = ph_cu_images[0] != NULL;
    snprintf(text, size, "%s",
             there ? "machine code for compute 9.0, PTX from 8.0 on"
                   : "built without nvcc: install CUDA's compiler, build again");
    return there;
}

bool ph_cuda_found_energy(int i, char *text, size_t size)
{
    char why[200], pci[16] = "";
    int device = 0;
    const struct cu_driver *api = ph_cu_driver_open(why, sizeof why);
    if (!api || api->cuDeviceGet(&device, i)) return false;
    api->cuDeviceGetPCIBusId(pci, sizeof pci, device);
    return ph_cu_energy_describe(pci, text, size);
}

void ph_cuda_found_libraries(char *text, size_t size)
{
    static const char *const lt[] = { "libcublasLt.so.13", "libcublasLt.so.12", NULL };
    static const char *const dnn[] = { "libcudnn.so.9", NULL };
    snprintf(text, size, "%s, %s",
             ph_cu_library_open(lt) ? "cuBLASLt" : "no cuBLASLt (libcublas)",
             ph_cu_library_open(dnn) ? "cuDNN (not used yet)" : "no cuDNN");
}
