// SPDX-License-Identifier: MIT
// Text encoders.
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/clip/clip.h"

static bool applies(const struct golden_case *c)
{
    for (int i = 0; i < c->models; i++)
        if (!c->model[i].module || c->model[i].module->class->kind != PH_MODULE_CLIP)
            return false;
    return c->models > 0 && golden_all_have(c, "in.input_ids") &&
           golden_all_have(c, "out.last_hidden_state");
}

// The file's [layers + 1, n, t, c] against one output a layer.
static void compare_states(struct golden_case *c, const struct golden_file *f,
                           struct ph_plan *plan)
{
    const struct ph_tensor *all = golden_tensor(f, "out.hidden_states");
    struct ph_tensor want = golden_floats(c, all);
    int64_t layers = all->dim[0], size = ph_tensor_count(all) / layers;
    want.rank = 3;
    memmove(want.dim, want.dim + 1, sizeof *want.dim * 3);
    for (int64_t i = 0; i < layers; i++) {
        char port[32], label[48];
        snprintf(port, sizeof port, "hidden.%d", (int) i);
        snprintf(label, sizeof label, "out.hidden_states[%d]", (int) i);
        struct ph_tensor got = golden_read(c, plan, port);
        struct golden_check check = { .tensor = "hidden_states", .label = label };
        golden_compare(c, f, check, &got, &want);
        want.data = (float *) want.data + size;
    }
}

static void compare_vectors(struct golden_case *c, const struct golden_file *f,
                            struct ph_plan *plan)
{
    static const char *const pairs[][2] = { { "last_hidden_state", "last" },
                                            { "penultimate_final_ln", "penultimate" },
                                            { "pooler_output", "pooled" },
                                            { "pooled_before_projection", "pooled" },
                                            { "text_embeds", "projected" } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char name[64];
        snprintf(name, sizeof name, "out.%s", pairs[i][0]);
        if (!golden_tensor(f, name)) continue;
        struct ph_tensor got = golden_read(c, plan, pairs[i][1]);
        golden_compare(c, f, (struct golden_check){ .tensor = pairs[i][0] }, &got, NULL);
    }
}

static void run_file(struct golden_case *c, const struct golden_file *f)
{
    const struct ph_module *m = golden_module_of(c, f);
    struct ph_tensor ids = *golden_tensor(f, "in.input_ids");
    struct ph_tensor eos = { .dtype = PH_I32, .rank = 1, .dim = { ids.dim[0] } };
    int32_t *aligned = ph_new(c->mem, int32_t, (size_t) ph_tensor_count(&ids));
    memcpy(aligned, ids.data, sizeof *aligned * (size_t) ph_tensor_count(&ids));
    ids.data = aligned;
    eos.data = ph_new(c->mem, int32_t, (size_t) ids.dim[0]);
    ph_clip_find_eos(m->config, aligned, ids.dim[0], ids.dim[1], eos.data);
    struct golden_input inputs[3] = { { "ids", ids }, { "eos", eos } };
    struct ph_module_size size = { .batch = ids.dim[0], .tokens = (int) ids.dim[1] };
    struct ph_prog *p;
    if (ph_prog_create(&p)) return;
    ph_module_record(p, m, 0, &size, NULL);
    struct ph_plan *plan = golden_plan(c, f, p, inputs, 0);
    if (!plan) return;
    compare_states(c, f, plan);
    compare_vectors(c, f, plan);
    ph_plan_destroy(&plan);
}

static void run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++) run_file(c, &c->file[i]);
}

const struct golden_kind golden_text = { "text", applies, run };
