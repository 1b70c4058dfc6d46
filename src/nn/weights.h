// SPDX-License-Identifier: MIT
// Weights: named tensors in safetensors files, mapped, never copied. A set is immutable, counted
// and may be read by any thread; with adapters (LoRA) it is another set over the same mapping, so
// that changing a scale never touches what a running plan reads.
// Format: https://github.com/huggingface/safetensors (u64 header length, JSON header, data).
#ifndef PH_NN_WEIGHTS_H
#define PH_NN_WEIGHTS_H

#include <phosphene/tensor.h>

struct ph_weights;

// Asked from time to time by work that may be long; true ends it with PH_ESTOPPED. asked NULL =
// never.
struct ph_stop {
    bool (*asked)(void *arg);
    void *arg;
};
static inline bool ph_stop_asked(const struct ph_stop *s)
{
    return s->asked && s->asked(s->arg);
}

struct ph_weight {
    const char *name;
    const char *file; // that holds it, for messages
    // As stored: F32, F16, BF16, or an integer type; NONE where the file's type has no counterpart
    // here. data is the mapping and, in files of old writers, not aligned: ph_convert copes.
    struct ph_tensor disk;
    // Equal keys have equal values, in this process: packed copies are shared by it. Adapters
    // that touch a tensor give it another key.
    uint64_t key;
};

// path: one .safetensors file; a *.safetensors.index.json with its shards; or a folder with
// diffusion_pytorch_model or model in one of these forms (".fp16" variants count; the plain name
// wins). Every length and offset is checked against the file. Two opens of the same unchanged
// files give the same set. fault names file and tensor.                            thread: any
ph_err ph_weights_open(const char *path, struct ph_weights **out, struct ph_fault *fault);
struct ph_weights *ph_weights_ref(struct ph_weights *w);
void ph_weights_unref(struct ph_weights **w);

int ph_weights_count(const struct ph_weights *w);
const struct ph_weight *ph_weights_at(const struct ph_weights *w, int i); // by name, sorted
const struct ph_weight *ph_weights_find(const struct ph_weights *w, const char *name); // NULL
size_t ph_weights_bytes(const struct ph_weights *w); // mapped, of all tensors
const char *ph_weights_path(const struct ph_weights *w);
const char *ph_weights_metadata(const struct ph_weights *w, const char *key); // or NULL

// Elements [first, first + n) of a floating tensor of w as F32, adapters applied; costs in
// proportion to n. With adapters, ranges of many rows cost least: their factors are converted once
// a call. PH_EINVAL for another range, type or set.                                 thread: any
ph_err ph_weights_read(const struct ph_weights *w, const struct ph_weight *weight,
                       int64_t first, int64_t n, float *out);
// Gives the pages of a tensor back to the system; they are read again when they are wanted. For
// weights that were packed, so that a model is not in memory twice.                thread: any
void ph_weight_forget(const struct ph_weight *weight);
// PH_EIO when a mapped file was written to or cut since it was opened. A mapping shows what its
// file becomes, and reading a page that was cut off ends the process (SIGBUS), so whoever is about
// to read much, such as a plan that packs, asks first. Files that are replaced by renaming, as
// downloads and ph_weights_save do, stay what they were.                            thread: any
ph_err ph_weights_check_unchanged(const struct ph_weights *w, struct ph_fault *fault);
// PH_EFORMAT naming the tensor and the index of the first value that is not finite; reads
// everything. PH_ESTOPPED between two tensors.
ph_err ph_weights_check_finite(const struct ph_weights *w, struct ph_stop stop,
                               struct ph_fault *fault);

// Writes a safetensors file (tests, random weights for benchmarks, quantised copies). Tensors in
// the order given; `data` may be NULL for tensors filled with seeded normal values of deviation
// 1/sqrt(fan-in) (dim 1.. of it), so that a model of the true shapes runs without its weights;
// integers are zero then. The file appears complete or not at all. fault names path and tensor.
struct ph_named_tensor {
    const char *name;
    struct ph_tensor tensor;
};
ph_err ph_weights_save(const char *path, const struct ph_named_tensor *tensors, int count,
                       uint64_t seed, struct ph_fault *fault);

// ------------------------------------------------------------------------------------ LoRA
// Low-rank additions, W += scale * (alpha / rank) * up x down, on linear and convolution weights;
// a convolution may have a middle factor (lora_mid). Reads kohya (lora_unet_..., lora_te_...; of
// SDXL also input_blocks, middle_block, output_blocks), PEFT (unet.*.lora_A.weight,
// base_model.model.*; alpha from adapter_config.json beside it) and the older attention-processor
// form. Without any alpha it is the module's rank. Other kinds (DoRA, LoHa, LoKr) are PH_EFORMAT
// naming the tensor, as is a value that is not finite. A lora belongs to no model until it is
// applied.
struct ph_lora;
ph_err ph_lora_open(const char *path, struct ph_lora **out, struct ph_fault *fault);
struct ph_lora *ph_lora_ref(struct ph_lora *lora);
void ph_lora_unref(struct ph_lora **lora);

enum ph_lora_part { PH_LORA_UNET, PH_LORA_TEXT, PH_LORA_TEXT2 };
struct ph_adapter {
    struct ph_lora *lora;
    float scale;
};
// The same tensors with the adapters added; base is referenced, not changed; count 0 gives base
// itself, as does scale 0. PH_EFORMAT naming the first module that the base has not, or whose shape
// differs; a lora that touches nothing of this part leaves it as it is.            thread: any
ph_err ph_weights_adapt(struct ph_weights *base, enum ph_lora_part part,
                        const struct ph_adapter *adapters, int count, struct ph_weights **out,
                        struct ph_fault *fault);
// PH_EFORMAT naming the first module of a part that is not among `parts` (1 << part): of an encoder
// that the model has not.                                                           thread: any
ph_err ph_lora_check_parts(const struct ph_lora *lora, unsigned parts, struct ph_fault *fault);

// ------------------------------------------------------------------------------------ quantise
// int8, one scale a row, symmetric: w ~ q * scale[row], |q| <= 127.
void ph_quantize_i8(const float *w, int64_t rows, int64_t cols, int8_t *q, float *scale);
// 4 bits in groups of 32 along a row (a tail group is shorter): w ~ (q - 8) * scale[group], two
// to a byte, low nibble first; rows start at a byte and at a group of their own. A scale may be
// negative.
#define PH_Q4_GROUP 32
size_t ph_q4_row_bytes(int64_t cols);
void ph_quantize_q4(const float *w, int64_t rows, int64_t cols, uint8_t *q, float *scale);
void ph_dequantize_q4(const uint8_t *q, const float *scale, int64_t rows, int64_t cols,
                      float *w);

// What rounding took: the energy of the weights and that of the differences.
struct ph_loss {
    double signal, noise;
};
void ph_loss_i8(const float *w, int64_t rows, int64_t cols, const int8_t *q, const float *scale,
                struct ph_loss *out);
void ph_loss_q4(const float *w, int64_t rows, int64_t cols, const uint8_t *q,
                const float *scale, struct ph_loss *out);
// to += part; several threads may at once.
void ph_loss_add(struct ph_loss *to, const struct ph_loss *part);
double ph_loss_db(const struct ph_loss *l); // signal over noise; 0 when nothing was taken

#endif
