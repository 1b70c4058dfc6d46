// SPDX-License-Identifier: MIT
// What all kernels stand on. They are written in what C and CUDA C++ have in common and reach the
// machine through this file alone, so that the same source is compiled for the processor by
// tests/nn (cuda_on_host.h), where threads of a block are fibers and barriers are real.
#ifndef PH_NN_CUDA_KERNEL_CUH
#define PH_NN_CUDA_KERNEL_CUH

#include "args.h"

#ifdef __CUDACC__
#include <math_constants.h>
// Before anything else a kernel lets the next one be brought to the multiprocessors, and waits until
// the one before has ended and its results can be seen. Both do nothing unless the launch allows it.
static __device__ __forceinline__ void cu_begin(void)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
#define KERNEL_OF(name, args_t, threads)                                                       \
    static __device__ __forceinline__ void name##_body(const args_t &a);                       \
    extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ args_t a) \
    {                                                                                          \
        cu_begin();                                                                            \
        name##_body(a);                                                                        \
    }                                                                                          \
    static __device__ __forceinline__ void name##_body(const args_t &a)
#define KERNEL(name, args_t, threads) KERNEL_OF(name, args_t, threads)
#define DEVICE static __device__ __forceinline__
#define UNROLL _Pragma("unroll")
extern __shared__ __align__(128) char cu_shared[];

struct cu_words {
    uint32_t w[4];
};
DEVICE struct cu_words cu_load16(const void *p)
{
    uint4 v = *(const uint4 *) p;
    struct cu_words r = { { v.x, v.y, v.z, v.w } };
    return r;
}
DEVICE void cu_store16(void *p, struct cu_words r)
{
    *(uint4 *) p = make_uint4(r.w[0], r.w[1], r.w[2], r.w[3]);
}
DEVICE float cu_bits_float(uint32_t u)
{
    return __uint_as_float(u);
}
DEVICE float cu_from_f16(uint16_t h)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
DEVICE uint16_t cu_to_f16(float f)
{
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
DEVICE uint16_t cu_to_bf16(float f)
{
    uint16_t h;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
DEVICE void cu_sync(void)
{
    __syncthreads();
}
DEVICE void cu_sync_warp(void)
{
    __syncwarp();
}
DEVICE float cu_xor(float v, int mask) // of the lane whose number differs by mask
{
    return __shfl_xor_sync(0xffffffffu, v, mask);
}
DEVICE double cu_xor_double(double v, int mask)
{
    return __shfl_xor_sync(0xffffffffu, v, mask);
}
DEVICE float cu_of_lane(float v, int lane)
{
    return __shfl_sync(0xffffffffu, v, lane);
}
// 16 bytes to shared memory, zeros instead when !there; done after cu_wait.
DEVICE void cu_fetch(void *shared, const void *from, int there)
{
    uint32_t to = (uint32_t) __cvta_generic_to_shared(shared);
    int size = there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(size)
                 : "memory");
}
DEVICE void cu_commit(void) // closes a group of fetches
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
#define cu_wait(left) asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory")
// Four 8x8 matrices of 16-bit elements; lane 8 i + r points at row r of matrix i.
DEVICE void cu_matrices(uint32_t r[4], const void *shared)
{
    uint32_t at = (uint32_t) __cvta_generic_to_shared(shared);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}
DEVICE void cu_matrices_turned(uint32_t r[4], const void *shared)
{
    uint32_t at = (uint32_t) __cvta_generic_to_shared(shared);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}
// d [16, 8] += a [16, 16] b [16, 8]
DEVICE void cu_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void cu_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#define cu_mul_exact(a, b)  __dmul_rn(a, b) // what the compiler may not join to a multiply-add
#define cu_add_exact(a, b)  __dadd_rn(a, b)
#define cu_infinity         CUDART_INF_F
#define cu_thread           ((int) threadIdx.x)
#define cu_block(axis)      blockIdx.axis
#define cu_first(threads)   ((uint64_t) blockIdx.x * (threads) + threadIdx.x)
#else
#include "cuda_on_host.h"
#endif

// ------------------------------------------------------------------------------ elements
DEVICE float cu_element(int dtype, const void *p, int64_t i)
{
    if (dtype == CU_F32) return ((const float *) p)[i];
    uint16_t h = ((const uint16_t *) p)[i];
    return dtype == CU_BF16 ? cu_bits_float((uint32_t) h << 16) : cu_from_f16(h);
}

DEVICE uint16_t cu_narrow(int dtype, float f)
{
    return dtype == CU_BF16 ? cu_to_bf16(f) : cu_to_f16(f);
}

DEVICE float cu_get(struct cu_view v, int64_t i)
{
    return cu_element(v.dtype, v.data, i);
}

DEVICE void cu_put(struct cu_view v, int64_t i, float f)
{
    if (v.dtype == CU_F32)
        ((float *) v.data)[i] = f;
    else
        ((uint16_t *) v.data)[i] = cu_narrow(v.dtype, f);
}

// Eight from i on, which is a multiple of eight.
DEVICE void cu_get8(struct cu_view v, int64_t i, float f[8])
{
    if (v.dtype == CU_F32) {
        const float *p = (const float *) v.data + i;
        struct cu_words lo = cu_load16(p), hi = cu_load16(p + 4);
        UNROLL for (int k = 0; k < 4; k++)
        {
            f[k] = cu_bits_float(lo.w[k]);
            f[k + 4] = cu_bits_float(hi.w[k]);
        }
        return;
    }
    struct cu_words r = cu_load16((const uint16_t *) v.data + i);
    UNROLL for (int k = 0; k < 4; k++)
    {
        uint16_t lo = (uint16_t) r.w[k], hi = (uint16_t)(r.w[k] >> 16);
        f[2 * k] = v.dtype == CU_BF16 ? cu_bits_float((uint32_t) lo << 16) : cu_from_f16(lo);
        f[2 * k + 1] = v.dtype == CU_BF16 ? cu_bits_float((uint32_t) hi << 16) : cu_from_f16(hi);
    }
}

DEVICE uint32_t cu_pair(int dtype, float lo, float hi)
{
    return (uint32_t) cu_narrow(dtype, lo) | (uint32_t) cu_narrow(dtype, hi) << 16;
}

DEVICE uint32_t cu_float_bits(float f)
{
#ifdef __CUDACC__
    return __float_as_uint(f);
#else
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
#endif
}

DEVICE struct cu_words cu_pack8(int dtype, const float f[8])
{
    struct cu_words r;
    UNROLL for (int k = 0; k < 4; k++) r.w[k] = cu_pair(dtype, f[2 * k], f[2 * k + 1]);
    return r;
}

DEVICE void cu_put8(struct cu_view v, int64_t i, const float f[8])
{
    if (v.dtype == CU_F32) {
        struct cu_words lo, hi;
        UNROLL for (int k = 0; k < 4; k++)
        {
            lo.w[k] = cu_float_bits(f[k]);
            hi.w[k] = cu_float_bits(f[k + 4]);
        }
        cu_store16((float *) v.data + i, lo);
        cu_store16((float *) v.data + i + 4, hi);
        return;
    }
    cu_store16((uint16_t *) v.data + i, cu_pack8(v.dtype, f));
}

// ------------------------------------------------------------------------------ activations
DEVICE float cu_sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

DEVICE float cu_act(int act, float x)
{
    if (act == CU_NONE) return x;
    if (act == CU_SILU) return x * cu_sigmoid(x);
    if (act == CU_RELU) return x < 0 ? 0 : x; // keeps NaN
    if (act == CU_GELU) return 0.5f * x * erfcf(x * -0.70710678f);
    if (act == CU_GELU_TANH)
        return x * cu_sigmoid(2 * 0.79788456f * (x + 0.044715f * x * x * x));
    if (act == CU_QUICK_GELU) return x * cu_sigmoid(1.702f * x);
    if (act == CU_SIGMOID) return cu_sigmoid(x);
    if (act == CU_TANH) return tanhf(x);
    return expf(x);
}

DEVICE float cu_warp_sum(float v)
{
    UNROLL for (int m = 16; m; m >>= 1) v += cu_xor(v, m);
    return v;
}

DEVICE double cu_warp_sum_double(double v)
{
    UNROLL for (int m = 16; m; m >>= 1) v += cu_xor_double(v, m);
    return v;
}

#endif
