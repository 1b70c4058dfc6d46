// SPDX-License-Identifier: MIT
// What the host hands to each kernel: one struct by value. Read by C and by the kernels, so plain
// types only. Dims are those of memory, channels last; sizes are elements, below 2^31 all in all.
#ifndef PH_NN_CUDA_ARGS_H
#define PH_NN_CUDA_ARGS_H

#include <stdint.h>

// Types and activations as phosphene/tensor.h and nn/prog.h number them (host.c checks it).
enum { CU_F32 = 1, CU_F16 = 2, CU_BF16 = 3 };
enum {
    CU_NONE,
    CU_RELU,
    CU_SILU,
    CU_GELU,
    CU_GELU_TANH,
    CU_QUICK_GELU,
    CU_SIGMOID,
    CU_TANH,
    CU_EXP
};

struct cu_view {
    void *data; // NULL = absent
    int dtype;
};

// ------------------------------------------------------------------------------ pointwise.cu
enum { CU_ACTIVATE, CU_ADD, CU_MUL, CU_AFFINE, CU_AXPBY, CU_CLAMP, CU_GEGLU };
enum { CU_SAME = 1, CU_ONE, CU_ROW, CU_CHANNEL, CU_ROW_CHANNEL, CU_TOKEN }; // as enum ph_spread

struct cu_pointwise { // y = act(f(x, b)); axpby: a x + b z with one a and b a row
    struct cu_view y, x, b, a, z;
    int op, act, spread;
    float scale, offset;
    uint32_t count, row, channels; // row: elements of an image; geglu: channels of y
};

enum { CU_COPY, CU_CONCAT, CU_SLICE, CU_REPEAT, CU_UPSAMPLE, CU_SPREAD, CU_PICK, CU_EMBED };

struct cu_move { // units of `unit` elements that lie together in source and result
    struct cu_view y, x, b;
    const int32_t *index; // pick, embed
    int op, unit;
    uint32_t count; // elements of y
    uint32_t p[6];  // by op, see pointwise.cu
};

struct cu_resample { // stretch, bicubic: y [n, h, w, c] of x [n, in_h, in_w, c]
    struct cu_view y, x;
    uint32_t count;
    int c, h, w, in_h, in_w, cubic;
    float scale_y, scale_x;
};

struct cu_rotary { // x [n, t, heads, d]
    struct cu_view y, x, table;
    uint32_t pairs; // elements / 2
    int t, heads, d;
};

struct cu_sinusoid {
    struct cu_view y, x;
    uint32_t count;
    int c;
    float max_period;
};

struct cu_pixels {
    struct cu_view x; // floats, 3 a pixel
    uint8_t *rgba;
    uint32_t pixels;
    float scale, offset;
    int to; // to RGBA, else from
};

struct cu_noise { // what ph_rng_normal gives, in units of four
    float *y;
    uint64_t seed, stream, block;
    uint32_t count;
};

// ------------------------------------------------------------------------------ norm.cu
struct cu_group { // one struct for the three steps of a group norm
    struct cu_view y, x, row;
    const float *weight, *bias; // NULL = 1, 0
    float *partial;             // [n][parts][c][2]: sums of x - x[n][0][c] and of its square
    float *factors;             // [n][3][c]: middle, factor, offset
    int n, c, space, groups, parts, pixels, row_stride, unit, act; // pixels of a part
    float eps;
};

struct cu_layer {
    struct cu_view y, x;
    const float *weight, *bias;
    int rows, c, unit, act;
    float eps;
};

// ------------------------------------------------------------------------------ matrix.cu
// y [m, n] = act(x' w' + bias + residual): m = output pixels (or rows), x' the windows of x
// [images, h, w, cin]. Weights: [n_padded][tap][c_padded], zeros where there is nothing.
struct cu_matrix {
    struct cu_view y, x, residual;
    const void *w;
    const float *bias;
    float *partial; // [splits][m][n]; NULL = written at once
    int m, n;
    int h, w_in, oh, ow, cin, c_padded, kh, kw, stride, top, left;
    int act, chunks, chunks_each; // of K: all, and those of a split
    int splits;
};

// ------------------------------------------------------------------------------ attend.cu
struct cu_attend { // q, y [n, t, heads d]; k, v [n, s, heads d]
    struct cu_view y, q, k, v;
    int n, t, s, heads, d, causal;
    float scale;
};

// ------------------------------------------------------------------------------ all of them
// X(name, its struct, file, threads of a block)
#define CU_KERNELS(X)                                                                          \
    X(pointwise, cu_pointwise, pointwise, 256)                                                 \
    X(move, cu_move, pointwise, 256)                                                           \
    X(resample, cu_resample, pointwise, 256)                                                   \
    X(rotary, cu_rotary, pointwise, 256)                                                       \
    X(sinusoid, cu_sinusoid, pointwise, 256)                                                   \
    X(pixels, cu_pixels, pointwise, 256)                                                       \
    X(noise, cu_noise, pointwise, 256)                                                         \
    X(group_sums, cu_group, norm, 256)                                                         \
    X(group_solve, cu_group, norm, 256)                                                        \
    X(group_apply, cu_group, norm, 256)                                                        \
    X(layer, cu_layer, norm, 256)                                                              \
    X(matrix_f32, cu_matrix, matrix, 256)                                                      \
    X(matrix_join, cu_matrix, matrix, 256)                                                     \
    X(matrix_128_bf16, cu_matrix, matrix, 256)                                                 \
    X(matrix_128_bf16_any, cu_matrix, matrix, 256)                                             \
    X(matrix_64_bf16, cu_matrix, matrix, 128)                                                  \
    X(matrix_64_bf16_any, cu_matrix, matrix, 128)                                              \
    X(matrix_64_f16, cu_matrix, matrix, 128)                                                   \
    X(matrix_64_f16_any, cu_matrix, matrix, 128)                                               \
    X(attend_any, cu_attend, attend, 256)                                                      \
    X(attend_48_bf16, cu_attend, attend, 128)                                                  \
    X(attend_64_bf16, cu_attend, attend, 128)                                                  \
    X(attend_80_bf16, cu_attend, attend, 128)                                                  \
    X(attend_160_bf16, cu_attend, attend, 128)                                                 \
    X(attend_64_f16, cu_attend, attend, 128)                                                   \
    X(attend_160_f16, cu_attend, attend, 128)

enum cu_kernel {
#define CU_ENUM(name, args, file, threads) CU_KERNEL_##name,
    CU_KERNELS(CU_ENUM)
#undef CU_ENUM
        CU_KERNEL_COUNT
};

// Tiles that host and kernels agree on.
enum {
    CU_K = 32,          // elements of a chunk of K
    CU_STAGES = 4,      // chunks under way
    CU_N_PADDED = 128,  // outputs are padded to a multiple
    CU_QUERIES = 64,    // of a block
    CU_KEYS = 64,       // of a step
    CU_PARTS = 64,      // of a group norm's picture, at most
    CU_HEAD_MOST = 512, // channels of a head that attend_any takes
};

#endif
