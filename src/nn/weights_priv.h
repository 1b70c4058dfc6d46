// SPDX-License-Identifier: MIT
// What weights.c, safetensors.c and lora.c share.
#ifndef PH_NN_WEIGHTS_PRIV_H
#define PH_NN_WEIGHTS_PRIV_H

#include "core/json.h"
#include "nn/weights.h"

// What tells two states of a file apart: its place and the times the system keeps of it.
struct ph_file_id {
    uint64_t device, inode, size, modified_ns, changed_ns;
};

// One mapped safetensors file. The descriptor stays open, so that the file mapped can be asked
// whether it is still what it was, whatever its path names by now.
struct ph_safetensors {
    char *path;
    int fd;
    struct ph_file_id id;
    const uint8_t *map; // of id.size bytes
    struct ph_json_doc *header;
    struct ph_weight *tensors; // by name; names and keys are filled
    int count;
    size_t bytes; // of all tensors
};

ph_err ph_safetensors_open(const char *path, struct ph_safetensors *out,
                           struct ph_fault *fault);
void ph_safetensors_close(struct ph_safetensors *st);
// PH_EIO when the mapped file was written to or cut since.
ph_err ph_safetensors_check(const struct ph_safetensors *st, struct ph_fault *fault);
ph_err ph_file_id_of(int fd, struct ph_file_id *id);
bool ph_file_id_equal(const struct ph_file_id *a, const struct ph_file_id *b);

// The end of a path that fits a message beside a tensor's name.
const char *ph_path_tail(const char *path);
// Mixes v into a 64-bit hash.
uint64_t ph_key_mix(uint64_t key, uint64_t v);

// One low-rank addition to a tensor of [out, in...]: w += factor * up x (mid x) down.
struct ph_term {
    struct ph_term *next; // added after this one
    struct ph_lora *lora; // referenced
    const struct ph_weight *down, *mid, *up;
    int64_t rank, cols; // cols: in * kh * kw, the elements of a row of the tensor
    float factor;
    float *product; // [rank, cols] of mid x down where there is a mid, else NULL
};

// out += elements [first, first + n) of the addition.
void ph_term_add(const struct ph_term *t, int64_t first, int64_t n, float *out);
void ph_term_free(struct ph_term *t);

struct ph_weights {
    int refs; // under the cache's lock
    struct ph_weights *next_open;
    char *path;              // of the file or the index
    struct ph_file_id index; // zero without one
    struct ph_safetensors *files;
    int files_count;
    struct ph_weight *tensors;
    int count;
    size_t bytes;
    struct ph_weights *base; // of an adapted set: files are its
    struct ph_term **terms;  // of an adapted set: one list per tensor, or NULL
};

// A set of `base`'s tensors that may be adapted; takes a reference. NULL when out of memory.
struct ph_weights *ph_weights_derive(struct ph_weights *base);
// Whether n floats are finite.
bool ph_all_finite(const float *x, int64_t n);
// PH_EFORMAT naming file, tensor and index, when a value as stored is not finite.
ph_err ph_weight_check_finite(const struct ph_weight *weight, struct ph_fault *fault);

#endif
