// SPDX-License-Identifier: MIT
#include "models/depth/depther_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------ making
static bool is_over(void *arg)
{
    const struct ph_depther *d = arg;
    return d->quit || ph_stop_asked(&d->stop);
}

static ph_err make(struct ph_depther *d, struct ph_depth_size size, struct ph_plan **out,
                   struct ph_fault *fault)
{
    const struct ph_module_size whole = { 1, size.height, size.width, 0 };
    struct ph_plan_params params = { d->device, d->precision, 0, { is_over, d } };
    struct ph_prog *p = NULL;
    ph_err ret = ph_prog_create(&p);
    if (ret < 0) return ph_fail(fault, ret, "", "out of memory");
    ph_module_record(p, d->module, 0, &whole, NULL);
    ret = ph_plan_create(p, &params, out, fault);
    ph_prog_free(&p);
    return ret;
}

// At most one wish waits and one plan waits to serve; a newer one takes its place.
static void *maker_thread(void *arg)
{
    struct ph_depther *d = arg;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->wish.width && !d->quit) pthread_cond_wait(&d->change, &d->lock);
        if (d->quit) break;
        struct ph_depth_made made = { .size = d->wish };
        struct ph_fault fault = { 0 };
        d->wish = (struct ph_depth_size){ 0 };
        d->making = true;
        pthread_mutex_unlock(&d->lock);
        ph_err ret = make(d, made.size, &made.plan, &fault);
        pthread_mutex_lock(&d->lock);
        d->making = false;
        d->problem = fault;
        d->problem.code = ret;
        struct ph_plan *old = NULL;
        if (ret >= 0) {
            old = d->ready.plan;
            d->ready = made;
        }
        pthread_cond_broadcast(&d->change);
        pthread_mutex_unlock(&d->lock);
        ph_plan_destroy(&old);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static int nearest(int side)
{
    int n = (side + PH_DEPTH_PATCH / 2) / PH_DEPTH_PATCH * PH_DEPTH_PATCH;
    int most = PH_DEPTH_SIDE_MAX / PH_DEPTH_PATCH * PH_DEPTH_PATCH;
    return n < PH_DEPTH_PATCH ? PH_DEPTH_PATCH : n > most ? most : n;
}

ph_err ph_depther_wish(struct ph_depther *d, int width, int height, struct ph_fault *fault)
{
    if (width != nearest(width) || height != nearest(height))
        return ph_fail(fault, PH_EINVAL, "size",
                       "%dx%d: sides are multiples of %d up to %d; %dx%d would do", width,
                       height, PH_DEPTH_PATCH, PH_DEPTH_SIDE_MAX, nearest(width),
                       nearest(height));
    pthread_mutex_lock(&d->lock);
    d->wish = (struct ph_depth_size){ width, height };
    d->problem.code = PH_OK;
    pthread_cond_broadcast(&d->change);
    pthread_mutex_unlock(&d->lock);
    return PH_OK;
}

ph_err ph_depther_settle(struct ph_depther *d, struct ph_fault *fault)
{
    pthread_mutex_lock(&d->lock);
    while (d->wish.width || d->making) pthread_cond_wait(&d->change, &d->lock);
    ph_err ret = d->problem.code;
    if (ret < 0 && fault) *fault = d->problem;
    pthread_mutex_unlock(&d->lock);
    return ret;
}

ph_err ph_depther_trouble(struct ph_depther *d, struct ph_fault *fault)
{
    pthread_mutex_lock(&d->lock);
    ph_err ret = d->wish.width || d->making ? PH_OK : d->problem.code;
    if (ret < 0 && fault) *fault = d->problem;
    pthread_mutex_unlock(&d->lock);
    return ret;
}

// ------------------------------------------------------------------------------ open, close
static void describe(struct ph_depther *d)
{
    const char *path = d->module->path, *slash = strrchr(path, '/');
    struct ph_prog_cost cost = { 0 };
    ph_module_cost(d->module, 0, NULL, &cost, NULL);
    snprintf(d->description, sizeof d->description, "%.60s: %.1f M, %s on %s",
             slash && slash[1] ? slash + 1 : path, (double) cost.params * 1e-6,
             ph_precision_name(ph_precision_resolve(d->precision)), ph_device_name(d->device));
}

static ph_err open_model(struct ph_depther *d, const struct ph_depther_params *params,
                         struct ph_fault *fault)
{
    ph_err ret;
    PH_TRY(ph_module_describe(params->model, &d->module, fault));
    if (d->module->class->kind != PH_MODULE_DEPTH)
        PH_TRY(ph_fail(fault, PH_EFORMAT, "model",
                       "%s is a %s; expected a depth model: Depth-Anything-V2 or 3",
                       params->model, d->module->class->name));
    ph_module_close(&d->module);
    PH_TRY(ph_module_open(params->model, &d->module, fault));
    PH_TRY(
        ph_weights_check_finite(d->module->weights[0], (struct ph_stop){ is_over, d }, fault));
    PH_TRY(ph_device_open(params->device, &d->device, fault));
    d->precision = params->precision;
fail:
    return ret;
}

ph_err ph_depther_open(const struct ph_depther_params *params, struct ph_depther **out,
                       struct ph_fault *fault)
{
    struct ph_depther *d = calloc(1, sizeof *d);
    struct ph_fault own = { 0 };
    if (!fault) fault = &own;
    *out = NULL;
    if (!d) return ph_fail(fault, PH_ENOMEM, "", "out of memory");
    d->stop = (struct ph_stop){ params->stop, params->stop_arg };
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->change, NULL);
    ph_err ret = open_model(d, params, fault);
    if (ret >= 0) {
        describe(d);
        d->has_thread = pthread_create(&d->thread, NULL, maker_thread, d) == 0;
        if (!d->has_thread) ret = ph_fail(fault, PH_ENOMEM, "", "cannot start a thread");
    }
    if (ret < 0)
        ph_depther_close(&d);
    else
        *out = d;
    return ret;
}

void ph_depther_close(struct ph_depther **out)
{
    struct ph_depther *d = *out;
    *out = NULL;
    if (!d) return;
    if (d->has_thread) {
        pthread_mutex_lock(&d->lock);
        d->quit = true;
        pthread_cond_broadcast(&d->change);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    ph_plan_destroy(&d->ready.plan);
    ph_plan_destroy(&d->now.plan);
    ph_module_close(&d->module);
    ph_device_unref(&d->device);
    pthread_cond_destroy(&d->change);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

const struct ph_depth_config *ph_depther_config(const struct ph_depther *d)
{
    return d->module->config;
}

const char *ph_depther_describe(const struct ph_depther *d)
{
    return d->description;
}

// ------------------------------------------------------------------------------ running
struct ph_depth_size ph_depther_size(struct ph_depther *d, uint64_t *landed)
{
    struct ph_plan *old = NULL;
    pthread_mutex_lock(&d->lock);
    if (d->ready.plan) {
        old = d->now.plan;
        d->now = d->ready;
        d->ready = (struct ph_depth_made){ 0 };
        d->landed++;
    }
    pthread_mutex_unlock(&d->lock);
    ph_plan_destroy(&old);
    if (landed) *landed = d->landed;
    return d->now.size;
}

static ph_err read(const struct ph_depther *d, const char *port, float *out, int64_t n)
{
    struct ph_tensor t = { PH_F32, 1, { n }, out };
    return ph_plan_read(d->now.plan, port, &t);
}

static ph_err read_lens(const struct ph_depther *d, struct ph_depth_result *out)
{
    float pose[9];
    struct ph_depth_camera camera;
    ph_err ret = read(d, "pose", pose, 9);
    if (ret < 0) return ret;
    ph_depth_camera_of(pose, d->now.size.width, d->now.size.height, &camera);
    // A field of view of nearly nothing is no camera: the model saw none.
    if (isfinite(camera.k[0]) && isfinite(camera.k[1]) && pose[7] > 1e-3f && pose[8] > 1e-3f)
        memcpy(out->lens, camera.k, sizeof out->lens);
    return PH_OK;
}

ph_err ph_depther_run(struct ph_depther *d, const float *picture, struct ph_depth_result *out)
{
    bool da3 = ph_depther_config(d)->da3;
    int64_t n = (int64_t) d->now.size.width * d->now.size.height;
    struct ph_tensor in = { PH_F32, 1, { 3 * n }, (void *) picture };
    struct ph_plan_stats stats;
    ph_err ret = d->now.plan ? PH_OK : PH_EINVAL;
    memset(out->lens, 0, sizeof out->lens);
    PH_TRY(ret);
    PH_TRY(ph_plan_write(d->now.plan, "picture", &in));
    PH_TRY(ph_plan_run(d->now.plan));
    PH_TRY(read(d, "depth", out->depth, n));
    for (int64_t i = 0; i < n && out->confidence && !da3; i++) out->confidence[i] = 1;
    if (da3 && out->confidence) PH_TRY(read(d, "confidence", out->confidence, n));
    if (da3) PH_TRY(read_lens(d, out));
    ph_plan_stats(d->now.plan, &stats);
    out->model_ns = stats.run_ns;
fail:
    return ret;
}
