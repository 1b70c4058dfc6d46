// SPDX-License-Identifier: MIT
// Linear layers, and convolutions of one tap, by cuBLASLt, where it is: a kernel among others, chosen by what was measured.
//
// Memory has y [m, n] = x [m, k] w' [n, k] by rows; the library counts by columns, so there it is
// y' [n, m] = w [n, k] turned, times x' [k, m].
#include "nn/cuda/cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/driver.h"
#include "nn/cuda/lt.h"
#include "nn/plan_priv.h"

enum { R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, OP_TURNED = 1 };
enum { DESC_TRANSA = 3, DESC_EPILOGUE = 7, DESC_BIAS = 8, DESC_BIAS_TYPE = 26 };
enum { EPILOGUE_RELU = 2, EPILOGUE_BIAS = 4, EPILOGUE_NONE = 1 };
// Of preferences. Unless told, the library takes every matrix to lie on a multiple of 256 bytes, and
// places of a plan lie on multiples of 64.
enum { PREFER_WORKSPACE = 1, PREFER_ALIGNED_A = 5, PREFER_ALIGNED_D = 8, ALIGNED = 64 };
enum { WORKSPACE = 32 << 20 };

struct cu_lt {
#define FIELD(name, result, arguments) result(*name) arguments;
    CU_LT(FIELD)
#undef FIELD
};

static struct cu_lt lt;
static bool tried, usable;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool find_all(void)
{
    static const char *const names[] = { "libcublasLt.so.13", "libcublasLt.so.12", NULL };
    void *library = ph_cu_library_open(names);
    if (!library) return false;
#define FIND(name, result, arguments)                                                          \
    *(void **) &lt.name = dlsym(library, #name);                                               \
    if (!lt.name) return false;
    CU_LT(FIND)
#undef FIND
    return true;
}

// A handle belongs to the context that is current when it is made.
void ph_cu_lt_begin(struct ph_device *d, char *text, size_t size)
{
    pthread_mutex_lock(&lock);
    if (!tried) usable = find_all();
    tried = true;
    pthread_mutex_unlock(&lock);
    void *handle = NULL;
    if (!usable || lt.cublasLtCreate(&handle)) {
        snprintf(text, size, usable ? "a cuBLASLt that does not start" : "no cuBLASLt");
        return;
    }
    ph_cu_of(d)->lt = handle;
    size_t v = lt.cublasLtGetVersion();
    snprintf(text, size, "cuBLASLt %zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
}

void ph_cu_lt_end(struct ph_device *d)
{
    if (ph_cu_of(d)->lt) lt.cublasLtDestroy(ph_cu_of(d)->lt);
    ph_cu_of(d)->lt = NULL;
}

// ------------------------------------------------------------------------------ a product
struct product {
    void *desc, *w, *x, *y;
    struct cu_lt_answer best;
};

static int64_t up8(int64_t n)
{
    return (n + 7) / 8 * 8;
}

static double fits(const struct ph_step *s, const struct ph_place *place,
                   enum ph_precision precision)
{
    const struct ph_place *x = &place[s->in[0]], *y = &place[s->out];
    int64_t w[4];
    if (precision == PH_PRECISION_F32 || !ph_cu_all_float(s, place)) return 0;
    if (x->dtype == PH_F32 || (y->dtype != PH_F32 && y->dtype != x->dtype)) return 0;
    if (s->act != PH_ACT_NONE && s->act != PH_ACT_RELU) return 0;
    if (s->residual != PH_NONE && place[s->residual].dtype != y->dtype) return 0;
    if (s->bias && y->dtype != PH_F32) return 0; // its type would have to be y's
    ph_step_window(s, w);
    return w[0] % 8 == 0 && w[1] % 8 == 0 ? 400 : 0;
}

static double conv_fits(const struct ph_step *s, const struct ph_place *place,
                        enum ph_precision precision)
{
    int64_t w[4];
    ph_step_window(s, w);
    const struct ph_conv *c = &s->conv;
    bool one = w[2] == 1 && w[3] == 1 && c->stride <= 1;
    if (!one || c->top || c->left || c->bottom || c->right) return 0;
    return fits(s, place, precision);
}

static int type_of(enum ph_dtype t)
{
    return t == PH_F32 ? R_32F : t == PH_F16 ? R_16F : R_16BF;
}

static void product_free(struct product *p)
{
    if (!p) return;
    if (p->desc) lt.cublasLtMatmulDescDestroy(p->desc);
    if (p->w) lt.cublasLtMatrixLayoutDestroy(p->w);
    if (p->x) lt.cublasLtMatrixLayoutDestroy(p->x);
    if (p->y) lt.cublasLtMatrixLayoutDestroy(p->y);
    free(p);
}

static void finish(struct ph_device *d, struct ph_step *s)
{
    struct cu_ready *r = s->ready;
    if (r) product_free(r->own);
    ph_cu_ready_finish(d, s);
}

static bool set(struct product *p, int attribute, const void *value, size_t size)
{
    return lt.cublasLtMatmulDescSetAttribute(p->desc, attribute, value, size) == 0;
}

static bool describe(struct product *p, const struct ph_step *s, const struct ph_place *place,
                     const struct cu_ready *r)
{
    const struct ph_place *x = &place[s->in[0]], *y = &place[s->out];
    int64_t w[4];
    ph_step_window(s, w);
    uint64_t n = (uint64_t) w[0], k = (uint64_t) w[1], m = (uint64_t) (y->count / w[0]);
    int turned = OP_TURNED, bias_type = R_32F, epilogue = 0;
    if (lt.cublasLtMatmulDescCreate(&p->desc, COMPUTE_32F, R_32F) ||
        lt.cublasLtMatrixLayoutCreate(&p->w, type_of(x->dtype), k, n, up8(w[1])) ||
        lt.cublasLtMatrixLayoutCreate(&p->x, type_of(x->dtype), k, m, w[1]) ||
        lt.cublasLtMatrixLayoutCreate(&p->y, type_of(y->dtype), n, m, w[0]))
        return false;
    if (s->act == PH_ACT_RELU) epilogue |= EPILOGUE_RELU;
    if (r->bias) epilogue |= EPILOGUE_BIAS;
    if (!epilogue) epilogue = EPILOGUE_NONE;
    if (!set(p, DESC_TRANSA, &turned, sizeof turned) ||
        !set(p, DESC_EPILOGUE, &epilogue, sizeof epilogue))
        return false;
    return !r->bias || (set(p, DESC_BIAS, &r->bias->data, sizeof r->bias->data) &&
                        set(p, DESC_BIAS_TYPE, &bias_type, sizeof bias_type));
}

static bool choose(struct product *p, void *handle)
{
    void *preference = NULL;
    uint64_t workspace = WORKSPACE;
    uint32_t aligned = ALIGNED;
    int count = 0;
    if (lt.cublasLtMatmulPreferenceCreate(&preference)) return false;
    int error = lt.cublasLtMatmulPreferenceSetAttribute(preference, PREFER_WORKSPACE,
                                                        &workspace, sizeof workspace);
    for (int a = PREFER_ALIGNED_A; a <= PREFER_ALIGNED_D && !error; a++)
        error =
            lt.cublasLtMatmulPreferenceSetAttribute(preference, a, &aligned, sizeof aligned);
    if (!error)
        error = lt.cublasLtMatmulAlgoGetHeuristic(handle, p->desc, p->w, p->x, p->y, p->y,
                                                  preference, 1, &p->best, &count);
    lt.cublasLtMatmulPreferenceDestroy(preference);
    return !error && count == 1 && p->best.state == 0;
}

static ph_err prepare(struct ph_device *d, struct ph_step *s, const struct ph_place *place,
                      enum ph_precision precision, struct ph_fault *fault)
{
    struct cu_ready *r = ph_cu_ready_new(d, s, fault);
    if (!r) return PH_ENOMEM;
    ph_err ret = ph_cu_pack_matrix(d, s, place[s->in[0]].dtype, 8, &r->weight, fault);
    if (!ret && s->bias) ret = ph_pack_f32(d, s, s->bias, &r->bias, fault);
    struct product *p = ret < 0 ? NULL : calloc(1, sizeof *p);
    r->own = p;
    if (ret >= 0 && (!p || !describe(p, s, place, r) || !choose(p, ph_cu_of(d)->lt)))
        ret = ph_fail(fault, PH_ENOTSUP, s->name, "%s: cuBLASLt has nothing for it", s->name);
    if (ret < 0)
        finish(d, s);
    else
        s->scratch = p->best.workspace;
    return ret;
}

static void run(const struct ph_step *s, const struct ph_run *run)
{
    const struct cu_ready *r = s->ready;
    struct product *p = r->own;
    float one = 1, beta = s->residual == PH_NONE ? 0 : 1;
    void *y = run->place[s->out].data;
    const void *c = s->residual == PH_NONE ? y : run->place[s->residual].data;
    if (lt.cublasLtMatmul(ph_cu_of(r->device)->lt, p->desc, &one, r->weight->data, p->w,
                          run->place[s->in[0]].data, p->x, &beta, c, p->y, y, p->y,
                          &p->best.algorithm, s->scratch ? run->scratch : NULL, s->scratch,
                          ph_cu_of(r->device)->stream))
        ph_cu_fail(r->device, "cublasLtMatmul");
}

static const struct ph_kernel linear = {
    PH_OP_LINEAR, "cublaslt", fits, prepare, run, finish,
};
static const struct ph_kernel conv = {
    PH_OP_CONV, "cublaslt", conv_fits, prepare, run, finish,
};
const struct ph_kernel *const ph_cu_lt_kernels[] = { &linear, &conv, NULL };
