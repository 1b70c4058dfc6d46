// SPDX-License-Identifier: MIT
// What tensors a config wants: lists, costs, random weights, and the comparison with files. All of
// it comes from the builders themselves, run by a prog that only collects.
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tree.h"
#include "models/model.h"

static ph_err collect(const struct ph_module *m, int part, const struct ph_module_size *size,
                      struct ph_prog **out, struct ph_fault *fault)
{
    ph_err ret = ph_prog_create(out);
    if (ret) return ph_fail(fault, ret, "", "out of memory");
    ph_prog_collect(*out);
    ph_module_record(*out, m, part, size, NULL);
    ret = ph_prog_error(*out, fault);
    if (ret) ph_prog_free(out);
    return ret;
}

ph_err ph_module_cost(const struct ph_module *m, int part, const struct ph_module_size *size,
                      struct ph_prog_cost *cost, struct ph_fault *fault)
{
    struct ph_prog *p;
    ph_err ret = collect(m, part, size, &p, fault);
    if (ret) return ret;
    ph_prog_cost(p, cost);
    ph_prog_free(&p);
    return PH_OK;
}

// ------------------------------------------------------------------------------ lists
static ph_err append(struct ph_tensor_list *list, const struct ph_weight *w)
{
    struct ph_named_tensor t = { .tensor = w->disk };
    t.tensor.data = NULL;
    if (!list->tensor) list->tensor = ph_new(NULL, struct ph_named_tensor, 1);
    if (!list->tensor) return PH_ENOMEM;
    t.name = ph_tree_text(list->tensor, w->name, strlen(w->name));
    struct ph_named_tensor *grown =
        t.name ? ph_tree_grow(NULL, list->tensor, (size_t) list->count, sizeof t) : NULL;
    if (!grown) return PH_ENOMEM;
    list->tensor = grown;
    list->tensor[list->count++] = t;
    list->elements += ph_tensor_count(&w->disk);
    return PH_OK;
}

static ph_err append_part(struct ph_tensor_list *list, const struct ph_module *m, int part,
                          struct ph_fault *fault)
{
    struct ph_prog *p;
    ph_err ret = collect(m, part, NULL, &p, fault);
    if (ret) return ret;
    const struct ph_weight *const *expected;
    int count = ph_prog_expected(p, &expected);
    for (int i = 0; i < count && !ret; i++) ret = append(list, expected[i]);
    if (ret) ph_fail(fault, ret, "", "out of memory");
    ph_prog_free(&p);
    return ret;
}

ph_err ph_module_tensors(const struct ph_module *m, int part, struct ph_tensor_list *out,
                         struct ph_fault *fault)
{
    *out = (struct ph_tensor_list){ 0 };
    int first = part < 0 ? 0 : part, end = part < 0 ? ph_module_parts(m) : part + 1;
    ph_err ret = PH_OK;
    for (int i = first; i < end && !ret; i++) ret = append_part(out, m, i, fault);
    if (ret) ph_tensor_list_free(out);
    return ret;
}

void ph_tensor_list_free(struct ph_tensor_list *list)
{
    ph_tree_free(list->tensor);
    *list = (struct ph_tensor_list){ 0 };
}

static ph_err write_file(const struct ph_module *m, int part, const char *folder,
                         enum ph_dtype dtype, uint64_t seed, struct ph_fault *fault)
{
    struct ph_tensor_list list;
    char path[4096];
    const char *name = part < 0 ? m->class->default_file : m->class->file[part];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int) sizeof path)
        return ph_fail(fault, PH_ELIMIT, "", "%.200s...: path too long", folder);
    ph_err ret = ph_module_tensors(m, part, &list, fault);
    if (ret) return ret;
    for (int i = 0; i < list.count; i++) list.tensor[i].tensor.dtype = dtype;
    ret = ph_weights_save(path, list.tensor, list.count, seed, fault);
    ph_tensor_list_free(&list);
    return ret;
}

ph_err ph_module_write_random(const struct ph_module *m, const char *folder,
                              enum ph_dtype dtype, uint64_t seed, struct ph_fault *fault)
{
    if (m->class->default_file) return write_file(m, -1, folder, dtype, seed, fault);
    ph_err ret = PH_OK;
    for (int i = 0; i < ph_module_parts(m) && !ret; i++)
        ret = write_file(m, i, folder, dtype, seed + (uint64_t) i, fault);
    return ret;
}

// ------------------------------------------------------------------------------ comparison
struct check {
    const struct ph_weights *set; // in use
    const struct ph_tensor_list *list;
    void (*each)(void *arg, const struct ph_tensor_issue *issue);
    void *arg;
    int issues;
};

static void report(struct check *c, enum ph_tensor_trouble trouble, const char *name,
                   const char *file, const char *fmt, ...) PH_PRINTF(5, 6);
static void report(struct check *c, enum ph_tensor_trouble trouble, const char *name,
                   const char *file, const char *fmt, ...)
{
    struct ph_tensor_issue issue = { .trouble = trouble, .name = name, .file = file };
    va_list args;
    va_start(args, fmt);
    int len = snprintf(issue.message, sizeof issue.message, "%.200s: ", file);
    vsnprintf(issue.message + len, sizeof issue.message - (size_t) len, fmt, args);
    va_end(args);
    c->issues++;
    if (c->each) c->each(c->arg, &issue);
}

// Alike but for ones at the end: a linear layer may be stored as a 1x1 convolution.
static bool same_shape(const struct ph_tensor *a, const struct ph_tensor *b)
{
    for (int i = 0; i < PH_RANK_MAX; i++)
        if ((i < a->rank ? a->dim[i] : 1) != (i < b->rank ? b->dim[i] : 1)) return false;
    return true;
}

static void check_tensor(struct check *c, const struct ph_named_tensor *want)
{
    char got[96], shape[96];
    const struct ph_weight *w = ph_weights_find(c->set, want->name);
    ph_tensor_shape(&want->tensor, shape, sizeof shape);
    if (!w) {
        report(c, PH_TENSOR_MISSING, want->name, ph_weights_path(c->set), "no tensor %s %s",
               want->name, shape);
        return;
    }
    enum ph_dtype t = w->disk.dtype;
    if (!same_shape(&w->disk, &want->tensor))
        report(c, PH_TENSOR_MISSHAPEN, want->name, w->file, "%s is %s, the config wants %s",
               want->name, ph_tensor_shape(&w->disk, got, sizeof got), shape);
    else if (t != PH_F32 && t != PH_F16 && t != PH_BF16)
        report(c, PH_TENSOR_NO_FLOAT, want->name, w->file,
               "%s holds %s, expected f32, f16 or bf16", want->name,
               t ? ph_dtype_name(t) : "numbers of a type that is not computed with");
}

static int by_name(const void *a, const void *b)
{
    const struct ph_named_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static bool is_ignored(const struct ph_module_class *class, const char *name)
{
    for (const char *const *i = class->ignored; i && *i; i++)
        if (fnmatch(*i, name, 0) == 0) return true;
    return false;
}

static void check_extra(struct check *c, const struct ph_module_class *class)
{
    for (int i = 0; i < ph_weights_count(c->set); i++) {
        const struct ph_weight *w = ph_weights_at(c->set, i);
        const struct ph_named_tensor key = { .name = w->name };
        char shape[96];
        if (is_ignored(class, w->name) ||
            bsearch(&key, c->list->tensor, (size_t) c->list->count, sizeof key, by_name))
            continue;
        report(c, PH_TENSOR_EXTRA, w->name, w->file,
               "%s %s is not of this model, as its config has it", w->name,
               ph_tensor_shape(&w->disk, shape, sizeof shape));
    }
}

int ph_module_check(const struct ph_module *m,
                    void (*each)(void *arg, const struct ph_tensor_issue *issue), void *arg,
                    struct ph_fault *fault)
{
    bool one_file = m->class->default_file != NULL;
    struct check c = { .each = each, .arg = arg };
    for (int i = 0; i < (one_file ? 1 : ph_module_parts(m)); i++) {
        struct ph_tensor_list list;
        ph_err ret = ph_module_tensors(m, one_file ? -1 : i, &list, fault);
        if (ret) return ret;
        c.set = m->weights[i];
        c.list = &list;
        for (int k = 0; k < list.count; k++) check_tensor(&c, &list.tensor[k]);
        qsort(list.tensor, (size_t) list.count, sizeof *list.tensor, by_name);
        check_extra(&c, m->class);
        ph_tensor_list_free(&list);
    }
    return c.issues;
}
