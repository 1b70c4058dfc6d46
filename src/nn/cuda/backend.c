// SPDX-License-Identifier: MIT
// A CUDA device: one stream, memory of its own, kernels from the fat binaries in the program.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phosphene/log.h>

#include "nn/cuda/cuda.h"
#include "nn/cuda/driver.h"
#include "nn/cuda/energy.h"
#include "nn/plan_priv.h"

enum { PINNED = 32 << 20 }; // bytes on their way to the device at once

struct cuda {
    struct cu_device base;
    const struct cu_driver *api;
    int ordinal;
    void *context, *stream;
    void *modules[8], *functions[CU_KERNEL_COUNT];
    void *moments[PH_BACKEND_MOMENTS + 1]; // events, made when first used
    bool graphs, pools, overlap;
    char pci[16];
    bool recording; // only the device's own thread asks
    // What may be called from any thread. While a recording is made, only the device's own thread
    // gives the stream work.
    pthread_mutex_t lock;
    char *pinned;
    size_t pinned_used;
    _Atomic int error; // the first since the last finish; any thread
    const char *_Atomic error_at;
};

static struct cuda *own(struct ph_device *d)
{
    return d->own;
}

// The first error stays until finish tells: what follows it is its consequence.
static bool failed(struct cuda *c, int error, const char *at)
{
    int none = 0;
    if (error && atomic_compare_exchange_strong(&c->error, &none, error)) c->error_at = at;
    return error != 0;
}

void ph_cu_fail(struct ph_device *d, const char *at)
{
    failed(own(d), CU_UNKNOWN, at);
}

#define TRY(c, call, ...) failed(c, (c)->api->call(__VA_ARGS__), #call)

static void use(struct cuda *c)
{
    TRY(c, cuCtxSetCurrent, c->context);
}

// ------------------------------------------------------------------------------ options
struct options {
    int ordinal;
    bool steps, no_graphs, no_lt, overlap;
};

static ph_err parse(const char *text, struct options *o, struct ph_fault *fault)
{
    *o = (struct options){ 0 };
    while (*text) {
        size_t len = strcspn(text, ",");
        char *end = NULL;
        if (len > 7 && strncmp(text, "device=", 7) == 0) {
            long n = strtol(text + 7, &end, 10);
            if (end != text + len || n < 0 || n > 63)
                return ph_fail(fault, PH_EINVAL, "device", "device=%.*s: expected 0 to 63",
                               (int) len - 7, text + 7);
            o->ordinal = (int) n;
        } else if (len == 5 && strncmp(text, "steps", len) == 0) {
            o->steps = true;
        } else if (len == 7 && strncmp(text, "nograph", len) == 0) {
            o->no_graphs = true;
        } else if (len == 7 && strncmp(text, "overlap", len) == 0) {
            o->overlap = true;
        } else if (len == 4 && strncmp(text, "nolt", len) == 0) {
            o->no_lt = true;
        } else {
            return ph_fail(fault, PH_EINVAL, "device",
                           "cuda has no option \"%.*s\"; there are device=N, steps, nograph, "
                           "overlap, nolt",
                           (int) len, text);
        }
        text += len + (text[len] == ',');
    }
    return PH_OK;
}

// ------------------------------------------------------------------------------ kernels
static int file_of(enum cu_kernel k)
{
    static const char *const files[] = {
#define FILE_OF(name, args, file, threads) #file,
        CU_KERNELS(FILE_OF)
#undef FILE_OF
    };
    int i = 0;
    while (strcmp(ph_cu_files[i], files[k]) != 0) i++;
    return i;
}

static const struct {
    const char *name;
    int threads;
    size_t args;
} kernels[] = {
#define ENTRY(name, args, file, threads) { #name, threads, sizeof(struct args) },
    CU_KERNELS(ENTRY)
#undef ENTRY
};

static ph_err load(struct cuda *c, struct ph_fault *fault)
{
    for (int i = 0; ph_cu_files[i]; i++) {
        int error = c->api->cuModuleLoadData(&c->modules[i], ph_cu_images[i]);
        if (error)
            return ph_fail(fault, PH_EDEVICE, "device",
                           "cuda: the kernels of %s do not load: %s", ph_cu_files[i],
                           ph_cu_driver_error(c->api, error));
    }
    for (int k = 0; k < CU_KERNEL_COUNT; k++) {
        void **f = &c->functions[k];
        int error = c->api->cuModuleGetFunction(f, c->modules[file_of(k)], kernels[k].name);
        if (error)
            return ph_fail(fault, PH_EDEVICE, "device", "cuda: no kernel %s: %s",
                           kernels[k].name, ph_cu_driver_error(c->api, error));
        // Best effort: a kernel that wants more than the device has is refused when it is prepared.
        c->api->cuFuncSetAttribute(*f, CU_DYNAMIC_SHARED, (int) c->base.shared_most);
    }
    return PH_OK;
}

// A block begins while the last ones of the launch before end, and waits for them first of all
// (KERNEL in kernel.cuh), so that what a launch costs is hidden.
static int launch_early(struct cuda *c, enum cu_kernel k, struct cu_grid grid, size_t shared,
                        void **params)
{
    struct cu_launch_attribute overlap = { .id = CU_OVERLAP, .value.allowed = 1 };
    struct cu_launch l = { { grid.x, grid.y, grid.z },
                           { (unsigned) kernels[k].threads, 1, 1 },
                           (unsigned) shared,
                           c->stream,
                           &overlap,
                           1 };
    return c->api->cuLaunchKernelEx(&l, c->functions[k], params, NULL);
}

static void launch(struct ph_device *d, enum cu_kernel k, struct cu_grid grid, size_t shared,
                   const void *args, size_t size)
{
    struct cuda *c = own(d);
    void *params[] = { (void *) args };
    if (size != kernels[k].args) abort(); // a mistake of ours
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    if (c->overlap) {
        failed(c, launch_early(c, k, grid, shared, params), kernels[k].name);
        return;
    }
    failed(c,
           c->api->cuLaunchKernel(c->functions[k], grid.x, grid.y, grid.z,
                                  (unsigned) kernels[k].threads, 1, 1, (unsigned) shared,
                                  c->stream, params, NULL),
           kernels[k].name);
}

// ------------------------------------------------------------------------------ open, close
static int attribute(const struct cuda *c, int which, int device)
{
    int value = 0;
    c->api->cuDeviceGetAttribute(&value, which, device);
    return value;
}

static void cuda_close(struct ph_device *d)
{
    struct cuda *c = own(d);
    if (!c) return;
    if (c->context) {
        c->api->cuCtxSetCurrent(c->context);
        if (c->stream) c->api->cuStreamSynchronize(c->stream);
        ph_cu_lt_end(d);
        for (int i = 0; i <= PH_BACKEND_MOMENTS; i++)
            if (c->moments[i]) c->api->cuEventDestroy_v2(c->moments[i]);
        for (int i = 0; ph_cu_files[i]; i++)
            if (c->modules[i]) c->api->cuModuleUnload(c->modules[i]);
        if (c->pinned) c->api->cuMemFreeHost(c->pinned);
        if (c->stream) c->api->cuStreamDestroy_v2(c->stream);
        c->api->cuDevicePrimaryCtxRelease_v2(c->ordinal);
    }
    pthread_mutex_destroy(&c->lock);
    d->own = NULL;
    free(c);
}

static ph_err begin(struct ph_device *d, const struct options *o, struct ph_fault *fault)
{
    struct cuda *c = own(d);
    int device = 0, error;
    char name[96] = "", lt[64] = "no cuBLASLt";
    if (o->ordinal >= c->api->devices)
        return ph_fail(fault, PH_EINVAL, "device", "cuda: no device %d; there are %d",
                       o->ordinal, c->api->devices);
    error = c->api->cuDeviceGet(&device, o->ordinal);
    c->ordinal = device; // what is retained is released by it, whatever fails next
    if (error || (error = c->api->cuDevicePrimaryCtxRetain(&c->context, device)) ||
        (error = c->api->cuCtxSetCurrent(c->context)) ||
        (error = c->api->cuStreamCreate(&c->stream, CU_NON_BLOCKING)) ||
        (error = c->api->cuMemAllocHost_v2((void **) &c->pinned, PINNED)))
        return ph_fail(fault, PH_EDEVICE, "device", "cuda: device %d does not open: %s",
                       o->ordinal, ph_cu_driver_error(c->api, error));
    c->base.stream = c->stream;
    c->base.multiprocessors = attribute(c, CU_MULTIPROCESSORS, device);
    c->base.shared_most = (size_t) attribute(c, CU_SHARED_OPT_IN, device);
    c->pools = attribute(c, CU_POOLS, device);
    int major = attribute(c, CU_CAPABILITY_MAJOR, device);
    int minor = attribute(c, CU_CAPABILITY_MINOR, device);
    if (major < 8)
        return ph_fail(fault, PH_ENOTSUP, "device",
                       "cuda: device %d is of compute capability %d.%d; 8.0 is the least",
                       o->ordinal, major, minor);
    c->overlap = o->overlap && major >= 9 && c->api->cuLaunchKernelEx;
    c->api->cuDeviceGetPCIBusId(c->pci, sizeof c->pci, device);
    ph_err ret = load(c, fault);
    if (ret < 0) return ret;
    c->api->cuDeviceGetName(name, sizeof name, device);
    if (!o->no_lt) ph_cu_lt_begin(d, lt, sizeof lt);
    snprintf(d->name, sizeof d->name, "cuda: %s, compute %d.%d, %s", name, major, minor, lt);
    return PH_OK;
}

static ph_err cuda_open(struct ph_device *d, const char *text, struct ph_fault *fault)
{
    struct options o;
    char why[200];
    ph_err ret = parse(text, &o, fault);
    if (ret < 0) return ret;
    if (!ph_cu_images[0])
        return ph_fail(fault, PH_ENOTSUP, "device",
                       "cuda: built without nvcc; install CUDA's compiler and build again");
    const struct cu_driver *api = ph_cu_driver_open(why, sizeof why);
    if (!api) return ph_fail(fault, PH_EDEVICE, "device", "cuda: %s", why);
    struct cuda *c = calloc(1, sizeof *c);
    if (!c) return PH_ENOMEM;
    c->api = api;
    c->base.launch = launch;
    c->graphs = !o.no_graphs;
    d->mark_steps = o.steps;
    pthread_mutex_init(&c->lock, NULL);
    d->own = c; // closed with the device, also when the rest fails
    d->threads = 1;
    ret = begin(d, &o, fault);
    if (ret >= 0) ph_cu_list_kernels(d, c->base.lt);
    return ret;
}

static bool cuda_present(void)
{
    char why[200];
    return ph_cu_images[0] && ph_cu_driver_open(why, sizeof why);
}

// ------------------------------------------------------------------------------ memory
// From the stream's pool: whatever uses the memory is on the stream behind it, and whoever used what
// is given back is before, so nobody waits. A device without pools is waited for by the driver.
static void *cuda_alloc(struct ph_device *d, size_t size)
{
    struct cuda *c = own(d);
    cu_address at = 0;
    if (!size) size = 64;
    pthread_mutex_lock(&c->lock);
    use(c);
    // Not c's error: the caller gets NULL and says what it was for.
    int error = c->pools ? c->api->cuMemAllocAsync(&at, size, c->stream)
                         : c->api->cuMemAlloc_v2(&at, size);
    if (error) at = 0;
    if (at) TRY(c, cuMemsetD8Async, at, 0, size, c->stream);
    pthread_mutex_unlock(&c->lock);
    return (void *) (uintptr_t) at;
}

static void cuda_release(struct ph_device *d, void *memory, size_t size)
{
    struct cuda *c = own(d);
    cu_address at = (cu_address) (uintptr_t) memory;
    pthread_mutex_lock(&c->lock);
    use(c);
    if (c->pools)
        TRY(c, cuMemFreeAsync, at, c->stream);
    else
        TRY(c, cuMemFree_v2, at);
    pthread_mutex_unlock(&c->lock);
}

// Through pinned memory, so that the caller's is free again at once and nobody waits.
static void cuda_upload(struct ph_device *d, void *dst, const void *src, size_t size)
{
    struct cuda *c = own(d);
    pthread_mutex_lock(&c->lock);
    use(c);
    for (size_t at = 0; at < size;) {
        if (c->pinned_used == PINNED) {
            TRY(c, cuStreamSynchronize, c->stream);
            c->pinned_used = 0;
        }
        size_t n = size - at < PINNED - c->pinned_used ? size - at : PINNED - c->pinned_used;
        char *through = c->pinned + c->pinned_used;
        memcpy(through, (const char *) src + at, n);
        TRY(c, cuMemcpyHtoDAsync_v2, (cu_address) (uintptr_t) dst + at, through, n, c->stream);
        at += n;
        c->pinned_used += (n + 255) / 256 * 256;
        if (c->pinned_used > PINNED) c->pinned_used = PINNED;
    }
    pthread_mutex_unlock(&c->lock);
}

static void cuda_download(struct ph_device *d, void *dst, const void *src, size_t size)
{
    struct cuda *c = own(d);
    pthread_mutex_lock(&c->lock);
    use(c);
    TRY(c, cuStreamSynchronize, c->stream); // what is on its way there leaves the pinned memory
    c->pinned_used = 0;
    for (size_t at = 0; at < size;) {
        size_t n = size - at < PINNED ? size - at : PINNED;
        TRY(c, cuMemcpyDtoHAsync_v2, c->pinned, (cu_address) (uintptr_t) src + at, n,
            c->stream);
        TRY(c, cuStreamSynchronize, c->stream);
        memcpy((char *) dst + at, c->pinned, n);
        at += n;
    }
    pthread_mutex_unlock(&c->lock);
}

static void cuda_move(struct ph_device *d, void *dst, const void *src, size_t size)
{
    struct cuda *c = own(d);
    TRY(c, cuMemcpyDtoDAsync_v2, (cu_address) (uintptr_t) dst, (cu_address) (uintptr_t) src,
        size, c->stream);
}

// ------------------------------------------------------------------------------ running
// What the waiting itself says ends the context, and every later call says it again. Anything else
// (a launch that was refused, no memory) was of one run: it is told and over.
static ph_err cuda_finish(struct ph_device *d)
{
    struct cuda *c = own(d);
    use(c);
    bool dead = TRY(c, cuStreamSynchronize, c->stream);
    int error = atomic_exchange(&c->error, 0);
    if (!error) return PH_OK;
    ph_error(NULL, "cuda", "%s: %s%s", c->error_at, ph_cu_driver_error(c->api, error),
             dead ? "; the device works again when the program is begun anew" : "");
    return error == CU_OUT_OF_MEMORY ? PH_ENOMEM : PH_EDEVICE;
}

// In a recording a mark is a node of the graph, which has a time at every replay.
static void cuda_mark(struct ph_device *d, int i)
{
    struct cuda *c = own(d);
    use(c);
    if (!c->moments[i]) TRY(c, cuEventCreate, &c->moments[i], 0);
    TRY(c, cuEventRecordWithFlags, c->moments[i], c->stream,
        c->recording ? CU_RECORD_EXTERNAL : 0);
}

static int64_t cuda_between(struct ph_device *d, int from, int to)
{
    struct cuda *c = own(d);
    float ms = 0;
    if (!c->moments[from] || !c->moments[to]) return 0;
    TRY(c, cuEventElapsedTime, &ms, c->moments[from], c->moments[to]);
    return (int64_t) ((double) ms * 1e6);
}

// ------------------------------------------------------------------------------ recordings
static bool cuda_record(struct ph_device *d)
{
    struct cuda *c = own(d);
    if (!c->graphs || c->error) return false;
    pthread_mutex_lock(&c->lock); // until cuda_recorded
    use(c);
    c->recording = !c->api->cuStreamBeginCapture_v2(c->stream, CU_CAPTURE_OF_THREAD);
    if (c->recording) return true;
    pthread_mutex_unlock(&c->lock);
    return false;
}

static void *cuda_recorded(struct ph_device *d)
{
    struct cuda *c = own(d);
    void *graph = NULL, *exec = NULL;
    c->recording = false;
    int error = c->api->cuStreamEndCapture(c->stream, &graph);
    if (!error) error = c->error; // a step is missing
    if (!error) error = c->api->cuGraphInstantiateWithFlags(&exec, graph, 0);
    if (graph) c->api->cuGraphDestroy(graph);
    pthread_mutex_unlock(&c->lock);
    if (!error) return exec;
    ph_warn(NULL, "cuda",
            "a frame cannot be recorded, so its steps are launched one by one: %s",
            ph_cu_driver_error(c->api, error));
    c->error = 0; // nothing was run
    return NULL;
}

static void cuda_replay(struct ph_device *d, void *recording)
{
    struct cuda *c = own(d);
    TRY(c, cuGraphLaunch, recording, c->stream);
}

static void cuda_forget(struct ph_device *d, void *recording)
{
    struct cuda *c = own(d);
    use(c);
    TRY(c, cuGraphExecDestroy, recording);
}

static double cuda_energy(struct ph_device *d)
{
    return ph_cu_energy(own(d)->pci);
}

const struct ph_backend ph_backend_cuda = {
    .name = "cuda",
    .apart = true,
    .best = PH_PRECISION_BF16,
    .present = cuda_present,
    .open = cuda_open,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .move = cuda_move,
    .finish = cuda_finish,
    .mark = cuda_mark,
    .between = cuda_between,
    .record = cuda_record,
    .recorded = cuda_recorded,
    .replay = cuda_replay,
    .forget = cuda_forget,
    .energy = cuda_energy,
};
