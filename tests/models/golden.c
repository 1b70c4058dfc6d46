// SPDX-License-Identifier: MIT
// golden DIR...   compares the engine with recorded outputs of the reference implementations.
//   DIR: a case folder, or a folder with case folders below it; "01_taesd" is looked for in
//   $PH_GOLDEN/diffusion/cases and in $PH_GOLDEN too
//   --precision f32|bf16|i8|q4 (f32)   --device SPEC ("cpu")   --json   --quiet (failures only)
//   --device cpu:bf16 is the emulation of bf16 that pictures of pipelines are judged by (nn/plan.h)
//   --tap: the verdict as one test case on stdout, everything else on stderr
// Exits with 1 beyond a tolerance, 77 when no case could be run, 2 on wrong usage.
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden.h"

// The first that applies runs a case: a ControlNet's has a UNet too.
// clang-format off
static const struct golden_kind *const kinds[] = {
    &golden_autoencoder,
    &golden_controlnet,
    &golden_unet,
    &golden_lora,
    &golden_text,
    &golden_words,
    &golden_sampler,
    &golden_stream,
    &golden_pipeline,
    &golden_similar,
    &golden_blend,
    &golden_depth,
    &golden_prepost,
    &golden_sound,
};
// clang-format on

struct totals {
    int cases, skipped, compared, failed;
};

// ------------------------------------------------------------------------------ content
const struct ph_module *golden_module(const struct golden_case *c, enum ph_module_kind kind)
{
    for (int i = 0; i < c->models; i++)
        if (c->model[i].module && c->model[i].module->class->kind == kind)
            return c->model[i].module;
    return NULL;
}

const struct ph_module *golden_module_of(const struct golden_case *c,
                                         const struct golden_file *f)
{
    for (int i = 0; i < c->models; i++)
        if (strncmp(f->stem, c->model[i].key, strlen(c->model[i].key)) == 0)
            return c->model[i].module;
    return c->models ? c->model[0].module : NULL;
}

const struct ph_tensor *golden_tensor(const struct golden_file *f, const char *name)
{
    const struct ph_weight *w = ph_weights_find(f->tensors, name);
    return w ? &w->disk : NULL;
}

const struct ph_tensor *golden_named(const struct golden_file *f, const char *fmt, ...)
{
    char name[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return golden_tensor(f, name);
}

const struct ph_json *golden_runs(const struct golden_case *c)
{
    const struct ph_json *runs = ph_json_get(c->manifest, "runs");
    return runs && runs->type == PH_JSON_OBJECT ? runs->child : NULL;
}

const struct golden_file *golden_file(const struct golden_case *c, const char *stem, size_t len)
{
    for (int i = 0; i < c->files; i++)
        if (strlen(c->file[i].stem) == len && !strncmp(c->file[i].stem, stem, len))
            return &c->file[i];
    return NULL;
}

bool golden_all_have(const struct golden_case *c, const char *tensor)
{
    for (int i = 0; i < c->files; i++)
        if (!golden_tensor(&c->file[i], tensor)) return false;
    return c->files > 0;
}

static struct ph_tensor floats_like(struct golden_case *c, int rank, const int64_t *dim)
{
    struct ph_tensor t = { .dtype = PH_F32, .rank = rank };
    memcpy(t.dim, dim, sizeof *dim * (size_t) rank);
    t.data = ph_new(c->mem, float, (size_t) ph_tensor_count(&t));
    return t;
}

struct ph_tensor golden_like(struct golden_case *c, const struct ph_tensor *t)
{
    return floats_like(c, t->rank, t->dim);
}

// F64 is no type of tensors: the only one of the files that has no counterpart.
struct ph_tensor golden_floats(struct golden_case *c, const struct ph_tensor *t)
{
    struct ph_tensor out = golden_like(c, t);
    if (t->dtype != PH_DTYPE_NONE) {
        ph_convert(PH_F32, out.data, t->dtype, t->data, ph_tensor_count(t));
        return out;
    }
    for (int64_t i = 0; i < ph_tensor_count(t); i++) {
        double wide; // not aligned in the file
        memcpy(&wide, (const char *) t->data + sizeof wide * (size_t) i, sizeof wide);
        ((float *) out.data)[i] = (float) wide;
    }
    return out;
}

struct ph_tensor golden_picture(struct golden_case *c, const struct ph_tensor *u8, float scale,
                                float offset)
{
    int skip = u8->rank == 4;
    int64_t n = skip ? u8->dim[0] : 1, pixels = u8->dim[skip] * u8->dim[skip + 1];
    int64_t dim[4] = { n, 3, u8->dim[skip], u8->dim[skip + 1] };
    struct ph_tensor out = floats_like(c, 4, dim);
    const uint8_t *src = u8->data;
    float *dst = out.data;
    for (int64_t i = 0; i < n * pixels * 3; i++)
        dst[(i / (3 * pixels) * 3 + i % 3) * pixels + i / 3 % pixels] =
            scale * ((float) src[i] / 255) + offset;
    return out;
}

// ------------------------------------------------------------------------------ runs
struct ph_plan *golden_plan(struct golden_case *c, const struct golden_file *f,
                            struct ph_prog *p, const struct golden_input *inputs, int flags)
{
    struct ph_fault fault = { 0 };
    struct ph_plan *plan = NULL;
    struct ph_plan_params params = { c->options->device, c->options->precision, flags };
    ph_err ret;
    PH_TRY(ph_plan_create(p, &params, &plan, &fault));
    for (; inputs->name; inputs++) {
        ret = ph_plan_write(plan, inputs->name, &inputs->tensor);
        if (ret)
            PH_TRY(ph_fail(&fault, ret, "", "input %s: %s", inputs->name, ph_strerror(ret)));
    }
    ret = ph_plan_run(plan);
    if (ret) PH_TRY(ph_fail(&fault, ret, "", "run: %s", ph_strerror(ret)));
    ph_prog_free(&p);
    return plan;
fail:
    golden_failure(c, f, "plan", fault.message);
    ph_plan_destroy(&plan);
    ph_prog_free(&p);
    return NULL;
}

struct ph_tensor golden_read(struct golden_case *c, struct ph_plan *plan, const char *port)
{
    struct ph_tensor t = { 0 };
    if (ph_plan_describe(plan, port, &t)) return (struct ph_tensor){ 0 };
    t = floats_like(c, t.rank, t.dim);
    if (ph_plan_read(plan, port, &t)) t.data = NULL;
    return t;
}

// ------------------------------------------------------------------------------ cases
static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t limit = 16 << 20;
    char *text = malloc(limit);
    *len = text ? fread(text, 1, limit, file) : 0;
    fclose(file);
    return text;
}

// Modules named by the manifest; what is none of ours stays NULL.
static void open_models(struct golden_case *c)
{
    const struct ph_json *models = ph_json_get(c->manifest, "models");
    for (const struct ph_json *m = models ? models->child : NULL; m; m = m->next) {
        const char *path = ph_tree_printf(c->mem, "%s/%s", c->dir, ph_json_string(m, ""));
        struct golden_model one = { .key = m->key };
        struct ph_fault fault = { 0 };
        ph_err ret = ph_module_open(path, &one.module, &fault);
        if (ret && ret != PH_ENOENT) golden_failure(c, NULL, m->key, fault.message);
        if (!ph_append(c->mem, c->model, c->models, one)) abort();
    }
}

static void open_files(struct golden_case *c)
{
    const struct ph_json *files = ph_json_get(c->manifest, "files");
    for (const struct ph_json *f = files ? files->child : NULL; f; f = f->next) {
        const char *end = strstr(f->key, ".safetensors");
        if (!end) continue;
        struct golden_file one = { .name = f->key,
                                   .stem =
                                       ph_tree_text(c->mem, f->key, (size_t) (end - f->key)) };
        struct ph_fault fault = { 0 };
        const char *path = ph_tree_printf(c->mem, "%s/%s", c->dir, f->key);
        if (ph_weights_open(path, &one.tensors, &fault))
            golden_failure(c, NULL, f->key, fault.message);
        else if (!ph_append(c->mem, c->file, c->files, one))
            abort();
    }
}

static void close_case(struct golden_case *c)
{
    for (int i = 0; i < c->models; i++) ph_module_close(&c->model[i].module);
    for (int i = 0; i < c->files; i++) ph_weights_unref(&c->file[i].tensors);
    ph_tree_free(c->mem);
}

static void run_kind(struct golden_case *c, struct totals *totals)
{
    const struct golden_kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !kind; i++)
        if (kinds[i]->applies(c)) kind = kinds[i];
    if (kind) kind->run(c);
    if (!kind && !c->options->json)
        printf("%-16s skipped: nothing here knows how to run it\n", c->name);
    totals->cases += kind != NULL;
    totals->skipped += !kind;
    totals->compared += c->compared;
    totals->failed += c->failed;
    if (kind && !c->options->json)
        printf("%-16s %s: %d tensors compared, %d beyond tolerance\n", c->name, kind->name,
               c->compared, c->failed);
}

static void run_case(const struct golden_options *options, const char *dir, char *text,
                     size_t len, struct totals *totals)
{
    struct ph_json_doc *doc = NULL;
    struct ph_fault fault = { 0 };
    const char *slash = strrchr(dir, '/');
    struct golden_case c = { .options = options,
                             .dir = dir,
                             .name = slash ? slash + 1 : dir,
                             .mem = ph_new(NULL, char, 1) };
    if (ph_json_parse(&doc, text, len, 0, &fault)) {
        golden_failure(&c, NULL, "manifest.json", fault.message);
        totals->failed++;
    } else {
        c.manifest = ph_json_root(doc);
        open_models(&c);
        open_files(&c);
        run_kind(&c, totals);
    }
    close_case(&c);
    ph_json_free(&doc);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

// Cases are looked for this deep below a folder that is none.
#define DEPTH 2

static void walk(const struct golden_options *options, const char *given, int depth,
                 struct totals *totals)
{
    char dir[4400], path[4500];
    snprintf(dir, sizeof dir, "%s", given);
    for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--) dir[n - 1] = '\0';
    snprintf(path, sizeof path, "%s/manifest.json", dir);
    size_t len;
    char *text = read_file(path, &len);
    if (text) {
        run_case(options, dir, text, len, totals);
        free(text);
        return;
    }
    struct dirent **entry;
    int n = depth ? scandir(dir, &entry, NULL, by_name) : 0;
    for (int i = 0; i < n; i++) {
        char below[4400];
        snprintf(below, sizeof below, "%s/%s", dir, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && entry[i]->d_type != DT_REG)
            walk(options, below, depth - 1, totals);
        free(entry[i]);
    }
    if (n > 0) free(entry);
}

// A folder that is not there is looked for among the cases of $PH_GOLDEN.
static void run_dir(const struct golden_options *options, const char *dir,
                    struct totals *totals)
{
    char path[4096];
    const char *golden = getenv("PH_GOLDEN");
    snprintf(path, sizeof path, "%s/diffusion/cases/%s", golden ? golden : "", dir);
    if (access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%s/%s", golden ? golden : "", dir);
    int before = totals->cases + totals->skipped + totals->failed;
    walk(options, access(dir, F_OK) != 0 && golden ? path : dir, DEPTH, totals);
    if (totals->cases + totals->skipped + totals->failed == before)
        fprintf(stderr, "golden: %s: no folder with a manifest.json here\n", dir);
}

static int usage(const char *why, const char *what)
{
    fprintf(stderr,
            "golden: %s%s\nusage: golden [--precision f32|bf16|i8|q4] [--device SPEC] [--json] "
            "[--quiet] [--tap] DIR...\n",
            why, what);
    return 2;
}

static enum ph_precision precision_of(const char *name)
{
    return ph_precision_parse(strcmp(name, "i8") == 0 ? "int8" : name);
}

static const char *value_of(char **argv, int argc, int *i)
{
    return *i + 1 < argc ? argv[++*i] : "";
}

// For the test runner: one case for all folders together.
static int print_tap(int out, const struct totals *t, const char *name, const char *precision)
{
    dprintf(out, "1..1\n%s 1 - golden_%s_%s%s\n", t->failed ? "not ok" : "ok", name, precision,
            !t->failed && !t->compared ? " # SKIP nothing to compare" : "");
    return t->failed != 0;
}

int main(int argc, char **argv)
{
    int tap = -1; // where the verdict goes
    struct golden_options options = { .precision = PH_PRECISION_F32 };
    struct totals totals = { 0 };
    struct ph_fault fault = { 0 };
    const char *device = "cpu";
    int dirs = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            argv[++dirs] = argv[i];
        else if (!strcmp(argv[i], "--json"))
            options.json = true;
        else if (!strcmp(argv[i], "--quiet"))
            options.quiet = true;
        else if (!strcmp(argv[i], "--tap") && tap < 0)
            tap = dup(1), dup2(2, 1);
        else if (!strcmp(argv[i], "--device"))
            device = value_of(argv, argc, &i);
        else if (!strcmp(argv[i], "--precision"))
            options.precision = precision_of(value_of(argv, argc, &i));
        else
            return usage("unknown option ", argv[i]);
    }
    if ((int) options.precision < 0) return usage("unknown precision", "");
    if (!dirs) return usage("no folder given", "");
    options.device_name = device;
    if (ph_device_open(device, &options.device, &fault)) return usage("", fault.message);
    if (options.json) printf("[");
    for (int i = 1; i <= dirs; i++) run_dir(&options, argv[i], &totals);
    if (options.json)
        printf("\n]\n");
    else
        printf("%d cases run, %d skipped, %d tensors compared, %d beyond tolerance\n",
               totals.cases, totals.skipped, totals.compared, totals.failed);
    ph_device_unref(&options.device);
    fflush(stdout);
    if (tap >= 0) {
        const char *name = strrchr(argv[1], '/');
        return print_tap(tap, &totals, name ? name + 1 : argv[1],
                         ph_precision_name(options.precision));
    }
    return totals.failed ? 1 : totals.compared ? 0 : 77;
}
