// SPDX-License-Identifier: MIT
// The golden runner: a case folder holds a manifest.json and safetensors files with inputs (in.*)
// and expected outputs (out.*). What a case is about is decided by its content: the first kind that
// applies runs it. A new kind is one more entry of the table in golden.c.
#ifndef PH_GOLDEN_H
#define PH_GOLDEN_H

#include "core/json.h"
#include "core/tree.h"
#include "models/model.h"
#include "nn/plan.h"

struct golden_options {
    enum ph_precision precision;
    struct ph_device *device;
    const char *device_name; // as it was opened
    bool json, quiet;
};

struct golden_case {
    const struct golden_options *options;
    const char *dir, *name;
    const struct ph_json *manifest;
    void *mem; // of the case: everything allocated for it hangs here
    int models;
    struct golden_model {
        const char *key;
        struct ph_module *module; // NULL: the path is no module (a pipeline, a tokenizer)
    } * model;
    int files;
    struct golden_file {
        const char *name, *stem; // "a.safetensors", "a"
        struct ph_weights *tensors;
    } * file;
    int compared, failed;
};

struct golden_kind {
    const char *name;
    bool (*applies)(const struct golden_case *c);
    void (*run)(struct golden_case *c);
};
extern const struct golden_kind golden_autoencoder, golden_unet, golden_controlnet, golden_text,
    golden_lora, golden_words, golden_sampler, golden_stream, golden_pipeline, golden_similar,
    golden_blend, golden_depth, golden_prepost, golden_sound;

// ------------------------------------------------------------------------- what a case has
// The first model of the kind; NULL when there is none.
const struct ph_module *golden_module(const struct golden_case *c, enum ph_module_kind kind);
// The model that a file is about: the one whose key the file's name begins with, else the first.
const struct ph_module *golden_module_of(const struct golden_case *c,
                                         const struct golden_file *f);
bool golden_all_have(const struct golden_case *c, const char *tensor); // every file
const struct ph_tensor *golden_tensor(const struct golden_file *f, const char *name); // or NULL
const struct ph_tensor *golden_named(const struct golden_file *f, const char *fmt, ...)
    PH_PRINTF(2, 3); // or NULL
// The first run of the manifest, its key is its name; NULL when there are none.
const struct ph_json *golden_runs(const struct golden_case *c);
// The file whose stem has these `len` characters; or NULL.
const struct golden_file *golden_file(const struct golden_case *c, const char *stem,
                                      size_t len);
// Zeros in a tensor's shape, freed with the case.
struct ph_tensor golden_like(struct golden_case *c, const struct ph_tensor *t);
// A tensor as f32, freed with the case. U8 pictures [n, h, w, 3] or [h, w, 3] become
// [n, 3, h, w] = scale v/255 + offset.
struct ph_tensor golden_floats(struct golden_case *c, const struct ph_tensor *t);
struct ph_tensor golden_picture(struct golden_case *c, const struct ph_tensor *u8, float scale,
                                float offset);

// ------------------------------------------------------------------------- runs
struct golden_input {
    const char *name; // of the prog's input; NULL ends the list
    struct ph_tensor tensor;
};
// Plans p (freed in any case), writes the inputs, runs. NULL after a failure, which is counted.
struct ph_plan *golden_plan(struct golden_case *c, const struct golden_file *f,
                            struct ph_prog *p, const struct golden_input *inputs, int flags);
struct ph_tensor golden_read(struct golden_case *c, struct ph_plan *plan, const char *port);

// ------------------------------------------------------------------------- verdicts
struct golden_check {
    const char *tensor; // "recon": of the manifest's tolerances
    const char *label;  // as shown; NULL = "out." tensor
    float range;        // of a picture's values: it has a PSNR; 0 = no picture
    const char *line;   // of the manifest's tolerances in f32; NULL = "fp32 engine"
    const char *key;    // of that line's parts; NULL = tensor
    double max_abs;     // a limit of the kind's own instead of the manifest's; 0 = none
    double bf16_db;     // of a picture in bf16: what an emulation reaches; 0 or more = 40
};
// got against the file's out.<tensor>, or `want` when it is not NULL. A smaller expected picture is
// the window that the manifest names.
void golden_compare(struct golden_case *c, const struct golden_file *f,
                    struct golden_check check, const struct ph_tensor *got,
                    const struct ph_tensor *want);
// PSNR of got against want, of the same number of values in this range; 0 when got has none.
double golden_psnr(struct golden_case *c, const struct ph_tensor *got,
                   const struct ph_tensor *want, double range);
// One number against another; beyond `tolerance` is a failure, 0 judges nothing.
void golden_compare_number(struct golden_case *c, const struct golden_file *f,
                           const char *label, double got, double want, double tolerance);
// Every out.tap.* of the file whose name begins with prefix, against the plan's taps.
void golden_compare_taps(struct golden_case *c, const struct golden_file *f,
                         struct ph_plan *plan, const char *prefix);
bool golden_has_taps(const struct golden_file *f, const char *prefix);
void golden_failure(struct golden_case *c, const struct golden_file *f, const char *what,
                    const char *why);

#endif
