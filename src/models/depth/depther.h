// SPDX-License-Identifier: MIT
// A depth model that runs: opened once, and replanned for another size beside the plan that serves.
#ifndef PH_MODELS_DEPTHER_H
#define PH_MODELS_DEPTHER_H

#include "models/depth/depth.h"
#include "nn/plan.h"

struct ph_depther;
struct ph_depther_params {
    const char *model;  // folder: config.json and model.safetensors
    const char *device; // NULL = "cpu"
    enum ph_precision precision;
    // Asked between the steps of whatever runs or is made, on any thread, until close returns; true
    // ends it with PH_ESTOPPED, so that nobody waits for a large model. NULL = never.
    bool (*stop)(void *arg);
    void *stop_arg;
};
// Reads the config, compares all tensors with it and looks for values that are not finite: the
// fault names the file and what would be right.                                     thread: any
ph_err ph_depther_open(const struct ph_depther_params *params, struct ph_depther **out,
                       struct ph_fault *fault);
// Waits for a step of the model at most.
void ph_depther_close(struct ph_depther **d);
const struct ph_depth_config *ph_depther_config(const struct ph_depther *d);
// "Depth-Anything-V2-Small-hf: 24.7 M, bf16 on cpu: 2 threads, ..."; as long as d.
const char *ph_depther_describe(const struct ph_depther *d);

// Starts a plan for pictures of this size, both in fourteens; it serves from a later run on, and a
// newer wish takes the place of an older one. PH_EINVAL names the nearest size that would do. What
// goes wrong later, ph_depther_settle tells.                               thread: the one that runs
ph_err ph_depther_wish(struct ph_depther *d, int width, int height, struct ph_fault *fault);
// Waits until nothing is being made; the error of the last wish (PH_ESTOPPED: it was told to stop).
ph_err ph_depther_settle(struct ph_depther *d, struct ph_fault *fault);
// The error of the last wish that ended, without waiting; PH_OK while one is being made.
ph_err ph_depther_trouble(struct ph_depther *d, struct ph_fault *fault);
// Takes over what is ready, and says which size serves now (0 x 0: none yet) and how many sizes have
// landed so far.
struct ph_depth_size ph_depther_size(struct ph_depther *d, uint64_t *landed);

struct ph_depth_result {
    float *depth;      // [h, w], in the size that serves
    float *confidence; // [h, w], or NULL: not wanted; 1 everywhere when the model has none
    float lens[4];     // fx, fy, cx, cy in pixels of h x w; fx 0 = the model does not say
    int64_t model_ns;
};
// picture [3, h, w] as ph_depth_predict wants it, of the size that ph_depther_size said last.
// PH_EINVAL: no size serves. PH_ESTOPPED: what out points at is undefined, the size serves on.
ph_err ph_depther_run(struct ph_depther *d, const float *picture, struct ph_depth_result *out);

#endif
