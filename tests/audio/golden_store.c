// SPDX-License-Identifier: MIT
// Tensors of all types and sounds of all files, for the goldens of sound.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nodes/media/sound_file.h"
#include "sound_golden.h"

static int size_of(const char *type)
{
    static const struct {
        const char *name;
        int size;
    } types[] = { { "F64", 8 }, { "I64", 8 }, { "F32", 4 }, { "I32", 4 }, { "BOOL", 1 } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(type, types[i].name)) return types[i].size;
    return 0;
}

static double value_of(const char *type, const char *p)
{
    union {
        double f64;
        int64_t i64;
        float f32;
        int32_t i32;
        unsigned char u8;
    } v = { 0 };
    memcpy(&v, p, (size_t) size_of(type));
    if (!strcmp(type, "F64")) return v.f64;
    if (!strcmp(type, "I64")) return (double) v.i64;
    if (!strcmp(type, "F32")) return (double) v.f32;
    return !strcmp(type, "I32") ? v.i32 : v.u8;
}

static void add_tensor(struct golden_case *c, struct sound_store *s, const struct ph_json *v,
                       const char *data, size_t size)
{
    const char *type = ph_json_string(ph_json_get(v, "dtype"), "");
    const struct ph_json *shape = ph_json_get(v, "shape"), *at = ph_json_get(v, "data_offsets");
    struct sound_tensor t = { .name = ph_tree_text(c->mem, v->key, strlen(v->key)),
                              .count = 1 };
    size_t begin = (size_t) ph_json_int(ph_json_at(at, 0), 0), step = (size_t) size_of(type);
    for (const struct ph_json *d = shape ? shape->child : NULL; d && t.rank < 4; d = d->next)
        t.count *= t.dim[t.rank++] = d->integer;
    if (!step || begin + step * (size_t) t.count > size) return;
    t.value = ph_new(c->mem, double, (size_t) t.count + 1);
    for (int64_t i = 0; i < t.count; i++)
        t.value[i] = value_of(type, data + begin + step * (size_t) i);
    if (!ph_append(c->mem, s->tensor, s->count, t)) abort();
}

bool sound_store_read(struct golden_case *c, const char *file, struct sound_store *out)
{
    *out = (struct sound_store){ 0 };
    FILE *f = fopen(ph_tree_printf(c->mem, "%s/%s", c->dir, file), "rb");
    if (!f) return golden_failure(c, NULL, file, "cannot be opened"), false;
    size_t limit = 64 << 20;
    char *bytes = malloc(limit);
    size_t n = bytes ? fread(bytes, 1, limit, f) : 0;
    uint64_t header = 0;
    struct ph_json_doc *doc = NULL;
    fclose(f);
    if (n >= 8) memcpy(&header, bytes, 8);
    bool ok = header && header < n - 8 && !ph_json_parse(&doc, bytes + 8, header, 0, NULL);
    const struct ph_json *root = ok ? ph_json_root(doc) : NULL;
    for (const struct ph_json *v = root ? root->child : NULL; v; v = v->next)
        if (strcmp(v->key, "__metadata__") != 0)
            add_tensor(c, out, v, bytes + 8 + header, n - 8 - header);
    ph_json_free(&doc);
    free(bytes);
    if (!ok) golden_failure(c, NULL, file, "is no safetensors file");
    return ok;
}

const struct sound_tensor *sound_find(const struct sound_store *s, const char *name)
{
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->tensor[i].name, name)) return &s->tensor[i];
    return NULL;
}

bool sound_samples_read(struct golden_case *c, const char *file, struct sound_samples *out)
{
    struct ph_fault fault = { 0 };
    struct ph_sound_file *f;
    const char *path = ph_tree_printf(c->mem, "%s/%s", c->dir, file);
    *out = (struct sound_samples){ 0 };
    if (ph_sound_open(&f, path, &fault)) {
        golden_failure(c, NULL, file, fault.message);
        return false;
    }
    const struct ph_sound_info *info = ph_sound_info(f);
    *out = (struct sound_samples){ .channels = info->channels, .rate_hz = info->rate_hz };
    float *all = NULL;
    const float *x;
    int64_t n, room = 0;
    while (ph_sound_read(f, &x, &n) == PH_OK) {
        size_t width = sizeof *all * (size_t) info->channels;
        if (out->frames + n > room) all = realloc(all, (size_t) (room = 2 * room + n) * width);
        memcpy(all + out->frames * info->channels, x, (size_t) n * width);
        out->frames += n;
    }
    out->x = ph_new(c->mem, float, (size_t) (out->frames * out->channels) + 1);
    if (all) memcpy(out->x, all, sizeof *all * (size_t) (out->frames * out->channels));
    free(all);
    ph_sound_close(&f);
    return true;
}
