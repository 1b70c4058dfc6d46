// SPDX-License-Identifier: MIT
// Runs one layer with one kernel and tells its error; for test programs.
#ifndef TEST_NN_LAYER_CHECK_H
#define TEST_NN_LAYER_CHECK_H

#include "test.h"

#include "layer.h"

static inline struct ph_device *open_device(const char *spec)
{
    struct ph_device *d = NULL;
    struct ph_fault fault;
    if (ph_device_open(spec, &d, &fault) < 0) TEST_FAIL("%s", fault.message);
    return d;
}

static inline void print_case(const struct layer_spec *s, const char *kernel)
{
    printf("# %s: %s n%d c%d %dx%d -> %d k%d s%d pad %d %d %d %d x%d y%d r%d%s act%d\n", kernel,
           s->op == PH_OP_CONV ? "conv" : "linear", s->n, s->c, s->h, s->w, s->outputs, s->k,
           s->conv.stride, s->conv.top, s->conv.left, s->conv.bottom, s->conv.right, s->x, s->y,
           s->residual, s->in_place ? " in place" : "", s->act);
}

static inline double run_case(const struct layer_spec *spec, struct ph_device *d,
                              const char *kernel, enum layer_rounding rounding)
{
    struct layer l;
    struct ph_fault fault;
    if (layer_open(&l, spec, d, &fault) < 0) TEST_FAIL("%s", fault.message);
    const struct ph_kernel *k = layer_kernel(&l, kernel);
    if (!k) {
        layer_close(&l);
        return -1;
    }
    if (layer_prepare(&l, k, &fault) < 0) {
        print_case(spec, kernel);
        TEST_FAIL("%s", fault.message);
    }
    layer_run(&l);
    layer_run(&l); // the second run finds what the first one left
    double error = layer_error(&l, rounding);
    CHECK(layer_guard_ok(&l));
    layer_close(&l);
    return error;
}

static uint32_t dice_state = 1;
static inline int dice(int n)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (int) ((dice_state >> 8) % (uint32_t) n);
}

// The largest error that a case may have when one in f32 may have `bound`: a result in bf16 has its
// own rounding, and then the residual may be rounded once more.
static inline double allowed(const struct layer_spec *s, double bound)
{
    return s->y == PH_BF16 ? bound + (s->residual ? 5e-3 : 2.5e-3) : bound;
}

// Every case of `make` that the kernel takes; fails when it takes hardly any.
static inline void check_kernel(const char *kernel, struct layer_spec (*make)(int i),
                                enum ph_precision precision, enum layer_rounding rounding,
                                double bound, int rounds)
{
    struct ph_device *d = open_device("cpu:threads=2");
    int done = 0;
    for (int i = 0; i < rounds; i++) {
        struct layer_spec s = make(i);
        s.precision = precision;
        double error = run_case(&s, d, kernel, rounding);
        if (error < 0) continue;
        if (error > allowed(&s, bound)) {
            print_case(&s, kernel);
            CHECK_NUM(error, <=, allowed(&s, bound));
        }
        done++;
    }
    ph_device_unref(&d);
    if (!done) TEST_SKIP("no kernel \"%s\" here", kernel);
    CHECK_INT(done, >=, rounds / 3);
}

// The bytes of the result with this many threads; malloc'd.
static inline void *result_of(const struct layer_spec *s, const char *device,
                              const char *kernel, size_t *size)
{
    struct layer l;
    struct ph_fault fault;
    struct ph_device *d = open_device(device);
    if (layer_open(&l, s, d, &fault) < 0) TEST_FAIL("%s", fault.message);
    const struct ph_kernel *k = layer_kernel(&l, kernel);
    void *bytes = NULL;
    if (k) {
        if (layer_prepare(&l, k, &fault) < 0) TEST_FAIL("%s", fault.message);
        layer_run(&l);
        *size = (size_t) l.place[1].count * ph_dtype_size(s->y);
        bytes = malloc(*size);
        memcpy(bytes, l.place[1].data, *size);
    }
    layer_close(&l);
    ph_device_unref(&d);
    return bytes;
}

static inline void check_threads(const struct layer_spec *s, const char *kernel)
{
    size_t size = 0;
    void *one = result_of(s, "cpu:threads=1", kernel, &size);
    if (!one) TEST_SKIP("no kernel \"%s\" here", kernel);
    void *two = result_of(s, "cpu:threads=2", kernel, &size);
    void *five = result_of(s, "cpu:threads=5", kernel, &size);
    if (memcmp(one, two, size) || memcmp(one, five, size)) {
        print_case(s, kernel);
        TEST_FAIL("the number of threads changes the result");
    }
    free(one);
    free(two);
    free(five);
}

#endif
