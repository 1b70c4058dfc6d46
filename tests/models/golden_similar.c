// SPDX-License-Identifier: MIT
// The similar-frame filter: every decision on recorded frames and draws.
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "models/stream/similar.h"

static const char *const tensors[] = { "cos", "p_skip", "processed", "skip_count_after" };
enum { COS, P_SKIP, PROCESSED, COUNT, TENSORS };

static bool applies(const struct golden_case *c)
{
    const struct ph_json *first = golden_runs(c);
    return first && golden_all_have(c, "in.frames") && golden_all_have(c, "in.u") &&
           golden_named(&c->file[0], "%s/processed", first->key);
}

// "thr0.98_max10/upstream"
static bool params_of(const char *name, struct ph_similar_params *par)
{
    int max;
    char rule[64];
    *par = (struct ph_similar_params){ .grey_differs = true };
    if (sscanf(name, "thr%lf_max%d/%63s", &par->threshold, &max, rule) != 3) return false;
    par->max_skip = max ? max : -1;
    par->rule = !strcmp(rule, "upstream")          ? PH_SIMILAR_UPSTREAM
                : !strcmp(rule, "corrected_reset") ? PH_SIMILAR_LOOSE
                                                   : PH_SIMILAR_STRICT;
    return true;
}

static void compare(struct golden_case *c, const struct golden_file *f, const char *run,
                    int which, struct ph_tensor *got)
{
    char label[160];
    snprintf(label, sizeof label, "%s/%s", run, tensors[which]);
    struct golden_check check = { .tensor = tensors[which],
                                  .label = label,
                                  .max_abs = which < PROCESSED ? 0 : 0.5 }; // whole numbers
    golden_compare(c, f, check, got, golden_tensor(f, label));
}

static void run_one(struct golden_case *c, const struct golden_file *f,
                    const struct ph_json *about)
{
    const struct ph_tensor *frames = golden_tensor(f, "in.frames");
    struct ph_tensor pictures = golden_floats(c, frames), draws, got[TENSORS];
    int64_t count = frames->dim[0], pixels = ph_tensor_count(frames) / count;
    struct ph_similar_params par;
    struct ph_similar s;
    draws = golden_floats(c, golden_tensor(f, "in.u"));
    if (!params_of(about->key, &par) || ph_similar_init(&s, &par, pixels, false) < 0) {
        golden_failure(c, f, about->key, "no such run is known here");
        return;
    }
    for (int i = 0; i < TENSORS; i++) got[i] = golden_like(c, golden_tensor(f, "in.u"));
    for (int64_t k = 0; k < count; k++) {
        bool worked = ph_similar_next(&s, (float *) pictures.data + k * pixels,
                                      (double) ((float *) draws.data)[k]);
        float values[TENSORS] = { (float) s.cosine, (float) s.p, worked, (float) s.run };
        for (int i = 0; i < TENSORS; i++) ((float *) got[i].data)[k] = values[i];
    }
    for (int i = 0; i < TENSORS; i++) compare(c, f, about->key, i, &got[i]);
    golden_compare_number(c, f, about->key, (double) s.skipped,
                          (double) ph_json_int(ph_json_get(about, "skipped"), -1), 0.5);
    ph_similar_finish(&s);
}

static void run(struct golden_case *c)
{
    for (int i = 0; i < c->files; i++)
        for (const struct ph_json *v = golden_runs(c); v; v = v->next)
            run_one(c, &c->file[i], v);
}

const struct golden_kind golden_similar = { "similar frames", applies, run };
