// SPDX-License-Identifier: MIT
// A model of NVIDIA's driver for tests where there is no GPU: the calls of src/nn/cuda/driver.h as the
// manual of the driver API describes them, over the kernels that the C compiler made
// (cuda_on_host.h). It is as strict as the manual allows: work given to a stream is done when somebody
// waits and not before, device memory cannot be touched by the processor, what is not allowed in a
// recording ends it, what is given back is gone. It is found by PH_CUDA_PATH, like a driver.
#ifndef TEST_NN_CUDA_MODEL_H
#define TEST_NN_CUDA_MODEL_H

#include <stddef.h>
#include <stdint.h>

#define CU_MODEL __attribute__((visibility("default")))

// What goes wrong next: from now on the n-th call (1 = the next) of `call` gives `error`; those that
// end a context (700 to 799) end it. "kernel" is the execution of a kernel. n = 0: nothing.
CU_MODEL void cu_model_fail(const char *call, int error, int n);
CU_MODEL void cu_model_memory(size_t bytes); // of the device from now on
CU_MODEL size_t cu_model_used(void);
CU_MODEL int
cu_model_count(const char *call); // how often it was called; "kernel", "replay" too

// For a model of a library: fn(copy of args) takes its place on the stream; the driver's error.
CU_MODEL int cu_model_enqueue(void *stream, void (*fn)(const void *args), const void *args,
                              size_t size);
// Whether [at, at + size) is memory of the device.
CU_MODEL int cu_model_owns(const void *at, size_t size);
CU_MODEL uint64_t cu_model_context(void); // the number of the current context, 0 = none

#endif
