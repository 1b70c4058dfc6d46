// SPDX-License-Identifier: MIT
// One safetensors file: 8 bytes of header length (little endian), a JSON header, the data. The
// header says where in the data each tensor lies; nothing it says is believed unchecked.
#include "nn/weights_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_MAX (16u << 20)
#define PATH_SHOWN 160
#define NAME_SHOWN 120

const char *ph_path_tail(const char *path)
{
    size_t n = strlen(path);
    return n > PATH_SHOWN ? path + n - PATH_SHOWN : path;
}

// The finaliser of splitmix64 over both.
uint64_t ph_key_mix(uint64_t key, uint64_t v)
{
    uint64_t z = key * 0x9E3779B97F4A7C15u + v + 0x632BE59BD9B4E019u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

ph_err ph_file_id_of(int fd, struct ph_file_id *id)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) return PH_EIO;
    *id = (struct ph_file_id){
        .device = (uint64_t) st.st_dev,
        .inode = (uint64_t) st.st_ino,
        .size = (uint64_t) st.st_size,
        .modified_ns =
            (uint64_t) st.st_mtim.tv_sec * 1000000000u + (uint64_t) st.st_mtim.tv_nsec,
        .changed_ns =
            (uint64_t) st.st_ctim.tv_sec * 1000000000u + (uint64_t) st.st_ctim.tv_nsec,
    };
    return PH_OK;
}

bool ph_file_id_equal(const struct ph_file_id *a, const struct ph_file_id *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

ph_err ph_safetensors_check(const struct ph_safetensors *st, struct ph_fault *fault)
{
    struct ph_file_id now;
    if (ph_file_id_of(st->fd, &now) == PH_OK && now.size == st->id.size &&
        now.modified_ns == st->id.modified_ns)
        return PH_OK;
    return ph_fail(fault, PH_EIO, NULL,
                   "%s was written to while in use: replace model files by renaming new ones "
                   "over them, then load again",
                   ph_path_tail(st->path));
}

static ph_err bad_file(const struct ph_safetensors *st, struct ph_fault *fault,
                       const char *what)
{
    return ph_fail(fault, PH_EFORMAT, "header", "%s: %s", ph_path_tail(st->path), what);
}

#define BAD_TENSOR(st, fault, name, fmt, ...)                                                  \
    ph_fail(fault, PH_EFORMAT, name, "%s: tensor '%.*s' " fmt, ph_path_tail((st)->path),       \
            NAME_SHOWN, name, __VA_ARGS__)

// ------------------------------------------------------------------------------------ the header

// The format's types. Those without a counterpart here keep their place with PH_DTYPE_NONE:
// models refuse them only where they would read them.
static const struct {
    const char *name;
    int size;
    enum ph_dtype dtype;
} types[] = {
    { "F32", 4, PH_F32 },
    { "F16", 2, PH_F16 },
    { "BF16", 2, PH_BF16 },
    { "I8", 1, PH_I8 },
    { "U8", 1, PH_U8 },
    { "I32", 4, PH_I32 },
    { "I64", 8, PH_I64 },
    { "BOOL", 1, PH_DTYPE_NONE },
    { "I16", 2, PH_DTYPE_NONE },
    { "U16", 2, PH_DTYPE_NONE },
    { "U32", 4, PH_DTYPE_NONE },
    { "U64", 8, PH_DTYPE_NONE },
    { "F64", 8, PH_DTYPE_NONE },
    { "F8_E4M3", 1, PH_DTYPE_NONE },
    { "F8_E5M2", 1, PH_DTYPE_NONE },
};

static int type_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) return (int) i;
    return -1;
}

// Bytes of the shape; fills t's rank and dims.
static ph_err read_shape(const struct ph_safetensors *st, const struct ph_json *v, int64_t size,
                         struct ph_tensor *t, int64_t *bytes, struct ph_fault *fault)
{
    const struct ph_json *shape = ph_json_get(v, "shape");
    if (!shape || shape->type != PH_JSON_ARRAY)
        return BAD_TENSOR(st, fault, v->key, "has no %s", "shape");
    if (shape->count > PH_RANK_MAX)
        return BAD_TENSOR(st, fault, v->key, "has %d dimensions, at most %d are known",
                          shape->count, PH_RANK_MAX);
    *bytes = size;
    t->rank = shape->count;
    int i = 0;
    for (const struct ph_json *d = shape->child; d; d = d->next, i++) {
        if (!d->is_integer || d->integer < 1)
            return BAD_TENSOR(st, fault, v->key,
                              "has a dimension %d that is not a positive integer", i);
        if (__builtin_mul_overflow(*bytes, d->integer, bytes))
            return BAD_TENSOR(st, fault, v->key, "is too large: dimension %d overflows", i);
        t->dim[i] = d->integer;
    }
    return PH_OK;
}

static ph_err read_offsets(const struct ph_safetensors *st, const struct ph_json *v,
                           int64_t data, int64_t *begin, int64_t *end, struct ph_fault *fault)
{
    const struct ph_json *offsets = ph_json_get(v, "data_offsets");
    const struct ph_json *b = ph_json_at(offsets, 0), *e = ph_json_at(offsets, 1);
    if (!offsets || offsets->type != PH_JSON_ARRAY || offsets->count != 2 || !b->is_integer ||
        !e->is_integer || b->integer < 0 || e->integer < b->integer)
        return BAD_TENSOR(st, fault, v->key, "has no data_offsets %s", "[begin, end]");
    if (e->integer > data)
        return BAD_TENSOR(st, fault, v->key,
                          "ends at byte %lld of the data, but the file has only %lld: is the "
                          "download complete?",
                          (long long) e->integer, (long long) data);
    *begin = b->integer;
    *end = e->integer;
    return PH_OK;
}

static ph_err read_tensor(struct ph_safetensors *st, const struct ph_json *v,
                          const uint8_t *data, int64_t data_size, struct ph_weight *w,
                          struct ph_fault *fault)
{
    int64_t bytes = 0, begin = 0, end = 0;
    const char *name = ph_json_string(ph_json_get(v, "dtype"), NULL);
    int type = type_of(name);
    if (!v->key[0]) return bad_file(st, fault, "a tensor has an empty name");
    if (v->type != PH_JSON_OBJECT) return BAD_TENSOR(st, fault, v->key, "is no %s", "object");
    if (type < 0)
        return BAD_TENSOR(st, fault, v->key, "has the unknown dtype '%.20s'", name ? name : "");
    *w = (struct ph_weight){ .name = v->key, .file = st->path };
    w->disk.dtype = types[type].dtype;
    ph_err ret = read_shape(st, v, types[type].size, &w->disk, &bytes, fault);
    if (ret == PH_OK) ret = read_offsets(st, v, data_size, &begin, &end, fault);
    if (ret < 0) return ret;
    if (end - begin != bytes)
        return BAD_TENSOR(st, fault, v->key, "is said to have %lld bytes, its shape needs %lld",
                          (long long) (end - begin), (long long) bytes);
    w->disk.data =
        (void *) (data + begin); // the mapping is read-only; nobody writes through it
    w->key = (uint64_t) bytes;   // until keys are made
    return PH_OK;
}

static int by_place(const void *a, const void *b)
{
    const uint8_t *x = ((const struct ph_weight *) a)->disk.data;
    const uint8_t *y = ((const struct ph_weight *) b)->disk.data;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ph_weight *) a)->name, ((const struct ph_weight *) b)->name);
}

// The format allows neither overlaps nor holes: every byte belongs to exactly one tensor.
static ph_err check_places(struct ph_safetensors *st, const uint8_t *data,
                           struct ph_fault *fault)
{
    const uint8_t *end = st->map + st->id.size, *at = data;
    qsort(st->tensors, (size_t) st->count, sizeof *st->tensors, by_place);
    for (int i = 0; i < st->count; i++) {
        struct ph_weight *w = &st->tensors[i];
        const uint8_t *begin = w->disk.data;
        if (begin < at)
            return BAD_TENSOR(st, fault, w->name, "overlaps '%.*s'", NAME_SHOWN, w[-1].name);
        if (begin > at)
            return BAD_TENSOR(st, fault, w->name,
                              "comes after %lld bytes that belong to no tensor",
                              (long long) (begin - at));
        at = begin + w->key;
    }
    if (at < end) {
        char what[96];
        snprintf(what, sizeof what, "%lld bytes at its end belong to no tensor",
                 (long long) (end - at));
        return bad_file(st, fault, what);
    }
    return PH_OK;
}

// A key names these bytes of this state of this file, read as this type and shape.
static void make_keys(struct ph_safetensors *st)
{
    uint64_t file = ph_key_mix(st->id.device, st->id.inode);
    file = ph_key_mix(ph_key_mix(file, st->id.size), st->id.modified_ns);
    file = ph_key_mix(file, st->id.changed_ns);
    for (int i = 0; i < st->count; i++) {
        struct ph_weight *w = &st->tensors[i];
        w->key = ph_key_mix(file, (uint64_t) ((const uint8_t *) w->disk.data - st->map));
        w->key = ph_key_mix(w->key, (uint64_t) w->disk.dtype << 8 | (uint64_t) w->disk.rank);
        for (int d = 0; d < w->disk.rank; d++)
            w->key = ph_key_mix(w->key, (uint64_t) w->disk.dim[d]);
    }
}

static ph_err check_metadata(const struct ph_safetensors *st, const struct ph_json *m,
                             struct ph_fault *fault)
{
    if (m->type != PH_JSON_OBJECT) return bad_file(st, fault, "__metadata__ is no object");
    for (const struct ph_json *c = m->child; c; c = c->next)
        if (c->type != PH_JSON_STRING)
            return bad_file(st, fault, "__metadata__ has a value that is no text");
    return PH_OK;
}

static ph_err read_tensors(struct ph_safetensors *st, uint64_t header_size,
                           struct ph_fault *fault)
{
    const struct ph_json *root = ph_json_root(st->header);
    const uint8_t *data = st->map + 8 + header_size;
    if (root->type != PH_JSON_OBJECT) return bad_file(st, fault, "the header is no object");
    st->tensors = calloc((size_t) root->count + 1, sizeof *st->tensors);
    if (!st->tensors) return ph_fail(fault, PH_ENOMEM, NULL, "out of memory");
    for (const struct ph_json *v = root->child; v; v = v->next) {
        ph_err ret;
        if (!strcmp(v->key, "__metadata__"))
            ret = check_metadata(st, v, fault);
        else
            ret = read_tensor(st, v, data, (int64_t) (st->id.size - 8 - header_size),
                              &st->tensors[st->count++], fault);
        if (ret < 0) return ret;
    }
    ph_err ret = check_places(st, data, fault);
    if (ret < 0) return ret;
    st->bytes = st->id.size - 8 - header_size;
    make_keys(st);
    qsort(st->tensors, (size_t) st->count, sizeof *st->tensors, by_name);
    return PH_OK;
}

// ------------------------------------------------------------------------------------ the file

static bool read_all(int fd, void *out, size_t n, off_t at)
{
    char *p = out;
    while (n) {
        ssize_t got = pread(fd, p, n, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        at += got;
        n -= (size_t) got;
    }
    return true;
}

// What people have in place of weights more often than a broken file.
static const char *what_else(const uint8_t *head)
{
    if (!memcmp(head, "version ", 8))
        return "is a Git LFS pointer: the weights themselves were not downloaded";
    if (!memcmp(head, "PK\3\4", 4) || head[0] == 0x80)
        return "is a PyTorch pickle, not safetensors: convert it first";
    if (!memcmp(head, "GGUF", 4)) return "is a GGUF file, not safetensors";
    return NULL;
}

static ph_err read_header(struct ph_safetensors *st, uint64_t *header_size,
                          struct ph_fault *fault)
{
    uint8_t head[8];
    char what[128];
    if (st->id.size < 8) return bad_file(st, fault, "is too short to be a safetensors file");
    if (!read_all(st->fd, head, 8, 0))
        return ph_fail(fault, PH_EIO, NULL, "cannot read %s", st->path);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | head[i];
    *header_size = n;
    if (n > st->id.size - 8 || n > HEADER_MAX) {
        const char *other = what_else(head);
        snprintf(what, sizeof what,
                 n > HEADER_MAX ? "claims a header of %llu bytes, more than 16 MiB"
                                : "claims a header of %llu bytes, longer than the file",
                 (unsigned long long) n);
        return bad_file(st, fault, other ? other : what);
    }
    char *text = malloc(n + 1);
    if (!text) return ph_fail(fault, PH_ENOMEM, NULL, "out of memory");
    ph_err ret = read_all(st->fd, text, n, 8) ? PH_OK : PH_EIO;
    struct ph_fault why = { 0 };
    if (ret == PH_OK) ret = ph_json_parse(&st->header, text, n, HEADER_MAX, &why);
    free(text);
    if (ret == PH_EIO)
        return ph_fail(fault, ret, NULL, "cannot read %s", ph_path_tail(st->path));
    if (ret == PH_ENOMEM) return ph_fail(fault, ret, NULL, "out of memory");
    if (ret < 0)
        return ph_fail(fault, PH_EFORMAT, "header", "%s: its header is no JSON: %.200s",
                       ph_path_tail(st->path), why.message);
    return PH_OK;
}

static ph_err open_file(const char *path, int *fd, struct ph_fault *fault)
{
    // Not blocking, so that a FIFO is refused and not waited for.
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd >= 0) return PH_OK;
    return ph_fail(fault, errno == ENOENT ? PH_ENOENT : PH_EIO, NULL, "cannot open %s: %s",
                   ph_path_tail(path), strerror(errno));
}

ph_err ph_safetensors_open(const char *path, struct ph_safetensors *out, struct ph_fault *fault)
{
    ph_err ret;
    uint64_t header_size;
    *out = (struct ph_safetensors){ .fd = -1 };
    struct ph_safetensors *st = out;
    if (!(st->path = strdup(path))) PH_TRY(ph_fail(fault, PH_ENOMEM, NULL, "out of memory"));
    PH_TRY(open_file(path, &st->fd, fault));
    if (ph_file_id_of(st->fd, &st->id) < 0)
        PH_TRY(ph_fail(fault, PH_EIO, NULL, "%s is no file", ph_path_tail(path)));
    PH_TRY(read_header(st, &header_size, fault));
    void *map = mmap(NULL, st->id.size, PROT_READ, MAP_PRIVATE, st->fd, 0);
    if (map == MAP_FAILED)
        PH_TRY(ph_fail(fault, PH_ENOMEM, NULL, "cannot map %s: %s", ph_path_tail(path),
                       strerror(errno)));
    st->map = map;
    PH_TRY(read_tensors(st, header_size, fault));
    return PH_OK;
fail:
    ph_safetensors_close(st);
    return ret;
}

void ph_safetensors_close(struct ph_safetensors *st)
{
    if (st->map) munmap((void *) st->map, st->id.size);
    if (st->fd >= 0) close(st->fd);
    ph_json_free(&st->header);
    free(st->tensors);
    free(st->path);
    *st = (struct ph_safetensors){ .fd = -1 };
}

void ph_weight_forget(const struct ph_weight *weight)
{
    uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE), begin = (uintptr_t) weight->disk.data;
    uintptr_t end = (begin + ph_tensor_bytes(&weight->disk)) / page * page;
    begin = (begin + page - 1) / page * page;
    if (begin && begin < end) madvise((void *) begin, end - begin, MADV_DONTNEED);
}
