// SPDX-License-Identifier: MIT
// The machine below cuda_on_host.h, and the device "cudahost" that launches on it.
#include "cuda_on_host.h"

#include <pthread.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <phosphene/tensor.h>

#include "nn/cuda/cuda.h"
#include "nn/plan_priv.h"

enum { WARP = 32, MOST = 256, STACK = 256 << 10, FETCHES = 512 };

// ------------------------------------------------------------------------------ switching
// From one stack to another. A fiber that is begun runs fiber_main.
#if defined(__x86_64__)
typedef void *context; // the stack pointer; what a call must keep lies there
__attribute__((naked, noinline)) static void switch_to(context *from, const context *to)
{
    __asm__("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
            "movq %rsp, (%rdi)\n movq (%rsi), %rsp\n"
            "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret");
}

static void begin_context(context *c, char *stack, size_t size, void (*fn)(void))
{
    void **top = (void **) (void *) (stack + size);
    top[-1] = NULL; // where fn would return to
    *(void (**)(void)) & top[-2] = fn;
    for (int i = 3; i < 9; i++) top[-i] = NULL;
    *c = &top[-8];
}
#else
typedef ucontext_t context;
static void switch_to(context *from, const context *to)
{
    swapcontext(from, to);
}

static void begin_context(context *c, char *stack, size_t size, void (*fn)(void))
{
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = size;
    c->uc_link = NULL;
    makecontext(c, fn, 0);
}
#endif

struct fetch {
    void *to;
    const void *from;
    int there, group;
};

struct fiber {
    context context;
    enum host_meeting at;
    bool alive;
    const void *in;
    void *out;
    struct fetch fetch[FETCHES];
    int fetches, groups; // under way; closed so far
};

struct host_cuda host_cuda;
static struct fiber fibers[MOST];
static char *stacks;
static context scheduler;
static const struct host_kernel *kernel;
static const void *kernel_args;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "kernel %s, block %u,%u,%u, thread %d: %s\n", kernel->name,
            host_cuda.block.x, host_cuda.block.y, host_cuda.block.z, host_cuda.thread, what);
    abort();
}

// ------------------------------------------------------------------------------ numbers
float host_from_f16(uint16_t h)
{
    float f;
    ph_convert(PH_F32, &f, PH_F16, &h, 1);
    return f;
}

uint16_t host_to_f16(float f)
{
    uint16_t h;
    ph_convert(PH_F16, &h, PH_F32, &f, 1);
    return h;
}

uint16_t host_to_bf16(float f)
{
    uint16_t h;
    ph_convert(PH_BF16, &h, PH_F32, &f, 1);
    return h;
}

static float half_of(uint32_t pair, int upper, bool bf16)
{
    uint16_t h = (uint16_t) (upper ? pair >> 16 : pair);
    return bf16 ? cu_bits_float((uint32_t) h << 16) : host_from_f16(h);
}

// ------------------------------------------------------------------------------ fetches
void host_fetch(void *shared, const void *from, int there)
{
    struct fiber *f = &fibers[host_cuda.thread];
    const char *p = shared;
    host_aligned(shared);
    host_aligned(from);
    if (p < host_cuda.shared || p + 16 > host_cuda.shared + host_cuda.shared_size)
        die("fetches to what is not its shared memory");
    if (f->fetches == FETCHES) die("too many fetches");
    f->fetch[f->fetches++] = (struct fetch){ shared, from, there, f->groups };
}

void host_commit(void)
{
    fibers[host_cuda.thread].groups++;
}

void host_wait(int left)
{
    struct fiber *f = &fibers[host_cuda.thread];
    int kept = 0;
    for (int i = 0; i < f->fetches; i++) {
        struct fetch *e = &f->fetch[i];
        if (e->group >= f->groups - left)
            f->fetch[kept++] = *e;
        else if (e->there)
            memcpy(e->to, e->from, 16);
        else
            memset(e->to, 0, 16);
    }
    f->fetches = kept;
}

// ------------------------------------------------------------------------------ meetings
void host_meet(enum host_meeting kind, const void *in, size_t size, void *out)
{
    int me = host_cuda.thread;
    struct fiber *f = &fibers[me];
    f->at = kind;
    f->in = in;
    f->out = out;
    switch_to(&f->context, &scheduler);
    host_cuda.thread = me;
}

static void exchange(struct fiber *w, bool by_mask)
{
    double v[WARP];
    for (int i = 0; i < WARP; i++) {
        const struct host_exchange *e = w[i].in;
        int from = by_mask ? i ^ e->lane : e->lane;
        v[i] = ((const struct host_exchange *) w[from].in)->v;
    }
    for (int i = 0; i < WARP; i++) memcpy(w[i].out, &v[i], sizeof v[i]);
}

// Matrix m: lane 8 m + r has row r. Lane i gets elements 2 (i % 4) and the next of row i / 4, or,
// turned, of column i / 4.
static void matrices(struct fiber *w, bool turned)
{
    for (int i = 0; i < WARP; i++)
        for (int m = 0; m < 4; m++) {
            uint16_t pair[2];
            for (int k = 0; k < 2; k++) {
                int row = turned ? i % 4 * 2 + k : i / 4,
                    column = turned ? i / 4 : i % 4 * 2 + k;
                const char *line = *(const char *const *) w[8 * m + row].in;
                if (line < host_cuda.shared ||
                    line + 16 > host_cuda.shared + host_cuda.shared_size)
                    die("a matrix outside its shared memory");
                host_aligned(line);
                memcpy(&pair[k], line + column * 2, 2);
            }
            ((uint32_t *) w[i].out)[m] = pair[0] | (uint32_t) pair[1] << 16;
        }
}

// mma.m16n8k16, row by column: lane 4 g + t holds of a rows g and g + 8, columns 2 t and 2 t + 8 on;
// of b rows 2 t and 2 t + 8 on, column g; of the result rows g and g + 8, columns 2 t on.
static void multiply(struct fiber *w, bool bf16)
{
    float a[16][16], b[16][8];
    for (int i = 0; i < WARP; i++) {
        const struct host_mma *m = w[i].in;
        int g = i / 4, t = i % 4;
        for (int r = 0; r < 4; r++)
            for (int k = 0; k < 2; k++)
                a[g + r % 2 * 8][2 * t + r / 2 * 8 + k] = half_of(m->a[r], k, bf16);
        for (int r = 0; r < 2; r++)
            for (int k = 0; k < 2; k++) b[2 * t + r * 8 + k][g] = half_of(m->b[r], k, bf16);
    }
    for (int i = 0; i < WARP; i++) {
        const struct host_mma *m = w[i].in;
        float d[4];
        for (int r = 0; r < 4; r++) {
            d[r] = m->d[r];
            for (int k = 0; k < 16; k++)
                d[r] += a[i / 4 + r / 2 * 8][k] * b[k][i % 4 * 2 + r % 2];
        }
        memcpy(w[i].out, d, sizeof d);
    }
}

static void hold_meeting(struct fiber *w)
{
    switch (w->at) {
    case MEET_XOR: exchange(w, true); break;
    case MEET_LANE: exchange(w, false); break;
    case MEET_MATRICES: matrices(w, false); break;
    case MEET_TURNED: matrices(w, true); break;
    case MEET_BF16: multiply(w, true); break;
    case MEET_F16: multiply(w, false); break;
    default: break;
    }
    for (int i = 0; i < WARP; i++) w[i].at = MEET_NONE;
}

// ------------------------------------------------------------------------------ scheduling
static void fiber_main(void)
{
    int me = host_cuda.thread;
    kernel->run(kernel_args);
    host_cuda.thread = me;
    fibers[me].alive = false;
    switch_to(&fibers[me].context, &scheduler);
}

static void resume(int i)
{
    host_cuda.thread = i;
    switch_to(&scheduler, &fibers[i].context);
}

// Until every lane has ended or waits for the block. Every other warp goes backwards, so that
// nothing may lean on the order of lanes.
static void run_warp(int first)
{
    struct fiber *w = &fibers[first];
    for (;;) {
        int meeting = 0, other = 0;
        for (int k = 0; k < WARP; k++) {
            int i = first / WARP % 2 ? WARP - 1 - k : k;
            while (w[i].alive && w[i].at == MEET_NONE) resume(first + i);
        }
        for (int i = 0; i < WARP; i++) {
            meeting += w[i].alive && w[i].at != MEET_BLOCK;
            other += w[i].alive && w[i].at != w[0].at;
        }
        host_cuda.thread = first;
        if (!meeting) return;
        if (meeting != WARP || other) die("its warp does not meet as one");
        hold_meeting(w);
    }
}

static void begin_fiber(int i)
{
    struct fiber *f = &fibers[i];
    f->alive = true;
    f->at = MEET_NONE;
    f->fetches = f->groups = 0;
    begin_context(&f->context, stacks + (size_t) i * STACK, STACK, fiber_main);
}

static void run_block(int threads)
{
    memset(host_cuda.shared, 0xff, host_cuda.shared_size); // NaNs, all of them
    for (int i = 0; i < threads; i++) begin_fiber(i);
    for (int left = threads; left;) {
        left = 0;
        for (int i = 0; i < threads; i += WARP) run_warp(i);
        for (int i = 0; i < threads; i++) {
            left += fibers[i].alive;
            fibers[i].at = MEET_NONE;
        }
    }
}

// Without shared memory nothing can meet (a warp's exchanges aside): then threads are plain calls.
static bool is_flat(enum cu_kernel k)
{
    return k <= CU_KERNEL_noise || k == CU_KERNEL_group_apply || k == CU_KERNEL_matrix_join;
}

void host_launch(enum cu_kernel k, const uint32_t grid[3], size_t shared, const void *args,
                 size_t size)
{
    struct host_block b;
    pthread_mutex_lock(&lock);
    kernel = &host_kernels[k];
    kernel_args = args;
    if (size != kernel->args) die("arguments of another kernel");
    if (!stacks) stacks = aligned_alloc(4096, (size_t) MOST * STACK);
    host_cuda.shared_size = shared;
    host_cuda.shared = aligned_alloc(128, (shared + 128) / 128 * 128);
    if (!stacks || !host_cuda.shared) die("out of memory");
    for (b.z = 0; b.z < grid[2]; b.z++)
        for (b.y = 0; b.y < grid[1]; b.y++)
            for (b.x = 0; b.x < grid[0]; b.x++) {
                host_cuda.block = b;
                for (int i = 0; is_flat(k) && i < kernel->threads; i++) {
                    host_cuda.thread = i;
                    kernel->run(args);
                }
                if (!is_flat(k)) run_block(kernel->threads);
            }
    free(host_cuda.shared);
    pthread_mutex_unlock(&lock);
}

#ifndef HOST_MACHINE_ONLY
// ------------------------------------------------------------------------------ the device
static void launch(struct ph_device *d, enum cu_kernel k, struct cu_grid grid, size_t shared,
                   const void *args, size_t size)
{
    uint32_t g[3] = { grid.x, grid.y, grid.z };
    host_launch(k, g, shared, args, size);
}

static struct cu_device own = { .launch = launch,
                                .multiprocessors = 4,
                                .shared_most = 227 << 10 };

static ph_err host_open(struct ph_device *d, const char *options, struct ph_fault *fault)
{
    d->own = &own;
    d->threads = 1;
    snprintf(d->name, sizeof d->name, "cuda kernels on the host");
    ph_cu_list_kernels(d, false);
    return PH_OK;
}

static void host_close(struct ph_device *d)
{
    d->own = NULL;
}

static void *host_alloc(struct ph_device *d, size_t size)
{
    size_t rounded = (size + 64) / 64 * 64;
    void *memory = aligned_alloc(64, rounded);
    return memory ? memset(memory, 0, rounded) : NULL;
}

static void host_release(struct ph_device *d, void *memory, size_t size)
{
    free(memory);
}

static void host_copy(struct ph_device *d, void *dst, const void *src, size_t size)
{
    memmove(dst, src, size);
}

static ph_err host_finish(struct ph_device *d)
{
    return PH_OK;
}

static const struct ph_backend backend = {
    .name = "cudahost",
    .apart = true,
    .best = PH_PRECISION_BF16,
    .open = host_open,
    .close = host_close,
    .alloc = host_alloc,
    .release = host_release,
    .upload = host_copy,
    .download = host_copy,
    .move = host_copy,
    .finish = host_finish,
};

__attribute__((constructor)) static void offer(void)
{
    ph_backend_offer(&backend);
}
#endif
