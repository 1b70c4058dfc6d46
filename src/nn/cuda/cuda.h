// SPDX-License-Identifier: MIT
// What the files of the CUDA backend share. A step's kernel (struct ph_kernel) is C that fills the
// arguments of a GPU kernel (args.h) and launches it through the device, which is the driver's, or in
// tests the processor's (tests/nn/cuda_on_host.c): the same host code and the same kernels.
#ifndef PH_NN_CUDA_CUDA_H
#define PH_NN_CUDA_CUDA_H

#include "nn/backend.h"
#include "nn/cuda/args.h"

struct ph_device;

struct cu_grid {
    unsigned x, y, z;
};

// What ph_device.own begins with.
struct cu_device {
    void (*launch)(struct ph_device *d, enum cu_kernel k, struct cu_grid grid, size_t shared,
                   const void *args, size_t size);
    int multiprocessors;
    size_t shared_most; // bytes that a block may have
    void *stream;       // of the driver; NULL in tests
    void *lt;           // of cuBLASLt, made for this device; NULL without
};

struct cu_device *ph_cu_of(struct ph_device *d);

extern const struct ph_kernel
    *const ph_cu_pointwise_kernels[]; // NULL-terminated, like the others
extern const struct ph_kernel *const ph_cu_layer_kernels[];
extern const struct ph_kernel *const ph_cu_lt_kernels[]; // of cuBLASLt
// Sets d->kernels; lt: those of cuBLASLt too.
void ph_cu_list_kernels(struct ph_device *d, bool lt);

// ------------------------------------------------------------------------------ steps
// step->ready of every kernel here.
struct cu_ready {
    struct ph_device *device;
    const struct ph_pack *weight, *bias; // NULL when there is none
    void *memory;                        // constants
    size_t memory_size;
    int splits, chunks_each, tile; // of a product
    void *own;                     // of cuBLASLt
};

struct cu_ready *ph_cu_ready_new(struct ph_device *d, struct ph_step *s,
                                 struct ph_fault *fault);
void ph_cu_ready_finish(struct ph_device *d, struct ph_step *s);
// Weight and bias as floats in the order of the file.
ph_err ph_cu_prepare_vectors(struct ph_device *d, struct ph_step *s,
                             const struct ph_place *place, enum ph_precision precision,
                             struct ph_fault *fault);
// Nothing but the device.
ph_err ph_cu_prepare(struct ph_device *d, struct ph_step *s, const struct ph_place *place,
                     enum ph_precision precision, struct ph_fault *fault);

struct cu_view ph_cu_view_of(const struct ph_place *p);
bool ph_cu_is_float(const struct ph_place *p); // a type the kernels read and write
bool ph_cu_all_float(const struct ph_step *s, const struct ph_place *place);
int ph_cu_channels(const struct ph_place *p); // the fastest dim of memory
void ph_cu_launch(const struct ph_step *s, enum cu_kernel k, struct cu_grid grid, size_t shared,
                  const void *args, size_t size);
// One thread for each of n units.
void ph_cu_launch_flat(const struct ph_step *s, enum cu_kernel k, uint64_t n, const void *args,
                       size_t size);

// A library's call failed: the run ends with PH_EDEVICE, as after a failed launch. at: a literal.
// Tests without a driver have no such libraries and leave it out.
void ph_cu_fail(struct ph_device *d, const char *at);

// Weights of a conv or linear step as [outputs padded to CU_N_PADDED][tap][cin padded to `pad`] of
// a type, packed once.
ph_err ph_cu_pack_matrix(struct ph_device *d, struct ph_step *s, enum ph_dtype type, int pad,
                         const struct ph_pack **out, struct ph_fault *fault);

// ------------------------------------------------------------------------------ images
extern const unsigned char *const ph_cu_images[]; // fat binaries; NULL when built without nvcc
extern const char *const ph_cu_files[];           // "pointwise", ...; NULL-terminated

// ------------------------------------------------------------------------------ cuBLASLt
// Sets ph_cu_of(d)->lt where the library is, on the device's thread, its context current; text:
// "cuBLASLt 13.1.0", or what is missing.
void ph_cu_lt_begin(struct ph_device *d, char *text, size_t size);
void ph_cu_lt_end(struct ph_device *d); // before the context goes

#endif
