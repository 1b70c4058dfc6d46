// SPDX-License-Identifier: MIT
#include "cuda_model.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cuda_on_host.h"
#include "nn/cuda/driver.h"

// Every function of the header, so that the compiler compares what is declared there with this file.
#define DECLARE(name, arguments) CU_MODEL int name arguments;
CU_DRIVER(DECLARE)
CU_DRIVER_LATER(DECLARE)
CU_MODEL int cuEventSynchronize(void *event);

enum {
    INVALID_VALUE = 1,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901
};
enum { SPACE = 1 << 30, PINNED_BLOCKS = 8, CALLS = 64, FILES = 8 };

// ------------------------------------------------------------------------------ objects
enum kind { CONTEXT = 0x43, STREAM, EVENT, MODULE, FUNCTION, GRAPH, EXEC };

enum what { COPY_IN, COPY_OUT, COPY_OVER, SET, KERNEL_RUN, MARK, REPLAY, CALL };

struct op {
    enum what what;
    char *dst;
    const char *src;
    size_t size;
    int byte;
    unsigned grid[3];
    struct object *of; // function, event, graph
    void (*fn)(const void *);
    char
        args[512]; // of a kernel or a library; of a copy from pageable memory: none, see `held`
    char *held;
    uint64_t ticket; // of a mark: the record it belongs to
};

struct object {
    enum kind kind;
    uint64_t context; // its number
    bool dead;
    // stream, graph
    struct op *ops;
    int count, room;
    bool recording, spoiled;
    pthread_t recorder;
    // event
    uint64_t asked, done;
    int64_t at;
    bool timed;
    // function
    enum cu_kernel kernel;
    int shared_most;
    struct object *older;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *space; // device memory: not to be touched but by what the model runs
static struct block {
    char *at;
    size_t size;
    struct block *next;
} * blocks;
static size_t limit = SPACE, used;
static struct {
    void *at;
    size_t size;
} pinned[PINNED_BLOCKS];
static bool initialized;
static uint64_t primary; // the number of the primary context, 0 = none
static uint64_t contexts;
static int retained, broken;
static struct object *context_object;
static _Thread_local struct object *current;
static int64_t ticks; // of the device's clock, ns
static struct {
    const char *name;
    int count;
} calls[CALLS];
static struct {
    char call[64];
    int error, n;
} fault;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "driver model: %s\n", what);
    abort();
}

// What was given back stays, dead, so that its use is seen.
static struct object *newest;

static struct object *object_new(enum kind kind)
{
    struct object *o = calloc(1, sizeof *o);
    if (!o) die("out of memory");
    o->kind = kind;
    o->context = primary;
    o->older = newest;
    newest = o;
    return o;
}

__attribute__((destructor)) static void free_objects(void)
{
    while (newest) {
        struct object *o = newest;
        newest = o->older;
        free(o->ops);
        free(o);
    }
}

static struct object *object_of(void *handle, enum kind kind)
{
    struct object *o = handle;
    if (!o || o->kind != kind) die("a handle of another kind");
    if (o->dead) die("a handle that was given back");
    if (o->context != primary) die("a handle of a context that is gone");
    return o;
}

static int counted(const char *name)
{
    int i = 0;
    while (i < CALLS - 1 && calls[i].name && strcmp(calls[i].name, name) != 0) i++;
    calls[i].name = name;
    calls[i].count++;
    if (fault.n && strcmp(fault.call, name) == 0 && --fault.n == 0) {
        if (fault.error / 100 == 7) broken = fault.error;
        return fault.error;
    }
    return 0;
}

// Begins every call that wants a context.
#define ENTER(name)                                                                            \
    int error;                                                                                 \
    pthread_mutex_lock(&lock);                                                                 \
    if ((error = enter(name)) != 0) return leave(error)
static int leave(int error)
{
    pthread_mutex_unlock(&lock);
    return error;
}

static int enter(const char *name)
{
    int error = counted(name);
    if (!initialized) return NOT_INITIALIZED;
    if (!current || current->dead || current->context != primary) return INVALID_CONTEXT;
    return broken ? broken : error;
}

// ------------------------------------------------------------------------------ the device's side
static bool owns(const char *at, size_t size)
{
    for (const struct block *b = blocks; b; b = b->next)
        if (at >= b->at && at + size <= b->at + b->size) return true;
    return false;
}

static bool is_pinned(const char *at, size_t size)
{
    for (int i = 0; i < PINNED_BLOCKS; i++)
        if (pinned[i].at && at >= (char *) pinned[i].at &&
            at + size <= (char *) pinned[i].at + pinned[i].size)
            return true;
    return false;
}

static void open_memory(bool open)
{
    if (mprotect(space, SPACE, open ? PROT_READ | PROT_WRITE : PROT_NONE)) die("mprotect");
}

static void run_ops(const struct op *ops, int count);

static void run_op(const struct op *op)
{
    ticks += 1000;
    switch (op->what) {
    case COPY_IN:
        if (!owns(op->dst, op->size)) die("copies to what is not memory of the device");
        memcpy(op->dst, op->held ? op->held : op->src, op->size);
        break;
    case COPY_OUT:
        if (!owns(op->src, op->size)) die("copies from what is not memory of the device");
        memcpy(op->dst, op->src, op->size);
        break;
    case COPY_OVER:
        if (!owns(op->src, op->size) || !owns(op->dst, op->size))
            die("copies between what is not memory of the device");
        memmove(op->dst, op->src, op->size);
        break;
    case SET:
        if (!owns(op->dst, op->size)) die("sets what is not memory of the device");
        memset(op->dst, op->byte, op->size);
        break;
    case KERNEL_RUN:
        if (counted("kernel")) return;
        host_launch(op->of->kernel, op->grid, op->size, op->args,
                    host_kernels[op->of->kernel].args);
        break;
    case MARK:
        op->of->at = ticks;
        op->of->done = op->ticket ? op->ticket : op->of->done + 1;
        if (op->of->asked < op->of->done) op->of->asked = op->of->done;
        break;
    case REPLAY:
        counted("replay");
        run_ops(op->of->ops, op->of->count);
        break;
    case CALL: op->fn(op->args); break;
    }
}

static void run_ops(const struct op *ops, int count)
{
    for (int i = 0; i < count && !broken; i++) run_op(&ops[i]);
}

static struct object *streams[16];

// All that was given to any stream, in its order.
static void drain(void)
{
    open_memory(true);
    for (int i = 0; i < 16; i++) {
        struct object *s = streams[i];
        if (!s || s->recording) continue;
        run_ops(s->ops, s->count);
        for (int k = 0; k < s->count; k++) free(s->ops[k].held);
        s->count = 0;
    }
    open_memory(false);
}

static int append(struct object *s, const struct op *op)
{
    if (s->recording && !pthread_equal(s->recorder, pthread_self()))
        die("gives work to a stream that another thread records");
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->ops = realloc(s->ops, (size_t) s->room * sizeof *s->ops);
        if (!s->ops) die("out of memory");
    }
    s->ops[s->count++] = *op;
    return 0;
}

// A call that the manual forbids in a recording ends it.
static int unsafe(void)
{
    int error = 0;
    for (int i = 0; i < 16; i++)
        if (streams[i] && streams[i]->recording &&
            pthread_equal(streams[i]->recorder, pthread_self())) {
            streams[i]->spoiled = true;
            error = CAPTURE_UNSUPPORTED;
        }
    return error;
}

// ------------------------------------------------------------------------------ device, context
int cuInit(unsigned flags)
{
    pthread_mutex_lock(&lock);
    int error = counted("cuInit");
    if (!space)
        space =
            mmap(NULL, SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) die("no space");
    initialized = !error && flags == 0;
    return leave(error);
}

int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return 0;
}

int cuDeviceGetCount(int *count)
{
    *count = 1;
    return initialized ? 0 : NOT_INITIALIZED;
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = 0;
    return !initialized ? NOT_INITIALIZED : ordinal == 0 ? 0 : NO_DEVICE;
}

int cuDeviceGetName(char *name, int size, int device)
{
    snprintf(name, (size_t) size, "model of a device");
    return 0;
}

int cuDeviceGetPCIBusId(char *text, int size, int device)
{
    snprintf(text, (size_t) size, "0000:3b:00.0");
    return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    *bytes = limit;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    switch (attribute) {
    case 16: *value = 4; return 0;
    case 75: *value = 9; return 0;
    case 76: *value = 0; return 0;
    case 97: *value = 227 << 10; return 0;
    case 115: *value = getenv("CU_MODEL_NO_POOLS") == NULL; return 0;
    default: die("an attribute that the model does not know");
    }
}

int cuDevicePrimaryCtxRetain(void **context, int device)
{
    pthread_mutex_lock(&lock);
    int error = counted("cuDevicePrimaryCtxRetain");
    if (!initialized) error = NOT_INITIALIZED;
    if (error) return leave(error);
    if (!retained++) {
        primary = ++contexts;
        context_object = object_new(CONTEXT);
        broken = 0;
    }
    *context = context_object;
    return leave(0);
}

int cuDevicePrimaryCtxRelease_v2(int device)
{
    pthread_mutex_lock(&lock);
    if (!retained) die("a context is released that nobody retains");
    if (--retained == 0) {
        drain();
        context_object->dead = true;
        primary = 0;
        memset(streams, 0, sizeof streams);
        if (blocks && !broken) die("memory of the device is still held");
    }
    return leave(0);
}

int cuCtxSetCurrent(void *context)
{
    pthread_mutex_lock(&lock);
    current = context ? object_of(context, CONTEXT) : NULL;
    return leave(0);
}

// ------------------------------------------------------------------------------ memory
static int take(cu_address *at, size_t size)
{
    size_t whole = (size + 511) / 512 * 512;
    char *from = space;
    struct block **link = &blocks, *b;
    if (!size) return INVALID_VALUE;
    if (used + whole > limit) return CU_OUT_OF_MEMORY;
    while (*link && (size_t) ((*link)->at - from) < whole + 512) {
        from = (*link)->at + ((*link)->size + 511) / 512 * 512 + 512; // a gap that nobody owns
        link = &(*link)->next;
    }
    if (from + whole > space + SPACE) return CU_OUT_OF_MEMORY;
    b = calloc(1, sizeof *b);
    if (!b) die("out of memory");
    *b = (struct block){ from, size, *link };
    *link = b;
    used += whole;
    open_memory(true);
    memset(from, 0xff, size); // whatever was there: NaN
    open_memory(false);
    *at = (cu_address) (uintptr_t) from;
    return 0;
}

static int give(cu_address at)
{
    struct block **link = &blocks;
    while (*link && (*link)->at != (char *) (uintptr_t) at) link = &(*link)->next;
    if (!*link) die("gives back what it was not given");
    struct block *b = *link;
    *link = b->next;
    used -= (b->size + 511) / 512 * 512;
    free(b);
    return 0;
}

int cuMemAlloc_v2(cu_address *at, size_t size)
{
    ENTER("cuMemAlloc_v2");
    if ((error = unsafe()) != 0) return leave(error);
    return leave(take(at, size));
}

int cuMemAllocAsync(cu_address *at, size_t size, void *stream)
{
    ENTER("cuMemAllocAsync");
    if (object_of(stream, STREAM)->recording) die("memory that would belong to the recording");
    return leave(take(at, size));
}

int cuMemFree_v2(cu_address at)
{
    ENTER("cuMemFree_v2");
    if ((error = unsafe()) != 0) return leave(error);
    drain(); // the manual: as if waited for
    return leave(give(at));
}

int cuMemFreeAsync(cu_address at, void *stream)
{
    ENTER("cuMemFreeAsync");
    if (object_of(stream, STREAM)->recording) die("memory is given back in a recording");
    drain(); // in its turn on the stream
    return leave(give(at));
}

int cuMemAllocHost_v2(void **at, size_t size)
{
    ENTER("cuMemAllocHost_v2");
    int i = 0;
    while (i < PINNED_BLOCKS && pinned[i].at) i++;
    if (i == PINNED_BLOCKS) die("too much pinned memory");
    pinned[i].at = *at = malloc(size);
    pinned[i].size = size;
    return leave(*at ? 0 : CU_OUT_OF_MEMORY);
}

int cuMemFreeHost(void *at)
{
    ENTER("cuMemFreeHost");
    drain();
    for (int i = 0; i < PINNED_BLOCKS; i++)
        if (pinned[i].at == at) {
            free(at);
            pinned[i].at = NULL;
            return leave(0);
        }
    die("gives back pinned memory that it was not given");
}

int cuMemGetInfo_v2(size_t *left, size_t *total)
{
    *left = limit - used;
    *total = limit;
    return 0;
}

static char *host_of(cu_address at)
{
    return (char *) (uintptr_t) at;
}

int cuMemcpyHtoDAsync_v2(cu_address dst, const void *src, size_t size, void *stream)
{
    ENTER("cuMemcpyHtoDAsync_v2");
    struct op op = { .what = COPY_IN, .dst = host_of(dst), .src = src, .size = size };
    if (!is_pinned(src, size)) { // read before the call returns
        op.held = malloc(size);
        if (!op.held) die("out of memory");
        memcpy(op.held, src, size);
    }
    return leave(append(object_of(stream, STREAM), &op));
}

int cuMemcpyDtoHAsync_v2(void *dst, cu_address src, size_t size, void *stream)
{
    ENTER("cuMemcpyDtoHAsync_v2");
    struct op op = { .what = COPY_OUT, .dst = dst, .src = host_of(src), .size = size };
    return leave(append(object_of(stream, STREAM), &op));
}

int cuMemcpyDtoDAsync_v2(cu_address dst, cu_address src, size_t size, void *stream)
{
    ENTER("cuMemcpyDtoDAsync_v2");
    struct op op = {
        .what = COPY_OVER, .dst = host_of(dst), .src = host_of(src), .size = size
    };
    return leave(append(object_of(stream, STREAM), &op));
}

int cuMemsetD8Async(cu_address dst, unsigned char byte, size_t size, void *stream)
{
    ENTER("cuMemsetD8Async");
    struct op op = { .what = SET, .dst = host_of(dst), .byte = byte, .size = size };
    return leave(append(object_of(stream, STREAM), &op));
}

// ------------------------------------------------------------------------------ streams, graphs
int cuStreamCreate(void **stream, unsigned flags)
{
    ENTER("cuStreamCreate");
    for (int i = 0; i < 16; i++)
        if (!streams[i]) {
            *stream = streams[i] = object_new(STREAM);
            return leave(flags > 1 ? INVALID_VALUE : 0);
        }
    die("too many streams");
}

int cuStreamDestroy_v2(void *stream)
{
    ENTER("cuStreamDestroy_v2");
    struct object *s = object_of(stream, STREAM);
    drain();
    for (int i = 0; i < 16; i++)
        if (streams[i] == s) streams[i] = NULL;
    s->dead = true;
    return leave(0);
}

int cuStreamSynchronize(void *stream)
{
    ENTER("cuStreamSynchronize");
    object_of(stream, STREAM);
    if ((error = unsafe()) != 0) return leave(error);
    drain();
    return leave(broken);
}

int cuStreamBeginCapture_v2(void *stream, int mode)
{
    ENTER("cuStreamBeginCapture_v2");
    struct object *s = object_of(stream, STREAM);
    if (mode < 0 || mode > 2 || s->recording) return leave(INVALID_VALUE);
    drain(); // the recording begins empty
    s->recording = true;
    s->spoiled = false;
    s->recorder = pthread_self();
    return leave(0);
}

int cuStreamEndCapture(void *stream, void **graph)
{
    ENTER("cuStreamEndCapture");
    struct object *s = object_of(stream, STREAM);
    if (!s->recording) return leave(INVALID_VALUE);
    if (!pthread_equal(s->recorder, pthread_self())) die("another thread ends a recording");
    struct object *g = object_new(GRAPH);
    g->ops = s->ops;
    g->count = s->count;
    s->ops = NULL;
    s->count = s->room = 0;
    s->recording = false;
    *graph = s->spoiled ? NULL : g;
    return leave(s->spoiled ? CAPTURE_INVALIDATED : 0);
}

int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags)
{
    ENTER("cuGraphInstantiateWithFlags");
    struct object *g = object_of(graph, GRAPH), *e = object_new(EXEC);
    e->count = g->count;
    e->ops = malloc((size_t) g->count * sizeof *e->ops + 1);
    if (!e->ops) die("out of memory");
    memcpy(e->ops, g->ops, (size_t) g->count * sizeof *e->ops);
    *exec = e;
    return leave(flags ? INVALID_VALUE : 0);
}

int cuGraphDestroy(void *graph)
{
    ENTER("cuGraphDestroy");
    object_of(graph, GRAPH)->dead = true;
    return leave(0);
}

int cuGraphExecDestroy(void *exec)
{
    ENTER("cuGraphExecDestroy");
    struct object *e = object_of(exec, EXEC);
    drain(); // what was launched is done first
    e->dead = true;
    return leave(0);
}

int cuGraphLaunch(void *exec, void *stream)
{
    ENTER("cuGraphLaunch");
    struct op op = { .what = REPLAY, .of = object_of(exec, EXEC) };
    return leave(append(object_of(stream, STREAM), &op));
}

// ------------------------------------------------------------------------------ events
int cuEventCreate(void **event, unsigned flags)
{
    ENTER("cuEventCreate");
    struct object *e = object_new(EVENT);
    e->timed = !(flags & 2);
    *event = e;
    return leave(0);
}

int cuEventRecordWithFlags(void *event, void *stream, unsigned flags)
{
    ENTER("cuEventRecordWithFlags");
    struct object *e = object_of(event, EVENT), *s = object_of(stream, STREAM);
    struct op op = { .what = MARK, .of = e };
    if (s->recording && !flags) return leave(0); // an edge of the graph, no time
    if (!s->recording && flags) return leave(INVALID_VALUE);
    if (!s->recording) op.ticket = ++e->asked;
    return leave(append(s, &op));
}

int cuEventSynchronize(void *event)
{
    ENTER("cuEventSynchronize");
    if ((error = unsafe()) != 0) return leave(error);
    drain();
    return leave(broken);
}

int cuEventElapsedTime(float *ms, void *begin, void *end)
{
    ENTER("cuEventElapsedTime");
    const struct object *a = object_of(begin, EVENT), *b = object_of(end, EVENT);
    if (!a->timed || !b->timed || !a->asked || !b->asked) return leave(INVALID_HANDLE);
    if (a->done != a->asked || b->done != b->asked) return leave(NOT_READY);
    *ms = (float) (b->at - a->at) * 1e-6f;
    return leave(0);
}

int cuEventDestroy_v2(void *event)
{
    ENTER("cuEventDestroy_v2");
    object_of(event, EVENT)->dead = true;
    return leave(0);
}

// ------------------------------------------------------------------------------ kernels
int cuModuleLoadData(void **module, const void *image)
{
    ENTER("cuModuleLoadData");
    uint32_t magic;
    memcpy(&magic, image, sizeof magic);
    if ((error = unsafe()) != 0) return leave(error);
    if (magic != 0xBA55ED50u) return leave(INVALID_IMAGE); // of a fat binary
    *module = object_new(MODULE);
    return leave(0);
}

int cuModuleUnload(void *module)
{
    ENTER("cuModuleUnload");
    drain();
    object_of(module, MODULE)->dead = true;
    return leave(0);
}

int cuModuleGetFunction(void **function, void *module, const char *name)
{
    ENTER("cuModuleGetFunction");
    object_of(module, MODULE);
    for (int k = 0; k < CU_KERNEL_COUNT; k++)
        if (strcmp(host_kernels[k].name, name) == 0) {
            struct object *f = object_new(FUNCTION);
            f->kernel = (enum cu_kernel) k;
            f->shared_most = 48 << 10;
            *function = f;
            return leave(0);
        }
    return leave(NOT_FOUND);
}

int cuFuncSetAttribute(void *function, int attribute, int value)
{
    ENTER("cuFuncSetAttribute");
    struct object *f = object_of(function, FUNCTION);
    if (attribute != 8 || value > 227 << 10) return leave(INVALID_VALUE);
    f->shared_most = value;
    return leave(0);
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                   unsigned by, unsigned bz, unsigned shared, void *stream, void **params,
                   void **extra)
{
    ENTER("cuLaunchKernel");
    struct object *f = object_of(function, FUNCTION);
    const struct host_kernel *k = &host_kernels[f->kernel];
    struct op op = { .what = KERNEL_RUN, .of = f, .size = shared, .grid = { gx, gy, gz } };
    if (!gx || !gy || !gz || gx > INT32_MAX || gy > 65535 || gz > 65535)
        return leave(INVALID_VALUE);
    if ((int) bx != k->threads || by != 1 || bz != 1 || (int) shared > f->shared_most || extra)
        return leave(INVALID_VALUE);
    if (k->args > sizeof op.args) die("arguments that are too large for the model");
    memcpy(op.args, params[0], k->args);
    return leave(append(object_of(stream, STREAM), &op));
}

int cuLaunchKernelEx(const struct cu_launch *l, void *function, void **params, void **extra)
{
    pthread_mutex_lock(&lock);
    int error = counted("cuLaunchKernelEx");
    pthread_mutex_unlock(&lock);
    if (error) return error;
    if (l->count != 1 || l->attributes->id != 6 || l->attributes->value.allowed != 1)
        return INVALID_VALUE;
    return cuLaunchKernel(function, l->grid[0], l->grid[1], l->grid[2], l->block[0],
                          l->block[1], l->block[2], l->shared, l->stream, params, extra);
}

int cuGetErrorString(int error, const char **text)
{
    static const char *const common[] = { "no error", "invalid argument", "out of memory" };
    *text = error >= 0 && error < 3 ? common[error]
            : error == 700          ? "an illegal memory access was encountered"
                                    : "an error of the model";
    return 0;
}

// ------------------------------------------------------------------------------ for tests
void cu_model_fail(const char *call, int error, int n)
{
    pthread_mutex_lock(&lock);
    snprintf(fault.call, sizeof fault.call, "%s", call);
    fault.error = error;
    fault.n = n;
    pthread_mutex_unlock(&lock);
}

void cu_model_memory(size_t bytes)
{
    limit = bytes;
}

size_t cu_model_used(void)
{
    return used;
}

int cu_model_count(const char *call)
{
    for (int i = 0; i < CALLS && calls[i].name; i++)
        if (strcmp(calls[i].name, call) == 0) return calls[i].count;
    return 0;
}

int cu_model_enqueue(void *stream, void (*fn)(const void *), const void *args, size_t size)
{
    ENTER("cu_model_enqueue");
    struct op op = { .what = CALL, .fn = fn };
    if (size > sizeof op.args) die("arguments that are too large for the model");
    memcpy(op.args, args, size);
    return leave(append(object_of(stream, STREAM), &op));
}

int cu_model_owns(const void *at, size_t size)
{
    return owns(at, size);
}

uint64_t cu_model_context(void)
{
    return current && !current->dead ? current->context : 0;
}
