// SPDX-License-Identifier: MIT
// A model of cuBLASLt over the model of the driver (cuda_model.h): the calls that src/nn/cuda/lt.c
// makes, as the header of the library describes them. What an answer of the heuristics was given for
// is checked when it is used: layouts, types, alignment, workspace.
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <phosphene/tensor.h>

#include "cuda_model.h"
#include "nn/cuda/lt.h"

enum { NOT_SUPPORTED = 15, INVALID = 7, R_32F = 0, R_16F = 2, R_16BF = 14 };
enum kind { HANDLE = 0x4c54, DESC, LAYOUT, PREFERENCE };

struct object {
    enum kind kind;
    uint64_t context;
    int compute, scale, turned_a, epilogue, bias_type; // of an operation
    const void *bias;
    int type; // of a layout
    uint64_t rows, columns;
    int64_t line;
    uint64_t workspace; // of a preference
    uint32_t aligned[4];
};

struct algorithm {
    uint64_t magic, workspace;
    uint32_t aligned[4];
    uint64_t m, n, k;
    int type, out;
};

_Static_assert(sizeof(struct algorithm) == sizeof((struct cu_lt_answer *) 0)->algorithm,
               "fits");

// What lt.h declares, so that the compiler compares it with this file.
#define DECLARE(name, result, arguments) CU_MODEL result name arguments;
CU_LT(DECLARE)

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "cuBLASLt model: %s\n", what);
    abort();
}

static struct object *object_of(void *p, enum kind kind)
{
    struct object *o = p;
    if (!o || o->kind != kind) die("a handle of another kind, or none");
    return o;
}

static int object_new(void **out, enum kind kind)
{
    struct object *o = calloc(1, sizeof *o);
    if (!o) die("out of memory");
    o->kind = kind;
    *out = o;
    return 0;
}

static int object_free(void *p, enum kind kind)
{
    object_of(p, kind)->kind = (enum kind) 0;
    free(p);
    return 0;
}

// ------------------------------------------------------------------------------ objects
int cublasLtCreate(void **handle)
{
    object_new(handle, HANDLE);
    ((struct object *) *handle)->context = cu_model_context();
    return cu_model_context() ? 0 : 1;
}

int cublasLtDestroy(void *handle)
{
    return object_free(handle, HANDLE);
}

size_t cublasLtGetVersion(void)
{
    return 130001;
}

int cublasLtMatmulDescCreate(void **desc, int compute, int scale)
{
    object_new(desc, DESC);
    struct object *o = *desc;
    o->compute = compute;
    o->scale = scale;
    o->epilogue = 1;
    o->bias_type = -1;
    return compute == 68 && scale == R_32F ? 0 : NOT_SUPPORTED;
}

int cublasLtMatmulDescDestroy(void *desc)
{
    return object_free(desc, DESC);
}

static int take(void *to, size_t wanted, const void *value, size_t size)
{
    if (size != wanted) return INVALID;
    memcpy(to, value, size);
    return 0;
}

int cublasLtMatmulDescSetAttribute(void *desc, int attribute, const void *value, size_t size)
{
    struct object *o = object_of(desc, DESC);
    switch (attribute) {
    case 3: return take(&o->turned_a, 4, value, size);
    case 7: return take(&o->epilogue, 4, value, size);
    case 8: return take(&o->bias, 8, value, size);
    case 26: return take(&o->bias_type, 4, value, size);
    default: die("an attribute of operations that the model does not know");
    }
}

int cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows, uint64_t columns,
                               int64_t line)
{
    object_new(layout, LAYOUT);
    struct object *o = *layout;
    o->type = type;
    o->rows = rows;
    o->columns = columns;
    o->line = line;
    return line >= (int64_t) rows && rows && columns ? 0 : INVALID;
}

int cublasLtMatrixLayoutDestroy(void *layout)
{
    return object_free(layout, LAYOUT);
}

int cublasLtMatmulPreferenceCreate(void **preference)
{
    object_new(preference, PREFERENCE);
    for (int i = 0; i < 4; i++) ((struct object *) *preference)->aligned[i] = 256;
    return 0;
}

int cublasLtMatmulPreferenceDestroy(void *preference)
{
    return object_free(preference, PREFERENCE);
}

int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value,
                                         size_t size)
{
    struct object *o = object_of(preference, PREFERENCE);
    if (attribute == 1) return take(&o->workspace, 8, value, size);
    if (attribute < 5 || attribute > 8) die("a preference that the model does not know");
    return take(&o->aligned[attribute - 5], 4, value, size);
}

// ------------------------------------------------------------------------------ products
// d [m, n] = a b + c by columns; the table of types that the manual has for this compute type.
static int problem(const struct object *o, const struct object *a, const struct object *b,
                   const struct object *c, const struct object *d, struct algorithm *p)
{
    p->m = o->turned_a ? a->columns : a->rows;
    p->k = o->turned_a ? a->rows : a->columns;
    p->n = b->columns;
    p->type = a->type;
    p->out = d->type;
    if (b->rows != p->k || d->rows != p->m || d->columns != p->n) return INVALID;
    if (c->rows != d->rows || c->columns != d->columns || c->type != d->type) return INVALID;
    if (a->type != b->type || (a->type != R_16F && a->type != R_16BF)) return NOT_SUPPORTED;
    if (d->type != a->type && d->type != R_32F) return NOT_SUPPORTED;
    if (o->epilogue & ~7) return NOT_SUPPORTED;
    if (o->epilogue & 4 && (!o->bias || (o->bias_type != -1 && o->bias_type != d->type)))
        return NOT_SUPPORTED;
    return a->line % 8 || b->line % 8 || d->line % 8 ? NOT_SUPPORTED : 0;
}

int cublasLtMatmulAlgoGetHeuristic(void *handle, void *desc, void *a, void *b, void *c, void *d,
                                   void *preference, int wanted, struct cu_lt_answer *found,
                                   int *count)
{
    struct object *o = object_of(desc, DESC), *p = object_of(preference, PREFERENCE);
    struct algorithm how = { .magic = 0xa190 };
    struct cu_lt_answer h = { .workspace = p->workspace < 4096 ? 0 : 4096, .waves = 1 };
    object_of(handle, HANDLE);
    *count = 0;
    int status = problem(o, object_of(a, LAYOUT), object_of(b, LAYOUT), object_of(c, LAYOUT),
                         object_of(d, LAYOUT), &how);
    if (status || getenv("CU_MODEL_LT_NOTHING")) return status ? status : NOT_SUPPORTED;
    how.workspace = h.workspace;
    memcpy(how.aligned, p->aligned, sizeof p->aligned);
    memcpy(h.algorithm, &how, sizeof how);
    if (wanted > 0) found[(*count)++] = h;
    return 0;
}

struct product {
    struct algorithm p;
    float alpha, beta;
    const void *a, *b, *c, *bias;
    void *d, *workspace;
    int64_t line_a, line_b, line_d;
    int turned_a, epilogue;
};

static double element(int type, const void *p, uint64_t i)
{
    enum ph_dtype t = type == R_32F ? PH_F32 : type == R_16F ? PH_F16 : PH_BF16;
    float f;
    ph_convert(PH_F32, &f, t, (const char *) p + i * ph_dtype_size(t), 1);
    return (double) f;
}

static void run(const void *args)
{
    struct product r;
    memcpy(&r, args, sizeof r);
    uint64_t la = (uint64_t) r.line_a, lb = (uint64_t) r.line_b, ld = (uint64_t) r.line_d;
    enum ph_dtype out = r.p.out == R_32F ? PH_F32 : r.p.out == R_16F ? PH_F16 : PH_BF16;
    if (r.p.workspace) memset(r.workspace, 0xff, r.p.workspace);
    for (uint64_t n = 0; n < r.p.n; n++)
        for (uint64_t m = 0; m < r.p.m; m++) {
            double sum = 0;
            for (uint64_t k = 0; k < r.p.k; k++)
                sum += element(r.p.type, r.a, r.turned_a ? m * la + k : k * la + m) *
                       element(r.p.type, r.b, n * lb + k);
            sum *= (double) r.alpha;
            if (r.beta != 0) sum += (double) r.beta * element(r.p.out, r.c, n * ld + m);
            if (r.epilogue & 4) sum += element(r.p.out, r.bias, m);
            float f = r.epilogue & 2 && sum < 0 ? 0 : (float) sum;
            ph_convert(out, (char *) r.d + (n * ld + m) * ph_dtype_size(out), PH_F32, &f, 1);
        }
}

static void check(const void *at, uint64_t count, int type, uint32_t aligned)
{
    if (!cu_model_owns(at, count * (type == R_32F ? 4 : 2))) die("a matrix beyond its memory");
    if ((uintptr_t) at % aligned) die("a matrix that is aligned less than was said");
}

int cublasLtMatmul(void *handle, void *desc, const void *alpha, const void *a, void *a_layout,
                   const void *b, void *b_layout, const void *beta, const void *c,
                   void *c_layout, void *d, void *d_layout, const void *algorithm,
                   void *workspace, size_t size, void *stream)
{
    struct object *o = object_of(desc, DESC), *la = object_of(a_layout, LAYOUT);
    struct object *lb = object_of(b_layout, LAYOUT), *ld = object_of(d_layout, LAYOUT);
    struct product r = { .a = a, .b = b, .c = c, .d = d, .bias = o->bias };
    struct algorithm now = { 0 };
    if (object_of(handle, HANDLE)->context != cu_model_context())
        die("a handle of another context");
    memcpy(&r.p, algorithm, sizeof r.p);
    memcpy(&r.alpha, alpha, sizeof r.alpha);
    memcpy(&r.beta, beta, sizeof r.beta);
    int status = problem(o, la, lb, object_of(c_layout, LAYOUT), ld, &now);
    if (status) return status;
    if (r.p.magic != 0xa190 || now.m != r.p.m || now.n != r.p.n || now.k != r.p.k)
        die("an algorithm of another product");
    if (size < r.p.workspace || (uintptr_t) workspace % 16)
        die("a workspace that is too small");
    if (r.p.workspace) check(workspace, size / 2, R_16F, 16);
    check(a, (uint64_t) la->line * (la->columns - 1) + la->rows, la->type, r.p.aligned[0]);
    check(b, (uint64_t) lb->line * (lb->columns - 1) + lb->rows, lb->type, r.p.aligned[1]);
    check(c, (uint64_t) ld->line * (ld->columns - 1) + ld->rows, ld->type, r.p.aligned[2]);
    check(d, (uint64_t) ld->line * (ld->columns - 1) + ld->rows, ld->type, r.p.aligned[3]);
    if (o->epilogue & 4) check(o->bias, r.p.m, ld->type, 16);
    r.workspace = workspace;
    r.line_a = la->line;
    r.line_b = lb->line;
    r.line_d = ld->line;
    r.turned_a = o->turned_a;
    r.epilogue = o->epilogue;
    return cu_model_enqueue(stream, run, &r, sizeof r) ? 13 : 0;
}
