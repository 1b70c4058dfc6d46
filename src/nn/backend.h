// SPDX-License-Identifier: MIT
// The seam between plans and the machines that run them. A plan is a list of steps over places; a
// backend is a list of kernels that can do steps. Inside nn/ only.
//
// Memory of every place is dense with channels last: [n, c, h, w] lies as n, h, w, c; tokens [n, t,
// c] as they read. So tokens of a picture are the picture, and a place's format is its type alone.
#ifndef PH_NN_BACKEND_H
#define PH_NN_BACKEND_H

#include "nn/plan.h"

enum ph_op {
    PH_OP_INPUT,
    PH_OP_STATE,
    PH_OP_PARAM, // in: none; weight
    PH_OP_CONV,
    PH_OP_LINEAR,
    PH_OP_GROUP_NORM,
    PH_OP_LAYER_NORM,
    PH_OP_ATTEND, // in: q, k, v
    PH_OP_ACTIVATE,
    PH_OP_ADD, // in: a, b (spreading as prog.h says)
    PH_OP_MUL,
    PH_OP_AFFINE,
    PH_OP_AXPBY, // in: a, x, b, y
    PH_OP_CLAMP,
    PH_OP_GEGLU,
    PH_OP_VIEW, // same memory, other shape
    PH_OP_CONCAT,
    PH_OP_SLICE,
    PH_OP_UPSAMPLE,
    PH_OP_REPEAT,
    PH_OP_EMBED, // in: ids; weight
    PH_OP_PICK,  // in: x, index
    PH_OP_SINUSOID,
    PH_OP_FROM_PIXELS,
    PH_OP_TO_PIXELS,
    PH_OP_CONSTANT, // in: none; values
    PH_OP_SPREAD,   // in: x [n, h w, k k c] to [n, c, k h, k w]; groups = k
    PH_OP_STRETCH,  // bilinear, corners on corners
    PH_OP_BICUBIC,  // scale, offset: scale of y, of x
    PH_OP_ROTARY,   // in: x, table; groups = heads
    PH_OP_COPY,     // same shape, other type: states, outputs and what the plan inserts
    PH_OP_COUNT
};
const char *ph_op_name(enum ph_op op); // "conv", "group_norm", ...

#define PH_STEP_INPUTS 4

// One operation, as recorded; the plan adds what it fused.
struct ph_step {
    enum ph_op op;
    const char *name; // scope and layer: "down_blocks.0.resnets.0.conv1"
    int inputs;
    ph_val in[PH_STEP_INPUTS], out;
    struct ph_weights *set;                // of weight and bias; NULL without weights
    const struct ph_weight *weight, *bias; // NULL when it has none
    // conv, linear: which matrix is meant (ph_step_weight).
    const struct ph_weight *gain; // [outputs] that rows and bias are multiplied with; NULL = 1
    int64_t first_row, rows;      // of the stored one; rows 0 = all
    bool turned;                  // stored as [in, out, k, k]; outputs are (ky, kx, out)
    const float *values;          // constant
    struct ph_conv conv;
    struct ph_attention attention;
    int groups, axis;         // group norm; concat, slice (logical axis)
    int64_t first;            // slice
    float eps, scale, offset; // norms; affine, pixels; clamp: low = scale, high = offset
    float max_period;         // sinusoid
    enum ph_act act;          // applied last (also that of PH_OP_ACTIVATE)
    ph_val row; // fused: [n, c] (or [1, c]) added to x before a norm; PH_NONE when absent
    ph_val
        residual; // fused: of out's shape, added before act (conv, linear); PH_NONE when absent

    // What the plan and the backend fill.
    uint64_t inputs_used; // one bit an input of the prog; states and EACH inputs: bit 63
    double flops;
    const struct ph_kernel *kernel;
    size_t scratch;      // bytes wanted while it runs, set by prepare
    void *ready;         // the kernel's own, made by prepare, ended by finish
    int64_t ns;          // of the last run
    struct ph_loss loss; // of its weights, by prepare
};

// The matrix of a conv or linear step: w = outputs, inputs, kh, kw.
void ph_step_window(const struct ph_step *s, int64_t w[4]);
// Elements [first, first + n) of it, [outputs, inputs, kh, kw], and its bias [outputs]. PH_EFORMAT when
// one is not finite; ph_pack_get finds out which.
ph_err ph_step_weight(const struct ph_step *s, int64_t first, int64_t n, float *out);
ph_err ph_step_bias(const struct ph_step *s, float *out);

struct ph_place {
    enum ph_dtype dtype;
    int rank;
    int64_t dim[PH_RANK_MAX]; // logical, as in prog.h
    int64_t count;            // elements
    void *data;               // device memory
};

// How the second of two values spreads over the first, of logical shape `dim` (see prog.h).
enum ph_spread {
    PH_SPREAD_NONE, // does not
    PH_SPREAD_SAME,
    PH_SPREAD_ONE,         // one number over all
    PH_SPREAD_ROW,         // [n]
    PH_SPREAD_CHANNEL,     // [c]
    PH_SPREAD_ROW_CHANNEL, // [n, c]
    PH_SPREAD_TOKEN        // [t, c]
};
enum ph_spread ph_spread(int rank, const int64_t *dim, int b_rank, const int64_t *b);

// What a kernel gets: everything is laid out, nothing may be allocated.
struct ph_run {
    const struct ph_place *place; // by ph_val
    void *scratch;                // step->scratch bytes, aligned to 64
    int threads;
};

struct ph_kernel {
    enum ph_op op;
    const char *name; // "onednn bf16", "winograd 4x3 f32", "plain"
    // Expected speed of this step in GFLOP/s (or any scale that ranks kernels of one op; for steps
    // without FLOPs 1 = plain, 10 = vectorised); 0 = cannot do it. May look at places' types. The
    // plan gives operands (x of conv and linear, q, k, v) the type of the precision when this
    // kernel `takes` it, and writes f32 where a sum goes on.
    double (*fits)(const struct ph_step *step, const struct ph_place *place,
                   enum ph_precision precision);
    // Packs weights (through ph_pack) and makes primitives. NULL = nothing to prepare.
    ph_err (*prepare)(struct ph_device *device, struct ph_step *step,
                      const struct ph_place *place, enum ph_precision precision,
                      struct ph_fault *fault);
    void (*run)(const struct ph_step *step, const struct ph_run *run);
    void (*finish)(struct ph_device *device, struct ph_step *step);
};

struct ph_backend {
    const char *name;
    bool apart; // its memory is not the processor's: only upload and download reach it
    enum ph_precision best; // what AUTO is; AUTO = by the processor
    bool (*present)(void);  // "auto" may choose it; NULL = never
    // Sets the device's name, threads and kernels; runs on the device's thread.
    ph_err (*open)(struct ph_device *device, const char *options, struct ph_fault *fault);
    void (*close)(struct ph_device *device);
    void *(*alloc)(struct ph_device *device, size_t size); // zeroed, aligned to 64; or NULL
    void (*release)(struct ph_device *device, void *memory, size_t size);
    void (*upload)(struct ph_device *device, void *dst, const void *src, size_t size);
    void (*download)(struct ph_device *device, void *dst, const void *src, size_t size);
    void (*move)(struct ph_device *device, void *dst, const void *src, size_t size);
    // Waits until every step run so far is done; the first error of any of them.
    ph_err (*finish)(struct ph_device *device);

    // Only where steps run behind the caller's back; else all NULL.
    // Remembers now, in the order of steps, as moment i (< PH_BACKEND_MOMENTS).
    void (*mark)(struct ph_device *device, int i);
    int64_t (*between)(struct ph_device *device, int from, int to); // ns, after finish
    // What is run from record on is not done but kept; recorded gives it, NULL when it cannot be.
    bool (*record)(struct ph_device *device);
    void *(*recorded)(struct ph_device *device);
    void (*replay)(struct ph_device *device, void *recording);
    void (*forget)(struct ph_device *device, void *recording);

    double (*energy)(struct ph_device *device); // as ph_device_energy; NULL = not told
};
#define PH_BACKEND_MOMENTS 4096
extern const struct ph_backend ph_backend_cpu, ph_backend_cuda;
// From now on ph_device_open knows it too, by its name; for tests. Before any device is open.
void ph_backend_offer(const struct ph_backend *backend);

// A packed weight: made once for (weight key, how), shared by all plans of the device.
struct ph_pack {
    void *data; // device memory
    size_t size;
    float *scale;        // of quantised rows; NULL
    struct ph_loss loss; // 0: the weights are not rounded to 8 or 4 bits
};
// how: a short text that says everything the bytes depend on besides the weight ("bf16 ba",
// "wino4 f32 k64"). make() fills a new pack's data (size bytes of host memory, taken to the device
// afterwards where that has its own).
typedef ph_err (*ph_pack_make)(void *arg, const struct ph_step *step, void *data, size_t size,
                               struct ph_fault *fault);
ph_err ph_pack_get(struct ph_device *device, const struct ph_step *step,
                   const struct ph_weight *weight, const char *how, size_t size,
                   ph_pack_make make, void *arg, const struct ph_pack **out,
                   struct ph_fault *fault);
// Of a pack that was made just now, by the maker's thread.
void ph_pack_lost(struct ph_device *device, const struct ph_pack *pack,
                  const struct ph_loss *loss);
void ph_pack_put(struct ph_device *device, const struct ph_pack *pack); // NULL is fine
// A weight's (or bias') values as f32, channels in file order, through the same cache.
ph_err ph_pack_f32(struct ph_device *device, const struct ph_step *step,
                   const struct ph_weight *weight, const struct ph_pack **out,
                   struct ph_fault *fault);

#endif
