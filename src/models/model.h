// SPDX-License-Identifier: MIT
// A module: one folder with a config.json and its weights, as Hugging Face ships them. The class
// that config.json names decides how its fields are read and how its graph is recorded; each class
// is one const descriptor in its own folder beside this file. docs/write-a-model.md walks through
// one of them.
#ifndef PH_MODELS_MODEL_H
#define PH_MODELS_MODEL_H

#include "models/fields.h"
#include "nn/prog.h"

enum ph_module_kind {
    PH_MODULE_NONE,
    PH_MODULE_TAESD,      // AutoencoderTiny, TAEF2; config: struct ph_taesd_config
    PH_MODULE_VAE,        // AutoencoderKL; struct ph_vae_config
    PH_MODULE_UNET,       // UNet2DConditionModel; struct ph_unet_config
    PH_MODULE_CONTROLNET, // ControlNetModel; struct ph_controlnet_config
    PH_MODULE_CLIP,       // CLIPTextModel, CLIPTextModelWithProjection; struct ph_clip_config
    PH_MODULE_DEPTH       // DepthAnythingForDepthEstimation, DA3; struct ph_depth_config
};

// Batch, pixels and tokens that a stand-alone prog is recorded for; 0 = 1, 512, 512, 77.
struct ph_module_size {
    int64_t batch;
    int height, width;
    int tokens;
};

#define PH_MODULE_PARTS 2

struct ph_module_class {
    enum ph_module_kind kind;
    const char *name;           // "unet", for tables
    const char *class_names[3]; // _class_name or architectures[0] of the config
    const char *config_file;
    const char *part[PH_MODULE_PARTS]; // "encoder", "decoder"; { "unet" }; NULL where none
    const char
        *file[PH_MODULE_PARTS]; // weights of each part; NULL: one set in the folder for all
    const char *default_file;   // what writes a set for all: "model.safetensors"
    const char *const
        *ignored; // patterns of tensors that files have and no graph uses, then NULL
    size_t config_size;
    void (*parse)(struct ph_fields *f, void *config);
    // Records the part alone, with named inputs and outputs: see the class's own header. The set of
    // the part is in use already.
    void (*record)(struct ph_prog *p, const void *config, int part,
                   const struct ph_module_size *size);
};

// Immutable once open; any thread may read it.
struct ph_module {
    const struct ph_module_class *class;
    const char *path; // of the folder
    const void *config;
    struct ph_weights *weights[PH_MODULE_PARTS]; // by part; all NULL when only described
};

// Opens the folder's config and weights and compares every tensor with what the config wants: the
// first that is missing, extra, misshapen or no float is the fault, with the count of the others.
ph_err ph_module_open(const char *path, struct ph_module **out, struct ph_fault *fault);
// The same without the comparison, for ph_module_check.
ph_err ph_module_open_unchecked(const char *path, struct ph_module **out,
                                struct ph_fault *fault);
// The config alone: what tensors it wants, what it costs. `path`: the folder, or the config file.
ph_err ph_module_describe(const char *path, struct ph_module **out, struct ph_fault *fault);
// The same of a config's text; `file` is its path, for messages and for where the weights would lie.
ph_err ph_module_describe_text(const char *text, size_t len, const char *file,
                               struct ph_module **out, struct ph_fault *fault);
void ph_module_close(struct ph_module **m);
int ph_module_parts(const struct ph_module *m);

// Records part `part` as a prog of its own (size NULL = the defaults). Uses m's weights, or
// `weights` when it is not NULL (the same with adapters).
void ph_module_record(struct ph_prog *p, const struct ph_module *m, int part,
                      const struct ph_module_size *size, struct ph_weights *weights);
// Operations of one run of the part, and its weights; needs no weights.
ph_err ph_module_cost(const struct ph_module *m, int part, const struct ph_module_size *size,
                      struct ph_prog_cost *cost, struct ph_fault *fault);

// The tensors that the config wants, of part `part` or of all (-1); type F16, or as the file has it
// when m has weights. Free the list with ph_tensor_list_free.
struct ph_tensor_list {
    int count;
    int64_t elements;
    struct ph_named_tensor *tensor; // data is NULL
};
ph_err ph_module_tensors(const struct ph_module *m, int part, struct ph_tensor_list *out,
                         struct ph_fault *fault);
void ph_tensor_list_free(struct ph_tensor_list *list);
// Random weights of the true shapes into a folder, under the names that ph_module_open looks for.
ph_err ph_module_write_random(const struct ph_module *m, const char *folder,
                              enum ph_dtype dtype, uint64_t seed, struct ph_fault *fault);

enum ph_tensor_trouble {
    PH_TENSOR_MISSING,
    PH_TENSOR_EXTRA,
    PH_TENSOR_MISSHAPEN,
    PH_TENSOR_NO_FLOAT // integers where a graph computes
};
struct ph_tensor_issue {
    enum ph_tensor_trouble trouble;
    const char *name, *file; // during the call alone
    char message[448];       // one sentence with both shapes
};
// Every tensor that is not as the config wants it, to each() (may be NULL); how many, or a negative
// error (out of memory).
int ph_module_check(const struct ph_module *m,
                    void (*each)(void *arg, const struct ph_tensor_issue *issue), void *arg,
                    struct ph_fault *fault);

#endif
