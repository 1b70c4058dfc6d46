// SPDX-License-Identifier: MIT
// Reading LoRA files: their tensors, grouped into modules.
#include "nn/lora.h"

#include "core/tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX (1 << 20)

// A tensor of the file and what its name says.
struct entry {
    struct ph_lora_name name;
    const struct ph_weight *weight;
};

struct reader {
    struct ph_lora *lora;
    struct ph_json_doc
        *config;          // adapter_config.json or the metadata that has its place, or NULL
    bool config_of_parts; // its members begin with the part's name
    struct ph_fault *fault;
};

static ph_err no_memory(struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOMEM, NULL, "out of memory");
}

#define REFUSE(r, name, fmt, ...)                                                              \
    ph_fail((r)->fault, PH_EFORMAT, name, "%s: '%.120s' " fmt,                                 \
            ph_path_tail(ph_weights_path((r)->lora->file)), name, __VA_ARGS__)

// ------------------------------------------------------------------------------------ alpha

static ph_err read_config(struct reader *r, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) return PH_OK; // there need not be one
    char *text = malloc(CONFIG_MAX);
    if (!text) {
        fclose(f);
        return no_memory(r->fault);
    }
    struct ph_fault why = { 0 };
    size_t n = fread(text, 1, CONFIG_MAX, f);
    fclose(f);
    ph_err ret = ph_json_parse(&r->config, text, n, CONFIG_MAX, &why);
    free(text);
    if (ret == PH_ENOMEM) return no_memory(r->fault);
    if (ret < 0)
        return ph_fail(r->fault, PH_EFORMAT, NULL, "%s: %.200s", ph_path_tail(path),
                       why.message);
    return PH_OK;
}

// PEFT keeps alpha beside the weights, newer diffusers in the metadata of the file.
static ph_err find_config(struct reader *r)
{
    const char *path = ph_weights_path(r->lora->file), *slash = strrchr(path, '/');
    const char *metadata = ph_weights_metadata(r->lora->file, "lora_adapter_metadata");
    if (metadata) {
        r->config_of_parts = true;
        ph_err ret = ph_json_parse(&r->config, metadata, strlen(metadata), CONFIG_MAX, NULL);
        return ret < 0 && ret != PH_ENOMEM
                   ? REFUSE(r, "lora_adapter_metadata", "is %s", "no JSON")
               : ret < 0 ? no_memory(r->fault)
                         : PH_OK;
    }
    const char *name = slash ? slash + 1 : path;
    if (strcmp(name, "adapter_model.safetensors")) return PH_OK;
    char *config =
        ph_tree_printf(r->lora, "%.*sadapter_config.json", (int) (name - path), path);
    return config ? read_config(r, config) : no_memory(r->fault);
}

static const struct ph_json *config_member(const struct reader *r, enum ph_lora_part part,
                                           const char *name)
{
    static const char *const parts[] = { "unet.", "text_encoder.", "text_encoder_2." };
    char key[64];
    if (!r->config) return NULL;
    snprintf(key, sizeof key, "%s%s", r->config_of_parts ? parts[part] : "", name);
    return ph_json_get(ph_json_root(r->config), key);
}

// Patterns end a module's name. They may be regular expressions: refused rather than not matched.
static ph_err pattern_alpha(const struct reader *r, const struct ph_lora_module *m,
                            double *alpha)
{
    const struct ph_json *patterns = config_member(r, m->part, "alpha_pattern");
    if (!patterns) return PH_OK;
    for (const struct ph_json *p = patterns->child; p && p->key; p = p->next) {
        size_t n = strlen(m->name), k = strlen(p->key);
        if (p->key[strcspn(p->key, "*+?[(|^$\\{")])
            return REFUSE(r, p->key,
                          "in alpha_pattern is a regular expression, which is not %s",
                          "known here");
        if (n < k || strcmp(m->name + n - k, p->key)) continue;
        if (n == k || m->name[n - k - 1] == '.') *alpha = ph_json_double(p, *alpha);
    }
    return PH_OK;
}

// The module's factor; without any alpha it is 1.
static ph_err find_factor(const struct reader *r, struct ph_lora_module *m,
                          const struct ph_weight *alpha)
{
    double rank = (double) m->up->disk.dim[1], value = rank, steps = rank;
    value = ph_json_double(config_member(r, m->part, "lora_alpha"), value);
    ph_err ret = pattern_alpha(r, m, &value);
    if (ret < 0) return ret;
    if (ph_json_bool(config_member(r, m->part, "use_rslora"), false)) steps = sqrt(rank);
    if (ph_json_bool(config_member(r, m->part, "use_dora"), false))
        return REFUSE(r, m->shown, "is of a DoRA, which is not %s", "known here");
    if (ph_json_bool(config_member(r, m->part, "fan_in_fan_out"), false))
        return REFUSE(r, m->shown, "has transposed weights (%s)", "fan_in_fan_out");
    if (alpha) {
        float v;
        if (ph_tensor_count(&alpha->disk) != 1 || alpha->disk.dtype == PH_DTYPE_NONE)
            return REFUSE(r, alpha->name, "is no %s", "number");
        ph_convert(PH_F32, &v, alpha->disk.dtype, alpha->disk.data, 1);
        value = v;
    }
    if (!isfinite(value)) return REFUSE(r, m->shown, "has an alpha that is not %s", "finite");
    m->factor = (float) (value / steps);
    return PH_OK;
}

// ------------------------------------------------------------------------------------ modules

static bool is_matrix(const struct ph_weight *w)
{
    enum ph_dtype t = w->disk.dtype;
    return w->disk.rank >= 2 && (t == PH_F32 || t == PH_F16 || t == PH_BF16);
}

// [rank, in, ...], [rank, rank, kh, kw], [out, rank, 1, 1]
static ph_err check_shapes(const struct reader *r, const struct ph_lora_module *m)
{
    const struct ph_tensor *down = &m->down->disk, *up = &m->up->disk;
    int64_t inner = down->dim[0];
    if (!is_matrix(m->down) || !is_matrix(m->up) || (m->mid && !is_matrix(m->mid)))
        return REFUSE(r, m->shown, "has factors that are no matrices of a %s", "floating type");
    if (m->mid) {
        const struct ph_tensor *mid = &m->mid->disk;
        if (mid->dim[1] != inner || ph_tensor_count(down) != inner * down->dim[1])
            return REFUSE(r, m->shown, "has a middle factor of another %s", "rank");
        inner = mid->dim[0];
    }
    if (up->dim[1] != inner || ph_tensor_count(up) != up->dim[0] * inner) {
        char a[96], b[96];
        return REFUSE(r, m->shown, "has factors of different ranks: down %s, up %s",
                      ph_tensor_shape(down, a, sizeof a), ph_tensor_shape(up, b, sizeof b));
    }
    return PH_OK;
}

static ph_err make_module(const struct reader *r, const struct entry *e, int n,
                          struct ph_lora_module *m)
{
    const struct ph_weight *by_role[4] = { 0 };
    *m = (struct ph_lora_module){ .shown = e->name.shown,
                                  .name = e->name.module,
                                  .flat = e->name.flat,
                                  .part = e->name.part };
    for (int i = 0; i < n; i++) {
        const struct ph_weight **slot = &by_role[e[i].name.role];
        if (*slot)
            return REFUSE(r, e[i].weight->name, "and '%.120s' are the same", (*slot)->name);
        *slot = e[i].weight;
    }
    m->down = by_role[PH_LORA_DOWN];
    m->mid = by_role[PH_LORA_MID];
    m->up = by_role[PH_LORA_UP];
    if (!m->down || !m->up)
        return REFUSE(r, m->shown, "has no %s factor", m->up ? "down" : "up");
    ph_err ret = check_shapes(r, m);
    return ret < 0 ? ret : find_factor(r, m, by_role[PH_LORA_ALPHA]);
}

static int by_module(const void *a, const void *b)
{
    const struct ph_lora_name *x = &((const struct entry *) a)->name;
    const struct ph_lora_name *y = &((const struct entry *) b)->name;
    if (x->part != y->part) return (int) x->part - (int) y->part;
    if (x->flat != y->flat) return x->flat - y->flat;
    int order = strcmp(x->module, y->module);
    return order ? order : (int) x->role - (int) y->role;
}

static bool same_module(const struct entry *a, const struct entry *b)
{
    return a->name.part == b->name.part && a->name.flat == b->name.flat &&
           !strcmp(a->name.module, b->name.module);
}

static ph_err parse_names(struct reader *r, struct entry *entries, int count)
{
    for (int i = 0; i < count; i++) {
        entries[i].weight = ph_weights_at(r->lora->file, i);
        const char *name = entries[i].weight->name;
        ph_err ret = ph_lora_name_parse(r->lora, name, &entries[i].name);
        if (ret == PH_ENOMEM) return no_memory(r->fault);
        if (ret < 0)
            return REFUSE(
                r, name, "is of no LoRA in %s",
                "kohya's, PEFT's or diffusers' form (DoRA, LoHa, LoKr are not known)");
    }
    qsort(entries, (size_t) count, sizeof *entries, by_module);
    return PH_OK;
}

static ph_err read_modules(struct reader *r)
{
    int count = ph_weights_count(r->lora->file);
    struct entry *entries = ph_new(r->lora, struct entry, (size_t) count + 1);
    r->lora->modules = ph_new(r->lora, struct ph_lora_module, (size_t) count + 1);
    if (!entries || !r->lora->modules) return no_memory(r->fault);
    ph_err ret = parse_names(r, entries, count);
    if (ret == PH_OK)
        ret = ph_weights_check_finite(r->lora->file, (struct ph_stop){ 0 }, r->fault);
    if (ret == PH_OK) ret = find_config(r);
    for (int i = 0, n; ret == PH_OK && i < count; i += n) {
        for (n = 1; i + n < count && same_module(&entries[i], &entries[i + n]);) n++;
        ret = make_module(r, &entries[i], n, &r->lora->modules[r->lora->count]);
        r->lora->count++;
    }
    if (ret == PH_OK && !count)
        ret = ph_fail(r->fault, PH_EFORMAT, NULL, "%s has no tensors",
                      ph_path_tail(ph_weights_path(r->lora->file)));
    ph_tree_free(entries);
    return ret;
}

ph_err ph_lora_open(const char *path, struct ph_lora **out, struct ph_fault *fault)
{
    *out = NULL;
    struct reader r = { .lora = ph_new(NULL, struct ph_lora, 1), .fault = fault };
    if (!r.lora) return no_memory(fault);
    r.lora->refs = 1;
    ph_err ret = ph_weights_open(path, &r.lora->file, fault);
    if (ret == PH_OK) ret = read_modules(&r);
    ph_json_free(&r.config);
    if (ret < 0)
        ph_lora_unref(&r.lora);
    else
        *out = r.lora;
    return ret;
}

struct ph_lora *ph_lora_ref(struct ph_lora *lora)
{
    atomic_fetch_add(&lora->refs, 1);
    return lora;
}

void ph_lora_unref(struct ph_lora **lora)
{
    struct ph_lora *old = *lora;
    *lora = NULL;
    if (!old || atomic_fetch_sub(&old->refs, 1) != 1) return;
    ph_weights_unref(&old->file);
    ph_tree_free(old);
}
