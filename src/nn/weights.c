// SPDX-License-Identifier: MIT
// Sets of weights: which files make one, the cache of open ones, look-up and reading.
#include "nn/lora.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_MAX (16u << 20)

// Guards the list and every count of references: opening and closing are rare.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ph_weights *open_sets;

static ph_err no_memory(struct ph_fault *fault)
{
    return ph_fail(fault, PH_ENOMEM, NULL, "out of memory");
}

// ------------------------------------------------------------------------------------ life

static void weights_free(struct ph_weights *w)
{
    if (!w) return;
    for (int i = 0; w->terms && i < w->count; i++) ph_term_free(w->terms[i]);
    for (int i = 0; !w->base && i < w->files_count; i++) ph_safetensors_close(&w->files[i]);
    if (!w->base) free(w->files);
    free(w->terms);
    free(w->tensors);
    free(w->path);
    ph_weights_unref(&w->base);
    free(w);
}

static bool same_files(const struct ph_weights *a, const struct ph_weights *b)
{
    if (strcmp(a->path, b->path) || a->files_count != b->files_count ||
        !ph_file_id_equal(&a->index, &b->index))
        return false;
    for (int i = 0; i < a->files_count; i++)
        if (strcmp(a->files[i].path, b->files[i].path) ||
            !ph_file_id_equal(&a->files[i].id, &b->files[i].id))
            return false;
    return true;
}

// The set that is open already in place of w, or w itself, listed.
static struct ph_weights *share(struct ph_weights *w)
{
    pthread_mutex_lock(&lock);
    struct ph_weights *known = open_sets;
    while (known && !same_files(known, w)) known = known->next_open;
    if (known) {
        known->refs++;
    } else {
        w->next_open = open_sets;
        open_sets = w;
    }
    pthread_mutex_unlock(&lock);
    if (!known) return w;
    weights_free(w);
    return known;
}

struct ph_weights *ph_weights_ref(struct ph_weights *w)
{
    pthread_mutex_lock(&lock);
    w->refs++;
    pthread_mutex_unlock(&lock);
    return w;
}

void ph_weights_unref(struct ph_weights **w)
{
    struct ph_weights *old = *w;
    *w = NULL;
    if (!old) return;
    pthread_mutex_lock(&lock);
    bool last = --old->refs == 0;
    struct ph_weights **link = &open_sets;
    while (last && *link && *link != old) link = &(*link)->next_open;
    if (last && *link) *link = old->next_open;
    pthread_mutex_unlock(&lock);
    if (last) weights_free(old);
}

struct ph_weights *ph_weights_derive(struct ph_weights *base)
{
    struct ph_weights *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->refs = 1;
    w->base = ph_weights_ref(base);
    w->files = base->files;
    w->files_count = base->files_count;
    w->bytes = base->bytes;
    w->path = strdup(base->path);
    w->tensors = malloc(((size_t) base->count + 1) * sizeof *w->tensors);
    w->terms = calloc((size_t) base->count + 1, sizeof *w->terms);
    if (!w->path || !w->tensors || !w->terms) {
        weights_free(w);
        return NULL;
    }
    memcpy(w->tensors, base->tensors, (size_t) base->count * sizeof *w->tensors);
    w->count = base->count;
    return w;
}

// ------------------------------------------------------------------------------------ opening

static ph_err open_single(struct ph_weights *w, struct ph_fault *fault)
{
    w->files = calloc(1, sizeof *w->files);
    if (!w->files) return no_memory(fault);
    ph_err ret = ph_safetensors_open(w->path, &w->files[0], fault);
    if (ret < 0) return ret;
    struct ph_safetensors *st = &w->files[0];
    w->files_count = 1;
    w->tensors = st->tensors; // moved: there is no other file to merge with
    w->count = st->count;
    w->bytes = st->bytes;
    st->tensors = NULL;
    st->count = 0;
    return PH_OK;
}

static ph_err read_index(struct ph_weights *w, struct ph_json_doc **doc, struct ph_fault *fault)
{
    ph_err ret;
    struct ph_fault why = { 0 };
    const char *shown = ph_path_tail(w->path);
    char *text = NULL;
    int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, NULL, "cannot open %s: %s",
                       shown, strerror(errno));
    if (ph_file_id_of(fd, &w->index) < 0)
        PH_TRY(ph_fail(fault, PH_EIO, NULL, "%s is no file", shown));
    if (w->index.size > INDEX_MAX)
        PH_TRY(ph_fail(fault, PH_EFORMAT, NULL, "%s is larger than 16 MiB", shown));
    size_t size = (size_t) w->index.size;
    if (!(text = malloc(size + 1))) PH_TRY(no_memory(fault));
    if (read(fd, text, size) != (ssize_t) size)
        PH_TRY(ph_fail(fault, PH_EIO, NULL, "cannot read %s", shown));
    ret = ph_json_parse(doc, text, size, INDEX_MAX, &why);
    if (ret == PH_ENOMEM) PH_TRY(no_memory(fault));
    PH_TRY(ret < 0 ? ph_fail(fault, PH_EFORMAT, NULL, "%s: %.200s", shown, why.message)
                   : PH_OK);
fail:
    free(text);
    close(fd);
    return ret;
}

// The shard of that name beside the index, opened when it is new. Names lead nowhere else.
static ph_err shard_of(struct ph_weights *w, const char *name, struct ph_safetensors **out,
                       struct ph_fault *fault)
{
    const char *slash = strrchr(w->path, '/');
    size_t folder = slash ? (size_t) (slash - w->path) + 1 : 0;
    if (!name || !name[0] || strchr(name, '/'))
        return ph_fail(fault, PH_EFORMAT, "weight_map",
                       "%s: '%.80s' is no name of a file beside it", ph_path_tail(w->path),
                       name ? name : "");
    for (int i = w->files_count - 1; i >= 0; i--) // tensors of one shard mostly come together
        if (!strcmp(w->files[i].path + folder, name)) return *out = &w->files[i], PH_OK;
    char *path = malloc(folder + strlen(name) + 1);
    struct ph_safetensors *files =
        path ? realloc(w->files, ((size_t) w->files_count + 1) * sizeof *files) : NULL;
    if (files) w->files = files;
    ph_err ret = files ? PH_OK : no_memory(fault);
    if (ret == PH_OK) {
        memcpy(path, w->path, folder);
        strcpy(path + folder, name);
        *out = &w->files[w->files_count];
        ret = ph_safetensors_open(path, *out, fault);
        if (ret == PH_OK) w->files_count++;
    }
    free(path);
    return ret;
}

static struct ph_weight *find_in(struct ph_weight *tensors, int count, const char *name)
{
    int low = 0, high = count;
    while (low < high) {
        int mid = low + (high - low) / 2, order = strcmp(tensors[mid].name, name);
        if (!order) return &tensors[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ph_weight *) a)->name, ((const struct ph_weight *) b)->name);
}

// The index is the authority: tensors it does not list for their shard are not in the set.
static ph_err open_sharded(struct ph_weights *w, struct ph_fault *fault)
{
    struct ph_json_doc *doc = NULL;
    ph_err ret;
    PH_TRY(read_index(w, &doc, fault));
    const struct ph_json *map = ph_json_get(ph_json_root(doc), "weight_map");
    if (!map || map->type != PH_JSON_OBJECT)
        PH_TRY(ph_fail(fault, PH_EFORMAT, "weight_map", "%s has no weight_map",
                       ph_path_tail(w->path)));
    w->tensors = calloc((size_t) map->count + 1, sizeof *w->tensors);
    if (!w->tensors) PH_TRY(no_memory(fault));
    for (const struct ph_json *m = map->child; m; m = m->next) {
        struct ph_safetensors *st = NULL;
        PH_TRY(shard_of(w, ph_json_string(m, NULL), &st, fault));
        const struct ph_weight *found = find_in(st->tensors, st->count, m->key);
        if (!found)
            PH_TRY(ph_fail(fault, PH_EFORMAT, m->key,
                           "%s has no tensor '%.120s' that its index lists",
                           ph_path_tail(st->path), m->key));
        w->tensors[w->count++] = *found;
        w->bytes += ph_tensor_bytes(&found->disk);
    }
    qsort(w->tensors, (size_t) w->count, sizeof *w->tensors, by_name);
fail:
    ph_json_free(&doc);
    return ret;
}

static const char *const folder_names[] = {
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
    "model.fp16.safetensors",
    "model.safetensors.index.fp16.json",
    "model.fp16.safetensors.index.json",
    "pytorch_lora_weights.safetensors",
    "adapter_model.safetensors",
};

// The file that a path means; freed by the caller.
static ph_err resolve(const char *path, char **out, struct ph_fault *fault)
{
    struct stat st;
    *out = NULL;
    if (stat(path, &st))
        return ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, NULL, "cannot open %s: %s",
                       ph_path_tail(path), strerror(errno));
    if (!S_ISDIR(st.st_mode)) return (*out = strdup(path)) ? PH_OK : no_memory(fault);
    size_t size = strlen(path) + 64;
    char *file = malloc(size);
    if (!file) return no_memory(fault);
    for (size_t i = 0; i < sizeof folder_names / sizeof *folder_names; i++) {
        snprintf(file, size, "%s/%s", path, folder_names[i]);
        if (!access(file, F_OK)) return *out = file, PH_OK;
    }
    free(file);
    return ph_fail(fault, PH_ENOENT, NULL,
                   "%s has no diffusion_pytorch_model.safetensors or model.safetensors",
                   ph_path_tail(path));
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

ph_err ph_weights_open(const char *path, struct ph_weights **out, struct ph_fault *fault)
{
    *out = NULL;
    struct ph_weights *w = calloc(1, sizeof *w);
    if (!w) return no_memory(fault);
    w->refs = 1;
    ph_err ret = resolve(path, &w->path, fault);
    if (ret == PH_OK)
        ret = ends_with(w->path, ".json") ? open_sharded(w, fault) : open_single(w, fault);
    if (ret < 0)
        weights_free(w);
    else
        *out = share(w);
    return ret;
}

// ------------------------------------------------------------------------------------ looking

int ph_weights_count(const struct ph_weights *w)
{
    return w->count;
}

const struct ph_weight *ph_weights_at(const struct ph_weights *w, int i)
{
    return i >= 0 && i < w->count ? &w->tensors[i] : NULL;
}

const struct ph_weight *ph_weights_find(const struct ph_weights *w, const char *name)
{
    return find_in(w->tensors, w->count, name);
}

size_t ph_weights_bytes(const struct ph_weights *w)
{
    return w->bytes;
}

const char *ph_weights_path(const struct ph_weights *w)
{
    return w->path;
}

const char *ph_weights_metadata(const struct ph_weights *w, const char *key)
{
    if (!w->files_count) return NULL;
    const struct ph_json *root = ph_json_root(w->files[0].header);
    return ph_json_string(ph_json_get(ph_json_get(root, "__metadata__"), key), NULL);
}

// ------------------------------------------------------------------------------------ reading

static bool is_float(enum ph_dtype t)
{
    return t == PH_F32 || t == PH_F16 || t == PH_BF16;
}

// Sets may be adapted more than once: the tensors of each are in its base's order.
static void add_terms(const struct ph_weights *w, int64_t index, int64_t first, int64_t n,
                      float *out)
{
    if (w->base) add_terms(w->base, index, first, n, out);
    const struct ph_term *t = w->terms ? w->terms[index] : NULL;
    for (; t; t = t->next) ph_term_add(t, first, n, out);
}

ph_err ph_weights_read(const struct ph_weights *w, const struct ph_weight *weight,
                       int64_t first, int64_t n, float *out)
{
    enum ph_dtype dtype = weight->disk.dtype;
    if (weight < w->tensors || weight >= w->tensors + w->count || !is_float(dtype) ||
        first < 0 || n < 0 || first > ph_tensor_count(&weight->disk) - n)
        return PH_EINVAL;
    const char *data = (const char *) weight->disk.data + (size_t) first * ph_dtype_size(dtype);
    ph_convert(PH_F32, out, dtype, data, n);
    if (n) add_terms(w, weight - w->tensors, first, n, out);
    return PH_OK;
}

ph_err ph_weights_check_unchanged(const struct ph_weights *w, struct ph_fault *fault)
{
    for (int i = 0; i < w->files_count; i++) {
        ph_err ret = ph_safetensors_check(&w->files[i], fault);
        if (ret < 0) return ret;
    }
    const struct ph_lora *asked = NULL;
    for (int i = 0; w->terms && i < w->count; i++)
        for (const struct ph_term *t = w->terms[i]; t; t = t->next) {
            ph_err ret = PH_OK;
            if (t->lora != asked) ret = ph_weights_check_unchanged(t->lora->file, fault);
            if (ret < 0) return ret;
            asked = t->lora;
        }
    return PH_OK;
}

// Whether any of n 16-bit values has all of these exponent bits; in a form that vectorises.
static bool any16(const char *data, int64_t n, uint16_t exponent)
{
    uint16_t hit = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, data + i * 2, sizeof h);
        hit |= (uint16_t) - ((h & exponent) == exponent);
    }
    return hit;
}

static bool any32(const char *data, int64_t n)
{
    uint32_t hit = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, data + i * 4, sizeof u);
        hit |= (uint32_t) - ((u & 0x7f800000) == 0x7f800000);
    }
    return hit;
}

static bool any_special(enum ph_dtype dtype, const char *data, int64_t n)
{
    if (dtype == PH_F32) return any32(data, n);
    return any16(data, n, dtype == PH_F16 ? 0x7c00 : 0x7f80);
}

bool ph_all_finite(const float *x, int64_t n)
{
    return !any32((const char *) x, n);
}

ph_err ph_weight_check_finite(const struct ph_weight *weight, struct ph_fault *fault)
{
    enum { BLOCK = 4096 };
    const struct ph_tensor *t = &weight->disk;
    int64_t count = ph_tensor_count(t);
    size_t size = ph_dtype_size(t->dtype);
    if (!is_float(t->dtype)) return PH_OK;
    for (int64_t i = 0; i < count; i += BLOCK) {
        const char *data = (const char *) t->data + (size_t) i * size;
        int64_t n = count - i < BLOCK ? count - i : BLOCK, k = 0;
        if (!any_special(t->dtype, data, n)) continue;
        while (!any_special(t->dtype, data + (size_t) k * size, 1)) k++;
        return ph_fail(fault, PH_EFORMAT, weight->name,
                       "%s: tensor '%.120s' has a value that is not finite at element %lld",
                       ph_path_tail(weight->file), weight->name, (long long) (i + k));
    }
    return PH_OK;
}

ph_err ph_weights_check_finite(const struct ph_weights *w, struct ph_stop stop,
                               struct ph_fault *fault)
{
    for (int i = 0; i < w->count; i++) {
        if (ph_stop_asked(&stop)) return ph_fail(fault, PH_ESTOPPED, "", "stopped");
        ph_err ret = ph_weight_check_finite(&w->tensors[i], fault);
        if (ret < 0) return ret;
    }
    return PH_OK;
}
