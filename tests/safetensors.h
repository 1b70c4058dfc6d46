// SPDX-License-Identifier: MIT
// Expected values in a safetensors file, of any type: double, int64 and bytes are types that
// weights do not have. Skips the case when the file is not there.
#ifndef PH_TEST_SAFETENSORS_H
#define PH_TEST_SAFETENSORS_H

#include "core/json.h"

#include "test.h"

struct expected_file {
    uint8_t *bytes;
    size_t size, data; // data: where the header ends
    struct ph_json_doc *doc;
};

struct expected {
    char type[8];
    int dims;
    int64_t dim[4], count;
    const uint8_t *data;
};

// `name` under $PH_GOLDEN. The file lives until the case ends.
static inline struct expected_file *expected_open(const char *name)
{
    static struct expected_file f;
    char path[1024];
    const char *golden = getenv("PH_GOLDEN");
    snprintf(path, sizeof path, "%s/%s", golden ? golden : "../shared/golden", name);
    FILE *file = fopen(path, "rb");
    if (!file) TEST_SKIP("%s is not there", path);
    fseek(file, 0, SEEK_END);
    f.size = (size_t) ftell(file);
    rewind(file);
    free(f.bytes);
    f.bytes = malloc(f.size + 1);
    CHECK(f.bytes && fread(f.bytes, 1, f.size, file) == f.size && f.size > 8);
    fclose(file);
    uint64_t header = 0;
    memcpy(&header, f.bytes, 8);
    CHECK(header <= f.size - 8);
    ph_json_free(&f.doc);
    CHECK_OK(ph_json_parse(&f.doc, (const char *) f.bytes + 8, (size_t) header, 0, NULL));
    f.data = 8 + (size_t) header;
    return &f;
}

static inline void expected_close(struct expected_file *f)
{
    ph_json_free(&f->doc);
    free(f->bytes);
    f->bytes = NULL;
}

static inline struct expected expected_get(const struct expected_file *f, const char *name)
{
    const struct ph_json *t = ph_json_get(ph_json_root(f->doc), name);
    struct expected e = { .count = 1 };
    if (!t) TEST_FAIL("there is no tensor %s", name);
    snprintf(e.type, sizeof e.type, "%s", ph_json_string(ph_json_get(t, "dtype"), ""));
    const struct ph_json *shape = ph_json_get(t, "shape"), *at = ph_json_get(t, "data_offsets");
    e.dims = shape->count;
    CHECK_INT(e.dims, <=, 4);
    for (int i = 0; i < e.dims; i++) e.count *= e.dim[i] = ph_json_int(ph_json_at(shape, i), 0);
    e.data = f->bytes + f->data + ph_json_int(ph_json_at(at, 0), 0);
    int64_t element = !strcmp(e.type, "U8") ? 1 : !strcmp(e.type, "F32") ? 4 : 8;
    CHECK_INT(e.data + e.count * element - f->bytes, <=, (int64_t) f->size);
    return e;
}

static inline const double *expected_doubles(const struct expected_file *f, const char *name,
                                             int64_t count)
{
    struct expected e = expected_get(f, name);
    CHECK(!strcmp(e.type, "F64"));
    CHECK_INT(e.count, ==, count);
    return (const double *) (const void *) e.data;
}

#endif
