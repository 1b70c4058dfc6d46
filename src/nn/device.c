// SPDX-License-Identifier: MIT
// Devices: one thread that runs plans in turn, the arena they share, the cache of packed weights.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/plan_priv.h"
#include "nn/weights_priv.h"

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ph_device *list;

// ------------------------------------------------------------------------------ the arena
static ph_err move_arena(struct ph_device *d, size_t size)
{
    void *arena = size ? d->backend->alloc(d, size) : NULL;
    if (size && !arena) return PH_ENOMEM;
    d->arena_moves++;
    if (d->arena) d->backend->release(d, d->arena, d->arena_size);
    d->arena = arena;
    d->arena_size = size;
    return PH_OK;
}

static size_t largest_plan(const struct ph_device *d)
{
    size_t most = 0;
    for (const struct ph_plan *p = d->plans; p; p = p->next)
        most = p->arena_size > most ? p->arena_size : most;
    return most;
}

ph_err ph_device_reserve(struct ph_device *d, struct ph_plan *plan)
{
    if (plan->arena_size > d->arena_size) {
        ph_err ret = move_arena(d, plan->arena_size);
        if (ret < 0) return ret;
    }
    pthread_mutex_lock(&d->lock);
    plan->next = d->plans;
    d->plans = plan;
    pthread_mutex_unlock(&d->lock);
    return PH_OK;
}

// Its thread gives the memory back, after what it does now: nobody waits for that.
void ph_device_release(struct ph_device *d, struct ph_plan *plan)
{
    pthread_mutex_lock(&d->lock);
    struct ph_plan **at = &d->plans;
    while (*at && *at != plan) at = &(*at)->next;
    if (*at) {
        *at = plan->next;
        d->trim = true;
        pthread_cond_signal(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
}

// ------------------------------------------------------------------------------ the thread
static void *device_thread(void *arg)
{
    struct ph_device *d = arg;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->job && !d->trim && !d->quit) pthread_cond_wait(&d->wake, &d->lock);
        if (d->quit) break;
        if (d->trim) {
            d->trim = false;
            size_t most = largest_plan(d);
            pthread_mutex_unlock(&d->lock);
            if (most < d->arena_size) move_arena(d, most); // where that cannot be, it stays
            pthread_mutex_lock(&d->lock);
            continue;
        }
        void (*job)(void *) = d->job;
        pthread_mutex_unlock(&d->lock);
        job(d->job_arg);
        pthread_mutex_lock(&d->lock);
        d->job = NULL;
        pthread_cond_broadcast(&d->done);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

void ph_device_call(struct ph_device *d, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&d->lock);
    uint64_t ticket = d->ticket++;
    while (d->serving != ticket) pthread_cond_wait(&d->done, &d->lock);
    d->job = fn;
    d->job_arg = arg;
    pthread_cond_signal(&d->wake);
    while (d->job) pthread_cond_wait(&d->done, &d->lock);
    d->serving++;
    pthread_cond_broadcast(&d->done);
    pthread_mutex_unlock(&d->lock);
}

// ------------------------------------------------------------------------------ open, close
static void destroy(struct ph_device *d)
{
    if (d->has_thread) {
        pthread_mutex_lock(&d->lock);
        d->quit = true;
        pthread_cond_signal(&d->wake);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    if (d->arena) d->backend->release(d, d->arena, d->arena_size);
    if (d->own) d->backend->close(d);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->done);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->packs_lock);
    free(d);
}

struct opening {
    struct ph_device *device;
    const char *options;
    struct ph_fault *fault;
    ph_err ret;
};

// On the device's own thread, since the threads of OpenMP belong to the one that makes them.
static void open_backend(void *arg)
{
    struct opening *o = arg;
    o->ret = o->device->backend->open(o->device, o->options, o->fault);
}

static const struct ph_backend *backends[8] = { &ph_backend_cpu, &ph_backend_cuda };

void ph_backend_offer(const struct ph_backend *backend)
{
    size_t i = 0;
    while (backends[i] && backends[i] != backend && i + 2 < sizeof backends / sizeof *backends)
        i++;
    backends[i] = backend;
}

static const struct ph_backend *backend_of(const char *spec, size_t len)
{
    for (int i = 0; backends[i]; i++)
        if (strlen(backends[i]->name) == len && memcmp(backends[i]->name, spec, len) == 0)
            return backends[i];
    return NULL;
}

static ph_err create(const char *spec, struct ph_device **out, struct ph_fault *fault)
{
    const char *colon = strchrnul(spec, ':');
    const struct ph_backend *backend = backend_of(spec, (size_t) (colon - spec));
    if (!backend)
        return ph_fail(fault, PH_EINVAL, "device",
                       "no device \"%s\"; there are \"cpu\" (cpu:threads=N,pin), \"cuda\" "
                       "(cuda:device=N) and \"auto\"",
                       spec);
    struct ph_device *d = calloc(1, sizeof *d);
    if (!d) return PH_ENOMEM;
    d->backend = backend;
    d->refs = 1;
    snprintf(d->spec, sizeof d->spec, "%s", spec);
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->packs_lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    pthread_cond_init(&d->done, NULL);
    struct opening o = { d, *colon ? colon + 1 : "", fault, PH_ENOMEM };
    d->has_thread = pthread_create(&d->thread, NULL, device_thread, d) == 0;
    if (d->has_thread) ph_device_call(d, open_backend, &o);
    if (o.ret < 0) {
        destroy(d);
        return o.ret == PH_ENOMEM ? ph_fail(fault, PH_ENOMEM, "device", "out of memory")
                                  : o.ret;
    }
    *out = d;
    return PH_OK;
}

static ph_err open_auto(struct ph_device **out, struct ph_fault *fault)
{
    for (int i = 0; backends[i]; i++)
        if (backends[i]->present && backends[i]->present() &&
            ph_device_open(backends[i]->name, out, NULL) >= 0)
            return PH_OK;
    return ph_device_open("cpu", out, fault);
}

ph_err ph_device_open(const char *spec, struct ph_device **out, struct ph_fault *fault)
{
    if (!spec || !*spec) spec = "cpu";
    if (strcmp(spec, "auto") == 0) return open_auto(out, fault);
    *out = NULL;
    if (strlen(spec) >= sizeof list->spec)
        return ph_fail(fault, PH_EINVAL, "device", "the name of a device is too long");
    pthread_mutex_lock(&list_lock);
    struct ph_device *d = list;
    while (d && strcmp(d->spec, spec) != 0) d = d->next;
    ph_err ret = PH_OK;
    if (d) {
        d->refs++;
    } else if ((ret = create(spec, &d, fault)) == PH_OK) {
        d->next = list;
        list = d;
    }
    pthread_mutex_unlock(&list_lock);
    *out = d;
    return ret;
}

struct ph_device *ph_device_ref(struct ph_device *d)
{
    pthread_mutex_lock(&list_lock);
    d->refs++;
    pthread_mutex_unlock(&list_lock);
    return d;
}

void ph_device_unref(struct ph_device **device)
{
    struct ph_device *d = *device;
    *device = NULL;
    if (!d) return;
    pthread_mutex_lock(&list_lock);
    bool last = --d->refs == 0;
    if (last) {
        struct ph_device **at = &list;
        while (*at != d) at = &(*at)->next;
        *at = d->next;
    }
    pthread_mutex_unlock(&list_lock);
    if (last) destroy(d);
}

const char *ph_device_name(const struct ph_device *d)
{
    return d->name;
}

double ph_device_energy(struct ph_device *d)
{
    return d->backend->energy ? d->backend->energy(d) : -1;
}

// ------------------------------------------------------------------------------ packed weights
// Entries are found under the lock and filled outside it; only the device's thread fills, so no
// two threads ever fill one.
static struct ph_packed *pack_find(struct ph_device *d, uint64_t key, const char *how)
{
    struct ph_packed *e = d->packs;
    while (e && !(e->key == key && strcmp(e->how, how) == 0)) e = e->next;
    return e;
}

static void pack_free(struct ph_device *d, struct ph_packed *e)
{
    if (e->pack.data) d->backend->release(d, e->pack.data, e->pack.size);
    free(e->how);
    free(e);
}

// Of the values that the step computes with: its part of a weight, or a multiple, is another one.
static uint64_t pack_key(const struct ph_step *step, const struct ph_weight *weight)
{
    uint64_t key = weight->key;
    if ((step->op != PH_OP_CONV && step->op != PH_OP_LINEAR) ||
        !(step->gain || step->rows || step->turned))
        return key;
    key = ph_key_mix(key, (uint64_t) step->first_row << 1 | (uint64_t) step->turned);
    key = ph_key_mix(key, (uint64_t) step->rows);
    return ph_key_mix(key, step->gain ? step->gain->key : 0);
}

static ph_err fill_pack(struct ph_device *d, const struct ph_step *step, struct ph_pack *pack,
                        ph_pack_make make, void *arg, struct ph_fault *fault)
{
    if (!d->backend->apart) {
        ph_err ret = make(arg, step, pack->data, pack->size, fault);
        // Plain kernels pack nothing but floats.
        if (d->rounds) ph_round_bf16(pack->data, (int64_t) (pack->size / sizeof(float)));
        return ret;
    }
    void *here = calloc(1, pack->size);
    if (!here) return PH_ENOMEM;
    ph_err ret = make(arg, step, here, pack->size, fault);
    if (ret >= 0) d->backend->upload(d, pack->data, here, pack->size);
    free(here);
    return ret;
}

// The tensor and the place of what is no number, when that is why it was not packed: making says only
// that it could not.
static ph_err name_failure(const struct ph_step *step, const struct ph_weight *weight,
                           size_t size, ph_err ret, struct ph_fault *fault)
{
    if (ret == PH_ENOMEM)
        return ph_fail(fault, ret, weight->name, "%s: out of memory packing %s (%zu MB)",
                       weight->file, weight->name, size >> 20);
    ph_err stored = ph_weight_check_finite(weight, fault);
    if (stored >= 0 && step->gain) stored = ph_weight_check_finite(step->gain, fault);
    if (stored < 0) return stored;
    if (ret != PH_EFORMAT) return ret;
    return ph_fail(fault, ret, weight->name,
                   "%s: %s with its styles has a value that is not finite", weight->file,
                   weight->name);
}

ph_err ph_pack_get(struct ph_device *d, const struct ph_step *step,
                   const struct ph_weight *weight, const char *how, size_t size,
                   ph_pack_make make, void *arg, const struct ph_pack **out,
                   struct ph_fault *fault)
{
    uint64_t key = pack_key(step, weight);
    pthread_mutex_lock(&d->packs_lock);
    struct ph_packed *e = pack_find(d, key, how);
    if (e) e->refs++;
    pthread_mutex_unlock(&d->packs_lock);
    if (!e) {
        ph_err ret = PH_ENOMEM;
        e = calloc(1, sizeof *e);
        if (e && (e->how = strdup(how)) && (e->pack.data = d->backend->alloc(d, size))) {
            e->pack.size = size;
            e->key = key;
            e->refs = 1;
            ret = fill_pack(d, step, &e->pack, make, arg, fault);
            ph_weight_forget(weight);
        }
        if (ret < 0) {
            if (e) pack_free(d, e);
            return name_failure(step, weight, size, ret, fault);
        }
        pthread_mutex_lock(&d->packs_lock);
        e->next = d->packs;
        d->packs = e;
        pthread_mutex_unlock(&d->packs_lock);
    }
    *out = &e->pack;
    return PH_OK;
}

void ph_pack_lost(struct ph_device *d, const struct ph_pack *pack, const struct ph_loss *loss)
{
    pthread_mutex_lock(&d->packs_lock);
    ((struct ph_packed *) pack)->pack.loss = *loss;
    pthread_mutex_unlock(&d->packs_lock);
}

void ph_pack_put(struct ph_device *d, const struct ph_pack *pack)
{
    if (!pack) return;
    struct ph_packed *e = (struct ph_packed *) pack; // its first member
    pthread_mutex_lock(&d->packs_lock);
    bool last = --e->refs == 0;
    if (last) {
        struct ph_packed **at = &d->packs;
        while (*at != e) at = &(*at)->next;
        *at = e->next;
    }
    pthread_mutex_unlock(&d->packs_lock);
    if (last) pack_free(d, e);
}

static bool is_bias(const struct ph_step *step, const struct ph_weight *weight)
{
    return weight == step->bias && (step->op == PH_OP_CONV || step->op == PH_OP_LINEAR);
}

static ph_err make_f32(void *arg, const struct ph_step *step, void *data, size_t size,
                       struct ph_fault *fault)
{
    const struct ph_weight *w = arg;
    int64_t count = ph_tensor_count(&w->disk);
    ph_err ret = is_bias(step, w) ? ph_step_bias(step, data) // looks itself, at its rows
                                  : ph_weights_read(step->set, w, 0, count, data);
    if (ret >= 0 && !is_bias(step, w) && !ph_all_finite(data, count)) ret = PH_EFORMAT;
    return ret < 0 ? ph_fail(fault, ret, w->name, "%s: cannot read %s", w->file, w->name) : ret;
}

ph_err ph_pack_f32(struct ph_device *d, const struct ph_step *step,
                   const struct ph_weight *weight, const struct ph_pack **out,
                   struct ph_fault *fault)
{
    int64_t window[4] = { ph_tensor_count(&weight->disk) };
    if (is_bias(step, weight)) ph_step_window(step, window);
    size_t size = (size_t) window[0] * sizeof(float);
    return ph_pack_get(d, step, weight, "f32", size, make_f32, (void *) weight, out, fault);
}
