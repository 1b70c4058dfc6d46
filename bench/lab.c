// SPDX-License-Identifier: MIT
#include "lab.h"

#include "models/taesd/taesd.h"
#include "models/unet/unet.h"
#include "nn/rng.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ------------------------------------------------------------------------------ folders
static ph_err make_folder(struct bench_lab *lab, const char *path)
{
    char part[1200];
    for (const char *at = strchr(path + 1, '/');; at = strchr(at + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", at ? (int) (at - path) : (int) strlen(path), path);
        if (mkdir(part, 0777) && errno != EEXIST)
            return ph_fail(&lab->fault, PH_EIO, "path", "%s: %s", part, strerror(errno));
        if (!at) return PH_OK;
    }
}

// On a disk, and not in /tmp, which may be memory: the models have gigabytes.
static void choose_folder(struct bench_lab *lab)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char own[32] = "";
    if (!bench_keep(lab->b)) snprintf(own, sizeof own, "-%d", (int) getpid());
    snprintf(lab->base, sizeof lab->base, "%.900s%s/phosphene",
             cache && *cache ? cache
             : home          ? home
                             : "/tmp",
             cache && *cache ? "" : "/.cache");
    snprintf(lab->folder, sizeof lab->folder, "%s/bench-models%s", lab->base, own);
}

static void module_path(const char *folder, enum bench_model model, const char *file,
                        char *path, size_t size)
{
    snprintf(path, size, "%s/%s%s%s", folder, bench_model_configs[model].name, *file ? "/" : "",
             file);
}

static void remove_models(const char *folder)
{
    static const char *const files[] = { "config.json", "diffusion_pytorch_model.safetensors",
                                         "model.safetensors", "" };
    char path[1400];
    for (int m = 0; m < BENCH_MODELS; m++)
        for (int f = 0; f < 4; f++) {
            module_path(folder, (enum bench_model) m, files[f], path, sizeof path);
            remove(path);
        }
    rmdir(folder);
}

// What a process left that was ended in the middle.
static void remove_orphans(const struct bench_lab *lab)
{
    DIR *d = opendir(lab->base);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[1300];
        int pid;
        if (sscanf(e->d_name, "bench-models-%d", &pid) != 1 || !kill(pid, 0) || errno != ESRCH)
            continue;
        snprintf(path, sizeof path, "%s/%s", lab->base, e->d_name);
        remove_models(path);
    }
    if (d) closedir(d);
}

ph_err bench_lab_open(struct bench_lab *lab, struct bench *b)
{
    *lab = (struct bench_lab){ .b = b };
    choose_folder(lab);
    remove_orphans(lab);
    return ph_device_open(bench_device(b), &lab->device, &lab->fault);
}

void bench_lab_close(struct bench_lab *lab)
{
    for (int i = 0; i < BENCH_MODELS; i++) ph_module_close(&lab->module[i]);
    ph_device_unref(&lab->device);
    if (!bench_keep(lab->b)) remove_models(lab->folder);
}

// ------------------------------------------------------------------------------ modules
static ph_err write_module(struct bench_lab *lab, enum bench_model model, const char *folder)
{
    struct ph_module *m = NULL;
    char path[1200];
    ph_err ret = make_folder(lab, folder);
    if (ret < 0) return ret;
    module_path(lab->folder, model, "config.json", path, sizeof path);
    FILE *f = fopen(path, "we");
    bool ok = f && fputs(bench_model_configs[model].json, f) >= 0;
    if (f && fclose(f)) ok = false;
    if (!ok) return ph_fail(&lab->fault, PH_EIO, "path", "%s: %s", path, strerror(errno));
    ret = ph_module_describe(folder, &m, &lab->fault);
    if (ret >= 0) ret = ph_module_write_random(m, folder, PH_F16, 1, &lab->fault);
    ph_module_close(&m);
    return ret;
}

ph_err bench_lab_module(struct bench_lab *lab, enum bench_model model, struct ph_module **out)
{
    char folder[1200];
    module_path(lab->folder, model, "", folder, sizeof folder);
    *out = lab->module[model];
    if (*out) return PH_OK;
    ph_err ret = ph_module_open(folder, out, NULL);
    if (ret < 0) ret = write_module(lab, model, folder);
    if (ret >= 0 && !*out) ret = ph_module_open(folder, out, &lab->fault);
    lab->module[model] = *out;
    return ret;
}

void bench_lab_drop(struct bench_lab *lab, enum bench_model model)
{
    ph_module_close(&lab->module[model]);
}

// ------------------------------------------------------------------------------ chains
// Normal values into an input of floats; ids stay zero. What is no input of this model, or an
// output, takes none.
static ph_err fill(struct ph_plan *plan, const char *name)
{
    struct ph_tensor t;
    if (ph_plan_describe(plan, name, &t) < 0) return PH_OK;
    int64_t n = ph_tensor_count(&t);
    float *x = malloc(sizeof *x * (size_t) n);
    if (!x) return PH_ENOMEM;
    ph_rng_normal(3, 0, 0, n, x);
    struct ph_tensor from = { .dtype = PH_F32, .rank = 1, .dim = { n }, .data = x };
    if (t.dtype == PH_F32) ph_plan_write(plan, name, &from);
    free(x);
    return PH_OK;
}

static ph_err add_plan(struct bench_lab *lab, struct bench_chain *c, struct ph_prog *p,
                       enum ph_precision precision)
{
    static const char *const inputs[] = { "sample", "timestep", "text",
                                          "image",  "latent",   "picture" };
    // Elsewhere than on the CPU kernels are measured as plans are made, and remembered.
    struct ph_plan_params params = { lab->device, precision,
                                     bench_device(lab->b) ? PH_PLAN_TUNE : 0 };
    struct ph_plan_stats stats;
    struct ph_plan *plan;
    ph_err ret = ph_plan_create(p, &params, &plan, &lab->fault);
    if (ret < 0) return ret;
    c->plan[c->count++] = plan;
    for (int i = 0; i < 6 && ret >= 0; i++) ret = fill(plan, inputs[i]);
    ph_plan_stats(plan, &stats);
    c->flops += stats.flops;
    return ret;
}

ph_err bench_chain_part(struct bench_lab *lab, enum bench_model model, int part, int side,
                        enum ph_precision precision, struct bench_chain *out)
{
    return bench_chain_sized(lab, model, part, side, side, precision, out);
}

ph_err bench_chain_sized(struct bench_lab *lab, enum bench_model model, int part, int height,
                         int width, enum ph_precision precision, struct bench_chain *out)
{
    const struct ph_module_size size = { .height = height, .width = width };
    struct ph_module *m;
    struct ph_prog *p = NULL;
    ph_err ret;
    *out = (struct bench_chain){ 0 };
    PH_TRY(bench_lab_module(lab, model, &m));
    PH_TRY(ph_prog_create(&p));
    ph_module_record(p, m, part, &size, NULL);
    PH_TRY(add_plan(lab, out, p, precision));
fail:
    ph_prog_free(&p);
    if (ret < 0) bench_chain_free(out);
    return ret;
}

static void record_encode(struct ph_prog *p, const struct ph_module *m, int side)
{
    ph_prog_use(p, m->weights[0]);
    ph_val x = ph_input(p, "rgba", PH_EACH, PH_U8, 4, (int64_t[]){ 1, side, side, 4 });
    ph_output(p, "latent", ph_taesd_encode(p, m->config, ph_from_pixels(p, x, 2, -1)));
}

static void record_decode(struct ph_prog *p, const struct ph_module *m, int side)
{
    ph_prog_use(p, m->weights[1]);
    ph_val x =
        ph_input(p, "latent", PH_EACH, PH_F32, 4, (int64_t[]){ 1, 4, side / 8, side / 8 });
    x = ph_taesd_decode(p, m->config, x);
    ph_output(p, "rgba", ph_to_pixels(p, x, 0.5f, 0.5f));
}

static ph_err add_recorded(struct bench_lab *lab, struct bench_chain *c, const char *in,
                           const char *out, enum ph_precision precision, struct ph_prog **p)
{
    c->in[c->count] = in;
    c->out[c->count] = out;
    ph_err ret = add_plan(lab, c, *p, precision);
    ph_prog_free(p);
    return ret >= 0 ? ph_prog_create(p) : ret;
}

ph_err bench_chain_frame(struct bench_lab *lab, enum bench_model unet, int side,
                         enum ph_precision precision, struct bench_chain *out)
{
    const struct ph_module_size size = { .height = side, .width = side };
    struct ph_module *m, *taesd;
    struct ph_prog *p = NULL;
    ph_err ret;
    *out = (struct bench_chain){ 0 };
    PH_TRY(bench_lab_module(lab, unet, &m));
    PH_TRY(bench_lab_module(lab, BENCH_TAESD, &taesd));
    out->carried = calloc((size_t) (4 * side / 8 * side / 8), sizeof *out->carried);
    PH_TRY(out->carried ? PH_OK : PH_ENOMEM);
    PH_TRY(ph_prog_create(&p));
    record_encode(p, taesd, side);
    PH_TRY(add_recorded(lab, out, NULL, "latent", precision, &p));
    ph_module_record(p, m, 0, &size, NULL);
    PH_TRY(add_recorded(lab, out, "sample", "prediction", precision, &p));
    record_decode(p, taesd, side);
    PH_TRY(add_recorded(lab, out, "latent", NULL, precision, &p));
fail:
    ph_prog_free(&p);
    if (ret < 0) bench_chain_free(out);
    return ret;
}

void bench_chain_free(struct bench_chain *c)
{
    for (int i = 0; i < c->count; i++) ph_plan_destroy(&c->plan[i]);
    free(c->carried);
    *c = (struct bench_chain){ 0 };
}

static struct ph_tensor carried(const struct bench_chain *c, struct ph_plan *plan,
                                const char *name)
{
    struct ph_tensor t = { 0 };
    ph_plan_describe(plan, name, &t);
    t.data = c->carried;
    return t;
}

ph_err bench_chain_run(struct bench_chain *c)
{
    ph_err ret = PH_OK;
    for (int i = 0; i < c->count; i++) {
        struct ph_tensor t;
        if (i)
            t = carried(c, c->plan[i], c->in[i]), ret = ph_plan_write(c->plan[i], c->in[i], &t);
        if (ret >= 0) ret = ph_plan_run(c->plan[i]);
        if (ret >= 0 && i + 1 < c->count)
            t = carried(c, c->plan[i], c->out[i]),
            ret = ph_plan_read(c->plan[i], c->out[i], &t);
        if (ret < 0) return ret;
    }
    return PH_OK;
}
