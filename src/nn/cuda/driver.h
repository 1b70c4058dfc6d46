// SPDX-License-Identifier: MIT
// The NVIDIA driver, opened when it is wanted: nothing is linked, and what is used of its interface
// is declared here (the names and numbers are those of CUDA's driver API, stable since 11.4).
#ifndef PH_NN_CUDA_DRIVER_H
#define PH_NN_CUDA_DRIVER_H

#include <phosphene/common.h>

typedef uint64_t cu_address;

// X(name, arguments): int name(arguments), 0 = done.
#define CU_DRIVER(X)                                                                           \
    X(cuInit, (unsigned flags))                                                                \
    X(cuDriverGetVersion, (int *version))                                                      \
    X(cuDeviceGetCount, (int *count))                                                          \
    X(cuDeviceGet, (int *device, int ordinal))                                                 \
    X(cuDeviceGetName, (char *name, int size, int device))                                     \
    X(cuDeviceTotalMem_v2, (size_t * bytes, int device))                                       \
    X(cuDeviceGetAttribute, (int *value, int attribute, int device))                           \
    X(cuDeviceGetPCIBusId, (char *text, int size, int device))                                 \
    X(cuDevicePrimaryCtxRetain, (void **context, int device))                                  \
    X(cuDevicePrimaryCtxRelease_v2, (int device))                                              \
    X(cuCtxSetCurrent, (void *context))                                                        \
    X(cuMemAlloc_v2, (cu_address * at, size_t size))                                           \
    X(cuMemAllocAsync, (cu_address * at, size_t size, void *stream))                           \
    X(cuMemFreeAsync, (cu_address at, void *stream))                                           \
    X(cuMemFree_v2, (cu_address at))                                                           \
    X(cuMemAllocHost_v2, (void **at, size_t size))                                             \
    X(cuMemFreeHost, (void *at))                                                               \
    X(cuMemGetInfo_v2, (size_t * left, size_t * total))                                        \
    X(cuMemcpyHtoDAsync_v2, (cu_address dst, const void *src, size_t size, void *stream))      \
    X(cuMemcpyDtoHAsync_v2, (void *dst, cu_address src, size_t size, void *stream))            \
    X(cuMemcpyDtoDAsync_v2, (cu_address dst, cu_address src, size_t size, void *stream))       \
    X(cuMemsetD8Async, (cu_address dst, unsigned char byte, size_t size, void *stream))        \
    X(cuStreamCreate, (void **stream, unsigned flags))                                         \
    X(cuStreamDestroy_v2, (void *stream))                                                      \
    X(cuStreamSynchronize, (void *stream))                                                     \
    X(cuStreamBeginCapture_v2, (void *stream, int mode))                                       \
    X(cuStreamEndCapture, (void *stream, void **graph))                                        \
    X(cuGraphInstantiateWithFlags, (void **exec, void *graph, unsigned long long flags))       \
    X(cuGraphLaunch, (void *exec, void *stream))                                               \
    X(cuGraphExecDestroy, (void *exec))                                                        \
    X(cuGraphDestroy, (void *graph))                                                           \
    X(cuEventCreate, (void **event, unsigned flags))                                           \
    X(cuEventRecordWithFlags, (void *event, void *stream, unsigned flags))                     \
    X(cuEventElapsedTime, (float *ms, void *begin, void *end))                                 \
    X(cuEventDestroy_v2, (void *event))                                                        \
    X(cuModuleLoadData, (void **module, const void *image))                                    \
    X(cuModuleUnload, (void *module))                                                          \
    X(cuModuleGetFunction, (void **function, void *module, const char *name))                  \
    X(cuFuncSetAttribute, (void *function, int attribute, int value))                          \
    X(cuLaunchKernel,                                                                          \
      (void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,        \
       unsigned bz, unsigned shared, void *stream, void **params, void **extra))               \
    X(cuGetErrorString, (int error, const char **text))

// What a driver may be too old for: NULL then.
#define CU_DRIVER_LATER(X)                                                                     \
    X(cuLaunchKernelEx,                                                                        \
      (const struct cu_launch *launch, void *function, void **params, void **extra))

struct cu_launch_attribute { // CUlaunchAttribute
    int id;
    union {
        _Alignas(8) char bytes[64];
        int allowed; // CU_OVERLAP
    } value;
};
struct cu_launch { // CUlaunchConfig
    unsigned grid[3], block[3], shared;
    void *stream;
    struct cu_launch_attribute *attributes;
    unsigned count;
};

enum {
    CU_MULTIPROCESSORS = 16, // attributes of devices
    CU_CAPABILITY_MAJOR = 75,
    CU_CAPABILITY_MINOR = 76,
    CU_SHARED_OPT_IN = 97,
    CU_POOLS = 115,
    CU_DYNAMIC_SHARED = 8,  // of functions
    CU_NON_BLOCKING = 1,    // of streams
    CU_RECORD_EXTERNAL = 1, // of events: a node of the graph, with a time of its own
    CU_OUT_OF_MEMORY = 2,   // errors
    CU_OVERLAP = 6,         // of launches: may begin before the launch before it has ended
    CU_UNKNOWN = 999,       // an error that the driver has no name for
    CU_CAPTURE_OF_THREAD = 1
};

struct cu_driver {
#define CU_FIELD(name, arguments) int(*name) arguments;
    CU_DRIVER(CU_FIELD)
    CU_DRIVER_LATER(CU_FIELD)
#undef CU_FIELD
    int version, devices; // 13000, 1
};

// The driver, begun once; NULL with the reason (a sentence that says what to do) in `why`.  thread: any
const struct cu_driver *ph_cu_driver_open(char *why, size_t size);
const char *ph_cu_driver_error(const struct cu_driver *api, int error); // "out of memory"

// The first of these libraries that there is, from PH_CUDA_PATH, the usual path, and the folders of
// CUDA and of the driver; NULL. Never closed. names: NULL-terminated.
void *ph_cu_library_open(const char *const *names);

#endif
