// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tree.h"
#include "models/clip/clip.h"
#include "models/controlnet/controlnet.h"
#include "models/depth/depth.h"
#include "models/model.h"
#include "models/taesd/taesd.h"
#include "models/unet/unet.h"
#include "models/vae/vae.h"

#define CONFIG_LIMIT (1 << 20)

static const struct ph_module_class *const classes[] = {
    &ph_class_taesd,      &ph_class_taef2, &ph_class_vae,   &ph_class_unet,
    &ph_class_controlnet, &ph_class_clip,  &ph_class_depth,
};
#define CLASSES ((int) (sizeof classes / sizeof *classes))

// ------------------------------------------------------------------------------ config
// The file's text, malloc'd.
static char *read_text(const char *path, size_t *len, struct ph_fault *fault)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, "", "%s: %s", path,
                strerror(errno));
        return NULL;
    }
    char *text = malloc(CONFIG_LIMIT + 1);
    *len = text ? fread(text, 1, CONFIG_LIMIT + 1, file) : 0;
    bool failed = ferror(file) || *len > CONFIG_LIMIT;
    if (!text)
        ph_fail(fault, PH_ENOMEM, "", "out of memory");
    else if (failed)
        ph_fail(fault, ferror(file) ? PH_EIO : PH_ELIMIT, "", "%s: %s", path,
                ferror(file) ? strerror(errno) : "larger than 1 MiB, so no config");
    fclose(file);
    if (!failed) return text;
    free(text);
    return NULL;
}

static bool exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

// The config file of a path that is one itself, or a folder with one of those that classes have; a
// block of its own, or NULL and a fault.
static char *config_path(const char *path, struct ph_fault *fault)
{
    bool is_file = ends_with(path, ".json");
    for (int i = 0; i < (is_file ? 1 : CLASSES); i++) {
        const char *name = classes[i]->config_file;
        char *file = ph_tree_printf(NULL, is_file ? "%s" : "%s/%s", path, name);
        if (!file) ph_fail(fault, PH_ENOMEM, "", "out of memory");
        if (!file || is_file || exists(file)) return file;
        ph_tree_free(file);
    }
    ph_fail(fault, PH_ENOENT, "config.json",
            "%s: no config.json here: a module is a folder with a config and weights", path);
    return NULL;
}

static const struct ph_module_class *class_named(const char *name)
{
    for (int i = 0; i < CLASSES; i++)
        for (int k = 0; k < 3 && classes[i]->class_names[k]; k++)
            if (strcmp(classes[i]->class_names[k], name) == 0) return classes[i];
    return NULL;
}

// Depth-Anything-3 says neither of the two, but which of its sizes it is.
static const struct ph_module_class *named_otherwise(const struct ph_json *root)
{
    const char *name = ph_json_string(ph_json_get(root, "model_name"), "");
    return strncmp(name, "da3", 3) == 0 ? &ph_class_depth : NULL;
}

// diffusers says _class_name, transformers architectures.
static const struct ph_module_class *find_class(const struct ph_json *root, const char *file,
                                                struct ph_fault *fault)
{
    const struct ph_json *field = ph_json_get(root, "_class_name");
    const char *key = field ? "_class_name" : "architectures";
    if (!field) field = ph_json_at(ph_json_get(root, key), 0);
    if (!field && named_otherwise(root)) return named_otherwise(root);
    const char *name = ph_json_string(field, NULL);
    if (!name) {
        ph_fail(fault, PH_EFORMAT, "_class_name",
                "%s: neither _class_name nor architectures says which model this is", file);
        return NULL;
    }
    const struct ph_module_class *class = class_named(name);
    if (class) return class;
    char known[256] = "";
    for (int i = 0; i < CLASSES; i++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "",
                 classes[i]->class_names[0]);
    }
    ph_fail(fault, PH_ENOTSUP, key, "%s: %s: \"%.60s\" is no model that runs here; known: %s",
            file, key, name, known);
    return NULL;
}

static ph_err describe(struct ph_module *m, const char *text, size_t len, const char *file,
                       struct ph_fault *fault)
{
    struct ph_json_doc *doc = NULL;
    struct ph_fault inner = { 0 };
    ph_err ret = ph_json_parse(&doc, text, len, CONFIG_LIMIT, &inner);
    if (ret) return ph_fail(fault, ret, "", "%.190s: %.250s", file, inner.message);
    const struct ph_json *root = ph_json_root(doc);
    m->class = find_class(root, file, fault);
    if (!m->class) PH_TRY(fault->code);
    void *config = ph_tree_alloc(m, m->class->config_size);
    m->config = config;
    const char *slash = strrchr(file, '/');
    m->path = slash ? ph_tree_text(m, file, (size_t) (slash - file)) : ph_tree_text(m, ".", 1);
    if (!config || !m->path) PH_TRY(ph_fail(fault, PH_ENOMEM, "", "out of memory"));
    struct ph_fields f = { .root = root, .file = file, .fault = fault };
    m->class->parse(&f, config);
    PH_TRY(f.err);
fail:
    ph_json_free(&doc);
    return ret;
}

ph_err ph_module_describe_text(const char *text, size_t len, const char *file,
                               struct ph_module **out, struct ph_fault *fault)
{
    struct ph_fault own;
    if (!fault) fault = &own;
    *out = NULL;
    struct ph_module *m = ph_new(NULL, struct ph_module, 1);
    if (!m) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    ph_err ret = describe(m, text, len, file, fault);
    if (ret)
        ph_module_close(&m);
    else
        *out = m;
    return ret;
}

ph_err ph_module_describe(const char *path, struct ph_module **out, struct ph_fault *fault)
{
    struct ph_fault own = { 0 };
    if (!fault) fault = &own;
    *out = NULL;
    char *file = config_path(path, fault), *text = NULL;
    size_t len;
    if (file) text = read_text(file, &len, fault);
    ph_err ret = text ? ph_module_describe_text(text, len, file, out, fault) : fault->code;
    free(text);
    ph_tree_free(file);
    return ret;
}

// ------------------------------------------------------------------------------ weights
int ph_module_parts(const struct ph_module *m)
{
    int n = 0;
    while (n < PH_MODULE_PARTS && m->class->part[n]) n++;
    return n;
}

static ph_err open_weights(struct ph_module *m, struct ph_fault *fault)
{
    ph_err ret = PH_OK;
    for (int i = 0; i < ph_module_parts(m) && !ret; i++) {
        const char *file = m->class->file[i];
        if (i && !file) {
            m->weights[i] = ph_weights_ref(m->weights[0]);
            continue;
        }
        char *path = ph_tree_printf(m, file ? "%s/%s" : "%s", m->path, file);
        ret = path ? ph_weights_open(path, &m->weights[i], fault)
                   : ph_fail(fault, PH_ENOMEM, "", "out of memory");
    }
    return ret;
}

ph_err ph_module_open_unchecked(const char *path, struct ph_module **out,
                                struct ph_fault *fault)
{
    ph_err ret = ph_module_describe(path, out, fault);
    if (!ret) ret = open_weights(*out, fault);
    if (ret) ph_module_close(out);
    return ret;
}

// An issue's name is gone when the comparison ends.
struct first {
    char name[256], message[448];
    int seen;
};

static void keep_first(void *arg, const struct ph_tensor_issue *issue)
{
    struct first *first = arg;
    if (first->seen++) return;
    snprintf(first->name, sizeof first->name, "%s", issue->name);
    snprintf(first->message, sizeof first->message, "%s", issue->message);
}

ph_err ph_module_open(const char *path, struct ph_module **out, struct ph_fault *fault)
{
    struct first first = { 0 };
    ph_err ret;
    PH_TRY(ph_module_open_unchecked(path, out, fault));
    int issues = ph_module_check(*out, keep_first, &first, fault);
    PH_TRY(issues < 0 ? issues : PH_OK);
    if (issues == 1) PH_TRY(ph_fail(fault, PH_EFORMAT, first.name, "%s", first.message));
    if (issues > 1)
        PH_TRY(ph_fail(fault, PH_EFORMAT, first.name, "%.380s (and %d more tensors)",
                       first.message, issues - 1));
    return PH_OK;
fail:
    ph_module_close(out);
    return ret;
}

void ph_module_close(struct ph_module **m)
{
    if (!*m) return;
    for (int i = 0; i < PH_MODULE_PARTS; i++) ph_weights_unref(&(*m)->weights[i]);
    ph_tree_free(*m);
    *m = NULL;
}

// ------------------------------------------------------------------------------ progs
static struct ph_module_size filled(const struct ph_module_size *size)
{
    struct ph_module_size s = size ? *size : (struct ph_module_size){ 0 };
    if (!s.batch) s.batch = 1;
    if (!s.height) s.height = 512;
    if (!s.width) s.width = 512;
    if (!s.tokens) s.tokens = 77;
    return s;
}

void ph_module_record(struct ph_prog *p, const struct ph_module *m, int part,
                      const struct ph_module_size *size, struct ph_weights *weights)
{
    struct ph_module_size s = filled(size);
    if (!weights) weights = m->weights[part];
    if (weights) ph_prog_use(p, weights);
    m->class->record(p, m->config, part, &s);
}
