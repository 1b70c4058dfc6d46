// SPDX-License-Identifier: MIT
#include "rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/plan_priv.h"
#include "nn/rng.h"

enum { GUARD = 64, OUT = RIG_PLACES - 1, ROW = PH_STEP_INPUTS };
#define MARK 0xa7

static size_t bytes_of(const struct ph_place *p)
{
    return (size_t) p->count * ph_dtype_size(p->dtype);
}

static uint64_t hash_of(const void *data, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *) data)[i]) * 1099511628211u;
    return h;
}

static void fill(struct rig *r, int i)
{
    struct ph_place *p = &r->place[i];
    float scale = r->c->size > 0 ? r->c->size : 1;
    float *v = malloc(sizeof *v * (size_t) p->count);
    if (!v) abort();
    ph_rng_normal(7, (uint64_t) i, 0, p->count, v);
    for (int64_t k = 0; k < p->count; k++) {
        bool whole = p->dtype == PH_U8 || p->dtype == PH_I32;
        v[k] = whole ? fabsf(v[k]) * (p->dtype == PH_U8 ? 90 : 3) : v[k] * scale + r->c->mean;
    }
    ph_convert(p->dtype, p->data, PH_F32, v, p->count);
    free(v);
}

// One page more than needed at either end; the hash of an input lies behind its guard.
static void make_place(struct rig *r, int i, const struct rig_shape *s, enum ph_dtype dtype)
{
    struct ph_place *p = &r->place[i];
    if (!s->rank) return;
    p->dtype = s->dtype ? s->dtype : dtype;
    p->rank = s->rank;
    p->count = ph_count(s->rank, s->dim);
    memcpy(p->dim, s->dim, sizeof p->dim);
    size_t size = bytes_of(p), total = (size + 2 * GUARD + sizeof(uint64_t) + 63) / 64 * 64;
    char *block = aligned_alloc(64, total);
    if (!block) abort();
    memset(block, MARK, total);
    r->guarded[i] = block;
    p->data = block + GUARD;
    if (i == OUT) return;
    fill(r, i);
    uint64_t h = hash_of(p->data, size);
    memcpy(block + 2 * GUARD + size, &h, sizeof h);
}

bool rig_untouched(const struct rig *r)
{
    for (int i = 0; i < RIG_PLACES; i++) {
        const uint8_t *block = r->guarded[i];
        if (!block) continue;
        size_t size = bytes_of(&r->place[i]);
        for (int k = 0; k < GUARD; k++)
            if (block[k] != MARK || block[GUARD + size + (size_t) k] != MARK) return false;
        uint64_t h = i == OUT ? 0 : hash_of(r->place[i].data, size);
        if (i != OUT && memcmp(&h, block + 2 * GUARD + size, sizeof h) != 0) return false;
    }
    return true;
}

static ph_err open_weights(struct rig *r, struct ph_fault *fault)
{
    const struct rig_shape *s = &r->c->weight;
    if (!s->rank) return PH_OK;
    char path[96];
    snprintf(path, sizeof path, "/tmp/ph_rig_%d_%p.safetensors", (int) getpid(), (void *) r);
    struct ph_named_tensor t[] = {
        { "x.weight", { PH_F32, s->rank, { 0 }, NULL } },
        { "x.bias", { PH_F32, 1, { s->dim[0] }, NULL } },
    };
    memcpy(t[0].tensor.dim, s->dim, sizeof s->dim);
    ph_err err = ph_weights_save(path, t, 2, 3, fault);
    if (err >= 0) err = ph_weights_open(path, &r->set, fault);
    unlink(path);
    if (err < 0) return err;
    r->step.set = r->set;
    r->step.weight = ph_weights_find(r->set, "x.weight");
    if (!r->c->no_bias) r->step.bias = ph_weights_find(r->set, "x.bias");
    return PH_OK;
}

ph_err rig_open(struct rig *r, const struct rig_case *c, struct ph_device *device,
                enum ph_dtype in, enum ph_dtype out, struct ph_fault *fault)
{
    *r = (struct rig){ .c = c, .device = device, .step = c->step };
    r->step.name = c->name;
    r->step.out = OUT;
    r->step.row = c->row.rank ? ROW : PH_NONE;
    r->step.residual = c->residual.rank ? ROW : PH_NONE;
    for (int i = 0; i < PH_STEP_INPUTS; i++) {
        r->step.in[i] = i;
        r->step.inputs += c->in[i].rank != 0;
        make_place(r, i, &c->in[i], in);
    }
    make_place(r, ROW, c->row.rank ? &c->row : &c->residual, in);
    make_place(r, OUT, &c->out, out);
    return open_weights(r, fault);
}

void rig_close(struct rig *r)
{
    for (int i = 0; i < RIG_PLACES; i++) free(r->guarded[i]);
    ph_weights_unref(&r->set);
    *r = (struct rig){ 0 };
}

// ------------------------------------------------------------------------------ running
struct turn {
    struct rig *r;
    const struct ph_kernel *k;
    enum ph_precision precision;
    int times;
    double *ns;
    ph_err ret;
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

// Guard bytes and all to the device's own memory, and back.
static ph_err run_apart(struct turn *t)
{
    struct rig *r = t->r;
    struct ph_device *d = r->device;
    const struct ph_backend *b = d->backend;
    size_t scratch = (r->step.scratch + 63) / 64 * 64 + 64, bytes[RIG_PLACES] = { 0 };
    void *here[RIG_PLACES], *memory = b->alloc(d, scratch), *mark = malloc(scratch);
    if (!memory || !mark) abort();
    memset(mark, 0xff, scratch); // NaNs: what is read before it is written shows
    b->upload(d, memory, mark, scratch);
    for (int i = 0; i < RIG_PLACES; i++) {
        here[i] = r->place[i].data;
        if (!r->guarded[i]) continue;
        bytes[i] = bytes_of(&r->place[i]) + 2 * GUARD;
        char *there = b->alloc(d, bytes[i]);
        if (!there) abort();
        b->upload(d, there, r->guarded[i], bytes[i]);
        r->place[i].data = there + GUARD;
    }
    struct ph_run run = { r->place, memory, d->threads };
    ph_err ret = b->finish(d);
    for (int i = 0; ret >= 0 && i < t->times; i++) {
        double start = now_ns();
        t->k->run(&r->step, &run);
        ret = b->finish(d);
        if (t->ns) t->ns[i] = now_ns() - start;
    }
    b->download(d, mark, memory, scratch);
    for (size_t i = r->step.scratch; i < scratch; i++)
        if (((uint8_t *) mark)[i] != 0xff) ret = PH_EDEVICE; // wrote behind its scratch
    for (int i = 0; i < RIG_PLACES; i++) {
        if (!bytes[i]) continue;
        char *there = (char *) r->place[i].data - GUARD;
        b->download(d, r->guarded[i], there, bytes[i]);
        b->release(d, there, bytes[i]);
        r->place[i].data = here[i];
    }
    b->release(d, memory, scratch);
    free(mark);
    return ret;
}

static void take_turn(void *arg)
{
    struct turn *t = arg;
    struct rig *r = t->r;
    struct ph_fault fault = { 0 };
    r->step.scratch = 0;
    t->ret = PH_OK;
    if (t->k->prepare)
        t->ret = t->k->prepare(r->device, &r->step, r->place, t->precision, &fault);
    if (t->ret < 0) {
        printf("# %s\n", fault.message);
        return;
    }
    if (r->device->backend->apart) {
        t->ret = run_apart(t);
        if (t->k->finish) t->k->finish(r->device, &r->step);
        return;
    }
    size_t scratch = (r->step.scratch + 63) / 64 * 64 + 64;
    char *memory = aligned_alloc(64, scratch);
    if (!memory) abort();
    memset(memory, 0xff, scratch); // NaNs: what is read before it is written shows
    struct ph_run run = { r->place, memory, r->device->threads };
    for (int i = 0; i < t->times; i++) {
        double start = now_ns();
        t->k->run(&r->step, &run);
        if (t->ns) t->ns[i] = now_ns() - start;
    }
    for (size_t i = r->step.scratch; i < scratch; i++)
        if ((uint8_t) memory[i] != 0xff) t->ret = PH_EDEVICE; // wrote behind its scratch
    free(memory);
    if (t->k->finish) t->k->finish(r->device, &r->step);
}

ph_err rig_run(struct rig *r, const struct ph_kernel *k, enum ph_precision precision)
{
    struct turn t = { r, k, precision, 1, NULL, PH_OK };
    ph_device_call(r->device, take_turn, &t);
    return t.ret;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

double rig_time(struct rig *r, const struct ph_kernel *k, enum ph_precision precision,
                int times)
{
    double *ns = calloc((size_t) times, sizeof *ns);
    if (!ns) return 0;
    struct turn t = { r, k, precision, times, ns, PH_OK };
    ph_device_call(r->device, take_turn, &t);
    qsort(ns, (size_t) times, sizeof *ns, by_size);
    double median = t.ret < 0 ? 0 : ns[times / 2];
    free(ns);
    return median;
}

struct ph_place *rig_out(struct rig *r)
{
    return &r->place[OUT];
}

float rig_value(const struct ph_place *p, int64_t i)
{
    float v;
    size_t size = ph_dtype_size(p->dtype);
    ph_convert(PH_F32, &v, p->dtype, (const char *) p->data + (size_t) i * size, 1);
    return v;
}
