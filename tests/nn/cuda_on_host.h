// SPDX-License-Identifier: MIT
// The CUDA kernels of src/nn/cuda compiled for the processor: what kernel.cuh takes from the machine.
// Threads of a block are fibers, run one at a time; barriers, exchanges between lanes, matrix
// fragments (as the PTX manual lays them out) and fetches that are under way until they are waited for
// are modelled, so that a missing barrier, a wrong lane or a wrong index gives wrong numbers here
// too. Not modelled: real simultaneity, banks, registers, the order of blocks.
#ifndef TEST_NN_CUDA_ON_HOST_H
#define TEST_NN_CUDA_ON_HOST_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/args.h"

struct host_block {
    uint32_t x, y, z;
};
extern struct host_cuda {
    int thread;
    struct host_block block;
    char *shared;
    size_t shared_size;
} host_cuda;

// ------------------------------------------------------------------------------ the machine
enum host_meeting {
    MEET_NONE,
    MEET_BLOCK,
    MEET_WARP,
    MEET_XOR,
    MEET_LANE,
    MEET_MATRICES,
    MEET_TURNED,
    MEET_BF16,
    MEET_F16
};
// Waits until all that must be there are; `in` and `out` belong to this lane.
void host_meet(enum host_meeting kind, const void *in, size_t size, void *out);
void host_fetch(void *shared, const void *from, int there);
void host_commit(void);
void host_wait(int left);
float host_from_f16(uint16_t h);
uint16_t host_to_f16(float f);
uint16_t host_to_bf16(float f);

// host_kernels[k](args): one thread's part. Threads of a block, bytes of its arguments.
struct host_kernel {
    const char *name;
    void (*run)(const void *args);
    int threads;
    size_t args;
};
extern const struct host_kernel host_kernels[CU_KERNEL_COUNT];
// A launch, from end to end.
void host_launch(enum cu_kernel k, const uint32_t grid[3], size_t shared, const void *args,
                 size_t size);

// ------------------------------------------------------------------------------ kernel.cuh
#define HOST_NAME2(name)            host_##name
#define HOST_NAME(name)             HOST_NAME2(name)
#define KERNEL(name, args_t, count) static void HOST_NAME(name)(args_t a)
#define DEVICE                      static inline
#define UNROLL
#define cu_shared                 host_cuda.shared
#define cu_thread                 host_cuda.thread
#define cu_block(axis)            host_cuda.block.axis
#define cu_first(count)           ((uint64_t) host_cuda.block.x * (count) + (uint64_t) host_cuda.thread)
#define cu_infinity               INFINITY
#define cu_wait(left)             host_wait(left)
#define cu_commit()               host_commit()
#define cu_fetch(to, from, there) host_fetch(to, from, there)
#define cu_mul_exact(x, y)        ((double) (x) * (double) (y)) // compiled without contraction
#define cu_add_exact(x, y)        ((double) (x) + (double) (y))
#define cu_from_f16               host_from_f16
#define cu_to_f16                 host_to_f16
#define cu_to_bf16                host_to_bf16

struct cu_words {
    uint32_t w[4];
};

static inline void host_aligned(const void *p)
{
    if ((uintptr_t) p % 16 == 0) return;
    fprintf(stderr, "16 bytes at %p, which is no multiple of 16\n", p);
    abort();
}
static inline struct cu_words cu_load16(const void *p)
{
    struct cu_words r;
    host_aligned(p);
    memcpy(&r, p, sizeof r);
    return r;
}
static inline void cu_store16(void *p, struct cu_words r)
{
    host_aligned(p);
    memcpy(p, &r, sizeof r);
}
static inline float cu_bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
static inline void cu_sync(void)
{
    host_meet(MEET_BLOCK, NULL, 0, NULL);
}
static inline void cu_sync_warp(void)
{
    host_meet(MEET_WARP, NULL, 0, NULL);
}
struct host_exchange {
    double v;
    int lane; // the mask, or whose
};
static inline double cu_xor_double(double v, int mask)
{
    struct host_exchange e = { v, mask };
    host_meet(MEET_XOR, &e, sizeof e, &v);
    return v;
}
static inline float cu_xor(float v, int mask)
{
    return (float) cu_xor_double((double) v, mask);
}
static inline float cu_of_lane(float v, int lane)
{
    struct host_exchange e = { (double) v, lane };
    double out;
    host_meet(MEET_LANE, &e, sizeof e, &out);
    return (float) out;
}
static inline void cu_matrices(uint32_t r[4], const void *shared)
{
    host_meet(MEET_MATRICES, &shared, sizeof shared, r);
}
static inline void cu_matrices_turned(uint32_t r[4], const void *shared)
{
    host_meet(MEET_TURNED, &shared, sizeof shared, r);
}
struct host_mma {
    uint32_t a[4], b[2];
    float d[4];
};
static inline void host_multiply(enum host_meeting kind, float d[4], const uint32_t a[4],
                                 const uint32_t b[2])
{
    struct host_mma m;
    memcpy(m.a, a, sizeof m.a);
    memcpy(m.b, b, sizeof m.b);
    memcpy(m.d, d, sizeof m.d);
    host_meet(kind, &m, sizeof m, d);
}
#define cu_mma_bf16(d, a, b) host_multiply(MEET_BF16, d, a, b)
#define cu_mma_f16(d, a, b)  host_multiply(MEET_F16, d, a, b)

#endif
