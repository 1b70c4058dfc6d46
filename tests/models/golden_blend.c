// SPDX-License-Identifier: MIT
// Blends of prompts and of noise; of degenerate vectors the sane result, not upstream's.
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/stream/blend.h"

static bool applies(const struct golden_case *c)
{
    const struct ph_json *first = golden_runs(c);
    return first && ph_json_get(first, "weights") && ph_json_get(first, "inputs") &&
           golden_all_have(c, "in.embed0");
}

static struct ph_blend_params how(const struct ph_json *run, bool seed)
{
    const char *method = ph_json_string(ph_json_get(run, "method"), "");
    struct ph_blend_params par = { .method = PH_BLEND_SLERP_TWO };
    if (strstr(method, "SDTD")) par.method = PH_BLEND_SLERP;
    if (!strncmp(method, "linear", 6)) par.method = PH_BLEND_LINEAR;
    if (!strncmp(method, "cosine", 6)) par.method = PH_BLEND_COSINE;
    par.raw_weights = !ph_json_bool(ph_json_get(run, "normalize"), true);
    par.keep_length = seed;
    return par;
}

static void compare(struct golden_case *c, const struct golden_file *f, const char *name,
                    const char *line, double max_abs, const struct ph_blend_input *in,
                    int count, const struct ph_blend_params *par)
{
    const struct ph_tensor *want = golden_tensor(f, name);
    struct ph_tensor got = golden_like(c, want);
    if (ph_blend_mix(in, count, ph_tensor_count(want), par, got.data) < 0) got.data = NULL;
    struct golden_check check = {
        .tensor = name, .label = name, .line = line, .max_abs = max_abs
    };
    golden_compare(c, f, check, &got, want);
}

static void run_one(struct golden_case *c, const struct golden_file *f,
                    const struct ph_json *about, bool seed)
{
    const struct ph_json *inputs = ph_json_get(about, "inputs"),
                         *weights = ph_json_get(about, "weights");
    struct ph_blend_input in[PH_BLEND_MAX];
    struct ph_blend_params par = how(about, seed);
    char name[160];
    snprintf(name, sizeof name, "%s/%s", seed ? "seed" : "prompt", about->key);
    if (!golden_tensor(f, name)) return;
    for (int i = 0; i < inputs->count && i < PH_BLEND_MAX; i++) {
        const struct ph_tensor *x = golden_named(f, "in.%s%d", seed ? "noise" : "embed",
                                                 (int) ph_json_at(inputs, i)->integer);
        if (!x) {
            golden_failure(c, f, name, "an input is not in the file");
            return;
        }
        in[i].x = golden_floats(c, x).data;
        in[i].weight = (float) ph_json_at(weights, i)->number;
    }
    compare(c, f, name, "regular cases", 0, in, inputs->count, &par);
}

// Opposite vectors of one length cancel: there a sum of roundings is all there is.
static bool is_nothing(struct golden_case *c, const struct ph_tensor *t)
{
    const float *v = golden_floats(c, t).data;
    for (int64_t i = 0; i < ph_tensor_count(t); i++)
        if (v[i] > 1e-5f || v[i] < -1e-5f) return false;
    return true;
}

// "degenerate/parallel_same/t0.5/sane"
static void run_degenerate(struct golden_case *c, const struct golden_file *f,
                           const struct ph_weight *w)
{
    static const enum ph_blend methods[] = { PH_BLEND_SLERP_TWO, PH_BLEND_SLERP };
    char pair[64];
    float t;
    if (sscanf(w->name, "degenerate/%63[^/]/t%f/sane", pair, &t) != 2) return;
    const struct ph_tensor *a = golden_named(f, "degenerate/%s/a", pair),
                           *b = golden_named(f, "degenerate/%s/b", pair);
    size_t end = strlen(w->name);
    if (!a || !b || end < 5 || strcmp(w->name + end - 5, "/sane") != 0) return;
    struct ph_blend_input in[] = { { golden_floats(c, a).data, 1 - t },
                                   { golden_floats(c, b).data, t } };
    for (int m = 0; m < 2; m++) {
        struct ph_blend_params par = { .method = methods[m] };
        double max_abs = is_nothing(c, &w->disk) ? 1e-5 : 0;
        compare(c, f, w->name, "degenerate sane", max_abs, in, 2, &par);
    }
}

// Weights that sum to nothing count the same.
static void run_weightless(struct golden_case *c, const struct golden_file *f, const char *name,
                           float first, float second)
{
    const struct ph_tensor *a = golden_tensor(f, "in.embed0"),
                           *b = golden_tensor(f, "in.embed1");
    if (!golden_tensor(f, name) || !b) return;
    struct ph_blend_input in[] = { { golden_floats(c, a).data, first },
                                   { golden_floats(c, b).data, second } };
    struct ph_blend_params par = { .method = PH_BLEND_LINEAR };
    compare(c, f, name, "degenerate sane", 0, in, 2, &par);
}

static void run_file(struct golden_case *c, const struct golden_file *f)
{
    for (const struct ph_json *v = golden_runs(c); v; v = v->next) {
        run_one(c, f, v, false);
        run_one(c, f, v, true);
    }
    for (int i = 0; i < ph_weights_count(f->tensors); i++)
        run_degenerate(c, f, ph_weights_at(f->tensors, i));
    run_weightless(c, f, "degenerate/all_zero_weights/sane", 0, 0);
    run_weightless(c, f, "degenerate/zero_weight_sum/sane", 1, -1);
}

static void run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++) run_file(c, &c->file[i]);
}

const struct golden_kind golden_blend = { "blends", applies, run };
