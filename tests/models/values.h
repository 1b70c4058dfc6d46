// SPDX-License-Identifier: MIT
// Reference values: tensors of a safetensors file as floats, manifests, and errors between them.
#ifndef PH_TEST_VALUES_H
#define PH_TEST_VALUES_H

#include <stdarg.h>

#include "../golden.h"

#include "core/json.h"
#include "nn/weights.h"

// What a case reads goes with its process; until then it is held here, so that only what the code
// itself loses counts as lost.
static inline void *values_keep(void *p)
{
    static void **kept;
    static size_t count;
    void **grown = realloc(kept, (count + 1) * sizeof *kept);
    if (!grown) return p;
    kept = grown;
    kept[count++] = p;
    return p;
}

static inline struct ph_weights *values_open(const char *path)
{
    struct ph_weights *w = NULL;
    struct ph_fault fault = { 0 };
    if (ph_weights_open(path, &w, &fault) < 0) TEST_FAIL("%s: %s", path, fault.message);
    return values_keep(w);
}

static inline const struct ph_weight *values_find(struct ph_weights *w, const char *fmt, ...)
{
    char name[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return ph_weights_find(w, name);
}

// All elements of a tensor as doubles, caller frees; a type that tensors do not have is F64 here.
// NULL when there is no such tensor; count may be NULL.
static inline double *values_doubles(struct ph_weights *w, int64_t *count, const char *name)
{
    const struct ph_weight *t = ph_weights_find(w, name);
    if (!t) return NULL;
    int64_t n = ph_tensor_count(&t->disk);
    double *out = malloc(sizeof *out * (size_t) n);
    float *f = malloc(sizeof *f * (size_t) n);
    CHECK(out && f);
    if (t->disk.dtype == PH_DTYPE_NONE) {
        memcpy(out, t->disk.data, sizeof *out * (size_t) n);
    } else {
        ph_convert(PH_F32, f, t->disk.dtype, t->disk.data, n);
        for (int64_t i = 0; i < n; i++) out[i] = f[i];
    }
    free(f);
    if (count) *count = n;
    return values_keep(out);
}

static inline float *values_floats(struct ph_weights *w, int64_t *count, const char *fmt, ...)
{
    char name[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    const struct ph_weight *t = ph_weights_find(w, name);
    if (!t) return NULL;
    int64_t n = ph_tensor_count(&t->disk);
    float *out = malloc(sizeof *out * (size_t) n);
    CHECK(out);
    ph_convert(PH_F32, out, t->disk.dtype, t->disk.data, n);
    if (count) *count = n;
    return values_keep(out);
}

// |a - b| over everything that was added.
struct error {
    double diff2, ref2, max, ref_max;
    int64_t n;
};

static inline void error_add(struct error *e, const float *got, const float *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double) got[i] - want[i]), r = fabs(want[i]);
        e->diff2 += d * d;
        e->ref2 += r * r;
        if (!(d <= e->max)) e->max = d; // NaN sticks
        if (r > e->ref_max) e->ref_max = r;
    }
    e->n += n;
}

// max_abs is a share of the largest reference value; 0 = not looked at.
static inline void error_check(const struct error *e, const char *what, double rel_l2,
                               double max_abs)
{
    double rel = e->ref2 > 0 ? sqrt(e->diff2 / e->ref2) : sqrt(e->diff2);
    if (!e->n) TEST_FAIL("%s: nothing was compared", what);
    if (!(rel <= rel_l2)) TEST_FAIL("%s: rel_l2 is %.3g, not <= %.3g", what, rel, rel_l2);
    if (max_abs > 0 && !(e->max <= max_abs * fmax(e->ref_max, 1e-30)))
        TEST_FAIL("%s: max_abs is %.3g of %.3g, not <= %.3g", what, e->max, e->ref_max,
                  max_abs);
}

static inline void values_near(const char *what, const float *got, const float *want, int64_t n,
                               double rel_l2, double max_abs)
{
    struct error e = { 0 };
    error_add(&e, got, want, n);
    error_check(&e, what, rel_l2, max_abs);
}

static inline struct ph_json_doc *values_json(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct ph_json_doc *doc = NULL;
    struct ph_fault fault = { 0 };
    if (!f) TEST_FAIL("%s cannot be opened", path);
    size_t size = 16u << 20;
    char *text = malloc(size);
    CHECK(text);
    size = fread(text, 1, size, f);
    fclose(f);
    if (ph_json_parse(&doc, text, size, 0, &fault) < 0)
        TEST_FAIL("%s: %s", path, fault.message);
    free(text);
    return values_keep(doc);
}

// Values that look random and are the same everywhere, about -1.7 .. 1.7 with deviation 1.
static inline void values_noise(uint64_t seed, float *out, int64_t n)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
    for (int64_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        out[i] = ((float) (x >> 40) / (1 << 24) - 0.5f) * 3.4641f;
    }
}

#endif
