// SPDX-License-Identifier: MIT
// LoRAs on a UNet and its text encoder: the added weights, and what the UNet makes of them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

#define FUSED   "out.fused."
#define SAMPLE  "out.sample"
#define ENCODER "text_encoder."

static const char *folder(const struct golden_case *c)
{
    const struct ph_json *models = ph_json_get(c->manifest, "models");
    return ph_json_string(ph_json_get(models, "lora_folder"), NULL);
}

static bool applies(const struct golden_case *c)
{
    return folder(c) && golden_module(c, PH_MODULE_UNET) && golden_all_have(c, "in.sample") &&
           golden_all_have(c, "out.sample_without_lora");
}

struct run {
    struct golden_case *c;
    const struct golden_file *f;
    const char *name; // "kohya_scale0.8", the part of tensors' names before '/'
    int count;
    struct ph_adapter adapter[2];
};

// A file, or a folder, of the case's LoRAs.
static bool add_lora(struct run *r, const char *name, float scale)
{
    struct ph_fault fault = { 0 };
    struct ph_adapter *a = &r->adapter[r->count];
    char path[4500];
    snprintf(path, sizeof path, "%s/%s/%s.safetensors", r->c->dir, folder(r->c), name);
    ph_err ret = ph_lora_open(path, &a->lora, &fault);
    if (ret == PH_ENOENT) {
        path[strlen(path) - strlen(".safetensors")] = '\0';
        ret = ph_lora_open(path, &a->lora, &fault);
    }
    if (ret) {
        golden_failure(r->c, r->f, name, fault.message);
        return false;
    }
    a->scale = scale;
    r->count++;
    return true;
}

// "kohya_scale0.8" is one of them; the case has one sum of two.
static bool add_loras(struct run *r)
{
    char name[128];
    const char *scale = strstr(r->name, "_scale");
    if (scale) {
        snprintf(name, sizeof name, "%.*s", (int) (scale - r->name), r->name);
        return add_lora(r, name, strtof(scale + 6, NULL));
    }
    if (strcmp(r->name, "stacked_kohya0.8_plus_peftkeys0.5") == 0)
        return add_lora(r, "kohya", 0.8f) && add_lora(r, "diffusers_peft_keys", 0.5f);
    golden_failure(r->c, r->f, r->name, "no such run is known here");
    return false;
}

static void compare_sample(const struct run *r, struct ph_weights *set, const char *tensor)
{
    struct golden_case *c = r->c;
    struct golden_input inputs[4] = { { "sample", { 0 } },
                                      { "timestep", { 0 } },
                                      { "text", { 0 } } };
    static const char *const from[] = { "in.sample", "in.timestep",
                                        "in.encoder_hidden_states" };
    for (int i = 0; i < 3; i++)
        inputs[i].tensor = golden_floats(c, golden_tensor(r->f, from[i]));
    const int64_t *dim = inputs[0].tensor.dim;
    struct ph_module_size size = { dim[0], (int) dim[2] * 8, (int) dim[3] * 8,
                                   (int) inputs[2].tensor.dim[1] };
    struct ph_prog *p;
    if (ph_prog_create(&p)) return;
    ph_module_record(p, golden_module(c, PH_MODULE_UNET), 0, &size, set);
    struct ph_plan *plan = golden_plan(c, r->f, p, inputs, 0);
    if (!plan) return;
    struct ph_tensor got = golden_read(c, plan, "prediction");
    struct golden_check check = { "sample", tensor, 0, "sample fp32 engine" };
    golden_compare(c, r->f, check, &got, golden_tensor(r->f, tensor));
    ph_plan_destroy(&plan);
}

// `layer`: its name in the module; `recorded`: in the case.
static void compare_fused(const struct run *r, struct ph_weights *set, const char *layer,
                          const struct ph_weight *recorded)
{
    const struct ph_weight *w = set ? ph_weights_find(set, layer) : NULL;
    struct ph_tensor got = { 0 };
    if (w) got = golden_floats(r->c, &w->disk);
    if (w && ph_weights_read(set, w, 0, ph_tensor_count(&w->disk), got.data)) got.data = NULL;
    struct golden_check check = { "fused", recorded->name, 0, "fused weights" };
    golden_compare(r->c, r->f, check, &got, &recorded->disk);
}

static void run_adapted(const struct run *r, struct ph_weights *unet, struct ph_weights *text)
{
    size_t skip = strlen(r->name) + 1;
    for (int i = 0; i < ph_weights_count(r->f->tensors); i++) {
        const struct ph_weight *w = ph_weights_at(r->f->tensors, i);
        if (strncmp(w->name, r->name, skip - 1) != 0 || w->name[skip - 1] != '/') continue;
        const char *name = w->name + skip, *layer = name + strlen(FUSED);
        if (strcmp(name, SAMPLE) == 0)
            compare_sample(r, unet, w->name);
        else if (strncmp(name, FUSED, strlen(FUSED)) != 0)
            golden_failure(r->c, r->f, w->name, "nothing here knows what this is");
        else if (strncmp(layer, ENCODER, strlen(ENCODER)) == 0)
            compare_fused(r, text, layer + strlen(ENCODER), w);
        else
            compare_fused(r, unet, layer, w);
    }
}

static void run_one(struct golden_case *c, const struct golden_file *f, const char *name)
{
    struct run r = { .c = c, .f = f, .name = name };
    const struct ph_module *text = golden_module(c, PH_MODULE_CLIP);
    struct ph_weights *adapted[2] = { NULL, NULL };
    struct ph_fault fault = { 0 };
    ph_err ret = add_loras(&r) ? PH_OK : PH_ENOENT;
    if (!ret)
        ret = ph_weights_adapt(golden_module(c, PH_MODULE_UNET)->weights[0], PH_LORA_UNET,
                               r.adapter, r.count, &adapted[0], &fault);
    if (!ret && text)
        ret = ph_weights_adapt(text->weights[0], PH_LORA_TEXT, r.adapter, r.count, &adapted[1],
                               &fault);
    if (!ret)
        run_adapted(&r, adapted[0], adapted[1]);
    else if (fault.code)
        golden_failure(c, f, name, fault.message);
    for (int i = 0; i < 2; i++) ph_weights_unref(&adapted[i]);
    for (int i = 0; i < r.count; i++) ph_lora_unref(&r.adapter[i].lora);
}

// Names of tensors are sorted, so those of one run follow each other.
static void run_file(struct golden_case *c, const struct golden_file *f)
{
    char last[256] = "";
    for (int i = 0; i < ph_weights_count(f->tensors); i++) {
        const char *name = ph_weights_at(f->tensors, i)->name, *slash = strchr(name, '/');
        size_t len = slash ? (size_t) (slash - name) : 0;
        if (!slash || (strncmp(last, name, len) == 0 && !last[len])) continue;
        snprintf(last, sizeof last, "%.*s", (int) len, name);
        run_one(c, f, ph_tree_text(c->mem, name, len));
    }
    struct run plain = { .c = c, .f = f };
    compare_sample(&plain, NULL, "out.sample_without_lora");
}

static void run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++) run_file(c, &c->file[i]);
}

const struct golden_kind golden_lora = { "lora", applies, run };
